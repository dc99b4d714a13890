//! Edge: what must hold once the faults have ended and time has passed: every call came to an end
//! or waits for a person, what costs is charged, and the books follow from their commands.

use super::invariants::books;
use super::upstream::short;
use super::world::World;
use faregate::cloudstack::usage_type::UsageType;
use faregate::ledger::records::HoldStatus;
use faregate::store::memory::Rows;
use faregate::store::{Intent, IntentStatus, StoredInterval, Work};
use faregate::terms::ids::{HoldId, PayerId};
use faregate::terms::time::{SECOND, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// After the faults have ended and time has passed.
pub fn at_rest(world: &World) {
    let rows = world.books.rows().clone();
    books(world, &rows);
    for intent in rows.intents.values() {
        let (call, status) = (&intent.call, intent.status);
        if !status.is_final() && status != IntentStatus::Unresolved {
            world.broken(format!(
                "37: {} {call} is still {}",
                intent.command,
                status.name()
            ));
        }
        let legs = intent.hold.and_then(|hold| rows.ledger.holds.get(&hold));
        let fits = legs.is_none_or(|legs| legs.iter().all(|leg| fits(leg.status, status)));
        if !fits {
            world.broken(format!(
                "13: {} {call} is {}, its hold not",
                intent.command,
                status.name()
            ));
        }
    }
    let owned: BTreeSet<HoldId> = rows.intents.values().filter_map(|it| it.hold).collect();
    for hold in rows.open_holds(None) {
        if !owned.contains(&hold.id) {
            world.broken(format!("13: hold {} is open and nobody knows why", hold.id));
        }
    }
    let forwarded = world.state().forwarded.clone();
    for (job, it) in &forwarded {
        let named = |row: &&Intent| row.job.as_ref().is_some_and(|own| own.as_str() == job);
        if rows.intents.values().filter(named).count() != 1 {
            world.broken(format!(
                "19: {}, job {} has no intent",
                it.command,
                short(job)
            ));
        }
    }
    charged(world, &rows);
    disjoint(world, &rows);
    paid(world, &rows);
    again(world, &rows);
}

fn fits(hold: HoldStatus, intent: IntentStatus) -> bool {
    match intent {
        IntentStatus::Settled => hold == HoldStatus::Settled,
        IntentStatus::GivenBack => hold == HoldStatus::GivenBack,
        _ => hold == HoldStatus::Open,
    }
}

/// 20: what costs in the cloud is charged, to its owner, once; and nothing else is.
fn charged(world: &World, rows: &Rows) {
    let state = world.state();
    let mut wanted: BTreeMap<(UsageType, String), PayerId> = BTreeMap::new();
    for customer in &world.base.customers {
        let own = |account: &String| *account == customer.account;
        let vms = state.cloud.vms.iter().filter(|vm| own(&vm.account));
        for vm in vms.filter(|vm| vm.state == "Running" && !vm.removed) {
            wanted.insert(
                (UsageType::RunningVm, vm.id.clone()),
                customer.payer.clone(),
            );
        }
        let volumes = state
            .cloud
            .volumes
            .iter()
            .filter(|volume| own(&volume.account));
        for volume in volumes.filter(|volume| volume.counts()) {
            wanted.insert(
                (UsageType::Volume, volume.id.clone()),
                customer.payer.clone(),
            );
        }
    }
    drop(state);
    let open = rows
        .intervals
        .values()
        .filter(|row| row.interval.end.is_none());
    let kinds = [UsageType::RunningVm, UsageType::Volume];
    let mut found: BTreeMap<(UsageType, String), Vec<&StoredInterval>> = BTreeMap::new();
    for row in open.filter(|row| kinds.contains(&row.interval.meter.usage_type)) {
        let meter = &row.interval.meter;
        let key = (meter.usage_type, meter.resource.to_string());
        found.entry(key).or_default().push(row);
    }
    for (key, payer) in &wanted {
        let rows = found.remove(key).unwrap_or_default();
        let once = rows.len() == 1 && rows.iter().all(|row| row.payer.as_ref() == Some(payer));
        if !once {
            let (kind, id) = key;
            let times = rows.len();
            world.broken(format!(
                "20: {kind:?} {} of {payer} is charged {times} times, or to another",
                short(id)
            ));
        }
    }
    for (kind, id) in found.keys() {
        world.broken(format!(
            "20: {kind:?} {} is charged and not there",
            short(id)
        ));
    }
}

/// What is told by the second and by the microsecond may lie this far apart (`meter/running.rs`).
const SAME_MOMENT: i64 = 2 * SECOND;

/// 36: no stretch ends before it starts; no meter runs twice at a time.
fn disjoint(world: &World, rows: &Rows) {
    let mut by_meter: BTreeMap<_, Vec<(Timestamp, Option<Timestamp>)>> = BTreeMap::new();
    for row in rows.intervals.values() {
        let (start, end) = (row.interval.start.at, row.interval.end.map(|end| end.at));
        // A stretch of no length costs nothing.
        if end != Some(start) {
            let of = by_meter.entry(row.interval.meter.clone()).or_default();
            of.push((start, end));
        }
    }
    for (meter, mut stretches) in by_meter {
        stretches.sort();
        if stretches
            .iter()
            .any(|it| it.1.is_some_and(|end| end < it.0))
        {
            world.broken(format!("36: {meter:?} runs backwards: {stretches:?}"));
        }
        for two in stretches.windows(2) {
            let (first, second) = (two[0], two[1]);
            match first.1.map(|end| end.since(second.0)) {
                Some(over) if over <= 0 => {}
                Some(over) if over <= SAME_MOMENT => world.count("runs twice for a moment"),
                _ => world.broken(format!("36: {meter:?} runs twice: {stretches:?}")),
            }
        }
    }
}

/// 32: a payment that was answered for is in the books.
fn paid(world: &World, rows: &Rows) {
    let credited = world.state().seen.credited.clone();
    for id in credited {
        if !rows.ledger.done.contains_key(&format!("top-up/{id}")) {
            world.broken(format!(
                "32: payment {id} was answered for and is not credited"
            ));
        }
    }
}

/// 6, 7, 38: the books follow from their commands, from any prefix of them applied twice.
fn again(world: &World, rows: &Rows) {
    let mut fresh = Rows::default();
    let cut = usize::try_from(world.below(rows.commands.len() as u64 + 1)).unwrap();
    for command in rows.commands.iter().take(cut) {
        let _ = fresh.apply(&Work::of(command.clone()));
    }
    for command in &rows.commands {
        if let Err(refusal) = fresh.apply(&Work::of(command.clone())) {
            world.broken(format!("6: {} is refused again: {refusal}", command.name()));
        }
    }
    let same = fresh.transfers == rows.transfers
        && fresh.ledger.payers == rows.ledger.payers
        && fresh.ledger.holds == rows.ledger.holds
        && fresh.ledger.accruals == rows.ledger.accruals
        && fresh.ledger.items == rows.ledger.items;
    if !same {
        world.broken("6: the books do not follow from their commands".to_owned());
    }
}
