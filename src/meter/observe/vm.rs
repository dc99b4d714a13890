//! Pure: VMs: deploy, start, stop, reboot, destroy, recover, scale, owner, NICs, root volume.

use super::super::inventory::{ByItself, Fact, KnownVm, Nic};
use super::super::resource::{Attributes, Border, BorderSource, Change, Owner};
use super::{FactQuestion, Stage, Watch, meter};
use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::terms::ids::ResourceId;

/// Reads the command if it is one of a VM.
pub(super) fn observe(watch: &mut Watch<'_, '_>, command: &str) -> bool {
    match command {
        "deployvirtualmachine" | "deployvnfappliance" => deploy(watch),
        "startvirtualmachine" => started(watch),
        "stopvirtualmachine" => stopped(watch),
        "rebootvirtualmachine" => rebooted(watch),
        "destroyvirtualmachine" | "expungevirtualmachine" => destroyed(watch),
        "recovervirtualmachine" => recovered(watch),
        "scalevirtualmachine" | "changeserviceforvirtualmachine" => scaled(watch),
        "updatevirtualmachine" => updated(watch),
        "assignvirtualmachine" => assigned(watch),
        "restorevirtualmachine" => restored(watch),
        "addnictovirtualmachine" | "removenicfromvirtualmachine" => nics_changed(watch),
        _ => return false,
    }
    true
}

/// What CloudStack says of a VM, as a price may depend on it. A list and a result leave out what
/// did not change; that comes from what was known.
pub(super) fn attributes(vm: &Node, known: Option<&Attributes>) -> Attributes {
    let mut found = known.cloned().unwrap_or_default();
    let text = |name: &str| vm.text_of(name).map(str::to_owned);
    found.name = text("name").unwrap_or(found.name);
    found.offering = text("serviceofferingid").or(found.offering);
    found.template = text("templateid").or(found.template);
    found.zone = text("zoneid").or(found.zone);
    found.vcpus = vm.number_of("cpunumber").or(found.vcpus);
    found.cpu_mhz = vm.number_of("cpuspeed").or(found.cpu_mhz);
    found.memory_mib = vm.number_of("memory").or(found.memory_mib);
    found.count = 1;
    found
}

/// The VM as an answer shows it; NICs only where the answer has them.
pub(super) fn known(vm: &Node, before: Option<&KnownVm>) -> KnownVm {
    let before = before.cloned().unwrap_or_default();
    let nics: Vec<Nic> = vm.all("nic").filter_map(nic).collect();
    let number = vm
        .text_of("instancename")
        .and_then(|name| name.split('-').nth(2));
    KnownVm {
        nics: if vm.child("nic").is_some() {
            nics
        } else {
            before.nics
        },
        attributes: attributes(vm, Some(&before.attributes)),
        number: number.map(str::to_owned).or(before.number),
        backup_ends: before.backup_ends,
    }
}

fn nic(node: &Node) -> Option<Nic> {
    Some(Nic {
        id: node.text_of("id")?.to_owned(),
        network: node.text_of("networkid")?.into(),
    })
}

/// The id under which a volume made by a deployment is kept until a list tells its own.
pub(super) fn unnamed_volume(kind: &str, vm: &ResourceId) -> ResourceId {
    format!("{kind}@{vm}").into()
}

fn deploy(watch: &mut Watch<'_, '_>) {
    let Some(id) = watch.created_id() else { return };
    match watch.stage() {
        Stage::Pending => {
            let asked = asked(watch);
            let (owner, first) = (watch.call.owner.clone(), watch.first());
            allocate(watch, &id, owner, &asked, first);
        }
        Stage::Done => deployed(watch, &id),
        Stage::Failed => deploy_failed(watch, &id),
    }
}

/// The request's own words, used only until the result is there.
fn asked(watch: &Watch<'_, '_>) -> KnownVm {
    let text = |name: &str| watch.param(name).map(str::to_owned);
    KnownVm {
        attributes: Attributes {
            name: text("name").unwrap_or_default(),
            offering: text("serviceofferingid"),
            template: text("templateid"),
            zone: text("zoneid"),
            count: 1,
            ..Attributes::default()
        },
        ..KnownVm::default()
    }
}

/// Allocation of the VM and of the volumes that a deployment makes.
fn allocate(watch: &mut Watch<'_, '_>, id: &ResourceId, owner: Owner, vm: &KnownVm, start: Border) {
    let allocated = meter(UsageType::AllocatedVm, id);
    watch.open(allocated, owner.clone(), vm.attributes.clone(), start);
    let gib = |name: &str| {
        let asked = watch.param(name).and_then(|text| text.parse::<i64>().ok());
        asked.and_then(|gib| gib.checked_mul(1024 * 1024 * 1024))
    };
    let (root_size, data_size) = (gib("rootdisksize"), gib("size"));
    let data = watch.param("diskofferingid").map(str::to_owned);
    let iso_boot = vm.attributes.template.is_none();
    open_volume(watch, "ROOT", id, &owner, vm, root_size, start);
    if let Some(offering) = data.filter(|_| !iso_boot) {
        let mut shaped = vm.clone();
        shaped.attributes.template = None;
        shaped.attributes.offering = Some(offering);
        open_volume(watch, "DATA", id, &owner, &shaped, data_size, start);
    }
}

fn open_volume(
    watch: &mut Watch<'_, '_>,
    kind: &str,
    vm: &ResourceId,
    owner: &Owner,
    known: &KnownVm,
    size: Option<i64>,
    start: Border,
) {
    let unnamed = unnamed_volume(kind, vm);
    let id = watch.inventory.current_name(&unnamed).clone();
    let root = kind == "ROOT";
    let shape = &known.attributes;
    let number = known.number.as_deref();
    let attributes = Attributes {
        name: number
            .map(|number| format!("{kind}-{number}"))
            .unwrap_or_default(),
        offering: shape.offering.clone().filter(|_| !root),
        template: shape.template.clone().filter(|_| root),
        zone: shape.zone.clone(),
        size_bytes: size,
        count: 1,
        vm: Some(vm.clone()),
        ..Attributes::default()
    };
    watch.open(
        meter(UsageType::Volume, &id),
        owner.clone(),
        attributes,
        start,
    );
    watch.learn(Fact::Child(id, vm.clone()));
    watch.ask(FactQuestion::VolumesOf(vm.clone()));
}

fn deployed(watch: &mut Watch<'_, '_>, id: &ResourceId) {
    let Some(vm) = watch.entity("virtualmachine") else {
        watch.ask(FactQuestion::Vm(id.clone()));
        return;
    };
    let now = known(&vm, None);
    let owner = watch.owner_of(&vm);
    let created = watch.printed(Some(&vm), "created", watch.first());
    watch.learn(Fact::Vm(id.clone(), now.clone()));
    allocate(watch, id, owner.clone(), &now, created);
    if vm.text_of("state") == Some("Running") {
        let start = watch.printed(Some(&vm), "lastupdated", watch.completed());
        runs(watch, id, &owner, &now, start);
    }
}

fn deploy_failed(watch: &mut Watch<'_, '_>, id: &ResourceId) {
    let result = watch.call.job.and_then(|job| job.result.as_ref());
    let told = result.and_then(|result| result.text_of("errortext"));
    let asked = asked(watch);
    let (owner, first, end) = (watch.call.owner.clone(), watch.first(), watch.completed());
    allocate(watch, id, owner.clone(), &asked, first);
    let Some(told) = told else {
        // The server died with the job: the VM may stay, stopped and allocated.
        watch.ask(FactQuestion::Vm(id.clone()));
        return;
    };
    let placed = !told.contains("No destination found");
    watch.close_all(id.clone(), end);
    for kind in ["ROOT", "DATA"] {
        watch.close_all(unnamed_volume(kind, id), end);
    }
    let networks = watch.param("networkids").unwrap_or_default().to_owned();
    for network in networks.split(',').filter(|id| placed && !id.is_empty()) {
        super::network::source_nat(watch, &network.into(), &owner, end);
    }
}

/// A VM runs from an instant on: type 1, a type 13 for each offering of its NICs, and the networks
/// it needs.
fn runs(watch: &mut Watch<'_, '_>, id: &ResourceId, owner: &Owner, vm: &KnownVm, start: Border) {
    let running = meter(UsageType::RunningVm, id);
    watch.open(running, owner.clone(), vm.attributes.clone(), start);
    for nic in &vm.nics {
        super::network::implemented(watch, &nic.network, owner, start);
    }
    for (offering, attributes) in nic_meters(watch, id, vm) {
        let mut nics = meter(UsageType::NetworkOffering, id);
        nics.part = offering;
        watch.open(nics, owner.clone(), attributes, start);
    }
}

/// The NICs of a VM by offering. A network that was never seen counts under its own id.
fn nic_meters(
    watch: &mut Watch<'_, '_>,
    id: &ResourceId,
    vm: &KnownVm,
) -> Vec<(String, Attributes)> {
    let mut found: Vec<(String, Attributes)> = Vec::new();
    for nic in &vm.nics {
        let offering = watch.inventory.network(&nic.network);
        let offering = offering.and_then(|network| network.offering.clone());
        if offering.is_none() {
            watch.ask(FactQuestion::Network(nic.network.clone()));
        }
        let offering = offering.unwrap_or_else(|| nic.network.as_str().to_owned());
        match found.iter_mut().find(|(known, _)| *known == offering) {
            Some((_, attributes)) => attributes.count += 1,
            None => {
                let attributes = Attributes {
                    name: vm.attributes.name.clone(),
                    offering: Some(offering.clone()),
                    zone: vm.attributes.zone.clone(),
                    count: 1,
                    vm: Some(id.clone()),
                    ..Attributes::default()
                };
                found.push((offering, attributes));
            }
        }
    }
    found
}

/// A VM stops: type 1 and its NICs end.
fn stops(watch: &mut Watch<'_, '_>, id: &ResourceId, at: Border) {
    watch.close(meter(UsageType::RunningVm, id), at);
    let nics: Vec<_> = watch
        .inventory
        .open_of_resource(id)
        .filter(|open| open.meter.usage_type == UsageType::NetworkOffering)
        .map(|open| open.meter.clone())
        .collect();
    for nic in nics {
        watch.close(nic, at);
    }
}

fn target(watch: &Watch<'_, '_>, vm: Option<&Node>) -> Option<ResourceId> {
    let told = vm.and_then(|vm| vm.text_of("id")).map(ResourceId::from);
    told.or_else(|| watch.param_id("id"))
        .or_else(|| watch.param_id("virtualmachineid"))
}

/// The VM of a finished call: its id, the entity, and what is known of it now.
fn finished(watch: &mut Watch<'_, '_>) -> Option<(ResourceId, Node, KnownVm)> {
    if !watch.done() {
        return None;
    }
    let vm = watch.entity("virtualmachine")?;
    let id = target(watch, Some(&vm))?;
    let now = known(&vm, watch.inventory.vm(&id));
    watch.learn(Fact::Vm(id.clone(), now.clone()));
    Some((id, vm, now))
}

fn started(watch: &mut Watch<'_, '_>) {
    if let Some((id, vm, now)) = finished(watch) {
        let start = watch.printed(Some(&vm), "lastupdated", watch.completed());
        let owner = watch.owner_of(&vm);
        runs(watch, &id, &owner, &now, start);
    }
}

fn stopped(watch: &mut Watch<'_, '_>) {
    if let Some((id, vm, _)) = finished(watch) {
        let end = watch.printed(Some(&vm), "lastupdated", watch.completed());
        stops(watch, &id, end);
    }
}

/// A plain reboot is no border; a forced one stops and starts, and prints a new second.
fn rebooted(watch: &mut Watch<'_, '_>) {
    let Some((id, vm, now)) = finished(watch) else {
        return;
    };
    let start = watch.printed(Some(&vm), "lastupdated", watch.first());
    if start.source == BorderSource::Printed && start.at.seconds() >= watch.call.sent.seconds() {
        stops(watch, &id, watch.first());
        let owner = watch.owner_of(&vm);
        runs(watch, &id, &owner, &now, start);
    }
}

fn destroyed(watch: &mut Watch<'_, '_>) {
    if !watch.done() {
        return;
    }
    let vm = watch.entity("virtualmachine");
    let Some(id) = target(watch, vm.as_ref()) else {
        return;
    };
    let end = watch.printed(vm.as_ref(), "lastupdated", watch.completed());
    stops(watch, &id, watch.first());
    watch.close(meter(UsageType::AllocatedVm, &id), end);
    let asked = watch.param("volumeids").unwrap_or_default().to_owned();
    let root = root_of(watch, &id);
    watch.close_all(root, end);
    let expunged = watch.says("expunge") == Some(true)
        || watch
            .call
            .command
            .eq_ignore_ascii_case("expungeVirtualMachine");
    if expunged {
        super::network::rules_of_vm_end(watch, &id, watch.completed());
    }
    let data = unnamed_volume("DATA", &id);
    for volume in asked.split(',').filter(|id| !id.is_empty()) {
        let volume = ResourceId::from(volume);
        let known = watch.inventory.open_of_resource(&volume).next().is_some();
        if !known && watch.inventory.current_name(&data) == &data {
            // No list told the id of the data disk that was made with the VM: it is this one.
            watch.learn(Fact::Named(data.clone(), volume.clone()));
        }
        watch.close_all(volume, watch.completed());
    }
}

fn root_of(watch: &Watch<'_, '_>, vm: &ResourceId) -> ResourceId {
    let unnamed = unnamed_volume("ROOT", vm);
    watch.inventory.current_name(&unnamed).clone()
}

/// A recovered VM is allocated again, its root volume too.
fn recovered(watch: &mut Watch<'_, '_>) {
    let Some((id, vm, now)) = finished(watch) else {
        return;
    };
    let start = watch.printed(Some(&vm), "lastupdated", watch.first());
    let owner = watch.owner_of(&vm);
    let allocated = meter(UsageType::AllocatedVm, &id);
    watch.open(allocated, owner.clone(), now.attributes.clone(), start);
    let root = root_of(watch, &id);
    let before = watch
        .inventory
        .intervals()
        .filter(|old| old.meter.resource == root)
        .last();
    let size = before.and_then(|old| old.attributes.size_bytes);
    open_volume(watch, "ROOT", &id, &owner, &now, size, start);
}

/// Another size: from the result, since the usage server's own event may carry the old offering.
fn scaled(watch: &mut Watch<'_, '_>) {
    let Some((id, _, now)) = finished(watch) else {
        return;
    };
    let at = watch.completed();
    for kind in [UsageType::RunningVm, UsageType::AllocatedVm] {
        watch.reshape(meter(kind, &id), at, now.attributes.clone());
    }
}

/// A changed name is no border. Switching metering off by CloudStack ends nothing of ours.
fn updated(watch: &mut Watch<'_, '_>) {
    let Some((id, vm, _)) = finished(watch) else {
        return;
    };
    if watch.says("displayvm") == Some(false) {
        let owner = watch.owner_of(&vm);
        watch.learn(Fact::ByItself(ByItself::Hidden, Some(id), owner));
    }
}

/// The VM and every volume on it pass to another owner; its NICs are new ones.
fn assigned(watch: &mut Watch<'_, '_>) {
    let Some((id, vm, _)) = finished(watch) else {
        return;
    };
    let (owner, at) = (watch.owner_of(&vm), watch.first());
    let mut things: Vec<ResourceId> = watch.inventory.children(&id).cloned().collect();
    things.push(id);
    for resource in things {
        watch.out.changes.push(Change::Move {
            resource,
            at,
            owner: owner.clone(),
        });
    }
}

/// A reinstalled VM has a new root volume, of which the answer does not tell the id.
fn restored(watch: &mut Watch<'_, '_>) {
    let Some((id, vm, now)) = finished(watch) else {
        return;
    };
    let (root, at, owner) = (root_of(watch, &id), watch.completed(), watch.owner_of(&vm));
    watch.ask(FactQuestion::VolumesOf(id.clone()));
    let unnamed = unnamed_volume("ROOT", &id);
    if root == unnamed {
        // Neither id is known yet: one meter runs on for both.
        return;
    }
    let size = watch.attributes_of(&meter(UsageType::Volume, &root));
    let size = size.and_then(|shape| shape.size_bytes);
    watch.close_all(root.clone(), at);
    let fresh: ResourceId = format!("{unnamed}+{}", at.at.seconds()).into();
    watch.learn(Fact::Orphan(root));
    watch.learn(Fact::Named(unnamed, fresh.clone()));
    watch.learn(Fact::Child(fresh.clone(), id.clone()));
    let attributes = Attributes {
        name: now
            .number
            .map(|number| format!("ROOT-{number}"))
            .unwrap_or_default(),
        template: now.attributes.template.clone(),
        zone: now.attributes.zone.clone(),
        size_bytes: size,
        count: 1,
        vm: Some(id.clone()),
        ..Attributes::default()
    };
    watch.open(meter(UsageType::Volume, &fresh), owner, attributes, at);
}

/// NICs came or went while the VM runs or not: the meters by offering follow the result.
fn nics_changed(watch: &mut Watch<'_, '_>) {
    let Some((id, vm, now)) = finished(watch) else {
        return;
    };
    let running = meter(UsageType::RunningVm, &id);
    if watch.inventory.open_of(&running).is_none() {
        return;
    }
    let (owner, at) = (watch.owner_of(&vm), watch.completed());
    let wanted = nic_meters(watch, &id, &now);
    let open: Vec<_> = watch
        .inventory
        .open_of_resource(&id)
        .filter(|open| open.meter.usage_type == UsageType::NetworkOffering)
        .map(|open| open.meter.clone())
        .collect();
    for meter in open {
        if !wanted.iter().any(|(offering, _)| *offering == meter.part) {
            watch.close(meter, at);
        }
    }
    for nic in &now.nics {
        super::network::implemented(watch, &nic.network, &owner, at);
    }
    for (offering, attributes) in wanted {
        let mut nics = meter(UsageType::NetworkOffering, &id);
        nics.part = offering;
        watch.open(nics.clone(), owner.clone(), attributes.clone(), at);
        watch.reshape(nics, at, attributes);
    }
}
