//! Edge: whether the clock can be trusted: one that jumps must not turn into money.

use crate::clock::Clock;
use crate::terms::time::Timestamp;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Wall and monotonic clock may differ by this much between two looks.
const JUMP_MAX: Duration = Duration::from_secs(5);

/// The clock, and whether it jumped.
#[derive(Debug)]
pub(super) struct Trust {
    clock: Clock,
    halted: AtomicBool,
    /// Wall and monotonic clock as they were looked at last.
    looked: Mutex<(Timestamp, Instant)>,
}

impl Trust {
    pub(super) fn new(clock: Clock) -> Self {
        let looked = Mutex::new((clock.wall(), clock.monotonic()));
        Self {
            clock,
            halted: AtomicBool::new(false),
            looked,
        }
    }

    /// The clock jumped, and nobody has said yet that it is right.
    pub(super) fn halted(&self) -> bool {
        self.halted.load(Ordering::Relaxed)
    }

    /// An operator looked at the clock.
    pub(super) fn resume(&self) {
        self.halted.store(false, Ordering::Relaxed);
    }

    /// Looks at both clocks: a wall clock that went back, or otherwise than the monotonic one.
    pub(super) fn look(&self) {
        let mut before = self.looked.lock().unwrap_or_else(PoisonError::into_inner);
        let now = (self.clock.wall(), self.clock.monotonic());
        let wall = Duration::from_micros(now.0.since(before.0).unsigned_abs());
        let went_back = now.0 < before.0;
        let steady = now.1.duration_since(before.1);
        *before = now;
        if went_back || wall.abs_diff(steady) > JUMP_MAX {
            tracing::error!(
                verb = "renew",
                ?wall,
                ?steady,
                "the clock jumped: renewals wait"
            );
            self.halted.store(true, Ordering::Relaxed);
        }
    }
}
