//! Edge: packets between a node and PostgreSQL are dropped, in a network of the test's own.

use super::{ask, audit};
use crate::network::{alone, must_be_alone, run};
use crate::nodes_served::{Books, Gate};
use crate::postgres::Server;
use crate::stage::{Caller, Heard, Stage, until};
use faregate::store::Place;
use secrecy::SecretString;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What seven machines need, with what is there at first.
const MORE: &str = "2.30";
/// PostgreSQL as the second node reaches it; the first one's way is another address.
const THEIR_WAY: &str = "127.0.0.2";

#[test]
fn a_node_that_is_cut_off_from_postgresql_commits_nothing_and_comes_back() {
    alone("faults::cut::of_two_nodes_one_is_cut_off");
}

/// A deploy of a machine with a name of its own.
fn deploy(stage: &Stage, caller: &Caller) -> Option<Heard> {
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let mut vm = stage.small_vm(0);
    vm.push(("name".to_owned(), format!("cut-{number}")));
    caller.deploy(&vm)
}

/// Ten deploys at once on each node; the machines that were accepted.
fn load(stage: &Stage, callers: &[Caller; 2]) -> Vec<String> {
    std::thread::scope(|scope| {
        let calls: Vec<_> = (0..20)
            .map(|at| scope.spawn(move || deploy(stage, &callers[at % 2])))
            .collect();
        let heard = calls.into_iter().filter_map(|call| call.join().unwrap());
        heard
            .filter(|heard| {
                assert!([200, 503, 530, 535].contains(&heard.status), "{heard:?}");
                heard.status == 200
            })
            .map(|heard| heard.inside()["id"].as_str().unwrap().to_owned())
            .collect()
    })
}

/// Drops what goes between the second node and PostgreSQL, without a word to either.
fn cut() {
    run("nft", &["add", "table", "inet", "cut"]);
    let chain = "{ type filter hook output priority 0; policy accept; }";
    run("nft", &["add", "chain", "inet", "cut", "output", chain]);
    for side in ["daddr", "saddr"] {
        run(
            "nft",
            &[
                "add", "rule", "inet", "cut", "output", "ip", side, THEIR_WAY, "drop",
            ],
        );
    }
}

fn heal() {
    run("nft", &["delete", "table", "inet", "cut"]);
}

/// The first node goes on; the second refuses what raises cost and passes the rest. When the way
/// is open again it goes on by itself, and not one call more than is paid for has run.
#[test]
#[ignore = "changes the network: a_node_that_is_cut_off_from_postgresql_… runs it in its own"]
fn of_two_nodes_one_is_cut_off() {
    must_be_alone();
    let server = Server::start_on("127.0.0.1,127.0.0.2");
    let url = ask(server.database());
    let theirs = url.replace("127.0.0.1", THEIR_WAY);
    let environment = [
        ("FAREGATE_POSTGRES_URL", url.as_str()),
        ("FAREGATE_NODE", "one"),
    ];
    let stage = Stage::start_in("cut", &[], &environment);
    let two = Gate::start(&stage, &theirs, "two");
    stage.top_up("prepaid-paula", MORE, "more");
    let books = Books::open(&url);
    let callers = [stage.customer(0), two.customer(&stage, 0)];
    assert_eq!(deploy(&stage, &callers[0]).unwrap().status, 200);
    assert_eq!(deploy(&stage, &callers[1]).unwrap().status, 200);

    let mut accepted = std::thread::scope(|scope| {
        let loaded = scope.spawn(|| load(&stage, &callers));
        std::thread::sleep(Duration::from_millis(60));
        cut();
        loaded.join().unwrap()
    });
    let refused = deploy(&stage, &callers[1]).unwrap();
    assert_eq!(refused.status, 503, "{refused:?}");
    let passed = callers[1].call("listVirtualMachines", &[]).unwrap();
    assert_eq!(passed.status, 200, "{passed:?}");
    let through = books.accrued_through();
    until("the other node renews", || {
        books.accrued_through() > through
    });

    heal();
    until("the node that was cut off serves again", || {
        deploy(&stage, &callers[1]).is_some_and(|heard| heard.status != 503)
    });
    until("nothing is left open", || books.open_holds() == 0);
    accepted.extend(load(&stage, &callers));
    until("nothing is left open", || books.open_holds() == 0);
    super::settled(&stage);
    let running = stage.machines("Running");
    assert!((2..=7).contains(&running.len()), "{}", running.len());
    for id in &accepted {
        assert!(running.contains(id), "{id} was answered, not made");
    }
    until("all that runs is charged", || {
        books.running().len() == running.len()
    });
    assert!(books.least_spendable() >= 0, "more ran than was paid for");
    drop(two);
    let place = Place::Postgres {
        url: SecretString::from(url),
        node: None,
    };
    audit(&place, &running);
}
