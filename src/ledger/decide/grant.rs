//! Pure: gift credit is granted, and comes to its end.

use super::draft::Draft;
use super::not_negative;
use crate::ledger::command::PromoGrant;
use crate::ledger::grants::{self, Flow, Grant};
use crate::ledger::records::{Account, Purse};
use crate::ledger::refusal::LedgerRefusal;
use crate::terms::ids::PayerId;
use crate::terms::money::Micros;

/// `promo_cost` → promo.available, and a row of its own.
pub(super) fn grant(draft: &mut Draft<'_>, it: &PromoGrant) -> Result<(), LedgerRefusal> {
    let amount = not_negative("gift credit", it.amount)?;
    let at = draft.at;
    if let Some(expires) = it.expires.filter(|end| *end <= at) {
        return Err(LedgerRefusal::GrantOver { expires, at });
    }
    let cost = grants::cost(draft.payer(&it.payer)?);
    end_due(draft, &it.payer)?;
    draft.payer(&it.payer)?.version += 1;
    let rows = draft.grants(&it.payer);
    if let Some(expires) = it
        .expires
        .filter(|_| !grants::comes_after_ended(rows, it.expires))
    {
        return Err(LedgerRefusal::GrantOver { expires, at });
    }
    if rows.iter().any(|row| row.id == it.id) {
        return Err(LedgerRefusal::SameIdOtherContent {
            name: format!("promo/{}", it.id),
        });
    }
    grants::put(
        rows,
        Grant {
            payer: it.payer.clone(),
            id: it.id.clone(),
            amount,
            left: amount,
            expired: Micros::ZERO,
            expires: it.expires,
            ended: false,
            reason: it.reason.clone(),
            at,
        },
    );
    let credit = Account::Payer(it.payer.clone(), Purse::PromoAvailable);
    draft.post_for(&it.payer, "promo-grant", cost, credit, amount)?;
    draft.refill(&it.payer)
}

/// The grant came to its end: what nobody holds of it goes now, and what comes back of it goes
/// when it comes back.
pub(super) fn expire(
    draft: &mut Draft<'_>,
    payer: &PayerId,
    id: &str,
) -> Result<(), LedgerRefusal> {
    let at = draft.at;
    draft.payer(payer)?;
    let row = draft.grants(payer).iter().find(|row| row.id == id);
    let row = row.ok_or_else(|| LedgerRefusal::UnknownGrant(id.to_owned()))?;
    if !row.ended && !row.is_due(at) {
        return Err(LedgerRefusal::GrantRuns(id.to_owned()));
    }
    end_due(draft, payer)
}

/// Grants whose end has come end now, before anything else is taken of them. A renewal that was
/// computed before that is a conflict.
pub(super) fn end_due(draft: &mut Draft<'_>, payer: &PayerId) -> Result<(), LedgerRefusal> {
    let at = draft.at;
    let mut any = false;
    if !draft.has_grants(payer) {
        return Ok(());
    }
    for row in draft.grants(payer).iter_mut().filter(|row| row.is_due(at)) {
        row.ended = true;
        any = true;
    }
    if any {
        draft.payer(payer)?.version += 1;
    }
    sweep(draft, payer)
}

/// promo.available → `promo_cost`, what of ended grants nobody holds.
fn sweep(draft: &mut Draft<'_>, payer: &PayerId) -> Result<(), LedgerRefusal> {
    let state = draft.payer(payer)?;
    let held = state.purse(Purse::PromoHeld).or_zero();
    let cost = grants::cost(state);
    let gone = grants::over(draft.grants(payer), held)?;
    if !gone.is_zero() {
        draft.payer(payer)?.version += 1;
    }
    let from = Account::Payer(payer.clone(), Purse::PromoAvailable);
    draft.post_for(payer, "promo-expire", from, cost, gone)
}

/// A booking takes what is left of the grants with it, soonest end first.
pub(super) fn follow(
    draft: &mut Draft<'_>,
    (debit, credit): (&Account, &Account),
    amount: Micros,
) -> Result<(), LedgerRefusal> {
    let Some((payer, flow)) = grants::flow(debit, credit) else {
        return Ok(());
    };
    // A grant's own row says what was given.
    if flow == Flow::Granted {
        return Ok(());
    }
    let available = draft.payer(payer)?.purse(Purse::PromoAvailable);
    let rest = grants::move_rows(draft.grants(payer), flow, amount)?;
    if rest.is_zero() {
        return Ok(());
    }
    Err(LedgerRefusal::PromoShort {
        payer: payer.clone(),
        price: amount,
        available,
    })
}
