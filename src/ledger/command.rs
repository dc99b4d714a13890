//! Pure: what may be asked of the books, each named by its cause.
//!
//! Every command has a name made of its cause (`hold/hld_…`, `top-up/<provider's id>`): applied
//! twice it is applied once, and other content under a used name is refused. `decide.rs` says what
//! it does. Amounts are millionths of the payer's currency, not negative unless said. `at`: when.

use super::bundle::{Bundle, Draw, EndBundle};
use super::caps::{CapBound, CapTotal};
pub use super::grants::PromoGrant;
pub use super::paper::{RevenueAmount, TaxAmount};
use super::records::BillingMode;
use crate::terms::ids::{CallId, DocumentId, HoldId, PayerId, PriceLineId, SellerId, TransferId};
use crate::terms::money::{Currency, Micros};
use crate::terms::quantity::UnitMicros;
use crate::terms::time::{BillingMonth, Timestamp};

/// How a payer pays.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Terms {
    /// Prepaid or postpaid.
    pub mode: BillingMode,
    /// How far below nothing holds may go.
    pub credit_line: Micros,
}

/// One payer's part of a hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HoldLeg {
    /// Who pays.
    pub payer: PayerId,
    /// From the wallet, one-off prices included, and tax where the mode says so.
    pub wallet: Micros,
    /// From gift credit, net.
    pub promo: Micros,
    /// How much of `wallet` is a one-off price.
    pub one_off: Micros,
    /// The caps on his way up, in the order in which they are asked; each once.
    pub caps: Vec<CapBound>,
}

/// What one price line of one month comes to, so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LineTotal {
    /// Which price line (or a tax group's own line, where tax accrues beside the lines).
    pub line: PriceLineId,
    /// Which month.
    pub month: BillingMonth,
    /// Which tax group.
    pub tax_group: String,
    /// Metered so far in the month.
    pub quantity: UnitMicros,
    /// Of the wallet, so far in the month, gross where tax is due at use. Not a difference.
    pub total: Micros,
    /// Of gift credit, so far in the month, net. Not a difference.
    pub promo_total: Micros,
}

/// An amount added to a price line of a month: one-off prices, retention, corrections.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LineAmount {
    /// Who pays.
    pub payer: PayerId,
    /// Which price line.
    pub line: PriceLineId,
    /// Which month.
    pub month: BillingMonth,
    /// Which tax group.
    pub tax_group: String,
    /// How much more; below nothing for less (corrections alone).
    pub amount: Micros,
}

/// A renewal: what was consumed accrues, and the cover is filled up or let go.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Renew {
    /// Who.
    pub payer: PayerId,
    /// The payer's version from which this was computed; another one is a conflict.
    pub expected_version: i64,
    /// The cover's target from which this was computed. Holds that settled since raised it by what
    /// is not in this renewal's figures yet, and stays in the target until the next one.
    pub from_target: Micros,
    /// Consumption is known up to here.
    pub through: Timestamp,
    /// Every line that ran, its total so far. Lines that are left out stay as they are.
    pub totals: Vec<LineTotal>,
    /// What the cover should carry from the wallet after this.
    pub cover_target: Micros,
    /// What the cover should carry from gift credit after this.
    pub promo_cover_target: Micros,
    /// What his resources come to in every cap that they count in, or did.
    pub caps: Vec<CapTotal>,
    /// When.
    pub at: Timestamp,
}

/// A number series and the document that takes its next number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Paper {
    /// The document.
    pub id: DocumentId,
    /// The seller's series, for example `2026`; its numbers have no gap.
    pub series: String,
    /// The document as the biller wrote it (kept as it is; the number is printed on delivery).
    pub body: String,
}

/// An invoice. The document decides to the cent, the ledger follows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issue {
    /// Who.
    pub payer: PayerId,
    /// Which document.
    pub paper: Paper,
    /// Months whose accrual it takes off the books, all that is not on an invoice yet.
    pub months: Vec<BillingMonth>,
    /// Net, by revenue class; after allowances.
    pub revenue: Vec<RevenueAmount>,
    /// Taxes; none where they were taken at top-up.
    pub taxes: Vec<TaxAmount>,
    /// Total rounding (BT-114); may be below nothing.
    pub rounding: Micros,
    /// When it is to be paid.
    pub due: Timestamp,
    /// When.
    pub at: Timestamp,
}

/// A credit note.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CreditNote {
    /// Who.
    pub payer: PayerId,
    /// Which document.
    pub paper: Paper,
    /// The document that it corrects.
    pub corrects: DocumentId,
    /// Net given back, by revenue class.
    pub revenue: Vec<RevenueAmount>,
    /// Taxes given back.
    pub taxes: Vec<TaxAmount>,
    /// When.
    pub at: Timestamp,
}

/// Money that came in by a payment provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TopUp {
    /// The provider's name of the payment.
    pub id: String,
    /// For whom.
    pub payer: PayerId,
    /// What was captured, gross.
    pub amount: Micros,
    /// By which provider (`clearing.<provider>`).
    pub provider: String,
    /// Tax taken at top-up, part of `amount`; none where it is due at use.
    pub tax: Option<TaxAmount>,
    /// The advance invoice, where one is issued.
    pub paper: Option<Paper>,
    /// The invoice it names, to which it is allocated first.
    pub reference: Option<DocumentId>,
    /// When.
    pub at: Timestamp,
}

/// By which way money goes back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Payout {
    /// By the provider: `clearing.<provider>`.
    Card(String),
    /// By wire: `cash.<bank>`.
    Wire(String),
}

/// A refund of what is available.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refund {
    /// Its name.
    pub id: String,
    /// To whom.
    pub payer: PayerId,
    /// What leaves `available`, net where tax was taken at top-up.
    pub amount: Micros,
    /// Tax that goes back with it, on top of `amount`.
    pub tax: Option<TaxAmount>,
    /// By which way.
    pub by: Payout,
    /// The credit note to the advance, where one is issued.
    pub paper: Option<Paper>,
    /// When.
    pub at: Timestamp,
}

/// Where a dispute stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the words are the event table's")]
pub enum DisputeStep {
    Opened,
    Won,
    Lost,
    Fee,
}

/// A step of a dispute with a payment provider.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Dispute {
    /// The provider's name of the dispute.
    pub id: String,
    /// Whose payment.
    pub payer: PayerId,
    /// Which provider.
    pub provider: String,
    /// The payment, or the fee.
    pub amount: Micros,
    /// Which step.
    pub step: DisputeStep,
    /// When.
    pub at: Timestamp,
}

/// What becomes of a receipt at the bank.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ReceiptStep {
    /// Whose it is is not known: `cash.<bank>` → `unallocated`.
    Unknown,
    /// It is this payer's, and names this invoice where it does.
    Assigned(PayerId, Option<DocumentId>),
    /// It goes back: `unallocated` → `cash.<bank>`.
    Returned,
}

/// A receipt at the bank.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BankReceipt {
    /// The bank's name of it.
    pub id: String,
    /// Whose bank.
    pub seller: SellerId,
    /// The currency.
    pub currency: Currency,
    /// The bank (`cash.<bank>`).
    pub bank: String,
    /// How much.
    pub amount: Micros,
    /// What becomes of it.
    pub step: ReceiptStep,
    /// When.
    pub at: Timestamp,
}

/// What becomes of money kept for storage after a stop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RetentionStep {
    /// From the cover, then from what is available; bound by the floor.
    Fund(Micros),
    /// Storage was consumed.
    Draw(Vec<LineAmount>),
    /// Back to what is available.
    GiveBack(Micros),
}

/// Changes of a payer's retention.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Retention {
    /// Its name.
    pub id: String,
    /// Whose.
    pub payer: PayerId,
    /// What.
    pub step: RetentionStep,
    /// When.
    pub at: Timestamp,
}

/// A debt that will not come in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WriteOff {
    /// Its name.
    pub id: String,
    /// Whose.
    pub payer: PayerId,
    /// Net, to `bad_debt`.
    pub amount: Micros,
    /// Tax relief on top of it.
    pub taxes: Vec<TaxAmount>,
    /// When.
    pub at: Timestamp,
}

/// One customer's money moves from one currency to another: two legs through `fx`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Exchange {
    /// Its name.
    pub id: String,
    /// The payer it leaves.
    pub from: PayerId,
    /// How much leaves, in his currency.
    pub amount: Micros,
    /// The payer it reaches.
    pub to: PayerId,
    /// How much reaches him, in his currency.
    pub reaches: Micros,
    /// The rate as text, and where it comes from.
    pub rate: String,
    /// When.
    pub at: Timestamp,
}

/// The house collects for a reseller.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResaleCollect {
    /// The provider's name of the payment.
    pub id: String,
    /// Who collects.
    pub house: SellerId,
    /// The reseller's customer.
    pub payer: PayerId,
    /// By which provider.
    pub provider: String,
    /// How much.
    pub amount: Micros,
    /// When.
    pub at: Timestamp,
}

/// What the house owes a reseller goes into his wholesale wallet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ResaleOffset {
    /// Its name.
    pub id: String,
    /// The reseller as a payer of the house.
    pub wallet: PayerId,
    /// The reseller as a seller.
    pub reseller: SellerId,
    /// How much.
    pub amount: Micros,
    /// When.
    pub at: Timestamp,
}

/// What may be asked of the books.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Command {
    /// A customer's side is opened, with nothing in it.
    OpenPayer {
        /// Who.
        payer: PayerId,
        /// Whose customer.
        seller: SellerId,
        /// The one currency.
        currency: Currency,
        /// How he pays.
        terms: Terms,
        /// When; consumption accrues from here.
        at: Timestamp,
    },
    /// The terms change.
    SetTerms {
        /// Its name.
        id: String,
        /// Who.
        payer: PayerId,
        /// From now on.
        terms: Terms,
        /// When.
        at: Timestamp,
    },
    /// Money is promised for a raising call: every leg or none.
    Hold {
        /// Which hold.
        hold: HoldId,
        /// For which call.
        call: CallId,
        /// Who pays; two for resale.
        legs: Vec<HoldLeg>,
        /// When.
        at: Timestamp,
    },
    /// A hold for a call that passed while the books were away: neither floor nor cover binds it.
    HoldPassed {
        /// Which hold.
        hold: HoldId,
        /// For which call.
        call: CallId,
        /// Who pays; without caps and gift credit, which nobody could ask.
        legs: Vec<HoldLeg>,
        /// When it passed.
        at: Timestamp,
    },
    /// Money is promised for several calls, all or nothing.
    Bundle(Bundle),
    /// A call of a bundle takes its line.
    Draw(Draw),
    /// What is left of a bundle goes back.
    EndBundle(EndBundle),
    /// Nothing came of the call, or what came of it is others' to pay (ADR 0024).
    GiveBack {
        /// Which hold.
        hold: HoldId,
        /// One-off prices that fell due for those others, per payer and line.
        one_off: Vec<LineAmount>,
        /// When.
        at: Timestamp,
    },
    /// What was held for costs now: the hold merges into the cover, one-off prices accrue.
    Settle {
        /// Which hold.
        hold: HoldId,
        /// One-off prices that fell due, per payer and line.
        one_off: Vec<LineAmount>,
        /// When.
        at: Timestamp,
    },
    /// A renewal.
    Renew(Renew),
    /// Several renewals that stand or fall together (a child and his reseller).
    RenewAll(Vec<Renew>),
    /// Money came in.
    TopUp(TopUp),
    /// The provider paid out: `clearing` → `cash` and `fees`.
    ProviderPayout {
        /// The provider's name of it.
        id: String,
        /// Whose clearing.
        seller: SellerId,
        /// The currency.
        currency: Currency,
        /// Which provider.
        provider: String,
        /// What reached the bank.
        amount: Micros,
        /// What the provider kept.
        fees: Micros,
        /// When.
        at: Timestamp,
    },
    /// An invoice.
    Issue(Issue),
    /// A credit note.
    CreditNote(CreditNote),
    /// A refund.
    Refund(Refund),
    /// A dispute.
    Dispute(Dispute),
    /// A receipt at the bank.
    BankReceipt(BankReceipt),
    /// Gift credit is granted.
    PromoGrant(PromoGrant),
    /// A grant came to its end: what is neither held nor spent of it expires.
    PromoExpire {
        /// The grant.
        id: String,
        /// Whose.
        payer: PayerId,
        /// When; not before the grant's end.
        at: Timestamp,
    },
    /// Retention.
    Retention(Retention),
    /// A write-off.
    WriteOff(WriteOff),
    /// An exchange of currency.
    Exchange(Exchange),
    /// The house collects.
    ResaleCollect(ResaleCollect),
    /// The house's debt is offset.
    ResaleOffset(ResaleOffset),
    /// Reconciliation found more or less in an open month.
    Correct {
        /// Its name: the difference's.
        id: String,
        /// The lines, signed.
        lines: Vec<LineAmount>,
        /// When.
        at: Timestamp,
    },
    /// A mistake is reversed by name: each transfer of that command is booked the other way.
    Reverse {
        /// The name of the command that was a mistake.
        of: TransferId,
        /// When.
        at: Timestamp,
    },
}
