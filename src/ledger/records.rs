//! Pure: the rows of the books: accounts, transfers, payers' balances, holds.
//!
//! Signs: every figure of a payer is credit-normal: positive is money that the seller owes the
//! customer or has put aside for him. A transfer moves its amount from the debit account to the
//! credit account; amounts are never negative.

use crate::terms::ids::{CallId, HoldId, PayerId, SellerId, TransferId};
use crate::terms::money::{Currency, Micros};
use crate::terms::time::Timestamp;

/// One of a payer's accounts (`accounting.md`'s names).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(
    missing_docs,
    reason = "the names are the chart's and `name` spells them"
)]
pub enum Purse {
    Available,
    Held,
    Retention,
    Accrued,
    PromoAvailable,
    PromoHeld,
    PromoAccrued,
}

impl Purse {
    /// Every purse, in the chart's order.
    pub const ALL: [Self; 7] = [
        Self::Available,
        Self::Held,
        Self::Retention,
        Self::Accrued,
        Self::PromoAvailable,
        Self::PromoHeld,
        Self::PromoAccrued,
    ];
    /// The chart's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Available => "wallet.available",
            Self::Held => "wallet.held",
            Self::Retention => "wallet.retention",
            Self::Accrued => "wallet.accrued",
            Self::PromoAvailable => "promo.available",
            Self::PromoHeld => "promo.held",
            Self::PromoAccrued => "promo.accrued",
        }
    }
}

/// A ledger account: a payer's purse, or an account of a seller (`revenue.compute`,
/// `clearing.card`, `tax.DE.19`, `rounding` …).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Account {
    /// A payer's purse.
    Payer(PayerId, Purse),
    /// A seller's account, by its name in the chart.
    Seller(SellerId, String),
}

/// One movement: both its sides in one row. Its id is given by its cause, so that applied twice
/// is applied once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// For example `hold/hld_…/wallet`.
    pub id: TransferId,
    /// Whose books.
    pub seller: SellerId,
    /// In which currency.
    pub currency: Currency,
    /// What happened, a word of the event table: `hold`, `give-back`, `accrue`, `refill`,
    /// `release`, `top-up`, `issue` …
    pub event: String,
    /// The account debited.
    pub debit: Account,
    /// The account credited.
    pub credit: Account,
    /// How much; never negative.
    pub amount: Micros,
    /// When, billing time.
    pub at: Timestamp,
}

/// How a payer pays.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum BillingMode {
    /// Money first: holds are bound by what is available.
    Prepaid,
    /// A credit line: holds may take the wallet down to minus the line.
    Postpaid,
}

/// One payer's figures: the row that a hold locks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PayerState {
    /// Who.
    pub payer: PayerId,
    /// Whose customer.
    pub seller: SellerId,
    /// The one currency of this payer.
    pub currency: Currency,
    /// Prepaid or postpaid.
    pub mode: BillingMode,
    /// How far below nothing holds may go; nothing for prepaid without a line.
    pub credit_line: Micros,
    /// Balances by purse, in the order of [`Purse::ALL`].
    pub purses: [Micros; 7],
    /// The part of `wallet.held` that belongs to open holds; the rest is the cover.
    pub holds_open: Micros,
    /// The part of `promo.held` that belongs to open holds.
    pub promo_holds_open: Micros,
    /// What the cover should carry: the cost of all that runs, for the horizon.
    pub cover_target: Micros,
    /// Consumption has accrued up to this billing instant.
    pub accrued_through: Timestamp,
    /// Counts changes; a renewal computed from an older version is refused and computed again.
    pub version: i64,
}

/// Where a hold is in its life.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum HoldStatus {
    /// Promised; its call's outcome is not known yet.
    Open,
    /// Its resource costs: it merged into the payer's cover, one-off prices accrued.
    Settled,
    /// Nothing came of the call: the money went back.
    GivenBack,
}

/// Money promised for one raising call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Hold {
    /// Which.
    pub id: HoldId,
    /// For which call.
    pub call: CallId,
    /// Who pays.
    pub payer: PayerId,
    /// From the wallet, tax included where the mode says so.
    pub wallet: Micros,
    /// From gift credit, net.
    pub promo: Micros,
    /// How much of `wallet` is a one-off price, due when the call succeeds.
    pub one_off: Micros,
    /// Where it is in its life.
    pub status: HoldStatus,
    /// When it was made, billing time.
    pub at: Timestamp,
}
