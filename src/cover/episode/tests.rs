//! Pure: tables of stops and starts.

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
