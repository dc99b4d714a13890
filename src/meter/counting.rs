//! Pure: what CloudStack counts by itself (traffic, disk I/O), how often it says so, and how fast
//! it can grow at most.
//!
//! Nobody knows these amounts before they were used. The usage server writes them once a window
//! (`usage.stats.job.aggregation.range`, minutes); the management server polls the counters only
//! where a setting other than 0 says how often.

use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::terms::time::SECOND;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes a second of one Mbit/s.
const MEGABIT: i64 = 125_000;
/// CloudStack's own window where nobody set another: a day.
pub const RANGE_DEFAULT: i64 = 1_440 * 60 * SECOND;

/// The settings that say what is counted and how often.
pub const SETTINGS: [&str; 5] = [
    "enable.usage.server",
    "usage.stats.job.aggregation.range",
    "router.stats.interval",
    "vm.network.stats.interval",
    "vm.disk.stats.interval",
];

/// Who tells what was used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sampler {
    /// Records of the usage server, a window of so many microseconds at a time.
    UsageWindow(i64),
    /// Nobody, with the reason: nothing is held for amounts, and none is charged.
    None(String),
}

/// What is counted, by whom, and how fast it can grow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counting {
    /// Who tells.
    pub sampler: Sampler,
    /// Whether the length of the window is a setting that was read.
    pub is_set: bool,
    /// Types whose counter is switched off, by the setting that does it.
    pub off: BTreeMap<UsageType, &'static str>,
    /// Line rates by type and offering: bytes or operations a second. An offering without a bound
    /// is not here.
    pub rates: BTreeMap<(UsageType, String), i64>,
}

impl Default for Counting {
    fn default() -> Self {
        Self {
            sampler: Sampler::None("CloudStack was not asked yet".to_owned()),
            is_set: false,
            off: BTreeMap::new(),
            rates: BTreeMap::new(),
        }
    }
}

impl Counting {
    /// Whether samples of a type will come.
    #[must_use]
    pub fn counts(&self, usage_type: UsageType) -> bool {
        matches!(self.sampler, Sampler::UsageWindow(_)) && !self.off.contains_key(&usage_type)
    }

    /// The usage server's window in microseconds.
    #[must_use]
    pub const fn window(&self) -> Option<i64> {
        match self.sampler {
            Sampler::UsageWindow(window) => Some(window),
            Sampler::None(_) => None,
        }
    }

    /// Bytes or operations a second that a thing on this offering can make at most.
    #[must_use]
    pub fn rate(&self, usage_type: UsageType, offering: Option<&str>) -> Option<i64> {
        let key = (usage_type, offering?.to_owned());
        self.rates.get(&key).copied()
    }

    /// Takes the line rates of an offering as CloudStack lists it: `networkrate` (Mbit/s) for both
    /// directions of a network, the four disk rates of a disk or service offering. What is absent,
    /// 0 or less has no bound.
    pub fn learn_offering(&mut self, row: &Node) {
        let Some(id) = row.text_of("id") else { return };
        let fields = [
            ("networkrate", UsageType::NetworkBytesSent, MEGABIT),
            ("networkrate", UsageType::NetworkBytesReceived, MEGABIT),
            ("diskBytesReadRate", UsageType::VmDiskBytesRead, 1),
            ("diskBytesWriteRate", UsageType::VmDiskBytesWrite, 1),
            ("diskIopsReadRate", UsageType::VmDiskIoRead, 1),
            ("diskIopsWriteRate", UsageType::VmDiskIoWrite, 1),
        ];
        for (field, usage_type, factor) in fields {
            let rate = row.number_of(field).filter(|rate| *rate > 0);
            if let Some(rate) = rate.and_then(|rate| rate.checked_mul(factor)) {
                self.rates.insert((usage_type, id.to_owned()), rate);
            }
        }
    }
}

/// What settings say: the sampler and the types that are switched off. Where a setting cannot be
/// read, the counter is taken to be on, and the window to be CloudStack's default: rather hold
/// money for what never comes than give away what was used.
#[must_use]
pub fn by_settings(settings: &BTreeMap<String, String>) -> Counting {
    let number = |name: &str| -> Option<i64> { settings.get(name)?.trim().parse().ok() };
    let is_off = |name: &str| number(name) == Some(0);
    let mut off = BTreeMap::new();
    if is_off("router.stats.interval") && is_off("vm.network.stats.interval") {
        for usage_type in [UsageType::NetworkBytesSent, UsageType::NetworkBytesReceived] {
            off.insert(usage_type, "router.stats.interval");
        }
    }
    if is_off("vm.disk.stats.interval") {
        let io = UsageType::ALL.into_iter().filter(|one| one.number() >= 21);
        for usage_type in io.filter(|one| one.counts_amounts()) {
            off.insert(usage_type, "vm.disk.stats.interval");
        }
    }
    let range = number("usage.stats.job.aggregation.range");
    let range = range.and_then(|minutes| minutes.max(1).checked_mul(60 * SECOND));
    let is_disabled = settings
        .get("enable.usage.server")
        .is_some_and(|value| value.trim() == "false");
    let sampler = match is_disabled {
        true => Sampler::None("enable.usage.server is false".to_owned()),
        false => Sampler::UsageWindow(range.unwrap_or(RANGE_DEFAULT)),
    };
    Counting {
        sampler,
        is_set: range.is_some(),
        off,
        rates: BTreeMap::new(),
    }
}

/// What an operator should know of priced amounts that will never be counted.
#[must_use]
pub fn warnings(counting: &Counting, priced: &BTreeSet<UsageType>) -> Vec<String> {
    let mut found = Vec::new();
    if let (Sampler::None(why), false) = (&counting.sampler, priced.is_empty()) {
        found.push(format!(
            "traffic or disk I/O has a price, and no usage server counts it ({why}): it is not \
             charged. Enable it, or take the price lines out"
        ));
        return found;
    }
    for usage_type in priced {
        if let Some(setting) = counting.off.get(usage_type) {
            found.push(format!(
                "{usage_type:?} has a price, and its counter is switched off: {setting} is 0. \
                 Write the seconds between two polls there, or take the price line out"
            ));
        }
    }
    found
}

#[cfg(test)]
mod tests;
