//! Edge: a seeded simulation of the whole line, in one thread, replayable from its seed.
//!
//! **What is real.** `gate::line` with everything under it (parse, keys, plan, price, hold and
//! intent, the one send, what an answer proves, resends), the follower, the meter, the sweep, the
//! renewals, our own signed calls and hyper's HTTP/1.1 client, the ledger's rules, and the
//! sandbox's commands and jobs. They run on one `current_thread` runtime whose clock stands until
//! nothing else can go on.
//!
//! **What stands in.** The disk: `store::memory`, the same works decided by the same rules, with
//! a writer of the simulation's own (`writer.rs`) that groups, commits, refuses, loses and dies;
//! one seed in 200 is played again into the real store, which must come to the same books. The
//! socket: a pipe in the process (`upstream.rs`), whose far end loses requests, cuts answers and
//! dies between what a call made and its job. The listener: `client.rs` calls `line` itself. The
//! wiring of a process and what it takes up after a crash (`node.rs`) are those of
//! `process/wiring.rs` and `process/serve.rs`, written again.
//!
//! A crash is the end of everything that a life of the gate can reach: its store answers no more,
//! what it writes to the wire is not read. The books and the cloud go on.
//!
//! `FAREGATE_SIMULATION_SEED=N` plays one seed and prints its whole trace.

mod client;
mod cloud;
mod invariants;
mod mutation;
mod node;
mod rest;
mod story;
mod upstream;
mod world;
mod writer;

use crate::campaign;
use faregate::store::memory::Rows;
use faregate::store::{Store, StoredInterval, Work};
use mutation::Mutation;
use std::collections::{BTreeMap, BTreeSet};
use world::Point;

/// Seeds of an ordinary run.
const SEEDS: u64 = 20_000;
/// Lines of the trace that a failing seed prints.
const SHOWN: usize = 60;

#[test]
fn no_seed_breaks_an_invariant() {
    if let Some(seed) = one_seed() {
        let told = story::run(seed, None);
        println!("{}", told.trace.join("\n"));
        assert_eq!(told.broken, None);
        return;
    }
    let seeds = campaign::rounds("simulation", SEEDS);
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let sums = std::thread::scope(|scope| {
        let part = |first| scope.spawn(move || part(first, cores, seeds));
        let parts: Vec<_> = (0..cores).map(part).collect();
        let parts = parts.into_iter().map(|part| part.join().unwrap());
        parts.collect::<Vec<Sum>>()
    });
    let mut points = BTreeSet::new();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut broken: Vec<Broken> = Vec::new();
    for sum in sums {
        points.extend(sum.points);
        broken.extend(sum.broken);
        for (what, count) in sum.counts {
            *counts.entry(what).or_default() += count;
        }
    }
    println!("{seeds} seeds: {counts:?}, died at {points:?}");
    let first = broken.iter().min_by_key(|one| one.seed);
    if let Some(Broken { seed, what, trace }) = first {
        let from = trace.len().saturating_sub(SHOWN);
        panic!(
            "seed {seed} breaks {what}\n{}\nplay it again with FAREGATE_SIMULATION_SEED={seed}",
            trace[from..].join("\n")
        );
    }
    let missed: Vec<&Point> = Point::ALL
        .iter()
        .filter(|at| !points.contains(at))
        .collect();
    assert!(missed.is_empty(), "no seed killed the gate at {missed:?}");
}

/// A seed that broke an invariant.
struct Broken {
    seed: u64,
    what: String,
    trace: Vec<String>,
}

/// What the seeds of one core came to.
#[derive(Default)]
struct Sum {
    points: BTreeSet<Point>,
    counts: BTreeMap<&'static str, u64>,
    broken: Option<Broken>,
}

/// Every seed of a core, until one breaks.
fn part(first: u64, cores: u64, seeds: u64) -> Sum {
    let mut sum = Sum::default();
    for seed in (first..seeds).step_by(usize::try_from(cores).unwrap()) {
        let told = story::run(seed, None);
        sum.points.extend(told.points);
        for (what, count) in told.counts {
            *sum.counts.entry(what).or_default() += count;
        }
        if let Some(what) = told.broken {
            let trace = told.trace;
            sum.broken = Some(Broken { seed, what, trace });
            break;
        }
    }
    sum
}

#[allow(clippy::disallowed_methods, reason = "a test has settings of its own")]
fn one_seed() -> Option<u64> {
    std::env::var("FAREGATE_SIMULATION_SEED").ok()?.parse().ok()
}

/// Seeds that a mutation may take to be caught.
const CAUGHT_WITHIN: u64 = 1_500;

#[test]
fn every_mutation_is_caught() {
    let mut missed = Vec::new();
    for mutation in Mutation::ALL {
        let broken = |seed| Some((seed, story::run(seed, Some(mutation)).broken?));
        match (0..CAUGHT_WITHIN).find_map(broken) {
            Some((seed, what)) => println!("{mutation:?}: seed {seed}: {what}"),
            None => missed.push(mutation),
        }
    }
    assert!(
        missed.is_empty(),
        "not caught in {CAUGHT_WITHIN} seeds: {missed:?}"
    );
}

#[test]
fn a_seed_takes_the_same_steps_each_time() {
    for seed in 0..20 {
        let (first, second) = (story::run(seed, None), story::run(seed, None));
        let differ = first
            .trace
            .iter()
            .zip(&second.trace)
            .position(|(a, b)| a != b);
        let at = differ.map(|at| (&first.trace[at], &second.trace[at]));
        assert_eq!(at, None, "seed {seed} went two ways");
        assert_eq!(first.trace.len(), second.trace.len());
    }
}

/// The books in memory are the store's: what they took in is given to the real one.
#[test]
fn the_real_store_comes_to_the_same_books() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    for seed in (0..SEEDS).step_by(1_000) {
        let told = story::run(seed, None);
        let folder = crate::stage::folder(&format!("simulation-{seed}"));
        std::fs::create_dir_all(&folder).unwrap();
        runtime.block_on(replayed(seed, &told.works, &told.books, &folder));
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

async fn replayed(seed: u64, works: &[Work], books: &Rows, folder: &std::path::Path) {
    let store = Store::open(folder).await.unwrap();
    for work in works {
        store.submit(work.clone()).await.unwrap();
    }
    let verified = store.verify().await.unwrap();
    assert_eq!(verified.faults, [], "seed {seed}");
    let payers: Vec<_> = books.ledger.payers.values().cloned().collect();
    assert_eq!(store.payers().await.unwrap(), payers, "seed {seed}");
    assert_eq!(
        store.open_holds(None).await.unwrap(),
        books.open_holds(None)
    );
    for intent in store.recent_intents(1_000).await.unwrap() {
        assert_eq!(
            Some(&intent),
            books.intents.get(&intent.call),
            "seed {seed}"
        );
    }
    let mut open = store.open_intervals(None).await.unwrap();
    let ends = |row: &StoredInterval| row.interval.end.is_none();
    let mut kept: Vec<_> = books
        .intervals
        .values()
        .filter(|row| ends(row))
        .cloned()
        .collect();
    open.sort_by_key(|row| row.id);
    kept.sort_by_key(|row| row.id);
    assert_eq!(open, kept, "seed {seed}");
    store.close().await;
}
