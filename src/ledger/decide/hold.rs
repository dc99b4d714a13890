//! Pure: money promised for a raising call, and what becomes of it.

use super::draft::Draft;
use super::renew::add_line;
use super::{cap, grant, not_negative};
use crate::ledger::command::{HoldLeg, LineAmount};
use crate::ledger::records::{Hold, HoldStatus, PayerState, Purse};
use crate::ledger::refusal::LedgerRefusal;
use crate::terms::ids::{CallId, HoldId};
use crate::terms::money::Micros;

/// Every leg or none: available → held.
pub(super) fn hold(
    draft: &mut Draft<'_>,
    hold: HoldId,
    call: CallId,
    legs: &[HoldLeg],
) -> Result<(), LedgerRefusal> {
    for leg in legs {
        bounded(leg)?;
        if !leg.promo.is_zero() {
            grant::end_due(draft, &leg.payer)?;
        }
        let state = draft.payer(&leg.payer)?;
        admit(state, leg)?;
        cap::pass(draft, leg)?;
        take(draft, hold, call, leg)?;
    }
    Ok(())
}

/// What passed while the books were away was bounded then: every leg is taken, whatever is left.
pub(super) fn passed(
    draft: &mut Draft<'_>,
    hold: HoldId,
    call: CallId,
    legs: &[HoldLeg],
) -> Result<(), LedgerRefusal> {
    for leg in legs {
        bounded(leg)?;
        take(draft, hold, call, leg)?;
    }
    Ok(())
}

pub(super) fn bounded(leg: &HoldLeg) -> Result<(), LedgerRefusal> {
    not_negative("the hold", leg.wallet)?;
    not_negative("the hold of gift credit", leg.promo)?;
    not_negative("the one-off price", leg.one_off)?;
    not_negative(
        "the hold less its one-off price",
        leg.wallet.minus(leg.one_off)?,
    )?;
    Ok(())
}

pub(super) fn take(
    draft: &mut Draft<'_>,
    hold: HoldId,
    call: CallId,
    leg: &HoldLeg,
) -> Result<(), LedgerRefusal> {
    let state = draft.payer(&leg.payer)?;
    state.holds_open = state.holds_open.plus(leg.wallet)?;
    state.promo_holds_open = state.promo_holds_open.plus(leg.promo)?;
    let at = draft.at;
    let promo = (Purse::PromoAvailable, Purse::PromoHeld);
    draft.shove(&leg.payer, "promo-hold", promo.0, promo.1, leg.promo)?;
    draft.shove(
        &leg.payer,
        "hold",
        Purse::Available,
        Purse::Held,
        leg.wallet,
    )?;
    draft.put_hold(Hold {
        id: hold,
        call,
        payer: leg.payer.clone(),
        wallet: leg.wallet,
        promo: leg.promo,
        one_off: leg.one_off,
        status: HoldStatus::Open,
        at,
        caps: leg.caps.iter().map(|bound| bound.cap.clone()).collect(),
    });
    Ok(())
}

/// A hold is admitted only if what is available, less what the cover lacks, carries it.
pub(super) fn admit(state: &PayerState, leg: &HoldLeg) -> Result<(), LedgerRefusal> {
    let missing = state.cover_short()?;
    let available = state.spendable()?.minus(missing)?;
    let short_by = leg.wallet.minus(available)?.or_zero();
    let (payer, price) = (state.payer.clone(), leg.wallet);
    if !missing.is_zero() && !short_by.is_zero() {
        return Err(LedgerRefusal::CoverShort {
            payer,
            price,
            available,
            cover_missing: missing,
            short_by,
        });
    }
    // A call that raises nothing from the wallet needs no money, whatever the wallet stands at.
    if !short_by.is_zero() && !leg.wallet.is_zero() {
        return Err(LedgerRefusal::NotEnough {
            payer,
            price,
            available,
            short_by,
        });
    }
    let left = state.purse(Purse::PromoAvailable);
    if leg.promo > left.or_zero() {
        return Err(LedgerRefusal::PromoShort {
            payer,
            price: leg.promo,
            available: left,
        });
    }
    Ok(())
}

/// The legs of a hold that is open.
pub(super) fn open_legs(draft: &Draft<'_>, hold: HoldId) -> Result<Vec<Hold>, LedgerRefusal> {
    let legs = draft.legs(hold)?;
    match legs.iter().find(|leg| leg.status != HoldStatus::Open) {
        Some(leg) => Err(LedgerRefusal::HoldClosed {
            hold,
            status: leg.status,
        }),
        None => Ok(legs),
    }
}

pub(super) fn close(
    draft: &mut Draft<'_>,
    leg: &Hold,
    status: HoldStatus,
) -> Result<(), LedgerRefusal> {
    let state = draft.payer(&leg.payer)?;
    state.holds_open = state.holds_open.minus(leg.wallet)?;
    state.promo_holds_open = state.promo_holds_open.minus(leg.promo)?;
    draft.put_hold(Hold {
        status,
        ..leg.clone()
    });
    Ok(())
}

/// All of a leg goes back: held → available.
pub(super) fn let_go(draft: &mut Draft<'_>, leg: &Hold) -> Result<(), LedgerRefusal> {
    close(draft, leg, HoldStatus::GivenBack)?;
    cap::give_back(draft, leg)?;
    let promo = (Purse::PromoHeld, Purse::PromoAvailable);
    draft.shove(&leg.payer, "promo-give-back", promo.0, promo.1, leg.promo)?;
    let (from, to) = (Purse::Held, Purse::Available);
    draft.shove(&leg.payer, "give-back", from, to, leg.wallet)?;
    draft.refill(&leg.payer)
}

/// held → available; where the cover lacks something it is filled first. One-off prices of what
/// turned out to be others' are available → accrued for them, below the floor where they must.
pub(super) fn give_back(
    draft: &mut Draft<'_>,
    hold: HoldId,
    one_off: &[LineAmount],
) -> Result<(), LedgerRefusal> {
    for leg in open_legs(draft, hold)? {
        let_go(draft, &leg)?;
    }
    for line in one_off {
        let due = not_negative("the one-off price", line.amount)?;
        add_line(draft, line)?;
        draft.payer(&line.payer)?.version += 1;
        let (from, to) = (Purse::Available, Purse::Accrued);
        draft.shove(&line.payer, "one-off", from, to, due)?;
        draft.refill(&line.payer)?;
    }
    Ok(())
}

/// The hold merges into the cover, which from now on should carry it; one-off prices accrue, and
/// what was held for one-off prices that did not fall due goes back.
pub(super) fn settle(
    draft: &mut Draft<'_>,
    hold: HoldId,
    one_off: &[LineAmount],
) -> Result<(), LedgerRefusal> {
    let legs = open_legs(draft, hold)?;
    if let Some(line) = one_off
        .iter()
        .find(|line| !legs.iter().any(|l| l.payer == line.payer))
    {
        return Err(LedgerRefusal::UnknownPayer(line.payer.clone()));
    }
    for leg in legs {
        close(draft, &leg, HoldStatus::Settled)?;
        let mut due = Micros::ZERO;
        for line in one_off.iter().filter(|line| line.payer == leg.payer) {
            due = due.plus(not_negative("the one-off price", line.amount)?)?;
            add_line(draft, line)?;
        }
        cap::settle(draft, &leg, due)?;
        let state = draft.payer(&leg.payer)?;
        let lasting = leg.wallet.minus(leg.one_off)?;
        state.cover_target = state.cover_target.plus(lasting)?;
        state.promo_cover_target = state.promo_cover_target.plus(leg.promo)?;
        // A renewal that was computed before this settlement adds what the target grew by since;
        // gift credit and caps it has to compute again.
        if !leg.promo.is_zero() || !leg.caps.is_empty() {
            state.version += 1;
        }
        let kept = due.min(leg.one_off);
        let over = due.minus(kept)?;
        let back = leg.one_off.minus(kept)?;
        draft.shove(&leg.payer, "one-off", Purse::Held, Purse::Accrued, kept)?;
        draft.shove(
            &leg.payer,
            "one-off",
            Purse::Available,
            Purse::Accrued,
            over,
        )?;
        draft.shove(&leg.payer, "release", Purse::Held, Purse::Available, back)?;
    }
    Ok(())
}
