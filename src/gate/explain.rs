//! Edge: what would happen to a call, and why, told to an operator; nothing is held or sent.
//!
//! It asks the same rules and the same judgement as a real call, in the same order.

mod explanation;
mod money;

pub use explanation::Explanation;

use super::admit;
use super::authenticate::{self, Caller, Person};
use super::classify::{self, Standing};
use super::limit;
use super::line::Gate;
use super::observe::{self, Known};
use super::parse::{self, Call, RawRequest, Routed};
use super::promise;
use super::raise;
use super::refusal::Refusal;
use super::whose::Doubt;
use crate::cloudstack::command::{Class, Command};
use crate::ledger::caps::Cap;
use crate::policy::access::Effect;
use crate::policy::admission::{Admission, class_name};
use crate::policy::limits::{Calling, Counted, fitting};
use crate::policy::mode::Mode;
use crate::terms::ids::{CallId, CapId};
use crate::terms::time::SECOND;
use explanation::{AccessTold, CallLimitTold, CallerTold, CapTold, VerdictTold};
use std::net::IpAddr;
use std::sync::Arc;

/// Who is asked about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum As {
    /// The owner of this API key.
    Key(String),
    /// Somebody of this account, by its id.
    Account(String),
    /// Nobody who can be verified.
    Nobody,
}

/// Explains the call of this query.
///
/// # Errors
/// Why the call or the caller cannot be found out.
pub async fn explain(
    gate: &Gate,
    query: &str,
    who: &As,
    address: Option<IpAddr>,
) -> Result<Explanation, String> {
    let call = read(query).map_err(|refusal| format!("{}: {}", refusal.rule(), refusal.text()))?;
    let mut told = Explanation {
        command: call.params.command().to_owned(),
        ..Explanation::default()
    };
    let (class, command) = match classify::standing(&gate.table, &call.params) {
        Ok(Standing::Known(class, command)) => (class, Some(command)),
        Ok(Standing::Forwarded) => (Class::Read, None),
        Err(refusal) => {
            told.class = "none".to_owned();
            told.verdict = VerdictTold::of("refused", &refusal);
            return Ok(told);
        }
    };
    let caller = caller(gate, who).await?;
    told.class = class_name(class).to_owned();
    told.by = Some(match &command {
        Some(command) => format!(
            "{}, owner: {:?}, price: {:?}",
            command.name, command.owner, command.price
        ),
        None => "of the running server's lists".to_owned(),
    });
    if let Some(command) = &command {
        told.command.clone_from(&command.name);
    }
    told.caller = caller.as_ref().map(|caller| CallerTold {
        account: caller.person().account_name.clone(),
        accountid: caller.person().account.to_string(),
    });
    let name = told.command.clone();
    let of = (caller.as_ref(), address);
    let denied = access(gate, &call, (class, &name), of, &mut told.access);
    let key = match who {
        As::Key(key) => Some(key.as_str()),
        _ => None,
    };
    told.calllimit = counts(gate, (class, &name), of, key);
    match (command, caller) {
        (Some(command), caller) if class == Class::Raises => {
            let Some(caller) = caller else {
                told.verdict = VerdictTold::of("refused", &Refusal::NotVerified);
                return Ok(told);
            };
            raising(gate, (call, &command), caller, denied, &mut told).await;
        }
        (_, caller) => {
            let domains = caller.as_ref().map_or(&[][..], |one| &one.person().domains);
            let path: Vec<&str> = domains.iter().map(|id| id.as_str()).collect();
            let rules = gate.rules.load();
            let mode = match path.as_slice() {
                [] => rules.modes.of_unknown(),
                path => rules.modes.of(path),
            };
            told.mode = Some(mode.name());
            told.verdict = match denied {
                Some(refusal) => VerdictTold::of(said(mode), &refusal),
                None => VerdictTold::passes("forwarded: it cannot raise cost"),
            };
        }
    }
    Ok(told)
}

const fn said(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "refused",
        Mode::Observe => "noted and forwarded",
    }
}

fn read(query: &str) -> Result<Call, Refusal> {
    let target = format!("/client/api?{query}");
    let routed = parse::request(&RawRequest {
        method: "GET",
        target: target.as_bytes(),
        headers: &[],
        body: b"",
    })?;
    match routed {
        Routed::Api(call) => Ok(call),
        Routed::Elsewhere(path) => Err(Refusal::NotServed(path)),
    }
}

async fn caller(gate: &Gate, who: &As) -> Result<Option<Caller>, String> {
    let person = match who {
        As::Nobody => return Ok(None),
        As::Key(key) => {
            let entry = gate.keys.entry(key).await.map_err(|fault| fault.what)?;
            let entry = entry.ok_or("CloudStack does not know this API key")?;
            if !entry.enabled {
                return Err("the key, its user or its account is off".to_owned());
            }
            entry.person.clone()
        }
        As::Account(id) => {
            let account = gate.directory.account_by_id(id).await;
            let account = account.map_err(|fault| fault.what)?;
            let account = account.ok_or("CloudStack does not know this account")?;
            let path = gate.directory.path(&account.domain).await;
            Arc::new(Person {
                user: None,
                account: account.id.clone(),
                account_name: account.name.clone(),
                account_kind: account.kind,
                role: account.role.clone(),
                domains: path.map_err(|fault| fault.what)?.unwrap_or_default(),
            })
        }
    };
    Ok(Some(authenticate::of_session(person)))
}

/// Tells each rule that fits, and the refusal that follows.
fn access(
    gate: &Gate,
    call: &Call,
    (class, command): (Class, &str),
    (caller, address): (Option<&Caller>, Option<IpAddr>),
    told: &mut Vec<AccessTold>,
) -> Option<Refusal> {
    let rules = gate.rules.load();
    let candidates = rules.access.of(command, class)?;
    let actor = caller.map(admit::actor);
    let asked = Admission {
        command,
        class,
        params: &call.params,
        actor: actor.as_ref(),
        address,
        at: gate.clock.wall(),
    };
    let denied = candidates.judge(&asked).err();
    for rule in candidates.fitting(&asked) {
        told.push(AccessTold {
            rule: rule.id.clone(),
            says: match rule.effect {
                Effect::Allow => "allows",
                Effect::Deny => "denies",
            },
            decides: denied.is_some_and(|denied| denied.rule == rule.id),
            reason: rule.reason.clone(),
        });
    }
    let denied = denied?;
    if !told.iter().any(|one| one.decides) {
        // A default is no rule that fits: it is there for what no rule allows.
        told.push(AccessTold {
            rule: denied.rule.to_owned(),
            says: "denies",
            decides: true,
            reason: denied.reason.to_owned(),
        });
    }
    Some(Refusal::Access {
        rule: denied.rule.to_owned(),
        reason: denied.reason.to_owned(),
    })
}

/// The limits of how often somebody may call that the call would count against.
fn counts(
    gate: &Gate,
    (class, command): (Class, &str),
    (caller, address): (Option<&Caller>, Option<IpAddr>),
    key: Option<&str>,
) -> Vec<CallLimitTold> {
    let rules = gate.rules.load();
    let person = caller.map(Caller::person);
    let domains = person.map_or(&[][..], |person| &person.domains);
    let domains: Vec<&str> = domains.iter().map(|id| id.as_str()).collect();
    let network = address.map(limit::network);
    let calling = Calling {
        network: network.as_deref(),
        key: key.filter(|_| caller.is_some()),
        user: person.and_then(|person| person.user.as_deref()),
        account: person.map(|person| person.account.as_str()),
        domains: &domains,
    };
    fitting(&rules.limits, &calling, command, Some(class))
        .into_iter()
        .map(|Counted { limit, .. }| CallLimitTold {
            id: limit.id.clone(),
            per: limit.per.name(),
            calls: limit.pace.calls,
            seconds: limit.pace.period / SECOND,
            burst: limit.pace.burst,
            reason: limit.reason.clone(),
        })
        .collect()
}

async fn raising(
    gate: &Gate,
    (mut call, command): (Call, &Command),
    caller: Caller,
    denied: Option<Refusal>,
    told: &mut Explanation,
) {
    let mut known = Known::default();
    known.caller(&caller);
    let id = CallId::from_bits(gate.clock.id_bits());
    let judged = raise::judge(gate, caller, &mut call, command, id, &mut known).await;
    let mode = observe::mode(gate, &known).await;
    told.mode = Some(mode.name());
    told.payer = Some(match &known.payer {
        Some(payer) => payer.to_string(),
        None => "nobody".to_owned(),
    });
    let (judged, mut refused) = match judged {
        Ok((_, judged)) => (Some(judged), None),
        Err(refusal) => (None, Some(refusal)),
    };
    told.doubt = judged.as_ref().and_then(|it| match it.whose.doubt? {
        Doubt::Stranger => Some("the caller may not act for its owner: held against the caller"),
        Doubt::NotThere => Some("it names what is not there: held against the caller"),
    });
    if let Some(judged) = &judged {
        told.caps = caps_of(gate, judged).await;
    }
    if let Some(payer) = &known.payer {
        match money::find(gate, payer, known.plan.as_ref(), judged.as_ref()).await {
            Ok(found) => {
                told.money = Some(found.money);
                told.things = found.things;
                refused = refused.or(found.refused);
            }
            Err(fault) => refused = refused.or(Some(fault)),
        }
    }
    told.verdict = match denied.or(refused) {
        Some(refusal) => VerdictTold::of(said(mode), &refusal),
        None if judged.as_ref().is_some_and(promise::raises) => {
            VerdictTold::passes("held and forwarded")
        }
        None => VerdictTold::passes("forwarded: nothing is held"),
    };
}

/// Each cap on the way, with its figures: an operator may know them.
async fn caps_of(gate: &Gate, judged: &raise::Judged) -> Vec<CapTold> {
    let ids: Vec<CapId> = judged.caps.iter().map(|bound| bound.cap.clone()).collect();
    let Ok(kept) = gate.store.caps(&ids).await else {
        return Vec::new();
    };
    let told = judged.caps.iter().filter_map(|bound| {
        let kept = kept.iter().find(|row| row.id == bound.cap);
        let unused = || Cap::unused(bound.cap.clone(), bound.start);
        let mut row = kept.cloned().unwrap_or_else(unused);
        row.turn(bound.start);
        Some(CapTold {
            rule: bound.rule.clone(),
            counts: bound.cap.to_string(),
            used: row.used().ok()?.to_string(),
            most: bound.most.to_string(),
            since: bound.start.to_string(),
        })
    });
    told.collect()
}
