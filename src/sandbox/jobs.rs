//! Edge: asynchronous jobs: their rows, their end, their answers.

use super::answer::{Refused, missing, parameter_value, refused};
use super::auth::{Caller, of_user};
use super::commands::{Ctx, Started};
use super::server::Sandbox;
use super::state::{Fields, Job, State, printed, set, text};
use super::{lists, machines, networks, volumes};
use crate::cloudstack::query::ParamMap;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// Asynchronous commands: name, Java package, class, event type, action in words.
pub const CLASSES: [(&str, &str, &str, &str); 15] = [
    ("deployVirtualMachine", "vm", "DeployVMCmd", "VM.CREATE"),
    ("startVirtualMachine", "vm", "StartVMCmd", "VM.START"),
    ("stopVirtualMachine", "vm", "StopVMCmd", "VM.STOP"),
    ("rebootVirtualMachine", "vm", "RebootVMCmd", "VM.REBOOT"),
    ("destroyVirtualMachine", "vm", "DestroyVMCmd", "VM.DESTROY"),
    ("expungeVirtualMachine", "vm", "ExpungeVMCmd", "VM.EXPUNGE"),
    ("scaleVirtualMachine", "vm", "ScaleVMCmd", "VM.UPGRADE"),
    ("createVolume", "volume", "CreateVolumeCmd", "VOLUME.CREATE"),
    ("attachVolume", "volume", "AttachVolumeCmd", "VOLUME.ATTACH"),
    ("detachVolume", "volume", "DetachVolumeCmd", "VOLUME.DETACH"),
    ("resizeVolume", "volume", "ResizeVolumeCmd", "VOLUME.RESIZE"),
    (
        "createSnapshot",
        "snapshot",
        "CreateSnapshotCmd",
        "SNAPSHOT.CREATE",
    ),
    (
        "deleteSnapshot",
        "snapshot",
        "DeleteSnapshotCmd",
        "SNAPSHOT.DELETE",
    ),
    (
        "associateIpAddress",
        "address",
        "AssociateIPAddrCmd",
        "NET.IPASSIGN",
    ),
    (
        "disassociateIpAddress",
        "address",
        "DisassociateIPAddrCmd",
        "NET.IPRELEASE",
    ),
];

/// Makes the job's row, after the create phase, and lets it end later.
pub async fn begin(
    sandbox: &Arc<Sandbox>,
    caller: &Caller,
    params: &ParamMap,
    started: Started,
) -> Result<Value, Refused> {
    if started.creates {
        let (least, _) = sandbox.options.job_delay_millis;
        tokio::time::sleep(Duration::from_millis(least / 4)).await;
    }
    let id = {
        let mut state = sandbox.state();
        if state.strikes("dies-before-job-row") {
            return Err(internal());
        }
        let id = match params.get("customjobid") {
            None => sandbox.options.clock.random_uuid(),
            Some(asked) => custom_id(&state, asked)?,
        };
        row(&mut state, &sandbox.ctx(), caller, params, &started, &id);
        id
    };
    spawn(sandbox, id.clone());
    Ok(match started.creates {
        true => json!({"id": started.instance, "jobid": id}),
        false => json!({"jobid": id}),
    })
}

fn internal() -> Refused {
    refused(
        530,
        9999,
        "Internal error executing command, please contact your system administrator",
    )
}

fn custom_id(state: &State, asked: &str) -> Result<String, Refused> {
    let dashes = asked.bytes().enumerate().all(|(at, byte)| match at {
        8 | 13 | 18 | 23 => byte == b'-',
        _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte),
    });
    if asked.len() != 36 || !dashes {
        return Err(refused(
            431,
            4350,
            format!("UUID: {asked} doesn't follow the UUID format"),
        ));
    }
    let taken = state
        .jobs
        .iter()
        .find(|job| text(&job.shown, "jobid") == asked);
    match taken.map(|job| job.shown.get("jobstatus") == Some(&json!(0))) {
        None => Ok(asked.to_owned()),
        Some(true) => {
            let text =
                format!("UUID: {asked} already exists so can't create/update with custom id");
            Err(refused(431, 4350, text))
        }
        Some(false) => Err(internal()),
    }
}

fn row(
    state: &mut State,
    ctx: &Ctx,
    caller: &Caller,
    params: &ParamMap,
    started: &Started,
    id: &str,
) {
    let command = params.command();
    let package = CLASSES
        .iter()
        .find(|(name, ..)| *name == command)
        .map_or("network", |c| c.1);
    let Value::Object(shown) = json!({
        "accountid": caller.account,
        "account": state.text_of("account", &caller.account, "name"),
        "domainid": caller.domain,
        "domainpath": caller.path,
        "userid": caller.user,
        "cmd": format!("org.apache.cloudstack.api.command.user.{package}.{}", started.class),
        "jobprocstatus": 0,
        "jobresultcode": 0,
        "jobinstancetype": started.instance_type,
        "jobinstanceid": started.instance,
        "managementserverid": "d1d4c56e-7651-4d8c-a0c9-c6de2bc2feb1",
        "managementservername": "localhost",
        "created": printed(ctx.now),
        "jobid": id,
        "jobstatus": 0,
    }) else {
        return;
    };
    let job = Job {
        shown,
        command: command.to_owned(),
        params: params
            .iter()
            .map(|(name, p)| (name.to_owned(), p.value.clone()))
            .collect(),
        account: caller.account.clone(),
        instance: started.instance.clone(),
    };
    event(state, ctx, &job, "Scheduled");
    state.jobs.push(job);
}

fn event(state: &mut State, ctx: &Ctx, job: &Job, stage: &str) {
    let kind = CLASSES.iter().find(|(name, ..)| *name == job.command);
    let kind = kind.map_or("NETWORK.DELETE", |class| class.3);
    let user = state.text_of("user", text(&job.shown, "userid"), "username");
    let account = state
        .find("account", &job.account)
        .map(|thing| thing.shown.clone());
    let account = account.unwrap_or_default();
    let Value::Object(shown) = json!({
        "id": ctx.clock.random_uuid(), "username": user, "type": kind, "level": "INFO",
        "description": format!("{stage} {}", job.command),
        "account": text(&account, "name"), "domainid": text(&account, "domainid"),
        "domain": text(&account, "domain"), "domainpath": text(&account, "domainpath"),
        "resourceid": job.instance, "resourcetype": text(&job.shown, "jobinstancetype"),
        "created": printed(ctx.now), "state": stage,
    }) else {
        return;
    };
    state.events.push((job.account.clone(), shown));
}

fn spawn(sandbox: &Arc<Sandbox>, id: String) {
    let (least, most) = sandbox.options.job_delay_millis;
    let span = most.saturating_sub(least).saturating_add(1);
    // The id is random, so its digits spread the delays.
    let digits = id.bytes().fold(0_u64, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    let delay = least.saturating_add(digits.checked_rem(span).unwrap_or(0));
    let sandbox = sandbox.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(delay)).await;
        let ctx = sandbox.ctx();
        end(&mut sandbox.state(), &ctx, &id);
    });
}

/// What a start does with the jobs that ran when the stand-in stopped: they go on, or, with the
/// fault `restart-cancels-jobs`, are cancelled as by CloudStack.
pub fn after_start(sandbox: &Arc<Sandbox>) {
    let ctx = sandbox.ctx();
    let mut state = sandbox.state();
    let pending = state
        .jobs
        .iter()
        .filter(|job| job.shown.get("jobstatus") == Some(&json!(0)));
    let pending: Vec<String> = pending
        .map(|job| text(&job.shown, "jobid").to_owned())
        .collect();
    let cancels = !pending.is_empty() && state.strikes("restart-cancels-jobs");
    for id in pending {
        match cancels {
            true => cancel(&mut state, &ctx, &id),
            false => spawn(sandbox, id),
        }
    }
}

fn end(state: &mut State, ctx: &Ctx, id: &str) {
    let Some(job) = state
        .jobs
        .iter()
        .find(|job| text(&job.shown, "jobid") == id)
        .cloned()
    else {
        return;
    };
    let deploys = job.command == "deployVirtualMachine";
    if deploys && state.strikes("job-fails-after-vm") {
        return cancel(state, ctx, id);
    }
    let result = if state.strikes("job-fails") {
        if deploys {
            machines::deploy_failed(state, ctx, &job);
        }
        let text = format!(
            "Unable to start a VM [{}] due to [no host left]",
            job.instance
        );
        Err(refused(530, 9999, text))
    } else {
        act(state, ctx, &job)
    };
    let (status, code, result) = match result {
        Ok(value) => (1, 0, with_job(value, id)),
        Err(refusal) => {
            let code = refusal.error.code;
            (
                2,
                code,
                json!({"errorcode": code, "errortext": refusal.error.text}),
            )
        }
    };
    event(state, ctx, &job, "Completed");
    finish(state, id, |shown| {
        let mut done = Fields::new();
        for (name, value) in std::mem::take(shown) {
            if name == "jobinstancetype" {
                set(
                    &mut done,
                    &[
                        ("jobresulttype", json!("object")),
                        ("jobresult", result.clone()),
                    ],
                );
            }
            let gone = name == "jobinstanceid" && job.command == "deleteNetwork";
            if !name.starts_with("managementserver") && !gone {
                done.insert(name.clone(), value);
            }
            if name == "created" {
                done.insert("completed".to_owned(), printed(ctx.now));
            }
        }
        set(
            &mut done,
            &[("jobresultcode", json!(code)), ("jobstatus", json!(status))],
        );
        *shown = done;
    });
}

fn with_job(mut value: Value, id: &str) -> Value {
    for kind in ["virtualmachine", "volume"] {
        if let Some(Value::Object(inner)) = value.get_mut(kind)
            && inner.contains_key("id")
        {
            set(inner, &[("jobid", json!(id)), ("jobstatus", json!(0))]);
        }
    }
    value
}

fn cancel(state: &mut State, ctx: &Ctx, id: &str) {
    let Some(job) = state
        .jobs
        .iter()
        .find(|job| text(&job.shown, "jobid") == id)
        .cloned()
    else {
        return;
    };
    if job.command == "deployVirtualMachine" {
        machines::deploy_cancelled(state, ctx, &job.instance);
    }
    finish(state, id, |shown| {
        let values = [("jobresultcode", json!(530)), ("jobstatus", json!(2))];
        set(shown, &values);
        set(shown, &[("completed", printed(ctx.now))]);
    });
}

fn finish(state: &mut State, id: &str, change: impl FnOnce(&mut Fields)) {
    if let Some(job) = state
        .jobs
        .iter_mut()
        .find(|job| text(&job.shown, "jobid") == id)
    {
        change(&mut job.shown);
    }
}

fn act(state: &mut State, ctx: &Ctx, job: &Job) -> Result<Value, Refused> {
    match job.command.as_str() {
        "deployVirtualMachine" => machines::deployed(state, ctx, job),
        "createVolume" | "attachVolume" | "detachVolume" | "resizeVolume" => {
            volumes::end(state, ctx, job)
        }
        "createSnapshot" | "deleteSnapshot" => volumes::end_snapshot(state, ctx, job),
        "associateIpAddress" | "disassociateIpAddress" | "deleteNetwork" => {
            networks::end(state, ctx, job)
        }
        _ => machines::end(state, ctx, job),
    }
}

/// `queryAsyncJobResult`.
pub fn query(
    state: &mut State,
    _: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Value, Refused> {
    let command = params.command();
    let id = params
        .get("jobid")
        .ok_or_else(|| missing(command, "jobid"))?;
    let job = state
        .jobs
        .iter()
        .rev()
        .find(|job| text(&job.shown, "jobid").eq_ignore_ascii_case(id));
    let job = job.ok_or_else(|| parameter_value(command, "jobid", id))?;
    match caller.reaches(state, &job.account) {
        true => Ok(json!(job.shown)),
        false => Err(super::answer::not_yours()),
    }
}

/// `listAsyncJobs`: pending ones only.
pub fn list(
    state: &mut State,
    _: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Value, Refused> {
    let all = params.get("listall") == Some("true");
    let found = state.jobs.iter().filter(|job| {
        let mine = job.account == caller.account && of_user(state, &caller.user).is_some();
        let pending = job.shown.get("jobstatus") == Some(&json!(0));
        pending && (mine || (all && caller.reaches(state, &job.account)))
    });
    let found = found.map(|job| json!(job.shown)).collect();
    lists::page("asyncjobs", found, params)
}
