//! Pure: the terms of prepaid customers: horizon, delays, notices, what happens at the end.

use crate::policy::commitment::Commitments;
use crate::policy::ending::{Ending, RetentionBy};
use crate::policy::variable::Variable;
use crate::terms::money::Micros;
use crate::terms::time::{HOUR, SECOND};

/// Renewal interval while less than 24 hours of burn are available.
pub const RENEWAL_WATCHFUL: i64 = 300 * SECOND;
/// How long a bundle is kept where no policy says it.
pub const BUNDLE: i64 = HOUR;
/// Renewal interval in the last hour.
pub const RENEWAL_LAST_HOUR: i64 = 60 * SECOND;

/// What a gate does for raising calls while the store is away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StoreAway {
    /// They are refused (503).
    Closed,
    /// They pass as long as what one payer's calls hold stays within this, on all nodes together,
    /// in millionths of his currency; they are written down by the node and charged later.
    OpenUpTo(Micros),
}

/// Terms that customers share. All times in microseconds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PrepaidProfile {
    /// Its id.
    pub id: String,
    /// H: how much time a hold and the cover pay for.
    pub horizon: i64,
    /// d: the worst delay of a renewal.
    pub worst_delay: i64,
    /// How long before the cover's end stopping begins.
    pub stop_lead: i64,
    /// How long storage is kept paid after a stop; nothing by default.
    pub retention: i64,
    /// Notices so long before the money ends, longest first.
    pub notices: Vec<i64>,
    /// Raising calls while the store is away.
    pub store_away: StoreAway,
    /// Whether machines are stopped at the end; else raising calls are refused only.
    pub stops: bool,
    /// How the end goes on.
    pub ending: Ending,
    /// For how much of what rules start by themselves there must be money when they are made.
    pub commitments: Commitments,
    /// How long a bundle is kept, at most and where its client does not say.
    pub bundle: i64,
    /// How what is known only later is held.
    pub variable: Variable,
}

impl PrepaidProfile {
    /// How long storage is kept on the customer's own money, which holds and cover carry.
    #[must_use]
    pub const fn funded_retention(&self) -> i64 {
        match self.ending.retention_by {
            RetentionBy::Funded if self.stops => self.retention,
            _ => 0,
        }
    }
    /// The longest renewal interval: (H − d) / 2.
    #[must_use]
    pub const fn renewal_relaxed(&self) -> i64 {
        self.horizon.saturating_sub(self.worst_delay) / 2
    }
    /// The smallest horizon for which a failed renewal can still be repeated: 2 P + d for every
    /// fixed P in use (the relaxed one fits by its making).
    #[must_use]
    pub const fn horizon_min(&self) -> i64 {
        RENEWAL_WATCHFUL
            .saturating_mul(2)
            .saturating_add(self.worst_delay)
    }
}

impl Default for PrepaidProfile {
    fn default() -> Self {
        Self {
            id: "standard".to_owned(),
            horizon: HOUR,
            worst_delay: 120 * SECOND,
            stop_lead: 900 * SECOND,
            retention: 0,
            notices: vec![72 * HOUR, 24 * HOUR, HOUR],
            store_away: StoreAway::Closed,
            stops: false,
            ending: Ending::default(),
            commitments: Commitments::default(),
            bundle: BUNDLE,
            variable: Variable::default(),
        }
    }
}
