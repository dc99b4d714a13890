//! Edge: the policies are read again on SIGHUP and when a file of theirs changes, without losing
//! a call.
//!
//! A set with a fault is refused whole and the one in force stays; the faults are logged and
//! shown to operators until a set without one is read. New customers' books are open before any
//! call is judged by the new set. What the configuration file says is read at start alone.

use super::payers;
use super::wiring::{self, Product};
use crate::config::{self, Fault};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};
use tokio::sync::watch;

/// Files are looked at so often.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What became of the last readings.
#[derive(Debug, Default)]
pub struct Reloads {
    done: AtomicU64,
    refused: AtomicU64,
    faults: Mutex<Vec<String>>,
}

impl Reloads {
    /// Sets that were put in force since the start.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }
    /// Sets that were refused since the start.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
    /// What is wrong with the files as they are; empty where they are in force.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        faults.clone()
    }

    fn say(&self, faults: Vec<String>) {
        let count = if faults.is_empty() {
            &self.done
        } else {
            &self.refused
        };
        count.fetch_add(1, Ordering::Relaxed);
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }
}

/// Reads the policies once and puts them in force, or says what is wrong.
pub async fn once(product: &Product) -> bool {
    let faults = match wiring::rules(&product.config) {
        Ok(rules) if rules.hash == product.rules.load().hash => Vec::new(),
        Ok(rules) => match payers::open(&product.store, &rules, product.clock.billing()).await {
            Ok(()) => {
                product.rules.store(Arc::new(rules));
                tracing::info!(verb = "reload", "the policies are in force");
                Vec::new()
            }
            Err(fault) => vec![format!("the books of new customers: {fault}")],
        },
        Err(faults) => faults.iter().map(Fault::to_string).collect(),
    };
    for fault in &faults {
        tracing::error!(verb = "reload", %fault, "the policies in force stay");
    }
    let is_good = faults.is_empty();
    product.reloads.say(faults);
    is_good
}

/// Reads the policies again whenever that is due, until the node stops.
pub async fn run(product: Arc<Product>, mut stop: watch::Receiver<bool>) {
    use tokio::signal::unix::{SignalKind, signal};
    let mut asked = match signal(SignalKind::hangup()) {
        Ok(asked) => asked,
        Err(fault) => {
            tracing::error!(verb = "reload", %fault, "policies are read at start alone");
            return;
        }
    };
    let folder = product.config.policies.clone();
    let mut seen = look(&folder);
    let mut tick = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            _ = asked.recv() => {}
            _ = tick.tick() => {
                if look(&folder) == seen {
                    continue;
                }
            }
            _ = stop.changed() => return,
        }
        seen = look(&folder);
        once(&product).await;
    }
}

/// Paths, lengths and times of the policy files; a file that cannot be looked at is a change.
fn look(folder: &Path) -> Option<Vec<(String, u64, SystemTime)>> {
    let files = config::policy_paths(folder).ok()?;
    let one = |path: &std::path::PathBuf| {
        let known = std::fs::metadata(path).ok()?;
        let path = path.display().to_string();
        Some((path, known.len(), known.modified().ok()?))
    };
    files.iter().map(one).collect()
}
