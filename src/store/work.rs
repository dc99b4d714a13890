//! Edge: what is given to the store's writer: a command and the rows that go with it, all or none.

use super::bundle::BundleChange;
use super::ladder::LadderChange;
use crate::ledger::things::Claim;
use crate::ledger::{Command, Effects};
use crate::meter::commitment::CommitmentChange;
use crate::meter::resource::{Border, Interval};
use crate::terms::ids::{CallId, HoldId, IntervalId, JobId, PayerId, ResourceId};
use crate::terms::time::Timestamp;

/// How far a raising call is known to have come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum IntentStatus {
    /// Durable; it may have been sent.
    Intended,
    /// CloudStack answered; the job runs.
    Answered,
    /// Its resource costs; the hold merged into the cover.
    Settled,
    /// Nothing came of it; the money went back.
    GivenBack,
    /// Nobody could find out; an operator has to look.
    Unresolved,
}

impl IntentStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [
        Self::Intended,
        Self::Answered,
        Self::Settled,
        Self::GivenBack,
        Self::Unresolved,
    ];
    /// The word that is stored.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Intended => "intended",
            Self::Answered => "answered",
            Self::Settled => "settled",
            Self::GivenBack => "given-back",
            Self::Unresolved => "unresolved",
        }
    }
    /// Nothing more will become of it.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Settled | Self::GivenBack)
    }
}

/// One raising call: durable with its hold before its first byte goes upstream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Intent {
    /// Which call.
    pub call: CallId,
    /// Its hold, where one was made.
    pub hold: Option<HoldId>,
    /// Who pays, where that is known.
    pub payer: Option<PayerId>,
    /// Whose it is: account, domain, project as text.
    pub owner: String,
    /// The API command.
    pub command: String,
    /// The request's map as query text, without keys, signatures and passwords.
    pub params: String,
    /// Our own job id.
    pub job: Option<JobId>,
    /// The resource, once it is known.
    pub resource: Option<ResourceId>,
    /// The planned meters, JSON.
    pub planned: String,
    /// How far it came.
    pub status: IntentStatus,
    /// When it was sent, wall time.
    pub sent: Timestamp,
    /// When it was answered, wall time.
    pub answered: Option<Timestamp>,
    /// When this row changed last, wall time.
    pub updated: Timestamp,
    /// What a person should know.
    pub note: String,
}

/// A change of an intent. What is none stays as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IntentChange {
    /// A new one; a second time it changes nothing.
    Insert(Intent),
    /// What became of it. A final status never becomes another.
    Update {
        /// Which call.
        call: CallId,
        /// How far it came.
        status: IntentStatus,
        /// The job.
        job: Option<JobId>,
        /// The resource.
        resource: Option<ResourceId>,
        /// When it was answered, wall time.
        answered: Option<Timestamp>,
        /// When, wall time.
        updated: Timestamp,
        /// What a person should know.
        note: Option<String>,
    },
}

/// An interval with what it is paid by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredInterval {
    /// Which.
    pub id: IntervalId,
    /// Who pays, where somebody does.
    pub payer: Option<PayerId>,
    /// The hold that it came from.
    pub hold: Option<HoldId>,
    /// What ran, since when, until when.
    pub interval: Interval,
}

/// A change of the intervals.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum IntervalChange {
    /// A new one; a second time it changes nothing.
    Insert(StoredInterval),
    /// It ends.
    End {
        /// Which.
        id: IntervalId,
        /// When.
        border: Border,
    },
    /// It is something else than was thought.
    Replace(StoredInterval),
}

/// A notice to a payer; one a payer, episode and step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Notice {
    /// To whom.
    pub payer: PayerId,
    /// Which run towards the end.
    pub episode: String,
    /// Which step: `72h`, `24h`, `1h`, `closed` …
    pub step: String,
    /// What it says.
    pub text: String,
    /// When.
    pub at: Timestamp,
}

/// What the writer does in one transaction. A refused command leaves the rest undone as well.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Work {
    /// What is asked of the books.
    pub command: Option<Command>,
    /// What its payer is going to have more of; over a limit, nothing is done.
    pub claim: Option<Claim>,
    /// Intents that go with it.
    pub intents: Vec<IntentChange>,
    /// Intervals that go with it.
    pub intervals: Vec<IntervalChange>,
    /// The last change of the intervals that those were decided on, where several nodes make
    /// them; after a later one nothing is done.
    pub seen: Option<i64>,
    /// Notices that go with it.
    pub notices: Vec<Notice>,
    /// Keys of `meta` that go with it: epochs, cursors.
    pub meta: Vec<(String, String)>,
    /// What changes of bundles with it.
    pub bundles: Vec<BundleChange>,
    /// What changes of commitments with it.
    pub commitments: Vec<CommitmentChange>,
    /// What changes of the end ladder with it.
    pub ladder: Vec<LadderChange>,
}

impl Work {
    /// A command alone.
    #[must_use]
    pub fn of(command: Command) -> Self {
        Self {
            command: Some(command),
            ..Self::default()
        }
    }
}

/// What was done, durably.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Done {
    /// What the command changed, new figures of its payers included; empty where there was none.
    pub effects: Effects,
    /// The change of the intervals that this was, where several nodes make them.
    pub tide: Option<i64>,
}
