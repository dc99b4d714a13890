//! Pure: what a payer's resources come to in each cap that they count in.

use super::cover::Pricing;
use crate::ledger::caps::{Cap, CapShare, CapTotal, CappedResource};
use crate::meter::resource::Interval;
use crate::policy::caps::{SpendCap, by_name};
use crate::rate::ahead::{cost_ahead, months_of};
use crate::rate::{RateError, gross_of, month};
use crate::terms::ids::CapId;
use crate::terms::money::Micros;
use crate::terms::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// What counts in caps, as a renewal finds it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Capped {
    /// Resources whose holds passed caps.
    pub resources: Vec<CappedResource>,
    /// The payer's parts as they are kept.
    pub shares: Vec<CapShare>,
}

/// The earliest instant that a period of these caps holds beside `at`; `at` where there is none.
///
/// # Errors
/// [`RateError`] for an unknown zone.
pub fn earliest(caps: &[SpendCap], at: Timestamp) -> Result<Timestamp, RateError> {
    let mut earliest = at;
    for cap in caps {
        earliest = earliest.min(cap.period.start(at, &cap.zone)?);
    }
    Ok(earliest)
}

/// The totals of a renewal, a cap each: the exact marginal cost of its resources, on top of all
/// else that the payer has, gift credit left out. A part of a cap that is no longer written is let
/// go. `intervals` are all of the payer's that touch the months since the period began.
///
/// # Errors
/// [`RateError`] as for the renewal itself.
pub fn totals(
    pricing: Pricing<'_>,
    (caps, capped): (&[SpendCap], &Capped),
    intervals: &[Interval],
    through: Timestamp,
) -> Result<Vec<CapTotal>, RateError> {
    let passed = capped.resources.iter().flat_map(|one| &one.caps);
    let known = capped.shares.iter().map(|share| &share.cap);
    let names: BTreeSet<&CapId> = passed.chain(known).collect();
    let mut totals = Vec::new();
    // Caps of one chain mostly count the same resources: they are rated once.
    let mut rated: BTreeMap<(Timestamp, Vec<bool>), (Micros, Micros)> = BTreeMap::new();
    for name in names {
        let kept = capped.shares.iter().find(|share| share.cap == *name);
        let Some(cap) = by_name(caps, name.as_str()) else {
            totals.extend(kept.map(|share| CapTotal {
                cap: name.clone(),
                start: share.start,
                metered: share.metered,
                covered: Micros::ZERO,
            }));
            continue;
        };
        let start = cap.period.start(through, &cap.zone)?;
        if !passed_by_any(name, capped) && kept.is_none_or(|share| is_over(share, start)) {
            continue;
        }
        let counted = intervals.iter();
        let counted = counted.map(|interval| counts(interval, name, &capped.resources));
        let key = (start, counted.collect());
        let (metered, covered) = match rated.get(&key) {
            Some(found) => *found,
            None => marginal(pricing, intervals, &key, through)?,
        };
        rated.insert(key, (metered, covered));
        totals.push(CapTotal {
            cap: name.clone(),
            start,
            metered,
            covered,
        });
    }
    Ok(totals)
}

/// A notice for each cap that the renewal found used up: which period of which cap, and what it
/// says. It names no figures: they may be of others.
#[must_use]
pub fn notices(caps: &[SpendCap], rows: &[Cap]) -> Vec<(String, String)> {
    let used_up = rows.iter().filter_map(|row| {
        let cap = by_name(caps, row.id.as_str())?;
        let over = row.used().is_ok_and(|used| used > cap.most);
        over.then(|| {
            let episode = format!("cap/{}/{}", row.id, row.start);
            let text = format!(
                "cap {} is used up, what runs goes on: {}",
                cap.id, cap.reason
            );
            (episode, text)
        })
    });
    used_up.collect()
}

/// Consumed since the start, and ahead: with the counted intervals, less without them.
fn marginal(
    pricing: Pricing<'_>,
    intervals: &[Interval],
    (start, counted): &(Timestamp, Vec<bool>),
    through: Timestamp,
) -> Result<(Micros, Micros), RateError> {
    let others = intervals
        .iter()
        .zip(counted)
        .filter(|(_, counts)| !**counts);
    let others: Vec<Interval> = others.map(|(interval, _)| interval.clone()).collect();
    let all = consumed(pricing, intervals, *start, through)?;
    let metered = all.minus(consumed(pricing, &others, *start, through)?)?;
    let all = ahead(pricing, intervals, through)?;
    let covered = all.minus(ahead(pricing, &others, through)?)?;
    Ok((metered.or_zero(), covered.or_zero()))
}

fn passed_by_any(cap: &CapId, capped: &Capped) -> bool {
    let mut resources = capped.resources.iter();
    resources.any(|one| one.caps.contains(cap))
}

/// Nothing of the part counts in the period that began then, and nothing is going to.
fn is_over(share: &CapShare, start: Timestamp) -> bool {
    share.covered.is_zero() && (share.metered.is_zero() || share.start != start)
}

/// Whether an interval counts in a cap: its resource's hold passed it, for this interval or for
/// one before.
fn counts(interval: &Interval, cap: &CapId, resources: &[CappedResource]) -> bool {
    resources.iter().any(|one| {
        one.resource == interval.meter.resource
            && one.since <= interval.start.at
            && one.caps.contains(cap)
    })
}

/// What intervals cost in `[from, through)`, in each month on top of what they cost before.
fn consumed(
    pricing: Pricing<'_>,
    intervals: &[Interval],
    from: Timestamp,
    through: Timestamp,
) -> Result<Micros, RateError> {
    let Pricing { book, terms, .. } = pricing;
    let mut sum = Micros::ZERO;
    for period in months_of(from, through, &terms.zone)? {
        let end = through.min(period.end);
        sum = sum.plus(month(book, terms, period, intervals, end)?.wallet()?)?;
        if from > period.start {
            let before = month(book, terms, period, intervals, from)?;
            sum = sum.minus(before.wallet()?)?;
        }
    }
    Ok(sum)
}

fn ahead(
    pricing: Pricing<'_>,
    intervals: &[Interval],
    now: Timestamp,
) -> Result<Micros, RateError> {
    let Pricing {
        book,
        terms,
        profile,
    } = pricing;
    let groups = cost_ahead(book, terms, intervals, now, profile.horizon)?;
    Ok(gross_of(&groups)?)
}

#[cfg(test)]
mod tests;
