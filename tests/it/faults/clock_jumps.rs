//! Edge: the wall clock of a gate that serves jumps, by libfaketime; the cloud's does not.

use super::{deploys, settled};
use crate::stage::{Stage, address_of, exchange, folder, until};
use faregate::terms::money::Micros;
use serde_json::Value;
use std::path::PathBuf;

/// Where Debian's package puts the library.
fn library() -> PathBuf {
    let places = ["x86_64-linux-gnu", "aarch64-linux-gnu"];
    let places = places.map(|place| format!("/usr/lib/{place}/faketime/libfaketimeMT.so.1"));
    let found = places.iter().map(PathBuf::from).find(|path| path.exists());
    found.expect("libfaketime is installed by tests/run")
}

fn alarmed(stage: &Stage) -> bool {
    let address = address_of(&stage.text("/operator_page"));
    let request =
        format!("GET /live.json HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let Some(heard) = exchange(&address, &request) else {
        return false;
    };
    let live: Value = serde_json::from_str(&heard.body).unwrap();
    let alarms = live["alarms"].as_array().cloned().unwrap_or_default();
    alarms.iter().any(|alarm| alarm["kind"] == "clock")
}

fn resume(stage: &Stage) {
    let address = address_of(&stage.text("/operator_page"));
    let request = format!(
        "POST /clock/resume HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: 0\r\n\r\n"
    );
    let heard = exchange(&address, &request).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
}

/// Available, held and accrued of the customer.
fn figures(stage: &Stage) -> [Micros; 3] {
    let told = stage.faregate(&["ledger", "balances", "--config", &stage.config()]);
    let row = told
        .lines()
        .find(|line| line.starts_with("prepaid-paula"))
        .unwrap();
    let words: Vec<&str> = row.split_whitespace().collect();
    ["available", "held", "accrued"].map(|name| {
        let at = words.iter().position(|word| *word == name).unwrap();
        words[at + 1].parse().unwrap()
    })
}

/// An hour and a year, forward and back: renewals stand still with an alarm, nothing accrues that
/// did not run, no cover and no hold is given back; an operator's word lets them go on.
#[test]
fn a_clock_that_jumps_moves_no_money() {
    let own = folder("clock-file");
    std::fs::create_dir_all(&own).unwrap();
    let file = own.join("offset");
    let set = |offset: &str| {
        // Written aside and moved: the gate must not read half of it.
        let aside = own.join("aside");
        std::fs::write(&aside, offset).unwrap();
        std::fs::rename(&aside, &file).unwrap();
    };
    set("+0");
    let mut stage = Stage::start("clock", &[]);
    stage.kill_gate();
    let library = library();
    stage.start_again_in(&[
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAKETIME_TIMESTAMP_FILE", file.to_str().unwrap()),
        ("FAKETIME_NO_CACHE", "1"),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ]);
    stage.top_up("prepaid-paula", "100", "more");
    assert_eq!(deploys(&stage, "before", 2).len(), 2);
    settled(&stage);
    // A minute of two machines costs less.
    let little: Micros = "0.05".parse().unwrap();
    for offset in ["+3600", "-3600", "+31536000", "-31536000"] {
        let before = figures(&stage);
        set(offset);
        until("the jump is seen", || alarmed(&stage));
        std::thread::sleep(std::time::Duration::from_secs(2));
        let after = figures(&stage);
        for (before, after) in before.into_iter().zip(after) {
            let moved = before.minus(after).unwrap();
            let moved = moved.or_zero().max(moved.negated().unwrap().or_zero());
            assert!(moved < little, "{offset}: {before} became {after}");
        }
        assert_eq!(stage.machines("Running").len(), 2, "{offset}");
        set("+0");
        std::thread::sleep(std::time::Duration::from_secs(1));
        resume(&stage);
        until("the alarm is over", || !alarmed(&stage));
    }
    assert_eq!(deploys(&stage, "after", 1).len(), 1, "it serves on");
    let told = stage.faregate(&["ledger", "verify", "--config", &stage.config()]);
    assert!(!told.contains("fault"), "{told}");
    stage.kill_gate();
    std::fs::remove_dir_all(&own).unwrap();
}
