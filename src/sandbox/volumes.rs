//! Edge: volumes and their snapshots.

use super::answer::{Refused, not_yours, refused};
use super::auth::Caller;
use super::commands::{Ctx, Started};
use super::limits::{GIB, Limited, asked_account, check};
use super::state::{Fields, Job, State, fields, printed, set, text};
use super::usage::event::UsageEventKind as Kind;
use super::usage_log::log;
use crate::cloudstack::query::ParamMap;
use serde_json::{Value, json};

const OF_VM: [&str; 6] = [
    "virtualmachineid",
    "vmname",
    "vmdisplayname",
    "vmstate",
    "vmtype",
    "deviceid",
];

fn owned(state: &State, ctx: &Ctx, account: &str, shape: &str, id: &str) -> Fields {
    let mut volume = fields(shape);
    for field in ["domainid", "domain", "domainpath"] {
        set(
            &mut volume,
            &[(field, json!(state.text_of("account", account, field)))],
        );
    }
    let name = state.text_of("account", account, "name");
    set(&mut volume, &[("id", json!(id)), ("account", json!(name))]);
    set(&mut volume, &[("created", printed(ctx.now))]);
    volume
}

fn note(state: &mut State, ctx: &Ctx, kind: Kind, id: &str) {
    let Some(volume) = state.find("volume", id).cloned() else {
        return;
    };
    let field = |name: &str| {
        volume
            .shown
            .get(name)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    log(
        state,
        ctx,
        kind,
        &volume.account,
        (id, text(&volume.shown, "name")),
        |event| {
            event.offering_id = field("diskofferingid");
            event.template_id = field("templateid");
            event.size = volume.shown.get("size").and_then(Value::as_i64);
            event.vm_id = field("virtualmachineid");
        },
    );
}

/// The root disk of a new VM.
pub fn add_root(state: &mut State, ctx: &Ctx, account: &str, vm: &str, size: i64) {
    let id = ctx.clock.random_uuid();
    let mut volume = owned(state, ctx, account, "rootvolume", &id);
    let number = state.next_number();
    set(
        &mut volume,
        &[
            ("name", json!(format!("ROOT-{number}"))),
            ("size", json!(size)),
        ],
    );
    set(
        &mut volume,
        &[
            ("virtualmachineid", json!(vm)),
            ("state", json!("Allocated")),
        ],
    );
    for (field, of) in [("vmname", "name"), ("vmdisplayname", "displayname")] {
        set(
            &mut volume,
            &[(field, json!(state.text_of("virtualmachine", vm, of)))],
        );
    }
    state.put("volume", account, volume);
    note(state, ctx, Kind::VolumeCreate, &id);
}

/// Volumes show the state of their VM.
pub fn follow(state: &mut State, vm: &str, to: &str) {
    for volume in state.things.get_mut("volume").into_iter().flatten() {
        if text(&volume.shown, "virtualmachineid") == vm {
            set(&mut volume.shown, &[("vmstate", json!(to))]);
            if to == "Running" {
                set(&mut volume.shown, &[("state", json!("Ready"))]);
            }
        }
    }
}

/// The disks of a VM that is gone: the root disk goes, the others stay, detached.
pub fn drop_of(state: &mut State, ctx: &Ctx, vm: &str) {
    let of = state
        .all("volume")
        .filter(|v| text(&v.shown, "virtualmachineid") == vm);
    let ids: Vec<(String, bool)> = of
        .map(|v| {
            (
                text(&v.shown, "id").to_owned(),
                text(&v.shown, "type") == "ROOT",
            )
        })
        .collect();
    for (id, is_root) in ids {
        if is_root {
            note(state, ctx, Kind::VolumeDelete, &id);
        }
        if let Some(volume) = state.find_mut("volume", &id) {
            volume.removed = is_root;
            OF_VM.iter().for_each(|field| {
                volume.shown.shift_remove(*field);
            });
        }
    }
}

/// The create phase of `createVolume`.
pub fn create(
    state: &mut State,
    ctx: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Started, Refused> {
    let owner = asked_account(state, caller, params)?;
    let offering = state
        .named("diskoffering", params, "diskofferingid")?
        .shown
        .clone();
    let fixed = offering
        .get("disksize")
        .and_then(Value::as_i64)
        .filter(|size| *size > 0);
    let asked = params.get("size").and_then(|text| text.parse::<i64>().ok());
    let gib = fixed.or(asked).filter(|size| *size > 0);
    let text_ = "Disk offering requires size parameter.";
    let size = gib
        .ok_or_else(|| refused(431, 4350, text_))?
        .saturating_mul(GIB);
    check(state, &owner, Limited::Volumes, 1, 4370)?;
    check(state, &owner, Limited::PrimaryStorage, size, 4370)?;
    let id = ctx.clock.random_uuid();
    let mut volume = owned(state, ctx, &owner, "volume", &id);
    let name = params.get("name").unwrap_or(&id);
    set(&mut volume, &[("name", json!(name)), ("size", json!(size))]);
    for (field, of) in [
        ("id", "id"),
        ("name", "name"),
        ("displaytext", "displaytext"),
    ] {
        let field = format!("diskoffering{field}");
        set(&mut volume, &[(&field, json!(text(&offering, of)))]);
    }
    set(&mut volume, &[("state", json!("Allocated"))]);
    state.put("volume", &owner, volume);
    note(state, ctx, Kind::VolumeCreate, &id);
    Ok(started("CreateVolumeCmd", "Volume", id, true))
}

fn started(
    class: &'static str,
    instance_type: &'static str,
    instance: String,
    creates: bool,
) -> Started {
    Started {
        class,
        instance_type,
        instance,
        creates,
    }
}

/// The first part of attach, detach and resize.
pub fn begin(
    state: &mut State,
    _: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Started, Refused> {
    let volume = state.named("volume", params, "id")?;
    if !caller.reaches(state, &volume.account) {
        return Err(not_yours());
    }
    let id = text(&volume.shown, "id").to_owned();
    let class = match params.command() {
        "attachVolume" => {
            state.named("virtualmachine", params, "virtualmachineid")?;
            "AttachVolumeCmd"
        }
        "detachVolume" => "DetachVolumeCmd",
        _ => "ResizeVolumeCmd",
    };
    Ok(started(class, "Volume", id, false))
}

/// The end of create, attach, detach and resize.
pub fn end(state: &mut State, ctx: &Ctx, job: &Job) -> Result<Value, Refused> {
    let id = job.instance.as_str();
    let vm = job
        .params
        .get("virtualmachineid")
        .cloned()
        .unwrap_or_default();
    let vm_shown = state.find("virtualmachine", &vm).map(|vm| vm.shown.clone());
    let Some(volume) = state.find_mut("volume", id) else {
        return Err(refused(431, 4350, format!("Unable to find volume {id}")));
    };
    let shown = &mut volume.shown;
    match (job.command.as_str(), vm_shown) {
        ("attachVolume", Some(vm)) => {
            set(
                shown,
                &[
                    ("deviceid", json!(1)),
                    ("virtualmachineid", json!(text(&vm, "id"))),
                    ("vmname", json!(text(&vm, "name"))),
                    ("vmdisplayname", json!(text(&vm, "displayname"))),
                    ("vmstate", json!(text(&vm, "state"))),
                    ("vmtype", json!("User")),
                    ("attached", printed(ctx.now)),
                    ("state", json!("Ready")),
                ],
            );
            for field in ["diskkbsread", "diskkbswrite", "diskioread", "diskiowrite"] {
                set(shown, &[(field, json!(0))]);
            }
        }
        ("detachVolume", _) if text(shown, "type") == "ROOT" => {
            return Err(refused(431, 4350, "The root volume cannot be detached"));
        }
        ("detachVolume", _) => {
            for field in OF_VM {
                shown.shift_remove(field);
            }
            for field in [
                "attached",
                "diskkbsread",
                "diskkbswrite",
                "diskioread",
                "diskiowrite",
            ] {
                shown.shift_remove(field);
            }
        }
        ("resizeVolume", _) => {
            let size = job
                .params
                .get("size")
                .and_then(|text| text.parse::<i64>().ok());
            if let Some(size) = size {
                set(shown, &[("size", json!(size.saturating_mul(GIB)))]);
            }
            note(state, ctx, Kind::VolumeResize, id);
        }
        _ => {}
    }
    Ok(json!({"volume": state.find("volume", id).map(|volume| json!(volume.shown))}))
}

/// `deleteVolume`.
pub fn delete(
    state: &mut State,
    ctx: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Value, Refused> {
    let id = begin(state, ctx, caller, params)?.instance;
    if !state.text_of("volume", &id, "virtualmachineid").is_empty() {
        let text = "Please specify a volume that is not attached to any VM.";
        return Err(refused(431, 4350, text));
    }
    note(state, ctx, Kind::VolumeDelete, &id);
    if let Some(volume) = state.find_mut("volume", &id) {
        volume.removed = true;
    }
    Ok(json!({"success": true}))
}

/// The create phase of `createSnapshot`.
pub fn create_snapshot(
    state: &mut State,
    ctx: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Started, Refused> {
    let volume = state.named("volume", params, "volumeid")?.clone();
    if !caller.reaches(state, &volume.account) {
        return Err(not_yours());
    }
    check(state, &volume.account, Limited::Snapshots, 1, 4370)?;
    let id = ctx.clock.random_uuid();
    let number = state.next_number();
    let name = format!("{}_{number}", text(&volume.shown, "name"));
    let mut shown = Fields::new();
    set(&mut shown, &[("id", json!(id))]);
    for field in ["account", "domainid", "domain", "domainpath", "zoneid"] {
        set(&mut shown, &[(field, json!(text(&volume.shown, field)))]);
    }
    let size = volume.shown.get("size").cloned().unwrap_or_default();
    set(
        &mut shown,
        &[
            ("snapshottype", json!("MANUAL")),
            ("volumeid", json!(text(&volume.shown, "id"))),
            ("volumename", json!(text(&volume.shown, "name"))),
            ("created", printed(ctx.now)),
            ("name", json!(params.get("name").unwrap_or(&name))),
            ("intervaltype", json!("MANUAL")),
            ("state", json!("BackingUp")),
            ("physicalsize", size.clone()),
            ("virtualsize", size),
            ("tags", json!([])),
        ],
    );
    state.put("snapshot", &volume.account, shown);
    Ok(started("CreateSnapshotCmd", "Snapshot", id, true))
}

/// The first part of `deleteSnapshot`.
pub fn begin_delete_snapshot(
    state: &mut State,
    _: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Started, Refused> {
    let snapshot = state.named("snapshot", params, "id")?;
    if !caller.reaches(state, &snapshot.account) {
        return Err(not_yours());
    }
    let id = text(&snapshot.shown, "id").to_owned();
    Ok(started("DeleteSnapshotCmd", "Snapshot", id, false))
}

/// The end of a snapshot's making or deleting.
pub fn end_snapshot(state: &mut State, ctx: &Ctx, job: &Job) -> Result<Value, Refused> {
    let deletes = job.command == "deleteSnapshot";
    let Some(snapshot) = state.find_mut("snapshot", &job.instance) else {
        return Err(refused(
            431,
            4350,
            format!("Unable to find snapshot {}", job.instance),
        ));
    };
    snapshot.removed = deletes;
    set(&mut snapshot.shown, &[("state", json!("BackedUp"))]);
    let kept = snapshot.clone();
    let kind = if deletes {
        Kind::SnapshotDelete
    } else {
        Kind::SnapshotCreate
    };
    log(
        state,
        ctx,
        kind,
        &kept.account,
        (&job.instance, text(&kept.shown, "name")),
        |event| {
            event.size = kept.shown.get("physicalsize").and_then(Value::as_i64);
            event.virtual_size = event.size;
        },
    );
    Ok(match deletes {
        true => json!({"success": true}),
        false => json!({"snapshot": kept.shown}),
    })
}
