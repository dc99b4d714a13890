//! Edge: volumes and snapshots: what their commands check and do before a job takes over.

use crate::sandbox::call::{Call, Reply};
use crate::sandbox::cloud::{Cloud, Moment, next_number};
use crate::sandbox::finish;
use crate::sandbox::finish::volume::gib;
use crate::sandbox::fixed;
use crate::sandbox::limits;
use crate::sandbox::records::{Snapshot, Vm, Volume};
use crate::sandbox::refused::{Refused, invalid, not_yours};
use crate::sandbox::usage::event::UsageEventKind;
use crate::sandbox::views;
use crate::sandbox::work::Work;

/// Runs a command of this file.
pub fn run(cloud: &mut Cloud, call: &Call<'_>, name: &str) -> Option<Result<Reply, Refused>> {
    Some(match name {
        "createVolume" => create(cloud, call),
        "attachVolume" => attach(cloud, call),
        "detachVolume" => detach(cloud, call),
        "resizeVolume" | "changeOfferingForVolume" => resize(cloud, call, name),
        "deleteVolume" => delete(cloud, call),
        "destroyVolume" => destroy(cloud, call),
        "listVolumes" | "listVolumesMetrics" => list(cloud, call),
        "createSnapshot" => create_snapshot(cloud, call),
        "deleteSnapshot" => delete_snapshot(cloud, call),
        "listSnapshots" => list_snapshots(cloud, call),
        _ => return None,
    })
}

fn named(cloud: &Cloud, call: &Call<'_>, parameter: &str) -> Result<Volume, Refused> {
    let id = call.required(parameter)?;
    let volume = cloud.volumes.find(id).filter(|volume| !volume.removed);
    let volume = volume.ok_or_else(|| call.no_such(parameter))?;
    if !call.caller.reaches(cloud, &volume.account) {
        return Err(not_yours());
    }
    Ok(volume.clone())
}

/// Bytes of a new volume: the offering's, or the customer's where the offering leaves it to him.
fn asked_size(cloud: &Cloud, call: &Call<'_>) -> Result<Option<(String, i64)>, Refused> {
    let Some(id) = call.text("diskofferingid") else {
        return Ok(None);
    };
    let offering = cloud
        .disk_offerings
        .find(id)
        .filter(|offering| !offering.removed);
    let offering = offering.ok_or_else(|| call.no_such("diskofferingid"))?;
    if offering.gib > 0 {
        return Ok(Some((offering.id.clone(), offering.gib)));
    }
    let size = call
        .number("size")?
        .ok_or_else(|| invalid("Disk offering requires size parameter."))?;
    if !(1..=1024).contains(&size) {
        return Err(invalid(format!(
            "Volume size: {size} GB is out of allowed range. Min: 1. Max: 1024"
        )));
    }
    Ok(Some((offering.id.clone(), size)))
}

fn create(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let owner = call.owner(cloud)?.clone();
    let snapshot = match call.text("snapshotid") {
        None => None,
        Some(id) => {
            let found = cloud
                .snapshots
                .find(id)
                .filter(|snapshot| !snapshot.removed);
            Some(found.ok_or_else(|| call.no_such("snapshotid"))?.clone())
        }
    };
    let asked = asked_size(cloud, call)?;
    let (offering, bytes) = match (&asked, &snapshot) {
        (Some((offering, size)), None) => (Some(offering.clone()), gib(*size)),
        (asked, Some(snapshot)) => (
            asked.as_ref().map(|(offering, _)| offering.clone()),
            snapshot.size,
        ),
        (None, None) => {
            return Err(invalid(
                "At least one of disk Offering ID or snapshot ID must be passed whilst creating \
                 volume",
            ));
        }
    };
    if snapshot.is_none() {
        let zone = call.required("zoneid")?;
        if !zone.eq_ignore_ascii_case(fixed::zone_id()) && zone != "1" {
            return Err(call.no_such("zoneid"));
        }
    }
    limits::check(cloud, &owner, 2, 1, 4370)?;
    limits::check(cloud, &owner, 10, bytes, 4370)?;
    let id = (call.moment.fresh)();
    cloud.volumes.insert(Volume {
        number: next_number(&cloud.volumes),
        id: id.clone(),
        name: call.text("name").unwrap_or(&id).to_owned(),
        size: bytes,
        account: owner.id.clone(),
        created: call.moment.now,
        state: if snapshot.is_some() {
            "Ready"
        } else {
            "Allocated"
        }
        .to_owned(),
        offering,
        ..Volume::default()
    });
    let used = cloud.used_mut(&owner.id);
    used.volumes += 1;
    used.bytes += bytes;
    let now = call.moment.now;
    finish::volume::note_volume(cloud, &id, UsageEventKind::VolumeCreate, now);
    Ok(Reply::created(
        "Volume",
        &id,
        Work::CreateVolume { volume: id.clone() },
    ))
}

fn attach(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let volume = named(cloud, call, "id")?;
    let vm = call.required("virtualmachineid")?;
    let vm: &Vm = cloud
        .vms
        .find(vm)
        .filter(|vm| !vm.removed)
        .ok_or_else(|| call.no_such("virtualmachineid"))?;
    if !call.caller.reaches(cloud, &vm.account) {
        return Err(not_yours());
    }
    let device = call.number("deviceid")?;
    let work = Work::AttachVolume {
        volume: volume.id.clone(),
        vm: vm.id.clone(),
        device,
    };
    Ok(Reply::job("Volume", &volume.id, work))
}

fn detach(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let id = match call.text("id") {
        Some(_) => named(cloud, call, "id")?.id,
        None => {
            let vm = call.required("virtualmachineid")?;
            let device = call.number("deviceid")?;
            let attached = |volume: &&Volume| {
                volume.vm.as_deref() == Some(vm) && volume.device == device && !volume.removed
            };
            let found = cloud.volumes.iter().find(attached);
            found
                .ok_or_else(|| call.no_such("virtualmachineid"))?
                .id
                .clone()
        }
    };
    Ok(Reply::job(
        "Volume",
        &id,
        Work::DetachVolume { volume: id.clone() },
    ))
}

fn resize(cloud: &mut Cloud, call: &Call<'_>, name: &str) -> Result<Reply, Refused> {
    let volume = named(cloud, call, "id")?;
    let may_shrink = call.flag("shrinkok") == Some(true);
    let asked = asked_size(cloud, call)?;
    if name == "changeOfferingForVolume" {
        let (offering, size) = asked.ok_or_else(|| call.no_such("diskofferingid"))?;
        let bytes = gib(size);
        let work = Work::ChangeVolume {
            volume: volume.id.clone(),
            offering,
            bytes,
            may_shrink,
        };
        return Ok(Reply::job("Volume", &volume.id, work));
    }
    let size = match &asked {
        Some((_, size)) => *size,
        None => call.number("size")?.ok_or_else(|| {
            invalid("Either a new disk offering or a size must be given to resize a volume")
        })?,
    };
    let work = Work::ResizeVolume {
        volume: volume.id.clone(),
        offering: asked.map(|(offering, _)| offering),
        bytes: gib(size),
        may_shrink,
    };
    Ok(Reply::job("Volume", &volume.id, work))
}

fn delete(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let volume = named(cloud, call, "id")?;
    if volume.vm.is_some() {
        return Err(invalid(
            "Please specify a volume that is not attached to any VM.",
        ));
    }
    finish::volume::delete(cloud, &volume.id, call.moment);
    Ok(Reply::success())
}

fn destroy(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let volume = named(cloud, call, "id")?;
    if volume.vm.is_some() {
        return Err(invalid(
            "Please specify a volume that is not attached to any VM.",
        ));
    }
    let expunge = call.flag("expunge") == Some(true);
    let work = Work::DestroyVolume {
        volume: volume.id.clone(),
        expunge,
    };
    Ok(Reply::job("Volume", &volume.id, work))
}

fn list(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let scope = call.scope(cloud)?;
    let of_type = |volume: &Volume| {
        let kind = if volume.is_root { "ROOT" } else { "DATADISK" };
        call.text("type")
            .is_none_or(|asked| asked.eq_ignore_ascii_case(kind))
    };
    let of_vm = |volume: &Volume| {
        call.text("virtualmachineid")
            .is_none_or(|id| volume.vm.as_deref() == Some(id))
    };
    let rows: Vec<&Volume> = cloud
        .volumes
        .iter()
        .filter(|volume| !volume.removed && call.names(&volume.id, &volume.name))
        .filter(|volume| of_type(volume) && of_vm(volume))
        .filter(|volume| scope.shows(cloud, &volume.account))
        .collect();
    call.listed("volume", &rows, |volume| {
        views::volume::volume(cloud, volume)
    })
}

fn create_snapshot(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let volume = named(cloud, call, "volumeid")?;
    if volume.state != "Ready" {
        return Err(invalid(format!(
            "VolumeId: {} is not in Ready state but {}. Cannot take snapshot.",
            volume.number, volume.state
        )));
    }
    let owner = cloud
        .accounts
        .find(&volume.account)
        .cloned()
        .unwrap_or_default();
    limits::check(cloud, &owner, 3, 1, 4370)?;
    let id = add_snapshot(cloud, &volume, (call.text("name"), ""), call.moment);
    Ok(Reply::created(
        "Snapshot",
        &id,
        Work::CreateSnapshot {
            snapshot: id.clone(),
        },
    ))
}

/// Writes a snapshot that is being taken, under that name or one of its own; `every` is the
/// interval of the policy that takes it. Gives its id.
pub fn add_snapshot(
    cloud: &mut Cloud,
    volume: &Volume,
    (name, every): (Option<&str>, &str),
    moment: Moment<'_>,
) -> String {
    let id = (moment.fresh)();
    let own = format!("{}_{}", volume.name, moment.now);
    cloud.snapshots.insert(Snapshot {
        number: next_number(&cloud.snapshots),
        id: id.clone(),
        name: name.unwrap_or(&own).to_owned(),
        volume: volume.id.clone(),
        account: volume.account.clone(),
        created: moment.now,
        state: "BackingUp".to_owned(),
        size: volume.size,
        every: every.to_owned(),
        removed: false,
    });
    cloud.used_mut(&volume.account).snapshots += 1;
    id
}

fn delete_snapshot(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let id = call.required("id")?;
    let found = cloud
        .snapshots
        .find(id)
        .filter(|snapshot| !snapshot.removed);
    let snapshot = found.ok_or_else(|| call.no_such("id"))?;
    if !call.caller.reaches(cloud, &snapshot.account) {
        return Err(not_yours());
    }
    let id = snapshot.id.clone();
    Ok(Reply::job(
        "Snapshot",
        &id,
        Work::DeleteSnapshot {
            snapshot: id.clone(),
        },
    ))
}

fn list_snapshots(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let scope = call.scope(cloud)?;
    let rows: Vec<&Snapshot> = cloud
        .snapshots
        .iter()
        .filter(|snapshot| !snapshot.removed && call.names(&snapshot.id, &snapshot.name))
        .filter(|snapshot| call.text("volumeid").is_none_or(|id| snapshot.volume == id))
        .filter(|snapshot| scope.shows(cloud, &snapshot.account))
        .collect();
    call.listed("snapshot", &rows, |snapshot| {
        views::volume::snapshot(cloud, snapshot)
    })
}
