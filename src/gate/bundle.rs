//! Edge: the commands of our own for bundles: several calls of a plan are priced and held together,
//! and drawn by the calls as they come.
//!
//! `create.rs` makes one, `draw.rs` finds a call's line in it. What no call drew goes back when
//! its owner deletes it or its time is over ([`end`]).

pub mod ask;
mod create;
pub mod draw;
pub mod fault;
pub mod told;

use super::authenticate::Caller;
use super::estimate;
use super::limit;
use super::line::{Core, Gate, note, own};
use super::parse::Call;
use super::raise;
use super::refusal::Refusal;
use super::wire::Answer;
use crate::cloudstack::command::Class;
use crate::cloudstack::query::ParamMap;
use crate::ledger::Command as Booking;
use crate::ledger::bundle::EndBundle;
use crate::ledger::records::HoldStatus;
use crate::store::{BundleChange, StoreError, StoredBundle, Work};
use crate::terms::ids::{BundleId, CallId, PayerId};
use crate::terms::time::Timestamp;
use ask::Asked;
use draw::away;
use fault::BundleFault;
use serde_json::{Map, Value, json};
use std::net::SocketAddr;

/// Bundles that are listed at once.
const LISTED_MAX: u32 = 100;
/// Bundles whose time is over that are ended at once.
const ENDED_MAX: u32 = 100;

/// A command of our own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Own {
    Create,
    List,
    Delete,
}

impl Own {
    const ALL: [Self; 3] = [Self::Create, Self::List, Self::Delete];

    const fn name(self) -> &'static str {
        match self {
            Self::Create => "createFaregateBundle",
            Self::List => "listFaregateBundles",
            Self::Delete => "deleteFaregateBundle",
        }
    }

    const fn class(self) -> Class {
        match self {
            Self::Create => Class::Raises,
            Self::List => Class::Read,
            Self::Delete => Class::Lowers,
        }
    }
}

/// The command of our own that a request is.
pub(super) fn meant(params: &ParamMap) -> Option<Own> {
    let name = params.command();
    let mut all = Own::ALL.into_iter();
    all.find(|own| own.name().eq_ignore_ascii_case(name))
}

/// Answers it.
pub(super) async fn answer(core: &Core, call: Call, meant: Own, peer: SocketAddr) -> Answer {
    let gate = &core.gate;
    let wrapper = format!("{}response", meant.name().to_ascii_lowercase());
    let id = CallId::from_bits(gate.clock.id_bits());
    match done(core, &call, meant, peer).await {
        Ok((payer, fields)) => {
            note(gate, id, meant.name(), payer.as_ref(), "bundle", "yes");
            estimate::answer(&wrapper, &fields, call.format)
        }
        Err(refusal) => {
            let reason = format!("{}: {}", refusal.rule(), refusal.text());
            note(gate, id, meant.name(), None, "refuse", &reason);
            own(&refusal, &wrapper, call.format)
        }
    }
}

type Told = (Option<PayerId>, Map<String, Value>);

async fn done(core: &Core, call: &Call, meant: Own, peer: SocketAddr) -> Result<Told, Refusal> {
    let gate = &core.gate;
    let unclassed = Err(Refusal::UnknownCommand(meant.name().to_owned()));
    limit::at_the_door(gate, call, &unclassed, peer.ip()).await?;
    let _turn = gate.sessions.enter(call).await;
    let caller = raise::verified(core, call, peer).await?;
    limit::by_caller(gate, &caller, meant.name(), meant.class()).await?;
    match meant {
        Own::Create => {
            let asked = Asked::read(&call.params)?;
            let made = create::create(core, call, caller.clone(), &asked, peer).await?;
            let fields = told(gate, &caller, &made).await?;
            Ok((Some(made.payer), one("bundle", json!(fields))))
        }
        Own::List => listed(gate, call, &caller).await.map(|it| (None, it)),
        Own::Delete => {
            let his = his(gate, call, &caller).await?;
            end(gate, &his).await.map_err(away)?;
            let ended = gate.store.bundle(his.id).await.map_err(away)?;
            let fields = told(gate, &caller, ended.as_ref().unwrap_or(&his)).await?;
            let mut answer = one("success", json!(true));
            answer.insert("bundle".to_owned(), json!(fields));
            Ok((Some(his.payer), answer))
        }
    }
}

fn one(name: &str, value: Value) -> Map<String, Value> {
    Map::from_iter([(name.to_owned(), value)])
}

/// The caller's own bundle that `id` names; a stranger's is one that does not exist.
async fn his(gate: &Gate, call: &Call, caller: &Caller) -> Result<StoredBundle, Refusal> {
    let name = call.params.get("id").unwrap_or_default();
    let unknown = || BundleFault::Unknown.refusal();
    let id: BundleId = name.parse().map_err(|_| unknown())?;
    let found = gate.store.bundle(id).await.map_err(away)?;
    let account = caller.person().account.as_str();
    let found = found.filter(|bundle| bundle.account == account);
    found.ok_or_else(unknown)
}

async fn listed(gate: &Gate, call: &Call, caller: &Caller) -> Result<Map<String, Value>, Refusal> {
    let bundles = if call.params.get("id").is_some() {
        vec![his(gate, call, caller).await?]
    } else {
        let account = caller.person().account.as_str();
        let found = gate.store.bundles(account, LISTED_MAX).await;
        found.map_err(away)?
    };
    let mut rows = Vec::new();
    for bundle in &bundles {
        rows.push(json!(told(gate, caller, bundle).await?));
    }
    let mut answer = one("count", json!(rows.len()));
    answer.insert("bundle".to_owned(), Value::Array(rows));
    Ok(answer)
}

/// A bundle as its owner is told of it: of money only what he may know.
async fn told(
    gate: &Gate,
    caller: &Caller,
    bundle: &StoredBundle,
) -> Result<Map<String, Value>, Refusal> {
    let lines = statuses(gate, bundle).await.map_err(away)?;
    let shows = estimate::tells(gate, caller, &bundle.payer).await;
    let rules = gate.rules.load();
    let customer = rules.customers.get(&bundle.payer).filter(|_| shows);
    let currency = customer.map(|customer| customer.currency);
    let now = gate.clock.billing();
    Ok(told::fields(bundle, &lines, currency, now))
}

async fn statuses(gate: &Gate, bundle: &StoredBundle) -> Result<told::Statuses, StoreError> {
    let mut statuses = Vec::new();
    for line in &bundle.lines {
        let legs = match line.hold {
            Some(hold) => gate.store.hold(hold).await?,
            None => Vec::new(),
        };
        let mut of_payer = legs.iter().filter(|leg| leg.payer == bundle.payer);
        let status: Option<HoldStatus> = of_payer.next().map(|leg| leg.status);
        statuses.push(status);
    }
    Ok(statuses)
}

/// What no call drew goes back; once, whoever asks for it how often.
async fn end(gate: &Gate, bundle: &StoredBundle) -> Result<(), StoreError> {
    if bundle.ended.is_some() {
        return Ok(());
    }
    let at = gate.clock.billing();
    let work = Work {
        command: Some(Booking::EndBundle(EndBundle {
            bundle: bundle.id,
            lines: bundle.lines.iter().filter_map(|line| line.hold).collect(),
            at,
        })),
        bundles: vec![BundleChange::End { id: bundle.id, at }],
        ..Work::default()
    };
    gate.store.submit(work).await.map(drop)
}

/// Ends the bundles whose time is over; says how many.
///
/// # Errors
/// [`StoreError`] of the first that could not be ended; it is tried again.
pub async fn end_due(gate: &Gate, now: Timestamp) -> Result<usize, StoreError> {
    let due = gate.store.bundles_due(now, ENDED_MAX).await?;
    for bundle in &due {
        end(gate, bundle).await?;
    }
    Ok(due.len())
}
