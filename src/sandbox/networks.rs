//! Edge: networks, NICs and public addresses.

use super::answer::{Refused, not_yours, refused};
use super::auth::Caller;
use super::commands::{Ctx, Started};
use super::limits::{Limited, asked_account, check};
use super::state::{Fields, Job, State, fields, printed, set, text};
use super::usage::event::UsageEventKind as Kind;
use super::usage_log::log;
use crate::cloudstack::query::ParamMap;
use serde_json::{Value, json};

/// `createNetwork`.
pub fn create(
    state: &mut State,
    ctx: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Value, Refused> {
    state.named("zone", params, "zoneid")?;
    let offering = state
        .named("networkoffering", params, "networkofferingid")?
        .shown
        .clone();
    let owner = asked_account(state, caller, params)?;
    if text(&offering, "guestiptype") != "L2" {
        check(state, &owner, Limited::Networks, 1, 4370)?;
    }
    let name = params
        .get("name")
        .ok_or_else(|| super::answer::missing("createNetwork", "name"))?;
    let id = ctx.clock.random_uuid();
    let mut shown = fields("network");
    for field in ["domainid", "domain", "domainpath"] {
        set(
            &mut shown,
            &[(field, json!(state.text_of("account", &owner, field)))],
        );
    }
    set(
        &mut shown,
        &[
            ("id", json!(id)),
            ("name", json!(name)),
            (
                "displaytext",
                json!(params.get("displaytext").unwrap_or(name)),
            ),
            ("networkofferingid", json!(text(&offering, "id"))),
            ("networkofferingname", json!(text(&offering, "name"))),
            (
                "networkofferingdisplaytext",
                json!(text(&offering, "displaytext")),
            ),
            ("related", json!(id)),
            ("type", json!(text(&offering, "guestiptype"))),
            ("account", json!(state.text_of("account", &owner, "name"))),
            ("state", json!("Allocated")),
            ("created", printed(ctx.now)),
        ],
    );
    state.put("network", &owner, shown.clone());
    note(state, ctx, Kind::NetworkCreate, &id);
    Ok(json!({"network": shown}))
}

fn note(state: &mut State, ctx: &Ctx, kind: Kind, id: &str) {
    let Some(network) = state.find("network", id).cloned() else {
        return;
    };
    log(
        state,
        ctx,
        kind,
        &network.account,
        (id, text(&network.shown, "name")),
        |event| {
            event.offering_id = Some(text(&network.shown, "networkofferingid").to_owned());
            event.state = Some(text(&network.shown, "state").to_owned());
        },
    );
}

/// The network of a deploy: the one that is named, or the account's first.
///
/// # Errors
/// 431 where there is none, 531 where it is another account's.
pub fn for_deploy(state: &State, owner: &str, params: &ParamMap) -> Result<Fields, Refused> {
    let asked = params
        .get("networkids")
        .or_else(|| params.get("iptonetworklist[0].networkid"));
    let asked = asked.and_then(|ids| ids.split(',').next());
    let network = match asked {
        Some(id) => state.find("network", id),
        None => state
            .all("network")
            .find(|network| network.account == owner),
    };
    let network = network.ok_or_else(|| {
        let id = asked.unwrap_or_default();
        refused(
            431,
            4350,
            format!("Unable to find network by id {id}; make one first"),
        )
    })?;
    match network.account == owner {
        true => Ok(network.shown.clone()),
        false => Err(not_yours()),
    }
}

fn nic_of(state: &State, vm: &str) -> Option<(String, String, String, String)> {
    let vm = state.find("virtualmachine", vm)?;
    let nic = vm.shown.get("nic")?.get(0)?.as_object()?;
    let network = text(nic, "networkid").to_owned();
    let offering = state.text_of("network", &network, "networkofferingid");
    Some((
        vm.account.clone(),
        text(nic, "id").to_owned(),
        network,
        offering,
    ))
}

/// A VM's NIC is used; the first one of an isolated network gets it its source NAT address.
pub fn plug(state: &mut State, ctx: &Ctx, vm: &str) {
    let Some((account, nic, network, offering)) = nic_of(state, vm) else {
        return;
    };
    log(
        state,
        ctx,
        Kind::NetworkOfferingAssign,
        &account,
        (vm, &nic),
        |event| {
            event.offering_id = Some(offering);
            event.network_id = Some(network.clone());
            event.is_default = true;
        },
    );
    let Some(held) = state.find_mut("network", &network) else {
        return;
    };
    if text(&held.shown, "state") != "Allocated" {
        return;
    }
    set(&mut held.shown, &[("state", json!("Implemented"))]);
    let isolated = text(&held.shown, "type") == "Isolated";
    note(state, ctx, Kind::NetworkUpdate, &network);
    if isolated {
        let id = add_address(state, ctx, &account, &network, true);
        assign(state, ctx, &id);
    }
}

/// A VM's NIC is given back.
pub fn unplug(state: &mut State, ctx: &Ctx, vm: &str) {
    let Some((account, nic, network, offering)) = nic_of(state, vm) else {
        return;
    };
    log(
        state,
        ctx,
        Kind::NetworkOfferingRemove,
        &account,
        (vm, &nic),
        |event| {
            event.offering_id = Some(offering);
            event.network_id = Some(network);
            event.is_default = true;
        },
    );
}

fn add_address(
    state: &mut State,
    ctx: &Ctx,
    account: &str,
    network: &str,
    is_source_nat: bool,
) -> String {
    let id = ctx.clock.random_uuid();
    let number = state.next_number();
    let (high, low) = ((number / 250) % 250, (number % 250).saturating_add(2));
    let mut shown = fields("publicipaddress");
    for field in ["domainid", "domain", "domainpath"] {
        set(
            &mut shown,
            &[(field, json!(state.text_of("account", account, field)))],
        );
    }
    set(
        &mut shown,
        &[
            ("id", json!(id)),
            ("ipaddress", json!(format!("192.168.{high}.{low}"))),
            ("allocated", printed(ctx.now)),
            ("issourcenat", json!(is_source_nat)),
            ("account", json!(state.text_of("account", account, "name"))),
            ("associatednetworkid", json!(network)),
            (
                "associatednetworkname",
                json!(state.text_of("network", network, "name")),
            ),
            ("state", json!("Allocated")),
        ],
    );
    state.put("publicipaddress", account, shown);
    id
}

fn assign(state: &mut State, ctx: &Ctx, id: &str) {
    address_note(state, ctx, Kind::NetIpAssign, id);
}

fn address_note(state: &mut State, ctx: &Ctx, kind: Kind, id: &str) {
    let Some(held) = state.find("publicipaddress", id).cloned() else {
        return;
    };
    log(
        state,
        ctx,
        kind,
        &held.account,
        (id, text(&held.shown, "ipaddress")),
        |event| {
            event.is_source_nat = held.shown.get("issourcenat") == Some(&json!(true));
            event.network_id = Some(text(&held.shown, "associatednetworkid").to_owned());
        },
    );
}

/// The create phase of `associateIpAddress`.
pub fn associate(
    state: &mut State,
    ctx: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Started, Refused> {
    let network = state.named("network", params, "networkid")?.clone();
    if !caller.reaches(state, &network.account) {
        return Err(not_yours());
    }
    check(state, &network.account, Limited::Addresses, 1, 4280)?;
    let id = add_address(
        state,
        ctx,
        &network.account,
        text(&network.shown, "id"),
        false,
    );
    assign(state, ctx, &id);
    let class = "AssociateIPAddrCmd";
    Ok(Started {
        class,
        instance_type: "IpAddress",
        instance: id,
        creates: true,
    })
}

/// The first part of `disassociateIpAddress` and `deleteNetwork`.
pub fn begin(
    state: &mut State,
    _: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Started, Refused> {
    let (kind, class, instance_type) = match params.command() {
        "deleteNetwork" => ("network", "DeleteNetworkCmd", "Network"),
        _ => ("publicipaddress", "DisassociateIPAddrCmd", "IpAddress"),
    };
    let thing = state.named(kind, params, "id")?;
    if !caller.reaches(state, &thing.account) {
        return Err(not_yours());
    }
    let instance = text(&thing.shown, "id").to_owned();
    Ok(Started {
        class,
        instance_type,
        instance,
        creates: false,
    })
}

/// The end of associate, disassociate and `deleteNetwork`.
pub fn end(state: &mut State, ctx: &Ctx, job: &Job) -> Result<Value, Refused> {
    let id = job.instance.as_str();
    match job.command.as_str() {
        "associateIpAddress" => {
            let mut shown = state.find("publicipaddress", id).map(|ip| ip.shown.clone());
            if let Some(shown) = &mut shown {
                // The recorded server shows the address before its state is stored.
                set(shown, &[("state", json!("Allocating"))]);
            }
            return Ok(json!({"ipaddress": shown}));
        }
        "disassociateIpAddress" => release(state, ctx, id),
        _ => delete_network(state, ctx, id)?,
    }
    Ok(json!({"success": true}))
}

fn release(state: &mut State, ctx: &Ctx, id: &str) {
    address_note(state, ctx, Kind::NetIpRelease, id);
    if let Some(address) = state.find_mut("publicipaddress", id) {
        address.removed = true;
    }
}

fn delete_network(state: &mut State, ctx: &Ctx, id: &str) -> Result<(), Refused> {
    let in_use = state.all("virtualmachine").any(|vm| {
        let nic = vm.shown.get("nic").and_then(|nics| nics.get(0));
        nic.and_then(|nic| nic.get("networkid"))
            .and_then(Value::as_str)
            == Some(id)
    });
    if in_use {
        return Err(refused(530, 9999, "Failed to delete network"));
    }
    let of = state.all("publicipaddress");
    let addresses: Vec<String> = of
        .filter(|ip| text(&ip.shown, "associatednetworkid") == id)
        .map(|ip| text(&ip.shown, "id").to_owned())
        .collect();
    addresses
        .iter()
        .for_each(|address| release(state, ctx, address));
    note(state, ctx, Kind::NetworkDelete, id);
    if let Some(network) = state.find_mut("network", id) {
        network.removed = true;
    }
    Ok(())
}
