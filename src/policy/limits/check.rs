//! Pure: `[[limit]]` and `[[things]]` as written → checked, or every fault at once.

use super::{CallLimit, Pace, Per, ThingLimit};
use crate::cloudstack::command::Class;
use crate::policy::customer::RuleSet;
use crate::policy::faults::Faults;
use crate::policy::shape;
use crate::policy::tariff::{Basis, Component};
use crate::terms::ids::PayerId;
use crate::terms::time::{HOUR, SECOND};
use toml::Spanned;

/// Calls of a period at most: more is no limit.
const CALLS_MAX: i64 = 1_000_000;

const CLASSES: [(&str, Class); 4] = [
    ("read", Class::Read),
    ("lowers", Class::Lowers),
    ("neutral", Class::Neutral),
    ("raises", Class::Raises),
];

/// Reads the limits of a file; the customers are known already.
pub(in crate::policy) fn read(file: &shape::File, rules: &mut RuleSet, faults: &mut Faults<'_>) {
    for written in &file.limit {
        let start = written.span().start;
        let id = &written.get_ref().id;
        taken(start, id, rules, faults);
        if let Some(limit) = call_limit(written.get_ref(), faults) {
            rules.limits.push(limit);
        }
    }
    for written in &file.things {
        let start = written.span().start;
        let id = &written.get_ref().id;
        taken(start, id, rules, faults);
        if let Some(limit) = thing_limit(written.get_ref(), rules, faults) {
            rules.things.push(limit);
        }
    }
}

/// Refusals name limits by their ids, so that each has one of its own.
fn taken(start: usize, id: &str, rules: &RuleSet, faults: &mut Faults<'_>) {
    let calls = rules.limits.iter().map(|one| &one.id);
    let things = rules.things.iter().map(|one| &one.id);
    if calls.chain(things).any(|old| old == id) {
        let what = format!("limit `{id}` is written twice");
        faults.at(start, what, "give each limit an id of its own");
    }
}

fn call_limit(shape: &shape::Limit, faults: &mut Faults<'_>) -> Option<CallLimit> {
    let per = faults.word(&shape.per, &Per::ALL);
    let class = match &shape.class {
        Some(text) => faults.word(text, &CLASSES).map(Some),
        None => Some(None),
    };
    let calls = count(&shape.calls, "calls", faults);
    let burst = match &shape.burst {
        Some(burst) => count(burst, "burst", faults),
        None => calls,
    };
    let period = faults.duration(&shape.period, "period");
    if period.is_some_and(|period| !(SECOND..=24 * HOUR).contains(&period)) {
        let what = format!("period `{}` is out of range", shape.period.get_ref());
        faults.at(shape.period.span().start, what, "write 1s to 1d");
    }
    for pattern in &shape.commands {
        let odd = |c: char| !(c.is_ascii_alphanumeric() || c == '*');
        if pattern.get_ref().is_empty() || pattern.get_ref().contains(odd) {
            let what = format!("`{}` is not a command", pattern.get_ref());
            let instead = "write a command's name; * stands for any letters";
            faults.at(pattern.span().start, what, instead);
        }
    }
    let commands = shape.commands.iter();
    Some(CallLimit {
        id: shape.id.clone(),
        per: per?,
        of: shape.of.clone(),
        commands: commands
            .map(|one| one.get_ref().to_ascii_lowercase())
            .collect(),
        class: class?,
        pace: Pace {
            calls: calls?,
            period: period?,
            burst: burst?,
        },
        reason: shape.reason.clone(),
    })
}

fn count(written: &Spanned<i64>, what: &str, faults: &mut Faults<'_>) -> Option<u32> {
    let value = *written.get_ref();
    if !(1..=CALLS_MAX).contains(&value) {
        let fault = format!("{what} = {value} is out of range");
        faults.at(written.span().start, fault, "write 1 to 1000000");
        return None;
    }
    u32::try_from(value).ok()
}

fn thing_limit(
    shape: &shape::Things,
    rules: &RuleSet,
    faults: &mut Faults<'_>,
) -> Option<ThingLimit> {
    let component = faults.word(
        &shape.component,
        &Component::ALL.map(|(component, name)| (name, component)),
    );
    let bases = [("allocated", Basis::Allocated), ("running", Basis::Running)];
    let basis = match &shape.basis {
        Some(text) => faults.word(text, &bases),
        None => Some(Basis::Allocated),
    };
    let payer = shape.payer.as_ref().map(|text| {
        let id = PayerId::from(text.get_ref().as_str());
        if !rules.customers.contains_key(&id) {
            let what = format!("payer `{id}` is not a customer");
            faults.at(text.span().start, what, "write the id of a [[customer]]");
        }
        id
    });
    let component = component?;
    if component.is_amount() {
        let what = format!("`{}` is used up and not had", shape.component.get_ref());
        faults.at(
            shape.component.span().start,
            what,
            "name something that lasts; bound spending with [[caps]]",
        );
    }
    if let (Some(text), false) = (&shape.basis, component.is_of_vm()) {
        let what = format!("`{}` has no basis", shape.component.get_ref());
        faults.at(text.span().start, what, "leave `basis` out");
    }
    let written = *shape.most.get_ref();
    let most = written.checked_mul(component.divisor());
    if written < 0 || most.is_none() {
        let what = format!("most = {written} is out of range");
        faults.at(shape.most.span().start, what, "write nothing or more");
    }
    Some(ThingLimit {
        id: shape.id.clone(),
        payer,
        component,
        basis: basis?,
        zone: shape.zone.as_ref().map(|id| id.to_ascii_lowercase()),
        most: most?,
        written: written.to_string(),
        reason: shape.reason.clone(),
    })
}
