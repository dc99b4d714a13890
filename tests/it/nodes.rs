//! Edge: promises of several nodes on one PostgreSQL: they hold exactly what one would, and a node
//! that was cut off cannot commit.
#![allow(clippy::unwrap_used, reason = "a test stops where it must not go on")]

use crate::campaign;
use crate::postgres::{Server, Somewhere};
use crate::store::{hold_with_intent, open_payer, payer, top_up};
use faregate::ledger::{Command, LedgerRefusal};
use faregate::store::{Store, StoreError, Work};
use faregate::terms::ids::HoldId;
use faregate::terms::money::Micros;
use faregate::terms::time::Timestamp;
use std::time::Duration;

const PRICE: i64 = 432_000;

async fn nodes(place: &Somewhere, count: usize) -> Vec<Store> {
    let mut nodes = Vec::new();
    for number in 0..count {
        nodes.push(place.another(&format!("node-{number}")).await);
    }
    nodes
}

/// A thousand holds at once, dealt out to the nodes; how many were made.
async fn raced(nodes: &[Store], k: i64) -> i64 {
    let work = nodes[0].submit(Work::of(open_payer()));
    work.await.unwrap();
    let money = k * PRICE + PRICE - 1;
    let work = nodes[0].submit(Work::of(top_up("p1", money)));
    work.await.unwrap();
    let mut tasks = Vec::new();
    for number in 1..=1_000_u128 {
        let store = nodes[usize::try_from(number).unwrap() % nodes.len()].clone();
        let work = hold_with_intent(number, PRICE);
        tasks.push(tokio::spawn(async move { store.submit(work).await }));
    }
    let mut held = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => held += 1,
            Err(StoreError::Refused(LedgerRefusal::NotEnough { short_by, .. })) => {
                assert_eq!(short_by, Micros::new(1));
            }
            Err(other) => panic!("{other}"),
        }
    }
    held
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_holds_on_three_nodes_with_money_for_k_are_exactly_k() {
    let rounds = campaign::rounds("nodes", 1);
    for _ in 0..rounds {
        for k in [0, 1, 7] {
            let place = Somewhere::postgres().await;
            let nodes = nodes(&place, 3).await;
            assert_eq!(raced(&nodes, k).await, k);
            let left = nodes[2].payer(&payer()).await.unwrap().unwrap();
            assert_eq!(left.purses[0], Micros::new(PRICE - 1));
            assert_eq!(nodes[1].verify().await.unwrap().faults, []);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hold_made_on_one_node_is_given_back_on_another() {
    let place = Somewhere::postgres().await;
    let nodes = nodes(&place, 2).await;
    assert_eq!(raced(&nodes, 1).await, 1);
    let open = nodes[0].open_holds(Some(&payer())).await.unwrap();
    let back = Command::GiveBack {
        one_off: vec![],
        hold: open[0].id,
        at: Timestamp::from_seconds(3),
    };
    // Both hear of it at once: it is given back once.
    let (one, two) = tokio::join!(
        nodes[0].submit(Work::of(back.clone())),
        nodes[1].submit(Work::of(back)),
    );
    let twice = [one.unwrap(), two.unwrap()].map(|done| done.effects.already_done);
    assert_eq!(twice.iter().filter(|again| **again).count(), 1);
    let left = nodes[1].payer(&payer()).await.unwrap().unwrap();
    assert_eq!(left.holds_open, Micros::ZERO);
    assert_eq!(nodes[0].verify().await.unwrap().faults, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_begins_anew_keeps_its_former_self_from_committing() {
    let place = Somewhere::postgres().await;
    let former = place.another("gate").await;
    former.submit(Work::of(open_payer())).await.unwrap();
    let present = place.another("gate").await;
    let late = former.submit(Work::of(top_up("p1", 5))).await;
    assert_eq!(late, Err(StoreError::Fenced("gate".to_owned())));
    present.submit(Work::of(top_up("p1", 5))).await.unwrap();
    let state = present.payer(&payer()).await.unwrap().unwrap();
    assert_eq!(state.purses[0], Micros::new(5));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_ran_out_goes_to_another_node_and_fences_the_first() {
    let place = Somewhere::postgres().await;
    let nodes = nodes(&place, 2).await;
    nodes[0].submit(Work::of(open_payer())).await.unwrap();
    let long = Duration::from_secs(60);
    let short = Duration::from_millis(200);
    assert!(nodes[0].has_lease("renew", short).await.unwrap());
    assert!(nodes[0].has_lease("renew", short).await.unwrap(), "again");
    assert!(!nodes[1].has_lease("renew", long).await.unwrap());
    tokio::time::sleep(short * 2).await;
    assert!(nodes[1].has_lease("renew", long).await.unwrap());
    assert!(!nodes[0].has_lease("renew", long).await.unwrap());
    let late = nodes[0].submit(Work::of(top_up("p1", 5))).await;
    assert_eq!(late, Err(StoreError::Fenced("node-0".to_owned())));
    nodes[1].submit(Work::of(top_up("p1", 5))).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_was_given_back_fences_nobody() {
    let place = Somewhere::postgres().await;
    let nodes = nodes(&place, 2).await;
    let long = Duration::from_secs(60);
    assert!(nodes[0].has_lease("renew", long).await.unwrap());
    nodes[0].leave_lease("renew").await.unwrap();
    assert!(nodes[1].has_lease("renew", long).await.unwrap());
    nodes[1].submit(Work::of(open_payer())).await.unwrap();
    nodes[0].submit(Work::of(top_up("p1", 5))).await.unwrap();
}

/// What was acknowledged is there, once, after the server was killed and started again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_when_postgresql_is_killed() {
    let server = Server::start();
    let place = Somewhere::Postgres(server.database().await);
    let store = place.open().await;
    store.submit(Work::of(open_payer())).await.unwrap();
    let much = top_up("p1", 1_000_000_000);
    store.submit(Work::of(much)).await.unwrap();
    let mut held = Vec::new();
    for round in 0..3_u128 {
        let mut tasks = Vec::new();
        for caller in 0..8_u128 {
            let store = store.clone();
            tasks.push(tokio::spawn(async move {
                let mut held = Vec::new();
                for turn in 0..1_000_u128 {
                    let number = round * 1_000_000 + turn * 8 + caller + 1;
                    match store.submit(hold_with_intent(number, 10)).await {
                        Ok(_) => held.push(number),
                        Err(_) => break,
                    }
                }
                held
            }));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(server.signal("-KILL"));
        for task in tasks {
            held.extend(task.await.unwrap());
        }
        server.serve();
    }
    assert!(!held.is_empty());
    for number in held {
        let rows = store.hold(HoldId::from_bits(number)).await.unwrap();
        assert_eq!(rows.len(), 1, "hold {number} was acknowledged");
    }
    assert_eq!(store.verify().await.unwrap().faults, []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_would_lose_commits_is_refused() {
    let server = Server::start();
    let url = server.database().await;
    use sqlx::Connection as _;
    let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
    for text in ["ALTER SYSTEM SET fsync = off", "SELECT pg_reload_conf()"] {
        sqlx::query(text).execute(&mut connection).await.unwrap();
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let refused = Store::open_at(&Somewhere::Postgres(url).place("one")).await;
    let text = refused.unwrap_err().to_string();
    assert!(text.contains("fsync") && text.contains("`on`"), "{text}");
}
