//! Pure: why a bundle is not made, or a call does not draw from one.

use crate::gate::refusal::{Refusal, Shortage};
use crate::terms::money::Micros;

/// A line of a plan, as it is told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PricedLine {
    /// The API command.
    pub command: String,
    /// What would be held for it.
    pub price: Micros,
}

/// What is wrong with a bundle.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BundleFault {
    /// One of its calls would be refused.
    #[error("call[{at}] ({command}): {}; nothing of the bundle is held", refusal.text())]
    Line {
        /// Which of them.
        at: usize,
        /// Its command.
        command: String,
        /// Why.
        refusal: Box<Refusal>,
    },
    /// There is not enough for all of them.
    #[error("{}{}", Refusal::NotEnough(shortage.clone()).text(), lines_text(lines, shortage))]
    Short {
        /// All of its lines.
        lines: Vec<PricedLine>,
        /// What the whole costs, and what is lacking.
        shortage: Shortage,
    },
    /// No such bundle, or somebody else's.
    #[error(
        "bundle `{0}` is not known; nothing was started. Make one by createFaregateBundle, or \
         send the call without X-Faregate-Bundle"
    )]
    Unknown(String),
    /// Its time is over, or it was deleted.
    #[error(
        "bundle `{id}` ended at {ended}, and what was left of it went back; nothing was started. \
         Make a new one, or send the call without X-Faregate-Bundle"
    )]
    Over {
        /// Which.
        id: String,
        /// When, as CloudStack prints instants.
        ended: String,
    },
    /// None of its lines that are left is for this call.
    #[error(
        "bundle `{id}` has no line left for this {command}: a line fits a call of its command \
         that has all of the line's parameters; nothing was started. See listFaregateBundles, or \
         send the call without X-Faregate-Bundle"
    )]
    NoLine {
        /// Which.
        id: String,
        /// The command that was called.
        command: String,
    },
    /// Another call took the line in the same instant.
    #[error("another call took this line of the bundle just now; nothing was started, try again")]
    Taken,
    /// The client's name of it was used for another plan.
    #[error(
        "clientkey `{0}` names a bundle of other calls already; give each plan a name of its own"
    )]
    OtherPlan(String),
}

impl BundleFault {
    /// The rule that says no; stable, for logs, metrics and replays.
    #[must_use]
    pub fn rule(&self) -> &str {
        match self {
            Self::Line { refusal, .. } => refusal.rule(),
            Self::Short { shortage, .. } if shortage.cover_short => "money.cover-short",
            Self::Short { .. } => "money.not-enough",
            Self::Unknown(_) => "bundle.unknown",
            Self::Over { .. } => "bundle.ended",
            Self::NoLine { .. } | Self::Taken => "bundle.no-line",
            Self::OtherPlan(_) => "bundle.other-plan",
        }
    }

    /// The refusal of the call that says it.
    #[must_use]
    pub const fn refusal(self) -> Refusal {
        Refusal::Bundle(self)
    }

    /// The error in CloudStack's own numbers.
    #[must_use]
    pub fn codes(&self) -> (i64, Option<i64>) {
        match self {
            Self::Line { refusal, .. } => {
                let error = refusal.error();
                (error.code, error.cs_code)
            }
            Self::Short { .. } => (535, Some(4370)),
            _ => (431, Some(9999)),
        }
    }
}

/// Each line's price, where the caller may know them.
fn lines_text(lines: &[PricedLine], shortage: &Shortage) -> String {
    if shortage.available.is_none() {
        return String::new();
    }
    let each = lines.iter().enumerate().map(|(at, line)| {
        let PricedLine { command, price } = line;
        format!("call[{at}] {command} {price} {}", shortage.currency)
    });
    let each: Vec<String> = each.collect();
    format!(". Of it: {}", each.join(", "))
}
