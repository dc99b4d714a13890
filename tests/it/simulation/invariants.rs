//! Edge: what must hold after every commit, when a call reaches the cloud, when a client is
//! answered, and once everything has come to rest. Numbers are those of the list of invariants.

use super::upstream::short;
use super::world::World;
use faregate::cloudstack::query::ParamMap;
use faregate::cloudstack::usage_type::UsageType;
use faregate::ledger::records::{HoldStatus, PayerState, Purse, Transfer};
use faregate::ledger::verify::{Sums, chain};
use faregate::ledger::{Command, LedgerRefusal};
use faregate::sandbox::cloud::Cloud;
use faregate::sandbox::records::{Vm, Volume};
use faregate::store::memory::Rows;
use faregate::store::{Done, Intent, IntentStatus, StoredInterval, Work};
use faregate::terms::ids::{CallId, HoldId, PayerId};
use faregate::terms::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

const RAISING: [&str; 5] = [
    "deployVirtualMachine",
    "startVirtualMachine",
    "createVolume",
    "associateIpAddress",
    "scaleVirtualMachine",
];

/// As `customers.toml` says.
const MACHINES_MAX: usize = 4;

/// What was seen so far in a seed.
#[derive(Default)]
pub struct Seen {
    sums: Sums,
    chain: [u8; 32],
    transfers: usize,
    ids: BTreeSet<String>,
    held_for: BTreeMap<CallId, HoldId>,
    ended: BTreeMap<HoldId, &'static str>,
    through: BTreeMap<PayerId, Timestamp>,
    /// Payments that providers told of, by their names.
    pub payments: BTreeMap<String, i64>,
    /// Those that were answered for.
    pub credited: BTreeSet<String>,
}

/// What a work finds.
pub struct Before {
    payers: Vec<PayerState>,
    counts: [usize; 4],
}

impl Before {
    pub fn of(rows: &Rows, work: &Work) -> Self {
        let named: Vec<PayerId> = match &work.command {
            Some(Command::Hold { legs, .. }) => legs.iter().map(|leg| leg.payer.clone()).collect(),
            Some(Command::Renew(it)) => vec![it.payer.clone()],
            _ => Vec::new(),
        };
        let payers = named
            .iter()
            .filter_map(|payer| rows.ledger.payers.get(payer));
        Self {
            payers: payers.cloned().collect(),
            counts: counts(rows),
        }
    }
}

fn counts(rows: &Rows) -> [usize; 4] {
    [
        rows.transfers.len(),
        rows.ledger.done.len(),
        rows.intents.len(),
        rows.intervals.len(),
    ]
}

/// After a work was decided, and written where it was let in.
pub fn committed(
    world: &World,
    rows: &Rows,
    work: &Work,
    before: &Before,
    outcome: &Result<Done, LedgerRefusal>,
) {
    let done = match outcome {
        Ok(done) => done,
        Err(refusal) => {
            let name = work.command.as_ref().map(Command::name);
            world.note(format!("refused {}: {refusal}", name.unwrap_or_default()));
            if counts(rows) != before.counts {
                world.broken(format!("15: a refusal left rows: {refusal}"));
            }
            return;
        }
    };
    let Some(command) = work.command.as_ref().filter(|_| !done.effects.already_done) else {
        if !work.intents.is_empty() || !work.intervals.is_empty() {
            world.note(format!(
                "committed {} intents, {} intervals",
                work.intents.len(),
                work.intervals.len()
            ));
        }
        return;
    };
    world.note(format!("committed {}", command.name()));
    match command {
        Command::Hold {
            hold, call, legs, ..
        } => {
            if let Some(twice) = world.state().seen.held_for.insert(*call, *hold) {
                world.broken(format!("12: call {call} has holds {twice} and {hold}"));
            }
            for (leg, state) in legs.iter().zip(&before.payers) {
                floor(world, state, leg.wallet.get());
                limit(world, rows, &leg.payer);
            }
        }
        Command::Settle { hold, .. } => ended(world, rows, *hold, "settled"),
        Command::GiveBack { hold, .. } => ended(world, rows, *hold, "given back"),
        Command::Renew(it) => {
            for state in &before.payers {
                if state.version != it.expected_version {
                    world.broken(format!(
                        "9: {} renewed from version {}, at version {}",
                        it.payer, it.expected_version, state.version
                    ));
                }
            }
            let through = rows.ledger.payers[&it.payer].accrued_through;
            let last = world.state().seen.through.insert(it.payer.clone(), through);
            if last.is_some_and(|last| last > through) {
                world.broken(format!("36: {} accrued backwards", it.payer));
            }
        }
        _ => {}
    }
    books(world, rows);
}

/// 2: a hold leaves what is available, less what the cover lacks, above minus the credit line.
fn floor(world: &World, state: &PayerState, wallet: i64) {
    let of = |purse| i128::from(state.purse(purse).get());
    let cover = of(Purse::Held) - i128::from(state.holds_open.get());
    let short = (i128::from(state.cover_target.get()) - cover).max(0);
    let free = of(Purse::Available) + i128::from(state.credit_line.get()) - short;
    if wallet > 0 && i128::from(wallet) > free {
        let payer = &state.payer;
        world.broken(format!(
            "2: {payer} held {wallet} millionths of {free} that are free"
        ));
    }
}

/// 9: what runs and what is on its way keep the limit of the policy.
fn limit(world: &World, rows: &Rows, payer: &PayerId) {
    let runs = rows.intervals.values().filter(|row| {
        let interval = &row.interval;
        interval.end.is_none()
            && interval.meter.usage_type == UsageType::RunningVm
            && row.payer.as_ref() == Some(payer)
    });
    let starts = rows.intents.values().filter(|intent| {
        !intent.status.is_final()
            && intent.hold.is_some()
            && intent.payer.as_ref() == Some(payer)
            && intent.command != "createVolume"
    });
    let (runs, starts) = (runs.count(), starts.count());
    if runs + starts > MACHINES_MAX {
        world.broken(format!(
            "9: {payer} runs {runs} and starts {starts} of {MACHINES_MAX}"
        ));
    }
}

/// 10, 12, 14: a hold ends once, by what became of its call.
fn ended(world: &World, rows: &Rows, hold: HoldId, how: &'static str) {
    if let Some(before) = world.state().seen.ended.insert(hold, how) {
        world.broken(format!("10: hold {hold} was {before} and is {how}"));
        return;
    }
    let intent = rows
        .intents
        .values()
        .find(|intent| intent.hold == Some(hold));
    let Some(intent) = intent else {
        world.broken(format!("19: hold {hold} is {how} and has no intent"));
        return;
    };
    let Some(job) = intent.job.as_ref().map(|job| job.as_str().to_owned()) else {
        return;
    };
    let state = world.state();
    let status = state.cloud.jobs.find(&job).map(|row| row.status);
    let made = state.forwarded.get(&job).and_then(|it| it.made.clone());
    let alive = made.as_deref().is_some_and(|id| costs(&state.cloud, id));
    drop(state);
    // What a sweep charges already needs no hold.
    let mut intervals = rows.intervals.values();
    let charged =
        intervals.any(|row| Some(row.interval.meter.resource.as_str()) == made.as_deref());
    let creates = matches!(
        intent.command.as_str(),
        "deployVirtualMachine" | "createVolume"
    );
    let wrong = match how {
        "given back" if creates => alive && !charged,
        "given back" => status == Some(1),
        _ => status == Some(0),
    };
    if wrong {
        let command = &intent.command;
        let job = short(&job);
        world.broken(format!(
            "14: the hold of {command}, job {job} in status {status:?}, is {how}; \
             what it made is there: {alive}"
        ));
    }
}

fn costs(cloud: &Cloud, id: &str) -> bool {
    let vm = cloud.vms.find(id).is_some_and(Vm::counts);
    let volume = cloud.volumes.find(id).is_some_and(Volume::counts);
    vm || volume
}

/// 1, 4, 5, 6, 8: the books agree with their transfers.
fn books(world: &World, rows: &Rows) {
    let mut state = world.state();
    let seen = &mut state.seen;
    let mut wrong = Vec::new();
    for transfer in rows.transfers.iter().skip(seen.transfers) {
        if !seen.ids.insert(transfer.id.to_string()) {
            wrong.push(format!("5: transfer {} is there twice", transfer.id));
        }
        if transfer.amount.is_negative() || transfer.currency.code() != "EUR" {
            wrong.push(format!(
                "4: transfer {} moves {}",
                transfer.id, transfer.amount
            ));
        }
        seen.sums.take(transfer);
        seen.chain = chain(seen.chain, transfer);
    }
    seen.transfers = rows.transfers.len();
    let holds = rows.open_holds(None);
    let items = rows
        .ledger
        .items
        .values()
        .filter(|item| !item.open.is_zero());
    let items: Vec<_> = items.cloned().collect();
    let faults = seen.sums.faults(&rows.ledger.payers, &holds, &items);
    wrong.extend(faults.iter().map(|fault| format!("1: {fault}")));
    for state in rows.ledger.payers.values() {
        if state.purse(Purse::Held).is_negative() {
            wrong.push(format!("2: {} holds less than nothing", state.payer));
        }
    }
    let told: i64 = seen.payments.values().sum();
    let credited = |transfer: &&Transfer| transfer.event == "top-up";
    let credited = rows.transfers.iter().filter(credited);
    let credited: i64 = credited.map(|transfer| transfer.amount.get()).sum();
    if credited > told {
        wrong.push(format!("32: {credited} millionths credited of {told} paid"));
    }
    drop(state);
    for fault in wrong {
        world.broken(fault);
    }
}

/// A customer's call as it reaches the cloud; whether it raises.
pub fn forwarded(world: &World, name: &str, params: &ParamMap, account: &str) -> bool {
    let customer = world.base.customers.iter().find(|it| it.account == account);
    let Some(customer) = customer.filter(|_| RAISING.contains(&name)) else {
        return false;
    };
    let Some(job) = params.get("customjobid") else {
        world.broken(format!("19: {name} went out without a job id of ours"));
        return true;
    };
    let times = {
        let mut state = world.state();
        let it = state.forwarded.entry(job.to_owned()).or_default();
        it.times += 1;
        it.command = name.to_owned();
        it.account = account.to_owned();
        it.times
    };
    world.note(format!("{name} reaches the cloud, job {}", short(job)));
    world.count("forwarded");
    if times > 1 {
        world.broken(format!(
            "12: {name}, job {} was sent {times} times",
            short(job)
        ));
    }
    let rows = world.books.rows();
    let named = |it: &&Intent| it.job.as_ref().is_some_and(|own| own.as_str() == job);
    let Some(intent) = rows.intents.values().find(named) else {
        drop(rows);
        world.broken(format!(
            "19: {name}, job {} went out without an intent",
            short(job)
        ));
        return true;
    };
    let legs = intent.hold.and_then(|hold| rows.ledger.holds.get(&hold));
    let open = legs.is_some_and(|legs| legs.iter().all(|leg| leg.status == HoldStatus::Open));
    // What starts a machine that runs already costs nothing more.
    let free = intent.hold.is_none() && name == "startVirtualMachine";
    let (status, own) = (intent.status, intent.payer == Some(customer.payer.clone()));
    let mut sent = params.clone();
    sent.remove("customjobid");
    let same = sent.to_kept() == intent.params;
    drop(rows);
    if !(open || free) || status.is_final() {
        world.broken(format!(
            "19: {name}, job {} went out without a hold",
            short(job)
        ));
    }
    if !own || !same {
        world.broken(format!(
            "16: {name}, job {} is not what was priced",
            short(job)
        ));
    }
    true
}

/// 18: a client that is told of a job can count on its intent.
pub fn told(world: &World, job: &str) {
    let rows = world.books.rows();
    let mut intents = rows.intents.values();
    let found = intents.any(|it| it.job.as_ref().is_some_and(|own| own.as_str() == job));
    drop(rows);
    if !found {
        world.broken(format!(
            "18: a client was told of job {}, no intent names it",
            short(job)
        ));
    }
}

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

/// 36: no stretch ends before it starts; no meter runs twice at a time.
fn disjoint(world: &World, rows: &Rows) {
    let mut by_meter: BTreeMap<_, Vec<(Timestamp, Option<Timestamp>)>> = BTreeMap::new();
    // A stretch of no length costs nothing.
    let long = |row: &&StoredInterval| {
        let interval = &row.interval;
        interval.end.is_none_or(|end| end.at != interval.start.at)
    };
    for row in rows.intervals.values().filter(long) {
        let of = by_meter.entry(row.interval.meter.clone()).or_default();
        of.push((row.interval.start.at, row.interval.end.map(|end| end.at)));
    }
    for (meter, mut stretches) in by_meter {
        stretches.sort();
        let backwards = stretches
            .iter()
            .any(|(start, end)| end.is_some_and(|end| end < *start));
        let twice = stretches
            .windows(2)
            .any(|two| two[0].1.is_none_or(|end| end > two[1].0));
        if backwards || twice {
            world.broken(format!(
                "36: {meter:?} runs backwards or twice: {stretches:?}"
            ));
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
