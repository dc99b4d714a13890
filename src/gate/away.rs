//! Edge: raising calls while the books are away: refused, or let pass up to a cap and written down.
//!
//! `share.rs` says how much may pass, `journal.rs` keeps it durably beside this node, `pass.rs` is
//! the way of one call, `take_over.rs` brings it into the books when they answer again. Money that
//! stands in the journal stands nowhere else, and each row of it goes into the books once, under
//! the hold's own name.

pub mod journal;
pub(in crate::gate) mod pass;
pub mod share;
pub mod take_over;

use crate::ledger::records::{Accrual, PayerState};
use crate::meter::follow::Followed;
use crate::policy::customer::RuleSet;
use crate::policy::prepaid::StoreAway;
use crate::store::{Store, StoreError};
use crate::terms::ids::{CallId, PayerId};
use crate::terms::money::Micros;
use crate::terms::time::{BillingMonth, Timestamp};
use arc_swap::ArcSwap;
use journal::{Entry, Journal, JournalFault, Kept, Row};
use share::{NoRoom, Passed};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Calls that stand in a journal at once: each is looked at for each call that wants to pass.
const ENTRIES_MAX: usize = 20_000;

/// A payer as the books last showed him.
#[derive(Clone, Debug)]
pub struct Figures {
    /// His balances and terms.
    pub state: PayerState,
    /// The month of `accruals`; none where it cannot be named.
    pub month: Option<BillingMonth>,
    /// What his lines have come to in it.
    pub accruals: Vec<Accrual>,
}

/// What is known of a call that passed.
#[derive(Debug)]
pub(in crate::gate) enum Noted {
    /// It is under way.
    Nothing,
    /// Nothing came of it.
    NotMade,
    /// It was sent; the answer was a synchronous success where the second is true.
    Sent(Box<Followed>, bool),
}

#[derive(Debug)]
struct Live {
    entry: Entry,
    noted: Noted,
    /// Why the books do not take it.
    stuck: Option<String>,
}

/// What passes while the books are away, and what is known for it.
#[derive(Debug)]
pub struct Away {
    journal: Arc<Journal>,
    nodes: u32,
    live: Mutex<Vec<Live>>,
    figures: ArcSwap<BTreeMap<PayerId, Figures>>,
    turn: tokio::sync::Mutex<()>,
}

/// Why a call was not written down.
enum NotWritten {
    NoRoom(NoRoom),
    TooMany,
    Journal(JournalFault),
}

impl Away {
    /// Opens the node's journal in its folder, which must exist. `nodes` share each cap.
    ///
    /// # Errors
    /// [`JournalFault`] where it cannot be used: what stands in it must not be passed over.
    pub fn open(folder: &Path, nodes: u32) -> Result<Self, JournalFault> {
        let (journal, entries) = Journal::open(folder)?;
        if !entries.is_empty() {
            let count = entries.len();
            tracing::info!(verb = "away", count, "calls stand in the journal");
        }
        Ok(Self::of(journal, entries, nodes))
    }

    /// For a gate whose books are never away: nothing passes.
    #[must_use]
    pub fn never() -> Self {
        Self::of(Journal::none(), Vec::new(), 1)
    }

    fn of(journal: Journal, entries: Vec<Entry>, nodes: u32) -> Self {
        let live = entries.into_iter().map(|entry| Live {
            entry,
            noted: Noted::Nothing,
            stuck: None,
        });
        Self {
            journal: Arc::new(journal),
            nodes,
            live: Mutex::new(live.collect()),
            figures: ArcSwap::default(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    fn live(&self) -> MutexGuard<'_, Vec<Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many nodes share each cap.
    #[must_use]
    pub const fn nodes(&self) -> u32 {
        self.nodes
    }

    /// What stands in the journal and is in no books.
    #[must_use]
    pub fn passed(&self) -> Vec<Passed> {
        let live = self.live();
        let counted = live
            .iter()
            .filter(|one| !matches!(one.noted, Noted::NotMade));
        counted.map(|one| one.entry.passed.clone()).collect()
    }

    /// Whether something waits for the books.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.live().iter().any(|one| one.stuck.is_none())
    }

    /// What needs a person: rows that the books do not take, a journal that cannot be written.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let live = self.live();
        let stuck = live.iter().filter_map(|one| {
            let (passed, why) = (&one.entry.passed, one.stuck.as_ref()?);
            Some(format!(
                "{} of {} ({}) passed and is not in the books: {why}",
                one.entry.intent.command, passed.payer, passed.call
            ))
        });
        stuck.collect()
    }

    /// Why nothing can be written down; none where it can.
    #[must_use]
    pub fn journal_fault(&self) -> Option<String> {
        self.journal.fault()
    }

    /// The payer as the books last showed him; none where no call of his may pass.
    #[must_use]
    pub fn figures(&self, payer: &PayerId) -> Option<Figures> {
        self.figures.load().get(payer).cloned()
    }

    /// Reads the figures of every payer whose calls may pass.
    ///
    /// # Errors
    /// [`StoreError`]; what was read before stays.
    pub async fn refresh(
        &self,
        store: &Store,
        rules: &RuleSet,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut figures = BTreeMap::new();
        for payer in rules.customers.keys() {
            if rules.store_away(payer) == StoreAway::Closed {
                continue;
            }
            let Some(state) = store.payer(payer).await? else {
                continue;
            };
            let terms = rules.terms_of(payer);
            let month = terms.and_then(|terms| BillingMonth::containing(now, &terms.zone).ok());
            let accruals = match &month {
                Some(month) => store.accruals(payer, month).await?,
                None => Vec::new(),
            };
            let known = Figures {
                state,
                month,
                accruals,
            };
            figures.insert(payer.clone(), known);
        }
        self.figures.store(Arc::new(figures));
        Ok(())
    }

    /// Writes a call down where the cap has room for it; durable when this comes back.
    async fn write_down(
        &self,
        entry: Entry,
        cap: Micros,
        now: Timestamp,
    ) -> Result<(), NotWritten> {
        let call = entry.passed.call;
        let row = Row::Passed(Box::new(Kept::of(&entry)));
        {
            let mut live = self.live();
            if live.len() >= ENTRIES_MAX {
                return Err(NotWritten::TooMany);
            }
            let counted = live
                .iter()
                .filter(|one| !matches!(one.noted, Noted::NotMade))
                .map(|one| &one.entry.passed);
            let share = share::share(cap, self.nodes);
            share::admit(&entry.passed, counted, share, now).map_err(NotWritten::NoRoom)?;
            // Counted from here on, so that no other call takes the same room.
            live.push(Live {
                entry,
                noted: Noted::Nothing,
                stuck: None,
            });
        }
        let written = self.append(row).await;
        if written.is_err() {
            self.note(call, Noted::NotMade);
        }
        written.map_err(NotWritten::Journal)
    }

    async fn append(&self, row: Row) -> Result<(), JournalFault> {
        let journal = self.journal.clone();
        let written = tokio::task::spawn_blocking(move || journal.append(&row)).await;
        written.unwrap_or_else(|fault| Err(JournalFault::Failed(fault.to_string())))
    }

    /// What became of a call; false where it is in the books already.
    fn note(&self, call: CallId, noted: Noted) -> bool {
        let mut live = self.live();
        let found = live.iter_mut().find(|one| one.entry.passed.call == call);
        let Some(one) = found else { return false };
        if let Noted::Sent(followed, _) = &noted {
            one.entry.intent.job.clone_from(&followed.job);
        }
        one.noted = noted;
        true
    }
}
