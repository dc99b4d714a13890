//! Edge: the table of faults and the tests that prove its rows; and cheap faults of SQLite.
#![allow(clippy::unwrap_used, reason = "a test stops where it must not go on")]

use crate::store::{Folder, hold_with_intent, open_payer, top_up};
use faregate::store::{Store, StoreError, Work};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Executor};
use std::collections::BTreeSet;
use std::path::Path;

/// Every line of Rust below a folder of the package.
fn sources(folder: &Path, into: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|it| it == "rs") {
            into.push_str(&std::fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn every_row_of_the_fault_table_names_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let table = std::fs::read_to_string(root.join("docs/faults.md")).unwrap();
    let mut code = String::new();
    sources(&root.join("src"), &mut code);
    sources(&root.join("tests/it"), &mut code);
    let mut rows = BTreeSet::new();
    for line in table.lines().filter(|line| line.starts_with("| F")) {
        let cells: Vec<&str> = line.split(" | ").collect();
        let number = cells[0].trim_start_matches("| ").to_owned();
        let proofs = cells.last().unwrap();
        let named: Vec<&str> = proofs.split('`').skip(1).step_by(2).collect();
        assert!(
            !named.is_empty() || proofs.contains("by campaign"),
            "{number} has no proof"
        );
        for name in named {
            let known = code.contains(&format!("fn {name}("));
            assert!(known, "{number}: there is no test {name}");
        }
        assert!(rows.insert(number.clone()), "{number} stands there twice");
    }
    let wanted: BTreeSet<String> = (1..=20).chain([27]).map(|row| format!("F{row}")).collect();
    assert_eq!(rows, wanted);
}

/// Another process has the file for longer than the writer waits.
#[tokio::test]
async fn a_locked_ledger_is_busy_and_goes_on_when_it_is_free() {
    let folder = Folder::fresh("locked");
    let store = Store::open(&folder.0).await.unwrap();
    store.submit(Work::of(open_payer())).await.unwrap();
    store.submit(Work::of(top_up("p1", 1_000))).await.unwrap();
    let options = SqliteConnectOptions::new().filename(folder.0.join("ledger.db"));
    let mut other = options.connect().await.unwrap();
    other.execute("BEGIN EXCLUSIVE").await.unwrap();
    let refused = store.submit(hold_with_intent(1, 10)).await;
    assert_eq!(refused, Err(StoreError::Busy));
    other.execute("ROLLBACK").await.unwrap();
    assert_eq!(store.open_holds(None).await.unwrap().len(), 0);
    store.submit(hold_with_intent(1, 10)).await.unwrap();
    assert_eq!(store.open_holds(None).await.unwrap().len(), 1);
    assert_eq!(store.verify().await.unwrap().faults, []);
}
