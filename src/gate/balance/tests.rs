//! Edge: figures that are read for several calls at once.

use super::*;
use crate::ledger::Command;
use crate::ledger::command::{Terms, TopUp};
use crate::ledger::records::{BillingMode, Purse};
use crate::store::Work;
use crate::store::memory::Books;
use crate::terms::money::{Currency, Micros};
use crate::terms::time::Timestamp;

fn apply(books: &Books, command: Command) {
    books.rows().apply(&Work::of(command)).unwrap();
}

fn top_up(books: &Books, id: &str) {
    apply(
        books,
        Command::TopUp(TopUp {
            id: id.to_owned(),
            payer: "ann".into(),
            amount: Micros::new(1_000_000),
            provider: "card".to_owned(),
            tax: None,
            paper: None,
            reference: None,
            at: Timestamp::from_micros(0),
        }),
    );
}

fn funded() -> Books {
    let books = Books::default();
    apply(
        &books,
        Command::OpenPayer {
            payer: "ann".into(),
            seller: "house".into(),
            currency: Currency::EUR,
            terms: Terms {
                mode: BillingMode::Prepaid,
                credit_line: Micros::ZERO,
            },
            at: Timestamp::from_micros(0),
        },
    );
    top_up(&books, "first");
    books
}

#[tokio::test]
async fn whoever_asks_after_a_commit_is_told_of_it() {
    let books = funded();
    let (store, _writer) = books.open();
    let balances = Balances::default();
    for round in 1_i64..5 {
        let told = balances.of(&store, &"ann".into(), None).await.unwrap();
        let told = told.unwrap().state.purse(Purse::Available);
        assert_eq!(told, Micros::new(round * 1_000_000));
        top_up(&books, &format!("round {round}"));
    }
    assert!(balances.all().is_empty(), "nothing is kept for later");
}

/// One is reading; those who ask meanwhile wait, and one of them reads for all.
#[tokio::test]
async fn those_who_wait_together_are_told_the_same_figures() {
    let books = funded();
    let (store, _writer) = books.open();
    let balances = Balances::default();
    let key = (PayerId::from("ann"), None);
    let one = balances.all().entry(key.clone()).or_default().clone();
    let reading = one.read.lock().await;
    let asking = async {
        let ask = || balances.of(&store, &key.0, None);
        tokio::join!(ask(), ask(), ask())
    };
    let commits = async {
        tokio::task::yield_now().await;
        top_up(&books, "meanwhile");
        drop(reading);
    };
    let ((first, second, third), ()) = tokio::join!(asking, commits);
    let first = first.unwrap().unwrap();
    assert_eq!(first.state.purse(Purse::Available), Micros::new(2_000_000));
    assert!(Arc::ptr_eq(&first, &second.unwrap().unwrap()));
    assert!(Arc::ptr_eq(&first, &third.unwrap().unwrap()));
}

#[tokio::test]
async fn nobody_is_told_of_a_payer_who_is_not_there() {
    let (store, _writer) = Books::default().open();
    let told = Balances::default().of(&store, &"ann".into(), None).await;
    assert_eq!(told.unwrap(), None);
}
