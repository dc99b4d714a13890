//! Pure: checks price books: each line by itself, then the versions against each other.

use std::collections::{BTreeMap, BTreeSet};

use rust_decimal::Decimal;
use toml::Spanned;

use crate::policy::faults::{Faults, PolicyFault};
use crate::policy::shape;
use crate::policy::tariff::{
    Basis, BookVersion, Component, Match, PriceBook, PriceLine, Tier, Unit,
};
use crate::terms::ids::PriceLineId;
use crate::terms::money::Currency;

/// A version with the place it was written at.
pub(super) struct Written<'a> {
    pub id: String,
    pub currency: Currency,
    pub version: BookVersion,
    pub file: &'a str,
    pub text: &'a str,
    pub offset: usize,
}

const BASES: [(&str, Basis); 3] = [
    ("running", Basis::Running),
    ("allocated", Basis::Allocated),
    ("stopped", Basis::Stopped),
];

/// Reads the version that a file holds; faults are noted and leave out what they are about.
pub(super) fn version<'a>(
    book: &Spanned<shape::Book>,
    lines: &[Spanned<shape::Line>],
    offerings: Option<&[String]>,
    faults: &mut Faults<'_>,
    place: (&'a str, &'a str),
) -> Option<Written<'a>> {
    let offset = book.span().start;
    let book = book.get_ref();
    let currency = faults.currency(&book.currency);
    let zone = faults.zone(&book.zone);
    let read: Vec<(usize, PriceLine)> = lines
        .iter()
        .filter_map(|written| {
            let start = written.span().start;
            line(written, offerings, faults).map(|line| (start, line))
        })
        .collect();
    twice_priced(&read, faults);
    let zone = zone?;
    let from = faults.instant(&book.from, &zone);
    let until = match &book.until {
        Some(until) => Some(faults.instant(until, &zone)?),
        None => None,
    };
    let from = from?;
    if until.is_some_and(|until| until <= from) {
        let what = format!("version of book `{}` ends before it starts", book.id);
        faults.at(
            offset,
            what,
            "write an `until` after `from`, or leave it out",
        );
    }
    Some(Written {
        id: book.id.clone(),
        currency: currency?,
        version: BookVersion {
            from,
            until,
            lines: read.into_iter().map(|(_, line)| line).collect(),
        },
        file: place.0,
        text: place.1,
        offset,
    })
}

fn line(
    written: &Spanned<shape::Line>,
    offerings: Option<&[String]>,
    faults: &mut Faults<'_>,
) -> Option<PriceLine> {
    let start = written.span().start;
    let line = written.get_ref();
    let words = Component::ALL.map(|(component, name)| (name, component));
    let component = faults.word(&line.component, &words);
    let basis = match &line.basis {
        Some(text) => faults.word(text, &BASES),
        None => Some(component.map_or(Basis::Allocated, default_basis)),
    };
    let unit = unit(line, component, faults);
    let tiers = tiers(line, start, faults);
    let allowance = optional(&line.allowance, "allowance", faults);
    let month_cap = line
        .month_cap
        .as_ref()
        .map(|cap| faults.amount(cap, "month_cap"));
    let one_off = optional(&line.one_off, "one_off", faults);
    if let (Some(offering), Some(known)) = (&line.matches.offering, offerings)
        && !known.contains(offering.get_ref())
    {
        let what = format!("tariff for an unknown offering `{}`", offering.get_ref());
        faults.at(
            offering.span().start,
            what,
            "write the id of an offering of the cloud",
        );
    }
    judge_id(&line.id, start, faults);
    let component = component?;
    let basis = basis?;
    if !component.is_of_vm() && basis != Basis::Allocated {
        let what = format!(
            "line `{}` prices `{}` on a VM's basis",
            line.id,
            component.name()
        );
        faults.at(
            start,
            what,
            "leave `basis` out: only vm, vcpu and ram_gib have one",
        );
        return None;
    }
    Some(PriceLine {
        id: PriceLineId::from(line.id.as_str()),
        component,
        basis,
        matches: matches(&line.matches),
        unit: unit?,
        tiers: tiers?,
        allowance: allowance?,
        month_cap: month_cap.map_or(Some(None), |cap| cap.map(Some))?,
        free: line.free,
        one_off: one_off?,
        surcharge: line.surcharge,
        class: line.class.clone(),
        tax_group: line.tax_group.get_ref().clone(),
        text: line.text.clone(),
    })
}

fn unit(line: &shape::Line, component: Option<Component>, faults: &mut Faults<'_>) -> Option<Unit> {
    let is_amount = component.is_some_and(Component::is_amount);
    match &line.unit {
        Some(text) if is_amount => {
            let what = format!(
                "line `{}` prices an amount by the {}",
                line.id,
                text.get_ref()
            );
            faults.at(
                text.span().start,
                what,
                "leave `unit` out: the price is for the amount itself",
            );
            None
        }
        Some(text) => faults.word(text, &[("hour", Unit::Hour), ("month", Unit::Month)]),
        None if is_amount => Some(Unit::Amount),
        None => Some(Unit::Hour),
    }
}

/// A `/` marks the rows that renewals leave alone, and `tax` is the row of a tax group.
fn judge_id(id: &str, start: usize, faults: &mut Faults<'_>) {
    if id.contains('/') || id == "tax" || id.is_empty() {
        let what = format!("`{id}` cannot be the id of a line");
        let instead = "write a word without `/`; `tax` is taken by the tax of a group";
        faults.at(start, what, instead);
    }
}

fn default_basis(component: Component) -> Basis {
    if component.is_of_vm() {
        Basis::Running
    } else {
        Basis::Allocated
    }
}

fn matches(written: &shape::Matches) -> Match {
    Match {
        offering: written.offering.as_ref().map(|text| text.get_ref().clone()),
        zone: written.zone.clone(),
        template: written.template.clone(),
        source_nat: written.source_nat,
        state: written.state.clone(),
    }
}

fn optional(
    written: &Option<Spanned<String>>,
    what: &str,
    faults: &mut Faults<'_>,
) -> Option<Decimal> {
    match written {
        Some(text) => faults.amount(text, what),
        None => Some(Decimal::ZERO),
    }
}

/// The tiers of a line: `price`, `tiers` or `free`, exactly one of them.
fn tiers(line: &shape::Line, start: usize, faults: &mut Faults<'_>) -> Option<Vec<Tier>> {
    let flat = |price| vec![Tier { up_to: None, price }];
    match (&line.price, &line.tiers, line.free) {
        (Some(price), None, false) => faults.amount(price, "price").map(flat),
        (None, None, true) => Some(flat(Decimal::ZERO)),
        (None, Some(written), false) => graduated(&line.id, written, start, faults),
        (None, None, false) if line.one_off.is_some() => Some(flat(Decimal::ZERO)),
        _ => {
            let what = format!(
                "line `{}` has not exactly one of price, tiers, free",
                line.id
            );
            faults.at(
                start,
                what,
                "keep one; `free = true` says that nothing is charged",
            );
            None
        }
    }
}

fn graduated(
    id: &str,
    written: &[Spanned<shape::TierShape>],
    start: usize,
    faults: &mut Faults<'_>,
) -> Option<Vec<Tier>> {
    let mut tiers = Vec::new();
    let mut whole = true;
    for tier in written {
        let price = faults.amount(&tier.get_ref().price, "price");
        let up_to = match &tier.get_ref().up_to {
            Some(text) => faults.amount(text, "up_to").map(Some),
            None => Some(None),
        };
        match (price, up_to) {
            (Some(price), Some(up_to)) => tiers.push(Tier { up_to, price }),
            _ => whole = false,
        }
    }
    if !whole {
        return None;
    }
    let (last, before) = tiers.split_last()?;
    let bounds: Option<Vec<Decimal>> = before.iter().map(|tier| tier.up_to).collect();
    let rising = bounds.is_some_and(|bounds| {
        bounds.first().is_none_or(|first| *first > Decimal::ZERO)
            && bounds.windows(2).all(|pair| pair[0] < pair[1])
    });
    if !rising || last.up_to.is_some() {
        let what = format!("the tiers of line `{id}` leave a hole or overlap");
        let instead = "write rising `up_to` in all but the last, none in the last";
        faults.at(start, what, instead);
        return None;
    }
    Some(tiers)
}

/// Faults of lines of one version against each other.
fn twice_priced(lines: &[(usize, PriceLine)], faults: &mut Faults<'_>) {
    let mut ids = BTreeSet::new();
    let mut seen: BTreeMap<(Component, Basis, &Match), &PriceLine> = BTreeMap::new();
    for (start, line) in lines {
        if !ids.insert(&line.id) {
            let what = format!("line id `{}` stands twice in one version", line.id);
            faults.at(*start, what, "give each line an id of its own");
        }
        if line.surcharge {
            continue;
        }
        let place = (line.component, line.basis, &line.matches);
        if let Some(other) = seen.insert(place, line) {
            let what = format!(
                "lines `{}` and `{}` price the same thing",
                other.id, line.id
            );
            faults.at(*start, what, "keep one, or say `surcharge = true` on one");
        }
        let both = lines.iter().find(|(_, other)| {
            other.component == line.component
                && other.basis == Basis::Running
                && line.basis == Basis::Allocated
                && !other.surcharge
        });
        if let Some((_, other)) = both {
            let what = format!(
                "`{}` is priced while running (`{}`) and while allocated (`{}`)",
                line.component.name(),
                other.id,
                line.id
            );
            faults.at(
                *start,
                what,
                "use basis \"stopped\", or say `surcharge = true`",
            );
        }
    }
}

/// Puts versions together into books: overlaps, holes, changed meanings.
pub(super) fn books(
    mut written: Vec<Written<'_>>,
    found: &mut Vec<PolicyFault>,
) -> BTreeMap<String, PriceBook> {
    written.sort_by(|a, b| (&a.id, a.version.from).cmp(&(&b.id, b.version.from)));
    for pair in written.windows(2) {
        let [earlier, later] = pair else { continue };
        if earlier.id == later.id {
            follows(earlier, later, found);
        }
    }
    let mut books: BTreeMap<String, PriceBook> = BTreeMap::new();
    for one in written {
        books
            .entry(one.id.clone())
            .or_insert_with(|| PriceBook {
                id: one.id,
                currency: one.currency,
                versions: Vec::new(),
            })
            .versions
            .push(one.version);
    }
    books
}

fn follows(earlier: &Written<'_>, later: &Written<'_>, found: &mut Vec<PolicyFault>) {
    let mut faults = Faults {
        file: later.file,
        text: later.text,
        found,
    };
    let id = &later.id;
    let from = later.version.from;
    let end = earlier.version.until;
    if from == earlier.version.from || end.is_some_and(|end| end > from) {
        let what = format!(
            "version of book `{id}` from {from} overlaps `{}`",
            earlier.file
        );
        faults.at(
            later.offset,
            what,
            "let each version start where the one before ends",
        );
    } else if let Some(end) = end.filter(|end| *end < from) {
        let what = format!("book `{id}` has a hole in its dates from {end} to {from}");
        faults.at(later.offset, what, "start it where the version before ends");
    }
    if earlier.currency != later.currency {
        let what = format!("book `{id}` changes its currency");
        faults.at(later.offset, what, "start a new book for another currency");
    }
    for line in &later.version.lines {
        let before = earlier.version.lines.iter().find(|old| old.id == line.id);
        if before.is_some_and(|old| (old.component, old.basis) != (line.component, line.basis)) {
            let what = format!(
                "line `{}` counts something else than in `{}`",
                line.id, earlier.file
            );
            faults.at(
                later.offset,
                what,
                "give the line a new id: quantities run on by id",
            );
        }
    }
}
