//! Edge: promises of the store: exactly k holds, one sync for many, nothing half-written.
#![allow(clippy::unwrap_used, reason = "a test stops where it must not go on")]

use crate::postgres::{Somewhere, on_both};
use faregate::cloudstack::usage_type::UsageType;
use faregate::ledger::command::{HoldLeg, LineTotal, Renew, Terms, TopUp};
use faregate::ledger::records::BillingMode;
use faregate::ledger::{Command, LedgerRefusal};
use faregate::meter::resource::{Attributes, Border, BorderSource, Interval, MeterId, Owner};
use faregate::store::{
    AuditRow, CachedKey, Intent, IntentChange, IntentStatus, IntervalChange, Notice, Snapshot,
    Store, StoreError, StoredInterval, UsageRow, Work,
};
use faregate::terms::ids::{
    CallId, CsDomainId, HoldId, IntervalId, JobId, PayerId, PriceLineId, ResourceId, SellerId,
};
use faregate::terms::money::{Currency, Micros};
use faregate::terms::quantity::UnitMicros;
use faregate::terms::time::{BillingMonth, Period, Timestamp};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that is removed when the test is over.
pub struct Folder(pub PathBuf);

impl Folder {
    pub fn fresh(name: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("faregate-{name}-{}-{count}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub fn payer() -> PayerId {
    PayerId::from("acme")
}
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// An invoice of 0.01, with that id.
pub fn issue(id: u128) -> Work {
    use faregate::ledger::command::{Issue, Paper, RevenueAmount};
    Work::of(Command::Issue(Issue {
        payer: payer(),
        paper: Paper {
            id: faregate::terms::ids::DocumentId::from_bits(id),
            series: "2026".to_owned(),
            body: "{}".to_owned(),
        },
        months: vec![month()],
        revenue: vec![RevenueAmount {
            class: "compute".to_owned(),
            amount: Micros::new(10_000),
        }],
        taxes: vec![],
        rounding: Micros::ZERO,
        due: at(9),
        at: at(8),
    }))
}

pub fn open_payer() -> Command {
    Command::OpenPayer {
        payer: payer(),
        seller: SellerId::from("house"),
        currency: Currency::EUR,
        terms: Terms {
            mode: BillingMode::Prepaid,
            credit_line: Micros::ZERO,
        },
        at: at(0),
    }
}
pub fn top_up(id: &str, micros: i64) -> Command {
    Command::TopUp(TopUp {
        id: id.to_owned(),
        payer: payer(),
        amount: Micros::new(micros),
        provider: "card".to_owned(),
        tax: None,
        paper: None,
        reference: None,
        at: at(1),
    })
}
pub fn hold(number: u128, micros: i64) -> Command {
    Command::Hold {
        hold: HoldId::from_bits(number),
        call: CallId::from_bits(number),
        legs: vec![HoldLeg {
            caps: Vec::new(),
            payer: payer(),
            wallet: Micros::new(micros),
            promo: Micros::ZERO,
            one_off: Micros::ZERO,
        }],
        at: at(2),
    }
}
pub fn intent(number: u128) -> Intent {
    Intent {
        call: CallId::from_bits(number),
        hold: Some(HoldId::from_bits(number)),
        payer: Some(payer()),
        owner: "account=a".to_owned(),
        command: "deployVirtualMachine".to_owned(),
        params: "command=deployVirtualMachine".to_owned(),
        job: Some(JobId::from(format!("job-{number}"))),
        resource: None,
        planned: "[]".to_owned(),
        status: IntentStatus::Intended,
        sent: at(2),
        answered: None,
        updated: at(2),
        note: String::new(),
    }
}
pub fn hold_with_intent(number: u128, micros: i64) -> Work {
    Work {
        intents: vec![IntentChange::Insert(intent(number))],
        ..Work::of(hold(number, micros))
    }
}
async fn funded(place: &Somewhere, micros: i64) -> Store {
    let store = place.open().await;
    store.submit(Work::of(open_payer())).await.unwrap();
    store.submit(Work::of(top_up("p1", micros))).await.unwrap();
    store
}
async fn sound(store: &Store) {
    assert_eq!(store.verify().await.unwrap().faults, []);
}

on_both! {
async fn a_thousand_holds_at_once_with_money_for_k_are_exactly_k(place) {
    for k in [0_i64, 1, 7] {
        let place = &place.fresh().await;
        let store = funded(place, k * 432_000 + 431_999).await;
        let mut tasks = Vec::new();
        for number in 1..=1_000_u128 {
            let store = store.clone();
            tasks.push(tokio::spawn(async move {
                store.submit(hold_with_intent(number, 432_000)).await
            }));
        }
        let mut held = 0;
        for task in tasks {
            match task.await.unwrap() {
                Ok(_) => held += 1,
                Err(StoreError::Refused(LedgerRefusal::NotEnough { short_by, .. })) => {
                    assert_eq!(short_by, Micros::new(1));
                }
                Err(other) => panic!("{other}"),
            }
        }
        assert_eq!(held, k);
        assert_eq!(
            store.open_intents().await.unwrap().len(),
            usize::try_from(k).unwrap()
        );
        sound(&store).await;
    }
}
}

on_both! {
async fn a_refused_hold_leaves_no_intent_and_spoils_no_other_of_its_group(place) {
    let store = funded(place, 10).await;
    let (dear, cheap) = tokio::join!(
        store.submit(hold_with_intent(1, 11)),
        store.submit(hold_with_intent(2, 9)),
    );
    assert!(matches!(dear, Err(StoreError::Refused(_))));
    assert_eq!(cheap.unwrap().effects.payers[0].holds_open, Micros::new(9));
    let intents = store.open_intents().await.unwrap();
    assert_eq!(intents, [intent(2)]);
}
}

on_both! {
async fn a_caller_that_hangs_up_does_not_undo_his_work(place) {
    let store = funded(place, 10).await;
    let work = store.submit(hold_with_intent(1, 9));
    let hung_up = tokio::time::timeout(std::time::Duration::ZERO, work).await;
    assert!(hung_up.is_err());
    store.submit(Work::default()).await.unwrap();
    assert_eq!(store.hold(HoldId::from_bits(1)).await.unwrap().len(), 1);
}
}

on_both! {
async fn a_runtime_of_its_own_reaches_the_store_from_another_thread(place) {
    let store = funded(place, 10).await;
    let there = store.clone();
    let core = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            there.submit(hold_with_intent(1, 9)).await.unwrap();
            there.payer(&payer()).await.unwrap().unwrap().holds_open
        })
    });
    assert_eq!(core.join().unwrap(), Micros::new(9));
    sound(&store).await;
}
}

on_both! {
async fn an_invoice_and_its_number_outlive_the_process_with_their_posting(place) {
    use faregate::terms::ids::DocumentId;
    let store = funded(place, 100_000).await;
    store.submit(issue(1)).await.unwrap();
    drop(store);
    let store = place.open().await;
    let (second, third) = tokio::join!(store.submit(issue(2)), store.submit(issue(3)));
    let numbers = [second, third].map(|done| done.unwrap().effects.document.unwrap().number);
    assert_eq!(
        numbers,
        [2, 3],
        "no gap across the restart, nor within one group"
    );
    assert!(store.submit(issue(2)).await.unwrap().effects.already_done);
    let found = store
        .document_numbered(&SellerId::from("house"), "2026", 3)
        .await
        .unwrap();
    assert_eq!(found.unwrap().id, DocumentId::from_bits(3));
    assert_eq!(store.documents(Some(&payer()), 9).await.unwrap().len(), 3);
    assert_eq!(store.items(&payer(), true).await.unwrap(), []);
    assert_eq!(
        store.payer(&payer()).await.unwrap().unwrap().purses[0],
        Micros::new(70_000)
    );
    sound(&store).await;
}
}

on_both! {
async fn a_top_up_reversed_by_name_is_out_of_the_books_again(place) {
    let store = funded(place, 10).await;
    store.submit(Work::of(top_up("p2", 5))).await.unwrap();
    let of = "top-up/p2".into();
    store
        .submit(Work::of(Command::Reverse { of, at: at(9) }))
        .await
        .unwrap();
    assert_eq!(
        store.payer(&payer()).await.unwrap().unwrap().purses[0],
        Micros::new(10)
    );
    sound(&store).await;
}
}

on_both! {
async fn the_same_work_twice_is_done_once(place) {
    let store = funded(place, 10).await;
    let first = store.submit(hold_with_intent(1, 9)).await.unwrap();
    assert!(!first.effects.already_done);
    let again = store.submit(hold_with_intent(1, 9)).await.unwrap();
    assert!(again.effects.already_done);
    let other = store.submit(hold_with_intent(1, 8)).await;
    let refused = matches!(
        other,
        Err(StoreError::Refused(
            LedgerRefusal::SameIdOtherContent { .. }
        ))
    );
    assert!(refused);
    let rows = store.transfers(&payer(), None, 10).await.unwrap();
    assert_eq!(rows.len(), 2, "the top-up and one hold");
    sound(&store).await;
}
}

#[tokio::test]
async fn a_full_disk_is_named_and_nothing_is_half_written() {
    let folder = Folder::fresh("full");
    let place = Somewhere::Folder(folder);
    drop(funded(&place, 1_000_000).await);
    let Somewhere::Folder(folder) = place else {
        panic!("it is one");
    };
    let size = std::fs::metadata(folder.0.join("ledger.db")).unwrap().len();
    let pages = u32::try_from(size / 4096).unwrap() + 20;
    let store = Store::open_bounded(&folder.0, Some(pages)).await.unwrap();
    let mut done = 0;
    let fault = loop {
        match store.submit(hold_with_intent(done + 1, 1)).await {
            Ok(_) => done += 1,
            Err(fault) => break fault,
        }
        assert!(done < 10_000, "the disk never filled");
    };
    assert_eq!(fault, StoreError::Full("ledger.db".to_owned()));
    let held = usize::try_from(done).unwrap();
    assert_eq!(store.open_holds(None).await.unwrap().len(), held);
    assert_eq!(store.open_intents().await.unwrap().len(), held);
    sound(&store).await;
    drop(store);
    let store = Store::open(&folder.0).await.unwrap();
    store.submit(hold_with_intent(done + 1, 1)).await.unwrap();
    sound(&store).await;
}

fn month() -> BillingMonth {
    BillingMonth::parse("2026-11", "Europe/Berlin").unwrap()
}

on_both! {
async fn a_renewal_is_kept_by_line_and_month_and_a_stale_one_is_refused(place) {
    let store = funded(place, 1_000_000).await;
    let renew = |version, total| {
        Work::of(Command::Renew(Renew {
            caps: Vec::new(),
            payer: payer(),
            expected_version: version,
            from_target: Micros::ZERO,
            through: at(300),
            totals: vec![LineTotal {
                line: PriceLineId::from("vcpu-running"),
                month: month(),
                tax_group: "DE.20".to_owned(),
                quantity: UnitMicros::new(i128::from(i64::MAX) * 4),
                total: Micros::new(total),
                promo_total: Micros::ZERO,
            }],
            cover_target: Micros::new(100),
            promo_cover_target: Micros::ZERO,
            at: at(300),
        }))
    };
    store.submit(renew(0, 72)).await.unwrap();
    let stale = store.submit(renew(0, 80)).await;
    assert!(matches!(
        stale,
        Err(StoreError::Refused(
            LedgerRefusal::SameIdOtherContent { .. }
        ))
    ));
    store.submit(renew(1, 90)).await.unwrap();
    let rows = store.accruals(&payer(), &month()).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].total, Micros::new(90));
    assert_eq!(rows[0].quantity, UnitMicros::new(i128::from(i64::MAX) * 4));
    assert_eq!(store.uninvoiced(&payer()).await.unwrap(), rows);
    sound(&store).await;
}
}

fn interval(number: u128) -> StoredInterval {
    StoredInterval {
        id: IntervalId::from_bits(number),
        payer: Some(payer()),
        hold: Some(HoldId::from_bits(number)),
        interval: Interval {
            meter: MeterId {
                usage_type: UsageType::RunningVm,
                resource: ResourceId::from("vm-1"),
                part: String::new(),
            },
            owner: Owner {
                account: None,
                account_name: Some("ann".to_owned()),
                domain: CsDomainId::from("root"),
                project: None,
            },
            attributes: Attributes {
                name: "v".to_owned(),
                vcpus: Some(2),
                size_bytes: Some(i64::MAX),
                count: 1,
                vm: Some(ResourceId::from("vm-1")),
                ..Attributes::default()
            },
            start: Border {
                at: at(10),
                source: BorderSource::Printed,
            },
            end: None,
        },
    }
}

on_both! {
async fn intervals_and_intents_read_back_as_they_were_written_and_changes_keep_their_order(place) {
    let store = funded(place, 1_000_000).await;
    let border = Border {
        at: at(99),
        source: BorderSource::Sweep,
    };
    let update = |status| IntentChange::Update {
        call: CallId::from_bits(1),
        status,
        job: None,
        resource: Some(ResourceId::from("vm-1")),
        answered: Some(at(5)),
        updated: at(6),
        note: None,
    };
    let work = Work {
        intents: vec![
            IntentChange::Insert(intent(1)),
            update(IntentStatus::Answered),
            update(IntentStatus::Settled),
            update(IntentStatus::Answered),
        ],
        intervals: vec![
            IntervalChange::Insert(interval(1)),
            IntervalChange::Insert(interval(2)),
            IntervalChange::End {
                id: IntervalId::from_bits(1),
                border,
            },
        ],
        ..Work::default()
    };
    store.submit(work).await.unwrap();
    assert_eq!(
        store.open_intervals(Some(&payer())).await.unwrap(),
        [interval(2)]
    );
    let mut ended = interval(1);
    ended.interval.end = Some(border);
    let all = store.intervals_of(&ResourceId::from("vm-1")).await.unwrap();
    assert_eq!(all, [ended, interval(2)]);
    let late = Period {
        start: at(99),
        end: at(200),
    };
    assert_eq!(store.intervals_in(None, late).await.unwrap(), [interval(2)]);
    let found = store
        .intent_of_job(&JobId::from("job-1"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.status, IntentStatus::Settled, "a final status stays");
    assert_eq!(found.resource, Some(ResourceId::from("vm-1")));
    assert_eq!(
        store.intent_of_hold(HoldId::from_bits(1)).await.unwrap(),
        Some(found)
    );
    assert!(store.open_intents().await.unwrap().is_empty());
}
}

on_both! {
async fn a_notice_of_one_step_is_kept_once(place) {
    let store = funded(place, 1).await;
    for text in ["first", "second"] {
        let notice = Notice {
            payer: payer(),
            episode: "e1".to_owned(),
            step: "24h".to_owned(),
            text: text.to_owned(),
            at: at(3),
        };
        let work = Work {
            notices: vec![notice],
            meta: vec![("cursor".to_owned(), text.to_owned())],
            ..Work::default()
        };
        store.submit(work).await.unwrap();
    }
    let notices = store.notices(Some(&payer()), 10).await.unwrap();
    assert_eq!(notices.len(), 1);
    assert_eq!(notices[0].text, "first");
    assert_eq!(
        store.meta("cursor").await.unwrap().as_deref(),
        Some("second")
    );
}
}

#[tokio::test]
async fn a_changed_transfer_breaks_the_chain() {
    use sqlx::Connection as _;
    let folder = Folder::fresh("chain");
    let place = Somewhere::Folder(folder);
    let store = funded(&place, 1_000_000).await;
    let Somewhere::Folder(folder) = &place else {
        panic!("it is one");
    };
    for number in 1..=3 {
        store.submit(hold_with_intent(number, 5)).await.unwrap();
    }
    let file = folder.0.join("ledger.db");
    let url = format!("sqlite://{}", file.display());
    let mut other = sqlx::SqliteConnection::connect(&url).await.unwrap();
    let change = "UPDATE transfer SET event = 'gift' WHERE seq = 2";
    let refused = sqlx::query(change).execute(&mut other).await;
    assert!(refused.unwrap_err().to_string().contains("never changed"));
    let drop_guard = "DROP TRIGGER transfer_is_never_changed";
    sqlx::query(drop_guard).execute(&mut other).await.unwrap();
    sqlx::query(change).execute(&mut other).await.unwrap();
    let faults = store.verify().await.unwrap().faults;
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].to_string().contains("chain"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_changed_transfer_breaks_the_chain_that_was_sealed_behind_it() {
    use sqlx::Connection as _;
    let place = Somewhere::postgres().await;
    let Somewhere::Postgres(url) = &place else {
        panic!("it is one");
    };
    let store = funded(&place, 1_000_000).await;
    for number in 1..=3 {
        store.submit(hold_with_intent(number, 5)).await.unwrap();
    }
    let mut other = sqlx::PgConnection::connect(url).await.unwrap();
    let schema = sqlx::query("SET search_path = faregate_ledger");
    schema.execute(&mut other).await.unwrap();
    let sealed = "SELECT count(*) FROM seal";
    while sqlx::query_scalar::<_, i64>(sealed)
        .fetch_one(&mut other)
        .await
        .unwrap()
        < 4
    {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    sound(&store).await;
    let change = "UPDATE transfer SET event = 'gift' WHERE seq = 2";
    let refused = sqlx::query(change).execute(&mut other).await;
    assert!(refused.unwrap_err().to_string().contains("never changed"));
    let drop_guard = "DROP TRIGGER transfer_is_never_changed ON transfer";
    sqlx::query(drop_guard).execute(&mut other).await.unwrap();
    sqlx::query(change).execute(&mut other).await.unwrap();
    let faults = store.verify().await.unwrap().faults;
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].to_string().contains("chain"));
}

on_both! {
async fn facts_are_kept_by_their_natural_keys_and_audit_by_age(place) {
    let store = place.open().await;
    let facts = store.facts();
    let row = |raw: &str| UsageRow {
        key: "1/vm-1/2026-11-01".to_owned(),
        usage_type: 1,
        resource: "vm-1".to_owned(),
        window: Period {
            start: at(0),
            end: at(3_600),
        },
        raw: raw.to_owned(),
        read: at(4_000),
    };
    facts.keep_usage(&[row("{1}")], None).await.unwrap();
    facts
        .keep_usage(&[row("{2}")], Some(("pull", "7")))
        .await
        .unwrap();
    let whole = Period {
        start: at(0),
        end: at(9),
    };
    assert_eq!(facts.usage(whole).await.unwrap(), [row("{2}")]);
    assert_eq!(facts.meta("pull").await.unwrap().as_deref(), Some("7"));
    let audit = |seconds| AuditRow {
        at: at(seconds),
        call: CallId::from_bits(1),
        command: "listZones".to_owned(),
        payer: None,
        verdict: "forward".to_owned(),
        reason: String::new(),
        price: None,
    };
    facts.audit(&[audit(1), audit(2)]).await.unwrap();
    assert_eq!(facts.forget_audit(at(2)).await.unwrap(), 1);
    assert_eq!(facts.audited(9).await.unwrap(), [audit(2)]);
    let key = CachedKey {
        key_hash: "h".to_owned(),
        ciphertext: vec![0, 255],
        at: at(1),
    };
    facts.put_key(&key).await.unwrap();
    assert_eq!(facts.key("h").await.unwrap(), Some(key));
    assert_eq!(facts.forget_key(None).await.unwrap(), 1);
    let snapshot = Snapshot {
        body: "[]".to_owned(),
        at: at(1),
    };
    facts.put_snapshot("listApis", &snapshot).await.unwrap();
    assert_eq!(facts.snapshot("listApis").await.unwrap(), Some(snapshot));
}
}

// Not a promise but a figure: holds a second on one hot balance with 128 callers waiting.
on_both! {
#[ignore = "a measurement; run it by name with --nocapture"]
async fn holds_a_second_on_one_hot_balance(place) {
    let store = funded(place, 1_000_000_000_000).await;
    #[allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
    let started = std::time::Instant::now();
    let mut tasks = Vec::new();
    for caller in 0..128_u128 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move {
            for turn in 0..200_u128 {
                let number = turn * 128 + caller + 1;
                store
                    .submit(hold_with_intent(number, 432_000))
                    .await
                    .unwrap();
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let micros = started.elapsed().as_micros();
    println!("holds/s: {}", 128 * 200 * 1_000_000 / micros);
    sound(&store).await;
}
}

/// However many rows a group has, they are as they were given: also where some are bound one by
/// one and the rest come as an array.
#[tokio::test]
async fn groups_of_every_size_keep_every_hold_as_it_was_made() {
    let folder = Folder::fresh("group-sizes");
    let store = Store::open(&folder.0).await.unwrap();
    store.submit(Work::of(open_payer())).await.unwrap();
    let much = Work::of(top_up("p1", 1_000_000));
    store.submit(much).await.unwrap();
    let mut made = 0_usize;
    for size in [1_usize, 15, 16, 17, 50, 129, 300] {
        let holds = (made..made + size).map(|number| {
            let work = hold_with_intent(number as u128 + 1, 7);
            store.submit(work)
        });
        for outcome in futures_util::future::join_all(holds).await {
            outcome.unwrap();
        }
        made += size;
        let open = store.open_holds(None).await.unwrap();
        assert_eq!(open.len(), made);
        assert!(open.iter().all(|hold| hold.wallet.get() == 7));
    }
    let intents = store.recent_intents(10_000).await.unwrap();
    assert_eq!(intents.len(), made);
    assert_eq!(store.verify().await.unwrap().faults, []);
}
