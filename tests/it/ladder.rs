//! Edge: the end of the money: machines stop in their owner's order, once, and come back with a
//! top-up.
#![allow(clippy::unwrap_used, reason = "a test stops where it must not go on")]

use crate::stage::{Caller, Stage, until};
use std::collections::BTreeMap;

/// As in the demo, and machines are stopped; nothing waits for people here.
const STOPS: &str = r#"[[prepaid]]
id = "standard"
horizon = "1h"
worst_delay = "2m"
stop_lead = "15m"
notices = ["72h", "24h", "1h"]
stops = true
stop_grace = "10m"
restarts = true
quiet = "0s"
"#;

fn stage(name: &str) -> Stage {
    let mut stage = Stage::start(name, &[]);
    stage.with_policy("prepaid/standard.toml", STOPS);
    stage
}

/// A machine that runs; its id.
fn deployed(stage: &Stage, caller: &Caller) -> String {
    let before = stage.machines("Running");
    let heard = caller.deploy(&stage.small_vm(0)).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    let job = heard.inside()["jobid"].as_str().unwrap().to_owned();
    assert_eq!(caller.job_end(&job), 1);
    let mut now = stage.machines("Running");
    now.retain(|id| !before.contains(id));
    now.pop().unwrap()
}

fn tagged(caller: &Caller, id: &str, number: &str) {
    let tag = [
        ("resourceids", id),
        ("resourcetype", "UserVm"),
        ("tags[0].key", "faregate.stop-order"),
        ("tags[0].value", number),
    ];
    let heard = caller.call("createTags", &tag).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    let job = heard.inside()["jobid"].as_str().unwrap().to_owned();
    assert_eq!(caller.job_end(&job), 1);
}

fn skip(stage: &Stage, how_far: &str) {
    let folder = stage.folder.display().to_string();
    stage.faregate(&["demo", "skip", how_far, "--state", &folder]);
}

/// How often each machine was stopped and started, by CloudStack's own events.
fn events(stage: &Stage, kind: &str) -> BTreeMap<String, usize> {
    let asked = [("type", kind), ("listall", "true")];
    let heard = stage.admin().call("listEvents", &asked).unwrap();
    let list = heard.inside();
    let mut seen = BTreeMap::new();
    for event in list["event"].as_array().into_iter().flatten() {
        if event["state"] == "Completed" {
            let id = event["resourceid"].as_str().unwrap_or_default().to_owned();
            *seen.entry(id).or_default() += 1;
        }
    }
    seen
}

#[test]
fn a_customer_without_money_is_stopped_in_his_own_order_and_comes_back_with_a_top_up() {
    let stage = stage("ladder-order");
    let paula = stage.customer(0);
    let (database, worker) = (deployed(&stage, &paula), deployed(&stage, &paula));
    tagged(&paula, &database, "9");
    tagged(&paula, &worker, "1");
    // 1.00 pays two machines for 1 h 9 min: an hour on, less than the stop lead is left.
    stage.fault("slow-jobs", 3_000);
    skip(&stage, "1h");
    until("the worker stops first", || {
        stage.machines("Stopping") == [worker.clone()]
    });
    assert_eq!(stage.machines("Running"), std::slice::from_ref(&database));
    stage.fault("slow-jobs", 0);
    until("both have stopped", || stage.machines("Stopped").len() == 2);
    let once: BTreeMap<String, usize> = [(database.clone(), 1), (worker.clone(), 1)].into();
    assert_eq!(events(&stage, "VM.STOP"), once, "no stop is sent twice");
    // What was sent is followed: neither is charged as running.
    let running = || {
        let told = stage.faregate(&["ledger", "balances", "--config", &stage.config()]);
        told.lines()
            .find(|line| line.starts_with("prepaid-paula"))
            .unwrap()
            .to_owned()
    };
    assert!(!running().contains("available -"), "{}", running());
    stage.top_up("prepaid-paula", "5.00", "back");
    until("both run again", || stage.machines("Running").len() == 2);
    assert_eq!(events(&stage, "VM.START"), once);
    let told = stage.faregate(&["ledger", "verify", "--config", &stage.config()]);
    assert!(!told.contains("fault"), "{told}");
}

#[test]
fn a_top_up_during_the_stop_cancels_what_was_not_sent() {
    let stage = stage("ladder-cancel");
    let paula = stage.customer(0);
    let (database, worker) = (deployed(&stage, &paula), deployed(&stage, &paula));
    tagged(&paula, &database, "9");
    tagged(&paula, &worker, "1");
    stage.fault("slow-jobs", 6_000);
    skip(&stage, "1h");
    until("the worker stops first", || {
        stage.machines("Stopping") == [worker.clone()]
    });
    stage.top_up("prepaid-paula", "5.00", "in-time");
    stage.fault("slow-jobs", 0);
    until("the worker runs again", || {
        stage.machines("Running").len() == 2
    });
    assert_eq!(events(&stage, "VM.STOP"), [(worker, 1)].into());
}

#[test]
fn no_stop_is_sent_twice_when_the_gate_is_killed_between() {
    let mut stage = stage("ladder-killed");
    let paula = stage.customer(0);
    let (one, two) = (deployed(&stage, &paula), deployed(&stage, &paula));
    stage.fault("slow-jobs", 4_000);
    skip(&stage, "1h");
    until("both stop", || stage.machines("Stopping").len() == 2);
    stage.kill_gate();
    stage.start_again();
    stage.fault("slow-jobs", 0);
    until("both have stopped", || stage.machines("Stopped").len() == 2);
    std::thread::sleep(std::time::Duration::from_secs(3));
    assert_eq!(events(&stage, "VM.STOP"), [(one, 1), (two, 1)].into());
}

#[test]
fn a_stop_that_fails_is_forced_and_then_shown_to_a_person() {
    let stage = stage("ladder-fails");
    let paula = stage.customer(0);
    deployed(&stage, &paula);
    deployed(&stage, &paula);
    stage.fault("job-fails", 100);
    skip(&stage, "1h");
    let page = || {
        let address = crate::stage::address_of(&stage.text("/operator_page"));
        let request =
            format!("GET /live.json HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        crate::stage::exchange(&address, &request).unwrap().body
    };
    until("it is an alarm", || page().contains("not-stopped"));
    assert_eq!(stage.machines("Running").len(), 2);
}
