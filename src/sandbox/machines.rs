//! Edge: virtual machines, from deploy to expunge.

use super::answer::{Refused, not_yours, refused};
use super::auth::Caller;
use super::commands::{Ctx, Started};
use super::limits::{Limited, asked_account, check};
use super::state::{Fields, Job, State, Thing, fields, printed, set, text};
use super::usage::event::UsageEventKind as Kind;
use super::usage_log::log;
use super::{networks, volumes};
use crate::cloudstack::query::ParamMap;
use serde_json::{Value, json};

/// A VM as lists and job results show it.
pub fn shown(thing: &Thing) -> Value {
    let mut vm = thing.shown.clone();
    if text(&vm, "state") != "Running" {
        for field in ["hostcontrolstate", "bootmode", "boottype"] {
            vm.shift_remove(field);
        }
        if let Some(Value::Array(nics)) = vm.get_mut("nic") {
            for nic in nics.iter_mut().filter_map(Value::as_object_mut) {
                nic.shift_remove("isolationuri");
                nic.shift_remove("broadcasturi");
            }
        }
    }
    json!(vm)
}

/// A VM as a list shows it: a running one with its statistics.
pub fn listed(thing: &Thing) -> Value {
    let mut value = shown(thing);
    if let Value::Object(vm) = &mut value
        && text(vm, "state") == "Running"
    {
        for (name, stat) in fields("vmstats") {
            vm.entry(name).or_insert(stat);
        }
    }
    value
}

/// vCPUs and MiB that an offering, or the details of a call, come to.
fn sizes(offering: &Fields, params: &ParamMap) -> Result<(i64, i64), Refused> {
    let fixed = |name: &str| offering.get(name).and_then(Value::as_i64);
    let detail = |name: &str| {
        let wanted = |lower: &str| lower.starts_with("details[") && lower.ends_with(name);
        let found = params.iter().find(|(lower, _)| wanted(lower));
        found.and_then(|(_, param)| param.value.trim_start_matches('+').parse::<i64>().ok())
    };
    let text = "Need to specify custom parameter values cpu, cpu speed and memory";
    let cpus = fixed("cpunumber").or_else(|| detail(".cpunumber"));
    let memory = fixed("memory").or_else(|| detail(".memory"));
    cpus.zip(memory).ok_or_else(|| refused(431, 4350, text))
}

/// The create phase of `deployVirtualMachine`.
pub fn deploy(
    state: &mut State,
    ctx: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Started, Refused> {
    state.named("zone", params, "zoneid")?;
    let offering = state
        .named("serviceoffering", params, "serviceofferingid")?
        .shown
        .clone();
    let template = state.named("template", params, "templateid")?.shown.clone();
    let owner = asked_account(state, caller, params)?;
    let (cpus, memory) = sizes(&offering, params)?;
    let root = template.get("size").and_then(Value::as_i64).unwrap_or(0);
    let root = params
        .get("rootdisksize")
        .and_then(|text| text.parse::<i64>().ok())
        .map_or(root, |gib| gib.saturating_mul(super::limits::GIB));
    check(state, &owner, Limited::Vms, 1, 9999)?;
    check(state, &owner, Limited::Cpus, cpus, 9999)?;
    check(state, &owner, Limited::Memory, memory, 9999)?;
    check(state, &owner, Limited::Volumes, 1, 9999)?;
    check(state, &owner, Limited::PrimaryStorage, root, 9999)?;
    let network = networks::for_deploy(state, &owner, params)?;
    let id = ctx.clock.random_uuid();
    let vm = new_vm(
        state,
        ctx,
        caller,
        params,
        &owner,
        &id,
        (&offering, &template),
    );
    let vm = with_nic(state, ctx, vm, &network, (cpus, memory));
    let name = text(&vm, "name").to_owned();
    state.put("virtualmachine", &owner, vm);
    volumes::add_root(state, ctx, &owner, &id, root);
    let custom = offering.get("iscustomized") == Some(&json!(true));
    let (offering, template) = (text(&offering, "id"), text(&template, "id"));
    log(state, ctx, Kind::VmCreate, &owner, (&id, &name), |event| {
        event.offering_id = Some(offering.to_owned());
        event.template_id = Some(template.to_owned());
        event.hypervisor = Some("Simulator".to_owned());
        if custom {
            (event.cpu_number, event.memory) = (Some(cpus), Some(memory));
        }
    });
    Ok(Started {
        class: "DeployVMCmd",
        instance_type: "VirtualMachine",
        instance: id,
        creates: true,
    })
}

fn new_vm(
    state: &State,
    ctx: &Ctx,
    caller: &Caller,
    params: &ParamMap,
    owner: &str,
    id: &str,
    of: (&Fields, &Fields),
) -> Fields {
    let default = format!("VM-{id}");
    let name = params
        .get("name")
        .filter(|name| !name.is_empty())
        .unwrap_or(&default);
    let mut vm = fields("virtualmachine");
    for field in ["domainid", "domain", "domainpath"] {
        set(
            &mut vm,
            &[(field, json!(state.text_of("account", owner, field)))],
        );
    }
    set(
        &mut vm,
        &[
            ("id", json!(id)),
            ("name", json!(name)),
            (
                "displayname",
                json!(params.get("displayname").unwrap_or(name)),
            ),
            ("account", json!(state.text_of("account", owner, "name"))),
            ("userid", json!(caller.user)),
            (
                "username",
                json!(state.text_of("user", &caller.user, "username")),
            ),
            ("created", printed(ctx.now)),
            ("lastupdated", printed(ctx.now)),
            ("state", json!("Stopped")),
            ("serviceofferingid", json!(text(of.0, "id"))),
            ("serviceofferingname", json!(text(of.0, "name"))),
            ("templateid", json!(text(of.1, "id"))),
        ],
    );
    vm
}

fn with_nic(
    state: &mut State,
    ctx: &Ctx,
    mut vm: Fields,
    network: &Fields,
    (cpus, memory): (i64, i64),
) -> Fields {
    let number = state.next_number();
    let address = format!(
        "10.1.1.{}",
        number.checked_rem(250).unwrap_or(0).saturating_add(2)
    );
    set(
        &mut vm,
        &[("cpunumber", json!(cpus)), ("memory", json!(memory))],
    );
    set(&mut vm, &[("ipaddress", json!(address))]);
    if let Some(Value::Object(nic)) = vm.get_mut("nic").and_then(|nics| nics.get_mut(0)) {
        set(
            nic,
            &[
                ("id", json!(ctx.clock.random_uuid())),
                ("networkid", json!(text(network, "id"))),
                ("networkname", json!(text(network, "name"))),
                ("ipaddress", json!(address)),
                (
                    "macaddress",
                    json!(format!("02:01:00:{:02x}:00:01", number & 0xff)),
                ),
            ],
        );
    }
    vm
}

fn change(state: &mut State, ctx: &Ctx, id: &str, to: &str) {
    if let Some(vm) = state.find_mut("virtualmachine", id) {
        set(
            &mut vm.shown,
            &[("state", json!(to)), ("lastupdated", printed(ctx.now))],
        );
    }
    volumes::follow(state, id, to);
}

fn note(state: &mut State, ctx: &Ctx, kind: Kind, id: &str) {
    let Some(vm) = state.find("virtualmachine", id).cloned() else {
        return;
    };
    let offering = text(&vm.shown, "serviceofferingid").to_owned();
    let custom = state
        .find("serviceoffering", &offering)
        .is_some_and(|thing| thing.shown.get("iscustomized") == Some(&json!(true)));
    let number = |name: &str| {
        vm.shown
            .get(name)
            .and_then(Value::as_i64)
            .filter(|_| custom)
    };
    log(
        state,
        ctx,
        kind,
        &vm.account,
        (id, text(&vm.shown, "name")),
        |event| {
            event.offering_id = Some(offering);
            event.template_id = Some(text(&vm.shown, "templateid").to_owned());
            event.hypervisor = Some("Simulator".to_owned());
            (event.cpu_number, event.memory) = (number("cpunumber"), number("memory"));
        },
    );
}

/// The end of a deploy.
pub fn deployed(state: &mut State, ctx: &Ctx, job: &Job) -> Result<Value, Refused> {
    let starts = job.params.get("startvm").is_none_or(|text| text != "false");
    networks::plug(state, ctx, &job.instance);
    if starts {
        change(state, ctx, &job.instance, "Running");
        note(state, ctx, Kind::VmStart, &job.instance);
    }
    Ok(result(state, &job.instance))
}

/// A deploy that failed: the VM is in Error, nothing of it is charged on.
pub fn deploy_failed(state: &mut State, ctx: &Ctx, job: &Job) {
    note(state, ctx, Kind::VmDestroy, &job.instance);
    change(state, ctx, &job.instance, "Error");
    volumes::drop_of(state, ctx, &job.instance);
}

/// A deploy that was cancelled: the VM stays, stopped.
pub fn deploy_cancelled(state: &mut State, ctx: &Ctx, id: &str) {
    change(state, ctx, id, "Stopped");
}

fn result(state: &State, id: &str) -> Value {
    json!({"virtualmachine": state.find("virtualmachine", id).map(shown)})
}

/// The first part of start, stop, reboot, destroy, expunge and scale: may the caller?
pub fn begin(
    state: &mut State,
    _: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Started, Refused> {
    let vm = state.named("virtualmachine", params, "id")?;
    if !caller.reaches(state, &vm.account) {
        return Err(not_yours());
    }
    if let Some(offering) = params.get("serviceofferingid") {
        let _ = offering;
        state.named("serviceoffering", params, "serviceofferingid")?;
    }
    let command = params.command();
    let class = super::jobs::CLASSES
        .iter()
        .find(|(name, ..)| *name == command);
    Ok(Started {
        class: class.map_or("StopVMCmd", |class| class.2),
        instance_type: "VirtualMachine",
        instance: text(&vm.shown, "id").to_owned(),
        creates: false,
    })
}

/// The end of start, stop, reboot, destroy, expunge and scale.
pub fn end(state: &mut State, ctx: &Ctx, job: &Job) -> Result<Value, Refused> {
    let id = job.instance.as_str();
    let now = state.text_of("virtualmachine", id, "state");
    match job.command.as_str() {
        "startVirtualMachine" if now == "Running" => {
            let text = format!("The virtual machine {id} is already running");
            return Err(refused(431, 4350, text));
        }
        "startVirtualMachine" => {
            networks::plug(state, ctx, id);
            change(state, ctx, id, "Running");
            note(state, ctx, Kind::VmStart, id);
        }
        "stopVirtualMachine" if now == "Running" => {
            change(state, ctx, id, "Stopped");
            note(state, ctx, Kind::VmStop, id);
        }
        "scaleVirtualMachine" => scale(state, ctx, job, now == "Running"),
        "destroyVirtualMachine" | "expungeVirtualMachine" => {
            return Ok(destroy(state, ctx, job, &now));
        }
        _ => {}
    }
    Ok(result(state, id))
}

fn scale(state: &mut State, ctx: &Ctx, job: &Job, running: bool) {
    let wanted = job
        .params
        .get("serviceofferingid")
        .cloned()
        .unwrap_or_default();
    let offering = state
        .find("serviceoffering", &wanted)
        .map(|thing| thing.shown.clone());
    let Some(offering) = offering else { return };
    let mut params = ParamMap::default();
    job.params
        .iter()
        .for_each(|(name, value)| params.insert(name, value));
    let Ok((cpus, memory)) = sizes(&offering, &params) else {
        return;
    };
    if let Some(vm) = state.find_mut("virtualmachine", &job.instance) {
        set(
            &mut vm.shown,
            &[
                ("serviceofferingid", json!(text(&offering, "id"))),
                ("serviceofferingname", json!(text(&offering, "name"))),
                ("cpunumber", json!(cpus)),
                ("memory", json!(memory)),
            ],
        );
    }
    let kind = if running {
        Kind::VmDynamicScale
    } else {
        Kind::VmUpgrade
    };
    note(state, ctx, kind, &job.instance);
}

fn destroy(state: &mut State, ctx: &Ctx, job: &Job, now: &str) -> Value {
    let id = job.instance.as_str();
    if now == "Running" {
        note(state, ctx, Kind::VmStop, id);
    }
    if now != "Destroyed" && now != "Error" {
        networks::unplug(state, ctx, id);
        note(state, ctx, Kind::VmDestroy, id);
    }
    change(state, ctx, id, "Destroyed");
    let expunges = job.params.get("expunge").is_some_and(|text| text == "true");
    if !expunges && job.command == "destroyVirtualMachine" {
        return result(state, id);
    }
    volumes::drop_of(state, ctx, id);
    if let Some(vm) = state.find_mut("virtualmachine", id) {
        vm.removed = true;
    }
    json!({"virtualmachine": {
        "securitygroup": [], "nic": [], "affinitygroup": [], "deleteprotection": false, "tags": [],
    }})
}

/// `recoverVirtualMachine`.
pub fn recover(
    state: &mut State,
    ctx: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Value, Refused> {
    let id = begin(state, ctx, caller, params)?.instance;
    if state.text_of("virtualmachine", &id, "state") == "Destroyed" {
        change(state, ctx, &id, "Stopped");
        note(state, ctx, Kind::VmCreate, &id);
    }
    Ok(result(state, &id))
}

/// `updateVirtualMachine`: the names.
pub fn update(
    state: &mut State,
    ctx: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Value, Refused> {
    let id = begin(state, ctx, caller, params)?.instance;
    for field in ["name", "displayname"] {
        if let (Some(value), Some(vm)) = (params.get(field), state.find_mut("virtualmachine", &id))
        {
            set(&mut vm.shown, &[(field, json!(value))]);
        }
    }
    Ok(result(state, &id))
}
