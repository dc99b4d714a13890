//! Pure: what commands do to the caps that a hold named.

use super::draft::Draft;
use super::not_negative;
use crate::ledger::caps::{self, CapTotal};
use crate::ledger::command::HoldLeg;
use crate::ledger::records::Hold;
use crate::ledger::refusal::LedgerRefusal;
use crate::terms::ids::PayerId;
use crate::terms::money::Micros;

/// Every cap of a leg takes what it costs, or the first that does not says no.
pub(super) fn pass(draft: &mut Draft<'_>, leg: &HoldLeg) -> Result<(), LedgerRefusal> {
    let adds = leg.wallet.plus(leg.promo)?;
    for bound in &leg.caps {
        let row = draft.cap(&bound.cap, bound.start);
        row.turn(bound.start);
        if let Some(over) = caps::over(bound, row, adds)? {
            return Err(LedgerRefusal::OverCap(Box::new(over)));
        }
        row.held = row.held.plus(adds)?;
    }
    Ok(())
}

/// Takes what a leg costs without asking: as much was promised there before.
pub(super) fn keep(draft: &mut Draft<'_>, leg: &HoldLeg) -> Result<(), LedgerRefusal> {
    let adds = leg.wallet.plus(leg.promo)?;
    for bound in &leg.caps {
        let row = draft.cap(&bound.cap, bound.start);
        row.turn(bound.start);
        row.held = row.held.plus(adds)?;
    }
    Ok(())
}

/// Nothing came of the call.
pub(super) fn give_back(draft: &mut Draft<'_>, leg: &Hold) -> Result<(), LedgerRefusal> {
    let back = leg.wallet.plus(leg.promo)?;
    for cap in &leg.caps {
        let row = draft.cap(cap, leg.at);
        row.held = row.held.minus(back)?;
    }
    Ok(())
}

/// What lasts stays promised, as its payer's part, until his renewal knows better; the one-off
/// prices that fell due are consumed. They count in the period that the cap stands at: the one
/// in which they were promised, or a later one.
pub(super) fn settle(draft: &mut Draft<'_>, leg: &Hold, due: Micros) -> Result<(), LedgerRefusal> {
    let lasting = leg.wallet.minus(leg.one_off)?.plus(leg.promo)?;
    for cap in &leg.caps {
        let row = draft.cap(cap, leg.at);
        row.held = row.held.minus(leg.one_off)?;
        row.accrued = row.accrued.plus(due)?;
        let start = row.start;
        let share = draft.share(cap, &leg.payer, start);
        share.turn(start);
        share.covered = share.covered.plus(lasting)?;
        share.one_off = share.one_off.plus(due)?;
    }
    Ok(())
}

/// A renewal passes a cap, whatever is used of it: what runs, runs.
pub(super) fn renew(
    draft: &mut Draft<'_>,
    payer: &PayerId,
    totals: &[CapTotal],
) -> Result<(), LedgerRefusal> {
    for total in totals {
        not_negative("what a cap covers", total.covered)?;
        not_negative("what a cap metered", total.metered)?;
        let row = draft.cap(&total.cap, total.start);
        row.turn(total.start);
        let mut row = row.clone();
        let share = draft.share(&total.cap, payer, row.start);
        share.turn(row.start);
        row.held = row.held.plus(total.covered.minus(share.covered)?)?;
        share.covered = total.covered;
        if total.start == row.start {
            row.accrued = row.accrued.plus(total.metered.minus(share.metered)?)?;
            share.metered = total.metered;
        }
        draft.put_cap(row);
    }
    Ok(())
}
