//! Pure: every command of CloudStack's API: what kind it is, what it does to cost, who would own
//! what it makes, how its answer is wrapped. The table itself is `command.tsv`.
//!
//! A class is a default. Some commands raise only with certain parameters: [`Command::judged`]
//! says so. What a priced call does to cost is decided per request, in `gate/plan`.

mod parent;
mod price;

use super::query::ParamMap;
use std::collections::HashMap;

pub use parent::{Listing, Parent};
pub use price::PriceRule;

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

/// Who would own what a raising command makes, and whose a lowering one ends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OwnerRule {
    /// Nothing is made.
    None,
    /// The caller, whatever the parameters say.
    Caller,
    /// `projectid`, or `account` with `domainid`, else the caller.
    Params,
    /// The owner of the thing that this parameter names.
    Parent(Parent, String),
    /// The owner parameters, else the owner of `networkid` (`AssociateIPAddrCmd`).
    AddressFor,
    /// The owner parameters, else the owner of the thing that the first of these names.
    ParamsElse(Vec<(Parent, String)>),
    /// From the thing's owner to the one that the owner parameters name.
    Moves(Parent, String),
    /// No rule yet: the call cannot be charged to anybody.
    Unclear,
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
    /// What prices it where it raises.
    pub price: PriceRule,
    /// Why it has this class, or no price.
    pub reason: String,
    /// Parameters (lower case, a map by its name alone) with which it raises cost whatever its
    /// class.
    pub raises_if: Vec<String>,
    /// It runs without credentials.
    pub no_login: bool,
    /// It opens, switches or closes a session.
    pub session: bool,
    /// It changes a key, or whether one may be used.
    pub drops_key: bool,
}

impl Command {
    /// Its class and price rule with these parameters.
    #[must_use]
    pub fn judged(&self, params: &ParamMap) -> (Class, PriceRule) {
        let raises = params.iter().any(|(lower, _)| {
            let base = lower.split(['[', '.']).next().unwrap_or(lower);
            self.raises_if.iter().any(|name| name == base)
        });
        match (raises, self.class) {
            (true, _) => (Class::Raises, self.price),
            (false, Class::Raises) => (self.class, self.price),
            (false, class) => (class, PriceRule::Free),
        }
    }
}

/// What the table says of a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Known<'t> {
    /// A command.
    Command(&'t Command),
    /// Not in the table, but a list that the running server says is synchronous: forwarded.
    LiveList,
    /// Nothing is known: refused until the operator gives it a class.
    No,
}

/// Where the running server runs a command otherwise than the table says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Drift {
    /// The command.
    pub command: String,
    /// Whether the running server says that it is asynchronous.
    pub live_async: bool,
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

impl ParamKind {
    /// The type under CloudStack's own name for it.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        Some(match text {
            "uuid" => Self::Uuid,
            "boolean" => Self::Boolean,
            "integer" | "long" | "short" => Self::Integer,
            "list" => Self::List,
            "map" => Self::Map,
            "string" | "date" | "object" | "double" => Self::Text,
            _ => return None,
        })
    }
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
    live: HashMap<String, bool>,
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
            if by_name.insert(command.name.clone(), command).is_some() {
                return Err(fault(line, text));
            }
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
        Ok(Self {
            by_name,
            schema,
            live: HashMap::new(),
        })
    }

    /// The command of that name, in its own case.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Command> {
        self.by_name.get(name)
    }

    /// What is known of a name. The prefix `list` alone is no promise, since some lists switch or
    /// create; what the running server's plugins bring is known by [`CommandTable::learn_live`].
    #[must_use]
    pub fn resolve(&self, name: &str) -> Known<'_> {
        match self.by_name.get(name) {
            Some(command) => Known::Command(command),
            None if name.starts_with("list") && self.live.get(name) == Some(&false) => {
                Known::LiveList
            }
            None => Known::No,
        }
    }

    /// The name around a command's answer; around that to an unknown one it is `errorresponse`
    /// (`ApiServer.handleRequest`).
    #[must_use]
    pub fn wrapper(&self, name: &str) -> String {
        match self.resolve(name) {
            Known::Command(command) => command.wrapper.clone(),
            Known::LiveList => default_wrapper(name),
            Known::No => "errorresponse".to_owned(),
        }
    }

    /// Takes what the running server's `listApis` says: each name and whether it is asynchronous.
    /// Tells where that differs from the table, in the order of names.
    pub fn learn_live(&mut self, apis: impl IntoIterator<Item = (String, bool)>) -> Vec<Drift> {
        self.live = apis.into_iter().collect();
        let live = self.live.iter();
        let mut drifts: Vec<Drift> = live
            .filter(|(name, live_async)| {
                let known = self.by_name.get(*name);
                known.is_some_and(|known| (known.kind != Kind::Sync) != **live_async)
            })
            .map(|(name, live_async)| Drift {
                command: name.clone(),
                live_async: *live_async,
            })
            .collect();
        drifts.sort_by(|one, other| one.command.cmp(&other.command));
        drifts
    }

    /// Every command, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Command> {
        self.by_name.values()
    }

    /// Every parameter of a command that the schema knows: all of a command that can raise, else
    /// those that may be long.
    pub fn params(&self, command: &str) -> impl Iterator<Item = (&str, ParamSchema)> {
        let of = self.schema.get(command).into_iter().flatten();
        of.map(|(name, schema)| (name.as_str(), *schema))
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
    let [
        name,
        kind,
        class,
        raises_if,
        owner,
        wrapper,
        price,
        flags,
        reason,
    ] = fields
    else {
        return None;
    };
    let flags = list(flags);
    let known = ["not-recorded", "no-login", "session", "drops-key"];
    if !flags.iter().all(|flag| known.contains(&flag.as_str())) {
        return None;
    }
    let has = |wanted: &str| flags.iter().any(|flag| flag == wanted);
    Some(Command {
        name: (*name).to_owned(),
        recorded: !has("not-recorded"),
        kind: match *kind {
            "sync" => Kind::Sync,
            "async" => Kind::Async,
            "async-create" => Kind::AsyncCreate,
            _ => return None,
        },
        class: class_of(class)?,
        owner: owner_of(owner)?,
        wrapper: (*wrapper).to_owned(),
        price: PriceRule::named(price)?,
        reason: (*reason).to_owned(),
        raises_if: list(raises_if),
        no_login: has("no-login"),
        session: has("session"),
        drops_key: has("drops-key"),
    })
}

fn list(field: &str) -> Vec<String> {
    match field {
        "-" => Vec::new(),
        some => some.split(',').map(str::to_owned).collect(),
    }
}

/// `BaseCmd.getResponseNameByClass`.
fn default_wrapper(name: &str) -> String {
    format!("{}response", name.to_ascii_lowercase())
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
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    Some(match word {
        "-" => OwnerRule::None,
        "caller" => OwnerRule::Caller,
        "named" => OwnerRule::Params,
        "address" => OwnerRule::AddressFor,
        "of" => {
            let (parent, param) = parent_of(rest)?;
            OwnerRule::Parent(parent, param)
        }
        "named-else" => {
            OwnerRule::ParamsElse(rest.split(',').map(parent_of).collect::<Option<_>>()?)
        }
        "moves" => {
            let (parent, param) = parent_of(rest)?;
            OwnerRule::Moves(parent, param)
        }
        "unclear" => OwnerRule::Unclear,
        _ => return None,
    })
}

fn parent_of(text: &str) -> Option<(Parent, String)> {
    let (kind, param) = text.split_once('=')?;
    Some((Parent::named(kind)?, param.to_owned()))
}

fn param<'a>(fields: &[&'a str]) -> Option<(&'a str, &'a str, ParamSchema)> {
    let [command, param, kind, required, bytes_max] = fields else {
        return None;
    };
    let kind = ParamKind::named(kind)?;
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
        wrapper: default_wrapper(name),
        price: if class == Class::Raises {
            PriceRule::Missing
        } else {
            PriceRule::Free
        },
        reason: "classed by the operator".to_owned(),
        raises_if: Vec::new(),
        no_login: false,
        session: false,
        drops_key: false,
    })
}

#[cfg(test)]
mod tests;
