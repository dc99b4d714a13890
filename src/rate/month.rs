//! Pure: a payer's month so far, priced: the function that accrual and invoice share.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::cloudstack::usage_type::UsageType;
use crate::meter::resource::{Interval, MeterId};
use crate::policy::customer::{PayerTerms, TaxMode};
use crate::policy::tariff::{Basis, BookVersion, PriceBook, PriceLine};
use crate::rate::lookup::{Pricing, pricing, units};
use crate::rate::tally::{Tally, shown};
use crate::rate::{GroupNet, RateError, gross};
use crate::terms::ids::{PriceLineId, ResourceId};
use crate::terms::money::{Micros, charge_to_micros};
use crate::terms::quantity::UnitMicros;
use crate::terms::time::{Period, Timestamp};
use rust_decimal::Decimal;

/// One price line's month so far, in one tax group.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LineTotal {
    /// Which price line.
    pub line: PriceLineId,
    /// The tax account: `DE.19`.
    pub tax_group: String,
    /// The group's rate (also where tax was taken at top-up: the document shows it).
    pub rate: Decimal,
    /// `revenue.<class>`.
    pub class: String,
    /// What a document says.
    pub text: String,
    /// Quantity, exact.
    pub quantity: UnitMicros,
    /// Quantity in the line's own terms (GiB-hours …).
    pub shown: Decimal,
    /// Net, exact.
    pub net: Decimal,
    /// Net, to the millionth.
    pub total: Micros,
}

/// One tax group's month so far.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GroupTotal {
    /// The tax account: `DE.19`.
    pub tax_group: String,
    /// Its rate.
    pub rate: Decimal,
    /// Sum of its lines, exact.
    pub net: Decimal,
    /// What a wallet pays for it without gift credit, to the millionth: tax included where it is
    /// taken at use.
    pub wallet: Micros,
}

/// A payer's month so far.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct MonthTotals {
    /// By line and tax group, in the order of their ids.
    pub lines: Vec<LineTotal>,
    /// By tax group, in the order of their codes.
    pub groups: Vec<GroupTotal>,
    /// Meters that no line prices.
    pub unpriced: Vec<MeterId>,
    /// Meters of what ended before a figure that its price needs was known: the priced part that
    /// needs it counts nothing here, CloudStack's usage record is the witness of it.
    pub unmeasured: Vec<MeterId>,
}

impl MonthTotals {
    /// Quantity so far of a line.
    #[must_use]
    pub fn quantity_of(&self, line: &PriceLineId) -> UnitMicros {
        self.lines
            .iter()
            .filter(|total| total.line == *line)
            .fold(UnitMicros::ZERO, |sum, total| {
                sum.plus(total.quantity).unwrap_or(sum)
            })
    }
    /// What a wallet pays for all of it without gift credit.
    pub fn wallet(&self) -> Result<Micros, RateError> {
        Ok(Micros::sum(self.groups.iter().map(|group| group.wallet))?)
    }
}

/// Prices what the intervals (a payer's, of any time) come to in `month` up to `through`, where
/// what still runs is taken to run on. Each stretch takes the prices and the tax in force when it
/// ran; quantities for tiers, allowances and caps run on across versions and end with the month.
///
/// Refuses a hole in the book's dates or tax rates under a metered stretch, a meter that runs
/// without a figure that its price needs, and amounts beyond the exact range. What ended without
/// that figure is named in `unmeasured`: nobody can read it back any more, and its payer's other
/// meters go on.
pub fn month(
    book: &PriceBook,
    terms: &PayerTerms,
    month: Period,
    intervals: &[Interval],
    through: Timestamp,
) -> Result<MonthTotals, RateError> {
    let window = Period {
        start: month.start,
        end: month.end.min(through),
    };
    let mut tallies: BTreeMap<PriceLineId, Tally> = BTreeMap::new();
    let mut silent = Silent::default();
    for slice in slices(book, terms, window) {
        let counted = count(book, intervals, slice, &mut silent)?;
        for (line, quantity) in counted.into_values() {
            let tax = terms.tax.rate_at(&line.tax_group, slice.start);
            let tax = tax.ok_or_else(|| RateError::NoTaxRate {
                group: line.tax_group.clone(),
                at: slice.start,
            })?;
            tallies
                .entry(line.id.clone())
                .or_insert_with(|| Tally::new(line))
                .add(line, quantity, (&tax.code, tax.rate))?;
        }
    }
    let mut totals = totals(tallies, terms)?;
    totals.unpriced = silent.unpriced.into_iter().collect();
    totals.unmeasured = silent.unmeasured.into_iter().collect();
    Ok(totals)
}

/// The window cut at every change of prices or tax rates, oldest first.
fn slices(book: &PriceBook, terms: &PayerTerms, window: Period) -> Vec<Period> {
    let borders = book
        .versions
        .iter()
        .flat_map(|version| [Some(version.from), version.until])
        .flatten()
        .chain(terms.tax.rates.iter().map(|rate| rate.from))
        .filter(|border| window.contains(*border));
    let mut cuts: BTreeSet<Timestamp> = borders.collect();
    cuts.insert(window.start);
    cuts.insert(window.end);
    let cuts: Vec<Timestamp> = cuts.into_iter().collect();
    cuts.windows(2)
        .map(|pair| Period {
            start: pair[0],
            end: pair[1],
        })
        .filter(|slice| slice.end <= window.end)
        .collect()
}

/// Meters that count nothing: without a price, or ended without a figure that it needs.
#[derive(Default)]
struct Silent {
    unpriced: BTreeSet<MeterId>,
    unmeasured: BTreeSet<MeterId>,
}

type Counted<'a> = BTreeMap<PriceLineId, (&'a PriceLine, UnitMicros)>;

/// Quantities of one slice by price line.
fn count<'a>(
    book: &'a PriceBook,
    intervals: &[Interval],
    slice: Period,
    silent: &mut Silent,
) -> Result<Counted<'a>, RateError> {
    let mut counted = Counted::new();
    let in_force = book.at(slice.start);
    let running = running(in_force, intervals, slice);
    for interval in intervals {
        let Some(overlap) = interval.within(slice) else {
            continue;
        };
        let version = in_force.ok_or_else(|| RateError::NoVersion {
            book: book.id.clone(),
            at: slice.start,
        })?;
        let lines = match pricing(version, interval.meter.usage_type, &interval.attributes) {
            Pricing::Priced(lines) => lines,
            Pricing::Unpriced => {
                silent.unpriced.insert(interval.meter.clone());
                continue;
            }
        };
        for line in lines {
            let micros = match line.basis {
                Basis::Stopped => without(overlap, running.get(&interval.meter.resource)),
                Basis::Running | Basis::Allocated => overlap.micros(),
            };
            let has = match units(line.component, &interval.attributes) {
                Ok(has) => has,
                Err(_) if interval.end.is_some() => {
                    silent.unmeasured.insert(interval.meter.clone());
                    continue;
                }
                Err(what) => {
                    return Err(RateError::AttributeMissing {
                        usage_type: interval.meter.usage_type,
                        resource: interval.meter.resource.clone(),
                        what,
                    });
                }
            };
            let quantity = match line.component.is_amount() {
                true => UnitMicros::of(share(interval, overlap), 1)?,
                false => UnitMicros::of(has, micros)?,
            };
            let place = counted
                .entry(line.id.clone())
                .or_insert((line, UnitMicros::ZERO));
            place.1 = place.1.plus(quantity)?;
        }
    }
    Ok(counted)
}

/// The part of a sample's amount that falls to a part of its window: by time, in whole units, so
/// that the parts of any cut add up to the amount.
fn share(sample: &Interval, part: Period) -> i64 {
    let whole = sample.end.map_or(0, |end| end.at.since(sample.start.at));
    if whole <= 0 {
        return 0;
    }
    let until = |at: Timestamp| {
        let passed = i128::from(at.since(sample.start.at).clamp(0, whole));
        let amount = i128::from(sample.attributes.count) * passed / i128::from(whole);
        i64::try_from(amount).unwrap_or_default()
    };
    until(part.end).saturating_sub(until(part.start))
}

/// Where VMs run in the slice; needed only where a line counts stopped seconds.
fn running<'a>(
    version: Option<&BookVersion>,
    intervals: &'a [Interval],
    slice: Period,
) -> HashMap<&'a ResourceId, Vec<Period>> {
    let mut running: HashMap<&ResourceId, Vec<Period>> = HashMap::new();
    let stopped = |line: &PriceLine| line.basis == Basis::Stopped;
    if !version.is_some_and(|version| version.lines.iter().any(stopped)) {
        return running;
    }
    for interval in intervals {
        if interval.meter.usage_type == UsageType::RunningVm
            && let Some(overlap) = interval.within(slice)
        {
            running
                .entry(&interval.meter.resource)
                .or_default()
                .push(overlap);
        }
    }
    for periods in running.values_mut() {
        periods.sort_unstable();
    }
    running
}

/// Microseconds of `whole` that none of `parts` (sorted by start) covers.
fn without(whole: Period, parts: Option<&Vec<Period>>) -> i64 {
    let mut left = 0_i64;
    let mut at = whole.start;
    for part in parts.into_iter().flatten() {
        let Some(part) = part.intersect(&whole) else {
            continue;
        };
        left = left.saturating_add(part.start.since(at).max(0));
        at = at.max(part.end);
    }
    left.saturating_add(whole.end.since(at).max(0))
}

fn totals(
    tallies: BTreeMap<PriceLineId, Tally>,
    terms: &PayerTerms,
) -> Result<MonthTotals, RateError> {
    let mut lines = Vec::new();
    let mut groups: BTreeMap<String, (Decimal, Decimal)> = BTreeMap::new();
    for (id, tally) in tallies {
        for (tax_group, (rate, net, quantity)) in tally.groups {
            let sum = groups
                .entry(tax_group.clone())
                .or_insert((rate, Decimal::ZERO));
            sum.1 = sum.1.checked_add(net).ok_or_else(|| RateError::Overflow {
                line: id.to_string(),
            })?;
            lines.push(LineTotal {
                line: id.clone(),
                tax_group,
                rate,
                class: tally.line.class.clone(),
                text: tally.line.text.clone(),
                quantity,
                shown: shown(&tally.line, quantity)?,
                net,
                total: charge_to_micros(net)?,
            });
        }
    }
    let groups = groups
        .into_iter()
        .map(|(tax_group, (rate, net))| {
            let wallet = gross(net, rate_at_use(terms, rate))?;
            Ok(GroupTotal {
                tax_group,
                rate,
                net,
                wallet,
            })
        })
        .collect::<Result<_, RateError>>()?;
    Ok(MonthTotals {
        lines,
        groups,
        ..MonthTotals::default()
    })
}

/// The rate that a wallet pays: nothing where tax was taken at top-up.
#[must_use]
pub fn rate_at_use(terms: &PayerTerms, rate: Decimal) -> Decimal {
    match terms.tax_mode {
        TaxMode::AtUse => rate,
        TaxMode::AtTopUp => Decimal::ZERO,
    }
}

/// The groups of totals as what a wallet pays for them.
#[must_use]
pub fn nets(totals: &MonthTotals, terms: &PayerTerms) -> Vec<GroupNet> {
    totals
        .groups
        .iter()
        .map(|group| GroupNet {
            tax_group: group.tax_group.clone(),
            rate: rate_at_use(terms, group.rate),
            net: group.net,
        })
        .collect()
}
