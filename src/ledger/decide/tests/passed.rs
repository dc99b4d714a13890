//! Pure: a hold that passed while the books were away.

use super::*;

/// What passed while the books were away is owed, whatever is left; once.
#[test]
fn a_hold_that_passed_is_taken_below_the_floor_once() {
    let mut books = Books::opened(BillingMode::Prepaid, "0");
    books.ok(&top_up("p1", m("1")));
    let Command::Hold {
        hold,
        call,
        legs,
        at,
    } = hold(1, m("1.5"))
    else {
        panic!("it is one");
    };
    assert!(books.try_to(&self::hold(1, m("1.5"))).is_err());
    let passed = Command::HoldPassed {
        hold,
        call,
        legs,
        at,
    };
    books.ok(&passed);
    books.shows("-0.5", "1.5", "0");
    assert!(books.ok(&passed).already_done);
    books.shows("-0.5", "1.5", "0");
    books.ok(&settle(1));
    let next = books.try_to(&self::hold(2, m("0.1")));
    assert!(matches!(next, Err(LedgerRefusal::NotEnough { .. })));
}
