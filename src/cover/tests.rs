//! Pure: tables of the cover's rules.

use crate::cover::cover::{after_promo, catch_up, renewal_interval};
use crate::cover::forecast::{Forecast, forecast, lasts};
use crate::cover::ladder::{Step, due, stop_at};
use crate::cover::settle::{Outcome, UNKNOWN_PATIENCE, Verdict, verdict};
use crate::ledger::records::{BillingMode, PayerState};
use crate::policy::prepaid::PrepaidProfile;
use crate::rate::GroupNet;
use crate::terms::money::{Currency, Micros};
use crate::terms::time::{HOUR, SECOND, Timestamp};

const MINUTE: i64 = 60 * SECOND;

fn euros(text: &str) -> Micros {
    text.parse().unwrap()
}

fn state(available: &str, held: &str) -> PayerState {
    let mut purses = [Micros::ZERO; 7];
    purses[0] = euros(available);
    purses[1] = euros(held);
    PayerState {
        payer: "p".into(),
        seller: "s".into(),
        currency: Currency::EUR,
        mode: BillingMode::Prepaid,
        credit_line: Micros::ZERO,
        purses,
        holds_open: Micros::ZERO,
        promo_holds_open: Micros::ZERO,
        cover_target: euros("1"),
        promo_cover_target: Micros::ZERO,
        accrued_through: Timestamp::from_seconds(0),
        version: 0,
    }
}

#[test]
fn renewals_come_closer_as_the_money_ends() {
    let profile = PrepaidProfile::default();
    let interval = |available, held, runs| {
        renewal_interval(&profile, &state(available, held), euros("1"), runs).unwrap()
    };
    let table = [
        ("24", "1", true, Some(29 * MINUTE)),
        ("23.999999", "1", true, Some(5 * MINUTE)),
        ("0", "1", true, Some(5 * MINUTE)),
        ("0", "0.999999", true, Some(MINUTE)),
        ("0", "0", false, None),
    ];
    for (available, held, runs, wanted) in table {
        assert_eq!(
            interval(available, held, runs),
            wanted,
            "{available} {held}"
        );
    }
    let mut postpaid = state("-5", "1");
    postpaid.mode = BillingMode::Postpaid;
    let relaxed = renewal_interval(&profile, &postpaid, euros("1"), true).unwrap();
    assert_eq!(relaxed, Some(29 * MINUTE));
}

#[test]
fn an_outage_is_caught_up_in_steps_of_three_intervals_oldest_first() {
    let at = |minutes: i64| Timestamp::from_seconds(minutes * 60);
    assert_eq!(
        catch_up(at(0), at(40), 5 * MINUTE),
        [at(15), at(30), at(40)]
    );
    assert_eq!(catch_up(at(0), at(15), 5 * MINUTE), [at(15)]);
    assert_eq!(catch_up(at(7), at(7), 5 * MINUTE), []);
}

#[test]
fn gift_credit_pays_net_and_the_wallet_pays_tax_on_the_rest_only() {
    let group = |code: &str, rate: &str, net: &str| GroupNet {
        tax_group: code.to_owned(),
        rate: rate.parse().unwrap(),
        net: net.parse().unwrap(),
    };
    let groups = [group("A", "0.20", "1.50"), group("B", "0.10", "1.00")];
    let table = [
        ("0", "2.90", "0"),
        ("1.00", "1.70", "1.00"),
        ("2.00", "0.55", "2.00"),
        ("9.00", "0", "2.50"),
    ];
    for (promo, wallet, gift) in table {
        let found = after_promo(&groups, euros(promo)).unwrap();
        assert_eq!(found, (euros(wallet), euros(gift)), "{promo}");
    }
}

#[test]
fn the_ladder_tells_long_before_it_refuses_and_stops_only_where_the_policy_says_so() {
    let now = Timestamp::from_seconds(1_000_000);
    let seen = |until_empty: i64, cover: i64, shortfall: i64| Forecast {
        burn_per_hour: euros("1"),
        until_empty: Some(until_empty),
        cover_lasts: Some(cover),
        shortfall: Micros::new(shortfall),
    };
    let profile = PrepaidProfile::default();
    let stopping = PrepaidProfile {
        stops: true,
        ..PrepaidProfile::default()
    };
    let notices = [
        Step::Notice(72 * HOUR),
        Step::Notice(24 * HOUR),
        Step::Notice(HOUR),
    ];
    assert_eq!(due(&profile, &seen(73 * HOUR, HOUR, 0), now), []);
    assert_eq!(due(&profile, &seen(72 * HOUR, HOUR, 0), now), notices[..1]);
    assert_eq!(due(&profile, &seen(24 * HOUR, HOUR, 0), now), notices[..2]);
    let short = seen(50 * MINUTE, 50 * MINUTE, 1);
    let refusing = [&notices[..], &[Step::RefuseRaising]].concat();
    assert_eq!(due(&stopping, &short, now), refusing);
    assert_eq!(stop_at(&stopping, &short, now), Some(now.plus(35 * MINUTE)));
    let last = seen(15 * MINUTE, 15 * MINUTE, 1);
    assert_eq!(due(&profile, &last, now), refusing);
    assert_eq!(
        due(&stopping, &last, now),
        [&refusing[..], &[Step::Stop]].concat()
    );
}

#[test]
fn the_forecast_counts_all_money_and_the_credit_line() {
    let mut state = state("2", "1");
    assert_eq!(
        forecast(&state, euros("1.5")).unwrap().until_empty,
        Some(2 * HOUR)
    );
    state.credit_line = euros("3");
    assert_eq!(
        forecast(&state, euros("1.5")).unwrap().until_empty,
        Some(4 * HOUR)
    );
    assert_eq!(lasts(euros("1"), Micros::ZERO), None);
    assert_eq!(lasts(euros("-1"), euros("1")), Some(0));
}

#[test]
fn money_goes_back_only_where_it_is_proved_that_nothing_came_of_the_call() {
    let sent = Timestamp::from_seconds(0);
    let unknown = |nothing_there| Outcome::Unknown {
        sent,
        nothing_there,
    };
    let late = sent.plus(UNKNOWN_PATIENCE);
    let early = sent.plus(UNKNOWN_PATIENCE - 1);
    let table = [
        (Outcome::NothingSent, sent, Verdict::GiveBack),
        (Outcome::RefusedBeforeCreation, sent, Verdict::GiveBack),
        (Outcome::Succeeded, sent, Verdict::Settle { one_off: true }),
        (
            Outcome::Failed { present: true },
            sent,
            Verdict::Settle { one_off: false },
        ),
        (Outcome::Failed { present: false }, sent, Verdict::GiveBack),
        (Outcome::Running, late, Verdict::Wait),
        (unknown(None), late, Verdict::Wait),
        (unknown(Some(true)), early, Verdict::Wait),
        (unknown(Some(true)), late, Verdict::GiveBack),
        (
            unknown(Some(false)),
            early,
            Verdict::Settle { one_off: true },
        ),
    ];
    for (outcome, now, wanted) in table {
        assert_eq!(verdict(outcome, now), wanted, "{outcome:?}");
    }
}
