//! Edge: PostgreSQL is killed, or stopped for a while, amid the commits of a gate that serves.

use super::{ask, audit, charged, deploy, settled};
use crate::campaign::{self, Draw};
use crate::postgres::Server;
use crate::stage::{Stage, until};
use faregate::store::Place;
use secrecy::SecretString;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Rounds on one cloud: an account may have 20 machines there.
const ROUNDS_OF_A_STAGE: u64 = 1;
/// Machines of one round at most.
const MACHINES: usize = 12;

#[test]
fn a_postgresql_that_dies_or_hangs_in_a_commit_loses_nothing_that_was_acknowledged() {
    let rounds = campaign::rounds("postgres-dies", 4);
    for first in (0..rounds).step_by(usize::try_from(ROUNDS_OF_A_STAGE).unwrap()) {
        on_a_stage(first, rounds.min(first + ROUNDS_OF_A_STAGE));
    }
}

fn on_a_stage(first: u64, last: u64) {
    let server = Server::start();
    let url = ask(server.database());
    let environment = [
        ("FAREGATE_POSTGRES_URL", url.as_str()),
        ("FAREGATE_NODE", "one"),
    ];
    let stage = Stage::start_in(&format!("postgres-dies-{first}"), &[], &environment);
    stage.top_up("prepaid-paula", "1000", "more");
    let place = Place::Postgres {
        url: SecretString::from(url.clone()),
        node: None,
    };
    let mut answered = Vec::new();
    for round in first..last {
        answered.extend(under_load(&stage, &server, round));
        until("a raising call passes again", || {
            deploy(&stage, &format!("again-{round}")).is_some()
        });
        settled(&stage);
        let running = stage.machines("Running");
        for id in &answered {
            assert!(running.contains(id), "{id} was answered, not made");
        }
        until("all that runs is charged", || {
            charged(&place).len() == running.len()
        });
    }
    let running = stage.machines("Running");
    audit(&place, &running);
}

/// Deploys from four callers while the server is killed or stopped; the machines answered.
fn under_load(stage: &Stage, server: &Server, round: u64) -> Vec<String> {
    let mut draw = Draw::of_round(round);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|caller| {
                let over = &over;
                scope.spawn(move || {
                    let mut made = Vec::new();
                    for turn in 0.. {
                        if over.load(Ordering::Relaxed) || made.len() >= MACHINES / 4 {
                            break;
                        }
                        made.extend(deploy(stage, &format!("r{round}-{caller}-{turn}")));
                    }
                    made
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(draw.below(150)));
        if draw.below(3) == 0 {
            assert!(server.signal("-STOP"));
            std::thread::sleep(Duration::from_millis(500 + draw.below(1_500)));
            assert!(server.signal("-CONT"));
        } else {
            assert!(server.signal("-KILL"));
            server.serve();
        }
        over.store(true, Ordering::Relaxed);
        let made = callers
            .into_iter()
            .flat_map(|caller| caller.join().unwrap());
        made.collect()
    })
}
