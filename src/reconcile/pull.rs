//! Edge: usage records from CloudStack into `facts.db`, day by day, kept as they came.
//!
//! CloudStack gives a window only where it lies wholly in the range asked for, so every day is
//! asked for together with the days beside it; what is read twice is one row. Windows longer
//! than two days (a long outage of the usage server) are left to the comparison, which shows the
//! gap. Every row is kept before anything reads it, and the cursor with it: a pull that was cut
//! off goes on where it stopped.

use super::record::{RecordFault, UsageRecord};
use super::window::{query_date, query_dates};
use crate::cloudstack::tree::Node;
use crate::store::{Store, StoreError, UsageRow};
use crate::terms::time::{HOUR, Period, SECOND, Timestamp};
use crate::upstream::UpstreamError;
use crate::upstream::service::Service;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

const DAY: i64 = 24 * HOUR;

/// Why usage records could not be read.
#[derive(Debug, thiserror::Error)]
pub enum PullFault {
    /// CloudStack could not be asked.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// The facts could not be kept or read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A record is not one.
    #[error("{0}; read the month again once the usage server is repaired")]
    Record(#[from] RecordFault),
    /// A kept row is damaged.
    #[error("the kept usage record `{0}` cannot be read; remove facts.db and read it again")]
    Kept(String),
}

/// Pulls the period's records, from where a pull before was cut off. Gives how many were read.
///
/// # Errors
/// [`PullFault`]; days read before it are kept.
pub async fn pull(
    service: &Service,
    store: &Store,
    period: Period,
    read: Timestamp,
) -> Result<usize, PullFault> {
    let key = format!("usage/{}/{}", period.start, period.end);
    let done = store.facts().meta(&key).await?;
    let done = done.and_then(|text| text.parse().ok());
    let first = period.start.plus(-DAY);
    let mut day = done.map_or(first, Timestamp::from_micros).max(first);
    let mut count = 0;
    while day < period.end {
        let asked = Period {
            start: day,
            end: day.plus(2 * DAY),
        };
        let (start, end) = query_dates(asked);
        let params = [("startdate", start.as_str()), ("enddate", end.as_str())];
        let nodes = service
            .list("listUsageRecords", "usagerecord", &params)
            .await?;
        let rows = rows(&nodes, read)?;
        count += rows.len();
        day = day.plus(DAY);
        let cursor = day.micros().to_string();
        store
            .facts()
            .keep_usage(&rows, Some((&key, &cursor)))
            .await?;
    }
    // The next pull starts over: records may still have come.
    store.facts().put_meta(&key, "").await?;
    Ok(count)
}

/// Whether a usage job has succeeded whose windows reach `end`; the reason where not.
///
/// # Errors
/// [`PullFault::Upstream`].
pub async fn job_passed(
    service: &Service,
    end: Timestamp,
) -> Result<Result<(), String>, PullFault> {
    let answer = service.call("listUsageServerMetrics", &[]).await?;
    if let Some(error) = answer.error {
        return Ok(Err(format!(
            "listUsageServerMetrics: {} {}",
            error.code, error.text
        )));
    }
    let newest = answer.node.children.iter().filter_map(newest_job).max();
    Ok(match newest {
        // It is the last second of the job's last window, not the time of the job.
        Some(at) if at.plus(SECOND) >= end => Ok(()),
        Some(at) => Err(format!(
            "the usage server's last successful job is of {}, the month ends at {}",
            query_date(at),
            query_date(end)
        )),
        None => Err("the usage server reports no successful job".to_owned()),
    })
}

fn newest_job(node: &Node) -> Option<Timestamp> {
    let text = match node.name.as_str() {
        "lastsuccessfuljob" => node.text.as_str(),
        _ => node.text_of("lastsuccessfuljob")?,
    };
    crate::meter::observe::printed_second(text)
}

/// What was kept of a period, as one figure: two equal reads are two equal figures.
///
/// # Errors
/// [`StoreError`].
pub async fn figure(store: &Store, period: Period) -> Result<String, StoreError> {
    let mut hash = Sha256::new();
    for row in store.facts().usage(reach(period)).await? {
        hash.update(row.key.as_bytes());
        hash.update([0]);
        hash.update(row.raw.as_bytes());
        hash.update([0]);
    }
    Ok(hex(&hash.finalize()))
}

/// The kept records whose window touches the period.
///
/// # Errors
/// [`PullFault::Store`] and [`PullFault::Kept`].
pub async fn kept(store: &Store, period: Period) -> Result<Vec<UsageRecord>, PullFault> {
    let mut found = Vec::new();
    for row in store.facts().usage(reach(period)).await? {
        if row.window.intersect(&period).is_none() {
            continue;
        }
        let json: Value =
            serde_json::from_str(&row.raw).map_err(|_| PullFault::Kept(row.key.clone()))?;
        let node = Node::from_json("usagerecord", &json);
        found.push(UsageRecord::from_node(&node).map_err(|_| PullFault::Kept(row.key))?);
    }
    Ok(found)
}

/// Windows that touch a period start at most this much before it.
fn reach(period: Period) -> Period {
    Period {
        start: period.start.plus(-2 * DAY),
        end: period.end,
    }
}

/// One reading's records as rows to keep. What a reading says twice is two rows, told apart by
/// a count; what two readings say is one.
///
/// # Errors
/// [`RecordFault`], where one cannot be read exactly: it is never kept half-understood.
pub fn rows(nodes: &[Node], read: Timestamp) -> Result<Vec<UsageRow>, RecordFault> {
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = Vec::with_capacity(nodes.len());
    for node in nodes {
        let record = UsageRecord::from_node(node)?;
        let raw = json(node).to_string();
        let again = seen.entry(raw.clone()).or_default();
        let digest = hex(&Sha256::digest(raw.as_bytes()));
        let start = record.window.start.seconds();
        found.push(UsageRow {
            key: format!("{start}/{}/{digest}/{again}", record.usage_type.number()),
            usage_type: record.usage_type.number(),
            resource: record.resource.map(|id| id.to_string()).unwrap_or_default(),
            window: record.window,
            raw,
            read,
        });
        *again += 1;
    }
    Ok(found)
}

/// A record's fields as texts, as they came: no number passes through a float. Tags are left out.
fn json(node: &Node) -> Value {
    let fields = node
        .children
        .iter()
        .filter(|child| child.children.is_empty());
    let fields = fields.map(|child| (child.name.clone(), Value::from(child.text.as_str())));
    Value::Object(fields.collect::<Map<_, _>>())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(vm: &str) -> Node {
        let json = serde_json::json!({
            "account": "ann", "accountid": "a", "domainid": "d", "usagetype": 1, "usageid": vm,
            "description": "", "rawusage": "1", "startdate": "2026-11-22T23:00:00+0000",
            "enddate": "2026-11-22T23:59:59+0000",
        });
        Node::from_json("usagerecord", &json)
    }

    #[test]
    fn a_record_that_is_there_twice_is_two_rows_and_one_that_is_read_twice_is_one() {
        let at = Timestamp::from_seconds(1);
        let first = rows(&[record("x"), record("y"), record("x")], at).unwrap();
        let again = rows(&[record("y"), record("x")], at.plus(1)).unwrap();
        let keys = |rows: &[UsageRow]| -> std::collections::BTreeSet<String> {
            rows.iter().map(|row| row.key.clone()).collect()
        };
        assert_eq!(keys(&first).len(), 3);
        assert!(keys(&again).is_subset(&keys(&first)));
    }

    #[test]
    fn a_record_that_cannot_be_read_is_not_kept() {
        let broken = Node::from_json("usagerecord", &serde_json::json!({ "usagetype": 1 }));
        assert!(rows(&[record("x"), broken], Timestamp::default()).is_err());
    }
}
