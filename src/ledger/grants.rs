//! Pure: grants of gift credit: which part of a payer's gift credit ends when.
//!
//! The purses say how much gift credit is available, held and accrued; a grant's row says how much
//! of what nobody spent yet (`left`: available or held) is of it. Whatever leaves (spent or
//! expired) leaves the grant that ends soonest, so that the rows follow from the transfers and the
//! grants' ends alone (ADR 0051). What is held counts as held of the grants that end soonest.

use super::chart;
use super::records::{Account, PayerState, Purse, Transfer};
use super::verify::BookFault;
use crate::terms::ids::PayerId;
use crate::terms::money::{Micros, MoneyError};
use crate::terms::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// Gift credit for a payer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PromoGrant {
    /// The grant's name: the same name twice is one grant.
    pub id: String,
    /// To whom.
    pub payer: PayerId,
    /// How much, net.
    pub amount: Micros,
    /// Nothing of it is promised from then on; none where it does not end.
    pub expires: Option<Timestamp>,
    /// Why, for people.
    pub reason: String,
    /// When.
    pub at: Timestamp,
}

/// The row of all gift credit that a release without grants gave.
pub const BEFORE_GRANTS: &str = "before-grants";

/// Gift credit that was given at once and ends at once. Amounts are net.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Grant {
    /// Whose.
    pub payer: PayerId,
    /// Its name; no two grants have one.
    pub id: String,
    /// How much was given.
    pub amount: Micros,
    /// What of it is neither spent nor expired: available, or held.
    pub left: Micros,
    /// What of it expired; the rest of `amount` is spent.
    pub expired: Micros,
    /// From when on nothing more of it is promised; never where there is none.
    pub expires: Option<Timestamp>,
    /// It came to its end: what of it is not held, or comes back, goes.
    pub ended: bool,
    /// Why it was given, for people.
    pub reason: String,
    /// When it was given.
    pub at: Timestamp,
}

impl Grant {
    /// What of it was spent.
    ///
    /// # Errors
    /// [`MoneyError`] where a figure leaves its range.
    pub fn spent(&self) -> Result<Micros, MoneyError> {
        self.amount.minus(self.left)?.minus(self.expired)
    }
    /// Whether its end has come and was not booked yet.
    #[must_use]
    pub fn is_due(&self, at: Timestamp) -> bool {
        !self.ended && self.expires.is_some_and(|end| end <= at)
    }
    fn order(&self) -> (bool, Option<Timestamp>, Timestamp, &str) {
        (self.expires.is_none(), self.expires, self.at, &self.id)
    }
}

/// Puts a row among the others of its payer, soonest end first, in place of its older form.
pub fn put(rows: &mut Vec<Grant>, row: Grant) {
    rows.retain(|known| known.id != row.id);
    rows.push(row);
    rows.sort_by(|one, other| one.order().cmp(&other.order()));
}

/// What a transfer does to what is left of a payer's grants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// Given.
    Granted,
    /// Consumed.
    Spent,
    /// Consumed, and then it was less.
    Returned,
    /// Gone unspent.
    Expired,
}

/// What a movement between two accounts is to grants; none where nothing of them is spent by it.
#[must_use]
pub fn flow<'a>(debit: &'a Account, credit: &'a Account) -> Option<(&'a PayerId, Flow)> {
    let unspent = |account: &'a Account| match account {
        Account::Payer(payer, Purse::PromoAvailable | Purse::PromoHeld) => Some(payer),
        _ => None,
    };
    match (unspent(debit), unspent(credit)) {
        (Some(payer), None) if matches!(credit, Account::Payer(..)) => Some((payer, Flow::Spent)),
        (Some(payer), None) => Some((payer, Flow::Expired)),
        (None, Some(payer)) if matches!(debit, Account::Payer(..)) => Some((payer, Flow::Returned)),
        (None, Some(payer)) => Some((payer, Flow::Granted)),
        _ => None,
    }
}

/// Moves an amount within the rows of a payer, which are in order: spent and expired from the one
/// that ends soonest, returned to the one that ends last. Gives what found no row.
///
/// # Errors
/// [`MoneyError`] where a figure leaves its range.
pub fn move_rows(rows: &mut [Grant], flow: Flow, amount: Micros) -> Result<Micros, MoneyError> {
    let mut rest = amount;
    match flow {
        Flow::Granted => {}
        Flow::Returned => {
            for row in rows.iter_mut().rev() {
                let part = rest.min(row.spent()?);
                row.left = row.left.plus(part)?;
                rest = rest.minus(part)?;
            }
        }
        Flow::Spent | Flow::Expired => {
            for row in rows.iter_mut() {
                let part = rest.min(row.left);
                row.left = row.left.minus(part)?;
                if flow == Flow::Expired {
                    row.expired = row.expired.plus(part)?;
                }
                rest = rest.minus(part)?;
            }
        }
    }
    Ok(rest)
}

/// What of the grants that came to their end nobody holds, at this much held.
///
/// # Errors
/// [`MoneyError`] where a figure leaves its range.
pub fn over(rows: &[Grant], held: Micros) -> Result<Micros, MoneyError> {
    let ended = rows.iter().filter(|row| row.ended).map(|row| row.left);
    Ok(Micros::sum(ended)?.minus(held)?.or_zero())
}

/// Rows made anew from the transfers, told one by one in the order of the books. What only
/// commands set (end, reason, whether it ended) is as it is kept.
#[derive(Debug, Default)]
pub struct Anew {
    kept: BTreeMap<PayerId, Vec<Grant>>,
    rows: BTreeMap<PayerId, Vec<Grant>>,
    lost: Vec<BookFault>,
}

impl Anew {
    /// Beside the rows that are kept.
    #[must_use]
    pub fn beside(kept: Vec<Grant>) -> Self {
        let mut anew = Self::default();
        for row in kept {
            put(anew.kept.entry(row.payer.clone()).or_default(), row);
        }
        anew
    }

    /// Takes a transfer in.
    pub fn take(&mut self, transfer: &Transfer) {
        let Some((payer, flow)) = flow(&transfer.debit, &transfer.credit) else {
            return;
        };
        let rows = self.rows.entry(payer.clone()).or_default();
        let rest = match flow {
            Flow::Granted => {
                let kept = self.kept.get(payer);
                granted(rows, kept.map_or(&[], Vec::as_slice), transfer)
            }
            flow => move_rows(rows, flow, transfer.amount),
        };
        // An amount without a row is told once, by the transfer that shows it.
        if rest != Ok(Micros::ZERO) {
            self.lost.push(BookFault::GrantLost {
                payer: payer.clone(),
                transfer: transfer.id.to_string(),
            });
        }
    }

    /// The rows, by payer, soonest end first.
    #[must_use]
    pub fn rebuilt(&self) -> Vec<Grant> {
        self.rows.values().flatten().cloned().collect()
    }

    /// Rows that are not what the transfers say, or not what is available and held.
    #[must_use]
    pub fn faults(&self, payers: &BTreeMap<PayerId, PayerState>) -> Vec<BookFault> {
        let mut faults = self.lost.clone();
        for state in payers.values() {
            let of = |rows: &BTreeMap<PayerId, Vec<Grant>>| {
                rows.get(&state.payer).cloned().unwrap_or_default()
            };
            let (kept, anew) = (of(&self.kept), of(&self.rows));
            let differs = |row: &&Grant| !kept.contains(row) || !anew.contains(row);
            let both = kept.iter().chain(&anew).filter(differs);
            let ids: BTreeSet<&String> = both.map(|row| &row.id).collect();
            faults.extend(ids.into_iter().map(|id| BookFault::Grant {
                payer: state.payer.clone(),
                id: id.clone(),
            }));
            faults.extend(sum_fault(state, &kept));
        }
        faults
    }
}

/// A row for what was given: under the name of its command, or with all that an older release gave.
fn granted(
    rows: &mut Vec<Grant>,
    kept: &[Grant],
    transfer: &Transfer,
) -> Result<Micros, MoneyError> {
    let name = transfer.id.as_str();
    let command = name.rsplit_once('/').map_or(name, |(command, _)| command);
    let id = command.strip_prefix("promo/").unwrap_or_default();
    let named = |id: &str| kept.iter().find(|row| row.id == id);
    let Some(model) = named(id).or_else(|| named(BEFORE_GRANTS)) else {
        return Ok(transfer.amount);
    };
    let known = rows.iter().find(|row| row.id == model.id);
    let mut row = known.cloned().unwrap_or_else(|| Grant {
        amount: Micros::ZERO,
        left: Micros::ZERO,
        expired: Micros::ZERO,
        ..model.clone()
    });
    row.amount = row.amount.plus(transfer.amount)?;
    row.left = row.left.plus(transfer.amount)?;
    put(rows, row);
    Ok(Micros::ZERO)
}

/// Whether ended grants, which come first in the order, stay first when one ends then.
#[must_use]
pub fn comes_after_ended(rows: &[Grant], expires: Option<Timestamp>) -> bool {
    let last = rows.iter().filter(|row| row.ended).map(|row| row.expires);
    expires.is_none_or(|end| last.flatten().all(|ended| ended < end))
}

/// What is left of the grants is what is available and held; of ended ones no more than is held.
fn sum_fault(state: &PayerState, rows: &[Grant]) -> Option<BookFault> {
    let wide = |amount: Micros| i128::from(amount.get());
    let left: i128 = rows.iter().map(|row| wide(row.left)).sum();
    let ended = rows.iter().filter(|row| row.ended);
    let ended: i128 = ended.map(|row| wide(row.left)).sum();
    let held = wide(state.purse(Purse::PromoHeld));
    let unspent = held + wide(state.purse(Purse::PromoAvailable));
    (left != unspent || ended > held.max(0)).then(|| BookFault::Grants {
        payer: state.payer.clone(),
        left,
        unspent,
        ended,
        held,
    })
}

/// The seller's account that gift credit comes from and goes back to.
#[must_use]
pub fn cost(state: &PayerState) -> Account {
    Account::Seller(state.seller.clone(), chart::PROMO_COST.to_owned())
}
