//! Pure: bytes that a network's router counted, and the records (types 4 and 5) of a window.
//!
//! The usage server writes a sent and a received record as soon as either is above nothing; what
//! they count is the difference of the router's counters over the window.

use super::event::UsageEvent;
use super::record::UsageRow;
use crate::cloudstack::usage_type::UsageType;
use crate::terms::time::{Period, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What passed a network's router at an instant.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Traffic {
    /// When: whole seconds.
    pub at: i64,
    /// The network.
    pub network: String,
    /// Bytes.
    pub sent: i64,
    /// Bytes.
    pub received: i64,
}

/// The records of every window. `of` gives owner, zone and router of a network; what it does not
/// know is left out.
#[must_use]
pub fn records(
    log: &[Traffic],
    windows: &[Period],
    of: &dyn Fn(&str) -> Option<UsageEvent>,
) -> Vec<UsageRow> {
    windows
        .iter()
        .flat_map(|window| of_window(log, *window, of))
        .collect()
}

fn of_window(
    log: &[Traffic],
    window: Period,
    of: &dyn Fn(&str) -> Option<UsageEvent>,
) -> Vec<UsageRow> {
    let mut sums: BTreeMap<&str, [i64; 2]> = BTreeMap::new();
    let inside = log
        .iter()
        .filter(|one| window.contains(Timestamp::from_seconds(one.at)));
    for one in inside {
        let [sent, received] = sums.entry(&one.network).or_default();
        *sent = sent.saturating_add(one.sent);
        *received = received.saturating_add(one.received);
    }
    let mut found = Vec::new();
    for (network, amounts) in sums {
        let Some(event) = of(network) else { continue };
        let types = [UsageType::NetworkBytesSent, UsageType::NetworkBytesReceived];
        found.extend(
            types
                .into_iter()
                .zip(amounts)
                .map(|(usage_type, amount)| UsageRow {
                    usage_type,
                    event: event.clone(),
                    millis: 0,
                    amount: Some(amount),
                    window,
                }),
        );
    }
    found
}
