//! Edge: raising requests whose answer may not have arrived, remembered for a minute.
//!
//! Go's HTTP client resends a GET by itself when a kept-alive connection dies without an answer.
//! The same map and signature then gets the first one's answer, or waits for it: one hold, one
//! forward. A request whose answer was delivered is forgotten, because CloudStack would run an
//! equal second request as a second call, and so do we. Calls that this gate's death cut off are
//! remembered from their intents.

use super::wire::Answer;
use crate::clock::Clock;
use crate::terms::ids::JobId;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// How long an answer that was not delivered is kept.
const KEPT: Duration = Duration::from_secs(60);
/// Requests remembered; the oldest go first.
const KEPT_MAX: usize = 10_000;

/// The answer of a raising call, as soon as it is there.
type Pending = watch::Receiver<Option<Answer>>;

#[derive(Debug)]
struct Entry {
    serial: u64,
    answer: Pending,
    lost: Option<Instant>,
}

/// A call that was under way when the gate died: asked for again, its job is what it gets.
#[derive(Debug)]
struct CutOff {
    request: [u8; 32],
    job: Option<JobId>,
}

#[derive(Debug, Default)]
struct Remembered {
    serial: u64,
    cut_off: Vec<CutOff>,
    cut_off_until: Option<Instant>,
    by_request: HashMap<[u8; 32], Vec<Entry>>,
}

/// What is remembered of raising requests.
#[derive(Debug)]
pub struct Resends {
    clock: Clock,
    remembered: Mutex<Remembered>,
}

/// What to do with a raising request.
pub enum Turn {
    /// It is the first: run it, and tell the answer.
    First(watch::Sender<Option<Answer>>, Delivery),
    /// It was sent before and its answer was lost: give that one.
    Again(Pending, Delivery),
    /// It was sent before this process started, and cut off: the job that it started, if it
    /// starts one.
    BeforeUs(Option<JobId>),
}

/// Watches whether an answer reached the client: dropped before [`Delivery::done`], it did not.
#[derive(Debug)]
pub struct Delivery {
    resends: Arc<Resends>,
    fingerprint: [u8; 32],
    serial: u64,
    done: bool,
}

impl Resends {
    /// Nothing remembered yet.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            remembered: Mutex::default(),
        }
    }

    /// Remembers calls that were under way when the last process died, for a minute from now.
    pub fn recall(&self, calls: impl IntoIterator<Item = ([u8; 32], Option<JobId>)>) {
        let mut remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        remembered.cut_off_until = self.clock.monotonic().checked_add(KEPT);
        let calls = calls.into_iter().take(KEPT_MAX);
        remembered.cut_off = calls
            .map(|(request, job)| CutOff { request, job })
            .collect();
    }

    /// Whether this request is new, or asks again for an answer that was lost.
    #[must_use]
    pub fn turn(self: &Arc<Self>, fingerprint: [u8; 32]) -> Turn {
        let now = self.clock.monotonic();
        let mut guard = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let remembered = &mut *guard;
        if remembered.by_request.len() >= KEPT_MAX {
            remembered
                .by_request
                .retain(|_, entries| entries.iter().any(|e| e.wanted(now)));
        }
        if remembered.cut_off_until.is_some_and(|until| now >= until) {
            remembered.cut_off = Vec::new();
        }
        let cut_off = &mut remembered.cut_off;
        if let Some(at) = cut_off.iter().position(|call| call.request == fingerprint) {
            return Turn::BeforeUs(cut_off.swap_remove(at).job);
        }
        remembered.serial = remembered.serial.wrapping_add(1);
        let mut delivery = Delivery {
            resends: self.clone(),
            fingerprint,
            serial: remembered.serial,
            done: false,
        };
        let entries = remembered.by_request.entry(fingerprint).or_default();
        entries.retain(|entry| entry.wanted(now));
        if let Some(entry) = entries.iter_mut().find(|entry| entry.lost.is_some()) {
            entry.lost = None;
            delivery.serial = entry.serial;
            return Turn::Again(entry.answer.clone(), delivery);
        }
        let (tell, answer) = watch::channel(None);
        entries.push(Entry {
            serial: delivery.serial,
            answer,
            lost: None,
        });
        Turn::First(tell, delivery)
    }
}

impl Entry {
    fn wanted(&self, now: Instant) -> bool {
        self.lost.is_none_or(|at| now.duration_since(at) < KEPT)
    }
}

impl Delivery {
    /// The answer reached the client.
    pub fn done(mut self) {
        self.done = true;
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        let now = self.resends.clock.monotonic();
        let mut remembered = self
            .resends
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let Some(entries) = remembered.by_request.get_mut(&self.fingerprint) else {
            return;
        };
        if self.done {
            entries.retain(|entry| entry.serial != self.serial);
        } else if let Some(entry) = entries.iter_mut().find(|e| e.serial == self.serial) {
            entry.lost = Some(now);
        }
        if entries.is_empty() {
            remembered.by_request.remove(&self.fingerprint);
        }
    }
}

#[cfg(test)]
mod tests;
