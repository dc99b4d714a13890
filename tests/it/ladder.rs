//! The end ladder against the sandbox: real machines, real jobs, money that really ends.
#![allow(
    clippy::disallowed_methods,
    reason = "a test has a clock and settings of its own"
)]

mod capped;
pub mod notices;

use crate::stage::{Caller, Stage, address_of, exchange, until};
use faregate::store::Store;
use serde_json::Value;
use std::collections::BTreeMap;

/// A billed hour passes in thirty seconds, where several machines run.
const SPEED: &str = "120";
/// One machine's money lasts longer.
const FAST: &str = "360";
const PAULA: &str = "prepaid-paula";

/// The prepaid terms of a test: nothing waits for the gate to have run a while.
fn terms(more: &str) -> String {
    format!(
        "[[prepaid]]\nid = \"standard\"\nhorizon = \"1h\"\nworst_delay = \"2m\"\n\
         stop_lead = \"15m\"\nquiet = \"0s\"\nstops = true\n{more}\n"
    )
}

/// A demo with these prepaid terms.
fn stage(name: &str, speed: &str, more: &str) -> Stage {
    let mut stage = Stage::start(&format!("ladder-{name}"), &["--speed", speed]);
    stage.with_policy("prepaid/standard.toml", &terms(more));
    stage
}

/// A running machine of Paula's.
pub fn machine(stage: &Stage) -> String {
    let paula = stage.customer(0);
    let heard = paula.deploy(&stage.small_vm(0)).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    let inside = heard.inside();
    assert_eq!(paula.job_end(inside["jobid"].as_str().unwrap()), 1);
    inside["id"].as_str().unwrap().to_owned()
}

fn tag(stage: &Stage, machine: &str, key: &str, value: &str) {
    let asked = [
        ("resourceids", machine),
        ("resourcetype", "UserVm"),
        ("tags[0].key", key),
        ("tags[0].value", value),
    ];
    let heard = stage.customer(0).call("createTags", &asked).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
}

/// Stops that CloudStack took up, by machine.
fn stops(stage: &Stage) -> BTreeMap<String, usize> {
    let mut stops = BTreeMap::new();
    for (machine, _) in events(&stage.admin(), "VM.STOP") {
        *stops.entry(machine).or_default() += 1;
    }
    stops
}

/// `Scheduled` events of a type, oldest first: machine and when.
fn events(admin: &Caller, kind: &str) -> Vec<(String, String)> {
    let asked = [
        ("type", kind),
        ("listall", "true"),
        ("pagesize", "500"),
        ("page", "1"),
    ];
    let heard = admin.call("listEvents", &asked).unwrap();
    let list = heard.inside();
    let rows = list["event"].as_array().cloned().unwrap_or_default();
    let mut found: Vec<(String, String)> = rows
        .iter()
        .filter(|row| row["state"] == "Scheduled")
        .map(|row| {
            let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
            (text("resourceid"), text("created"))
        })
        .collect();
    found.sort_by(|a, b| a.1.cmp(&b.1));
    found
}

/// What the operators' page shows.
fn live(stage: &Stage) -> Value {
    let address = address_of(&stage.text("/operator_page"));
    let request =
        format!("GET /live.json HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let heard = exchange(&address, &request).unwrap();
    serde_json::from_str(&heard.body).unwrap()
}

/// Paula's notices as the page shows them: step and delivery.
pub fn told(stage: &Stage) -> Vec<(String, String)> {
    let live = live(stage);
    let payers = live["payers"].as_array().unwrap();
    let paula = payers.iter().find(|payer| payer["id"] == PAULA).unwrap();
    let notices = paula["notices"].as_array().unwrap();
    let text = |notice: &Value, name: &str| notice[name].as_str().unwrap().to_owned();
    notices
        .iter()
        .map(|notice| (text(notice, "step"), text(notice, "delivered")))
        .collect()
}

fn steps(stage: &Stage) -> Vec<String> {
    told(stage).into_iter().map(|(step, _)| step).collect()
}

/// The books of a stage that is stopped for it are in order.
fn verified(stage: &mut Stage) {
    stage.stop();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Store::open(&stage.folder.join("state")).await.unwrap();
        let verified = store.verify().await.unwrap();
        assert!(verified.faults.is_empty(), "{:?}", verified.faults);
    });
}

#[test]
fn a_customer_without_money_is_stopped_in_his_own_order() {
    let mut stage = stage("order", SPEED, "");
    stage.top_up(PAULA, "0.50", "more");
    let second = machine(&stage);
    let last = machine(&stage);
    let first = machine(&stage);
    tag(&stage, &second, "faregate.stop-order", "2");
    tag(&stage, &first, "faregate.stop-order", "1");
    tag(&stage, &last, "faregate.protected", "true");
    // A machine is in the ladder once its job is settled, which follows its answer.
    let mut dry = String::new();
    until("the ladder has all three", || {
        dry = stage.faregate(&[
            "ladder",
            "--dry-run",
            "--config",
            &stage.config(),
            "--customer",
            PAULA,
        ]);
        dry.matches("  stop ").count() == 3
    });
    let place = |id: &str| dry.find(&format!("({id}")).unwrap();
    assert!(
        place(&first) < place(&second) && place(&second) < place(&last),
        "{dry}"
    );
    until("all are stopped", || stage.machines("Stopped").len() == 3);
    let order: Vec<String> = events(&stage.admin(), "VM.STOP")
        .into_iter()
        .map(|(machine, _)| machine)
        .collect();
    assert_eq!(order, [first, second, last]);
    let steps = steps(&stage);
    for step in ["notice-3600s", "refuse", "stop"] {
        assert!(steps.iter().any(|one| one == step), "{step} in {steps:?}");
    }
    let refused = stage.customer(0).deploy(&stage.small_vm(0)).unwrap();
    assert_eq!(refused.status, 535, "{refused:?}");
    let started = stage
        .customer(0)
        .call("startVirtualMachine", &[("id", &dry_id(&dry))]);
    assert_eq!(started.unwrap().status, 535);
    verified(&mut stage);
}

/// What the ladder did.
fn history(stage: &Stage) -> String {
    stage.faregate(&["ladder", "--config", &stage.config(), "--customer", PAULA])
}

/// The gate knows that nothing runs any more.
fn all_stopped(stage: &Stage) {
    until("all is stopped", || {
        let told = history(stage);
        told.contains("episode") && !told.contains("stopped -")
    });
}

/// The first machine that a dry run names.
fn dry_id(dry: &str) -> String {
    let line = dry.lines().find(|line| line.contains("  stop ")).unwrap();
    let id = line.split('(').nth(1).unwrap();
    id.split([',', ')']).next().unwrap().to_owned()
}

#[test]
fn a_top_up_during_the_stop_cancels_what_was_not_sent() {
    let mut stage = stage("top-up", SPEED, "restarts = true\nstops_at_once = 1");
    stage.top_up(PAULA, "0.50", "more");
    let machines: Vec<String> = (0..3).map(|_| machine(&stage)).collect();
    until("the first stop", || !stops(&stage).is_empty());
    stage.top_up(PAULA, "100.00", "much");
    until("the end is told", || {
        steps(&stage).iter().any(|step| step == "ended")
    });
    until("all run again", || stage.machines("Running").len() == 3);
    let stops = stops(&stage);
    assert_eq!(stops.len(), 1, "{stops:?}");
    // A billed hour later: nobody was stopped who was not before, and nobody twice.
    let state = stage.folder.display().to_string();
    stage.faregate(&["demo", "skip", "1h", "--state", &state]);
    assert_eq!(stage.machines("Running").len(), 3);
    let starts = events(&stage.admin(), "VM.START");
    assert_eq!(starts.len(), 1, "{starts:?}");
    assert!(machines.contains(&starts[0].0));
    verified(&mut stage);
}

#[test]
fn no_stop_is_sent_twice_when_the_gate_is_killed_between() {
    let mut stage = stage("killed", SPEED, "");
    let machines = [machine(&stage), machine(&stage)];
    // The sandbox takes the first stop and never answers it; then the gate dies.
    stage.fault("answer-lost", 1);
    until("a stop arrives", || !stops(&stage).is_empty());
    stage.kill_gate();
    stage.fault("answer-lost", 0);
    stage.start_again();
    until("all are stopped", || stage.machines("Stopped").len() == 2);
    let stops = stops(&stage);
    for machine in machines {
        assert_eq!(stops.get(&machine), Some(&1), "{stops:?}");
    }
    verified(&mut stage);
}

#[test]
fn a_stop_that_fails_is_retried_and_alarmed() {
    let mut stage = stage("fails", FAST, "retry_after = \"3s\"\nstop_grace = \"5m\"");
    let id = machine(&stage);
    stage.fault("job-fails", 1);
    let alarmed = |stage: &Stage| {
        let live = live(stage);
        let alarms = live["alarms"].as_array().unwrap().clone();
        alarms.iter().any(|alarm| {
            let what = alarm["what"].as_str().unwrap_or_default();
            alarm["kind"] == "ladder" && what.contains("stop of") && what.contains("told to fail")
        })
    };
    until("an alarm", || alarmed(&stage));
    until("it is stopped", || {
        stage.machines("Stopped") == [id.clone()]
    });
    assert_eq!(stops(&stage).get(&id), Some(&2));
    until("the alarm is over", || !alarmed(&stage));
    verified(&mut stage);
}

#[test]
fn a_stop_that_goes_on_failing_is_forced() {
    let mut stage = stage("forced", FAST, "retry_after = \"60s\"\nstop_grace = \"3s\"");
    let id = machine(&stage);
    stage.fault("job-fails", 1);
    until("it is stopped", || {
        stage.machines("Stopped") == [id.clone()]
    });
    until("the forced stop is done", || {
        history(&stage).contains("force   done")
    });
    verified(&mut stage);
}

#[test]
fn nothing_is_deleted_unless_the_policy_says_so() {
    let mut stage = stage("deleted", FAST, "");
    let id = machine(&stage);
    let state = stage.folder.display().to_string();
    until("it is stopped", || {
        stage.machines("Stopped") == [id.clone()]
    });
    all_stopped(&stage);
    stage.faregate(&["demo", "skip", "60d", "--state", &state]);
    assert_eq!(stage.machines("Stopped"), std::slice::from_ref(&id));
    let deletes = "delete_after = \"90d\"\ndelete_notices = [\"7d\", \"1d\"]";
    stage.with_policy("prepaid/standard.toml", &terms(deletes));
    stage.faregate(&["demo", "skip", "24d", "--state", &state]);
    until("the first notice", || {
        steps(&stage)
            .iter()
            .any(|step| step == "delete-notice-604800s")
    });
    stage.faregate(&["demo", "skip", "5d", "--state", &state]);
    assert!(stage.machines("Stopped").contains(&id), "before its time");
    // Past its time and with the last notice not a day old, it is still there.
    stage.faregate(&["demo", "skip", "40h", "--state", &state]);
    until("the last notice", || {
        steps(&stage)
            .iter()
            .any(|step| step == "delete-notice-86400s")
    });
    stage.faregate(&["demo", "skip", "3d", "--state", &state]);
    until("it is destroyed", || {
        stage.machines("Destroyed") == [id.clone()]
    });
    verified(&mut stage);
}

#[test]
fn storage_lives_on_what_was_kept_and_a_top_up_gives_the_rest_back() {
    let mut stage = stage(
        "kept",
        FAST,
        "retention = \"48h\"\nretention_by = \"funded\"",
    );
    let id = machine(&stage);
    let state = stage.folder.display().to_string();
    until("it is stopped", || {
        stage.machines("Stopped") == [id.clone()]
    });
    until("money is kept", || {
        transfers(&stage).contains("retention-fund")
    });
    stage.faregate(&["demo", "skip", "24h", "--state", &state]);
    until("it is drawn from", || {
        transfers(&stage).contains("retention-draw")
    });
    assert!(!transfers(&stage).contains("retention-back"));
    stage.top_up(PAULA, "10.00", "much");
    until("the rest goes back", || {
        transfers(&stage).contains("retention-back")
    });
    verified(&mut stage);
}

fn transfers(stage: &Stage) -> String {
    let config = stage.config();
    let asked = ["ledger", "transfers", "--config", &config, "--payer", PAULA];
    stage.faregate(&asked)
}
