//! Edge: what outlives a crash: the books, and beside them what can be pulled again. On one node
//! they are two SQLite files, `ledger.db` and `facts.db`; for several nodes two schemas of one
//! PostgreSQL.
//!
//! `writer.rs` takes works in groups, `group.rs` does one group, `read.rs` and `facts.rs` answer
//! questions beside it, `check.rs` verifies. `database.rs` puts the same question to either
//! database, `sql.rs` has the words. The rules of money are in `ledger/`, not here.

mod backup;
mod bundle;
mod check;
mod claims;
mod commitment;
mod copy;
mod database;
mod error;
mod facts;
pub mod forms;
mod from_row;
mod group;
mod health;
mod ladder;
mod lease;
mod lock;
pub mod memory;
mod open;
mod postgres;
mod read;
mod renewable;
mod save;
mod seal;
mod sql;
mod to_row;
mod work;
mod writer;

pub use backup::{BackupFault, Manifest, read_manifest, rebuild, restore};
pub use bundle::{BundleChange, StoredBundle, StoredLine};
pub use check::Verified;
pub use error::StoreError;
pub use facts::{AuditRow, CachedKey, Facts, Snapshot, UsageRow};
pub use ladder::{LadderChange, LadderRows};
pub use lease::Standing;
pub use read::TransferRow;
pub use renewable::Renewable;
pub use work::{
    Done, Intent, IntentChange, IntentStatus, IntervalChange, Notice, StoredInterval, Work,
};

use crate::terms::time::Timestamp;
use database::{Connection, Pool};
use open::Access;
use postgres::Schema;
use secrecy::SecretString;
use std::path::{Path, PathBuf};
use tokio::sync::watch;
use writer::Queue;

/// Connections that answer questions beside the writer.
const READERS: u32 = 8;

/// Where the books lie.
#[derive(Clone, Debug)]
pub enum Place {
    /// Two SQLite files in this folder: one node.
    Folder(PathBuf),
    /// A PostgreSQL: several nodes.
    Postgres {
        /// `postgres://user:password@host/database`, and what else its manual allows there.
        url: SecretString,
        /// The node's name, its own among those that share the books. None for a command that
        /// works beside a running node and takes nobody's place.
        node: Option<String>,
    },
}

/// The store. A clone is another way to the same one; it may be used from any runtime.
#[derive(Clone, Debug)]
pub enum Store {
    /// Two SQLite files in one folder.
    Sqlite(Books),
    /// Two schemas of one PostgreSQL.
    Postgres(Books, Option<lease::Leases>),
    /// Rows in memory, for simulations; nothing of them outlives the process.
    Memory(memory::MemoryStore),
}

/// The ways to the books, whichever database they lie in.
#[derive(Clone, Debug)]
pub struct Books {
    queue: Queue,
    readers: Pool,
    facts: Facts,
    /// Turns true while the database does not answer; none where it is our own file.
    away: Option<watch::Receiver<bool>>,
}

impl Store {
    /// Opens the books where they lie; they are created where they are missing. The writer runs on
    /// the current runtime until the last clone is dropped.
    ///
    /// # Errors
    /// [`StoreError`] where they cannot be opened or brought to the newest form, or where the
    /// database's settings would lose what was acknowledged.
    pub async fn open_at(place: &Place) -> Result<Self, StoreError> {
        match place {
            Place::Folder(folder) => Self::open(folder).await,
            Place::Postgres { url, node } => Self::open_postgres(url, node.as_deref()).await,
        }
    }

    /// Opens `ledger.db` and `facts.db` in the folder, which must exist.
    ///
    /// # Errors
    /// As [`Store::open_at`].
    pub async fn open(folder: &Path) -> Result<Self, StoreError> {
        Self::open_bounded(folder, None).await
    }

    /// Like [`Store::open`], with a ledger that may not grow over so many pages of 4 KiB.
    ///
    /// # Errors
    /// As [`Store::open_at`].
    pub async fn open_bounded(folder: &Path, pages: Option<u32>) -> Result<Self, StoreError> {
        let options = open::options(&folder.join(open::LEDGER), true);
        let options = match pages {
            Some(pages) => options.pragma("max_page_count", pages.to_string()),
            None => options,
        };
        let connection = open::migrated(&options, open::LEDGER, &open::LEDGER_STEPS).await?;
        let readers = Pool::Sqlite(open::readers(&options, open::LEDGER).await?);
        let queue = Queue::start(
            Connection::Sqlite(connection),
            Access::Sqlite(options),
            open::LEDGER.to_owned(),
            None,
        );
        Ok(Self::Sqlite(Books {
            queue,
            readers,
            facts: open::facts(folder).await?,
            away: None,
        }))
    }

    async fn open_postgres(url: &SecretString, node: Option<&str>) -> Result<Self, StoreError> {
        let name = node.unwrap_or("command");
        let ledger = postgres::options(url, name, Schema::Ledger)?;
        let facts = postgres::options(url, name, Schema::Facts)?;
        let (connection, access) = postgres::writer(ledger.clone()).await?;
        drop(postgres::migrated(&facts, Schema::Facts).await?);
        let readers = Pool::Postgres(postgres::pool(ledger, READERS));
        let facts = Pool::Postgres(postgres::pool(facts, READERS));
        let fence = match node {
            Some(node) => Some(postgres::begin(&readers, node).await?),
            None => None,
        };
        let leases = fence
            .clone()
            .map(|fence| lease::Leases::new(&readers, fence));
        let queue = Queue::start(connection, access.clone(), postgres::NAME.to_owned(), fence);
        tokio::spawn(seal::run(access.clone(), queue.ended()));
        let (tell, away) = watch::channel(false);
        if node.is_some() {
            tokio::spawn(health::run(access, tell, queue.ended()));
        }
        let books = Books {
            queue,
            readers,
            facts: Facts::new(facts.clone(), facts),
            away: node.is_some().then_some(away),
        };
        Ok(Self::Postgres(books, leases))
    }

    /// Does the work durably: all of it or none. It is done even if the caller hangs up.
    ///
    /// # Errors
    /// [`StoreError`]; a refusal of the books is [`StoreError::Refused`].
    pub async fn submit(&self, work: Work) -> Result<Done, StoreError> {
        match self {
            Self::Sqlite(books) | Self::Postgres(books, _) => books.queue.submit(work).await,
            Self::Memory(store) => store.submit(work).await,
        }
    }

    /// Takes no more work, and waits until what was taken is durable and the books are closed.
    /// Every clone is closed with it: another process may write the books now.
    pub async fn close(&self) {
        if let Ok(books) = self.books() {
            books.queue.close().await;
        }
    }

    /// The wall time of the server that several nodes share; none on one node.
    ///
    /// # Errors
    /// [`StoreError`] where it cannot be asked.
    pub async fn wall(&self) -> Result<Option<Timestamp>, StoreError> {
        match self {
            Self::Sqlite(_) | Self::Memory(_) => Ok(None),
            Self::Postgres(books, _) => {
                let now = postgres::now(&books.readers).await?;
                Ok(Some(Timestamp::from_micros(now)))
            }
        }
    }

    /// What can be pulled again.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        match self {
            Self::Sqlite(books) | Self::Postgres(books, _) => &books.facts,
            Self::Memory(store) => store.facts(),
        }
    }

    /// Whether other nodes write the same books.
    #[must_use]
    pub const fn shared(&self) -> bool {
        matches!(self, Self::Postgres(..))
    }

    fn books(&self) -> Result<&Books, StoreError> {
        match self {
            Self::Sqlite(books) | Self::Postgres(books, _) => Ok(books),
            Self::Memory(_) => Err(StoreError::Lost(
                "books in memory do not answer this question".to_owned(),
            )),
        }
    }

    fn readers(&self) -> Result<&Pool, StoreError> {
        self.books().map(|books| &books.readers)
    }

    /// What errors call the books.
    const fn file(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => open::LEDGER,
            Self::Postgres(..) => postgres::NAME,
            Self::Memory(_) => "memory",
        }
    }
}
