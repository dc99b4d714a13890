//! Pure: the usage records of a window, from the helper tables.
//!
//! A window runs to its last millisecond, and every segment gains one: what lasts beyond the
//! window counts whole seconds, what ends inside it counts 0.001 s more. Hours have six decimals.

use super::event::UsageEvent;
use super::tables::{Row, rows};
use crate::cloudstack::usage_type::UsageType;
use crate::terms::time::{Period, SECOND, Timestamp};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// One record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageRow {
    /// Its type.
    pub usage_type: UsageType,
    /// Owner, thing, sizes and offering, as the last segment's event says.
    pub event: UsageEvent,
    /// Milliseconds used in the window.
    pub millis: i64,
    /// Bytes or operations, for a type that counts them instead.
    pub amount: Option<i64>,
    /// The window, `[start, end)`; VM snapshots have their own bounds.
    pub window: Period,
}

impl UsageRow {
    /// `rawusage`: hours with at most six decimals, or the amount.
    #[must_use]
    pub fn raw(&self) -> Decimal {
        if let Some(amount) = self.amount {
            return Decimal::from(amount);
        }
        let hours = Decimal::from(self.millis).checked_div(Decimal::from(3_600_000));
        hours.unwrap_or_default().round_dp(6).normalize()
    }
}

/// The records of every window, in the order the jobs write them: window, account, type.
/// `windows` are `[start, end)`, in order, and may differ in length; events are in time order.
#[must_use]
pub fn records(events: &[UsageEvent], windows: &[Period]) -> Vec<UsageRow> {
    let rows = rows(events, windows);
    windows
        .iter()
        .flat_map(|window| of_window(&rows, *window))
        .collect()
}

/// A fault that the sandbox plays on request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RecordFault {
    /// The n-th record appears twice.
    Doubled(usize),
    /// The n-th record is missing.
    Missing(usize),
}

/// Records with faults played on them, each counted in the unspoilt list.
#[must_use]
pub fn spoilt(records: &[UsageRow], faults: &[RecordFault]) -> Vec<UsageRow> {
    let mut found = Vec::with_capacity(records.len());
    for (index, record) in records.iter().enumerate() {
        if faults.contains(&RecordFault::Missing(index)) {
            continue;
        }
        found.push(record.clone());
        if faults.contains(&RecordFault::Doubled(index)) {
            found.push(record.clone());
        }
    }
    found
}

fn of_window(rows: &[Row], window: Period) -> Vec<UsageRow> {
    let mut sums: BTreeMap<Key, UsageRow> = BTreeMap::new();
    for (index, row) in rows.iter().enumerate() {
        let Some((start, millis)) = segment(row, window) else {
            continue;
        };
        let record = UsageRow {
            usage_type: row.usage_type,
            event: row.event.clone(),
            millis,
            amount: None,
            window: bounds(row, start, window),
        };
        let sum = sums.entry(key(row, index));
        sum.and_modify(|kept| {
            kept.millis += millis;
            kept.event.is_source_nat = row.event.is_source_nat;
        })
        .or_insert(record);
    }
    sums.into_values().collect()
}

/// What records are summed by: owner, type, thing, and what makes a record of its own.
type Key = (String, UsageType, String, String, usize);

fn key(row: &Row, index: usize) -> Key {
    let event = &row.event;
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let number = |value: Option<i64>| value.map(|n| n.to_string()).unwrap_or_default();
    let part = match row.usage_type {
        UsageType::RunningVm | UsageType::AllocatedVm => format!(
            "{} {} {} {}",
            text(&event.offering_id),
            number(event.cpu_number),
            number(event.cpu_speed),
            number(event.memory)
        ),
        UsageType::Volume => format!("{} {}", text(&event.offering_id), number(event.size)),
        UsageType::NetworkOffering => text(&event.offering_id),
        _ => String::new(),
    };
    let single = matches!(
        row.usage_type,
        UsageType::Network
            | UsageType::Backup
            | UsageType::VmSnapshot
            | UsageType::VmSnapshotOnPrimary
    );
    let own = if single { index + 1 } else { 0 };
    (
        event.account_id.clone(),
        row.usage_type,
        event.resource.clone(),
        part,
        own,
    )
}

/// Where a row's share of the window starts and how many milliseconds it has.
fn segment(row: &Row, window: Period) -> Option<(Timestamp, i64)> {
    let last = window.end.plus(-1_000);
    let start = row.start.max(window.start);
    let ended = row.end.unwrap_or(last).min(last);
    if row.start > last || ended < window.start || ended < start {
        return None;
    }
    let end = match (row.usage_type, row.end) {
        // A VM snapshot is counted to the end of the window, and not in that of its deletion
        // unless it was made there.
        (UsageType::VmSnapshot, Some(end)) if window.contains(end) && row.start < window.start => {
            return None;
        }
        (UsageType::VmSnapshot, _) => last,
        _ => ended,
    };
    Some((start, end.since(start) / 1_000 + 1))
}

/// VM snapshots print their own bounds, everything else the window's.
fn bounds(row: &Row, start: Timestamp, window: Period) -> Period {
    match row.usage_type {
        UsageType::VmSnapshot => Period { start, ..window },
        UsageType::VmSnapshotOnPrimary => Period {
            start,
            end: row
                .end
                .map_or(window.end, |end| end.plus(SECOND))
                .min(window.end),
        },
        _ => window,
    }
}
