//! Edge: VMs: what their jobs do, and the usage events that come of it, in CloudStack's order.

use super::{Result, for_root, in_job, network, volume};
use crate::sandbox::cloud::{Cloud, Moment};
use crate::sandbox::limits;
use crate::sandbox::records::{Job, Vm, VmSize};
use crate::sandbox::refused::{refused, unknown_id};
use crate::sandbox::usage::event::UsageEventKind as Kind;
use crate::sandbox::views;
use crate::sandbox::work::Work;
use serde_json::json;

/// Writes a usage event of a VM.
pub fn note_vm(cloud: &mut Cloud, id: &str, kind: Kind, now: i64) {
    if let Some(vm) = cloud.vms.find(id).cloned() {
        note_as(cloud, &vm, kind, now);
    }
}

fn note_as(cloud: &mut Cloud, vm: &Vm, kind: Kind, now: i64) {
    cloud.note_usage(kind, now, &vm.account, &vm.id, |event| {
        event.resource_name.clone_from(&vm.name);
        event.offering_id = Some(vm.offering.clone());
        event.template_id = Some(vm.template.clone());
        event.hypervisor = Some("Simulator".to_owned());
        if let Some(size) = vm.size {
            event.cpu_number = Some(size.cpus);
            event.cpu_speed = Some(size.speed);
            event.memory = Some(size.memory);
        }
    });
}

/// One event for each NIC of a VM.
fn note_nics(cloud: &mut Cloud, vm: &Vm, kind: Kind, now: i64) {
    for (place, nic) in vm.nics.iter().enumerate() {
        let offering = cloud
            .networks
            .find(&nic.network)
            .map(|n| n.offering.clone());
        cloud.note_usage(kind, now, &vm.account, &vm.id, |event| {
            event.resource_name = nic.id.clone();
            event.offering_id = offering;
            event.network_id = Some(nic.network.clone());
            event.vm_id = Some(vm.id.clone());
            event.is_default = place == 0;
        });
    }
}

fn row(cloud: &Cloud, id: &str) -> std::result::Result<Vm, super::Refused> {
    let vm = cloud.vms.find(id).filter(|vm| !vm.removed).cloned();
    vm.ok_or_else(|| unknown_id("virtualmachine", "id", id))
}

fn shown(cloud: &Cloud, job: &Job, id: &str) -> Result {
    let vm = row(cloud, id)?;
    let mut shown = views::vm::vm(cloud, &vm, for_root(cloud, job));
    let is_deploy = matches!(job.work, Work::Deploy { .. });
    if !is_deploy && let Some(fields) = shown.as_object_mut() {
        // Only a deploy's result says how the VM boots.
        fields.shift_remove("bootmode");
        fields.shift_remove("boottype");
    }
    Ok(json!({ "virtualmachine": in_job(shown, job) }))
}

fn set_state(cloud: &mut Cloud, id: &str, state: &str, now: i64) {
    let Some(vm) = cloud.vms.find_mut(id) else {
        return;
    };
    let was_running = vm.state == "Running" || vm.state == "Stopping";
    vm.state = state.to_owned();
    vm.updated = Some(now);
    let account = vm.account.clone();
    let change = i64::from(state == "Running") - i64::from(was_running);
    cloud.used_mut(&account).running += change;
}

/// A deploy's second half. Too large a VM finds no host, and everything is undone.
pub fn deploy(cloud: &mut Cloud, job: &Job, id: &str, start: bool, moment: Moment<'_>) -> Result {
    let vm = row(cloud, id)?;
    if cloud.size_of(&vm).memory > 65_000 {
        undo_deploy(cloud, id, moment);
        return Err(refused(
            533,
            9999,
            format!(
                "No destination found for a deployment for VM instance {}",
                vm.name
            ),
        ));
    }
    if start {
        run(cloud, id, moment);
    }
    shown(cloud, job, id)
}

/// The VM runs: its networks are implemented first.
fn run(cloud: &mut Cloud, id: &str, moment: Moment<'_>) {
    let Some(vm) = cloud.vms.find(id).cloned() else {
        return;
    };
    for nic in &vm.nics {
        network::implement(cloud, &nic.network, moment);
    }
    set_state(cloud, id, "Running", moment.now);
    if let Some(vm) = cloud.vms.find_mut(id) {
        vm.was_started = true;
    }
    volume::root_ready(cloud, id);
    note_nics(cloud, &vm, Kind::NetworkOfferingAssign, moment.now);
    note_vm(cloud, id, Kind::VmStart, moment.now);
}

/// A failed deploy leaves the VM in Error and ends what it cost.
pub fn undo_deploy(cloud: &mut Cloud, id: &str, moment: Moment<'_>) {
    let Some(vm) = cloud.vms.find(id).cloned() else {
        return;
    };
    give_back(cloud, &vm);
    set_state(cloud, id, "Error", moment.now);
    note_vm(cloud, id, Kind::VmDestroy, moment.now);
    volume::delete_root(cloud, id, moment);
}

/// What the VM counted for is free again.
fn give_back(cloud: &mut Cloud, vm: &Vm) {
    let size = cloud.size_of(vm);
    let used = cloud.used_mut(&vm.account);
    used.vms -= 1;
    used.cpus -= size.cpus;
    used.memory -= size.memory;
}

/// Starts a stopped VM.
pub fn start(cloud: &mut Cloud, job: &Job, id: &str, moment: Moment<'_>) -> Result {
    let vm = row(cloud, id)?;
    match vm.state.as_str() {
        "Starting" | "Stopped" => {
            run(cloud, id, moment);
            shown(cloud, job, id)
        }
        "Running" => {
            let text = format!("Virtual machine {} is already running", vm.name);
            Err(refused(431, 4350, text))
        }
        state => {
            let text = format!("Unable to start a VM [{}] in state {state}", vm.name);
            Err(refused(530, 9999, text))
        }
    }
}

/// The VM does not run any more; nothing where it did not run.
fn halt(cloud: &mut Cloud, id: &str, moment: Moment<'_>) {
    let Some(vm) = cloud.vms.find(id).cloned() else {
        return;
    };
    if !matches!(vm.state.as_str(), "Running" | "Stopping") {
        return;
    }
    set_state(cloud, id, "Stopped", moment.now);
    note_vm(cloud, id, Kind::VmStop, moment.now);
    note_nics(cloud, &vm, Kind::NetworkOfferingRemove, moment.now);
}

/// Stops a VM; one that is stopped stays so.
pub fn stop(cloud: &mut Cloud, job: &Job, id: &str, moment: Moment<'_>) -> Result {
    row(cloud, id)?;
    halt(cloud, id, moment);
    shown(cloud, job, id)
}

/// Reboots: only a forced one is a stop and a start.
pub fn reboot(cloud: &mut Cloud, job: &Job, id: &str, forced: bool, moment: Moment<'_>) -> Result {
    let vm = row(cloud, id)?;
    if vm.state != "Running" {
        return Err(refused(431, 4350, format!("Vm {} is not running", vm.name)));
    }
    if forced {
        halt(cloud, id, moment);
        run(cloud, id, moment);
    }
    shown(cloud, job, id)
}

/// Destroys a VM and, where asked, expunges it and deletes data disks.
pub fn destroy(
    cloud: &mut Cloud,
    job: &Job,
    id: &str,
    expunge: bool,
    volumes: &[String],
    moment: Moment<'_>,
) -> Result {
    row(cloud, id)?;
    mark_destroyed(cloud, id, moment);
    for volume in volumes {
        volume::delete(cloud, volume, moment);
    }
    if !expunge {
        return shown(cloud, job, id);
    }
    expunge_now(cloud, id);
    Ok(json!({ "virtualmachine": views::vm::expunged() }))
}

/// The VM is destroyed: it costs nothing from here on, nor does its root disk.
pub fn mark_destroyed(cloud: &mut Cloud, id: &str, moment: Moment<'_>) {
    halt(cloud, id, moment);
    let Some(vm) = cloud.vms.find(id).cloned() else {
        return;
    };
    if !vm.counts() {
        return;
    }
    give_back(cloud, &vm);
    set_state(cloud, id, "Destroyed", moment.now);
    if let Some(vm) = cloud.vms.find_mut(id) {
        vm.destroyed = Some(moment.now);
    }
    note_vm(cloud, id, Kind::VmDestroy, moment.now);
    volume::delete_root(cloud, id, moment);
}

/// The VM is gone for good; its data disks are loose.
pub fn expunge_now(cloud: &mut Cloud, id: &str) {
    if let Some(vm) = cloud.vms.find_mut(id) {
        vm.state = "Expunging".to_owned();
        vm.removed = true;
    }
    volume::let_go(cloud, id);
}

/// `expungeVirtualMachine`.
pub fn expunge_job(cloud: &mut Cloud, id: &str, moment: Moment<'_>) -> Result {
    let vm = row(cloud, id)?;
    if !matches!(vm.state.as_str(), "Destroyed" | "Error") {
        mark_destroyed(cloud, id, moment);
    }
    expunge_now(cloud, id);
    Ok(json!({ "success": true }))
}

/// A destroyed VM is stopped again, and allocated from now on.
pub fn recover(cloud: &mut Cloud, id: &str, moment: Moment<'_>) {
    let Some(vm) = cloud.vms.find(id).cloned() else {
        return;
    };
    set_state(cloud, id, "Stopped", moment.now);
    let size = cloud.size_of(&vm);
    let used = cloud.used_mut(&vm.account);
    used.vms += 1;
    used.cpus += size.cpus;
    used.memory += size.memory;
    note_vm(cloud, id, Kind::VmCreate, moment.now);
    volume::recover_root(cloud, id, moment);
}

/// Another offering or size. A running VM's event names the offering it had, as CloudStack's does.
pub fn scale(
    cloud: &mut Cloud,
    id: &str,
    offering: &str,
    size: Option<VmSize>,
    moment: Moment<'_>,
) {
    let Some(before) = cloud.vms.find(id).cloned() else {
        return;
    };
    let old = cloud.size_of(&before);
    if let Some(vm) = cloud.vms.find_mut(id) {
        vm.offering = offering.to_owned();
        vm.size = size;
    }
    let after = cloud.vms.find(id).cloned().unwrap_or_default();
    let new = cloud.size_of(&after);
    let used = cloud.used_mut(&before.account);
    used.cpus += new.cpus - old.cpus;
    used.memory += new.memory - old.memory;
    if before.state == "Running" {
        let told = Vm {
            offering: before.offering,
            ..after
        };
        note_as(cloud, &told, Kind::VmDynamicScale, moment.now);
    } else {
        note_as(cloud, &after, Kind::VmUpgrade, moment.now);
    }
}

/// `scaleVirtualMachine`: a running VM cannot become smaller.
pub fn scale_job(
    cloud: &mut Cloud,
    job: &Job,
    id: &str,
    offering: &str,
    size: Option<VmSize>,
    moment: Moment<'_>,
) -> Result {
    let vm = row(cloud, id)?;
    let old = cloud.size_of(&vm);
    let offered = cloud
        .offerings
        .find(offering)
        .and_then(|offering| offering.size);
    let new = offered.or(size).unwrap_or(old);
    let is_live = vm.state == "Running";
    if is_live && (new.cpus < old.cpus || new.speed < old.speed || new.memory < old.memory) {
        return Err(refused(
            431,
            4350,
            "While the VM is running, only scalling up it is supported.",
        ));
    }
    if is_live && !vm.is_scalable {
        let text = format!("{} does not have tools to support dynamic scaling", vm.name);
        return Err(refused(431, 4350, text));
    }
    if let Some(account) = cloud.accounts.find(&vm.account) {
        limits::check(cloud, account, 8, new.cpus - old.cpus, 9999)?;
        limits::check(cloud, account, 9, new.memory - old.memory, 9999)?;
    }
    scale(cloud, id, offering, size, moment);
    shown(cloud, job, id)
}
