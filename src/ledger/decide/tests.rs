//! Pure: the rules of the books as stories, and sequences that nobody thought of.

use super::*;
use crate::ledger::command::*;
use crate::ledger::records::Purse;
use crate::ledger::verify::Sums;
use crate::terms::ids::{CallId, DocumentId, HoldId, PriceLineId, TransferId};
use crate::terms::quantity::UnitMicros;
use crate::terms::time::BillingMonth;
use proptest::prelude::*;

mod grants;
mod bundles;
mod moved;
mod passed;
mod renewals;

fn m(text: &str) -> Micros {
    text.parse().unwrap()
}
fn acme() -> PayerId {
    PayerId::from("acme")
}
fn month() -> BillingMonth {
    BillingMonth::parse("2026-11", "UTC").unwrap()
}
fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

struct Books(Loaded);

impl Books {
    fn opened(mode: BillingMode, line: &str) -> Self {
        let mut books = Self(Loaded::default());
        let terms = Terms {
            mode,
            credit_line: m(line),
        };
        books.ok(&Command::OpenPayer {
            payer: acme(),
            seller: SellerId::from("house"),
            currency: Currency::EUR,
            terms,
            at: at(0),
        });
        books
    }
    fn try_to(&mut self, command: &Command) -> Result<Effects, LedgerRefusal> {
        let effects = decide(command, &self.0)?;
        self.0.absorb(&effects);
        Ok(effects)
    }
    fn ok(&mut self, command: &Command) -> Effects {
        let effects = self.try_to(command).unwrap();
        self.sound();
        effects
    }
    fn state(&self) -> &PayerState {
        &self.0.payers[&acme()]
    }
    fn shows(&self, available: &str, held: &str, accrued: &str) {
        let purses = [Purse::Available, Purse::Held, Purse::Accrued];
        let found = purses.map(|purse| self.state().purse(purse));
        assert_eq!(found, [m(available), m(held), m(accrued)]);
    }
    fn sound(&self) {
        let mut sums = Sums::default();
        for row in self.0.transfers.values().flatten() {
            sums.take(row);
        }
        let holds: Vec<_> = self.0.holds.values().flatten().cloned().collect();
        let items: Vec<_> = self.0.items.values().cloned().collect();
        assert_eq!(sums.faults(&self.0.payers, &holds, &items), []);
    }
    fn renew(&self, seconds: i64, total: &str, target: &str) -> Command {
        Command::Renew(Renew {
            caps: Vec::new(),
            payer: acme(),
            expected_version: self.state().version,
            from_target: self.state().cover_target,
            through: at(seconds),
            totals: vec![total_of(m(total))],
            cover_target: m(target),
            promo_cover_target: Micros::ZERO,
            at: at(seconds),
        })
    }
}

fn total_of(total: Micros) -> LineTotal {
    LineTotal {
        line: PriceLineId::from("vm"),
        month: month(),
        tax_group: "DE.20".into(),
        quantity: UnitMicros::ZERO,
        total,
        promo_total: Micros::ZERO,
    }
}
fn top_up(id: &str, amount: Micros) -> Command {
    Command::TopUp(TopUp {
        id: id.into(),
        payer: acme(),
        amount,
        provider: "card".into(),
        tax: None,
        paper: None,
        reference: None,
        at: at(0),
    })
}
fn hold(id: u128, wallet: Micros) -> Command {
    Command::Hold {
        hold: HoldId::from_bits(id),
        call: CallId::from_bits(id),
        legs: vec![HoldLeg {
            caps: Vec::new(),
            payer: acme(),
            wallet,
            promo: Micros::ZERO,
            one_off: Micros::ZERO,
        }],
        at: at(0),
    }
}
fn settle(id: u128) -> Command {
    Command::Settle {
        hold: HoldId::from_bits(id),
        one_off: vec![],
        at: at(0),
    }
}
fn issue(id: u128, net: &str, tax: &str) -> Command {
    Command::Issue(Issue {
        payer: acme(),
        paper: Paper {
            id: DocumentId::from_bits(id),
            series: "2026".into(),
            body: "{}".into(),
        },
        months: vec![month()],
        revenue: vec![RevenueAmount {
            class: "compute".into(),
            amount: m(net),
        }],
        taxes: vec![TaxAmount {
            tax: "DE.20".into(),
            amount: m(tax),
        }],
        rounding: Micros::ZERO,
        due: at(9),
        at: at(5),
    })
}

#[test]
fn the_worked_example_comes_out_to_the_millionth() {
    let mut books = Books::opened(BillingMode::Prepaid, "0");
    books.ok(&top_up("p1", m("1")));
    books.ok(&hold(1, m("0.432")));
    books.shows("0.568", "0.432", "0");
    books.ok(&hold(2, m("0.432")));
    books.shows("0.136", "0.864", "0");
    let refused = books.try_to(&hold(3, m("0.432"))).unwrap_err();
    assert_eq!(
        refused,
        LedgerRefusal::NotEnough {
            payer: acme(),
            price: m("0.432"),
            available: m("0.136"),
            short_by: m("0.296"),
        }
    );
    books.ok(&settle(1));
    books.ok(&settle(2));
    let rows = [
        ("0.072", "0.864", "0.064", "0.864", "0.072"),
        ("0.144", "0.864", "0", "0.856", "0.144"),
        ("0.216", "0.864", "0", "0.784", "0.216"),
        ("0.288", "0", "0.712", "0", "0.288"),
    ];
    for (step, (total, target, available, held, accrued)) in rows.into_iter().enumerate() {
        let renewal = books.renew(300 * (step as i64 + 1), total, target);
        let effects = books.ok(&renewal);
        assert!(
            step != 0 || effects.transfers.len() == 1,
            "consumed and refilled is one row"
        );
        books.shows(available, held, accrued);
        if step == 2 {
            let refused = books.try_to(&hold(9, m("0"))).unwrap_err();
            assert!(matches!(refused, LedgerRefusal::CoverShort { .. }));
        }
    }
    books.ok(&issue(1, "0.24", "0.05"));
    books.shows("0.71", "0", "0");
}

#[test]
fn a_postpaid_invoice_is_owed_until_it_is_paid_and_again_when_the_payment_is_disputed() {
    let mut books = Books::opened(BillingMode::Postpaid, "5");
    let renewal = books.renew(300, "1.2", "0.6");
    books.ok(&renewal);
    books.shows("-1.8", "0.6", "1.2");
    let renewal = books.renew(600, "1.2", "0");
    books.ok(&renewal);
    books.ok(&issue(1, "1", "0.2"));
    assert_eq!(books.state().owes(), Ok(m("1.2")));
    books.ok(&top_up("p1", m("1.2")));
    assert!(books.0.items.values().all(|item| item.open.is_zero()));
    books.ok(&Command::Dispute(Dispute {
        id: "d1".into(),
        payer: acme(),
        provider: "card".into(),
        amount: m("1.2"),
        step: DisputeStep::Opened,
        at: at(20),
    }));
    let open: Vec<_> = books.0.items.values().map(|item| item.open).collect();
    assert_eq!(open, [m("1.2")], "the invoice's own item is open again");
}

#[test]
fn numbers_of_a_series_have_no_gap() {
    let mut books = Books::opened(BillingMode::Postpaid, "5");
    for id in 1..=3 {
        let effects = books.ok(&issue(id, "0.1", "0.02"));
        assert_eq!(effects.document.unwrap().number, i64::try_from(id).unwrap());
    }
}

#[test]
fn a_prepaid_wallet_that_lacks_the_last_cent_leaves_it_to_rounding() {
    let mut books = Books::opened(BillingMode::Prepaid, "0");
    books.ok(&top_up("p1", m("0.288")));
    let renewal = books.renew(300, "0.288", "0");
    books.ok(&renewal);
    books.ok(&issue(1, "0.24", "0.05"));
    books.shows("0", "0", "0");
}

#[test]
fn a_top_up_fills_the_cover_first() {
    let mut books = Books::opened(BillingMode::Prepaid, "0");
    let renewal = books.renew(300, "0", "0.5");
    books.ok(&renewal);
    books.ok(&top_up("p1", m("0.4")));
    books.shows("0", "0.4", "0");
    books.ok(&top_up("p2", m("0.4")));
    books.shows("0.3", "0.5", "0");
}

#[test]
fn a_name_with_other_content_is_refused_and_the_same_content_changes_nothing() {
    let mut books = Books::opened(BillingMode::Prepaid, "0");
    books.ok(&top_up("p1", m("1")));
    assert!(books.ok(&top_up("p1", m("1"))).already_done);
    books.shows("1", "0", "0");
    let other = books.try_to(&top_up("p1", m("2"))).unwrap_err();
    assert!(matches!(other, LedgerRefusal::SameIdOtherContent { .. }));
}

#[test]
fn a_command_repeated_later_is_the_same_command() {
    let mut books = Books::opened(BillingMode::Prepaid, "0");
    books.ok(&top_up("p1", m("1")));
    books.ok(&hold(1, m("0.4")));
    let give_back = |seconds| Command::GiveBack {
        hold: HoldId::from_bits(1),
        one_off: vec![],
        at: at(seconds),
    };
    books.ok(&give_back(3));
    assert!(books.ok(&give_back(70)).already_done);
    books.shows("1", "0", "0");
}

#[test]
fn a_resale_hold_takes_both_legs_or_neither() {
    let mut books = Books::opened(BillingMode::Prepaid, "0");
    books.ok(&top_up("p1", m("1")));
    let Command::Hold {
        hold,
        call,
        mut legs,
        at,
    } = hold(1, m("0.4"))
    else {
        unreachable!()
    };
    legs.push(HoldLeg {
        payer: PayerId::from("reseller"),
        ..legs[0].clone()
    });
    let command = Command::Hold {
        hold,
        call,
        legs,
        at,
    };
    let refused = books.try_to(&command).unwrap_err();
    assert!(matches!(refused, LedgerRefusal::UnknownPayer(_)));
    books.shows("1", "0", "0");
}

#[test]
fn one_off_prices_accrue_when_the_call_succeeds_and_what_did_not_fall_due_goes_back() {
    let mut books = Books::opened(BillingMode::Prepaid, "0");
    books.ok(&top_up("p1", m("1")));
    let Command::Hold {
        hold,
        call,
        mut legs,
        ..
    } = hold(1, m("0.4"))
    else {
        unreachable!()
    };
    legs[0].one_off = m("0.1");
    books.ok(&Command::Hold {
        hold,
        call,
        legs,
        at: at(1),
    });
    let line = LineAmount {
        payer: acme(),
        line: PriceLineId::from("setup"),
        month: month(),
        tax_group: "DE.20".into(),
        amount: m("0.07"),
    };
    books.ok(&Command::Settle {
        hold,
        one_off: vec![line],
        at: at(2),
    });
    books.shows("0.63", "0.3", "0.07");
    assert_eq!(books.state().cover_target, m("0.3"));
}

#[test]
fn a_reversed_top_up_is_taken_out_again_and_a_hold_is_not_reversed_by_name() {
    let mut books = Books::opened(BillingMode::Prepaid, "0");
    books.ok(&top_up("p1", m("1")));
    books.ok(&hold(1, m("0.4")));
    books.ok(&Command::Reverse {
        of: TransferId::from("top-up/p1"),
        at: at(3),
    });
    books.shows("-0.4", "0.4", "0");
    let of = TransferId::from(hold(1, Micros::ZERO).name());
    let refused = books
        .try_to(&Command::Reverse { of, at: at(4) })
        .unwrap_err();
    assert!(matches!(refused, LedgerRefusal::NotReversible { .. }));
}

#[derive(Clone, Debug)]
enum Step {
    TopUp(i64),
    Hold(i64),
    GiveBack(usize),
    Settle(usize),
    Renew(i64, i64),
    Issue(i64),
    Dispute(i64),
    Twice,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (1..2_000_000_i64).prop_map(Step::TopUp),
        (0..900_000_i64).prop_map(Step::Hold),
        (0..8_usize).prop_map(Step::GiveBack),
        (0..8_usize).prop_map(Step::Settle),
        (0..400_000_i64, 0..900_000_i64).prop_map(|(a, b)| Step::Renew(a, b)),
        (0..300_000_i64).prop_map(Step::Issue),
        (1..500_000_i64).prop_map(Step::Dispute),
        Just(Step::Twice),
    ]
}

fn command_of(step: &Step, index: usize, total: &mut i64, books: &Books) -> Option<Command> {
    let nth = |n: usize| {
        let count = books.0.holds.len();
        (count > 0).then(|| *books.0.holds.keys().nth(n % count).unwrap())
    };
    Some(match step {
        Step::TopUp(amount) => top_up(&index.to_string(), Micros::new(*amount)),
        Step::Hold(amount) => hold(index as u128 + 1, Micros::new(*amount)),
        Step::GiveBack(n) => Command::GiveBack {
            hold: nth(*n)?,
            one_off: vec![],
            at: at(1),
        },
        Step::Settle(n) => Command::Settle {
            hold: nth(*n)?,
            one_off: vec![],
            at: at(1),
        },
        Step::Renew(more, target) => {
            *total += more;
            Command::Renew(Renew {
                caps: Vec::new(),
                payer: acme(),
                expected_version: books.state().version,
                from_target: books.state().cover_target,
                through: at(index as i64),
                totals: vec![total_of(Micros::new(*total))],
                cover_target: Micros::new(*target),
                promo_cover_target: Micros::ZERO,
                at: at(1),
            })
        }
        Step::Issue(net) => {
            let net = Micros::new(*net).to_string();
            issue(index as u128 + 1, &net, "0")
        }
        Step::Dispute(amount) => Command::Dispute(Dispute {
            id: index.to_string(),
            payer: acme(),
            provider: "card".into(),
            amount: Micros::new(*amount),
            step: DisputeStep::Opened,
            at: at(1),
        }),
        Step::Twice => return None,
    })
}

proptest! {
    #[test]
    fn no_sequence_of_commands_breaks_the_books(
        steps in prop::collection::vec(step(), 1..60),
        line in 0..1_000_000_i64,
    ) {
        let mut books = Books::opened(BillingMode::Postpaid, &Micros::new(line).to_string());
        let mut total = 0;
        let mut last: Option<Command> = None;
        for (index, step) in steps.iter().enumerate() {
            let before = books.state().clone();
            if let (Step::Twice, Some(command)) = (step, &last) {
                let again = books.try_to(command).unwrap();
                prop_assert!(again.already_done);
                prop_assert_eq!(&before, books.state());
                continue;
            }
            let Some(command) = command_of(step, index, &mut total, &books) else { continue };
            match books.try_to(&command) {
                Ok(effects) if effects.already_done => {}
                Ok(_) => {
                    let floor = Micros::new(-line);
                    if matches!(command, Command::Hold { .. })
                        && books.state().purse(Purse::Available) != before.purse(Purse::Available)
                    {
                        prop_assert!(books.state().purse(Purse::Available) >= floor);
                        prop_assert!(books.state().cover_short().unwrap().is_zero()
                            || books.state().spendable().unwrap() >= before.cover_short().unwrap());
                    }
                    last = Some(command);
                }
                Err(_) => prop_assert_eq!(&before, books.state()),
            }
            books.sound();
        }
    }

    #[test]
    fn holds_and_accrual_of_a_prepaid_payer_never_exceed_what_was_paid_in(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut books = Books::opened(BillingMode::Prepaid, "0");
        let (mut paid, mut total) = (0_i64, 0_i64);
        for (index, step) in steps.iter().enumerate() {
            // Consumption beyond the cover is overdraft, and disputes take money out again.
            let step = match step {
                Step::Renew(..) | Step::Issue(_) | Step::Dispute(_) => &Step::Renew(0, 200_000),
                step => step,
            };
            let Some(command) = command_of(step, index, &mut total, &books) else { continue };
            if let Ok(effects) = books.try_to(&command)
                && let (Step::TopUp(amount), false) = (step, effects.already_done)
            {
                paid += amount;
            }
            let state = books.state();
            let promised = state.purse(Purse::Held).plus(state.purse(Purse::Accrued)).unwrap();
            prop_assert!(promised.get() <= paid);
            prop_assert!(!state.purse(Purse::Available).is_negative());
        }
    }
}
