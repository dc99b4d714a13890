//! Pure: who may call what, as an operator wrote it: rules that deny and rules that allow.
//!
//! A rule that denies wins over every rule that allows; of several, the one of the nearest domain
//! is told. Where nothing denies, the nearest default decides: it lets everything pass, or only
//! what a rule allows. Each verdict names its rule. `read.rs` is how they are written.

pub(super) mod read;

use crate::cloudstack::command::Class;
use crate::policy::admission::{AccountKind, Admission};
use crate::policy::condition::Condition;
use crate::terms::time::Timestamp;
use core::net::IpAddr;
use jiff::civil::{Time, Weekday};
use jiff::tz::TimeZone;
use std::collections::HashMap;

/// What a rule or a default says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// The call may pass.
    Allow,
    /// It may not.
    Deny,
}

/// `[[access]]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessRule {
    /// Its id: refusals name it.
    pub id: String,
    /// Allow or deny.
    pub effect: Effect,
    /// Told to those who meet it.
    pub reason: String,
    /// The calls that it is for.
    pub selects: Selection,
}

/// `[[access_default]]`: what becomes of calls that no rule decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AccessDefault {
    /// Its id: refusals name it.
    pub id: String,
    /// The domain with its subtree; none: the platform.
    pub domain: Option<String>,
    /// Allow, or deny: then only what a rule allows may pass.
    pub effect: Effect,
    /// The classes that it is for; none given: every call.
    pub classes: Vec<Class>,
    /// Told to those who meet it.
    pub reason: String,
}

/// The calls that a rule is for: every part that is given must fit; of each, one entry.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Selection {
    /// Commands in small letters, `*` for any letters.
    pub commands: Vec<String>,
    /// Classes.
    pub classes: Vec<Class>,
    /// Parameters: all of these.
    pub params: Vec<ParamTest>,
    /// Kinds of account.
    pub kinds: Vec<AccountKind>,
    /// Names of roles.
    pub roles: Vec<String>,
    /// A domain with its subtree.
    pub domain: Option<String>,
    /// Domains with their subtrees that it is not for.
    pub except_domains: Vec<String>,
    /// Account ids.
    pub accounts: Vec<String>,
    /// User ids.
    pub users: Vec<String>,
    /// Zone ids that the call names.
    pub zones: Vec<String>,
    /// Networks that the call comes from.
    pub addresses: Vec<Network>,
    /// Networks that it does not come from.
    pub except_addresses: Vec<Network>,
    /// When.
    pub time: Option<Window>,
    /// A condition besides.
    pub when: Option<Condition>,
}

/// A look at one parameter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParamTest {
    /// Its name in small letters, `*` for any letters: `details[*].memory`.
    pub name: String,
    /// What it must be.
    pub test: Test,
}

/// What a parameter must be. Texts are compared in small letters, lists item by item.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Test {
    /// Given, or not.
    Given(bool),
    /// Given, and one of these patterns.
    Is(Vec<String>),
    /// Given, and none of these patterns.
    Not(Vec<String>),
    /// A whole number above this.
    Over(i64),
    /// A whole number below this.
    Under(i64),
}

/// A network: an address and how many of its leading bits count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Network {
    /// The address.
    pub address: IpAddr,
    /// 0 to 32, or to 128.
    pub bits: u8,
}

/// A time of the week.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Window {
    /// Days; none given: every day.
    pub days: Vec<Weekday>,
    /// From this time of day; the day is that of the start.
    pub from: Time,
    /// Up to, but not at, this one; not after `from`: on the next day.
    pub until: Time,
    /// Where the clock hangs.
    pub zone: TimeZone,
}

/// Why a call may not pass.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Denied<'a> {
    /// Id of the rule or default.
    pub rule: &'a str,
    /// As the operator wrote it.
    pub reason: &'a str,
}

/// Every rule, found by command.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct AccessRules {
    rules: Vec<AccessRule>,
    defaults: Vec<AccessDefault>,
    by_command: HashMap<String, Vec<usize>>,
    wild: Vec<usize>,
}

/// The rules that a command can meet.
#[derive(Clone, Debug)]
pub struct Candidates<'a> {
    rules: Vec<&'a AccessRule>,
    defaults: &'a [AccessDefault],
}

impl AccessRules {
    /// Rules and defaults, in the order of the files.
    #[must_use]
    pub fn new(rules: Vec<AccessRule>, defaults: Vec<AccessDefault>) -> Self {
        let mut by_command: HashMap<String, Vec<usize>> = HashMap::new();
        let mut wild = Vec::new();
        for (at, rule) in rules.iter().enumerate() {
            let commands = &rule.selects.commands;
            if commands.is_empty() || commands.iter().any(|name| name.contains('*')) {
                wild.push(at);
                continue;
            }
            for name in commands {
                by_command.entry(name.clone()).or_default().push(at);
            }
        }
        Self {
            rules,
            defaults,
            by_command,
            wild,
        }
    }

    /// Every rule.
    #[must_use]
    pub fn rules(&self) -> &[AccessRule] {
        &self.rules
    }

    /// What a command can meet; none where nothing is said of it.
    #[must_use]
    pub fn of(&self, command: &str, class: Class) -> Option<Candidates<'_>> {
        if self.rules.is_empty() && self.defaults.is_empty() {
            return None;
        }
        let command = command.to_ascii_lowercase();
        let named = self.by_command.get(&command).into_iter().flatten();
        let rules: Vec<&AccessRule> = named
            .chain(&self.wild)
            .filter_map(|at| self.rules.get(*at))
            .filter(|rule| rule.selects.may_select(&command, class))
            .collect();
        let is_quiet = rules.is_empty() && !self.defaults.iter().any(|one| one.counts(class));
        (!is_quiet).then_some(Candidates {
            rules,
            defaults: &self.defaults,
        })
    }
}

impl AccessDefault {
    fn counts(&self, class: Class) -> bool {
        self.effect == Effect::Deny && (self.classes.is_empty() || self.classes.contains(&class))
    }
}

impl<'a> Candidates<'a> {
    /// Whether the verdict depends on who calls.
    #[must_use]
    pub fn asks_caller(&self) -> bool {
        self.rules.iter().any(|rule| rule.selects.asks_caller())
            || self.defaults.iter().any(|one| one.domain.is_some())
    }

    /// The rules that fit the call.
    #[must_use]
    pub fn fitting(&self, asked: &Admission<'_>) -> Vec<&'a AccessRule> {
        let rules = self.rules.iter().copied();
        rules.filter(|rule| rule.fits(asked)).collect()
    }

    /// The verdict. A caller who is not verified meets no rule that asks who he is: CloudStack
    /// itself refuses what it cannot verify.
    ///
    /// # Errors
    /// The rule or default that says no.
    pub fn judge(&self, asked: &Admission<'_>) -> Result<(), Denied<'a>> {
        let fitting = self.fitting(asked);
        let denying = fitting.iter().filter(|rule| rule.effect == Effect::Deny);
        let nearest = denying.max_by_key(|rule| depth(asked, rule.selects.domain.as_deref()));
        if let Some(rule) = nearest {
            return Err(Denied {
                rule: &rule.id,
                reason: &rule.reason,
            });
        }
        let default = self.default_for(asked);
        match default {
            Some(default) if default.counts(asked.class) && fitting.is_empty() => Err(Denied {
                rule: &default.id,
                reason: &default.reason,
            }),
            _ => Ok(()),
        }
    }

    /// The default of the nearest domain.
    #[must_use]
    pub fn default_for(&self, asked: &Admission<'_>) -> Option<&'a AccessDefault> {
        let within = |one: &&AccessDefault| match &one.domain {
            None => true,
            Some(domain) => asked.domains().contains(domain),
        };
        let defaults = self.defaults.iter().filter(within);
        defaults.max_by_key(|one| depth(asked, one.domain.as_deref()))
    }
}

/// How deep in the caller's path a domain lies; 0 for the platform.
fn depth(asked: &Admission<'_>, domain: Option<&str>) -> usize {
    let at = domain.and_then(|id| asked.domains().iter().position(|own| own == id));
    at.map_or(0, |at| at.saturating_add(1))
}

impl AccessRule {
    /// Whether the rule is for the call. What cannot be told falls on the safe side: a rule that
    /// denies fits, one that allows does not.
    #[must_use]
    pub fn fits(&self, asked: &Admission<'_>) -> bool {
        let unclear = self.effect == Effect::Deny;
        self.selects.fits_caller(asked, unclear) && self.selects.fits_call(asked, unclear)
    }
}

impl Selection {
    fn may_select(&self, command: &str, class: Class) -> bool {
        let named =
            self.commands.is_empty() || self.commands.iter().any(|pattern| fits(pattern, command));
        named && (self.classes.is_empty() || self.classes.contains(&class))
    }

    /// Whether it depends on who calls.
    #[must_use]
    pub fn asks_caller(&self) -> bool {
        self.domain.is_some()
            || !self.kinds.is_empty()
            || !self.roles.is_empty()
            || !self.except_domains.is_empty()
            || !self.accounts.is_empty()
            || !self.users.is_empty()
            || self.when.as_ref().is_some_and(Condition::asks_caller)
    }

    fn fits_caller(&self, asked: &Admission<'_>, unclear: bool) -> bool {
        if !self.asks_caller() {
            return true;
        }
        let Some(actor) = asked.actor else {
            return false;
        };
        // A session whose account has several users does not tell which of them calls.
        let is_one_of = |known: Option<&String>, named: &[String]| {
            named.is_empty() || known.map_or(unclear, |one| named.contains(one))
        };
        let within = |domain: &String| actor.domains.contains(domain);
        (self.kinds.is_empty() || self.kinds.contains(&actor.kind))
            && self.domain.as_ref().is_none_or(within)
            && !self.except_domains.iter().any(within)
            && (self.accounts.is_empty() || self.accounts.contains(&actor.account))
            && is_one_of(actor.user.as_ref(), &self.users)
            && is_one_of(actor.role.as_ref(), &self.roles)
    }

    fn fits_call(&self, asked: &Admission<'_>, unclear: bool) -> bool {
        let zone = asked.zone().map(str::to_ascii_lowercase);
        let from = |networks: &[Network]| {
            let inside = |address| networks.iter().any(|network| network.contains(address));
            asked.address.is_some_and(inside)
        };
        (self.zones.is_empty() || zone.is_some_and(|zone| self.zones.contains(&zone)))
            && (self.addresses.is_empty() || from(&self.addresses))
            && !from(&self.except_addresses)
            && self
                .time
                .as_ref()
                .is_none_or(|time| time.contains(asked.at))
            && self.params.iter().all(|test| test.holds(asked, unclear))
            && self
                .when
                .as_ref()
                .is_none_or(|when| when.holds(asked).unwrap_or(unclear))
    }
}

impl ParamTest {
    fn holds(&self, asked: &Admission<'_>, unclear: bool) -> bool {
        let named = asked.params.iter();
        let named = named.filter(|(lower, _)| fits(&self.name, lower));
        let values: Vec<&str> = named.map(|(_, param)| param.value.as_str()).collect();
        let items = values.iter().flat_map(|value| value.split(','));
        let mut items = items.map(|item| item.trim().to_ascii_lowercase());
        let number = |item: &str, holds: &dyn Fn(i64) -> bool| match item.parse::<i64>() {
            Ok(number) => holds(number),
            Err(_) => unclear,
        };
        match &self.test {
            Test::Given(given) => values.is_empty() != *given,
            Test::Is(wanted) => items.any(|item| wanted.iter().any(|one| fits(one, &item))),
            Test::Not(others) => items.any(|item| !others.iter().any(|one| fits(one, &item))),
            Test::Over(bound) => items.any(|item| number(&item, &|number| number > *bound)),
            Test::Under(bound) => items.any(|item| number(&item, &|number| number < *bound)),
        }
    }
}

impl Network {
    /// Whether an address lies in it; an IPv4 address in IPv6 form is that IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let bits = |address: IpAddr| match address.to_canonical() {
            IpAddr::V4(four) => (32_u32, u128::from(four.to_bits())),
            IpAddr::V6(six) => (128, six.to_bits()),
        };
        let ((own_width, own), (width, other)) = (bits(self.address), bits(address));
        let beyond = own_width.saturating_sub(u32::from(self.bits));
        let shift = |value: u128| value.checked_shr(beyond).unwrap_or(0);
        own_width == width && shift(own) == shift(other)
    }
}

impl Window {
    /// Whether an instant lies in it.
    #[must_use]
    pub fn contains(&self, at: Timestamp) -> bool {
        let Ok(at) = jiff::Timestamp::from_microsecond(at.micros()) else {
            return false;
        };
        let local = at.to_zoned(self.zone.clone());
        let (day, time) = (local.weekday(), local.time());
        let on = |day: Weekday| self.days.is_empty() || self.days.contains(&day);
        if self.from < self.until {
            return on(day) && self.from <= time && time < self.until;
        }
        (on(day) && self.from <= time) || (on(day.previous()) && time < self.until)
    }
}

/// Whether a text fits a pattern in which `*` stands for any letters. Both in small letters.
#[must_use]
pub fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let end = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = text.split_once(part) else {
            return false;
        };
        text = after;
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests;
