//! Edge: the stand-in's own two paths, which no CloudStack has: faults, and what really runs.
//!
//! `POST /sandbox/faults` with `name` and `count` switches a fault on for so many times (0: off).
//! `job-fails`: the next jobs fail and undo what they made. `job-fails-after-vm`: the next deploys
//! are cancelled, the VM stays, stopped. `answer-lost`: the next answers to state-changing calls
//! are never sent. `slow`, `slow-jobs`: `count` is milliseconds that every answer, every job takes
//! longer, until 0.
//! `dies-before-job-row`: the next asynchronous calls end between what they made and their job.
//! `restart-cancels-jobs`: at once, every pending job is cancelled and every session ends.
//! `usage-window`: the usage server's windows are so many minutes long (else 60), until 0.
//! `traffic-sent`, `traffic-received`: at once, so many bytes pass the router of each network.
//! `snapshots-due`: at once, every snapshot policy takes so many snapshots.
//! `usage-doubled`, `usage-missing`: `count` is the place of the record, from 1, until 0.
//! `GET /sandbox/state` counts.

use super::cloud::{Cloud, Moment};
use super::commands::snapshot_policy;
use super::finish;
use super::usage::traffic::Traffic;
use serde_json::{Value, json};

/// Names of faults.
pub const FAULTS: [&str; 14] = [
    "job-fails",
    "job-fails-after-vm",
    "answer-lost",
    "slow",
    "slow-jobs",
    "dies-before-job-row",
    "restart-cancels-jobs",
    "usage-doubled",
    "usage-missing",
    "hides-members",
    "usage-window",
    "traffic-sent",
    "traffic-received",
    "snapshots-due",
];

/// Switches a fault on or off; none where there is no fault of that name.
pub fn switch(cloud: &mut Cloud, name: &str, count: u64, moment: Moment<'_>) -> Option<Value> {
    let known = FAULTS.iter().find(|fault| **fault == name)?;
    if *known == "restart-cancels-jobs" {
        cancel_all(cloud, moment);
    } else if *known == "snapshots-due" {
        for _ in 0..count {
            snapshot_policy::take_all(cloud, moment);
        }
    } else if let Some(direction) = known.strip_prefix("traffic-") {
        pass(cloud, direction == "sent", count, moment);
    } else if count == 0 {
        cloud.faults.remove(*known);
    } else {
        cloud.faults.insert((*known).to_owned(), count);
    }
    Some(json!({ "faults": cloud.faults }))
}

/// Bytes pass the router of every network that has one.
fn pass(cloud: &mut Cloud, sent: bool, bytes: u64, moment: Moment<'_>) {
    let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
    let (sent, received) = if sent { (bytes, 0) } else { (0, bytes) };
    let routed = cloud.networks.iter();
    let routed = routed.filter(|one| !one.removed && !one.is_l2 && one.state == "Implemented");
    let found: Vec<Traffic> = routed
        .map(|network| Traffic {
            at: moment.now,
            network: network.id.clone(),
            sent,
            received,
        })
        .collect();
    cloud.traffic.extend(found);
}

/// What a restart does to jobs.
pub fn cancel_all(cloud: &mut Cloud, moment: Moment<'_>) {
    let pending: Vec<String> = cloud
        .jobs
        .iter()
        .filter(|job| job.status == 0)
        .map(|job| job.id.clone())
        .collect();
    for id in pending {
        finish::cancel(cloud, &id, moment);
    }
}

/// What is there, whoever owns it.
#[must_use]
pub fn state(cloud: &Cloud) -> Value {
    let vms: Vec<Value> = cloud
        .vms
        .iter()
        .filter(|vm| !vm.removed)
        .map(|vm| {
            let owner = cloud
                .accounts
                .find(&vm.account)
                .map_or("", |a| a.name.as_str());
            json!({ "id": vm.id, "name": vm.name, "state": vm.state, "account": owner })
        })
        .collect();
    let running: Vec<&Value> = vms.iter().filter(|vm| vm["state"] == "Running").collect();
    let running: Vec<Value> = running.into_iter().map(|vm| vm["id"].clone()).collect();
    json!({
        "running": running,
        "vms": vms.len(),
        "virtualmachines": vms,
        "volumes": cloud.volumes.iter().filter(|volume| volume.counts()).count(),
        "addresses": cloud.addresses.iter().filter(|address| !address.removed).count(),
        "pendingjobs": cloud.jobs.iter().filter(|job| job.status == 0).count(),
        "usageevents": cloud.usage.len(),
        "faults": cloud.faults,
    })
}
