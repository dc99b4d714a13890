//! Pure: `[[caps]]` as written → checked, or every fault at once.

use super::{CapPeriod, Level, SpendCap};
use crate::policy::customer::{RuleSet, Seller};
use crate::policy::faults::Faults;
use crate::policy::shape;
use crate::terms::ids::SellerId;
use crate::terms::money::charge_to_micros;
use toml::Spanned;

/// Reads the caps of a file; sellers, customers and limits are known already.
pub(in crate::policy) fn read(file: &shape::File, rules: &mut RuleSet, faults: &mut Faults<'_>) {
    for written in &file.caps {
        let start = written.span().start;
        if let Some(cap) = cap(written, rules, faults) {
            judge(start, &cap, rules, faults);
            rules.caps.push(cap);
        }
    }
}

fn cap(
    written: &Spanned<shape::Cap>,
    rules: &RuleSet,
    faults: &mut Faults<'_>,
) -> Option<SpendCap> {
    let start = written.span().start;
    let shape = written.get_ref();
    let per = faults.word(&shape.per, &Level::ALL);
    let period = faults.word(&shape.period, &CapPeriod::ALL);
    let most = faults.amount(&shape.amount, "amount").map(charge_to_micros);
    if let Some(Err(_)) = &most {
        let what = format!("amount `{}` is out of range", shape.amount.get_ref());
        faults.at(shape.amount.span().start, what, "write a smaller amount");
    }
    let seller = seller(start, shape, rules, faults);
    let (per, seller) = (per?, seller?);
    Some(SpendCap {
        id: shape.id.clone(),
        per,
        of: shape.of.as_ref().map(|of| match per {
            Level::Key | Level::Reseller => of.get_ref().clone(),
            _ => of.get_ref().to_ascii_lowercase(),
        }),
        most: most?.ok()?,
        currency: seller.currency,
        period: period?,
        zone: seller.zone.clone(),
        reason: shape.reason.clone(),
        stops: shape.stops,
    })
}

/// Whose zone and currency it has: the seller that is named, the reseller that it is for, or the
/// only one.
fn seller<'a>(
    start: usize,
    shape: &shape::Cap,
    rules: &'a RuleSet,
    faults: &mut Faults<'_>,
) -> Option<&'a Seller> {
    let for_reseller = shape.per.get_ref() == Level::Reseller.name();
    if let (true, Some(of)) = (for_reseller, &shape.of) {
        let reseller = rules.sellers.get(&SellerId::from(of.get_ref().as_str()));
        if reseller.is_none_or(|one| one.wholesale.is_none()) {
            let what = format!("`{}` is not a reseller", of.get_ref());
            let instead = "write the id of a [[seller]] with `wholesale`";
            faults.at(of.span().start, what, instead);
            return None;
        }
    }
    let named = shape.seller.as_ref();
    let named = named.or(shape.of.as_ref().filter(|_| for_reseller));
    let Some(named) = named else {
        let mut all = rules.sellers.values();
        let only = all.next().filter(|_| all.next().is_none());
        if only.is_none() {
            let what = format!("cap `{}` has no seller", shape.id);
            let instead = "write `seller`: the period and the currency are his";
            faults.at(start, what, instead);
        }
        return only;
    };
    let found = rules.sellers.get(&SellerId::from(named.get_ref().as_str()));
    if found.is_none() {
        let what = format!("seller `{}` is not known", named.get_ref());
        faults.at(named.span().start, what, "write the id of a [[seller]]");
    }
    found
}

fn judge(start: usize, cap: &SpendCap, rules: &RuleSet, faults: &mut Faults<'_>) {
    let id = &cap.id;
    if id.contains('/') || id.is_empty() {
        let what = format!("`{id}` cannot be the id of a cap");
        faults.at(start, what, "write a word without `/`");
    }
    let limits = rules.limits.iter().map(|one| &one.id);
    let things = rules.things.iter().map(|one| &one.id);
    let caps = rules.caps.iter().map(|one| &one.id);
    if limits.chain(things).chain(caps).any(|old| old == id) {
        let what = format!("the id `{id}` is taken by another limit or cap");
        faults.at(start, what, "give each an id of its own: refusals name it");
    }
    let alike = |old: &&SpendCap| {
        (old.per, &old.of, old.period, old.currency) == (cap.per, &cap.of, cap.period, cap.currency)
    };
    if let Some(old) = rules.caps.iter().find(alike) {
        let what = format!("caps `{}` and `{id}` count the same", old.id);
        faults.at(start, what, "keep one");
    }
}
