//! Edge: a hold that may have been made while the store went away, for a call that was refused.
//!
//! No byte of the call was sent, so the money goes back as soon as the store answers.

use super::line::Gate;
use crate::ledger::Command;
use crate::store::{IntentChange, IntentStatus, StoreError, Work};
use crate::terms::ids::{CallId, HoldId};
use std::time::Duration;

/// How often it is tried, and how often at most; then the intent is followed as any other.
const EVERY: Duration = Duration::from_millis(500);
const TRIES_MAX: usize = 2_400;

/// Gives the hold back when the store answers; where it was never made, nothing happens.
pub(super) fn begin(gate: &Gate, call: CallId, hold: Option<HoldId>) {
    let Some(hold) = hold else { return };
    let (store, clock) = (gate.store.clone(), gate.clock.clone());
    tokio::spawn(async move {
        for _ in 0..TRIES_MAX {
            tokio::time::sleep(EVERY).await;
            if store.is_away() {
                continue;
            }
            let update = IntentChange::Update {
                call,
                status: IntentStatus::GivenBack,
                job: None,
                resource: None,
                answered: None,
                updated: clock.wall(),
                note: Some("the store went away: nothing was sent".to_owned()),
            };
            let at = clock.billing();
            let work = Work {
                command: Some(Command::GiveBack {
                    hold,
                    one_off: Vec::new(),
                    at,
                }),
                intents: vec![update],
                ..Work::default()
            };
            match store.submit(work).await {
                Ok(_) => {
                    tracing::info!(verb = "settle", %call, %hold, "given back: nothing was sent");
                    return;
                }
                // It was never made.
                Err(StoreError::Refused(_)) => return,
                Err(_) => {}
            }
        }
    });
}
