//! Edge: policies that take snapshots, and the snapshots that they take without a call.

use super::volume::add_snapshot;
use crate::sandbox::call::{Call, Reply};
use crate::sandbox::cloud::{Cloud, Moment, next_number};
use crate::sandbox::finish;
use crate::sandbox::records::{Snapshot, SnapshotPolicy};
use crate::sandbox::refused::{Refused, invalid, not_yours};
use serde_json::{Value, json};

/// As `DateUtil.IntervalType` numbers them in answers.
const EVERY: [&str; 4] = ["HOURLY", "DAILY", "WEEKLY", "MONTHLY"];

/// Runs a command of this file.
pub fn run(cloud: &mut Cloud, call: &Call<'_>, name: &str) -> Option<Result<Reply, Refused>> {
    Some(match name {
        "createSnapshotPolicy" => create(cloud, call),
        "deleteSnapshotPolicies" => delete(cloud, call),
        "listSnapshotPolicies" => list(cloud, call),
        _ => return None,
    })
}

/// One policy of each interval on a volume: a second one changes the first
/// (`SnapshotManagerImpl.createPolicy`).
fn create(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let id = call.required("volumeid")?;
    let volume = cloud.volumes.find(id).filter(|volume| volume.counts());
    let volume = volume.ok_or_else(|| call.no_such("volumeid"))?.clone();
    if !call.caller.reaches(cloud, &volume.account) {
        return Err(not_yours());
    }
    let every = call.required("intervaltype")?.to_ascii_uppercase();
    if !EVERY.contains(&every.as_str()) {
        return Err(invalid(format!("Unsupported interval type {every}")));
    }
    let keeps = call.number("maxsnaps")?.unwrap_or(0);
    if keeps < 1 {
        return Err(invalid("maxSnaps must be greater than 0"));
    }
    let schedule = call.required("schedule")?.to_owned();
    let zone = call.required("timezone")?.to_owned();
    let mut policies = cloud.snapshot_policies.iter();
    let same = policies.find(|it| !it.removed && it.volume == volume.id && it.every == every);
    let found = same.map(|it| it.id.clone());
    let id = found.unwrap_or_else(|| {
        let id = (call.moment.fresh)();
        cloud.snapshot_policies.insert(SnapshotPolicy {
            number: next_number(&cloud.snapshot_policies),
            id: id.clone(),
            volume: volume.id.clone(),
            account: volume.account.clone(),
            every,
            ..SnapshotPolicy::default()
        });
        id
    });
    let row = cloud.snapshot_policies.find_mut(&id);
    let row = row.ok_or_else(|| call.no_such("volumeid"))?;
    (row.keeps, row.schedule, row.zone) = (keeps, schedule, zone);
    let shown = shown(row);
    Ok(Reply::Now(json!({ "snapshotpolicy": shown })))
}

fn delete(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let ids: Vec<&str> = call
        .text("id")
        .into_iter()
        .chain(call.list("ids"))
        .collect();
    if ids.is_empty() {
        return Err(invalid("Need to provide one of policy id or policy ids"));
    }
    for id in &ids {
        let found = cloud.snapshot_policies.find(id).filter(|it| !it.removed);
        let account = &found.ok_or_else(|| call.no_such("id"))?.account;
        if !call.caller.reaches(cloud, account) {
            return Err(not_yours());
        }
    }
    for id in ids {
        if let Some(row) = cloud.snapshot_policies.find_mut(id) {
            row.removed = true;
        }
    }
    Ok(Reply::success())
}

fn list(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let scope = call.scope(cloud)?;
    let of_volume = |it: &&SnapshotPolicy| call.text("volumeid").is_none_or(|id| it.volume == id);
    let rows: Vec<&SnapshotPolicy> = cloud
        .snapshot_policies
        .iter()
        .filter(|it| !it.removed && call.names(&it.id, ""))
        .filter(of_volume)
        .filter(|it| scope.shows(cloud, &it.account))
        .collect();
    call.listed("snapshotpolicy", &rows, |it| shown(it))
}

fn shown(it: &SnapshotPolicy) -> Value {
    let every = EVERY.iter().position(|name| *name == it.every);
    json!({
        "id": it.id,
        "volumeid": it.volume,
        "schedule": it.schedule,
        "intervaltype": every,
        "maxsnaps": it.keeps,
        "timezone": it.zone,
        "fordisplay": true,
    })
}

/// Every policy takes one snapshot, and lets go of the oldest beyond what it keeps.
pub fn take_all(cloud: &mut Cloud, moment: Moment<'_>) {
    let policies: Vec<SnapshotPolicy> = cloud.snapshot_policies.iter().cloned().collect();
    for policy in policies.iter().filter(|it| !it.removed) {
        take(cloud, policy, moment);
        let of_policy =
            |it: &&Snapshot| !it.removed && it.volume == policy.volume && it.every == policy.every;
        let rows = cloud.snapshots.iter().filter(of_policy);
        let ids: Vec<String> = rows.map(|it| it.id.clone()).collect();
        let keeps = usize::try_from(policy.keeps).unwrap_or(usize::MAX);
        let beyond = ids.len().saturating_sub(keeps);
        for id in ids.iter().take(beyond) {
            let _ = finish::volume::snapshot_gone(cloud, id, moment);
        }
    }
}

fn take(cloud: &mut Cloud, policy: &SnapshotPolicy, moment: Moment<'_>) {
    let volume = cloud.volumes.find(&policy.volume);
    let Some(volume) = volume.filter(|volume| volume.counts()).cloned() else {
        return;
    };
    let id = add_snapshot(cloud, &volume, (None, &policy.every), moment);
    let _ = finish::volume::snapshot_made(cloud, &id, moment);
}
