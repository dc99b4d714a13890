//! Edge: a person's word on a call whose outcome nobody could prove.
//!
//! Its money stays held until somebody looked. Three words are possible: ask CloudStack again,
//! give the money back (nothing came of it), or let it cost (it is there).

use super::wiring::Product;
use crate::ledger::Command;
use crate::meter::line::MeterFault;
use crate::store::{AuditRow, Intent, IntentChange, IntentStatus, StoreError, Work};
use crate::terms::ids::HoldId;
use axum::extract::{Form, State};
use axum::http::StatusCode;
use serde::Deserialize;
use std::sync::Arc;

/// Characters of a reason.
const REASON_MAX: usize = 200;

/// What a person decided of a hold, and why.
#[derive(Deserialize, Debug)]
pub struct Decision {
    hold: String,
    decision: Word,
    reason: String,
}

#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
#[serde(rename_all = "kebab-case")]
enum Word {
    AskAgain,
    GiveBack,
    Settle,
}

/// Why a decision was not taken.
#[derive(Debug, thiserror::Error)]
enum NotDecided {
    #[error("`{0}` is no hold")]
    NoHold(String),
    #[error("say why in 1 to {REASON_MAX} characters: it stays beside the call")]
    NoReason,
    #[error("{command} is `{status}`: only an unresolved call is a person's to decide")]
    NotOpen {
        command: String,
        status: &'static str,
    },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// `POST /unresolved` with `hold`, `decision` (`ask-again`, `give-back`, `settle`) and `reason`.
pub async fn answer(
    State(product): State<Arc<Product>>,
    Form(decision): Form<Decision>,
) -> (StatusCode, String) {
    match decide(&product, &decision).await {
        Ok(what) => (StatusCode::OK, format!("{what}\n")),
        Err(fault @ (NotDecided::NoHold(_) | NotDecided::NoReason)) => {
            (StatusCode::BAD_REQUEST, format!("{fault}\n"))
        }
        Err(fault @ NotDecided::NotOpen { .. }) => (StatusCode::CONFLICT, format!("{fault}\n")),
        Err(fault @ NotDecided::Store(_)) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{fault}\n"))
        }
    }
}

async fn decide(product: &Product, decision: &Decision) -> Result<&'static str, NotDecided> {
    let reason = decision.reason.trim();
    if reason.is_empty() || reason.chars().count() > REASON_MAX {
        return Err(NotDecided::NoReason);
    }
    let no_hold = || NotDecided::NoHold(decision.hold.clone());
    let hold: HoldId = decision.hold.parse().map_err(|_| no_hold())?;
    let intent = product.store.intent_of_hold(hold).await?;
    let intent = intent.ok_or_else(no_hold)?;
    if intent.status != IntentStatus::Unresolved {
        return Err(NotDecided::NotOpen {
            command: intent.command,
            status: intent.status.name(),
        });
    }
    let (work, what) = work(product, hold, &intent, decision.decision, reason);
    product.store.submit(work).await?;
    note(product, &intent, decision.decision, reason).await;
    if decision.decision == Word::AskAgain {
        let call = product.follower.taken_up(&intent);
        let _ = product.gate.followed.send(call).await;
    } else if let Err(fault) = look_again(product).await {
        tracing::warn!(verb = "sweep", %fault, "what runs is looked at with the next sweep");
    }
    Ok(what)
}

fn work(
    product: &Product,
    hold: HoldId,
    intent: &Intent,
    word: Word,
    reason: &str,
) -> (Work, &'static str) {
    let at = product.clock.billing();
    let (command, status, what) = match word {
        Word::AskAgain => (None, IntentStatus::Answered, "CloudStack is asked again"),
        Word::GiveBack => (
            Some(Command::GiveBack {
                hold,
                one_off: Vec::new(),
                at,
            }),
            IntentStatus::GivenBack,
            "the money went back",
        ),
        Word::Settle => (
            Some(Command::Settle {
                hold,
                one_off: product.follower.taken_up(intent).one_offs,
                at,
            }),
            IntentStatus::Settled,
            "it costs from now on",
        ),
    };
    let update = IntentChange::Update {
        call: intent.call,
        status,
        job: None,
        resource: None,
        answered: None,
        updated: product.clock.wall(),
        note: Some(format!("decided by hand, {what}: {reason}")),
    };
    let work = Work {
        command,
        intents: vec![update],
        ..Work::default()
    };
    (work, what)
}

/// What a call that settled by hand started is found at once.
async fn look_again(product: &Product) -> Result<(), MeterFault> {
    product.sweep.once().await.map(drop)
}

async fn note(product: &Product, intent: &Intent, word: Word, reason: &str) {
    let verdict = match word {
        Word::AskAgain => "asked-again",
        Word::GiveBack => "given-back",
        Word::Settle => "settled",
    };
    tracing::info!(verb = "settle", call = %intent.call, command = %intent.command, verdict,
        reason, "decided by hand");
    let row = AuditRow {
        at: product.clock.wall(),
        call: intent.call,
        command: intent.command.clone(),
        payer: intent.payer.clone(),
        verdict: verdict.to_owned(),
        reason: format!("by hand: {reason}"),
        price: None,
    };
    if let Err(fault) = product.store.facts().audit(&[row]).await {
        tracing::warn!(verb = "audit", %fault, "a decision was not noted");
    }
}
