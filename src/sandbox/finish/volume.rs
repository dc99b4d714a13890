//! Edge: volumes and snapshots: what their jobs do, and their usage events.

use super::{Result, in_job};
use crate::sandbox::cloud::{Cloud, Moment};
use crate::sandbox::limits::{self, GIB};
use crate::sandbox::records::{Job, Volume};
use crate::sandbox::refused::{refused, unknown_id};
use crate::sandbox::usage::event::UsageEventKind as Kind;
use crate::sandbox::views;
use serde_json::json;

/// Writes a usage event of a volume.
pub fn note_volume(cloud: &mut Cloud, id: &str, kind: Kind, now: i64) {
    let Some(volume) = cloud.volumes.find(id).cloned() else {
        return;
    };
    cloud.note_usage(kind, now, &volume.account, &volume.id, |event| {
        event.resource_name = volume.name;
        if kind != Kind::VolumeDelete {
            event.offering_id = volume.offering;
            event.size = Some(volume.size);
            event.vm_id = volume.vm;
        }
        if kind == Kind::VolumeCreate {
            event.template_id = volume.template;
        }
    });
}

fn row(cloud: &Cloud, id: &str) -> std::result::Result<Volume, super::Refused> {
    let volume = cloud
        .volumes
        .find(id)
        .filter(|volume| !volume.removed)
        .cloned();
    volume.ok_or_else(|| unknown_id("volume", "id", id))
}

fn shown(cloud: &Cloud, job: &Job, id: &str) -> Result {
    let volume = row(cloud, id)?;
    let shown = views::volume::volume(cloud, &volume);
    Ok(json!({ "volume": in_job(shown, job) }))
}

fn root_of(cloud: &Cloud, vm: &str) -> Option<String> {
    let root = |volume: &&Volume| volume.is_root && volume.vm.as_deref() == Some(vm);
    cloud
        .volumes
        .iter()
        .rev()
        .find(root)
        .map(|volume| volume.id.clone())
}

/// The root disk lies on a pool.
pub fn root_ready(cloud: &mut Cloud, vm: &str) {
    if let Some(root) = root_of(cloud, vm).and_then(|id| cloud.volumes.find_mut(&id)) {
        root.state = "Ready".to_owned();
    }
}

/// The root disk ends with its VM.
pub fn delete_root(cloud: &mut Cloud, vm: &str, moment: Moment<'_>) {
    if let Some(root) = root_of(cloud, vm) {
        end(cloud, &root, "Destroy", moment);
    }
}

/// The root disk is there again.
pub fn recover_root(cloud: &mut Cloud, vm: &str, moment: Moment<'_>) {
    let Some(root) = root_of(cloud, vm) else {
        return;
    };
    let Some(volume) = cloud.volumes.find_mut(&root) else {
        return;
    };
    volume.state = "Ready".to_owned();
    let (account, size) = (volume.account.clone(), volume.size);
    let used = cloud.used_mut(&account);
    used.volumes += 1;
    used.bytes += size;
    note_volume(cloud, &root, Kind::VolumeCreate, moment.now);
}

/// Data disks of an expunged VM are loose, its root disk is gone.
pub fn let_go(cloud: &mut Cloud, vm: &str) {
    for volume in cloud
        .volumes
        .iter_mut()
        .filter(|v| v.vm.as_deref() == Some(vm))
    {
        if volume.is_root {
            volume.state = "Expunged".to_owned();
            volume.removed = true;
        }
        volume.vm = None;
        volume.device = None;
        volume.attached = None;
    }
}

/// The volume costs nothing from here on.
fn end(cloud: &mut Cloud, id: &str, state: &str, moment: Moment<'_>) {
    let Some(volume) = cloud.volumes.find_mut(id).filter(|volume| volume.counts()) else {
        return;
    };
    volume.state = state.to_owned();
    let (account, size) = (volume.account.clone(), volume.size);
    let used = cloud.used_mut(&account);
    used.volumes -= 1;
    used.bytes -= size;
    note_volume(cloud, id, Kind::VolumeDelete, moment.now);
}

/// The volume is deleted.
pub fn delete(cloud: &mut Cloud, id: &str, moment: Moment<'_>) {
    end(cloud, id, "Expunged", moment);
    if let Some(volume) = cloud.volumes.find_mut(id) {
        volume.removed = true;
        volume.vm = None;
    }
}

/// `createVolume`: all was done at the call.
pub fn created(cloud: &Cloud, job: &Job, id: &str) -> Result {
    shown(cloud, job, id)
}

/// `attachVolume`.
pub fn attach(
    cloud: &mut Cloud,
    job: &Job,
    id: &str,
    vm: &str,
    device: Option<i64>,
    moment: Moment<'_>,
) -> Result {
    let volume = row(cloud, id)?;
    if volume.vm.is_some() {
        let text = format!("Volume {} is already attached to a VM", volume.name);
        return Err(refused(431, 4350, text));
    }
    if cloud
        .vms
        .find(vm)
        .is_none_or(|vm| vm.removed || vm.state == "Destroyed")
    {
        return Err(refused(
            431,
            4350,
            "Please specify a VM that is either running or stopped.",
        ));
    }
    let used: Vec<i64> = cloud
        .volumes
        .iter()
        .filter(|volume| volume.vm.as_deref() == Some(vm))
        .filter_map(|volume| volume.device)
        .collect();
    let free = (1..).find(|number| *number != 3 && !used.contains(number));
    if let Some(volume) = cloud.volumes.find_mut(id) {
        volume.vm = Some(vm.to_owned());
        volume.device = device.or(free);
        volume.attached = Some(moment.now);
        volume.state = "Ready".to_owned();
    }
    shown(cloud, job, id)
}

/// `detachVolume`.
pub fn detach(cloud: &mut Cloud, job: &Job, id: &str) -> Result {
    let volume = row(cloud, id)?;
    if volume.is_root {
        return Err(refused(
            431,
            4350,
            "Please specify a data volume or root volume that is attached to a stopped VM.",
        ));
    }
    if volume.vm.is_none() {
        let text = "The specified volume is not attached to a virtual machine.";
        return Err(refused(431, 4350, text));
    }
    if let Some(volume) = cloud.volumes.find_mut(id) {
        volume.vm = None;
        volume.device = None;
        volume.attached = None;
    }
    shown(cloud, job, id)
}

/// New offering, bytes, whether it may become smaller.
type NewSize<'a> = (Option<&'a str>, i64, bool);

fn set_size(
    cloud: &mut Cloud,
    id: &str,
    (offering, bytes, may_shrink): NewSize<'_>,
    moment: Moment<'_>,
) -> std::result::Result<(), super::Refused> {
    let volume = row(cloud, id)?;
    if bytes < volume.size && !may_shrink {
        return Err(refused(
            431,
            4350,
            format!(
                "Going from existing size of {} to size of {bytes} would shrink the volume.Need \
                 to sign off by supplying the shrinkok parameter with value of true.",
                volume.size
            ),
        ));
    }
    if let Some(account) = cloud.accounts.find(&volume.account) {
        limits::check(cloud, account, 10, bytes - volume.size, 4370)?;
    }
    if let Some(row) = cloud.volumes.find_mut(id) {
        row.size = bytes;
        if let Some(offering) = offering {
            row.offering = Some(offering.to_owned());
        }
    }
    cloud.used_mut(&volume.account).bytes += bytes - volume.size;
    if bytes != volume.size {
        note_volume(cloud, id, Kind::VolumeResize, moment.now);
    }
    Ok(())
}

/// `resizeVolume`.
pub fn resize(
    cloud: &mut Cloud,
    job: &Job,
    id: &str,
    size: NewSize<'_>,
    moment: Moment<'_>,
) -> Result {
    set_size(cloud, id, size, moment)?;
    shown(cloud, job, id)
}

/// `changeOfferingForVolume`.
pub fn change(
    cloud: &mut Cloud,
    job: &Job,
    id: &str,
    (offering, bytes, may_shrink): (&str, i64, bool),
    moment: Moment<'_>,
) -> Result {
    set_size(cloud, id, (Some(offering), bytes, may_shrink), moment)?;
    shown(cloud, job, id)
}

/// `destroyVolume`.
pub fn destroy(
    cloud: &mut Cloud,
    job: &Job,
    id: &str,
    expunge: bool,
    moment: Moment<'_>,
) -> Result {
    row(cloud, id)?;
    end(cloud, id, "Destroy", moment);
    let answer = shown(cloud, job, id);
    if expunge {
        delete(cloud, id, moment);
    }
    answer
}

/// `createSnapshot`.
pub fn snapshot_made(cloud: &mut Cloud, id: &str, moment: Moment<'_>) -> Result {
    let Some(row) = cloud.snapshots.find_mut(id) else {
        return Err(unknown_id("createsnapshot", "id", id));
    };
    row.state = "BackedUp".to_owned();
    let row = row.clone();
    cloud.note_usage(
        Kind::SnapshotCreate,
        moment.now,
        &row.account,
        &row.id,
        |event| {
            event.resource_name.clone_from(&row.name);
            event.size = Some(row.size);
            event.virtual_size = Some(row.size);
        },
    );
    Ok(json!({ "snapshot": views::volume::snapshot(cloud, &row) }))
}

/// `deleteSnapshot`.
pub fn snapshot_gone(cloud: &mut Cloud, id: &str, moment: Moment<'_>) -> Result {
    let found = cloud.snapshots.find_mut(id).filter(|row| !row.removed);
    let Some(row) = found else {
        return Err(unknown_id("deletesnapshot", "id", id));
    };
    row.removed = true;
    let row = row.clone();
    cloud.used_mut(&row.account).snapshots -= 1;
    cloud.note_usage(
        Kind::SnapshotDelete,
        moment.now,
        &row.account,
        &row.id,
        |event| {
            event.resource_name = row.name;
            event.size = Some(0);
        },
    );
    Ok(json!({ "success": true }))
}

/// GiB as bytes.
#[must_use]
pub const fn gib(number: i64) -> i64 {
    number.saturating_mul(GIB)
}
