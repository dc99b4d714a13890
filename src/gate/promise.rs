//! Edge: what is durable before a raising call goes out: its hold, its intent, our job's id.

use super::authenticate::Caller;
use super::line::{Gate, fingerprint};
use super::parse::Call;
use super::raise::{Judged, rate_refusal, state_of};
use super::refusal::{Refusal, Shortage};
use super::reserve::{self, Priced};
use super::told::may_be_told;
use crate::cloudstack::command::{Command, Kind};
use crate::cloudstack::query::ParamMap;
use crate::cloudstack::signature;
use crate::ledger::records::Purse;
use crate::ledger::{Command as Booking, LedgerRefusal};
use crate::meter::follow::{PlannedText, owner_text};
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

/// Hold and intent, durable before the first byte goes upstream.
pub(super) async fn promise(
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
            Err(fault) => return Err(money_refusal(gate, &payer, judged, fault).await),
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
        request: hex(&fingerprint(call)),
        in_doubt: judged.whose.doubt.is_some(),
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

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
async fn money_refusal(
    gate: &Gate,
    payer: &PayerId,
    judged: &Judged,
    fault: StoreError,
) -> Refusal {
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
    // Whoever cannot be found out is told nothing.
    let own = gate.meter.payer_of(&judged.own, judged.sent).await;
    let own = own.ok().flatten();
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
