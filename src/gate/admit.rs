//! Edge: may this caller call this now? Access rules, between what a call is and what it costs.
//!
//! A call that no rule speaks of passes after one look-up. A caller is verified for a rule that
//! asks who he is; one who cannot be verified meets the other rules alone, and CloudStack refuses
//! him. In a domain that is only observed a refusal is noted, and the call goes on.

use super::authenticate::Caller;
use super::line::{Core, Gate, note};
use super::parse::Call;
use super::raise;
use super::refusal::Refusal;
use crate::cloudstack::command::Class;
use crate::policy::admission::{AccountKind, Actor, Admission};
use crate::policy::mode::Mode;
use crate::terms::ids::CallId;
use std::net::SocketAddr;

/// Who calls, as rules ask for it.
pub(super) fn actor(caller: &Caller) -> Actor {
    let person = caller.person();
    Actor {
        key: caller.key().map(|key| key.api_key.clone()),
        user: person.user.clone(),
        account: person.account.to_string(),
        account_name: person.account_name.clone(),
        kind: AccountKind::of(person.account_kind),
        role: person.role.clone(),
        domains: person.domains.iter().map(ToString::to_string).collect(),
    }
}

/// Admits a call that cannot raise cost. `command` is in the table's own case.
///
/// # Errors
/// [`Refusal::Access`]; [`Refusal::CannotAsk`] where a rule asks who calls and that cannot be
/// found out now.
pub(super) async fn open(
    core: &Core,
    call: &Call,
    (class, command): (Class, &str),
    peer: SocketAddr,
) -> Result<(), Refusal> {
    let gate = &core.gate;
    let rules = gate.rules.load();
    let Some(candidates) = rules.access.of(command, class) else {
        return Ok(());
    };
    let id = CallId::from_bits(gate.clock.id_bits());
    let caller = if candidates.asks_caller() || rules.modes.by_domain() {
        match raise::verified(core, call, peer).await {
            Ok(caller) => Some(actor(&caller)),
            Err(refusal @ Refusal::CannotAsk(_)) => {
                return noted(gate, id, command, rules.modes.of_unknown(), refusal);
            }
            Err(_) => None,
        }
    } else {
        None
    };
    let asked = Admission {
        command,
        class,
        params: &call.params,
        actor: caller.as_ref(),
        address: Some(peer.ip()),
        at: gate.clock.wall(),
    };
    judge(gate, id, &asked)
}

/// Admits a call that can raise cost, of a verified caller.
///
/// # Errors
/// [`Refusal::Access`].
pub(super) fn raising(
    gate: &Gate,
    id: CallId,
    call: &Call,
    command: &str,
    caller: &Caller,
    peer: SocketAddr,
) -> Result<(), Refusal> {
    of_caller(gate, id, call, (Class::Raises, command), caller, peer)
}

/// Admits a call of any class, of a verified caller.
///
/// # Errors
/// [`Refusal::Access`].
pub(super) fn of_caller(
    gate: &Gate,
    id: CallId,
    call: &Call,
    (class, command): (Class, &str),
    caller: &Caller,
    peer: SocketAddr,
) -> Result<(), Refusal> {
    let actor = actor(caller);
    let asked = Admission {
        command,
        class,
        params: &call.params,
        actor: Some(&actor),
        address: Some(peer.ip()),
        at: gate.clock.wall(),
    };
    judge(gate, id, &asked)
}

fn judge(gate: &Gate, id: CallId, asked: &Admission<'_>) -> Result<(), Refusal> {
    let rules = gate.rules.load();
    let Some(candidates) = rules.access.of(asked.command, asked.class) else {
        return Ok(());
    };
    let Err(denied) = candidates.judge(asked) else {
        return Ok(());
    };
    let refusal = Refusal::Access {
        rule: denied.rule.to_owned(),
        reason: denied.reason.to_owned(),
    };
    let mode = match asked.domains() {
        [] => rules.modes.of_unknown(),
        path => rules.modes.of(path),
    };
    noted(gate, id, asked.command, mode, refusal)
}

/// A refusal, or, where it is only observed, a note of it.
fn noted(
    gate: &Gate,
    id: CallId,
    command: &str,
    mode: Mode,
    refusal: Refusal,
) -> Result<(), Refusal> {
    if mode == Mode::Enforce {
        return Err(refusal);
    }
    let reason = format!("{}: {}", refusal.rule(), refusal.text());
    note(gate, id, command, None, "observe", &reason);
    Ok(())
}
