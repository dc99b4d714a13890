//! Edge: networks and addresses: what their jobs do, and their usage events.

use super::Result;
use crate::sandbox::cloud::{Cloud, Moment, next_number};
use crate::sandbox::records::{Address, Network};
use crate::sandbox::refused::{refused, unknown_id};
use crate::sandbox::usage::event::UsageEventKind as Kind;
use crate::sandbox::views;
use serde_json::json;

/// Writes a usage event of a network.
pub fn note_network(cloud: &mut Cloud, id: &str, kind: Kind, now: i64) {
    let Some(network) = cloud.networks.find(id).cloned() else {
        return;
    };
    cloud.note_usage(kind, now, &network.account, &network.id, |event| {
        event.resource_name = network.name;
        event.offering_id = Some(network.offering);
        event.network_id = Some(network.id.clone());
        event.state = Some(network.state);
    });
}

/// Writes a usage event of an address.
pub fn note_address(cloud: &mut Cloud, id: &str, kind: Kind, now: i64) {
    let Some(address) = cloud.addresses.find(id).cloned() else {
        return;
    };
    cloud.note_usage(kind, now, &address.account, &address.id, |event| {
        event.resource_name = address.address;
        event.network_id = Some(address.network);
        event.is_source_nat = address.is_source_nat;
        event.size = Some(i64::from(address.is_source_nat));
    });
}

/// The first VM brings the network up: an isolated one gets its source NAT address.
pub fn implement(cloud: &mut Cloud, id: &str, moment: Moment<'_>) {
    let Some(network) = cloud.networks.find(id).cloned() else {
        return;
    };
    if network.state == "Implemented" {
        return;
    }
    if !network.is_l2 {
        take_address(cloud, &network, true, "Allocated", moment);
    }
    if let Some(row) = cloud.networks.find_mut(id) {
        row.state = "Implemented".to_owned();
    }
    note_network(cloud, id, Kind::NetworkUpdate, moment.now);
}

/// Gives a network a public address; gives the address's id.
pub fn take_address(
    cloud: &mut Cloud,
    network: &Network,
    is_source_nat: bool,
    state: &str,
    moment: Moment<'_>,
) -> String {
    let number = next_number(&cloud.addresses);
    let id = (moment.fresh)();
    // 192.168.0.0/16 less the first two addresses of each /24.
    let (third, fourth) = (2 + number / 252 % 253, 2 + number % 252);
    cloud.addresses.insert(Address {
        number,
        id: id.clone(),
        address: format!("192.168.{third}.{fourth}"),
        account: network.account.clone(),
        network: network.id.clone(),
        is_source_nat,
        allocated: moment.now,
        state: state.to_owned(),
        removed: false,
    });
    cloud.used_mut(&network.account).addresses += 1;
    note_address(cloud, &id, Kind::NetIpAssign, moment.now);
    id
}

/// `associateIpAddress`: its answer still says `Allocating`.
pub fn associated(cloud: &mut Cloud, id: &str, moment: Moment<'_>) -> Result {
    let Some(row) = cloud.addresses.find(id).cloned() else {
        return Err(unknown_id("associateipaddress", "id", id));
    };
    implement(cloud, &row.network, moment);
    let shown = views::network::address(cloud, &row);
    if let Some(row) = cloud.addresses.find_mut(id) {
        row.state = "Allocated".to_owned();
    }
    Ok(json!({ "ipaddress": shown }))
}

/// `disassociateIpAddress`.
pub fn release(cloud: &mut Cloud, id: &str, moment: Moment<'_>) -> Result {
    let found = cloud.addresses.find_mut(id).filter(|row| !row.removed);
    let Some(row) = found else {
        return Err(unknown_id("disassociateipaddress", "id", id));
    };
    row.removed = true;
    let account = row.account.clone();
    cloud.used_mut(&account).addresses -= 1;
    note_address(cloud, id, Kind::NetIpRelease, moment.now);
    Ok(json!({ "success": true }))
}

/// `deleteNetwork`: refused while a VM is in it.
pub fn delete(cloud: &mut Cloud, id: &str, moment: Moment<'_>) -> Result {
    let mut vms = cloud.vms.iter();
    if vms.any(|vm| !vm.removed && vm.nics.iter().any(|nic| nic.network == id)) {
        return Err(refused(530, 9999, "Failed to delete network"));
    }
    remove(cloud, id, moment);
    Ok(json!({ "success": true }))
}

/// The network and its addresses are gone.
pub fn remove(cloud: &mut Cloud, id: &str, moment: Moment<'_>) {
    let addresses: Vec<String> = cloud
        .addresses
        .iter()
        .filter(|address| !address.removed && address.network == id)
        .map(|address| address.id.clone())
        .collect();
    for address in addresses {
        // An address that is listed as the network's can be released.
        let _ = release(cloud, &address, moment);
    }
    let Some(network) = cloud
        .networks
        .find_mut(id)
        .filter(|network| !network.removed)
    else {
        return;
    };
    network.removed = true;
    let (account, is_l2) = (network.account.clone(), network.is_l2);
    if !is_l2 {
        cloud.used_mut(&account).networks -= 1;
    }
    note_network(cloud, id, Kind::NetworkDelete, moment.now);
}
