//! Edge: one renewal, from the payer's books to his new cover. Start reading here.
//!
//! What was consumed accrues, the cover is filled up to the horizon or let go, and what the
//! forecast asks for is told. The resellers above the payer are renewed in the same transaction,
//! at their own prices, over all that runs below them. The figures are computed from one version of
//! each row; if one changed in between, they are computed again. Holds that settle meanwhile do not
//! change it.

use super::caps;
use super::cover::{self, Pricing, Renewal};
use super::trust::Trust;
use super::windows::Windows;
use super::{retention, tell};
use crate::clock::Clock;
use crate::ledger::caps::Cap;
use crate::ledger::command::{Retention, RetentionStep};
use crate::ledger::records::PayerState;
use crate::ledger::{Command, LedgerRefusal};
use crate::meter::resource::Interval;
use crate::policy::customer::RuleSet;
use crate::rate::RateError;
use crate::store::{Done, Notice, Store, StoreError, Work};
use crate::terms::ids::{CapId, PayerId};
use crate::terms::money::MoneyError;
use crate::terms::time::{MonthError, Period, Timestamp};
use arc_swap::ArcSwap;
use facts::Facts;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

mod ends;
mod facts;
mod late;
mod used_up;

pub use ends::end_due;

/// A hold that came in between makes a renewal stale; this many in a row are not to be expected.
const CONFLICTS_MAX: usize = 32;
/// How often payers are looked at whether they are due, wall time.
const TICK: Duration = Duration::from_millis(250);
/// A payer that was woken rests so many times as long as his renewal took, so that a payer of
/// many things does not keep the gate at it; at most this long.
const REST: u32 = 20;
const REST_MAX: Duration = Duration::from_secs(5);

/// Why a payer could not be renewed: he is parked with it, the others go on.
#[derive(Debug, thiserror::Error)]
pub enum RenewalFault {
    /// No customer of that name in the policies.
    #[error("payer `{0}` has no line in policies/customers; write one back")]
    NoCustomer(PayerId),
    /// His consumption could not be priced.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An amount left its range.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// His months could not be named.
    #[error(transparent)]
    Month(#[from] MonthError),
    /// The clock jumped: what it says now is no time that anything ran for.
    #[error("the clock jumped; renewals wait until an operator looked at it and lets them go on")]
    Halted,
    /// Holds came in faster than renewals.
    #[error("payer `{0}` changed {CONFLICTS_MAX} times while a renewal was computed")]
    TooBusy(PayerId),
}

/// Renews every payer when he is due, and at once when told.
#[derive(Debug)]
pub struct Renewals {
    store: Store,
    rules: Arc<ArcSwap<RuleSet>>,
    clock: Clock,
    trust: Trust,
    parked: Mutex<BTreeMap<PayerId, String>>,
    one_at_a_time: tokio::sync::Mutex<()>,
    /// Caps that a renewal found used up.
    used_up: Mutex<BTreeSet<CapId>>,
    /// Sampling windows of what is known only later.
    pub windows: Windows,
}

impl Renewals {
    /// Renewals of this store's payers by these rules.
    #[must_use]
    pub fn new(store: Store, rules: Arc<ArcSwap<RuleSet>>, clock: Clock) -> Self {
        Self {
            store,
            rules,
            trust: Trust::new(clock.clone()),
            clock,
            parked: Mutex::default(),
            one_at_a_time: tokio::sync::Mutex::new(()),
            used_up: Mutex::default(),
            windows: Windows::default(),
        }
    }

    /// The same with these sampling windows.
    #[must_use]
    pub fn with_windows(self, windows: Windows) -> Self {
        Self { windows, ..self }
    }

    /// Renews due payers until told to stop; a payer that comes in by `wake` at the next tick after
    /// his rest.
    pub async fn run(&self, mut wake: mpsc::Receiver<PayerId>, mut stop: watch::Receiver<bool>) {
        let mut tick = tokio::time::interval(TICK);
        let mut woken = BTreeSet::new();
        let mut rests = BTreeMap::new();
        loop {
            tokio::select! {
                Some(payer) = wake.recv() => drop(woken.insert(payer)),
                _ = tick.tick() => {
                    self.trust.look();
                    self.renew_woken(&mut woken, &mut rests).await;
                    self.renew_due().await;
                }
                _ = stop.changed() => return,
            }
        }
    }

    /// A payer whose calls end all the time is renewed once for all of them, and then rests; one
    /// that rests stays woken.
    async fn renew_woken(
        &self,
        woken: &mut BTreeSet<PayerId>,
        rests: &mut BTreeMap<PayerId, std::time::Instant>,
    ) {
        if self.halted() {
            return;
        }
        let now = self.clock.monotonic();
        rests.retain(|_, until| *until > now);
        let all = std::mem::take(woken).into_iter();
        let (resting, due): (BTreeSet<_>, BTreeSet<_>) =
            all.partition(|payer| rests.contains_key(payer));
        *woken = resting;
        for payer in due {
            let began = self.clock.monotonic();
            self.renew_or_park(&payer).await;
            let ended = self.clock.monotonic();
            let rest = (ended.duration_since(began) * REST).min(REST_MAX);
            rests.insert(payer, ended + rest);
        }
    }

    /// Renews a payer up to now, in steps of at most 3 P, oldest first.
    ///
    /// # Errors
    /// [`RenewalFault`]; what accrued before it stays.
    pub async fn catch_up(&self, payer: &PayerId) -> Result<(), RenewalFault> {
        let _turn = self.one_at_a_time.lock().await;
        let now = self.clock.billing();
        // Looked at after the time was taken: a jump before that is known by now.
        self.trust.look();
        if self.halted() {
            return Err(RenewalFault::Halted);
        }
        // The resellers above him are renewed with him, and none of them further than his step.
        let mut steps = BTreeSet::new();
        let chain = self.rules.load_full().chain_of(payer);
        for one in &chain {
            steps.extend(self.steps(one, now).await?);
        }
        steps.extend(self.before_ends(&chain, now).await?);
        if steps.is_empty() {
            steps.insert(now);
        }
        for through in steps {
            self.renew(payer, through, None).await?;
        }
        Ok(())
    }

    /// The instants at which a payer is renewed up to now: a single one where nothing ran.
    async fn steps(&self, payer: &PayerId, now: Timestamp) -> Result<Vec<Timestamp>, RenewalFault> {
        let Some(state) = self.store.payer(payer).await? else {
            return Err(RenewalFault::NoCustomer(payer.clone()));
        };
        let since = Period {
            start: state.accrued_through,
            end: now.plus(1),
        };
        let mut idle = true;
        for one in self.rules.load_full().supplied_through(payer) {
            idle = idle && !self.store.has_intervals_in(&one, since).await?;
        }
        let interval = match idle {
            true => i64::MAX / 4,
            false => self.relaxed(payer)?,
        };
        Ok(cover::catch_up(state.accrued_through, now, interval))
    }

    /// Whether a payer lags by more than his longest step: no raising call before he is renewed.
    ///
    /// # Errors
    /// [`RenewalFault`].
    pub fn lags(&self, state: &PayerState) -> Result<bool, RenewalFault> {
        let behind = self.clock.billing().since(state.accrued_through);
        Ok(behind > self.relaxed(&state.payer)?.saturating_mul(3))
    }

    /// Payers that could not be renewed, with the reason.
    #[must_use]
    pub fn parked(&self) -> BTreeMap<PayerId, String> {
        self.parked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The clock jumped: renewals wait for an operator.
    #[must_use]
    pub fn halted(&self) -> bool {
        self.trust.halted()
    }

    /// An operator looked at the clock: renewals go on.
    pub fn resume(&self) {
        self.trust.resume();
    }

    /// One renewal of a payer and of the resellers above him: load, decide, store, all or none.
    /// What was accrued up to now is looked at again from `since` on.
    async fn renew(
        &self,
        payer: &PayerId,
        through: Timestamp,
        since: Option<Timestamp>,
    ) -> Result<(), RenewalFault> {
        for _ in 0..CONFLICTS_MAX {
            let rules = self.rules.load_full();
            let chain = rules.chain_of(payer);
            let mut renewals = Vec::with_capacity(chain.len());
            for one in &chain {
                match self.computed(one, &rules, through, since).await? {
                    Some(renewal) => renewals.push(renewal),
                    None => break,
                }
            }
            if renewals.len() < chain.len() {
                continue;
            }
            match self.store.submit(Work::of(cover::command(&renewals))).await {
                Ok(done) => return self.tell_all(&rules, &renewals, &done, through).await,
                Err(StoreError::Refused(LedgerRefusal::Conflict { .. })) => {
                    self.end_before(&chain, through).await?;
                }
                Err(fault) => return Err(fault.into()),
            }
        }
        Err(RenewalFault::TooBusy(payer.clone()))
    }

    /// A payer's renewal from what is stored now; none where it has to be computed again.
    async fn computed(
        &self,
        payer: &PayerId,
        rules: &RuleSet,
        through: Timestamp,
        since: Option<Timestamp>,
    ) -> Result<Option<Renewal>, RenewalFault> {
        let (Some(book), Some(terms), Some(profile)) = (
            rules.book_of(payer),
            rules.terms_of(payer),
            rules.profile_of(payer),
        ) else {
            return Err(RenewalFault::NoCustomer(payer.clone()));
        };
        let pricing = Pricing {
            book,
            terms: &terms,
            profile,
        };
        let facts = self
            .load(payer, (rules, &terms.zone), through, since)
            .await?;
        let Some(facts) = facts else { return Ok(None) };
        let through = through.max(facts.state.accrued_through);
        let (accruals, intervals) = (&facts.accruals, &facts.intervals);
        let kept = facts.kept(rules, through);
        let what = (intervals.as_slice(), kept.as_slice());
        let mut renewal = cover::renew(pricing, &facts.state, accruals, what, through)?;
        let capped = (rules.caps.as_slice(), &facts.capped);
        renewal.command.caps = caps::totals(pricing, capped, intervals, through)?;
        let totals = &renewal.command.totals;
        let window = self
            .windows
            .open(pricing, &facts.state, intervals, totals, through)?;
        if let Some(window) = window {
            let target = renewal.command.cover_target.plus(window.held)?;
            renewal.command.cover_target = target;
        }
        Ok((!self.draw(&facts, &renewal).await?).then_some(renewal))
    }

    /// What a renewal found is told to each payer of the chain, of himself alone.
    async fn tell_all(
        &self,
        rules: &RuleSet,
        renewals: &[Renewal],
        done: &Done,
        through: Timestamp,
    ) -> Result<(), RenewalFault> {
        for renewal in renewals {
            let payer = &renewal.command.payer;
            let own = |row: &&Cap| renewal.command.caps.iter().any(|cap| cap.cap == row.id);
            let rows: Vec<Cap> = done.effects.caps.iter().filter(own).cloned().collect();
            self.note_used_up(rules, &rows);
            let over = caps::notices(&rules.caps, &rows);
            self.tell_caps(payer, over, through).await?;
            let mut payers = done.effects.payers.iter();
            if let Some(state) = payers.find(|state| state.payer == *payer) {
                let burn = (renewal.burn_per_hour, renewal.aside);
                tell::tell(&self.store, rules, state, burn, self.clock.wall()).await?;
            }
        }
        Ok(())
    }

    /// A cap that a renewal passed although it is used up is told once a period.
    async fn tell_caps(
        &self,
        payer: &PayerId,
        over: Vec<(String, String)>,
        at: Timestamp,
    ) -> Result<(), RenewalFault> {
        if over.is_empty() {
            return Ok(());
        }
        let told = self.store.notices(Some(payer), 100).await?;
        let mut notices = Vec::new();
        for (episode, text) in over {
            if told.iter().any(|notice| notice.episode == episode) {
                continue;
            }
            tracing::warn!(verb = "cap", %payer, %episode, "a renewal passed a cap that is used up");
            notices.push(Notice {
                payer: payer.clone(),
                episode,
                step: "cap".to_owned(),
                text,
                at,
            });
        }
        if !notices.is_empty() {
            let work = Work {
                notices,
                ..Work::default()
            };
            self.store.submit(work).await?;
        }
        Ok(())
    }

    /// Consumption is taken from the money kept for storage first; then the renewal is computed
    /// again.
    async fn draw(&self, facts: &Facts, renewal: &Renewal) -> Result<bool, RenewalFault> {
        let Facts {
            state,
            accruals,
            intervals,
            ..
        } = facts;
        let lines = retention::draws(&renewal.command, state, accruals, intervals)?;
        if lines.is_empty() {
            return Ok(false);
        }
        let through = renewal.command.through;
        let command = Command::Retention(Retention {
            id: format!("{}/draw/{}", state.payer, through.micros()),
            payer: state.payer.clone(),
            step: RetentionStep::Draw(lines),
            at: through,
        });
        self.store.submit(Work::of(command)).await?;
        Ok(true)
    }

    async fn renew_due(&self) {
        // Where several nodes share the books, one of them renews for all.
        if self.halted() || !self.store.keeps() {
            return;
        }
        let payers = match self.store.payers().await {
            Ok(payers) => payers,
            Err(fault) => {
                tracing::error!(verb = "renew", %fault, "payers cannot be read");
                return;
            }
        };
        for state in payers {
            if self.is_due(&state).await {
                self.renew_or_park(&state.payer).await;
            }
        }
        self.end_grants().await;
    }

    async fn is_due(&self, state: &PayerState) -> bool {
        let payer = &state.payer;
        let rules = self.rules.load_full();
        let Some(profile) = rules.profile_of(payer) else {
            return false;
        };
        let now = self.clock.billing();
        // Nobody is due sooner: what he has need not be read to know that.
        if now.since(state.accrued_through) < cover::soonest_renewal(profile) {
            return false;
        }
        let mut intervals: Vec<Interval> = Vec::new();
        for one in rules.supplied_through(payer) {
            let Ok(open) = self.store.open_intervals(Some(&one)).await else {
                return false;
            };
            intervals.extend(open.into_iter().map(|stored| stored.interval));
        }
        let burn = match (rules.book_of(payer), rules.terms_of(payer)) {
            (Some(book), Some(terms)) => {
                crate::rate::burn_per_hour(book, &terms, &intervals, now).unwrap_or_default()
            }
            _ => return false,
        };
        let wait = cover::renewal_interval(profile, state, burn, !intervals.is_empty());
        matches!(wait, Ok(Some(wait)) if now.since(state.accrued_through) >= wait)
    }

    async fn renew_or_park(&self, payer: &PayerId) {
        let outcome = self.catch_up(payer).await;
        self.note(payer, outcome);
    }

    /// Parks a payer that could not be renewed, and takes him out when he could.
    fn note(&self, payer: &PayerId, outcome: Result<(), RenewalFault>) {
        let mut parked = self.parked.lock().unwrap_or_else(PoisonError::into_inner);
        match outcome {
            Ok(()) => {
                parked.remove(payer);
            }
            // All wait, and the clock's own alarm says so.
            Err(RenewalFault::Halted) => {}
            Err(fault) => {
                tracing::error!(verb = "renew", payer = %payer, %fault, "payer is parked");
                parked.insert(payer.clone(), fault.to_string());
            }
        }
    }

    fn relaxed(&self, payer: &PayerId) -> Result<i64, RenewalFault> {
        let rules = self.rules.load();
        let profile = rules.profile_of(payer);
        profile
            .map(|profile| profile.renewal_relaxed().max(1))
            .ok_or_else(|| RenewalFault::NoCustomer(payer.clone()))
    }
}
