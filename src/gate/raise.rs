//! Edge: a call that can raise cost: who pays, how much, the hold, the one send, the outcome.

use super::admit;
use super::authenticate::{self, Caller};
use super::away;
use super::balance::Balance;
use super::bundle::draw::{Drawn, promise};
use super::doubt;
use super::estimate;
use super::forward;
use super::limit;
use super::line::{Core, Gate, judged_row, lost, way};
use super::observe::{self, Known};
use super::outcome::{answered, follow, give_back};
use super::parse::Call;
use super::plan::{self, Plan};
use super::promise::{raises, with_our_job};
use super::refusal::Refusal;
use super::reserve::{self, Priced};
use super::undo;
use super::wholesale::{Wholesale, wholesale};
use super::whose::{self, Whose};
use super::{budget, claim, kept};
use super::{session, typed, wire::Answer};
use crate::cloudstack::command::{Command, OwnerRule, PriceRule};
use crate::cloudstack::query::ParamMap;
use crate::cover::cover::Pricing;
use crate::cover::settle::Outcome;
use crate::cover::window;
use crate::crash::{self, Point};
use crate::ledger::caps::CapBound;
use crate::ledger::records::{Accrual, BillingMode, PayerState};
use crate::ledger::things::Things;
use crate::meter::commitment::Rule;
use crate::meter::resource::Owner;
use crate::policy::customer::RuleSet;
use crate::rate::RateError;
use crate::telemetry::step;
use crate::terms::ids::{CallId, HoldId, JobId, PayerId, PriceLineId};
use crate::terms::quantity::UnitMicros;
use crate::terms::time::{BillingMonth, Timestamp};
use crate::upstream::Sent;
use std::net::SocketAddr;
use std::sync::Arc;
use tracing::Instrument;

/// A call that was verified, typed, owned and priced.
pub(super) struct Judged {
    pub(super) id: CallId,
    pub(super) payer: Option<PayerId>,
    pub(super) whose: Whose,
    /// The caller's own account.
    pub(super) own: Owner,
    pub(super) priced: Option<Priced>,
    /// The payer's figures as it was priced.
    pub(super) balance: Option<Arc<Balance>>,
    /// The same call at the prices of the resellers above him, nearest first.
    pub(super) wholesale: Vec<Wholesale>,
    /// What it adds to what its payer has.
    pub(super) adds: Things,
    /// Rules that it makes or changes.
    pub(super) rules: Vec<Rule>,
    /// The caps that its hold has to pass.
    pub(super) caps: Vec<CapBound>,
    pub(super) hold: Option<HoldId>,
    /// Its line, where it is a call of a bundle.
    pub(super) draws: Option<Drawn>,
    pub(super) job: Option<JobId>,
    pub(super) sent: Timestamp,
    pub(super) sent_wall: Timestamp,
}

/// What is sent, for whom, and the payer's figures after the hold.
type Promised = (Caller, Judged, ParamMap, Option<PayerState>);

/// Judges a raising call, promises its price, forwards it once and looks at the outcome.
pub(super) async fn raise(
    core: &Arc<Core>,
    mut call: Call,
    command: &Command,
    peer: SocketAddr,
) -> Result<Answer, Refusal> {
    let gate = &core.gate;
    let id = CallId::from_bits(gate.clock.id_bits());
    tracing::Span::current().record("call", tracing::field::display(id));
    let _turn = gate.sessions.enter(&call).await;
    if gate.store.is_away() {
        return away::pass::raise(core, call, command, peer, id).await;
    }
    if gate.away.waits() {
        // What passed while the books were away is promised before anything else.
        let taken = away::take_over::take_over(gate).await;
        taken.map_err(|fault| Refusal::StoreAway(fault.to_string()))?;
    }
    let mut known = Known::default();
    let promising = promised(core, (&mut call, command), id, peer, &mut known);
    let promised = match gate.store.while_here(promising).await {
        Ok(promised) => promised,
        Err(fault) => Err(Refusal::StoreAway(fault.to_string())),
    };
    if let Err(Refusal::StoreAway(_)) = &promised {
        undo::begin(gate, id, known.hold);
    }
    let (caller, judged, map, state) = match promised {
        Ok(promised) => promised,
        Err(refusal) => {
            let why = (refusal, known);
            return observe::refused(core, (&call, command), peer, id, why).await;
        }
    };
    noted(gate, id, command, &known);
    let way = way(core, peer);
    let whole = forward::whole(&way, &call, &map);
    let outcome = whole.instrument(step("forward")).await;
    match outcome {
        Ok(mut answer) => {
            let answered = answered(gate, &call, command, &judged, &answer);
            answered.instrument(step("observe")).await;
            crash::pass(Point::Followed);
            if answer.status == 200 {
                let told = estimate::headers(gate, &caller, &judged, state).await;
                answer.headers.extend(told);
            }
            Ok(answer)
        }
        Err(fault) => {
            tracing::warn!(verb = "forward", call = %id, command = %command.name, %fault, "lost");
            match fault.sent {
                Sent::NotSent => {
                    give_back(gate, (&call, command), &judged, Outcome::NothingSent).await;
                }
                Sent::Unknown => follow(gate, &call, command, &judged, None).await,
            }
            Err(lost(fault.sent))
        }
    }
}

/// A call that is forwarded, for operators.
fn noted(gate: &Gate, id: CallId, command: &Command, known: &Known) {
    let price = known.per_hour.map(|price| price.to_string());
    let reason = format!("{} an hour", price.unwrap_or_default());
    let said = ("forward", reason.as_str());
    let payer = known.payer.as_ref();
    judged_row(gate, id, &command.name, payer, said, known.per_hour);
}

/// Verified, admitted, judged and promised: what is sent then, and what is known of it.
async fn promised(
    core: &Core,
    (call, command): (&mut Call, &Command),
    id: CallId,
    peer: SocketAddr,
    known: &mut Known,
) -> Result<Promised, Refusal> {
    let gate = &core.gate;
    let verified = verified(core, call, peer);
    let caller = verified.instrument(step("authenticate")).await?;
    crash::pass(Point::Verified);
    let admitted = admitted(gate, caller, (&mut *call, command), id, peer, known);
    let (caller, mut judged) = admitted.instrument(step("admit")).await?;
    let map = with_our_job(gate, call, command, &caller, &mut judged);
    if raises(&judged) || call.bundle.is_some() {
        judged.hold = Some(HoldId::from_bits(gate.clock.id_bits()));
        known.hold = judged.hold;
    }
    let promise = promise(gate, call, command, &mut judged);
    let state = promise.instrument(step("hold")).await?;
    crash::pass(Point::Held);
    Ok((caller, judged, map, state))
}

/// Looks at access rules, counts the call against its caller's limits, then judges it.
pub(super) async fn admitted(
    gate: &Gate,
    caller: Caller,
    (call, command): (&mut Call, &Command),
    id: CallId,
    peer: SocketAddr,
    known: &mut Known,
) -> Result<(Caller, Judged), Refusal> {
    known.caller(&caller);
    admit::raising(gate, id, call, &command.name, &caller, peer)?;
    limit::by_caller(gate, &caller, &command.name, command.class).await?;
    judge(gate, caller, call, command, id, known).await
}

/// The caller: by his key, or by his login session.
pub(super) async fn verified(
    core: &Core,
    call: &Call,
    peer: SocketAddr,
) -> Result<Caller, Refusal> {
    let gate = &core.gate;
    if !call.signed() && call.cookies.is_some() {
        return session::caller(core, call, peer).await;
    }
    let name = call.params.get("apikey").unwrap_or_default();
    let key = if name.is_empty() {
        None
    } else {
        let entry = gate.keys.entry(name).await;
        entry.map_err(|fault| Refusal::CannotAsk(fault.what))?
    };
    authenticate::caller(call, key.as_ref(), gate.clock.wall())
}

/// Types, finds the owner and the payer, and prices.
pub(super) async fn judge(
    gate: &Gate,
    caller: Caller,
    call: &mut Call,
    command: &Command,
    id: CallId,
    known: &mut Known,
) -> Result<(Caller, Judged), Refusal> {
    let cannot = |fault: crate::upstream::UpstreamError| Refusal::CannotAsk(fault.what);
    if command.price == PriceRule::Missing {
        return unpriced(gate, call, command, caller, id, known).await;
    }
    typed::parameters(&command.name, &gate.table, &mut call.params)?;
    let asked = gate.asker.for_call(command, &call.params);
    let facts = asked.instrument(step("plan")).await.map_err(cannot)?;
    let whose = whose::whose(command, &call.params, &caller, &facts, &gate.directory);
    let whose = whose.instrument(step("whose")).await?;
    let own = whose::own(&caller)?;
    let now = gate.clock.billing();
    let payer = known.payer(gate, whose.held_against(&own), now).await?;
    let caps = budget::caps(gate, &caller, whose.held_against(&own), &payer, now).await?;
    let plan = match whose.doubt {
        None => plan::plan(command.price, &command.name, &call.params, &facts)?,
        Some(_) => {
            let known = (facts, &whose);
            doubt::plan(gate, &payer, command, &call.params, known, now).await?
        }
    };
    let adds = plan.as_ref().map(claim::adds).unwrap_or_default();
    // Things limits count what the rule may ever start; money is asked for as the policy says.
    let how = gate.rules.load().commitments_of(&payer);
    let plan = plan.map(|plan| plan.committed(&how));
    known.plan = match plan {
        Some(plan) => Some(kept::without_what_is_kept(gate, &payer, plan).await?),
        None => None,
    };
    let rules = known.plan.as_ref().map(|plan| plan.rules.clone());
    let rules = rules.unwrap_or_default();
    let (priced, balance) = match &known.plan {
        Some(plan) => price(gate, &payer, plan, now)
            .instrument(step("reserve"))
            .await
            .map(|(priced, balance)| (Some(priced), Some(balance)))?,
        None => (None, None),
    };
    known.per_hour = priced.as_ref().map(|priced| priced.per_hour);
    refuse_unpriced(gate, &payer, command, priced.as_ref()).await?;
    let wholesale = wholesale(gate, &payer, known.plan.as_ref(), command, now);
    let wholesale = wholesale.instrument(step("reserve")).await?;
    let sent_wall = gate.clock.wall();
    let judged = Judged {
        id,
        payer: Some(payer),
        whose,
        own,
        priced,
        balance,
        wholesale,
        adds,
        rules,
        caps,
        hold: None,
        draws: None,
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
    known: &mut Known,
) -> Result<(Caller, Judged), Refusal> {
    let cannot = |fault: crate::upstream::UpstreamError| Refusal::CannotAsk(fault.what);
    let own = whose::own(&caller)?;
    let whose = match command.owner {
        OwnerRule::None | OwnerRule::Unclear => Whose {
            owner: own.clone(),
            doubt: None,
            foreign: Vec::new(),
        },
        _ => {
            let questions = whose::needs(command, &call.params);
            let facts = gate.asker.facts(&questions).await.map_err(cannot)?;
            whose::whose(command, &call.params, &caller, &facts, &gate.directory).await?
        }
    };
    let now = gate.clock.billing();
    let payer = known.payer(gate, whose.held_against(&own), now).await?;
    let state = state_of(gate, &payer).await?;
    if state.mode == BillingMode::Prepaid {
        return Err(Refusal::Unpriced(format!("command {}", command.name)));
    }
    let judged = Judged {
        id,
        payer: Some(payer),
        whose,
        own,
        priced: None,
        balance: None,
        wholesale: Vec::new(),
        adds: Things::default(),
        rules: Vec::new(),
        caps: Vec::new(),
        hold: None,
        draws: None,
        job: None,
        sent: now,
        sent_wall: gate.clock.wall(),
    };
    Ok((caller, judged))
}

pub(super) async fn refuse_unpriced(
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

/// What a plan costs one payer, and his figures as it was priced.
pub(super) async fn price(
    gate: &Gate,
    payer: &PayerId,
    plan: &Plan,
    now: Timestamp,
) -> Result<(Priced, Arc<Balance>), Refusal> {
    let rules = gate.rules.load_full();
    let month = month_of(&rules, payer, now);
    let balance = balance_of(gate, payer, month).await?;
    let lags = gate
        .renewals
        .lags(&balance.state)
        .map_err(|e| Refusal::StoreAway(e.to_string()))?;
    if lags && !gate.store.is_away() {
        gate.renewals
            .catch_up(payer)
            .await
            .map_err(|e| Refusal::StoreAway(e.to_string()))?;
    }
    let so_far = |line: &PriceLineId| so_far(&balance.accruals, line);
    let priced = reserve::price(&rules, payer, plan, so_far, now).map_err(rate_refusal)?;
    let (Some(book), Some(terms), Some(profile)) = (
        rules.book_of(payer),
        rules.terms_of(payer),
        rules.profile_of(payer),
    ) else {
        return Ok((priced, balance));
    };
    let pricing = Pricing {
        book,
        terms: &terms,
        profile,
    };
    let starts = window::planned(&plan.after, &plan.before);
    let windows = &gate.renewals.windows;
    let more = windows.more(pricing, &balance.state, &starts, so_far, now);
    let more = more.map_err(rate_refusal)?;
    let priced = reserve::with_window(priced, more).map_err(rate_refusal)?;
    Ok((priced, balance))
}

/// The payer's figures and his accrual of the month: as the books have them, or, while they are
/// away, as they last showed them.
async fn balance_of(
    gate: &Gate,
    payer: &PayerId,
    month: Option<BillingMonth>,
) -> Result<Arc<Balance>, Refusal> {
    if gate.store.is_away() {
        let known = gate.away.figures(payer).ok_or_else(no_figures)?;
        let same = known.month == month;
        return Ok(Arc::new(Balance {
            state: known.state,
            accruals: if same { known.accruals } else { Vec::new() },
        }));
    }
    let balance = gate.balances.of(&gate.store, payer, month).await;
    let balance = balance.map_err(|fault| Refusal::StoreAway(fault.to_string()))?;
    balance.ok_or(Refusal::NobodyPays)
}

/// The month that the payer's lines count in at `now`.
fn month_of(rules: &RuleSet, payer: &PayerId, now: Timestamp) -> Option<BillingMonth> {
    let terms = rules.terms_of(payer)?;
    BillingMonth::containing(now, &terms.zone).ok()
}

/// What the payer's lines have come to in the month of `now`.
pub(super) async fn accrued(
    gate: &Gate,
    payer: &PayerId,
    now: Timestamp,
) -> Result<Vec<Accrual>, Refusal> {
    let Some(month) = month_of(&gate.rules.load(), payer, now) else {
        return Ok(Vec::new());
    };
    if gate.store.is_away() {
        let known = gate.away.figures(payer).ok_or_else(no_figures)?;
        return Ok(match known.month == Some(month) {
            true => known.accruals,
            false => Vec::new(),
        });
    }
    let found = gate.store.accruals(payer, &month).await;
    found.map_err(|fault| Refusal::StoreAway(fault.to_string()))
}

fn no_figures() -> Refusal {
    Refusal::StoreAway("PostgreSQL does not answer".to_owned())
}

/// How much of a line these count.
pub(super) fn so_far(accruals: &[Accrual], line: &PriceLineId) -> UnitMicros {
    let row = accruals.iter().find(|row| row.line == *line);
    row.map(|row| row.quantity).unwrap_or_default()
}

pub(super) fn rate_refusal(fault: RateError) -> Refusal {
    match fault {
        RateError::AttributeMissing { .. } | RateError::NoVersion { .. } => {
            Refusal::Unpriced(fault.to_string())
        }
        other => Refusal::StoreAway(other.to_string()),
    }
}

/// The payer's figures; while the books are away, those that they last showed.
pub(super) async fn state_of(gate: &Gate, payer: &PayerId) -> Result<PayerState, Refusal> {
    if gate.store.is_away() {
        let known = gate.away.figures(payer);
        return known.map(|known| known.state).ok_or_else(no_figures);
    }
    gate.store
        .payer(payer)
        .await
        .map_err(|fault| Refusal::StoreAway(fault.to_string()))?
        .ok_or(Refusal::NobodyPays)
}
