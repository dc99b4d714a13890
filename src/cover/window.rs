//! Pure: the sampling window of what is known only after it was used (traffic, disk I/O): how long
//! it is, how much of the cover is held for it, and what can exceed that.
//!
//! A window of at most ten minutes is held at the line rate, where every thing's offering has one.
//! A longer one, or one without a rate, is held at the policy's estimate. When a sample comes, the
//! renewal accrues what it says from the cover and fills the cover up for the next window again:
//! what was not used is still there, so that nothing has to be given back.

use crate::cloudstack::usage_type::UsageType;
use crate::cover::cover::Pricing;
use crate::ledger::records::{BillingMode, PayerState};
use crate::meter::counting::Counting;
use crate::meter::resource::{Attributes, Interval};
use crate::policy::tariff::{BookVersion, PriceLine};
use crate::policy::variable::LINE_RATE_MAX;
use crate::rate::lookup::{self, Pricing as Lines};
use crate::rate::month::rate_at_use;
use crate::rate::tally::{highest_price, of_amount};
use crate::rate::{Planned, RateError};
use crate::terms::ids::{PriceLineId, ResourceId};
use crate::terms::money::{Micros, MoneyError, charge_to_micros};
use crate::terms::quantity::UnitMicros;
use crate::terms::time::{HOUR, SECOND, Timestamp};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use std::collections::{BTreeMap, BTreeSet};

/// The highest of so long a time counts for the estimate.
pub const WEEK: i64 = 7 * 24 * HOUR;

const TRAFFIC: [UsageType; 2] = [UsageType::NetworkBytesSent, UsageType::NetworkBytesReceived];
const DISK: [UsageType; 4] = [
    UsageType::VmDiskIoRead,
    UsageType::VmDiskIoWrite,
    UsageType::VmDiskBytesRead,
    UsageType::VmDiskBytesWrite,
];

/// A thing that can use an amount while it runs: a network with its router, the disk of a machine.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Carrier {
    /// What it can use.
    pub usage_type: UsageType,
    /// What its price and its line rate depend on.
    pub attributes: Attributes,
}

/// Whether a window is held at the line rate or at an estimate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    /// As much as can pass: only what comes late exceeds it.
    LineRate,
    /// As much as is to be expected.
    Estimate,
}

impl By {
    /// As operators read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::LineRate => "line rate",
            Self::Estimate => "estimate",
        }
    }
}

/// A payer's open sampling window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// How long it is, in microseconds.
    pub length: i64,
    /// What the cover carries for it, tax included where it is taken at use.
    pub held: Micros,
    /// What can exceed that at most until it is known; none where an offering has no line rate.
    pub overdraft: Option<Micros>,
    /// How it is held.
    pub by: By,
}

/// What a window is computed from, besides price and terms.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// What CloudStack counts, and how fast it can grow.
    pub counting: &'a Counting,
    /// The payer's highest of seven days by type.
    pub highest: &'a BTreeMap<UsageType, Highest>,
}

/// The fastest sample of a time: so many units in so many microseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Highest {
    /// Bytes or operations.
    pub units: i64,
    /// In so long.
    pub lasted: i64,
}

/// What of intervals can use amounts now: networks that are implemented, disks of machines that
/// run.
#[must_use]
pub fn carriers(intervals: &[Interval]) -> Vec<Carrier> {
    let open = || intervals.iter().filter(|one| one.end.is_none());
    let runs = open().filter(|one| one.meter.usage_type == UsageType::RunningVm);
    let running: BTreeSet<&ResourceId> = runs.map(|one| &one.meter.resource).collect();
    let works = |vm: Option<&ResourceId>| vm.is_some_and(|vm| running.contains(vm));
    open()
        .flat_map(|one| {
            let works = works(one.attributes.vm.as_ref());
            of_thing(one.meter.usage_type, &one.attributes, works)
        })
        .collect()
}

/// What a plan can use on top of what runs; disks count where it starts a machine.
#[must_use]
pub fn planned(after: &[Planned], before: &[Planned]) -> Vec<Carrier> {
    let starts = after
        .iter()
        .any(|one| one.usage_type == UsageType::RunningVm);
    let of = |all: &[Planned]| -> Vec<Carrier> {
        let each = all.iter();
        each.flat_map(|one| of_thing(one.usage_type, &one.attributes, starts))
            .collect()
    };
    let mut more = of(after);
    for had in of(before) {
        if let Some(at) = more.iter().position(|one| *one == had) {
            more.swap_remove(at);
        }
    }
    more
}

fn of_thing(usage_type: UsageType, attributes: &Attributes, works: bool) -> Vec<Carrier> {
    let uses: &[UsageType] = match usage_type {
        UsageType::Network if attributes.state.as_deref() == Some("Implemented") => &TRAFFIC,
        UsageType::Volume if works => &DISK,
        _ => &[],
    };
    let each = uses.iter().map(|usage_type| Carrier {
        usage_type: *usage_type,
        attributes: attributes.clone(),
    });
    each.collect()
}

/// The fastest sample of each type that ended after an instant. Samples of one window count
/// together.
#[must_use]
pub fn highest(intervals: &[Interval], since: Timestamp) -> BTreeMap<UsageType, Highest> {
    let mut windows: BTreeMap<(UsageType, Timestamp, Timestamp), i64> = BTreeMap::new();
    for one in intervals {
        let Some(end) = one.end.filter(|end| end.at > since) else {
            continue;
        };
        if one.meter.usage_type.counts_amounts() && end.at > one.start.at {
            let key = (one.meter.usage_type, one.start.at, end.at);
            let sum = windows.entry(key).or_default();
            *sum = sum.saturating_add(one.attributes.count);
        }
    }
    let mut found: BTreeMap<UsageType, Highest> = BTreeMap::new();
    for ((usage_type, start, end), units) in windows {
        let lasted = end.since(start);
        let rate = |one: &Highest, by: i64| i128::from(one.units) * i128::from(by);
        let next = Highest { units, lasted };
        let place = found.entry(usage_type).or_insert(next);
        if rate(&next, place.lasted) > rate(place, lasted) {
            *place = next;
        }
    }
    found
}

/// The payer's window for what can be used now; none where nothing can, or nothing of it is
/// charged or counted. It is as long as the policy says, and so much shorter that no more than the
/// policy's share of the prepaid money is held for it; never shorter than the usage server's own.
///
/// # Errors
/// [`RateError`] where prices have a hole or an amount is out of range.
pub fn window(
    pricing: Pricing<'_>,
    state: &PayerState,
    carriers: &[Carrier],
    known: Known<'_>,
    so_far: impl Fn(&PriceLineId) -> UnitMicros,
    now: Timestamp,
) -> Result<Option<Window>, RateError> {
    let uses = uses(pricing, carriers, known, &so_far, now)?;
    let Some(servers) = known.counting.window() else {
        return Ok(None);
    };
    if uses.is_empty() {
        return Ok(None);
    }
    let terms = &pricing.profile.variable;
    let money = state.spendable()?.plus(state.cover()?)?;
    let full = held(&uses, terms.window, terms.factor)?;
    let most = share(money, terms.share)?;
    let mut length = terms.window;
    if state.mode == BillingMode::Prepaid && full > most {
        length = scaled(length, most, full).max(terms.window_min);
    }
    let length = length.max(servers);
    let held = held(&uses, length, terms.factor)?;
    let exposed = length.saturating_add(pricing.profile.worst_delay);
    let overdraft = at_line_rate(&uses, exposed)?;
    let overdraft = match overdraft {
        Some(all) => Some(all.minus(held)?.or_zero()),
        None => None,
    };
    Ok(Some(Window {
        length,
        held,
        overdraft,
        by: by(&uses, length),
    }))
}

/// What a payer's things of one type can use, and what a unit of it costs him at most.
struct Use {
    /// Of all of them; none where one has no bound.
    per_second: Option<i64>,
    /// Units an hour that are estimated at least, not yet times the component's divisor.
    floor_per_hour: Decimal,
    highest: Option<Highest>,
    line: PriceLine,
    /// Net, of one priced unit, with the tax that the wallet pays.
    price: Decimal,
}

fn uses(
    pricing: Pricing<'_>,
    carriers: &[Carrier],
    known: Known<'_>,
    so_far: &impl Fn(&PriceLineId) -> UnitMicros,
    now: Timestamp,
) -> Result<Vec<Use>, RateError> {
    let mut found: BTreeMap<UsageType, Use> = BTreeMap::new();
    for one in carriers {
        if !known.counting.counts(one.usage_type) {
            continue;
        }
        let Some(version) = pricing.book.at(now) else {
            continue;
        };
        let Some((line, price)) = dearest(pricing, version, one, so_far, now)? else {
            continue;
        };
        let offering = one.attributes.offering.as_deref();
        let per_second = known.counting.rate(one.usage_type, offering);
        let terms = &pricing.profile.variable;
        let floor = terms.floor(line.component, offering);
        let next = Use {
            per_second,
            floor_per_hour: floor,
            highest: known.highest.get(&one.usage_type).copied(),
            line,
            price,
        };
        match found.get_mut(&one.usage_type) {
            None => drop(found.insert(one.usage_type, next)),
            Some(sum) => sum.add(next)?,
        }
    }
    Ok(found.into_values().collect())
}

impl Use {
    fn add(&mut self, other: Self) -> Result<(), MoneyError> {
        let both = self.per_second.zip(other.per_second);
        self.per_second = both.and_then(|(one, more)| one.checked_add(more));
        let floor = self.floor_per_hour.checked_add(other.floor_per_hour);
        self.floor_per_hour = floor.ok_or(MoneyError::Overflow)?;
        if other.price > self.price {
            (self.line, self.price) = (other.line, other.price);
        }
        Ok(())
    }

    /// Units that can pass in a time.
    fn most(&self, length: i64) -> Option<i64> {
        let units = i128::from(self.per_second?) * i128::from(length) / i128::from(SECOND);
        i64::try_from(units).ok()
    }

    /// Units that are to be expected in a time: so many times the highest, at least the floor.
    fn expected(&self, length: i64, factor: Decimal) -> Result<i64, MoneyError> {
        let of = |amount: Decimal, in_micros: i64| -> Result<i64, MoneyError> {
            amount
                .checked_mul(Decimal::from(length))
                .and_then(|sum| sum.checked_div(Decimal::from(in_micros)))
                .and_then(|units| units.ceil().to_i64())
                .ok_or(MoneyError::Overflow)
        };
        let floor = self
            .floor_per_hour
            .checked_mul(Decimal::from(self.line.component.divisor()))
            .ok_or(MoneyError::Overflow)?;
        let floor = of(floor, HOUR)?;
        let Some(highest) = self.highest else {
            return Ok(floor);
        };
        let units = Decimal::from(highest.units).checked_mul(factor);
        Ok(of(units.ok_or(MoneyError::Overflow)?, highest.lasted)?.max(floor))
    }

    fn cost(&self, units: i64) -> Result<Micros, RateError> {
        Ok(charge_to_micros(of_amount(&self.line, units, self.price)?)?)
    }
}

/// The dearest line of an amount for a thing, and its highest price with tax; none where it is
/// free or has no price.
fn dearest(
    pricing: Pricing<'_>,
    version: &BookVersion,
    carrier: &Carrier,
    so_far: &impl Fn(&PriceLineId) -> UnitMicros,
    now: Timestamp,
) -> Result<Option<(PriceLine, Decimal)>, RateError> {
    let Lines::Priced(lines) = lookup::pricing(version, carrier.usage_type, &carrier.attributes)
    else {
        return Ok(None);
    };
    let mut sum: Option<(PriceLine, Decimal)> = None;
    for line in lines {
        let tax = pricing.terms.tax.rate_at(&line.tax_group, now);
        let tax = tax.ok_or_else(|| RateError::NoTaxRate {
            group: line.tax_group.clone(),
            at: now,
        })?;
        let price = Decimal::ONE
            .checked_add(rate_at_use(pricing.terms, tax.rate))
            .and_then(|gross| gross.checked_mul(highest_price(line, so_far(&line.id)).ok()?))
            .ok_or(MoneyError::Overflow)?;
        // A surcharge comes on top.
        sum = match sum {
            None => Some((line.clone(), price)),
            Some((first, before)) => {
                let both = before.checked_add(price).ok_or(MoneyError::Overflow)?;
                Some((first, both))
            }
        };
    }
    Ok(sum.filter(|(_, price)| *price > Decimal::ZERO))
}

fn by(uses: &[Use], length: i64) -> By {
    let rated = uses.iter().all(|one| one.per_second.is_some());
    match length <= LINE_RATE_MAX && rated {
        true => By::LineRate,
        false => By::Estimate,
    }
}

/// What a window of this length is held at.
fn held(uses: &[Use], length: i64, factor: Decimal) -> Result<Micros, RateError> {
    let by = by(uses, length);
    let mut sum = Micros::ZERO;
    for one in uses {
        let expected = one.expected(length, factor)?;
        let units = match (by, one.most(length)) {
            (By::LineRate, Some(most)) => most,
            // Nothing can pass that the line does not let through.
            (By::Estimate, Some(most)) => expected.min(most),
            (_, None) => expected,
        };
        sum = sum.plus(one.cost(units)?)?;
    }
    Ok(sum)
}

/// What can pass at most in a time; none where that has no bound.
fn at_line_rate(uses: &[Use], length: i64) -> Result<Option<Micros>, RateError> {
    let mut sum = Micros::ZERO;
    for one in uses {
        let Some(most) = one.most(length) else {
            return Ok(None);
        };
        sum = sum.plus(one.cost(most)?)?;
    }
    Ok(Some(sum))
}

fn share(money: Micros, share: Decimal) -> Result<Micros, MoneyError> {
    let part = money.or_zero().to_decimal().checked_mul(share);
    charge_to_micros(part.ok_or(MoneyError::Overflow)?)
}

/// `length` × `part` ÷ `whole`, in whole seconds.
fn scaled(length: i64, part: Micros, whole: Micros) -> i64 {
    if whole.get() <= 0 {
        return length;
    }
    let micros = i128::from(length) * i128::from(part.get().max(0)) / i128::from(whole.get());
    i64::try_from(micros).unwrap_or(length) / SECOND * SECOND
}

#[cfg(test)]
mod tests;
