//! Edge: a call at the prices of the resellers above its payer, and their legs of its hold.
//!
//! Each reseller holds what the call costs him, in the same transaction as the payer: all legs or
//! none. The caller is told nothing of it but that his provider cannot take on more.

use super::balance::Balance;
use super::line::Gate;
use super::plan::Plan;
use super::raise::{Judged, price, rate_refusal, refuse_unpriced, state_of};
use super::refusal::Refusal;
use super::reserve::{self, Priced};
use crate::cloudstack::command::Command;
use crate::ledger::LedgerRefusal;
use crate::ledger::command::{HoldLeg, LineAmount};
use crate::ledger::records::{Hold, PayerState, Purse};
use crate::store::StoreError;
use crate::terms::ids::PayerId;
use crate::terms::money::Micros;
use crate::terms::time::Timestamp;
use std::sync::Arc;

/// A call at a reseller's own prices.
#[derive(Debug)]
pub(super) struct Wholesale {
    /// The reseller, as his supplier's customer.
    pub(super) payer: PayerId,
    /// What the call costs him.
    pub(super) priced: Priced,
    /// His figures as it was priced.
    pub(super) balance: Arc<Balance>,
}

/// The call at the prices of each reseller above its payer, nearest first.
///
/// # Errors
/// [`Refusal`] where a reseller has no price for it, or his figures cannot be read.
pub(super) async fn wholesale(
    gate: &Gate,
    payer: &PayerId,
    plan: Option<&Plan>,
    command: &Command,
    now: Timestamp,
) -> Result<Vec<Wholesale>, Refusal> {
    let mut found = Vec::new();
    let Some(plan) = plan else { return Ok(found) };
    let chain = gate.rules.load().chain_of(payer);
    for payer in chain.into_iter().skip(1) {
        let (priced, balance) = price(gate, &payer, plan, now).await?;
        refuse_unpriced(gate, &payer, command, Some(&priced)).await?;
        found.push(Wholesale {
            payer,
            priced,
            balance,
        });
    }
    Ok(found)
}

/// The legs of the resellers whom the call costs more than before, at these figures of theirs;
/// gift credit that the call's line in a bundle holds (`of_line`) is there for it too.
///
/// # Errors
/// [`Refusal`] for amounts beyond their range.
pub(super) fn legs(
    wholesale: &[Wholesale],
    states: &[PayerState],
    of_line: &[Hold],
) -> Result<Vec<HoldLeg>, Refusal> {
    let mut legs = Vec::new();
    for one in wholesale.iter().filter(|one| one.priced.raises()) {
        let mut known = states.iter().filter(|state| state.payer == one.payer);
        let state = known.next().unwrap_or(&one.balance.state);
        let promo = promo_of(state, of_line)?;
        legs.push(reserve::leg(&one.priced, &one.payer, promo).map_err(rate_refusal)?);
    }
    Ok(legs)
}

/// The gift credit that a payer has for a call: what is available, and what its line holds.
///
/// # Errors
/// [`Refusal`] for amounts beyond their range.
pub(super) fn promo_of(state: &PayerState, of_line: &[Hold]) -> Result<Micros, Refusal> {
    let mut of_payer = of_line.iter().filter(|leg| leg.payer == state.payer);
    let held = of_payer.next().map(|leg| leg.promo).unwrap_or_default();
    let available = state.purse(Purse::PromoAvailable).or_zero();
    let sum = available.plus(held);
    sum.map_err(|fault| Refusal::StoreAway(fault.to_string()))
}

/// The resellers' figures as they are now.
///
/// # Errors
/// [`Refusal`] where they cannot be read.
pub(super) async fn states(gate: &Gate, judged: &Judged) -> Result<Vec<PayerState>, Refusal> {
    let mut states = Vec::new();
    for one in &judged.wholesale {
        states.push(state_of(gate, &one.payer).await?);
    }
    Ok(states)
}

/// The one-off prices that fall due with the call's success, of every leg of its hold.
pub(super) fn one_offs(judged: &Judged) -> Vec<LineAmount> {
    let resellers = judged.wholesale.iter().map(|one| &one.priced);
    let priced = judged.priced.iter().chain(resellers);
    let raised = priced.filter(|priced| priced.raises());
    raised.flat_map(|priced| priced.one_offs.clone()).collect()
}

/// The reseller whose wallet the books found short; none where it is the payer's own.
pub(super) fn short<'a>(payer: &PayerId, fault: &'a StoreError) -> Option<&'a PayerId> {
    match fault {
        StoreError::Refused(
            LedgerRefusal::NotEnough { payer: short, .. }
            | LedgerRefusal::CoverShort { payer: short, .. },
        ) => Some(short).filter(|short| *short != payer),
        _ => None,
    }
}
