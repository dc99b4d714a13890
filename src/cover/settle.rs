//! Pure: what becomes of a hold, by what is known of its call's outcome.

use crate::terms::time::{SECOND, Timestamp};

/// How long our job may stay unknown before a listing decides: 30 minutes after the last byte.
pub const UNKNOWN_PATIENCE: i64 = 1_800 * SECOND;

/// What is known of a raising call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// No byte was sent.
    NothingSent,
    /// CloudStack answered with an error that precedes every creation.
    RefusedBeforeCreation,
    /// The job, or the sync command, succeeded.
    Succeeded,
    /// It failed; whether a resource is there was read back.
    Failed {
        /// A resource that costs is there.
        present: bool,
    },
    /// The answer was an error that may come after creation, or the job still runs.
    Running,
    /// Neither answer nor job is known.
    Unknown {
        /// When the last byte was sent.
        sent: Timestamp,
        /// A listing of the owner after the patience showed nothing that no other hold claims;
        /// none while there was no such listing.
        nothing_there: Option<bool>,
    },
}

/// What to do with the hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It merges into the cover; `one_off` prices fall due with a job that succeeded.
    Settle {
        /// Whether one-off prices fall due.
        one_off: bool,
    },
    /// The money goes back.
    GiveBack,
    /// Nothing is proved yet: the money stays held.
    Wait,
}

/// The verdict at an instant. Money goes back only where it is proved that nothing came of the
/// call; a failure that left a resource keeps charging.
#[must_use]
pub fn verdict(outcome: Outcome, now: Timestamp) -> Verdict {
    match outcome {
        Outcome::NothingSent | Outcome::RefusedBeforeCreation => Verdict::GiveBack,
        Outcome::Succeeded => Verdict::Settle { one_off: true },
        Outcome::Failed { present: true } => Verdict::Settle { one_off: false },
        Outcome::Failed { present: false } => Verdict::GiveBack,
        Outcome::Running => Verdict::Wait,
        Outcome::Unknown {
            sent,
            nothing_there,
        } => match nothing_there {
            Some(true) if now.since(sent) >= UNKNOWN_PATIENCE => Verdict::GiveBack,
            Some(false) => Verdict::Settle { one_off: true },
            _ => Verdict::Wait,
        },
    }
}
