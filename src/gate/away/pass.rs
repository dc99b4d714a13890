//! Edge: the way of one raising call while the books are away.
//!
//! It is judged and priced as ever, at the payer's figures as the books last showed them. Where his
//! policy lets it pass and his cap has room, its intent and price are durable in this node's
//! journal before its first byte goes upstream. What nobody can ask then, caps of spending and
//! limits on things, is not passed.

use super::journal::Entry;
use super::share::Passed;
use super::{NotWritten, Noted, Row};
use crate::cloudstack::command::{Command, Kind};
use crate::cloudstack::envelope;
use crate::cloudstack::query::ParamMap;
use crate::cover::settle::Outcome;
use crate::gate::forward;
use crate::gate::line::{Core, Gate, judged_row, lost, way};
use crate::gate::observe::{self, Known};
use crate::gate::outcome::{answered, follow, followed, give_back, precedes_creation};
use crate::gate::parse::Call;
use crate::gate::promise::{asked, intent, money_refusal, raises, with_our_job};
use crate::gate::raise::{Judged, admitted, rate_refusal, verified};
use crate::gate::refusal::Refusal;
use crate::gate::reserve;
use crate::gate::wire::Answer;
use crate::ledger::LedgerRefusal;
use crate::policy::prepaid::StoreAway;
use crate::store::StoreError;
use crate::telemetry::step;
use crate::terms::ids::{CallId, HoldId, PayerId};
use crate::terms::money::Micros;
use crate::upstream::Sent;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tracing::Instrument;

/// How long judging may take: what would have to be read from the books is not to be waited for.
const JUDGE_MAX: Duration = Duration::from_secs(2);

/// Judges the call; writes it down and forwards it once where it may pass.
///
/// # Errors
/// [`Refusal::StoreAway`] for a payer whose policy is closed, and everything else that a raising
/// call can meet.
pub(in crate::gate) async fn raise(
    core: &Arc<Core>,
    mut call: Call,
    command: &Command,
    peer: SocketAddr,
    id: CallId,
) -> Result<Answer, Refusal> {
    let gate = &core.gate;
    let mut known = Known::default();
    let judging = judged(core, (&mut call, command), id, peer, &mut known);
    let judged = tokio::time::timeout(JUDGE_MAX, judging).await;
    let written = match judged.unwrap_or_else(|_| Err(closed())) {
        Ok((judged, map)) => write_down(gate, &call, command, &judged)
            .instrument(step("hold"))
            .await
            .map(|()| (judged, map)),
        Err(refusal) => Err(refusal),
    };
    let (judged, map) = match written {
        Ok(written) => written,
        Err(refusal) => {
            let why = (refusal, known);
            return observe::refused(core, (&call, command), peer, id, why).await;
        }
    };
    let payer = judged.payer.as_ref();
    let said = ("forward", "the books are away: passed up to the cap");
    judged_row(gate, id, &command.name, payer, said, known.per_hour);
    send(core, &call, command, &judged, &map, peer).await
}

fn closed() -> Refusal {
    Refusal::StoreAway("PostgreSQL does not answer".to_owned())
}

async fn judged(
    core: &Core,
    (call, command): (&mut Call, &Command),
    id: CallId,
    peer: SocketAddr,
    known: &mut Known,
) -> Result<(Judged, ParamMap), Refusal> {
    let gate = &core.gate;
    if call.bundle.is_some() {
        // What a bundle holds is in the books alone; it would be held a second time here.
        return Err(closed());
    }
    let caller = verified(core, call, peer)
        .instrument(step("authenticate"))
        .await?;
    let admitted = admitted(gate, caller, (&mut *call, command), id, peer, known);
    let (caller, mut judged) = admitted.instrument(step("admit")).await?;
    let map = with_our_job(gate, call, command, &caller, &mut judged);
    if raises(&judged) {
        judged.hold = Some(HoldId::from_bits(gate.clock.id_bits()));
    }
    Ok((judged, map))
}

/// Durable when this comes back, or refused.
async fn write_down(
    gate: &Gate,
    call: &Call,
    command: &Command,
    judged: &Judged,
) -> Result<(), Refusal> {
    let payer = judged.payer.clone().ok_or(Refusal::NobodyPays)?;
    let rules = gate.rules.load_full();
    let StoreAway::OpenUpTo(cap) = rules.store_away(&payer) else {
        return Err(closed());
    };
    let passed = passed(gate, judged, &payer)?;
    let entry = Entry {
        passed,
        intent: intent(call, command, judged),
    };
    afforded(gate, judged, &entry.passed).await?;
    let written = gate.away.write_down(entry, cap, judged.sent).await;
    written.map_err(|fault| match fault {
        NotWritten::NoRoom(room) => {
            tracing::warn!(verb = "away", %payer, share = %room.share, left = %room.left,
                "a call was refused: the payer's share of open_up_to is used up");
            let what = "PostgreSQL does not answer, and what may pass meanwhile is used up";
            Refusal::StoreAway(what.to_owned())
        }
        NotWritten::TooMany => {
            Refusal::StoreAway("too many calls passed while PostgreSQL was away".to_owned())
        }
        NotWritten::Journal(fault) => {
            tracing::error!(verb = "away", %fault, "the journal cannot be written");
            Refusal::StoreAway("the gate's journal cannot be written".to_owned())
        }
    })
}

/// What the call counts; refused where something had to be asked that nobody can ask now.
fn passed(gate: &Gate, judged: &Judged, payer: &PayerId) -> Result<Passed, Refusal> {
    let cannot = |what: &str| {
        let text = format!("PostgreSQL does not answer, and {what} cannot be looked at");
        Err(Refusal::StoreAway(text))
    };
    if !judged.caps.is_empty() {
        return cannot("a spending cap of this call");
    }
    let claim = asked(gate, judged, payer);
    if claim.is_some_and(|claim| !claim.bounds.is_empty()) {
        return cannot("a limit on what the customer may have");
    }
    let Some(priced) = judged.priced.as_ref() else {
        return cannot("what the call will cost");
    };
    if !priced.unpriced.is_empty() {
        return cannot("what the call will cost");
    }
    // Gift credit may be spent elsewhere meanwhile: the wallet is asked for all of it.
    let leg = reserve::leg(priced, payer, Micros::ZERO).map_err(rate_refusal)?;
    let rules = gate.rules.load();
    let horizon = rules.profile_of(payer).map(|profile| profile.horizon);
    Ok(Passed {
        call: judged.id,
        hold: judged.hold,
        payer: payer.clone(),
        wallet: leg.wallet.or_zero(),
        one_off: leg.one_off,
        at: judged.sent,
        horizon: horizon.unwrap_or_default(),
    })
}

/// Whoever had no money for it when the books were last seen is refused as he would have been.
async fn afforded(gate: &Gate, judged: &Judged, next: &Passed) -> Result<(), Refusal> {
    let Some(figures) = gate.away.figures(&next.payer) else {
        return Err(closed());
    };
    let state = figures.state;
    let before = gate.away.passed();
    let before = before.iter().filter(|one| one.payer == next.payer);
    let used = super::share::sum(before, judged.sent);
    let left = state
        .cover_short()
        .and_then(|short| state.spendable()?.minus(short)?.minus(used));
    let left = left.map_err(|fault| Refusal::StoreAway(fault.to_string()))?;
    if next.wallet <= left || next.wallet.is_zero() {
        return Ok(());
    }
    let short_by = next.wallet.minus(left).unwrap_or(next.wallet);
    let fault = StoreError::Refused(LedgerRefusal::NotEnough {
        payer: next.payer.clone(),
        price: next.wallet,
        available: left,
        short_by,
    });
    Err(money_refusal(gate, &next.payer, judged, fault).await)
}

async fn send(
    core: &Arc<Core>,
    call: &Call,
    command: &Command,
    judged: &Judged,
    map: &ParamMap,
    peer: SocketAddr,
) -> Result<Answer, Refusal> {
    let gate = &core.gate;
    let way = way(core, peer);
    let whole = forward::whole(&way, call, map);
    match whole.instrument(step("forward")).await {
        Ok(answer) => {
            let noted = proof(gate, call, command, judged, &answer);
            if !keep(gate, judged, noted).await {
                answered(gate, call, command, judged, &answer).await;
            } else if answer.status == 401 {
                let (gate, key) = (gate.clone(), call.params.get("apikey").map(str::to_owned));
                tokio::spawn(async move {
                    gate.keys.drop_key(&key.unwrap_or_default()).await;
                });
            }
            Ok(answer)
        }
        Err(fault) => {
            let (id, name) = (judged.id, &command.name);
            tracing::warn!(verb = "forward", call = %id, command = %name, %fault, "lost");
            match fault.sent {
                Sent::NotSent if !keep(gate, judged, Noted::NotMade).await => {
                    give_back(gate, (call, command), judged, Outcome::NothingSent).await;
                }
                Sent::Unknown => {
                    let sent = Box::new(followed(gate, call, command, judged, None));
                    if !keep(gate, judged, Noted::Sent(sent, false)).await {
                        follow(gate, call, command, judged, None).await;
                    }
                }
                Sent::NotSent => {}
            }
            Err(lost(fault.sent))
        }
    }
}

/// What an answer says, by the same rules as with books.
fn proof(gate: &Gate, call: &Call, command: &Command, judged: &Judged, answer: &Answer) -> Noted {
    let read = envelope::read(answer.status, &answer.body, call.format).ok();
    let error = read.as_ref().and_then(|read| read.error.clone());
    match (read, error) {
        (_, Some(error)) if precedes_creation(command.kind, &error) => Noted::NotMade,
        (Some(read), None) if answer.status == 200 => {
            let sent = followed(gate, call, command, judged, Some(read.node));
            Noted::Sent(Box::new(sent), command.kind == Kind::Sync)
        }
        _ => {
            let sent = followed(gate, call, command, judged, None);
            Noted::Sent(Box::new(sent), false)
        }
    }
}

/// Keeps what became of the call; false where the books have the call already.
async fn keep(gate: &Gate, judged: &Judged, noted: Noted) -> bool {
    let call = judged.id.to_string();
    let row = match &noted {
        Noted::NotMade => Some(Row::NotMade { call }),
        Noted::Sent(sent, _) if judged.job.is_none() => {
            let job = sent.job.as_ref().map(ToString::to_string);
            job.map(|job| Row::Job { call, job })
        }
        _ => None,
    };
    if !gate.away.note(judged.id, noted) {
        return false;
    }
    if let Some(row) = row
        && let Err(fault) = gate.away.append(row).await
    {
        // This process knows it all the same; after its death the call is followed from its intent.
        tracing::error!(verb = "away", call = %judged.id, %fault, "an outcome was not kept");
    }
    true
}
