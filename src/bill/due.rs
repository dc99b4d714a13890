//! Pure: everything that is due of one payer's month: rated lines, corrections, one-off prices,
//! and lines that were invoiced and are due no more.

use super::document::{DocumentFault, Invoice};
use super::invoice::{Due, Invoiced};
use crate::ledger::command::LineAmount;
use crate::ledger::records::Accrual;
use crate::policy::customer::PayerTerms;
use crate::rate::month::rate_at_use;
use crate::rate::{LineTotal, MonthTotals, RateError, gross};
use crate::terms::ids::{PayerId, PriceLineId};
use crate::terms::money::{Currency, Micros, MoneyError, to_minor_unit};
use crate::terms::time::{BillingMonth, Timestamp};
use rust_decimal::Decimal;
use std::str::FromStr as _;

/// What follows a price line's id where a finding of reconciliation changed its month.
pub const CORRECTION: &str = "/correction";

/// What is due of the month: as metered, and beside it what the followed findings change. A
/// change is the difference of two rounded lines, so that it moves no cent when the meter takes
/// it over later.
///
/// # Errors
/// [`MoneyError`], where an amount is beyond the range.
pub fn of_month(
    metered: &MonthTotals,
    corrected: &MonthTotals,
    month: &BillingMonth,
    currency: Currency,
) -> Result<Vec<Due>, MoneyError> {
    let mut found: Vec<Due> = metered
        .lines
        .iter()
        .map(|total| Due::of(total, month))
        .collect();
    for (line, quantity, net) in changes(metered, corrected) {
        if net.is_zero() && quantity.is_zero() {
            continue;
        }
        let before = line.net.checked_sub(net).ok_or(MoneyError::Overflow)?;
        let rounded = to_minor_unit(line.net, currency)?.minus(to_minor_unit(before, currency)?)?;
        found.push(Due {
            line: correction_of(&line.line),
            text: format!("{} (found by reconciliation)", line.text),
            quantity,
            net: rounded.to_decimal(),
            ..Due::of(line, month)
        });
    }
    Ok(found)
}

fn correction_of(line: &PriceLineId) -> PriceLineId {
    PriceLineId::from(format!("{line}{CORRECTION}"))
}

/// What the findings change, line by line: quantity and net.
fn changes<'a>(
    metered: &MonthTotals,
    corrected: &'a MonthTotals,
) -> impl Iterator<Item = (&'a LineTotal, Decimal, Decimal)> {
    let before: Vec<LineTotal> = metered.lines.clone();
    corrected.lines.iter().map(move |line| {
        let same =
            |other: &&LineTotal| (&other.line, &other.tax_group) == (&line.line, &line.tax_group);
        let old = before.iter().find(same);
        let (quantity, net) =
            old.map_or((Decimal::ZERO, Decimal::ZERO), |old| (old.shown, old.net));
        (line, line.shown - quantity, line.net - net)
    })
}

/// What the ledger has to accrue more (or less) so that the findings are in it.
///
/// # Errors
/// [`MoneyError`], where an amount is beyond the range.
pub fn to_correct(
    payer: &PayerId,
    month: &BillingMonth,
    terms: &PayerTerms,
    totals: (&MonthTotals, &MonthTotals),
    accruals: &[Accrual],
) -> Result<Vec<LineAmount>, MoneyError> {
    let mut found = Vec::new();
    let mut put = |line: PriceLineId, tax_group: &str, target: Micros| {
        let mut rows = accruals.iter();
        let row = rows.find(|row| row.line == line && row.tax_group == tax_group);
        let amount = target.minus(row.map_or(Micros::ZERO, |row| row.total))?;
        if !amount.is_zero() {
            found.push(LineAmount {
                payer: payer.clone(),
                line,
                month: month.clone(),
                tax_group: tax_group.to_owned(),
                amount,
            });
        }
        Ok::<(), MoneyError>(())
    };
    let mut named = Vec::new();
    for (line, _, net) in changes(totals.0, totals.1) {
        let id = correction_of(&line.line);
        named.push((id.clone(), line.tax_group.clone()));
        put(
            id,
            &line.tax_group,
            gross(net, rate_at_use(terms, line.rate))?,
        )?;
    }
    let gone = |row: &&Accrual| {
        row.line.as_str().ends_with(CORRECTION)
            && !named.contains(&(row.line.clone(), row.tax_group.clone()))
    };
    for row in accruals.iter().filter(gone) {
        put(row.line.clone(), &row.tax_group, Micros::ZERO)?;
    }
    Ok(found)
}

/// One-off prices that fell due in the month: rows of the books that no metered line stands for.
/// They accrued as the wallet pays them, so the tax is taken out again.
///
/// # Errors
/// [`RateError::NoTaxRate`], where the group's rate is gone from the policies.
pub fn one_off(
    accruals: &[Accrual],
    terms: &PayerTerms,
    class_of: &dyn Fn(&str) -> (String, String),
    at: Timestamp,
) -> Result<Vec<Due>, RateError> {
    let mut found = Vec::new();
    for row in accruals {
        let id = row.line.as_str();
        let Some((base, _)) = id.split_once('/').filter(|_| !id.ends_with(CORRECTION)) else {
            continue;
        };
        let rate = terms
            .tax
            .rates
            .iter()
            .rev()
            .find(|rate| rate.code == row.tax_group);
        let rate = rate.ok_or_else(|| RateError::NoTaxRate {
            group: row.tax_group.clone(),
            at,
        })?;
        let factor = Decimal::ONE + rate_at_use(terms, rate.rate);
        let net = row
            .total
            .to_decimal()
            .checked_div(factor)
            .ok_or(MoneyError::Overflow)?;
        let (class, text) = class_of(base);
        found.push(Due {
            line: row.line.clone(),
            month: row.month.clone(),
            text,
            class,
            tax_group: row.tax_group.clone(),
            rate: rate.rate,
            quantity: Decimal::ONE,
            net: net + row.promo_total.to_decimal(),
        });
    }
    Ok(found)
}

/// What earlier documents say of the month; a line that is due no more is due at nothing.
///
/// # Errors
/// [`DocumentFault`], where a stored document cannot be read.
pub fn with_earlier(
    documents: &[Invoice],
    month: &BillingMonth,
    due: &mut Vec<Due>,
) -> Result<Vec<Invoiced>, DocumentFault> {
    let mut found = Vec::new();
    for document in documents {
        for (invoiced, line) in document.invoiced()? {
            if invoiced.month != *month {
                continue;
            }
            let known = due
                .iter()
                .any(|one| (&one.line, &one.tax_group) == (&invoiced.line, &invoiced.tax_group));
            if !known {
                let rate = Decimal::from_str(&line.rate);
                due.push(Due {
                    line: invoiced.line.clone(),
                    month: month.clone(),
                    text: line.text.clone(),
                    class: line.class.clone(),
                    tax_group: line.tax_group.clone(),
                    rate: rate.map_err(|e| DocumentFault::Unreadable(e.to_string()))?,
                    quantity: Decimal::ZERO,
                    net: Decimal::ZERO,
                });
            }
            found.push(invoiced);
        }
    }
    Ok(found)
}

/// Gift credit that accrued and is on no invoice, by tax group.
///
/// # Errors
/// [`MoneyError`].
pub fn gifts(accruals: &[Accrual]) -> Result<Vec<(String, Micros)>, MoneyError> {
    let rows = accruals.iter().map(|row| {
        Ok((
            row.tax_group.clone(),
            row.promo_total.minus(row.promo_invoiced)?,
        ))
    });
    rows.collect()
}
