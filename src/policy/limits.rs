//! Pure: how often somebody may call, and how much a payer may have, as an operator wrote it.
//!
//! Which call limits a call counts against is answered here; the counting is `counters`', the
//! sums of what a payer has are the store's.

use crate::cloudstack::command::Class;
use crate::policy::tariff::{Basis, Component};
use crate::terms::ids::PayerId;

pub(super) mod check;

/// Whose calls are counted together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Per {
    /// An API key.
    Key,
    /// A user, whatever key he signs with.
    User,
    /// An account and all its users.
    Account,
    /// A domain: the caller's own, or the one that the limit names with its subtree.
    Domain,
    /// A network address, verified or not. IPv6 counts by /64: one subscriber has that many.
    Address,
}

impl Per {
    /// The words of policy files, the narrowest first: so they are asked.
    pub const ALL: [(&'static str, Self); 5] = [
        ("key", Self::Key),
        ("user", Self::User),
        ("account", Self::Account),
        ("domain", Self::Domain),
        ("address", Self::Address),
    ];
    /// The word of policy files.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, per)| *per == self);
        found.map_or("?", |(name, _)| name)
    }
}

/// So many calls in so much time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Pace {
    /// Calls of a period; at least 1.
    pub calls: u32,
    /// The period in microseconds, wall time; at least a second.
    pub period: i64,
    /// Calls at once after a rest; at least 1.
    pub burst: u32,
}

impl Pace {
    /// Microseconds after which one more call is free.
    #[must_use]
    pub fn interval(&self) -> i64 {
        self.period
            .checked_div(i64::from(self.calls.max(1)))
            .unwrap_or(self.period)
            .max(1)
    }
    /// What one of so many nodes grants by itself; never nothing.
    #[must_use]
    pub fn share(&self, nodes: u32) -> Self {
        let nodes = nodes.max(1);
        Self {
            calls: self.calls,
            period: self.period.saturating_mul(i64::from(nodes)),
            burst: self.burst.checked_div(nodes).unwrap_or(1).max(1),
        }
    }
}

/// `[[limit]]`: how often somebody may call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CallLimit {
    /// Its id: refusals name it.
    pub id: String,
    /// Whose calls are counted together.
    pub per: Per,
    /// The one whom it is for; none: everybody, each by himself.
    pub of: Option<String>,
    /// Commands in small letters, `*` for any letters; none given: every command.
    pub commands: Vec<String>,
    /// Commands of this class alone.
    pub class: Option<Class>,
    /// How often.
    pub pace: Pace,
    /// Told to those who meet it.
    pub reason: String,
}

/// Who calls, as far as it is known. What is none is not counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Calling<'a> {
    /// The network that he calls from: an IPv4 address, or the /64 of an IPv6 one.
    pub network: Option<&'a str>,
    /// The key that his signature agreed with.
    pub key: Option<&'a str>,
    /// Its user's id.
    pub user: Option<&'a str>,
    /// His account's id.
    pub account: Option<&'a str>,
    /// Domain ids from the root to his own.
    pub domains: &'a [&'a str],
}

/// A limit that a call counts against, and the name under which it is counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counted<'a> {
    /// Which.
    pub limit: &'a CallLimit,
    /// Whose calls it is counted with.
    pub subject: String,
}

/// A call limit that says no.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TooMany {
    /// Its id.
    pub rule: String,
    /// What its people are told.
    pub reason: String,
    /// Microseconds until the next call is free.
    pub wait: i64,
}

impl TooMany {
    /// The refusal of a limit that is free again after so many microseconds.
    #[must_use]
    pub fn of(limit: &CallLimit, wait: i64) -> Self {
        Self {
            rule: limit.id.clone(),
            reason: limit.reason.clone(),
            wait: wait.max(1),
        }
    }
    /// The wait in milliseconds, rounded up.
    #[must_use]
    pub fn wait_ms(&self) -> i64 {
        self.wait.saturating_add(999) / 1_000
    }
    /// The wait in seconds, rounded up: `Retry-After` (RFC 9110 §10.2.3).
    #[must_use]
    pub fn wait_seconds(&self) -> i64 {
        self.wait.saturating_add(999_999) / 1_000_000
    }
}

/// The limits that a call counts against, the most specific first: by whom they count (key, user,
/// account, domain, address), then those that name commands, then those that name a class. Of
/// limits that count alike, the one that names its subject (the nearest domain) takes the place
/// of the others.
#[must_use]
pub fn fitting<'a>(
    limits: &'a [CallLimit],
    calling: &Calling<'_>,
    command: &str,
    class: Option<Class>,
) -> Vec<Counted<'a>> {
    let command = command.to_ascii_lowercase();
    let mut found: Vec<(usize, Counted<'a>)> = Vec::new();
    for limit in limits.iter().filter(|one| one.selects(&command, class)) {
        let Some((nearness, subject)) = limit.subject(calling) else {
            continue;
        };
        let counted = Counted { limit, subject };
        match found.iter_mut().find(|(_, old)| old.limit.counts_as(limit)) {
            Some(old) if nearness > old.0 => *old = (nearness, counted),
            Some(_) => {}
            None => found.push((nearness, counted)),
        }
    }
    found.sort_by_key(|(nearness, one)| {
        let limit = one.limit;
        let broad = (limit.commands.is_empty(), limit.class.is_none());
        (limit.per, broad, usize::MAX - nearness)
    });
    found.into_iter().map(|(_, counted)| counted).collect()
}

impl CallLimit {
    /// Whether the limit is for this command; `command` in small letters.
    #[must_use]
    pub fn selects(&self, command: &str, class: Option<Class>) -> bool {
        let named =
            self.commands.is_empty() || self.commands.iter().any(|pattern| glob(pattern, command));
        named && self.class.is_none_or(|wanted| class == Some(wanted))
    }

    fn counts_as(&self, other: &Self) -> bool {
        self.per == other.per && self.commands == other.commands && self.class == other.class
    }

    /// How near the limit is to the caller (0: for everybody) and what he is counted as.
    fn subject(&self, calling: &Calling<'_>) -> Option<(usize, String)> {
        let own = match self.per {
            Per::Key => calling.key?.to_owned(),
            Per::User => calling.user?.to_owned(),
            Per::Account => calling.account?.to_owned(),
            Per::Address => calling.network?.to_owned(),
            Per::Domain => {
                let own = calling.domains.last()?;
                let Some(wanted) = &self.of else {
                    return Some((0, (*own).to_owned()));
                };
                let at = calling.domains.iter().position(|id| *id == wanted)?;
                return Some((at.saturating_add(1), wanted.clone()));
            }
        };
        match &self.of {
            None => Some((0, own)),
            Some(wanted) => (*wanted == own).then_some((1, own)),
        }
    }
}

/// Whether a text fits a pattern in which `*` stands for any letters. Both in small letters.
#[must_use]
pub fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some(at) = rest.find(part) else {
            return false;
        };
        rest = rest
            .get(at.saturating_add(part.len())..)
            .unwrap_or_default();
    }
    rest.ends_with(last)
}

/// `[[things]]`: how much of what a payer may have.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThingLimit {
    /// Its id: refusals name it.
    pub id: String,
    /// For whom; none: every payer, each by himself.
    pub payer: Option<PayerId>,
    /// What is counted.
    pub component: Component,
    /// A VM's parts: while it is allocated (as CloudStack counts), or while it runs.
    pub basis: Basis,
    /// In this zone (UUID) alone; none: in all zones together.
    pub zone: Option<String>,
    /// So much, in metered units (pieces, vCPUs, MiB, bytes).
    pub most: i64,
    /// So much, as it was written.
    pub written: String,
    /// Told to those who meet it.
    pub reason: String,
}

/// The things limits of a payer, zones before all zones. Of limits that count alike, the one that
/// names the payer takes the place of the one for everybody.
#[must_use]
pub fn things_of<'a>(limits: &'a [ThingLimit], payer: &PayerId) -> Vec<&'a ThingLimit> {
    let mut found: Vec<&ThingLimit> = Vec::new();
    for limit in limits {
        if limit.payer.as_ref().is_some_and(|named| named != payer) {
            continue;
        }
        let alike = |old: &&mut &ThingLimit| {
            (old.component, old.basis, &old.zone) == (limit.component, limit.basis, &limit.zone)
        };
        match found.iter_mut().find(alike) {
            Some(old) if old.payer.is_none() => *old = limit,
            Some(_) => {}
            None => found.push(limit),
        }
    }
    found.sort_by_key(|limit| limit.zone.is_none());
    found
}

#[cfg(test)]
mod tests;
