//! Edge: a raising call that was refused: told so, or, in a domain that is only observed, noted
//! with its price and forwarded without a hold.
//!
//! What such a call starts is metered like a postpaid customer's. What could do harm is refused
//! everywhere: a request that two readers could read in two ways never comes here, and a value
//! that CloudStack or its readers could trip over is not forwarded.

use super::authenticate::Caller;
use super::line::{Core, Gate, judged_row, note, pass};
use super::parse::Call;
use super::plan::Plan;
use super::raise;
use super::refusal::Refusal;
use super::typed;
use super::wire::Answer;
use crate::cloudstack::command::Command;
use crate::meter::resource::Owner;
use crate::policy::mode::Mode;
use crate::terms::ids::{CallId, CsDomainId, HoldId, PayerId};
use crate::terms::money::Micros;
use crate::terms::time::Timestamp;
use std::net::SocketAddr;
use std::sync::Arc;

/// What was found out of a call before it was refused.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The caller's domains, from the root down.
    pub domains: Vec<CsDomainId>,
    /// The domain of whom the call is held against.
    pub charged: Option<CsDomainId>,
    /// Who would pay.
    pub payer: Option<PayerId>,
    /// What it would start; none before that was found out, and where it starts nothing.
    pub plan: Option<Plan>,
    /// What it would cost by the hour.
    pub per_hour: Option<Micros>,
    /// The hold that was asked for.
    pub hold: Option<HoldId>,
}

impl Known {
    /// Notes the caller.
    pub fn caller(&mut self, caller: &Caller) {
        self.domains.clone_from(&caller.person().domains);
    }

    /// Finds who pays for what the owner has, and notes both.
    pub async fn payer(
        &mut self,
        gate: &Gate,
        owner: &Owner,
        now: Timestamp,
    ) -> Result<PayerId, Refusal> {
        self.charged = Some(owner.domain.clone());
        let payer = gate.meter.payer_of(owner, now).await;
        self.payer = payer.map_err(|fault| Refusal::CannotAsk(fault.what))?;
        self.payer.clone().ok_or(Refusal::NobodyPays)
    }
}

/// The answer to a refused raising call.
///
/// # Errors
/// The refusal, where it is enforced.
pub(super) async fn refused(
    core: &Arc<Core>,
    (call, command): (&Call, &Command),
    peer: SocketAddr,
    id: CallId,
    (refusal, known): (Refusal, Known),
) -> Result<Answer, Refusal> {
    let gate = &core.gate;
    let observed = mode(gate, &known).await == Mode::Observe && is_harmless(&refusal, call);
    let verdict = if observed { "observe" } else { "refuse" };
    let reason = format!("{}: {}", refusal.rule(), refusal.text());
    let payer = known.payer.as_ref();
    judged_row(
        gate,
        id,
        &command.name,
        payer,
        (verdict, &reason),
        known.per_hour,
    );
    if !observed {
        return Err(refusal);
    }
    Ok(pass(core, call, command, peer, "observed: not held").await)
}

/// The mode of the one who would pay, else of the caller, else of the platform.
pub(super) async fn mode(gate: &Gate, known: &Known) -> Mode {
    let rules = gate.rules.load_full();
    if rules.modes.rules.is_empty() {
        return Mode::Enforce;
    }
    let charged = match &known.charged {
        Some(domain) => gate.directory.path(domain).await.ok().flatten(),
        None => None,
    };
    let path = charged.as_ref().unwrap_or(&known.domains);
    if path.is_empty() {
        return rules.modes.of_unknown();
    }
    let path: Vec<&str> = path.iter().map(CsDomainId::as_str).collect();
    rules.modes.of(&path)
}

/// Whether a command that has no class is let pass, because its caller is only observed. Notes it
/// then.
pub(super) async fn lets_pass(
    core: &Core,
    call: &Call,
    refusal: &Refusal,
    peer: SocketAddr,
) -> bool {
    let gate = &core.gate;
    let rules = gate.rules.load_full();
    let no_class = matches!(refusal, Refusal::UnknownCommand(_));
    if rules.modes.rules.is_empty() || !no_class || !typed::is_harmless(&call.params) {
        return false;
    }
    let mut known = Known::default();
    if rules.modes.by_domain()
        && let Ok(caller) = raise::verified(core, call, peer).await
    {
        known.caller(&caller);
    }
    if mode(gate, &known).await != Mode::Observe {
        return false;
    }
    let id = CallId::from_bits(gate.clock.id_bits());
    let reason = format!("{}: {}", refusal.rule(), refusal.text());
    note(gate, id, call.command(), None, "observe", &reason);
    true
}

fn is_harmless(refusal: &Refusal, call: &Call) -> bool {
    let could_be_lost = matches!(refusal, Refusal::UpstreamAway | Refusal::AnswerLost);
    !could_be_lost && typed::is_harmless(&call.params)
}
