//! Edge: several gates in front of one cloud, with their books in one PostgreSQL.
#![allow(clippy::unwrap_used, reason = "a test stops where it must not go on")]

use crate::postgres::Server;
use crate::stage::{Caller, Stage, exchange, until};
use faregate::cloudstack::usage_type::UsageType;
use faregate::ledger::records::HoldStatus;
use faregate::store::{Place, Store};
use secrecy::SecretString;
use std::collections::BTreeMap;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicUsize, Ordering};

/// 7 × 0.432240 fit, 8 do not.
const MORE: &str = "2.30";

/// A second gate of a stage's cloud, with a folder and sockets of its own.
pub struct Gate {
    child: Child,
    endpoint: String,
}

impl Gate {
    pub fn start(stage: &Stage, url: &str, name: &str) -> Self {
        let ports = [free_port(), free_port()];
        let written = std::fs::read_to_string(stage.config()).unwrap();
        let mut written: toml::Table = written.parse().unwrap();
        let listen = written["listen"].as_table_mut().unwrap();
        for (key, port) in ["gate", "ops"].into_iter().zip(ports) {
            listen.insert(key.to_owned(), format!("127.0.0.1:{port}").into());
        }
        let paths = written["paths"].as_table_mut().unwrap();
        paths.insert("store".to_owned(), format!("state-{name}").into());
        let config = stage.folder.join(format!("{name}.toml"));
        std::fs::write(&config, written.to_string()).unwrap();
        let log = std::fs::File::create(stage.folder.join(format!("{name}.log"))).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_faregate"))
            .args(["serve", "--config"])
            .arg(&config)
            .env("FAREGATE_POSTGRES_URL", url)
            .env("FAREGATE_NODE", name)
            .stderr(log)
            .spawn()
            .unwrap();
        // Its sockets are there before it is: what it finds in the books at its start, it takes for
        // left behind, and an equal call within a minute gets the first one's answer.
        let ops = format!("127.0.0.1:{}", ports[1]);
        let asked = format!("GET /healthz HTTP/1.1\r\nHost: {ops}\r\nConnection: close\r\n\r\n");
        until("the second gate is ready", || {
            TcpStream::connect(&ops).is_ok()
                && exchange(&ops, &asked).is_some_and(|heard| heard.status == 200)
        });
        Self {
            child,
            endpoint: format!("http://127.0.0.1:{}/client/api", ports[0]),
        }
    }

    pub fn customer(&self, stage: &Stage, index: usize) -> Caller {
        Caller {
            endpoint: self.endpoint.clone(),
            ..stage.customer(index)
        }
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    free.local_addr().unwrap().port()
}

/// The books, read beside the gates.
pub struct Books {
    pub runtime: tokio::runtime::Runtime,
    pub store: Store,
}

impl Books {
    pub fn open(url: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let place = Place::Postgres {
            url: SecretString::from(url.to_owned()),
            node: None,
        };
        let store = runtime.block_on(Store::open_at(&place)).unwrap();
        Self { runtime, store }
    }

    /// How often each machine is charged as running, now.
    pub fn running(&self) -> BTreeMap<String, usize> {
        let open = self.runtime.block_on(self.store.open_intervals(None));
        let mut running = BTreeMap::new();
        for row in open.unwrap() {
            if row.interval.meter.usage_type == UsageType::RunningVm {
                let id = row.interval.meter.resource.to_string();
                *running.entry(id).or_default() += 1;
            }
        }
        running
    }

    pub fn open_holds(&self) -> usize {
        let open = self.runtime.block_on(self.store.open_holds(None)).unwrap();
        open.iter()
            .filter(|hold| hold.status == HoldStatus::Open)
            .count()
    }

    pub fn accrued_through(&self) -> i64 {
        let payers = self.runtime.block_on(self.store.payers()).unwrap();
        payers
            .iter()
            .map(|payer| payer.accrued_through.micros())
            .max()
            .unwrap()
    }

    /// What the payer with the least may still spend, in millionths.
    pub fn least_spendable(&self) -> i64 {
        let payers = self.runtime.block_on(self.store.payers()).unwrap();
        let spendable = payers.iter().map(|payer| payer.spendable().unwrap().get());
        spendable.min().unwrap()
    }

    pub fn sound(&self) {
        let verified = self.runtime.block_on(self.store.verify()).unwrap();
        assert_eq!(verified.faults, []);
    }
}

fn postgres() -> String {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(Server::shared().database())
}

fn stage(name: &str, url: &str) -> Stage {
    let environment = [("FAREGATE_POSTGRES_URL", url), ("FAREGATE_NODE", "one")];
    Stage::start_in(name, &[], &environment)
}

#[test]
fn of_a_hundred_deploys_on_two_gates_with_money_for_seven_exactly_seven_run() {
    let url = postgres();
    let stage = stage("nodes-race", &url);
    let two = Gate::start(&stage, &url, "two");
    stage.top_up("prepaid-paula", MORE, "more");
    let (accepted, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let vm = stage.small_vm(0);
    let callers = [stage.customer(0), two.customer(&stage, 0)];
    std::thread::scope(|scope| {
        for number in 0..100 {
            let (caller, vm) = (&callers[number % 2], &vm);
            let (accepted, refused) = (&accepted, &refused);
            scope.spawn(move || {
                let heard = caller.deploy(vm).unwrap();
                match heard.status {
                    200 => accepted.fetch_add(1, Ordering::Relaxed),
                    535 => refused.fetch_add(1, Ordering::Relaxed),
                    // The database took its time: nothing was sent, and the call may come again.
                    503 => match caller.deploy(vm).unwrap().status {
                        200 => accepted.fetch_add(1, Ordering::Relaxed),
                        _ => refused.fetch_add(1, Ordering::Relaxed),
                    },
                    _ => panic!("{heard:?}"),
                };
            });
        }
    });
    assert_eq!((accepted.into_inner(), refused.into_inner()), (7, 93));
    until("seven run", || stage.machines("Running").len() == 7);
    let books = Books::open(&url);
    until("each is charged and no hold is open", || {
        books.running().len() == 7 && books.open_holds() == 0
    });
    assert!(books.running().values().all(|times| *times == 1));
    books.sound();
}

#[test]
fn what_one_gate_started_another_ends_and_it_is_charged_once() {
    let url = postgres();
    let stage = stage("nodes-ends", &url);
    let two = Gate::start(&stage, &url, "two");
    let books = Books::open(&url);
    let heard = stage.customer(0).deploy(&stage.small_vm(0)).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    until("it is charged", || books.running().len() == 1);
    let id = books.running().into_keys().next().unwrap();
    let there = two.customer(&stage, 0);
    let named = [("id", id.as_str())];
    let stopped = there.call("stopVirtualMachine", &named).unwrap();
    assert_eq!(stopped.status, 200, "{stopped:?}");
    until("it is charged as running no more", || {
        books.running().is_empty()
    });
    // And on the gate that did not see it stop.
    let started = stage
        .customer(0)
        .call("startVirtualMachine", &named)
        .unwrap();
    assert_eq!(started.status, 200, "{started:?}");
    until("it is charged again, once", || {
        books.running() == BTreeMap::from([(id.clone(), 1)])
    });
    let destroyed = there.call("destroyVirtualMachine", &named).unwrap();
    assert_eq!(destroyed.status, 200, "{destroyed:?}");
    until("nothing is charged", || books.running().is_empty());
    books.sound();
}

#[test]
fn a_gate_that_dies_leaves_its_calls_and_renewals_to_the_other() {
    let url = postgres();
    let mut stage = stage("nodes-dies", &url);
    let two = Gate::start(&stage, &url, "two");
    let books = Books::open(&url);
    let heard = stage.customer(0).deploy(&stage.small_vm(0)).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    // It keeps the books and follows the call: both are left behind.
    stage.kill_gate();
    let through = books.accrued_through();
    let there = two.customer(&stage, 0);
    let heard = there.call("listVirtualMachines", &[]).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    until("the call is settled by the other gate", || {
        books.running().len() == 1 && books.open_holds() == 0
    });
    until("the other gate renews", || {
        books.accrued_through() > through
    });
    let heard = there.deploy(&stage.small_vm(0)).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    let mut left = 600;
    while books.running().len() < 2 {
        let told = std::fs::read_to_string(stage.folder.join("two.log")).unwrap_or_default();
        assert!(
            left > 0,
            "not both are charged: {:?}\n{told}",
            books.running()
        );
        std::thread::sleep(std::time::Duration::from_millis(200));
        left -= 1;
    }
    books.sound();
}

/// A server that hangs is worse than one that is gone: every question waits.
#[test]
fn while_postgresql_hangs_only_what_raises_cost_is_refused_and_no_money_is_lost() {
    let server = Server::start();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let url = runtime.block_on(server.database());
    let stage = stage("nodes-hangs", &url);
    let vm = stage.small_vm(0);
    let customer = stage.customer(0);
    assert_eq!(customer.deploy(&vm).unwrap().status, 200);
    until("it runs", || stage.machines("Running").len() == 1);
    let id = stage.machines("Running").remove(0);
    for signal in ["-STOP", "-KILL"] {
        assert!(server.signal(signal));
        let callers: Vec<u16> = std::thread::scope(|scope| {
            let calls = (0..8).map(|_| scope.spawn(|| customer.deploy(&vm).unwrap().status));
            let calls: Vec<_> = calls.collect();
            calls.into_iter().map(|call| call.join().unwrap()).collect()
        });
        assert_eq!(callers, [503; 8], "{signal}");
        let listed = customer.call("listVirtualMachines", &[]).unwrap();
        assert_eq!(listed.status, 200, "{listed:?}");
        let stopped = customer.call("stopVirtualMachine", &[("id", &id)]).unwrap();
        assert_eq!(stopped.status, 200, "{stopped:?}");
        match signal {
            "-STOP" => assert!(server.signal("-CONT")),
            _ => server.serve(),
        }
        until("a raising call passes again", || {
            customer
                .call("startVirtualMachine", &[("id", &id)])
                .is_some_and(|heard| heard.status == 200)
        });
        until("it runs again", || stage.machines("Running").len() == 1);
    }
    let books = Books::open(&url);
    until("no hold is left of what was refused", || {
        books.open_holds() == 0
    });
    until("the machine is charged, once", || {
        books.running() == BTreeMap::from([(id.clone(), 1)])
    });
    books.sound();
}
