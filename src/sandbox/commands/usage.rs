//! Edge: the usage server's commands: windows of an hour or as told, scopes as CloudStack's.

use crate::cloudstack::time;
use crate::sandbox::call::{Call, Reply};
use crate::sandbox::cloud::Cloud;
use crate::sandbox::fixed;
use crate::sandbox::refused::{Refused, refused};
use crate::sandbox::usage::answer::{self, Names};
use crate::sandbox::usage::event::{UsageEvent, UsageEventKind};
use crate::sandbox::usage::record::{RecordFault, UsageRow, records, spoilt};
use crate::sandbox::usage::traffic;
use crate::terms::time::{HOUR, Period, SECOND, Timestamp};
use serde_json::json;

/// Runs a command of this file.
pub fn run(cloud: &mut Cloud, call: &Call<'_>, name: &str) -> Option<Result<Reply, Refused>> {
    Some(match name {
        "listUsageRecords" => list(cloud, call),
        "listUsageTypes" => Ok(Reply::Now(answer::list_usage_types())),
        "listUsageServerMetrics" => Ok(metrics(cloud, call)),
        "generateUsageRecords" => Ok(Reply::success()),
        _ => return None,
    })
}

/// The usage server's window in minutes (`usage.stats.job.aggregation.range`).
pub(super) fn range(cloud: &Cloud) -> i64 {
    let minutes = cloud.faults.get("usage-window").copied();
    minutes
        .and_then(|minutes| i64::try_from(minutes).ok())
        .unwrap_or(60)
}

/// The windows that have ended: aligned to their length, from the first event on.
fn windows(cloud: &Cloud, now: i64) -> Vec<Period> {
    let Some(first) = cloud.usage.first() else {
        return Vec::new();
    };
    let now = Timestamp::from_seconds(now);
    let length = range(cloud).saturating_mul(60 * SECOND);
    let mut start = Timestamp::from_micros(first.at.micros().div_euclid(length) * length);
    let mut windows = Vec::new();
    while start.plus(length) <= now {
        windows.push(Period {
            start,
            end: start.plus(length),
        });
        start = start.plus(length);
    }
    windows
}

/// Faults that last: each names a record by its place, counted from 1.
fn faults(cloud: &Cloud) -> Vec<RecordFault> {
    let place = |name: &str| {
        let place = cloud.faults.get(name).copied()?;
        usize::try_from(place).ok()?.checked_sub(1)
    };
    let doubled = place("usage-doubled").map(RecordFault::Doubled);
    let missing = place("usage-missing").map(RecordFault::Missing);
    doubled.into_iter().chain(missing).collect()
}

fn list(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let sees = scope(cloud, call)?;
    let faults = faults(cloud);
    let mut windows = windows(cloud, call.moment.now);
    if faults.is_empty() {
        // Places of spoilt records are counted over all windows; else those asked for will do.
        let (first, last) = (day(call, "startdate"), day(call, "enddate"));
        windows.retain(|window| {
            let near = 48 * HOUR;
            first.is_none_or(|first| window.end >= first.plus(-near))
                && last.is_none_or(|last| window.start <= last.plus(near))
        });
    }
    let mut rows = records(&cloud.usage, &windows);
    let router = |id: &str| router(cloud, id);
    rows.extend(traffic::records(&cloud.traffic, &windows, &router));
    let rows = spoilt(&rows, &faults);
    let param = |name: &str| call.text(name).map(str::to_owned);
    let inside = answer::list_usage_records(&rows, &param, &*sees, &Known(cloud));
    let inside = inside
        .map_err(|refusal| refused(refusal.code.into(), refusal.cs_code.into(), refusal.text))?;
    Ok(Reply::Now(inside))
}

/// A network's router, as the records of its bytes name it.
fn router(cloud: &Cloud, network: &str) -> Option<UsageEvent> {
    let made = |event: &&UsageEvent| {
        event.kind == UsageEventKind::NetworkCreate && event.resource == network
    };
    let made = cloud.usage.iter().find(made)?;
    let name = cloud.networks.find(network)?.name.clone();
    // The stand-in lists no routers: one bears the id of its network, marked as a router's.
    let id = format!("{}-0007-{}", network.get(..8)?, network.get(14..)?);
    Some(UsageEvent {
        resource: id,
        resource_name: name,
        network_id: Some(network.to_owned()),
        ..made.clone()
    })
}

/// The day of a date parameter, roughly: its zone is left aside.
fn day(call: &Call<'_>, name: &str) -> Option<Timestamp> {
    time::parse(&format!("{}T00:00:00+0000", call.text(name)?.get(..10)?))
}

type Sees<'c> = Box<dyn Fn(&UsageRow) -> bool + 'c>;

/// Whose records a caller sees: an account's, a project's, a domain's, or all.
fn scope<'c>(cloud: &'c Cloud, call: &Call<'_>) -> Result<Sees<'c>, Refused> {
    let below = call.flag("isrecursive") == Some(true);
    let is_root = call.caller.is_root();
    let mine = call.caller.account.clone();
    let within = |domain: String| -> Sees<'c> {
        Box::new(move |row| {
            let own = &row.event.domain_id;
            if below {
                cloud.is_under(own, &domain)
            } else {
                *own == domain
            }
        })
    };
    let of_account =
        |account: String| -> Sees<'c> { Box::new(move |row| row.event.account_id == account) };
    let check = |domain: &str| {
        if is_root || cloud.is_under(domain, &call.caller.domain) {
            return Ok(());
        }
        Err(refused(
            531,
            4365,
            "Domain admins may only retrieve usage records for accounts in their own domain and \
             child domains.",
        ))
    };
    if let Some(id) = call.text("projectid") {
        let project = cloud
            .projects
            .find(id)
            .ok_or_else(|| call.no_such("projectid"))?;
        check(&project.domain)?;
        return Ok(of_account(project.account.clone()));
    }
    if let Some(id) = call.text("accountid") {
        let account = cloud
            .accounts
            .find(id)
            .ok_or_else(|| call.no_such("accountid"))?;
        check(&account.domain)?;
        return Ok(of_account(account.id.clone()));
    }
    if let Some(id) = call.text("domainid") {
        let domain = cloud
            .domains
            .find(id)
            .ok_or_else(|| call.no_such("domainid"))?;
        check(&domain.id)?;
        let named = call.text("account").filter(|_| !below);
        if let Some(account) = named.and_then(|name| cloud.account_named(name, &domain.id)) {
            return Ok(of_account(account.id.clone()));
        }
        return Ok(if is_root || below {
            within(domain.id.clone())
        } else {
            of_account(mine)
        });
    }
    Ok(match (is_root, below) {
        (true, _) => Box::new(|_| true),
        (false, true) => within(call.caller.domain.clone()),
        (false, false) => of_account(mine),
    })
}

fn metrics(cloud: &Cloud, call: &Call<'_>) -> Reply {
    let now = time::print(Timestamp::from_seconds(call.moment.now));
    let last = windows(cloud, call.moment.now)
        .last()
        .map(|window| window.end.plus(-SECOND));
    Reply::Now(json!({ "usageMetrics": {
        "collectiontime": now,
        "hostname": "localhost",
        "state": "Up",
        "lastheartbeat": now,
        "lastsuccessfuljob": last.map(time::print),
    }}))
}

/// Names for descriptions.
struct Known<'c>(&'c Cloud);

impl Names for Known<'_> {
    fn name_of(&self, id: &str) -> Option<String> {
        let cloud = self.0;
        if id == fixed::template_id() {
            return Some(fixed::text("template", "name").to_owned());
        }
        let network = || {
            fixed::network_offering(id)?["name"]
                .as_str()
                .map(str::to_owned)
        };
        cloud
            .offerings
            .find(id)
            .map(|row| row.name.clone())
            .or_else(|| cloud.disk_offerings.find(id).map(|row| row.name.clone()))
            .or_else(|| cloud.domains.find(id).map(|row| row.name.clone()))
            .or_else(|| cloud.projects.find(id).map(|row| row.name.clone()))
            .or_else(|| cloud.vms.find(id).map(|row| row.name.clone()))
            .or_else(network)
    }

    fn domain_path(&self, id: &str) -> Option<String> {
        self.0.domains.find(id).map(|domain| domain.path.clone())
    }

    fn guest_os_of(&self, _template: &str) -> Option<[String; 4]> {
        Some([
            fixed::text("template", "ostypeid").to_owned(),
            fixed::text("template", "ostypename").to_owned(),
            "7cd0cd0c-e6ca-11f1-b146-02fc00000001".to_owned(),
            "CentOS".to_owned(),
        ])
    }
}
