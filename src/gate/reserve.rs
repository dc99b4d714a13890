//! Pure: what a planned call costs its payer, and how much of it is held from which purse.

use super::plan::Plan;
use crate::cover::cover::after_promo;
use crate::cover::retention::staying;
use crate::ledger::command::{HoldLeg, LineAmount};
use crate::policy::customer::RuleSet;
use crate::rate::{GroupNet, HoldLines, HoldPrice, OneOff, Planned, RateError};
use crate::rate::{hold_lines, hold_price};
use crate::terms::ids::{PayerId, PriceLineId};
use crate::terms::money::Micros;
use crate::terms::quantity::UnitMicros;
use crate::terms::time::{BillingMonth, Timestamp};
use rust_decimal::Decimal;

/// The price of a call, before it is known what of it gift credit pays.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Priced {
    /// For the horizon, more than what runs already; net by tax group.
    pub groups: Vec<GroupNet>,
    /// Recurring and one-off, tax included where it is taken at use, and the sampling window.
    pub total: Micros,
    /// What the sampling window takes more, of the wallet alone: traffic and disk I/O of what the
    /// call starts.
    pub window: Micros,
    /// One-off prices, tax included likewise.
    pub one_off: Micros,
    /// For one hour, more than before.
    pub per_hour: Micros,
    /// For a priced month, more than before.
    pub per_month: Micros,
    /// One-off prices by line, for the day when they fall due.
    pub one_offs: Vec<LineAmount>,
    /// Meters that no line prices.
    pub unpriced: Vec<Planned>,
}

impl Priced {
    /// Whether the call costs more than what ran before it: a hold is made for it then.
    #[must_use]
    pub const fn raises(&self) -> bool {
        self.total.get() > 0
    }
}

/// Prices a plan for its payer: after minus before.
///
/// # Errors
/// [`RateError`] where prices have a hole or a figure is missing.
pub fn price(
    rules: &RuleSet,
    payer: &PayerId,
    plan: &Plan,
    so_far: impl Fn(&PriceLineId) -> UnitMicros,
    now: Timestamp,
) -> Result<Priced, RateError> {
    let no_book = || RateError::NoVersion {
        book: payer.to_string(),
        at: now,
    };
    let book = rules.book_of(payer).ok_or_else(no_book)?;
    let terms = rules.terms_of(payer).ok_or_else(no_book)?;
    let profile = rules.profile_of(payer).ok_or_else(no_book)?;
    let hold =
        |planned: &[Planned], so_long| hold_price(book, &terms, planned, &so_far, now, so_long);
    let after = hold(&plan.after, profile.horizon)?;
    let before = hold(&plan.before, profile.horizon)?;
    let mut groups = difference(&after.groups, &before.groups);
    let mut recurring = after.recurring.minus(before.recurring)?;
    let kept = profile.funded_retention();
    if kept > 0 {
        // What stays after a stop is paid for so long from the start.
        let more = hold(&staying(&plan.after), kept)?;
        let less = hold(&staying(&plan.before), kept)?;
        recurring = recurring.plus(more.recurring.minus(less.recurring)?)?;
        add(&mut groups, difference(&more.groups, &less.groups));
    }
    let month = BillingMonth::containing(now, &terms.zone)?;
    let due = match plan.later {
        true => Vec::new(),
        false => due_now(&after, &before),
    };
    let one_off = due
        .iter()
        .try_fold(Micros::ZERO, |sum, one| sum.plus(one.due.gross()?))?;
    let one_offs = one_offs(&due, payer, &month)?;
    Ok(Priced {
        groups,
        total: recurring.plus(one_off)?,
        window: Micros::ZERO,
        one_off,
        per_hour: after.per_hour.minus(before.per_hour)?,
        per_month: after.per_month.minus(before.per_month)?,
        one_offs,
        unpriced: after.unpriced,
    })
}

/// The same price with so much more for the sampling window.
///
/// # Errors
/// [`RateError`] for amounts beyond their range.
pub fn with_window(priced: Priced, window: Micros) -> Result<Priced, RateError> {
    Ok(Priced {
        total: priced.total.plus(window)?,
        window,
        ..priced
    })
}

/// The price lines of what a plan starts and of what it finds running: [`price`] sums them up.
///
/// # Errors
/// As [`price`].
pub fn lines<'a>(
    rules: &'a RuleSet,
    payer: &PayerId,
    plan: &'a Plan,
    so_far: impl Fn(&PriceLineId) -> UnitMicros,
    now: Timestamp,
) -> Result<(HoldLines<'a>, HoldLines<'a>), RateError> {
    let no_book = || RateError::NoVersion {
        book: payer.to_string(),
        at: now,
    };
    let book = rules.book_of(payer).ok_or_else(no_book)?;
    let terms = rules.terms_of(payer).ok_or_else(no_book)?;
    let horizon = rules.profile_of(payer).ok_or_else(no_book)?.horizon;
    Ok((
        hold_lines(book, &terms, &plan.after, &so_far, now, horizon)?,
        hold_lines(book, &terms, &plan.before, &so_far, now, horizon)?,
    ))
}

/// The payer's leg of the hold: gift credit first, the wallet for the rest.
///
/// # Errors
/// [`RateError`] for amounts beyond their range.
pub fn leg(priced: &Priced, payer: &PayerId, promo: Micros) -> Result<HoldLeg, RateError> {
    let (wallet, promo) = after_promo(&priced.groups, promo)?;
    let wallet = wallet.plus(priced.one_off)?.plus(priced.window)?;
    Ok(HoldLeg {
        caps: Vec::new(),
        payer: payer.clone(),
        wallet,
        promo,
        one_off: priced.one_off,
    })
}

/// What falls due once: for what the call starts, not for what it finds running. A machine on
/// another offering is no new machine.
fn due_now(after: &HoldPrice, before: &HoldPrice) -> Vec<OneOff> {
    let mut due = Vec::new();
    for one in &after.one_offs {
        let had = before
            .one_offs
            .iter()
            .find(|had| had.line == one.line && had.due.tax_group == one.due.tax_group);
        let mut one = one.clone();
        if let Some(had) = had {
            one.count = one.count.saturating_sub(had.count);
            one.due.net = one.due.net.saturating_sub(had.due.net);
        }
        if one.count > 0 && one.due.net > Decimal::ZERO {
            due.push(one);
        }
    }
    due
}

fn one_offs(
    due: &[OneOff],
    payer: &PayerId,
    month: &BillingMonth,
) -> Result<Vec<LineAmount>, RateError> {
    let mut amounts = Vec::new();
    for one in due {
        amounts.push(LineAmount {
            payer: payer.clone(),
            line: one.line.clone(),
            month: month.clone(),
            tax_group: one.due.tax_group.clone(),
            amount: one.due.gross()?,
        });
    }
    Ok(amounts)
}

/// Adds amounts, tax group by tax group.
fn add(groups: &mut Vec<GroupNet>, more: Vec<GroupNet>) {
    for one in more {
        let mut known = groups.iter_mut();
        match known.find(|group| group.tax_group == one.tax_group) {
            Some(group) => group.net = group.net.saturating_add(one.net),
            None => groups.push(one),
        }
    }
}

fn difference(after: &[GroupNet], before: &[GroupNet]) -> Vec<GroupNet> {
    let less = |group: &GroupNet| {
        before
            .iter()
            .find(|old| old.tax_group == group.tax_group)
            .map_or(group.net, |old| group.net.saturating_sub(old.net))
    };
    after
        .iter()
        .map(|group| GroupNet {
            net: less(group),
            ..group.clone()
        })
        .collect()
}
