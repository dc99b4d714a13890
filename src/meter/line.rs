//! Edge: an answer of CloudStack becomes intervals, a settled hold and a moved figure.
//!
//! What is observed is applied in memory and stored in one transaction with the settlement of its
//! hold; if the store says no, the inventory is read back from it. Where several nodes meter,
//! each takes in what the others stored before it observes, and the store refuses what was
//! decided on less than all of it.

use super::commitment::{Changes, Rule};
use super::in_flight::{InFlight, Outcome};
use super::inventory::Inventory;
use super::moved::{self, Moved};
use super::observe::{Observed, ObservedCall};
use super::resource::{Interval, Owner};
use super::running::{Running, Seen};
use crate::clock::Clock;
use crate::ledger::Command;
use crate::policy::customer::{OwnerPath, PayerChoice, RuleSet};
use crate::store::{
    AuditRow, Done, IntentChange, IntervalChange, Store, StoreError, StoredInterval, Work,
};
use crate::terms::ids::{HoldId, IntervalId, PayerId};
use crate::terms::time::Timestamp;
use crate::upstream::UpstreamError;
use crate::upstream::directory::Directory;
use crate::upstream::service::Service;
use arc_swap::ArcSwap;
use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError};
use tokio::sync::{Mutex, mpsc};

mod fill;
mod rules;

use fill::observe_all;

/// So often at most an observation is computed again because of what came in between.
const STALE_MAX: usize = 64;

/// What was observed could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum MeterFault {
    /// The store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// CloudStack could not be asked.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// What happens to the books together with what was observed.
#[derive(Clone, Debug, Default)]
pub struct Settlement {
    /// For the ledger: settle or give back.
    pub command: Option<Command>,
    /// The intent's new state.
    pub intents: Vec<IntentChange>,
    /// The hold that the new intervals come from.
    pub hold: Option<HoldId>,
    /// The payer whom the call is held against, where that need not be the owner's.
    pub in_doubt: Option<PayerId>,
    /// It succeeded: one-off prices fall due for what it started.
    pub succeeded: bool,
    /// Rules that the call made or changed.
    pub rules: Vec<Rule>,
    /// What changes of the commitments with it.
    pub commitments: Changes,
}

/// Moves that are shown to operators, newest first.
const MOVED_MAX: usize = 50;

/// The live meter.
#[derive(Debug)]
pub struct Meter {
    store: Store,
    service: Arc<Service>,
    directory: Arc<Directory>,
    rules: Arc<ArcSwap<RuleSet>>,
    clock: Clock,
    wake: mpsc::Sender<PayerId>,
    running: Mutex<Running>,
    in_flight: InFlight,
    moved: std::sync::Mutex<Vec<Moved>>,
}

/// A work that was handed in.
struct Sent {
    done: Outcome,
    moved: Option<Moved>,
    payers: BTreeSet<PayerId>,
}

impl Meter {
    /// The meter, with what the store says is running.
    ///
    /// # Errors
    /// [`StoreError`] where that cannot be read.
    pub async fn open(
        store: Store,
        service: Arc<Service>,
        directory: Arc<Directory>,
        rules: Arc<ArcSwap<RuleSet>>,
        clock: Clock,
        wake: mpsc::Sender<PayerId>,
    ) -> Result<Self, StoreError> {
        let running = Mutex::new(Running::read_back(&store, clock.billing()).await?);
        Ok(Self {
            store,
            service,
            directory,
            rules,
            clock,
            wake,
            running,
            in_flight: InFlight::default(),
            moved: std::sync::Mutex::default(),
        })
    }

    /// Keeps what a call and its answer show, together with what happens to its hold. A gap that
    /// the answer leaves (a root volume, a source NAT address) is filled by asking CloudStack.
    ///
    /// # Errors
    /// [`MeterFault`]; nothing was kept then.
    pub async fn record(
        &self,
        calls: &[ObservedCall<'_>],
        mut settlement: Settlement,
    ) -> Result<(), MeterFault> {
        let filled = self.fill(calls).await?;
        settlement.commitments = self.commitments(calls, &settlement).await?;
        let show = |running: &mut Running| {
            let _ = observe_all(calls, &filled, &mut running.inventory);
        };
        self.change(show, &settlement, Seen::InACall).await
    }

    /// Applies changes that a sweep found, of what runs and of the rules that start it.
    ///
    /// # Errors
    /// [`MeterFault`].
    pub async fn apply(&self, observed: Observed, commitments: Changes) -> Result<(), MeterFault> {
        let show = |it: &mut Running| drop(observed.clone().apply_to(&mut it.inventory));
        let found = Settlement {
            commitments,
            ..Settlement::default()
        };
        self.change(show, &found, Seen::InASweep).await
    }

    /// What runs now.
    pub async fn running(&self) -> Vec<Interval> {
        let known = |inventory: &Inventory| inventory.running().cloned().collect();
        self.with_inventory(known).await
    }

    /// Looks at the inventory without changing it.
    pub async fn with_inventory<T>(&self, look: impl FnOnce(&Inventory) -> T) -> T {
        let mut running = self.running.lock().await;
        if let Err(fault) = self.know(&mut running).await {
            tracing::warn!(verb = "meter", %fault, "what was stored is not known yet");
        }
        look(&running.inventory)
    }

    /// The inventory as the store has it: read back after a work that was not done, and with what
    /// other nodes stored.
    async fn know(&self, running: &mut Running) -> Result<(), StoreError> {
        if self.in_flight.is_broken() {
            self.in_flight.quiet().await;
            *running = Running::read_back(&self.store, self.clock.billing()).await?;
            self.in_flight.mended();
        }
        running.catch_up(&self.store).await
    }

    /// Shows something to the inventory and stores what changes by it, with the settlement.
    /// Changes of different things wait for their commits side by side: one sync serves them all.
    async fn change(
        &self,
        show: impl Fn(&mut Running),
        settlement: &Settlement,
        seen: Seen,
    ) -> Result<(), MeterFault> {
        for _ in 0..STALE_MAX {
            let sent = {
                let mut running = self.running.lock().await;
                self.know(&mut running).await?;
                show(&mut running);
                match self.send(&mut running, settlement.clone(), seen).await {
                    Ok(Some(sent)) => sent,
                    Ok(None) => return Ok(()),
                    Err(MeterFault::Store(StoreError::Stale)) => continue,
                    Err(fault) => {
                        self.in_flight.broke();
                        return Err(fault);
                    }
                }
            };
            match sent.done.await {
                Err(StoreError::Stale) => {}
                Err(fault) => return Err(fault.into()),
                Ok(done) => {
                    self.tell(sent.moved, sent.payers, done).await;
                    return Ok(());
                }
            }
        }
        Err(StoreError::Stale.into())
    }

    /// Hands in the difference between the inventory and its rows, with the settlement; none
    /// where there is nothing to store.
    async fn send(
        &self,
        running: &mut Running,
        settlement: Settlement,
        seen: Seen,
    ) -> Result<Option<Sent>, MeterFault> {
        if seen == Seen::InASweep {
            running.rows.forget_ended(self.clock.billing());
        }
        running.drop_what_was_told(seen);
        let mut payers = settlement.commitments.payers.clone();
        let intervals = self
            .difference(running, settlement.hold, &mut payers)
            .await?;
        let moved = moved::moved(&settlement, &intervals);
        let settlement = match &moved {
            Some(_) => moved::given_back(settlement, &self.rules.load(), &intervals),
            None => settlement,
        };
        let work = Work {
            command: settlement.command,
            intents: settlement.intents,
            commitments: settlement.commitments.changes,
            seen: (!intervals.is_empty()).then_some(running.seen),
            intervals,
            ..Work::default()
        };
        if work == Work::default() {
            return Ok(None);
        }
        if self.in_flight.overlaps(&work.intervals) {
            self.in_flight.quiet().await;
        }
        if self.in_flight.is_broken() {
            // What this was decided on may not be stored: it is decided again.
            return Err(StoreError::Stale.into());
        }
        let mut done = self.in_flight.send(&self.store, work).await;
        if self.store.shared() {
            // The next change is decided on this one's turn.
            let outcome = done.await;
            if let Ok(outcome) = &outcome {
                running.seen = outcome.tide.unwrap_or(running.seen);
            }
            done = InFlight::over(outcome);
        }
        Ok(Some(Sent {
            done,
            moved,
            payers,
        }))
    }

    /// What is to be told after a commit.
    async fn tell(&self, moved: Option<Moved>, mut payers: BTreeSet<PayerId>, done: Done) {
        payers.extend(done.effects.payers.into_iter().map(|p| p.payer));
        if let Some(moved) = moved {
            self.tell_of(moved).await;
        }
        for payer in payers {
            // A full queue means that renewals are under way already.
            let _ = self.wake.try_send(payer);
        }
    }

    /// Calls that turned out to be another payer's since the start, for an alarm; newest first.
    #[must_use]
    pub fn moved(&self) -> Vec<Moved> {
        let moved = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        moved.clone()
    }

    /// The books are right already; a note that cannot be written is in the log.
    async fn tell_of(&self, moved: Moved) {
        let payer = moved
            .payer
            .as_ref()
            .map_or("nobody", |payer| payer.as_str());
        let Moved { call, caller, .. } = &moved;
        tracing::error!(verb = "settle", %call, %caller, payer, "what a call made is another's");
        let row = AuditRow {
            at: self.clock.wall(),
            call: *call,
            command: String::new(),
            payer: moved.payer.clone(),
            verdict: "moved".to_owned(),
            reason: format!("held against {caller}, who may not act for {payer} or so it seemed"),
            price: None,
        };
        if let Err(fault) = self.store.facts().audit(&[row]).await {
            tracing::warn!(verb = "audit", %fault, "a moved call was not noted");
        }
        let mut all = self.moved.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(0, moved);
        all.truncate(MOVED_MAX);
    }

    /// What the store has to learn. The inventory may have renamed things that it knew by a
    /// makeshift id, so rows are found by their present name.
    async fn difference(
        &self,
        running: &mut Running,
        hold: Option<HoldId>,
        payers: &mut BTreeSet<PayerId>,
    ) -> Result<Vec<IntervalChange>, UpstreamError> {
        let Running {
            inventory, rows, ..
        } = running;
        let mut changes = Vec::new();
        let touched = inventory.touched();
        rows.rename(inventory, &touched);
        for ended in inventory.take_ended() {
            let row = match rows.remove(&ended.meter) {
                Some(row) => row,
                None if rows.told_before(&ended.meter, ended.start.at).is_some() => continue,
                // It started and ended within what was observed at once.
                None => self.row(&ended, hold).await?,
            };
            payers.extend(row.payer.clone());
            let row = StoredInterval {
                interval: ended,
                ..row
            };
            rows.keep_ended(&row);
            changes.push(IntervalChange::Replace(row));
        }
        for open in touched.iter().filter_map(|meter| inventory.open_of(meter)) {
            match rows.get_mut(&open.meter) {
                Some(row) if row.interval == *open => continue,
                Some(row) => row.interval = open.clone(),
                None => rows.insert(self.row(open, hold).await?),
            }
            if let Some(row) = rows.get(&open.meter) {
                payers.extend(row.payer.clone());
                changes.push(IntervalChange::Replace(row.clone()));
            }
        }
        inventory.settle();
        Ok(changes)
    }

    async fn row(
        &self,
        interval: &Interval,
        hold: Option<HoldId>,
    ) -> Result<StoredInterval, UpstreamError> {
        let payer = self.payer_of(&interval.owner, interval.start.at).await?;
        let id = IntervalId::from_bits(self.clock.id_bits());
        Ok(StoredInterval {
            id,
            payer,
            hold,
            interval: interval.clone(),
        })
    }

    /// Who pays for what this owner has.
    ///
    /// # Errors
    /// [`UpstreamError`] where CloudStack could not be asked for the owner's domains.
    pub async fn payer_of(
        &self,
        owner: &Owner,
        at: Timestamp,
    ) -> Result<Option<PayerId>, UpstreamError> {
        let path = self
            .directory
            .path(&owner.domain)
            .await?
            .unwrap_or_default();
        let domains: Vec<&str> = path.iter().map(|id| id.as_str()).collect();
        let account = match (&owner.account, &owner.account_name) {
            (Some(id), _) => Some(id.as_str().to_owned()),
            (None, Some(name)) => self
                .directory
                .account(name, &owner.domain)
                .await?
                .map(|account| account.id.as_str().to_owned()),
            (None, None) => None,
        };
        let path = OwnerPath {
            project: owner.project.as_ref().map(|id| id.as_str()),
            account: account.as_deref(),
            domains: &domains,
        };
        match self.rules.load().payer_for(&path, at) {
            PayerChoice::Payer(payer) => Ok(Some(payer)),
            PayerChoice::Refuse | PayerChoice::House => Ok(None),
        }
    }
}
