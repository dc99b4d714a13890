//! Edge: calls that were forwarded, followed to their end, whether the client polls or not.
//!
//! A job's end settles its hold exactly once: the store refuses a second settlement. What is not
//! proved keeps its hold; `cover/settle` says what proves what.

use super::commitment::Rule;
use super::kinds;
use super::line::{Meter, MeterFault, Settlement};
use super::observe::{ObservedCall, ObservedJob};
use super::planned::{PlannedText, owner_from};
use super::resource::Owner;
use crate::clock::Clock;
use crate::cloudstack::async_job::{self, Job, JobState};
use crate::cloudstack::query::ParamMap;
use crate::cloudstack::tree::Node;
use crate::cover::settle::{self, Outcome, Verdict};
use crate::ledger::command::LineAmount;
use crate::ledger::{Command, LedgerRefusal};
use crate::store::{Intent, IntentChange, IntentStatus, Store, StoreError};
use crate::terms::ids::{CallId, HoldId, JobId, PayerId, ResourceId};
use crate::terms::time::{SECOND, Timestamp};
use crate::upstream::UpstreamError;
use crate::upstream::service::Service;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc, watch};

/// First wait before a job is asked for.
const FIRST_WAIT: Duration = Duration::from_millis(150);
/// Longest wait between two questions.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// What CloudStack made up to this long before a call went out may be the call's: its clock and
/// ours may differ, and money held too long is better than a machine that nobody pays for.
const CLOCKS_APART: i64 = 600 * SECOND;
/// Questions to CloudStack at once.
const QUESTIONS_MAX: usize = 16;

/// A call that was forwarded.
#[derive(Clone, Debug)]
pub struct Followed {
    /// Which.
    pub call: CallId,
    /// The API command.
    pub command: String,
    /// Its map, without what must not be kept.
    pub params: ParamMap,
    /// Who would own what it makes.
    pub owner: Owner,
    /// When it was sent, billing time.
    pub sent: Timestamp,
    /// When it was sent, wall time.
    pub sent_wall: Timestamp,
    /// When it was answered, billing time.
    pub answered: Timestamp,
    /// The answer, where it came.
    pub answer: Option<Node>,
    /// Its job: ours, or the one that the answer named.
    pub job: Option<JobId>,
    /// The money that was promised for it.
    pub hold: Option<HoldId>,
    /// One-off prices that fall due with success.
    pub one_offs: Vec<LineAmount>,
    /// Rules that it makes or changes, which start things by themselves.
    pub rules: Vec<Rule>,
    /// An intent was written for it.
    pub intent: bool,
    /// The caller's own payer, where it was not sure whose the call is: if what it makes is
    /// another payer's, the hold goes back and the other one pays.
    pub in_doubt: Option<PayerId>,
}

/// Follows calls.
#[derive(Debug)]
pub struct Follower {
    meter: Arc<Meter>,
    store: Store,
    service: Arc<Service>,
    clock: Clock,
    questions: Semaphore,
}

impl Follower {
    /// A follower that asks with this service account.
    #[must_use]
    pub fn new(meter: Arc<Meter>, store: Store, service: Arc<Service>, clock: Clock) -> Self {
        Self {
            meter,
            store,
            service,
            clock,
            questions: Semaphore::new(QUESTIONS_MAX),
        }
    }

    /// Follows what comes in until told to stop; what is under way then is taken up again from
    /// its intent at the next start.
    pub async fn run(
        self: Arc<Self>,
        mut calls: mpsc::Receiver<Followed>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut under_way = tokio::task::JoinSet::new();
        loop {
            tokio::select! {
                Some(call) = calls.recv() => {
                    let follower = self.clone();
                    under_way.spawn(async move { follower.follow(call).await });
                }
                Some(_) = under_way.join_next(), if !under_way.is_empty() => {}
                _ = stop.changed() => return,
            }
        }
    }

    /// The calls whose intents are open, for a start after a stop or a crash.
    ///
    /// # Errors
    /// [`StoreError`] where they cannot be read.
    pub async fn unfinished(&self) -> Result<Vec<Followed>, StoreError> {
        let open = self.store.open_intents().await?;
        let wanted = open
            .iter()
            .filter(|intent| intent.status != IntentStatus::Unresolved);
        Ok(wanted.map(|intent| self.taken_up(intent)).collect())
    }

    /// A call as its intent keeps it.
    #[must_use]
    pub fn taken_up(&self, intent: &Intent) -> Followed {
        let billing = self.clock.billing();
        let params = ParamMap::parse_as_cloudstack(intent.params.as_bytes(), b"");
        let planned: PlannedText = serde_json::from_str(&intent.planned).unwrap_or_default();
        Followed {
            call: intent.call,
            command: intent.command.clone(),
            params: params.unwrap_or_default(),
            owner: owner_from(&intent.owner),
            sent: planned.sent.map_or(billing, Timestamp::from_micros),
            sent_wall: intent.sent,
            answered: planned.sent.map_or(billing, Timestamp::from_micros),
            answer: None,
            job: intent.job.clone(),
            hold: intent.hold,
            one_offs: planned.one_offs(intent.payer.as_ref()),
            rules: planned.rules(),
            intent: true,
            in_doubt: intent.payer.clone().filter(|_| planned.in_doubt),
        }
    }

    async fn follow(&self, call: Followed) {
        let mut wait = FIRST_WAIT;
        loop {
            match self.step(&call).await {
                Ok(true) => return,
                Ok(false) => {}
                Err(fault) => {
                    tracing::warn!(verb = "follow", call = %call.call, command = %call.command,
                        %fault, "not settled yet");
                }
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 3 / 2).min(LONGEST_WAIT);
        }
    }

    /// Asks once; true when nothing more will come.
    async fn step(&self, call: &Followed) -> Result<bool, MeterFault> {
        // A synchronous call whose answer was lost, too, is found by listing or not at all.
        let Some(job) = &call.job else {
            return self.unknown(call).await;
        };
        let answer = {
            let _turn = self.questions.acquire().await;
            self.service
                .call("queryAsyncJobResult", &[("jobid", job.as_str())])
                .await?
        };
        let job = async_job::read(&answer);
        match &job.state {
            JobState::Pending => Ok(false),
            JobState::Unreadable(what) => {
                tracing::warn!(verb = "follow", call = %call.call, what, "the job cannot be read");
                Ok(false)
            }
            JobState::Unknown => self.unknown(call).await,
            JobState::Done(result) => {
                let result = Some(result.clone());
                self.end(call, &job, result, Outcome::Succeeded).await?;
                Ok(true)
            }
            JobState::Failed { code, text } => {
                let present = self.present(call, &job).await?;
                let told = failure(*code, text);
                let result = if present { None } else { Some(told) };
                self.end(call, &job, result, Outcome::Failed { present })
                    .await?;
                Ok(true)
            }
            JobState::Cancelled => {
                let present = self.present(call, &job).await?;
                self.end(call, &job, None, Outcome::Failed { present })
                    .await?;
                Ok(true)
            }
        }
    }

    /// A job's end: what it shows and what it does to the hold, in one transaction.
    async fn end(
        &self,
        call: &Followed,
        job: &Job,
        result: Option<Node>,
        outcome: Outcome,
    ) -> Result<(), MeterFault> {
        let done = matches!(job.state, JobState::Done(_));
        let ended = ObservedJob {
            created: job.created,
            completed: job.completed,
            status: if done { 1 } else { 2 },
            result,
            instance: job.instance.clone(),
            seen: self.clock.billing(),
        };
        let answer = first_answer(call, job.instance.as_ref());
        let find = |name: &str| call.params.get(&name.to_ascii_lowercase());
        let first = observed(call, &find, &answer, None);
        let last = observed(call, &find, &answer, Some(&ended));
        let settlement = self.settlement(call, outcome, job.instance.clone());
        self.settle(&[first, last], settlement).await
    }

    /// Keeps what was observed; a hold that was settled before stays settled, once, and one whose
    /// commit was lost is not there.
    async fn settle(
        &self,
        calls: &[ObservedCall<'_>],
        settlement: Settlement,
    ) -> Result<(), MeterFault> {
        match self.meter.record(calls, settlement).await {
            Err(MeterFault::Store(StoreError::Refused(
                LedgerRefusal::HoldClosed { .. } | LedgerRefusal::UnknownHold(_),
            ))) => self.meter.record(calls, Settlement::default()).await,
            other => other,
        }
    }

    fn settlement(
        &self,
        call: &Followed,
        outcome: Outcome,
        resource: Option<ResourceId>,
    ) -> Settlement {
        let at = self.clock.billing();
        let verdict = settle::verdict(outcome, self.clock.wall());
        let (command, status) = match (verdict, call.hold) {
            (Verdict::Settle { one_off }, hold) => {
                let one_off = if one_off {
                    call.one_offs.clone()
                } else {
                    Vec::new()
                };
                (
                    hold.map(|hold| Command::Settle { hold, one_off, at }),
                    IntentStatus::Settled,
                )
            }
            (Verdict::GiveBack, hold) => (
                hold.map(|hold| Command::GiveBack {
                    hold,
                    one_off: Vec::new(),
                    at,
                }),
                IntentStatus::GivenBack,
            ),
            (Verdict::Wait, _) => (None, IntentStatus::Unresolved),
        };
        let update = IntentChange::Update {
            call: call.call,
            status,
            job: None,
            resource,
            answered: None,
            updated: self.clock.wall(),
            note: None,
        };
        let intents = if call.intent {
            vec![update]
        } else {
            Vec::new()
        };
        Settlement {
            command,
            intents,
            hold: call.hold,
            in_doubt: call.in_doubt.clone(),
            succeeded: matches!(verdict, Verdict::Settle { one_off: true }),
            rules: match verdict {
                Verdict::Settle { .. } => call.rules.clone(),
                _ => Vec::new(),
            },
            ..Settlement::default()
        }
    }

    /// Whether a failed or cancelled job left something that costs.
    async fn present(&self, call: &Followed, job: &Job) -> Result<bool, UpstreamError> {
        let Some(id) = &job.instance else {
            return Ok(false);
        };
        let (list, item) = match call.command.as_str() {
            "deployVirtualMachine" | "startVirtualMachine" => {
                ("listVirtualMachines", "virtualmachine")
            }
            "createVolume" => ("listVolumes", "volume"),
            "associateIpAddress" => ("listPublicIpAddresses", "ipaddress"),
            "createSnapshot" => ("listSnapshots", "snapshot"),
            // What existed before the call is as it was.
            _ => return Ok(false),
        };
        let asked = [
            ("id", id.as_str()),
            ("listall", "true"),
            ("projectid", "-1"),
        ];
        let answer = self.service.call(list, &asked).await?;
        let found = answer
            .node
            .children
            .iter()
            .find(|node| node.text_of("id") == Some(id.as_str()));
        let state = found.and_then(|node| node.text_of("state"));
        let _ = item;
        Ok(match (call.command.as_str(), state) {
            (_, None) => false,
            ("startVirtualMachine", Some(state)) => state == "Running",
            (_, Some(state)) => !matches!(
                state,
                "Error" | "Destroyed" | "Expunging" | "Expunged" | "Destroy"
            ),
        })
    }

    /// CloudStack does not know our job. A create phase may still run, or a server died in it.
    async fn unknown(&self, call: &Followed) -> Result<bool, MeterFault> {
        if self.clock.wall().since(call.sent_wall) < settle::UNKNOWN_PATIENCE {
            return Ok(false);
        }
        let nothing_there = self.nothing_since(call).await?;
        let outcome = Outcome::Unknown {
            sent: call.sent_wall,
            nothing_there: Some(nothing_there),
        };
        let settlement = if nothing_there {
            self.settlement(call, outcome, None)
        } else {
            let mut kept = self.settlement(call, Outcome::Running, None);
            kept.command = None;
            kept
        };
        self.settle(&[], settlement).await?;
        Ok(true)
    }

    /// Whether the owner has nothing of what the call makes, made since it and claimed by nobody.
    async fn nothing_since(&self, call: &Followed) -> Result<bool, MeterFault> {
        let since = call.sent.plus(-CLOCKS_APART);
        for kind in kinds::made_by(&call.command) {
            let mut asked = vec![
                ("domainid", call.owner.domain.as_str()),
                ("listall", "true"),
                ("projectid", "-1"),
            ];
            asked.extend(kind.filter);
            for row in self.service.list(kind.command, kind.item, &asked).await? {
                let made = row.text_of("created").or_else(|| row.text_of("allocated"));
                let made = made.and_then(crate::cloudstack::time::parse);
                // A list that prints no time: what no meter knows may be new.
                let is_new = made.is_none_or(|made| made >= since);
                let id = ResourceId::from(row.text_of("id").unwrap_or_default());
                if is_new && self.store.intervals_of(&id).await?.is_empty() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}

/// The first answer, or one made of what the job says where it was lost.
fn first_answer(call: &Followed, instance: Option<&ResourceId>) -> Node {
    if let Some(answer) = &call.answer {
        return answer.clone();
    }
    let mut node = Node::leaf("answer", "");
    let job = call
        .job
        .as_ref()
        .map(|job| Node::leaf("jobid", job.as_str()));
    let id = instance.map(|id| Node::leaf("id", id.as_str()));
    node.children.extend(id.into_iter().chain(job));
    node
}

fn observed<'a>(
    call: &'a Followed,
    params: &'a (dyn Fn(&str) -> Option<&'a str> + Sync),
    answer: &'a Node,
    job: Option<&'a ObservedJob>,
) -> ObservedCall<'a> {
    ObservedCall {
        command: &call.command,
        params,
        owner: call.owner.clone(),
        sent: call.sent,
        answered: call.answered,
        answer,
        job,
    }
}

fn failure(code: i64, text: &str) -> Node {
    let mut node = Node::leaf("jobresult", "");
    node.children
        .push(Node::leaf("errorcode", &code.to_string()));
    node.children.push(Node::leaf("errortext", text));
    node
}
