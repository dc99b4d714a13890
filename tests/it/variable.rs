//! Edge: traffic against the sandbox's usage server: held for a window, trued up by its samples.
#![allow(
    clippy::disallowed_methods,
    reason = "a test has a clock and settings of its own"
)]

mod late;

use crate::stage::{Stage, address_of, exchange, until};
use faregate::ledger::records::Accrual;
use faregate::store::Store;
use faregate::terms::money::Micros;
use faregate::terms::time::BillingMonth;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

const PAULA: &str = "prepaid-paula";
const BOOK: &str = "policies/tariffs/2020-01-01-demo.toml";
const GIB: usize = 1 << 30;

/// A demo in which a GiB sent costs so much net (20 % on top), with windows of so many minutes,
/// and a running machine of Paula's; the network's offering lets 200 Mbit/s through.
fn stage(name: &str, speed: &str, price: &str, minutes: usize, money: &str) -> Stage {
    let stage = priced(name, speed, price, minutes, money);
    let paula = stage.customer(0);
    let heard = paula.deploy(&stage.small_vm(0)).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    let job = heard.inside()["jobid"].as_str().unwrap().to_owned();
    assert_eq!(paula.job_end(&job), 1);
    until("a window is open", || payer(&stage)["window"].is_object());
    stage
}

/// The same without a machine.
fn priced(name: &str, speed: &str, price: &str, minutes: usize, money: &str) -> Stage {
    let mut stage = Stage::start(&format!("variable-{name}"), &["--speed", speed]);
    stage.fault("usage-window", minutes);
    let book = std::fs::read_to_string(stage.folder.join(BOOK)).unwrap();
    let line = format!(
        "\n[[line]]\nid = \"sent\"\ncomponent = \"sent_gib\"\nprice = \"{price}\"\n\
         class = \"network\"\ntext = \"Traffic sent\"\n"
    );
    let prepaid = "[[prepaid]]\nid = \"standard\"\nhorizon = \"1h\"\nworst_delay = \"2m\"\n";
    std::fs::write(stage.folder.join("policies/prepaid/standard.toml"), prepaid).unwrap();
    stage.with_policy("tariffs/2020-01-01-demo.toml", &format!("{book}{line}"));
    stage.top_up(PAULA, money, "more");
    until("what is counted is known", || {
        alarms(&stage)
            .iter()
            .all(|alarm| alarm["kind"] != "counter")
    });
    stage
}

fn live(stage: &Stage) -> Value {
    let address = address_of(&stage.text("/operator_page"));
    let request =
        format!("GET /live.json HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let heard = exchange(&address, &request).unwrap();
    serde_json::from_str(&heard.body).unwrap()
}

fn alarms(stage: &Stage) -> Vec<Value> {
    live(stage)["alarms"].as_array().unwrap().clone()
}

fn payer(stage: &Stage) -> Value {
    let live = live(stage);
    let payers = live["payers"].as_array().unwrap();
    let found = payers.iter().find(|payer| payer["id"] == PAULA);
    found.unwrap_or_else(|| panic!("{live}")).clone()
}

fn micros(value: &Value) -> i64 {
    let text = value.as_str().unwrap_or_else(|| panic!("{value}"));
    text.parse::<Micros>().unwrap().get()
}

/// What Paula accrued by line, once the gate is stopped and its books are in order: nothing lost,
/// sums of nothing.
fn books(stage: &mut Stage) -> BTreeMap<String, i64> {
    stage.stop();
    rows(&stage.folder, true)
        .into_iter()
        .fold(BTreeMap::new(), |mut sums, row| {
            *sums.entry(row.line.to_string()).or_default() += row.total.get();
            sums
        })
}

fn rows(folder: &Path, verified: bool) -> Vec<Accrual> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Store::open(&folder.join("state")).await.unwrap();
        if verified {
            let verified = store.verify().await.unwrap();
            assert!(verified.faults.is_empty(), "{:?}", verified.faults);
        }
        let state = store.payer(&PAULA.into()).await.unwrap().unwrap();
        let this = BillingMonth::containing(state.accrued_through, "UTC").unwrap();
        let last = this.period().unwrap().start.plus(-1);
        let last = BillingMonth::containing(last, "UTC").unwrap();
        let mut rows = store.accruals(&PAULA.into(), &last).await.unwrap();
        rows.extend(store.accruals(&PAULA.into(), &this).await.unwrap());
        rows
    })
}

/// Waits until Paula's spending rose by at least so much above `before`.
fn charged(stage: &Stage, before: i64, more: i64) {
    until("the sample is charged", || {
        micros(&payer(stage)["spent"]) >= before + more
    });
}

#[test]
fn traffic_is_held_for_one_window_and_trued_up() {
    // Ten minutes pass in two and a half seconds.
    let mut stage = stage("held", "240", "0.10", 10, "100");
    let before = payer(&stage);
    let window = &before["window"];
    assert_eq!(window["seconds"], 600);
    assert_eq!(window["by"], "line rate");
    // 200 Mbit/s for 600 s are 15 × 10⁹ bytes: 13.969838 GiB at 0.12; 120 s more can come late.
    assert_eq!(window["held"], "1.676381", "{window}");
    assert_eq!(window["overdraft"], "0.335276", "{window}");
    // The cover carries it beside an hour of the machine.
    let running = micros(&before["per_hour"]);
    let held = running + 1_676_381;
    until("the cover carries both", || {
        micros(&payer(&stage)["held"]) == held
    });
    stage.fault("traffic-sent", 13 * GIB);
    charged(&stage, micros(&before["spent"]), 1_560_000);
    // What was used came out of the cover, which is whole again.
    until("the cover is whole", || {
        micros(&payer(&stage)["held"]) == held
    });
    assert_eq!(payer(&stage)["state"], "open");
    assert_eq!(books(&mut stage)["sent"], 1_300_000);
}

#[test]
fn a_call_that_implements_a_network_holds_its_window() {
    // The shortest window, a minute, takes 16.763806 at 12.00 a GiB; a machine takes 0.432 or so.
    let stage = priced("hold", "60", "10.00", 1, "15");
    let paula = stage.customer(0);
    let refused = paula.deploy(&stage.small_vm(0)).unwrap();
    assert_eq!(refused.status, 535, "{refused:?}");
    stage.top_up(PAULA, "5", "enough");
    let before = payer(&stage);
    let heard = paula.deploy(&stage.small_vm(0)).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    let job = heard.inside()["jobid"].as_str().unwrap().to_owned();
    assert_eq!(paula.job_end(&job), 1);
    until("a window is open", || payer(&stage)["window"].is_object());
    let after = payer(&stage);
    let window = micros(&after["window"]["held"]);
    assert_eq!(window, 16_763_806, "{after}");
    let held = micros(&after["held"]) - micros(&before["held"]);
    assert!((window..window + 1_000_000).contains(&held), "{after}");
    assert_eq!(after["state"], "open");
    // A second machine in the same network passes the same router: no second window.
    let heard = paula.deploy(&stage.small_vm(0)).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
}

#[test]
fn the_window_shortens_as_the_balance_falls() {
    // A full window takes 1.676381, a tenth of 16.76.
    let mut stage = stage("shortens", "120", "0.10", 1, "100");
    assert_eq!(payer(&stage)["window"]["seconds"], 600);
    let mut last = 600;
    // 400 GiB are 48.00, twice; then money for a few full windows is left.
    for gib in [400, 400, 10] {
        let before = micros(&payer(&stage)["spent"]);
        stage.fault("traffic-sent", gib * GIB);
        charged(&stage, before, i64::try_from(gib).unwrap() * 120_000);
        let window = payer(&stage)["window"].clone();
        let seconds = window["seconds"].as_i64().unwrap();
        assert!(seconds <= last, "{window} after {last} s");
        last = seconds;
    }
    assert!((60..600).contains(&last), "{last}");
    let window = payer(&stage)["window"].clone();
    // What is held shrinks with it: 25 × 10⁶ bytes a second, to the millionth.
    let seconds = i128::from(window["seconds"].as_i64().unwrap());
    let apart = i128::from(micros(&window["held"])) * (1 << 30) - seconds * 3_000_000_000_000;
    assert!(apart.abs() <= 1 << 30, "{window}");
    assert_eq!(books(&mut stage)["sent"], 81_000_000);
}

#[test]
fn a_sample_seen_twice_is_charged_once() {
    let mut stage = stage("twice", "120", "0.10", 1, "100");
    let before = micros(&payer(&stage)["spent"]);
    stage.fault("traffic-sent", 13 * GIB);
    charged(&stage, before, 1_560_000);
    // Everything that was read is forgotten, so all of it is read again.
    stage.kill_gate();
    for name in ["facts.db", "facts.db-wal", "facts.db-shm"] {
        let _ = std::fs::remove_file(stage.folder.join("state").join(name));
    }
    stage.start_again();
    until("a window is open", || payer(&stage)["window"].is_object());
    let before = micros(&payer(&stage)["spent"]);
    stage.fault("traffic-sent", 13 * GIB);
    charged(&stage, before, 1_560_000);
    assert_eq!(books(&mut stage)["sent"], 2_600_000);
}

#[test]
fn what_exceeds_the_estimate_is_overdraft_with_its_bound_shown() {
    // An hour passes in ten seconds; its window is too long for the line rate.
    let mut stage = stage("overdraft", "360", "1.00", 60, "10");
    let before = payer(&stage);
    let window = before["window"].clone();
    assert_eq!(window["seconds"], 3_600);
    assert_eq!(window["by"], "estimate");
    // Nothing is known of Paula: the floor, a GiB an hour. 93 × 10⁹ bytes can pass meanwhile.
    assert_eq!(window["held"], "1.200000", "{window}");
    assert_eq!(window["overdraft"], "102.735599", "{window}");
    stage.fault("traffic-sent", 50 * GIB);
    charged(&stage, micros(&before["spent"]), 60_000_000);
    until("raising calls are refused", || {
        payer(&stage)["state"] == "closed"
    });
    let after = payer(&stage);
    let owed = -micros(&after["available"]);
    let bound = micros(&window["overdraft"]);
    assert!((1..=bound).contains(&owed), "{after}");
    // From now on twice as much is to be expected, but no more than the line lets through.
    assert_eq!(after["window"]["held"], "100.582838", "{after}");
    assert_eq!(after["window"]["by"], "estimate");
    assert_eq!(books(&mut stage)["sent"], 50_000_000);
}

#[test]
fn a_priced_type_whose_counter_is_switched_off_is_warned_of() {
    let mut stage = Stage::start("variable-off", &[]);
    let book = std::fs::read_to_string(stage.folder.join(BOOK)).unwrap();
    let line = "\n[[line]]\nid = \"reads\"\ncomponent = \"disk_reads_million\"\nprice = \"0.01\"\n\
                class = \"storage\"\ntext = \"Reads\"\n";
    let check = |stage: &Stage| stage.faregate(&["check", "--live", "--config", &stage.config()]);
    assert!(!check(&stage).contains("warning"));
    stage.with_policy("tariffs/2020-01-01-demo.toml", &format!("{book}{line}"));
    let told = check(&stage);
    let warned = "warning: VmDiskIoRead has a price, and its counter is switched off: \
                  vm.disk.stats.interval is 0";
    assert!(told.contains(warned), "{told}");
    until("operators are warned", || {
        let alarms = alarms(&stage);
        alarms
            .iter()
            .any(|alarm| alarm["kind"] == "counter" && alarm["what"] != Value::Null)
    });
}
