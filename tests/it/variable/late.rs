//! Edge: samples that are told after their month has ended, and windows across its end.

use crate::store::{Folder, payer};
use arc_swap::ArcSwap;
use faregate::clock::Clock;
use faregate::cloudstack::usage_type::UsageType;
use faregate::cover::line::Renewals;
use faregate::ledger::Command;
use faregate::ledger::command::Terms;
use faregate::ledger::records::BillingMode;
use faregate::meter::resource::{Attributes, Border, BorderSource, Interval, MeterId, Owner};
use faregate::policy::check::load;
use faregate::reconcile::sample;
use faregate::store::{IntervalChange, Store, StoredInterval, Work};
use faregate::terms::money::{Currency, Micros};
use faregate::terms::time::{BillingMonth, HOUR, SECOND, Timestamp};
use std::sync::Arc;

const HOUSE: &str = include_str!("../../fixtures/invoices/house.toml");
const SENT: &str = "\n[[line]]\nid = \"sent\"\ncomponent = \"sent_gib\"\nprice = \"0.10\"\n\
                    class = \"network\"\ntext = \"Traffic sent\"\n";
const MINUTE: i64 = 60 * SECOND;

fn november() -> BillingMonth {
    BillingMonth::parse("2026-11", "Europe/Berlin").unwrap()
}

/// Ten GiB sent in this window.
fn sent(start: Timestamp, end: Timestamp) -> Interval {
    let border = |at| Border {
        at,
        source: BorderSource::Printed,
    };
    Interval {
        meter: MeterId {
            usage_type: UsageType::NetworkBytesSent,
            resource: "router".into(),
            part: "net".to_owned(),
        },
        owner: Owner {
            account: Some("acc".into()),
            account_name: Some("ann".to_owned()),
            domain: "dom".into(),
            project: None,
        },
        attributes: Attributes {
            count: 10 << 30,
            ..Attributes::default()
        },
        start: border(start),
        end: Some(border(end)),
    }
}

struct Books {
    store: Store,
    renewals: Renewals,
    _folder: Folder,
}

impl Books {
    /// A payer on a credit line who was renewed five hours into December.
    async fn open(name: &str) -> Self {
        let folder = Folder::fresh(name);
        let store = Store::open(&folder.0).await.unwrap();
        let period = november().period().unwrap();
        let clock = Clock::simulated(period.start);
        let files = [("house.toml".to_owned(), format!("{HOUSE}{SENT}"))];
        let rules = Arc::new(ArcSwap::from_pointee(load(&files).unwrap()));
        let open = Command::OpenPayer {
            payer: payer(),
            seller: "house".into(),
            currency: Currency::EUR,
            terms: Terms {
                mode: BillingMode::Postpaid,
                credit_line: Micros::new(1_000_000_000),
            },
            at: period.start,
        };
        store.submit(Work::of(open)).await.unwrap();
        let renewals = Renewals::new(store.clone(), rules, clock.clone());
        clock.set(period.end.plus(5 * HOUR));
        renewals.catch_up(&payer()).await.unwrap();
        Self {
            store,
            renewals,
            _folder: folder,
        }
    }

    async fn told(&self, interval: Interval) {
        let since = interval.start.at;
        let row = StoredInterval {
            id: sample::id(&interval),
            payer: Some(payer()),
            hold: None,
            interval,
        };
        let work = Work {
            intervals: vec![IntervalChange::Insert(row)],
            ..Work::default()
        };
        self.store.submit(work).await.unwrap();
        self.renewals.take_samples(&payer(), since).await;
        assert_eq!(self.renewals.parked().len(), 0);
        let verified = self.store.verify().await.unwrap();
        assert!(verified.faults.is_empty(), "{:?}", verified.faults);
    }

    /// Net of what was sent, in millionths: November's, December's.
    async fn sent(&self) -> [i64; 2] {
        let mut found = [0; 2];
        for (place, month) in [november(), november().next()].iter().enumerate() {
            let rows = self.store.accruals(&payer(), month).await.unwrap();
            let sent = rows.iter().filter(|row| row.line.as_str() == "sent");
            found[place] = sent.map(|row| row.total.get()).sum();
        }
        found
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_told_after_its_month_accrues_in_its_month() {
    let books = Books::open("late-sample").await;
    let end = november().period().unwrap().end;
    let late = sent(end.plus(-20 * MINUTE), end.plus(-10 * MINUTE));
    books.told(late.clone()).await;
    assert_eq!(books.sent().await, [1_000_000, 0]);
    books.told(late).await;
    assert_eq!(books.sent().await, [1_000_000, 0], "told twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_window_across_the_end_of_a_month_is_split_by_time() {
    let books = Books::open("split-sample").await;
    let end = november().period().unwrap().end;
    books
        .told(sent(end.plus(-3 * MINUTE), end.plus(7 * MINUTE)))
        .await;
    // Three of ten minutes: whole bytes on either side, together ten GiB.
    assert_eq!(books.sent().await, [300_000, 700_000]);
}
