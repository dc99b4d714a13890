//! Edge: what one node does for all, while it has the lease: renewals, following, the ladder.
//!
//! A lease has an end, by the database's clock. Whoever takes over one that ran out ends the epoch
//! of the node that had it: that node cannot commit any more, however long it was cut off and
//! whatever it still believes.

use super::Store;
use super::database::{Pool, Query};
use super::error::StoreError;
use super::group::Fence;
use super::postgres::NAME;
use super::sql::{EPOCH, LEAVE_LEASE, TAKE_LEASE};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The lease of the node that does for all what is done once.
const KEEPER: &str = "keeper";
/// How long it lasts when it was taken, and how often it is taken again.
const LASTS: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_secs(2);

/// The leases of several nodes, seen from one of them.
#[derive(Clone, Debug)]
pub struct Leases {
    pool: Pool,
    fence: Fence,
    /// Until when this node is sure that it is the keeper.
    keeps_until: Arc<Mutex<Option<Instant>>>,
}

impl Leases {
    pub(super) fn new(pool: &Pool, fence: Fence) -> Self {
        Self {
            pool: pool.clone(),
            fence,
            keeps_until: Arc::default(),
        }
    }

    fn set(&self, until: Option<Instant>) -> bool {
        let mut kept = self
            .keeps_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *kept, until).is_some_and(|until| until > Instant::now())
    }

    /// Whether the epoch that this node began still runs.
    async fn is_current(&self) -> Result<bool, StoreError> {
        let query = Query::of(EPOCH)
            .bind(self.fence.node.clone())
            .bind(self.fence.epoch);
        let rows = self.pool.fetch(query).await;
        let rows = rows.map_err(|error| StoreError::of(NAME, &error))?;
        Ok(!rows.is_empty())
    }
}

/// What became of a node that shares its books.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Standing {
    /// It serves its callers.
    #[default]
    Serves,
    /// It does besides what one node does for all: renewals, sweeps, months, the ladder.
    Keeps,
    /// It was cut off, and another one went on in its place: it must end.
    CutOff,
}

impl Store {
    /// Whether this node does now what one node does for all. One node alone always does. It stops
    /// being sure before another one can be.
    #[must_use]
    pub fn keeps(&self) -> bool {
        let Self::Postgres(_, Some(leases)) = self else {
            return true;
        };
        let until = leases
            .keeps_until
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        until.is_some_and(|until| until > Instant::now())
    }

    /// Takes and keeps the keeper's lease as far as others let it, until told to stop; tells how
    /// this node stands whenever that changes.
    pub async fn stand(&self, tell: watch::Sender<Standing>, mut stop: watch::Receiver<bool>) {
        let Self::Postgres(_, Some(leases)) = self else {
            tell.send_replace(Standing::Keeps);
            return;
        };
        let mut tick = tokio::time::interval(AGAIN);
        loop {
            tokio::select! {
                _ = tick.tick() => {}
                _ = stop.changed() => break,
            }
            let asked = Instant::now();
            let standing = match (
                leases.is_current().await,
                self.has_lease(KEEPER, LASTS).await,
            ) {
                (Ok(false), _) => Standing::CutOff,
                (Ok(true), Ok(true)) => Standing::Keeps,
                (Ok(true), Ok(false)) => Standing::Serves,
                // Nobody can say: what was sure until now is so until it ends.
                (Err(fault), _) | (_, Err(fault)) => {
                    tracing::warn!(verb = "keep", %fault, "the lease was not taken again");
                    continue;
                }
            };
            let keeps = standing == Standing::Keeps;
            leases.set(keeps.then(|| asked + LASTS));
            tell.send_if_modified(|before| std::mem::replace(before, standing) != standing);
            if standing == Standing::CutOff {
                return;
            }
        }
        if leases.set(None)
            && let Err(fault) = self.leave_lease(KEEPER).await
        {
            tracing::warn!(verb = "keep", %fault, "the lease runs out by itself");
        }
    }

    /// Whether this node has the lease of that name, for so long from now: it had it, it was free,
    /// or its holder let it run out. On one node alone it always has.
    ///
    /// # Errors
    /// [`StoreError`] where nobody can say; then this node must act as one that has it not.
    pub async fn has_lease(&self, name: &str, lasts: Duration) -> Result<bool, StoreError> {
        let Self::Postgres(_, Some(leases)) = self else {
            return Ok(true);
        };
        let lasts = i64::try_from(lasts.as_micros()).unwrap_or(i64::MAX);
        let query = Query::of(TAKE_LEASE)
            .bind(name.to_owned())
            .bind(leases.fence.node.clone())
            .bind(lasts);
        let rows = leases.pool.fetch(query).await;
        let rows = rows.map_err(|error| StoreError::of(NAME, &error))?;
        Ok(!rows.is_empty())
    }

    /// Gives a lease back; another node need not wait for its end.
    ///
    /// # Errors
    /// [`StoreError`]; then it runs out by itself.
    pub async fn leave_lease(&self, name: &str) -> Result<(), StoreError> {
        let Self::Postgres(_, Some(leases)) = self else {
            return Ok(());
        };
        let query = Query::of(LEAVE_LEASE)
            .bind(name.to_owned())
            .bind(leases.fence.node.clone());
        let left = leases.pool.execute(query).await;
        left.map(drop).map_err(|error| StoreError::of(NAME, &error))
    }
}
