//! Edge: from a call to its command, by name and role.

use super::answer::{Refused, forbidden};
use super::auth::Caller;
use super::state::State;
use super::{identity, jobs, limits, lists, machines, networks, usage_log, volumes};
use crate::clock::Clock;
use crate::cloudstack::query::ParamMap;
use crate::terms::time::Timestamp;
use serde_json::Value;

/// What a command may know of the world.
pub struct Ctx {
    /// For ids.
    pub clock: Clock,
    /// Billing time at the call.
    pub now: Timestamp,
}

/// What a command came to at once.
pub enum Outcome {
    /// The answer.
    Done(Value),
    /// A job is to be made.
    Started(Started),
}

/// A job to be made.
pub struct Started {
    /// Java class, the last part of `cmd`.
    pub class: &'static str,
    /// `jobinstancetype`.
    pub instance_type: &'static str,
    /// `jobinstanceid`.
    pub instance: String,
    /// The command made the object: its id is in the answer, and it did so before the job's row.
    pub creates: bool,
}

type Sync = fn(&mut State, &Ctx, &Caller, &ParamMap) -> Result<Value, Refused>;
type Async = fn(&mut State, &Ctx, &Caller, &ParamMap) -> Result<Started, Refused>;

enum Plan {
    Now(Sync),
    Job(Async),
}

const ADMIN_ONLY: [&str; 11] = [
    "getUser",
    "createDomain",
    "createAccount",
    "disableAccount",
    "enableAccount",
    "lockAccount",
    "updateResourceLimit",
    "listUsageRecords",
    "listUsageServerMetrics",
    "generateUsageRecords",
    "listDomains",
];

fn plan(command: &str) -> Option<Plan> {
    use Plan::{Job, Now};
    let plan = match command {
        "listCapabilities" => Now(lists::capabilities),
        "listApis" => Now(lists::apis),
        "listAccounts" => Now(lists::accounts),
        "listProjects" | "listIsos" | "listVPCOfferings" | "listVPCs" => Now(lists::nothing),
        "listAsyncJobs" => Now(jobs::list),
        "listEvents" => Now(lists::events),
        "queryAsyncJobResult" => Now(jobs::query),
        "listUsageRecords" => Now(usage_log::list),
        "listUsageTypes" => Now(usage_log::types),
        "listUsageServerMetrics" => Now(usage_log::metrics),
        "generateUsageRecords" => Now(usage_log::generate),
        "listResourceLimits" => Now(limits::list),
        "updateResourceLimit" => Now(limits::update),
        "getUser" => Now(identity::get_user),
        "getUserKeys" => Now(identity::get_user_keys),
        "registerUserKeys" => Now(identity::register_user_keys),
        "createDomain" => Now(identity::create_domain),
        "createAccount" => Now(identity::create_account),
        "disableAccount" | "enableAccount" | "lockAccount" => Now(identity::set_account_state),
        "createNetwork" => Now(networks::create),
        "recoverVirtualMachine" => Now(machines::recover),
        "updateVirtualMachine" => Now(machines::update),
        "deleteVolume" => Now(volumes::delete),
        "deployVirtualMachine" => Job(machines::deploy),
        "startVirtualMachine"
        | "stopVirtualMachine"
        | "rebootVirtualMachine"
        | "destroyVirtualMachine"
        | "expungeVirtualMachine"
        | "scaleVirtualMachine" => Job(machines::begin),
        "createVolume" => Job(volumes::create),
        "attachVolume" | "detachVolume" | "resizeVolume" => Job(volumes::begin),
        "createSnapshot" => Job(volumes::create_snapshot),
        "deleteSnapshot" => Job(volumes::begin_delete_snapshot),
        "associateIpAddress" => Job(networks::associate),
        "disassociateIpAddress" | "deleteNetwork" => Job(networks::begin),
        listing if lists::kind_of(listing).is_some() => Now(lists::list),
        _ => return None,
    };
    Some(plan)
}

/// Whether there is such a command.
#[must_use]
pub fn is_known(command: &str) -> bool {
    plan(command).is_some()
}

/// Runs a command as far as it goes at once.
///
/// # Errors
/// What CloudStack refuses.
pub fn run(
    state: &mut State,
    ctx: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Outcome, Refused> {
    let command = params.command();
    if caller.kind == 0 && ADMIN_ONLY.contains(&command) {
        return Err(forbidden(command));
    }
    match plan(command) {
        Some(Plan::Now(run)) => run(state, ctx, caller, params).map(Outcome::Done),
        Some(Plan::Job(run)) => run(state, ctx, caller, params).map(Outcome::Started),
        None => Err(forbidden(command)),
    }
}
