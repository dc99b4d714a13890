//! Pure: the ladder of a customer as it would be climbed from now on, were nothing to change.

use crate::cover::episode::{Machine, Pressure, in_order};
use crate::cover::forecast::{Forecast, lasts};
use crate::cover::ladder::Step;
use crate::ledger::records::{PayerState, Purse};
use crate::policy::prepaid::PrepaidProfile;
use crate::terms::ids::ResourceId;
use crate::terms::money::{Micros, MoneyError};
use crate::terms::time::{HOUR, Timestamp};
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;

/// One rung: what happens, and when.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rung {
    /// A notice, refusing, or the beginning of stopping.
    Step(Step),
    /// A machine is stopped.
    StopMachine(ResourceId),
    /// All money is gone, unless machines are stopped before.
    Empty,
    /// What is kept for storage ends.
    RetentionEnds,
    /// What was stopped is deleted.
    Delete,
}

/// The rungs from an instant on, in the order of their times; none where nothing burns. `aside` is
/// put aside for storage, `price` is what an hour of a running machine costs.
///
/// # Errors
/// [`MoneyError`] beyond the range.
pub fn preview(
    profile: &PrepaidProfile,
    (state, ahead, aside): (&PayerState, &Forecast, Micros),
    machines: &[Machine],
    price: &dyn Fn(&ResourceId) -> Micros,
    now: Timestamp,
) -> Result<Vec<(Timestamp, Rung)>, MoneyError> {
    let Some(left) = ahead.until_empty else {
        return Ok(Vec::new());
    };
    let empty = now.plus(left);
    let mut rungs: Vec<(Timestamp, Rung)> = profile
        .notices
        .iter()
        .map(|before| {
            let at = empty.plus(before.saturating_neg()).max(now);
            (at, Rung::Step(Step::Notice(*before)))
        })
        .collect();
    // Refills stop when what is left pays for one horizon.
    let refuse = empty.plus(profile.horizon.saturating_neg()).max(now);
    rungs.push((refuse, Rung::Step(Step::RefuseRaising)));
    rungs.push((empty, Rung::Empty));
    if profile.stops {
        let promo = state
            .purse(Purse::PromoAvailable)
            .plus(state.purse(Purse::PromoHeld))?;
        let money = state.spendable()?.plus(state.purse(Purse::Held))?;
        let pressure = Pressure {
            cover: money.plus(promo)?.minus(aside)?,
            burn_per_hour: ahead.burn_per_hour,
            lead: profile.stop_lead,
            elapsed: 0,
        };
        let stops = stops(pressure, machines, price, now)?;
        let last = stops.last().map(|(at, _)| *at);
        let first = stops.first().map(|(at, _)| *at);
        rungs.extend(first.map(|at| (at, Rung::Step(Step::Stop))));
        rungs.extend(
            stops
                .into_iter()
                .map(|(at, id)| (at, Rung::StopMachine(id))),
        );
        if let Some(last) = last {
            rungs.extend(after_the_stop(profile, last));
        }
    }
    rungs.sort_by_key(|(at, _)| *at);
    Ok(rungs)
}

/// When each machine is stopped, one after the other: what runs on makes the rest last longer.
fn stops(
    pressure: Pressure,
    machines: &[Machine],
    price: &dyn Fn(&ResourceId) -> Micros,
    now: Timestamp,
) -> Result<Vec<(Timestamp, ResourceId)>, MoneyError> {
    let mut pressure = pressure;
    let mut at = now;
    let mut found = Vec::new();
    for machine in in_order(machines) {
        let per_hour = price(&machine.id);
        if machine.state != "Running" || per_hour.is_zero() {
            continue;
        }
        let Some(left) = lasts(pressure.cover, pressure.burn_per_hour) else {
            break;
        };
        let wait = left.saturating_sub(pressure.lead).max(0);
        at = at.plus(wait);
        pressure.cover = pressure
            .cover
            .minus(cost(pressure.burn_per_hour, wait)?)?
            .or_zero();
        pressure = pressure.without(per_hour);
        found.push((at, machine.id.clone()));
    }
    Ok(found)
}

fn cost(per_hour: Micros, micros: i64) -> Result<Micros, MoneyError> {
    let share = Decimal::from(per_hour.get())
        .checked_mul(Decimal::from(micros))
        .and_then(|product| product.checked_div(Decimal::from(HOUR)))
        .ok_or(MoneyError::Overflow)?;
    share
        .trunc()
        .to_i64()
        .map(Micros::new)
        .ok_or(MoneyError::Overflow)
}

/// What follows the last stop: the end of the retention, notices of the deletion, the deletion.
fn after_the_stop(profile: &PrepaidProfile, last: Timestamp) -> Vec<(Timestamp, Rung)> {
    let mut rungs = Vec::new();
    if profile.retention > 0 {
        rungs.push((last.plus(profile.retention), Rung::RetentionEnds));
    }
    let Some(after) = profile.ending.delete_after else {
        return rungs;
    };
    let at = last.plus(after);
    let notices = profile.ending.delete_notices.iter();
    rungs.extend(notices.map(|before| {
        let told = at.plus(before.saturating_neg());
        (told, Rung::Step(Step::DeleteNotice(*before)))
    }));
    rungs.push((at, Rung::Delete));
    rungs
}
