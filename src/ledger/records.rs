//! Pure: the rows of the books: accounts, transfers, payers' balances, holds.
//!
//! Signs: every figure of a payer is credit-normal: positive is money that the seller owes the
//! customer or has put aside for him. A transfer moves its amount from the debit account to the
//! credit account; amounts are never negative.

use crate::terms::ids::{
    CallId, CapId, DocumentId, HoldId, PayerId, PriceLineId, SellerId, TransferId,
};
use crate::terms::money::{Currency, Micros, MoneyError};
use crate::terms::quantity::UnitMicros;
use crate::terms::time::{BillingMonth, Timestamp};

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
    /// Its place in [`Purse::ALL`] and in [`PayerState::purses`].
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
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
    /// What the cover should carry from gift credit.
    pub promo_cover_target: Micros,
    /// Counts what a renewal depends on (renewals, terms, corrections, settled holds with gift
    /// credit or caps; not holds or top-ups, nor other settled holds, see `Renew::from_target`):
    /// a renewal computed from an older version is refused and computed again.
    pub version: i64,
}

impl PayerState {
    /// What is in a purse.
    #[must_use]
    pub fn purse(&self, purse: Purse) -> Micros {
        self.purses[purse.index()]
    }
    /// What the cover carries from the wallet: what is held and belongs to no open hold.
    pub fn cover(&self) -> Result<Micros, MoneyError> {
        self.purse(Purse::Held).minus(self.holds_open)
    }
    /// What the cover carries from gift credit.
    pub fn promo_cover(&self) -> Result<Micros, MoneyError> {
        self.purse(Purse::PromoHeld).minus(self.promo_holds_open)
    }
    /// What the cover lacks; raising calls are refused while it is above nothing.
    pub fn cover_short(&self) -> Result<Micros, MoneyError> {
        Ok(self.cover_target.minus(self.cover()?)?.or_zero())
    }
    /// What holds may still take: available, and the credit line below it.
    pub fn spendable(&self) -> Result<Micros, MoneyError> {
        self.purse(Purse::Available).plus(self.credit_line)
    }
    /// The whole wallet: available, held, retention and accrued.
    pub fn wallet(&self) -> Result<Micros, MoneyError> {
        Micros::sum(self.purses[..4].iter().copied())
    }
    /// What he owes: the wallet where it is below nothing.
    pub fn owes(&self) -> Result<Micros, MoneyError> {
        Ok(self.wallet()?.negated()?.or_zero())
    }
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
    /// A line of a bundle whose call came: the call's own hold has the money.
    Drawn,
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
    /// The caps that it passed: its resource counts there until it ends.
    pub caps: Vec<CapId>,
}

/// What a price line of a month has accrued: the row that accrual by difference compares with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Accrual {
    /// Who pays.
    pub payer: PayerId,
    /// Which price line.
    pub line: PriceLineId,
    /// Which month.
    pub month: BillingMonth,
    /// Which tax group.
    pub tax_group: String,
    /// Metered so far.
    pub quantity: UnitMicros,
    /// Accrued from the wallet so far.
    pub total: Micros,
    /// Accrued from gift credit so far.
    pub promo_total: Micros,
    /// The part of `total` that is on invoices.
    pub invoiced: Micros,
    /// The part of `promo_total` that is on invoices.
    pub promo_invoiced: Micros,
}

/// What an [`Accrual`] is found by.
pub type AccrualKey = (PayerId, BillingMonth, PriceLineId, String);

impl Accrual {
    /// What it is found by.
    #[must_use]
    pub fn key(&self) -> AccrualKey {
        (
            self.payer.clone(),
            self.month.clone(),
            self.line.clone(),
            self.tax_group.clone(),
        )
    }
}

/// Something a payer owes: an invoice, or what a dispute, a refund or a lost payment reopened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Item {
    /// Its cause: the document's id, or the command's name.
    pub id: String,
    /// Who owes.
    pub payer: PayerId,
    /// The amount it opened with.
    pub amount: Micros,
    /// What is still open.
    pub open: Micros,
    /// When it is to be paid.
    pub due: Timestamp,
    /// When it opened.
    pub at: Timestamp,
}

/// Money put to an item; below nothing where it was taken back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Allocation {
    /// Its name: the command's, and a number.
    pub id: String,
    /// Which item.
    pub item: String,
    /// Whose.
    pub payer: PayerId,
    /// How much.
    pub amount: Micros,
    /// When.
    pub at: Timestamp,
}

/// What kind of document.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum DocumentKind {
    /// An invoice.
    Invoice,
    /// A credit note.
    CreditNote,
    /// An invoice for an advance (tax at top-up).
    Advance,
}

impl DocumentKind {
    /// The word that is stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Invoice => "invoice",
            Self::CreditNote => "credit-note",
            Self::Advance => "advance",
        }
    }
}

/// A document with its number. Never changed once it is issued.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Document {
    /// Which.
    pub id: DocumentId,
    /// Who issued it.
    pub seller: SellerId,
    /// To whom.
    pub payer: PayerId,
    /// What kind.
    pub kind: DocumentKind,
    /// The seller's number series.
    pub series: String,
    /// Its number in the series, from 1, without a gap.
    pub number: i64,
    /// What it says is due or given back, never negative.
    pub total: Micros,
    /// The document it corrects.
    pub corrects: Option<DocumentId>,
    /// As the biller wrote it.
    pub body: String,
    /// When it was issued.
    pub at: Timestamp,
}
