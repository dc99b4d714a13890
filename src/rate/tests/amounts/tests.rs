//! Pure: amounts that are known only later: traffic and disk I/O, sample by sample.

use super::super::{NOVEMBER, decimal, line, ran, since_ever, twenty};
use crate::cloudstack::usage_type::UsageType;
use crate::meter::resource::{Attributes, Interval};
use crate::policy::tariff::{Component, PriceLine, Tier, Unit};
use crate::rate::{meter_per_hour, month};
use crate::terms::money::Micros;
use crate::terms::quantity::UnitMicros;
use crate::terms::time::{Period, SECOND};
use proptest::prelude::*;
use rust_decimal::Decimal;

const GIB: i64 = 1 << 30;

fn sent(amount: i64, from: i64, to: i64) -> Interval {
    let attributes = Attributes {
        count: amount,
        ..Attributes::default()
    };
    ran(
        UsageType::NetworkBytesSent,
        "router",
        attributes,
        from,
        Some(to),
    )
}

fn by_amount(component: Component, price: &str) -> PriceLine {
    PriceLine {
        unit: Unit::Amount,
        ..line("traffic", component, price)
    }
}

fn net(line: PriceLine, samples: &[Interval], window: Period) -> Decimal {
    let rated = month(
        &since_ever(vec![line]),
        &twenty(),
        window,
        samples,
        window.end,
    )
    .unwrap();
    rated.lines.iter().map(|line| line.net).sum()
}

#[test]
fn an_amount_costs_the_same_however_long_it_took() {
    let cases = [
        (Component::SentGib, 3 * GIB, 600, "0.06"),
        (Component::SentGib, 3 * GIB, 86_400, "0.06"),
        (Component::SentGib, GIB / 2, 60, "0.01"),
        (Component::SentGib, 0, 60, "0"),
    ];
    for (component, amount, lasts, costs) in cases {
        let found = net(
            by_amount(component, "0.02"),
            &[sent(amount, 0, lasts)],
            NOVEMBER,
        );
        assert_eq!(found, decimal(costs), "{amount} in {lasts} s");
    }
    let reads = Attributes {
        count: 2_500_000,
        ..Attributes::default()
    };
    let reads = ran(UsageType::VmDiskIoRead, "disk", reads, 0, Some(600));
    let line = by_amount(Component::DiskReadsMillion, "0.04");
    assert_eq!(net(line, &[reads], NOVEMBER), decimal("0.10"));
}

#[test]
fn an_allowance_and_tiers_run_on_from_sample_to_sample() {
    let mut line = by_amount(Component::SentGib, "0");
    line.allowance = decimal("1");
    line.tiers = vec![
        Tier {
            up_to: Some(decimal("2")),
            price: decimal("0.10"),
        },
        Tier {
            up_to: None,
            price: decimal("0.01"),
        },
    ];
    // 1 GiB is free, 2 GiB at 0.10, the last at 0.01.
    let samples = [sent(2 * GIB, 0, 600), sent(2 * GIB, 600, 1_200)];
    assert_eq!(net(line, &samples, NOVEMBER), decimal("0.21"));
}

#[test]
fn what_was_used_burns_nothing_from_then_on() {
    let line = by_amount(Component::SentGib, "0.02");
    let attributes = sent(GIB, 0, 600).attributes;
    let meter = (UsageType::NetworkBytesSent, &attributes);
    let book = since_ever(vec![line]);
    let so_far = |_: &_| UnitMicros::ZERO;
    let burn = meter_per_hour(&book, &twenty(), meter, so_far, NOVEMBER.start).unwrap();
    assert_eq!(burn, Decimal::ZERO);
}

proptest! {
    #[test]
    fn samples_in_any_cut_of_the_month_cost_what_their_sum_costs(
        amounts in proptest::collection::vec(0_i64..900_000_000_000, 1..20),
        price in 1_i64..5_000_000,
        cut in 0_i64..20_000,
    ) {
        let price = Decimal::new(price, 6).to_string();
        let line = by_amount(Component::SentGib, &price);
        let samples: Vec<Interval> = (0_i64..)
            .zip(&amounts)
            .map(|(at, amount)| sent(*amount, at * 613, (at + 1) * 613))
            .collect();
        let cut = NOVEMBER.start.plus(cut * SECOND);
        let first = net(line.clone(), &samples, Period { end: cut, ..NOVEMBER });
        let rest = net(line.clone(), &samples, Period { start: cut, ..NOVEMBER });
        let all = sent(amounts.iter().sum(), 0, 1);
        let whole = net(line, &[all], NOVEMBER);
        // Each of the three is one division of 28 digits.
        let apart = (first + rest - whole).abs();
        prop_assert!(apart < Decimal::new(1, 15), "{first} and {rest} are not {whole}");
    }

    #[test]
    fn accrual_by_difference_comes_to_the_rounded_price_of_the_sum(
        amounts in proptest::collection::vec(0_i64..900_000_000_000, 1..20),
        price in 1_i64..5_000_000,
    ) {
        let price = Decimal::new(price, 6).to_string();
        let line = by_amount(Component::SentGib, &price);
        let book = since_ever(vec![line.clone()]);
        let mut known = Vec::new();
        let mut accrued = Micros::ZERO;
        for (at, amount) in (0_i64..).zip(&amounts) {
            known.push(sent(*amount, at * 60, (at + 1) * 60));
            let rated = month(&book, &twenty(), NOVEMBER, &known, NOVEMBER.end).unwrap();
            let more = rated.wallet().unwrap().minus(accrued).unwrap();
            prop_assert!(!more.is_negative());
            accrued = accrued.plus(more).unwrap();
        }
        let all = sent(amounts.iter().sum(), 0, 60);
        let whole = month(&book, &twenty(), NOVEMBER, &[all], NOVEMBER.end).unwrap();
        prop_assert_eq!(accrued, whole.wallet().unwrap());
    }
}
