//! Edge: promises of the month: what was metered is invoiced, once, and what differs is named.
#![allow(clippy::unwrap_used, reason = "a test stops where it must not go on")]

use crate::store::{Folder, payer};
use arc_swap::ArcSwap;
use faregate::bill::line::{Context, MonthReport, close};
use faregate::cli::replay_lifecycle::replay;
use faregate::clock::Clock;
use faregate::cloudstack::tree::Node;
use faregate::cloudstack::usage_type::UsageType;
use faregate::cover::line::Renewals;
use faregate::ledger::Command;
use faregate::ledger::command::{Terms, TopUp};
use faregate::ledger::records::{BillingMode, Purse};
use faregate::meter::resource::{Attributes, Border, BorderSource, Interval, MeterId, Owner};
use faregate::policy::check::load;
use faregate::policy::customer::RuleSet;
use faregate::reconcile::compare::Class;
use faregate::reconcile::correct::Believed;
use faregate::reconcile::pull::rows;
use faregate::sandbox::usage::answer::{Names, list_usage_records};
use faregate::sandbox::usage::event::{UsageEvent, UsageEventKind};
use faregate::sandbox::usage::record::{RecordFault, UsageRow, records, spoilt};
use faregate::store::{IntervalChange, Store, StoredInterval, Work};
use faregate::terms::ids::{IntervalId, PayerId};
use faregate::terms::money::{Currency, Micros};
use faregate::terms::time::{BillingMonth, HOUR, Period, SECOND, Timestamp};
use faregate::upstream::service::Service;
use rust_decimal::Decimal;
use secrecy::SecretString;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const HOUSE: &str = include_str!("../fixtures/invoices/house.toml");
const DAY: i64 = 24 * HOUR;
const GIB: i64 = 1 << 30;

fn rules() -> RuleSet {
    load(&[("house.toml".to_owned(), HOUSE.to_owned())]).unwrap()
}

fn november() -> BillingMonth {
    BillingMonth::parse("2026-11", "Europe/Berlin").unwrap()
}

fn start() -> Timestamp {
    november().period().unwrap().start
}

struct Cloud {
    folder: Folder,
    context: Context,
}

/// A store with one prepaid payer and 1000.00 in his wallet, at the month's start.
async fn cloud(name: &str) -> Cloud {
    let folder = Folder::fresh(name);
    let store = Store::open(&folder.0).await.unwrap();
    let clock = Clock::simulated(start());
    let rules = Arc::new(ArcSwap::from_pointee(rules()));
    let renewals = Arc::new(Renewals::new(store.clone(), rules.clone(), clock.clone()));
    let invoices = folder.0.join("invoices");
    let context = Context {
        store,
        rules,
        renewals,
        service: None,
        clock,
        invoices,
    };
    let open = Command::OpenPayer {
        payer: payer(),
        seller: "house".into(),
        currency: Currency::EUR,
        terms: Terms {
            mode: BillingMode::Prepaid,
            credit_line: Micros::ZERO,
        },
        at: start(),
    };
    let money = Command::TopUp(TopUp {
        id: "first".to_owned(),
        payer: payer(),
        amount: Micros::new(1_000_000_000),
        provider: "card".to_owned(),
        tax: None,
        paper: None,
        reference: None,
        at: start(),
    });
    for command in [open, money] {
        context.store.submit(Work::of(command)).await.unwrap();
    }
    Cloud { folder, context }
}

impl Cloud {
    async fn ran(&self, intervals: &[Interval], payer: &PayerId) {
        let stored = intervals.iter().enumerate().map(|(at, interval)| {
            IntervalChange::Insert(StoredInterval {
                id: IntervalId::from_bits(u128::try_from(at).unwrap() + 1),
                payer: Some(payer.clone()),
                hold: None,
                interval: interval.clone(),
            })
        });
        let work = Work {
            intervals: stored.collect(),
            ..Work::default()
        };
        self.context.store.submit(work).await.unwrap();
    }

    async fn reported(&self, records: &[UsageRow]) {
        let params: BTreeMap<&str, &str> = [
            ("startdate", "2026-10-01T00:00:00+0000"),
            ("enddate", "2027-01-01T00:00:00+0000"),
            ("pagesize", "-1"),
        ]
        .into();
        let param = |name: &str| params.get(name).map(|text| (*text).to_owned());
        let answer = list_usage_records(records, &param, &|_| true, &Nameless).unwrap();
        let node = Node::from_json("listusagerecordsresponse", &answer);
        let nodes: Vec<Node> = node.all("usagerecord").cloned().collect();
        assert_eq!(nodes.len(), records.len());
        let rows = rows(&nodes, start()).unwrap();
        self.context
            .store
            .facts()
            .keep_usage(&rows, None)
            .await
            .unwrap();
    }

    async fn close(&self) -> MonthReport {
        close(&self.context, &november()).await.unwrap()
    }

    async fn after(&self, days: i64) -> MonthReport {
        self.context.clock.set(start().plus(days * DAY));
        self.close().await
    }

    fn file(&self, name: &str) -> String {
        let path = self.folder.0.join("invoices/house").join(name);
        std::fs::read_to_string(path).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_str(&self.file("T-00001.json")).unwrap()
    }
}

struct Nameless;

impl Names for Nameless {
    fn name_of(&self, _id: &str) -> Option<String> {
        None
    }
    fn domain_path(&self, _id: &str) -> Option<String> {
        None
    }
}

fn owner() -> Owner {
    Owner {
        account: Some("acc".into()),
        account_name: Some("ann".to_owned()),
        domain: "dom".into(),
        project: None,
    }
}

fn ran(usage_type: UsageType, resource: &str, from: i64, until: Option<i64>) -> Interval {
    let border = |at| Border {
        at: start().plus(at),
        source: BorderSource::Printed,
    };
    let volume = usage_type == UsageType::Volume;
    Interval {
        meter: MeterId {
            usage_type,
            resource: resource.into(),
            part: String::new(),
        },
        owner: owner(),
        attributes: Attributes {
            offering: Some("small".to_owned()),
            vcpus: Some(2).filter(|_| !volume),
            memory_mib: Some(4096).filter(|_| !volume),
            size_bytes: Some(20 * GIB).filter(|_| volume),
            count: 1,
            ..Attributes::default()
        },
        start: border(from),
        end: until.map(border),
    }
}

/// vm-1 ran from day 2 for 10 days and 1 second, vm-2 from day 28 on; each with a disk.
fn metered() -> Vec<Interval> {
    let (on, off) = (2 * DAY, 12 * DAY + SECOND);
    let mut all = Vec::new();
    for kind in [UsageType::RunningVm, UsageType::AllocatedVm] {
        all.push(ran(kind, "vm-1", on, Some(off)));
        all.push(ran(kind, "vm-2", 28 * DAY, None));
    }
    all.push(ran(UsageType::Volume, "disk-1", on, Some(off)));
    all.push(ran(UsageType::Volume, "disk-2", 28 * DAY, None));
    all
}

fn events(vm: &str, disk: &str, from: i64, until: Option<i64>) -> Vec<UsageEvent> {
    use UsageEventKind as Kind;
    let event = |kind, at: i64, resource: &str| {
        let mut event = UsageEvent::new(kind, start().plus(at), resource);
        event.account = "ann".to_owned();
        event.account_id = "acc".to_owned();
        event.domain_id = "dom".to_owned();
        event.offering_id = Some("small".to_owned());
        if resource == disk {
            event.size = Some(20 * GIB);
        } else {
            event.cpu_number = Some(2);
            event.cpu_speed = Some(1000);
            event.memory = Some(4096);
        }
        event
    };
    let mut all = vec![
        event(Kind::VmCreate, from, vm),
        event(Kind::VolumeCreate, from, disk),
        event(Kind::VmStart, from, vm),
    ];
    if let Some(until) = until {
        all.push(event(Kind::VmStop, until, vm));
        all.push(event(Kind::VmDestroy, until, vm));
        all.push(event(Kind::VolumeDelete, until, disk));
    }
    all
}

/// What the usage server makes of the same month, a window a day.
fn usage(more: &[UsageEvent]) -> Vec<UsageRow> {
    let mut all = events("vm-1", "disk-1", 2 * DAY, Some(12 * DAY + SECOND));
    all.extend(events("vm-2", "disk-2", 28 * DAY, None));
    all.extend_from_slice(more);
    all.sort_by_key(|event| event.at);
    let window = |day| Period {
        start: start().plus(day * DAY),
        end: start().plus((day + 1) * DAY),
    };
    let windows: Vec<Period> = (0..30).map(window).collect();
    records(&all, &windows)
}

/// 2 vCPU at 0.01, 4 GiB at 0.005, 20 GiB at 0.0001 an hour, net, from the intervals alone.
fn net_hours(micros: i64) -> Decimal {
    let hour = Decimal::from(micros) / Decimal::from(HOUR);
    let vcpu = hour * Decimal::new(2, 2);
    let memory = hour * Decimal::new(2, 2);
    let disk = hour * Decimal::new(2, 3);
    vcpu + memory + disk
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_metered_is_what_accrued_and_what_is_invoiced() {
    let cloud = cloud("month").await;
    cloud.ran(&metered(), &payer()).await;
    cloud.reported(&usage(&[])).await;
    // Renewals in between change nothing of the sum.
    for day in [3, 9, 17, 29] {
        cloud.context.clock.set(start().plus(day * DAY));
        cloud.context.renewals.catch_up(&payer()).await.unwrap();
    }
    let report = cloud.after(31).await;
    assert_eq!(report.differences, []);
    assert!(report.agreements >= 6, "{}", report.agreements);
    assert_eq!(report.parked, []);
    assert_eq!(report.waiting, None);
    assert_eq!(report.issued, [(payer(), "T-00001".to_owned())]);

    let net = net_hours(10 * DAY + SECOND + 2 * DAY);
    let rows = cloud
        .context
        .store
        .accruals(&payer(), &november())
        .await
        .unwrap();
    let accrued = Micros::sum(rows.iter().map(|row| row.total)).unwrap();
    let gross = (net * Decimal::new(119, 2)).round_dp(6);
    assert!(
        (accrued.to_decimal() - gross).abs() <= Decimal::new(2, 6),
        "{accrued} {gross}"
    );
    assert!(rows.iter().all(|row| row.invoiced == row.total));

    let json = cloud.json();
    assert_eq!(json["number"], "T-00001");
    let printed = |name: &str| json[name].as_str().unwrap().parse::<Decimal>().unwrap();
    // Three lines, each rounded once, and the tax once: at most 2 cents from the exact sum.
    assert!(
        (printed("net") - net).abs() <= Decimal::new(15, 3),
        "{} {net}",
        printed("net")
    );
    assert_eq!(printed("total"), printed("net") + printed("tax"));
    assert_eq!(printed("paid"), printed("total"));
    assert_eq!(json["payable"], "0.00");
    assert_eq!(cloud.file("T-00001.csv").lines().count(), 4);
    assert!(cloud.file("T-00001.html").contains("Invoice T-00001"));
    let state = cloud.context.store.payer(&payer()).await.unwrap().unwrap();
    // The accrued part of December stays, and the document's cents are the wallet's.
    let wallet = state.wallet().unwrap().to_decimal();
    assert_eq!(wallet, Decimal::from(1000) - printed("total"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_run_issues_nothing_and_a_lost_file_comes_back_the_same() {
    let cloud = cloud("twice").await;
    cloud.ran(&metered(), &payer()).await;
    cloud.reported(&usage(&[])).await;
    assert_eq!(cloud.after(31).await.issued.len(), 1);
    let before = cloud.file("T-00001.html");
    let again = cloud.close().await;
    assert_eq!(again.issued, []);
    assert_eq!(again.files, Vec::<std::path::PathBuf>::new());
    // As after a kill between the posting and the files.
    std::fs::remove_dir_all(&cloud.context.invoices).unwrap();
    let late = cloud.after(33).await;
    assert_eq!(late.issued, []);
    assert_eq!(late.files.len(), 3);
    assert_eq!(cloud.file("T-00001.html"), before);
    assert_eq!(
        cloud.context.store.documents(None, 10).await.unwrap().len(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vm_behind_the_gate_a_doubled_and_a_lost_record_are_named_priced_and_billed_right() {
    let cloud = cloud("spoilt").await;
    cloud.ran(&metered(), &payer()).await;
    let extra = events("vm-x", "disk-x", 5 * DAY, Some(7 * DAY));
    let clean = usage(&extra);
    let nth = |vm: &str, day: i64| {
        let wanted = |row: &UsageRow| {
            row.event.resource == vm
                && row.usage_type == UsageType::RunningVm
                && row.window.start == start().plus(day * DAY)
        };
        clean.iter().position(wanted).unwrap()
    };
    let faults = [
        RecordFault::Doubled(nth("vm-1", 4)),
        RecordFault::Missing(nth("vm-2", 29)),
    ];
    cloud.reported(&spoilt(&clean, &faults)).await;
    let report = cloud.after(31).await;
    assert_eq!(report.parked, []);
    let found = |class| {
        report
            .differences
            .iter()
            .filter(move |one| one.difference.class == class)
    };
    let price = |net: i64| Ok(Decimal::new(net, 3));
    let running = found(Class::Extra).find(|one| one.difference.usage_type == UsageType::RunningVm);
    let running = running.unwrap();
    assert_eq!(
        (running.difference.resource.as_str(), running.believed),
        ("vm-x", Believed::Records)
    );
    // 48 hours of 0.04, of two vCPUs and 4 GiB; a millisecond more as the usage server counts.
    let near = running.price.clone().unwrap() - Decimal::new(192, 2);
    assert!(near.abs() < Decimal::new(1, 6), "{near}");
    let doubled: Vec<_> = found(Class::Doubled).collect();
    assert_eq!((doubled.len(), &doubled[0].payer), (1, &Some(payer())));
    assert_eq!(doubled[0].price.clone().map(|p| p.round_dp(5)), price(960));
    let missing: Vec<_> = found(Class::Missing).collect();
    assert_eq!(missing.len(), 1);
    assert_eq!(missing[0].price.clone().map(|p| p.round_dp(5)), price(-960));
    assert_eq!(missing[0].believed, Believed::Meter);

    // The invoice: all that was metered, and the 48 hours that were not, on lines of their own.
    let json = cloud.json();
    let lines = json["lines"].as_array().unwrap();
    let net = |id: &str| {
        let line = lines.iter().find(|line| line["id"] == id);
        line.map(|line| line["net"].as_str().unwrap().to_owned())
    };
    assert_eq!(net("vcpu"), Some("5.76".to_owned()));
    assert_eq!(net("vcpu/correction"), Some("0.96".to_owned()));
    assert_eq!(net("ram/correction"), Some("0.96".to_owned()));
    // 0.576 and with it 0.672, each rounded once: together they are 0.67.
    assert_eq!(net("disk"), Some("0.58".to_owned()));
    assert_eq!(net("disk/correction"), Some("0.09".to_owned()));
    assert!(json["notes"][0].as_str().unwrap().contains("vm-x"));
    for ending in ["html", "json", "csv"] {
        let golden = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join(format!("tests/fixtures/invoices/T-00001.{ending}"));
        let written = cloud.file(&format!("T-00001.{ending}"));
        assert_eq!(
            written,
            std::fs::read_to_string(golden).unwrap(),
            "{ending}"
        );
    }
    assert_eq!(cloud.close().await.issued, []);

    // Found by the sweep later on: it is ours then, and nothing is billed twice.
    let kinds = [
        UsageType::RunningVm,
        UsageType::AllocatedVm,
        UsageType::Volume,
    ];
    let late: Vec<Interval> = kinds
        .iter()
        .map(|kind| {
            let thing = if *kind == UsageType::Volume {
                "disk-x"
            } else {
                "vm-x"
            };
            ran(*kind, thing, 5 * DAY, Some(7 * DAY))
        })
        .collect();
    let stored = late.into_iter().enumerate().map(|(at, interval)| {
        IntervalChange::Insert(StoredInterval {
            id: IntervalId::from_bits(u128::try_from(at).unwrap() + 100),
            payer: Some(payer()),
            hold: None,
            interval,
        })
    });
    let work = Work {
        intervals: stored.collect(),
        ..Work::default()
    };
    cloud.context.store.submit(work).await.unwrap();
    let again = cloud.close().await;
    assert!(found_no_extra(&again), "{:?}", again.differences);
    assert_eq!((&again.parked, &again.issued), (&Vec::new(), &Vec::new()));
    let documents = cloud.context.store.documents(None, 10).await.unwrap();
    let total = Micros::sum(documents.iter().map(|one| one.total)).unwrap();
    let first = json["total"].as_str().unwrap().parse::<Micros>().unwrap();
    assert_eq!(
        (documents.len(), total),
        (1, first),
        "{:?} {:?}",
        again.issued,
        again.parked
    );
}

fn found_no_extra(report: &MonthReport) -> bool {
    report
        .differences
        .iter()
        .all(|one| one.difference.class != Class::Extra)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payer_that_cannot_be_computed_is_parked_and_the_others_go_on() {
    let cloud = cloud("parked").await;
    let stranger = PayerId::from("stranger");
    let open = Command::OpenPayer {
        payer: stranger.clone(),
        seller: "house".into(),
        currency: Currency::EUR,
        terms: Terms {
            mode: BillingMode::Prepaid,
            credit_line: Micros::ZERO,
        },
        at: start(),
    };
    cloud.context.store.submit(Work::of(open)).await.unwrap();
    cloud.ran(&metered(), &payer()).await;
    cloud.reported(&usage(&[])).await;
    let report = cloud.after(31).await;
    assert_eq!(report.issued.len(), 1);
    assert_eq!(report.parked.len(), 1);
    assert_eq!(report.parked[0].0, stranger);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_month_that_has_not_ended_waits() {
    let cloud = cloud("waits").await;
    cloud.ran(&metered(), &payer()).await;
    let report = cloud.after(29).await;
    assert!(report.waiting.unwrap().contains("2026-11 ends at"));
    assert_eq!(report.issued, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_recorded_lifecycle_is_rated_and_invoiced() {
    let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/usage");
    let found = replay(Path::new(fixtures)).unwrap();
    let cloud = cloud("lifecycle").await;
    // Sizes that no call shows are read back by the sweep, which a recording has not.
    let mut intervals = found.intervals.clone();
    for interval in &mut intervals {
        interval.attributes.size_bytes.get_or_insert(GIB);
    }
    cloud.ran(&intervals, &payer()).await;
    let text = std::fs::read_to_string(Path::new(fixtures).join("lifecycle-A.usage-records.jsonl"));
    let mut nodes = Vec::new();
    for line in text.unwrap().lines() {
        let json: Value = serde_json::from_str(line).unwrap();
        if json["variant"] == "default" {
            collect(&json, &mut nodes);
        }
    }
    assert_eq!(nodes.len(), found.records.len());
    let kept = rows(&nodes, start()).unwrap();
    cloud
        .context
        .store
        .facts()
        .keep_usage(&kept, None)
        .await
        .unwrap();
    let report = cloud.after(31).await;
    assert_eq!(report.parked, []);
    assert_eq!(report.issued.len(), 1);
    let json = cloud.json();
    assert!(json["lines"].as_array().unwrap().len() >= 3, "{json:#}");
    let state = cloud.context.store.payer(&payer()).await.unwrap().unwrap();
    assert!(state.purse(Purse::Available) < Micros::new(1_000_000_000));
}

/// Every usage record inside a recorded answer.
fn collect(value: &Value, found: &mut Vec<Node>) {
    match value {
        Value::Object(fields) if fields.contains_key("rawusage") => {
            found.push(Node::from_json("usagerecord", value));
        }
        Value::Object(fields) => fields.values().for_each(|inner| collect(inner, found)),
        Value::Array(items) => items.iter().for_each(|inner| collect(inner, found)),
        _ => {}
    }
}

/// A usage server's answers in XML: 30 days of records, and a job up to `job`.
async fn usage_server(records: Vec<UsageRow>, job: &'static str) -> Arc<Service> {
    use axum::extract::Query;
    let records = Arc::new(records);
    let answer = move |Query(asked): Query<BTreeMap<String, String>>| {
        let records = records.clone();
        async move {
            if asked["command"] == "listUsageServerMetrics" {
                return format!(
                    "<?xml version=\"1.0\"?><listusageservermetricsresponse><usageMetrics>\
                     <lastsuccessfuljob>{job}</lastsuccessfuljob></usageMetrics>\
                     </listusageservermetricsresponse>"
                );
            }
            let param = |name: &str| asked.get(name).cloned();
            let json = list_usage_records(&records, &param, &|_| true, &Nameless).unwrap();
            let rows = json["usagerecord"].as_array().cloned().unwrap_or_default();
            let mut xml = "<?xml version=\"1.0\"?><listusagerecordsresponse>".to_owned();
            for row in rows {
                xml += "<usagerecord>";
                for field in Node::from_json("usagerecord", &row).children {
                    xml += &format!("<{0}>{1}</{0}>", field.name, field.text);
                }
                xml += "</usagerecord>";
            }
            xml + "</listusagerecordsresponse>"
        }
    };
    let router = axum::Router::new().route("/client/api", axum::routing::get(answer));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let secret = SecretString::from("secret");
    let key = "key".to_owned();
    Arc::new(Service::new(
        address.clone(),
        address,
        key,
        secret,
        Clock::system(),
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_pulled_once_the_usage_job_has_passed_the_months_end() {
    let mut cloud = cloud("pulled").await;
    cloud.ran(&metered(), &payer()).await;
    let clean = usage(&[]);
    // Its last window ends an hour before the month does.
    let early = usage_server(clean.clone(), "2026-11-30T21:59:59+0000").await;
    cloud.context.service = Some(early);
    let report = cloud.after(31).await;
    assert!(report.waiting.unwrap().contains("last successful job"));
    assert_eq!(report.issued, []);
    let passed = usage_server(clean.clone(), "2026-11-30T22:59:59+0000").await;
    cloud.context.service = Some(passed);
    let report = cloud.close().await;
    assert_eq!((report.waiting, report.issued.len()), (None, 1));
    assert_eq!(report.differences, []);
    let period = november().period().unwrap();
    let kept = cloud.context.store.facts().usage(period).await.unwrap();
    assert_eq!(kept.len(), clean.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_usage_server_holds_a_month_no_longer_than_its_patience() {
    let mut cloud = cloud("patience").await;
    cloud.ran(&metered(), &payer()).await;
    let early = usage_server(Vec::new(), "2026-11-20T22:59:59+0000").await;
    cloud.context.service = Some(early);
    assert!(cloud.after(32).await.waiting.is_some());
    let report = cloud.after(33).await;
    assert_eq!((report.waiting, report.issued.len()), (None, 1));
    assert!(
        cloud.json()["notes"][0]
            .as_str()
            .unwrap()
            .starts_with("Provisional")
    );
}
