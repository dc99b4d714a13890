//! Edge: one seed: a drawn story with faults, then healing, then a look at what is left.

use super::client::{self, Wish};
use super::cloud::direct;
use super::mutation::Mutation;
use super::world::{Point, World};
use super::{node, rest, upstream};
use faregate::ledger::Command;
use faregate::ledger::command::TopUp;
use faregate::store::Work;
use faregate::store::memory::Rows;
use faregate::terms::money::Micros;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// What a seed came to.
pub struct Told {
    pub broken: Option<String>,
    pub trace: Vec<String>,
    pub points: BTreeSet<Point>,
    pub counts: BTreeMap<&'static str, u64>,
    pub works: Vec<Work>,
    pub books: Rows,
}

/// Runs a seed to its end, or to the first invariant that does not hold.
pub fn run(seed: u64, mutation: Option<Mutation>) -> Told {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let world = runtime.block_on(async {
        let world = World::new(seed, mutation);
        if live(&world).await.is_some() && heal(&world).await.is_some() {
            rest::at_rest(&world);
        }
        world
    });
    drop(runtime);
    let mut state = world.state();
    // The gate's wire holds the world: let go of, both end with this seed.
    let node = state.node.take();
    let told = Told {
        broken: state.broken.take(),
        trace: std::mem::take(&mut state.trace),
        points: std::mem::take(&mut state.points),
        counts: std::mem::take(&mut state.counts),
        works: std::mem::take(&mut state.works),
        books: world.books.rows().clone(),
    };
    drop(state);
    drop(node);
    told
}

/// The part with faults. None where an invariant broke.
async fn live(world: &Arc<World>) -> Option<()> {
    while node::start(world).await.is_none() {
        world.delay(100).await;
    }
    for customer in 0..2 {
        let amount = 600_000 + i64::try_from(world.below(4_000_000)).unwrap();
        pay(world, customer, amount, &format!("opening-{customer}")).await;
    }
    let mut calls = JoinSet::new();
    let actions = 4 + world.below(10);
    for number in 0..actions {
        if world.node().is_none() && world.below(3) > 0 {
            node::start(world).await;
        }
        act(world, &mut calls, number).await;
        let pause = if world.below(3) == 0 { 800 } else { 60 };
        world.delay(pause).await;
        if world.is_broken() {
            return None;
        }
    }
    world.state().healed = true;
    world.note("the faults end".to_owned());
    while calls.join_next().await.is_some() {}
    (!world.is_broken()).then_some(())
}

async fn act(world: &Arc<World>, calls: &mut JoinSet<()>, number: u64) {
    let customer = usize::try_from(world.below(2)).unwrap();
    match world.below(100) {
        0..=47 => {
            let parallel = if world.below(4) == 0 { 3 } else { 1 };
            for one in 0..parallel {
                let wish = wish(world, customer);
                let number = number * 10 + one;
                calls.spawn(client::call(world.clone(), customer, wish, number));
            }
        }
        48..=53 => {
            let amount = i64::try_from(100_000 + world.below(2_000_000)).unwrap();
            let times = 1 + world.below(2);
            for _ in 0..times {
                pay(world, customer, amount, &format!("payment-{number}")).await;
            }
        }
        54..=59 => {
            if let Some(node) = world.node() {
                world.die(&node.life, Point::K0);
            }
        }
        60..=63 => upstream::restart(world),
        64..=65 => upstream::purge(world),
        66..=69 => behind_the_gate(world, customer),
        70..=76 => sweep(world).await,
        77..=89 => {
            let seconds = [5, 61, 400, 1_200, 1_900, 4_000];
            let seconds = seconds[usize::try_from(world.below(6)).unwrap()];
            world.note(format!("{seconds} s pass"));
            world.leap(seconds);
        }
        90..=93 => {
            let away = !world.state().server_away;
            world.state().server_away = away;
            world.note(format!("the cloud is away: {away}"));
        }
        94..=96 => {
            let groups = 1 + world.below(6);
            world.state().disk_full = groups;
        }
        _ => {
            // Within what the two clocks may differ by: more is an alarm and a person's to look at.
            let seconds = i64::try_from(world.below(5)).unwrap() - 2;
            world.note(format!("the gate's clock jumps by {seconds} s"));
            world.clock.leap(seconds * 1_000_000, Duration::ZERO);
        }
    }
}

fn wish(world: &World, customer: usize) -> Wish {
    let account = &world.base.customers[customer].account;
    let own: Vec<String> = {
        let state = world.state();
        let vms = state.cloud.vms.iter();
        vms.filter(|vm| vm.account == *account && vm.counts())
            .map(|vm| vm.id.clone())
            .collect()
    };
    let drawn = world.below(20);
    if own.is_empty() || drawn < 8 {
        return if drawn == 7 {
            Wish::Volume
        } else {
            Wish::Deploy
        };
    }
    let at = usize::try_from(world.below(own.len() as u64)).unwrap();
    let id = own[at].clone();
    match drawn {
        8..=11 => Wish::Start(id),
        12..=14 => Wish::Stop(id),
        15..=17 => Wish::Destroy(id),
        18 => Wish::Volume,
        _ => Wish::Look,
    }
}

/// A provider tells of a payment.
async fn pay(world: &Arc<World>, customer: usize, amount: i64, id: &str) {
    let payer = world.base.customers[customer].payer.clone();
    world.state().seen.payments.insert(id.to_owned(), amount);
    let Some(node) = world.node() else { return };
    let command = Command::TopUp(TopUp {
        id: id.to_owned(),
        payer,
        amount: Micros::new(amount),
        provider: "card".to_owned(),
        tax: None,
        paper: None,
        reference: None,
        // A provider's own time: the same message, told twice, is the same.
        at: faregate::terms::time::Timestamp::from_seconds(super::cloud::START),
    });
    let done = tokio::select! {
        biased;
        () = node.life.died() => return,
        done = node.core.gate.store.submit(Work::of(command)) => done,
    };
    if done.is_ok() {
        world.state().seen.credited.insert(id.to_owned());
    }
}

/// An administrator changes something past the gate.
fn behind_the_gate(world: &World, customer: usize) {
    let account = &world.base.customers[customer].account;
    let found = {
        let state = world.state();
        let mut vms = state.cloud.vms.iter();
        let now = tokio::time::Instant::now();
        let idle = |id: &String| state.busy.get(id).is_none_or(|until| *until < now);
        let found = vms.find(|vm| {
            idle(&vm.id)
                && vm.account == *account
                && !vm.removed
                && matches!(vm.state.as_str(), "Running" | "Stopped")
        });
        found.map(|vm| (vm.id.clone(), vm.state == "Running"))
    };
    let Some((id, runs)) = found else { return };
    let command = match (runs, world.below(2)) {
        (_, 0) => "destroyVirtualMachine",
        (true, _) => "stopVirtualMachine",
        (false, _) => "startVirtualMachine",
    };
    world.note(format!(
        "an administrator: {command} {}",
        upstream::short(&id)
    ));
    let admin = world.base.admin.clone();
    let words = [("command", command), ("id", id.as_str())];
    world.with_cloud(|cloud, moment| direct(cloud, &admin, moment, &words));
}

async fn sweep(world: &Arc<World>) {
    let Some(node) = world.node() else { return };
    if world.has(Mutation::NeverSweeps) {
        return;
    }
    let swept = tokio::select! {
        biased;
        () = node.life.died() => return,
        swept = node.sweep.once() => swept,
    };
    world.note(format!("swept: {swept:?}"));
}

/// No more faults; time passes. None where an invariant broke.
async fn heal(world: &Arc<World>) -> Option<()> {
    {
        let mut state = world.state();
        state.server_away = false;
        state.disk_full = 0;
    }
    let node = match world.node() {
        Some(node) => node,
        None => node::start(world).await?,
    };
    // A job that stays unknown for half an hour, a call that claims what it made for an hour.
    for pass in [1_900, 3_700] {
        node.renewals.resume();
        tokio::time::sleep(Duration::from_secs(3)).await;
        world.leap(pass);
        world.note(format!("{pass} s pass"));
    }
    // Jobs on one machine take their turns: the last one has to end before it can be followed.
    for _ in 0..60 {
        let waits = world.state().cloud.jobs.iter().any(|job| job.status == 0);
        if !waits {
            break;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    tokio::time::sleep(Duration::from_secs(4)).await;
    sweep(world).await;
    for customer in &world.base.customers {
        if let Err(fault) = node.renewals.catch_up(&customer.payer).await {
            world.broken(format!("37: {} is not renewed: {fault}", customer.payer));
        }
    }
    (!world.is_broken()).then_some(())
}
