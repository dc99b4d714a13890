//! Edge: the end ladder's stops and starts, top to bottom.
//!
//! One node at a time acts for a payer. Every action is an intent under an id that payer, episode,
//! machine and attempt give it, durable before it is sent, so that none is sent twice. Stops go to
//! CloudStack with the acting service account; starts after a top-up go through the gate like
//! anybody's, so that they are priced and held.

use super::episode::{self, Deed, Machine, Next, Tried};
use super::{forecast, ladder};
use crate::clock::Clock;
use crate::meter::planned::{PlannedText, owner_text};
use crate::meter::resource::{Interval, Owner};
use crate::policy::customer::RuleSet;
use crate::policy::prepaid::PrepaidProfile;
use crate::rate::RateError;
use crate::store::{
    Intent, IntentChange, IntentStatus, Notice, Store, StoreError, StoredInterval, Work,
};
use crate::terms::ids::{JobId, PayerId, ResourceId};
use crate::terms::money::{Micros, MoneyError};
use crate::upstream::UpstreamError;
use crate::upstream::service::Service;
use arc_swap::ArcSwap;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How often it is looked what is due, wall time.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Machines asked for at once.
const IDS_MAX: usize = 100;

/// Why a payer's ladder did not go on; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum ActFault {
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// CloudStack could not be asked.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
    /// What runs could not be priced.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// An amount left its range.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// What an episode stopped: kept until the money is back and it was started again.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Stopped {
    episode: String,
    machines: BTreeSet<String>,
}

/// Stops and starts machines for payers whose policy says so.
#[derive(Debug)]
pub struct Actor {
    store: Store,
    rules: Arc<ArcSwap<RuleSet>>,
    clock: Clock,
    reader: Arc<Service>,
    /// The acting account at CloudStack itself, and at the gate.
    stopper: Service,
    starter: Service,
    /// Calls that were sent, to be followed to their end.
    sent: mpsc::Sender<Intent>,
    /// Until then nothing is stopped: the gate was started, or its clock jumped.
    quiet_since: Mutex<std::time::Instant>,
    given_up: Mutex<BTreeMap<(PayerId, ResourceId), String>>,
}

/// The two ways of the acting account.
#[derive(Debug)]
pub struct Ways {
    /// To CloudStack.
    pub stopper: Service,
    /// To the gate.
    pub starter: Service,
}

impl Actor {
    /// An actor with this account; what it sends has to be followed by the other end of `sent`.
    #[must_use]
    pub fn new(
        store: Store,
        rules: Arc<ArcSwap<RuleSet>>,
        clock: Clock,
        reader: Arc<Service>,
        ways: Ways,
        sent: mpsc::Sender<Intent>,
    ) -> Self {
        let quiet_since = Mutex::new(clock.monotonic());
        Self {
            store,
            rules,
            clock,
            reader,
            stopper: ways.stopper,
            starter: ways.starter,
            sent,
            quiet_since,
            given_up: Mutex::default(),
        }
    }

    /// Acts until told to stop. `halted` says that the clock is not to be trusted.
    pub async fn run(&self, halted: impl Fn() -> bool + Send, mut stop: watch::Receiver<bool>) {
        let mut tick = tokio::time::interval(LOOK_EVERY);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                _ = stop.changed() => return,
            }
            if halted() {
                let mut since = self
                    .quiet_since
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner);
                *since = self.clock.monotonic();
                continue;
            }
            if self.store.keeps() {
                self.turn().await;
            }
        }
    }

    /// Machines that could not be stopped or started, with the reason: a person has to look.
    #[must_use]
    pub fn given_up(&self) -> BTreeMap<(PayerId, ResourceId), String> {
        let given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        given_up.clone()
    }

    async fn turn(&self) {
        let rules = self.rules.load_full();
        for payer in rules.customers.keys() {
            let profile = rules.profile_of(payer).filter(|profile| profile.stops);
            let Some(profile) = profile.filter(|profile| self.is_loud(profile)) else {
                continue;
            };
            if let Err(fault) = self.act_for(&rules, payer, profile).await {
                tracing::error!(verb = "stop", %payer, %fault, "the ladder waits");
            }
        }
    }

    fn is_loud(&self, profile: &PrepaidProfile) -> bool {
        let since = *self
            .quiet_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let passed = self.clock.monotonic().duration_since(since).as_micros();
        i64::try_from(passed).unwrap_or(i64::MAX) >= profile.quiet
    }

    async fn act_for(
        &self,
        rules: &RuleSet,
        payer: &PayerId,
        profile: &PrepaidProfile,
    ) -> Result<(), ActFault> {
        let key = format!("ladder/{payer}");
        let kept = self.store.meta(&key).await?;
        let kept: Option<Stopped> = kept.and_then(|text| serde_json::from_str(&text).ok());
        match self.stop_due(rules, payer, profile).await? {
            Some((episode, running)) => {
                let before = kept.filter(|kept| kept.episode == episode);
                self.stop(
                    payer,
                    profile,
                    &episode,
                    running,
                    before.unwrap_or_default(),
                )
                .await
            }
            None => match kept {
                Some(stopped) => self.start(payer, profile, &stopped).await,
                None => Ok(()),
            },
        }
    }

    /// The episode and what runs, where stopping is due now.
    async fn stop_due(
        &self,
        rules: &RuleSet,
        payer: &PayerId,
        profile: &PrepaidProfile,
    ) -> Result<Option<(String, Vec<StoredInterval>)>, ActFault> {
        let episode = self.store.meta(&format!("episode/{payer}")).await?;
        let (Some(episode), Some(state)) = (
            episode.filter(|text| !text.is_empty()),
            self.store.payer(payer).await?,
        ) else {
            return Ok(None);
        };
        let (Some(book), Some(terms)) = (rules.book_of(payer), rules.terms_of(payer)) else {
            return Ok(None);
        };
        let open = self.store.open_intervals(Some(payer)).await?;
        let intervals: Vec<Interval> = open.iter().map(|row| row.interval.clone()).collect();
        let known = state.accrued_through;
        let burn = crate::rate::burn_per_hour(book, &terms, &intervals, known)?;
        let ahead = forecast::forecast(&state, burn)?;
        let at = ladder::stop_at(profile, &ahead, known);
        let due = ahead.shortfall > Micros::ZERO && at.is_some_and(|at| at <= self.clock.billing());
        Ok(due.then_some((episode, open)))
    }

    /// Stops what is next.
    async fn stop(
        &self,
        payer: &PayerId,
        profile: &PrepaidProfile,
        episode: &str,
        running: Vec<StoredInterval>,
        mut stopped: Stopped,
    ) -> Result<(), ActFault> {
        let mut owners: BTreeMap<ResourceId, Owner> = BTreeMap::new();
        for row in running {
            let meter = &row.interval.meter;
            if meter.usage_type == crate::cloudstack::usage_type::UsageType::RunningVm {
                owners.insert(meter.resource.clone(), row.interval.owner);
            }
        }
        let ids: BTreeSet<ResourceId> = owners.keys().cloned().collect();
        let machines = self.machines(&ids, profile).await?;
        let tried = self.tried(&ids, episode).await?;
        self.note_given_up(payer, &machines, &tried);
        episode.clone_into(&mut stopped.episode);
        for next in episode::stops(profile, &machines, &tried, self.clock.billing()) {
            let Some(owner) = owners.get(&next.machine) else {
                continue;
            };
            stopped.machines.insert(next.machine.to_string());
            self.send(payer, episode, &next, owner, Some(&stopped))
                .await?;
        }
        Ok(())
    }

    /// Starts what the episode stopped, where the policy says so; then it is forgotten.
    async fn start(
        &self,
        payer: &PayerId,
        profile: &PrepaidProfile,
        stopped: &Stopped,
    ) -> Result<(), ActFault> {
        let ids: BTreeSet<ResourceId> = stopped
            .machines
            .iter()
            .map(|id| ResourceId::from(id.as_str()))
            .collect();
        let machines = self.machines(&ids, profile).await?;
        let tried = self.tried(&ids, &stopped.episode).await?;
        let on_their_way = machines.iter().any(|one| one.state == "Stopping")
            || tried.values().any(|tried| tried.open);
        let next = episode::starts(profile, &machines, &tried);
        if next.is_empty() && !on_their_way {
            let over = Work {
                meta: vec![(format!("ladder/{payer}"), String::new())],
                ..Work::default()
            };
            self.store.submit(over).await?;
            return Ok(());
        }
        for next in next {
            let nobody = Owner {
                account: None,
                account_name: None,
                domain: String::new().into(),
                project: None,
            };
            self.send(payer, &stopped.episode, &next, &nobody, None)
                .await?;
        }
        Ok(())
    }

    /// One action: durable, sent, and followed or given up.
    async fn send(
        &self,
        payer: &PayerId,
        episode: &str,
        next: &Next,
        owner: &Owner,
        stopped: Option<&Stopped>,
    ) -> Result<(), ActFault> {
        let intent = self.intent(payer, episode, next, owner);
        let kept = stopped.map(|stopped| serde_json::to_string(stopped).unwrap_or_default());
        let work = Work {
            intents: vec![IntentChange::Insert(intent.clone())],
            meta: kept
                .map(|text| vec![(format!("ladder/{payer}"), text)])
                .unwrap_or_default(),
            notices: vec![Notice {
                payer: payer.clone(),
                episode: episode.to_owned(),
                step: format!("{}-{}", next.deed.name(), next.machine),
                text: format!("{} of {}", next.deed.command(), next.machine),
                at: self.clock.billing(),
            }],
            ..Work::default()
        };
        self.store.submit(work).await?;
        tracing::info!(verb = "stop", %payer, machine = %next.machine, deed = next.deed.name(),
            attempt = next.attempt, "sent");
        let answer = match next.deed {
            Deed::Start => {
                let asked = [("id", next.machine.as_str())];
                self.starter.call(next.deed.command(), &asked).await
            }
            Deed::Stop | Deed::StopForced => {
                let job = intent.job.as_ref().map_or("", |job| job.as_str());
                let mut asked = vec![("id", next.machine.as_str()), ("customjobid", job)];
                if next.deed == Deed::StopForced {
                    asked.push(("forced", "true"));
                }
                self.stopper.call(next.deed.command(), &asked).await
            }
        };
        let refused = match &answer {
            Ok(answer) => answer
                .error
                .as_ref()
                .map(|e| format!("{} {}", e.code, e.text)),
            // It may have arrived: the job tells.
            Err(fault) if next.deed == Deed::Start => Some(fault.to_string()),
            Err(_) => None,
        };
        match (refused, next.deed) {
            (Some(why), _) => {
                self.close(&intent, IntentStatus::GivenBack, Some(why))
                    .await
            }
            // The gate follows what came through it.
            (None, Deed::Start) => self.close(&intent, IntentStatus::Settled, None).await,
            (None, _) => {
                let _ = self.sent.send(intent).await;
                Ok(())
            }
        }
    }

    async fn close(
        &self,
        intent: &Intent,
        status: IntentStatus,
        why: Option<String>,
    ) -> Result<(), ActFault> {
        if let Some(why) = &why {
            tracing::error!(verb = "stop", call = %intent.call, command = %intent.command, why,
                "CloudStack refused it");
        }
        let update = IntentChange::Update {
            call: intent.call,
            status,
            job: None,
            resource: None,
            answered: Some(self.clock.wall()),
            updated: self.clock.wall(),
            note: why.map(|why| format!("{}: {why}", intent.note)),
        };
        let work = Work {
            intents: vec![update],
            ..Work::default()
        };
        self.store.submit(work).await?;
        Ok(())
    }

    fn intent(&self, payer: &PayerId, episode: &str, next: &Next, owner: &Owner) -> Intent {
        let now = self.clock.wall();
        let planned = PlannedText {
            sent: Some(self.clock.billing().micros()),
            ..PlannedText::default()
        };
        let forced = match next.deed {
            Deed::StopForced => "&forced=true",
            _ => "",
        };
        Intent {
            call: episode::call_of(payer, episode, next),
            hold: None,
            payer: Some(payer.clone()),
            owner: owner_text(owner),
            command: next.deed.command().to_owned(),
            params: format!(
                "command={}&id={}{forced}",
                next.deed.command(),
                next.machine
            ),
            job: (next.deed != Deed::Start).then(|| JobId::from(self.clock.random_uuid())),
            resource: Some(next.machine.clone()),
            planned: serde_json::to_string(&planned).unwrap_or_default(),
            status: IntentStatus::Intended,
            sent: now,
            answered: None,
            updated: now,
            note: format!("{}{} {}", mark(episode), next.deed.name(), next.attempt),
        }
    }

    /// The machines as CloudStack shows them now.
    async fn machines(
        &self,
        ids: &BTreeSet<ResourceId>,
        profile: &PrepaidProfile,
    ) -> Result<Vec<Machine>, ActFault> {
        let ids: Vec<&str> = ids.iter().map(ResourceId::as_str).collect();
        let mut machines = Vec::new();
        for page in ids.chunks(IDS_MAX) {
            let page = page.join(",");
            let asked = [
                ("ids", page.as_str()),
                ("listall", "true"),
                ("projectid", "-1"),
            ];
            let rows = self
                .reader
                .list("listVirtualMachines", "virtualmachine", &asked);
            let tag = &profile.stop_order_tag;
            machines.extend(rows.await?.iter().map(|row| Machine::read(row, tag)));
        }
        Ok(machines)
    }

    /// What was tried on each machine in this episode.
    async fn tried(
        &self,
        ids: &BTreeSet<ResourceId>,
        episode: &str,
    ) -> Result<BTreeMap<ResourceId, Tried>, ActFault> {
        let mut known = BTreeMap::new();
        for id in ids {
            let intents = self.store.intents_of_resource(id).await?;
            let mut tried = Tried::default();
            for intent in intents
                .iter()
                .filter(|one| one.note.starts_with(&mark(episode)))
            {
                tried.attempts = tried.attempts.saturating_add(1);
                let sent = crate::meter::planned::sent_of(intent);
                tried.first = tried.first.min(sent).or(sent);
                let closed = intent.status.is_final() || intent.status == IntentStatus::Unresolved;
                tried.open |= !closed;
            }
            if tried.attempts > 0 {
                known.insert(id.clone(), tried);
            }
        }
        Ok(known)
    }

    fn note_given_up(
        &self,
        payer: &PayerId,
        machines: &[Machine],
        tried: &BTreeMap<ResourceId, Tried>,
    ) {
        let mut given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner);
        given_up.retain(|(whose, _), _| whose != payer);
        for machine in machines {
            let over = tried
                .get(&machine.id)
                .is_some_and(|tried| tried.attempts >= episode::ATTEMPTS_MAX && !tried.open);
            if over && machine.state != "Stopped" {
                let what = format!("{} ({}) is {}", machine.name, machine.id, machine.state);
                given_up.insert((payer.clone(), machine.id.clone()), what);
            }
        }
    }
}

/// How an action's note begins: whose it is tells its episode.
fn mark(episode: &str) -> String {
    format!("ladder {episode} ")
}
