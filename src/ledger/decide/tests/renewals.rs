//! Pure: what may happen between the figures of a renewal and its booking.

use super::*;

/// The renewal knows of one machine; another one's hold settles before it is booked. What that hold
/// brought stays in the cover, and the next renewal, which knows both, has nothing to move.
#[test]
fn a_hold_that_settles_while_a_renewal_is_computed_stays_in_the_cover() {
    let mut books = Books::opened(BillingMode::Prepaid, "0");
    books.ok(&top_up("p1", m("2")));
    books.ok(&hold(1, m("0.4")));
    books.ok(&settle(1));
    books.ok(&hold(2, m("0.5")));
    let computed = books.renew(300, "0.1", "0.4");
    books.ok(&settle(2));
    books.ok(&computed);
    books.shows("1", "0.9", "0.1");
    assert_eq!(books.state().cover_target, m("0.9"));
    assert_eq!(books.state().cover_short(), Ok(Micros::ZERO));
    let next = books.renew(300, "0.1", "0.9");
    books.ok(&next);
    books.shows("1", "0.9", "0.1");
    books.sound();
}

/// Gift credit goes first, so a renewal that did not know of it computes again.
#[test]
fn a_hold_of_gift_credit_that_settles_meanwhile_is_a_conflict() {
    let mut books = Books::opened(BillingMode::Prepaid, "0");
    books.ok(&top_up("p1", m("1")));
    books.ok(&grants::grant("g1", "1", None));
    let mut held = hold(1, m("0.4"));
    if let Command::Hold { legs, .. } = &mut held {
        legs[0].promo = m("0.1");
    }
    books.ok(&held);
    let computed = books.renew(300, "0.1", "0.4");
    books.ok(&settle(1));
    let refused = books.try_to(&computed);
    assert!(matches!(refused, Err(LedgerRefusal::Conflict { .. })));
}
