//! Pure: why a bundle is not made, or a call does not draw from one.
//!
//! No text repeats a bundle's id: some clients take four of its digits for an error number and
//! forget what runs.

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
        "the bundle that the call names is not known here; nothing was started. Make one by \
         createFaregateBundle, or send the call without X-Faregate-Bundle"
    )]
    Unknown,
    /// Its time is over, or it was deleted.
    #[error(
        "the bundle that the call names ended at {0}, and what was left of it went back; nothing \
         was started. Make a new one, or send the call without X-Faregate-Bundle"
    )]
    Over(String),
    /// None of its lines that are left is for this call.
    #[error(
        "the bundle has no line left for this {0}: a line fits a call of its command that has all \
         of the line's parameters; nothing was started. See listFaregateBundles, or send the call \
         without X-Faregate-Bundle"
    )]
    NoLine(String),
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
            Self::Unknown => "bundle.unknown",
            Self::Over(_) => "bundle.ended",
            Self::NoLine(_) | Self::Taken => "bundle.no-line",
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
