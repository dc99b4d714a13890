//! Pure: the price of a raising call for the horizon: it counts on nothing that another call
//! could use up first.

use crate::cloudstack::usage_type::UsageType;
use crate::meter::resource::Attributes;
use crate::policy::customer::PayerTerms;
use crate::policy::tariff::{Basis, BookVersion, HOURS_OF_A_MONTH, PriceBook, PriceLine};
use crate::rate::lookup::{Pricing, pricing, units};
use crate::rate::month::rate_at_use;
use crate::rate::tally::{highest_price, per_hour};
use crate::rate::{GroupNet, RateError, gross_of};
use crate::terms::ids::{PriceLineId, ResourceId};
use crate::terms::money::{Micros, MoneyError};
use crate::terms::quantity::UnitMicros;
use crate::terms::time::{HOUR, Period, Timestamp};
use rust_decimal::Decimal;
use std::collections::BTreeMap;

/// A meter that a call is going to start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Planned {
    /// CloudStack's usage type.
    pub usage_type: UsageType,
    /// What its price depends on.
    pub attributes: Attributes,
}

impl Planned {
    /// So many alike as one; none beyond the range.
    #[must_use]
    pub fn times(&self, count: i64) -> Option<Self> {
        let has = &self.attributes;
        let each = |units: Option<i64>| match units {
            Some(units) => units.checked_mul(count).map(Some),
            None => Some(None),
        };
        Some(Self {
            usage_type: self.usage_type,
            attributes: Attributes {
                vcpus: each(has.vcpus)?,
                memory_mib: each(has.memory_mib)?,
                size_bytes: each(has.size_bytes)?,
                count: has.count.max(1).checked_mul(count)?,
                ..has.clone()
            },
        })
    }
}

/// What a call has to hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HoldPrice {
    /// For the horizon, tax included where it is taken at use.
    pub recurring: Micros,
    /// Once, when the job succeeds, tax included likewise.
    pub one_off: Micros,
    /// For one hour.
    pub per_hour: Micros,
    /// For 730 hours.
    pub per_month: Micros,
    /// The recurring part net by tax group, for gift credit, which is net.
    pub groups: Vec<GroupNet>,
    /// The one-off prices by line: what accrues when the job succeeds.
    pub one_offs: Vec<OneOff>,
    /// Planned meters that no line prices: a prepaid call with one is refused.
    pub unpriced: Vec<Planned>,
}

impl HoldPrice {
    /// Recurring and one-off together.
    pub fn total(&self) -> Result<Micros, MoneyError> {
        self.recurring.plus(self.one_off)
    }
}

/// A price that falls due once.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OneOff {
    /// `<price line>/one-off`: an accrual row beside the line's own, which renewals leave alone.
    pub line: PriceLineId,
    /// `revenue.<class>`.
    pub class: String,
    /// What a document says.
    pub text: String,
    /// How often.
    pub count: i64,
    /// All of it, net, with the tax that the wallet pays.
    pub due: GroupNet,
    /// The group's rate, also where tax was taken at top-up.
    pub rate: Decimal,
}

/// One price line of one planned meter, at the dearest that the hold has to reckon with: what a
/// hold is made of, for whoever asks.
#[derive(Clone, Debug)]
pub struct HoldLine<'a> {
    /// What is priced.
    pub meter: &'a Planned,
    /// By which line; of several versions the one with the dearest hour.
    pub line: &'a PriceLine,
    /// Units of the line's component, not yet multiplied by its unit of time.
    pub quantity: Decimal,
    /// Net, of one unit for one unit of time.
    pub unit_price: Decimal,
    /// Net an hour, with the tax that the wallet pays.
    pub hourly: GroupNet,
    /// What falls due once.
    pub once: OneOff,
}

/// What a hold is made of.
#[derive(Clone, Debug, Default)]
pub struct HoldLines<'a> {
    /// Meter by meter, and of each by the lines' ids.
    pub lines: Vec<HoldLine<'a>>,
    /// Planned meters that no line prices.
    pub unpriced: Vec<Planned>,
}

/// Prices the planned meters for `horizon`: each line at the highest unit price among its tiers
/// from `so_far` upwards and among the versions in force within the horizon; no allowance, no
/// cap. Lines on stopped seconds count only where the plan has no running VM.
pub fn hold_price(
    book: &PriceBook,
    terms: &PayerTerms,
    planned: &[Planned],
    so_far: impl Fn(&PriceLineId) -> UnitMicros,
    now: Timestamp,
    horizon: i64,
) -> Result<HoldPrice, RateError> {
    let HoldLines { lines, unpriced } = hold_lines(book, terms, planned, so_far, now, horizon)?;
    let mut hourly: BTreeMap<String, GroupNet> = BTreeMap::new();
    let mut one_offs: Vec<OneOff> = Vec::new();
    for found in lines {
        add(&mut hourly, found.hourly)?;
        add_once(&mut one_offs, found.once)?;
    }
    sum_up(&hourly, one_offs, unpriced, horizon)
}

/// The lines that [`hold_price`] sums up.
///
/// # Errors
/// [`RateError`] where prices have a hole or a figure is missing.
pub fn hold_lines<'a>(
    book: &'a PriceBook,
    terms: &PayerTerms,
    planned: &'a [Planned],
    so_far: impl Fn(&PriceLineId) -> UnitMicros,
    now: Timestamp,
    horizon: i64,
) -> Result<HoldLines<'a>, RateError> {
    let window = Period {
        start: now,
        end: now.plus(horizon.max(1)),
    };
    let runs = planned
        .iter()
        .any(|one| one.usage_type == UsageType::RunningVm);
    if book.at(now).is_none() {
        let book = book.id.clone();
        return Err(RateError::NoVersion { book, at: now });
    }
    let mut all = HoldLines::default();
    for one in planned {
        let mut dearest: BTreeMap<&PriceLineId, HoldLine<'a>> = BTreeMap::new();
        for version in book.within(window) {
            let Pricing::Priced(lines) = pricing(version, one.usage_type, &one.attributes) else {
                if !all.unpriced.contains(one) {
                    all.unpriced.push(one.clone());
                }
                continue;
            };
            let lines = lines.into_iter();
            for line in lines.filter(|line| !(runs && line.basis == Basis::Stopped)) {
                let found = price(line, one, terms, (version, window), &so_far)?;
                keep(&mut dearest, &line.id, found)?;
            }
        }
        all.lines.extend(dearest.into_values());
    }
    Ok(all)
}

fn price<'a>(
    line: &'a PriceLine,
    one: &'a Planned,
    terms: &PayerTerms,
    (version, window): (&BookVersion, Period),
    so_far: &impl Fn(&PriceLineId) -> UnitMicros,
) -> Result<HoldLine<'a>, RateError> {
    let missing = |what| RateError::AttributeMissing {
        usage_type: one.usage_type,
        resource: ResourceId::from(one.attributes.name.as_str()),
        what,
    };
    let has = units(line.component, &one.attributes).map_err(missing)?;
    let unit_price = highest_price(line, so_far(&line.id))?;
    let net = per_hour(line, has, unit_price)?;
    let quantity = Decimal::from(has).checked_div(Decimal::from(line.component.divisor()));
    let at = window.start.max(version.from);
    let rates = terms.tax.rates.iter();
    let dearest = rates
        .filter(|rate| rate.group == line.tax_group && rate.from < window.end)
        .filter(|rate| rate.from >= at || terms.tax.rate_at(&rate.group, at) == Some(rate))
        .max_by_key(|rate| rate.rate)
        .ok_or_else(|| RateError::NoTaxRate {
            group: line.tax_group.clone(),
            at,
        })?;
    let group = |net| GroupNet {
        tax_group: dearest.code.clone(),
        rate: rate_at_use(terms, dearest.rate),
        net,
    };
    // As many as the meter counts: NICs, or machines made alike by one call.
    let count = one.attributes.count.max(1);
    let once = line.one_off.checked_mul(Decimal::from(count));
    Ok(HoldLine {
        meter: one,
        line,
        quantity: quantity.ok_or(MoneyError::Overflow)?,
        unit_price,
        hourly: group(net),
        once: OneOff {
            line: PriceLineId::from(format!("{}/one-off", line.id)),
            class: line.class.clone(),
            text: line.text.clone(),
            count,
            due: group(once.ok_or(MoneyError::Overflow)?),
            rate: dearest.rate,
        },
    })
}

/// Keeps the dearer of two versions of one line.
fn keep<'a>(
    dearest: &mut BTreeMap<&'a PriceLineId, HoldLine<'a>>,
    line: &'a PriceLineId,
    found: HoldLine<'a>,
) -> Result<(), RateError> {
    match dearest.entry(line) {
        std::collections::btree_map::Entry::Vacant(place) => {
            place.insert(found);
        }
        std::collections::btree_map::Entry::Occupied(mut place) => {
            let kept = place.get_mut();
            if exact(&found.hourly)? > exact(&kept.hourly)? {
                kept.hourly = found.hourly;
                (kept.line, kept.quantity) = (found.line, found.quantity);
                kept.unit_price = found.unit_price;
            }
            if exact(&found.once.due)? > exact(&kept.once.due)? {
                kept.once = found.once;
            }
        }
    }
    Ok(())
}

fn exact(group: &GroupNet) -> Result<Decimal, MoneyError> {
    Decimal::ONE
        .checked_add(group.rate)
        .and_then(|factor| group.net.checked_mul(factor))
        .ok_or(MoneyError::Overflow)
}

fn add(groups: &mut BTreeMap<String, GroupNet>, more: GroupNet) -> Result<(), MoneyError> {
    match groups.get_mut(&more.tax_group) {
        Some(group) => {
            group.net = group
                .net
                .checked_add(more.net)
                .ok_or(MoneyError::Overflow)?;
        }
        None => {
            groups.insert(more.tax_group.clone(), more);
        }
    }
    Ok(())
}

fn add_once(all: &mut Vec<OneOff>, more: OneOff) -> Result<(), MoneyError> {
    if more.due.net.is_zero() {
        return Ok(());
    }
    let same = |one: &&mut OneOff| one.line == more.line && one.due.tax_group == more.due.tax_group;
    match all.iter_mut().find(same) {
        Some(one) => {
            let net = one.due.net.checked_add(more.due.net);
            one.due.net = net.ok_or(MoneyError::Overflow)?;
            one.count = one.count.saturating_add(more.count);
        }
        None => all.push(more),
    }
    Ok(())
}

fn sum_up(
    hourly: &BTreeMap<String, GroupNet>,
    one_offs: Vec<OneOff>,
    unpriced: Vec<Planned>,
    horizon: i64,
) -> Result<HoldPrice, RateError> {
    let for_micros = |micros: i64| -> Result<Vec<GroupNet>, MoneyError> {
        hourly
            .values()
            .map(|group| {
                let net = group
                    .net
                    .checked_mul(Decimal::from(micros))
                    .and_then(|net| net.checked_div(Decimal::from(HOUR)))
                    .ok_or(MoneyError::Overflow)?;
                Ok(GroupNet {
                    net,
                    ..group.clone()
                })
            })
            .collect()
    };
    let groups = for_micros(horizon)?;
    let one_off = one_offs
        .iter()
        .try_fold(Micros::ZERO, |sum, one| sum.plus(one.due.gross()?))?;
    Ok(HoldPrice {
        recurring: gross_of(&groups)?,
        one_off,
        per_hour: gross_of(&for_micros(HOUR)?)?,
        per_month: gross_of(&for_micros(HOUR.saturating_mul(HOURS_OF_A_MONTH))?)?,
        groups,
        one_offs,
        unpriced,
    })
}
