//! Edge: networks and public addresses: what their commands check and do before a job takes over.

use crate::sandbox::call::{Call, Reply};
use crate::sandbox::cloud::{Cloud, Moment};
use crate::sandbox::finish::network::{note_network, take_address};
use crate::sandbox::fixed;
use crate::sandbox::limits;
use crate::sandbox::records::{Account, Address, Network};
use crate::sandbox::refused::{Refused, invalid, not_yours, refused};
use crate::sandbox::usage::event::UsageEventKind;
use crate::sandbox::views;
use crate::sandbox::work::Work;
use serde_json::json;

/// Runs a command of this file.
pub fn run(cloud: &mut Cloud, call: &Call<'_>, name: &str) -> Option<Result<Reply, Refused>> {
    Some(match name {
        "createNetwork" => create(cloud, call),
        "deleteNetwork" => on_network(cloud, call, |network| Work::DeleteNetwork { network }),
        "restartNetwork" => on_network(cloud, call, |network| Work::RestartNetwork { network }),
        "listNetworks" => list(cloud, call),
        "associateIpAddress" => associate(cloud, call),
        "disassociateIpAddress" => release(cloud, call),
        "listPublicIpAddresses" => list_addresses(cloud, call),
        _ => return None,
    })
}

fn named(cloud: &Cloud, call: &Call<'_>, parameter: &str) -> Result<Network, Refused> {
    let id = call.required(parameter)?;
    let network = cloud.networks.find(id).filter(|network| !network.removed);
    let network = network.ok_or_else(|| call.no_such(parameter))?;
    if !call.caller.reaches(cloud, &network.account) {
        return Err(not_yours());
    }
    Ok(network.clone())
}

/// Jobs on networks name no `jobinstanceid`.
fn on_network(
    cloud: &mut Cloud,
    call: &Call<'_>,
    work: impl FnOnce(String) -> Work,
) -> Result<Reply, Refused> {
    let network = named(cloud, call, "id")?;
    Ok(Reply::Job {
        id: None,
        instance: Some(("Network", None)),
        work: work(network.id),
    })
}

/// An L2 network is made whatever the limit says.
fn create(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let zone = call.required("zoneid")?;
    if !zone.eq_ignore_ascii_case(fixed::zone_id()) && zone != "1" {
        return Err(call.no_such("zoneid"));
    }
    let asked = call.required("networkofferingid")?;
    let offering = fixed::network_offering(&asked.to_ascii_lowercase());
    let offering = offering.ok_or_else(|| call.no_such("networkofferingid"))?;
    let name = call.required("name")?;
    let owner = call.owner(cloud)?.clone();
    if offering["guestiptype"] != "L2" {
        limits::check(cloud, &owner, 6, 1, 4370)?;
    }
    let offering = offering["id"].as_str().unwrap_or_default();
    let id = add(cloud, &owner, name, offering, call.moment);
    if let Some(network) = cloud.networks.find_mut(&id) {
        network.text = call.text("displaytext").unwrap_or(name).to_owned();
    }
    let network = cloud.networks.find(&id).cloned().unwrap_or_default();
    Ok(Reply::Now(
        json!({ "network": views::network::network(cloud, &network, call.caller.is_root()) }),
    ))
}

/// Writes a network; gives its id.
pub fn add(
    cloud: &mut Cloud,
    owner: &Account,
    name: &str,
    offering: &str,
    moment: Moment<'_>,
) -> String {
    let id = (moment.fresh)();
    let is_l2 = fixed::network_offering(offering).is_some_and(|o| o["guestiptype"] == "L2");
    cloud.networks.insert(Network {
        number: cloud.networks.next(204),
        id: id.clone(),
        name: name.to_owned(),
        text: name.to_owned(),
        offering: offering.to_owned(),
        account: owner.id.clone(),
        created: moment.now,
        state: "Allocated".to_owned(),
        is_l2,
        removed: false,
    });
    if !is_l2 {
        cloud.used_mut(&owner.id).networks += 1;
    }
    note_network(cloud, &id, UsageEventKind::NetworkCreate, moment.now);
    id
}

fn list(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let scope = call.scope(cloud)?;
    let of_type = |network: &Network| {
        let kind = if network.is_l2 { "L2" } else { "Isolated" };
        call.text("type")
            .is_none_or(|asked| asked.eq_ignore_ascii_case(kind))
    };
    let rows: Vec<&Network> = cloud
        .networks
        .iter()
        .filter(|network| !network.removed && call.names(&network.id, &network.name))
        .filter(|network| of_type(network) && scope.shows(cloud, &network.account))
        .collect();
    call.listed("network", &rows, |network| {
        views::network::network(cloud, network, call.caller.is_root())
    })
}

fn associate(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    if call.text("networkid").is_none() {
        return Err(invalid(
            "Unable to figure out zone to assign IP to. Please specify either zoneId, or \
             networkId, or vpcId in the call",
        ));
    }
    let network = named(cloud, call, "networkid")?;
    if network.is_l2 {
        return Err(invalid(
            "The network has no service SourceNat and takes no public address",
        ));
    }
    // An address is its network's owner's; whoever else is named could not use it there.
    let is_named = call.text("account").is_some() || call.text("projectid").is_some();
    if is_named && call.owner(cloud)?.id != network.account {
        return Err(not_yours());
    }
    let owner = cloud
        .accounts
        .find(&network.account)
        .cloned()
        .unwrap_or_default();
    if limits::check(cloud, &owner, 1, 1, 4280).is_err() {
        return Err(refused(
            532,
            4280,
            format!(
                "Maximum number of public IP addresses for account: {} has been exceeded.",
                owner.name
            ),
        ));
    }
    let id = take_address(cloud, &network, false, "Allocating", call.moment);
    Ok(Reply::created(
        "IpAddress",
        &id,
        Work::AssociateAddress {
            address: id.clone(),
        },
    ))
}

fn release(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let id = call.required("id")?;
    let found = cloud.addresses.find(id).filter(|address| !address.removed);
    let address = found.ok_or_else(|| call.no_such("id"))?;
    if !call.caller.reaches(cloud, &address.account) {
        return Err(not_yours());
    }
    if address.is_source_nat {
        let text = "ip address is used for source nat purposes and can not be disassociated.";
        return Err(invalid(text));
    }
    let id = address.id.clone();
    Ok(Reply::job(
        "IpAddress",
        &id,
        Work::ReleaseAddress {
            address: id.clone(),
        },
    ))
}

fn list_addresses(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let scope = call.scope(cloud)?;
    let wanted = |address: &&Address| {
        !address.removed
            && call.names(&address.id, &address.address)
            && call
                .text("ipaddress")
                .is_none_or(|asked| asked == address.address)
            && call
                .text("associatednetworkid")
                .is_none_or(|id| address.network == id)
            && call
                .flag("issourcenat")
                .is_none_or(|asked| asked == address.is_source_nat)
            && scope.shows(cloud, &address.account)
    };
    let rows: Vec<&Address> = cloud.addresses.iter().filter(wanted).collect();
    call.listed("publicipaddress", &rows, |address| {
        views::network::address(cloud, address)
    })
}
