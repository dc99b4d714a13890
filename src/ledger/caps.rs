//! Pure: caps: how much may be spent in a calendar period by whoever a cap counts together.
//!
//! A cap stands beside the wallets: it holds no money, and nothing is booked to it. What is used
//! of it is what open calls and what runs have promised (`held`), and what was consumed in the
//! period (`accrued`). `held` outlives the period, as promises do; `accrued` starts anew in each.

use super::records::{Hold, HoldStatus};
use super::verify::BookFault;
use crate::terms::ids::{CapId, PayerId, ResourceId};
use crate::terms::money::{Micros, MoneyError};
use crate::terms::time::Timestamp;
use std::collections::BTreeMap;

/// A cap on the way of a hold, as the policy says it now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CapBound {
    /// Which, and whose.
    pub cap: CapId,
    /// The policy's id of it: refusals name it.
    pub rule: String,
    /// So much in a period.
    pub most: Micros,
    /// When the period began, billing time.
    pub start: Timestamp,
    /// What people are told.
    pub reason: String,
}

/// What a payer's resources come to in a cap, computed by a renewal: no differences.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CapTotal {
    /// Which cap.
    pub cap: CapId,
    /// When the period began that `metered` is of.
    pub start: Timestamp,
    /// Consumed so far in the period.
    pub metered: Micros,
    /// What runs is going to cost for the horizon.
    pub covered: Micros,
}

/// A resource that counts in caps since a hold for it passed them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CappedResource {
    /// Which.
    pub resource: ResourceId,
    /// Since when, billing time.
    pub since: Timestamp,
    /// In which.
    pub caps: Vec<CapId>,
}

/// A cap's figures in its newest period: the row that a hold locks beside the payer's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cap {
    /// Which.
    pub id: CapId,
    /// When the period began.
    pub start: Timestamp,
    /// Promised: by open calls, and by what runs for the horizon.
    pub held: Micros,
    /// Consumed in the period.
    pub accrued: Micros,
}

impl Cap {
    /// A cap of which nothing is used.
    #[must_use]
    pub const fn unused(id: CapId, start: Timestamp) -> Self {
        Self {
            id,
            start,
            held: Micros::ZERO,
            accrued: Micros::ZERO,
        }
    }
    /// What is used of it.
    ///
    /// # Errors
    /// [`MoneyError`] beyond the range.
    pub fn used(&self) -> Result<Micros, MoneyError> {
        self.held.plus(self.accrued)
    }
    /// The figures in the period that began then. A period that is over does not come back:
    /// whoever is late counts in the newest.
    pub fn turn(&mut self, start: Timestamp) {
        if start > self.start {
            self.start = start;
            self.accrued = Micros::ZERO;
        }
    }
}

/// One payer's part of a cap's figures, without his open holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CapShare {
    /// Which cap.
    pub cap: CapId,
    /// Whose part.
    pub payer: PayerId,
    /// When the period began that `metered` and `one_off` are of.
    pub start: Timestamp,
    /// What his resources are going to cost for the horizon.
    pub covered: Micros,
    /// What they consumed in the period.
    pub metered: Micros,
    /// One-off prices that fell due in the period.
    pub one_off: Micros,
}

impl CapShare {
    /// A part with nothing in it.
    #[must_use]
    pub const fn none(cap: CapId, payer: PayerId, start: Timestamp) -> Self {
        Self {
            cap,
            payer,
            start,
            covered: Micros::ZERO,
            metered: Micros::ZERO,
            one_off: Micros::ZERO,
        }
    }
    /// The part in the period that the cap stands at.
    pub fn turn(&mut self, start: Timestamp) {
        if self.start != start {
            self.start = start;
            self.metered = Micros::ZERO;
            self.one_off = Micros::ZERO;
        }
    }
}

/// A cap that says no.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error(
    "cap {rule}: {reason} ({most} may be spent in a period, {used} is used, {adds} more would be \
     {missing} too much)"
)]
pub struct OverCap {
    /// The policy's id of it.
    pub rule: String,
    /// Which, and whose.
    pub cap: CapId,
    /// So much in a period.
    pub most: Micros,
    /// So much is used.
    pub used: Micros,
    /// So much was asked for.
    pub adds: Micros,
    /// So much of it is too much.
    pub missing: Micros,
    /// What people are told.
    pub reason: String,
}

/// Whether a cap takes so much more. What costs nothing passes a cap that is used up.
///
/// # Errors
/// The refusal, or [`MoneyError`] beyond the range.
pub fn over(bound: &CapBound, row: &Cap, adds: Micros) -> Result<Option<OverCap>, MoneyError> {
    let used = row.used()?;
    let missing = used.plus(adds)?.minus(bound.most)?.or_zero();
    if missing.is_zero() || adds.or_zero().is_zero() {
        return Ok(None);
    }
    Ok(Some(OverCap {
        rule: bound.rule.clone(),
        cap: bound.cap.clone(),
        most: bound.most,
        used,
        adds,
        missing,
        reason: bound.reason.clone(),
    }))
}

/// What open holds and payers' parts say of a cap: promised, consumed in its period.
type Sums<'a> = BTreeMap<&'a CapId, (i128, i128)>;

fn sums<'a>(caps: &[Cap], shares: &'a [CapShare], holds: &'a [Hold]) -> Sums<'a> {
    let mut sums = Sums::new();
    for hold in holds.iter().filter(|hold| hold.status == HoldStatus::Open) {
        for cap in &hold.caps {
            let sum = sums.entry(cap).or_default();
            sum.0 = sum.0.saturating_add(i128::from(hold.wallet.get()));
            sum.0 = sum.0.saturating_add(i128::from(hold.promo.get()));
        }
    }
    let starts: BTreeMap<&CapId, Timestamp> = caps.iter().map(|cap| (&cap.id, cap.start)).collect();
    for share in shares {
        let sum = sums.entry(&share.cap).or_default();
        sum.0 = sum.0.saturating_add(i128::from(share.covered.get()));
        if starts.get(&share.cap) == Some(&share.start) {
            sum.1 = sum.1.saturating_add(i128::from(share.metered.get()));
            sum.1 = sum.1.saturating_add(i128::from(share.one_off.get()));
        }
    }
    sums
}

/// Caps whose figures are not what the open holds and the payers' parts say.
#[must_use]
pub fn faults(caps: &[Cap], shares: &[CapShare], holds: &[Hold]) -> Vec<BookFault> {
    let mut sums = sums(caps, shares, holds);
    let mut faults = Vec::new();
    for cap in caps {
        let (held, accrued) = sums.remove(&cap.id).unwrap_or_default();
        let stands = (i128::from(cap.held.get()), i128::from(cap.accrued.get()));
        if stands != (held, accrued) {
            faults.push(BookFault::Cap {
                cap: cap.id.clone(),
                held: stands.0,
                accrued: stands.1,
                held_sum: held,
                accrued_sum: accrued,
            });
        }
    }
    let missing = sums.into_iter().filter(|(_, sum)| *sum != (0, 0));
    faults.extend(missing.map(|(cap, (held, accrued))| BookFault::Cap {
        cap: cap.clone(),
        held: 0,
        accrued: 0,
        held_sum: held,
        accrued_sum: accrued,
    }));
    faults
}

/// The caps' figures in their newest period as open holds and payers' parts say that they are. A
/// sum beyond the range leaves the row as it is kept: [`faults`] names it.
#[must_use]
pub fn rebuilt(caps: &[Cap], shares: &[CapShare], holds: &[Hold]) -> Vec<Cap> {
    let sums = sums(caps, shares, holds);
    let row = |cap: &Cap| {
        let (held, accrued) = sums.get(&cap.id).copied().unwrap_or_default();
        let figures = (i64::try_from(held), i64::try_from(accrued));
        let (Ok(held), Ok(accrued)) = figures else {
            return cap.clone();
        };
        Cap {
            held: Micros::new(held),
            accrued: Micros::new(accrued),
            ..cap.clone()
        }
    };
    caps.iter().map(row).collect()
}

#[cfg(test)]
mod tests;
