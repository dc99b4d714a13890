//! Pure: the one rating function: metered intervals and a price book to exact amounts.
//!
//! Renewals, covers, holds and invoices all price here, so that they can differ by late facts
//! only, never by method. Which payer and which book is `policy`'s; postings are `ledger`'s.

pub mod ahead;
pub mod hold;
pub mod lookup;
pub mod month;
pub mod table;
pub mod tally;

pub use ahead::{burn_per_hour, cost_ahead, meter_per_hour};
pub use hold::{HoldLine, HoldLines, HoldPrice, OneOff, Planned, hold_lines, hold_price};
pub use month::{GroupTotal, LineTotal, MonthTotals, month};

use crate::cloudstack::usage_type::UsageType;
use crate::terms::ids::ResourceId;
use crate::terms::money::{Micros, MoneyError, charge_to_micros};
use crate::terms::quantity::QuantityOverflow;
use crate::terms::time::{MonthError, Timestamp};
use rust_decimal::Decimal;

/// Why an amount could not be computed: the payer is parked with it, the others go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RateError {
    /// No version of the book is in force.
    #[error("price book `{book}` has no version in force at {at}; add one that starts earlier")]
    NoVersion {
        /// The book.
        book: String,
        /// The instant.
        at: Timestamp,
    },
    /// The tax profile has no rate for the group.
    #[error("no tax rate for group `{group}` at {at}; add it to the seller's tax rates")]
    NoTaxRate {
        /// The group that a price line names.
        group: String,
        /// The instant.
        at: Timestamp,
    },
    /// A price needs a figure that the meter does not have.
    #[error("{usage_type:?} of `{resource}` has no {what}, which its price needs; read it back")]
    AttributeMissing {
        /// The meter's type.
        usage_type: UsageType,
        /// The meter's resource.
        resource: ResourceId,
        /// What is missing.
        what: &'static str,
    },
    /// Beyond what can be rated exactly.
    #[error("an amount or quantity of price line `{line}` is beyond the exact range")]
    Overflow {
        /// The line.
        line: String,
    },
    /// An amount is beyond 64 bits of millionths.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// A quantity is beyond 128 bits.
    #[error(transparent)]
    Quantity(#[from] QuantityOverflow),
    /// The seller's months could not be named.
    #[error(transparent)]
    Month(#[from] MonthError),
}

/// A net amount of one tax group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupNet {
    /// The tax account: `DE.19`.
    pub tax_group: String,
    /// Its rate where tax is taken at use, nothing where it was taken at top-up.
    pub rate: Decimal,
    /// Exact net amount.
    pub net: Decimal,
}

impl GroupNet {
    /// What the wallet pays for it: net and tax, to the millionth (half to even).
    pub fn gross(&self) -> Result<Micros, MoneyError> {
        gross(self.net, self.rate)
    }
}

/// Net and tax of an exact amount, to the millionth (half to even).
pub fn gross(net: Decimal, rate: Decimal) -> Result<Micros, MoneyError> {
    let factor = Decimal::ONE.checked_add(rate).ok_or(MoneyError::Overflow)?;
    charge_to_micros(net.checked_mul(factor).ok_or(MoneyError::Overflow)?)
}

/// The sum of what the wallet pays for several groups.
pub fn gross_of(groups: &[GroupNet]) -> Result<Micros, MoneyError> {
    groups
        .iter()
        .try_fold(Micros::ZERO, |sum, group| sum.plus(group.gross()?))
}

#[cfg(test)]
mod tests;
