//! Edge: a call that was held against its caller and turned out to be another payer's: what it
//! started is that one's to pay, one-off prices too.

use super::line::Settlement;
use crate::ledger::Command;
use crate::ledger::command::LineAmount;
use crate::policy::customer::RuleSet;
use crate::rate::{Planned, RateError, hold_price};
use crate::store::{Intent, IntentChange, IntervalChange, StoredInterval};
use crate::terms::ids::{CallId, PayerId};
use crate::terms::quantity::UnitMicros;
use crate::terms::time::{BillingMonth, Timestamp};

/// A call that was held against its caller and turned out to be another payer's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Moved {
    /// Which call.
    pub call: CallId,
    /// Who called.
    pub caller: PayerId,
    /// Who pays for what it made.
    pub payer: Option<PayerId>,
}

/// Whether what a call in doubt made or changed belongs to another payer than the one whom it is
/// held against.
pub(super) fn moved(settlement: &Settlement, intervals: &[IntervalChange]) -> Option<Moved> {
    let caller = settlement.in_doubt.clone()?;
    let (IntentChange::Update { call, .. } | IntentChange::Insert(Intent { call, .. })) =
        settlement.intents.first()?;
    let payer = intervals.iter().find_map(|change| match change {
        IntervalChange::Insert(row) | IntervalChange::Replace(row) => {
            (row.payer.as_ref() != Some(&caller)).then(|| row.payer.clone())
        }
        IntervalChange::End { .. } => None,
    })?;
    Some(Moved {
        call: *call,
        caller,
        payer,
    })
}

/// The caller's money goes back; the payer of what was made is renewed from its first second, and
/// owes its one-off prices from now, whatever his balance is: the thing is there.
pub(super) fn given_back(
    settlement: Settlement,
    rules: &RuleSet,
    intervals: &[IntervalChange],
) -> Settlement {
    let command = match settlement.command {
        Some(Command::Settle { hold, at, .. }) => {
            let new = |row: &&StoredInterval| row.hold == Some(hold) && settlement.succeeded;
            let rows = intervals.iter().filter_map(row).filter(new);
            let one_off = rows.flat_map(|row| one_offs(rules, row, at)).collect();
            Some(Command::GiveBack { hold, one_off, at })
        }
        other => other,
    };
    Settlement {
        command,
        ..settlement
    }
}

const fn row(change: &IntervalChange) -> Option<&StoredInterval> {
    match change {
        IntervalChange::Insert(row) | IntervalChange::Replace(row) => Some(row),
        IntervalChange::End { .. } => None,
    }
}

/// What falls due once for what was started, in the prices of its payer and of the resellers above
/// him.
fn one_offs(rules: &RuleSet, row: &StoredInterval, at: Timestamp) -> Vec<LineAmount> {
    let Some(payer) = &row.payer else {
        return Vec::new();
    };
    let meter = &row.interval.meter;
    let chain = rules.chain_of(payer).into_iter();
    let due = chain.flat_map(|payer| {
        priced(rules, &payer, row, at).unwrap_or_else(|fault| {
            tracing::error!(verb = "settle", %payer, resource = %meter.resource, %fault,
                "a one-off price is not charged");
            Vec::new()
        })
    });
    due.collect()
}

fn priced(
    rules: &RuleSet,
    payer: &PayerId,
    row: &StoredInterval,
    at: Timestamp,
) -> Result<Vec<LineAmount>, RateError> {
    let (Some(book), Some(terms)) = (rules.book_of(payer), rules.terms_of(payer)) else {
        return Ok(Vec::new());
    };
    let started = Planned {
        usage_type: row.interval.meter.usage_type,
        attributes: row.interval.attributes.clone(),
    };
    // A moment: no later version of the book counts.
    let price = hold_price(book, &terms, &[started], |_| UnitMicros::default(), at, 1)?;
    let month = BillingMonth::containing(at, &terms.zone)?;
    let due = price.one_offs.into_iter().map(|one| {
        Ok(LineAmount {
            payer: payer.clone(),
            amount: one.due.gross()?,
            line: one.line,
            month: month.clone(),
            tax_group: one.due.tax_group,
        })
    });
    due.collect()
}

#[cfg(test)]
mod tests;
