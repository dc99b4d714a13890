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
mod story;
mod upstream;
mod world;
mod writer;

use crate::campaign;
use std::collections::{BTreeMap, BTreeSet};

/// Lines of the trace that a failing seed prints.
const SHOWN: usize = 60;

#[test]
fn no_seed_breaks_an_invariant() {
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    let mut points = BTreeSet::new();
    if let Some(seed) = one_seed() {
        let told = story::run(seed, None);
        println!("{}", told.trace.join("\n"));
        assert_eq!(told.broken, None);
        return;
    }
    for seed in 0..campaign::rounds("simulation", 20_000) {
        let told = story::run(seed, None);
        if let Some(broken) = told.broken {
            let from = told.trace.len().saturating_sub(SHOWN);
            panic!(
                "seed {seed} breaks {broken}\n{}\nplay it again with FAREGATE_SIMULATION_SEED={seed}",
                told.trace[from..].join("\n")
            );
        }
        points.extend(told.points);
        for (what, count) in told.counts {
            *counts.entry(what).or_default() += count;
        }
    }
    println!("{counts:?} {points:?}");
}

#[allow(clippy::disallowed_methods, reason = "a test has settings of its own")]
fn one_seed() -> Option<u64> {
    std::env::var("FAREGATE_SIMULATION_SEED").ok()?.parse().ok()
}
