//! Pure: tables of the sampling window: how it is held, how it shortens, what can exceed it.

use super::*;

use crate::meter::counting::Sampler;
use crate::meter::kinds::nobody;
use crate::meter::resource::{Border, BorderSource, MeterId};
use crate::policy::customer::{PayerTerms, TaxMode, TaxProfile, TaxRate};
use crate::policy::prepaid::PrepaidProfile;
use crate::policy::tariff::{Basis, Component, Match, PriceBook, Tier, Unit};
use crate::policy::variable::{Floor, Variable};
use crate::terms::money::Currency;
use proptest::prelude::*;

const MINUTE: i64 = 60 * SECOND;
const GIB: i64 = 1 << 30;

fn now() -> Timestamp {
    Timestamp::from_seconds(1_795_000_000)
}

fn euros(text: &str) -> Micros {
    text.parse().unwrap()
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// A GiB sent costs so much, with 20 % on top.
fn book(price: &str) -> PriceBook {
    let line = PriceLine {
        id: "sent".into(),
        component: Component::SentGib,
        basis: Basis::Allocated,
        matches: Match::default(),
        unit: Unit::Amount,
        tiers: vec![Tier {
            up_to: None,
            price: decimal(price),
        }],
        allowance: Decimal::ONE_HUNDRED,
        month_cap: Some(decimal("0.01")),
        free: false,
        one_off: Decimal::ZERO,
        surcharge: false,
        class: "network".to_owned(),
        tax_group: "standard".to_owned(),
        text: "Traffic".to_owned(),
    };
    PriceBook {
        id: "book".to_owned(),
        currency: Currency::EUR,
        versions: vec![BookVersion {
            from: Timestamp::default(),
            until: None,
            lines: vec![line],
        }],
    }
}

fn terms() -> PayerTerms {
    PayerTerms {
        zone: "UTC".to_owned(),
        tax_mode: TaxMode::AtUse,
        tax: TaxProfile {
            rates: vec![TaxRate {
                group: "standard".to_owned(),
                code: "XX.20".to_owned(),
                rate: decimal("0.20"),
                from: Timestamp::default(),
            }],
        },
    }
}

fn state(available: &str, held: &str) -> PayerState {
    let mut purses = [Micros::ZERO; 7];
    (purses[0], purses[1]) = (euros(available), euros(held));
    PayerState {
        payer: "p".into(),
        seller: "s".into(),
        currency: Currency::EUR,
        mode: BillingMode::Prepaid,
        credit_line: Micros::ZERO,
        purses,
        holds_open: Micros::ZERO,
        promo_holds_open: Micros::ZERO,
        cover_target: Micros::ZERO,
        promo_cover_target: Micros::ZERO,
        accrued_through: now(),
        version: 0,
    }
}

/// The usage server's window, and an offering of 8.589934592 Mbit/s: a GiB in 1000 s.
fn counting(window: i64) -> Counting {
    let mut counting = Counting {
        sampler: Sampler::UsageWindow(window),
        ..Counting::default()
    };
    let key = (UsageType::NetworkBytesSent, "rated".to_owned());
    counting.rates.insert(key, GIB / 1_000);
    counting
}

fn network(offering: &str) -> Carrier {
    Carrier {
        usage_type: UsageType::NetworkBytesSent,
        attributes: Attributes {
            offering: Some(offering.to_owned()),
            ..Attributes::default()
        },
    }
}

struct Asked<'a> {
    price: &'a str,
    state: PayerState,
    carriers: Vec<Carrier>,
    servers: i64,
    highest: BTreeMap<UsageType, Highest>,
    variable: Variable,
}

impl Default for Asked<'_> {
    fn default() -> Self {
        Self {
            price: "1",
            state: state("1000", "0"),
            carriers: vec![network("rated")],
            servers: MINUTE,
            highest: BTreeMap::new(),
            variable: Variable::default(),
        }
    }
}

fn found(asked: &Asked<'_>) -> Option<Window> {
    let (book, terms) = (book(asked.price), terms());
    let profile = PrepaidProfile {
        variable: asked.variable.clone(),
        ..PrepaidProfile::default()
    };
    let pricing = Pricing {
        book: &book,
        terms: &terms,
        profile: &profile,
    };
    let known = Known {
        counting: &counting(asked.servers),
        highest: &asked.highest,
    };
    let so_far = |_: &PriceLineId| UnitMicros::ZERO;
    window(pricing, &asked.state, &asked.carriers, known, so_far, now()).unwrap()
}

fn of(units: i64, lasted: i64) -> BTreeMap<UsageType, Highest> {
    BTreeMap::from([(UsageType::NetworkBytesSent, Highest { units, lasted })])
}

fn near(found: Micros, wanted: &str) -> bool {
    (found.get() - euros(wanted).get()).abs() <= 3
}

#[test]
fn a_window_of_ten_minutes_is_held_at_the_line_rate() {
    // 0.6 GiB in 600 s at 1.20; what comes 120 s late is 0.12 GiB. Allowance and cap count nothing.
    let one = found(&Asked::default()).unwrap();
    assert_eq!((one.length, one.by), (10 * MINUTE, By::LineRate));
    assert!(near(one.held, "0.72"), "{one:?}");
    assert!(near(one.overdraft.unwrap(), "0.144"), "{one:?}");
    let two = found(&Asked {
        carriers: vec![network("rated"); 2],
        ..Asked::default()
    });
    assert!(near(two.unwrap().held, "1.44"), "{two:?}");
}

#[test]
fn a_longer_window_is_held_at_twice_the_highest_of_seven_days() {
    let hour = |highest, variable: Variable| {
        let asked = Asked {
            servers: HOUR,
            highest,
            variable,
            ..Asked::default()
        };
        found(&asked).unwrap()
    };
    // 0.6 GiB in an hour at most so far: 1.2 at 1.20; 3.72 could pass in an hour and 2 minutes.
    let usual = hour(of(GIB * 6 / 10, HOUR), Variable::default());
    assert_eq!((usual.length, usual.by), (HOUR, By::Estimate));
    assert!(near(usual.held, "1.44"), "{usual:?}");
    assert!(near(usual.overdraft.unwrap(), "3.024"), "{usual:?}");
    // Never less than the floor, never more than the line lets through.
    assert!(near(hour(of(1, HOUR), Variable::default()).held, "1.2"));
    assert!(near(
        hour(of(9 * GIB, HOUR), Variable::default()).held,
        "4.32"
    ));
    let floors = vec![Floor {
        component: Some(Component::SentGib),
        offering: Some("rated".to_owned()),
        per_hour: decimal("0.5"),
    }];
    let own = Variable {
        floors,
        factor: decimal("1.5"),
        ..Variable::default()
    };
    assert!(near(hour(BTreeMap::new(), own.clone()).held, "0.6"));
    assert!(near(hour(of(GIB, HOUR), own).held, "1.8"));
}

#[test]
fn without_a_line_rate_an_overdraft_has_no_bound() {
    let asked = Asked {
        carriers: vec![network("unbound")],
        ..Asked::default()
    };
    let window = found(&asked).unwrap();
    // The floor: a GiB an hour.
    assert_eq!((window.overdraft, window.by), (None, By::Estimate));
    assert!(near(window.held, "0.2"), "{window:?}");
}

#[test]
fn the_window_shortens_so_that_it_takes_a_tenth_of_the_money() {
    // Ten minutes take 0.72.
    let table = [
        ("7.21", "0", 600),
        ("3.60", "0", 300),
        ("0", "3.60", 300),
        ("1.80", "1.80", 300),
        ("1.44", "0", 120),
        ("0.72", "0", 60),
        ("0.10", "0", 60),
        ("-5", "0", 60),
    ];
    for (available, held, seconds) in table {
        let state = state(available, held);
        let window = found(&Asked {
            state,
            ..Asked::default()
        });
        let length = window.unwrap().length;
        let apart = (length - seconds * SECOND).abs();
        assert!(apart <= SECOND, "{available} {held}: {length}");
    }
    let mut postpaid = state("0", "0");
    postpaid.mode = BillingMode::Postpaid;
    let window = found(&Asked {
        state: postpaid,
        ..Asked::default()
    });
    assert_eq!(window.unwrap().length, 10 * MINUTE);
}

#[test]
fn the_usage_servers_own_window_is_never_undercut() {
    let poor = Asked {
        state: state("0.10", "0"),
        servers: 5 * MINUTE,
        ..Asked::default()
    };
    assert_eq!(found(&poor).unwrap().length, 5 * MINUTE);
}

#[test]
fn nothing_is_held_for_what_is_free_not_counted_or_cannot_be_used() {
    let free = Asked {
        price: "0",
        ..Asked::default()
    };
    let disk = Carrier {
        usage_type: UsageType::VmDiskIoRead,
        ..network("rated")
    };
    let other = Asked {
        carriers: vec![disk],
        ..Asked::default()
    };
    let none = Asked {
        carriers: Vec::new(),
        ..Asked::default()
    };
    for asked in [free, other, none] {
        assert_eq!(found(&asked), None);
    }
}

fn interval(usage_type: UsageType, id: &str, attributes: Attributes) -> Interval {
    Interval {
        meter: MeterId {
            usage_type,
            resource: id.into(),
            part: String::new(),
        },
        owner: nobody(),
        attributes,
        start: Border {
            at: now(),
            source: BorderSource::Printed,
        },
        end: None,
    }
}

#[test]
fn networks_with_a_router_and_disks_of_running_machines_use_amounts() {
    let state = |state: &str| Attributes {
        state: Some(state.to_owned()),
        ..Attributes::default()
    };
    let of_vm = |vm: &str| Attributes {
        vm: Some(vm.into()),
        ..Attributes::default()
    };
    let mut gone = interval(UsageType::Network, "gone", state("Implemented"));
    gone.end = Some(gone.start);
    let all = [
        interval(UsageType::Network, "used", state("Implemented")),
        interval(UsageType::Network, "idle", state("Allocated")),
        gone,
        interval(UsageType::RunningVm, "runs", Attributes::default()),
        interval(UsageType::Volume, "disk", of_vm("runs")),
        interval(UsageType::Volume, "cold", of_vm("stopped")),
        interval(UsageType::Volume, "loose", Attributes::default()),
    ];
    let kinds: Vec<u8> = carriers(&all)
        .iter()
        .map(|one| one.usage_type.number())
        .collect();
    assert_eq!(kinds, [4, 5, 21, 22, 23, 24]);
    let plan = |state_of: &str| Planned {
        usage_type: UsageType::Network,
        attributes: state(state_of),
    };
    let more = planned(&[plan("Implemented")], &[plan("Allocated")]);
    assert_eq!(more.len(), 2);
    assert_eq!(planned(&[plan("Implemented")], &[plan("Implemented")]), []);
}

#[test]
fn the_highest_sample_is_the_fastest_of_those_that_count() {
    let sample = |units: i64, from: i64, minutes: i64| {
        let attributes = Attributes {
            count: units,
            ..Attributes::default()
        };
        let mut one = interval(UsageType::NetworkBytesSent, "router", attributes);
        one.start.at = now().plus(from * MINUTE);
        one.end = Some(Border {
            at: one.start.at.plus(minutes * MINUTE),
            ..one.start
        });
        one
    };
    // 100 a minute, 30 a minute, two of one window together 120 a minute, one too long ago.
    let all = [
        sample(1_000, -60, 10),
        sample(1_800, -120, 60),
        sample(700, -20, 10),
        sample(500, -20, 10),
        sample(1_000_000, -20_000, 10),
    ];
    let found = highest(&all, now().plus(-WEEK));
    let wanted = Highest {
        units: 1_200,
        lasted: 10 * MINUTE,
    };
    assert_eq!(found[&UsageType::NetworkBytesSent], wanted);
}

proptest! {
    #[test]
    fn less_money_never_makes_a_window_longer_or_takes_more_for_it(
        rich in 0_i64..100_000_000,
        poorer in 0_i64..100_000_000,
    ) {
        let of = |micros: i64| found(&Asked {
            state: state(&Micros::new(micros).to_string(), "0"),
            ..Asked::default()
        }).unwrap();
        let (poor, rich) = (of(rich.min(poorer)), of(rich.max(poorer)));
        prop_assert!(poor.length <= rich.length);
        prop_assert!(poor.held <= rich.held);
    }

    #[test]
    fn at_the_line_rate_nothing_that_can_pass_in_a_window_is_uncovered(
        bytes_per_second in 1_i64..2_000_000_000,
        used in 0_i64..1_000,
        available in 0_i64..1_000_000_000,
    ) {
        let (book, terms) = (book("0.01"), terms());
        let profile = PrepaidProfile::default();
        let pricing = Pricing { book: &book, terms: &terms, profile: &profile };
        let mut counting = counting(MINUTE);
        let key = (UsageType::NetworkBytesSent, "rated".to_owned());
        counting.rates.insert(key, bytes_per_second);
        let highest = BTreeMap::new();
        let known = Known { counting: &counting, highest: &highest };
        let state = state(&Micros::new(available).to_string(), "0");
        let carriers = [network("rated")];
        let so_far = |_: &PriceLineId| UnitMicros::ZERO;
        let found = window(pricing, &state, &carriers, known, so_far, now()).unwrap().unwrap();
        let bytes = bytes_per_second * (found.length / SECOND) / 1_000 * used;
        let net = Decimal::from(bytes) * decimal("0.01") / Decimal::from(GIB);
        let cost = charge_to_micros(net * decimal("1.2")).unwrap();
        prop_assert!(cost.get() <= found.held.get() + 1, "{cost} over {found:?}");
    }
}
