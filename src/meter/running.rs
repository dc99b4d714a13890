//! Edge: the inventory beside the store's rows of it, and how it learns what other nodes stored.
//!
//! Stretches that ended lately are kept, too: the end of a machine may be seen before the end of
//! the job that began it, and what that job shows then is no second stretch.

use super::inventory::{Fact, Inventory};
use super::resource::{Change, MeterId};
use crate::store::{Store, StoreError, StoredInterval};
use crate::terms::ids::IntervalId;
use crate::terms::time::{HOUR, SECOND, Timestamp};
use std::collections::{BTreeSet, HashMap};

/// What runs, and the rows that say so.
#[derive(Debug, Default)]
pub(super) struct Running {
    pub(super) inventory: Inventory,
    pub(super) rows: Rows,
    /// The last change of the rows that is known here, where several nodes make them.
    pub(super) seen: i64,
}

/// Rows of what runs, by meter and by their own id.
#[derive(Debug, Default)]
pub(super) struct Rows {
    by_meter: HashMap<MeterId, StoredInterval>,
    meters: HashMap<IntervalId, MeterId>,
    ended: HashMap<MeterId, Vec<Span>>,
}

/// Where a change was observed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    /// In a call, its answer or its job.
    InACall,
    /// In a list of what there is.
    InASweep,
}

/// A stretch that ended.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: Timestamp,
    end: Timestamp,
}

/// How long a stretch is kept after its end; no job is told of later.
const ENDED_KEPT: i64 = 24 * HOUR;
/// CloudStack tells times by the second, our own are finer: a machine that is started again as it
/// stops seems to start up to so much before its end.
const SAME_MOMENT: i64 = 2 * SECOND;

impl Span {
    /// Whether what starts then is this stretch told once more.
    fn is(&self, start: Timestamp) -> bool {
        let at = start.plus(SAME_MOMENT);
        at >= self.start && at < self.end
    }
}

impl Rows {
    pub(super) fn insert(&mut self, row: StoredInterval) {
        let meter = row.interval.meter.clone();
        self.meters.insert(row.id, meter.clone());
        self.by_meter.insert(meter, row);
    }

    pub(super) fn remove(&mut self, meter: &MeterId) -> Option<StoredInterval> {
        let row = self.by_meter.remove(meter)?;
        self.meters.remove(&row.id);
        Some(row)
    }

    pub(super) fn get(&self, meter: &MeterId) -> Option<&StoredInterval> {
        self.by_meter.get(meter)
    }

    pub(super) fn get_mut(&mut self, meter: &MeterId) -> Option<&mut StoredInterval> {
        self.by_meter.get_mut(meter)
    }

    /// Keeps a stretch that ended.
    pub(super) fn keep_ended(&mut self, row: &StoredInterval) {
        if let Some(end) = row.interval.end {
            let spans = self.ended.entry(row.interval.meter.clone()).or_default();
            spans.push(Span {
                start: row.interval.start.at,
                end: end.at,
            });
        }
    }

    /// The end of the stretch that was told already, where what starts then is that one.
    pub(super) fn told_before(&self, meter: &MeterId, start: Timestamp) -> Option<Timestamp> {
        let spans = self.ended.get(meter)?;
        let same = spans.iter().filter(|span| span.is(start));
        same.map(|span| span.end).max()
    }

    /// Lets go of stretches that ended long ago.
    pub(super) fn forget_ended(&mut self, now: Timestamp) {
        self.ended.retain(|_, spans| {
            spans.retain(|span| now.since(span.end) < ENDED_KEPT);
            !spans.is_empty()
        });
    }

    /// Rows of things that got their real id take that name.
    pub(super) fn rename(&mut self, inventory: &Inventory, touched: &BTreeSet<MeterId>) {
        for old in touched {
            if let Some(mut row) = self.remove(old) {
                row.interval.meter.resource = inventory.current_name(&old.resource).clone();
                self.insert(row);
            }
        }
    }
}

impl Running {
    /// What the store says is running.
    pub(super) async fn read_back(store: &Store, now: Timestamp) -> Result<Self, StoreError> {
        // The change first: rows that come in between are read twice rather than never.
        let seen = store.tide().await?;
        let mut running = Self {
            seen: seen.unwrap_or_default(),
            ..Self::default()
        };
        for row in store.open_intervals(None).await? {
            running.take_in(row);
        }
        let lately = now.plus(ENDED_KEPT.saturating_neg());
        for row in store.intervals_ended_since(lately).await? {
            running.rows.keep_ended(&row);
        }
        running.settle();
        Ok(running)
    }

    /// Takes in what other nodes stored. Nothing may be half-observed then.
    pub(super) async fn catch_up(&mut self, store: &Store) -> Result<(), StoreError> {
        let Some(tide) = store.tide().await? else {
            return Ok(());
        };
        if tide == self.seen {
            return Ok(());
        }
        for row in store.intervals_changed(self.seen, tide).await? {
            if let Some(meter) = self.rows.meters.get(&row.id).cloned() {
                self.rows.remove(&meter);
                self.inventory.forget(&meter);
            }
            if row.interval.end.is_none() {
                self.take_in(row);
            } else {
                self.rows.keep_ended(&row);
            }
        }
        self.settle();
        self.seen = tide;
        Ok(())
    }

    /// What begins by what was observed and is a stretch that ended already: a call's late answer
    /// tells of that one; what a sweep finds has run on since its end.
    pub(super) fn drop_what_was_told(&mut self, seen: Seen) {
        for meter in self.inventory.touched() {
            if self.rows.get(&meter).is_some() {
                continue;
            }
            let Some(open) = self.inventory.open_of(&meter) else {
                continue;
            };
            let Some(end) = self.rows.told_before(&meter, open.start.at) else {
                continue;
            };
            let mut on = open.clone();
            self.inventory.forget(&meter);
            if seen == Seen::InASweep {
                on.start.at = end;
                self.inventory.apply(Change::Open(on));
            }
        }
    }

    fn take_in(&mut self, row: StoredInterval) {
        self.inventory.apply(Change::Open(row.interval.clone()));
        // What belongs to a VM ends with it, also after a restart.
        if let Some(vm) = row.interval.attributes.vm.clone() {
            let child = row.interval.meter.resource.clone();
            self.inventory.learn(Fact::Child(child, vm));
        }
        self.rows.insert(row);
    }

    fn settle(&mut self) {
        self.inventory.take_ended();
        self.inventory.settle();
    }
}
