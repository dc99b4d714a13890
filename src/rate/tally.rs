//! Pure: what a quantity of one price line costs: tiers, allowance, cap, run on in a month.

use crate::policy::tariff::PriceLine;
use crate::rate::RateError;
use crate::terms::quantity::UnitMicros;
use crate::terms::time::HOUR;
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// Metered unit-microseconds of one priced unit for one unit of time.
fn scale(line: &PriceLine) -> Option<Decimal> {
    Decimal::from(line.unit.micros()).checked_mul(Decimal::from(line.component.divisor()))
}

fn overflow(line: &PriceLine) -> RateError {
    RateError::Overflow {
        line: line.id.to_string(),
    }
}

fn raw(quantity: UnitMicros) -> Option<Decimal> {
    Decimal::try_from_i128_with_scale(quantity.get(), 0).ok()
}

/// What the first `quantity` of a month costs, net, the cap left out. The one division comes
/// last, so that a price of whole hours is exact.
///
/// Refuses quantities beyond the 28 digits that are exact.
pub fn cost(line: &PriceLine, quantity: UnitMicros) -> Result<Decimal, RateError> {
    cost_of(line, quantity).ok_or_else(|| overflow(line))
}

fn cost_of(line: &PriceLine, quantity: UnitMicros) -> Option<Decimal> {
    let scale = scale(line)?;
    let allowance = line.allowance.checked_mul(scale)?;
    let charged = raw(quantity)?.checked_sub(allowance)?.max(Decimal::ZERO);
    let mut below = Decimal::ZERO;
    let mut sum = Decimal::ZERO;
    for tier in &line.tiers {
        let end = match tier.up_to {
            Some(up_to) => up_to.checked_mul(scale)?.min(charged),
            None => charged,
        };
        let part = end.checked_sub(below)?.max(Decimal::ZERO);
        sum = sum.checked_add(part.checked_mul(tier.price)?)?;
        below = below.max(end);
    }
    sum.checked_div(scale)
}

/// The highest price among the tiers from this quantity upwards.
pub fn highest_price(line: &PriceLine, so_far: UnitMicros) -> Result<Decimal, RateError> {
    highest_of(line, so_far).ok_or_else(|| overflow(line))
}

fn highest_of(line: &PriceLine, so_far: UnitMicros) -> Option<Decimal> {
    let scale = scale(line)?;
    let allowance = line.allowance.checked_mul(scale)?;
    let charged = raw(so_far)?.checked_sub(allowance)?.max(Decimal::ZERO);
    let mut highest = Decimal::ZERO;
    for tier in &line.tiers {
        let passed = match tier.up_to {
            Some(up_to) => up_to.checked_mul(scale)? <= charged,
            None => false,
        };
        if !passed {
            highest = highest.max(tier.price);
        }
    }
    Some(highest)
}

/// The price of the tier that this quantity has reached; the allowance is not counted on.
pub fn price_at(line: &PriceLine, so_far: UnitMicros) -> Result<Decimal, RateError> {
    tier_at(line, so_far).ok_or_else(|| overflow(line))
}

fn tier_at(line: &PriceLine, so_far: UnitMicros) -> Option<Decimal> {
    let scale = scale(line)?;
    let allowance = line.allowance.checked_mul(scale)?;
    let charged = raw(so_far)?.checked_sub(allowance)?.max(Decimal::ZERO);
    for tier in &line.tiers {
        match tier.up_to {
            Some(up_to) if up_to.checked_mul(scale)? <= charged => {}
            _ => return Some(tier.price),
        }
    }
    Some(Decimal::ZERO)
}

/// Net price of so many metered units for one hour; an amount costs nothing by lasting.
pub fn per_hour(line: &PriceLine, units: i64, price: Decimal) -> Result<Decimal, RateError> {
    if line.component.is_amount() {
        return Ok(Decimal::ZERO);
    }
    Decimal::from(units)
        .checked_mul(price)
        .and_then(|sum| {
            let hours = Decimal::from(line.unit.micros() / HOUR);
            sum.checked_div(hours.checked_mul(Decimal::from(line.component.divisor()))?)
        })
        .ok_or_else(|| overflow(line))
}

/// Net price of so many metered units (bytes, operations) of an amount, at one unit's price.
pub fn of_amount(line: &PriceLine, units: i64, price: Decimal) -> Result<Decimal, RateError> {
    Decimal::from(units)
        .checked_mul(price)
        .and_then(|sum| sum.checked_div(Decimal::from(line.component.divisor())))
        .ok_or_else(|| overflow(line))
}

/// A quantity in the line's own terms (priced units × its unit of time), for documents.
pub fn shown(line: &PriceLine, quantity: UnitMicros) -> Result<Decimal, RateError> {
    raw(quantity)
        .and_then(|raw| raw.checked_div(scale(line)?))
        .ok_or_else(|| overflow(line))
}

/// One price line's month so far: its quantity runs on through versions and tax rates.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tally {
    /// The line as last in force.
    pub line: PriceLine,
    /// Quantity so far.
    pub quantity: UnitMicros,
    /// Net so far.
    pub net: Decimal,
    /// Net and quantity by tax group, in the order of their codes: code → (rate, net, quantity).
    pub groups: BTreeMap<String, (Decimal, Decimal, UnitMicros)>,
}

impl Tally {
    /// A line that nothing was counted on yet.
    #[must_use]
    pub fn new(line: &PriceLine) -> Self {
        Self {
            line: line.clone(),
            quantity: UnitMicros::ZERO,
            net: Decimal::ZERO,
            groups: BTreeMap::new(),
        }
    }

    /// Counts more, at the prices of `line` (this line's version in force then) and the tax of
    /// then. The month never costs less for more.
    pub fn add(
        &mut self,
        line: &PriceLine,
        quantity: UnitMicros,
        tax: (&str, Decimal),
    ) -> Result<(), RateError> {
        let through = self.quantity.plus(quantity)?;
        let more = cost(line, through)?
            .checked_sub(cost(line, self.quantity)?)
            .and_then(|more| self.net.checked_add(more))
            .ok_or_else(|| overflow(line))?;
        let net = line
            .month_cap
            .map_or(more, |cap| more.min(cap))
            .max(self.net);
        let (code, rate) = tax;
        let group =
            self.groups
                .entry(code.to_owned())
                .or_insert((rate, Decimal::ZERO, UnitMicros::ZERO));
        group.1 = net
            .checked_sub(self.net)
            .and_then(|delta| group.1.checked_add(delta))
            .ok_or_else(|| overflow(line))?;
        group.2 = group.2.plus(quantity)?;
        self.net = net;
        self.quantity = through;
        self.line = line.clone();
        Ok(())
    }
}
