//! Requests of real clients, as they were sent.

use faregate::cli::replay_requests::{Totals, run};

const RECORDED: &str = include_str!("../fixtures/wire/client-requests.jsonl");

fn judged() -> (Vec<serde_json::Value>, Totals) {
    let mut out = Vec::new();
    let totals = run(RECORDED.as_bytes(), &mut out, true, &|_, _| None).unwrap();
    let lines = String::from_utf8(out).unwrap();
    let objects = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    (objects, totals)
}

#[test]
fn every_signature_is_judged_as_the_recording_says() {
    let (judged, _) = judged();
    let mut wrong = Vec::new();
    for (recorded, judged) in RECORDED.lines().zip(&judged) {
        let recorded: serde_json::Value = serde_json::from_str(recorded).unwrap();
        let expected = match recorded["agree"].as_bool() {
            Some(true) => "agrees",
            Some(false) => "disagrees",
            None => continue,
        };
        if judged["signature"] != expected {
            wrong.push(format!("{judged} but {recorded}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of them:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
