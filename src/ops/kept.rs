//! Edge: one reading of the books for everybody who looks at the same time.
//!
//! A browser asks each second, and so does every other one. A reading is handed out again while
//! it is fresh, and is taken anew no more often than the books bear: it may take at most a
//! quarter of the time.

use super::source::OpsSource;
use super::views::LiveView;
use crate::clock::Clock;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Mutex;

/// A reading is fresh for so long at least: a little less than a browser waits.
const FRESH: Duration = Duration::from_millis(900);
/// However long a reading took, it is taken again after this.
const FRESH_MAX: Duration = Duration::from_secs(30);

/// A source, and its last reading.
pub struct Kept {
    /// Who answers.
    pub source: Arc<dyn OpsSource>,
    clock: Clock,
    last: Mutex<Option<Reading>>,
}

/// One reading.
struct Reading {
    view: Arc<LiveView>,
    at: Instant,
    fresh: Duration,
}

impl Kept {
    /// Nothing was read yet.
    #[must_use]
    pub fn new(source: Arc<dyn OpsSource>) -> Self {
        Self {
            source,
            clock: Clock::system(),
            last: Mutex::new(None),
        }
    }

    /// The last reading while it is fresh, else a new one, and how old it is; who asks while it
    /// is taken waits for it.
    pub async fn live(&self) -> (Arc<LiveView>, Duration) {
        let mut last = self.last.lock().await;
        let started = self.clock.monotonic();
        if let Some(reading) = last.as_ref() {
            let age = started.saturating_duration_since(reading.at);
            if age < reading.fresh {
                return (reading.view.clone(), age);
            }
        }
        let view = Arc::new(self.source.live().await);
        let at = self.clock.monotonic();
        let took = at.saturating_duration_since(started);
        let fresh = took.saturating_mul(3).clamp(FRESH, FRESH_MAX);
        *last = Some(Reading {
            view: view.clone(),
            at,
            fresh,
        });
        (view, Duration::ZERO)
    }
}
