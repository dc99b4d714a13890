//! Pure: the facts of one call that access rules, conditions, limits and modes are asked about.
//!
//! The gate gathers them (`gate/admit.rs`); nothing here judges.

use crate::cloudstack::command::Class;
use crate::cloudstack::query::ParamMap;
use crate::terms::time::Timestamp;
use core::net::IpAddr;

/// What kind of account calls (`Account.Type`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AccountKind {
    /// A user's.
    User,
    /// Of the root domain's administrators.
    Admin,
    /// Of a domain's administrators.
    DomainAdmin,
    /// Any other.
    Other,
}

impl AccountKind {
    /// The words of policy files.
    pub const ALL: [(&'static str, Self); 4] = [
        ("user", Self::User),
        ("admin", Self::Admin),
        ("domain-admin", Self::DomainAdmin),
        ("other", Self::Other),
    ];
    /// The kind of CloudStack's number.
    #[must_use]
    pub const fn of(number: i64) -> Self {
        match number {
            0 => Self::User,
            1 => Self::Admin,
            2 => Self::DomainAdmin,
            _ => Self::Other,
        }
    }
    /// The word of policy files.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, kind)| *kind == self);
        found.map_or("other", |(name, _)| name)
    }
}

/// A caller whose signature agreed or whose session CloudStack vouched for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Actor {
    /// His API key; none in a session.
    pub key: Option<String>,
    /// His user's id; none where a session's account has several.
    pub user: Option<String>,
    /// His account's id.
    pub account: String,
    /// Its name.
    pub account_name: String,
    /// Its kind.
    pub kind: AccountKind,
    /// The name of its role, where that is known.
    pub role: Option<String>,
    /// Domain ids from the root down to his own.
    pub domains: Vec<String>,
}

/// The facts of one call.
#[derive(Clone, Copy, Debug)]
pub struct Admission<'a> {
    /// The command, in the table's own case.
    pub command: &'a str,
    /// Its class for these parameters.
    pub class: Class,
    /// Every parameter, as decoded.
    pub params: &'a ParamMap,
    /// Who calls; none: not verified.
    pub actor: Option<&'a Actor>,
    /// Where the call came from.
    pub address: Option<IpAddr>,
    /// Wall time.
    pub at: Timestamp,
}

impl<'a> Admission<'a> {
    /// The zone that the call names; a zone that follows from another parameter is not known here.
    #[must_use]
    pub fn zone(&self) -> Option<&'a str> {
        self.params.get("zoneid")
    }
    /// The caller's domain ids from the root down; empty where he is not verified.
    #[must_use]
    pub fn domains(&self) -> &'a [String] {
        self.actor.map_or(&[], |actor| &actor.domains)
    }
}

/// The word of policy files for a class.
#[must_use]
pub fn class_name(class: Class) -> &'static str {
    let found = CLASSES.iter().find(|(_, known)| *known == class);
    found.map_or("raises", |(name, _)| name)
}

/// The words of policy files for classes.
pub const CLASSES: [(&str, Class); 4] = [
    ("read", Class::Read),
    ("lowers", Class::Lowers),
    ("neutral", Class::Neutral),
    ("raises", Class::Raises),
];
