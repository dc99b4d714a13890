//! Edge: what passed while the books were away goes into them, each call once, before anything
//! else that this node promises.
//!
//! A row's hold has the name that it was written down with, so that a row which is taken over
//! again, after a crash between the commit and the journal's end, changes nothing.

use super::journal::Entry;
use super::{Live, Noted};
use crate::gate::line::Gate;
use crate::gate::outcome::settle_sync;
use crate::gate::undo;
use crate::ledger::Command;
use crate::ledger::command::HoldLeg;
use crate::store::{IntentChange, StoreError, Work};
use crate::terms::ids::CallId;
use crate::terms::money::Micros;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often it is looked whether the books are back, and the payers' figures are read.
const LOOK_EVERY: Duration = Duration::from_millis(250);
const FIGURES_EVERY: u32 = 20;

/// Takes over what waits as soon as the books answer, and reads the figures of payers whose calls
/// may pass, until told to stop.
pub async fn run(gate: Arc<Gate>, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    let mut looks: u32 = 0;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stop.changed() => return,
        }
        if gate.store.is_away() {
            continue;
        }
        if gate.away.waits()
            && let Err(fault) = take_over(&gate).await
        {
            tracing::warn!(verb = "away", %fault, "what passed is not in the books yet");
            continue;
        }
        if looks.is_multiple_of(FIGURES_EVERY)
            && let Err(fault) = figures(&gate).await
        {
            tracing::warn!(verb = "away", %fault, "payers' figures were not read");
        }
        looks = looks.wrapping_add(1);
    }
}

/// What a start does before it looks at anything else: what a former process wrote down goes into
/// the books, and the figures of payers whose calls may pass are read.
///
/// # Errors
/// [`StoreError`]: a start with the books away.
pub async fn begin(gate: &Gate) -> Result<(), StoreError> {
    take_over(gate).await?;
    figures(gate).await
}

async fn figures(gate: &Gate) -> Result<(), StoreError> {
    let rules = gate.rules.load_full();
    let reading = gate.away.refresh(&gate.store, &rules, gate.clock.billing());
    gate.store.while_here(reading).await?
}

/// Takes over everything that waits, oldest first. What the books refuse stays in the journal, and
/// a person is told.
///
/// # Errors
/// [`StoreError`] where the books went away again; nothing is lost, it can be done again.
pub async fn take_over(gate: &Gate) -> Result<(), StoreError> {
    let _turn = gate.away.turn.lock().await;
    while let Some(entry) = next(gate) {
        let call = entry.passed.call;
        let work = work(&entry);
        match gate.store.while_here(gate.store.submit(work)).await? {
            Ok(_) => went(gate, call).await,
            Err(StoreError::Refused(refusal)) => {
                tracing::error!(verb = "away", %call, %refusal, "the books refuse what passed");
                let mut live = gate.away.live();
                let found = live.iter_mut().find(|one| one.entry.passed.call == call);
                if let Some(one) = found {
                    one.stuck = Some(refusal.to_string());
                }
            }
            Err(fault) => return Err(fault),
        }
    }
    let journal = gate.away.journal.clone();
    let live = gate.away.live();
    if live.is_empty()
        && journal.fault().is_none()
        && let Err(fault) = journal.clear()
    {
        // Its rows are applied once, however often they are read.
        tracing::error!(verb = "away", %fault, "the journal was not cut");
    }
    Ok(())
}

/// The oldest call that waits; those of which nothing came are dropped.
fn next(gate: &Gate) -> Option<Entry> {
    let mut live = gate.away.live();
    live.retain(|one| !matches!(one.noted, Noted::NotMade));
    let waiting = live.iter().find(|one| one.stuck.is_none());
    waiting.map(|one| one.entry.clone())
}

fn work(entry: &Entry) -> Work {
    let passed = &entry.passed;
    let command = passed.hold.map(|hold| Command::HoldPassed {
        hold,
        call: passed.call,
        legs: vec![HoldLeg {
            payer: passed.payer.clone(),
            wallet: passed.wallet,
            promo: Micros::ZERO,
            one_off: passed.one_off,
            caps: Vec::new(),
        }],
        at: passed.at,
    });
    Work {
        command,
        intents: vec![IntentChange::Insert(entry.intent.clone())],
        ..Work::default()
    }
}

/// The call is in the books: what is known of it goes the way of every call.
async fn went(gate: &Gate, call: CallId) {
    let gone = {
        let mut live = gate.away.live();
        let at = live.iter().position(|one| one.entry.passed.call == call);
        at.map(|at| live.remove(at))
    };
    let Some(Live { entry, noted, .. }) = gone else {
        return;
    };
    tracing::info!(verb = "away", %call, payer = %entry.passed.payer,
        amount = %entry.passed.wallet, "in the books");
    match noted {
        // Still under way here, or left by a former process and found as an open intent.
        Noted::Nothing => {}
        Noted::NotMade => undo::begin(gate, call, entry.passed.hold),
        Noted::Sent(followed, true) => settle_sync(gate, &followed).await,
        Noted::Sent(followed, false) => {
            if gate.followed.send(*followed).await.is_err() {
                tracing::error!(verb = "follow", %call, "taken up at the next start");
            }
        }
    }
}
