//! Pure: how much of what a payer has, and whether a call may add to it.
//!
//! Beside the money, a hold claims things: the store sums what the payer runs and what his open
//! calls are going to start, in the transaction that makes the hold, and asks here.

use crate::terms::ids::PayerId;
use std::collections::BTreeMap;

/// Which figure of a meter is counted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Measure {
    /// How many.
    Pieces,
    /// vCPUs.
    Vcpus,
    /// Memory, MiB.
    MemoryMib,
    /// Size, bytes.
    Bytes,
}

/// The figures of some meters, added up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Amounts {
    /// How many.
    pub pieces: i64,
    /// vCPUs.
    pub vcpus: i64,
    /// Memory, MiB.
    pub memory_mib: i64,
    /// Size, bytes.
    pub bytes: i64,
}

impl Amounts {
    /// One of the figures.
    #[must_use]
    pub const fn of(&self, measure: Measure) -> i64 {
        match measure {
            Measure::Pieces => self.pieces,
            Measure::Vcpus => self.vcpus,
            Measure::MemoryMib => self.memory_mib,
            Measure::Bytes => self.bytes,
        }
    }
    /// Both added up; what is out of range stays at its end, which refuses rather than wraps.
    #[must_use]
    pub const fn and(&self, more: &Self) -> Self {
        Self {
            pieces: self.pieces.saturating_add(more.pieces),
            vcpus: self.vcpus.saturating_add(more.vcpus),
            memory_mib: self.memory_mib.saturating_add(more.memory_mib),
            bytes: self.bytes.saturating_add(more.bytes),
        }
    }
    /// What this has more than the other, nothing where it has less: a call that lowers makes no
    /// room for another before it is done.
    #[must_use]
    pub fn beyond(&self, less: &Self) -> Self {
        Self {
            pieces: self.pieces.saturating_sub(less.pieces).max(0),
            vcpus: self.vcpus.saturating_sub(less.vcpus).max(0),
            memory_mib: self.memory_mib.saturating_sub(less.memory_mib).max(0),
            bytes: self.bytes.saturating_sub(less.bytes).max(0),
        }
    }
}

/// Sums by CloudStack's usage type and zone; the zone is empty where it is not known.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Things(BTreeMap<(u8, String), Amounts>);

impl Things {
    /// Adds to a sum.
    pub fn add(&mut self, usage_type: u8, zone: &str, amounts: &Amounts) {
        let sum = self.0.entry((usage_type, zone.to_owned())).or_default();
        *sum = sum.and(amounts);
    }
    /// Adds all of another's sums.
    pub fn add_all(&mut self, more: &Self) {
        for (usage_type, zone, amounts) in more.iter() {
            self.add(usage_type, zone, amounts);
        }
    }
    /// What these have more than others.
    #[must_use]
    pub fn beyond(&self, less: &Self) -> Self {
        let none = Amounts::default();
        let more = self.0.iter().map(|(key, amounts)| {
            let less = less.0.get(key).unwrap_or(&none);
            (key.clone(), amounts.beyond(less))
        });
        Self(more.filter(|(_, amounts)| *amounts != none).collect())
    }
    /// Every sum.
    pub fn iter(&self) -> impl Iterator<Item = (u8, &str, &Amounts)> {
        let sums = self.0.iter();
        sums.map(|((usage_type, zone), amounts)| (*usage_type, zone.as_str(), amounts))
    }
    /// A figure in a zone, or in all. What is in no known zone counts in every one.
    #[must_use]
    pub fn total(&self, usage_type: u8, zone: Option<&str>, measure: Measure) -> i64 {
        let fits = |at: &str| zone.is_none_or(|zone| at.is_empty() || at == zone);
        self.iter()
            .filter(|(kind, at, _)| *kind == usage_type && fits(at))
            .fold(0, |sum, (_, _, amounts)| {
                sum.saturating_add(amounts.of(measure))
            })
    }
}

/// One limit that a call has to keep.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Bound {
    /// The limit's id.
    pub rule: String,
    /// What is counted, for people: `vm`.
    pub what: String,
    /// CloudStack's usage type.
    pub usage_type: u8,
    /// In which zone; none: in all together.
    pub zone: Option<String>,
    /// Which figure.
    pub measure: Measure,
    /// How many of these make one, for people: 1024 MiB a GiB.
    pub divisor: i64,
    /// So much at most.
    pub most: i64,
    /// What people are told.
    pub reason: String,
}

/// What a call is going to add to a payer, and the limits that it has to keep.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Who pays.
    pub payer: PayerId,
    /// What is added.
    pub adds: Things,
    /// What a line of a bundle had claimed for it already, and claims no longer.
    pub drawn: Things,
    /// The limits, in the order in which they are told.
    pub bounds: Vec<Bound>,
}

/// A limit that says no.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, thiserror::Error)]
#[error(
    "limit {rule}: {most} {what} at most, {has} there or under way, {adds} more asked for: {reason}"
)]
pub struct OverLimit {
    /// Its id.
    pub rule: String,
    /// What is counted.
    pub what: String,
    /// So much at most.
    pub most: String,
    /// So much is there, open calls included.
    pub has: String,
    /// So much would be added.
    pub adds: String,
    /// What people are told.
    pub reason: String,
}

/// How far a limit is used, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Usage {
    /// The limit's numbers, and what it counts.
    pub limit: OverLimit,
    /// It would refuse.
    pub refuses: bool,
}

/// How far each limit of a claim is used, and which would refuse it.
#[must_use]
pub fn usage(claim: &Claim, has: &Things) -> Vec<Usage> {
    let has = &has.beyond(&claim.drawn);
    let of = |bound: &Bound| {
        let (kind, zone) = (bound.usage_type, bound.zone.as_deref());
        let adds = claim.adds.total(kind, zone, bound.measure);
        let drawn = claim.drawn.total(kind, zone, bound.measure);
        let has = has.total(kind, zone, bound.measure);
        Usage {
            // What its line claimed was asked then.
            refuses: adds > drawn && has.saturating_add(adds) > bound.most,
            limit: OverLimit {
                rule: bound.rule.clone(),
                what: bound.what.clone(),
                most: shown(bound.most, bound.divisor),
                has: shown(has, bound.divisor),
                adds: shown(adds, bound.divisor),
                reason: bound.reason.clone(),
            },
        }
    };
    claim.bounds.iter().map(of).collect()
}

/// Whether what is added keeps every limit. A limit to which nothing is added is not looked at:
/// whoever is over it, since it was lowered, may do everything else.
///
/// # Errors
/// [`OverLimit`] of the first that it does not keep.
pub fn admit(claim: &Claim, has: &Things) -> Result<(), Box<OverLimit>> {
    let refusing = usage(claim, has).into_iter().find(|one| one.refuses);
    refusing.map_or(Ok(()), |one| Err(Box::new(one.limit)))
}

/// Whole units, or with one digit, rounded up.
fn shown(amount: i64, divisor: i64) -> String {
    let divisor = divisor.max(1);
    let tenths = i128::from(amount) * 10;
    let tenths = (tenths + i128::from(divisor) - 1) / i128::from(divisor);
    match tenths % 10 {
        0 => (tenths / 10).to_string(),
        digit => format!("{}.{digit}", tenths / 10),
    }
}

#[cfg(test)]
mod tests;
