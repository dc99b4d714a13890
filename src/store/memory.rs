//! Edge: books in memory, for simulations that run the line many thousand times.
//!
//! The same works are decided by the same rules as in the files; what is missing is the disk. Who
//! holds the receiving end of the queue is the writer: he commits, refuses, loses or delays what
//! waits, and may let the process that works with a store die while its rows live on.

use super::bundle::{self, StoredBundle};
use super::claims;
use super::commitment;
use super::error::StoreError;
use super::facts::Facts;
use super::ladder::LadderRows;
use super::work::{Done, Intent, IntentChange, IntervalChange, Notice, StoredInterval, Work};
use crate::ledger::caps::{Cap, CapShare, CappedResource};
use crate::ledger::grants::Grant;
use crate::ledger::records::{Accrual, Hold, HoldStatus, Transfer};
use crate::ledger::things::{Amounts, Things};
use crate::ledger::{Command, LedgerRefusal, Loaded, decide};
use crate::meter::commitment::Commitment;
use crate::terms::ids::{BundleId, CallId, CapId, HoldId, IntervalId, PayerId, ResourceId};
use crate::terms::limits::LEDGER_QUEUE_MAX;
use crate::terms::time::{BillingMonth, Period, Timestamp};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{mpsc, oneshot};

/// Every row of the books.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// What the ledger's rules read and write.
    pub ledger: Loaded,
    /// The commands that were applied, in order.
    pub commands: Vec<Command>,
    /// The transfers, in order.
    pub transfers: Vec<Transfer>,
    /// Intents.
    pub intents: BTreeMap<CallId, Intent>,
    /// Intervals.
    pub intervals: BTreeMap<IntervalId, StoredInterval>,
    /// Notices, oldest first.
    pub notices: Vec<Notice>,
    /// Values by name.
    pub meta: BTreeMap<String, String>,
    /// Bundles.
    pub bundles: BTreeMap<BundleId, StoredBundle>,
    /// Commitments.
    pub commitments: BTreeMap<ResourceId, Commitment>,
    /// Rows of the end ladder.
    pub ladder: LadderRows,
}

impl Rows {
    /// Does a work: all of it or none.
    ///
    /// # Errors
    /// The refusal of a limit or of the books.
    pub fn apply(&mut self, work: &Work) -> Result<Done, LedgerRefusal> {
        if !claims::bounded(&[work]).is_empty()
            && let Some(claim) = &work.claim
        {
            let has = self.things(&claim.payer);
            claims::admit(work, &BTreeMap::from([(claim.payer.clone(), has)]))?;
        }
        let mut done = Done::default();
        if let Some(command) = &work.command {
            done.effects = decide(command, &self.ledger)?;
            if !done.effects.already_done {
                self.ledger.absorb(&done.effects);
                self.transfers
                    .extend(done.effects.transfers.iter().cloned());
                self.commands.push(command.clone());
            }
        }
        work.intents.iter().for_each(|change| self.change(change));
        work.intervals.iter().for_each(|change| self.shift(change));
        for notice in &work.notices {
            let key = |it: &Notice| (it.payer.clone(), it.episode.clone(), it.step.clone());
            if !self.notices.iter().any(|it| key(it) == key(notice)) {
                self.notices.push(notice.clone());
            }
        }
        self.meta.extend(work.meta.iter().cloned());
        let bundles = &mut self.bundles;
        for change in &work.bundles {
            bundle::apply(bundles, change);
        }
        let commitments = &mut self.commitments;
        for change in &work.commitments {
            commitment::apply(commitments, change);
        }
        work.ladder
            .iter()
            .for_each(|change| self.ladder.apply(change));
        Ok(done)
    }

    fn change(&mut self, change: &IntentChange) {
        match change {
            IntentChange::Insert(row) => {
                self.intents.entry(row.call).or_insert_with(|| row.clone());
            }
            IntentChange::Update {
                call,
                status,
                job,
                resource,
                answered,
                updated,
                note,
            } => {
                let Some(row) = self.intents.get_mut(call) else {
                    return;
                };
                if !row.status.is_final() {
                    row.status = *status;
                }
                row.job = job.clone().or(row.job.take());
                row.resource = resource.clone().or(row.resource.take());
                row.answered = row.answered.or(*answered);
                row.updated = *updated;
                if let Some(note) = note {
                    row.note.clone_from(note);
                }
            }
        }
    }

    fn shift(&mut self, change: &IntervalChange) {
        match change {
            IntervalChange::Insert(row) => {
                self.intervals.entry(row.id).or_insert_with(|| row.clone());
            }
            IntervalChange::Replace(row) => {
                self.intervals.insert(row.id, row.clone());
            }
            IntervalChange::End { id, border } => {
                if let Some(row) = self.intervals.get_mut(id) {
                    row.interval.end = Some(*border);
                }
            }
        }
    }

    /// What a payer runs, and what his open calls are going to start.
    #[must_use]
    pub fn things(&self, payer: &PayerId) -> Things {
        let mut things = Things::default();
        for row in self.intervals.values() {
            let interval = &row.interval;
            if interval.end.is_some() || !of(row, Some(payer)) {
                continue;
            }
            let has = &interval.attributes;
            let amounts = Amounts {
                pieces: has.count.max(1),
                vcpus: has.vcpus.unwrap_or(0),
                memory_mib: has.memory_mib.unwrap_or(0),
                bytes: has.size_bytes.unwrap_or(0),
            };
            let zone = has.zone.as_deref().unwrap_or_default();
            things.add(interval.meter.usage_type.number(), zone, &amounts);
        }
        let open = self.intents.values().filter(|it| !it.status.is_final());
        for intent in open.filter(|intent| intent.payer.as_ref() == Some(payer)) {
            let planned: Value = serde_json::from_str(&intent.planned).unwrap_or_default();
            for row in planned["things"].as_array().into_iter().flatten() {
                let figure = |at: usize| row[at].as_i64().unwrap_or(0);
                let amounts = Amounts {
                    pieces: figure(2),
                    vcpus: figure(3),
                    memory_mib: figure(4),
                    bytes: figure(5),
                };
                let kind = u8::try_from(figure(0)).unwrap_or(0);
                things.add(kind, row[1].as_str().unwrap_or_default(), &amounts);
            }
        }
        let bundles = self.bundles.values().filter(|it| it.payer == *payer);
        for line in bundles.flat_map(|bundle| &bundle.lines) {
            let legs = line.hold.map(|hold| self.legs(hold)).unwrap_or_default();
            if legs.iter().any(|leg| leg.status == HoldStatus::Open) {
                things.add_all(&line.things);
            }
        }
        things
    }

    pub(super) fn legs(&self, hold: HoldId) -> Vec<Hold> {
        self.ledger.holds.get(&hold).cloned().unwrap_or_default()
    }

    /// Open holds, of one payer or of all, oldest first.
    #[must_use]
    pub fn open_holds(&self, payer: Option<&PayerId>) -> Vec<Hold> {
        let legs = self.ledger.holds.values().flatten();
        let open = legs.filter(|leg| leg.status == HoldStatus::Open);
        open.filter(|leg| payer.is_none_or(|payer| leg.payer == *payer))
            .cloned()
            .collect()
    }

    pub(super) fn cap_shares(&self, payer: &PayerId) -> Vec<CapShare> {
        let rows = self.ledger.cap_shares.values();
        rows.filter(|row| row.payer == *payer).cloned().collect()
    }

    pub(super) fn grants(&self, payer: &PayerId) -> Vec<Grant> {
        let rows = self.ledger.grants.get(payer);
        rows.cloned().unwrap_or_default()
    }

    pub(super) fn grants_due(&self, at: Timestamp) -> Vec<Grant> {
        let rows = self.ledger.grants.values().flatten();
        rows.filter(|row| row.is_due(at)).cloned().collect()
    }

    pub(super) fn caps(&self, ids: &[CapId]) -> Vec<Cap> {
        let found = ids.iter().filter_map(|id| self.ledger.caps.get(id));
        found.cloned().collect()
    }

    pub(super) fn cap_payers(&self, cap: &CapId) -> Vec<PayerId> {
        let shares = self.ledger.cap_shares.values();
        let of_cap = shares.filter(|share| share.cap == *cap);
        of_cap.map(|share| share.payer.clone()).collect()
    }

    pub(super) fn capped_resources(
        &self,
        payer: &PayerId,
        after: Timestamp,
    ) -> Vec<CappedResource> {
        let of_payer = |row: &&StoredInterval| row.payer.as_ref() == Some(payer);
        let ran = |row: &&StoredInterval| row.interval.end.is_none_or(|end| end.at > after);
        let rows = || self.intervals.values().filter(of_payer);
        let alive: BTreeSet<&ResourceId> = rows()
            .filter(ran)
            .map(|row| &row.interval.meter.resource)
            .collect();
        let mut found = Vec::new();
        for row in rows().filter(|row| alive.contains(&row.interval.meter.resource)) {
            let legs = row.hold.map(|hold| self.legs(hold)).unwrap_or_default();
            for leg in legs.into_iter().filter(|leg| leg.payer == *payer) {
                let capped = CappedResource {
                    resource: row.interval.meter.resource.clone(),
                    since: row.interval.start.at,
                    caps: leg.caps,
                };
                if !capped.caps.is_empty() && !found.contains(&capped) {
                    found.push(capped);
                }
            }
        }
        found
    }

    pub(super) fn accruals(&self, payer: &PayerId, month: &BillingMonth) -> Vec<Accrual> {
        let rows = self.ledger.accruals.values();
        rows.filter(|row| row.payer == *payer && row.month == *month)
            .cloned()
            .collect()
    }

    pub(super) fn intents_where(&self, wanted: impl Fn(&Intent) -> bool) -> Vec<Intent> {
        let rows = self.intents.values().filter(|intent| wanted(intent));
        rows.cloned().collect()
    }

    pub(super) fn recent_intents(&self, limit: usize) -> Vec<Intent> {
        self.intents.values().rev().take(limit).cloned().collect()
    }

    pub(super) fn intervals_where(
        &self,
        wanted: impl Fn(&StoredInterval) -> bool,
    ) -> Vec<StoredInterval> {
        let rows = self.intervals.values().filter(|row| wanted(row));
        rows.cloned().collect()
    }

    pub(super) fn intervals_in(
        &self,
        payer: Option<&PayerId>,
        period: Period,
    ) -> Vec<StoredInterval> {
        let mut rows = self.intervals_where(|row| {
            let interval = &row.interval;
            of(row, payer)
                && interval.start.at < period.end
                && interval.end.is_none_or(|end| end.at > period.start)
        });
        rows.sort_by_key(|row| (row.interval.start.at, row.id));
        rows
    }

    pub(super) fn intervals_of_all(&self, of: &[PayerId], period: Period) -> Vec<StoredInterval> {
        let mut rows = self.intervals_in(None, period);
        rows.retain(|row| row.payer.as_ref().is_some_and(|payer| of.contains(payer)));
        rows
    }

    pub(super) fn intervals_of(&self, resource: &ResourceId) -> Vec<StoredInterval> {
        let mut rows = self.intervals_where(|row| row.interval.meter.resource == *resource);
        rows.sort_by_key(|row| (row.interval.start.at, row.id));
        rows
    }

    pub(super) fn notices(&self, payer: Option<&PayerId>, limit: usize) -> Vec<Notice> {
        let rows = self.notices.iter().rev();
        rows.filter(|notice| payer.is_none_or(|payer| notice.payer == *payer))
            .take(limit)
            .cloned()
            .collect()
    }
}

/// Whether an interval is paid by this payer, or any is meant.
pub(super) fn of(row: &StoredInterval, payer: Option<&PayerId>) -> bool {
    payer.is_none_or(|payer| row.payer.as_ref() == Some(payer))
}

/// Rows that outlive the stores that are opened on them.
#[derive(Clone, Debug, Default)]
pub struct Books(Arc<Mutex<Rows>>);

impl Books {
    /// The rows, to look at or to change.
    pub fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A store on these rows, and its writer's end of the queue.
    #[must_use]
    pub fn open(&self) -> (super::Store, Writer) {
        let (queue, works) = mpsc::channel(LEDGER_QUEUE_MAX);
        let reach = Reach(Arc::new(AtomicU8::new(HERE)));
        let store = MemoryStore {
            books: self.clone(),
            queue,
            reach: reach.clone(),
            facts: Facts::nowhere(),
        };
        (super::Store::Memory(store), Writer { works, reach })
    }
}

const HERE: u8 = 0;
const AWAY: u8 = 1;
const DEAD: u8 = 2;

/// A work that waits, and where its answer goes.
#[derive(Debug)]
pub struct Waiting {
    /// The work.
    pub work: Work,
    /// Its answer; dropped, the outcome is not known.
    pub answer: oneshot::Sender<Result<Done, StoreError>>,
}

/// The writer's end.
#[derive(Debug)]
pub struct Writer {
    /// What waits.
    pub works: mpsc::Receiver<Waiting>,
    /// Whether the rows can be reached.
    pub reach: Reach,
}

/// Whether a process reaches its rows.
#[derive(Clone, Debug)]
pub struct Reach(Arc<AtomicU8>);

impl Reach {
    /// Lets questions fail, or be answered again.
    pub fn away(&self, is_away: bool) {
        if self.0.load(Ordering::Relaxed) != DEAD {
            let reach = if is_away { AWAY } else { HERE };
            self.0.store(reach, Ordering::Relaxed);
        }
    }

    /// The process that works with this store died: nothing that it asks is ever answered.
    pub fn kill(&self) {
        self.0.store(DEAD, Ordering::Relaxed);
    }
}

/// A store on rows in memory.
#[derive(Clone, Debug)]
pub struct MemoryStore {
    books: Books,
    queue: mpsc::Sender<Waiting>,
    reach: Reach,
    facts: Facts,
}

impl MemoryStore {
    pub(super) const fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(super) async fn submit(&self, work: Work) -> Result<Done, StoreError> {
        self.reach().await.or_else(|fault| match fault {
            // The writer says for himself whether he is there.
            StoreError::Lost(_) => Ok(()),
            other => Err(other),
        })?;
        let (answer, outcome) = oneshot::channel();
        let lost = || StoreError::Lost("the writer stopped before it answered".to_owned());
        let sent = self.queue.try_send(Waiting { work, answer });
        let told = match sent {
            Err(mpsc::error::TrySendError::Full(_)) => Err(StoreError::Busy),
            Ok(()) => outcome.await.unwrap_or_else(|_| Err(lost())),
            Err(_) => Err(lost()),
        };
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
        told
    }

    pub(super) async fn read<T>(&self, look: impl FnOnce(&Rows) -> T) -> Result<T, StoreError> {
        self.reach().await?;
        Ok(look(&self.books.rows()))
    }

    fn is_dead(&self) -> bool {
        self.reach.0.load(Ordering::Relaxed) == DEAD
    }

    async fn reach(&self) -> Result<(), StoreError> {
        if self.is_dead() {
            std::future::pending::<()>().await;
        }
        match self.reach.0.load(Ordering::Relaxed) {
            HERE => Ok(()),
            _ => Err(StoreError::Lost("the books cannot be read".to_owned())),
        }
    }
}
