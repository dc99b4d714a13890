//! Edge: one call, from bytes to answer. Start reading here.
//!
//! parse → classify → (for what can raise cost) authenticate → type → own → plan → price →
//! hold and intent, durable → forward once → observe → answer. What cannot raise cost is
//! forwarded from the same parsed map and CloudStack answers.

use super::accept::caps::Caps;
use super::admit;
use super::ask::Asker;
use super::authenticate;
use super::away::Away;
use super::balance::Balances;
use super::body::AnswerBody;
use super::bundle;
use super::classify::{self, Standing};
use super::estimate;
use super::forward::{self, Way};
use super::keys::Keys;
use super::limit;
use super::observe;
use super::outcome;
use super::pages::{self, Pages};
use super::parse::{self, Call, Header, RawRequest, Routed};
use super::raise;
use super::recall;
use super::refusal::Refusal;
use super::resend::{Delivery, Resends, Turn};
use super::respond;
use super::session::{self, Sessions};
use super::session_key;
use super::wire::Answer;
use crate::clock::Clock;
use crate::cloudstack::command::{Class, Command, CommandTable};
use crate::cloudstack::envelope::{self, Format};
use crate::counters::Counters;
use crate::cover::line::Renewals;
use crate::crash::{self, Point};
use crate::meter::follow::Followed;
use crate::meter::line::Meter;
use crate::meter::resource::Owner;
use crate::policy::customer::RuleSet;
use crate::store::{AuditRow, Store};
use crate::telemetry::{self, step};
use crate::terms::ids::{CallId, JobId, PayerId};
use crate::terms::money::Micros;
use crate::upstream::Sent;
use crate::upstream::directory::Directory;
use crate::upstream::servers::Fleet;
use arc_swap::ArcSwap;
use bytes::Bytes;
use http::Response;
use http::request::Parts;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use tracing::{Instrument, Span};

/// Characters of a command or a query in a span.
const SPAN_TEXT_MAX: usize = 1_024;

/// What every core shares.
#[derive(Debug)]
pub struct Gate {
    /// Time.
    pub clock: Clock,
    /// The books.
    pub store: Store,
    /// The rules in force; swapped whole.
    pub rules: Arc<ArcSwap<RuleSet>>,
    /// The commands.
    pub table: Arc<CommandTable>,
    /// Payers' figures, as their calls are judged.
    pub balances: Balances,
    /// Customers' keys.
    pub keys: Keys,
    /// Customers' login sessions.
    pub sessions: Sessions,
    /// How often whom has called.
    pub counters: Arc<Counters>,
    /// Who is who.
    pub directory: Arc<Directory>,
    /// What CloudStack says of things.
    pub asker: Asker,
    /// Renewals: no raising call of a payer who lags behind.
    pub renewals: Arc<Renewals>,
    /// What runs.
    pub meter: Arc<Meter>,
    /// Calls that are followed to their end.
    pub followed: mpsc::Sender<Followed>,
    /// Judged calls, for operators.
    pub audit: mpsc::Sender<AuditRow>,
    /// Which paths beside the API are served.
    pub pages: Pages,
    /// What passes while the books are away.
    pub away: Arc<Away>,
    /// Raising requests whose answer may not have arrived.
    pub resends: Arc<Resends>,
}

/// One core: the shared gate and its own connections.
#[derive(Debug)]
pub struct Core {
    /// What every core shares.
    pub gate: Arc<Gate>,
    /// Connections of this core.
    pub fleet: Fleet,
    /// What is open and under way on all cores.
    pub caps: Arc<Caps>,
}

/// The last answer of a connection whose arrival is not known yet.
pub type Slot = Mutex<Option<Delivery>>;

/// One request, from bytes to answer.
pub async fn line(
    core: &Arc<Core>,
    head: Parts,
    body: Bytes,
    peer: SocketAddr,
    slot: &Slot,
) -> Response<AnswerBody> {
    let span = telemetry::call();
    let judged = judged(core, head, body, peer, slot);
    let answer = judged.instrument(span.clone()).await;
    span.record("status", answer.status().as_u16());
    answer
}

/// What a span tells of a call; nothing is copied where no span is sent.
fn name_span(call: &Call) {
    let span = Span::current();
    if span.is_disabled() {
        return;
    }
    let short = |text: &str| text.chars().take(SPAN_TEXT_MAX).collect::<String>();
    let command = short(call.command());
    span.record("otel.name", command.as_str());
    span.record("command", command.as_str());
    span.record("params", short(&call.params.to_kept()));
}

async fn judged(
    core: &Arc<Core>,
    head: Parts,
    body: Bytes,
    peer: SocketAddr,
    slot: &Slot,
) -> Response<AnswerBody> {
    // A next request on the connection proves that the last answer arrived.
    if let Some(delivery) = slot.lock().unwrap_or_else(PoisonError::into_inner).take() {
        delivery.done();
    }
    let call = match read(&head, &body) {
        Ok(Routed::Api(call)) => call,
        Ok(Routed::Elsewhere(path)) => {
            let cookies = || parse::session_cookies(&headers(&head));
            let served = pages::serve(core, &head, &body, path, peer, cookies).await;
            return served
                .unwrap_or_else(|refusal| refuse(core, None, &refusal, Format::Json).response());
        }
        Err(refusal) => return refuse(core, None, &refusal, asked_format(&head, &body)).response(),
    };
    name_span(&call);
    crash::pass(Point::Parsed);
    session::find_server(core, &call, peer).await;
    match estimate::meant(&head.headers, &call.params) {
        Ok(None) => {}
        Ok(Some(meant)) => return estimate::estimate(core, call, meant, peer).await.response(),
        Err(refusal) => return refuse(core, Some(&call), &refusal, call.format).response(),
    }
    if let Some(own) = bundle::meant(&call.params) {
        return bundle::answer(core, call, own, peer).await.response();
    }
    let standing = classify::standing(&core.gate.table, &call.params);
    if let Err(refusal) = limit::at_the_door(&core.gate, &call, &standing, peer.ip()).await {
        return refuse(core, Some(&call), &refusal, call.format).response();
    }
    let (class, command) = match standing {
        Ok(Standing::Known(class, command)) => (class, command),
        Ok(Standing::Forwarded) => {
            return match admit::open(core, &call, (Class::Read, call.command()), peer).await {
                Ok(()) => stream(core, &call, peer).await,
                Err(refusal) => refuse(core, Some(&call), &refusal, call.format).response(),
            };
        }
        Err(refusal) if observe::lets_pass(core, &call, &refusal, peer).await => {
            return stream(core, &call, peer).await;
        }
        Err(refusal) => return refuse(core, Some(&call), &refusal, call.format).response(),
    };
    if class != Class::Raises
        && let Err(refusal) = admit::open(core, &call, (class, &command.name), peer).await
    {
        return refuse(core, Some(&call), &refusal, call.format).response();
    }
    match class {
        Class::Read => stream(core, &call, peer).await,
        Class::Lowers | Class::Neutral => {
            let answer = pass(core, &call, &command, peer, "cannot raise cost");
            answer.await.response()
        }
        Class::Raises => {
            let command = command.into_owned();
            raised(core, call, command, peer, slot).await.response()
        }
    }
}

async fn stream(core: &Arc<Core>, call: &Call, peer: SocketAddr) -> Response<AnswerBody> {
    match forward::stream(&way(core, peer), call)
        .instrument(step("forward"))
        .await
    {
        Ok(response) => response,
        Err(fault) => {
            tracing::warn!(verb = "forward", %fault, "a read call was not answered");
            refuse(core, Some(call), &lost(fault.sent), call.format).response()
        }
    }
}

/// A call without a hold, because it cannot raise cost or is only observed: forwarded, and
/// followed where it starts a job, because what it ends stops costing.
pub(super) async fn pass(
    core: &Arc<Core>,
    call: &Call,
    command: &Command,
    peer: SocketAddr,
    why: &str,
) -> Answer {
    let gate = &core.gate;
    let id = CallId::from_bits(gate.clock.id_bits());
    let turn = match command.session {
        true => gate.sessions.change(call).await,
        false => Ok(None),
    };
    let Ok(_turn) = turn else {
        return refuse(core, Some(call), &Refusal::Busy, call.format);
    };
    let (sent, sent_wall) = (gate.clock.billing(), gate.clock.wall());
    let sent_on = way(core, peer);
    let whole = forward::whole(&sent_on, call, &call.params);
    let answer = match whole.instrument(step("forward")).await {
        Ok(answer) => answer,
        Err(fault) => {
            tracing::warn!(verb = "forward", command = %command.name, %fault, "not answered");
            return refuse(core, Some(call), &lost(fault.sent), call.format);
        }
    };
    gate.keys.heed(&command.name).await;
    gate.sessions.heed(&command.name);
    if answer.status != 200 {
        return answer;
    }
    let Ok(read) = envelope::read(answer.status, &answer.body, call.format) else {
        return answer;
    };
    let job = read.node.text_of("jobid").map(JobId::from);
    let followed = Followed {
        call: id,
        command: command.name.clone(),
        params: call.params.without_secrets(),
        owner: presumed_owner(gate, call).await,
        sent,
        sent_wall,
        answered: gate.clock.billing(),
        answer: Some(read.node),
        job,
        hold: None,
        one_offs: Vec::new(),
        rules: Vec::new(),
        intent: false,
        in_doubt: None,
    };
    note(gate, id, &command.name, None, "forward", why);
    if followed.job.is_some() {
        // A full queue only delays: the sweep finds what the call ended.
        let _ = gate.followed.try_send(followed);
    } else {
        outcome::observe_sync(gate, &followed).await;
    }
    answer
}

/// A call that can raise cost. After the hold the work is a task of its own: a client that hangs
/// up is still charged, and what it started is still metered.
async fn raised(
    core: &Arc<Core>,
    call: Call,
    command: Command,
    peer: SocketAddr,
    slot: &Slot,
) -> Answer {
    let format = call.format;
    let wrapper = command.wrapper.clone();
    let (tell, delivery) = match core.gate.resends.turn(fingerprint(&call)) {
        Turn::First(tell, delivery) => (tell, delivery),
        Turn::Again(mut pending, delivery) => {
            let answer = pending.wait_for(Option::is_some).await;
            let answer = answer.ok().and_then(|answer| answer.clone());
            keep(slot, delivery);
            return answer.unwrap_or_else(|| own(&Refusal::AnswerLost, &wrapper, format));
        }
        Turn::BeforeUs(job) => {
            let answer = recall::answer(&core.gate, &command, job, format).await;
            return answer.unwrap_or_else(|| own(&Refusal::AnswerLost, &wrapper, format));
        }
    };
    let core = core.clone();
    // The process does not end while the call is under way.
    let working = core.caps.work();
    let work = async move {
        let answer = match raise::raise(&core, call, &command, peer).await {
            Ok(answer) => answer,
            Err(refusal) => own(&refusal, &command.wrapper, format),
        };
        // Nobody listens where the client is gone; the answer is kept for its resend.
        let _ = tell.send(Some(answer.clone()));
        drop(working);
        answer
    };
    let answer = tokio::spawn(work.in_current_span())
        .await
        .unwrap_or_else(|_| own(&Refusal::AnswerLost, &wrapper, format));
    keep(slot, delivery);
    answer
}

fn keep(slot: &Slot, delivery: Delivery) {
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(delivery);
}

fn read(head: &Parts, body: &Bytes) -> Result<Routed, Refusal> {
    let headers = headers(head);
    // A path, as HTTP/1.1 has it and the framing wants it; or HTTP/2's, whose authority was looked
    // at when its head was read.
    let target = head
        .uri
        .path_and_query()
        .map_or("", |target| target.as_str());
    parse::request(&RawRequest {
        method: head.method.as_str(),
        target: target.as_bytes(),
        headers: &headers,
        body,
    })
}

fn headers(head: &Parts) -> Vec<Header<'_>> {
    let headers = head.headers.iter();
    headers
        .map(|(name, value)| (name.as_str(), value.as_bytes()))
        .collect()
}

/// The form of a refusal for a request that could not be read: as CloudStack would find it.
fn asked_format(head: &Parts, body: &Bytes) -> Format {
    let query = head.uri.query().unwrap_or_default();
    let map = crate::cloudstack::query::ParamMap::parse_as_cloudstack(query.as_bytes(), body);
    Format::asked(map.as_ref().and_then(|map| map.get("response")))
}

/// What makes two requests one: every name and value, key and signature included.
pub(super) fn fingerprint(call: &Call) -> [u8; 32] {
    let mut hash = Sha256::new_with_prefix(call.params.to_wire().as_bytes());
    // Equal calls of two sessions are two calls.
    if let Some(cookies) = &call.cookies {
        hash.update(session_key::id(cookies));
    }
    hash.finalize().into()
}

pub(super) fn way<'a>(core: &'a Core, peer: SocketAddr) -> Way<'a> {
    Way {
        fleet: &core.fleet,
        client: peer.ip(),
    }
}

pub(super) const fn lost(sent: Sent) -> Refusal {
    match sent {
        Sent::NotSent => Refusal::UpstreamAway,
        Sent::Unknown => Refusal::AnswerLost,
    }
}

/// Whose a lowering call probably is: what it ends has an owner in the meter already.
async fn presumed_owner(gate: &Gate, call: &Call) -> Owner {
    let key = call.params.get("apikey").unwrap_or_default();
    let entry = gate.keys.entry(key).await.ok().flatten();
    let caller = entry.and_then(|entry| {
        let now = gate.clock.wall();
        authenticate::caller(call, Some(&entry), now).ok()
    });
    let caller = caller.or_else(|| gate.sessions.known(call));
    let owner = caller.and_then(|caller| super::whose::own(&caller).ok());
    owner.unwrap_or_else(|| Owner {
        account: None,
        account_name: None,
        domain: "".into(),
        project: None,
    })
}

/// Our own answer that refuses, noted for operators.
pub(super) fn refuse(
    core: &Core,
    call: Option<&Call>,
    refusal: &Refusal,
    format: Format,
) -> Answer {
    let name = call.map_or("", Call::command);
    let id = CallId::from_bits(core.gate.clock.id_bits());
    note(
        &core.gate,
        id,
        name,
        None,
        "refuse",
        &format!("{}: {}", refusal.rule(), refusal.text()),
    );
    own(refusal, &core.gate.table.wrapper(name), format)
}

pub(super) fn own(refusal: &Refusal, wrapper: &str, format: Format) -> Answer {
    let answer = respond::refusal(refusal, wrapper, format);
    Answer {
        status: answer.status,
        reason: Some(answer.reason),
        headers: answer.headers,
        body: answer.body.into(),
        extensions: http::Extensions::default(),
    }
}

/// Notes a judged call; a full queue loses the note, never the call.
pub(super) fn note(
    gate: &Gate,
    call: CallId,
    command: &str,
    payer: Option<&PayerId>,
    verdict: &str,
    reason: &str,
) {
    judged_row(gate, call, command, payer, (verdict, reason), None);
}

/// As [`note`], with the price by the hour where it is known.
pub(super) fn judged_row(
    gate: &Gate,
    call: CallId,
    command: &str,
    payer: Option<&PayerId>,
    (verdict, reason): (&str, &str),
    per_hour: Option<Micros>,
) {
    let rules = gate.rules.load();
    let customer = payer.and_then(|payer| rules.customers.get(payer));
    let row = AuditRow {
        at: gate.clock.wall(),
        call,
        command: command.to_owned(),
        payer: payer.cloned(),
        verdict: verdict.to_owned(),
        reason: reason.to_owned(),
        price: per_hour.zip(customer.map(|customer| customer.currency)),
    };
    let _ = gate.audit.try_send(row);
}
