//! Edge: the one writer of the books in a seed: groups, each committed whole or lost, with the
//! faults of a disk and of a process; and the mutations that a writer can have.

use super::invariants;
use super::mutation::Mutation;
use super::world::{Life, Point, World};
use faregate::ledger::command::TopUp;
use faregate::ledger::records::{HoldStatus, PayerState};
use faregate::ledger::{Command, LedgerRefusal};
use faregate::store::memory::{Rows, Waiting, Writer};
use faregate::store::{Done, IntentChange, IntentStatus, StoreError, Work};
use faregate::terms::money::Micros;
use faregate::terms::time::SECOND;
use std::sync::Arc;
use std::time::Duration;

type Outcome = Result<Done, LedgerRefusal>;

pub async fn run(world: Arc<World>, life: Arc<Life>, mut writer: Writer) {
    let mut stale = None;
    while let Some(first) = writer.works.recv().await {
        world.delay(3).await;
        let mut group = vec![first];
        while let Ok(more) = writer.works.try_recv() {
            group.push(more);
        }
        if life.is_dead() {
            return;
        }
        let point = point(&group);
        if world.may_die(&life, point.0) {
            tear(&world, &group);
            return;
        }
        if is_full(&world) {
            world.note("the disk is full".to_owned());
            answer_all(group, &StoreError::Full("ledger.db".to_owned()));
            continue;
        }
        let before = world.books.rows().clone_for_loss(&world);
        let outcomes: Vec<Outcome> = group
            .iter()
            .map(|waiting| commit(&world, &life, &waiting.work, &mut stale))
            .collect();
        release_on_time_out(&world);
        if world.strikes(4) {
            world.note("a commit is not answered for".to_owned());
            answer_all(group, &StoreError::Lost("ledger.db".to_owned()));
            continue;
        }
        if world.may_die(&life, point.1) {
            return;
        }
        for (waiting, outcome) in group.into_iter().zip(outcomes) {
            let _ = waiting.answer.send(outcome.map_err(StoreError::Refused));
        }
        if let Some(before) = before
            && world.strikes(30)
        {
            world.note("the last group is lost".to_owned());
            *world.books.rows() = before;
            world.die(&life, Point::K0);
            return;
        }
    }
}

trait CloneForLoss {
    fn clone_for_loss(&self, world: &World) -> Option<Rows>;
}

impl CloneForLoss for Rows {
    fn clone_for_loss(&self, world: &World) -> Option<Rows> {
        world.has(Mutation::LosesTheLastGroup).then(|| self.clone())
    }
}

/// Where a death before and after the commit falls.
fn point(group: &[Waiting]) -> (Point, Point) {
    let commands = || {
        group
            .iter()
            .filter_map(|waiting| waiting.work.command.as_ref())
    };
    let ends = |it: &Command| matches!(it, Command::Settle { .. } | Command::GiveBack { .. });
    if commands().any(ends) {
        (Point::K11, Point::K11)
    } else if commands().any(|it| matches!(it, Command::Hold { .. })) {
        // The intent carries the job's id.
        (Point::K2, Point::K3)
    } else if group.iter().any(|waiting| !waiting.work.intents.is_empty()) {
        (Point::K0, Point::K9)
    } else {
        (Point::K0, Point::K0)
    }
}

fn is_full(world: &World) -> bool {
    if world.strikes(6) {
        let groups = 1 + world.below(4);
        world.state().disk_full = groups;
    }
    let mut state = world.state();
    let full = state.disk_full > 0 && !state.healed;
    state.disk_full = state.disk_full.saturating_sub(1);
    full
}

fn answer_all(group: Vec<Waiting>, fault: &StoreError) {
    for waiting in group {
        let _ = waiting.answer.send(Err(fault.clone()));
    }
}

/// One work, decided and written; and looked at.
fn commit(
    world: &Arc<World>,
    life: &Arc<Life>,
    work: &Work,
    stale: &mut Option<PayerState>,
) -> Outcome {
    world.count("works");
    let is_hold = matches!(work.command, Some(Command::Hold { .. }));
    if is_hold && world.has(Mutation::HoldsAfterForwarding) {
        return later(world, life, work);
    }
    let mut rows = world.books.rows();
    let watch = invariants::Before::of(&rows, work);
    let outcome = apply(world, &mut rows, work, stale);
    invariants::committed(world, &rows, work, &watch, &outcome);
    if outcome.is_ok() {
        world.state().works.push(work.clone());
    }
    outcome
}

/// Tells what will be, and writes it a little later.
fn later(world: &Arc<World>, life: &Arc<Life>, work: &Work) -> Outcome {
    let outcome = world.books.rows().clone().apply(work);
    let (world, life, work) = (world.clone(), life.clone(), work.clone());
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(40)).await;
        if !life.is_dead() {
            let mut rows = world.books.rows();
            let watch = invariants::Before::of(&rows, &work);
            let outcome = rows.apply(&work);
            invariants::committed(&world, &rows, &work, &watch, &outcome);
        }
    });
    outcome
}

/// As the store does it, or as one with a fault would.
fn apply(world: &World, rows: &mut Rows, work: &Work, stale: &mut Option<PayerState>) -> Outcome {
    let Some(mutation) = world.mutation else {
        return rows.apply(work);
    };
    let mut work = work.clone();
    let legs = match &work.command {
        Some(Command::Hold { legs, .. }) => legs.clone(),
        _ => Vec::new(),
    };
    let payer = legs.first().map(|leg| leg.payer.clone());
    match (mutation, &mut work.command) {
        (Mutation::ForgetsTheHold, Some(Command::Hold { .. })) => work.command = None,
        (Mutation::IgnoresALimit, Some(Command::Hold { .. })) => work.claim = None,
        (Mutation::ForgetsTheIntent, Some(Command::Hold { .. })) => work.intents.clear(),
        (Mutation::ForgetsWhatStarts, Some(Command::Settle { .. })) => work.intervals.clear(),
        (Mutation::SettlesTwice, Some(Command::Settle { hold, .. })) => {
            let hold = *hold;
            let first = rows.apply(&work);
            for leg in rows.ledger.holds.get_mut(&hold).into_iter().flatten() {
                leg.status = HoldStatus::Open;
                let state = rows.ledger.payers.get_mut(&leg.payer).unwrap();
                state.holds_open = state.holds_open.plus(leg.wallet).unwrap();
            }
            rows.ledger.done.remove(&format!("settle/{hold}"));
            let _ = rows.apply(&work);
            return first;
        }
        (Mutation::RenewsFromOldFigures, Some(Command::Renew(renew))) => {
            let now = &rows.ledger.payers[&renew.payer];
            renew.expected_version = now.version;
            renew.from_target = now.cover_target;
        }
        (Mutation::CreditsAPaymentTwice, Some(Command::TopUp(it))) => again(rows, it),
        _ => {}
    }
    let Some(payer) = payer else {
        return rows.apply(&work);
    };
    let kept = rows.ledger.payers[&payer].clone();
    let bent = rows.ledger.payers.get_mut(&payer).unwrap();
    match mutation {
        Mutation::IgnoresTheFloor => bent.credit_line = Micros::new(1_000_000_000),
        Mutation::DecidesOnStaleRows => {
            if let Some(old) = stale.replace(kept.clone()).filter(|old| old.payer == payer) {
                *bent = old;
            }
        }
        _ => return rows.apply(&work),
    }
    let outcome = rows.apply(&work);
    let after = rows.ledger.payers.get_mut(&payer).unwrap();
    match mutation {
        Mutation::DecidesOnStaleRows if outcome.is_ok() => {}
        Mutation::DecidesOnStaleRows => *after = kept,
        _ => after.credit_line = kept.credit_line,
    }
    outcome
}

/// A payment that is there already gets another name.
fn again(rows: &Rows, it: &mut TopUp) {
    while rows.ledger.done.contains_key(&format!("top-up/{}", it.id)) {
        it.id.push('+');
    }
}

/// What a commit that is not one leaves behind.
fn tear(world: &World, group: &[Waiting]) {
    if !world.has(Mutation::TearsAGroup) {
        return;
    }
    for waiting in group {
        if let Some(command) = &waiting.work.command {
            let _ = world.books.rows().apply(&Work::of(command.clone()));
        }
    }
}

/// A gate that waits no longer than three seconds for an outcome.
fn release_on_time_out(world: &World) {
    if !world.has(Mutation::ReleasesOnTimeOut) {
        return;
    }
    let (now, at) = (world.clock.wall(), world.clock.billing());
    let mut rows = world.books.rows();
    let old = rows
        .intents
        .values()
        .filter(|intent| !intent.status.is_final() && now.since(intent.sent) > 3 * SECOND);
    let old: Vec<_> = old.map(|intent| (intent.call, intent.hold)).collect();
    for (call, hold) in old {
        let work = Work {
            command: hold.map(|hold| Command::GiveBack {
                hold,
                one_off: Vec::new(),
                at,
            }),
            intents: vec![IntentChange::Update {
                call,
                status: IntentStatus::GivenBack,
                job: None,
                resource: None,
                answered: None,
                updated: now,
                note: None,
            }],
            ..Work::default()
        };
        let watch = invariants::Before::of(&rows, &work);
        let outcome = rows.apply(&work);
        invariants::committed(world, &rows, &work, &watch, &outcome);
    }
}
