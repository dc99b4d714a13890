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
use super::sql::{LEAVE_LEASE, TAKE_LEASE};
use std::time::Duration;

/// The leases of several nodes, seen from one of them.
#[derive(Clone, Debug)]
pub struct Leases {
    pool: Pool,
    node: String,
}

impl Leases {
    pub(super) fn new(pool: &Pool, fence: Fence) -> Self {
        Self {
            pool: pool.clone(),
            node: fence.node,
        }
    }
}

impl Store {
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
            .bind(leases.node.clone())
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
            .bind(leases.node.clone());
        let left = leases.pool.execute(query).await;
        left.map(drop).map_err(|error| StoreError::of(NAME, &error))
    }
}
