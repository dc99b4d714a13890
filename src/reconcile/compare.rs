//! Pure: intervals against records, a whole life at a time → what differs, by how much, and why.
//!
//! Per (type, resource, owner) the metered seconds are set against the reported ones. A border
//! whose second CloudStack printed is known to 1 s, any other to 3 s (a source NAT address without
//! its `allocated`: the length of the deployment), and each record adds 0.005 s. Faults that the
//! usage server is known for are recognised and named: they are not followed. `pair.rs` finds which
//! records belong to which meter where CloudStack leaves the id out, `fault.rs` the known faults.

mod fault;
mod pair;

use super::record::{UsageRecord, counts_hours};
use super::window;
use crate::cloudstack::usage_type::UsageType;
use crate::meter::inventory::ByItself;
use crate::meter::resource::{Attributes, Border, BorderSource, Interval, MeterId, Owner};
use crate::terms::ids::ResourceId;
use crate::terms::time::{Period, SECOND};
use std::collections::BTreeMap;

/// How a meter and its records compare.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Class {
    /// Within the tolerance.
    Agreement,
    /// Metered, and not reported, wholly or for whole windows.
    Missing,
    /// Reported, and not metered, wholly or for whole windows.
    Extra,
    /// Both, and more apart than the tolerance.
    Different,
    /// Reported twice.
    Doubled,
    /// What the usage server is known to get wrong; the meter is right.
    KnownFault,
}

impl Class {
    /// As printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agreement => "agreement",
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Different => "different",
            Self::Doubled => "doubled",
            Self::KnownFault => "known_fault",
        }
    }
}

/// Why they differ, where that can be told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Cause {
    /// Known fault: a live scale to another fixed offering is reported with the old one.
    LiveScaleKeepsOldOffering,
    /// Known fault: a live scale overwrites the allocated row; its hours before are lost.
    LiveScaleOverwritesAllocation,
    /// Known fault: removing one NIC ends the metering of every NIC on its offering.
    NicRemovalEndsAll,
    /// Known fault: a changed disk offering without a changed size is not reported.
    VolumeOfferingNotReported,
    /// Known fault: a template without a physical size is never metered.
    TemplateWithoutSize,
    /// Known fault: a VPN user ends when his removal is processed, not when he is removed.
    VpnUserEndsLate,
    /// Known fault: a VM snapshot is counted to the end of windows.
    VmSnapshotByWindow,
    /// Known fault: a hidden VM is not metered while it runs.
    HiddenVm,
    /// No call: a VM schedule.
    VmSchedule,
    /// No call: an autoscale group.
    Autoscale,
    /// No call: a snapshot policy.
    SnapshotPolicy,
    /// The owner was deleted or disabled with it.
    OwnerDeleted,
}

impl Cause {
    /// As printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LiveScaleKeepsOldOffering => "live_scale_keeps_old_offering",
            Self::LiveScaleOverwritesAllocation => "live_scale_overwrites_allocation",
            Self::NicRemovalEndsAll => "nic_removal_ends_all",
            Self::VolumeOfferingNotReported => "volume_offering_not_reported",
            Self::TemplateWithoutSize => "template_without_size",
            Self::VpnUserEndsLate => "vpn_user_ends_late",
            Self::VmSnapshotByWindow => "vm_snapshot_by_window",
            Self::HiddenVm => "hidden_vm",
            Self::VmSchedule => "vm_schedule",
            Self::Autoscale => "autoscale",
            Self::SnapshotPolicy => "snapshot_policy",
            Self::OwnerDeleted => "owner_deleted",
        }
    }
}

/// What is known beside intervals and records.
pub struct Context<'a> {
    /// How loosely a border is known, where that is more than its source says, in microseconds.
    pub looseness: &'a dyn Fn(&ResourceId, Border) -> Option<i64>,
    /// What may change without a call.
    pub by_itself: Vec<(ByItself, Option<ResourceId>, Owner)>,
}

/// One meter's life against its records.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// How they compare.
    pub class: Class,
    /// Why.
    pub cause: Option<Cause>,
    /// Which type.
    pub usage_type: UsageType,
    /// Which thing: its id, else what the records call it.
    pub resource: String,
    /// What people call it.
    pub name: String,
    /// Whose.
    pub owner: Owner,
    /// What its price depends on: as last metered, else as reported first.
    pub attributes: Attributes,
    /// Metered, in microseconds times how many alike.
    pub metered_micros: i64,
    /// Reported, in microseconds.
    pub reported_micros: i64,
    /// They may lie that far apart.
    pub tolerance_micros: i64,
    /// How many records.
    pub records: usize,
}

impl Difference {
    /// Metered minus reported.
    #[must_use]
    pub const fn micros(&self) -> i64 {
        self.metered_micros.saturating_sub(self.reported_micros)
    }
}

/// Intervals and records of one meter of one owner.
struct Group<'a> {
    usage_type: UsageType,
    resource: String,
    name: String,
    owner: Owner,
    /// Cut to the period that is compared.
    intervals: Vec<(&'a Interval, Period)>,
    records: Vec<&'a UsageRecord>,
}

/// Compares what lies in `period`, which must consist of whole windows. Bytes and
/// operations are left out, records and meters. In the order of type, owner and resource.
#[must_use]
pub fn compare(
    intervals: &[Interval],
    records: &[UsageRecord],
    period: Period,
    context: &Context<'_>,
) -> Vec<Difference> {
    let inside = |record: &&UsageRecord| {
        counts_hours(record.usage_type) && record.window.intersect(&period).is_some()
    };
    let records: Vec<&UsageRecord> = records.iter().filter(inside).collect();
    let windows = windows(&records, period);
    let mut found: Vec<Difference> = pair::groups(intervals, &records, period)
        .iter()
        .filter(|group| counts_hours(group.usage_type))
        .filter(|group| group.metered() != 0 || !group.records.is_empty())
        .map(|group| judge(group, period, &windows, context))
        .collect();
    found.sort_by(|a, b| {
        let key = |one: &Difference| (one.usage_type, one.owner.clone(), one.resource.clone());
        key(a).cmp(&key(b))
    });
    found
}

/// The size in bytes that the newest record tells of each meter that ended before we knew it: the
/// root disk of a deployment that failed, seen by the usage server alone.
#[must_use]
pub fn sizes(
    intervals: &[Interval],
    records: &[UsageRecord],
    period: Period,
) -> BTreeMap<MeterId, i64> {
    let inside = |record: &&UsageRecord| record.window.intersect(&period).is_some();
    let records: Vec<&UsageRecord> = records.iter().filter(inside).collect();
    let mut found = BTreeMap::new();
    for group in pair::groups(intervals, &records, period) {
        let newest = group.records.iter().max_by_key(|record| record.window.end);
        let Some(size) = newest.and_then(|record| record.size) else {
            continue;
        };
        let has_none = |one: &&Interval| one.end.is_some() && one.attributes.size_bytes.is_none();
        let lacking = group.intervals.iter().map(|(interval, _)| *interval);
        found.extend(
            lacking
                .filter(has_none)
                .map(|one| (one.meter.clone(), size)),
        );
    }
    found
}

/// The windows of the records, and as a window each stretch of the period that has none: there
/// the whole job's records may be lost. VM snapshots print bounds of their own.
fn windows(records: &[&UsageRecord], period: Period) -> Vec<Period> {
    let own = |record: &&&UsageRecord| {
        let kinds = [UsageType::VmSnapshot, UsageType::VmSnapshotOnPrimary];
        kinds.contains(&record.usage_type)
    };
    let regular = records.iter().filter(|record| !own(record));
    let mut found = window::distinct(regular.map(|record| record.window));
    let edge = |at| Period { start: at, end: at };
    let mut edges = vec![edge(period.start)];
    edges.append(&mut found.clone());
    edges.push(edge(period.end));
    for fault in window::faults(&edges) {
        if let window::WindowFault::Gap(gap) = fault {
            found.push(gap);
        }
    }
    found.sort();
    found
}

impl Group<'_> {
    fn metered(&self) -> i64 {
        self.intervals
            .iter()
            .map(|(open, part)| counted(open, *part))
            .sum()
    }
    fn attributes(&self) -> Attributes {
        let metered = self
            .intervals
            .last()
            .map(|(open, _)| open.attributes.clone());
        let reported = || self.records.first().map(|record| record.attributes());
        metered.or_else(reported).unwrap_or_default()
    }
    fn reported(&self) -> i64 {
        self.records
            .iter()
            .filter_map(|record| record.micros())
            .sum()
    }
    fn metered_in(&self, window: Period) -> i64 {
        let parts = self.intervals.iter();
        parts
            .filter_map(|(open, part)| Some(counted(open, part.intersect(&window)?)))
            .sum()
    }
    fn reported_in(&self, window: Period) -> i64 {
        let inside = self.records.iter().filter(|record| record.window == window);
        inside.filter_map(|record| record.micros()).sum()
    }
    /// The sum of what each record says again.
    fn repeated(&self) -> i64 {
        let mut seen: Vec<&UsageRecord> = Vec::new();
        let mut again = 0;
        for record in &self.records {
            if seen.contains(record) {
                again += record.micros().unwrap_or_default();
            } else {
                seen.push(record);
            }
        }
        again
    }
}

fn counted(interval: &Interval, part: Period) -> i64 {
    part.micros()
        .saturating_mul(interval.attributes.count.max(1))
}

/// How far apart they may lie: a share for each border in the period that is not merely a cut.
fn tolerance(group: &Group<'_>, period: Period, context: &Context<'_>) -> i64 {
    let mut sum = i64::try_from(group.records.len().max(1)).unwrap_or(i64::MAX / SECOND) * 5_000;
    let share = |interval: &Interval, border: Border| {
        let by_source = match border.source {
            BorderSource::Printed | BorderSource::Event => SECOND,
            BorderSource::Completed | BorderSource::FirstAnswer => 3 * SECOND,
            BorderSource::Sweep => 60 * SECOND,
        };
        let loose = (context.looseness)(&interval.meter.resource, border).unwrap_or(0);
        by_source.max(loose) * interval.attributes.count.max(1)
    };
    for (interval, _) in &group.intervals {
        let touches = |other: &Interval, at: Border| {
            let ends = other.end.is_some_and(|end| end.at == at.at);
            (other.start.at == at.at || ends) && !std::ptr::eq(other, *interval)
        };
        let cut = |at: Border| group.intervals.iter().any(|(other, _)| touches(other, at));
        let inside = |at: Border| period.start <= at.at && at.at < period.end;
        for border in [Some(interval.start), interval.end].into_iter().flatten() {
            if inside(border) && !cut(border) {
                sum += share(interval, border);
            }
        }
    }
    sum
}

fn judge(
    group: &Group<'_>,
    period: Period,
    windows: &[Period],
    context: &Context<'_>,
) -> Difference {
    let tolerance_micros = tolerance(group, period, context);
    let (metered_micros, reported_micros) = (group.metered(), group.reported());
    let apart = metered_micros - reported_micros;
    let (class, cause) = if apart.abs() <= tolerance_micros {
        match fault::in_agreement(group, tolerance_micros) {
            Some(cause) => (Class::KnownFault, Some(cause)),
            None => (Class::Agreement, None),
        }
    } else if let Some(cause) = fault::known(group, windows, tolerance_micros, context) {
        (Class::KnownFault, Some(cause))
    } else {
        let class = by_windows(group, windows, apart, tolerance_micros);
        (class, fault::by_itself(group, context))
    };
    Difference {
        class,
        cause,
        usage_type: group.usage_type,
        resource: group.resource.clone(),
        name: group.name.clone(),
        owner: group.owner.clone(),
        attributes: group.attributes(),
        metered_micros,
        reported_micros,
        tolerance_micros,
        records: group.records.len(),
    }
}

/// Whole windows that are there once too often or not at all, else merely different.
fn by_windows(group: &Group<'_>, windows: &[Period], apart: i64, tolerance: i64) -> Class {
    if group.records.is_empty() {
        return Class::Missing;
    }
    if group.intervals.is_empty() {
        return Class::Extra;
    }
    let near = |amount: i64| amount > 0 && (apart.abs() - amount).abs() <= tolerance;
    if apart < 0 && near(group.repeated()) {
        return Class::Doubled;
    }
    let sum = |of: &dyn Fn(Period) -> (i64, i64)| -> i64 {
        let pairs = windows.iter().map(|window| of(*window));
        pairs
            .filter(|(other, _)| *other == 0)
            .map(|(_, amount)| amount)
            .sum()
    };
    let missing = sum(&|window| (group.reported_in(window), group.metered_in(window)));
    let extra = sum(&|window| (group.metered_in(window), group.reported_in(window)));
    if apart > 0 && near(missing) {
        Class::Missing
    } else if apart < 0 && near(extra) {
        Class::Extra
    } else {
        Class::Different
    }
}

#[cfg(test)]
mod tests;
