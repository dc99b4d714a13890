//! Pure: how much may pass while the books are away, and how much has.
//!
//! A policy's cap holds for one payer on all nodes together. Nodes cannot ask each other then, so
//! each has its share of it. What a call counts is what it would have held; what runs on for more
//! than one horizon counts once for each that began, because nothing is accrued meanwhile.

use crate::terms::ids::{CallId, HoldId, PayerId};
use crate::terms::money::Micros;
use crate::terms::time::Timestamp;

/// A call that passed, as far as it counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Passed {
    /// Which.
    pub call: CallId,
    /// The hold that it is going to be; none where it costs nothing.
    pub hold: Option<HoldId>,
    /// Who pays.
    pub payer: PayerId,
    /// What it holds for one horizon, one-off prices included.
    pub wallet: Micros,
    /// How much of it is a one-off price.
    pub one_off: Micros,
    /// When it passed, billing time.
    pub at: Timestamp,
    /// The horizon in microseconds.
    pub horizon: i64,
}

/// Why a call does not pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoRoom {
    /// What this node may let pass of the payer's calls.
    pub share: Micros,
    /// What of it is left.
    pub left: Micros,
}

/// This node's share of a cap; what cannot be shared out evenly is nobody's.
#[must_use]
pub fn share(cap: Micros, nodes: u32) -> Micros {
    let nodes = i64::from(nodes.max(1));
    Micros::new(cap.get().checked_div(nodes).unwrap_or_default()).or_zero()
}

/// What the call counts now. Where it is more than an amount can be, it is the most that it can.
#[must_use]
pub fn counts(passed: &Passed, now: Timestamp) -> Micros {
    let ran = now.since(passed.at).max(1);
    let horizon = passed.horizon.max(1);
    let begun = ran.saturating_sub(1).checked_div(horizon).unwrap_or(0);
    let horizons = begun.saturating_add(1);
    let by_time = passed.wallet.get().saturating_sub(passed.one_off.get());
    let total = by_time
        .saturating_mul(horizons)
        .saturating_add(passed.one_off.get());
    Micros::new(total)
}

/// What these calls count now.
#[must_use]
pub fn sum<'a>(all: impl IntoIterator<Item = &'a Passed>, now: Timestamp) -> Micros {
    let counted = all.into_iter().map(|one| counts(one, now).get());
    Micros::new(counted.fold(0, i64::saturating_add))
}

/// Whether one more call of its payer passes beside those that did.
///
/// # Errors
/// [`NoRoom`] where it would take them over the share, by however little.
pub fn admit<'a>(
    next: &Passed,
    before: impl IntoIterator<Item = &'a Passed>,
    share: Micros,
    now: Timestamp,
) -> Result<(), NoRoom> {
    let before = before.into_iter().filter(|one| one.payer == next.payer);
    let used = sum(before, now).get();
    let left = share.get().saturating_sub(used);
    match counts(next, now).get() <= left {
        true => Ok(()),
        false => Err(NoRoom {
            share,
            left: Micros::new(left).or_zero(),
        }),
    }
}

#[cfg(test)]
mod tests;
