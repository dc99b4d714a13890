//! Edge: the stand-in's usage server against the records of a real one.
#![allow(
    clippy::unwrap_used,
    reason = "a test stops where its fixture is not as recorded"
)]

use faregate::sandbox::usage::answer::{Names, list_usage_records, list_usage_types};
use faregate::sandbox::usage::event::{UsageEvent, UsageEventKind};
use faregate::sandbox::usage::record::{RecordFault, UsageRow, records, spoilt};
use faregate::terms::time::{Period, SECOND, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;

const ROWS: &str = include_str!("../fixtures/usage/lifecycle-A.db.json");
const TYPES: &str = include_str!("../fixtures/usage/usage-types.json");
const RECORDS: &str = include_str!("../fixtures/usage/lifecycle-A.usage-records.jsonl");

fn second(text: &str) -> Timestamp {
    let text = text.replace(' ', "T").replace("+0000", "");
    let at: jiff::Timestamp = format!("{text}Z").parse().unwrap();
    Timestamp::from_micros(at.as_microsecond())
}

fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The event table's rows, with internal numbers as ids.
fn events(db: &Value) -> Vec<UsageEvent> {
    let accounts: BTreeMap<String, String> = db["accounts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (text(&one["id"]), text(&one["account_name"])))
        .collect();
    let mut details: BTreeMap<(String, String), i64> = BTreeMap::new();
    for one in db["usage_event_details"].as_array().unwrap() {
        let value = text(&one["value"]).parse().unwrap_or(0);
        details.insert((text(&one["usage_event_id"]), text(&one["name"])), value);
    }
    let some = |value: &Value| Some(text(value)).filter(|text| !text.is_empty());
    let mut found = Vec::new();
    for row in db["usage_event"].as_array().unwrap() {
        let Some(kind) = UsageEventKind::from_name(&text(&row["type"])) else {
            continue;
        };
        let at = second(&text(&row["created"]));
        let mut event = UsageEvent::new(kind, at, &text(&row["resource_id"]));
        let detail = |name: &str| details.get(&(text(&row["id"]), name.to_owned())).copied();
        event.account_id = text(&row["account_id"]);
        event.account = accounts.get(&event.account_id).cloned().unwrap_or_default();
        event.resource_name = text(&row["resource_name"]);
        event.zone_id = text(&row["zone_id"]);
        event.offering_id = some(&row["offering_id"]);
        event.template_id = some(&row["template_id"]);
        event.size = row["size"].as_i64();
        event.virtual_size = row["virtual_size"].as_i64();
        event.state = some(&row["resource_type"]).filter(|_| row["type"] == "NETWORK.UPDATE");
        event.hypervisor = some(&row["resource_type"]);
        event.cpu_number = detail("cpuNumber");
        event.cpu_speed = detail("cpuSpeed");
        event.memory = detail("memory");
        found.push(event);
    }
    found
}

/// Milliseconds by account, type, thing (internal number) and window's start, each record one.
type Sums = BTreeMap<(String, i64, String, Timestamp), Vec<i64>>;

fn recorded(db: &Value, windows: &[Period]) -> Sums {
    let mut sums = Sums::new();
    for row in db["cloud_usage"].as_array().unwrap() {
        let kind = row["usage_type"].as_i64().unwrap();
        if [4, 5].contains(&kind) {
            continue;
        }
        let thing = match kind {
            13 => text(&row["vm_instance_id"]),
            _ => text(&row["usage_id"]),
        };
        // Rules and VPN users are numbered by the table, VM snapshots by the snapshot: by sum.
        let thing = if [25, 27].contains(&kind) {
            String::new()
        } else {
            thing
        };
        let start = second(&text(&row["start_date"]));
        let window = windows
            .iter()
            .find(|window| window.contains(start))
            .unwrap();
        let raw: rust_decimal::Decimal = text(&row["raw_usage"]).parse().unwrap();
        let millis = (raw * rust_decimal::Decimal::from(3_600_000)).round();
        let key = (text(&row["account_id"]), kind, thing, window.start);
        let millis = millis.to_string().parse().unwrap();
        sums.entry(key).or_default().push(millis);
    }
    sums
}

fn rebuilt(rows: &[UsageRow], windows: &[Period]) -> Sums {
    let mut sums = Sums::new();
    for row in rows {
        let kind = i64::from(row.usage_type.number());
        let thing = match kind {
            25 | 27 => String::new(),
            _ => row.event.resource.clone(),
        };
        let window = windows
            .iter()
            .find(|window| window.contains(row.window.start));
        let key = (
            row.event.account_id.clone(),
            kind,
            thing,
            window.unwrap().start,
        );
        sums.entry(key).or_default().push(row.millis);
    }
    sums
}

fn windows(db: &Value) -> Vec<Period> {
    let mut found: Vec<Period> = db["cloud_usage"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|row| ![25, 27].contains(&row["usage_type"].as_i64().unwrap()))
        .map(|row| Period {
            start: second(&text(&row["start_date"])),
            end: second(&text(&row["end_date"])).plus(SECOND),
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn a_real_servers_records_are_rebuilt_from_its_events() {
    let db: Value = serde_json::from_str(ROWS).unwrap();
    let windows = windows(&db);
    let (mut wanted, mut built) = (
        recorded(&db, &windows),
        rebuilt(&records(&events(&db), &windows), &windows),
    );
    let mut apart = Vec::new();
    let keys: std::collections::BTreeSet<_> = wanted.keys().chain(built.keys()).cloned().collect();
    for key in &keys {
        let (a, b) = (
            wanted.entry(key.clone()).or_default(),
            built.entry(key.clone()).or_default(),
        );
        a.sort_unstable();
        b.sort_unstable();
        let near = a.len() == b.len() && a.iter().zip(b.iter()).all(|(a, b)| (a - b).abs() <= 5);
        if !near {
            apart.push(format!("{key:?}: recorded {a:?}, rebuilt {b:?}"));
        }
    }
    assert!(
        apart.is_empty(),
        "{} of {}: {apart:#?}",
        apart.len(),
        keys.len()
    );
    assert_eq!(keys.len(), 1480);
}

struct NoNames;
impl Names for NoNames {
    fn name_of(&self, _: &str) -> Option<String> {
        Some("x".to_owned())
    }
    fn domain_path(&self, _: &str) -> Option<String> {
        Some("ROOT/x".to_owned())
    }
    fn guest_os_of(&self, _: &str) -> Option<[String; 4]> {
        Some(["t", "CentOS", "c", "CentOS"].map(str::to_owned))
    }
}

/// Field names of records, by type; those that a recording shows only now and then left out.
fn fields(found: &[Value]) -> BTreeMap<i64, Vec<String>> {
    let sometimes = [
        "usageid",
        "offeringid",
        "templateid",
        "cpunumber",
        "cpuspeed",
        "memory",
    ];
    let mut by_type = BTreeMap::new();
    for record in found {
        let names = record.as_object().unwrap().keys();
        let mut names: Vec<String> = names
            .filter(|name| !sometimes.contains(&name.as_str()))
            .cloned()
            .collect();
        names.sort();
        by_type.insert(record["usagetype"].as_i64().unwrap(), names);
    }
    by_type
}

#[test]
fn records_have_the_fields_that_a_real_server_shows_for_their_type() {
    let mut real = Vec::new();
    for line in RECORDS.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let page = &line["answer"]["listusagerecordsresponse"]["usagerecord"];
        if line["variant"] == "default" {
            real.extend(page.as_array().unwrap().iter().cloned());
        }
    }
    let accounts = real
        .iter()
        .filter(|one| one["account"].is_string())
        .cloned();
    let real = fields(&accounts.collect::<Vec<_>>());
    let db: Value = serde_json::from_str(ROWS).unwrap();
    let rows = records(&events(&db), &windows(&db));
    let param = |name: &str| match name {
        "startdate" | "enddate" => Some(format!(
            "2026-11-2{}",
            if name == "enddate" { 3 } else { 2 }
        )),
        "pagesize" => Some("-1".to_owned()),
        _ => None,
    };
    let sees = |row: &UsageRow| !row.event.account.starts_with("PrjAcct");
    let ours = list_usage_records(&rows, &param, &sees, &NoNames).unwrap();
    let ours = fields(ours["usagerecord"].as_array().unwrap());
    for (kind, names) in real.iter().filter(|(kind, _)| ![4, 5].contains(*kind)) {
        assert_eq!(ours.get(kind), Some(names), "type {kind}");
    }
}

#[test]
fn dates_and_pages_are_read_as_a_real_server_reads_them() {
    let mut rows = Vec::new();
    let first = second("2026-11-22 23:40:00");
    for minute in 0..30_i64 {
        let window = Period {
            start: first.plus(minute * 60 * SECOND),
            end: first.plus((minute + 1) * 60 * SECOND),
        };
        let event = UsageEvent::new(UsageEventKind::VpcCreate, first, "v");
        rows.extend(records(&[event], &[window]));
    }
    let ask = |pairs: &[(&str, &str)]| {
        let param = |name: &str| {
            let found = pairs.iter().find(|(key, _)| *key == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        match list_usage_records(&rows, &param, &|_| true, &NoNames) {
            Ok(answer) => answer["count"].as_i64().unwrap_or(0),
            Err(refused) => -i64::from(refused.code),
        }
    };
    let dates = |start, end| ask(&[("startdate", start), ("enddate", end)]);
    let cases = [
        ("2026-11-22T23:47:00+0000", "2026-11-22T23:47:59+0000", 1),
        ("2026-11-22T23:47:00+0000", "2026-11-22T23:47:58+0000", 0),
        ("2026-11-22T23:47:01+0000", "2026-11-22T23:48:59+0000", 1),
        ("2026-11-22T23:47:00Z", "2026-11-22T23:48:00Z", 1),
        ("2026-11-23T01:47:00+02:00", "2026-11-23T01:47:59+0200", 1),
        ("2026-11-22 23:47:00", "2026-11-22 23:47:59", 1),
        ("2026-11-22T23:47:00", "2026-11-22T23:47:59", 20),
        (
            "2026-11-22T23:47:00.000+0000",
            "2026-11-22T23:47:59.999+0000",
            20,
        ),
        ("2026-11-22", "2026-11-22", 20),
        ("2026-11-22T23:48:00+0000", "2026-11-22T23:47:00+0000", -431),
        ("yesterday", "2026-11-22T23:47:00+0000", -431),
    ];
    for (start, end, count) in cases {
        assert_eq!(dates(start, end), count, "{start} {end}");
    }
    let pages = [
        (vec![("page", "1")], -431),
        (vec![("pagesize", "5")], -431),
        (vec![("page", "1"), ("pagesize", "501")], -431),
        (vec![("page", "1"), ("pagesize", "-1")], -431),
        (vec![("pagesize", "-1")], 30),
        (vec![("page", "0"), ("pagesize", "0")], 30),
        (vec![("type", "99")], 0),
        (vec![("usageid", "v")], -431),
    ];
    for (mut pairs, count) in pages {
        pairs.extend([("startdate", "2026-11-22"), ("enddate", "2026-11-23")]);
        assert_eq!(ask(&pairs), count, "{pairs:?}");
    }
    assert_eq!(ask(&[("startdate", "2026-11-22")]), -431);
}

#[test]
fn the_types_are_those_of_a_real_server() {
    let real: Value = serde_json::from_str(TYPES).unwrap();
    assert_eq!(real["listusagetypesresponse"], list_usage_types());
}

#[test]
fn a_spoilt_month_holds_one_record_twice_and_one_not_at_all() {
    let start = second("2026-11-22 23:40:00");
    let window = |minute: i64| Period {
        start: start.plus(minute * 60 * SECOND),
        end: start.plus((minute + 1) * 60 * SECOND),
    };
    let event = UsageEvent::new(UsageEventKind::VpcCreate, start, "v");
    let good = records(&[event], &[window(0), window(1), window(2)]);
    let bad = spoilt(&good, &[RecordFault::Doubled(0), RecordFault::Missing(2)]);
    assert_eq!(bad, [good[0].clone(), good[0].clone(), good[1].clone()]);
}
