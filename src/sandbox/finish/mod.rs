//! Edge: the second half of asynchronous commands: what happens when a job is due.

pub mod account;
pub mod network;
pub mod vm;
pub mod volume;

use super::call::Caller;
use super::cloud::{Cloud, Moment};
use super::commands::event::{About, note};
use super::records::{Event, Job};
use super::refused::{Refused, refused};
use super::views;
use super::work::Work;
use serde_json::{Value, json};

/// What a job comes to: its `jobresult`.
pub type Result = std::result::Result<Value, Refused>;

/// Seconds a job takes, in steps of the shortest: how long the real one takes beside the others.
#[must_use]
pub const fn weight(work: &Work) -> u32 {
    match work {
        Work::Deploy { .. } | Work::Destroy { .. } | Work::DeleteNetwork { .. } => 3,
        Work::Start { .. } | Work::Stop { .. } | Work::Reboot { .. } => 2,
        _ => 1,
    }
}

/// The event type, the verb and the thing of a job's events; none where CloudStack writes none.
fn words(work: &Work) -> Option<(&'static str, &'static str, &'static str)> {
    Some(match work {
        Work::Deploy { start: true, .. } => ("VM.CREATE", "starting Vm", "Vm"),
        Work::Deploy { .. } => ("VM.CREATE", "deploying Vm", "Vm"),
        Work::Start { .. } => ("VM.START", "starting Vm", "Vm"),
        Work::Stop { .. } => ("VM.STOP", "stopping Vm", "Vm"),
        Work::Reboot { .. } => ("VM.REBOOT", "rebooting Vm", "Vm"),
        Work::Destroy { .. } => ("VM.DESTROY", "destroying Vm", "Vm"),
        Work::Expunge { .. } => ("VM.EXPUNGE", "expunging Vm", "Vm"),
        Work::Scale { .. } => ("VM.UPGRADE", "scaling Vm", "Vm"),
        Work::CreateVolume { .. } => ("VOLUME.CREATE", "creating volume", "Volume"),
        Work::AttachVolume { .. } => ("VOLUME.ATTACH", "attaching volume", "Volume"),
        Work::DetachVolume { .. } => ("VOLUME.DETACH", "detaching volume", "Volume"),
        Work::ResizeVolume { .. } => ("VOLUME.RESIZE", "resizing volume", "Volume"),
        Work::ChangeVolume { .. } => (
            "VOLUME.CHANGE.DISK.OFFERING",
            "changing disk offering",
            "Volume",
        ),
        Work::DestroyVolume { .. } => ("VOLUME.DESTROY", "destroying a volume", "Volume"),
        Work::CreateSnapshot { .. } => ("SNAPSHOT.CREATE", "creating snapshot", "Snapshot"),
        Work::DeleteSnapshot { .. } => ("SNAPSHOT.DELETE", "deleting snapshot", "Snapshot"),
        Work::AssociateAddress { .. } => ("NET.IPASSIGN", "associating Ip", "IpAddress"),
        Work::ReleaseAddress { .. } => ("NET.IPRELEASE", "disassociating Ip", "IpAddress"),
        Work::DeleteNetwork { .. } => ("NETWORK.DELETE", "deleting network", "Network"),
        Work::RestartNetwork { .. } => ("NETWORK.RESTART", "restarting network", "Network"),
        _ => return None,
    })
}

/// The row and the owner a job is about.
fn about(cloud: &Cloud, work: &Work) -> Option<(About, String)> {
    let row = |kind: &str, id: &str, name: &str, account: &str| {
        Some((
            (kind.to_owned(), id.to_owned(), name.to_owned()),
            account.to_owned(),
        ))
    };
    match work {
        Work::Deploy { vm, .. }
        | Work::Start { vm }
        | Work::Stop { vm }
        | Work::Reboot { vm, .. }
        | Work::Destroy { vm, .. }
        | Work::Expunge { vm }
        | Work::Scale { vm, .. } => {
            let vm = cloud.vms.find(vm)?;
            row("VirtualMachine", &vm.id, &vm.name, &vm.account)
        }
        Work::CreateVolume { volume }
        | Work::AttachVolume { volume, .. }
        | Work::DetachVolume { volume }
        | Work::ResizeVolume { volume, .. }
        | Work::ChangeVolume { volume, .. }
        | Work::DestroyVolume { volume, .. } => {
            let volume = cloud.volumes.find(volume)?;
            row("Volume", &volume.id, &volume.name, &volume.account)
        }
        Work::CreateSnapshot { snapshot } | Work::DeleteSnapshot { snapshot } => {
            let snapshot = cloud.snapshots.find(snapshot)?;
            row("Snapshot", &snapshot.id, &snapshot.name, &snapshot.account)
        }
        Work::AssociateAddress { address } | Work::ReleaseAddress { address } => {
            let address = cloud.addresses.find(address)?;
            row("IpAddress", &address.id, &address.address, &address.account)
        }
        Work::DeleteNetwork { network } | Work::RestartNetwork { network } => {
            let network = cloud.networks.find(network)?;
            row("Network", &network.id, &network.name, &network.account)
        }
        _ => None,
    }
}

/// Writes the `Scheduled` row of a job that may come; gives its id.
pub fn schedule(
    cloud: &mut Cloud,
    work: &Work,
    caller: &Caller,
    moment: Moment<'_>,
) -> Option<String> {
    let (kind, verb, thing) = words(work)?;
    let (resource, account) = about(cloud, work)?;
    let text = format!("{verb}. {thing} Id: {}", resource.1);
    let event = Event {
        kind: kind.to_owned(),
        text,
        account,
        user: caller.user.clone(),
        resource,
        state: "Scheduled".to_owned(),
        ..Event::default()
    };
    Some(note(cloud, moment, event))
}

/// A later row of a job: booked on the account that acts, as CloudStack does.
fn follow(cloud: &mut Cloud, job: &Job, state: &str, text: &str, level: &str, m: Moment<'_>) {
    let Some((kind, verb, thing)) = words(&job.work) else {
        return;
    };
    let Some((resource, _)) = about(cloud, &job.work) else {
        return;
    };
    let text = format!("{text}{verb}. {thing} Id: {}", resource.1);
    let event = Event {
        kind: kind.to_owned(),
        text,
        account: job.account.clone(),
        user: job.user.clone(),
        resource,
        state: state.to_owned(),
        level: level.to_owned(),
        parent: job.event.clone(),
        ..Event::default()
    };
    note(cloud, m, event);
}

/// The job's work has begun: states in between are shown.
pub fn started(cloud: &mut Cloud, id: &str, moment: Moment<'_>) {
    let Some(job) = cloud.jobs.find(id).cloned() else {
        return;
    };
    follow(cloud, &job, "Started", "", "INFO", moment);
    let (vm, state) = match &job.work {
        Work::Deploy { vm, start: true } | Work::Start { vm } => (vm, "Starting"),
        Work::Stop { vm } | Work::Destroy { vm, .. } => (vm, "Stopping"),
        _ => return,
    };
    if let Some(vm) = cloud.vms.find_mut(vm) {
        let fits = matches!(
            (vm.state.as_str(), state),
            ("Stopped", "Starting") | ("Running", "Stopping")
        );
        if fits {
            vm.state = state.to_owned();
        }
    }
}

/// The job is due: its work is done, or fails where a fault says so.
pub fn complete(cloud: &mut Cloud, id: &str, moment: Moment<'_>) {
    let Some(job) = cloud.jobs.find(id).filter(|job| job.status == 0).cloned() else {
        return;
    };
    let is_deploy = matches!(job.work, Work::Deploy { .. });
    if is_deploy && cloud.strikes("job-fails-after-vm") {
        cancel(cloud, id, moment);
        return;
    }
    let outcome = if cloud.strikes("job-fails") {
        fail(cloud, &job.work, moment);
        Err(refused(
            530,
            9999,
            "Unable to orchestrate the start of the VM instance, the sandbox was told to fail",
        ))
    } else {
        work(cloud, &job, moment)
    };
    let is_error = outcome.is_err();
    let (text, level) = match is_error {
        true => ("Error while ", "ERROR"),
        false => ("Successfully completed ", "INFO"),
    };
    follow(cloud, &job, "Completed", text, level, moment);
    if let Some(job) = cloud.jobs.find_mut(id) {
        job.status = if is_error { 2 } else { 1 };
        job.completed = Some(moment.now);
        job.result = Some(match outcome {
            Ok(result) => result,
            Err(refusal) => {
                job.code = refusal.error.code;
                json!({ "errorcode": refusal.error.code, "errortext": refusal.error.text })
            }
        });
    }
}

/// The server went down in the middle: the job ends without a result and nothing is undone.
pub fn cancel(cloud: &mut Cloud, id: &str, moment: Moment<'_>) {
    let Some(job) = cloud.jobs.find_mut(id).filter(|job| job.status == 0) else {
        return;
    };
    job.status = 2;
    job.code = 530;
    job.completed = Some(moment.now);
    let vm = match &job.work {
        Work::Deploy { vm, .. }
        | Work::Start { vm }
        | Work::Stop { vm }
        | Work::Reboot { vm, .. }
        | Work::Destroy { vm, .. } => vm.clone(),
        _ => return,
    };
    if let Some(vm) = cloud.vms.find_mut(&vm) {
        vm.state = match vm.state.as_str() {
            "Starting" => "Stopped".to_owned(),
            "Stopping" => "Running".to_owned(),
            other => other.to_owned(),
        };
        vm.updated = Some(moment.now);
    }
}

/// What a failing job undoes.
fn fail(cloud: &mut Cloud, work: &Work, moment: Moment<'_>) {
    match work {
        Work::Deploy { vm, .. } => vm::undo_deploy(cloud, vm, moment),
        Work::Start { vm } | Work::Stop { vm } | Work::Destroy { vm, .. } => {
            if let Some(vm) = cloud.vms.find_mut(vm) {
                vm.state = match vm.state.as_str() {
                    "Starting" => "Stopped".to_owned(),
                    "Stopping" => "Running".to_owned(),
                    other => other.to_owned(),
                };
            }
        }
        _ => {}
    }
}

fn work(cloud: &mut Cloud, job: &Job, moment: Moment<'_>) -> Result {
    match &job.work {
        Work::Nothing => Ok(json!({ "success": true })),
        Work::Deploy { vm, start } => vm::deploy(cloud, job, vm, *start, moment),
        Work::Start { vm } => vm::start(cloud, job, vm, moment),
        Work::Stop { vm } => vm::stop(cloud, job, vm, moment),
        Work::Reboot { vm, forced } => vm::reboot(cloud, job, vm, *forced, moment),
        Work::Destroy {
            vm,
            expunge,
            volumes,
        } => vm::destroy(cloud, job, vm, *expunge, volumes, moment),
        Work::Expunge { vm } => vm::expunge_job(cloud, vm, moment),
        Work::Scale { vm, offering, size } => {
            vm::scale_job(cloud, job, vm, offering, *size, moment)
        }
        Work::CreateVolume { volume } => volume::created(cloud, job, volume),
        Work::AttachVolume { volume, vm, device } => {
            volume::attach(cloud, job, volume, vm, *device, moment)
        }
        Work::DetachVolume { volume } => volume::detach(cloud, job, volume),
        Work::ResizeVolume {
            volume,
            offering,
            bytes,
            may_shrink,
        } => volume::resize(
            cloud,
            job,
            volume,
            (offering.as_deref(), *bytes, *may_shrink),
            moment,
        ),
        Work::ChangeVolume {
            volume,
            offering,
            bytes,
            may_shrink,
        } => volume::change(cloud, job, volume, (offering, *bytes, *may_shrink), moment),
        Work::DestroyVolume { volume, expunge } => {
            volume::destroy(cloud, job, volume, *expunge, moment)
        }
        Work::CreateSnapshot { snapshot } => volume::snapshot_made(cloud, snapshot, moment),
        Work::DeleteSnapshot { snapshot } => volume::snapshot_gone(cloud, snapshot, moment),
        Work::AssociateAddress { address } => network::associated(cloud, address, moment),
        Work::ReleaseAddress { address } => network::release(cloud, address, moment),
        Work::DeleteNetwork { network } => network::delete(cloud, network, moment),
        Work::RestartNetwork { .. } => Ok(json!({ "success": true })),
        Work::DeleteAccount { account } => account::delete(cloud, account, moment),
        Work::DisableAccount { account, lock } => account::disable(cloud, account, *lock, moment),
        Work::DisableUser { user } => account::disable_user(cloud, job, user),
        Work::DeleteDomain { domain } => account::delete_domain(cloud, domain, moment),
        Work::CreateProject { project } => {
            let row = cloud.projects.find(project).cloned().unwrap_or_default();
            Ok(json!({ "project": views::account::project(cloud, &row) }))
        }
        Work::DeleteProject { project } => account::delete_project(cloud, project, moment),
        Work::MakeThing { thing } => {
            let row = cloud.things.find(thing).cloned().unwrap_or_default();
            Ok(json!({ views::thing::entity(&row): views::thing::thing(cloud, &row) }))
        }
        Work::RemoveThing { thing } => {
            if let Some(row) = cloud.things.find_mut(thing) {
                row.removed = true;
            }
            Ok(json!({ "success": true }))
        }
    }
}

/// Whether the job was asked for by a root admin, who sees more.
fn for_root(cloud: &Cloud, job: &Job) -> bool {
    cloud
        .accounts
        .find(&job.account)
        .is_some_and(|account| account.kind == 1)
}

/// An object with the id and status that CloudStack adds to it in a job's result.
fn in_job(mut shown: Value, job: &Job) -> Value {
    shown["jobid"] = json!(job.id);
    shown["jobstatus"] = json!(0);
    shown
}
