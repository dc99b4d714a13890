//! Edge: what must hold after every commit, when a call reaches the cloud and when a client is
//! answered. Numbers are those of the list of invariants; `rest.rs` has the rest.

use super::upstream::short;
use super::world::World;
use faregate::cloudstack::query::ParamMap;
use faregate::cloudstack::usage_type::UsageType;
use faregate::ledger::records::{HoldStatus, PayerState, Purse, Transfer};
use faregate::ledger::verify::{Sums, chain};
use faregate::ledger::{Command, LedgerRefusal};
use faregate::meter::resource::Interval;
use faregate::rate::ahead::cost_ahead;
use faregate::rate::gross_of;
use faregate::sandbox::cloud::Cloud;
use faregate::sandbox::records::{Vm, Volume};
use faregate::store::memory::Rows;
use faregate::store::{Done, Intent, Work};
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
            covered(world, rows, &it.payer, it.through);
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

/// 6: after a renewal the cover's target carries what runs of settled holds, also of those that
/// settled while it was computed.
fn covered(world: &World, rows: &Rows, payer: &PayerId, through: Timestamp) {
    let rules = &world.base.rules;
    let (Some(book), Some(terms), Some(profile)) = (
        rules.book_of(payer),
        rules.terms_of(payer),
        rules.profile_of(payer),
    ) else {
        return;
    };
    let settled = |hold: HoldId| {
        let legs = rows.ledger.holds.get(&hold);
        legs.is_some_and(|legs| legs.iter().all(|leg| leg.status == HoldStatus::Settled))
    };
    let running: Vec<Interval> = rows
        .intervals
        .values()
        .filter(|row| row.payer.as_ref() == Some(payer) && row.hold.is_some_and(settled))
        .filter(|row| row.interval.end.is_none())
        .map(|row| row.interval.clone())
        .collect();
    let cost = cost_ahead(book, &terms, &running, through, profile.horizon);
    let Ok(cost) = cost.and_then(|groups| Ok(gross_of(&groups)?)) else {
        return;
    };
    let target = rows.ledger.payers[payer].cover_target;
    if target < cost {
        world.broken(format!(
            "6: {payer}'s cover aims at {target}, what runs costs {cost}"
        ));
    }
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
pub fn books(world: &World, rows: &Rows) {
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
