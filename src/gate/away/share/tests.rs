//! Pure: the room of a cap, to the millionth.

use super::*;
use crate::terms::time::HOUR;

fn passed(payer: &str, wallet: i64, one_off: i64) -> Passed {
    Passed {
        call: CallId::from_bits(1),
        hold: None,
        payer: payer.into(),
        wallet: Micros::new(wallet),
        one_off: Micros::new(one_off),
        at: Timestamp::from_seconds(0),
        horizon: HOUR,
    }
}

#[test]
fn the_cap_is_not_passed_by_a_micro() {
    let now = Timestamp::from_seconds(0);
    let before = [passed("pete", 30, 0), passed("paula", 1_000, 0)];
    let cap = Micros::new(50);
    assert_eq!(admit(&passed("pete", 20, 0), &before, cap, now), Ok(()));
    let over = admit(&passed("pete", 21, 0), &before, cap, now);
    let left = Micros::new(20);
    assert_eq!(over, Err(NoRoom { share: cap, left }));
}

#[test]
fn shares_of_all_nodes_together_are_never_more_than_the_cap() {
    for (cap, nodes) in [(50, 3), (2, 3), (0, 1), (i64::MAX, 7), (100, 1)] {
        let one = share(Micros::new(cap), nodes).get();
        assert!(one.checked_mul(i64::from(nodes)).unwrap() <= cap);
        assert!(
            one * i64::from(nodes) > cap - i64::from(nodes),
            "{cap} {nodes}"
        );
    }
    assert_eq!(share(Micros::new(-5), 1), Micros::ZERO);
}

#[test]
fn what_runs_on_counts_once_for_every_horizon_and_its_one_off_price_once() {
    let one = passed("pete", 30, 10);
    let at = |micros| counts(&one, Timestamp::from_micros(micros)).get();
    assert_eq!([at(0), at(1), at(HOUR)], [30, 30, 30]);
    assert_eq!([at(HOUR + 1), at(2 * HOUR), at(2 * HOUR + 1)], [50, 50, 70]);
    assert_eq!(at(-HOUR), 30, "a clock that went back");
}

#[test]
fn what_no_amount_can_be_leaves_no_room() {
    let now = Timestamp::from_seconds(1_000_000_000);
    let before = [passed("pete", i64::MAX, 0), passed("pete", 5, 0)];
    let cap = Micros::new(i64::MAX);
    assert!(admit(&passed("pete", 1, 0), &before, cap, now).is_err());
}
