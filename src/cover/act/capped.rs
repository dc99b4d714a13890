//! Edge: caps that stop what counts in them: the ladder for their resources alone.
//!
//! A cap with `stops = true` is looked at from when a renewal found it used up. As it comes within
//! the stop lead of its end, machines that count in it are stopped, in their owners' own order and
//! no more of them than lets the rest go on to the period's end; what else its payers run is let
//! be. A new period, or a higher amount, ends it. Each payer's part is an episode of its own.

use super::{Ladder, Run};
use crate::cover::actor::Actor;
use crate::cover::climb::{self, Figures, LadderFault};
use crate::cover::episode::{
    Action, ActionStatus, ActionStep, Episode, Machine, Next, Pressure, needed, next_stops,
};
use crate::cover::tell;
use crate::ledger::caps::Cap;
use crate::policy::caps::{SpendCap, by_name};
use crate::policy::customer::RuleSet;
use crate::store::{LadderChange, StoreError, Work};
use crate::terms::ids::{CapId, PayerId, ResourceId};
use crate::terms::money::{Micros, MoneyError};
use crate::terms::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// A payer's part of a cap.
struct Part<'a> {
    figures: Figures<'a>,
    /// What counts in the cap.
    counted: BTreeSet<ResourceId>,
    run: Run,
    /// Its episode is in the books.
    is_begun: bool,
}

impl Part<'_> {
    fn price_of(&self, machine: &ResourceId) -> Micros {
        if self.counted.contains(machine) {
            self.figures.price_of(machine)
        } else {
            Micros::ZERO
        }
    }

    /// Machines that count in the cap and run, or that something was done to.
    fn machines(&self) -> Vec<ResourceId> {
        let all = climb::machines_of(&self.figures, &self.run.actions);
        let known = |id: &ResourceId| self.run.actions.iter().any(|one| one.resource == *id);
        let ours = all.into_iter();
        ours.filter(|id| self.counted.contains(id) || known(id))
            .collect()
    }

    /// What is stopped for the cap, or on its way there.
    fn stops(&self) -> impl Iterator<Item = &Action> {
        let actions = self.run.actions.iter();
        actions.filter(|one| one.step == ActionStep::Stop && one.status != ActionStatus::Cancelled)
    }
}

/// What the cap has to carry until its end, with all that counts in it and is not being stopped.
fn pressure(cap: &SpendCap, row: &Cap, parts: &[Part<'_>]) -> Result<Pressure, MoneyError> {
    let mut burn = Micros::ZERO;
    let (mut lead, mut elapsed) = (0, 0);
    for part in parts {
        for id in &part.counted {
            burn = burn.plus(part.figures.burn_of(id))?;
        }
        lead = part.figures.profile.stop_lead.max(lead);
        elapsed = part.figures.elapsed().max(elapsed);
    }
    let all = Pressure {
        cover: cap.most.minus(row.accrued)?.or_zero(),
        burn_per_hour: burn,
        lead,
        elapsed,
    };
    let under_way = parts.iter().flat_map(|part| {
        let ids = climb::under_way(&part.figures, &part.run.actions);
        ids.into_iter().map(|id| part.price_of(&id))
    });
    Ok(under_way.fold(all, Pressure::without))
}

/// Whether there is room for all that was stopped to go on.
fn has_room(pressure: Pressure, parts: &[Part<'_>]) -> Result<bool, MoneyError> {
    let mut burn = pressure.burn_per_hour;
    for action in parts.iter().flat_map(Part::stops) {
        burn = burn.plus(action.per_hour)?;
    }
    let burn_per_hour = burn;
    Ok(!Pressure {
        burn_per_hour,
        ..pressure
    }
    .is_due())
}

impl Ladder {
    /// Every cap that is used up, or that something was stopped for.
    pub(super) async fn climb_caps(&self) -> Result<(), StoreError> {
        let rules = self.rules.load_full();
        let Some(actor) = &self.actor else {
            return Ok(());
        };
        let open = self.store.open_cap_episodes().await?;
        let actions = self.store.open_ladder_actions().await?;
        let mut known: BTreeMap<CapId, BTreeSet<PayerId>> = BTreeMap::new();
        let begun = open.iter().map(|one| (&one.name, &one.payer));
        let acted = actions.iter().map(|one| (&one.episode, &one.payer));
        for (name, payer) in begun.chain(acted) {
            if let Some((cap, _)) = Episode::cap_of(name) {
                known.entry(cap).or_default().insert(payer.clone());
            }
        }
        for cap in self.renewals.used_up() {
            known.entry(cap).or_default();
        }
        for (cap, payers) in known {
            if let Err(fault) = self.climb_cap(actor, &rules, (&cap, payers), &open).await {
                tracing::error!(verb = "act", %cap, %fault, "tried again");
            }
        }
        Ok(())
    }

    /// One cap, top to bottom.
    async fn climb_cap(
        &self,
        actor: &Actor,
        rules: &RuleSet,
        (name, mut payers): (&CapId, BTreeSet<PayerId>),
        open: &[Episode],
    ) -> Result<(), LadderFault> {
        let now = self.clock.billing();
        let cap = by_name(&rules.caps, name.as_str()).filter(|cap| cap.stops);
        let start = match cap {
            Some(cap) => Some(cap.period.start(now, &cap.zone)?),
            None => None,
        };
        payers.extend(self.store.cap_payers(name).await?);
        let mut parts = Vec::new();
        for payer in &payers {
            let part = self.part(rules, payer, (name, start), open).await?;
            parts.extend(part);
        }
        let (Some(cap), Some(start)) = (cap, start) else {
            let why = "the cap does not stop anything any more";
            return self.over(actor, &mut parts, why).await;
        };
        let (mut parts, mut late): (Vec<_>, Vec<_>) = parts
            .into_iter()
            .partition(|part| part.run.episode.name == Episode::name_of_cap(name, start));
        self.over(actor, &mut late, "a new period has begun")
            .await?;
        let row = self.store.caps(std::slice::from_ref(name)).await?;
        let row = row.into_iter().next();
        let mut row = row.unwrap_or_else(|| Cap::unused(name.clone(), start));
        row.turn(start);
        let pressed = pressure(cap, &row, &parts)?;
        if has_room(pressed, &parts)? {
            return self.over(actor, &mut parts, "the cap has room again").await;
        }
        self.lower(actor, cap, &mut parts, pressed).await
    }

    /// A payer's parts: of this period, and of an earlier one that is not over.
    async fn part<'a>(
        &self,
        rules: &'a RuleSet,
        payer: &PayerId,
        (name, start): (&CapId, Option<Timestamp>),
        open: &[Episode],
    ) -> Result<Vec<Part<'a>>, LadderFault> {
        let of_cap = |one: &&Episode| {
            one.payer == *payer && Episode::cap_of(&one.name).is_some_and(|(cap, _)| cap == *name)
        };
        let mut episodes: Vec<(Episode, bool)> = open
            .iter()
            .filter(of_cap)
            .map(|it| (it.clone(), true))
            .collect();
        for action in self.store.open_ladder_actions().await? {
            let ours = Episode::cap_of(&action.episode).is_some_and(|(cap, _)| cap == *name);
            let known = episodes.iter().any(|(it, _)| it.name == action.episode);
            if ours && action.payer == *payer && !known {
                let mut ended = Episode::named(payer, &action.episode);
                ended.ended = Some(action.since);
                episodes.push((ended, true));
            }
        }
        if let Some(start) = start {
            let now = Episode::name_of_cap(name, start);
            if !episodes.iter().any(|(it, _)| it.name == now) {
                episodes.push((Episode::named(payer, &now), false));
            }
        }
        let mut parts = Vec::new();
        for (episode, is_begun) in episodes {
            let found = climb::figures(&self.store, rules, payer, &self.clock).await?;
            let Some(figures) = found else { continue };
            let since = figures.state.accrued_through;
            let capped = self.store.capped_resources(payer, since).await?;
            let counted = capped.into_iter().filter(|one| one.caps.contains(name));
            let actions = self.store.ladder_actions(payer, &episode.name).await?;
            parts.push(Part {
                figures,
                counted: counted.map(|one| one.resource).collect(),
                run: Run { episode, actions },
                is_begun,
            });
        }
        Ok(parts)
    }

    /// Their episodes end, where they are begun; what was stopped is started where the policy says
    /// so.
    async fn over(
        &self,
        actor: &Actor,
        parts: &mut [Part<'_>],
        why: &str,
    ) -> Result<(), LadderFault> {
        for part in parts.iter_mut().filter(|part| part.is_begun) {
            if part.run.episode.ended.is_none() {
                self.cap_over(part, why).await?;
            }
            self.follow(actor, &part.figures, &mut part.run).await?;
            self.restart(actor, &part.figures, &mut part.run).await?;
        }
        Ok(())
    }

    async fn cap_over(&self, part: &mut Part<'_>, why: &str) -> Result<(), LadderFault> {
        let (now, wall) = (self.clock.billing(), self.clock.wall());
        let run = &mut part.run;
        run.episode.ended = Some(now);
        let then = match part.figures.profile.ending.restarts {
            true => "what was stopped for it is started again",
            false => "what was stopped for it can be started again",
        };
        let text = format!("{why}: {then}");
        let (payer, name) = (&run.episode.payer, &run.episode.name);
        let notice = tell::notice(payer, name, "ended", &text, now);
        let mut work = Work {
            ladder: vec![LadderChange::Episode(run.episode.clone())],
            ..Work::default()
        };
        tell::put(&mut work, part.figures.rules, notice, why, Some(wall));
        tracing::info!(verb = "act", %payer, episode = name, why, "episode over");
        self.store.submit(work).await?;
        Ok(())
    }

    /// Machines that count in the cap are stopped until what is left lets the rest go on.
    async fn lower(
        &self,
        actor: &Actor,
        cap: &SpendCap,
        parts: &mut [Part<'_>],
        pressed: Pressure,
    ) -> Result<(), LadderFault> {
        let mut pressed = pressed;
        for part in parts {
            let up = part.counted.iter().any(|id| !part.price_of(id).is_zero());
            if !(part.is_begun || up && pressed.is_due()) {
                continue;
            }
            if !part.is_begun {
                self.cap_begins(cap, part).await?;
            }
            self.follow(actor, &part.figures, &mut part.run).await?;
            if !(up || part.run.is_open()) {
                continue;
            }
            let ending = &part.figures.profile.ending;
            let machines = actor.machines(&part.machines(), ending).await?;
            self.let_be_what_runs_again(part, &machines).await?;
            let next = next_stops(ending, &machines, &part.run.actions, self.clock.wall());
            let price = |id: &ResourceId| part.price_of(id);
            let wanted = needed(next, pressed, &price);
            for one in &wanted {
                if let Next::First(ActionStep::Stop, id) = one {
                    pressed = pressed.without(price(id));
                }
            }
            let intents = wanted.into_iter().map(|one| match one {
                Next::Again(action) => action,
                Next::First(step, id) => {
                    let mut named = machines.iter();
                    let found = named.find(|one| one.id == id);
                    let name = found.map_or("", |one| one.name.as_str());
                    let machine = (&id, name, price(&id));
                    Action::first(&part.run.episode, step, machine, self.clock.wall())
                }
            });
            let intents: Vec<Action> = intents.collect();
            self.send_all(actor, part, intents).await?;
        }
        Ok(())
    }

    /// Stopping begins for a payer's part.
    async fn cap_begins(&self, cap: &SpendCap, part: &mut Part<'_>) -> Result<(), LadderFault> {
        let (now, wall) = (self.clock.billing(), self.clock.wall());
        part.run.episode.stopping = Some(now);
        part.is_begun = true;
        let mut work = Work {
            ladder: vec![LadderChange::Episode(part.run.episode.clone())],
            ..Work::default()
        };
        let text = format!(
            "cap {} is used up ({}): machines that count in it are stopped now, in the order of \
             their tags",
            cap.id, cap.reason
        );
        let (payer, name) = (&part.run.episode.payer, &part.run.episode.name);
        let notice = tell::notice(payer, name, "stop", &text, now);
        let subject = format!("cap {}: machines are being stopped", cap.id);
        tell::put(&mut work, part.figures.rules, notice, &subject, Some(wall));
        tracing::warn!(verb = "act", %payer, episode = name, "stopping begins");
        self.store.submit(work).await?;
        Ok(())
    }

    /// A machine that somebody started again has its turn once more.
    async fn let_be_what_runs_again(
        &self,
        part: &mut Part<'_>,
        machines: &[Machine],
    ) -> Result<(), LadderFault> {
        let runs = |one: &&Action| {
            let mut rows = machines.iter();
            rows.any(|row| row.id == one.resource && row.state == "Running")
        };
        let again: Vec<Action> = part
            .stops()
            .filter(|one| one.status == ActionStatus::Done)
            .filter(runs)
            .map(|one| climb::cancelled(one, "it runs again"))
            .collect();
        self.keep(&mut part.run, again).await
    }

    /// Durable first, then sent one by one.
    async fn send_all(
        &self,
        actor: &Actor,
        part: &mut Part<'_>,
        intents: Vec<Action>,
    ) -> Result<(), LadderFault> {
        self.keep(&mut part.run, intents.clone()).await?;
        let retry = part.figures.profile.ending.retry_after;
        for action in intents {
            tracing::warn!(verb = "act", action = %action.id(), tries = action.tries, "sent");
            let sent = actor.send(&action, retry, false).await;
            if sent != action {
                self.keep(&mut part.run, vec![sent]).await?;
            }
        }
        Ok(())
    }
}
