//! Edge: what the stand-in remembers, and its file: one JSON snapshot, replaced as a whole.
//!
//! Objects are kept in the very form that the API shows, so that a list is a filter. What the
//! commands do with them is the business of their own files.

use super::answer::{Refused, parameter_value};
use crate::clock::Clock;
use crate::cloudstack::{query::ParamMap, time};
use crate::terms::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::Path;

/// Recorded objects of a real server, whose fields new objects take over.
const SHAPES: &str = include_str!("shapes.json");

/// The fields of an object as the API shows them, in order.
pub type Fields = Map<String, Value>;

/// One object and who owns it.
#[derive(Clone, Serialize, Deserialize, Debug, Default)]
pub struct Thing {
    /// What the API shows.
    pub shown: Fields,
    /// Id of the account that owns it; empty for what belongs to the cloud.
    pub account: String,
    /// It is no longer listed.
    #[serde(default)]
    pub removed: bool,
}

/// An asynchronous job.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub struct Job {
    /// What `queryAsyncJobResult` shows.
    pub shown: Fields,
    /// The command.
    pub command: String,
    /// Its parameters by lower-case name.
    pub params: BTreeMap<String, String>,
    /// Account that asked.
    pub account: String,
    /// Id of the object it works on.
    pub instance: String,
}

/// Keys and password of a user.
#[derive(Clone, Serialize, Deserialize, Debug, Default)]
pub struct Secrets {
    /// `apikey`.
    pub api_key: String,
    /// `secretkey`.
    pub secret: String,
    /// Password for `login`.
    pub password: String,
}

/// Everything.
#[derive(Serialize, Deserialize, Debug, Default)]
pub struct State {
    /// Objects by kind (`virtualmachine`, `volume` …), oldest first.
    pub things: BTreeMap<String, Vec<Thing>>,
    /// Secrets by user id.
    pub secrets: BTreeMap<String, Secrets>,
    /// Limits set by account id and resource type; -1 for none.
    pub limits: BTreeMap<String, BTreeMap<u8, i64>>,
    /// Jobs, oldest first.
    pub jobs: Vec<Job>,
    /// Events as the API shows them, with their account's id in front.
    pub events: Vec<(String, Fields)>,
    /// Usage events, as `usage_log.rs` writes them.
    pub usage: Vec<Value>,
    /// Faults switched on: name to how often they still strike (`slow`: milliseconds).
    pub faults: BTreeMap<String, u64>,
    /// Addresses, MACs and instance names handed out.
    pub numbers: u64,
    /// Live sessions: session id to (session key, user id).
    #[serde(skip)]
    pub sessions: BTreeMap<String, (String, String)>,
}

/// Text of a field; empty where there is none.
#[must_use]
pub fn text<'a>(fields: &'a Fields, name: &str) -> &'a str {
    fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A recorded object; empty where there is none of that name.
#[must_use]
pub fn shape(name: &str) -> Value {
    let shapes: Value = serde_json::from_str(SHAPES).unwrap_or_default();
    shapes.get(name).cloned().unwrap_or_default()
}

/// The fields of a recorded object.
#[must_use]
pub fn fields(name: &str) -> Fields {
    match shape(name) {
        Value::Object(fields) => fields,
        _ => Fields::new(),
    }
}

/// Sets fields, keeping the place of those that are there.
pub fn set(fields: &mut Fields, values: &[(&str, Value)]) {
    for (name, value) in values {
        fields.insert((*name).to_owned(), value.clone());
    }
}

impl State {
    /// The state in the folder's file, or a fresh one.
    ///
    /// # Errors
    /// What the system says, or what is wrong with the file.
    pub fn open(folder: &Path, clock: &Clock) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let file = folder.join("sandbox.json");
        if file.exists() {
            let bytes = std::fs::read(file)?;
            return serde_json::from_slice(&bytes).map_err(std::io::Error::other);
        }
        let state = Self::fresh(clock);
        let admin = state.secrets.values().next().cloned().unwrap_or_default();
        let keys = json!({"api_key": admin.api_key, "secret": admin.secret});
        replace(&folder.join("admin.json"), keys.to_string().as_bytes())?;
        state.save(folder)?;
        Ok(state)
    }

    /// Writes the snapshot so that no reader ever sees half of it.
    ///
    /// # Errors
    /// What the system says.
    pub fn save(&self, folder: &Path) -> std::io::Result<()> {
        let bytes = serde_json::to_vec(self).map_err(std::io::Error::other)?;
        replace(&folder.join("sandbox.json"), &bytes)
    }

    /// A cloud with a zone, offerings, a template, the domain ROOT and its admin.
    fn fresh(clock: &Clock) -> Self {
        let mut state = Self::default();
        let lists = [
            "serviceoffering",
            "diskoffering",
            "networkoffering",
            "template",
        ];
        state.put("zone", "", fields("zone"));
        for kind in lists {
            if let Value::Array(items) = shape(kind) {
                for item in items {
                    if let Value::Object(fields) = item {
                        state.put(kind, "", fields);
                    }
                }
            }
        }
        let now = json!(time::print(clock.billing()));
        let mut root = fields("domain");
        root.remove("parentdomainid");
        root.remove("parentdomainname");
        let id = clock.random_uuid();
        set(
            &mut root,
            &[
                ("id", json!(id)),
                ("name", json!("ROOT")),
                ("level", json!(0)),
            ],
        );
        set(&mut root, &[("path", json!("ROOT")), ("created", now)]);
        state.put("domain", "", root);
        let admin = super::identity::NewAccount {
            name: "admin",
            kind: 1,
            domain: &id,
            user: "admin",
            password: "",
            names: ["Admin", "User", "admin@example.org"],
        };
        let user = super::identity::add_account(&mut state, clock, &admin);
        super::identity::new_keys(&mut state, clock, &user);
        state
    }

    /// Adds an object.
    pub fn put(&mut self, kind: &str, account: &str, shown: Fields) {
        let thing = Thing {
            shown,
            account: account.to_owned(),
            removed: false,
        };
        self.things.entry(kind.to_owned()).or_default().push(thing);
    }

    /// Every object of a kind that is still there.
    pub fn all<'a>(&'a self, kind: &str) -> impl Iterator<Item = &'a Thing> + use<'a> {
        let things = self.things.get(kind).map(Vec::as_slice).unwrap_or_default();
        things.iter().filter(|thing| !thing.removed)
    }

    /// The object with that id.
    #[must_use]
    pub fn find(&self, kind: &str, id: &str) -> Option<&Thing> {
        self.all(kind)
            .find(|thing| text(&thing.shown, "id").eq_ignore_ascii_case(id))
    }

    /// The object with that id, to change.
    pub fn find_mut(&mut self, kind: &str, id: &str) -> Option<&mut Thing> {
        let things = self.things.get_mut(kind)?;
        let same = |thing: &&mut Thing| {
            !thing.removed && text(&thing.shown, "id").eq_ignore_ascii_case(id)
        };
        things.iter_mut().find(same)
    }

    /// The object that a parameter names; refuses as CloudStack does an id that is unknown.
    ///
    /// # Errors
    /// 431 where it is missing or names nothing.
    pub fn named(&self, kind: &str, params: &ParamMap, name: &str) -> Result<&Thing, Refused> {
        let id = params.get(name).filter(|id| !id.is_empty());
        let id = id.ok_or_else(|| super::answer::missing(params.command(), name))?;
        self.find(kind, id)
            .ok_or_else(|| parameter_value(params.command(), name, id))
    }

    /// A number that was not handed out yet.
    pub fn next_number(&mut self) -> u64 {
        self.numbers = self.numbers.saturating_add(1);
        self.numbers
    }

    /// Whether a fault is switched on; takes one of its strikes.
    pub fn strikes(&mut self, fault: &str) -> bool {
        let Some(left) = self.faults.get_mut(fault) else {
            return false;
        };
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.faults.remove(fault);
        }
        true
    }

    /// A text field of an object by id.
    #[must_use]
    pub fn text_of(&self, kind: &str, id: &str, field: &str) -> String {
        self.find(kind, id)
            .map(|thing| text(&thing.shown, field).to_owned())
            .unwrap_or_default()
    }
}

/// An instant as a field's value.
#[must_use]
pub fn printed(at: Timestamp) -> Value {
    json!(time::print(at))
}

fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, bytes)?;
    std::fs::rename(&fresh, path)
}
