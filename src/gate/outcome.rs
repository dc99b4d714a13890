//! Edge: what CloudStack's answer to a raising call proves, and what becomes of its hold.

use super::line::Gate;
use super::parse::Call;
use super::raise::Judged;
use super::wholesale;
use super::wire::Answer;
use crate::cloudstack::command::{Command, Kind};
use crate::cloudstack::envelope;
use crate::cover::settle::Outcome;
use crate::ledger::{Command as Booking, LedgerRefusal};
use crate::meter::follow::Followed;
use crate::meter::line::Settlement;
use crate::meter::observe::ObservedCall;
use crate::store::{IntentChange, IntentStatus, StoreError, Work};
use crate::terms::ids::{JobId, PayerId};

/// What an answer says of the hold. The answer itself goes to the client as it is.
pub(super) async fn answered(
    gate: &Gate,
    call: &Call,
    command: &Command,
    judged: &Judged,
    answer: &Answer,
) {
    if answer.status == 401 {
        gate.keys
            .drop_key(call.params.get("apikey").unwrap_or_default())
            .await;
        gate.sessions.forget(call);
    }
    gate.keys.heed(&command.name).await;
    gate.sessions.heed(&command.name);
    let read = envelope::read(answer.status, &answer.body, call.format).ok();
    let error = read.as_ref().and_then(|read| read.error.clone());
    match (read, error) {
        (_, Some(error)) if precedes_creation(command.kind, &error) => {
            give_back(
                gate,
                (call, command),
                judged,
                Outcome::RefusedBeforeCreation,
            )
            .await;
        }
        (Some(read), None) if answer.status == 200 => {
            let node = Some(read.node);
            if command.kind == Kind::Sync {
                let followed = followed(gate, call, command, judged, node);
                settle_sync(gate, &followed).await;
            } else {
                keep_job(gate, judged, node.as_ref()).await;
                follow(gate, call, command, judged, node).await;
            }
        }
        // An error that may come after creation, or an answer that cannot be read.
        _ => follow(gate, call, command, judged, None).await,
    }
}

/// Errors after which nothing was made. On a command that makes its entity before its job, other
/// errors may come after the entity was stored; on the rest the job was never started.
pub(super) fn precedes_creation(kind: Kind, error: &envelope::ApiError) -> bool {
    match error.code {
        401 | 430 | 432 | 531 | 532 | 535 => true,
        431 => {
            let after = error.text.contains("character to be escaped")
                || error.text.contains("Illegal group reference");
            let by_framework = error.cs_code == Some(9999) && !after;
            by_framework || (kind == Kind::Async && !after)
        }
        _ => kind == Kind::Async && error.code != 503,
    }
}

/// Nothing came of the call. Where that cannot be written now, the call is followed as one whose
/// answer was lost: its job is not known, and in time its money goes back.
pub(super) async fn give_back(
    gate: &Gate,
    (call, called): (&Call, &Command),
    judged: &Judged,
    _why: Outcome,
) {
    let at = gate.clock.billing();
    let command = judged.hold.map(|hold| Booking::GiveBack {
        hold,
        one_off: Vec::new(),
        at,
    });
    let update = IntentChange::Update {
        call: judged.id,
        status: IntentStatus::GivenBack,
        job: None,
        resource: None,
        answered: Some(gate.clock.wall()),
        updated: gate.clock.wall(),
        note: None,
    };
    let work = Work {
        command,
        intents: vec![update],
        ..Work::default()
    };
    match gate.store.submit(work).await {
        // A hold whose own commit was lost is not there.
        Ok(_) | Err(StoreError::Refused(LedgerRefusal::UnknownHold(_))) => {}
        Err(fault) => {
            tracing::error!(verb = "settle", call = %judged.id, %fault, "not given back yet");
            follow(gate, call, called, judged, None).await;
        }
    }
}

/// A call that could not carry a job id of ours, as in a login session: CloudStack's own is
/// durable before its answer goes out.
async fn keep_job(gate: &Gate, judged: &Judged, node: Option<&crate::cloudstack::tree::Node>) {
    let Some(job) = node.and_then(|node| node.text_of("jobid")) else {
        return;
    };
    if judged.job.is_some() {
        return;
    }
    let update = IntentChange::Update {
        call: judged.id,
        status: IntentStatus::Answered,
        job: Some(JobId::from(job)),
        resource: None,
        answered: Some(gate.clock.wall()),
        updated: gate.clock.wall(),
        note: None,
    };
    let work = Work {
        intents: vec![update],
        ..Work::default()
    };
    if let Err(fault) = gate.store.submit(work).await {
        // The follower has the job all the same; only this process's death would lose it.
        tracing::error!(verb = "follow", call = %judged.id, %fault, "a job could not be kept");
    }
}

pub(super) async fn follow(
    gate: &Gate,
    call: &Call,
    command: &Command,
    judged: &Judged,
    node: Option<crate::cloudstack::tree::Node>,
) {
    let followed = followed(gate, call, command, judged, node);
    if gate.followed.send(followed).await.is_err() {
        tracing::error!(verb = "follow", call = %judged.id, "taken up at the next start");
    }
}

/// The payer whom the call is held against, where that need not be the owner's.
fn in_doubt(judged: &Judged) -> Option<PayerId> {
    judged
        .payer
        .clone()
        .filter(|_| judged.whose.doubt.is_some())
}

pub(super) fn followed(
    gate: &Gate,
    call: &Call,
    command: &Command,
    judged: &Judged,
    answer: Option<crate::cloudstack::tree::Node>,
) -> Followed {
    let told = answer.as_ref().and_then(|node| node.text_of("jobid"));
    let told = told.map(JobId::from);
    Followed {
        call: judged.id,
        command: command.name.clone(),
        params: call.params.without_secrets(),
        owner: judged.whose.owner.clone(),
        sent: judged.sent,
        sent_wall: judged.sent_wall,
        answered: gate.clock.billing(),
        answer,
        job: judged.job.clone().or(told),
        hold: judged.hold,
        one_offs: wholesale::one_offs(judged),
        rules: judged.rules.clone(),
        intent: true,
        in_doubt: in_doubt(judged),
    }
}

/// A synchronous command that succeeded: its outcome is durable before its answer goes out.
pub(super) async fn settle_sync(gate: &Gate, followed: &Followed) {
    let settle = followed.hold.map(|hold| Booking::Settle {
        hold,
        one_off: followed.one_offs.clone(),
        at: gate.clock.billing(),
    });
    let update = IntentChange::Update {
        call: followed.call,
        status: IntentStatus::Settled,
        job: None,
        resource: None,
        answered: Some(gate.clock.wall()),
        updated: gate.clock.wall(),
        note: None,
    };
    let settlement = Settlement {
        command: settle,
        intents: vec![update],
        hold: followed.hold,
        in_doubt: followed.in_doubt.clone(),
        succeeded: true,
        rules: followed.rules.clone(),
        ..Settlement::default()
    };
    if let Err(fault) = record(gate, followed, settlement).await {
        tracing::error!(verb = "settle", call = %followed.call, %fault, "not settled; hold stays");
    }
}

/// Keeps what a synchronous call that cannot raise cost shows.
pub(super) async fn observe_sync(gate: &Gate, followed: &Followed) {
    if let Err(fault) = record(gate, followed, Settlement::default()).await {
        tracing::warn!(verb = "observe", command = %followed.command, %fault, "not observed");
    }
}

async fn record(
    gate: &Gate,
    followed: &Followed,
    settlement: Settlement,
) -> Result<(), crate::meter::line::MeterFault> {
    let nothing = crate::cloudstack::tree::Node::default();
    let find = |name: &str| followed.params.get(&name.to_ascii_lowercase());
    let observed = ObservedCall {
        command: &followed.command,
        params: &find,
        owner: followed.owner.clone(),
        sent: followed.sent,
        answered: followed.answered,
        answer: followed.answer.as_ref().unwrap_or(&nothing),
        job: None,
    };
    gate.meter.record(&[observed], settlement).await
}
