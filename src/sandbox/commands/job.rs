//! Edge: jobs: how they begin, and how they are asked for.

use crate::sandbox::call::{Call, Reply};
use crate::sandbox::cloud::{Cloud, next_number};
use crate::sandbox::records::Job;
use crate::sandbox::refused::{Refused, internal, invalid, refused};
use crate::sandbox::views;
use crate::sandbox::work::Work;

/// Runs a command of this file.
pub fn run(cloud: &mut Cloud, call: &Call<'_>, name: &str) -> Option<Result<Reply, Refused>> {
    Some(match name {
        "queryAsyncJobResult" => query(cloud, call),
        "listAsyncJobs" => list(cloud, call),
        _ => return None,
    })
}

fn query(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    call.required("jobid")?;
    let job = call.text("jobid").and_then(|id| cloud.jobs.find(id));
    let job = job.ok_or_else(|| call.no_such("jobid"))?;
    if !call.caller.reaches(cloud, &job.account) {
        let own = cloud
            .accounts
            .find(&call.caller.account)
            .cloned()
            .unwrap_or_default();
        return Err(refused(
            531,
            4365,
            format!(
                "Account Account [{{\"accountName\":\"{}\",\"id\":{},\"uuid\":\"{}\"}}] is not \
                 authorized to see job id={}",
                own.name,
                own.number,
                (call.moment.fresh)(),
                job.number
            ),
        ));
    }
    Ok(Reply::Now(views::job::job(cloud, job)))
}

/// Pending jobs alone are listed.
fn list(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let scope = call.scope(cloud)?;
    let rows: Vec<&Job> = cloud
        .jobs
        .iter()
        .filter(|job| job.status == 0 && scope.shows(cloud, &job.account))
        .collect();
    call.listed("asyncjobs", &rows, |job| views::job::job(cloud, job))
}

/// Writes the job's row, under the caller's own id where it gave a good one; gives its id.
///
/// # Errors
/// 431 for an id that is none or is in use, 530 for one whose job is done. What the create phase
/// made stays, as it does in CloudStack.
pub fn begin(
    cloud: &mut Cloud,
    call: &Call<'_>,
    instance: Option<(&'static str, Option<String>)>,
    work: Work,
    event: Option<String>,
) -> Result<String, Refused> {
    let id = match call.params.get("customjobid") {
        None => (call.moment.fresh)(),
        Some(given) => {
            if !is_uuid(given) {
                return Err(invalid(format!(
                    "UUID: {given} doesn't follow the UUID format"
                )));
            }
            match cloud.jobs.find(given) {
                Some(job) if job.status != 0 => return Err(internal()),
                Some(_) => {
                    return Err(invalid(format!(
                        "UUID: {given} already exists so can't create/update with custom id"
                    )));
                }
                None => given.to_owned(),
            }
        }
    };
    cloud.jobs.insert(Job {
        number: next_number(&cloud.jobs),
        id: id.clone(),
        class: class(call.command.name),
        account: call.caller.account.clone(),
        user: call.caller.user.clone(),
        instance: instance.map(|(kind, id)| (kind.to_owned(), id)),
        created: call.moment.now,
        work,
        event,
        ..Job::default()
    });
    Ok(id)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(place, byte)| match place {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
        })
}

/// The Java class that a job names as its command.
fn class(command: &str) -> String {
    let (folder, name) = match command {
        "deployVirtualMachine" => ("user.vm", "DeployVM"),
        "startVirtualMachine" => ("user.vm", "StartVM"),
        "stopVirtualMachine" => ("user.vm", "StopVM"),
        "rebootVirtualMachine" => ("user.vm", "RebootVM"),
        "destroyVirtualMachine" => ("user.vm", "DestroyVM"),
        "scaleVirtualMachine" => ("user.vm", "ScaleVM"),
        "expungeVirtualMachine" => ("admin.vm", "ExpungeVM"),
        "createVolume" => ("user.volume", "CreateVolume"),
        "attachVolume" => ("user.volume", "AttachVolume"),
        "detachVolume" => ("user.volume", "DetachVolume"),
        "resizeVolume" => ("user.volume", "ResizeVolume"),
        "destroyVolume" => ("user.volume", "DestroyVolume"),
        "changeOfferingForVolume" => ("user.volume", "ChangeOfferingForVolume"),
        "createSnapshot" => ("user.snapshot", "CreateSnapshot"),
        "deleteSnapshot" => ("user.snapshot", "DeleteSnapshot"),
        "associateIpAddress" => ("user.address", "AssociateIPAddr"),
        "disassociateIpAddress" => ("user.address", "DisassociateIPAddr"),
        "deleteNetwork" => ("user.network", "DeleteNetwork"),
        "restartNetwork" => ("user.network", "RestartNetwork"),
        "deleteAccount" => ("admin.account", "DeleteAccount"),
        "disableAccount" => ("admin.account", "DisableAccount"),
        "disableUser" => ("admin.user", "DisableUser"),
        "deleteDomain" => ("admin.domain", "DeleteDomain"),
        "createProject" => ("user.project", "CreateProject"),
        "deleteProject" => ("user.project", "DeleteProject"),
        other => ("user", other),
    };
    format!("org.apache.cloudstack.api.command.{folder}.{name}Cmd")
}
