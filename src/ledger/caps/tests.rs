//! Pure: the rules of caps as stories, and sequences against figures that the test keeps itself.

use super::*;
use crate::ledger::bundle::{Bundle, Draw, EndBundle, LineHold};
use crate::ledger::command::{HoldLeg, LineAmount, Renew, Terms, TopUp};
use crate::ledger::records::BillingMode;
use crate::ledger::{Command, Effects, LedgerRefusal, Loaded, decide};
use crate::terms::ids::{BundleId, CallId, HoldId, PriceLineId, SellerId};
use crate::terms::money::Currency;
use crate::terms::time::BillingMonth;
use proptest::prelude::*;

fn m(text: &str) -> Micros {
    text.parse().unwrap()
}
fn day(number: i64) -> Timestamp {
    Timestamp::from_seconds(number * 86_400)
}
fn payer(index: usize) -> PayerId {
    PayerId::from(["ann", "ben"][index % 2])
}
fn bound(most: Micros, start: Timestamp) -> CapBound {
    CapBound {
        cap: CapId::from("lab/domain/d1"),
        rule: "lab".into(),
        most,
        start,
        reason: "the lab has a budget".into(),
    }
}

struct Books(Loaded);

impl Books {
    /// Two payers with more money than any test holds.
    fn opened() -> Self {
        let mut books = Self(Loaded::default());
        for index in 0..2 {
            let terms = Terms {
                mode: BillingMode::Prepaid,
                credit_line: Micros::ZERO,
            };
            books.ok(&Command::OpenPayer {
                payer: payer(index),
                seller: SellerId::from("house"),
                currency: Currency::EUR,
                terms,
                at: day(0),
            });
            books.ok(&Command::TopUp(TopUp {
                id: index.to_string(),
                payer: payer(index),
                amount: m("1000000"),
                provider: "card".into(),
                tax: None,
                paper: None,
                reference: None,
                at: day(0),
            }));
        }
        books
    }
    fn try_to(&mut self, command: &Command) -> Result<Effects, LedgerRefusal> {
        let effects = decide(command, &self.0)?;
        self.0.absorb(&effects);
        let caps: Vec<Cap> = self.0.caps.values().cloned().collect();
        let shares: Vec<CapShare> = self.0.cap_shares.values().cloned().collect();
        let holds: Vec<Hold> = self.0.holds.values().flatten().cloned().collect();
        assert_eq!(faults(&caps, &shares, &holds), []);
        Ok(effects)
    }
    fn ok(&mut self, command: &Command) {
        drop(self.try_to(command).unwrap());
    }
    fn cap(&self) -> &Cap {
        &self.0.caps[&CapId::from("lab/domain/d1")]
    }
    fn shows(&self, held: &str, accrued: &str) {
        assert_eq!((self.cap().held, self.cap().accrued), (m(held), m(accrued)));
    }
    fn renew(&self, of: usize, start: Timestamp, metered: Micros, covered: Micros) -> Command {
        Command::Renew(Renew {
            payer: payer(of),
            expected_version: self.0.payers[&payer(of)].version,
            from_target: self.0.payers[&payer(of)].cover_target,
            through: start,
            totals: vec![],
            cover_target: Micros::ZERO,
            promo_cover_target: Micros::ZERO,
            caps: vec![CapTotal {
                cap: CapId::from("lab/domain/d1"),
                start,
                metered,
                covered,
            }],
            at: start,
        })
    }
}

fn hold(id: u128, of: usize, wallet: Micros, one_off: Micros, caps: Vec<CapBound>) -> Command {
    Command::Hold {
        hold: HoldId::from_bits(id),
        call: CallId::from_bits(id),
        legs: vec![HoldLeg {
            payer: payer(of),
            wallet,
            promo: Micros::ZERO,
            one_off,
            caps,
        }],
        at: day(0),
    }
}
fn give_back(id: u128) -> Command {
    Command::GiveBack {
        one_off: vec![],
        hold: HoldId::from_bits(id),
        at: day(0),
    }
}
fn settle(id: u128, of: usize, due: Micros) -> Command {
    let line = LineAmount {
        payer: payer(of),
        line: PriceLineId::from("setup/once"),
        month: BillingMonth::parse("2026-11", "UTC").unwrap(),
        tax_group: "DE.20".into(),
        amount: due,
    };
    Command::Settle {
        hold: HoldId::from_bits(id),
        one_off: vec![line],
        at: day(0),
    }
}

#[test]
fn a_cap_counts_what_two_payers_hold_and_names_itself_when_it_refuses() {
    let mut books = Books::opened();
    let lab = || vec![bound(m("1"), day(1))];
    books.ok(&hold(1, 0, m("0.6"), Micros::ZERO, lab()));
    let refused = books.try_to(&hold(2, 1, m("0.5"), Micros::ZERO, lab()));
    let LedgerRefusal::OverCap(over) = refused.unwrap_err() else {
        panic!("another refusal");
    };
    assert_eq!(over.rule, "lab");
    assert_eq!(
        (over.most, over.used, over.adds, over.missing),
        (m("1"), m("0.6"), m("0.5"), m("0.1"))
    );
    books.ok(&hold(3, 1, m("0.4"), Micros::ZERO, lab()));
    books.shows("1", "0");
    let free = hold(4, 1, Micros::ZERO, Micros::ZERO, lab());
    books.ok(&free);
}

#[test]
fn a_hold_that_one_cap_refuses_counts_in_none() {
    let mut books = Books::opened();
    let narrow = CapBound {
        cap: CapId::from("intern/account/a1"),
        ..bound(m("0.1"), day(1))
    };
    let chain = vec![bound(m("1"), day(1)), narrow];
    let refused = books.try_to(&hold(1, 0, m("0.6"), Micros::ZERO, chain));
    assert!(matches!(refused, Err(LedgerRefusal::OverCap(_))));
    assert!(books.0.caps.is_empty());
}

#[test]
fn a_wallet_is_asked_before_the_caps() {
    let mut books = Books::opened();
    let command = hold(
        1,
        0,
        m("2000000"),
        Micros::ZERO,
        vec![bound(m("1"), day(1))],
    );
    let refused = books.try_to(&command);
    assert!(matches!(refused, Err(LedgerRefusal::NotEnough { .. })));
}

#[test]
fn a_call_that_came_to_nothing_makes_room_again() {
    let mut books = Books::opened();
    let lab = || vec![bound(m("1"), day(1))];
    books.ok(&hold(1, 0, m("1"), Micros::ZERO, lab()));
    books.ok(&give_back(1));
    books.shows("0", "0");
    books.ok(&hold(2, 1, m("1"), Micros::ZERO, lab()));
}

#[test]
fn a_renewal_passes_a_cap_that_is_used_up_and_the_next_hold_does_not() {
    let mut books = Books::opened();
    let lab = || vec![bound(m("1"), day(1))];
    books.ok(&hold(1, 0, m("0.9"), m("0.2"), lab()));
    books.ok(&settle(1, 0, m("0.15")));
    books.shows("0.7", "0.15");
    let renewal = books.renew(0, day(1), m("0.8"), m("0.7"));
    books.ok(&renewal);
    books.shows("0.7", "0.95");
    let refused = books.try_to(&hold(2, 1, m("0.01"), Micros::ZERO, lab()));
    assert!(matches!(refused, Err(LedgerRefusal::OverCap(_))));
    let ended = books.renew(0, day(1), m("0.8"), Micros::ZERO);
    books.ok(&ended);
    books.shows("0", "0.95");
}

#[test]
fn a_new_period_starts_with_what_still_runs_and_nothing_consumed() {
    let mut books = Books::opened();
    let lab = |start| vec![bound(m("1"), start)];
    books.ok(&hold(1, 0, m("0.4"), Micros::ZERO, lab(day(1))));
    books.ok(&settle(1, 0, Micros::ZERO));
    let renewal = books.renew(0, day(1), m("0.5"), m("0.4"));
    books.ok(&renewal);
    books.ok(&hold(2, 1, m("0.1"), Micros::ZERO, lab(day(1))));
    books.ok(&hold(3, 1, m("0.5"), Micros::ZERO, lab(day(2))));
    books.shows("1", "0");
    let renewal = books.renew(0, day(2), m("0.1"), m("0.4"));
    books.ok(&renewal);
    books.shows("1", "0.1");
    let late = books.renew(0, day(1), m("0.9"), m("0.4"));
    books.ok(&late);
    books.shows("1", "0.1");
}

#[derive(Clone, Debug)]
enum Step {
    Hold(usize, i64, i64),
    GiveBack(usize),
    Settle(usize, i64),
    Renew(usize, i64, i64),
    NextPeriod,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2_usize, 0..700_000_i64, 0..700_000_i64)
            .prop_map(|(of, amount, once)| Step::Hold(of, amount, once.min(amount))),
        2 => (0..9_usize).prop_map(Step::GiveBack),
        2 => (0..9_usize, 0..300_000_i64).prop_map(|(n, due)| Step::Settle(n, due)),
        2 => (0..2_usize, 0..300_000_i64, 0..600_000_i64)
            .prop_map(|(of, more, ahead)| Step::Renew(of, more, ahead)),
        1 => Just(Step::NextPeriod),
    ]
}

/// What the test keeps beside the books: figures by payer, and the open holds.
#[derive(Default)]
struct Kept {
    open: BTreeMap<u128, (usize, i64, i64)>,
    covered: [i64; 2],
    metered: [i64; 2],
    once: i64,
    period: i64,
}

impl Kept {
    fn held(&self) -> i64 {
        let open: i64 = self.open.values().map(|hold| hold.1).sum();
        open + self.covered.iter().sum::<i64>()
    }
    fn accrued(&self) -> i64 {
        self.metered.iter().sum::<i64>() + self.once
    }
    fn nth(&self, n: usize) -> Option<(u128, (usize, i64, i64))> {
        let at = n.checked_rem(self.open.len())?;
        self.open.iter().nth(at).map(|(id, it)| (*id, *it))
    }
}

proptest! {
    #[test]
    fn no_interleaving_admits_a_hold_over_a_cap_and_its_figures_are_the_recount(
        steps in prop::collection::vec(step(), 1..60),
        most in 0..2_000_000_i64,
    ) {
        let mut books = Books::opened();
        let mut kept = Kept { period: 1, ..Kept::default() };
        for (index, step) in steps.iter().enumerate() {
            let id = index as u128 + 1;
            match *step {
                Step::Hold(of, amount, once) => {
                    let caps = vec![bound(Micros::new(most), day(kept.period))];
                    let command = hold(id, of, Micros::new(amount), Micros::new(once), caps);
                    let fits = amount == 0 || kept.held() + kept.accrued() + amount <= most;
                    match books.try_to(&command) {
                        Ok(_) => {
                            prop_assert!(fits);
                            kept.open.insert(id, (of, amount, once));
                        }
                        Err(refusal) => {
                            prop_assert!(matches!(refusal, LedgerRefusal::OverCap(_)));
                            prop_assert!(!fits);
                        }
                    }
                }
                Step::GiveBack(n) => {
                    let Some((id, _)) = kept.nth(n) else { continue };
                    books.ok(&give_back(id));
                    kept.open.remove(&id);
                }
                Step::Settle(n, due) => {
                    let Some((id, (of, amount, once))) = kept.nth(n) else { continue };
                    books.ok(&settle(id, of, Micros::new(due)));
                    kept.open.remove(&id);
                    kept.covered[of] += amount - once;
                    kept.once += due;
                }
                Step::Renew(of, more, ahead) => {
                    kept.metered[of] += more;
                    let metered = Micros::new(kept.metered[of]);
                    let command = books.renew(of, day(kept.period), metered, Micros::new(ahead));
                    books.ok(&command);
                    kept.covered[of] = ahead;
                }
                Step::NextPeriod => {
                    kept.period += 1;
                    (kept.metered, kept.once) = ([0; 2], 0);
                    // The books hear of a new period from the first who spends in it.
                    let caps = vec![bound(Micros::new(most), day(kept.period))];
                    books.ok(&hold(id, 0, Micros::ZERO, Micros::ZERO, caps));
                    books.ok(&give_back(id));
                }
            }
            if let Some(cap) = books.0.caps.values().next() {
                prop_assert_eq!(cap.held.get(), kept.held());
                prop_assert_eq!(cap.accrued.get(), kept.accrued());
            }
        }
    }
}

#[test]
fn a_bundle_counts_in_a_cap_once_and_its_calls_no_more() {
    let mut books = Books::opened();
    let leg = |wallet: &str, most: &str| HoldLeg {
        payer: payer(0),
        wallet: m(wallet),
        promo: Micros::ZERO,
        one_off: Micros::ZERO,
        caps: vec![bound(m(most), day(1))],
    };
    let line = |number: u128| HoldId::from_bits(70 + number);
    let bundle = |wallets: [&str; 2]| {
        let lines = (0..).zip(wallets).map(|(number, wallet)| LineHold {
            hold: line(number),
            legs: vec![leg(wallet, "1")],
        });
        Command::Bundle(Bundle {
            bundle: BundleId::from_bits(7),
            lines: lines.collect(),
            at: day(1),
        })
    };
    let over = books.try_to(&bundle(["0.6", "0.5"])).unwrap_err();
    assert!(matches!(over, LedgerRefusal::OverCap(_)), "{over}");
    books.ok(&bundle(["0.6", "0.4"]));
    books.shows("1", "0");
    let draw = |id: u128, number: u128, leg: HoldLeg| {
        Command::Draw(Draw {
            hold: HoldId::from_bits(id),
            call: CallId::from_bits(id),
            bundle: BundleId::from_bits(7),
            line: line(number),
            legs: vec![leg],
            at: day(1),
        })
    };
    // Beyond its line it is asked; within it not, even where the cap was lowered since.
    let over = books.try_to(&draw(1, 0, leg("0.7", "1"))).unwrap_err();
    assert!(matches!(over, LedgerRefusal::OverCap(_)), "{over}");
    books.ok(&draw(1, 0, leg("0.5", "0.2")));
    books.shows("0.9", "0");
    books.ok(&Command::EndBundle(EndBundle {
        bundle: BundleId::from_bits(7),
        lines: vec![line(0), line(1)],
        at: day(1),
    }));
    books.shows("0.5", "0");
    books.ok(&give_back(1));
    books.shows("0", "0");
}
