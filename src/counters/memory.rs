//! Edge: one node's own counting: governor's cell rate per limit and subject.

use crate::policy::limits::{Counted, Pace, TooMany};
use crate::terms::limits::{COUNTED_LIMITS_MAX, COUNTED_SUBJECTS_MAX};
use arc_swap::ArcSwap;
use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// Subjects counted between two looks at how many there are.
const TIDY_EVERY: usize = 4_096;
/// The subject under which those are counted for whom there is no room.
const THE_REST: &str = "*";

/// A limit is another one when its pace changes.
type Name = (String, Pace);
type Limits = BTreeMap<Name, Arc<Subjects>>;

struct Subjects {
    buckets: DefaultKeyedRateLimiter<String>,
    counted: AtomicUsize,
    full: std::sync::atomic::AtomicBool,
}

pub(super) struct Memory {
    nodes: u32,
    limits: ArcSwap<Limits>,
    clock: DefaultClock,
}

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let limits = self.limits.load().len();
        write!(f, "Memory {{ nodes: {}, limits: {limits} }}", self.nodes)
    }
}

impl Memory {
    pub(super) fn new(nodes: u32) -> Self {
        Self {
            nodes: nodes.max(1),
            limits: ArcSwap::default(),
            clock: DefaultClock::default(),
        }
    }

    pub(super) fn count(&self, limits: &[Counted<'_>]) -> Result<(), TooMany> {
        for counted in limits {
            let name = (counted.limit.id.clone(), counted.limit.pace);
            let subjects = self.subjects(&name);
            if let Err(wait) = subjects.count(&counted.subject, &self.clock) {
                return Err(TooMany::of(counted.limit, wait));
            }
        }
        Ok(())
    }

    /// The buckets of a limit, made where the limit is new. Limits that an operator took out are
    /// dropped when there are too many.
    fn subjects(&self, name: &Name) -> Arc<Subjects> {
        if let Some(known) = self.limits.load().get(name) {
            return known.clone();
        }
        let fresh = Arc::new(Subjects::new(name.1.share(self.nodes)));
        self.limits.rcu(|old| {
            let mut limits = match old.len() < COUNTED_LIMITS_MAX {
                true => Limits::clone(old),
                false => Limits::new(),
            };
            limits.entry(name.clone()).or_insert_with(|| fresh.clone());
            limits
        });
        self.limits.load().get(name).cloned().unwrap_or(fresh)
    }
}

impl Subjects {
    fn new(pace: Pace) -> Self {
        let interval = Duration::from_micros(u64::try_from(pace.interval()).unwrap_or(1).max(1));
        let burst = NonZeroU32::new(pace.burst).unwrap_or(NonZeroU32::MIN);
        // An interval is never nothing; a second stands in where the library thinks so.
        let quota = Quota::with_period(interval)
            .unwrap_or_else(|| Quota::per_second(burst))
            .allow_burst(burst);
        Self {
            buckets: RateLimiter::keyed(quota),
            counted: AtomicUsize::new(0),
            full: std::sync::atomic::AtomicBool::new(false),
        }
    }

    /// Counts one call; the error is the wait in microseconds.
    fn count(&self, subject: &str, clock: &DefaultClock) -> Result<(), i64> {
        self.tidy();
        let subject = match self.full.load(Ordering::Relaxed) {
            false => subject.to_owned(),
            true => THE_REST.to_owned(),
        };
        self.buckets.check_key(&subject).map_err(|no| {
            let wait = no.wait_time_from(clock.now());
            i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)
        })
    }

    /// Forgets who has not called for long. If there are too many all the same, everybody counts
    /// as one until there are fewer: memory is bounded, and no flood of addresses frees anyone.
    fn tidy(&self) {
        let counted = self.counted.fetch_add(1, Ordering::Relaxed);
        if !counted.is_multiple_of(TIDY_EVERY) {
            return;
        }
        if self.buckets.len() > COUNTED_SUBJECTS_MAX / 2 {
            self.buckets.retain_recent();
            self.buckets.shrink_to_fit();
        }
        let full = self.buckets.len() > COUNTED_SUBJECTS_MAX;
        self.full.store(full, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::limits::{CallLimit, Per};
    use crate::terms::time::HOUR;

    fn limit(burst: u32) -> CallLimit {
        CallLimit {
            id: "hourly".to_owned(),
            per: Per::Account,
            of: None,
            commands: Vec::new(),
            class: None,
            pace: Pace {
                calls: burst,
                period: HOUR,
                burst,
            },
            reason: "so it was agreed".to_owned(),
        }
    }

    fn granted(memory: &Memory, limit: &CallLimit, subject: &str) -> usize {
        let counted = [Counted {
            limit,
            subject: subject.to_owned(),
        }];
        (0..50).filter(|_| memory.count(&counted).is_ok()).count()
    }

    #[test]
    fn each_subject_gets_its_burst_and_no_more() {
        let (memory, limit) = (Memory::new(1), limit(5));
        assert_eq!(granted(&memory, &limit, "ann"), 5);
        assert_eq!(granted(&memory, &limit, "bob"), 5);
        assert_eq!(granted(&memory, &limit, "ann"), 0);
    }

    #[test]
    fn one_of_three_nodes_grants_its_share() {
        assert_eq!(granted(&Memory::new(3), &limit(9), "ann"), 3);
    }

    #[test]
    fn a_refusal_names_the_rule_and_how_long_to_wait() {
        let (memory, limit) = (Memory::new(1), limit(1));
        let counted = [Counted {
            limit: &limit,
            subject: "ann".to_owned(),
        }];
        memory.count(&counted).unwrap();
        let no = memory.count(&counted).unwrap_err();
        assert_eq!(no.rule, "hourly");
        assert!(no.wait > HOUR / 2 && no.wait <= HOUR, "{no:?}");
    }
}
