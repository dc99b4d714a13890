//! Pure: how much may be spent in a calendar period, as an operator wrote it, and which caps
//! stand on a call's way.

use crate::terms::ids::SellerId;
use crate::terms::money::{Currency, Micros};
use crate::terms::time::{BillingMonth, MonthError, Timestamp};
use jiff::ToSpan as _;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;
use sha2::{Digest as _, Sha256};

pub(super) mod check;

/// Whose spending is counted together, the narrowest first: so they are asked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Level {
    /// What one API key starts.
    Key,
    /// What a user starts, whatever key he signs with.
    User,
    /// What an account owns.
    Account,
    /// What a project owns.
    Project,
    /// What a domain and its subtree own.
    Domain,
    /// What a reseller's customers start.
    Reseller,
}

impl Level {
    /// The words of policy files, in the order in which caps are asked.
    pub const ALL: [(&'static str, Self); 6] = [
        ("key", Self::Key),
        ("user", Self::User),
        ("account", Self::Account),
        ("project", Self::Project),
        ("domain", Self::Domain),
        ("reseller", Self::Reseller),
    ];
    /// The word of policy files.
    #[must_use]
    pub fn name(self) -> &'static str {
        let found = Self::ALL.iter().find(|(_, level)| *level == self);
        found.map_or("?", |(name, _)| name)
    }
}

/// A calendar period of a zone.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum CapPeriod {
    /// From midnight.
    Day,
    /// From Monday's midnight (ISO 8601).
    Week,
    /// From the midnight of the first.
    Month,
}

impl CapPeriod {
    /// The words of policy files.
    pub const ALL: [(&'static str, Self); 3] = [
        ("day", Self::Day),
        ("week", Self::Week),
        ("month", Self::Month),
    ];

    /// When the period began that holds the instant.
    ///
    /// # Errors
    /// [`MonthError`] for an unknown zone, or an instant that no calendar has.
    pub fn start(self, at: Timestamp, zone: &str) -> Result<Timestamp, MonthError> {
        if self == Self::Month {
            return Ok(BillingMonth::containing(at, zone)?.period()?.start);
        }
        let tz = TimeZone::get(zone).map_err(|_| MonthError::UnknownZone(zone.to_owned()))?;
        let fault = || MonthError::NotAMonth(at.to_string());
        let instant = jiff::Timestamp::from_microsecond(at.micros()).map_err(|_| fault())?;
        let today = tz.to_datetime(instant).date();
        let since = match self {
            Self::Week => today.weekday().since(Weekday::Monday),
            _ => 0,
        };
        let first = today.checked_sub(i64::from(since).days());
        let first = first.and_then(|date| date.to_zoned(tz));
        let start = first.map_err(|_| fault())?.timestamp();
        Ok(Timestamp::from_micros(start.as_microsecond()))
    }
}

/// `[[caps]]`: how much may be spent in a period.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SpendCap {
    /// Its id: refusals name it; without `/`.
    pub id: String,
    /// Whose spending is counted together.
    pub per: Level,
    /// The one whom it is for; none: everybody of the level, each by himself.
    pub of: Option<String>,
    /// So much in a period.
    pub most: Micros,
    /// Payers of this currency alone are counted.
    pub currency: Currency,
    /// The period.
    pub period: CapPeriod,
    /// The zone of the period: the seller's.
    pub zone: String,
    /// Told to those who meet it.
    pub reason: String,
    /// Machines that count in it are stopped as it ends.
    pub stops: bool,
}

/// Who spends, as far as it is known. What is none is not counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Spending<'a> {
    /// The currency of the payer.
    pub currency: Currency,
    /// The key that the caller's signature agreed with.
    pub key: Option<&'a str>,
    /// The caller's user id.
    pub user: Option<&'a str>,
    /// The owner's account id.
    pub account: Option<&'a str>,
    /// The owner's project id.
    pub project: Option<&'a str>,
    /// Domain ids from the root to the owner's own.
    pub domains: &'a [&'a str],
    /// The payer's seller and those above him, as far as they are resellers, nearest first.
    pub resellers: &'a [SellerId],
}

/// A cap on the way of a call, and the name under which it is counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OnTheWay<'a> {
    /// Which.
    pub cap: &'a SpendCap,
    /// Whose spending it is counted with: `<id>/<level>/<subject>`. Of a key, a fingerprint.
    pub name: String,
}

/// Every cap on the way up: key, user, account, project, each domain from the owner's own
/// upwards, each reseller. Of caps of one level and period, the one that names the subject takes
/// the place of the one for everybody.
#[must_use]
pub fn chain<'a>(caps: &'a [SpendCap], spending: &Spending<'_>) -> Vec<OnTheWay<'a>> {
    let counts = |cap: &&SpendCap| cap.currency == spending.currency;
    let mut found = Vec::new();
    for (_, level) in Level::ALL {
        for subject in spending.subjects(level) {
            let of_level = || caps.iter().filter(counts).filter(|cap| cap.per == level);
            let named = |cap: &SpendCap| cap.of.as_deref() == Some(subject);
            let replaced = |cap: &SpendCap| of_level().any(|c| named(c) && c.period == cap.period);
            let fitting = of_level().filter(|cap| match cap.of {
                Some(_) => named(cap),
                None => !replaced(cap),
            });
            found.extend(fitting.map(|cap| OnTheWay {
                cap,
                name: name(cap, subject),
            }));
        }
    }
    found
}

impl<'a> Spending<'a> {
    fn subjects(&self, level: Level) -> Vec<&'a str> {
        match level {
            Level::Key => self.key.into_iter().collect(),
            Level::User => self.user.into_iter().collect(),
            Level::Account => self.account.into_iter().collect(),
            Level::Project => self.project.into_iter().collect(),
            Level::Domain => self.domains.iter().rev().copied().collect(),
            Level::Reseller => self.resellers.iter().map(SellerId::as_str).collect(),
        }
    }
}

fn name(cap: &SpendCap, subject: &str) -> String {
    let (id, level) = (&cap.id, cap.per.name());
    match cap.per {
        // Books are read by people who need no keys.
        Level::Key => {
            let digest = Sha256::digest(subject.as_bytes());
            let print: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
            format!("{id}/{level}/{print}")
        }
        _ => format!("{id}/{level}/{subject}"),
    }
}

/// The cap of the policies that is counted under a name; none where it is no longer written.
#[must_use]
pub fn by_name<'a>(caps: &'a [SpendCap], name: &str) -> Option<&'a SpendCap> {
    let (id, _) = name.split_once('/')?;
    caps.iter().find(|cap| cap.id == id)
}

#[cfg(test)]
mod tests;
