//! Edge: the recorded lifecycle: our meter against the usage server's own figures.
#![allow(
    clippy::unwrap_used,
    reason = "a test stops where its fixture is not as recorded"
)]

use faregate::cli::replay_lifecycle::{replay, run};
use faregate::reconcile::compare::{Class, Difference};
use std::path::Path;

fn fixtures() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/usage"))
}

/// `class type account name cause`, with ids left out.
fn line(one: &Difference) -> String {
    let cause = one.cause.map_or("", |cause| cause.name());
    let class = one.class.name();
    let account = one.owner.account_name.as_deref().unwrap_or("project");
    let number = one.usage_type.number();
    format!("{class} {number} {account} {} {cause}", one.name)
}

#[test]
fn recorded_seconds_agree_but_for_what_is_listed_by_cause() {
    let found = replay(fixtures()).unwrap();
    let mut lines: Vec<String> = found
        .compared
        .iter()
        .filter(|one| one.class != Class::Agreement)
        .map(line)
        .collect();
    lines.sort();
    let listed = include_str!("../fixtures/usage/lifecycle-A.differences.txt");
    let listed: Vec<&str> = listed.lines().collect();
    assert_eq!(lines, listed);
    assert_eq!(found.totals.agreements, 93);
}

/// The known faults are named and the meter's own seconds stand.
#[test]
fn known_faults_of_the_usage_server_are_not_followed() {
    let found = replay(fixtures()).unwrap();
    let (corrections, open) = faregate::reconcile::correct::corrections(&found.compared);
    assert!(open.is_empty(), "{open:?}");
    for one in found
        .compared
        .iter()
        .filter(|one| one.class == Class::KnownFault)
    {
        let followed = corrections
            .iter()
            .any(|fix| (fix.usage_type, &fix.resource) == (one.usage_type, &one.resource));
        assert!(!followed, "{one:?}");
    }
}

/// What stands in the folder's other files is not needed.
#[test]
fn a_recording_without_events_and_rows_is_replayed() {
    let dir = std::env::temp_dir().join(format!("faregate-lifecycle-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    for part in ["calls", "usage-records"] {
        let from = fixtures().join(format!("lifecycle-A.{part}.jsonl"));
        std::fs::copy(from, dir.join(format!("mine.{part}.jsonl"))).unwrap();
    }
    let mut out = Vec::new();
    let totals = run(&dir, &mut out, true).unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    let out = String::from_utf8(out).unwrap();
    let lines: Vec<serde_json::Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let (last, differences) = lines.split_last().unwrap();
    assert_eq!(last["totals"]["agreements"], totals.agreements);
    for line in differences {
        assert!(line["class"].is_string() && line["resource"].is_string());
        assert!(line["usagetype"].is_u64());
        assert!(line["metered_seconds"].is_number() && line["reported_hours"].is_number());
    }
    assert_eq!(totals.known_faults, 7);
}
