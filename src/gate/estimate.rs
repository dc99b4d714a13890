//! Edge: what a call would cost, without making it: the dry run of the line, and the figures in
//! the headers of calls that were made.
//!
//! It goes the way of a raising call up to the hold: verified, typed, owned, planned, priced. The
//! hold and the claim are then decided by the same functions on the rows as they are read, and
//! nothing is written or sent.

use super::authenticate::Caller;
use super::classify::{self, Standing};
use super::limit;
use super::line::{Core, Gate, note, own, refuse};
use super::observe::Known;
use super::parse::Call;
use super::promise;
use super::raise::{self, Judged, state_of};
use super::refusal::Refusal;
use super::told::may_be_told;
use super::wholesale;
use super::whose;
use super::wire::Answer;
use crate::cloudstack::command::Class;
use crate::cloudstack::envelope::{Format, SECURITY_HEADERS, content_type, escape_xml};
use crate::cloudstack::query::ParamMap;
use crate::cover::forecast::forecast;
use crate::ledger::records::PayerState;
use crate::ledger::things::{self, Usage};
use crate::ledger::{Loaded, decide};
use crate::store::StoreError;
use crate::terms::ids::{CallId, CapId, HoldId, PayerId};
use crate::terms::money::Micros;
use crate::terms::time::HOUR;
use http::HeaderMap;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde_json::{Map, Value, json};
use std::net::SocketAddr;

/// The header that makes any call a dry run.
const HEADER: &str = "x-faregate-estimate";
/// The command of our own that asks for the same, for clients that cannot set a header.
const COMMAND: &str = "faregateEstimate";
/// Its parameter: the command that is meant.
const FOR: &str = "for";

/// The call that a dry run means; none where the request is no dry run.
///
/// # Errors
/// [`Refusal::Parameter`] for a header that says neither yes nor no: a call that may have been
/// meant as a question is not made.
pub(super) fn meant(headers: &HeaderMap, params: &ParamMap) -> Result<Option<ParamMap>, Refusal> {
    if params.command().eq_ignore_ascii_case(COMMAND) {
        let mut meant = params.clone();
        let name = meant.remove(FOR).map(|param| param.value);
        let name = name.filter(|name| !name.is_empty()).ok_or_else(|| {
            let what = "is missing; write the command to estimate".to_owned();
            let name = FOR.to_owned();
            Refusal::Parameter { name, what }
        })?;
        meant.set_value("command", name);
        return Ok(Some(meant));
    }
    let mut dry = false;
    for value in headers.get_all(HEADER) {
        match value.as_bytes() {
            b"1" | b"true" => dry = true,
            b"0" | b"false" => {}
            _ => {
                let (name, what) = ("X-Faregate-Estimate".to_owned(), "is not 1".to_owned());
                return Err(Refusal::Parameter { name, what });
            }
        }
    }
    Ok(dry.then(|| params.clone()))
}

/// Answers a dry run.
pub(super) async fn estimate(core: &Core, call: Call, meant: ParamMap, peer: SocketAddr) -> Answer {
    let wrapper = match call.command().eq_ignore_ascii_case(COMMAND) {
        true => format!("{}response", COMMAND.to_ascii_lowercase()),
        false => core.gate.table.wrapper(call.command()),
    };
    let format = call.format;
    let id = CallId::from_bits(core.gate.clock.id_bits());
    let standing = classify::standing(&core.gate.table, &meant);
    match limit::at_the_door(&core.gate, &call, &standing, peer.ip()).await {
        Ok(()) => {}
        Err(refusal) => return refuse(core, Some(&call), &refusal, format),
    }
    let name = meant.command().to_owned();
    match judged(core, call, meant, standing, id, peer).await {
        Ok(estimate) => {
            let verdict = estimate.refused.as_ref().map_or("yes", Refusal::rule);
            note(
                &core.gate,
                id,
                &name,
                estimate.payer.as_ref(),
                "estimate",
                verdict,
            );
            let fields = Map::from_iter([("estimate".to_owned(), json!(estimate.fields(&name)))]);
            answer(&wrapper, &fields, format)
        }
        Err(refusal) => {
            let reason = format!("{}: {}", refusal.rule(), refusal.text());
            note(&core.gate, id, &name, None, "refuse", &reason);
            own(&refusal, &wrapper, format)
        }
    }
}

/// What a dry run comes to.
struct Estimate {
    payer: Option<PayerId>,
    /// None where the caller may not be told.
    figures: Option<Figures>,
    refused: Option<Refusal>,
    limits: Vec<Usage>,
}

/// What may be told of a price and a payer.
pub(super) struct Figures {
    currency: String,
    per_hour: Micros,
    per_month: Micros,
    one_off: Micros,
    held: Micros,
    /// Before the call, where it is not made yet.
    balance: Option<Micros>,
    after: Micros,
    pub(super) hours_left: Option<i64>,
}

async fn judged(
    core: &Core,
    mut call: Call,
    meant: ParamMap,
    standing: Result<Standing<'_>, Refusal>,
    id: CallId,
    peer: SocketAddr,
) -> Result<Estimate, Refusal> {
    let gate = &core.gate;
    let _turn = gate.sessions.enter(&call).await;
    let caller = raise::verified(core, &call, peer).await?;
    call.params = meant;
    let (class, command) = match standing? {
        Standing::Known(class, command) => (class, command),
        Standing::Forwarded => return nothing(gate, &caller).await,
    };
    if class != Class::Raises {
        return nothing(gate, &caller).await;
    }
    let mut known = Known::default();
    let admitted = raise::admitted(gate, caller, (&mut call, &command), id, peer, &mut known);
    let (caller, judged) = admitted.await?;
    decided(gate, &caller, &judged).await
}

/// A call that cannot raise cost: nothing is held and no limit looked at.
async fn nothing(gate: &Gate, caller: &Caller) -> Result<Estimate, Refusal> {
    let payer = payer_of_caller(gate, caller).await;
    let figures = match &payer {
        Some(payer) if shows(gate, payer) => {
            let state = state_of(gate, payer).await?;
            figures(gate, None, &state, Some(&state))
        }
        _ => None,
    };
    Ok(Estimate {
        payer,
        figures,
        refused: None,
        limits: Vec::new(),
    })
}

/// What the books would say to a call.
pub(super) struct Booked {
    /// The payer's figures after the hold; those before it, where it is refused or none is made.
    pub(super) after: PayerState,
    /// How far each things limit is used.
    pub(super) limits: Vec<Usage>,
    /// What would refuse it.
    pub(super) refused: Option<Refusal>,
}

/// The hold and the claim, decided on what is there now; nothing is written.
pub(super) async fn booked(
    gate: &Gate,
    judged: &Judged,
    payer: &PayerId,
    state: &PayerState,
) -> Result<Booked, Refusal> {
    let away = |fault: StoreError| Refusal::StoreAway(fault.to_string());
    let mut limits = Vec::new();
    let mut said = None;
    if let Some(claim) = promise::asked(gate, judged, payer) {
        let has = gate.store.things(payer).await.map_err(away)?;
        limits = things::usage(&claim, &has);
        said = things::admit(&claim, &has).err().map(Into::into);
    }
    let mut after = state.clone();
    if said.is_none() && promise::raises(judged) {
        let hold = HoldId::from_bits(gate.clock.id_bits());
        let mut loaded = Loaded::default();
        loaded.payers.insert(payer.clone(), state.clone());
        let above = wholesale::states(gate, judged).await?;
        let rows = above
            .iter()
            .map(|state| (state.payer.clone(), state.clone()));
        loaded.payers.extend(rows);
        let caps: Vec<CapId> = judged.caps.iter().map(|bound| bound.cap.clone()).collect();
        let caps = gate.store.caps(&caps).await.map_err(away)?;
        loaded.caps = caps.into_iter().map(|cap| (cap.id.clone(), cap)).collect();
        if let Some(command) = promise::booking(judged, hold, payer, (state, &above))? {
            match decide(&command, &loaded) {
                Ok(effects) => {
                    let mut payers = effects.payers.into_iter();
                    after = payers.find(|it| it.payer == *payer).unwrap_or(after);
                }
                Err(refusal) => said = Some(refusal),
            }
        }
    }
    let refused = match said.map(StoreError::Refused) {
        Some(said) => Some(promise::money_refusal(gate, payer, judged, said).await),
        None => None,
    };
    Ok(Booked {
        after,
        limits,
        refused,
    })
}

/// The hold and the claim, and what of them the caller may be told.
async fn decided(gate: &Gate, caller: &Caller, judged: &Judged) -> Result<Estimate, Refusal> {
    let payer = judged.payer.clone().ok_or(Refusal::NobodyPays)?;
    let state = state_of(gate, &payer).await?;
    let booked = booked(gate, judged, &payer, &state).await?;
    let told = tells(gate, caller, &payer).await;
    Ok(Estimate {
        figures: told
            .then(|| figures(gate, Some(judged), &booked.after, Some(&state)))
            .flatten(),
        limits: if told { booked.limits } else { Vec::new() },
        payer: Some(payer),
        refused: booked.refused,
    })
}

/// The headers of a call that was made; `state` is the payer's after its hold.
pub(super) async fn headers(
    gate: &Gate,
    caller: &Caller,
    judged: &Judged,
    state: Option<PayerState>,
) -> Vec<(String, Vec<u8>)> {
    let Some(payer) = &judged.payer else {
        return Vec::new();
    };
    if !tells(gate, caller, payer).await {
        return Vec::new();
    }
    let state = match state {
        Some(state) => Some(state),
        None => state_of(gate, payer).await.ok(),
    };
    let told = state.and_then(|state| figures(gate, Some(judged), &state, None));
    told.map(|figures| figures.headers()).unwrap_or_default()
}

/// Whether the caller may be told figures of this payer: users of the payer's own accounts, where
/// his policy shows the balance.
pub(super) async fn tells(gate: &Gate, caller: &Caller, payer: &PayerId) -> bool {
    let own = payer_of_caller(gate, caller).await;
    let rules = gate.rules.load();
    let customer = rules.customers.get(payer);
    customer.is_some_and(|customer| may_be_told(customer, own.as_ref()))
}

fn shows(gate: &Gate, payer: &PayerId) -> bool {
    let rules = gate.rules.load();
    let customer = rules.customers.get(payer);
    customer.is_some_and(|customer| customer.show_balance)
}

async fn payer_of_caller(gate: &Gate, caller: &Caller) -> Option<PayerId> {
    let owner = whose::own(caller).ok()?;
    let payer = gate.meter.payer_of(&owner, gate.clock.billing()).await;
    payer.ok().flatten()
}

pub(super) fn figures(
    gate: &Gate,
    judged: Option<&Judged>,
    after: &PayerState,
    before: Option<&PayerState>,
) -> Option<Figures> {
    let priced = judged.and_then(|judged| judged.priced.as_ref());
    let of = |figure: fn(&super::reserve::Priced) -> Micros| priced.map(figure).unwrap_or_default();
    let rules = gate.rules.load();
    let horizon = rules.profile_of(&after.payer)?.horizon;
    let runs = after.cover_target.plus(after.promo_cover_target).ok()?;
    let burn = per_hour(runs, horizon)?.plus(of(|p| p.per_hour)).ok()?;
    let left = forecast(after, burn).ok()?.until_empty;
    Some(Figures {
        currency: after.currency.to_string(),
        per_hour: of(|p| p.per_hour),
        per_month: of(|p| p.per_month),
        one_off: of(|p| p.one_off),
        held: of(|p| p.total).or_zero(),
        balance: before.and_then(|state| state.spendable().ok()),
        after: after.spendable().ok()?,
        hours_left: left.map(|micros| micros / HOUR),
    })
}

/// What runs costs in an hour: the cover's target is its cost for the horizon.
fn per_hour(target: Micros, horizon: i64) -> Option<Micros> {
    let hourly = Decimal::from(target.get())
        .checked_mul(Decimal::from(HOUR))?
        .checked_div(Decimal::from(horizon))?;
    hourly.trunc().to_i64().map(Micros::new)
}

impl Figures {
    fn headers(&self) -> Vec<(String, Vec<u8>)> {
        let mut told = vec![
            ("Price-Hour", self.per_hour.to_string()),
            ("Held", self.held.to_string()),
            ("Balance", self.after.to_string()),
            ("Currency", self.currency.clone()),
        ];
        if let Some(hours) = self.hours_left {
            told.push(("Hours-Left", hours.to_string()));
        }
        told.into_iter()
            .map(|(name, value)| (format!("X-Faregate-{name}"), value.into_bytes()))
            .collect()
    }
}

impl Estimate {
    fn fields(&self, command: &str) -> Map<String, Value> {
        let mut fields = Map::new();
        let mut tell = |name: &str, value: Value| {
            fields.insert(name.to_owned(), value);
        };
        tell("command", json!(command));
        tell("allowed", json!(self.refused.is_none()));
        if let Some(it) = &self.figures {
            tell("currency", json!(it.currency));
            tell("priceperhour", json!(it.per_hour.to_string()));
            tell("pricepermonth", json!(it.per_month.to_string()));
            tell("oneoff", json!(it.one_off.to_string()));
            tell("hold", json!(it.held.to_string()));
            if let Some(balance) = it.balance {
                tell("balance", json!(balance.to_string()));
            }
            tell("balanceafter", json!(it.after.to_string()));
            if let Some(hours) = it.hours_left {
                tell("hoursleft", json!(hours));
            }
        }
        if let Some(refusal) = &self.refused {
            tell("refusedby", json!(refusal.rule()));
            tell("refusalcode", json!(refusal.error().code));
            tell("reason", json!(refusal.text()));
        }
        let limits = self.limits.iter().map(|one| {
            let it = &one.limit;
            json!({
                "id": it.rule, "component": it.what, "most": it.most, "has": it.has,
                "adds": it.adds, "refuses": one.refuses, "reason": it.reason,
            })
        });
        tell("limit", limits.collect());
        fields
    }
}

/// In CloudStack's envelope, in the form that was asked for.
pub(super) fn answer(wrapper: &str, fields: &Map<String, Value>, format: Format) -> Answer {
    let body = match format {
        Format::Json => json!({ wrapper: fields }).to_string(),
        Format::Xml => {
            let inside = xml(fields);
            format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?><{wrapper}>{inside}</{wrapper}>")
        }
    };
    let mut headers = vec![("Content-Type".to_owned(), content_type(format).into())];
    headers.extend(SECURITY_HEADERS.map(|(name, value)| (name.to_owned(), value.into())));
    Answer {
        status: 200,
        reason: Some("OK".to_owned()),
        headers,
        body: body.into(),
        extensions: http::Extensions::default(),
    }
}

/// As CloudStack writes lists: an element for each row.
fn xml(fields: &Map<String, Value>) -> String {
    let mut out = String::new();
    for (name, value) in fields {
        let rows = match value {
            Value::Array(rows) => rows.iter().collect(),
            one => vec![one],
        };
        for row in rows {
            let inside = match row {
                Value::Object(fields) => xml(fields),
                Value::String(text) => escape_xml(text),
                other => other.to_string(),
            };
            out.push_str(&format!("<{name}>{inside}</{name}>"));
        }
    }
    out
}
