//! Edge: the store is killed at random moments; what it acknowledged is there, once.
#![allow(clippy::unwrap_used, reason = "a test stops where it must not go on")]

use crate::campaign;
use crate::store::{Folder, hold_with_intent, open_payer, payer, top_up};
use faregate::ledger::Command;
use faregate::store::{Store, StoreError, Work};
use faregate::terms::ids::HoldId;
use faregate::terms::time::Timestamp;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Command as Process, Stdio};
use std::time::Duration;

/// Kills in an ordinary run; `tests/run --long store` has more.
const KILLS: u64 = 30;
const CALLERS: u128 = 8;

fn give_back(number: u128) -> Command {
    Command::GiveBack {
        one_off: vec![],
        hold: HoldId::from_bits(number),
        at: Timestamp::from_seconds(3),
    }
}

/// Where the child finds the number of its round; without it the child does nothing.
const ROUND: &str = "round";

/// The process that is killed. It works in its current folder and prints what is acknowledged.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of the crash test"]
async fn the_child_that_is_killed() {
    let Ok(round) = std::fs::read_to_string(ROUND) else {
        return;
    };
    let round: u128 = round.trim().parse().unwrap();
    let store = Store::open(std::path::Path::new(".")).await.unwrap();
    let mut tasks = Vec::new();
    for caller in 0..CALLERS {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            for turn in 0.. {
                let number = round * 1_000_000 + turn * CALLERS + caller + 1;
                store.submit(hold_with_intent(number, 10)).await.unwrap();
                say(&format!("hold {number}"));
                if number.is_multiple_of(3) {
                    store.submit(Work::of(give_back(number))).await.unwrap();
                    say(&format!("back {number}"));
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n@ {line}").unwrap();
    out.flush().unwrap();
}

/// Lets a child work on the folder for a while, kills it, and says what it acknowledged.
fn killed_after(folder: &Folder, round: u128, pause: Duration) -> BTreeSet<(String, u128)> {
    std::fs::write(folder.0.join(ROUND), round.to_string()).unwrap();
    let mut child = Process::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "store_crash::the_child_that_is_killed",
            "--ignored",
            "--nocapture",
        ])
        .current_dir(&folder.0)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = Vec::new();
    for line in lines.by_ref().map_while(Result::ok) {
        said.push(line);
        if said.last().is_some_and(|line| line.starts_with('@')) {
            break;
        }
    }
    std::thread::sleep(pause);
    child.kill().unwrap();
    child.wait().unwrap();
    said.extend(lines.map_while(Result::ok));
    let words = said.iter().filter_map(|line| line.strip_prefix("@ "));
    let pairs = words.filter_map(|line| line.split_once(' '));
    // The last line may have been cut off by the kill: a number that is not whole names nothing.
    pairs
        .filter_map(|(what, number)| Some((what.to_owned(), number.parse().ok()?)))
        .filter(|(_, number)| number / 1_000_000 == round)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_however_often_the_store_is_killed() {
    let folder = Folder::fresh("crash");
    let store = Store::open(&folder.0).await.unwrap();
    store.submit(Work::of(open_payer())).await.unwrap();
    store
        .submit(Work::of(top_up("p1", 1_000_000_000)))
        .await
        .unwrap();
    drop(store);
    let mut acknowledged = 0;
    for round in 1..=u128::from(campaign::rounds("store", KILLS)) {
        let pause = Duration::from_millis(u64::try_from(round * 37 % 90).unwrap());
        let said = killed_after(&folder, round, pause);
        assert!(!said.is_empty());
        acknowledged += said.len();
        let store = Store::open(&folder.0).await.unwrap();
        let found = store.verify().await.unwrap();
        assert_eq!(found.faults, [], "round {round}");
        assert_eq!(
            store.open_intents().await.unwrap().len(),
            held_once(&store).await,
            "a hold and its intent are one",
        );
        for (what, number) in said {
            let work = match what.as_str() {
                "hold" => hold_with_intent(number, 10),
                _ => Work::of(give_back(number)),
            };
            let again = store.submit(work).await.unwrap();
            assert!(
                again.effects.already_done,
                "round {round}: {what} {number} was lost"
            );
        }
        assert_eq!(store.verify().await.unwrap().transfers, found.transfers);
    }
    assert!(acknowledged > 100, "only {acknowledged} were acknowledged");
}

/// How many holds were ever made: the payer's transfers of that event.
async fn held_once(store: &Store) -> usize {
    let rows = store.transfers(&payer(), None, u32::MAX).await.unwrap();
    rows.iter()
        .filter(|row| row.transfer.event == "hold")
        .count()
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let missing = std::path::Path::new("/nowhere/at/all");
    let fault = Store::open(missing).await.unwrap_err();
    assert!(
        matches!(&fault, StoreError::Lost(text) if text.contains("ledger.db")),
        "{fault}"
    );
}
