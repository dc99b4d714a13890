//! Edge: the acting service account: what is sent to CloudStack, and what became of it.
//!
//! Stops and deletions go to CloudStack itself, each under a job id of ours: lowering calls, which
//! need no money. Starts go through the gate like anybody's: raising calls with holds.

use super::episode::{Action, ActionStatus, ActionStep, Machine};
use crate::clock::Clock;
use crate::cloudstack::async_job::{self, Job, JobState};
use crate::cloudstack::envelope::Answer;
use crate::meter::observe::ObservedJob;
use crate::policy::ending::Ending;
use crate::terms::ids::{JobId, ResourceId};
use crate::terms::time::{SECOND, Timestamp};
use crate::upstream::service::Service;
use crate::upstream::{Sent, UpstreamError};
use tokio::sync::mpsc;

/// Machines that are asked for at once.
const MACHINES_AT_ONCE: usize = 100;
/// A request whose answer never came may arrive this late; wall time.
const LATE_MAX: i64 = 35 * SECOND;

/// A call of the ladder that came to its end, for the meter.
#[derive(Clone, Debug)]
pub struct Acted {
    /// The command.
    pub command: &'static str,
    /// The machine.
    pub resource: ResourceId,
    /// Our job.
    pub job: JobId,
    /// When it was followed to its end, billing time.
    pub seen: Timestamp,
    /// How it ended.
    pub ended: ObservedJob,
}

/// The acting account.
#[derive(Debug)]
pub struct Actor {
    /// At the management servers.
    direct: Service,
    /// At our own gate.
    gate: Service,
    clock: Clock,
    acted: mpsc::Sender<Acted>,
}

impl Actor {
    /// The account at the management servers and at the gate; what it did is told by `acted`.
    #[must_use]
    pub const fn new(
        direct: Service,
        gate: Service,
        clock: Clock,
        acted: mpsc::Sender<Acted>,
    ) -> Self {
        Self {
            direct,
            gate,
            clock,
            acted,
        }
    }

    /// The machines of these ids as CloudStack lists them; one that is gone is left out.
    ///
    /// # Errors
    /// [`UpstreamError`] where CloudStack could not be asked.
    pub async fn machines(
        &self,
        ids: &[ResourceId],
        ending: &Ending,
    ) -> Result<Vec<Machine>, UpstreamError> {
        let mut found = Vec::new();
        for some in ids.chunks(MACHINES_AT_ONCE) {
            let list: Vec<&str> = some.iter().map(ResourceId::as_str).collect();
            match self.listed("ids", &list.join(","), ending).await? {
                Some(machines) => found.extend(machines),
                // One of them is not known any more: each is asked for by itself.
                None => {
                    for id in list {
                        let one = self.listed("id", id, ending).await?;
                        found.extend(one.unwrap_or_default());
                    }
                }
            }
        }
        Ok(found)
    }

    /// None where CloudStack does not know an id.
    async fn listed(
        &self,
        by: &str,
        ids: &str,
        ending: &Ending,
    ) -> Result<Option<Vec<Machine>>, UpstreamError> {
        let asked = [(by, ids), ("listall", "true"), ("projectid", "-1")];
        let rows = self.direct.find("listVirtualMachines", &asked).await?;
        Ok(rows.map(|rows| {
            rows.all("virtualmachine")
                .filter_map(|row| Machine::read(row, ending))
                .collect()
        }))
    }

    /// Sends a durable action; gives it as it is then. What was not sent, or was refused, waits
    /// for `retry` microseconds. `again` where the same try may have arrived before.
    pub async fn send(&self, action: &Action, retry: i64, again: bool) -> Action {
        let id = action.resource.as_str();
        let mut params = vec![("id", id)];
        let forced = if action.step == ActionStep::Force {
            "true"
        } else {
            "false"
        };
        let (service, by_us) = match action.step {
            ActionStep::Start => (&self.gate, false),
            ActionStep::Stop | ActionStep::Force => {
                params.push(("forced", forced));
                (&self.direct, true)
            }
            ActionStep::Delete => (&self.direct, true),
        };
        if by_us {
            params.push(("customjobid", action.job.as_str()));
        }
        let answer = service.call(action.step.command(), &params).await;
        let sent = Action {
            status: ActionStatus::Sent,
            at: self.clock.wall(),
            ..action.clone()
        };
        match answer {
            Ok(Answer { error: Some(_), .. }) if again => sent,
            Ok(Answer {
                error: Some(error), ..
            }) => self.refused(action, error.code, &error.text, retry),
            Ok(answer) => Action {
                job: match (by_us, answer.node.text_of("jobid")) {
                    (false, Some(job)) => JobId::from(job),
                    _ => action.job.clone(),
                },
                ..sent
            },
            Err(fault) if fault.sent == Sent::NotSent => {
                self.failed(action, &fault.to_string(), retry)
            }
            // It may have arrived: its job, or the machine, will show.
            Err(fault) => {
                tracing::warn!(verb = "act", action = %action.id(), %fault, "no answer");
                action.clone()
            }
        }
    }

    /// Money that is not there does not come by asking again.
    fn refused(&self, action: &Action, code: i64, text: &str, retry: i64) -> Action {
        const NO_MONEY: i64 = 535;
        if action.step == ActionStep::Start && code == NO_MONEY {
            tracing::warn!(verb = "act", action = %action.id(), text, "not started again");
            return Action {
                status: ActionStatus::Cancelled,
                note: text.to_owned(),
                ..action.clone()
            };
        }
        self.failed(action, &format!("{code} {text}"), retry)
    }

    /// A try failed: an alarm, and one more try later.
    fn failed(&self, action: &Action, why: &str, retry: i64) -> Action {
        let (id, tries) = (action.id(), action.tries);
        tracing::error!(verb = "act", action = %id, tries, why, "failed; it is tried again");
        Action {
            status: ActionStatus::Waiting,
            at: self.clock.wall().plus(retry),
            note: why.to_owned(),
            ..action.clone()
        }
    }

    /// What became of an action that was, or may have been, sent; none where nothing is new.
    ///
    /// # Errors
    /// [`UpstreamError`] where CloudStack could not be asked.
    pub async fn follow(
        &self,
        action: &Action,
        ending: &Ending,
    ) -> Result<Option<Action>, UpstreamError> {
        let asked = [("jobid", action.job.as_str())];
        let found = self.direct.call("queryAsyncJobResult", &asked).await?;
        let job = async_job::read(&found);
        let done = |status| Action {
            status,
            at: self.clock.wall(),
            note: String::new(),
            ..action.clone()
        };
        match &job.state {
            JobState::Pending if action.status == ActionStatus::Intended => {
                Ok(Some(done(ActionStatus::Sent)))
            }
            JobState::Pending | JobState::Unreadable(_) => Ok(None),
            JobState::Done(node) => {
                self.tell(action, &job, node.clone()).await;
                Ok(Some(done(ActionStatus::Done)))
            }
            JobState::Failed { code, text } => {
                let why = format!("{code} {text}");
                self.looked_up(action, &why, ending).await.map(Some)
            }
            JobState::Cancelled => {
                let why = "its job was cancelled by a restart of the management server";
                self.looked_up(action, why, ending).await.map(Some)
            }
            JobState::Unknown => self.unknown(action, ending).await,
        }
    }

    /// CloudStack does not know the job: it never arrived, is still on its way, or is long over.
    async fn unknown(
        &self,
        action: &Action,
        ending: &Ending,
    ) -> Result<Option<Action>, UpstreamError> {
        if self.clock.wall().since(action.at) < LATE_MAX {
            return Ok(None);
        }
        let state = self.state_of(action, ending).await?;
        if action.step.is_reached(state.as_deref()) {
            return Ok(Some(Action {
                status: ActionStatus::Done,
                ..action.clone()
            }));
        }
        if action.step == ActionStep::Start {
            let why = "the call was not answered, and the machine does not run";
            return Ok(Some(self.failed(action, why, ending.retry_after)));
        }
        // The same try under the same job id: CloudStack takes it once.
        Ok(Some(self.send(action, ending.retry_after, true).await))
    }

    /// A job failed; what counts is the machine.
    async fn looked_up(
        &self,
        action: &Action,
        why: &str,
        ending: &Ending,
    ) -> Result<Action, UpstreamError> {
        let state = self.state_of(action, ending).await?;
        if action.step.is_reached(state.as_deref()) {
            return Ok(Action {
                status: ActionStatus::Done,
                ..action.clone()
            });
        }
        Ok(self.failed(action, why, ending.retry_after))
    }

    async fn state_of(
        &self,
        action: &Action,
        ending: &Ending,
    ) -> Result<Option<String>, UpstreamError> {
        let ids = [action.resource.clone()];
        let machines = self.machines(&ids, ending).await?;
        Ok(machines.into_iter().next().map(|machine| machine.state))
    }

    /// The meter hears of what ended; a start went through the gate, which metered it.
    async fn tell(&self, action: &Action, job: &Job, result: crate::cloudstack::tree::Node) {
        if action.step == ActionStep::Start {
            return;
        }
        let seen = self.clock.billing();
        let acted = Acted {
            command: action.step.command(),
            resource: action.resource.clone(),
            job: action.job.clone(),
            seen,
            ended: ObservedJob {
                created: job.created,
                completed: job.completed,
                status: 1,
                result: Some(result),
                instance: job.instance.clone(),
                seen,
            },
        };
        // What does not get through is found by the sweep.
        let _ = self.acted.send(acted).await;
    }
}
