//! Pure: money back on lines of an issued invoice, by a document of its own.

use std::collections::BTreeMap;

use rust_decimal::Decimal;

use crate::bill::invoice::{Draft, Invoiced, tax_of};
use crate::ledger::command::{CreditNote, Paper, RevenueAmount, TaxAmount};
use crate::policy::customer::TaxMode;
use crate::terms::ids::{DocumentId, PayerId, PriceLineId};
use crate::terms::money::{Micros, MoneyError, to_minor_unit};
use crate::terms::time::Timestamp;

/// Why a credit note could not be drafted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CreditFault {
    /// The invoice has no such line.
    #[error("the invoice has no line `{0}`; name one of its lines")]
    UnknownLine(PriceLineId),
    /// More than the line.
    #[error("{share} of line `{line}` is not a share between 0 and 1")]
    NotAShare {
        /// Which line.
        line: PriceLineId,
        /// What was asked.
        share: Decimal,
    },
    /// An amount is beyond the range.
    #[error(transparent)]
    Money(#[from] MoneyError),
}

/// A credit note before it has a number; amounts are given back, so they are above nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreditDraft {
    /// Net given back, line by line, in minor units.
    pub lines: Vec<Invoiced>,
    /// Net given back, by revenue class.
    pub revenue: Vec<RevenueAmount>,
    /// Taxes given back.
    pub taxes: Vec<TaxAmount>,
    /// All of it.
    pub total: Micros,
}

/// Gives back a share (0 to 1) of each named line of the invoice: net to the minor unit, tax once
/// a group.
pub fn credit(
    invoice: &Draft,
    shares: &[(PriceLineId, Decimal)],
) -> Result<CreditDraft, CreditFault> {
    let mut lines = Vec::new();
    let mut classes: BTreeMap<&str, Micros> = BTreeMap::new();
    let mut groups: BTreeMap<&str, (Decimal, Micros)> = BTreeMap::new();
    for (id, share) in shares {
        if *share < Decimal::ZERO || *share > Decimal::ONE {
            return Err(CreditFault::NotAShare {
                line: id.clone(),
                share: *share,
            });
        }
        let line = invoice.lines.iter().find(|line| line.due.line == *id);
        let line = line.ok_or_else(|| CreditFault::UnknownLine(id.clone()))?;
        let exact = line.net.to_decimal().checked_mul(*share);
        let net = to_minor_unit(exact.ok_or(MoneyError::Overflow)?, invoice.currency)?;
        let class = classes.entry(&line.due.class).or_default();
        *class = class.plus(net)?;
        let group = groups
            .entry(&line.due.tax_group)
            .or_insert((line.due.rate, Micros::ZERO));
        group.1 = group.1.plus(net)?;
        lines.push(Invoiced {
            line: id.clone(),
            month: line.due.month.clone(),
            tax_group: line.due.tax_group.clone(),
            net: net.negated()?,
        });
    }
    let taxes = groups
        .into_iter()
        .filter(|_| invoice.tax_mode == TaxMode::AtUse)
        .map(|(tax_group, (rate, net))| {
            Ok(TaxAmount {
                tax: tax_group.to_owned(),
                amount: tax_of(net, rate, invoice.currency)?,
            })
        })
        .collect::<Result<Vec<_>, MoneyError>>()?;
    let net = Micros::sum(classes.values().copied())?;
    let total = net.plus(Micros::sum(taxes.iter().map(|tax| tax.amount))?)?;
    Ok(CreditDraft {
        lines,
        revenue: classes
            .into_iter()
            .map(|(class, amount)| RevenueAmount {
                class: class.to_owned(),
                amount,
            })
            .collect(),
        taxes,
        total,
    })
}

impl CreditDraft {
    /// What the ledger is asked to issue.
    #[must_use]
    pub fn command(
        &self,
        payer: &PayerId,
        paper: Paper,
        corrects: DocumentId,
        at: Timestamp,
    ) -> CreditNote {
        CreditNote {
            payer: payer.clone(),
            paper,
            corrects,
            revenue: self.revenue.clone(),
            taxes: self.taxes.clone(),
            at,
        }
    }
}
