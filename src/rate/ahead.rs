//! Pure: what everything that runs will cost next: the target of the cover, and the burn.

use crate::cloudstack::usage_type::UsageType;
use crate::meter::resource::{Attributes, Interval};
use crate::policy::customer::PayerTerms;
use crate::policy::tariff::{Basis, PriceBook};
use crate::rate::lookup::{Pricing, pricing, units};
use crate::rate::month::{MonthTotals, month, nets, rate_at_use};
use crate::rate::tally::{per_hour, price_at};
use crate::rate::{GroupNet, RateError, gross_of};
use crate::terms::ids::{PriceLineId, ResourceId};
use crate::terms::money::{Micros, MoneyError};
use crate::terms::quantity::UnitMicros;
use crate::terms::time::{BillingMonth, HOUR, Period, Timestamp};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// The months of a zone that have a part in `[from, through)`; the one of `from` where the two
/// are one instant.
pub fn months_of(
    from: Timestamp,
    through: Timestamp,
    zone: &str,
) -> Result<Vec<Period>, RateError> {
    let mut at = BillingMonth::containing(from, zone)?;
    let mut months = vec![at.period()?];
    loop {
        at = at.next();
        let period = at.period()?;
        if period.start >= through {
            return Ok(months);
        }
        months.push(period);
    }
}

/// What the payer's intervals will cost in `[now, now + horizon)` by exact marginal prices: on
/// top of the month so far, through known changes of prices, tax and month. `intervals` are all
/// of the payer's that touch the month of `now`, the open ones running on.
pub fn cost_ahead(
    book: &PriceBook,
    terms: &PayerTerms,
    intervals: &[Interval],
    now: Timestamp,
    horizon: i64,
) -> Result<Vec<GroupNet>, RateError> {
    let end = now.plus(horizon);
    let mut ahead: BTreeMap<String, (Decimal, Decimal)> = BTreeMap::new();
    for period in months_of(now, end, &terms.zone)? {
        let until = |instant| -> Result<MonthTotals, RateError> {
            month(book, terms, period, intervals, instant)
        };
        for group in nets(&until(end)?, terms) {
            let sum = ahead
                .entry(group.tax_group)
                .or_insert((group.rate, Decimal::ZERO));
            sum.1 = sum.1.checked_add(group.net).ok_or(MoneyError::Overflow)?;
        }
        for group in nets(&until(now)?, terms) {
            if let Some(sum) = ahead.get_mut(&group.tax_group) {
                sum.1 = sum.1.checked_sub(group.net).ok_or(MoneyError::Overflow)?;
            }
        }
    }
    Ok(ahead
        .into_iter()
        .map(|(tax_group, (rate, net))| GroupNet {
            tax_group,
            rate,
            net,
        })
        .collect())
}

/// What the next hour costs the wallet, gift credit left out: the figure shown as "per hour".
pub fn burn_per_hour(
    book: &PriceBook,
    terms: &PayerTerms,
    intervals: &[Interval],
    now: Timestamp,
) -> Result<Micros, RateError> {
    Ok(gross_of(&cost_ahead(book, terms, intervals, now, HOUR)?)?)
}

/// What one meter costs the wallet in an hour at the tier its lines have reached, exact: for
/// showing who burns how much. Allowances and caps are the payer's, not a meter's, and are left
/// out, as is what a machine costs while it is stopped; a meter without a price costs nothing.
pub fn meter_per_hour(
    book: &PriceBook,
    terms: &PayerTerms,
    (usage_type, attributes): (UsageType, &Attributes),
    so_far: impl Fn(&PriceLineId) -> UnitMicros,
    now: Timestamp,
) -> Result<Decimal, RateError> {
    let Some(version) = book.at(now) else {
        let book = book.id.clone();
        return Err(RateError::NoVersion { book, at: now });
    };
    let Pricing::Priced(lines) = pricing(version, usage_type, attributes) else {
        return Ok(Decimal::ZERO);
    };
    let mut sum = Decimal::ZERO;
    for line in lines.iter().filter(|line| line.basis != Basis::Stopped) {
        let has =
            units(line.component, attributes).map_err(|what| RateError::AttributeMissing {
                usage_type,
                resource: ResourceId::from(attributes.name.as_str()),
                what,
            })?;
        let tax = terms.tax.rate_at(&line.tax_group, now);
        let tax = tax.ok_or_else(|| RateError::NoTaxRate {
            group: line.tax_group.clone(),
            at: now,
        })?;
        let net = per_hour(line, has, price_at(line, so_far(&line.id))?)?;
        sum = Decimal::ONE
            .checked_add(rate_at_use(terms, tax.rate))
            .and_then(|factor| net.checked_mul(factor))
            .and_then(|gross| sum.checked_add(gross))
            .ok_or(MoneyError::Overflow)?;
    }
    Ok(sum)
}
