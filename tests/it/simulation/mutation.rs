//! Edge: faults put in on purpose, each of which the invariants have to find. They stand in the
//! parts that the simulation brings (the writer, the cloud's wire, the start of a gate, the
//! sweep's clock), where the product's own parts lean on them; the released program has none.

/// A fault put in on purpose.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Mutation {
    /// A hold is acknowledged before it is written: the call goes out first.
    HoldsAfterForwarding,
    /// The intent is written without its hold.
    ForgetsTheHold,
    /// The hold is written without its intent.
    ForgetsTheIntent,
    /// A settlement is applied a second time.
    SettlesTwice,
    /// Money goes back when an answer takes too long.
    ReleasesOnTimeOut,
    /// A hold is decided on the payer's row as it was before the last commit.
    DecidesOnStaleRows,
    /// A hold may go below what there is.
    IgnoresTheFloor,
    /// A hold is let in past the limit of things.
    IgnoresALimit,
    /// A crash in a commit leaves the ledger's half of it.
    TearsAGroup,
    /// What was acknowledged is lost in a crash.
    LosesTheLastGroup,
    /// A payment told of twice is credited twice.
    CreditsAPaymentTwice,
    /// What a settled call started is not written down.
    ForgetsWhatStarts,
    /// A renewal computed from older figures is taken.
    RenewsFromOldFigures,
    /// An answer lost after the change is told as a refusal before it.
    TakesALossForARefusal,
    /// A lost answer makes the same call go out again.
    ResendsALostAnswer,
    /// Open calls are not taken up after a crash.
    ForgetsOpenIntents,
    /// What changed behind the gate is never looked for.
    NeverSweeps,
    /// A job that CloudStack does not know yet is taken for one that failed.
    TakesUnknownForFailed,
}

impl Mutation {
    pub const ALL: [Self; 18] = [
        Self::HoldsAfterForwarding,
        Self::ForgetsTheHold,
        Self::ForgetsTheIntent,
        Self::SettlesTwice,
        Self::ReleasesOnTimeOut,
        Self::DecidesOnStaleRows,
        Self::IgnoresTheFloor,
        Self::IgnoresALimit,
        Self::TearsAGroup,
        Self::LosesTheLastGroup,
        Self::CreditsAPaymentTwice,
        Self::ForgetsWhatStarts,
        Self::RenewsFromOldFigures,
        Self::TakesALossForARefusal,
        Self::ResendsALostAnswer,
        Self::ForgetsOpenIntents,
        Self::NeverSweeps,
        Self::TakesUnknownForFailed,
    ];
}
