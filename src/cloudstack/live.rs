//! Pure: what a running server's `listApis` says of its commands, held against the table: what is
//! new, what is gone, what runs otherwise, which parameters of priced calls are unknown here.

use super::command::{Class, Command, CommandTable, Kind, ParamKind};
use super::tree::Node;
use std::collections::BTreeMap;
use std::fmt;

/// One command of the running server.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveCommand {
    /// Its name.
    pub name: String,
    /// Whether it answers with a job.
    pub is_async: bool,
    /// Its parameters in lower case, each with CloudStack's name for its type.
    pub params: Vec<(String, String)>,
}

/// One way in which a running server differs from the table.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Difference {
    /// A command that the table does not know.
    New {
        /// Its name.
        command: String,
        /// Whether it answers with a job.
        is_async: bool,
    },
    /// A command of the recorded table that the server does not have.
    Gone {
        /// Its name.
        command: String,
    },
    /// A command that answers with a job where the table says that it does not, or the other way.
    Otherwise {
        /// Its name.
        command: String,
        /// What the server says.
        is_async: bool,
    },
    /// A parameter of a priced command that its schema does not know, or of another type.
    Parameter {
        /// The command.
        command: String,
        /// The parameter in lower case.
        param: String,
        /// Its type as the server says.
        kind: String,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = |is_async: &bool| {
            if *is_async {
                "asynchronous"
            } else {
                "synchronous"
            }
        };
        match self {
            Self::New { command, is_async } if is_read(command, *is_async) => {
                write!(f, "new        {command} is a list: it is forwarded")
            }
            Self::New { command, is_async } => write!(
                f,
                "new        {command} ({}) is refused with 432 until [commands] gives it a class",
                kind(is_async)
            ),
            Self::Gone { command } => write!(f, "gone       {command}"),
            Self::Otherwise { command, is_async } => {
                write!(f, "otherwise  {command} is {} there", kind(is_async))
            }
            Self::Parameter {
                command,
                param,
                kind,
            } => write!(
                f,
                "parameter  {param} ({kind}) of {command} is refused with 431: it is not priced"
            ),
        }
    }
}

/// The commands of a `listApis` answer, in the order of their names.
#[must_use]
pub fn read(answer: &Node) -> Vec<LiveCommand> {
    let apis = answer.all("api").filter_map(|api| {
        let params = api.all("params").filter_map(|param| {
            let name = param.text_of("name")?.to_ascii_lowercase();
            Some((name, param.text_of("type").unwrap_or("string").to_owned()))
        });
        Some(LiveCommand {
            name: api.text_of("name")?.to_owned(),
            is_async: api.text_of("isasync") == Some("true"),
            params: params.collect(),
        })
    });
    let by_name: BTreeMap<String, LiveCommand> = apis.map(|api| (api.name.clone(), api)).collect();
    by_name.into_values().collect()
}

/// Every difference, the kinds in the order of [`Difference`], each by name.
#[must_use]
pub fn compare(table: &CommandTable, live: &[LiveCommand]) -> Vec<Difference> {
    let mut found = Vec::new();
    for api in live {
        let command = api.name.clone();
        match table.get(&api.name) {
            None => found.push(Difference::New {
                command,
                is_async: api.is_async,
            }),
            Some(known) => {
                if (known.kind != Kind::Sync) != api.is_async {
                    found.push(Difference::Otherwise {
                        command,
                        is_async: api.is_async,
                    });
                }
                found.extend(parameters(table, known, api));
            }
        }
    }
    for known in table
        .iter()
        .filter(|known| known.recorded && !known.no_login)
    {
        if !live.iter().any(|api| api.name == known.name) {
            let command = known.name.clone();
            found.push(Difference::Gone { command });
        }
    }
    found.sort();
    found
}

fn parameters(table: &CommandTable, known: &Command, api: &LiveCommand) -> Vec<Difference> {
    if known.class != Class::Raises && known.raises_if.is_empty() {
        return Vec::new();
    }
    let unlike = |(param, kind): &&(String, String)| {
        let schema = table.param(&known.name, param);
        schema.map(|schema| schema.kind) != ParamKind::named(kind)
    };
    let differ = api.params.iter().filter(unlike);
    differ
        .map(|(param, kind)| Difference::Parameter {
            command: known.name.clone(),
            param: param.clone(),
            kind: kind.clone(),
        })
        .collect()
}

/// A list that only reads: what the gate forwards without a class.
fn is_read(name: &str, is_async: bool) -> bool {
    name.starts_with("list") && !is_async
}

/// The snapshot that `serve` reads: a line a command, its name and kind by a tab.
#[must_use]
pub fn to_snapshot(live: &[LiveCommand]) -> String {
    let mut text = String::from("# Commands of the management server, by `faregate check`.\n");
    for api in live {
        let kind = if api.is_async { "async" } else { "sync" };
        text.push_str(&api.name);
        text.push('\t');
        text.push_str(kind);
        text.push('\n');
    }
    text
}

/// Names and kinds of a snapshot.
///
/// # Errors
/// The first line (from 1) that is not one.
pub fn from_snapshot(text: &str) -> Result<Vec<(String, bool)>, usize> {
    let mut apis = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        if text.starts_with('#') || text.is_empty() {
            continue;
        }
        match text.split_once('\t') {
            Some((name, kind @ ("async" | "sync"))) if !name.is_empty() => {
                apis.push((name.to_owned(), kind == "async"));
            }
            _ => return Err(line),
        }
    }
    Ok(apis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_reads_back_as_it_was_written() {
        let api = |name: &str, is_async| LiveCommand {
            name: name.to_owned(),
            is_async,
            params: Vec::new(),
        };
        let text = to_snapshot(&[api("a", true), api("b", false)]);
        let expected = vec![("a".to_owned(), true), ("b".to_owned(), false)];
        assert_eq!(from_snapshot(&text), Ok(expected));
        assert_eq!(from_snapshot("# x\nlistZones\tsometimes\n"), Err(2));
    }
}
