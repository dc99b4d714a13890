//! Edge: every command a real server lists: who may call it, whether it is asynchronous, its
//! parameters, its wrapper; and the answer of `listApis` from that.
//!
//! The data is a recorded `listApis` of root admin and user, without the descriptions of
//! parameters and fields.

use serde_json::{Map, Value, json};
use std::collections::HashMap;
use std::sync::OnceLock;

const DATA: &str = include_str!("data/apis.txt");
const WRAPPERS: &str = include_str!("../cloudstack/command.tsv");
const DIGITS: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Commands of `login`'s kind, which need no account and which `listApis` does not name.
const UNLISTED: [&str; 2] = ["login", "logout"];

/// Commands that a domain admin has and a user has not.
const DOMAIN_ADMIN: [&str; 30] = [
    "createAccount",
    "createDomain",
    "createUser",
    "deleteAccount",
    "deleteDomain",
    "deleteUser",
    "disableAccount",
    "disableUser",
    "enableAccount",
    "enableUser",
    "listDomainChildren",
    "listDomains",
    "listUsageRecords",
    "lockAccount",
    "lockUser",
    "updateAccount",
    "updateDomain",
    "updateResourceCount",
    "updateResourceLimit",
    "expungeVirtualMachine",
    "assignVirtualMachine",
    "addAccountToProject",
    "listNetworkServiceProviders",
    "moveUser",
    "assignVolume",
    "createServiceOffering",
    "createDiskOffering",
    "updateServiceOffering",
    "updateDiskOffering",
    "linkDomainToLdap",
];

/// A command.
#[derive(Clone, Debug)]
pub struct Command {
    /// Its name.
    pub name: &'static str,
    /// A user may call it.
    pub for_users: bool,
    /// It makes a job.
    pub is_async: bool,
    /// Version that brought it; may be empty.
    since: &'static str,
    description: &'static str,
    params: &'static str,
    fields: &'static str,
    /// The name its answers are wrapped in.
    pub wrapper: String,
}

/// A parameter.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// Letter of its type.
    kind: char,
    /// It must be there.
    pub is_required: bool,
    has_related: bool,
    /// Greatest length of its value.
    pub length: usize,
    since: &'static str,
}

impl Command {
    /// Whether an account of that type may call it.
    #[must_use]
    pub fn allowed(&self, account_type: i64) -> bool {
        match account_type {
            1 => true,
            2 => self.for_users || DOMAIN_ADMIN.contains(&self.name),
            _ => self.for_users,
        }
    }

    /// The command's name in CloudStack's error texts: the wrapper without `response`.
    #[must_use]
    pub fn short(&self) -> &str {
        self.wrapper
            .strip_suffix("response")
            .unwrap_or(&self.wrapper)
    }

    /// Its parameters.
    pub fn params(&self) -> impl Iterator<Item = Param> + use<> {
        self.params.split_ascii_whitespace().filter_map(param)
    }

    fn listed(&self, known: &Catalogue) -> Value {
        let params: Vec<Value> = self.params().map(listed_param).collect();
        let mut out = Map::new();
        out.insert("name".to_owned(), json!(self.name));
        out.insert("description".to_owned(), json!(self.description));
        if !self.since.is_empty() {
            out.insert("since".to_owned(), json!(self.since));
        }
        out.insert("isasync".to_owned(), json!(self.is_async));
        out.insert("related".to_owned(), json!(""));
        out.insert("params".to_owned(), Value::Array(params));
        let fields = self.fields.as_bytes().chunks(2);
        let fields = fields.filter_map(|pair| known.field(pair)).collect();
        out.insert("response".to_owned(), Value::Array(fields));
        Value::Object(out)
    }
}

fn param(text: &'static str) -> Option<Param> {
    let (text, since) = text.split_once('@').unwrap_or((text, ""));
    let mut parts = text.split(':');
    let name = parts.next()?;
    let kind = parts.next()?;
    let length = parts.next().and_then(|n| n.parse().ok()).unwrap_or(255);
    Some(Param {
        name,
        kind: kind.chars().next()?,
        is_required: kind.contains('!'),
        has_related: kind.contains('*'),
        length,
        since,
    })
}

fn listed_param(param: Param) -> Value {
    let kind = match param.kind {
        'h' => "short",
        'd' => "date",
        'l' => "list",
        'i' => "integer",
        'b' => "boolean",
        'm' => "map",
        'f' => "double",
        'g' => "long",
        'u' => "uuid",
        'o' => "object",
        _ => "string",
    };
    let mut out = Map::new();
    out.insert("name".to_owned(), json!(param.name));
    out.insert("description".to_owned(), json!(""));
    out.insert("type".to_owned(), json!(kind));
    out.insert("length".to_owned(), json!(param.length));
    out.insert("required".to_owned(), json!(param.is_required));
    if !param.since.is_empty() {
        out.insert("since".to_owned(), json!(param.since.replace('_', " ")));
    }
    if param.has_related {
        out.insert("related".to_owned(), json!(""));
    }
    Value::Object(out)
}

/// Every command.
#[derive(Debug)]
pub struct Catalogue {
    by_name: HashMap<&'static str, Command>,
    names: Vec<&'static str>,
    fields: Vec<&'static str>,
}

/// The catalogue.
#[must_use]
pub fn catalogue() -> &'static Catalogue {
    static READ: OnceLock<Catalogue> = OnceLock::new();
    READ.get_or_init(Catalogue::read)
}

impl Catalogue {
    fn read() -> Self {
        let wrappers: HashMap<&str, &str> = WRAPPERS
            .lines()
            .filter_map(|line| {
                let mut cells = line.split('\t');
                Some((cells.next()?, cells.nth(4)?))
            })
            .collect();
        let mut read = Self {
            by_name: HashMap::new(),
            names: Vec::new(),
            fields: Vec::new(),
        };
        for line in DATA.lines().filter(|line| !line.starts_with('#')) {
            if let Some(fields) = line.strip_prefix('!') {
                read.fields = fields.split(' ').collect();
            } else if let Some(command) = command(line, &wrappers) {
                read.names.push(command.name);
                read.by_name.insert(command.name, command);
            }
        }
        for name in UNLISTED {
            // Root admin's list names them; everybody may call them.
            if let Some(listed) = read.by_name.get_mut(name) {
                listed.for_users = true;
                continue;
            }
            let unlisted = Command {
                name,
                for_users: true,
                is_async: false,
                since: "",
                description: "",
                params: "",
                fields: "",
                wrapper: format!("{name}response"),
            };
            read.by_name.insert(name, unlisted);
        }
        read
    }

    /// The command of exactly that name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Command> {
        self.by_name.get(name)
    }

    fn field(&self, pair: &[u8]) -> Option<Value> {
        let digit = |byte: &u8| DIGITS.find(char::from(*byte));
        let place = digit(pair.first()?)? * 62 + digit(pair.get(1)?)?;
        let text = self.fields.get(place)?;
        let (name, kind) = text.split_once(':').unwrap_or((text, ""));
        let nested = kind.ends_with('+');
        let mut out = Map::new();
        if name.is_empty() {
            return Some(Value::Object(out));
        }
        out.insert("name".to_owned(), json!(name));
        out.insert("description".to_owned(), json!(""));
        out.insert("type".to_owned(), json!(kind.trim_end_matches('+')));
        if nested {
            out.insert("response".to_owned(), json!([]));
        }
        Some(Value::Object(out))
    }

    /// The items of `listApis` for an account type; all, or the one of that name.
    #[must_use]
    pub fn listed(&self, account_type: i64, name: Option<&str>) -> Vec<Value> {
        self.names
            .iter()
            .filter_map(|known| self.find(known))
            .filter(|command| command.allowed(account_type))
            .filter(|command| account_type == 1 || !UNLISTED.contains(&command.name))
            .filter(|command| name.is_none_or(|name| command.name == name))
            .map(|command| command.listed(self))
            .collect()
    }
}

fn command(line: &'static str, wrappers: &HashMap<&str, &str>) -> Option<Command> {
    let mut cells = line.split('|');
    let name = cells.next()?;
    let for_users = cells.next()? == "u";
    let is_async = cells.next()? == "a";
    let (since, description) = (cells.next()?, cells.next()?);
    let (params, fields) = (cells.next()?, cells.next()?);
    let wrapper = wrappers.get(name).map(|known| (*known).to_owned());
    let wrapper = wrapper.unwrap_or_else(|| format!("{}response", name.to_lowercase()));
    Some(Command {
        name,
        for_users,
        is_async,
        since,
        description,
        params,
        fields,
        wrapper,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_holds_what_the_recorded_server_lists() {
        assert_eq!(catalogue().listed(1, None).len(), 831);
        assert_eq!(catalogue().listed(0, None).len(), 374);
    }

    #[test]
    fn irregular_wrappers_are_known() {
        let wrapper = |name| catalogue().find(name).map(|c| c.wrapper.as_str());
        assert_eq!(wrapper("restoreVirtualMachine"), Some("restorevmresponse"));
        assert_eq!(
            wrapper("deployVirtualMachine"),
            Some("deployvirtualmachineresponse")
        );
    }
}
