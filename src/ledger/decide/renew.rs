//! Pure: consumption accrues, the cover is filled up or let go; corrections and retention.

use super::draft::Draft;
use super::{cap, grant, not_negative};
use crate::ledger::command::{LineAmount, LineTotal, Renew, Retention, RetentionStep};
use crate::ledger::records::{AccrualKey, Purse};
use crate::ledger::refusal::LedgerRefusal;
use crate::terms::ids::PayerId;
use crate::terms::money::Micros;

/// Accrual by difference: each line's total so far less what it accrued; then the cover moves to
/// its target, as far as the floor lets it.
pub(super) fn renew(draft: &mut Draft<'_>, renew: &Renew) -> Result<(), LedgerRefusal> {
    not_negative("the cover's target", renew.cover_target)?;
    not_negative("the gift cover's target", renew.promo_cover_target)?;
    // What ends now was counted on: another version, so that it is computed again without it.
    draft.payer(&renew.payer)?;
    grant::end_due(draft, &renew.payer)?;
    let state = draft.payer(&renew.payer)?;
    if state.version != renew.expected_version {
        return Err(LedgerRefusal::Conflict {
            payer: renew.payer.clone(),
            expected: renew.expected_version,
            found: state.version,
        });
    }
    state.version += 1;
    state.accrued_through = state.accrued_through.max(renew.through);
    let since = state.cover_target.minus(renew.from_target)?;
    state.cover_target = renew.cover_target.plus(since.or_zero())?;
    state.promo_cover_target = renew.promo_cover_target;
    cap::renew(draft, &renew.payer, &renew.caps)?;
    let (wallet, promo) = take_totals(draft, &renew.payer, &renew.totals)?;
    consume(draft, &renew.payer, wallet, WALLET)?;
    consume(draft, &renew.payer, promo, PROMO)?;
    grant::end_due(draft, &renew.payer)
}

/// The sums of the differences: wallet, gift credit.
fn take_totals(
    draft: &mut Draft<'_>,
    payer: &PayerId,
    totals: &[LineTotal],
) -> Result<(Micros, Micros), LedgerRefusal> {
    let (mut wallet, mut promo) = (Micros::ZERO, Micros::ZERO);
    for line in totals {
        let group = line.tax_group.clone();
        let row = draft.accrual((payer.clone(), line.month.clone(), line.line.clone(), group));
        wallet = wallet.plus(line.total.minus(row.total)?)?;
        promo = promo.plus(line.promo_total.minus(row.promo_total)?)?;
        row.quantity = line.quantity;
        row.total = line.total;
        row.promo_total = line.promo_total;
    }
    Ok((wallet, promo))
}

/// Wallet or gift credit: available, held, accrued.
type Trio = [Purse; 3];
const WALLET: Trio = [Purse::Available, Purse::Held, Purse::Accrued];
const PROMO: Trio = [Purse::PromoAvailable, Purse::PromoHeld, Purse::PromoAccrued];

/// Consumption is taken from the cover, then from what is available; the cover is filled up from
/// what is available above the floor, or let go. Consumed and refilled together are one row,
/// available → accrued: the cover's own figure does not change by it.
fn consume(
    draft: &mut Draft<'_>,
    payer: &PayerId,
    consumed: Micros,
    trio: Trio,
) -> Result<(), LedgerRefusal> {
    let [available, held, accrued] = trio;
    if consumed.is_negative() {
        draft.shove(payer, "accrue", available, accrued, consumed)?;
        // What comes back of a grant that ended does not go into the cover.
        grant::end_due(draft, payer)?;
    }
    let consumed = consumed.or_zero();
    let state = draft.payer(payer)?;
    let (cover, target, floor) = if held == Purse::Held {
        (state.cover()?, state.cover_target, state.credit_line)
    } else {
        (state.promo_cover()?, state.promo_cover_target, Micros::ZERO)
    };
    let from_cover = consumed.min(cover.or_zero());
    let from_available = consumed.minus(from_cover)?;
    let left = cover.minus(from_cover)?;
    let free = state.purse(available).minus(from_available)?.plus(floor)?;
    let refill = target.minus(left)?.or_zero().min(free.or_zero());
    let release = left.minus(target)?.or_zero();
    let together = from_cover.min(refill);
    let straight = from_available.plus(together)?;
    draft.shove(payer, "accrue", available, accrued, straight)?;
    draft.shove(payer, "accrue", held, accrued, from_cover.minus(together)?)?;
    draft.shove(payer, "refill", available, held, refill.minus(together)?)?;
    draft.shove(payer, "release", held, available, release)
}

/// Adds an amount to a line's row, without a posting.
pub(super) fn add_line(draft: &mut Draft<'_>, line: &LineAmount) -> Result<(), LedgerRefusal> {
    let key: AccrualKey = (
        line.payer.clone(),
        line.month.clone(),
        line.line.clone(),
        line.tax_group.clone(),
    );
    let row = draft.accrual(key);
    row.total = row.total.plus(line.amount)?;
    Ok(())
}

/// available → accrued for more, accrued → available for less. It may pass below the floor.
pub(super) fn correct(draft: &mut Draft<'_>, lines: &[LineAmount]) -> Result<(), LedgerRefusal> {
    for line in lines {
        add_line(draft, line)?;
        draft.payer(&line.payer)?.version += 1;
        let (from, to) = (Purse::Available, Purse::Accrued);
        draft.shove(&line.payer, "correct", from, to, line.amount)?;
        draft.refill(&line.payer)?;
    }
    Ok(())
}

/// Money for storage after a stop.
pub(super) fn retention(draft: &mut Draft<'_>, it: &Retention) -> Result<(), LedgerRefusal> {
    let payer = &it.payer;
    draft.payer(payer)?.version += 1;
    match &it.step {
        RetentionStep::Fund(amount) => fund(draft, payer, not_negative("retention", *amount)?),
        RetentionStep::GiveBack(amount) => {
            let kept = draft.payer(payer)?.purse(Purse::Retention).or_zero();
            let back = not_negative("retention", *amount)?.min(kept);
            let (from, to) = (Purse::Retention, Purse::Available);
            draft.shove(payer, "retention-back", from, to, back)?;
            draft.refill(payer)
        }
        RetentionStep::Draw(lines) => {
            for line in lines {
                let amount = not_negative("what storage consumed", line.amount)?;
                add_line(draft, line)?;
                let kept = draft.payer(&line.payer)?.purse(Purse::Retention).or_zero();
                let drawn = amount.min(kept);
                let over = amount.minus(drawn)?;
                let to = Purse::Accrued;
                let from = Purse::Retention;
                draft.shove(&line.payer, "retention-draw", from, to, drawn)?;
                draft.shove(&line.payer, "accrue", Purse::Available, to, over)?;
            }
            Ok(())
        }
    }
}

/// From the cover, then from what is available, bound by the floor.
fn fund(draft: &mut Draft<'_>, payer: &PayerId, amount: Micros) -> Result<(), LedgerRefusal> {
    let state = draft.payer(payer)?;
    let from_cover = amount.min(state.cover()?.or_zero());
    let rest = amount.minus(from_cover)?;
    let available = state.spendable()?;
    if rest > available.or_zero() {
        return Err(LedgerRefusal::NotEnough {
            payer: payer.clone(),
            price: amount,
            available: available.plus(from_cover)?,
            short_by: rest.minus(available)?,
        });
    }
    state.cover_target = state.cover_target.minus(from_cover)?.or_zero();
    let to = Purse::Retention;
    draft.shove(payer, "retention-fund", Purse::Held, to, from_cover)?;
    draft.shove(payer, "retention-fund", Purse::Available, to, rest)
}
