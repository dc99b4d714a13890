//! Edge: how often calls came, counted in memory or shared by all nodes through Redis.
//!
//! Counters hold call limits, never money: losing them loses no cent. Redis lost, slow, flushed or
//! stale means that each node grants its share by itself, and nothing else changes.

mod memory;
mod shared;

use crate::policy::limits::{Counted, TooMany};
use memory::Memory;
use std::sync::Arc;

pub use shared::{Health, Shared};

/// Everything that is counted of one node's calls.
#[derive(Debug)]
pub struct Counters {
    memory: Memory,
    shared: Option<Arc<Shared>>,
}

impl Counters {
    /// Counters of one of so many nodes; `shared` where a Redis is configured.
    #[must_use]
    pub fn new(nodes: u32, shared: Option<Arc<Shared>>) -> Self {
        Self {
            memory: Memory::new(nodes),
            shared,
        }
    }

    /// Counts a call against its limits, in their order. Where all nodes count together, a call
    /// that is refused counts against none; a node by itself has counted it against the limits
    /// before the one that says no.
    ///
    /// # Errors
    /// [`TooMany`], of the first limit that says no.
    pub async fn count(&self, limits: &[Counted<'_>]) -> Result<(), TooMany> {
        if limits.is_empty() {
            return Ok(());
        }
        if let Some(shared) = &self.shared
            && let Some(told) = shared.count(limits).await
        {
            return told;
        }
        self.memory.count(limits)
    }

    /// How the shared counting does; none where each node counts by itself.
    #[must_use]
    pub fn health(&self) -> Option<Health> {
        self.shared.as_ref().map(|shared| shared.health())
    }

    /// Keeps up the way to Redis until told to stop.
    pub async fn run(self: Arc<Self>, stop: tokio::sync::watch::Receiver<bool>) {
        if let Some(shared) = &self.shared {
            shared.clone().run(stop).await;
        }
    }
}
