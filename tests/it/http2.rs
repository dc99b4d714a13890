//! HTTP/2 as RFC 9113 and RFC 7541 have it: a table of cases, each on a connection of its own,
//! against a gate as a process. Where the HTTP library does otherwise, the list of deviations says
//! so and why; what is listed and behaves must leave the list.
#![allow(
    clippy::disallowed_methods,
    reason = "a test has a clock and settings of its own"
)]

mod calls;
mod case;
mod flow;
mod hpack;
mod semantics;
mod starting;
mod streams;
mod talk;
pub mod wire;

use crate::served::{Recorder, Served};
use crate::tls::over_tls;
use case::{Case, Want};
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use talk::Talk;

const DEVIATIONS: &str = include_str!("../fixtures/http2/deviations.tsv");
/// Cases of h2spec, which this table is measured by.
const CASES_MIN: usize = 147;
/// Connections at once.
const AT_ONCE: usize = 12;

/// Every case.
fn table() -> Vec<Case> {
    let parts = [
        starting::cases(),
        streams::cases(),
        flow::cases(),
        semantics::cases(),
        hpack::cases(),
    ];
    parts.into_iter().flatten().collect()
}

/// What is otherwise than it should be.
struct Deviation {
    /// A case's name, the beginning of some (`…*`), or `wants CODE`: all connection errors with it.
    cases: &'static str,
    /// What is told of each of them.
    told: &'static str,
    reason: &'static str,
}

impl Deviation {
    fn is_of(&self, case: &Case) -> bool {
        let code = self.cases.strip_prefix("wants ");
        match (code, self.cases.strip_suffix('*'), &case.want) {
            (Some(code), _, Want::Connection([only])) => code.parse() == Ok(*only),
            (None, Some(beginning), _) => case.name.starts_with(beginning),
            (None, None, _) => case.name == self.cases,
            _ => false,
        }
    }
}

fn deviations() -> Vec<Deviation> {
    let lines = DEVIATIONS.lines().filter(|line| !line.starts_with('#'));
    let read = |line: &'static str| {
        let columns: Vec<&str> = line.split('\t').collect();
        let [cases, told, reason] = columns[..] else {
            panic!("not three columns: {line}");
        };
        Deviation {
            cases,
            told,
            reason,
        }
    };
    lines.map(read).collect()
}

pub fn gate(name: &str, recorder: &Recorder) -> Served {
    over_tls(name, &[("cloud", &["cloud.example"])], recorder)
}

/// Plays the whole table, some cases at a time; each case's number and what was wrong with it.
async fn play(address: &str, trusted: PathBuf) -> Vec<(usize, Result<(), String>)> {
    let permits = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let running: Vec<_> = table()
        .into_iter()
        .enumerate()
        .map(|(number, case)| {
            let (address, trusted) = (address.to_owned(), trusted.clone());
            let permits = permits.clone();
            tokio::spawn(async move {
                let _permit = permits.acquire().await.unwrap();
                let mut talk = Talk::begin(&address, &trusted, number + 1).await;
                (number, talk.play(&case).await)
            })
        })
        .collect();
    let mut played = Vec::new();
    for one in running {
        played.push(one.await.unwrap());
    }
    played
}

/// What reached CloudStack says the same: nothing of a malformed call, all of an answered one.
fn upstream(case: &Case, number: usize, seen: &BTreeSet<usize>) -> Result<(), String> {
    match (&case.want, seen.contains(&(number + 1))) {
        (Want::Malformed(_), true) => Err("it reached CloudStack".to_owned()),
        (Want::Answered(_), false) => Err("answered, but not by CloudStack".to_owned()),
        _ => Ok(()),
    }
}

fn numbers_seen(recorder: &Recorder) -> BTreeSet<usize> {
    let heads = recorder.seen();
    let marks = heads.iter().filter_map(|head| {
        let (_, rest) = head.split_once("case=")?;
        rest.get(..4)?.parse().ok()
    });
    marks.collect()
}

#[test]
fn the_table_names_its_sections_and_each_case_once() {
    let table = table();
    assert!(table.len() >= CASES_MIN, "{} cases", table.len());
    let names: BTreeSet<&str> = table.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), table.len(), "two cases have one name");
    for name in &names {
        let named = ["9113 §", "7541 §", "7541 appendix "];
        assert!(named.iter().any(|rfc| name.starts_with(rfc)), "{name}");
    }
    for listed in deviations() {
        let some = table.iter().any(|case| listed.is_of(case));
        assert!(some, "there is no case {}", listed.cases);
        assert!(listed.reason.len() > 20, "{}: why?", listed.cases);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_case_of_both_standards_is_kept_or_listed_with_its_reason() {
    let recorder = Recorder::start();
    let gate = gate("http2-table", &recorder);
    let address = gate.tls.clone().unwrap();
    let played = play(&address, gate.folder.join("cloud.crt")).await;
    let seen = numbers_seen(&recorder);
    let table = table();
    let listed = deviations();
    let mut faults = Vec::new();
    for (number, told) in played {
        let case = &table[number];
        let told = told.and_then(|()| upstream(case, number, &seen));
        let expected = listed.iter().find(|listed| listed.is_of(case));
        match (told, expected) {
            (Ok(()), Some(_)) => faults.push(format!("{}: listed, and behaves", case.name)),
            (Err(fault), Some(listed)) if fault.starts_with(listed.told) => {}
            (Err(fault), _) => faults.push(format!("{}: {fault}", case.name)),
            (Ok(()), None) => {}
        }
    }
    let (count, of) = (faults.len(), table.len());
    assert!(faults.is_empty(), "{count} of {of}:\n{}", faults.join("\n"));
}
