//! Pure: a bundle: several calls held all or nothing, and drawn down as they come.
//!
//! Each line of a bundle is a hold of its own, made with the others in one step. A call that comes
//! draws its line: the line's hold ends and the call's begins, and the money stays held. What the
//! call needs beyond its line is held like any other money; what the line has too much goes back.

use super::command::HoldLeg;
use crate::terms::ids::{BundleId, CallId, HoldId};
use crate::terms::time::Timestamp;

/// What is held for one call of a bundle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LineHold {
    /// The line's own hold.
    pub hold: HoldId,
    /// Who pays, as for the call itself; at least its payer, with nothing where it costs nothing.
    pub legs: Vec<HoldLeg>,
}

/// Money is promised for several calls: every leg of every line, or none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bundle {
    /// Which bundle.
    pub bundle: BundleId,
    /// Its lines.
    pub lines: Vec<LineHold>,
    /// When.
    pub at: Timestamp,
}

/// A call takes its line: the line's hold becomes the call's.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Draw {
    /// The call's hold.
    pub hold: HoldId,
    /// Which call.
    pub call: CallId,
    /// Which bundle.
    pub bundle: BundleId,
    /// The hold of its line.
    pub line: HoldId,
    /// What the call needs, as if it came without a bundle.
    pub legs: Vec<HoldLeg>,
    /// When.
    pub at: Timestamp,
}

/// A bundle ends: what no call drew goes back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct EndBundle {
    /// Which bundle.
    pub bundle: BundleId,
    /// The holds of all its lines.
    pub lines: Vec<HoldId>,
    /// When.
    pub at: Timestamp,
}

/// What stands as the call in the holds of a bundle's lines: the bundle itself.
#[must_use]
pub const fn stands_for(bundle: BundleId) -> CallId {
    CallId::from_bits(bundle.bits())
}
