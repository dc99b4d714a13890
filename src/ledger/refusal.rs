//! Pure: why the books say no, in order of precedence: the first that applies is told.

use super::caps::OverCap;
use super::records::HoldStatus;
use super::things::OverLimit;
use crate::terms::ids::{DocumentId, HoldId, PayerId};
use crate::terms::money::{Micros, MoneyError};
use crate::terms::quantity::QuantityOverflow;
use crate::terms::time::Timestamp;

/// Why a command was refused. A refused command changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
pub enum LedgerRefusal {
    /// The name was used for something else.
    #[error("`{name}` was booked before with other content; give the new cause a name of its own")]
    SameIdOtherContent {
        /// The command's name.
        name: String,
    },
    /// No such payer.
    #[error("payer `{0}` has no books; open him before anything is booked for him")]
    UnknownPayer(PayerId),
    /// The payer is there already, with another seller, currency or terms.
    #[error("payer `{0}` has books already; change his terms instead of opening him again")]
    PayerExists(PayerId),
    /// No such hold.
    #[error("hold {0} is not in the books")]
    UnknownHold(HoldId),
    /// No such document.
    #[error("document {0} is not in the books")]
    UnknownDocument(DocumentId),
    /// Nothing was booked under this name.
    #[error("nothing was booked under the name `{0}`, so that there is nothing to reverse")]
    UnknownCommand(String),
    /// The hold was settled or given back before.
    #[error("hold {hold} is {status:?} already")]
    HoldClosed {
        /// Which.
        hold: HoldId,
        /// What became of it.
        status: HoldStatus,
    },
    /// A booking of this kind is undone in another way.
    #[error("`{name}` cannot be reversed by name: {instead}")]
    NotReversible {
        /// The command's name.
        name: String,
        /// What to do instead.
        instead: &'static str,
    },
    /// An amount below nothing, or a part greater than its whole.
    #[error("{what} is {amount}, which cannot be booked")]
    BadAmount {
        /// Which figure.
        what: &'static str,
        /// The figure.
        amount: Micros,
    },
    /// The payer changed since this was computed: compute it again.
    #[error("payer `{payer}` is at version {found}, this was computed from version {expected}")]
    Conflict {
        /// Who.
        payer: PayerId,
        /// The version it was computed from.
        expected: i64,
        /// The version in the books.
        found: i64,
    },
    /// What runs is not covered to its horizon, so nothing may be added.
    #[error(
        "payer `{payer}`: what runs lacks {cover_missing} of its cover; \
         {price} more would need {short_by} more than there is"
    )]
    CoverShort {
        /// Who.
        payer: PayerId,
        /// What was asked for.
        price: Micros,
        /// What holds could take, the cover left aside.
        available: Micros,
        /// What the cover lacks.
        cover_missing: Micros,
        /// What is missing in all.
        short_by: Micros,
    },
    /// He would have more of something than he may.
    #[error(transparent)]
    OverLimit(#[from] Box<OverLimit>),
    /// Not enough money.
    #[error("payer `{payer}`: {price} is needed, {available} is available, {short_by} is missing")]
    NotEnough {
        /// Who.
        payer: PayerId,
        /// What was asked for.
        price: Micros,
        /// What holds could take.
        available: Micros,
        /// What is missing.
        short_by: Micros,
    },
    /// Not enough gift credit: take more from the wallet.
    #[error("payer `{payer}`: {price} of gift credit is needed, {available} is left")]
    PromoShort {
        /// Who.
        payer: PayerId,
        /// What was asked for.
        price: Micros,
        /// What is left.
        available: Micros,
    },
    /// A grant that would have ended before it began, or before one that ended already.
    #[error("the gift credit would end at {expires}, which is over at {at}; name a later end")]
    GrantOver {
        /// Its end.
        expires: Timestamp,
        /// When it was to be given.
        at: Timestamp,
    },
    /// No such grant.
    #[error("the grant `{0}` of gift credit is not in the books")]
    UnknownGrant(String),
    /// The end of the grant has not come.
    #[error("the grant `{0}` has not come to its end; it expires then, by itself")]
    GrantRuns(String),
    /// There is money, but whoever a cap counts together would spend more than he may.
    #[error(transparent)]
    OverCap(#[from] Box<OverCap>),
    /// A figure left its range.
    #[error("a figure left the range that the books can hold")]
    OutOfRange,
}

impl From<MoneyError> for LedgerRefusal {
    fn from(_: MoneyError) -> Self {
        Self::OutOfRange
    }
}

impl From<QuantityOverflow> for LedgerRefusal {
    fn from(_: QuantityOverflow) -> Self {
        Self::OutOfRange
    }
}
