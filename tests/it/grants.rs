//! Promises of gift credit by grant: in either store, in backups, and at a gate that runs.

use crate::postgres::{Somewhere, on_both};
use crate::stage::{Stage, until};
use crate::store::{Folder, hold, open_payer, payer};
use faregate::ledger::command::PromoGrant;
use faregate::ledger::grants::{BEFORE_GRANTS, Grant};
use faregate::ledger::records::Purse;
use faregate::ledger::{Command, LedgerRefusal};
use faregate::store::forms::{self, Form, NEWEST};
use faregate::store::{Store, StoreError, Work, rebuild, restore};
use faregate::terms::ids::HoldId;
use faregate::terms::money::Micros;
use faregate::terms::time::Timestamp;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

fn grant(id: &str, micros: i64, expires: Option<i64>) -> Command {
    Command::PromoGrant(PromoGrant {
        id: id.to_owned(),
        payer: payer(),
        amount: Micros::new(micros),
        expires: expires.map(at),
        reason: "welcome, it's yours".to_owned(),
        at: at(1),
    })
}

fn expire(id: &str, seconds: i64) -> Command {
    Command::PromoExpire {
        id: id.to_owned(),
        payer: payer(),
        at: at(seconds),
    }
}

fn gift_hold(number: u128, micros: i64) -> Command {
    let mut command = hold(number, 0);
    if let Command::Hold { legs, .. } = &mut command {
        legs[0].promo = Micros::new(micros);
    }
    command
}

async fn told(store: &Store, command: Command) {
    store.submit(Work::of(command)).await.unwrap();
}

/// Three grants, of which one ended while 600 were held.
async fn given(store: &Store) {
    told(store, open_payer()).await;
    told(store, grant("never", 1_000, None)).await;
    told(store, grant("later", 1_000, Some(200))).await;
    told(store, grant("sooner", 1_000, Some(100))).await;
    told(store, gift_hold(1, 600)).await;
    told(store, expire("sooner", 100)).await;
}

/// Id, left, expired, ended.
fn short(rows: &[Grant]) -> Vec<(&str, i64, i64, bool)> {
    let row = |row: &'_ Grant| (row.left.get(), row.expired.get(), row.ended);
    let rows = rows.iter().map(|it| {
        let (left, expired, ended) = row(it);
        (it.id.as_str(), left, expired, ended)
    });
    rows.collect()
}

/// The books are sound, and as the transfers say.
async fn sound(store: &Store) {
    let verified = store.verify().await.unwrap();
    assert_eq!(verified.faults, []);
    assert_eq!(verified.payers, verified.rebuilt);
    let by_id = |mut rows: Vec<Grant>| {
        rows.sort_by(|one, other| one.id.cmp(&other.id));
        rows
    };
    assert_eq!(by_id(verified.grants), by_id(verified.grants_rebuilt));
}

on_both! {
async fn grants_end_and_are_as_the_transfers_say(place) {
    let store = place.open().await;
    given(&store).await;
    sound(&store).await;
    let rows = store.grants(&payer()).await.unwrap();
    let wanted = [("sooner", 600, 400, true), ("later", 1_000, 0, false), ("never", 1_000, 0, false)];
    assert_eq!(short(&rows), wanted);
    assert_eq!(rows[0].expires, Some(at(100)));
    assert_eq!(rows[2].reason, "welcome, it's yours");
    // What is due is found once its end has come, until it ended.
    assert_eq!(store.grants_due(at(199)).await.unwrap(), []);
    assert_eq!(store.grants_due(at(200)).await.unwrap(), [rows[1].clone()]);
    told(&store, expire("later", 200)).await;
    assert_eq!(store.grants_due(at(200)).await.unwrap(), []);
    // Said again, it is the same grant, and nothing more of it.
    told(&store, grant("sooner", 1_000, Some(100))).await;
    let other = store.submit(Work::of(grant("sooner", 9, None))).await;
    assert!(matches!(other, Err(StoreError::Refused(LedgerRefusal::SameIdOtherContent { .. }))));
    // What comes back after the end goes at once.
    let hold = HoldId::from_bits(1);
    told(&store, Command::GiveBack { hold, one_off: vec![], at: at(201) }).await;
    let rows = store.grants(&payer()).await.unwrap();
    let wanted = [("sooner", 0, 1_000, true), ("later", 0, 1_000, true), ("never", 1_000, 0, false)];
    assert_eq!(short(&rows), wanted);
    let state = store.payer(&payer()).await.unwrap().unwrap();
    assert_eq!(state.purse(Purse::PromoAvailable), Micros::new(1_000));
    sound(&store).await;
    store.close().await;
}

async fn gift_credit_of_older_books_becomes_one_grant_without_an_end(place) {
    let store = place.open().await;
    given(&store).await;
    store.close().await;
    let at_three = Form { ledger: 3, ..NEWEST };
    forms::back(&place.place("one"), at_three, &mut |_, _| {}).await.unwrap();
    let store = place.open().await;
    let rows = store.grants(&payer()).await.unwrap();
    assert_eq!(short(&rows), [(BEFORE_GRANTS, 2_600, 400, false)]);
    sound(&store).await;
    told(&store, grant("new", 50, Some(300))).await;
    told(&store, gift_hold(2, 100)).await;
    told(&store, expire("new", 300)).await;
    sound(&store).await;
    store.close().await;
}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grants_go_along_with_a_backup_and_are_rebuilt_bit_for_bit() {
    use sqlx::Connection as _;
    let (from, into) = (Somewhere::postgres().await, Somewhere::folder("grants"));
    let store = from.open().await;
    given(&store).await;
    let folder = Folder::fresh("grants-aside");
    let aside = folder.0.join("backup");
    let made = at(300);
    let mut quiet = |_: &str, _: u64| {};
    store.back_up(&aside, made, &mut quiet).await.unwrap();
    restore(&aside, &into.place("one"), &mut quiet)
        .await
        .unwrap();
    let back = into.open().await;
    let rows = store.grants(&payer()).await.unwrap();
    assert_eq!(back.grants(&payer()).await.unwrap(), rows);
    back.close().await;
    let Somewhere::Folder(folder) = &into else {
        panic!("it is one");
    };
    let url = format!("sqlite://{}", folder.0.join("ledger.db").display());
    let mut other = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let change = "UPDATE promo_grant SET remaining = remaining + 5 WHERE id = 'sooner'";
    sqlx::query(change).execute(&mut other).await.unwrap();
    other.close().await.unwrap();
    let changed = into.open().await;
    let found = changed.verify().await.unwrap();
    assert_eq!(
        found.faults.len(),
        2,
        "the row, and the sum: {:?}",
        found.faults
    );
    changed.close().await;
    assert_eq!(rebuild(&into.place("one"), &found).await.unwrap(), 1);
    let right = into.open().await;
    assert_eq!(right.grants(&payer()).await.unwrap(), rows);
    sound(&right).await;
}

/// The grants as `faregate ledger grants` prints them.
fn grants(stage: &Stage, payer: &str) -> String {
    let config = stage.config();
    stage.faregate(&["ledger", "grants", "--config", &config, "--payer", payer])
}

/// As an operator does it: one grant of a customer who runs something, one of one who does not.
#[test]
fn a_grant_is_spent_by_a_deploy_and_ends_by_itself() {
    let stage = Stage::start("grants", &[]);
    let config = stage.config();
    let (paula, pete) = ("prepaid-paula", "postpaid-pete");
    let end = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(25);
    let end = end.to_string();
    let give = |payer: &str, id: &str| {
        stage.faregate(&[
            "grant",
            payer,
            "1.00",
            "--config",
            &config,
            "--reason",
            "spring",
            "--expires",
            &end,
            "--id",
            id,
        ])
    };
    for _ in 0..2 {
        let told = give(paula, "spring-paula");
        assert!(told.contains("available: 1.000000"), "{told}");
    }
    give(pete, "spring-pete");
    let heard = stage.customer(0).deploy(&stage.small_vm(0)).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    until("it runs", || stage.machines("Running").len() == 1);
    let balances = stage.faregate(&["ledger", "balances", "--config", &config]);
    let hers = balances.lines().find(|line| line.starts_with(paula));
    let hers = hers.unwrap_or_default();
    assert!(hers.contains("available 1.000000"), "{hers}");
    assert!(hers.contains("gift 0.6"), "the wallet is not asked: {hers}");

    until("both ended", || {
        grants(&stage, paula).contains("ended ") && grants(&stage, pete).contains("ended ")
    });
    let told = grants(&stage, pete);
    assert!(
        told.contains("left 0.000000  spent 0.000000  expired 1.000000"),
        "{told}"
    );
    let told = grants(&stage, paula);
    assert!(
        !told.contains("left 0.000000"),
        "the cover keeps what it holds: {told}"
    );
    assert!(!told.contains("expired 0.000000"), "{told}");

    // The machine goes; what its cover held of the grant goes with it.
    let named = stage.machines("Running");
    let gone = [("id", named[0].as_str()), ("expunge", "true")];
    let heard = stage
        .customer(0)
        .call("destroyVirtualMachine", &gone)
        .unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    until("nothing is left of it", || {
        grants(&stage, paula).contains("left 0.000000")
    });
    let told = stage.faregate(&["ledger", "verify", "--config", &config]);
    assert!(!told.contains("fault"), "{told}");
    let told = stage.faregate(&["ledger", "rebuild", "--config", &config]);
    assert!(
        told.contains(" 0 of 2 payers, 0 of 0 caps and 0 of 2 grants"),
        "{told}"
    );
}
