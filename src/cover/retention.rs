//! Pure: money kept for storage after a stop: its price, and what is drawn from it.
//!
//! Where the policy has a customer fund it, its price is part of holds and of the cover's target
//! from the start, so that it is there when the machines stop.

use crate::cloudstack::usage_type::UsageType;
use crate::cover::cover::Pricing;
use crate::ledger::command::{LineAmount, LineTotal, Renew};
use crate::ledger::records::{Accrual, PayerState, Purse};
use crate::meter::resource::{Border, BorderSource, Interval};
use crate::rate::ahead::cost_ahead;
use crate::rate::{Planned, RateError, gross_of};
use crate::terms::money::{Micros, MoneyError};
use crate::terms::time::Timestamp;

/// Whether a meter ends when its machine stops: running, and the NICs of what runs.
const fn ends_with_a_stop(usage_type: UsageType) -> bool {
    matches!(
        usage_type,
        UsageType::RunningVm | UsageType::NetworkOffering
    )
}

/// What of a plan stays when its machine is stopped.
#[must_use]
pub fn staying(planned: &[Planned]) -> Vec<Planned> {
    let stays = planned
        .iter()
        .filter(|one| !ends_with_a_stop(one.usage_type));
    stays.cloned().collect()
}

/// What the cover carries on top for storage after a stop: nothing while money is kept for it
/// already, or where the policy funds none. `intervals` are all of the payer's of the month.
///
/// # Errors
/// [`RateError`] where prices have a hole.
pub fn aside(
    pricing: Pricing<'_>,
    state: &PayerState,
    intervals: &[Interval],
    now: Timestamp,
) -> Result<Micros, RateError> {
    if state.purse(Purse::Retention) > Micros::ZERO {
        return Ok(Micros::ZERO);
    }
    price(pricing, intervals, now)
}

/// What storage, addresses and the rest cost for the funded retention, were everything stopped
/// now.
///
/// # Errors
/// As [`aside`].
pub fn price(
    pricing: Pricing<'_>,
    intervals: &[Interval],
    now: Timestamp,
) -> Result<Micros, RateError> {
    let lasts = pricing.profile.funded_retention();
    if lasts <= 0 {
        return Ok(Micros::ZERO);
    }
    let stopped = stopped(intervals, now);
    let ahead = cost_ahead(pricing.book, pricing.terms, &stopped, now, lasts)?;
    Ok(gross_of(&ahead)?.or_zero())
}

/// The same things with every machine stopped at an instant.
#[must_use]
pub fn stopped(intervals: &[Interval], now: Timestamp) -> Vec<Interval> {
    let end = Border {
        at: now,
        source: BorderSource::Sweep,
    };
    let close = |interval: &Interval| {
        let mut interval = interval.clone();
        if ends_with_a_stop(interval.meter.usage_type) {
            interval.end = interval.end.or(Some(end));
        }
        interval
    };
    intervals.iter().map(close).collect()
}

/// What a renewal's consumption takes from the money kept for it, as long as nothing of the payer
/// runs; the renewal itself then accrues what is left over.
///
/// # Errors
/// [`MoneyError`] beyond the range.
pub fn draws(
    renewal: &Renew,
    state: &PayerState,
    accruals: &[Accrual],
    intervals: &[Interval],
) -> Result<Vec<LineAmount>, MoneyError> {
    let runs = |one: &Interval| one.meter.usage_type == UsageType::RunningVm && one.end.is_none();
    let mut kept = state.purse(Purse::Retention).or_zero();
    let mut lines = Vec::new();
    if kept.is_zero() || intervals.iter().any(runs) {
        return Ok(lines);
    }
    for total in &renewal.totals {
        let more = total.total.minus(accrued(total, accruals))?;
        let amount = more.or_zero().min(kept);
        if amount > Micros::ZERO {
            kept = kept.minus(amount)?;
            lines.push(LineAmount {
                payer: renewal.payer.clone(),
                line: total.line.clone(),
                month: total.month.clone(),
                tax_group: total.tax_group.clone(),
                amount,
            });
        }
    }
    Ok(lines)
}

fn accrued(total: &LineTotal, accruals: &[Accrual]) -> Micros {
    let mut rows = accruals.iter();
    let row = rows.find(|row| {
        row.line == total.line && row.month == total.month && row.tax_group == total.tax_group
    });
    row.map_or(Micros::ZERO, |row| row.total)
}
