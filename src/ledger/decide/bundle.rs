//! Pure: several calls held in one step, each line drawn by its call, and the rest given back.

use super::draft::Draft;
use super::hold::{admit, bounded, close, let_go, open_legs, take};
use super::{cap, grant};
use crate::ledger::bundle::{Bundle, Draw, EndBundle, stands_for};
use crate::ledger::command::HoldLeg;
use crate::ledger::records::{Hold, HoldStatus, Purse};
use crate::ledger::refusal::LedgerRefusal;
use crate::terms::ids::PayerId;
use crate::terms::money::Micros;
use std::collections::BTreeMap;

/// Every leg of every line or none: available → held. A payer is asked for all of his legs at
/// once, so that a refusal names what the whole bundle lacks.
pub(super) fn promise(draft: &mut Draft<'_>, it: &Bundle) -> Result<(), LedgerRefusal> {
    let mut totals: BTreeMap<&PayerId, HoldLeg> = BTreeMap::new();
    for leg in it.lines.iter().flat_map(|line| &line.legs) {
        bounded(leg)?;
        let total = totals
            .entry(&leg.payer)
            .or_insert_with(|| nothing(&leg.payer));
        total.wallet = total.wallet.plus(leg.wallet)?;
        total.promo = total.promo.plus(leg.promo)?;
    }
    for (payer, total) in totals {
        if !total.promo.is_zero() {
            grant::end_due(draft, payer)?;
        }
        more(draft, payer, &total)?;
    }
    for line in &it.lines {
        for leg in &line.legs {
            cap::pass(draft, leg)?;
            take(draft, line.hold, stands_for(it.bundle), leg)?;
        }
    }
    Ok(())
}

/// The line's hold becomes the call's: held → held. Beyond its line a call is asked like any
/// other, for the difference alone; what the line has too much goes back.
pub(super) fn draw(draft: &mut Draft<'_>, it: &Draw) -> Result<(), LedgerRefusal> {
    let lines = open_legs(draft, it.line)?;
    if lines.iter().any(|line| line.call != stands_for(it.bundle)) {
        return Err(LedgerRefusal::UnknownHold(it.line));
    }
    let had = |payer: &PayerId| {
        let mut of_payer = lines.iter().filter(|line| line.payer == *payer);
        of_payer
            .next()
            .map_or((Micros::ZERO, Micros::ZERO), |line| {
                (line.wallet, line.promo)
            })
    };
    // Asked before the line's holds end: while they are open, the cover is what it is.
    for leg in &it.legs {
        bounded(leg)?;
        let (wallet, promo) = had(&leg.payer);
        let beyond = HoldLeg {
            wallet: leg.wallet.minus(wallet)?.or_zero(),
            promo: leg.promo.minus(promo)?.or_zero(),
            ..nothing(&leg.payer)
        };
        if !beyond.promo.is_zero() {
            grant::end_due(draft, &leg.payer)?;
        }
        more(draft, &leg.payer, &beyond)?;
    }
    for line in &lines {
        close(draft, line, HoldStatus::Drawn)?;
        cap::give_back(draft, line)?;
    }
    for leg in &it.legs {
        let (wallet, promo) = had(&leg.payer);
        if leg.wallet.plus(leg.promo)? > wallet.plus(promo)? {
            cap::pass(draft, leg)?;
        } else {
            cap::keep(draft, leg)?;
        }
        pass_on(draft, it, leg, (wallet, promo))?;
    }
    // A payer whom the call does not cost anything any more.
    let left = lines
        .iter()
        .filter(|line| it.legs.iter().all(|leg| leg.payer != line.payer));
    for line in left {
        release(draft, &line.payer, (line.wallet, line.promo))?;
    }
    for line in &lines {
        draft.refill(&line.payer)?;
    }
    Ok(())
}

/// What no call drew goes back. A bundle of which nothing is left ends all the same.
pub(super) fn end(draft: &mut Draft<'_>, it: &EndBundle) -> Result<(), LedgerRefusal> {
    for line in &it.lines {
        for leg in draft.legs(*line)? {
            if leg.call != stands_for(it.bundle) {
                return Err(LedgerRefusal::UnknownHold(*line));
            }
            if leg.status == HoldStatus::Open {
                let_go(draft, &leg)?;
            }
        }
    }
    Ok(())
}

fn nothing(payer: &PayerId) -> HoldLeg {
    HoldLeg {
        payer: payer.clone(),
        wallet: Micros::ZERO,
        promo: Micros::ZERO,
        one_off: Micros::ZERO,
        caps: Vec::new(),
    }
}

/// Whether what is available carries so much more. Nothing needs no money.
fn more(draft: &mut Draft<'_>, payer: &PayerId, leg: &HoldLeg) -> Result<(), LedgerRefusal> {
    let state = draft.payer(payer)?;
    if leg.wallet.is_zero() && leg.promo.is_zero() {
        return Ok(());
    }
    admit(state, leg)
}

/// The call's leg takes over what its line held, more from what is available, or less.
fn pass_on(
    draft: &mut Draft<'_>,
    it: &Draw,
    leg: &HoldLeg,
    (wallet, promo): (Micros, Micros),
) -> Result<(), LedgerRefusal> {
    let payer = &leg.payer;
    let kept = (leg.wallet.min(wallet), leg.promo.min(promo));
    draft.shove(payer, "draw", Purse::Held, Purse::Held, kept.0)?;
    let same = (Purse::PromoHeld, Purse::PromoHeld);
    draft.shove(payer, "promo-draw", same.0, same.1, kept.1)?;
    let beyond = (leg.wallet.minus(kept.0)?, leg.promo.minus(kept.1)?);
    draft.shove(payer, "hold", Purse::Available, Purse::Held, beyond.0)?;
    let gift = (Purse::PromoAvailable, Purse::PromoHeld);
    draft.shove(payer, "promo-hold", gift.0, gift.1, beyond.1)?;
    release(draft, payer, (wallet.minus(kept.0)?, promo.minus(kept.1)?))?;
    let state = draft.payer(payer)?;
    state.holds_open = state.holds_open.plus(leg.wallet)?;
    state.promo_holds_open = state.promo_holds_open.plus(leg.promo)?;
    let at = draft.at;
    draft.put_hold(Hold {
        id: it.hold,
        call: it.call,
        payer: payer.clone(),
        wallet: leg.wallet,
        promo: leg.promo,
        one_off: leg.one_off,
        status: HoldStatus::Open,
        at,
        caps: leg.caps.iter().map(|bound| bound.cap.clone()).collect(),
    });
    Ok(())
}

fn release(
    draft: &mut Draft<'_>,
    payer: &PayerId,
    (wallet, promo): (Micros, Micros),
) -> Result<(), LedgerRefusal> {
    let gift = (Purse::PromoHeld, Purse::PromoAvailable);
    draft.shove(payer, "promo-give-back", gift.0, gift.1, promo)?;
    draft.shove(payer, "give-back", Purse::Held, Purse::Available, wallet)
}
