//! Pure: an invoice is what is due minus what was invoiced. The document decides to the cent and
//! the ledger follows it.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::ledger::command::{Issue, Paper, RevenueAmount, TaxAmount};
use crate::policy::customer::TaxMode;
use crate::rate::{LineTotal, OneOff};
use crate::terms::ids::{PayerId, PriceLineId};
use crate::terms::money::{Currency, Micros, MoneyError, to_minor_unit};
use crate::terms::time::{BillingMonth, Timestamp};

/// Something to be invoiced: a price line's month, a one-off price, a dated correction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Due {
    /// The line: what it is told apart by, with month and tax group.
    pub line: PriceLineId,
    /// In which month it was consumed.
    pub month: BillingMonth,
    /// What the document says.
    pub text: String,
    /// `revenue.<class>`.
    pub class: String,
    /// The tax account: `DE.19`.
    pub tax_group: String,
    /// Its rate.
    pub rate: Decimal,
    /// Quantity in the line's own terms.
    pub quantity: Decimal,
    /// Net of all that is due, exact.
    pub net: Decimal,
}

impl Due {
    /// What a rated line of a month is due.
    #[must_use]
    pub fn of(total: &LineTotal, month: &BillingMonth) -> Self {
        Self {
            line: total.line.clone(),
            month: month.clone(),
            text: total.text.clone(),
            class: total.class.clone(),
            tax_group: total.tax_group.clone(),
            rate: total.rate,
            quantity: total.shown,
            net: total.net,
        }
    }
}

impl Due {
    /// A one-off price that fell due in a month.
    #[must_use]
    pub fn once(one: &OneOff, month: &BillingMonth) -> Self {
        Self {
            line: one.line.clone(),
            month: month.clone(),
            text: one.text.clone(),
            class: one.class.clone(),
            tax_group: one.due.tax_group.clone(),
            rate: one.rate,
            quantity: Decimal::from(one.count),
            net: one.due.net,
        }
    }
}

/// One line of a document (BG-25).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DraftLine {
    /// What is due, for text, class, group and quantity.
    pub due: Due,
    /// Net amount of the line (BT-131), in minor units of the currency.
    pub net: Micros,
}

/// One tax group of a document (BG-23), with its allowance (BG-20).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DraftGroup {
    /// The tax account: `DE.19`.
    pub tax_group: String,
    /// The rate (BT-119).
    pub rate: Decimal,
    /// Sum of the group's lines.
    pub lines: Micros,
    /// Gift credit that paid for it (BT-92).
    pub allowance: Micros,
    /// Taxable amount (BT-116).
    pub taxable: Micros,
    /// Tax (BT-117).
    pub tax: Micros,
}

/// A document before it has a number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draft {
    /// Its currency.
    pub currency: Currency,
    /// When tax is taken.
    pub tax_mode: TaxMode,
    /// Its lines.
    pub lines: Vec<DraftLine>,
    /// Its tax groups.
    pub groups: Vec<DraftGroup>,
    /// Sum of line net amounts (BT-106).
    pub net: Micros,
    /// Sum of allowances (BT-107).
    pub allowance: Micros,
    /// Total tax (BT-110).
    pub tax: Micros,
    /// Total with tax (BT-112).
    pub total: Micros,
    /// Of it, tax that an advance invoice showed already (tax at top-up).
    pub tax_of_advances: Micros,
}

/// A line of earlier documents: what of a month was invoiced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Invoiced {
    /// Which line.
    pub line: PriceLineId,
    /// Which month.
    pub month: BillingMonth,
    /// Which tax group.
    pub tax_group: String,
    /// Net, as the document said; credit notes count against it.
    pub net: Micros,
}

/// One entry for each line, month and tax group, quantities and nets added up: what several
/// causes (two set-ups in one month) come to is one line of the document.
pub fn gathered(due: Vec<Due>) -> Result<Vec<Due>, MoneyError> {
    let mut all: Vec<Due> = Vec::new();
    for one in due {
        let same = |old: &&mut Due| {
            old.line == one.line && old.month == one.month && old.tax_group == one.tax_group
        };
        match all.iter_mut().find(same) {
            Some(old) => {
                let net = old.net.checked_add(one.net);
                let quantity = old.quantity.checked_add(one.quantity);
                old.net = net.ok_or(MoneyError::Overflow)?;
                old.quantity = quantity.ok_or(MoneyError::Overflow)?;
            }
            None => all.push(one),
        }
    }
    Ok(all)
}

/// Drafts the invoice from gathered dues: each line's due to the minor unit less what was invoiced
/// of it, gift credit (`promo`: accrued and not invoiced, by tax group) as an allowance, tax once
/// a group.
/// None where nothing is left: doing it twice issues nothing.
pub fn draft(
    currency: Currency,
    tax_mode: TaxMode,
    due: &[Due],
    promo: &[(String, Micros)],
    already: &[Invoiced],
) -> Result<Option<Draft>, MoneyError> {
    let mut lines = Vec::new();
    for one in due {
        let before = already.iter().filter(|old| {
            old.line == one.line && old.month == one.month && old.tax_group == one.tax_group
        });
        let before = Micros::sum(before.map(|old| old.net))?;
        let net = to_minor_unit(one.net, currency)?.minus(before)?;
        if !net.is_zero() {
            lines.push(DraftLine {
                due: one.clone(),
                net,
            });
        }
    }
    if lines.is_empty() {
        return Ok(None);
    }
    let groups = groups(&lines, promo, currency)?;
    let net = Micros::sum(lines.iter().map(|line| line.net))?;
    let allowance = Micros::sum(groups.iter().map(|group| group.allowance))?;
    let tax = Micros::sum(groups.iter().map(|group| group.tax))?;
    Ok(Some(Draft {
        currency,
        tax_mode,
        total: net.minus(allowance)?.plus(tax)?,
        tax_of_advances: match tax_mode {
            TaxMode::AtUse => Micros::ZERO,
            TaxMode::AtTopUp => tax,
        },
        lines,
        groups,
        net,
        allowance,
        tax,
    }))
}

fn groups(
    lines: &[DraftLine],
    promo: &[(String, Micros)],
    currency: Currency,
) -> Result<Vec<DraftGroup>, MoneyError> {
    let mut sums: BTreeMap<&str, (Decimal, Micros)> = BTreeMap::new();
    for line in lines {
        let sum = sums
            .entry(&line.due.tax_group)
            .or_insert((line.due.rate, Micros::ZERO));
        sum.1 = sum.1.plus(line.net)?;
    }
    sums.into_iter()
        .map(|(tax_group, (rate, sum))| {
            let gift = promo.iter().filter(|(group, _)| group == tax_group);
            let gift = Micros::sum(gift.map(|(_, amount)| *amount))?;
            let allowance = to_minor_unit(gift.to_decimal(), currency)?.min(sum.or_zero());
            let taxable = sum.minus(allowance)?;
            Ok(DraftGroup {
                tax_group: tax_group.to_owned(),
                rate,
                lines: sum,
                allowance,
                taxable,
                tax: tax_of(taxable, rate, currency)?,
            })
        })
        .collect()
}

/// Tax of a taxable amount, to the minor unit.
pub fn tax_of(taxable: Micros, rate: Decimal, currency: Currency) -> Result<Micros, MoneyError> {
    let exact = taxable
        .to_decimal()
        .checked_mul(rate)
        .ok_or(MoneyError::Overflow)?;
    to_minor_unit(exact, currency)
}

impl Draft {
    /// Net by revenue class, allowances taken off (from the group's classes in their order).
    pub fn revenue(&self) -> Result<Vec<RevenueAmount>, MoneyError> {
        let mut sums: BTreeMap<(&str, &str), Micros> = BTreeMap::new();
        for line in &self.lines {
            let sum = sums
                .entry((&line.due.tax_group, &line.due.class))
                .or_default();
            *sum = sum.plus(line.net)?;
        }
        for group in &self.groups {
            let mut left = group.allowance;
            let of_group = sums
                .iter_mut()
                .filter(|((tax_group, _), _)| *tax_group == group.tax_group);
            for (_, sum) in of_group {
                let off = left.min(sum.or_zero());
                *sum = sum.minus(off)?;
                left = left.minus(off)?;
            }
        }
        let mut classes: BTreeMap<&str, Micros> = BTreeMap::new();
        for ((_, class), amount) in sums {
            let sum = classes.entry(class).or_default();
            *sum = sum.plus(amount)?;
        }
        Ok(classes
            .into_iter()
            .map(|(class, amount)| RevenueAmount {
                class: class.to_owned(),
                amount,
            })
            .collect())
    }

    /// Taxes to post: none where they were posted with the advance.
    #[must_use]
    pub fn taxes(&self) -> Vec<TaxAmount> {
        if self.tax_mode == TaxMode::AtTopUp {
            return Vec::new();
        }
        self.groups
            .iter()
            .filter(|group| !group.tax.is_zero())
            .map(|group| TaxAmount {
                tax: group.tax_group.clone(),
                amount: group.tax,
            })
            .collect()
    }

    /// What the ledger is asked to issue.
    pub fn issue(
        &self,
        payer: &PayerId,
        paper: Paper,
        due: Timestamp,
        at: Timestamp,
    ) -> Result<Issue, MoneyError> {
        let mut months: Vec<BillingMonth> = self
            .lines
            .iter()
            .map(|line| line.due.month.clone())
            .collect();
        months.sort();
        months.dedup();
        Ok(Issue {
            payer: payer.clone(),
            paper,
            months,
            revenue: self.revenue()?,
            taxes: self.taxes(),
            rounding: Micros::ZERO,
            due,
            at,
        })
    }

    /// What later documents count as invoiced.
    #[must_use]
    pub fn invoiced(&self) -> Vec<Invoiced> {
        self.lines
            .iter()
            .map(|line| Invoiced {
                line: line.due.line.clone(),
                month: line.due.month.clone(),
                tax_group: line.due.tax_group.clone(),
                net: line.net,
            })
            .collect()
    }
}
