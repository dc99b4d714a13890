//! Edge: a call that names what is not there, or what the caller may not act for: the facts that
//! are missing are filled with the dearest that they could be, in the prices of the caller's own
//! payer.

use super::dearest;
use super::line::Gate;
use super::plan::{self, Facts, Plan, Question};
use super::refusal::Refusal;
use super::reserve;
use super::whose::Whose;
use crate::cloudstack::command::Command;
use crate::cloudstack::query::ParamMap;
use crate::cloudstack::tree::Node;
use crate::policy::customer::RuleSet;
use crate::rate::Planned;
use crate::terms::ids::PayerId;
use crate::terms::money::Micros;
use crate::terms::quantity::UnitMicros;
use crate::terms::time::Timestamp;

/// A group that is not known has a profile, that an offering and networks that are not known.
const ROUNDS_MAX: usize = 5;

/// The plan of such a call: what is not the caller's is as unknown to it as what is not there,
/// and nothing that runs already is taken off its price.
///
/// # Errors
/// [`Refusal::CannotAsk`]; [`Refusal::Parameter`] where nothing of the kind exists.
pub(super) async fn plan(
    gate: &Gate,
    payer: &PayerId,
    command: &Command,
    params: &ParamMap,
    (mut facts, whose): (Facts, &Whose),
    now: Timestamp,
) -> Result<Option<Plan>, Refusal> {
    for question in &whose.foreign {
        facts.remove(question);
    }
    let rules = gate.rules.load_full();
    for _ in 0..ROUNDS_MAX {
        let missing = missing(command, params, &facts);
        if missing.is_empty() {
            break;
        }
        let catalogue = gate.asker.catalogue().await;
        let catalogue = catalogue.map_err(|fault| Refusal::CannotAsk(fault.what))?;
        let zones = zones(&rules, payer, now);
        for question in missing {
            let could_be = dearest::stand_ins(question.0, &catalogue, params, &zones);
            let found = dearest_of(&rules, payer, could_be, now);
            let found = found.ok_or_else(|| nothing(params, &question))?;
            facts.insert(question, found);
        }
    }
    let plan = plan::plan(command.price, &command.name, params, &facts)?;
    Ok(plan.map(|plan| Plan {
        before: Vec::new(),
        // Nothing is kept for long against somebody who may not be the payer.
        rules: Vec::new(),
        ..plan
    }))
}

fn missing(command: &Command, params: &ParamMap, facts: &Facts) -> Vec<Question> {
    let mut wanted = plan::needs(command.price, params);
    wanted.extend(plan::more(command.price, params, facts));
    wanted.retain(|question| !facts.contains_key(question));
    wanted
}

/// Zones that the payer's prices tell apart.
fn zones(rules: &RuleSet, payer: &PayerId, now: Timestamp) -> Vec<String> {
    let version = rules.book_of(payer).and_then(|book| book.at(now));
    let lines = version.map(|version| version.lines.as_slice());
    let mut zones: Vec<String> = lines
        .unwrap_or_default()
        .iter()
        .filter_map(|line| line.matches.zone.clone())
        .collect();
    zones.sort();
    zones.dedup();
    zones
}

/// The one with the highest price.
fn dearest_of(
    rules: &RuleSet,
    payer: &PayerId,
    could_be: Vec<(Node, Vec<Planned>)>,
    now: Timestamp,
) -> Option<Node> {
    let price = |after: &[Planned]| {
        let plan = Plan {
            after: after.to_vec(),
            ..Plan::default()
        };
        let priced = reserve::price(rules, payer, &plan, |_| UnitMicros::default(), now);
        priced.map_or(Micros::ZERO, |priced| priced.total)
    };
    let found = could_be.into_iter().max_by_key(|(_, after)| price(after));
    found.map(|(node, _)| node)
}

fn nothing(params: &ParamMap, (_, id): &Question) -> Refusal {
    let named = params.iter().find(|(_, param)| {
        let mut items = param.value.split(',');
        items.any(|item| item.eq_ignore_ascii_case(id))
    });
    Refusal::Parameter {
        name: named.map_or_else(|| "id".to_owned(), |(_, param)| param.name.clone()),
        what: format!("names `{id}`, which is not there"),
    }
}
