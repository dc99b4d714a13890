//! Edge: small things that cost and have no states of their own: rules of an address, VPN users,
//! VM snapshots, buckets.

use crate::sandbox::call::{Call, Reply};
use crate::sandbox::cloud::{Cloud, next_number};
use crate::sandbox::records::Thing;
use crate::sandbox::refused::{Refused, invalid, not_yours};
use crate::sandbox::views;
use crate::sandbox::work::Work;

/// Port-forwarding rule.
pub const PORT_RULE: &str = "FirewallRule";
/// Load-balancer rule.
pub const LB_RULE: &str = "LoadBalancerRule";
/// VPN user.
pub const VPN_USER: &str = "VpnUser";
/// VM snapshot.
pub const VM_SNAPSHOT: &str = "VmSnapshot";
/// Bucket.
pub const BUCKET: &str = "Bucket";

/// Runs a command of this file.
pub fn run(cloud: &mut Cloud, call: &Call<'_>, name: &str) -> Option<Result<Reply, Refused>> {
    Some(match name {
        "createPortForwardingRule" => on_address(cloud, call, PORT_RULE, "ipaddressid"),
        "createLoadBalancerRule" => on_address(cloud, call, LB_RULE, "publicipid"),
        "addVpnUser" => of_owner(cloud, call, VPN_USER, "username"),
        "createBucket" => of_owner(cloud, call, BUCKET, "name"),
        "createVMSnapshot" => vm_snapshot(cloud, call),
        "deletePortForwardingRule" => remove(cloud, call, PORT_RULE, "id"),
        "deleteLoadBalancerRule" => remove(cloud, call, LB_RULE, "id"),
        "deleteVMSnapshot" => remove(cloud, call, VM_SNAPSHOT, "vmsnapshotid"),
        "removeVpnUser" => remove_vpn_user(cloud, call),
        "deleteBucket" => delete_bucket(cloud, call),
        "listPortForwardingRules" => list(cloud, call, PORT_RULE, "portforwardingrule"),
        "listLoadBalancerRules" => list(cloud, call, LB_RULE, "loadbalancerrule"),
        "listVpnUsers" => list(cloud, call, VPN_USER, "vpnuser"),
        "listVMSnapshot" => list(cloud, call, VM_SNAPSHOT, "vmSnapshot"),
        "listBuckets" => list(cloud, call, BUCKET, "bucket"),
        _ => return None,
    })
}

/// Writes a thing; gives the answer to the call that made it.
fn add(
    cloud: &mut Cloud,
    call: &Call<'_>,
    (kind, name): (&'static str, &str),
    (account, on): (&str, &str),
) -> Reply {
    let id = (call.moment.fresh)();
    cloud.things.insert(Thing {
        number: next_number(&cloud.things),
        id: id.clone(),
        kind: kind.to_owned(),
        name: name.to_owned(),
        account: account.to_owned(),
        on: on.to_owned(),
        created: call.moment.now,
        ..Thing::default()
    });
    let thing = id.clone();
    Reply::created(kind, &id, Work::MakeThing { thing })
}

/// A rule is its address's owner's (`FirewallRule.getAccountId`).
fn on_address(
    cloud: &mut Cloud,
    call: &Call<'_>,
    kind: &'static str,
    parameter: &str,
) -> Result<Reply, Refused> {
    let id = call.required(parameter)?;
    let address = cloud.addresses.find(id).filter(|address| !address.removed);
    let address = address.ok_or_else(|| call.no_such(parameter))?.clone();
    if !call.caller.reaches(cloud, &address.account) {
        return Err(not_yours());
    }
    let name = call.text("name").unwrap_or_default();
    let of = (address.account.as_str(), address.id.as_str());
    Ok(add(cloud, call, (kind, name), of))
}

fn of_owner(
    cloud: &mut Cloud,
    call: &Call<'_>,
    kind: &'static str,
    parameter: &str,
) -> Result<Reply, Refused> {
    let name = call.required(parameter)?;
    let owner = call.owner(cloud)?.id.clone();
    let taken = |thing: &Thing| !thing.removed && thing.kind == kind && thing.name == name;
    if cloud
        .things
        .iter()
        .any(|thing| taken(thing) && thing.account == owner)
    {
        return Err(invalid(format!("{name} exists already")));
    }
    Ok(add(cloud, call, (kind, name), (&owner, "")))
}

fn vm_snapshot(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let id = call.required("virtualmachineid")?;
    let vm = cloud.vms.find(id).filter(|vm| vm.state != "Expunging");
    let vm = vm.ok_or_else(|| call.no_such("virtualmachineid"))?.clone();
    if !call.caller.reaches(cloud, &vm.account) {
        return Err(not_yours());
    }
    let name = call.text("name").unwrap_or("snapshot");
    let of = (vm.account.as_str(), vm.id.as_str());
    Ok(add(cloud, call, (VM_SNAPSHOT, name), of))
}

fn named(cloud: &Cloud, call: &Call<'_>, kind: &str, parameter: &str) -> Result<Thing, Refused> {
    let id = call.required(parameter)?;
    let thing = cloud.things.find(id);
    let thing = thing.filter(|thing| !thing.removed && thing.kind == kind);
    let thing = thing.ok_or_else(|| call.no_such(parameter))?;
    if !call.caller.reaches(cloud, &thing.account) {
        return Err(not_yours());
    }
    Ok(thing.clone())
}

fn remove(
    cloud: &mut Cloud,
    call: &Call<'_>,
    kind: &'static str,
    parameter: &str,
) -> Result<Reply, Refused> {
    let thing = named(cloud, call, kind, parameter)?.id;
    let work = Work::RemoveThing {
        thing: thing.clone(),
    };
    Ok(Reply::job(kind, &thing, work))
}

fn remove_vpn_user(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let name = call.required("username")?;
    let owner = call.owner(cloud)?.id.clone();
    let mut things = cloud.things.iter();
    let found = things.find(|thing| {
        thing.kind == VPN_USER && thing.name == name && thing.account == owner && !thing.removed
    });
    let missing = || invalid(format!("Could not find VPN user={name}"));
    let thing = found.ok_or_else(missing)?.id.clone();
    let work = Work::RemoveThing {
        thing: thing.clone(),
    };
    Ok(Reply::job(VPN_USER, &thing, work))
}

fn delete_bucket(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let bucket = named(cloud, call, BUCKET, "id")?;
    if let Some(row) = cloud.things.find_mut(&bucket.id) {
        row.removed = true;
    }
    Ok(Reply::success())
}

fn list(
    cloud: &Cloud,
    call: &Call<'_>,
    kind: &'static str,
    item: &'static str,
) -> Result<Reply, Refused> {
    let scope = call.scope(cloud)?;
    let rows: Vec<&Thing> = cloud
        .things
        .iter()
        .filter(|thing| !thing.removed && thing.kind == kind)
        .filter(|thing| call.names(&thing.id, &thing.name))
        .filter(|thing| scope.shows(cloud, &thing.account))
        .collect();
    call.listed(item, &rows, |thing| views::thing::thing(cloud, thing))
}
