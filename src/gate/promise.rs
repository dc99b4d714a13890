//! Edge: what is durable before a raising call goes out: its hold, its intent, our job's id.

use super::authenticate::Caller;
use super::bundle::fault::BundleFault;
use super::claim;
use super::line::{Gate, fingerprint};
use super::outcome::give_back;
use super::parse::Call;
use super::raise::{Judged, rate_refusal, state_of};
use super::refusal::{Refusal, Shortage};
use super::reserve::{self, Priced};
use super::told::may_be_told;
use super::wholesale;
use crate::cloudstack::command::{Command, Kind};
use crate::cloudstack::query::ParamMap;
use crate::cloudstack::signature;
use crate::cover::line::end_due;
use crate::cover::settle::Outcome;
use crate::ledger::caps::OverCap;
use crate::ledger::records::PayerState;
use crate::ledger::things::{Claim, OverLimit, Things};
use crate::ledger::{Command as Booking, LedgerRefusal};
use crate::meter::planned::{OneOffRow, PlannedText, ThingRow, owner_text};
use crate::meter::rule_text::RuleText;
use crate::store::{Intent, IntentChange, IntentStatus, StoreError, Work};
use crate::terms::ids::{HoldId, JobId, PayerId};
use secrecy::ExposeSecret;

/// Another hold may take the gift credit that this one counted on.
const PROMO_TRIES: usize = 4;

/// The client's map with our own job id, signed anew with the key that verified it. CloudStack
/// takes a job id on asynchronous commands alone; a session's call is never changed.
pub(super) fn with_our_job(
    gate: &Gate,
    call: &Call,
    command: &Command,
    caller: &Caller,
    judged: &mut Judged,
) -> ParamMap {
    let mut map = call.params.clone();
    let Some(key) = caller.key().filter(|_| command.kind != Kind::Sync) else {
        return map;
    };
    let job = gate.clock.random_uuid();
    map.insert("customjobid", &job);
    let signed = signature::sign(&map, key.secret.expose_secret().as_bytes());
    map.set_value("signature", signed);
    judged.job = Some(JobId::from(job));
    map
}

/// Hold and intent, durable before the first byte goes upstream. Gives the payer's figures after
/// the hold, where one was made.
pub(super) async fn promise(
    gate: &Gate,
    call: &Call,
    command: &Command,
    judged: &Judged,
) -> Result<Option<PayerState>, Refusal> {
    let payer = judged.payer.clone().ok_or(Refusal::NobodyPays)?;
    // The figures that it was priced by serve once; where they were too old they are read again.
    let mut read: Option<(PayerState, Vec<PayerState>)> = None;
    for _ in 0..PROMO_TRIES {
        let states = match (&read, &judged.balance) {
            (Some((state, above)), _) => Some((state, above.as_slice())),
            (None, Some(balance)) => Some((&balance.state, [].as_slice())),
            (None, None) => None,
        };
        let command_of_books = match (judged.hold, states) {
            (Some(hold), Some(states)) => booking(judged, hold, &payer, states)?,
            _ => None,
        };
        let intent = IntentChange::Insert(intent(call, command, judged));
        let work = Work {
            command: command_of_books,
            claim: asked(gate, judged, &payer),
            intents: vec![intent],
            ..Work::default()
        };
        match gate.store.submit(work).await {
            Ok(done) => {
                let mut payers = done.effects.payers.into_iter();
                return Ok(payers.find(|state| state.payer == payer));
            }
            Err(StoreError::Refused(LedgerRefusal::PromoShort { payer: short, .. })) => {
                // A grant whose end has come is available until it was ended.
                if let Err(fault) = end_due(&gate.store, &short, judged.sent).await {
                    tracing::warn!(verb = "expire", payer = %short, %fault,
                        "gift credit did not expire");
                }
                let state = state_of(gate, &payer).await?;
                read = Some((state, wholesale::states(gate, judged).await?));
            }
            Err(fault) => {
                if matches!(fault, StoreError::Lost(_)) {
                    // It may have been written all the same, and nothing was sent.
                    give_back(gate, (call, command), judged, Outcome::NothingSent).await;
                }
                return Err(money_refusal(gate, &payer, judged, fault).await);
            }
        }
    }
    Err(Refusal::Busy)
}

/// Whether a hold is made for the call: it costs its payer more, or a reseller above him.
pub(super) fn raises(judged: &Judged) -> bool {
    let resellers = judged.wholesale.iter().map(|one| &one.priced);
    let mut priced = judged.priced.iter().chain(resellers);
    priced.any(Priced::raises)
}

/// What is asked of the books for the call, at the figures of its payer, and of the resellers
/// above him where they are newer than those that it was priced by.
pub(super) fn booking(
    judged: &Judged,
    hold: HoldId,
    payer: &PayerId,
    (state, above): (&PayerState, &[PayerState]),
) -> Result<Option<Booking>, Refusal> {
    let mut legs = Vec::new();
    let of_line = judged.draws.as_ref().map_or(&[][..], |it| &it.legs);
    if let Some(priced) = judged.priced.as_ref().filter(|priced| priced.raises()) {
        let promo = wholesale::promo_of(state, of_line)?;
        let mut leg = reserve::leg(priced, payer, promo).map_err(rate_refusal)?;
        leg.caps = judged.caps.clone();
        legs.push(leg);
    }
    legs.extend(wholesale::legs(&judged.wholesale, above, of_line)?);
    if let Some(drawn) = &judged.draws {
        return Ok(Some(Booking::Draw(
            drawn.booking(judged, hold, payer, legs),
        )));
    }
    Ok((!legs.is_empty()).then_some(Booking::Hold {
        hold,
        call: judged.id,
        legs,
        at: judged.sent,
    }))
}

/// What the call claims of what its payer may have; none where it adds nothing.
pub(super) fn asked(gate: &Gate, judged: &Judged, payer: &PayerId) -> Option<Claim> {
    let adds = &judged.adds;
    let drawn = judged.draws.as_ref().map(|it| it.things.clone());
    (*adds != Things::default()).then(|| Claim {
        drawn: drawn.unwrap_or_default(),
        ..claim::claim(&gate.rules.load(), payer, adds)
    })
}

pub(super) fn intent(call: &Call, command: &Command, judged: &Judged) -> Intent {
    let planned = PlannedText {
        sent: Some(judged.sent.micros()),
        per_hour: judged
            .priced
            .as_ref()
            .map(|p| p.per_hour.to_string())
            .unwrap_or_default(),
        one_offs: rows_of(judged, |payer| judged.payer.as_ref() == Some(payer)),
        wholesale: wholesale_rows(judged),
        things: thing_rows(&judged.adds),
        request: hex(&fingerprint(call)),
        in_doubt: judged.whose.doubt.is_some(),
        rules: judged.rules.iter().map(RuleText::from).collect(),
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

fn thing_rows(adds: &Things) -> Vec<ThingRow> {
    let rows = adds.iter().map(|(kind, zone, it)| {
        let zone = zone.to_owned();
        (kind, zone, it.pieces, it.vcpus, it.memory_mib, it.bytes)
    });
    rows.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// One-off prices of some payers: line, tax group, month, zone, millionths.
fn rows_of(judged: &Judged, of: impl Fn(&PayerId) -> bool) -> Vec<OneOffRow> {
    let due = wholesale::one_offs(judged);
    let rows = due.into_iter().filter(|one| of(&one.payer)).map(|one| {
        let zone = one.month.zone().to_owned();
        let (line, month) = (one.line.to_string(), one.month.to_string());
        (line, one.tax_group, month, zone, one.amount.get())
    });
    rows.collect()
}

fn wholesale_rows(judged: &Judged) -> Vec<(String, Vec<OneOffRow>)> {
    let resellers = judged.wholesale.iter().map(|one| {
        let rows = rows_of(judged, |payer| *payer == one.payer);
        (one.payer.to_string(), rows)
    });
    resellers.filter(|(_, rows)| !rows.is_empty()).collect()
}

/// A refusal of the books in the words that the caller may be told.
pub(super) async fn money_refusal(
    gate: &Gate,
    payer: &PayerId,
    judged: &Judged,
    fault: StoreError,
) -> Refusal {
    if let Some(reseller) = wholesale::short(payer, &fault) {
        tracing::warn!(verb = "hold", call = %judged.id, %payer, %reseller, %fault,
            "a wholesale wallet does not carry the call");
        return Refusal::WholesaleShort;
    }
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
        StoreError::Refused(LedgerRefusal::OverLimit(over)) => {
            return too_much(gate, payer, judged, over).await;
        }
        StoreError::Refused(LedgerRefusal::OverCap(over)) => {
            return over_cap(over);
        }
        StoreError::Refused(LedgerRefusal::HoldClosed { .. }) => {
            return BundleFault::Taken.refusal();
        }
        StoreError::Busy => return Refusal::Busy,
        StoreError::Refused(LedgerRefusal::UnknownPayer(_)) => return Refusal::NobodyPays,
        other => return Refusal::StoreAway(other.to_string()),
    };
    let own = own_payer(gate, judged).await;
    let rules = gate.rules.load();
    let Some(customer) = rules.customers.get(payer) else {
        return Refusal::NobodyPays;
    };
    let shows = may_be_told(customer, own.as_ref());
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

/// Who pays for the caller himself; whoever cannot be found out is told nothing.
async fn own_payer(gate: &Gate, judged: &Judged) -> Option<PayerId> {
    let own = gate.meter.payer_of(&judged.own, judged.sent).await;
    own.ok().flatten()
}

/// A cap may count more payers than one, so that its figures are nobody's to hear but the
/// operator's: its id and its reason are told.
fn over_cap(over: &OverCap) -> Refusal {
    let rule = over.rule.clone();
    let text = format!("cap {}: {}", over.rule, over.reason);
    Refusal::TooMuch { rule, text }
}

/// What somebody may be told of a payer's things is what he may be told of his money.
async fn too_much(gate: &Gate, payer: &PayerId, judged: &Judged, over: &OverLimit) -> Refusal {
    let own = own_payer(gate, judged).await;
    let rules = gate.rules.load();
    let customer = rules.customers.get(payer);
    let text = match customer.is_some_and(|customer| may_be_told(customer, own.as_ref())) {
        true => over.to_string(),
        false => format!("limit {}: {}", over.rule, over.reason),
    };
    let rule = over.rule.clone();
    Refusal::TooMuch { rule, text }
}
