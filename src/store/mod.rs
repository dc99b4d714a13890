//! Edge: what outlives a crash: the books in `ledger.db`, and in `facts.db` what can be pulled
//! again.
//!
//! `writer.rs` takes works in groups, `group.rs` does one group, `read.rs` and `facts.rs` answer
//! questions beside it, `check.rs` verifies. The rules of money are in `ledger/`, not here.

mod check;
mod claims;
mod error;
mod facts;
mod from_row;
mod group;
pub mod memory;
mod open;
mod read;
mod sql;
mod to_row;
mod work;
mod writer;

pub use check::Verified;
pub use error::StoreError;
pub use facts::{AuditRow, CachedKey, Facts, Snapshot, UsageRow};
pub use read::TransferRow;
pub use work::{
    Done, Intent, IntentChange, IntentStatus, IntervalChange, Notice, StoredInterval, Work,
};

use sqlx::sqlite::SqlitePool;
use std::path::Path;
use writer::Queue;

/// The store. A clone is another way to the same one; it may be used from any runtime.
#[derive(Clone, Debug)]
pub enum Store {
    /// Two SQLite files in one folder.
    Sqlite(SqliteStore),
    /// Rows in memory, for simulations; nothing of them outlives the process.
    Memory(memory::MemoryStore),
}

/// The SQLite store.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    queue: Queue,
    readers: SqlitePool,
    facts: Facts,
}

impl Store {
    /// Opens `ledger.db` and `facts.db` in the folder, which must exist; they are created where
    /// they are missing. The writer runs on the current runtime until the last clone is dropped.
    ///
    /// # Errors
    /// [`StoreError`] where a file cannot be opened or brought to the newest form.
    pub async fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_bounded(folder, None).await
    }

    /// Like [`Store::open`], with a ledger that may not grow over so many pages of 4 KiB.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub async fn open_bounded(folder: &Path, pages: Option<u32>) -> Result<Self, StoreError> {
        const FILE: &str = "ledger.db";
        let options = open::options(&folder.join(FILE), true);
        let options = match pages {
            Some(pages) => options.pragma("max_page_count", pages.to_string()),
            None => options,
        };
        let connection = open::migrated(&options, FILE, &open::LEDGER_STEPS).await?;
        let readers = open::readers(&options, FILE).await?;
        let facts = Facts::open(folder).await?;
        Ok(Self::Sqlite(SqliteStore {
            queue: Queue::start(connection, options, FILE.to_owned()),
            readers,
            facts,
        }))
    }

    /// Does the work durably: all of it or none. It is done even if the caller hangs up.
    ///
    /// # Errors
    /// [`StoreError`]; a refusal of the books is [`StoreError::Refused`].
    pub async fn submit(&self, work: Work) -> Result<Done, StoreError> {
        match self {
            Self::Sqlite(store) => store.queue.submit(work).await,
            Self::Memory(store) => store.submit(work).await,
        }
    }

    /// Takes no more work, and waits until what was taken is durable and `ledger.db` is closed.
    /// Every clone is closed with it: another process may write the books now.
    pub async fn close(&self) {
        if let Self::Sqlite(store) = self {
            store.queue.close().await;
        }
    }

    /// What can be pulled again.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        match self {
            Self::Sqlite(store) => &store.facts,
            Self::Memory(store) => store.facts(),
        }
    }

    fn readers(&self) -> Result<&SqlitePool, StoreError> {
        match self {
            Self::Sqlite(store) => Ok(&store.readers),
            Self::Memory(_) => Err(StoreError::Lost(
                "books in memory do not answer this question".to_owned(),
            )),
        }
    }
}
