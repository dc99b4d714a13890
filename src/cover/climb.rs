//! Edge: a payer's figures at one instant, as his ladder needs them, and rows made of them.

use super::cover::Pricing;
use super::episode::{Action, ActionStatus, ActionStep, Episode, Machine, Pressure, needed_again};
use super::forecast::{Forecast, forecast_beside};
use super::line::RenewalFault;
use super::preview::{self, Rung};
use super::retention;
use crate::clock::Clock;
use crate::cloudstack::usage_type::UsageType;
use crate::ledger::Command;
use crate::ledger::command::{Retention, RetentionStep};
use crate::ledger::records::{PayerState, Purse};
use crate::meter::resource::Interval;
use crate::policy::customer::RuleSet;
use crate::policy::prepaid::PrepaidProfile;
use crate::rate::{RateError, burn_per_hour, meter_per_hour};
use crate::store::{Store, StoreError};
use crate::terms::ids::{PayerId, ResourceId};
use crate::terms::money::{Micros, MoneyError, charge_to_micros};
use crate::terms::quantity::UnitMicros;
use crate::terms::time::{BillingMonth, MonthError, Period, Timestamp};
use crate::upstream::UpstreamError;
use crate::upstream::service::Service;
use rust_decimal::Decimal;
use std::collections::{BTreeMap, BTreeSet};

/// Why a payer's ladder could not be climbed now; it is tried again.
#[derive(Debug, thiserror::Error)]
pub enum LadderFault {
    /// His consumption could not be priced.
    #[error(transparent)]
    Rate(#[from] RateError),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// An amount left its range.
    #[error(transparent)]
    Money(#[from] MoneyError),
    /// His month could not be named.
    #[error(transparent)]
    Month(#[from] MonthError),
    /// His renewal failed.
    #[error(transparent)]
    Renewal(#[from] RenewalFault),
    /// CloudStack could not be asked.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// A payer's figures at one instant.
pub(super) struct Figures<'a> {
    pub rules: &'a RuleSet,
    pub profile: &'a PrepaidProfile,
    pub state: PayerState,
    pub ahead: Forecast,
    /// What would be kept for storage were everything stopped now.
    pub retention: Micros,
    aside: Micros,
    now: Timestamp,
    /// What an hour of each running machine costs.
    prices: BTreeMap<ResourceId, Micros>,
    /// What an hour of everything of his that costs comes to.
    burns: BTreeMap<ResourceId, Micros>,
}

/// Reads and computes a payer's figures; none where the policies or the books do not know him.
pub(super) async fn figures<'a>(
    store: &Store,
    rules: &'a RuleSet,
    payer: &PayerId,
    clock: &Clock,
) -> Result<Option<Figures<'a>>, LadderFault> {
    let (Some(book), Some(terms), Some(profile)) = (
        rules.book_of(payer),
        rules.terms_of(payer),
        rules.profile_of(payer),
    ) else {
        return Ok(None);
    };
    let Some(state) = store.payer(payer).await? else {
        return Ok(None);
    };
    let now = clock.billing().max(state.accrued_through);
    let month = BillingMonth::containing(now, &terms.zone)?.period()?;
    let since = Period {
        start: month.start,
        end: now.plus(1),
    };
    let of = rules.supplied_through(payer);
    let rows = store.intervals_of_all(&of, since).await?;
    // What runs below a reseller is in his cover, but only his own machines are stopped for him.
    let own = rows.iter().filter(|row| row.payer.as_ref() == Some(payer));
    let own: Vec<Interval> = own.map(|row| row.interval.clone()).collect();
    let intervals: Vec<Interval> = rows.into_iter().map(|row| row.interval).collect();
    let pricing = Pricing {
        book,
        terms: &terms,
        profile,
    };
    let burn = burn_per_hour(book, &terms, &intervals, now)?;
    let aside = retention::aside(pricing, &state, &intervals, now)?;
    let ahead = forecast_beside(&state, burn, aside)?;
    Ok(Some(Figures {
        rules,
        profile,
        ahead,
        retention: retention::price(pricing, &own, now)?,
        aside,
        now,
        prices: prices(pricing, &own, now, Some(UsageType::RunningVm))?,
        burns: prices(pricing, &own, now, None)?,
        state,
    }))
}

/// What of each resource is consumed by the hour now: of one type (of a running machine what ends
/// with its stop), or of all.
fn prices(
    pricing: Pricing<'_>,
    intervals: &[Interval],
    now: Timestamp,
    of: Option<UsageType>,
) -> Result<BTreeMap<ResourceId, Micros>, LadderFault> {
    let running = |one: &&Interval| {
        one.end.is_none() && of.is_none_or(|wanted| one.meter.usage_type == wanted)
    };
    let mut prices: BTreeMap<ResourceId, Micros> = BTreeMap::new();
    for one in intervals.iter().filter(running) {
        let what = (one.meter.usage_type, &one.attributes);
        let hour: Decimal =
            meter_per_hour(pricing.book, pricing.terms, what, |_| UnitMicros::ZERO, now)?;
        let sum = prices.entry(one.meter.resource.clone()).or_default();
        *sum = sum.plus(charge_to_micros(hour)?)?;
    }
    Ok(prices)
}

impl Figures<'_> {
    /// What the cover has to carry now.
    pub fn pressure(&self) -> Result<Pressure, MoneyError> {
        let cover = self.state.cover()?.plus(self.state.promo_cover()?)?;
        Ok(Pressure {
            cover: cover.minus(self.aside)?,
            burn_per_hour: self.ahead.burn_per_hour,
            lead: self.profile.stop_lead,
            elapsed: self.now.since(self.state.accrued_through),
        })
    }

    /// Whether the policy has machines stopped, a refill has failed, and the cover ends within the
    /// lead.
    pub fn must_stop(&self) -> Result<bool, MoneyError> {
        let short = self.ahead.shortfall > Micros::ZERO;
        Ok(self.profile.stops && short && !self.prices.is_empty() && self.pressure()?.is_due())
    }

    /// Whether the cover is whole and pays for a horizon of what was stopped besides.
    pub fn can_go_on(&self, stopped: &[&Action]) -> Result<bool, super::climb::LadderFault> {
        let needed = needed_again(stopped, self.profile.horizon)?;
        let money = self
            .state
            .spendable()?
            .plus(self.state.purse(Purse::PromoAvailable))?
            .plus(self.state.purse(Purse::Retention))?;
        Ok(self.ahead.shortfall.is_zero() && money >= needed)
    }

    /// What an hour of a running machine costs; nothing of one that does not run.
    pub fn price_of(&self, machine: &ResourceId) -> Micros {
        self.prices.get(machine).copied().unwrap_or_default()
    }

    /// What an hour of a resource costs, whatever of it counts.
    pub fn burn_of(&self, resource: &ResourceId) -> Micros {
        self.burns.get(resource).copied().unwrap_or_default()
    }

    /// How long ago the figures of caps were as they are kept: microseconds of billing time.
    pub fn elapsed(&self) -> i64 {
        self.now.since(self.state.accrued_through)
    }

    /// The money for storage after the stop, as far as it is there; none where none is kept.
    pub fn fund(&self, episode: &Episode, at: Timestamp) -> Result<Option<Command>, MoneyError> {
        let there = self
            .state
            .cover()?
            .or_zero()
            .plus(self.state.spendable()?.or_zero())?;
        let amount = self.retention.min(there);
        let kept = self.state.purse(Purse::Retention);
        if amount <= Micros::ZERO || kept > Micros::ZERO {
            return Ok(None);
        }
        Ok(Some(Command::Retention(Retention {
            id: format!("{}/{}/fund", episode.payer, episode.name),
            payer: episode.payer.clone(),
            step: RetentionStep::Fund(amount),
            at,
        })))
    }
}

/// What was kept and is not needed goes back to what is available.
pub(super) fn give_back(episode: &Episode, kept: Micros, at: Timestamp) -> Command {
    Command::Retention(Retention {
        id: format!("{}/{}/back", episode.payer, episode.name),
        payer: episode.payer.clone(),
        step: RetentionStep::GiveBack(kept),
        at,
    })
}

/// An action that is not needed any more.
pub(super) fn cancelled(action: &Action, why: &str) -> Action {
    Action {
        status: ActionStatus::Cancelled,
        note: why.to_owned(),
        ..action.clone()
    }
}

/// A start of what was stopped, to be sent; `place` keeps the order among several.
pub(super) fn to_start(episode: &Episode, stopped: &Action, wall: Timestamp, place: i64) -> Action {
    let machine = (&stopped.resource, stopped.name.as_str(), stopped.per_hour);
    Action {
        status: ActionStatus::Waiting,
        tries: 0,
        since: wall.plus(place),
        ..Action::first(episode, ActionStep::Start, machine, wall)
    }
}

/// The machines that matter: what runs, and what the episode did something to.
pub(super) fn machines_of(figures: &Figures<'_>, actions: &[Action]) -> Vec<ResourceId> {
    let mut ids: BTreeSet<ResourceId> = figures.prices.keys().cloned().collect();
    let known = actions
        .iter()
        .filter(|one| one.status != ActionStatus::Cancelled);
    ids.extend(known.map(|one| one.resource.clone()));
    ids.into_iter().collect()
}

/// Machines that still count as running and are being stopped, or were a moment ago: the meter
/// hears of an end a little later.
pub(super) fn under_way(figures: &Figures<'_>, actions: &[Action]) -> Vec<ResourceId> {
    let stopping = |id: &&ResourceId| {
        let mut tried = actions.iter();
        tried.any(|one| {
            let stops = matches!(one.step, ActionStep::Stop | ActionStep::Force);
            stops && one.resource == **id && one.status != ActionStatus::Cancelled
        })
    };
    let running = figures.prices.keys();
    running.filter(stopping).cloned().collect()
}

/// Whether a machine that was stopped runs once more.
pub(super) fn runs_again(actions: &[Action], machines: &[Machine]) -> bool {
    let mut stopped = actions
        .iter()
        .filter(|one| one.step == ActionStep::Stop && one.status == ActionStatus::Done);
    stopped.any(|one| {
        let mut rows = machines.iter();
        rows.any(|row| row.id == one.resource && row.state == "Running")
    })
}

/// A customer's ladder as it would be climbed.
#[derive(Clone, Debug)]
pub struct Preview {
    /// From when on, billing time.
    pub now: Timestamp,
    /// His terms.
    pub profile: PrepaidProfile,
    /// How long his money lasts.
    pub ahead: Forecast,
    /// What he runs, with its tags.
    pub machines: Vec<Machine>,
    /// What would happen, and when.
    pub rungs: Vec<(Timestamp, Rung)>,
}

/// Computes a customer's ladder without doing anything; none where the policies or the books do
/// not know him. `service` reads the tags.
///
/// # Errors
/// [`LadderFault`].
pub async fn preview(
    store: &Store,
    rules: &RuleSet,
    payer: &PayerId,
    service: &Service,
    clock: &Clock,
) -> Result<Option<Preview>, LadderFault> {
    let Some(figures) = figures(store, rules, payer, clock).await? else {
        return Ok(None);
    };
    let mut machines = Vec::new();
    for id in figures.prices.keys() {
        let asked = [
            ("id", id.as_str()),
            ("listall", "true"),
            ("projectid", "-1"),
        ];
        let found = service.find("listVirtualMachines", &asked).await?;
        let rows = found.into_iter().flat_map(|node| node.children);
        machines.extend(rows.filter_map(|row| Machine::read(&row, &figures.profile.ending)));
    }
    let price = |id: &ResourceId| figures.price_of(id);
    let sums = (&figures.state, &figures.ahead, figures.aside);
    let since = figures.state.accrued_through;
    let rungs = preview::preview(figures.profile, sums, &machines, &price, since)?;
    Ok(Some(Preview {
        now: since,
        profile: figures.profile.clone(),
        ahead: figures.ahead,
        machines,
        rungs,
    }))
}
