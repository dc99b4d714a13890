//! Pure: rules of rating as tables, and what holds for any fleet and any split of time.

mod amounts {
    mod tests;
}

use proptest::prelude::*;
use rust_decimal::Decimal;

use crate::cloudstack::usage_type::UsageType;
use crate::meter::resource::{Attributes, Border, BorderSource, Interval, MeterId, Owner};
use crate::policy::customer::{PayerTerms, TaxMode, TaxProfile, TaxRate};
use crate::policy::tariff::{
    Basis, BookVersion, Component, Match, PriceBook, PriceLine, Tier, Unit,
};
use crate::rate::{Planned, RateError, cost_ahead, gross_of, hold_price, meter_per_hour, month};
use crate::terms::ids::{CsDomainId, ResourceId};
use crate::terms::money::{Currency, Micros};
use crate::terms::quantity::UnitMicros;
use crate::terms::time::{HOUR, Period, SECOND, Timestamp};

const NOVEMBER: Period = Period {
    start: Timestamp::from_seconds(1_793_491_200), // 2026-11-01T00:00:00Z
    end: Timestamp::from_seconds(1_796_083_200),
};

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

fn line(id: &str, component: Component, price: &str) -> PriceLine {
    PriceLine {
        id: id.into(),
        component,
        basis: if component.is_of_vm() {
            Basis::Running
        } else {
            Basis::Allocated
        },
        matches: Match::default(),
        unit: Unit::Hour,
        tiers: vec![Tier {
            up_to: None,
            price: decimal(price),
        }],
        allowance: Decimal::ZERO,
        month_cap: None,
        free: false,
        one_off: Decimal::ZERO,
        surcharge: false,
        class: "compute".to_owned(),
        tax_group: "standard".to_owned(),
        text: id.to_owned(),
    }
}

fn book(versions: Vec<(Timestamp, Vec<PriceLine>)>) -> PriceBook {
    PriceBook {
        id: "book".to_owned(),
        currency: Currency::EUR,
        versions: versions
            .into_iter()
            .map(|(from, lines)| BookVersion {
                from,
                until: None,
                lines,
            })
            .collect(),
    }
}

fn since_ever(lines: Vec<PriceLine>) -> PriceBook {
    book(vec![(Timestamp::from_seconds(0), lines)])
}

fn terms(rates: &[(i64, &str, &str)]) -> PayerTerms {
    PayerTerms {
        zone: "UTC".to_owned(),
        tax_mode: TaxMode::AtUse,
        tax: TaxProfile {
            rates: rates
                .iter()
                .map(|(from, code, rate)| TaxRate {
                    group: "standard".to_owned(),
                    code: (*code).to_owned(),
                    rate: decimal(rate),
                    from: Timestamp::from_seconds(*from),
                })
                .collect(),
        },
    }
}

fn twenty() -> PayerTerms {
    terms(&[(0, "XX.20", "0.20")])
}

fn ran(kind: UsageType, id: &str, attributes: Attributes, from: i64, to: Option<i64>) -> Interval {
    let border = |seconds: i64| Border {
        at: NOVEMBER.start.plus(seconds * SECOND),
        source: BorderSource::Printed,
    };
    Interval {
        meter: MeterId {
            usage_type: kind,
            resource: ResourceId::from(id),
            part: String::new(),
        },
        owner: Owner {
            account: None,
            account_name: None,
            domain: CsDomainId::from("d"),
            project: None,
        },
        attributes,
        start: border(from),
        end: to.map(border),
    }
}

fn vm(id: &str, from: i64, to: Option<i64>) -> Interval {
    ran(UsageType::RunningVm, id, Attributes::default(), from, to)
}

fn net(book: &PriceBook, intervals: &[Interval]) -> Decimal {
    let totals = month(book, &twenty(), NOVEMBER, intervals, NOVEMBER.end).unwrap();
    totals
        .lines
        .iter()
        .map(|line| line.net)
        .sum::<Decimal>()
        .normalize()
}

#[test]
fn tiers_allowances_and_caps_count_the_month() {
    let hours = |hours: i64| [vm("vm", 0, Some(hours * 3600))];
    let mut tiered = line("vm", Component::Vm, "1");
    tiered.tiers = vec![
        Tier {
            up_to: Some(decimal("10")),
            price: decimal("1"),
        },
        Tier {
            up_to: Some(decimal("20")),
            price: decimal("0.5"),
        },
        Tier {
            up_to: None,
            price: decimal("0.1"),
        },
    ];
    let mut free_first = tiered.clone();
    free_first.allowance = decimal("5");
    let mut capped = tiered.clone();
    capped.month_cap = Some(decimal("12"));
    let table = [
        (&tiered, 10, "10"),
        (&tiered, 15, "12.5"),
        (&tiered, 30, "16"),
        (&free_first, 5, "0"),
        (&free_first, 15, "10"),
        (&free_first, 35, "16"),
        (&capped, 13, "11.5"),
        (&capped, 15, "12"),
        (&capped, 100, "12"),
    ];
    for (line, ran, wanted) in table {
        let book = since_ever(vec![line.clone()]);
        assert_eq!(net(&book, &hours(ran)), decimal(wanted), "{ran} h");
    }
}

#[test]
fn quantities_run_on_through_a_change_of_prices() {
    let mut before = line("vm", Component::Vm, "1");
    before.tiers = vec![
        Tier {
            up_to: Some(decimal("10")),
            price: decimal("1"),
        },
        Tier {
            up_to: None,
            price: decimal("0.5"),
        },
    ];
    let mut after = before.clone();
    after.tiers[1].price = decimal("0.25");
    let change = NOVEMBER.start.plus(15 * HOUR);
    let book = book(vec![
        (Timestamp::from_seconds(0), vec![before]),
        (change, vec![after]),
    ]);
    // 10 h at 1, 5 h at 0.5, then 5 h at the new second tier, 0.25.
    assert_eq!(
        net(&book, &[vm("vm", 0, Some(20 * 3600))]),
        decimal("13.75")
    );
}

#[test]
fn stopped_seconds_are_allocated_less_running_of_the_same_machine() {
    let mut stopped = line("stopped", Component::Vm, "1");
    stopped.basis = Basis::Stopped;
    let book = since_ever(vec![line("vm", Component::Vm, "10"), stopped]);
    let allocated = |id, from, to| {
        ran(
            UsageType::AllocatedVm,
            id,
            Attributes::default(),
            from,
            Some(to),
        )
    };
    let fleet = [
        allocated("a", 0, 10 * 3600),
        vm("a", 3600, Some(2 * 3600)),
        vm("a", 4 * 3600, Some(6 * 3600)),
        vm("b", 0, Some(3600)),
    ];
    let totals = month(&book, &twenty(), NOVEMBER, &fleet, NOVEMBER.end).unwrap();
    let of = |id: &str| {
        totals
            .lines
            .iter()
            .find(|line| line.line.as_str() == id)
            .unwrap()
            .net
    };
    assert_eq!((of("stopped"), of("vm")), (decimal("7"), decimal("40")));
}

#[test]
fn a_change_of_tax_splits_a_line_into_two_groups() {
    let terms = terms(&[(0, "XX.20", "0.20"), (1_793_494_800, "XX.10", "0.10")]);
    let book = since_ever(vec![line("vm", Component::Vm, "1")]);
    let fleet = [vm("vm", 0, Some(3 * 3600))];
    let totals = month(&book, &terms, NOVEMBER, &fleet, NOVEMBER.end).unwrap();
    let groups: Vec<(&str, Micros)> = totals
        .groups
        .iter()
        .map(|group| (group.tax_group.as_str(), group.wallet))
        .collect();
    let wanted = [
        ("XX.10", Micros::new(2_200_000)),
        ("XX.20", Micros::new(1_200_000)),
    ];
    assert_eq!(groups, wanted);
}

#[test]
fn the_line_that_says_most_wins_and_a_surcharge_comes_on_top() {
    let mut gold = line("gold", Component::Vm, "5");
    gold.matches.offering = Some("gold".to_owned());
    let mut windows = line("windows", Component::Vm, "2");
    windows.matches.template = Some("w".to_owned());
    windows.surcharge = true;
    let book = since_ever(vec![line("vm", Component::Vm, "1"), gold, windows]);
    let of = |offering: &str, template: &str| {
        let attributes = Attributes {
            offering: Some(offering.to_owned()),
            template: Some(template.to_owned()),
            ..Attributes::default()
        };
        net(
            &book,
            &[ran(UsageType::RunningVm, "vm", attributes, 0, Some(3600))],
        )
    };
    let found = [of("small", "-"), of("gold", "-"), of("gold", "w")];
    assert_eq!(found, [decimal("1"), decimal("5"), decimal("7")]);
}

#[test]
fn what_ended_before_its_size_was_known_does_not_hold_up_the_rest() {
    let book = since_ever(vec![
        line("vm", Component::Vm, "1"),
        line("volume", Component::VolumeGib, "1"),
    ]);
    let disk = |end| ran(UsageType::Volume, "ROOT@vm", Attributes::default(), 0, end);
    let rated = |end| {
        let all = [vm("vm", 0, Some(3600)), disk(end)];
        month(&book, &twenty(), NOVEMBER, &all, NOVEMBER.end)
    };
    let missing = Err(RateError::AttributeMissing {
        usage_type: UsageType::Volume,
        resource: "ROOT@vm".into(),
        what: "size",
    });
    assert_eq!(rated(None), missing, "what runs on can still be read back");
    let totals = rated(Some(4)).unwrap();
    assert_eq!(totals.unmeasured, [disk(Some(4)).meter]);
    assert_eq!(totals.unpriced, []);
    let nets: Vec<_> = totals.lines.iter().map(|line| line.net).collect();
    assert_eq!(nets, [Decimal::ONE], "the machine's hour is charged");
}

#[test]
fn no_price_is_not_free_and_a_missing_figure_is_an_error() {
    let book = since_ever(vec![line("vcpu", Component::Vcpu, "1")]);
    let disk = ran(
        UsageType::Volume,
        "disk",
        Attributes::default(),
        0,
        Some(3600),
    );
    let totals = month(&book, &twenty(), NOVEMBER, &[disk], NOVEMBER.end).unwrap();
    assert_eq!(totals.unpriced.len(), 1);
    let refused = month(
        &book,
        &twenty(),
        NOVEMBER,
        &[vm("vm", 0, None)],
        NOVEMBER.end,
    );
    assert!(matches!(refused, Err(RateError::AttributeMissing { .. })));
    let late = self::book(vec![(NOVEMBER.start.plus(HOUR), vec![])]);
    let refused = month(
        &late,
        &twenty(),
        NOVEMBER,
        &[vm("vm", 0, None)],
        NOVEMBER.end,
    );
    assert!(matches!(refused, Err(RateError::NoVersion { .. })));
}

#[test]
fn what_lies_ahead_starts_anew_with_the_month() {
    let mut capped = line("vm", Component::Vm, "1");
    capped.month_cap = Some(decimal("700"));
    let book = since_ever(vec![capped]);
    // The cap is reached on the 30th; the last hour of the month is free, the next is not.
    let now = NOVEMBER.end.plus(-HOUR);
    let ahead = cost_ahead(&book, &twenty(), &[vm("vm", 0, None)], now, 2 * HOUR).unwrap();
    assert_eq!(gross_of(&ahead).unwrap(), Micros::new(1_200_000));
}

#[test]
fn a_hold_counts_on_no_allowance_no_cap_and_no_cheaper_tier() {
    let mut cheap = line("vm", Component::Vm, "1");
    cheap.allowance = decimal("100");
    cheap.month_cap = Some(decimal("0.5"));
    cheap.one_off = decimal("3");
    cheap.tiers = vec![
        Tier {
            up_to: Some(decimal("10")),
            price: decimal("1"),
        },
        Tier {
            up_to: None,
            price: decimal("0.5"),
        },
    ];
    let book = since_ever(vec![cheap]);
    let planned = [Planned {
        usage_type: UsageType::RunningVm,
        attributes: Attributes::default(),
    }];
    let at = |hours: i64| {
        let so_far = |_: &_| UnitMicros::of(1, hours * HOUR).unwrap();
        let now = NOVEMBER.start;
        hold_price(&book, &twenty(), &planned, so_far, now, 2 * HOUR).unwrap()
    };
    let price = at(0);
    assert_eq!(price.recurring, Micros::new(2_400_000));
    assert_eq!(price.one_off, Micros::new(3_600_000));
    assert_eq!(price.per_hour, Micros::new(1_200_000));
    assert_eq!(price.per_month, Micros::new(876_000_000));
    // Beyond the allowance and the first tier the dearer price is used up.
    assert_eq!(at(110).recurring, Micros::new(1_200_000));
    let disk = [Planned {
        usage_type: UsageType::Volume,
        attributes: Attributes::default(),
    }];
    let none = |_: &_| UnitMicros::ZERO;
    let price = hold_price(&book, &twenty(), &disk, none, NOVEMBER.start, HOUR).unwrap();
    assert_eq!(price.unpriced, disk);
}

#[test]
fn a_meter_shows_the_price_of_the_tier_that_its_line_has_reached() {
    let mut tiered = line("vcpu", Component::Vcpu, "1");
    tiered.tiers = vec![
        Tier {
            up_to: Some(decimal("10")),
            price: decimal("1"),
        },
        Tier {
            up_to: None,
            price: decimal("0.5"),
        },
    ];
    let book = since_ever(vec![tiered]);
    let attributes = Attributes {
        vcpus: Some(2),
        ..Attributes::default()
    };
    let at = |kind, hours: i64| {
        let so_far = |_: &_| UnitMicros::of(1, hours * HOUR).unwrap();
        let meter = (kind, &attributes);
        meter_per_hour(&book, &twenty(), meter, so_far, NOVEMBER.start).unwrap()
    };
    let running = UsageType::RunningVm;
    assert_eq!(
        [at(running, 9), at(running, 10)],
        [decimal("2.4"), decimal("1.2")]
    );
    assert_eq!(at(UsageType::Volume, 0), Decimal::ZERO);
}

fn any_line() -> impl Strategy<Value = PriceLine> {
    let tiers = prop_oneof![
        (1_i64..5_000_000).prop_map(|price| vec![(None, price)]),
        (1_i64..200, 1_i64..5_000_000, 1_i64..5_000_000)
            .prop_map(|(up_to, first, rest)| vec![(Some(up_to), first), (None, rest)]),
    ];
    let month = any::<bool>();
    let cap = proptest::option::of(1_i64..500);
    (tiers, 0_i64..50, cap, month).prop_map(|(tiers, allowance, cap, month)| {
        let mut line = line("vcpu", Component::Vcpu, "0");
        line.tiers = tiers
            .into_iter()
            .map(|(up_to, price)| Tier {
                up_to: up_to.map(Decimal::from),
                price: Decimal::new(price, 6),
            })
            .collect();
        line.allowance = Decimal::from(allowance);
        line.month_cap = cap.map(Decimal::from);
        line.unit = if month { Unit::Month } else { Unit::Hour };
        line
    })
}

fn any_fleet() -> impl Strategy<Value = Vec<Interval>> {
    let one = (
        0_i64..2_000_000,
        proptest::option::of(1_i64..900_000),
        1_i64..16,
    );
    proptest::collection::vec(one, 1..6).prop_map(|machines| {
        machines
            .into_iter()
            .enumerate()
            .map(|(at, (from, lasts, vcpus))| {
                let attributes = Attributes {
                    vcpus: Some(vcpus),
                    ..Attributes::default()
                };
                let to = lasts.map(|lasts| from + lasts);
                ran(
                    UsageType::RunningVm,
                    &format!("vm{at}"),
                    attributes,
                    from,
                    to,
                )
            })
            .collect()
    })
}

proptest! {
    #[test]
    fn accruals_over_any_split_of_time_sum_to_the_rounded_total(
        first in any_line(),
        second in any_line(),
        change in 0_i64..2_500_000,
        fleet in any_fleet(),
        mut cuts in proptest::collection::vec(0_i64..2_592_000_000, 0..12),
    ) {
        let change = NOVEMBER.start.plus(change * SECOND);
        let book = book(vec![(Timestamp::from_seconds(0), vec![first]), (change, vec![second])]);
        cuts.sort_unstable();
        let mut accrued = Micros::ZERO;
        for cut in cuts {
            let through = NOVEMBER.start.plus(cut * 1_000);
            let totals = month(&book, &twenty(), NOVEMBER, &fleet, through).unwrap();
            let wallet = totals.wallet().unwrap();
            prop_assert!(wallet >= accrued, "the month never gets cheaper as time goes on");
            accrued = accrued.plus(wallet.minus(accrued).unwrap()).unwrap();
        }
        let whole = month(&book, &twenty(), NOVEMBER, &fleet, NOVEMBER.end).unwrap();
        let last = whole.wallet().unwrap().minus(accrued).unwrap();
        prop_assert!(!last.is_negative());
        let exact: Decimal = whole.lines.iter().map(|line| line.net).sum();
        let gross = crate::rate::gross(exact, decimal("0.20")).unwrap();
        prop_assert_eq!(accrued.plus(last).unwrap(), gross);
    }

    #[test]
    fn more_machines_or_more_time_never_cost_less(
        line in any_line(),
        fleet in any_fleet(),
        more in any_fleet(),
        through in 0_i64..2_592_000,
    ) {
        let book = since_ever(vec![line]);
        let through = NOVEMBER.start.plus(through * SECOND);
        let cost = |fleet: &[Interval]| {
            month(&book, &twenty(), NOVEMBER, fleet, through).unwrap().wallet().unwrap()
        };
        let both: Vec<Interval> = fleet.iter().chain(&more).cloned().collect();
        prop_assert!(cost(&both) >= cost(&fleet));
    }

    #[test]
    fn a_hold_is_never_under_what_its_machine_adds_in_the_horizon(
        first in any_line(),
        second in any_line(),
        change in 0_i64..2_500_000,
        fleet in any_fleet(),
        vcpus in 1_i64..16,
        at in 0_i64..2_500_000,
    ) {
        let change = NOVEMBER.start.plus(change * SECOND);
        let book = book(vec![(Timestamp::from_seconds(0), vec![first]), (change, vec![second])]);
        let now = NOVEMBER.start.plus(at * SECOND);
        let terms = twenty();
        let attributes = Attributes { vcpus: Some(vcpus), ..Attributes::default() };
        let usage_type = UsageType::RunningVm;
        let planned = [Planned { usage_type, attributes: attributes.clone() }];
        let so_far = month(&book, &terms, NOVEMBER, &fleet, now).unwrap();
        let so_far = |line: &_| so_far.quantity_of(line);
        let held = hold_price(&book, &terms, &planned, so_far, now, HOUR).unwrap().recurring;
        let cost = |fleet: &[Interval]| {
            gross_of(&cost_ahead(&book, &terms, fleet, now, HOUR).unwrap()).unwrap()
        };
        let mut with = fleet.clone();
        with.push(ran(UsageType::RunningVm, "new", attributes, at, None));
        let adds = cost(&with).minus(cost(&fleet)).unwrap();
        // Two figures, each rounded to the millionth.
        prop_assert!(held.get() + 1 >= adds.get(), "held {held}, adds {adds}");
    }
}
