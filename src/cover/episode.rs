//! Pure: one run towards the end of a payer's money: which machine is stopped next, how hard,
//! what is tried again, what is started or deleted later.
//!
//! An action has an id of its payer, episode, step and resource, and each try of it a job id made
//! of that id and the number of the try: asked twice for one try, CloudStack refuses the second.

use crate::cloudstack::time;
use crate::cloudstack::tree::Node;
use crate::cover::forecast::lasts;
use crate::policy::ending::Ending;
use crate::terms::ids::{CapId, JobId, PayerId, ResourceId};
use crate::terms::money::{Micros, MoneyError};
use crate::terms::time::Timestamp;
use sha2::{Digest, Sha256};

/// How names of runs of caps begin.
const OF_A_CAP: &str = "cap/";

/// A payer's run towards the end. It has an end of its own: a top-up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Episode {
    /// Whose.
    pub payer: PayerId,
    /// Its name: the billing instant at which it began, or its cap and period.
    pub name: String,
    /// When stopping began, billing time.
    pub stopping: Option<Timestamp>,
    /// When nothing of his ran any more, billing time.
    pub stopped: Option<Timestamp>,
    /// When it ended, billing time.
    pub ended: Option<Timestamp>,
}

impl Episode {
    /// A run that begins.
    #[must_use]
    pub fn new(payer: &PayerId, at: Timestamp) -> Self {
        Self::named(payer, &at.to_string())
    }

    /// A run of that name of which nothing has happened.
    #[must_use]
    pub fn named(payer: &PayerId, name: &str) -> Self {
        Self {
            payer: payer.clone(),
            name: name.to_owned(),
            stopping: None,
            stopped: None,
            ended: None,
        }
    }

    /// The name of the run of a cap in the period that began then: `cap/CAP/MICROSECONDS`.
    #[must_use]
    pub fn name_of_cap(cap: &CapId, start: Timestamp) -> String {
        format!("{OF_A_CAP}{cap}/{}", start.micros())
    }

    /// Of which cap and period a run is; none where it is of a payer's money.
    #[must_use]
    pub fn cap_of(name: &str) -> Option<(CapId, Timestamp)> {
        let (cap, start) = name.strip_prefix(OF_A_CAP)?.rsplit_once('/')?;
        let start = Timestamp::from_micros(start.parse().ok()?);
        Some((CapId::from(cap), start))
    }
}

/// What is done to a machine.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ActionStep {
    /// Stopped, as its guest wants it.
    Stop,
    /// Stopped, whatever its guest wants.
    Force,
    /// Started again after a top-up.
    Start,
    /// Destroyed, not expunged: CloudStack keeps it for its own delay.
    Delete,
}

impl ActionStep {
    /// Every step.
    pub const ALL: [Self; 4] = [Self::Stop, Self::Force, Self::Start, Self::Delete];

    /// The word that is stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Force => "force",
            Self::Start => "start",
            Self::Delete => "delete",
        }
    }

    /// CloudStack's command.
    #[must_use]
    pub const fn command(self) -> &'static str {
        match self {
            Self::Stop | Self::Force => "stopVirtualMachine",
            Self::Start => "startVirtualMachine",
            Self::Delete => "destroyVirtualMachine",
        }
    }

    /// Whether a machine in that state has what the step is for.
    #[must_use]
    pub fn is_reached(self, state: Option<&str>) -> bool {
        match (self, state) {
            (Self::Stop | Self::Force, Some("Running" | "Starting" | "Stopping" | "Migrating"))
            | (Self::Start, Some("Stopped" | "Starting" | "Stopping"))
            | (Self::Delete, Some("Running" | "Stopped" | "Starting" | "Stopping")) => false,
            (Self::Start, _) => state == Some("Running"),
            _ => true,
        }
    }
}

/// How far an action has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ActionStatus {
    /// A try failed; it is tried again.
    Waiting,
    /// Durable; it may have been sent.
    Intended,
    /// CloudStack has its job.
    Sent,
    /// It has what it is for.
    Done,
    /// Not needed any more, or in vain.
    Cancelled,
}

impl ActionStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [
        Self::Waiting,
        Self::Intended,
        Self::Sent,
        Self::Done,
        Self::Cancelled,
    ];

    /// The word that is stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Intended => "intended",
            Self::Sent => "sent",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
        }
    }
    /// Nothing more will become of it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled)
    }
}

/// Something done to a machine: durable before its first byte goes out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Action {
    /// Whose machine.
    pub payer: PayerId,
    /// In which episode.
    pub episode: String,
    /// What.
    pub step: ActionStep,
    /// To which machine.
    pub resource: ResourceId,
    /// What people call it.
    pub name: String,
    /// What an hour of it costs while it runs.
    pub per_hour: Micros,
    /// How far it has come.
    pub status: ActionStatus,
    /// Tries so far; the first is 1.
    pub tries: i64,
    /// The job of the last try.
    pub job: JobId,
    /// When it was first intended, wall time.
    pub since: Timestamp,
    /// When the last try was intended, or the next one is due; wall time.
    pub at: Timestamp,
    /// What a person should know: why the last try failed.
    pub note: String,
}

impl Action {
    /// The first try of a step.
    #[must_use]
    pub fn first(
        episode: &Episode,
        step: ActionStep,
        machine: (&ResourceId, &str, Micros),
        wall: Timestamp,
    ) -> Self {
        let (resource, name, per_hour) = machine;
        let mut action = Self {
            payer: episode.payer.clone(),
            episode: episode.name.clone(),
            step,
            resource: resource.clone(),
            name: name.to_owned(),
            per_hour,
            status: ActionStatus::Intended,
            tries: 1,
            job: JobId::from(""),
            since: wall,
            at: wall,
            note: String::new(),
        };
        action.job = action.job_of_try();
        action
    }

    /// The same, tried once more.
    #[must_use]
    pub fn again(&self, wall: Timestamp) -> Self {
        let mut next = Self {
            status: ActionStatus::Intended,
            tries: self.tries.saturating_add(1),
            at: wall,
            ..self.clone()
        };
        next.job = next.job_of_try();
        next
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> String {
        let Self {
            payer,
            episode,
            step,
            resource,
            ..
        } = self;
        format!("{payer}/{episode}/{}/{resource}", step.name())
    }

    /// A UUID that belongs to this try alone.
    fn job_of_try(&self) -> JobId {
        let hash = Sha256::digest(format!("{}/{}", self.id(), self.tries));
        let mut hex: String = hash
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        hex.replace_range(12..13, "8");
        hex.replace_range(16..17, "8");
        for place in [20, 16, 12, 8] {
            hex.insert(place, '-');
        }
        JobId::from(hex)
    }
}

/// A machine as CloudStack lists it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    /// Which.
    pub id: ResourceId,
    /// What people call it.
    pub name: String,
    /// `Running`, `Stopped` …
    pub state: String,
    /// The number of its tag.
    pub order: Option<i64>,
    /// It is stopped last of all.
    pub protected: bool,
    /// When it was made.
    pub created: Timestamp,
}

impl Machine {
    /// A row of `listVirtualMachines`; none without an id.
    #[must_use]
    pub fn read(row: &Node, ending: &Ending) -> Option<Self> {
        let tag = |key: &str| {
            let tags = row.children.iter().filter(|node| node.name == "tags");
            let mut tags = tags.filter(|tag| tag.text_of("key") == Some(key));
            tags.next().map(|tag| tag.text_of("value").unwrap_or(""))
        };
        let text = |name: &str| row.text_of(name).unwrap_or_default().to_owned();
        Some(Self {
            id: ResourceId::from(row.text_of("id")?),
            name: text("name"),
            state: text("state"),
            order: tag(&ending.order_tag).and_then(|value| value.trim().parse().ok()),
            protected: tag(&ending.protect_tag).is_some_and(|value| value.trim() != "false"),
            created: row
                .text_of("created")
                .and_then(time::parse)
                .unwrap_or_default(),
        })
    }

    /// Machines of one rank are stopped together, lower ranks first.
    fn rank(&self) -> (bool, i64) {
        (self.protected, self.order.unwrap_or(0))
    }
}

/// The customer's own order: by the number of the tag, low first, none is 0; protected ones last;
/// among equals the newest first.
#[must_use]
pub fn in_order(machines: &[Machine]) -> Vec<&Machine> {
    let mut order: Vec<&Machine> = machines.iter().collect();
    order.sort_by_key(|one| (one.rank(), std::cmp::Reverse(one.created), one.id.clone()));
    order
}

/// What is to be intended now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// A first try.
    First(ActionStep, ResourceId),
    /// One more try of an action.
    Again(Action),
}

/// What the cover has to carry, for saying whether one more machine has to be stopped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pressure {
    /// What the cover carries for what runs.
    pub cover: Micros,
    /// What an hour of everything that costs comes to, machines that are being stopped left out.
    pub burn_per_hour: Micros,
    /// How long before the cover's end stopping begins.
    pub lead: i64,
    /// How long ago the cover was as said: microseconds of billing time.
    pub elapsed: i64,
}

impl Pressure {
    /// Whether the cover ends within the lead.
    #[must_use]
    pub fn is_due(&self) -> bool {
        lasts(self.cover, self.burn_per_hour)
            .is_some_and(|left| left.saturating_sub(self.elapsed) <= self.lead)
    }

    /// The same with one machine less.
    #[must_use]
    pub fn without(self, per_hour: Micros) -> Self {
        let left = self.burn_per_hour.minus(per_hour);
        Self {
            burn_per_hour: left.unwrap_or(self.burn_per_hour).or_zero(),
            ..self
        }
    }
}

/// Of the next actions those that the pressure asks for: first tries of stops only as long as what
/// would run on ends the cover within the lead; all others at once. `price` is what an hour of a
/// running machine costs.
#[must_use]
pub fn needed(
    next: Vec<Next>,
    pressure: Pressure,
    price: &dyn Fn(&ResourceId) -> Micros,
) -> Vec<Next> {
    let mut pressure = pressure;
    let mut wanted = Vec::new();
    for one in next {
        let anew = match &one {
            Next::First(ActionStep::Stop, machine) => Some(machine),
            Next::Again(again) if again.step == ActionStep::Stop && again.at == again.since => {
                Some(&again.resource)
            }
            _ => None,
        };
        if let Some(machine) = anew {
            if !pressure.is_due() {
                continue;
            }
            pressure = pressure.without(price(machine));
        }
        wanted.push(one);
    }
    wanted
}

/// The next stops. A rank waits for the ranks before it, but not for a machine that a forced stop
/// could not stop either. `wall` is now.
#[must_use]
pub fn next_stops(
    ending: &Ending,
    machines: &[Machine],
    actions: &[Action],
    wall: Timestamp,
) -> Vec<Next> {
    let of = |machine: &Machine, step| {
        let mut found = actions.iter();
        found.find(|one| one.step == step && one.resource == machine.id)
    };
    let up = |machine: &&Machine| !ActionStep::Stop.is_reached(Some(&machine.state));
    let order: Vec<&Machine> = in_order(machines).into_iter().filter(up).collect();
    let hopeless = |machine: &Machine| {
        of(machine, ActionStep::Force).is_some_and(|it| it.status == ActionStatus::Waiting)
    };
    let rank = order.iter().find(|it| !hopeless(it)).map(|it| it.rank());
    let mut under_way = order
        .iter()
        .filter(|it| {
            let steps = [ActionStep::Stop, ActionStep::Force];
            let mut tried = steps.into_iter().filter_map(|step| of(it, step));
            tried.any(|one| one.status != ActionStatus::Cancelled) && !hopeless(it)
        })
        .count();
    let mut next = Vec::new();
    for machine in order {
        let due = |one: &Action| one.status == ActionStatus::Waiting && one.at <= wall;
        let stop = of(machine, ActionStep::Stop);
        let force = of(machine, ActionStep::Force);
        match (stop, force) {
            // It was let be, and its turn has come once more.
            (Some(stop), None) if stop.status == ActionStatus::Cancelled => {
                let anew = Action {
                    since: wall,
                    ..stop.again(wall)
                };
                next.push(Next::Again(anew));
            }
            (None, _) if rank.is_none_or(|rank| machine.rank() <= rank) => {
                if under_way < ending.at_once {
                    under_way = under_way.saturating_add(1);
                    next.push(Next::First(ActionStep::Stop, machine.id.clone()));
                }
            }
            (None, _) => {}
            (Some(_), Some(force)) if due(force) => next.push(Next::Again(force.again(wall))),
            (Some(_), Some(_)) => {}
            (Some(stop), None) if wall.since(stop.since) >= ending.force_after => {
                next.push(Next::First(ActionStep::Force, machine.id.clone()));
            }
            (Some(stop), None) if due(stop) => next.push(Next::Again(stop.again(wall))),
            (Some(_), None) => {}
        }
    }
    next
}

/// The machines that this episode stopped and that are stopped still, last stopped first.
#[must_use]
pub fn stopped_by_us<'a>(actions: &'a [Action], machines: &[Machine]) -> Vec<&'a Action> {
    let stopped = |action: &Action| {
        let mut rows = machines.iter();
        rows.any(|row| row.id == action.resource && row.state == "Stopped")
    };
    let mut found: Vec<&Action> = actions
        .iter()
        .filter(|one| one.step == ActionStep::Stop && one.status == ActionStatus::Done)
        .filter(|one| stopped(one))
        .collect();
    found.sort_by_key(|one| (std::cmp::Reverse(one.since), one.id()));
    found
}

/// What money has to be there before an episode that stopped machines is over: an hour's price of
/// each of them for the horizon (microseconds).
///
/// # Errors
/// [`MoneyError`] beyond the range.
pub fn needed_again(stopped: &[&Action], horizon: i64) -> Result<Micros, MoneyError> {
    let hour = stopped
        .iter()
        .try_fold(Micros::ZERO, |sum, one| sum.plus(one.per_hour))?;
    let share = rust_decimal::Decimal::from(horizon)
        .checked_div(rust_decimal::Decimal::from(crate::terms::time::HOUR));
    let amount = share.and_then(|share| hour.to_decimal().checked_mul(share));
    crate::terms::money::charge_to_micros(amount.ok_or(MoneyError::Overflow)?)
}

#[cfg(test)]
mod tests;
