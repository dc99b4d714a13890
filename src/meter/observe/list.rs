//! Pure: what lists add: ids of volumes and addresses that no job showed, and their seconds.

use super::super::inventory::Fact;
use super::super::resource::BorderSource;
use super::{Watch, meter};
use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::terms::ids::ResourceId;

/// Reads the command if it is a list that tells something.
pub(super) fn observe(watch: &mut Watch<'_, '_>, command: &str) -> bool {
    let (name, read): (&str, fn(&mut Watch<'_, '_>, &Node)) = match command {
        "listvirtualmachines" => ("virtualmachine", vm),
        "listvolumes" => ("volume", volume),
        "listpublicipaddresses" => ("publicipaddress", address),
        "listnetworks" => ("network", network),
        "listbackups" => ("backup", backup),
        _ => return false,
    };
    let answer = watch.call.answer;
    for item in answer.all(name) {
        read(watch, item);
    }
    true
}

fn vm(watch: &mut Watch<'_, '_>, vm: &Node) {
    if let Some(id) = vm.text_of("id").map(ResourceId::from) {
        let now = super::vm::known(vm, watch.inventory.vm(&id));
        watch.learn(Fact::Vm(id, now));
    }
}

/// A volume of a VM whose id was not known; its size and offering correct what was assumed.
fn volume(watch: &mut Watch<'_, '_>, volume: &Node) {
    let Some(id) = volume.text_of("id").map(ResourceId::from) else {
        return;
    };
    let vm = volume.text_of("virtualmachineid").map(ResourceId::from);
    if let Some(vm) = &vm {
        let root = volume.text_of("type") == Some("ROOT");
        let kind = if root { "ROOT" } else { "DATA" };
        let by_deploy = volume
            .text_of("name")
            .is_some_and(|name| name.starts_with("DATA-"));
        let unnamed = super::vm::unnamed_volume(kind, vm);
        let kept = watch.inventory.current_name(&unnamed).clone();
        let renamed = kept.as_str().contains('@') && (root || by_deploy);
        if renamed {
            watch.learn(Fact::Named(kept.clone(), id.clone()));
            watch.learn(Fact::Child(id.clone(), vm.clone()));
            correct(watch, &kept, &id, volume);
            return;
        }
        watch.learn(Fact::Child(id.clone(), vm.clone()));
    }
    // A list that was read before the deployment's answer has given the volume its name already.
    let open = watch.inventory.open_of(&meter(UsageType::Volume, &id));
    if open.is_some_and(|open| open.attributes.size_bytes.is_none()) {
        correct(watch, &id, &id, volume);
    }
}

/// The meter as it is from its start on: what the deployment did not say was so all the time.
fn correct(watch: &mut Watch<'_, '_>, kept: &ResourceId, id: &ResourceId, volume: &Node) {
    let of = meter(UsageType::Volume, kept);
    if let Some(open) = watch.inventory.open_of(&of).cloned() {
        let shape = super::volume::attributes(volume, Some(&open.attributes));
        watch.reshape(meter(UsageType::Volume, id), open.start, shape);
    }
}

/// The source NAT address of a network or VPC: its id, and the second it was allocated.
fn address(watch: &mut Watch<'_, '_>, address: &Node) {
    let Some(id) = address.text_of("id").map(ResourceId::from) else {
        return;
    };
    if address.text_of("issourcenat") != Some("true") {
        return;
    }
    let told = |name: &str| address.text_of(name).map(ResourceId::from);
    let Some(parent) = told("associatednetworkid").or_else(|| told("vpcid")) else {
        return;
    };
    let kept = watch
        .inventory
        .current_name(&super::network::unnamed_nat(&parent))
        .clone();
    let open = watch
        .inventory
        .open_of(&meter(UsageType::IpAddress, &kept))
        .cloned();
    if let Some(open) = open.filter(|_| kept.as_str().contains('@')) {
        watch.learn(Fact::Named(kept, id.clone()));
        let start = watch.printed(Some(address), "allocated", open.start);
        if start.source == BorderSource::Printed {
            let shape = super::network::address_attributes(address);
            watch.open(meter(UsageType::IpAddress, &id), open.owner, shape, start);
        }
    }
}

/// A network seen first when it is implemented has its source NAT address already.
fn network(watch: &mut Watch<'_, '_>, network: &Node) {
    let Some(id) = network.text_of("id").map(ResourceId::from) else {
        return;
    };
    let mut now = super::network::known(network);
    let before = watch.inventory.network(&id);
    if before.is_none() && network.text_of("state") == Some("Implemented") {
        now.source_nat = false;
    }
    if let Some(before) = before {
        now.source_nat = before.source_nat;
        now.offering = now.offering.or_else(|| before.offering.clone());
    }
    watch.learn(Fact::Network(id, now));
}

fn backup(watch: &mut Watch<'_, '_>, backup: &Node) {
    let id = backup.text_of("id").map(ResourceId::from);
    let vm = backup.text_of("virtualmachineid").map(ResourceId::from);
    if let (Some(id), Some(vm)) = (id, vm) {
        let group = super::volume::backups_of(&vm);
        let unnamed: Vec<ResourceId> = watch.inventory.children(&group).cloned().collect();
        for old in unnamed.into_iter().filter(|old| old.as_str().contains('@')) {
            watch.learn(Fact::Orphan(old));
        }
        watch.learn(Fact::Child(id, group));
    }
}
