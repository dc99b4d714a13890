//! Pure: tables of what the end ladder does next.

use super::*;
use crate::cover::ladder::{delete_notices_due, may_delete};
use crate::cover::preview::{Rung, preview};
use crate::ledger::records::{BillingMode, PayerState};
use crate::policy::prepaid::PrepaidProfile;
use crate::terms::money::Currency;
use crate::terms::time::{HOUR, SECOND};

const MINUTE: i64 = 60 * SECOND;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn euros(text: &str) -> Micros {
    text.parse().unwrap()
}

fn machine(id: &str, order: Option<i64>, protected: bool, created: i64) -> Machine {
    Machine {
        id: ResourceId::from(id),
        name: id.to_owned(),
        state: "Running".to_owned(),
        order,
        protected,
        created: at(created),
    }
}

fn episode() -> Episode {
    Episode::new(&PayerId::from("p"), at(0))
}

fn action(step: ActionStep, id: &str, status: ActionStatus, since: i64) -> Action {
    let machine = (&ResourceId::from(id), id, euros("1"));
    Action {
        status,
        ..Action::first(&episode(), step, machine, at(since))
    }
}

/// The next steps as words: `stop a`, `force b`.
fn words(next: &[Next]) -> Vec<String> {
    let word = |one: &Next| match one {
        Next::First(step, id) => format!("{} {id}", step.name()),
        Next::Again(it) => format!("{} {} again", it.step.name(), it.resource),
    };
    next.iter().map(word).collect()
}

#[test]
fn low_numbers_come_first_then_the_newest_and_protected_ones_last() {
    let machines = [
        machine("old", None, false, 1),
        machine("new", None, false, 9),
        machine("two", Some(2), false, 5),
        machine("one", Some(1), false, 5),
        machine("safe", None, true, 9),
        machine("safe-one", Some(1), true, 1),
    ];
    let order: Vec<&str> = in_order(&machines)
        .iter()
        .map(|it| it.id.as_str())
        .collect();
    assert_eq!(order, ["new", "old", "one", "two", "safe", "safe-one"]);
}

#[test]
fn tags_are_read_as_the_policy_names_them() {
    let ending = Ending {
        order_tag: "shut".to_owned(),
        ..Ending::default()
    };
    let tags = [("shut", "7"), ("faregate.protected", "")];
    let mut row = Node::leaf("virtualmachine", "");
    row.children.push(Node::leaf("id", "v"));
    row.children.extend(tags.map(|(key, value)| Node {
        name: "tags".to_owned(),
        text: String::new(),
        children: vec![Node::leaf("key", key), Node::leaf("value", value)],
    }));
    let read = Machine::read(&row, &ending).unwrap();
    assert_eq!((read.order, read.protected), (Some(7), true));
    let read = Machine::read(&row, &Ending::default()).unwrap();
    assert_eq!(read.order, None);
}

#[test]
fn a_rank_waits_for_the_ranks_before_it_and_no_more_than_so_many_stop_at_once() {
    let ending = Ending {
        at_once: 2,
        ..Ending::default()
    };
    let machines = [
        machine("a", Some(1), false, 3),
        machine("b", Some(1), false, 2),
        machine("c", Some(1), false, 1),
        machine("d", Some(2), false, 9),
    ];
    let next = |machines: &[Machine], actions: &[Action]| {
        words(&next_stops(&ending, machines, actions, at(10)))
    };
    assert_eq!(next(&machines, &[]), ["stop a", "stop b"]);
    let sent = |id| action(ActionStep::Stop, id, ActionStatus::Sent, 9);
    assert_eq!(next(&machines, &[sent("a")]), ["stop b"]);
    assert_eq!(next(&machines, &[sent("a"), sent("b")]), [""; 0]);
    let mut stopped = machines.clone();
    for one in &mut stopped[..3] {
        one.state = "Stopped".to_owned();
    }
    let done = |id| action(ActionStep::Stop, id, ActionStatus::Done, 9);
    assert_eq!(
        next(&stopped, &[done("a"), done("b"), done("c")]),
        ["stop d"]
    );
}

#[test]
fn a_failed_stop_is_tried_again_then_forced_and_does_not_hold_up_the_others() {
    let ending = Ending {
        force_after: 300 * SECOND,
        ..Ending::default()
    };
    let machines = [
        machine("a", Some(1), false, 1),
        machine("b", Some(2), false, 1),
    ];
    let waiting = |step, due: i64| Action {
        at: at(due),
        ..action(step, "a", ActionStatus::Waiting, 0)
    };
    let next = |actions: &[Action], now| words(&next_stops(&ending, &machines, actions, at(now)));
    let failed = waiting(ActionStep::Stop, 60);
    assert_eq!(next(std::slice::from_ref(&failed), 59), [""; 0]);
    assert_eq!(next(std::slice::from_ref(&failed), 60), ["stop a again"]);
    assert_eq!(next(std::slice::from_ref(&failed), 300), ["force a"]);
    let sent = action(ActionStep::Stop, "a", ActionStatus::Sent, 0);
    assert_eq!(next(std::slice::from_ref(&sent), 299), [""; 0]);
    assert_eq!(next(&[sent], 300), ["force a"]);
    // Neither way stopped it: the next rank's turn, and one more try when it is due.
    let forced = waiting(ActionStep::Force, 400);
    assert_eq!(next(&[failed.clone(), forced.clone()], 399), ["stop b"]);
    assert_eq!(next(&[failed, forced], 400), ["force a again", "stop b"]);
}

#[test]
fn each_try_has_a_job_id_of_its_own_and_always_the_same_one() {
    let first = action(ActionStep::Stop, "a", ActionStatus::Intended, 1);
    let later = action(ActionStep::Stop, "a", ActionStatus::Intended, 99);
    assert_eq!(
        first.job, later.job,
        "made again after a crash it is the same try"
    );
    let again = first.again(at(5));
    assert_eq!((again.tries, again.id()), (2, first.id()));
    let others = [
        again.job.clone(),
        action(ActionStep::Force, "a", ActionStatus::Intended, 1).job,
        action(ActionStep::Stop, "b", ActionStatus::Intended, 1).job,
    ];
    for (place, job) in others.iter().enumerate() {
        assert_ne!(*job, first.job);
        assert!(!others[place + 1..].contains(job));
    }
    let text = first.job.as_str();
    let dashes: Vec<usize> = text.match_indices('-').map(|(place, _)| place).collect();
    assert_eq!((text.len(), dashes), (36, vec![8, 13, 18, 23]));
    assert_eq!(text, text.to_lowercase());
}

#[test]
fn no_more_is_stopped_than_lets_the_rest_live() {
    let stop = |id: &str| Next::First(ActionStep::Stop, ResourceId::from(id));
    let pressure = |cover: &str, elapsed: i64| Pressure {
        cover: euros(cover),
        burn_per_hour: euros("3"),
        lead: 15 * MINUTE,
        elapsed,
    };
    let price = |_: &ResourceId| euros("1");
    let wanted = |cover: &str, elapsed| {
        let next = vec![stop("a"), stop("b"), stop("c")];
        words(&needed(next, pressure(cover, elapsed), &price))
    };
    // 0.75 lasts 15 minutes at 3 an hour, 22.5 at 2, 45 at 1.
    assert_eq!(wanted("0.750001", 0), [""; 0]);
    assert_eq!(wanted("0.75", 0), ["stop a"]);
    assert_eq!(wanted("0.50", 0), ["stop a", "stop b"]);
    assert_eq!(wanted("0.25", 0), ["stop a", "stop b", "stop c"]);
    assert_eq!(wanted("0.75", 15 * MINUTE), ["stop a", "stop b"]);
    assert_eq!(wanted("0", 0), ["stop a", "stop b", "stop c"]);
    let again = Next::Again(action(ActionStep::Stop, "a", ActionStatus::Waiting, 0).again(at(9)));
    assert_eq!(
        words(&needed(vec![again], pressure("9", 0), &price)),
        ["stop a again"]
    );
}

#[test]
fn an_episode_that_stopped_machines_needs_a_horizon_of_them_to_be_over() {
    let one = action(ActionStep::Stop, "a", ActionStatus::Done, 1);
    let two = action(ActionStep::Stop, "b", ActionStatus::Done, 1);
    let needed = |of: &[&Action], hours: i64| needed_again(of, hours * HOUR).unwrap();
    assert_eq!(needed(&[], 1), Micros::ZERO);
    assert_eq!(needed(&[&one, &two], 1), euros("2"));
    assert_eq!(needed(&[&one, &two], 24), euros("48"));
}

#[test]
fn what_a_step_is_for_shows_in_the_machine() {
    let table = [
        (ActionStep::Stop, Some("Running"), false),
        (ActionStep::Stop, Some("Stopping"), false),
        (ActionStep::Stop, Some("Stopped"), true),
        (ActionStep::Force, Some("Migrating"), false),
        (ActionStep::Force, None, true),
        (ActionStep::Start, Some("Stopped"), false),
        (ActionStep::Start, Some("Running"), true),
        (ActionStep::Start, None, false),
        (ActionStep::Delete, Some("Stopped"), false),
        (ActionStep::Delete, Some("Destroyed"), true),
        (ActionStep::Delete, None, true),
    ];
    for (step, state, reached) in table {
        assert_eq!(step.is_reached(state), reached, "{step:?} {state:?}");
    }
}

fn stopping(more: Ending) -> PrepaidProfile {
    PrepaidProfile {
        stops: true,
        ending: more,
        ..PrepaidProfile::default()
    }
}

#[test]
fn deletion_waits_for_each_of_its_own_notices_as_long_as_it_said() {
    let profile = stopping(Ending {
        delete_after: Some(30 * 24 * HOUR),
        delete_notices: vec![48 * HOUR, 24 * HOUR],
        ..Ending::default()
    });
    let end = at(30 * 24 * 3_600);
    let hours = |before: i64| end.plus(-before * HOUR);
    let step = |before: i64| format!("delete-notice-{}s", before * 3_600);
    let none: [(String, Timestamp); 0] = [];
    assert_eq!(delete_notices_due(&profile, &none, end, hours(49)), [0; 0]);
    assert_eq!(
        delete_notices_due(&profile, &none, end, hours(48)),
        [48 * HOUR]
    );
    let one = [(step(48), hours(48))];
    assert_eq!(
        delete_notices_due(&profile, &one, end, hours(24)),
        [24 * HOUR]
    );
    assert!(
        !may_delete(&profile, &one, end, end),
        "the last notice is missing"
    );
    let both = [(step(48), hours(48)), (step(24), hours(24))];
    assert!(!may_delete(&profile, &both, end, end.plus(-1)));
    assert!(may_delete(&profile, &both, end, end));
    let late = [(step(48), hours(48)), (step(24), hours(1))];
    assert!(
        !may_delete(&profile, &late, end, end),
        "the last notice came late"
    );
    assert!(may_delete(&profile, &late, end, end.plus(23 * HOUR)));
    let never = stopping(Ending::default());
    assert!(!may_delete(&never, &both, end, end.plus(9_999 * HOUR)));
}

#[test]
fn a_dry_run_says_when_each_machine_would_stop() {
    let mut purses = [Micros::ZERO; 7];
    purses[0] = euros("3");
    purses[1] = euros("3");
    let state = PayerState {
        payer: "p".into(),
        seller: "s".into(),
        currency: Currency::EUR,
        mode: BillingMode::Prepaid,
        credit_line: Micros::ZERO,
        purses,
        holds_open: Micros::ZERO,
        promo_holds_open: Micros::ZERO,
        cover_target: euros("3"),
        promo_cover_target: Micros::ZERO,
        accrued_through: at(0),
        version: 0,
    };
    let machines = [
        machine("last", None, true, 1),
        machine("second", Some(2), false, 1),
        machine("first", Some(1), false, 1),
    ];
    let ahead = crate::cover::forecast::forecast(&state, euros("3")).unwrap();
    let price = |_: &ResourceId| euros("1");
    let rungs = preview(
        &stopping(Ending::default()),
        (&state, &ahead, Micros::ZERO),
        &machines,
        &price,
        at(0),
    );
    let rungs = rungs.unwrap();
    let stops: Vec<(i64, &str)> = rungs
        .iter()
        .filter_map(|(when, rung)| match rung {
            Rung::StopMachine(id) => Some((when.since(at(0)) / MINUTE, id.as_str())),
            _ => None,
        })
        .collect();
    // 6 at 3 an hour last 120 minutes; 0.75 is left at 105 and lasts 22.5 at 2; 0.5 is left 7.5
    // minutes later and lasts 30 at 1.
    assert_eq!(stops, [(105, "first"), (112, "second"), (127, "last")]);
    let when = |wanted: Rung| rungs.iter().find(|(_, rung)| *rung == wanted).unwrap().0;
    assert_eq!(when(Rung::Empty), at(7_200));
    let refuse = Rung::Step(crate::cover::ladder::Step::RefuseRaising);
    assert_eq!(when(refuse), at(3_600));
}

#[test]
fn the_run_of_a_cap_is_named_by_cap_and_period_and_is_no_run_of_money() {
    let start = Timestamp::from_micros(1_793_491_200_000_000);
    let cap = CapId::from("lab/account/a1");
    let name = Episode::name_of_cap(&cap, start);
    assert_eq!(Episode::cap_of(&name), Some((cap, start)));
    let of_money = Episode::new(&PayerId::from("acme"), start);
    assert_eq!(Episode::cap_of(&of_money.name), None);
    assert_eq!(Episode::cap_of("cap/lab"), None);
}
