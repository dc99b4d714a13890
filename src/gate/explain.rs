//! Edge: what would happen to a call, and why, told to an operator; nothing is held or sent.
//!
//! It asks the same rules and the same judgement as a real call, in the same order.

use super::admit;
use super::authenticate::{self, Caller, Person};
use super::classify::{self, Standing};
use super::line::Gate;
use super::observe::{self, Known};
use super::parse::{self, Call, RawRequest, Routed};
use super::raise;
use super::refusal::Refusal;
use super::reserve::Priced;
use crate::cloudstack::command::{Class, Command};
use crate::ledger::caps::{self, Cap, CapBound};
use crate::ledger::records::{BillingMode, Purse};
use crate::policy::access::Effect;
use crate::policy::admission::{Admission, class_name};
use crate::policy::mode::Mode;
use crate::terms::ids::{CallId, CapId};
use crate::terms::money::Micros;
use std::net::IpAddr;

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

/// Explains the call of this query, in lines for a person.
///
/// # Errors
/// Why the call or the caller cannot be found out.
pub async fn explain(
    gate: &Gate,
    query: &str,
    who: &As,
    address: Option<IpAddr>,
) -> Result<Vec<String>, String> {
    let call = read(query).map_err(|refusal| format!("{}: {}", refusal.rule(), refusal.text()))?;
    let told = |refusal: Refusal| vec![verdict("refused", &refusal)];
    let (class, command) = match classify::standing(&gate.table, &call.params) {
        Ok(Standing::Known(class, command)) => (class, Some(command)),
        Ok(Standing::Forwarded) => (Class::Read, None),
        Err(refusal) => return Ok(told(refusal)),
    };
    let caller = caller(gate, who).await?;
    let mut lines = Vec::new();
    match &command {
        Some(command) => lines.push(format!(
            "class    {} ({}, owner: {:?}, price: {:?})",
            class_name(class),
            command.name,
            command.owner,
            command.price
        )),
        None => lines.push("class    read (of the running server's lists)".to_owned()),
    }
    lines.push(caller.as_ref().map_or_else(
        || "caller   not verified".to_owned(),
        |caller| {
            let person = caller.person();
            format!("caller   {} ({})", person.account_name, person.account)
        },
    ));
    let name = command
        .as_ref()
        .map_or(call.params.command(), |command| &command.name);
    let denied = access(
        gate,
        &call,
        (class, name),
        (caller.as_ref(), address),
        &mut lines,
    );
    match (command, caller) {
        (Some(command), caller) if class == Class::Raises => {
            let Some(caller) = caller else {
                lines.push(verdict("refused", &Refusal::NotVerified));
                return Ok(lines);
            };
            raising(gate, (call, &command), caller, denied, &mut lines).await;
        }
        (_, caller) => {
            let domains = caller.as_ref().map_or(&[][..], |one| &one.person().domains);
            let path: Vec<&str> = domains.iter().map(|id| id.as_str()).collect();
            let rules = gate.rules.load();
            let mode = match path.as_slice() {
                [] => rules.modes.of_unknown(),
                path => rules.modes.of(path),
            };
            lines.push(format!("mode     {}", mode.name()));
            lines.push(match denied {
                Some(refusal) => verdict(said(mode), &refusal),
                None => "verdict  forwarded: it cannot raise cost".to_owned(),
            });
        }
    }
    Ok(lines)
}

const fn said(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "refused",
        Mode::Observe => "noted and forwarded",
    }
}

fn verdict(said: &str, refusal: &Refusal) -> String {
    let code = refusal.error().code;
    format!(
        "verdict  {said}: {} ({code}) {}",
        refusal.rule(),
        refusal.text()
    )
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
            authenticate::person(&entry)
        }
        As::Account(id) => {
            let account = gate.directory.account_by_id(id).await;
            let account = account.map_err(|fault| fault.what)?;
            let account = account.ok_or("CloudStack does not know this account")?;
            let path = gate.directory.path(&account.domain).await;
            Person {
                user: None,
                account: account.id.clone(),
                account_name: account.name.clone(),
                account_kind: account.kind,
                role: account.role.clone(),
                domains: path.map_err(|fault| fault.what)?.unwrap_or_default(),
            }
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
    lines: &mut Vec<String>,
) -> Option<Refusal> {
    let rules = gate.rules.load();
    let Some(candidates) = rules.access.of(command, class) else {
        lines.push("access   no rule speaks of it".to_owned());
        return None;
    };
    let actor = caller.map(admit::actor);
    let asked = Admission {
        command,
        class,
        params: &call.params,
        actor: actor.as_ref(),
        address,
        at: gate.clock.wall(),
    };
    for rule in candidates.fitting(&asked) {
        let says = match rule.effect {
            Effect::Allow => "allows",
            Effect::Deny => "denies",
        };
        lines.push(format!("access   rule {} {says}: {}", rule.id, rule.reason));
    }
    match candidates.judge(&asked) {
        Ok(()) => {
            lines.push("access   may call".to_owned());
            None
        }
        Err(denied) => {
            lines.push(format!(
                "access   {} decides: {}",
                denied.rule, denied.reason
            ));
            Some(Refusal::Access {
                rule: denied.rule.to_owned(),
                reason: denied.reason.to_owned(),
            })
        }
    }
}

async fn raising(
    gate: &Gate,
    (mut call, command): (Call, &Command),
    caller: Caller,
    denied: Option<Refusal>,
    lines: &mut Vec<String>,
) {
    let mut known = Known::default();
    known.caller(&caller);
    let id = CallId::from_bits(gate.clock.id_bits());
    let judged = raise::judge(gate, caller, &mut call, command, id, &mut known).await;
    let mode = observe::mode(gate, &known).await;
    lines.push(match &known.payer {
        Some(payer) => format!("payer    {payer}"),
        None => "payer    nobody".to_owned(),
    });
    let refused = match judged {
        Ok((_, judged)) => match &judged.priced {
            Some(priced) => {
                let short = told_price(gate, &known, priced, lines).await;
                let over = told_caps(gate, &judged.caps, priced.total, lines).await;
                short.or(over)
            }
            None => {
                lines.push("price    nothing".to_owned());
                None
            }
        },
        Err(refusal) => Some(verdict(said(mode), &refusal)),
    };
    lines.push(format!("mode     {}", mode.name()));
    let denied = denied.map(|refusal| verdict(said(mode), &refusal));
    let passes = || "verdict  held and forwarded".to_owned();
    lines.push(denied.or(refused).unwrap_or_else(passes));
}

/// Tells each cap on the way, and which one would refuse the hold.
async fn told_caps(
    gate: &Gate,
    bounds: &[CapBound],
    hold: Micros,
    lines: &mut Vec<String>,
) -> Option<String> {
    let ids: Vec<CapId> = bounds.iter().map(|bound| bound.cap.clone()).collect();
    let kept = gate.store.caps(&ids).await.ok()?;
    let mut first = None;
    for bound in bounds {
        let kept = kept.iter().find(|row| row.id == bound.cap);
        let unused = || Cap::unused(bound.cap.clone(), bound.start);
        let mut row = kept.cloned().unwrap_or_else(unused);
        row.turn(bound.start);
        lines.push(format!(
            "cap      {} ({}): {} of {} used since {}",
            bound.rule,
            bound.cap,
            row.used().ok()?,
            bound.most,
            bound.start
        ));
        let over = caps::over(bound, &row, hold).ok()?;
        first = first.or(over);
    }
    first.map(|over| format!("verdict  {} (535): {over}", over.rule))
}

/// Tells the price, and what the books would say to its hold.
async fn told_price(
    gate: &Gate,
    known: &Known,
    priced: &Priced,
    lines: &mut Vec<String>,
) -> Option<String> {
    let payer = known.payer.as_ref()?;
    let state = raise::state_of(gate, payer).await.ok()?;
    let unit = state.currency;
    lines.push(format!(
        "price    {} {unit} an hour, {} {unit} a month of 730 hours, {} {unit} once",
        priced.per_hour, priced.per_month, priced.one_off
    ));
    for one in &priced.one_offs {
        lines.push(format!(
            "price    line {} once: {} {unit}",
            one.line, one.amount
        ));
    }
    lines.push(format!("hold     {} {unit}", priced.total));
    let rules = gate.rules.load();
    let line = rules
        .customers
        .get(payer)
        .map(|customer| customer.credit_line);
    let has = state
        .purse(Purse::Available)
        .plus(line.unwrap_or_default())
        .ok()?;
    lines.push(format!("balance  {} {unit}", state.purse(Purse::Available)));
    let short = state.mode == BillingMode::Prepaid && has < priced.total;
    short.then(|| {
        let mode = "the hold does not fit the balance (gift credit not counted)";
        format!("verdict  money.not-enough (535): {mode}")
    })
}
