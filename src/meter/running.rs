//! Edge: the inventory beside the store's rows of it, and how it learns what other nodes stored.

use super::inventory::{Fact, Inventory};
use super::resource::{Change, MeterId};
use crate::store::{Store, StoreError, StoredInterval};
use crate::terms::ids::IntervalId;
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
    pub(super) async fn read_back(store: &Store) -> Result<Self, StoreError> {
        // The change first: rows that come in between are read twice rather than never.
        let seen = store.tide().await?;
        let mut running = Self {
            seen: seen.unwrap_or_default(),
            ..Self::default()
        };
        for row in store.open_intervals(None).await? {
            running.take_in(row);
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
            }
        }
        self.settle();
        self.seen = tide;
        Ok(())
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
