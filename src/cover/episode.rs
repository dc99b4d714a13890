//! Pure: one run towards the end of the money: which machines are stopped next, which are started
//! again, which actions are over. The edge that does it is `act.rs`.

use crate::cloudstack::time;
use crate::cloudstack::tree::Node;
use crate::policy::prepaid::PrepaidProfile;
use crate::terms::ids::{CallId, PayerId, ResourceId};
use crate::terms::time::Timestamp;
use sha2::{Digest as _, Sha256};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// How often an action is tried before a person has to look.
pub const ATTEMPTS_MAX: u32 = 3;

/// A machine of the payer, as CloudStack shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Machine {
    /// Which.
    pub id: ResourceId,
    /// Its name, for people.
    pub name: String,
    /// CloudStack's word: `Running`, `Stopping`, `Stopped` …
    pub state: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// What its owner wrote into the tag that orders stops; none without one.
    pub order: Option<i64>,
}

impl Machine {
    /// A row of `listVirtualMachines`; `tag` is the key of the tag that orders stops.
    #[must_use]
    pub fn read(row: &Node, tag: &str) -> Self {
        let text = |name: &str| row.text_of(name).unwrap_or_default().to_owned();
        let mut tags = row.children.iter().filter(|child| child.name == "tags");
        let order = tags.find(|child| child.text_of("key") == Some(tag));
        Self {
            id: ResourceId::from(text("id")),
            name: text("name"),
            state: text("state"),
            created: row.text_of("created").and_then(time::parse),
            order: order.and_then(|tag| tag.text_of("value")?.trim().parse().ok()),
        }
    }
}

/// What an action does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Deed {
    /// `stopVirtualMachine`, orderly.
    Stop,
    /// `stopVirtualMachine` with `forced=true`.
    StopForced,
    /// `startVirtualMachine`, of what an episode stopped.
    Start,
}

impl Deed {
    /// Its word in ids and notes.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::StopForced => "stop-forced",
            Self::Start => "start",
        }
    }
    /// CloudStack's command.
    #[must_use]
    pub const fn command(self) -> &'static str {
        match self {
            Self::Stop | Self::StopForced => "stopVirtualMachine",
            Self::Start => "startVirtualMachine",
        }
    }
}

/// What is known of the actions on one machine in this episode.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tried {
    /// Actions that were begun.
    pub attempts: u32,
    /// When the first one was begun, billing time.
    pub first: Option<Timestamp>,
    /// One is under way: neither its answer nor its job's end is known.
    pub open: bool,
}

/// What is done next, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Next {
    /// To which machine.
    pub machine: ResourceId,
    /// What.
    pub deed: Deed,
    /// The how many-th action on it in this episode, from 1.
    pub attempt: u32,
}

/// The id of an action: the same payer, episode, machine and attempt are the same action, however
/// often it is computed and by whichever node.
#[must_use]
pub fn call_of(payer: &PayerId, episode: &str, next: &Next) -> CallId {
    let mut hash = Sha256::new();
    for part in [
        "ladder",
        payer.as_str(),
        episode,
        next.machine.as_str(),
        &next.attempt.to_string(),
    ] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let mut bits = [0; 16];
    bits.copy_from_slice(&hash.finalize()[..16]);
    CallId::from_bits(u128::from_be_bytes(bits))
}

/// The order in which machines are stopped: by their owner's number, small ones first; a machine
/// without one counts as 0. Of one number, the newest first: what ran longest is kept longest.
#[must_use]
pub fn in_order(mut machines: Vec<Machine>) -> Vec<Machine> {
    machines.sort_by(|a, b| {
        let key = |one: &Machine| (one.order.unwrap_or(0), Reverse(one.created));
        key(a).cmp(&key(b)).then_with(|| a.id.cmp(&b.id))
    });
    machines
}

/// The stops that are due now. Machines of one number stop together; those of the next number wait
/// until they have stopped or cannot be stopped. An orderly stop that did not end within the grace
/// is followed by a forced one.
#[must_use]
pub fn stops(
    profile: &PrepaidProfile,
    machines: &[Machine],
    tried: &BTreeMap<ResourceId, Tried>,
    now: Timestamp,
) -> Vec<Next> {
    let machines = in_order(machines.to_vec());
    let none = Tried::default();
    let given_up = |one: &Machine| {
        let tried = tried.get(&one.id).unwrap_or(&none);
        tried.attempts >= ATTEMPTS_MAX && !tried.open
    };
    let runs = |one: &&Machine| one.state != "Stopped" && !given_up(one);
    let Some(turn) = machines.iter().find(runs).map(|one| one.order.unwrap_or(0)) else {
        return Vec::new();
    };
    let of_turn = machines
        .iter()
        .filter(runs)
        .filter(|one| one.order.unwrap_or(0) == turn);
    let mut next = Vec::new();
    for machine in of_turn {
        let tried = tried.get(&machine.id).copied().unwrap_or_default();
        let late = tried
            .first
            .is_some_and(|first| now.since(first) >= profile.stop_grace);
        let deed = match (machine.state.as_str(), tried.attempts) {
            ("Running", 0) => Deed::Stop,
            // It runs after an orderly stop ended or took too long.
            ("Running", _) if !tried.open || late => Deed::StopForced,
            ("Stopping", 1) if late => Deed::StopForced,
            _ => continue,
        };
        if tried.attempts < ATTEMPTS_MAX {
            next.push(Next {
                machine: machine.id.clone(),
                deed,
                attempt: tried.attempts + 1,
            });
        }
    }
    next
}

/// The starts that are due after a top-up, where the policy wants them: what the episode stopped,
/// in the opposite order.
#[must_use]
pub fn starts(
    profile: &PrepaidProfile,
    machines: &[Machine],
    stopped: &BTreeMap<ResourceId, Tried>,
) -> Vec<Next> {
    if !profile.restarts {
        return Vec::new();
    }
    let mut machines = in_order(machines.to_vec());
    machines.reverse();
    let due = machines.iter().filter_map(|machine| {
        let tried = stopped.get(&machine.id)?;
        let again = machine.state == "Stopped" && !tried.open;
        (again && tried.attempts < 2 * ATTEMPTS_MAX).then(|| Next {
            machine: machine.id.clone(),
            deed: Deed::Start,
            attempt: tried.attempts + 1,
        })
    });
    due.collect()
}

#[cfg(test)]
mod tests;
