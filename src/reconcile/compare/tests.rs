use super::*;
use crate::cloudstack::tree::Node;
use crate::meter::resource::{Attributes, MeterId};
use crate::reconcile::window::query_dates;
use crate::terms::time::Timestamp;

const MINUTE: i64 = 60;
/// The hour's start, 2026-11-22T23:00:00Z.
const T: i64 = 1_795_388_400;

fn at(second: i64) -> Timestamp {
    Timestamp::from_seconds(T + second)
}

fn window(index: i64) -> Period {
    Period {
        start: at(index * MINUTE),
        end: at((index + 1) * MINUTE),
    }
}

fn owner() -> Owner {
    Owner {
        account: Some("a".into()),
        account_name: Some("ann".to_owned()),
        domain: "d".into(),
        project: None,
    }
}

fn ran(resource: &str, start: i64, end: Option<i64>) -> Interval {
    let border = |second| Border {
        at: at(second),
        source: BorderSource::Printed,
    };
    Interval {
        meter: MeterId {
            usage_type: UsageType::RunningVm,
            resource: resource.into(),
            part: String::new(),
        },
        owner: owner(),
        attributes: Attributes {
            count: 1,
            ..Attributes::default()
        },
        start: border(start),
        end: end.map(border),
    }
}

/// A record of so many seconds in that window.
fn record(resource: &str, index: i64, seconds: i64) -> UsageRecord {
    let hours = rust_decimal::Decimal::from(seconds) / rust_decimal::Decimal::from(3_600);
    let (start, end) = query_dates(window(index));
    let json = serde_json::json!({
        "account": "ann", "accountid": "a", "domainid": "d", "usagetype": 1,
        "virtualmachineid": resource, "usageid": resource, "description": "",
        "rawusage": hours.round_dp(6).to_string(), "startdate": start, "enddate": end,
    });
    UsageRecord::from_node(&Node::from_json("usagerecord", &json)).unwrap()
}

fn judged(intervals: &[Interval], records: &[UsageRecord]) -> Vec<(Class, i64)> {
    let context = Context {
        looseness: &|_, _| None,
        by_itself: Vec::new(),
    };
    let period = Period {
        start: at(0),
        end: at(10 * MINUTE),
    };
    let found = compare(intervals, records, period, &context);
    found
        .iter()
        .map(|one| (one.class, (one.micros() + SECOND / 2).div_euclid(SECOND)))
        .collect()
}

#[test]
fn what_agrees_to_the_second_is_no_difference() {
    let records = [
        record("vm", 0, 31),
        record("vm", 1, 60),
        record("vm", 2, 14),
    ];
    assert_eq!(
        judged(&[ran("vm", 29, Some(134))], &records)[0].0,
        Class::Agreement
    );
}

#[test]
fn a_doubled_record_a_lost_one_and_a_vm_behind_the_gate_are_each_named() {
    let whole = |resource: &str| vec![record(resource, 0, 60), record(resource, 1, 60)];
    let mut doubled = whole("vm");
    doubled.push(record("vm", 1, 60));
    let vm = [ran("vm", 0, Some(120))];
    assert_eq!(judged(&vm, &doubled), [(Class::Doubled, -60)]);
    assert_eq!(judged(&vm, &whole("vm")[..1]), [(Class::Missing, 60)]);
    assert_eq!(judged(&vm, &[]), [(Class::Missing, 120)]);
    assert_eq!(judged(&[], &whole("vm")), [(Class::Extra, -120)]);
    let late = ran("vm", 20, Some(120));
    assert_eq!(judged(&[late], &whole("vm")), [(Class::Different, -20)]);
}

#[test]
fn a_record_longer_than_its_interval_by_a_second_a_border_still_agrees() {
    let records = [record("vm", 0, 60), record("vm", 1, 60)];
    assert_eq!(
        judged(&[ran("vm", 1, Some(119))], &records)[0].0,
        Class::Agreement
    );
    assert_eq!(
        judged(&[ran("vm", 2, Some(119))], &records)[0].0,
        Class::Different
    );
}

#[test]
fn a_meter_that_runs_on_is_counted_to_the_end_of_what_is_compared() {
    let records: Vec<_> = (0..10).map(|index| record("vm", index, 60)).collect();
    assert_eq!(
        judged(&[ran("vm", 0, None)], &records),
        [(Class::Agreement, 0)]
    );
}

#[test]
fn what_ended_unsized_gets_the_size_that_its_record_tells() {
    let disk = |resource: &str, name: &str, end| {
        let mut interval = ran(resource, 10, end);
        interval.meter.usage_type = UsageType::Volume;
        interval.attributes.name = name.to_owned();
        interval
    };
    let told = |resource: &str, name: &str, size| UsageRecord {
        usage_type: UsageType::Volume,
        described: Some(name.to_owned()),
        size: Some(size),
        ..record(resource, 0, 20)
    };
    // The second was never named to us: it is found by its name.
    let metered = [
        disk("v-1", "data", Some(30)),
        disk("ROOT@vm", "ROOT-77", Some(30)),
        disk("v-3", "open", None),
    ];
    let reported = [
        told("v-1", "data", 5),
        told("v-2", "ROOT-77", 7),
        told("v-3", "open", 9),
    ];
    let found = sizes(&metered, &reported, window(0));
    let sized = crate::reconcile::price::sized(&metered, &found);
    let bytes: Vec<_> = sized.iter().map(|one| one.attributes.size_bytes).collect();
    assert_eq!(bytes, [Some(5), Some(7), None]);
}
