//! Edge: a call that can raise cost: who pays, how much, the hold, the one send, the outcome.

use super::authenticate::{self, Caller};
use super::forward;
use super::line::{Core, Gate, lost, note, way};
use super::parse::Call;
use super::plan::{self, Plan};
use super::refusal::{Refusal, Shortage};
use super::reserve::{self, Priced};
use super::whose::{self, Whose};
use super::{typed, wire::Answer};
use crate::cloudstack::command::{Command, Kind, OwnerRule, PriceRule};
use crate::cloudstack::envelope;
use crate::cloudstack::query::ParamMap;
use crate::cloudstack::signature;
use crate::cover::settle::Outcome;
use crate::ledger::records::{BillingMode, PayerState, Purse};
use crate::ledger::{Command as Booking, LedgerRefusal};
use crate::meter::follow::{Followed, PlannedText, owner_text};
use crate::meter::line::Settlement;
use crate::meter::observe::ObservedCall;
use crate::rate::RateError;
use crate::store::{Intent, IntentChange, IntentStatus, StoreError, Work};
use crate::terms::ids::{CallId, HoldId, JobId, PayerId};
use crate::terms::time::Timestamp;
use crate::upstream::Sent;
use secrecy::ExposeSecret;
use std::net::SocketAddr;

/// Another hold may take the gift credit that this one counted on.
const PROMO_TRIES: usize = 4;

/// A call that was verified, typed, owned and priced.
struct Judged {
    id: CallId,
    payer: Option<PayerId>,
    whose: Whose,
    priced: Option<Priced>,
    hold: Option<HoldId>,
    job: Option<JobId>,
    sent: Timestamp,
    sent_wall: Timestamp,
}

/// Judges a raising call, promises its price, forwards it once and looks at the outcome.
pub(super) async fn raise(
    core: &Core,
    mut call: Call,
    command: &Command,
    peer: SocketAddr,
) -> Result<Answer, Refusal> {
    let gate = &core.gate;
    let id = CallId::from_bits(gate.clock.id_bits());
    let judged = judge(gate, &mut call, command, id).await;
    let (caller, mut judged) = judged.inspect_err(|refusal| {
        let reason = format!("{}: {}", refusal.rule(), refusal.text());
        note(gate, id, &command.name, None, "refuse", &reason);
    })?;
    let map = with_our_job(gate, &call, command, &caller, &mut judged);
    promise(gate, &call, command, &mut judged)
        .await
        .inspect_err(|refusal| {
            let reason = format!("{}: {}", refusal.rule(), refusal.text());
            note(
                gate,
                id,
                &command.name,
                judged.payer.as_ref(),
                "refuse",
                &reason,
            );
        })?;
    let price = judged
        .priced
        .as_ref()
        .map(|p| p.per_hour.to_string())
        .unwrap_or_default();
    note(
        gate,
        id,
        &command.name,
        judged.payer.as_ref(),
        "forward",
        &format!("{price} an hour"),
    );
    let outcome = forward::whole(&way(core, peer), &call, &map).await;
    match outcome {
        Ok(answer) => {
            answered(gate, &call, command, &judged, &answer).await;
            Ok(answer)
        }
        Err(fault) => {
            tracing::warn!(verb = "forward", call = %id, command = %command.name, %fault, "lost");
            match fault.sent {
                Sent::NotSent => give_back(gate, &judged, Outcome::NothingSent).await,
                Sent::Unknown => follow(gate, &call, command, &judged, None).await,
            }
            Err(lost(fault.sent))
        }
    }
}

/// Verifies, types, finds the owner and the payer, and prices.
async fn judge(
    gate: &Gate,
    call: &mut Call,
    command: &Command,
    id: CallId,
) -> Result<(Caller, Judged), Refusal> {
    let cannot = |fault: crate::upstream::UpstreamError| Refusal::CannotAsk(fault.what);
    let name = call.params.get("apikey").unwrap_or_default().to_owned();
    let key = if name.is_empty() {
        None
    } else {
        gate.keys.entry(&name).await.map_err(cannot)?
    };
    let caller = authenticate::caller(call, key.as_deref(), gate.clock.wall())?;
    if command.price == PriceRule::Missing {
        return unpriced(gate, call, command, caller, id).await;
    }
    typed::parameters(&command.name, &gate.table, &mut call.params)?;
    let asked = gate.asker.for_call(command, &call.params);
    let facts = asked.await.map_err(cannot)?;
    let whose = whose::whose(command, &call.params, &caller, &facts, &gate.directory).await?;
    let now = gate.clock.billing();
    let payer = match whose.may_act {
        true => gate
            .meter
            .payer_of(&whose.owner, now)
            .await
            .map_err(cannot)?,
        false => gate
            .meter
            .payer_of(&whose::own(&caller)?, now)
            .await
            .map_err(cannot)?,
    };
    let payer = payer.ok_or(Refusal::NobodyPays)?;
    let plan = plan::plan(command.price, &command.name, &call.params, &facts)?;
    let priced = match &plan {
        Some(plan) => Some(price(gate, &payer, plan, now).await?),
        None => None,
    };
    refuse_unpriced(gate, &payer, command, priced.as_ref()).await?;
    let sent_wall = gate.clock.wall();
    let judged = Judged {
        id,
        payer: Some(payer),
        whose,
        priced,
        hold: None,
        job: None,
        sent: now,
        sent_wall,
    };
    Ok((caller, judged))
}

/// A command without a price rule: refused for prepaid, metered and priced later for postpaid.
async fn unpriced(
    gate: &Gate,
    call: &Call,
    command: &Command,
    caller: Caller,
    id: CallId,
) -> Result<(Caller, Judged), Refusal> {
    let cannot = |fault: crate::upstream::UpstreamError| Refusal::CannotAsk(fault.what);
    let whose = match command.owner {
        OwnerRule::None | OwnerRule::Unclear => Whose {
            owner: whose::own(&caller)?,
            may_act: true,
        },
        _ => {
            let questions = whose::needs(command, &call.params);
            let facts = gate.asker.facts(&questions).await.map_err(cannot)?;
            whose::whose(command, &call.params, &caller, &facts, &gate.directory).await?
        }
    };
    let payer_is = match whose.may_act {
        true => whose.owner.clone(),
        false => whose::own(&caller)?,
    };
    let now = gate.clock.billing();
    let payer = gate.meter.payer_of(&payer_is, now).await.map_err(cannot)?;
    let payer = payer.ok_or(Refusal::NobodyPays)?;
    let state = state_of(gate, &payer).await?;
    if state.mode == BillingMode::Prepaid {
        return Err(Refusal::Unpriced(format!("command {}", command.name)));
    }
    let judged = Judged {
        id,
        payer: Some(payer),
        whose,
        priced: None,
        hold: None,
        job: None,
        sent: now,
        sent_wall: gate.clock.wall(),
    };
    Ok((caller, judged))
}

async fn refuse_unpriced(
    gate: &Gate,
    payer: &PayerId,
    command: &Command,
    priced: Option<&Priced>,
) -> Result<(), Refusal> {
    let Some(meter) = priced.and_then(|priced| priced.unpriced.first()) else {
        return Ok(());
    };
    if state_of(gate, payer).await?.mode != BillingMode::Prepaid {
        return Ok(());
    }
    let what = format!("{:?} of {}", meter.usage_type, command.name);
    Err(Refusal::Unpriced(what))
}

async fn price(
    gate: &Gate,
    payer: &PayerId,
    plan: &Plan,
    now: Timestamp,
) -> Result<Priced, Refusal> {
    let state = state_of(gate, payer).await?;
    let rules = gate.rules.load_full();
    let away = |fault: StoreError| Refusal::StoreAway(fault.to_string());
    let month = rules
        .terms_of(payer)
        .and_then(|terms| crate::terms::time::BillingMonth::containing(now, &terms.zone).ok());
    let accruals = match month {
        Some(month) => gate.store.accruals(payer, &month).await.map_err(away)?,
        None => Vec::new(),
    };
    let lags = gate
        .renewals
        .lags(&state)
        .map_err(|e| Refusal::StoreAway(e.to_string()))?;
    if lags {
        gate.renewals
            .catch_up(payer)
            .await
            .map_err(|e| Refusal::StoreAway(e.to_string()))?;
    }
    let so_far = |line: &crate::terms::ids::PriceLineId| {
        accruals
            .iter()
            .find(|row| row.line == *line)
            .map(|row| row.quantity)
            .unwrap_or_default()
    };
    reserve::price(&rules, payer, plan, so_far, now).map_err(rate_refusal)
}

fn rate_refusal(fault: RateError) -> Refusal {
    match fault {
        RateError::AttributeMissing { .. } | RateError::NoVersion { .. } => {
            Refusal::Unpriced(fault.to_string())
        }
        other => Refusal::StoreAway(other.to_string()),
    }
}

/// The client's map with our own job id, signed anew with the key that verified it. CloudStack
/// takes a job id on asynchronous commands alone.
fn with_our_job(
    gate: &Gate,
    call: &Call,
    command: &Command,
    caller: &Caller,
    judged: &mut Judged,
) -> ParamMap {
    let mut map = call.params.clone();
    if command.kind == Kind::Sync {
        return map;
    }
    let job = gate.clock.random_uuid();
    map.insert("customjobid", &job);
    let signed = signature::sign(&map, caller.key().secret.expose_secret().as_bytes());
    map.set_value("signature", signed);
    judged.job = Some(JobId::from(job));
    map
}

/// Hold and intent, durable before the first byte goes upstream.
async fn promise(
    gate: &Gate,
    call: &Call,
    command: &Command,
    judged: &mut Judged,
) -> Result<(), Refusal> {
    let payer = judged.payer.clone().ok_or(Refusal::NobodyPays)?;
    let total = judged
        .priced
        .as_ref()
        .map(|priced| priced.total)
        .unwrap_or_default();
    if !total.is_negative() && !total.is_zero() {
        judged.hold = Some(HoldId::from_bits(gate.clock.id_bits()));
    }
    for _ in 0..PROMO_TRIES {
        let booking = match (&judged.priced, judged.hold) {
            (Some(priced), Some(hold)) => {
                let state = state_of(gate, &payer).await?;
                let promo = state.purse(Purse::PromoAvailable);
                let leg = reserve::leg(priced, &payer, promo).map_err(rate_refusal)?;
                let legs = vec![leg];
                Some(Booking::Hold {
                    hold,
                    call: judged.id,
                    legs,
                    at: judged.sent,
                })
            }
            _ => None,
        };
        let intent = IntentChange::Insert(intent(call, command, judged));
        let work = Work {
            command: booking,
            intents: vec![intent],
            ..Work::default()
        };
        match gate.store.submit(work).await {
            Ok(_) => return Ok(()),
            Err(StoreError::Refused(LedgerRefusal::PromoShort { .. })) => {}
            Err(fault) => return Err(money_refusal(gate, &payer, judged, fault)),
        }
    }
    Err(Refusal::Busy)
}

fn intent(call: &Call, command: &Command, judged: &Judged) -> Intent {
    let planned = PlannedText {
        sent: Some(judged.sent.micros()),
        per_hour: judged
            .priced
            .as_ref()
            .map(|p| p.per_hour.to_string())
            .unwrap_or_default(),
        one_offs: judged.priced.as_ref().map(one_off_rows).unwrap_or_default(),
    };
    Intent {
        call: judged.id,
        hold: judged.hold,
        payer: judged.payer.clone(),
        owner: owner_text(&judged.whose.owner),
        command: command.name.clone(),
        params: call.params.to_kept(),
        job: judged.job.clone(),
        resource: None,
        planned: serde_json::to_string(&planned).unwrap_or_default(),
        status: IntentStatus::Intended,
        sent: judged.sent_wall,
        answered: None,
        updated: judged.sent_wall,
        note: String::new(),
    }
}

fn one_off_rows(priced: &Priced) -> Vec<(String, String, String, String, i64)> {
    let rows = priced.one_offs.iter().map(|one| {
        let zone = one.month.zone().to_owned();
        let (line, month) = (one.line.to_string(), one.month.to_string());
        (line, one.tax_group.clone(), month, zone, one.amount.get())
    });
    rows.collect()
}

/// A refusal of the books in the words that the caller may be told.
fn money_refusal(gate: &Gate, payer: &PayerId, judged: &Judged, fault: StoreError) -> Refusal {
    let (available, missing, cover_short) = match &fault {
        StoreError::Refused(LedgerRefusal::NotEnough {
            available,
            short_by,
            ..
        }) => (*available, *short_by, false),
        StoreError::Refused(LedgerRefusal::CoverShort {
            available,
            short_by,
            ..
        }) => (*available, *short_by, true),
        StoreError::Busy => return Refusal::Busy,
        StoreError::Refused(LedgerRefusal::UnknownPayer(_)) => return Refusal::NobodyPays,
        other => return Refusal::StoreAway(other.to_string()),
    };
    let rules = gate.rules.load();
    let Some(customer) = rules.customers.get(payer) else {
        return Refusal::NobodyPays;
    };
    let shows = customer.show_balance;
    Refusal::NotEnough(Shortage {
        price: judged
            .priced
            .as_ref()
            .map(|priced| priced.total)
            .unwrap_or_default(),
        available: shows.then_some(available),
        missing: shows.then_some(missing),
        currency: customer.currency,
        top_up_url: rules
            .sellers
            .get(&customer.seller)
            .map(|seller| seller.top_up_url.clone())
            .unwrap_or_default(),
        cover_short,
    })
}

/// What an answer says of the hold. The answer itself goes to the client as it is.
async fn answered(gate: &Gate, call: &Call, command: &Command, judged: &Judged, answer: &Answer) {
    if answer.status == 401 {
        gate.keys
            .drop_key(call.params.get("apikey").unwrap_or_default())
            .await;
    }
    gate.keys.heed(&command.name).await;
    let read = envelope::read(answer.status, &answer.body, call.format).ok();
    let error = read.as_ref().and_then(|read| read.error.clone());
    match (read, error) {
        (_, Some(error)) if precedes_creation(command.kind, &error) => {
            give_back(gate, judged, Outcome::RefusedBeforeCreation).await;
        }
        (Some(read), None) if answer.status == 200 => {
            let node = Some(read.node);
            if command.kind == Kind::Sync {
                settle_sync(gate, call, command, judged, node).await;
            } else {
                follow(gate, call, command, judged, node).await;
            }
        }
        // An error that may come after creation, or an answer that cannot be read.
        _ => follow(gate, call, command, judged, None).await,
    }
}

/// Errors after which nothing was made. On a command that makes its entity before its job, other
/// errors may come after the entity was stored; on the rest the job was never started.
fn precedes_creation(kind: Kind, error: &envelope::ApiError) -> bool {
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

async fn give_back(gate: &Gate, judged: &Judged, _why: Outcome) {
    let at = gate.clock.billing();
    let command = judged.hold.map(|hold| Booking::GiveBack { hold, at });
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
    if let Err(fault) = gate.store.submit(work).await {
        // The intent stays open: the next start, or an operator, finds it.
        tracing::error!(verb = "settle", call = %judged.id, %fault, "a hold could not be given back");
    }
}

async fn follow(
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

fn followed(
    gate: &Gate,
    call: &Call,
    command: &Command,
    judged: &Judged,
    answer: Option<crate::cloudstack::tree::Node>,
) -> Followed {
    Followed {
        call: judged.id,
        command: command.name.clone(),
        params: call.params.without_secrets(),
        owner: judged.whose.owner.clone(),
        sent: judged.sent,
        sent_wall: judged.sent_wall,
        answered: gate.clock.billing(),
        answer,
        job: judged.job.clone(),
        hold: judged.hold,
        one_offs: judged
            .priced
            .as_ref()
            .map(|p| p.one_offs.clone())
            .unwrap_or_default(),
        intent: true,
    }
}

/// A synchronous command that succeeded: its outcome is durable before its answer goes out.
async fn settle_sync(
    gate: &Gate,
    call: &Call,
    command: &Command,
    judged: &Judged,
    node: Option<crate::cloudstack::tree::Node>,
) {
    let followed = followed(gate, call, command, judged, node);
    let settle = judged.hold.map(|hold| Booking::Settle {
        hold,
        one_off: followed.one_offs.clone(),
        at: gate.clock.billing(),
    });
    let update = IntentChange::Update {
        call: judged.id,
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
        hold: judged.hold,
    };
    if let Err(fault) = record(gate, &followed, settlement).await {
        tracing::error!(verb = "settle", call = %judged.id, %fault, "not settled; hold stays");
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

async fn state_of(gate: &Gate, payer: &PayerId) -> Result<PayerState, Refusal> {
    gate.store
        .payer(payer)
        .await
        .map_err(|fault| Refusal::StoreAway(fault.to_string()))?
        .ok_or(Refusal::NobodyPays)
}
