//! The seeds of the fuzz targets in `tests/fuzz`, and what fuzzing found before, through the same
//! functions; `tests/run --long fuzz` looks for more.

#[path = "../fuzz/bodies.rs"]
mod bodies;

use std::path::{Path, PathBuf};

fn replay(target: &str, body: fn(&[u8]), further: &[&[u8]]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let files = std::fs::read_dir(folder.join(target)).unwrap();
    let mut files: Vec<PathBuf> = files.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 4, "{target} has {} seeds", files.len());
    for file in files {
        println!("{}", file.display());
        let seed = std::fs::read(&file).unwrap();
        body(&seed);
        // Cut short and with a byte turned over, as fuzzing begins.
        for at in (0..seed.len()).step_by(seed.len() / 40 + 1) {
            body(&seed[..at]);
            let mut turned = seed.clone();
            turned[at] ^= 0x21;
            body(&turned);
        }
    }
    further.iter().for_each(|bytes| body(bytes));
}

#[test]
fn framing_and_parsing_hold_for_every_seed() {
    replay("request", bodies::request, &[b"", b"\n", b"\r\n\r\n"]);
}

#[test]
fn a_rebuilt_query_says_what_the_received_one_said_for_every_seed() {
    let recorded = include_str!("../fixtures/wire/client-requests.jsonl");
    let query = |line: &str| -> Vec<u8> {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let target = value["target"].as_str().unwrap();
        let query = target.split_once('?').map_or("", |(_, query)| query);
        let form = value["body"].as_str().unwrap_or_default();
        format!("{query}\n{form}").into_bytes()
    };
    let queries: Vec<Vec<u8>> = recorded.lines().map(query).collect();
    assert!(queries.len() > 50, "{} recorded queries", queries.len());
    let queries: Vec<&[u8]> = queries.iter().map(Vec::as_slice).collect();
    replay("canonical", bodies::canonical, &queries);
}

#[test]
fn answers_are_read_or_refused_for_every_seed() {
    let deep = [vec![b'['; 100_000], b"<a>".repeat(100_000)];
    replay("answer", bodies::answer, &[&deep[0], &deep[1]]);
}

#[test]
fn importers_read_or_refuse_every_seed() {
    replay("usage", bodies::usage, &[b"<a/>"]);
    replay("policy", bodies::policy, &[b"\xff"]);
    replay("config", bodies::config, &[b"\xff"]);
    replay("recording", bodies::recording, &[b"\n", b"{}"]);
}

#[test]
fn seeds_of_usage_records_are_read_and_not_only_refused() {
    let seed = include_bytes!("../fuzz/corpus/usage/type-1");
    let answer = faregate::cloudstack::envelope::read_xml(200, seed).unwrap();
    let records: Vec<_> = answer.node.all("usagerecord").cloned().collect();
    let read = faregate::terms::time::Timestamp::from_seconds(0);
    let rows = faregate::reconcile::pull::rows(&records, read).unwrap();
    assert_eq!(rows.len(), 1);
}
