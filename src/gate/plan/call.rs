//! Pure: what a rule reads: the call's parameters, the facts that are known, and what it found
//! that is not known yet.

use super::{Facts, Question, Thing};
use crate::cloudstack::query::ParamMap;
use crate::cloudstack::tree::Node;
use crate::gate::refusal::Refusal;
use std::cell::RefCell;

const GIB: i64 = 1 << 30;

/// A call under its rule.
pub(super) struct Call<'a> {
    pub(super) params: &'a ParamMap,
    pub(super) facts: &'a Facts,
    open: RefCell<Vec<Question>>,
}

impl<'a> Call<'a> {
    pub(super) fn new(params: &'a ParamMap, facts: &'a Facts) -> Self {
        Self {
            params,
            facts,
            open: RefCell::default(),
        }
    }

    /// What was looked for and is not known, each once.
    pub(super) fn open(self) -> Vec<Question> {
        self.open.into_inner()
    }

    /// The same facts under other parameters; what it finds open is this call's too.
    pub(super) fn under<T>(
        &self,
        params: &ParamMap,
        rule: impl FnOnce(&Call<'_>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let inner = Call::new(params, self.facts);
        let found = rule(&inner);
        for question in inner.open() {
            self.ask(question);
        }
        found
    }

    fn ask(&self, question: Question) {
        let mut open = self.open.borrow_mut();
        if !open.contains(&question) {
            open.push(question);
        }
    }

    /// What is known of a thing; asked in the next round where nothing is.
    pub(super) fn get(&self, thing: Thing, id: &str) -> Option<&'a Node> {
        let question = (thing, id.to_owned());
        let found = self.facts.get(&question);
        if found.is_none() {
            self.ask(question);
        }
        found
    }

    /// The items of a list: none where it is not known.
    pub(super) fn items(&self, thing: Thing, id: &str) -> Vec<&'a Node> {
        let found = self.get(thing, id);
        let name = thing.items().unwrap_or_default();
        found
            .map(|list| list.all(name).collect())
            .unwrap_or_default()
    }

    /// What is known of the thing that a parameter names.
    pub(super) fn fact(&self, thing: Thing, name: &str) -> Option<&'a Node> {
        self.get(thing, &self.params.get(name)?.to_ascii_lowercase())
    }

    pub(super) fn wanted(&self, thing: Thing, name: &str) -> Result<&'a Node, Refusal> {
        if self.params.get(name).is_none_or(str::is_empty) {
            let (command, name) = (self.params.command().to_lowercase(), name.to_owned());
            return Err(Refusal::Missing { command, name });
        }
        self.fact(thing, name)
            .ok_or_else(|| refused(name, "names nothing, and its price hangs on it"))
    }

    /// The thing under the first of these parameters that is there.
    pub(super) fn first_of(&self, thing: Thing, names: [&str; 2]) -> Result<&'a Node, Refusal> {
        let [one, other] = names;
        let name = if self.params.get(one).is_some() {
            one
        } else {
            other
        };
        self.wanted(thing, name)
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        self.params.get(name).map(str::to_owned)
    }

    /// A parameter that is there and says `true`.
    pub(super) fn says(&self, name: &str) -> bool {
        self.params.get(name) == Some("true")
    }

    /// The items of a list parameter, each once.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        let mut items: Vec<String> = Vec::new();
        for item in self.params.get(name).unwrap_or_default().split(',') {
            let item = item.trim();
            if !item.is_empty() && !items.iter().any(|one| one == item) {
                items.push(item.to_owned());
            }
        }
        items
    }

    /// A value of `details[…]`, by its key in lower case; two of one key are refused.
    pub(super) fn detail(&self, key: &str) -> Result<Option<&'a str>, Refusal> {
        let mut found = None;
        for (lower, param) in self.params.iter() {
            let is_key = lower.starts_with("details[")
                && lower
                    .rsplit_once("].")
                    .is_some_and(|(_, inner)| inner == key);
            if is_key && found.replace(param.value.as_str()).is_some() {
                return Err(refused(&param.name, "stands there twice; send it once"));
            }
        }
        Ok(found)
    }

    /// A number above zero, in plain digits.
    pub(super) fn number(&self, name: &str, text: Option<&str>) -> Result<Option<i64>, Refusal> {
        let Some(text) = text else { return Ok(None) };
        let number = text.parse::<i64>().ok().filter(|n| *n > 0);
        let plain = text.bytes().all(|b| b.is_ascii_digit());
        match number {
            Some(number) if plain => Ok(Some(number)),
            _ => Err(refused(name, &format!("is `{text}`; write digits"))),
        }
    }

    /// A parameter's number above zero.
    pub(super) fn number_in(&self, name: &str) -> Result<Option<i64>, Refusal> {
        self.number(name, self.params.get(name))
    }

    /// A parameter's number, which may be zero.
    pub(super) fn count_in(&self, name: &str) -> Result<Option<i64>, Refusal> {
        match self.params.get(name) {
            Some("0") => Ok(Some(0)),
            other => self.number(name, other),
        }
    }

    /// Bytes of a setting in GiB, else of CloudStack 4.22's default for it.
    pub(super) fn setting(&self, name: &str, default: i64) -> Result<i64, Refusal> {
        let set = self.get(Thing::Setting, name);
        let set = set.and_then(|setting| setting.number_of("value"));
        bytes(name, set.filter(|gib| *gib > 0).unwrap_or(default))
    }

    /// The most that a volume may have.
    pub(super) fn volume_most(&self) -> Result<i64, Refusal> {
        self.setting("storage.max.volume.size", 2_000)
    }

    /// The most that a template or ISO may have.
    pub(super) fn template_most(&self) -> Result<i64, Refusal> {
        self.setting("max.template.iso.size", 50)
    }
}

/// Ids of the networks that a deployment names, in its order, each once.
pub(super) fn networks(params: &ParamMap) -> Vec<String> {
    let single = ["networkid", "leftnetworkid", "rightnetworkid"];
    let single = single.iter().filter_map(|name| params.get(name));
    let listed = params.get("networkids").unwrap_or_default();
    let listed = listed.split(',').chain(single).map(str::to_owned);
    let mapped = entries(params, "iptonetworklist", "networkid")
        .into_iter()
        .chain(entries(params, "nicnetworklist", "network"));
    let mut ids = Vec::new();
    for id in listed.chain(mapped.map(|(_, id)| id)) {
        if !id.is_empty() && !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// `map[i].field`: each with its `map[i].`, in the order of names.
pub(super) fn entries(params: &ParamMap, map: &str, field: &str) -> Vec<(String, String)> {
    let found = params.iter().filter_map(|(lower, param)| {
        let rest = lower.strip_prefix(map)?;
        let is_entry = rest.starts_with('[') && rest.rsplit_once("].")?.1 == field;
        let at = lower.strip_suffix(field).filter(|_| is_entry)?;
        Some((at.to_owned(), param.value.to_ascii_lowercase()))
    });
    found.collect()
}

/// Bytes of so many GiB, as every size in a request is given.
pub(super) fn bytes(name: &str, gib: i64) -> Result<i64, Refusal> {
    gib.checked_mul(GIB)
        .ok_or_else(|| refused(name, "is too large"))
}

pub(super) fn refused(name: &str, what: &str) -> Refusal {
    Refusal::Parameter {
        name: name.to_owned(),
        what: what.to_owned(),
    }
}
