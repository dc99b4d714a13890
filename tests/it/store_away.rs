//! Edge: raising calls while PostgreSQL hangs: refused, or passed up to a cap, written down, and
//! charged once when it answers again.
#![allow(clippy::unwrap_used, reason = "a test stops where it must not go on")]

use crate::nodes_served::Books;
use crate::postgres::Server;
use crate::reload::figure;
use crate::stage::{Stage, until};
use faregate::gate::away::journal;
use faregate::terms::ids::PayerId;
use std::path::Path;

/// What a small machine holds for an hour, gross.
const MACHINE: i64 = 432_240;

/// A gate with books of its own, whose postpaid customer is open up to a cap.
struct Scene {
    server: Server,
    url: String,
    stage: Stage,
}

impl Scene {
    fn start(name: &str, cap: &str) -> Self {
        let server = Server::start();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        let url = runtime.block_on(server.database());
        let environment = [
            ("FAREGATE_POSTGRES_URL", url.as_str()),
            ("FAREGATE_NODE", "one"),
        ];
        let mut stage = Stage::start_in(name, &[], &environment);
        trust(&stage.folder.join("policies/customers"), "postpaid-pete");
        let profile = format!(
            "[[prepaid]]\nid = \"trusted\"\nhorizon = \"1h\"\n\
             store_away = {{ open_up_to = \"{cap}\" }}\n"
        );
        stage.with_policy("prepaid/trusted.toml", &profile);
        Self { server, url, stage }
    }

    fn hang(&self) {
        assert!(self.server.signal("-STOP"));
        until("the gate knows it", || {
            figure(&self.stage, "faregate_store_away") == "1"
        });
    }

    fn answer_again(&self) {
        assert!(self.server.signal("-CONT"));
    }

    fn deploy(&self, customer: usize) -> u16 {
        let vm = self.stage.small_vm(customer);
        self.stage.customer(customer).deploy(&vm).unwrap().status
    }

    /// Holds and machines of the postpaid customer are these many, once each.
    fn charged(&self, machines: usize) {
        let books = Books::open(&self.url);
        until("every machine is charged and no hold is open", || {
            books.running().len() == machines && books.open_holds() == 0
        });
        assert!(books.running().values().all(|times| *times == 1));
        assert_eq!(self.holds(&books), vec![MACHINE; machines]);
        books.sound();
        assert_eq!(self.written_down(), 0);
    }

    fn holds(&self, books: &Books) -> Vec<i64> {
        let pete = PayerId::from("postpaid-pete");
        let rows = books.store.transfers(&pete, None, 100);
        let rows = books.runtime.block_on(rows).unwrap();
        let holds = rows.iter().filter(|row| row.transfer.event == "hold");
        holds.map(|row| row.transfer.amount.get()).collect()
    }

    fn written_down(&self) -> usize {
        let folder = self.stage.folder.join("state");
        assert!(folder.join(journal::NAME).exists());
        journal::read(&folder).unwrap().len()
    }
}

/// Gives the customer the profile `trusted`.
fn trust(folder: &Path, customer: &str) {
    let mut given = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let Some(at) = text.find(&format!("id = \"{customer}\"")) else {
            continue;
        };
        let (before, after) = text.split_at(at);
        let after = after.replacen("prepaid = \"standard\"", "prepaid = \"trusted\"", 1);
        std::fs::write(&path, format!("{before}{after}")).unwrap();
        given += 1;
    }
    assert_eq!(given, 1);
}

/// Two machines fit; the third would be over the cap by one millionth.
#[test]
fn a_postpaid_customer_goes_on_up_to_his_cap_while_the_store_is_away() {
    let scene = Scene::start("away-cap", "1.296719");
    let worst = figure(&scene.stage, "faregate_worst_loss{currency=\"EUR\"}");
    assert_eq!(worst, "1.296719", "shown while everything is well");
    scene.hang();
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..6).map(|_| scope.spawn(|| scene.deploy(1))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    });
    let passed = statuses.iter().filter(|status| **status == 200).count();
    let refused = statuses.iter().filter(|status| **status == 503).count();
    assert_eq!((passed, refused), (2, 4), "{statuses:?}");
    let name = "faregate_passed{currency=\"EUR\"}";
    assert_eq!(figure(&scene.stage, name), "0.864480");
    assert_eq!(scene.written_down(), 2);
    let config = scene.stage.config();
    let told = scene
        .stage
        .faregate(&["ledger", "exposure", "--config", &config]);
    assert!(told.contains("passed here 0.864480"), "{told}");
    assert!(told.contains("worst possible loss 1.296719 EUR"), "{told}");
    scene.answer_again();
    scene.charged(2);
    assert_eq!(figure(&scene.stage, name), "0.000000");
}

#[test]
fn what_passed_while_the_store_was_away_is_charged_once_when_it_is_back() {
    let scene = Scene::start("away-once", "5.00");
    assert_eq!(scene.deploy(1), 200);
    for _ in 0..2 {
        scene.hang();
        assert_eq!(scene.deploy(1), 200);
        // Of what CloudStack refuses before it makes anything, nothing is charged.
        let wrong = [("serviceofferingid", "no-such-offering")];
        let refused = scene.stage.customer(1).call("deployVirtualMachine", &wrong);
        assert_ne!(refused.unwrap().status, 200);
        scene.answer_again();
        until("the gate has its books again", || {
            figure(&scene.stage, "faregate_store_away") == "0"
        });
        assert_eq!(scene.deploy(1), 200, "what passed is promised before it");
    }
    scene.charged(5);
}

#[test]
fn a_prepaid_customer_is_refused_while_the_store_is_away() {
    let scene = Scene::start("away-prepaid", "5.00");
    scene.hang();
    let vm = scene.stage.small_vm(0);
    let heard = scene.stage.customer(0).deploy(&vm).unwrap();
    assert_eq!(heard.status, 503, "{heard:?}");
    let text = heard.inside()["errortext"].as_str().unwrap().to_owned();
    assert!(text.contains("nothing was started"), "{text}");
    assert_eq!(scene.written_down(), 0);
    assert_eq!(scene.stage.machines("Running").len(), 0);
    scene.answer_again();
    until("he may go on", || scene.deploy(0) == 200);
}

#[test]
fn a_node_killed_while_the_store_is_away_keeps_its_journal() {
    let mut scene = Scene::start("away-killed", "5.00");
    scene.hang();
    assert_eq!(scene.deploy(1), 200);
    assert_eq!(scene.deploy(1), 200);
    scene.stage.kill_gate();
    assert_eq!(scene.written_down(), 2);
    let path = scene.stage.folder.join("state").join(journal::NAME);
    let written = std::fs::read(&path).unwrap();
    scene.answer_again();
    scene.stage.start_again();
    scene.charged(2);
    // Killed between the commit and the journal's end, it reads the same lines again.
    scene.stage.kill_gate();
    std::fs::write(&path, &written).unwrap();
    scene.stage.start_again();
    scene.charged(2);
}
