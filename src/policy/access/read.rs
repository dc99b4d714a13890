//! Pure: `[[access]]`, `[[access_default]]` and `[[mode]]` as written → checked rules.

use super::{
    AccessDefault, AccessRule, AccessRules, Effect, Network, ParamTest, Selection, Test, Window,
};
use crate::cloudstack::command::CommandTable;
use crate::policy::admission::{AccountKind, CLASSES};
use crate::policy::condition::{Condition, Conditions};
use crate::policy::faults::Faults;
use crate::policy::mode::{Mode, ModeRule, Modes};
use crate::policy::shape;
use core::net::IpAddr;
use jiff::civil::{Time, Weekday};
use std::collections::BTreeSet;
use toml::Spanned;

const EFFECTS: [(&str, Effect); 2] = [("allow", Effect::Allow), ("deny", Effect::Deny)];
const DAYS: [(&str, Weekday); 7] = [
    ("mon", Weekday::Monday),
    ("tue", Weekday::Tuesday),
    ("wed", Weekday::Wednesday),
    ("thu", Weekday::Thursday),
    ("fri", Weekday::Friday),
    ("sat", Weekday::Saturday),
    ("sun", Weekday::Sunday),
];

/// Rules, defaults and modes of all files, as they are found.
#[derive(Default)]
pub struct Reading {
    rules: Vec<AccessRule>,
    defaults: Vec<AccessDefault>,
    modes: Modes,
    conditions: Conditions,
    known: Option<BTreeSet<String>>,
}

impl Reading {
    /// Takes one file's.
    pub fn file(&mut self, file: &shape::File, faults: &mut Faults<'_>) {
        for one in &file.access {
            self.id_once(&one.get_ref().id, one.span().start, faults);
            if let Some(rule) = self.rule(one, faults) {
                self.rules.push(rule);
            }
        }
        for one in &file.access_default {
            self.id_once(&one.get_ref().id, one.span().start, faults);
            self.default(one, faults);
        }
        for one in &file.mode {
            self.mode(one, faults);
        }
    }

    /// What was read.
    pub fn done(self) -> (AccessRules, Modes) {
        (AccessRules::new(self.rules, self.defaults), self.modes)
    }

    fn id_once(&self, id: &str, start: usize, faults: &mut Faults<'_>) {
        let ids = self.rules.iter().map(|rule| &rule.id);
        let mut ids = ids.chain(self.defaults.iter().map(|one| &one.id));
        if ids.any(|old| old == id) {
            let what = format!("access rule `{id}` is written twice");
            faults.at(start, what, "give each rule an id of its own");
        }
    }

    fn default(&mut self, written: &Spanned<shape::AccessDefault>, faults: &mut Faults<'_>) {
        let shape = written.get_ref();
        if self.defaults.iter().any(|old| old.domain == shape.domain) {
            let what = "this domain has two access defaults".to_owned();
            faults.at(written.span().start, what, "keep one of them");
        }
        let classes = words(&shape.class, &CLASSES, faults);
        if let Some(effect) = faults.word(&shape.verdict, &EFFECTS) {
            self.defaults.push(AccessDefault {
                id: shape.id.clone(),
                domain: shape.domain.clone(),
                effect,
                classes,
                reason: shape.reason.clone(),
            });
        }
    }

    fn mode(&mut self, written: &Spanned<shape::Mode>, faults: &mut Faults<'_>) {
        let shape = written.get_ref();
        if self
            .modes
            .rules
            .iter()
            .any(|old| old.domain == shape.domain)
        {
            let what = "this domain has two modes".to_owned();
            faults.at(written.span().start, what, "keep one of them");
        }
        if let Some(mode) = faults.word(&shape.mode, &Mode::ALL) {
            let domain = shape.domain.clone();
            self.modes.rules.push(ModeRule { domain, mode });
        }
    }

    fn rule(
        &mut self,
        written: &Spanned<shape::Access>,
        faults: &mut Faults<'_>,
    ) -> Option<AccessRule> {
        let shape = written.get_ref();
        if shape.reason.trim().is_empty() {
            let what = format!("access rule `{}` has no reason", shape.id);
            faults.at(written.span().start, what, "say why: customers are told");
        }
        let selects = Selection {
            commands: self.commands(&shape.command, faults),
            classes: words(&shape.class, &CLASSES, faults),
            params: shape
                .param
                .iter()
                .filter_map(|one| param(one, faults))
                .collect(),
            kinds: words(&shape.kind, &AccountKind::ALL, faults),
            roles: shape.role.clone(),
            domain: shape.domain.clone(),
            except_domains: shape.except_domain.clone(),
            accounts: shape.account.clone(),
            users: shape.user.clone(),
            zones: shape
                .zone
                .iter()
                .map(|id| id.to_ascii_lowercase())
                .collect(),
            addresses: networks(&shape.address, faults),
            except_addresses: networks(&shape.except_address, faults),
            time: shape.time.as_ref().and_then(|time| window(time, faults)),
            when: shape.when.as_ref().and_then(|when| self.when(when, faults)),
        };
        if selects == Selection::default() {
            let what = format!("access rule `{}` is for every call", shape.id);
            let instead = "say which calls it is for, or write an [[access_default]]";
            faults.at(written.span().start, what, instead);
        }
        Some(AccessRule {
            id: shape.id.clone(),
            effect: faults.word(&shape.verdict, &EFFECTS)?,
            reason: shape.reason.clone(),
            selects,
        })
    }

    fn when(&self, written: &Spanned<String>, faults: &mut Faults<'_>) -> Option<Condition> {
        match self.conditions.compile(written.get_ref()) {
            Ok(condition) => Some(condition),
            Err(why) => {
                let what = format!("the condition {why}");
                faults.at(
                    written.span().start,
                    what,
                    "see `when` in policies/README.md",
                );
                None
            }
        }
    }

    fn commands(&mut self, written: &[Spanned<String>], faults: &mut Faults<'_>) -> Vec<String> {
        let known = self.known.get_or_insert_with(|| {
            let table = CommandTable::new(&[]);
            let commands = table.as_ref().map(CommandTable::iter).into_iter().flatten();
            commands.map(|one| one.name.to_ascii_lowercase()).collect()
        });
        let mut commands = Vec::new();
        for one in written {
            let name = one.get_ref().to_ascii_lowercase();
            if !name.contains('*') && !known.contains(&name) {
                let what = format!("command `{}` is not known", one.get_ref());
                let instead = "write a command of CloudStack's API, or a plugin's with a * at its \
                               end";
                faults.at(one.span().start, what, instead);
            }
            commands.push(name);
        }
        commands
    }
}

fn words<T: Copy>(
    written: &[Spanned<String>],
    known: &[(&str, T)],
    faults: &mut Faults<'_>,
) -> Vec<T> {
    let read = written.iter().filter_map(|one| faults.word(one, known));
    read.collect()
}

fn param(written: &Spanned<shape::Param>, faults: &mut Faults<'_>) -> Option<ParamTest> {
    let shape = written.get_ref();
    let small = |texts: &Vec<String>| texts.iter().map(|t| t.to_ascii_lowercase()).collect();
    let tests = [
        shape.given.map(Test::Given),
        shape.is.as_ref().map(|texts| Test::Is(small(texts))),
        shape.not.as_ref().map(|texts| Test::Not(small(texts))),
        shape.over.map(Test::Over),
        shape.under.map(Test::Under),
    ];
    let mut tests = tests.into_iter().flatten();
    match (tests.next(), tests.next()) {
        (Some(test), None) => Some(ParamTest {
            name: shape.name.to_ascii_lowercase(),
            test,
        }),
        _ => {
            let what = format!("parameter `{}` has not exactly one test", shape.name);
            let instead = "write one of given, is, not, over, under";
            faults.at(written.span().start, what, instead);
            None
        }
    }
}

fn networks(written: &[Spanned<String>], faults: &mut Faults<'_>) -> Vec<Network> {
    let mut networks = Vec::new();
    for one in written {
        match network(one.get_ref()) {
            Some(network) => networks.push(network),
            None => {
                let what = format!("`{}` is not a network", one.get_ref());
                faults.at(
                    one.span().start,
                    what,
                    "write 10.0.0.0/8, 2001:db8::/32 or an address",
                );
            }
        }
    }
    networks
}

fn network(text: &str) -> Option<Network> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(most);
    (bits <= most).then_some(Network { address, bits })
}

fn window(written: &Spanned<shape::Time>, faults: &mut Faults<'_>) -> Option<Window> {
    let shape = written.get_ref();
    let days = words(&shape.days, &DAYS, faults);
    let zone = faults.zone(&shape.zone);
    let from = time(&shape.from, faults);
    let until = time(&shape.until, faults);
    Some(Window {
        days,
        from: from?,
        until: until?,
        zone: zone?,
    })
}

fn time(written: &Spanned<String>, faults: &mut Faults<'_>) -> Option<Time> {
    let read = written
        .get_ref()
        .split_once(':')
        .and_then(|(hour, minute)| {
            let (hour, minute) = (hour.parse().ok()?, minute.parse().ok()?);
            Time::new(hour, minute, 0, 0).ok()
        });
    if read.is_none() {
        let what = format!("`{}` is not a time of day", written.get_ref());
        faults.at(written.span().start, what, "write 08:00 or 23:59");
    }
    read
}
