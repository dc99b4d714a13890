//! Pure: every command of CloudStack's API: what kind it is, what it does to cost, who would own
//! what it makes, how its answer is wrapped. The table itself is `command.tsv`.
//!
//! A class is a default: what a priced call does to cost is decided per request, in `gate/plan`.

use std::collections::HashMap;

/// How a command runs (`BaseCmd`, `BaseAsyncCmd`, `BaseAsyncCreateCmd`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Its answer is its result.
    Sync,
    /// It answers with a job.
    Async,
    /// It makes its entity first, then answers with the entity's id and a job.
    AsyncCreate,
}

/// What a command does to cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// It only reads.
    Read,
    /// It ends or closes something: never refused for money.
    Lowers,
    /// It changes nothing that is metered.
    Neutral,
    /// It can start or raise a cost.
    Raises,
}

/// A thing that already has an owner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Parent {
    /// A virtual machine.
    Vm,
    /// A volume.
    Volume,
    /// A network.
    Network,
    /// A public IP address.
    Address,
}

/// Who would own what a raising command makes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OwnerRule {
    /// Nothing is made.
    None,
    /// `projectid`, or `account` with `domainid`, else the caller.
    Params,
    /// The owner of the thing that this parameter names.
    Parent(Parent, String),
    /// The owner parameters, else the owner of `networkid` (`AssociateIPAddrCmd`).
    AddressFor,
    /// No rule yet: the call cannot be charged to anybody.
    Unclear,
}

/// Which rule prices a raising command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each is the command it prices")]
pub enum PriceRule {
    /// It starts nothing that is metered.
    Free,
    /// It raises cost and has no rule yet: refused for prepaid, never free.
    Missing,
    Deploy,
    Start,
    Scale,
    Volume,
    Resize,
    Address,
    Network,
    Snapshot,
}

/// One command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Command {
    /// Its name, in CloudStack's own case.
    pub name: String,
    /// It stands in the recorded `listApis` of 4.22; else only in the source's appendices.
    pub recorded: bool,
    /// How it runs.
    pub kind: Kind,
    /// What it does to cost.
    pub class: Class,
    /// Who would own what it makes.
    pub owner: OwnerRule,
    /// The name around its answer.
    pub wrapper: String,
    /// What prices it.
    pub price: PriceRule,
    /// Why it has this class.
    pub reason: String,
}

/// Type of a parameter in CloudStack's schema.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are those of `listApis`")]
pub enum ParamKind {
    Uuid,
    Boolean,
    Integer,
    List,
    Map,
    Text,
}

/// One parameter of a raising command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ParamSchema {
    /// Its type.
    pub kind: ParamKind,
    /// CloudStack wants it.
    pub required: bool,
    /// Bytes of its value.
    pub bytes_max: usize,
}

/// A line of the built-in tables that cannot be read: a fault of this program, not of its user.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("built-in command table, line {line}: {what}")]
pub struct TableFault {
    /// Which line, from 1.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// Every known command.
#[derive(Clone, Debug)]
pub struct CommandTable {
    by_name: HashMap<String, Command>,
    schema: HashMap<String, HashMap<String, ParamSchema>>,
}

const COMMANDS: &str = include_str!("command.tsv");
const SCHEMA: &str = include_str!("schema.tsv");

impl CommandTable {
    /// The built-in table with the classes that an operator gave to unknown commands.
    ///
    /// # Errors
    /// [`TableFault`] for a table that cannot be read; a test reads it.
    pub fn new(classes: &[(String, String)]) -> Result<Self, TableFault> {
        let mut by_name = HashMap::new();
        for (line, text) in lines(COMMANDS) {
            let fields: Vec<&str> = text.split('\t').collect();
            let command = command(&fields).ok_or_else(|| fault(line, text))?;
            by_name.insert(command.name.clone(), command);
        }
        let mut schema: HashMap<String, HashMap<String, ParamSchema>> = HashMap::new();
        for (line, text) in lines(SCHEMA) {
            let fields: Vec<&str> = text.split('\t').collect();
            let (name, param, rule) = param(&fields).ok_or_else(|| fault(line, text))?;
            schema
                .entry(name.to_owned())
                .or_default()
                .insert(param.to_owned(), rule);
        }
        for (name, class) in classes {
            let command = given(name, class).ok_or_else(|| fault(0, name))?;
            by_name.entry(name.clone()).or_insert(command);
        }
        Ok(Self { by_name, schema })
    }

    /// The command of that name, in its own case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Command> {
        self.by_name.get(name)
    }

    /// Every command, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Command> {
        self.by_name.values()
    }

    /// The schema of a command's parameter; none for an unknown name.
    #[must_use]
    pub fn param(&self, command: &str, lower: &str) -> Option<ParamSchema> {
        self.schema.get(command)?.get(lower).copied()
    }
}

fn lines(table: &str) -> impl Iterator<Item = (usize, &str)> {
    (1..)
        .zip(table.lines())
        .filter(|(_, text)| !text.starts_with('#') && !text.is_empty())
}

fn fault(line: usize, what: &str) -> TableFault {
    TableFault {
        line,
        what: what.to_owned(),
    }
}

fn command(fields: &[&str]) -> Option<Command> {
    let [name, recorded, kind, class, owner, wrapper, price, reason] = fields else {
        return None;
    };
    Some(Command {
        name: (*name).to_owned(),
        recorded: *recorded == "recorded",
        kind: match *kind {
            "sync" => Kind::Sync,
            "async" => Kind::Async,
            "async-create" => Kind::AsyncCreate,
            _ => return None,
        },
        class: class_of(class)?,
        owner: owner_of(owner)?,
        wrapper: (*wrapper).to_owned(),
        price: price_of(price)?,
        reason: (*reason).to_owned(),
    })
}

fn class_of(text: &str) -> Option<Class> {
    Some(match text {
        "read" => Class::Read,
        "lowers" => Class::Lowers,
        "neutral" => Class::Neutral,
        "raises" => Class::Raises,
        _ => return None,
    })
}

fn owner_of(text: &str) -> Option<OwnerRule> {
    Some(match text.split_once(':') {
        Some(("vm", param)) => OwnerRule::Parent(Parent::Vm, param.to_owned()),
        Some(("volume", param)) => OwnerRule::Parent(Parent::Volume, param.to_owned()),
        Some(("network", param)) => OwnerRule::Parent(Parent::Network, param.to_owned()),
        Some(("address", param)) => OwnerRule::Parent(Parent::Address, param.to_owned()),
        Some(_) => return None,
        None => match text {
            "-" => OwnerRule::None,
            "params" => OwnerRule::Params,
            "address" => OwnerRule::AddressFor,
            "unclear" => OwnerRule::Unclear,
            _ => return None,
        },
    })
}

fn price_of(text: &str) -> Option<PriceRule> {
    Some(match text {
        "free" => PriceRule::Free,
        "-" => PriceRule::Missing,
        "deploy" => PriceRule::Deploy,
        "start" => PriceRule::Start,
        "scale" => PriceRule::Scale,
        "volume" => PriceRule::Volume,
        "resize" => PriceRule::Resize,
        "ip" => PriceRule::Address,
        "network" => PriceRule::Network,
        "snapshot" => PriceRule::Snapshot,
        _ => return None,
    })
}

fn param<'a>(fields: &[&'a str]) -> Option<(&'a str, &'a str, ParamSchema)> {
    let [command, param, kind, required, bytes_max] = fields else {
        return None;
    };
    let kind = match *kind {
        "uuid" => ParamKind::Uuid,
        "boolean" => ParamKind::Boolean,
        "integer" | "long" | "short" => ParamKind::Integer,
        "list" => ParamKind::List,
        "map" => ParamKind::Map,
        "string" | "date" | "object" | "double" => ParamKind::Text,
        _ => return None,
    };
    let bytes_max = bytes_max.parse().ok()?;
    Some((
        command,
        param,
        ParamSchema {
            kind,
            required: *required == "yes",
            bytes_max,
        },
    ))
}

/// A command that only its operator knows.
fn given(name: &str, class: &str) -> Option<Command> {
    let class = class_of(class)?;
    Some(Command {
        name: name.to_owned(),
        recorded: false,
        kind: Kind::Async,
        class,
        owner: if class == Class::Raises {
            OwnerRule::Unclear
        } else {
            OwnerRule::None
        },
        wrapper: format!("{}response", name.to_ascii_lowercase()),
        price: if class == Class::Raises {
            PriceRule::Missing
        } else {
            PriceRule::Free
        },
        reason: "classed by the operator".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_table_reads_and_holds_every_recorded_command() {
        let table = CommandTable::new(&[]).unwrap();
        assert_eq!(table.iter().filter(|command| command.recorded).count(), 831);
    }

    #[test]
    fn a_raising_command_has_an_owner_rule_and_is_never_free() {
        let table = CommandTable::new(&[]).unwrap();
        for command in table
            .iter()
            .filter(|command| command.class == Class::Raises)
        {
            assert_ne!(command.owner, OwnerRule::None, "{}", command.name);
            assert_ne!(command.price, PriceRule::Free, "{}", command.name);
            assert!(!command.reason.is_empty(), "{}", command.name);
        }
    }

    #[test]
    fn only_raising_commands_are_priced() {
        let table = CommandTable::new(&[]).unwrap();
        for command in table
            .iter()
            .filter(|command| command.class != Class::Raises)
        {
            assert_eq!(command.price, PriceRule::Free, "{}", command.name);
        }
    }

    #[test]
    fn an_operator_classes_unknown_commands_but_changes_no_known_one() {
        let classes = [
            ("fooBar".to_owned(), "read".to_owned()),
            ("deployVirtualMachine".to_owned(), "read".to_owned()),
        ];
        let table = CommandTable::new(&classes).unwrap();
        assert_eq!(
            table.get("fooBar").map(|command| command.class),
            Some(Class::Read)
        );
        assert_eq!(
            table.get("deployVirtualMachine").map(|c| c.class),
            Some(Class::Raises)
        );
    }
}
