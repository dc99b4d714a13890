//! Edge: one payer's end ladder, from his figures to what is done to his machines. Start reading
//! here.
//!
//! load the episode → is it over? → has stopping to begin? → follow what was sent → decide what is
//! next (pure) → store the intent → send. One node acts for all, the one that has the keeper's
//! lease: a node that lost it cannot commit, and what is not committed is not sent.

use super::actor::Actor;
use super::climb::{self, Figures, LadderFault};
use super::episode::{
    Action, ActionStatus, ActionStep, Episode, Machine, Next, needed, next_stops,
};
use super::ladder::{self, Step};
use super::line::Renewals;
use super::tell;
use crate::clock::Clock;
use crate::ledger::records::Purse;
use crate::policy::customer::RuleSet;
use crate::store::{LadderChange, Store, StoreError, Work};
use crate::terms::ids::{PayerId, ResourceId};
use crate::terms::money::Micros;
use arc_swap::ArcSwap;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How often payers with an episode are looked at, wall time.
const TICK: Duration = Duration::from_millis(500);
/// How often stopped machines are looked at, wall time.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// The ladder of every payer whose money ends.
#[derive(Debug)]
pub struct Ladder {
    store: Store,
    rules: Arc<ArcSwap<RuleSet>>,
    clock: Clock,
    renewals: Arc<Renewals>,
    actor: Option<Actor>,
    /// The last start of the gate or alarm of the clock.
    quiet_since: Mutex<Instant>,
    looked: Mutex<BTreeMap<PayerId, Instant>>,
    failures: AtomicI64,
}

/// A payer's episode, and what was done in it.
struct Run {
    episode: Episode,
    actions: Vec<Action>,
}

impl Run {
    fn is_open(&self) -> bool {
        self.actions.iter().any(|one| !one.status.is_final())
    }

    fn put(&mut self, action: Action) {
        match self.actions.iter_mut().find(|one| one.id() == action.id()) {
            Some(known) => *known = action,
            None => self.actions.push(action),
        }
    }

    fn has(&self, step: ActionStep, resource: &ResourceId) -> bool {
        let mut actions = self.actions.iter();
        actions.any(|one| one.step == step && one.resource == *resource)
    }
}

impl Ladder {
    /// The ladder of this store's payers; without an actor it only tells.
    #[must_use]
    pub fn new(
        store: Store,
        rules: Arc<ArcSwap<RuleSet>>,
        clock: Clock,
        renewals: Arc<Renewals>,
        actor: Option<Actor>,
    ) -> Self {
        Self {
            quiet_since: Mutex::new(clock.monotonic()),
            store,
            rules,
            clock,
            renewals,
            actor,
            looked: Mutex::default(),
            failures: AtomicI64::new(0),
        }
    }

    /// Tries that failed since the start.
    #[must_use]
    pub fn failures(&self) -> i64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Whether machines can be stopped: an acting account is configured.
    #[must_use]
    pub const fn acts(&self) -> bool {
        self.actor.is_some()
    }

    /// Looks at every payer with an episode until told to stop.
    pub async fn run(&self, mut stop: watch::Receiver<bool>) {
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                _ = stop.changed() => return,
            }
            if self.renewals.halted() {
                *self.quiet() = self.clock.monotonic();
            }
            if !self.store.keeps() {
                continue;
            }
            let payers = match self.payers().await {
                Ok(payers) => payers,
                Err(fault) => {
                    tracing::error!(verb = "act", %fault, "episodes cannot be read");
                    continue;
                }
            };
            if self.is_quiet_over()
                && let Err(fault) = self.climb_caps().await
            {
                tracing::error!(verb = "act", %fault, "caps cannot be read");
            }
            let climbs = payers.iter().map(|payer| self.climb(payer));
            for (payer, outcome) in payers
                .iter()
                .zip(futures_util::future::join_all(climbs).await)
            {
                if let Err(fault) = outcome {
                    tracing::error!(verb = "act", %payer, %fault, "tried again");
                }
            }
        }
    }

    fn quiet(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.quiet_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the gate has run as long as every profile wants before something is stopped.
    fn is_quiet_over(&self) -> bool {
        let rules = self.rules.load();
        let longest = rules.prepaid.values().map(|profile| profile.ending.quiet);
        let longest = Duration::from_micros(longest.max().unwrap_or(0).unsigned_abs());
        self.clock.monotonic().duration_since(*self.quiet()) >= longest
    }

    async fn payers(&self) -> Result<BTreeSet<PayerId>, StoreError> {
        let episodes = self.store.open_episodes().await?;
        let actions = self.store.open_ladder_actions().await?;
        let mut payers: BTreeSet<PayerId> = episodes.into_iter().map(|it| it.payer).collect();
        payers.extend(actions.into_iter().map(|it| it.payer));
        Ok(payers)
    }

    /// One payer, top to bottom.
    async fn climb(&self, payer: &PayerId) -> Result<(), LadderFault> {
        let rules = self.rules.load_full();
        let Some(figures) = climb::figures(&self.store, &rules, payer, &self.clock).await? else {
            return Ok(());
        };
        let Some(mut run) = self.load(payer).await? else {
            return Ok(());
        };
        if run.episode.ended.is_none() && self.is_over(&figures, &run)? {
            self.end(&figures, &mut run, "the money is there again")
                .await?;
        }
        let quiet = Duration::from_micros(figures.profile.ending.quiet.unsigned_abs());
        if self.clock.monotonic().duration_since(*self.quiet()) < quiet {
            return Ok(());
        }
        let Some(actor) = &self.actor else {
            return Ok(());
        };
        if run.episode.ended.is_none() && run.episode.stopping.is_none() {
            if !figures.must_stop()? {
                return Ok(());
            }
            self.begin(&figures, &mut run).await?;
        }
        self.follow(actor, &figures, &mut run).await?;
        if run.episode.ended.is_some() {
            return self.restart(actor, &figures, &mut run).await;
        }
        self.stop_more(actor, &figures, &mut run).await
    }

    /// His open episode, else the newest one while something of it is under way.
    async fn load(&self, payer: &PayerId) -> Result<Option<Run>, LadderFault> {
        let newest = self.store.episodes(payer, 1).await?.into_iter().next();
        let open = self.store.open_episode(payer).await?;
        let Some(episode) = open.or(newest) else {
            return Ok(None);
        };
        let actions = self.store.ladder_actions(payer, &episode.name).await?;
        let run = Run { episode, actions };
        let matters = run.episode.ended.is_none() || run.is_open();
        Ok(matters.then_some(run))
    }

    /// Before anything is stopped: when no notice is due any more. Later: when the cover is whole
    /// and what was stopped can be paid for again.
    fn is_over(&self, figures: &Figures<'_>, run: &Run) -> Result<bool, LadderFault> {
        if run.episode.stopping.is_none() {
            let through = figures.state.accrued_through;
            return Ok(ladder::due(figures.profile, &figures.ahead, through).is_empty());
        }
        let done = run
            .actions
            .iter()
            .filter(|one| one.step == ActionStep::Stop && one.status == ActionStatus::Done);
        let done: Vec<&Action> = done.collect();
        figures.can_go_on(&done)
    }

    /// The episode ends: what was not sent is cancelled, what was kept goes back, and where the
    /// policy says so, what was stopped is to be started.
    async fn end(
        &self,
        figures: &Figures<'_>,
        run: &mut Run,
        why: &str,
    ) -> Result<(), LadderFault> {
        let (now, wall) = (self.clock.billing(), self.clock.wall());
        run.episode.ended = Some(now);
        let mut work = Work {
            ladder: vec![LadderChange::Episode(run.episode.clone())],
            ..Work::default()
        };
        let waiting = run
            .actions
            .iter()
            .filter(|it| it.status == ActionStatus::Waiting);
        let mut changed: Vec<Action> = waiting.map(|it| climb::cancelled(it, why)).collect();
        let stopped = run
            .actions
            .iter()
            .filter(|one| one.step == ActionStep::Stop && one.status == ActionStatus::Done);
        let count = stopped.clone().count();
        if figures.profile.ending.restarts {
            let mut last_first: Vec<&Action> = stopped.collect();
            last_first.sort_by_key(|one| std::cmp::Reverse(one.since));
            let places = (0_i64..).zip(last_first);
            changed.extend(places.map(|(at, one)| climb::to_start(&run.episode, one, wall, at)));
        }
        let kept = figures.state.purse(Purse::Retention);
        if kept > Micros::ZERO {
            work.command = Some(climb::give_back(&run.episode, kept, now));
        }
        if run.episode.stopping.is_some() {
            let then = match (count, figures.profile.ending.restarts) {
                (0, _) => "nothing was stopped".to_owned(),
                (_, true) => "what was stopped is started again".to_owned(),
                (_, false) => "what was stopped can be started again".to_owned(),
            };
            let text = format!("{why}: nothing more is stopped; {then}");
            let name = &run.episode.name;
            let notice = tell::notice(&run.episode.payer, name, "ended", &text, now);
            tell::put(&mut work, figures.rules, notice, why, Some(wall));
        }
        for action in changed {
            work.ladder.push(LadderChange::Action(action.clone()));
            run.put(action);
        }
        let payer = &run.episode.payer;
        tracing::info!(verb = "act", %payer, episode = run.episode.name, why, "episode over");
        self.store.submit(work).await?;
        Ok(())
    }

    /// Stopping begins.
    async fn begin(&self, figures: &Figures<'_>, run: &mut Run) -> Result<(), LadderFault> {
        let now = self.clock.billing();
        run.episode.stopping = Some(now);
        let mut work = Work {
            ladder: vec![LadderChange::Episode(run.episode.clone())],
            ..Work::default()
        };
        let through = figures.state.accrued_through;
        let (subject, text) = tell::words(Step::Stop, &figures.ahead, figures.profile, through);
        let payer = &run.episode.payer;
        let step = Step::Stop.name();
        let notice = tell::notice(payer, &run.episode.name, &step, &text, now);
        tell::put(
            &mut work,
            figures.rules,
            notice,
            &subject,
            Some(self.clock.wall()),
        );
        tracing::warn!(verb = "act", %payer, episode = run.episode.name, "stopping begins");
        self.store.submit(work).await?;
        Ok(())
    }

    async fn keep(&self, run: &mut Run, actions: Vec<Action>) -> Result<(), LadderFault> {
        if actions.is_empty() {
            return Ok(());
        }
        for action in &actions {
            run.put(action.clone());
            if action.status == ActionStatus::Waiting && !action.note.is_empty() {
                self.failures.fetch_add(1, Ordering::Relaxed);
            }
        }
        let ladder = actions.into_iter().map(LadderChange::Action).collect();
        let work = Work {
            ladder,
            ..Work::default()
        };
        self.store.submit(work).await?;
        Ok(())
    }

    /// What was sent, or may have been, is followed to its end.
    async fn follow(
        &self,
        actor: &Actor,
        figures: &Figures<'_>,
        run: &mut Run,
    ) -> Result<(), LadderFault> {
        let ending = &figures.profile.ending;
        let sent =
            |one: &&Action| matches!(one.status, ActionStatus::Intended | ActionStatus::Sent);
        let open: Vec<Action> = run.actions.iter().filter(sent).cloned().collect();
        let asked = open.iter().map(|action| actor.follow(action, ending));
        let mut changed = Vec::new();
        for found in futures_util::future::join_all(asked).await {
            changed.extend(found?);
        }
        // Whichever stop it was: the machine is stopped.
        let by_force = changed
            .iter()
            .filter(|one| one.step == ActionStep::Force && one.status == ActionStatus::Done);
        let by_force: Vec<ResourceId> = by_force.map(|one| one.resource.clone()).collect();
        let orderly = run
            .actions
            .iter()
            .filter(|one| one.step == ActionStep::Stop && by_force.contains(&one.resource));
        changed.extend(orderly.map(|one| Action {
            status: ActionStatus::Done,
            ..one.clone()
        }));
        self.keep(run, changed).await
    }

    /// The next stops, what is gone or runs again, the money kept for storage, and deletion.
    async fn stop_more(
        &self,
        actor: &Actor,
        figures: &Figures<'_>,
        run: &mut Run,
    ) -> Result<(), LadderFault> {
        if !(figures.must_stop()? || run.is_open() || self.looks_again(&run.episode.payer)) {
            return Ok(());
        }
        let ids = climb::machines_of(figures, &run.actions);
        let machines = actor.machines(&ids, &figures.profile.ending).await?;
        let gone = run.actions.iter().filter(|one| {
            one.step == ActionStep::Stop
                && one.status == ActionStatus::Done
                && !machines.iter().any(|machine| machine.id == one.resource)
        });
        let gone: Vec<Action> = gone.map(|it| climb::cancelled(it, "it is gone")).collect();
        self.keep(run, gone).await?;
        if climb::runs_again(&run.actions, &machines) {
            // Somebody paid for it, or went around the gate: what is to be done is seen anew.
            return self.end(figures, run, "a stopped machine runs again").await;
        }
        self.stops(actor, figures, run, &machines).await?;
        let up = |one: &Machine| !ActionStep::Stop.is_reached(Some(&one.state));
        if !machines.iter().any(up) && run.episode.stopped.is_none() {
            self.all_stopped(figures, run).await?;
        }
        self.delete(actor, figures, run, &machines).await
    }

    async fn stops(
        &self,
        actor: &Actor,
        figures: &Figures<'_>,
        run: &mut Run,
        machines: &[Machine],
    ) -> Result<(), LadderFault> {
        let wall = self.clock.wall();
        let next = next_stops(&figures.profile.ending, machines, &run.actions, wall);
        let under_way = climb::under_way(figures, &run.actions);
        let price = |id: &ResourceId| figures.price_of(id);
        let pressure = under_way
            .iter()
            .fold(figures.pressure()?, |left, id| left.without(price(id)));
        let wanted = needed(next, pressure, &price);
        let intents = wanted.into_iter().map(|one| match one {
            Next::Again(action) => action,
            Next::First(step, id) => {
                let mut named = machines.iter();
                let name = named
                    .find(|one| one.id == id)
                    .map_or("", |one| one.name.as_str());
                Action::first(&run.episode, step, (&id, name, price(&id)), wall)
            }
        });
        let intents: Vec<Action> = intents.collect();
        self.intend_and_send(actor, figures, run, intents).await
    }

    /// Durable first, then sent one by one. A top-up in between cancels the stops that were not
    /// sent yet.
    async fn intend_and_send(
        &self,
        actor: &Actor,
        figures: &Figures<'_>,
        run: &mut Run,
        intents: Vec<Action>,
    ) -> Result<(), LadderFault> {
        self.keep(run, intents.clone()).await?;
        let retry = figures.profile.ending.retry_after;
        for action in intents {
            let lowers = matches!(action.step, ActionStep::Stop | ActionStep::Force);
            let sent = if lowers && !self.is_short(&action.payer).await? {
                climb::cancelled(&action, "the money is there again")
            } else {
                tracing::warn!(verb = "act", action = %action.id(), tries = action.tries, "sent");
                actor.send(&action, retry, false).await
            };
            if sent != action {
                self.keep(run, vec![sent]).await?;
            }
        }
        Ok(())
    }

    /// Whether the payer's cover lacks something at this moment.
    async fn is_short(&self, payer: &PayerId) -> Result<bool, LadderFault> {
        let state = self.store.payer(payer).await?;
        Ok(match state {
            Some(state) => state.cover_short()? > Micros::ZERO,
            None => false,
        })
    }

    fn looks_again(&self, payer: &PayerId) -> bool {
        let now = self.clock.monotonic();
        let mut looked = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let due = looked
            .get(payer)
            .is_none_or(|before| now.duration_since(*before) >= LOOK_AGAIN);
        if due {
            looked.insert(payer.clone(), now);
        }
        due
    }
}

mod after;
mod capped;
