//! Edge: what all parts of one seed share: time, chance, the books, the cloud, and the trace.

use super::cloud::{Base, START, base};
use super::mutation::Mutation;
use super::node::Node;
use crate::campaign::Draw;
use faregate::clock::Clock;
use faregate::sandbox::cloud::{Cloud, Moment};
use faregate::store::Work;
use faregate::store::memory::{Books, Reach};
use faregate::terms::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// Where a gate may die, by the names of the fault list: K1 after a call was parsed, K2 after it
/// was verified, K3 after its hold was committed, K4 after the connection, K5 after the first
/// byte, K6 after the last, K7 after the answer's head, K8 after its body, K9 after the job's id
/// was stored, K10 after the client was answered, K11 inside a settlement; K0 is any other time.
/// K12 to K15 (outbox, invoice, migration, key rotation) are no steps of a call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Point {
    K0,
    K1,
    K2,
    K3,
    K4,
    K5,
    K6,
    K7,
    K8,
    K9,
    K10,
    K11,
}

impl Point {
    pub const ALL: [Self; 12] = [
        Self::K0,
        Self::K1,
        Self::K2,
        Self::K3,
        Self::K4,
        Self::K5,
        Self::K6,
        Self::K7,
        Self::K8,
        Self::K9,
        Self::K10,
        Self::K11,
    ];
}

/// One life of the gate: from a start to a crash.
#[derive(Debug)]
pub struct Life {
    pub number: u64,
    dead: AtomicBool,
    death: Notify,
    reach: Reach,
    pub stop: watch::Sender<bool>,
}

impl Life {
    pub fn new(number: u64, reach: Reach) -> Arc<Self> {
        let (stop, _) = watch::channel(false);
        Arc::new(Self {
            number,
            dead: AtomicBool::new(false),
            death: Notify::new(),
            reach,
            stop,
        })
    }

    pub fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    /// Waits for the death.
    pub async fn died(&self) {
        // In the order in which they wait: the channel of a watch wakes in any.
        let death = self.death.notified();
        if !self.is_dead() {
            death.await;
        }
    }
}

/// A raising call as it reached the cloud.
#[derive(Clone, Debug, Default)]
pub struct Forwarded {
    pub times: u32,
    pub command: String,
    pub account: String,
    /// What its create phase made, or what it works on.
    pub made: Option<String>,
}

/// What changes.
pub struct State {
    pub draw: Draw,
    pub trace: Vec<String>,
    /// The first invariant that did not hold, and how.
    pub broken: Option<String>,
    /// No fault strikes any more.
    pub healed: bool,
    pub cloud: Cloud,
    /// Jobs that the cloud has forgotten.
    pub purged: BTreeSet<String>,
    /// By our job id.
    pub forwarded: BTreeMap<String, Forwarded>,
    /// Lives of the management server: a connection dies with the one it was opened in.
    pub server: u64,
    pub server_away: bool,
    /// Groups that still find the disk full.
    pub disk_full: u64,
    /// Until when the jobs on a thing take.
    pub busy: BTreeMap<String, Instant>,
    pub node: Option<Arc<Node>>,
    pub lives: u64,
    pub points: BTreeSet<Point>,
    pub seen: super::invariants::Seen,
    pub ids: u128,
    pub counts: BTreeMap<&'static str, u64>,
    /// What was let in, in order.
    pub works: Vec<Work>,
}

pub struct World {
    pub base: &'static Base,
    /// The gate's clock.
    pub clock: Clock,
    /// The cloud's, which never jumps alone.
    pub clouds_clock: Clock,
    pub books: Books,
    pub mutation: Option<Mutation>,
    state: Mutex<State>,
}

impl World {
    pub fn new(seed: u64, mutation: Option<Mutation>) -> Arc<Self> {
        let base = base();
        let start = Timestamp::from_seconds(START + 60);
        let state = State {
            draw: Draw::of_seed(seed),
            trace: Vec::new(),
            broken: None,
            healed: false,
            cloud: base.cloud.clone(),
            purged: BTreeSet::new(),
            forwarded: BTreeMap::new(),
            server: 0,
            server_away: false,
            disk_full: 0,
            busy: BTreeMap::new(),
            node: None,
            lives: 0,
            points: BTreeSet::new(),
            seen: super::invariants::Seen::default(),
            ids: u128::from(seed) << 64,
            counts: BTreeMap::new(),
            works: Vec::new(),
        };
        Arc::new(Self {
            base,
            clock: Clock::seeded(start, seed),
            clouds_clock: Clock::seeded(start, !seed),
            books: Books::default(),
            mutation,
            state: Mutex::new(state),
        })
    }

    /// Never held across a wait.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn has(&self, mutation: Mutation) -> bool {
        self.mutation == Some(mutation)
    }

    pub fn note(&self, line: String) {
        let at = self
            .clouds_clock
            .wall()
            .since(Timestamp::from_seconds(START));
        let mut state = self.state();
        state.trace.push(format!("{:>12.3} s  {line}", Seconds(at)));
    }

    pub fn count(&self, what: &'static str) {
        *self.state().counts.entry(what).or_default() += 1;
    }

    /// An invariant does not hold; the first one is kept.
    pub fn broken(&self, what: String) {
        self.note(format!("BROKEN {what}"));
        let mut state = self.state();
        if state.broken.is_none() {
            state.broken = Some(what);
        }
    }

    pub fn is_broken(&self) -> bool {
        self.state().broken.is_some()
    }

    pub fn below(&self, bound: u64) -> u64 {
        self.state().draw.below(bound)
    }

    /// Whether a fault strikes that strikes so many times in a thousand; never once healed.
    pub fn strikes(&self, per_mille: u64) -> bool {
        let mut state = self.state();
        state.draw.below(1_000) < per_mille && !state.healed
    }

    /// Lets a little time pass, up to so many milliseconds.
    pub async fn delay(&self, millis: u64) {
        let millis = self.below(millis + 1);
        tokio::time::sleep(Duration::from_millis(millis)).await;
    }

    /// Both clocks leap: a time passes in which nothing happens.
    pub fn leap(&self, seconds: i64) {
        let steady = Duration::from_secs(seconds.unsigned_abs());
        for clock in [&self.clock, &self.clouds_clock] {
            clock.leap(seconds * 1_000_000, steady);
        }
    }

    pub fn node(&self) -> Option<Arc<Node>> {
        self.state().node.clone()
    }

    /// The gate dies here, if the seed says so; where the step is rare, more often.
    pub fn may_die(&self, life: &Life, point: Point) -> bool {
        let per_mille = match point {
            Point::K5 | Point::K7 | Point::K9 => 150,
            _ => 4,
        };
        let dies = self.strikes(per_mille) && !life.is_dead();
        if dies {
            self.die(life, point);
        }
        dies
    }

    /// The gate dies: nothing that it still does reaches anybody.
    pub fn die(&self, life: &Life, point: Point) {
        self.note(format!("gate {} dies at {point:?}", life.number));
        life.reach.kill();
        life.dead.store(true, Ordering::Relaxed);
        life.death.notify_waiters();
        life.stop.send_replace(true);
        let mut state = self.state();
        state.points.insert(point);
        if state
            .node
            .as_ref()
            .is_some_and(|node| node.life.number == life.number)
        {
            state.node = None;
        }
    }

    /// Works on the cloud at its own time.
    pub fn with_cloud<T>(&self, work: impl FnOnce(&mut Cloud, Moment<'_>) -> T) -> T {
        let now = self.clouds_clock.wall().seconds();
        let mut state = self.state();
        let State { cloud, ids, .. } = &mut *state;
        let next = std::cell::Cell::new(*ids);
        let fresh = || {
            next.set(
                next.get()
                    .wrapping_add(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835),
            );
            uuid::Builder::from_random_bytes(next.get().to_be_bytes())
                .into_uuid()
                .to_string()
        };
        let done = work(cloud, Moment { now, fresh: &fresh });
        *ids = next.get();
        done
    }
}

/// Microseconds as seconds, without a float.
struct Seconds(i64);

impl std::fmt::Display for Seconds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = format!(
            "{}.{:03}",
            self.0 / 1_000_000,
            (self.0 / 1_000).rem_euclid(1_000)
        );
        f.pad_integral(true, "", &text)
    }
}
