//! Pure: bundles: held whole or not at all, drawn once, and the rest given back.

use super::*;
use crate::ledger::bundle::{Bundle, Draw, EndBundle, LineHold};
use crate::ledger::records::HoldStatus;
use crate::terms::ids::BundleId;

const BUNDLE: BundleId = BundleId::from_bits(7);

fn leg(wallet: &str, promo: &str) -> HoldLeg {
    HoldLeg {
        payer: acme(),
        wallet: m(wallet),
        promo: m(promo),
        one_off: Micros::ZERO,
        caps: Vec::new(),
    }
}
fn line(number: u128) -> HoldId {
    HoldId::from_bits(7_000 + number)
}
fn bundle(lines: &[HoldLeg]) -> Command {
    let lines = (0..).zip(lines).map(|(number, leg)| LineHold {
        hold: line(number),
        legs: vec![leg.clone()],
    });
    Command::Bundle(Bundle {
        bundle: BUNDLE,
        lines: lines.collect(),
        at: at(0),
    })
}
fn draw(id: u128, number: u128, leg: HoldLeg) -> Command {
    Command::Draw(Draw {
        hold: HoldId::from_bits(id),
        call: CallId::from_bits(id),
        bundle: BUNDLE,
        line: line(number),
        legs: vec![leg],
        at: at(1),
    })
}
fn end(lines: u128) -> Command {
    Command::EndBundle(EndBundle {
        bundle: BUNDLE,
        lines: (0..lines).map(line).collect(),
        at: at(2),
    })
}
fn give_back(id: u128) -> Command {
    Command::GiveBack {
        hold: HoldId::from_bits(id),
        one_off: Vec::new(),
        at: at(3),
    }
}
fn with_money(amount: &str) -> Books {
    let mut books = Books::opened(BillingMode::Prepaid, "0");
    books.ok(&top_up("p1", m(amount)));
    books
}
fn status(books: &Books, number: u128) -> HoldStatus {
    books.0.holds[&line(number)][0].status
}

#[test]
fn a_bundle_is_held_whole_or_not_at_all() {
    let mut books = with_money("10");
    let both = [leg("6", "0"), leg("4.5", "0")];
    let refused = books.try_to(&bundle(&both)).unwrap_err();
    assert_eq!(
        refused,
        LedgerRefusal::NotEnough {
            payer: acme(),
            price: m("10.5"),
            available: m("10"),
            short_by: m("0.5"),
        },
        "all lines are asked for at once"
    );
    books.shows("10", "0", "0");
    let both = [leg("6", "0"), leg("4", "0")];
    books.ok(&bundle(&both));
    books.shows("0", "10", "0");
    assert!(books.ok(&bundle(&both)).already_done, "said twice");
    let other = books.try_to(&bundle(&[leg("1", "0")])).unwrap_err();
    assert!(matches!(other, LedgerRefusal::SameIdOtherContent { .. }));
}

/// What a line holds, what its call then needs, and what is available and held afterwards; 10 was
/// paid in. None: it is refused, and the line stays as it is.
#[test]
fn a_call_takes_its_line_and_what_differs_moves_alone() {
    let table = [
        ("6", "6", Some(("4", "6"))),
        ("6", "2", Some(("8", "2"))),
        ("6", "0", Some(("10", "0"))),
        ("0", "6", Some(("4", "6"))),
        ("0", "0", Some(("10", "0"))),
        ("6", "10", Some(("0", "10"))),
        ("6", "10.000001", None),
        ("10", "10", Some(("0", "10"))),
    ];
    for (held, needs, shows) in table {
        let mut books = with_money("10");
        books.ok(&bundle(&[leg(held, "0")]));
        let before = books.state().clone();
        match (books.try_to(&draw(1, 0, leg(needs, "0"))), shows) {
            (Ok(_), Some((available, held))) => {
                books.sound();
                books.shows(available, held, "0");
                assert_eq!(books.state().holds_open, m(needs));
                assert_eq!(status(&books, 0), HoldStatus::Drawn);
                // From here on it is a hold like any other.
                books.ok(&settle(1));
                assert_eq!(books.state().cover_target, m(needs));
            }
            (Err(refusal), None) => {
                assert!(matches!(refusal, LedgerRefusal::NotEnough { short_by, .. }
                    if short_by == m("0.000001")));
                assert_eq!(books.state(), &before);
                assert_eq!(status(&books, 0), HoldStatus::Open);
            }
            (found, _) => panic!("{held}, {needs}: {found:?}"),
        }
    }
}

/// ADR 0052 tells it step by step.
#[test]
fn the_example_of_the_decision_is_booked_as_it_is_told() {
    let plan = ["0.432240", "0.432240", "0.000600"].map(|price| leg(price, "0"));
    let short = with_money("0.80").try_to(&bundle(&plan)).unwrap_err();
    assert!(
        matches!(short, LedgerRefusal::NotEnough { price, short_by, .. }
        if (price, short_by) == (m("0.865080"), m("0.065080")))
    );
    let mut books = with_money("3");
    let events = |effects: &Effects| -> Vec<String> {
        let rows = effects.transfers.iter();
        rows.map(|row| format!("{} {}", row.event, row.amount))
            .collect()
    };
    let made = books.ok(&bundle(&plan));
    assert_eq!(
        events(&made),
        ["hold 0.432240", "hold 0.432240", "hold 0.000600"]
    );
    books.shows("2.134920", "0.865080", "0");
    let drawn = books.ok(&draw(1, 0, leg("0.432240", "0")));
    assert_eq!(events(&drawn), ["draw 0.432240"]);
    books.shows("2.134920", "0.865080", "0");
    let drawn = books.ok(&draw(2, 1, leg("0.444240", "0")));
    assert_eq!(events(&drawn), ["draw 0.432240", "hold 0.012000"]);
    books.shows("2.122920", "0.877080", "0");
    let ended = books.ok(&end(3));
    assert_eq!(events(&ended), ["give-back 0.000600"]);
    books.shows("2.123520", "0.876480", "0");
}

#[test]
fn a_line_is_drawn_once_and_by_no_other_bundle() {
    let mut books = with_money("10");
    books.ok(&bundle(&[leg("2", "0"), leg("3", "0")]));
    books.ok(&draw(1, 0, leg("2", "0")));
    assert!(books.ok(&draw(1, 0, leg("2", "0"))).already_done);
    let twice = books.try_to(&draw(2, 0, leg("2", "0"))).unwrap_err();
    assert_eq!(
        twice,
        LedgerRefusal::HoldClosed {
            hold: line(0),
            status: HoldStatus::Drawn
        }
    );
    let Command::Draw(mut other) = draw(3, 1, leg("3", "0")) else {
        panic!("it is one");
    };
    other.bundle = BundleId::from_bits(8);
    let refused = books.try_to(&Command::Draw(other)).unwrap_err();
    assert_eq!(refused, LedgerRefusal::UnknownHold(line(1)));
    books.shows("5", "5", "0");
}

#[test]
fn what_no_call_drew_goes_back_once_and_what_was_drawn_stays_held() {
    let mut books = with_money("10");
    books.ok(&bundle(&[leg("2", "0"), leg("3", "0"), leg("4", "0")]));
    books.ok(&draw(1, 1, leg("3", "0")));
    books.ok(&end(3));
    books.shows("7", "3", "0");
    assert_eq!(
        [0, 1, 2].map(|number| status(&books, number)),
        [
            HoldStatus::GivenBack,
            HoldStatus::Drawn,
            HoldStatus::GivenBack
        ]
    );
    assert!(books.ok(&end(3)).already_done);
    let late = books.try_to(&draw(2, 0, leg("2", "0"))).unwrap_err();
    assert!(matches!(late, LedgerRefusal::HoldClosed { .. }), "{late}");
    // CloudStack refused the call: its own hold goes back as every hold does.
    books.ok(&give_back(1));
    books.shows("10", "0", "0");
}

#[test]
fn gift_credit_of_a_line_is_the_calls_too() {
    let mut books = with_money("10");
    books.ok(&Command::PromoGrant(PromoGrant {
        id: "g1".into(),
        payer: acme(),
        amount: m("3"),
        expires: None,
        reason: "a gift".into(),
        at: at(0),
    }));
    books.ok(&bundle(&[leg("1", "2"), leg("1", "1")]));
    let over = books.try_to(&draw(1, 0, leg("0", "3"))).unwrap_err();
    assert!(matches!(over, LedgerRefusal::PromoShort { .. }), "{over}");
    books.ok(&draw(1, 0, leg("2", "1")));
    let state = books.state();
    assert_eq!(state.purse(Purse::PromoAvailable), m("1"));
    assert_eq!(state.purse(Purse::PromoHeld), m("2"));
    assert_eq!(state.promo_holds_open, m("2"));
    books.shows("7", "3", "0");
    books.ok(&end(2));
    assert_eq!(books.state().purse(Purse::PromoHeld), m("1"));
    books.shows("8", "2", "0");
}

/// The cover of what runs comes first for new money; what a bundle promised is kept.
#[test]
fn a_line_is_kept_while_the_cover_is_short_and_nothing_beyond_it_is() {
    let mut books = with_money("10");
    books.ok(&bundle(&[leg("6", "0")]));
    let renewal = books.renew(1, "0", "5");
    books.ok(&renewal);
    books.shows("0", "10", "0");
    assert_eq!(books.state().cover_short(), Ok(m("1")));
    let beyond = books.try_to(&draw(1, 0, leg("6.5", "0"))).unwrap_err();
    assert!(matches!(beyond, LedgerRefusal::CoverShort { .. }));
    books.ok(&draw(1, 0, leg("6", "0")));
    assert_eq!(books.state().cover_short(), Ok(m("1")));
    // What goes back fills the cover first.
    books.ok(&give_back(1));
    books.shows("5", "5", "0");
}

#[test]
fn a_line_that_goes_back_fills_the_cover_first() {
    let mut books = with_money("10");
    books.ok(&bundle(&[leg("6", "0"), leg("3", "0")]));
    let renewal = books.renew(1, "0", "5");
    books.ok(&renewal);
    books.shows("0", "10", "0");
    books.ok(&draw(1, 0, leg("4", "0")));
    books.shows("0", "10", "0");
    assert_eq!(books.state().cover_short(), Ok(m("2")));
    books.ok(&end(2));
    books.shows("1", "9", "0");
    assert_eq!(books.state().cover_short(), Ok(Micros::ZERO));
}

fn micros() -> impl Strategy<Value = i64> {
    0..3_000_000_i64
}

proptest! {
    #[test]
    fn no_order_of_draws_and_ends_makes_or_loses_money(
        lines in prop::collection::vec(micros(), 1..5),
        draws in prop::collection::vec((0..5_u128, micros()), 0..8),
        ends_after in 0..8_usize,
        paid in 0..9_000_000_i64,
    ) {
        let mut books = Books::opened(BillingMode::Prepaid, "0");
        books.ok(&top_up("p1", Micros::new(paid.max(1))));
        let legs: Vec<HoldLeg> = lines
            .iter()
            .map(|wallet| HoldLeg { wallet: Micros::new(*wallet), ..leg("0", "0") })
            .collect();
        let whole: i64 = lines.iter().sum();
        let made = books.try_to(&bundle(&legs)).is_ok();
        prop_assert_eq!(made, whole <= paid.max(1));
        let mut drawn = std::collections::BTreeMap::new();
        for (index, (number, needs)) in draws.iter().enumerate() {
            if index == ends_after && made {
                books.ok(&end(lines.len() as u128));
            }
            let needed = HoldLeg { wallet: Micros::new(*needs), ..leg("0", "0") };
            let id = 100 + index as u128;
            if books.try_to(&draw(id, *number, needed)).is_ok() {
                prop_assert!(made && index < ends_after, "a line that is not there was drawn");
                prop_assert!(drawn.insert(*number, *needs).is_none(), "a line was drawn twice");
            }
            books.sound();
        }
        if made {
            prop_assert!(books.try_to(&end(lines.len() as u128)).is_ok());
            books.sound();
        }
        let held: i64 = drawn.values().sum();
        prop_assert_eq!(books.state().purse(Purse::Held).get(), held);
        prop_assert_eq!(books.state().holds_open.get(), held);
        prop_assert_eq!(books.state().purse(Purse::Available).get(), paid.max(1) - held);
    }
}
