//! Pure: what a call in doubt started is another payer's: his one-off prices accrue.

use super::*;

#[test]
fn a_hold_given_back_can_leave_one_off_prices_with_the_payer_whose_the_success_was() {
    let mut books = Books::opened(BillingMode::Prepaid, "0");
    let owner = PayerId::from("owner");
    books.ok(&Command::OpenPayer {
        payer: owner.clone(),
        seller: SellerId::from("house"),
        currency: Currency::EUR,
        terms: Terms {
            mode: BillingMode::Prepaid,
            credit_line: Micros::ZERO,
        },
        at: at(0),
    });
    books.ok(&top_up("p1", m("1")));
    books.ok(&hold(1, m("0.4")));
    let line = LineAmount {
        payer: owner.clone(),
        line: PriceLineId::from("setup/one-off"),
        month: month(),
        tax_group: "DE.20".into(),
        amount: m("0.12"),
    };
    let give_back = |amount: &str| Command::GiveBack {
        hold: HoldId::from_bits(1),
        one_off: vec![LineAmount {
            amount: m(amount),
            ..line.clone()
        }],
        at: at(2),
    };
    let negative = books.try_to(&give_back("-0.12")).unwrap_err();
    assert!(
        matches!(negative, LedgerRefusal::BadAmount { .. }),
        "{negative}"
    );
    books.ok(&give_back("0.12"));
    books.shows("1", "0", "0");
    let state = &books.0.payers[&owner];
    let purses = [Purse::Available, Purse::Accrued].map(|purse| state.purse(purse));
    assert_eq!(purses, [m("-0.12"), m("0.12")], "he pays below nothing");
    assert!(books.ok(&give_back("0.12")).already_done, "and once");
}
