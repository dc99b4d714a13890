//! Edge: VMs: what their commands check and do before a job takes over.

use super::deploy;
use super::event::{About, note};
use crate::sandbox::call::{Call, Reply};
use crate::sandbox::cloud::Cloud;
use crate::sandbox::finish;
use crate::sandbox::limits;
use crate::sandbox::records::{Event, Nic, Vm, VmSize};
use crate::sandbox::refused::{Refused, invalid, not_yours};
use crate::sandbox::views;
use crate::sandbox::work::Work;
use serde_json::{Value, json};

/// Runs a command of this file.
pub fn run(cloud: &mut Cloud, call: &Call<'_>, name: &str) -> Option<Result<Reply, Refused>> {
    Some(match name {
        "deployVirtualMachine" => deploy::deploy(cloud, call),
        "startVirtualMachine" => on_vm(cloud, call, |vm| Work::Start { vm }),
        "stopVirtualMachine" => on_vm(cloud, call, |vm| Work::Stop { vm }),
        "rebootVirtualMachine" => {
            let forced = call.flag("forced") == Some(true);
            on_vm(cloud, call, |vm| Work::Reboot { vm, forced })
        }
        "destroyVirtualMachine" => destroy(cloud, call),
        "expungeVirtualMachine" => on_vm(cloud, call, |vm| Work::Expunge { vm }),
        "recoverVirtualMachine" => recover(cloud, call),
        "scaleVirtualMachine" => scale(cloud, call),
        "changeServiceForVirtualMachine" => change_service(cloud, call),
        "updateVirtualMachine" => update(cloud, call),
        "listVirtualMachines" | "listVirtualMachinesMetrics" => list(cloud, call),
        "listNics" => nics(cloud, call),
        "createTags" => tag(cloud, call),
        _ => return None,
    })
}

/// The VM a parameter names, if the caller may use it.
fn named(cloud: &Cloud, call: &Call<'_>, parameter: &str) -> Result<Vm, Refused> {
    let id = call.required(parameter)?;
    let vm = cloud.vms.find(id).ok_or_else(|| call.no_such(parameter))?;
    if vm.removed {
        return Err(invalid(format!(
            "Unable to find UUID for id [{}] of type [VirtualMachine]",
            vm.number
        )));
    }
    if !call.caller.reaches(cloud, &vm.account) {
        return Err(not_yours());
    }
    Ok(vm.clone())
}

/// One tag of VMs; CloudStack tags much else besides.
fn tag(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let given = call.map("tags");
    let (Some(key), Some(value)) = (given.get("key"), given.get("value")) else {
        return Err(invalid("tags need a key and a value each"));
    };
    let mut last = String::new();
    for id in call.list("resourceids") {
        let vm = cloud.vms.find(id).filter(|vm| !vm.removed);
        let vm = vm.ok_or_else(|| call.no_such("resourceids"))?;
        if !call.caller.reaches(cloud, &vm.account) {
            return Err(not_yours());
        }
        last = vm.id.clone();
        if let Some(vm) = cloud.vms.find_mut(&last) {
            vm.tags.insert(key.clone(), value.clone());
        }
    }
    Ok(Reply::job("None", &last, Work::Nothing))
}

fn on_vm(
    cloud: &mut Cloud,
    call: &Call<'_>,
    work: impl FnOnce(String) -> Work,
) -> Result<Reply, Refused> {
    let vm = named(cloud, call, "id")?;
    Ok(Reply::job("VirtualMachine", &vm.id, work(vm.id.clone())))
}

fn destroy(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let expunge = call.flag("expunge") == Some(true);
    let volumes = call
        .list("volumeids")
        .into_iter()
        .map(str::to_owned)
        .collect();
    on_vm(cloud, call, |vm| Work::Destroy {
        vm,
        expunge,
        volumes,
    })
}

fn recover(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let vm = named(cloud, call, "id")?;
    if vm.state != "Destroyed" {
        let text = format!("Vm {} is not in the right state to be recovered", vm.name);
        return Err(invalid(text));
    }
    finish::vm::recover(cloud, &vm.id, call.moment);
    Ok(Reply::Now(
        json!({ "virtualmachine": shown(cloud, call, &vm.id) }),
    ))
}

fn shown(cloud: &Cloud, call: &Call<'_>, id: &str) -> Value {
    let vm = cloud.vms.find(id);
    vm.map_or(Value::Null, |vm| {
        views::vm::vm(cloud, vm, call.caller.is_root())
    })
}

/// The offering that a scale asks for, with the size chosen where it is a custom one.
pub fn new_size(
    cloud: &Cloud,
    call: &Call<'_>,
    before: Option<VmSize>,
) -> Result<(String, Option<VmSize>), Refused> {
    let id = call.required("serviceofferingid")?;
    let offering = cloud
        .offerings
        .find(id)
        .filter(|offering| !offering.removed);
    let offering = offering.ok_or_else(|| call.no_such("serviceofferingid"))?;
    let details = call.map("details");
    if offering.size.is_some() {
        let named = ["cpuNumber", "cpuSpeed", "memory"];
        if details.keys().any(|key| named.contains(&key.as_str())) {
            return Err(invalid(
                "Fixed CPU number, CPU speed or memory can't be given for a fixed offering",
            ));
        }
        return Ok((offering.id.clone(), None));
    }
    let detail = |name: &str, old: Option<i64>| -> Result<i64, Refused> {
        let given = details
            .get(name)
            .map(|text| text.trim_start_matches('+').parse::<i64>());
        match given {
            Some(Ok(number)) if number > 0 => Ok(number),
            None => old.ok_or_else(|| {
                invalid(format!(
                    "Invalid {name} value, specify a value between 1 and 2147483647"
                ))
            }),
            _ => Err(invalid(format!(
                "Invalid {name} value, specify a value between 1 and 2147483647"
            ))),
        }
    };
    let size = VmSize {
        cpus: detail("cpuNumber", before.map(|size| size.cpus))?,
        speed: detail("cpuSpeed", before.map(|size| size.speed))?,
        memory: detail("memory", before.map(|size| size.memory))?,
    };
    Ok((offering.id.clone(), Some(size)))
}

fn scale(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let vm = named(cloud, call, "id")?;
    let (offering, size) = new_size(cloud, call, vm.size)?;
    check_growth(cloud, &vm, &offering, size)?;
    let work = Work::Scale {
        vm: vm.id.clone(),
        offering,
        size,
    };
    Ok(Reply::job("VirtualMachine", &vm.id, work))
}

/// Limits of vCPUs and memory for what a VM would grow by.
fn check_growth(
    cloud: &Cloud,
    vm: &Vm,
    offering: &str,
    size: Option<VmSize>,
) -> Result<(), Refused> {
    let before = cloud.size_of(vm);
    let offered = cloud
        .offerings
        .find(offering)
        .and_then(|offering| offering.size);
    let after = offered.or(size).unwrap_or(before);
    if let Some(account) = cloud.accounts.find(&vm.account) {
        limits::check(cloud, account, 8, after.cpus - before.cpus, 9999)?;
        limits::check(cloud, account, 9, after.memory - before.memory, 9999)?;
    }
    Ok(())
}

fn change_service(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let vm = named(cloud, call, "id")?;
    if vm.state != "Stopped" {
        return Err(invalid(format!(
            "Unable to upgrade virtual machine {} in state {}; make sure the virtual machine is \
             stopped",
            vm.name, vm.state
        )));
    }
    let (offering, size) = new_size(cloud, call, vm.size)?;
    check_growth(cloud, &vm, &offering, size)?;
    finish::vm::scale(cloud, &vm.id, &offering, size, call.moment);
    Ok(Reply::Now(
        json!({ "virtualmachine": shown(cloud, call, &vm.id) }),
    ))
}

fn update(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let vm = named(cloud, call, "id")?;
    if let Some(row) = cloud.vms.find_mut(&vm.id) {
        if let Some(text) = call.text("displayname") {
            row.display = text.to_owned();
        }
        if let Some(text) = call.text("name") {
            row.name = text.to_owned();
        }
        if let Some(flag) = call.flag("isdynamicallyscalable") {
            row.is_scalable = flag;
        }
        let details = call.map("details");
        if !details.is_empty() {
            row.details = details;
        }
    }
    note(
        cloud,
        call.moment,
        Event {
            kind: "VM.UPDATE".to_owned(),
            text: format!("Successfully completed updating Vm. Vm Id: {}", vm.id),
            account: vm.account.clone(),
            user: call.caller.user.clone(),
            resource: about(&vm),
            state: "Completed".to_owned(),
            ..Event::default()
        },
    );
    Ok(Reply::Now(
        json!({ "virtualmachine": shown(cloud, call, &vm.id) }),
    ))
}

/// What events about a VM say it is.
#[must_use]
pub fn about(vm: &Vm) -> About {
    ("VirtualMachine".to_owned(), vm.id.clone(), vm.name.clone())
}

fn list(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let scope = call.scope(cloud)?;
    let same = |asked: &str, value: &str| {
        call.text(asked)
            .is_none_or(|text| text.eq_ignore_ascii_case(value))
    };
    let has_network = |vm: &Vm| {
        call.text("networkid")
            .is_none_or(|id| vm.nics.iter().any(|nic| nic.network == id))
    };
    let rows: Vec<&Vm> = match call.text("id").map(|id| cloud.vms.find(id)) {
        Some(found) => found.into_iter().collect(),
        None => cloud.vms.iter().collect(),
    };
    let rows: Vec<&Vm> = rows
        .into_iter()
        .filter(|vm| !vm.removed && call.names(&vm.id, &vm.name) && same("state", &vm.state))
        .filter(|vm| same("serviceofferingid", &vm.offering) && has_network(vm))
        .filter(|vm| vm.state != "Destroyed" || may_see_destroyed(call))
        .filter(|vm| scope.shows(cloud, &vm.account))
        .collect();
    call.listed("virtualmachine", &rows, |vm| {
        views::vm::vm(cloud, vm, call.caller.is_root())
    })
}

/// A list without a state shows destroyed VMs to everybody who could recover them.
const fn may_see_destroyed(_call: &Call<'_>) -> bool {
    true
}

fn nics(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let vm = named(cloud, call, "virtualmachineid")?;
    let rows: Vec<(usize, &Nic)> = vm.nics.iter().enumerate().collect();
    call.listed("nic", &rows, |(place, nic)| {
        let mut shown = views::vm::nic(cloud, &vm, nic, *place);
        shown["virtualmachineid"] = json!(vm.id);
        shown
    })
}
