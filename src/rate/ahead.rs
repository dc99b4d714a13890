//! Pure: what everything that runs will cost next: the target of the cover, and the burn.

use crate::meter::resource::Interval;
use crate::policy::customer::PayerTerms;
use crate::policy::tariff::PriceBook;
use crate::rate::month::{MonthTotals, month, nets};
use crate::rate::{GroupNet, RateError, gross_of};
use crate::terms::money::{Micros, MoneyError};
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
