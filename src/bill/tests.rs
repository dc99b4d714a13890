//! Pure: tables of documents' arithmetic.

use proptest::prelude::*;
use rust_decimal::Decimal;

use crate::bill::credit_note::{CreditFault, credit};
use crate::bill::invoice::{Draft, Due, Invoiced, draft, gathered};
use crate::bill::statement::statement;
use crate::ledger::records::{Account, Purse, Transfer};
use crate::policy::customer::TaxMode;
use crate::terms::money::{Currency, Micros, to_minor_unit};
use crate::terms::time::{BillingMonth, Timestamp};

fn euros(text: &str) -> Micros {
    text.parse().unwrap()
}

fn due(line: &str, class: &str, group: (&str, &str), net: &str) -> Due {
    Due {
        line: line.into(),
        month: BillingMonth::parse("2026-11", "UTC").unwrap(),
        text: line.to_owned(),
        class: class.to_owned(),
        tax_group: group.0.to_owned(),
        rate: group.1.parse().unwrap(),
        quantity: Decimal::ONE,
        net: net.parse().unwrap(),
    }
}

const A: (&str, &str) = ("XX.20", "0.20");
const B: (&str, &str) = ("XX.7", "0.07");

fn drafted(due: &[Due], promo: &[(&str, &str)], already: &[Invoiced]) -> Option<Draft> {
    let promo: Vec<(String, Micros)> = promo
        .iter()
        .map(|(group, amount)| ((*group).to_owned(), euros(amount)))
        .collect();
    draft(Currency::EUR, TaxMode::AtUse, due, &promo, already).unwrap()
}

#[test]
fn lines_round_half_up_and_tax_once_a_group() {
    let due = [
        due("a", "compute", A, "0.125"),
        due("b", "compute", A, "0.004"),
        due("c", "storage", A, "0.125"),
        due("d", "storage", B, "1.00"),
    ];
    let draft = drafted(&due, &[], &[]).unwrap();
    // 0.13 + 0.13 = 0.26, 20 % of it 0.052; `b` comes to nothing and has no line.
    let tax: Vec<Micros> = draft.groups.iter().map(|group| group.tax).collect();
    assert_eq!(draft.lines.len(), 3);
    assert_eq!(tax, [euros("0.05"), euros("0.07")]);
    assert_eq!(draft.total, euros("1.38"));
    let revenue: Vec<Micros> = draft.revenue().unwrap().iter().map(|r| r.amount).collect();
    assert_eq!(revenue, [euros("0.13"), euros("1.13")]);
}

#[test]
fn gift_credit_is_an_allowance_of_its_group_and_never_more_than_it() {
    let due = [
        due("a", "compute", A, "1.50"),
        due("d", "storage", B, "1.00"),
    ];
    let draft = drafted(&due, &[("XX.20", "1.00"), ("XX.7", "3.00")], &[]).unwrap();
    let taxable: Vec<Micros> = draft.groups.iter().map(|group| group.taxable).collect();
    assert_eq!(taxable, [euros("0.50"), Micros::ZERO]);
    assert_eq!(
        (draft.allowance, draft.total),
        (euros("2.00"), euros("0.60"))
    );
    let revenue: Vec<Micros> = draft.revenue().unwrap().iter().map(|r| r.amount).collect();
    assert_eq!(revenue, [euros("0.50"), Micros::ZERO]);
}

#[test]
fn the_same_month_twice_issues_nothing_and_a_late_record_the_difference() {
    let first = drafted(&[due("a", "compute", A, "1.50")], &[], &[]).unwrap();
    assert_eq!(
        drafted(&[due("a", "compute", A, "1.504")], &[], &first.invoiced()),
        None
    );
    let late = drafted(&[due("a", "compute", A, "1.75")], &[], &first.invoiced()).unwrap();
    assert_eq!((late.net, late.tax), (euros("0.25"), euros("0.05")));
}

#[test]
fn a_credit_note_gives_back_a_share_of_a_line_that_is_there() {
    let invoice = drafted(&[due("a", "compute", A, "0.25")], &[], &[]).unwrap();
    let half: Decimal = "0.5".parse().unwrap();
    let note = credit(&invoice, &[("a".into(), half)]).unwrap();
    assert_eq!(note.total, euros("0.16")); // 0.125 → 0.13, 20 % of it 0.026 → 0.03
    let none = credit(&invoice, &[("z".into(), half)]);
    assert!(matches!(none, Err(CreditFault::UnknownLine(_))));
    let twice = credit(&invoice, &[("a".into(), Decimal::TWO)]);
    assert!(matches!(twice, Err(CreditFault::NotAShare { .. })));
}

#[test]
fn a_statement_shows_what_enters_and_leaves_the_wallet_and_no_inner_movement() {
    let row = |event: &str, debit: Account, credit: Account, amount: &str| Transfer {
        id: event.into(),
        seller: "s".into(),
        currency: Currency::EUR,
        event: event.to_owned(),
        debit,
        credit,
        amount: euros(amount),
        at: Timestamp::from_seconds(0),
    };
    let purse = |purse| Account::Payer("p".into(), purse);
    let seller = |name: &str| Account::Seller("s".into(), name.to_owned());
    let rows = [
        row(
            "top-up",
            seller("clearing.card"),
            purse(Purse::Available),
            "1",
        ),
        row("hold", purse(Purse::Available), purse(Purse::Held), "0.4"),
        row(
            "issue",
            purse(Purse::Accrued),
            seller("revenue.compute"),
            "0.3",
        ),
    ];
    let lines = statement(&"p".into(), Micros::ZERO, &rows).unwrap();
    let seen: Vec<(&str, Micros)> = lines
        .iter()
        .map(|line| (line.event.as_str(), line.balance))
        .collect();
    assert_eq!(seen, [("top-up", euros("1")), ("issue", euros("0.7"))]);
}

proptest! {
    #[test]
    fn invoices_of_a_growing_month_sum_to_its_rounded_net(
        steps in proptest::collection::vec(0_i64..5_000_000, 1..10),
    ) {
        let mut net = Decimal::ZERO;
        let mut already: Vec<Invoiced> = Vec::new();
        for step in steps {
            net += Decimal::new(step, 7);
            let mut one = due("a", "compute", A, "0");
            one.net = net;
            if let Some(draft) = drafted(&[one], &[], &already) {
                already.extend(draft.invoiced());
            }
        }
        let sum = Micros::sum(already.iter().map(|line| line.net)).unwrap();
        prop_assert_eq!(sum, to_minor_unit(net, Currency::EUR).unwrap());
    }
}

#[test]
fn causes_of_one_line_are_gathered_into_one() {
    let one = || due("a/one-off", "compute", A, "0.10");
    let all = gathered(vec![one(), due("b", "compute", A, "1"), one()]).unwrap();
    assert_eq!((all.len(), all[0].net), (2, "0.20".parse().unwrap()));
}
