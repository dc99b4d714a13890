//! Edge: what follows the stops of an episode: storage kept, deletion, and starts after a top-up.

use super::{Ladder, Run};
use crate::cover::actor::Actor;
use crate::cover::climb::{self, Figures, LadderFault};
use crate::cover::episode::{Action, ActionStatus, ActionStep, Machine, stopped_by_us};
use crate::cover::ladder::{self, Step};
use crate::cover::tell;
use crate::ledger::Command;
use crate::store::{LadderChange, Work};
use crate::terms::ids::ResourceId;
use crate::terms::time::Timestamp;

/// A start that failed so often is left to a person.
const STARTS_MAX: i64 = 10;

impl Ladder {
    /// An ended episode: what was stopped is started, and what still waited is let be.
    pub(super) async fn restart(
        &self,
        actor: &Actor,
        figures: &Figures<'_>,
        run: &mut Run,
    ) -> Result<(), LadderFault> {
        let wall = self.clock.wall();
        let ending = &figures.profile.ending;
        let mut changed = Vec::new();
        for one in &run.actions {
            let stop = one.step == ActionStep::Stop;
            if one.step != ActionStep::Start && one.status == ActionStatus::Waiting {
                changed.push(climb::cancelled(one, "the money is there again"));
            } else if stop
                && one.status == ActionStatus::Done
                && ending.restarts
                && !run.has(ActionStep::Start, &one.resource)
            {
                changed.push(climb::to_start(&run.episode, one, wall, 0));
            }
        }
        self.keep(run, changed).await?;
        let due = |one: &&Action| {
            one.step == ActionStep::Start && one.status == ActionStatus::Waiting && one.at <= wall
        };
        let due: Vec<Action> = run.actions.iter().filter(due).cloned().collect();
        if due.is_empty() {
            return Ok(());
        }
        let ids: Vec<ResourceId> = due.iter().map(|one| one.resource.clone()).collect();
        let machines = actor.machines(&ids, ending).await?;
        for action in due {
            let found = machines.iter().find(|one| one.id == action.resource);
            match found.map(|machine| machine.state.as_str()) {
                Some("Stopped") if action.tries < STARTS_MAX => {
                    self.intend_and_send(actor, figures, run, vec![action.again(wall)])
                        .await?;
                }
                Some("Stopping" | "Starting") => {}
                Some("Running") => {
                    let running = Action {
                        status: ActionStatus::Done,
                        ..action
                    };
                    self.keep(run, vec![running]).await?;
                }
                _ => {
                    let why = "it cannot be started: look at it in CloudStack";
                    self.keep(run, vec![climb::cancelled(&action, why)]).await?;
                }
            }
        }
        Ok(())
    }

    /// Nothing runs any more: the money for storage is put aside.
    pub(super) async fn all_stopped(
        &self,
        figures: &Figures<'_>,
        run: &mut Run,
    ) -> Result<(), LadderFault> {
        let now = self.clock.billing();
        run.episode.stopped = Some(now);
        let command: Option<Command> = figures.fund(&run.episode, now)?;
        let work = Work {
            command,
            ladder: vec![LadderChange::Episode(run.episode.clone())],
            ..Work::default()
        };
        self.store.submit(work).await?;
        let payer = &run.episode.payer;
        tracing::warn!(verb = "act", %payer, episode = run.episode.name, "all is stopped");
        Ok(())
    }

    /// Only where the policy says so, so long after the stop, and after its own notices.
    pub(super) async fn delete(
        &self,
        actor: &Actor,
        figures: &Figures<'_>,
        run: &mut Run,
        machines: &[Machine],
    ) -> Result<(), LadderFault> {
        let Some(at) = ladder::delete_at(figures.profile, &run.episode) else {
            return Ok(());
        };
        let (now, wall) = (self.clock.billing(), self.clock.wall());
        let given = tell::given(&self.store, &run.episode.payer, &run.episode.name).await?;
        let told: Vec<(String, Timestamp)> = given.into_iter().map(|it| (it.step, it.at)).collect();
        for before in ladder::delete_notices_due(figures.profile, &told, at, now) {
            let text = format!(
                "{} stopped machines are deleted at {} unless the account is topped up",
                stopped_by_us(&run.actions, machines).len(),
                at.max(now.plus(before))
            );
            let step = Step::DeleteNotice(before).name();
            let (payer, name) = (&run.episode.payer, &run.episode.name);
            let notice = tell::notice(payer, name, &step, &text, now);
            let mut work = Work::default();
            let subject = "stopped machines will be deleted";
            tell::put(&mut work, figures.rules, notice, subject, Some(wall));
            self.store.submit(work).await?;
        }
        if !ladder::may_delete(figures.profile, &told, at, now) {
            return Ok(());
        }
        let stopped = stopped_by_us(&run.actions, machines);
        let intents = stopped.into_iter().filter_map(|one| {
            let mut deletes = run
                .actions
                .iter()
                .filter(|it| it.step == ActionStep::Delete);
            match deletes.find(|it| it.resource == one.resource) {
                None => {
                    let machine = (&one.resource, one.name.as_str(), one.per_hour);
                    Some(Action::first(
                        &run.episode,
                        ActionStep::Delete,
                        machine,
                        wall,
                    ))
                }
                Some(it) if it.status == ActionStatus::Waiting && it.at <= wall => {
                    Some(it.again(wall))
                }
                Some(_) => None,
            }
        });
        let intents: Vec<Action> = intents.collect();
        self.intend_and_send(actor, figures, run, intents).await
    }
}
