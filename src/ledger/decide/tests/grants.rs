//! Pure: gift credit of several grants: what is spent first, and what is left when one ends.

use super::*;
use crate::ledger::grants::{Anew, Grant};
use crate::ledger::records::{Account, Transfer};

pub(super) fn grant(id: &str, amount: &str, expires: Option<i64>) -> Command {
    given(id, m(amount), expires, 0)
}
fn given(id: &str, amount: Micros, expires: Option<i64>, now: i64) -> Command {
    Command::PromoGrant(PromoGrant {
        id: id.to_owned(),
        payer: acme(),
        amount,
        expires: expires.map(at),
        reason: "welcome".to_owned(),
        at: at(now),
    })
}
fn expire(id: &str, now: i64) -> Command {
    Command::PromoExpire {
        id: id.to_owned(),
        payer: acme(),
        at: at(now),
    }
}
fn gift_hold(id: u128, promo: Micros, now: i64) -> Command {
    let mut command = hold(id, Micros::ZERO);
    if let Command::Hold { legs, at: when, .. } = &mut command {
        legs[0].promo = promo;
        *when = at(now);
    }
    command
}
fn settle_at(id: u128, now: i64) -> Command {
    let (hold, one_off) = (HoldId::from_bits(id), vec![]);
    Command::Settle {
        hold,
        one_off,
        at: at(now),
    }
}
fn give_back(id: u128, now: i64) -> Command {
    let (hold, one_off) = (HoldId::from_bits(id), vec![]);
    Command::GiveBack {
        hold,
        one_off,
        at: at(now),
    }
}

/// Books that remember the order of what was booked.
struct Gifts {
    books: Books,
    booked: Vec<Transfer>,
}

impl Gifts {
    fn opened() -> Self {
        Self {
            books: Books::opened(BillingMode::Prepaid, "0"),
            booked: Vec::new(),
        }
    }
    fn try_to(&mut self, command: &Command) -> Result<(), LedgerRefusal> {
        let effects = self.books.try_to(command)?;
        self.booked.extend(effects.transfers);
        self.books.sound();
        self.rows_are_the_transfers();
        Ok(())
    }
    fn ok(&mut self, command: &Command) {
        // A refusal is what the test fails with.
        self.try_to(command).unwrap();
    }
    fn rows(&self) -> Vec<Grant> {
        let rows = self.books.0.grants.get(&acme());
        rows.cloned().unwrap_or_default()
    }
    fn rows_are_the_transfers(&self) {
        let mut anew = Anew::beside(self.rows());
        self.booked.iter().for_each(|row| anew.take(row));
        assert_eq!(anew.faults(&self.books.0.payers), []);
        assert_eq!(anew.rebuilt(), self.rows());
    }
    /// Available, held and accrued of gift credit.
    fn shows(&self, figures: [&str; 3]) {
        let purses = [Purse::PromoAvailable, Purse::PromoHeld, Purse::PromoAccrued];
        let found = purses.map(|purse| self.books.state().purse(purse));
        assert_eq!(found, figures.map(m));
    }
    /// Left and expired of a grant.
    fn row(&self, id: &str) -> (Micros, Micros) {
        let rows = self.rows();
        let row = rows.iter().find(|row| row.id == id).unwrap();
        (row.left, row.expired)
    }
    fn renew(&self, total: Micros, target: Micros, now: i64) -> Command {
        let Command::Renew(mut it) = self.books.renew(now, "0", "0") else {
            // `Books::renew` makes a renewal and nothing else.
            unreachable!()
        };
        it.totals[0].promo_total = total;
        it.promo_cover_target = target;
        Command::Renew(it)
    }
}

#[test]
fn promo_is_spent_soonest_expiry_first() {
    let mut gifts = Gifts::opened();
    gifts.ok(&grant("never", "1", None));
    gifts.ok(&grant("later", "1", Some(200)));
    gifts.ok(&grant("sooner", "1", Some(100)));
    gifts.ok(&gift_hold(1, m("1.5"), 1));
    gifts.ok(&settle_at(1, 1));
    gifts.ok(&gifts.renew(m("0.4"), m("1.5"), 10));
    gifts.shows(["1.1", "1.5", "0.4"]);
    assert_eq!(gifts.row("sooner"), (m("0.6"), m("0")));
    gifts.ok(&gifts.renew(m("1.7"), m("0"), 20));
    gifts.shows(["1.3", "0", "1.7"]);
    assert_eq!(gifts.row("sooner"), (m("0"), m("0")));
    assert_eq!(gifts.row("later"), (m("0.3"), m("0")));
    assert_eq!(gifts.row("never"), (m("1"), m("0")));
    // Consumption that turns out less goes back to what was spent last.
    gifts.ok(&gifts.renew(m("1.5"), m("0"), 30));
    assert_eq!(gifts.row("sooner"), (m("0"), m("0")));
    assert_eq!(gifts.row("later"), (m("0.5"), m("0")));
}

#[test]
fn an_expired_grant_takes_only_what_nobody_holds() {
    let mut gifts = Gifts::opened();
    gifts.ok(&grant("spring", "1", Some(100)));
    gifts.ok(&grant("later", "1", Some(200)));
    gifts.ok(&gift_hold(1, m("0.7"), 1));
    let early = gifts.try_to(&expire("spring", 99));
    assert_eq!(early, Err(LedgerRefusal::GrantRuns("spring".to_owned())));
    let none = gifts.try_to(&expire("summer", 100));
    assert_eq!(none, Err(LedgerRefusal::UnknownGrant("summer".to_owned())));
    gifts.ok(&expire("spring", 100));
    gifts.shows(["1", "0.7", "0"]);
    assert_eq!(gifts.row("spring"), (m("0.7"), m("0.3")));
    gifts.ok(&expire("spring", 100));
    assert_eq!(gifts.row("spring"), (m("0.7"), m("0.3")));
    // What is held of it is consumed, and none of the later one before that.
    gifts.ok(&settle_at(1, 101));
    gifts.ok(&gifts.renew(m("0.5"), m("0.2"), 110));
    assert_eq!(gifts.row("spring"), (m("0.2"), m("0.3")));
    assert_eq!(gifts.row("later"), (m("1"), m("0")));
}

#[test]
fn what_comes_back_after_expiry_expires_at_once() {
    let mut gifts = Gifts::opened();
    gifts.ok(&grant("spring", "1", Some(100)));
    gifts.ok(&gift_hold(1, m("0.4"), 1));
    gifts.ok(&gift_hold(2, m("0.5"), 1));
    gifts.ok(&settle_at(2, 2));
    gifts.ok(&expire("spring", 100));
    gifts.shows(["0", "0.9", "0"]);
    // A hold that is given back, then a cover that is let go.
    gifts.ok(&give_back(1, 110));
    gifts.shows(["0", "0.5", "0"]);
    assert_eq!(gifts.row("spring"), (m("0.5"), m("0.5")));
    gifts.ok(&gifts.renew(m("0.2"), m("0"), 120));
    gifts.shows(["0", "0", "0.2"]);
    assert_eq!(gifts.row("spring"), (m("0"), m("0.8")));
    // Consumption that turns out less does not go into the cover either.
    gifts.ok(&gifts.renew(m("0.1"), m("0.5"), 130));
    gifts.shows(["0", "0", "0.1"]);
    assert_eq!(gifts.row("spring"), (m("0"), m("0.9")));
}

/// The command of its end may come late: what is at its end is not promised all the same.
#[test]
fn a_grant_at_its_end_is_not_promised_although_nobody_ended_it_yet() {
    let mut gifts = Gifts::opened();
    gifts.ok(&grant("spring", "1", Some(100)));
    let refused = gifts.try_to(&gift_hold(1, m("0.1"), 100));
    assert!(matches!(refused, Err(LedgerRefusal::PromoShort { .. })));
    gifts.shows(["1", "0", "0"]);
    let computed = gifts.renew(m("0.5"), m("0.5"), 100);
    let refused = gifts.try_to(&computed);
    assert!(matches!(refused, Err(LedgerRefusal::Conflict { .. })));
    gifts.ok(&expire("spring", 100));
    gifts.shows(["0", "0", "0"]);
}

/// ADR 0051's table, to the millionth.
#[test]
fn the_worked_example_of_the_decision_comes_out_as_written() {
    let mut gifts = Gifts::opened();
    gifts.ok(&grant("spring", "1", Some(100)));
    gifts.ok(&grant("gift", "1", None));
    let steps = [
        (gift_hold(1, m("0.6"), 1), ["1.4", "0.6", "0"], ["1", "1"]),
        (settle_at(1, 1), ["1.4", "0.6", "0"], ["1", "1"]),
    ];
    for (command, figures, left) in steps {
        gifts.ok(&command);
        gifts.shows(figures);
        assert_eq!([gifts.row("spring").0, gifts.row("gift").0], left.map(m));
    }
    let renewed = |gifts: &mut Gifts, total, target, now, figures, left: [&str; 2]| {
        gifts.ok(&gifts.renew(m(total), m(target), now));
        gifts.shows(figures);
        assert_eq!([gifts.row("spring").0, gifts.row("gift").0], left.map(m));
    };
    renewed(
        &mut gifts,
        "0.2",
        "0.6",
        50,
        ["1.2", "0.6", "0.2"],
        ["0.8", "1"],
    );
    gifts.ok(&expire("spring", 100));
    gifts.shows(["1", "0.6", "0.2"]);
    renewed(
        &mut gifts,
        "0.3",
        "0.6",
        110,
        ["0.9", "0.6", "0.3"],
        ["0.5", "1"],
    );
    renewed(&mut gifts, "0.35", "0", 120, ["1", "0", "0.35"], ["0", "1"]);
    gifts.ok(&issue(1, "0", "0"));
    gifts.shows(["1", "0", "0"]);
    let mut cost = 0;
    for row in &gifts.booked {
        let sign = |account: &Account| match account {
            Account::Seller(_, name) if name == chart::PROMO_COST => row.amount.get(),
            _ => 0,
        };
        cost += sign(&row.credit) - sign(&row.debit);
    }
    assert_eq!(Micros::new(cost), m("-1"));
}

#[test]
fn a_grant_said_twice_is_one_grant() {
    let mut gifts = Gifts::opened();
    gifts.ok(&given("spring", m("1"), Some(100), 0));
    gifts.ok(&given("spring", m("1"), Some(100), 200));
    gifts.shows(["1", "0", "0"]);
    let other = gifts.try_to(&given("spring", m("2"), Some(100), 0));
    assert!(matches!(
        other,
        Err(LedgerRefusal::SameIdOtherContent { .. })
    ));
    let over = gifts.try_to(&given("late", m("1"), Some(7), 7));
    let (expires, at) = (at(7), at(7));
    assert_eq!(over, Err(LedgerRefusal::GrantOver { expires, at }));
}

/// A mistaken top-up is reversed, also where a grant came to its end in the same booking.
#[test]
fn a_payment_is_reversed_although_a_grant_ended_with_it() {
    let mut gifts = Gifts::opened();
    gifts.ok(&grant("spring", "1", Some(100)));
    let mut paid = top_up("p1", m("3"));
    if let Command::TopUp(it) = &mut paid {
        it.at = at(100);
    }
    gifts.ok(&paid);
    gifts.shows(["0", "0", "0"]);
    let reverse = |of: &str| Command::Reverse {
        of: TransferId::from(of),
        at: at(101),
    };
    gifts.ok(&reverse("top-up/p1"));
    gifts.shows(["0", "0", "0"]);
    assert!(gifts.books.state().purse(Purse::Available).is_zero());
    let refused = gifts.try_to(&reverse("promo/spring"));
    assert!(matches!(refused, Err(LedgerRefusal::NotReversible { .. })));
}

#[derive(Clone, Debug)]
enum Deed {
    Grant(i64, Option<i64>),
    Hold(i64),
    GiveBack(u128),
    Settle(u128),
    Renew(i64, i64),
    Issue,
    Wait(i64),
    End,
}

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        (1..1_000_000_i64, prop::option::of(1..60_i64)).prop_map(|(a, b)| Deed::Grant(a, b)),
        (1..900_000_i64).prop_map(Deed::Hold),
        (1..12_u128).prop_map(Deed::GiveBack),
        (1..12_u128).prop_map(Deed::Settle),
        (-200_000..400_000_i64, 0..900_000_i64).prop_map(|(a, b)| Deed::Renew(a, b)),
        Just(Deed::Issue),
        (1..20_i64).prop_map(Deed::Wait),
        Just(Deed::End),
    ]
}

/// What is done next; `state` is the time, the holds so far, and the gift credit consumed.
fn command_of_deed(
    deed: &Deed,
    index: usize,
    (now, holds, total): (&mut i64, &mut u128, &mut i64),
    gifts: &Gifts,
) -> Option<Command> {
    let id = index.to_string();
    Some(match deed {
        Deed::Grant(amount, lasts) => {
            given(&id, Micros::new(*amount), lasts.map(|s| *now + s), *now)
        }
        Deed::Hold(amount) => {
            *holds += 1;
            gift_hold(*holds, Micros::new(*amount), *now)
        }
        Deed::GiveBack(n) => give_back(*n, *now),
        Deed::Settle(n) => settle_at(*n, *now),
        Deed::Renew(more, target) => {
            // What a renewal may count on: available, and the cover.
            let state = gifts.books.state();
            let there =
                state.purse(Purse::PromoAvailable).get() + state.promo_cover().unwrap().get();
            let sum = (*total + (*more).min(there)).max(0);
            gifts.renew(Micros::new(sum), Micros::new(*target), *now)
        }
        Deed::Issue => match issue(index as u128 + 1, "0", "0") {
            Command::Issue(mut it) => {
                it.at = at(*now);
                Command::Issue(it)
            }
            other => other,
        },
        Deed::Wait(seconds) => {
            *now += seconds;
            return None;
        }
        Deed::End => {
            let rows = gifts.rows();
            expire(&rows.iter().find(|row| row.is_due(at(*now)))?.id, *now)
        }
    })
}

proptest! {
    /// Sums zero, rows the transfers, the order kept, and nothing of a grant that is over promised.
    #[test]
    fn no_history_of_grants_breaks_their_order_or_their_ends(
        deeds in prop::collection::vec(deed(), 1..80),
    ) {
        let mut gifts = Gifts::opened();
        let (mut now, mut holds, mut total) = (0, 0, 0);
        for (index, deed) in deeds.iter().enumerate() {
            let figures = (&mut now, &mut holds, &mut total);
            let Some(command) = command_of_deed(deed, index, figures, &gifts) else { continue };
            let (before, held) = (gifts.rows(), gifts.books.state().purse(Purse::PromoHeld));
            if gifts.try_to(&command).is_err() {
                prop_assert_eq!(before, gifts.rows());
                continue;
            }
            if let Command::Renew(it) = &command {
                total = it.totals[0].promo_total.get();
            }
            let rows = gifts.rows();
            for (place, row) in rows.iter().enumerate() {
                let was = before.iter().find(|was| was.id == row.id);
                // Figures of a few millions are in the range of amounts.
                let spent = was.map_or(Micros::ZERO, |was| was.spent().unwrap());
                if row.spent().unwrap() > spent {
                    prop_assert!(rows[..place].iter().all(|sooner| sooner.left.is_zero()));
                }
            }
            let over = rows.iter().filter(|row| row.expires.is_some_and(|end| end <= at(now)));
            // At most 80 grants of less than a million millionths.
            let over = Micros::sum(over.map(|row| row.left)).unwrap();
            if matches!(command, Command::Hold { .. } | Command::Renew(_)) {
                prop_assert!(over <= held, "{} of what is over, {} were held", over, held);
            }
        }
    }
}
