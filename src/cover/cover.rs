//! Pure: one renewal: what accrues, what the cover should carry, and when the next one is due.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::cover::retention;
use crate::ledger::Command;
use crate::ledger::command::{LineTotal, Renew};
use crate::ledger::records::{Accrual, BillingMode, PayerState, Purse};
use crate::meter::resource::{Interval, MeterId};
use crate::policy::customer::PayerTerms;
use crate::policy::prepaid::{PrepaidProfile, RENEWAL_LAST_HOUR, RENEWAL_WATCHFUL};
use crate::policy::tariff::PriceBook;
use crate::rate::ahead::{cost_ahead, months_of};
use crate::rate::month::rate_at_use;
use crate::rate::{GroupNet, MonthTotals, RateError, gross, gross_of, month};
use crate::terms::ids::PriceLineId;
use crate::terms::money::{Micros, MoneyError, charge_to_micros};
use crate::terms::quantity::UnitMicros;
use crate::terms::time::{BillingMonth, HOUR, Timestamp};

/// The accrual row of a group's tax, beside its lines, which are net.
pub const TAX_LINE: &str = "tax";

/// What pricing one payer needs.
#[derive(Clone, Copy, Debug)]
pub struct Pricing<'a> {
    /// His book.
    pub book: &'a PriceBook,
    /// His tax and months.
    pub terms: &'a PayerTerms,
    /// His horizon and delays.
    pub profile: &'a PrepaidProfile,
}

/// A renewal, ready for the ledger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Renewal {
    /// For the ledger.
    pub command: Renew,
    /// What the next hour costs the wallet, gift credit left out.
    pub burn_per_hour: Micros,
    /// The part of the cover's target that is for storage after a stop.
    pub aside: Micros,
    /// Meters that no line prices.
    pub unpriced: Vec<MeterId>,
    /// Meters of what ended before a figure that its price needs was known: not charged here.
    pub unmeasured: Vec<MeterId>,
}

/// Computes a renewal up to `through`: every line's total of each month touched since the last,
/// the tax of each group by difference, gift credit first, and the cover's new targets.
///
/// `accruals` are the payer's rows of those months; rows whose line holds a `/` (one-off prices,
/// corrections) are not rated here and stay as they are. `intervals` are all of the payer's that
/// touch those months; `kept` is what rules may start without a call, as if it ran from now on:
/// the cover keeps money for it, and nothing of it accrues.
pub fn renew(
    pricing: Pricing<'_>,
    state: &PayerState,
    accruals: &[Accrual],
    (intervals, kept): (&[Interval], &[Interval]),
    through: Timestamp,
) -> Result<Renewal, RateError> {
    let Pricing {
        book,
        terms,
        profile,
    } = pricing;
    let mut promo_left = state
        .purse(Purse::PromoAvailable)
        .plus(state.promo_cover()?)?
        .or_zero();
    let mut totals = Vec::new();
    let mut unpriced = Vec::new();
    let mut unmeasured = Vec::new();
    for period in months_of(state.accrued_through, through, &terms.zone)? {
        let name = BillingMonth::containing(period.start, &terms.zone)?;
        let rated = month(book, terms, period, intervals, through)?;
        totals.extend(accrue(&rated, terms, &name, accruals, &mut promo_left)?);
        unpriced = rated.unpriced;
        unmeasured.extend(rated.unmeasured);
    }
    let mut all = Cow::Borrowed(intervals);
    if !kept.is_empty() {
        all.to_mut().extend_from_slice(kept);
    }
    let ahead = cost_ahead(book, terms, &all, through, profile.horizon)?;
    let (running, promo_cover_target) = after_promo(&ahead, promo_left)?;
    // Storage that is paid for out of what was kept needs no cover besides.
    let retained = state.purse(Purse::Retention).or_zero();
    let aside = retention::aside(pricing, state, intervals, through)?;
    let cover_target = running.minus(retained)?.or_zero().plus(aside)?;
    let hour = cost_ahead(book, terms, intervals, through, HOUR)?;
    Ok(Renewal {
        command: Renew {
            caps: Vec::new(),
            payer: state.payer.clone(),
            expected_version: state.version,
            from_target: state.cover_target,
            through,
            totals,
            cover_target,
            promo_cover_target,
            at: through,
        },
        burn_per_hour: gross_of(&hour)?,
        aside,
        unpriced,
        unmeasured,
    })
}

/// A payer's renewal, with those of the resellers above him: they stand or fall together.
#[must_use]
pub fn command(renewals: &[Renewal]) -> Command {
    match renewals {
        [one] => Command::Renew(one.command.clone()),
        all => Command::RenewAll(all.iter().map(|one| one.command.clone()).collect()),
    }
}

/// The rows of one month: net by line with gift credit first, then the tax of each group, so
/// that a group's wallet sum is round((net − gift credit) × (1 + rate)).
fn accrue(
    rated: &MonthTotals,
    terms: &PayerTerms,
    name: &BillingMonth,
    accruals: &[Accrual],
    promo_left: &mut Micros,
) -> Result<Vec<LineTotal>, RateError> {
    let mut rows = Vec::new();
    let mut sums: BTreeMap<&str, (Micros, Micros)> = BTreeMap::new();
    for line in &rated.lines {
        let before = accruals.iter().find(|row| {
            row.month == *name && row.line == line.line && row.tax_group == line.tax_group
        });
        let (wallet, promo) = before.map_or((Micros::ZERO, Micros::ZERO), |row| {
            (row.total, row.promo_total)
        });
        let more = line.total.minus(wallet)?.minus(promo)?.or_zero();
        let gift = more.min(*promo_left);
        *promo_left = promo_left.minus(gift)?;
        let promo_total = promo.plus(gift)?.min(line.total);
        let total = line.total.minus(promo_total)?;
        let sum = sums.entry(&line.tax_group).or_default();
        *sum = (sum.0.plus(total)?, sum.1.plus(promo_total)?);
        rows.push(LineTotal {
            line: line.line.clone(),
            month: name.clone(),
            tax_group: line.tax_group.clone(),
            quantity: line.quantity,
            total,
            promo_total,
        });
    }
    for group in &rated.groups {
        let (net, promo) = sums
            .get(group.tax_group.as_str())
            .copied()
            .unwrap_or_default();
        let paid = group
            .net
            .checked_sub(promo.to_decimal())
            .ok_or(MoneyError::Overflow)?;
        let tax = gross(paid, rate_at_use(terms, group.rate))?.minus(net)?;
        let known = accruals.iter().any(|row| {
            row.month == *name && row.line.as_str() == TAX_LINE && row.tax_group == group.tax_group
        });
        if known || !tax.is_zero() {
            rows.push(row(TAX_LINE.into(), name, &group.tax_group, tax));
        }
    }
    let vanished = accruals.iter().filter(|before| {
        before.month == *name
            && !before.line.as_str().contains('/')
            && !rows
                .iter()
                .any(|row| row.line == before.line && row.tax_group == before.tax_group)
    });
    let zeroes: Vec<LineTotal> = vanished
        .map(|before| row(before.line.clone(), name, &before.tax_group, Micros::ZERO))
        .collect();
    rows.extend(zeroes);
    Ok(rows)
}

fn row(line: PriceLineId, month: &BillingMonth, tax_group: &str, total: Micros) -> LineTotal {
    LineTotal {
        line,
        month: month.clone(),
        tax_group: tax_group.to_owned(),
        quantity: UnitMicros::ZERO,
        total,
        promo_total: Micros::ZERO,
    }
}

/// What of an amount the wallet pays (tax on the remainder only) and what gift credit pays
/// (net), gift credit first, group by group: `(wallet, gift)`. For covers and for holds alike.
pub fn after_promo(groups: &[GroupNet], promo: Micros) -> Result<(Micros, Micros), MoneyError> {
    let mut left = promo.or_zero();
    let mut wallet = Micros::ZERO;
    for group in groups {
        let gift = charge_to_micros(group.net)?.or_zero().min(left);
        left = left.minus(gift)?;
        let net = group
            .net
            .checked_sub(gift.to_decimal())
            .ok_or(MoneyError::Overflow)?;
        wallet = wallet.plus(gross(net, group.rate)?)?;
    }
    Ok((wallet.or_zero(), promo.or_zero().minus(left)?))
}

/// How long until the next renewal: nothing runs → none; (H − d)/2 while what is available covers
/// 24 hours of burn and for postpaid; 5 minutes below that; 1 minute in the last hour, which is
/// when available and held together do not pay for an hour.
pub fn renewal_interval(
    profile: &PrepaidProfile,
    state: &PayerState,
    burn_per_hour: Micros,
    anything_runs: bool,
) -> Result<Option<i64>, MoneyError> {
    if !anything_runs {
        return Ok(None);
    }
    let relaxed = profile.renewal_relaxed();
    let day = charge_to_micros(
        burn_per_hour
            .to_decimal()
            .checked_mul(24.into())
            .ok_or(MoneyError::Overflow)?,
    )?;
    let available = state.purse(Purse::Available);
    let all = available.plus(state.purse(Purse::Held))?;
    let wanted = if state.mode == BillingMode::Postpaid || available >= day {
        relaxed
    } else if all < burn_per_hour {
        RENEWAL_LAST_HOUR
    } else {
        RENEWAL_WATCHFUL
    };
    Ok(Some(wanted.min(relaxed).max(1)))
}

/// The least that [`renewal_interval`] asks for, whatever runs and whatever is held.
#[must_use]
pub fn soonest_renewal(profile: &PrepaidProfile) -> i64 {
    RENEWAL_LAST_HOUR.min(profile.renewal_relaxed()).max(1)
}

/// The instants at which a payer is renewed to catch up: steps of at most 3 P, oldest first, the
/// last one `now`; none where nothing is behind.
#[must_use]
pub fn catch_up(accrued_through: Timestamp, now: Timestamp, interval: i64) -> Vec<Timestamp> {
    let step = interval.max(1).saturating_mul(3);
    let mut at = accrued_through;
    let mut steps = Vec::new();
    while at < now {
        at = at.plus(step).min(now);
        steps.push(at);
    }
    steps
}
