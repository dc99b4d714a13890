//! Edge: promises of backups: consistent while the books go on, and taken back into either store.
#![allow(clippy::unwrap_used, reason = "a test stops where it must not go on")]

use crate::budgets::capped;
use crate::postgres::Somewhere;
use crate::stage::{Stage, until};
use crate::store::{Folder, hold_with_intent, open_payer, payer, top_up};
use faregate::ledger::{Command, LedgerRefusal};
use faregate::store::{BackupFault, Store, StoreError, Work, read_manifest, rebuild, restore};
use faregate::terms::ids::{CapId, HoldId};
use faregate::terms::money::Micros;
use faregate::terms::time::Timestamp;
use std::path::PathBuf;

async fn filled(place: &Somewhere, holds: u128) -> Store {
    let store = place.open().await;
    store.submit(Work::of(open_payer())).await.unwrap();
    let much = Work::of(top_up("p1", 1_000_000_000));
    store.submit(much).await.unwrap();
    for number in 1..=holds {
        store.submit(hold_with_intent(number, 7)).await.unwrap();
    }
    store
}

/// A hold of a cap that settled, and one that is open: 14 are used of it.
async fn capped_twice(store: &Store) {
    for number in [901, 902] {
        let hold = Work::of(capped(number, "acme", 7, 14));
        store.submit(hold).await.unwrap();
    }
    let settle = Command::Settle {
        hold: HoldId::from_bits(901),
        one_off: Vec::new(),
        at: Timestamp::from_seconds(3),
    };
    store.submit(Work::of(settle)).await.unwrap();
}

fn aside(folder: &Folder) -> PathBuf {
    folder.0.join("backup")
}

fn quiet(_: &str, _: u64) {}

/// From each kind of store into each.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_goes_back_into_either_store_and_says_the_same() {
    for (from_postgres, into_postgres) in
        [(false, false), (false, true), (true, false), (true, true)]
    {
        let somewhere = async |postgres: bool| match postgres {
            true => Somewhere::postgres().await,
            false => Somewhere::folder("backup"),
        };
        let (from, into) = (
            somewhere(from_postgres).await,
            somewhere(into_postgres).await,
        );
        let store = filled(&from, 29).await;
        capped_twice(&store).await;
        let folder = Folder::fresh("aside");
        let made = Timestamp::from_seconds(5);
        let manifest = store.back_up(&aside(&folder), made, &mut quiet).await;
        assert_eq!(manifest.unwrap().transfers, 32);
        restore(&aside(&folder), &into.place("one"), &mut quiet)
            .await
            .unwrap();
        let back = into.open().await;
        assert_eq!(back.payers().await.unwrap(), store.payers().await.unwrap());
        let all = |rows: Vec<faregate::store::TransferRow>| -> Vec<_> {
            rows.into_iter().map(|row| row.transfer).collect()
        };
        assert_eq!(
            all(back.transfers(&payer(), None, 99).await.unwrap()),
            all(store.transfers(&payer(), None, 99).await.unwrap())
        );
        assert_eq!(
            back.open_intents().await.unwrap(),
            store.open_intents().await.unwrap()
        );
        let lab = [CapId::from("lab/domain/d1")];
        assert_eq!(
            back.caps(&lab).await.unwrap(),
            store.caps(&lab).await.unwrap()
        );
        assert_eq!(
            back.cap_shares(&payer()).await.unwrap(),
            store.cap_shares(&payer()).await.unwrap()
        );
        let over = back.submit(Work::of(capped(903, "acme", 1, 14))).await;
        assert!(matches!(
            over,
            Err(StoreError::Refused(LedgerRefusal::OverCap(_)))
        ));
        // What was done is known there too, and the books go on.
        let again = back.submit(hold_with_intent(29, 7)).await.unwrap();
        assert!(again.effects.already_done);
        back.submit(hold_with_intent(30, 7)).await.unwrap();
        assert_eq!(back.verify().await.unwrap().faults, []);
        let twice = restore(&aside(&folder), &into.place("one"), &mut quiet).await;
        assert!(matches!(twice, Err(BackupFault::NotEmpty(_))), "{twice:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backup_while_holds_come_in_is_of_one_moment() {
    for place in [Somewhere::folder("busy"), Somewhere::postgres().await] {
        let store = filled(&place, 1).await;
        let writer = store.clone();
        let (stop, mut stopped) = tokio::sync::watch::channel(false);
        let busy = tokio::spawn(async move {
            let mut number = 2;
            while !*stopped.borrow_and_update() {
                writer.submit(hold_with_intent(number, 7)).await.unwrap();
                number += 1;
            }
            number - 1
        });
        let folder = Folder::fresh("aside");
        let made = Timestamp::from_seconds(5);
        // A copy that is not sound in itself is refused by `back_up`.
        let manifest = store.back_up(&aside(&folder), made, &mut quiet).await;
        let manifest = manifest.unwrap();
        stop.send(true).unwrap();
        let holds: u128 = busy.await.unwrap();
        let into = Somewhere::folder("back");
        restore(&aside(&folder), &into.place("one"), &mut quiet)
            .await
            .unwrap();
        let back = into.open().await;
        let held = u128::from(manifest.transfers) - 1;
        assert!(held <= holds);
        assert_eq!(
            back.open_intents().await.unwrap().len(),
            back.open_holds(None).await.unwrap().len(),
            "a hold and its intent are in it together"
        );
        assert!(!back.hold(HoldId::from_bits(held)).await.unwrap().is_empty());
        assert!(
            back.hold(HoldId::from_bits(held + 1))
                .await
                .unwrap()
                .is_empty()
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_backup_is_refused_before_anything_is_written() {
    let store = filled(&Somewhere::folder("whole"), 3).await;
    let folder = Folder::fresh("aside");
    let made = Timestamp::from_seconds(5);
    let path = aside(&folder);
    store.back_up(&path, made, &mut quiet).await.unwrap();
    let there = store.back_up(&path, made, &mut quiet).await;
    assert!(matches!(there, Err(BackupFault::There(_))));
    let mut bytes = std::fs::read(path.join("ledger.db")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path.join("ledger.db"), bytes).unwrap();
    assert!(matches!(read_manifest(&path), Err(BackupFault::Damaged(_))));
    let into = Somewhere::folder("into");
    let refused = restore(&path, &into.place("one"), &mut quiet).await;
    assert!(matches!(refused, Err(BackupFault::Damaged(_))));
    assert!(into.open().await.payers().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_that_were_changed_by_hand_are_rebuilt_bit_for_bit() {
    use sqlx::Connection as _;
    let place = Somewhere::folder("rebuild");
    let store = filled(&place, 9).await;
    capped_twice(&store).await;
    let before = store.verify().await.unwrap();
    assert_eq!(before.payers, before.rebuilt);
    assert_eq!(before.caps, before.caps_rebuilt);
    assert!(!before.caps.is_empty());
    store.close().await;
    let Somewhere::Folder(folder) = &place else {
        panic!("it is one");
    };
    let url = format!("sqlite://{}", folder.0.join("ledger.db").display());
    let mut other = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let change = "UPDATE payer SET available = available + 5, held = 0, holds_open = 1";
    sqlx::query(change).execute(&mut other).await.unwrap();
    let change = "UPDATE cap SET held = held + 3, accrued = 1";
    sqlx::query(change).execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let store = place.open().await;
    let found = store.verify().await.unwrap();
    assert_eq!(
        found.payers[0].purses[0],
        before.payers[0].purses[0].plus(Micros::new(5)).unwrap()
    );
    assert!(!found.faults.is_empty());
    store.close().await;
    assert_eq!(rebuild(&place.place("one"), &found).await.unwrap(), 2);
    let store = place.open().await;
    let after = store.verify().await.unwrap();
    assert_eq!(after.payers, before.payers);
    assert_eq!(after.caps, before.caps);
    assert_eq!(after.faults, []);
}

/// As an operator does it.
#[test]
fn a_node_is_backed_up_while_it_serves_and_comes_back_from_the_backup() {
    let mut stage = Stage::start("backup-served", &[]);
    let vm = stage.small_vm(0);
    assert_eq!(stage.customer(0).deploy(&vm).unwrap().status, 200);
    until("it runs", || stage.machines("Running").len() == 1);
    let config = stage.config();
    let folder = stage.folder.join("backup").display().to_string();
    let ledger = |stage: &Stage, what: &str, more: &[&str]| {
        let mut arguments = vec!["ledger", what];
        arguments.extend(more);
        stage.faregate(&arguments)
    };
    let pair = ["--config", config.as_str(), "--folder", folder.as_str()];
    let told = ledger(&stage, "backup", &pair);
    assert!(told.contains("transfers in"), "{told}");
    let told = ledger(&stage, "drill", &["--folder", &folder]);
    assert!(told.contains("are sound"), "{told}");
    stage.kill_gate();
    for name in ["ledger.db", "ledger.db-wal", "ledger.db-shm", "facts.db"] {
        let _ = std::fs::remove_file(stage.folder.join("state").join(name));
    }
    let told = ledger(&stage, "restore", &pair);
    assert!(told.contains("sound"), "{told}");
    let told = ledger(&stage, "rebuild", &["--config", &config]);
    assert!(told.contains(" 0 of "), "{told}");
    stage.start_again();
    let named = stage.machines("Running");
    let ended = [("id", named[0].as_str())];
    let heard = stage
        .customer(0)
        .call("stopVirtualMachine", &ended)
        .unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    let told = ledger(&stage, "verify", &["--config", &config]);
    assert!(!told.contains("fault"), "{told}");
}

#[tokio::test]
async fn a_place_that_cannot_be_written_is_named() {
    let store = filled(&Somewhere::folder("nowhere"), 1).await;
    let path = PathBuf::from("/proc/faregate-backup");
    let made = Timestamp::from_seconds(5);
    let fault = store.back_up(&path, made, &mut quiet).await.unwrap_err();
    assert!(
        fault.to_string().contains("/proc/faregate-backup"),
        "{fault}"
    );
    assert!(!matches!(fault, BackupFault::Store(StoreError::Corrupt(_))));
}
