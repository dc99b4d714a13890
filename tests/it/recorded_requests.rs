//! Requests of real clients, as they were sent.

use faregate::cli::replay_requests::{ReplayError, Totals, judge, run};
use faregate::cloudstack::command::CommandTable;

const RECORDED: &str = include_str!("../fixtures/wire/client-requests.jsonl");
/// Lines that the gate refuses, each with its rule and why.
const REFUSED: &str = include_str!("../fixtures/wire/refused.tsv");

fn judged(recorded: &str) -> (Vec<serde_json::Value>, Totals) {
    let table = CommandTable::new(&[]).unwrap();
    let mut out = Vec::new();
    let totals = run(recorded.as_bytes(), &mut out, true, &|call, signature| {
        judge(&table, call, signature)
    });
    let lines = String::from_utf8(out).unwrap();
    let objects = lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    (objects, totals.unwrap())
}

#[test]
fn every_signature_is_judged_as_the_recording_says() {
    let (judged, totals) = judged(RECORDED);
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
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!((totals.lines, totals.disagree), (345, 16));
}

#[test]
fn every_request_is_forwarded_but_for_the_listed_lines() {
    let (judged, _) = judged(RECORDED);
    let (totals, lines) = judged.split_last().unwrap();
    let found: Vec<String> = lines
        .iter()
        .filter(|line| line["verdict"] == "refuse")
        .map(|line| {
            let rule = line["reason"].as_str().unwrap().split(':').next().unwrap();
            format!("{}\t{rule}", line["line"])
        })
        .collect();
    let listed: Vec<String> = REFUSED
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split('\t').take(2).collect::<Vec<_>>().join("\t"))
        .collect();
    assert_eq!(found, listed);
    assert_eq!(totals["refused"], listed.len());
    assert_eq!(lines.len(), 345);
}

#[test]
fn a_line_that_is_no_request_is_a_fault_with_its_number() {
    for bad in ["", "{", "[]", "{\"method\":\"GET\"}", "\u{0}", "null"] {
        let input = format!("{}\n{bad}\n", RECORDED.lines().next().unwrap());
        let fault = run(input.as_bytes(), std::io::sink(), true, &|_, _| None);
        match fault {
            Err(ReplayError::Line { line: 2, .. }) => {}
            other => panic!("{bad:?}: {other:?}"),
        }
    }
}
