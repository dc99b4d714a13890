//! Pure: what counts in a cap, against prices that a person can add up.

use super::*;
use crate::cloudstack::usage_type::UsageType;
use crate::meter::resource::{Attributes, Border, BorderSource, MeterId, Owner};
use crate::policy::caps::{CapPeriod, Level};
use crate::policy::customer::{PayerTerms, TaxMode, TaxProfile};
use crate::policy::prepaid::PrepaidProfile;
use crate::policy::tariff::{
    Basis, BookVersion, Component, Match, PriceBook, PriceLine, Tier, Unit,
};
use crate::terms::ids::{CsDomainId, ResourceId};
use crate::terms::money::Currency;
use crate::terms::time::HOUR;
use rust_decimal::Decimal;

/// 2026-11-01T00:00:00Z, a Sunday.
const NOVEMBER: Timestamp = Timestamp::from_seconds(1_793_491_200);

fn hour(number: i64) -> Timestamp {
    NOVEMBER.plus(number * HOUR)
}
fn euros(text: &str) -> Micros {
    text.parse().unwrap()
}

/// One euro an hour for the first ten hours of a month, ten cents after that; no tax.
fn book() -> PriceBook {
    let tier = |up_to: Option<i64>, price: &str| Tier {
        up_to: up_to.map(Decimal::from),
        price: price.parse().unwrap(),
    };
    let line = PriceLine {
        id: "vm".into(),
        component: Component::Vm,
        basis: Basis::Running,
        matches: Match::default(),
        unit: Unit::Hour,
        tiers: vec![tier(Some(10), "1"), tier(None, "0.1")],
        allowance: Decimal::ZERO,
        month_cap: None,
        free: false,
        one_off: Decimal::ZERO,
        surcharge: false,
        class: "compute".to_owned(),
        tax_group: "standard".to_owned(),
        text: "a machine".to_owned(),
    };
    PriceBook {
        id: "book".to_owned(),
        currency: Currency::EUR,
        versions: vec![BookVersion {
            from: Timestamp::from_seconds(0),
            until: None,
            lines: vec![line],
        }],
    }
}

fn terms() -> PayerTerms {
    let rate = crate::policy::customer::TaxRate {
        group: "standard".to_owned(),
        code: "XX.0".to_owned(),
        rate: Decimal::ZERO,
        from: Timestamp::from_seconds(0),
    };
    PayerTerms {
        zone: "UTC".to_owned(),
        tax_mode: TaxMode::AtUse,
        tax: TaxProfile { rates: vec![rate] },
    }
}

fn vm(id: &str, from: i64, to: Option<i64>) -> Interval {
    let border = |number: i64| Border {
        at: hour(number),
        source: BorderSource::Printed,
    };
    Interval {
        meter: MeterId {
            usage_type: UsageType::RunningVm,
            resource: ResourceId::from(id),
            part: String::new(),
        },
        owner: Owner {
            account: None,
            account_name: None,
            domain: CsDomainId::from("d"),
            project: None,
        },
        attributes: Attributes::default(),
        start: border(from),
        end: to.map(border),
    }
}

fn cap(period: CapPeriod) -> SpendCap {
    SpendCap {
        id: "lab".to_owned(),
        per: Level::Account,
        of: None,
        most: euros("5"),
        currency: Currency::EUR,
        period,
        zone: "UTC".to_owned(),
        reason: "why".to_owned(),
        stops: false,
    }
}

fn name() -> CapId {
    CapId::from("lab/account/a1")
}

fn since(resource: &str, number: i64) -> CappedResource {
    CappedResource {
        resource: ResourceId::from(resource),
        since: hour(number),
        caps: vec![name()],
    }
}

fn found(caps: &[SpendCap], capped: &Capped, intervals: &[Interval], at: i64) -> Vec<CapTotal> {
    let (book, terms, profile) = (book(), terms(), PrepaidProfile::default());
    let pricing = Pricing {
        book: &book,
        terms: &terms,
        profile: &profile,
    };
    totals(pricing, (caps, capped), intervals, hour(at)).unwrap()
}

#[test]
fn a_cap_counts_the_marginal_cost_of_its_resources_alone() {
    let capped = Capped {
        resources: vec![since("b", 0)],
        shares: vec![],
    };
    let both = [vm("a", 0, None), vm("b", 0, None)];
    let month = [cap(CapPeriod::Month)];
    // Both for 8 hours: 10 × 1 + 6 × 0.1; without `b` 8 × 1. An hour ahead: 0.2 less 1.
    let total = CapTotal {
        cap: name(),
        start: NOVEMBER,
        metered: euros("2.6"),
        covered: Micros::ZERO,
    };
    assert_eq!(found(&month, &capped, &both, 8), [total]);
    let alone = &found(&month, &capped, &both[1..], 8)[0];
    assert_eq!((alone.metered, alone.covered), (euros("8"), euros("1")));
}

#[test]
fn a_day_counts_what_it_adds_to_the_month() {
    let capped = Capped {
        resources: vec![since("b", 20)],
        shares: vec![],
    };
    let total = &found(&[cap(CapPeriod::Day)], &capped, &[vm("b", 20, None)], 32)[0];
    // Four hours of the day before, six more at the first tier, two at the second.
    assert_eq!(total.start, hour(24));
    assert_eq!((total.metered, total.covered), (euros("6.2"), euros("0.1")));
}

#[test]
fn what_the_resource_becomes_counts_and_what_it_was_before_its_hold_does_not() {
    let capped = Capped {
        resources: vec![since("b", 2)],
        shares: vec![],
    };
    let cut = [
        vm("b", 0, Some(2)),
        vm("b", 2, Some(4)),
        vm("b", 5, Some(6)),
    ];
    let total = &found(&[cap(CapPeriod::Month)], &capped, &cut, 8)[0];
    assert_eq!((total.metered, total.covered), (euros("3"), Micros::ZERO));
}

#[test]
fn a_cap_that_is_no_longer_written_is_let_go() {
    let share = CapShare {
        covered: euros("1"),
        metered: euros("2"),
        ..CapShare::none(name(), "ann".into(), NOVEMBER)
    };
    let capped = Capped {
        resources: vec![since("b", 0)],
        shares: vec![share],
    };
    let total = &found(&[], &capped, &[vm("b", 0, None)], 8)[0];
    assert_eq!((total.metered, total.covered), (euros("2"), Micros::ZERO));
}

#[test]
fn a_part_of_a_period_that_is_over_is_left_alone() {
    let share = |start, metered: &str| CapShare {
        metered: euros(metered),
        ..CapShare::none(name(), "ann".into(), start)
    };
    let of = |share| {
        let capped = Capped {
            resources: vec![],
            shares: vec![share],
        };
        found(&[cap(CapPeriod::Day)], &capped, &[vm("a", 0, None)], 30)
    };
    assert_eq!(of(share(NOVEMBER, "2")), []);
    assert_eq!(of(share(hour(24), "0")), []);
    // What was counted today and is no longer there is taken back.
    assert_eq!(of(share(hour(24), "2"))[0].metered, Micros::ZERO);
}

#[test]
fn a_cap_that_a_renewal_passed_is_told_by_period_and_one_that_is_just_full_is_not() {
    let row = |accrued: &str| Cap {
        held: euros("1"),
        accrued: euros(accrued),
        ..Cap::unused(name(), hour(24))
    };
    let caps = [cap(CapPeriod::Day)];
    assert_eq!(notices(&caps, &[row("4")]), []);
    let told = notices(&caps, &[row("4.000001")]);
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].0, "cap/lab/account/a1/2026-11-02T00:00:00Z");
    assert!(!told[0].1.contains('5'), "{}", told[0].1);
    assert_eq!(notices(&[], &[row("9")]), []);
}
