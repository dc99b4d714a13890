//! Pure: one run towards the end of the money: which machines are stopped next, which are started
//! again, which actions are over. The edge that does it is `act.rs`.

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
mod tests {
    use super::*;
    use crate::terms::time::SECOND;

    const GRACE: i64 = 300 * SECOND;

    fn profile() -> PrepaidProfile {
        PrepaidProfile {
            stops: true,
            restarts: true,
            stop_grace: GRACE,
            ..PrepaidProfile::default()
        }
    }
    fn machine(id: &str, state: &str, order: Option<i64>, created: i64) -> Machine {
        Machine {
            id: ResourceId::from(id),
            name: id.to_owned(),
            state: state.to_owned(),
            created: Some(Timestamp::from_seconds(created)),
            order,
        }
    }
    fn tried(attempts: u32, first: i64, open: bool) -> Tried {
        Tried {
            attempts,
            first: Some(Timestamp::from_seconds(first)),
            open,
        }
    }
    fn told(next: &[Next]) -> Vec<(&str, &'static str, u32)> {
        next.iter()
            .map(|one| (one.machine.as_str(), one.deed.name(), one.attempt))
            .collect()
    }

    #[test]
    fn machines_stop_by_their_owners_number_and_the_newest_first() {
        let machines = [
            machine("db", "Running", Some(9), 1),
            machine("old", "Running", None, 2),
            machine("new", "Running", None, 3),
            machine("batch", "Running", Some(-1), 4),
        ];
        let order: Vec<String> = in_order(machines.to_vec())
            .into_iter()
            .map(|one| one.name)
            .collect();
        assert_eq!(order, ["batch", "new", "old", "db"]);
        let now = Timestamp::from_seconds(10);
        let first = stops(&profile(), &machines, &BTreeMap::new(), now);
        assert_eq!(told(&first), [("batch", "stop", 1)]);
    }

    #[test]
    fn the_next_number_waits_until_the_one_before_has_stopped_or_cannot_be_stopped() {
        let mut machines = vec![
            machine("batch", "Stopping", Some(-1), 4),
            machine("new", "Running", None, 3),
            machine("old", "Running", None, 2),
        ];
        let now = Timestamp::from_seconds(10);
        let mut known = BTreeMap::from([(ResourceId::from("batch"), tried(1, 9, true))]);
        assert_eq!(stops(&profile(), &machines, &known, now), []);
        machines[0].state = "Stopped".to_owned();
        let both = [("new", "stop", 1), ("old", "stop", 1)];
        assert_eq!(told(&stops(&profile(), &machines, &known, now)), both);
        machines[0].state = "Running".to_owned();
        known.insert(ResourceId::from("batch"), tried(ATTEMPTS_MAX, 9, false));
        assert_eq!(told(&stops(&profile(), &machines, &known, now)), both);
    }

    #[test]
    fn an_orderly_stop_that_takes_too_long_or_fails_is_followed_by_a_forced_one() {
        let running = [machine("vm", "Running", None, 1)];
        let stopping = [machine("vm", "Stopping", None, 1)];
        let id = ResourceId::from("vm");
        let early = Timestamp::from_seconds(100 + 299);
        let late = Timestamp::from_seconds(100 + 300);
        let open = BTreeMap::from([(id.clone(), tried(1, 100, true))]);
        let failed = BTreeMap::from([(id.clone(), tried(1, 100, false))]);
        let spent = BTreeMap::from([(id, tried(ATTEMPTS_MAX, 100, false))]);
        let forced = [("vm", "stop-forced", 2)];
        let rows = [
            (&running, &open, early, &[][..]),
            (&running, &open, late, &forced[..]),
            (&running, &failed, early, &forced[..]),
            (&stopping, &open, early, &[][..]),
            (&stopping, &open, late, &forced[..]),
            (&running, &spent, late, &[][..]),
        ];
        for (index, (machines, known, now, wanted)) in rows.into_iter().enumerate() {
            let next = stops(&profile(), machines, known, now);
            assert_eq!(told(&next), wanted, "row {index}");
        }
    }

    #[test]
    fn only_what_the_episode_stopped_starts_again_and_only_where_the_policy_says_so() {
        let machines = [
            machine("first", "Stopped", Some(-1), 1),
            machine("last", "Stopped", Some(5), 1),
            machine("by-hand", "Stopped", None, 1),
        ];
        let stopped = BTreeMap::from([
            (ResourceId::from("first"), tried(1, 9, false)),
            (ResourceId::from("last"), tried(2, 9, false)),
        ]);
        let next = starts(&profile(), &machines, &stopped);
        assert_eq!(told(&next), [("last", "start", 3), ("first", "start", 2)]);
        let never = PrepaidProfile {
            restarts: false,
            ..profile()
        };
        assert_eq!(starts(&never, &machines, &stopped), []);
    }

    #[test]
    fn an_action_has_one_id_however_often_it_is_computed() {
        let next = |machine: &str, attempt| Next {
            machine: ResourceId::from(machine),
            deed: Deed::Stop,
            attempt,
        };
        let of =
            |payer: &str, episode: &str, next: &Next| call_of(&PayerId::from(payer), episode, next);
        let one = of("acme", "e1", &next("vm", 1));
        assert_eq!(one, of("acme", "e1", &next("vm", 1)));
        let others = [
            of("acme", "e1", &next("vm", 2)),
            of("acme", "e2", &next("vm", 1)),
            of("acme", "e1", &next("v", 1)),
            of("acm", "ee1", &next("vm", 1)),
        ];
        assert!(others.iter().all(|other| *other != one));
    }
}
