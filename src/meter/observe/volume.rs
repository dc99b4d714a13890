//! Pure: volumes, and what is made from them: snapshots, VM snapshots, backups.

use super::super::inventory::{ByItself, Fact};
use super::super::resource::Attributes;
use super::{Stage, Watch, meter};
use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::terms::ids::ResourceId;

/// Reads the command if it is one of a volume.
pub(super) fn observe(watch: &mut Watch<'_, '_>, command: &str) -> bool {
    match command {
        "createvolume" => created(watch),
        "deletevolume" | "destroyvolume" => ended(watch, "id"),
        "recovervolume" => recovered(watch),
        "resizevolume" | "changeofferingforvolume" => reshaped(watch),
        "attachvolume" | "detachvolume" => attached(watch),
        "assignvolume" => assigned(watch),
        "migratevolume" => migrated(watch),
        "createsnapshot" => snapshot(watch),
        "deletesnapshot" => ended(watch, "id"),
        "createsnapshotpolicy" => snapshots_by_itself(watch),
        "createvmsnapshot" => vm_snapshot(watch),
        "deletevmsnapshot" => ended(watch, "vmsnapshotid"),
        "assignvirtualmachinetobackupoffering" => backup_assigned(watch),
        "removevirtualmachinefrombackupoffering" => backup_removed(watch),
        "createbackup" => backup_made(watch),
        "deletebackup" => backup_deleted(watch),
        _ => return false,
    }
    true
}

/// What CloudStack says of a volume; what it leaves out was known before.
pub(super) fn attributes(volume: &Node, known: Option<&Attributes>) -> Attributes {
    let mut found = known.cloned().unwrap_or_default();
    let text = |name: &str| volume.text_of(name).map(str::to_owned);
    found.name = text("name").unwrap_or(found.name);
    found.offering = text("diskofferingid").or(found.offering);
    found.template = text("templateid").or(found.template);
    found.zone = text("zoneid").or(found.zone);
    found.size_bytes = volume.number_of("size").or(found.size_bytes);
    found.vm = volume
        .text_of("virtualmachineid")
        .map(ResourceId::from)
        .or(found.vm);
    found.count = 1;
    found
}

fn created(watch: &mut Watch<'_, '_>) {
    let Some(id) = watch.created_id() else { return };
    let of = meter(UsageType::Volume, &id);
    let owner = watch.call.owner.clone();
    let from_snapshot = watch.param("snapshotid").is_some();
    match watch.stage() {
        // Made from a snapshot it costs from the job's end on, else from the call on.
        Stage::Pending if from_snapshot => {}
        Stage::Pending => {
            let asked = Attributes {
                name: watch.param("name").unwrap_or_default().to_owned(),
                offering: watch.param("diskofferingid").map(str::to_owned),
                zone: watch.param("zoneid").map(str::to_owned),
                count: 1,
                ..Attributes::default()
            };
            watch.open(of, owner, asked, watch.first());
        }
        Stage::Done => {
            let Some(volume) = watch.entity("volume") else {
                return;
            };
            let start = match from_snapshot {
                true => watch.completed(),
                false => watch.printed(Some(&volume), "created", watch.first()),
            };
            let owner = watch.owner_of(&volume);
            watch.open(of, owner, attributes(&volume, None), start);
        }
        // Without a word of CloudStack's the server died with the job: the volume stays allocated.
        Stage::Failed if watch.call.job.is_some_and(|job| job.result.is_none()) => {}
        Stage::Failed => watch.close(of, watch.completed()),
    }
}

/// The thing named by that parameter ends with the job, or with the answer.
fn ended(watch: &mut Watch<'_, '_>, name: &str) {
    if let Some(id) = watch.param_id(name).filter(|_| watch.done()) {
        watch.learn(Fact::Orphan(id.clone()));
        watch.close_all(id, watch.completed());
    }
}

fn recovered(watch: &mut Watch<'_, '_>) {
    let Some(volume) = watch.entity("volume").filter(|_| watch.done()) else {
        return;
    };
    if let Some(id) = volume.text_of("id").map(ResourceId::from) {
        let (owner, start) = (watch.owner_of(&volume), watch.completed());
        watch.open(
            meter(UsageType::Volume, &id),
            owner,
            attributes(&volume, None),
            start,
        );
    }
}

/// Size and offering from the result: a change of both applies the size alone.
fn reshaped(watch: &mut Watch<'_, '_>) {
    let Some(volume) = watch.entity("volume").filter(|_| watch.done()) else {
        return;
    };
    let told = volume.text_of("id").map(ResourceId::from);
    let Some(id) = told.or_else(|| watch.param_id("id")) else {
        return;
    };
    let of = meter(UsageType::Volume, &id);
    let before = watch.attributes_of(&of);
    let now = attributes(&volume, before.as_ref());
    watch.reshape(of, watch.completed(), now);
}

fn attached(watch: &mut Watch<'_, '_>) {
    let Some(volume) = watch.entity("volume").filter(|_| watch.done()) else {
        return;
    };
    let Some(id) = volume.text_of("id").map(ResourceId::from) else {
        return;
    };
    match volume.text_of("virtualmachineid") {
        Some(vm) => watch.learn(Fact::Child(id, vm.into())),
        None => watch.learn(Fact::Orphan(id)),
    }
}

fn assigned(watch: &mut Watch<'_, '_>) {
    let Some(volume) = watch.entity("volume").filter(|_| watch.done()) else {
        return;
    };
    let told = volume.text_of("id").map(ResourceId::from);
    if let Some(resource) = told.or_else(|| watch.param_id("volumeid")) {
        let (owner, at) = (watch.owner_of(&volume), watch.first());
        let change = super::Change::Move {
            resource,
            at,
            owner,
        };
        watch.out.changes.push(change);
    }
}

/// A cold migration of a root volume gives it a new id in the same second.
fn migrated(watch: &mut Watch<'_, '_>) {
    let Some(volume) = watch.entity("volume").filter(|_| watch.done()) else {
        return;
    };
    let new = volume.text_of("id").map(ResourceId::from);
    let old = watch.param_id("volumeid");
    if let (Some(new), Some(old)) = (new, old)
        && new != old
    {
        let (owner, at) = (watch.owner_of(&volume), watch.completed());
        let before = watch.attributes_of(&meter(UsageType::Volume, &old));
        if let Some(vm) = before.as_ref().and_then(|shape| shape.vm.clone()) {
            watch.learn(Fact::Child(new.clone(), vm));
        }
        watch.learn(Fact::Orphan(old.clone()));
        watch.close_all(old, at);
        let now = attributes(&volume, before.as_ref());
        watch.open(meter(UsageType::Volume, &new), owner, now, at);
    }
}

/// A snapshot costs from the job's end on; what it prints as `created` is the request.
fn snapshot(watch: &mut Watch<'_, '_>) {
    let Some(snapshot) = watch.entity("snapshot").filter(|_| watch.done()) else {
        return;
    };
    let Some(id) = snapshot.text_of("id").map(ResourceId::from) else {
        return;
    };
    let attributes = Attributes {
        name: snapshot.text_of("name").unwrap_or_default().to_owned(),
        zone: snapshot.text_of("zoneid").map(str::to_owned),
        size_bytes: snapshot.number_of("physicalsize"),
        count: 1,
        ..Attributes::default()
    };
    let (owner, start) = (watch.owner_of(&snapshot), watch.completed());
    watch.open(meter(UsageType::Snapshot, &id), owner, attributes, start);
}

fn snapshots_by_itself(watch: &mut Watch<'_, '_>) {
    let owner = watch.call.owner.clone();
    let volume = watch.param_id("volumeid");
    watch.learn(Fact::ByItself(ByItself::SnapshotPolicy, volume, owner));
}

/// A VM snapshot is metered twice by CloudStack: as a VM snapshot and on primary storage.
fn vm_snapshot(watch: &mut Watch<'_, '_>) {
    let Some(snapshot) = watch.entity("vmsnapshot").filter(|_| watch.done()) else {
        return;
    };
    let Some(id) = snapshot.text_of("id").map(ResourceId::from) else {
        return;
    };
    let vm = snapshot.text_of("virtualmachineid").map(ResourceId::from);
    let volumes = watch.inventory.intervals().filter(|volume| {
        vm.is_some()
            && volume.attributes.vm == vm
            && volume.end.is_none()
            && volume.meter.usage_type == UsageType::Volume
    });
    let sizes: Option<Vec<i64>> = volumes.map(|open| open.attributes.size_bytes).collect();
    let attributes = Attributes {
        name: snapshot
            .text_of("displayname")
            .unwrap_or_default()
            .to_owned(),
        zone: snapshot.text_of("zoneid").map(str::to_owned),
        size_bytes: sizes.map(|sizes| sizes.iter().sum()),
        count: 1,
        vm,
        ..Attributes::default()
    };
    let (owner, start) = (watch.owner_of(&snapshot), watch.completed());
    for kind in [UsageType::VmSnapshot, UsageType::VmSnapshotOnPrimary] {
        watch.open(meter(kind, &id), owner.clone(), attributes.clone(), start);
    }
}

fn backup_assigned(watch: &mut Watch<'_, '_>) {
    let Some(vm) = watch.param_id("virtualmachineid").filter(|_| watch.done()) else {
        return;
    };
    let known = watch.inventory.vm(&vm).cloned().unwrap_or_default();
    let attributes = Attributes {
        name: known.attributes.name,
        offering: watch.param("backupofferingid").map(str::to_owned),
        zone: known.attributes.zone,
        count: 1,
        vm: Some(vm.clone()),
        ..Attributes::default()
    };
    let (owner, start) = (watch.call.owner.clone(), watch.completed());
    watch.open(meter(UsageType::Backup, &vm), owner, attributes, start);
}

/// The backups of a VM are kept as children under this name beside its volumes.
pub(super) fn backups_of(vm: &ResourceId) -> ResourceId {
    format!("backups@{vm}").into()
}

/// A backup costs until the offering is taken away *and* the last backup is deleted.
fn backup_removed(watch: &mut Watch<'_, '_>) {
    let Some(vm) = watch.param_id("virtualmachineid").filter(|_| watch.done()) else {
        return;
    };
    let group = backups_of(&vm);
    if watch.inventory.children(&group).next().is_none() {
        watch.close(meter(UsageType::Backup, &vm), watch.completed());
    } else {
        let mut known = watch.inventory.vm(&vm).cloned().unwrap_or_default();
        known.backup_ends = true;
        watch.learn(Fact::Vm(vm, known));
    }
}

/// The answer does not tell the backup's id; it is kept under one of ours until a list does.
fn backup_made(watch: &mut Watch<'_, '_>) {
    if let Some(vm) = watch.param_id("virtualmachineid").filter(|_| watch.done()) {
        let second = watch.completed().at.seconds();
        let unnamed = format!("backup@{vm}+{second}").into();
        watch.learn(Fact::Child(unnamed, backups_of(&vm)));
    }
}

fn backup_deleted(watch: &mut Watch<'_, '_>) {
    let Some(told) = watch.param_id("id").filter(|_| watch.done()) else {
        return;
    };
    let of_owner: Vec<ResourceId> = watch
        .inventory
        .running()
        .filter(|open| open.meter.usage_type == UsageType::Backup)
        .filter(|open| open.owner == watch.call.owner)
        .map(|open| open.meter.resource.clone())
        .collect();
    // A backup whose id no list told is one of those the owner made.
    let unnamed = || {
        let mut all = of_owner.iter().flat_map(|vm| {
            let group = backups_of(vm);
            let children = watch.inventory.children(&group);
            children.cloned().collect::<Vec<ResourceId>>()
        });
        all.find(|child| child.as_str().contains('@'))
    };
    let known = watch.inventory.parent(&told).is_some();
    let backup = if known {
        told
    } else {
        unnamed().unwrap_or(told)
    };
    let ending = of_owner.iter().find(|vm| {
        let ends = watch
            .inventory
            .vm(vm)
            .is_some_and(|known| known.backup_ends);
        let group = backups_of(vm);
        let mut left = watch.inventory.children(&group);
        ends && left.all(|child| *child == backup)
    });
    if let Some(vm) = ending.cloned() {
        watch.close(meter(UsageType::Backup, &vm), watch.completed());
    }
    watch.learn(Fact::Orphan(backup));
}
