//! Edge: the price lines of a call that might be made, its hold, and the payer's money around it.

use super::explanation::{BalanceTold, MeterTold, MoneyTold, PriceTold, ThingTold};
use crate::gate::estimate;
use crate::gate::line::Gate;
use crate::gate::plan::Plan;
use crate::gate::raise::{Judged, accrued, rate_refusal, so_far, state_of};
use crate::gate::refusal::Refusal;
use crate::gate::reserve::{self, Priced};
use crate::ledger::records::{BillingMode, PayerState, Purse};
use crate::ledger::things::Usage;
use crate::policy::tariff::{HOURS_OF_A_MONTH, PriceLine, Unit};
use crate::rate::{GroupNet, HoldLine, HoldLines, Planned, RateError};
use crate::terms::ids::PayerId;
use crate::terms::money::MoneyError;
use crate::terms::time::SECOND;
use rust_decimal::Decimal;

/// The money of a call, as far as it was judged.
pub(super) struct Found {
    pub(super) money: MoneyTold,
    pub(super) things: Vec<ThingTold>,
    /// What of the books or the limits would refuse it.
    pub(super) refused: Option<Refusal>,
}

/// Tells price lines, hold, balance and things limits; `judged` is none where the call was refused
/// before it came to the books.
pub(super) async fn find(
    gate: &Gate,
    payer: &PayerId,
    plan: Option<&Plan>,
    judged: Option<&Judged>,
) -> Result<Found, Refusal> {
    let state = state_of(gate, payer).await?;
    let mut found = Found {
        money: MoneyTold {
            currency: state.currency.to_string(),
            meter: Vec::new(),
            price: None,
            balance: balance(&state),
        },
        things: Vec::new(),
        refused: None,
    };
    if let Some(plan) = plan {
        found.money.meter = meters(gate, payer, plan).await?;
    }
    let Some(judged) = judged else {
        return Ok(found);
    };
    if let Some(priced) = &judged.priced {
        found.money.price = Some(price(gate, payer, priced, &state)?);
    }
    let booked = estimate::booked(gate, judged, payer, &state).await?;
    found.things = booked.limits.iter().map(thing).collect();
    if booked.refused.is_none() {
        let told = &mut found.money.balance;
        told.after = Some(booked.after.purse(Purse::Available).to_string());
        told.giftafter = Some(booked.after.purse(Purse::PromoAvailable).to_string());
        let figures = estimate::figures(gate, Some(judged), &booked.after, Some(&state));
        told.hoursleft = figures.and_then(|figures| figures.hours_left);
    }
    found.refused = booked.refused;
    Ok(found)
}

fn balance(state: &PayerState) -> BalanceTold {
    BalanceTold {
        mode: match state.mode {
            BillingMode::Prepaid => "prepaid",
            BillingMode::Postpaid => "postpaid",
        },
        available: state.purse(Purse::Available).to_string(),
        gift: state.purse(Purse::PromoAvailable).to_string(),
        creditline: state.credit_line.to_string(),
        after: None,
        giftafter: None,
        hoursleft: None,
    }
}

fn price(
    gate: &Gate,
    payer: &PayerId,
    priced: &Priced,
    state: &PayerState,
) -> Result<PriceTold, Refusal> {
    let promo = state.purse(Purse::PromoAvailable);
    let leg = reserve::leg(priced, payer, promo).map_err(rate_refusal)?;
    let rules = gate.rules.load();
    let horizon = rules.profile_of(payer).map(|profile| profile.horizon);
    Ok(PriceTold {
        perhour: priced.per_hour.to_string(),
        permonth: priced.per_month.to_string(),
        oneoff: priced.one_off.to_string(),
        hold: priced.total.to_string(),
        holdwallet: leg.wallet.to_string(),
        holdgift: leg.promo.to_string(),
        horizon: horizon.unwrap_or_default() / SECOND,
    })
}

async fn meters(gate: &Gate, payer: &PayerId, plan: &Plan) -> Result<Vec<MeterTold>, Refusal> {
    let now = gate.clock.billing();
    let accruals = accrued(gate, payer, now).await?;
    let rules = gate.rules.load_full();
    let counted = |line: &_| so_far(&accruals, line);
    let found = reserve::lines(&rules, payer, plan, counted, now);
    let (after, before) = found.map_err(rate_refusal)?;
    let mut told = rows(&after, false).map_err(rate_refusal)?;
    told.extend(rows(&before, true).map_err(rate_refusal)?);
    Ok(told)
}

fn rows(found: &HoldLines<'_>, runs: bool) -> Result<Vec<MeterTold>, RateError> {
    let lines = found.lines.iter().map(|line| priced(line, runs));
    let mut rows = lines.collect::<Result<Vec<_>, RateError>>()?;
    rows.extend(found.unpriced.iter().map(|meter| unpriced(meter, runs)));
    Ok(rows)
}

fn priced(found: &HoldLine<'_>, runs: bool) -> Result<MeterTold, RateError> {
    let HoldLine { line, hourly, .. } = found;
    let hours = Decimal::from(HOURS_OF_A_MONTH);
    let net = hourly.net.checked_mul(hours).ok_or(MoneyError::Overflow)?;
    let monthly = GroupNet {
        net,
        ..hourly.clone()
    };
    let percent = found.once.rate.checked_mul(Decimal::ONE_HUNDRED);
    let percent = percent.ok_or(MoneyError::Overflow)?.normalize();
    let taken = if hourly.rate == found.once.rate {
        ""
    } else {
        ", taken at top-up"
    };
    Ok(MeterTold {
        runs,
        line: Some(line.id.to_string()),
        free: line.free,
        quantity: found.quantity.normalize().to_string(),
        unitprice: found.unit_price.to_string(),
        unit: match line.unit {
            Unit::Hour => "hour",
            Unit::Month => "month",
            Unit::Amount => "amount",
        },
        perhour: hourly.gross()?.to_string(),
        permonth: monthly.gross()?.to_string(),
        oneoff: found.once.due.gross()?.to_string(),
        tax: format!("{} {percent} %{taken}", hourly.tax_group),
        note: note(line),
        ..unpriced(found.meter, runs)
    })
}

fn unpriced(meter: &Planned, runs: bool) -> MeterTold {
    MeterTold {
        runs,
        meter: format!("{:?}", meter.usage_type),
        usagetype: meter.usage_type.number(),
        line: None,
        free: false,
        quantity: String::new(),
        unitprice: String::new(),
        unit: "",
        perhour: String::new(),
        permonth: String::new(),
        oneoff: String::new(),
        tax: String::new(),
        note: String::new(),
    }
}

/// What makes the month cheaper than the hold reckons with.
fn note(line: &PriceLine) -> String {
    let mut notes = Vec::new();
    if line.surcharge {
        notes.push("surcharge".to_owned());
    }
    if line.tiers.len() > 1 {
        notes.push("dearest tier ahead".to_owned());
    }
    if !line.allowance.is_zero() {
        notes.push(format!("{} a month are free", line.allowance));
    }
    if let Some(cap) = line.month_cap {
        notes.push(format!("at most {cap} a month"));
    }
    notes.join(", ")
}

fn thing(one: &Usage) -> ThingTold {
    let it = &one.limit;
    ThingTold {
        id: it.rule.clone(),
        component: it.what.clone(),
        most: it.most.clone(),
        has: it.has.clone(),
        adds: it.adds.clone(),
        refuses: one.refuses,
        reason: it.reason.clone(),
    }
}
