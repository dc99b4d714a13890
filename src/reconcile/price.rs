//! Pure: what a finding is worth, and a month's intervals as they are once findings are followed.
//!
//! A finding is priced by the one rating function: the month with it minus the month without.
//! Whom a finding follows is `correct.rs`; what is posted is `bill`'s.

use super::compare::Difference;
use super::correct::Correction;
use super::record::UsageRecord;
use crate::meter::resource::{Attributes, Border, BorderSource, Interval, MeterId};
use crate::policy::customer::PayerTerms;
use crate::policy::tariff::PriceBook;
use crate::rate::{RateError, month};
use crate::terms::ids::ResourceId;
use crate::terms::time::{Period, Timestamp};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// What so many microseconds of a finding's meter cost net, on top of (or, below nothing, taken
/// off) what the payer's month comes to.
///
/// # Errors
/// [`RateError`], where a price is missing or a figure that it needs.
pub fn worth(
    book: &PriceBook,
    terms: &PayerTerms,
    period: Period,
    intervals: &[Interval],
    correction: &Correction,
    records: &[UsageRecord],
) -> Result<Decimal, RateError> {
    let more = Correction {
        micros: correction.micros.saturating_abs(),
        ..correction.clone()
    };
    let with = followed(intervals, &[more], records, period);
    let sum = |intervals: &[Interval]| -> Result<Decimal, RateError> {
        let rated = month(book, terms, period, intervals, period.end)?;
        rated.lines.iter().try_fold(Decimal::ZERO, |sum, line| {
            sum.checked_add(line.net)
                .ok_or_else(|| RateError::Overflow {
                    line: line.line.to_string(),
                })
        })
    };
    let worth = sum(&with)? - sum(intervals)?;
    Ok(if correction.micros < 0 { -worth } else { worth })
}

/// A finding as a correction to price: to follow the records adds what they have more.
#[must_use]
pub fn as_correction(found: &Difference) -> Correction {
    Correction {
        usage_type: found.usage_type,
        resource: found.resource.clone(),
        owner: found.owner.clone(),
        attributes: found.attributes.clone(),
        micros: found.reported_micros.saturating_sub(found.metered_micros),
        reason: String::new(),
    }
}

/// The intervals with the corrections followed: what was too much is taken off the newest ones,
/// what was too little is added where the records say it ran.
#[must_use]
pub fn followed(
    intervals: &[Interval],
    corrections: &[Correction],
    records: &[UsageRecord],
    period: Period,
) -> Vec<Interval> {
    let mut found = intervals.to_vec();
    for one in corrections {
        if one.micros < 0 {
            shorten(&mut found, one, period);
        } else if one.micros > 0 {
            let added = added(one, records, &found, period);
            found.push(added);
        }
    }
    found
}

/// The intervals with the sizes that the records tell of what ended before its own was known.
#[must_use]
pub fn sized(intervals: &[Interval], sizes: &BTreeMap<MeterId, i64>) -> Vec<Interval> {
    let mut found = intervals.to_vec();
    for interval in found.iter_mut().filter(|one| one.end.is_some()) {
        let attributes = &mut interval.attributes;
        let told = sizes.get(&interval.meter).copied();
        attributes.size_bytes = attributes.size_bytes.or(told);
    }
    found
}

fn same(interval: &Interval, one: &Correction) -> bool {
    let thing = interval.meter.resource.as_str() == one.resource;
    interval.meter.usage_type == one.usage_type && thing && interval.owner == one.owner
}

fn shorten(intervals: &mut [Interval], one: &Correction, period: Period) {
    let mut left = one.micros.saturating_abs();
    for interval in intervals
        .iter_mut()
        .rev()
        .filter(|interval| same(interval, one))
    {
        let Some(part) = interval.within(period) else {
            continue;
        };
        let count = interval.attributes.count.max(1);
        let cut = part.micros().min(left / count);
        interval.end = Some(border(part.end.plus(-cut)));
        left -= cut.saturating_mul(count);
    }
}

/// One interval as long as the records say, from the first of their windows on, held inside the
/// month.
fn added(
    one: &Correction,
    records: &[UsageRecord],
    known: &[Interval],
    period: Period,
) -> Interval {
    let of_it = records.iter().filter(|record| {
        let id = record.resource.as_ref().map(ResourceId::as_str);
        record.usage_type == one.usage_type && id == Some(one.resource.as_str())
    });
    let first = of_it.map(|record| record.window.start).min();
    let count = one.attributes.count.max(1);
    let length = (one.micros / count).min(period.micros());
    let latest = period.end.plus(-length);
    let start = first.unwrap_or(period.start).max(period.start).min(latest);
    Interval {
        meter: MeterId {
            usage_type: one.usage_type,
            resource: ResourceId::from(one.resource.as_str()),
            part: String::new(),
        },
        owner: one.owner.clone(),
        attributes: completed(&one.attributes, known),
        start: border(start),
        end: Some(border(start.plus(length))),
    }
}

/// Sizes that a record leaves out are those of another meter on the same offering.
fn completed(attributes: &Attributes, known: &[Interval]) -> Attributes {
    let mut found = attributes.clone();
    let alike = known.iter().map(|interval| &interval.attributes);
    let alike = alike.filter(|other| other.offering.is_some() && other.offering == found.offering);
    let Some(other) = alike.max_by_key(|other| other.vcpus.is_some()) else {
        return found;
    };
    found.vcpus = found.vcpus.or(other.vcpus);
    found.cpu_mhz = found.cpu_mhz.or(other.cpu_mhz);
    found.memory_mib = found.memory_mib.or(other.memory_mib);
    found
}

const fn border(at: Timestamp) -> Border {
    Border {
        at,
        source: BorderSource::Sweep,
    }
}
