//! Edge: the command table against what a running CloudStack 4.22 printed of itself.

use faregate::cloudstack::command::{
    Class, CommandTable, Kind, OwnerRule, ParamKind, Parent, PriceRule,
};
use std::collections::{BTreeMap, BTreeSet};

struct Recorded {
    is_async: bool,
    /// Name, type, required, length.
    params: Vec<(String, String, bool, usize)>,
}

fn lines(file: &str) -> Vec<String> {
    let root = env!("CARGO_MANIFEST_DIR");
    let text = std::fs::read_to_string(format!("{root}/tests/fixtures/cloudstack/{file}")).unwrap();
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

fn catalogue() -> BTreeMap<String, Recorded> {
    let read = |line: String| {
        let mut fields = line.split('\t');
        let name = fields.next().unwrap().to_owned();
        let is_async = fields.next() == Some("async");
        let params = fields
            .next()
            .unwrap()
            .split(',')
            .filter(|one| !one.is_empty());
        let params = params
            .map(|param| {
                let of: Vec<&str> = param.split(':').collect();
                let required = of[2] == "yes";
                (
                    of[0].to_owned(),
                    of[1].to_owned(),
                    required,
                    of[3].parse().unwrap(),
                )
            })
            .collect();
        (name, Recorded { is_async, params })
    };
    lines("catalogue.tsv").into_iter().map(read).collect()
}

fn table() -> CommandTable {
    CommandTable::new(&[]).unwrap()
}

#[test]
fn the_table_holds_exactly_the_recorded_commands_and_their_kind() {
    let recorded = catalogue();
    assert_eq!(recorded.len(), 831);
    let table = table();
    let held: BTreeSet<&str> = table
        .iter()
        .filter(|one| one.recorded)
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(held, recorded.keys().map(String::as_str).collect());
    for (name, recorded) in &recorded {
        let is_async = table.get(name).unwrap().kind != Kind::Sync;
        assert_eq!(is_async, recorded.is_async, "{name}");
    }
}

#[test]
fn every_recorded_answer_has_the_name_that_the_table_says() {
    let table = table();
    let recorded = lines("wrappers.tsv");
    assert!(recorded.len() > 130, "{}", recorded.len());
    for line in recorded {
        let (command, wrapper) = line.split_once('\t').unwrap();
        assert_eq!(table.wrapper(command), wrapper, "{command}");
    }
}

#[test]
fn the_schema_of_what_can_raise_is_the_recorded_one() {
    let (recorded, table) = (catalogue(), table());
    for command in table.iter().filter(|one| one.recorded) {
        if command.class != Class::Raises && command.raises_if.is_empty() {
            continue;
        }
        let params = &recorded[&command.name].params;
        let known: BTreeSet<&str> = table.params(&command.name).map(|(name, _)| name).collect();
        let printed: BTreeSet<String> = params
            .iter()
            .map(|(name, ..)| name.to_ascii_lowercase())
            .collect();
        assert_eq!(
            known,
            printed.iter().map(String::as_str).collect(),
            "{}",
            command.name
        );
        for (name, kind, required, length) in params {
            let schema = table
                .param(&command.name, &name.to_ascii_lowercase())
                .unwrap();
            let expected = match kind.as_str() {
                "uuid" => ParamKind::Uuid,
                "boolean" => ParamKind::Boolean,
                "integer" | "long" | "short" => ParamKind::Integer,
                "list" => ParamKind::List,
                "map" => ParamKind::Map,
                _ => ParamKind::Text,
            };
            assert_eq!(
                (schema.kind, schema.required),
                (expected, *required),
                "{name}"
            );
            assert!(schema.bytes_max >= *length, "{} {name}", command.name);
        }
    }
}

#[test]
fn a_long_parameter_of_any_command_is_in_the_schema() {
    let (recorded, table) = (catalogue(), table());
    for (command, recorded) in &recorded {
        for (name, kind, _, length) in &recorded.params {
            if *length > 255 || kind == "list" {
                let schema = table.param(command, &name.to_ascii_lowercase());
                assert!(
                    schema.is_some_and(|one| one.bytes_max >= *length),
                    "{command} {name}"
                );
            }
        }
    }
}

#[test]
fn every_parameter_that_a_rule_names_is_one_of_its_command() {
    let (recorded, table) = (catalogue(), table());
    for command in table.iter().filter(|one| one.recorded) {
        let named: Vec<&String> = match &command.owner {
            OwnerRule::Parent(_, param) | OwnerRule::Moves(_, param) => vec![param],
            OwnerRule::ParamsElse(parents) => parents.iter().map(|(_, param)| param).collect(),
            _ => Vec::new(),
        };
        let params = &recorded[&command.name].params;
        for wanted in named.into_iter().chain(&command.raises_if) {
            let there = params
                .iter()
                .any(|(name, ..)| name.eq_ignore_ascii_case(wanted));
            assert!(there, "{} {wanted}", command.name);
        }
    }
}

#[test]
fn every_list_that_finds_an_owner_is_a_recorded_read() {
    let (recorded, table) = (catalogue(), table());
    for command in table.iter() {
        let OwnerRule::Parent(parent, _) = &command.owner else {
            continue;
        };
        let listing = Parent::listing(*parent);
        assert_eq!(
            table.get(listing.command).unwrap().class,
            Class::Read,
            "{parent:?}"
        );
        let params = &recorded[listing.command].params;
        assert!(
            params.iter().any(|(name, ..)| name == listing.by),
            "{parent:?}"
        );
    }
}

/// What can raise cost has a rule that prices it, and every rule has a command that needs it: the
/// table is whole, and nothing is left to be refused for want of a price.
#[test]
fn every_command_that_can_raise_has_a_price_rule_and_a_reason() {
    let table = table();
    let mut used = BTreeSet::new();
    for command in table.iter() {
        let can_raise = command.class == Class::Raises || !command.raises_if.is_empty();
        assert_ne!(command.price, PriceRule::Missing, "{}", command.name);
        let is_priced = command.price != PriceRule::Free;
        assert_eq!(can_raise, is_priced, "{}", command.name);
        assert!(
            command.reason.len() > 7,
            "{}: {}",
            command.name,
            command.reason
        );
        used.insert(command.price);
    }
    let rules = PriceRule::ALL.iter().map(|(_, rule)| *rule);
    let unused: Vec<PriceRule> = rules.filter(|rule| !used.contains(rule)).collect();
    assert_eq!(unused, [PriceRule::Missing]);
}

/// A priced call is typed by the schema: a command without one would refuse every parameter.
#[test]
fn every_command_that_can_raise_has_a_schema() {
    let table = table();
    for command in table.iter() {
        if command.class == Class::Raises || !command.raises_if.is_empty() {
            assert!(table.params(&command.name).count() > 0, "{}", command.name);
        }
    }
}
