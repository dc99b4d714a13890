//! Edge: what can go wrong with a store, in words that say what to do.

use crate::ledger::LedgerRefusal;
use sqlx::postgres::PgDatabaseError;

/// Why a work was not done. Whatever it says, nothing of the work was written, but for
/// [`StoreError::Lost`], after which the same work may be sent again: it is applied once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The books said no.
    #[error(transparent)]
    Refused(#[from] LedgerRefusal),
    /// Too many works wait, or another process holds the file.
    #[error("the store has too much to do; try again in a moment")]
    Busy,
    /// The disk is full.
    #[error("no room is left for `{0}`: free space on its disk; nothing was half-written")]
    Full(String),
    /// The outcome is not known, or the store cannot be reached.
    #[error("the store did not answer: {0}")]
    Lost(String),
    /// Another node changed the intervals meanwhile: what was decided on the old ones is decided
    /// again.
    #[error("another node changed the meters' intervals in between")]
    Stale,
    /// Another node ended this node's epoch: it was cut off for too long.
    #[error(
        "node `{0}` was cut off and another one went on in its place: nothing more is written \
         from here; start it again"
    )]
    Fenced(String),
    /// The database's settings would lose what was acknowledged.
    #[error("PostgreSQL's setting `{name}` is `{found}`: money needs `{wanted}`; change it")]
    Unsafe {
        /// Which setting.
        name: &'static str,
        /// What it is.
        found: String,
        /// What it has to be.
        wanted: &'static str,
    },
    /// The disk did not take what was written. The system tells it once, and what it holds in
    /// memory is no proof any more: nothing is tried again, and the process ends.
    #[error(
        "the disk could not sync `{0}`: what was being written was not acknowledged; look at the \
         disk, then start the gate again"
    )]
    Unsynced(String),
    /// The file is not what it should be.
    #[error("the store's file is damaged: {0}; restore it from a backup")]
    Corrupt(String),
}

/// SQLite's extended code of a sync of a file that failed (sqlite.org/rescode.html).
const IOERR_FSYNC: i64 = 1034;
/// The same of a folder.
const IOERR_DIR_FSYNC: i64 = 1290;

impl StoreError {
    /// The fault behind an error of the database file.
    pub(super) fn of(file: &str, error: &sqlx::Error) -> Self {
        let code = match error {
            sqlx::Error::Database(inner) => inner.code().map(|code| code.into_owned()),
            _ => None,
        };
        if let sqlx::Error::Database(inner) = error
            && inner.try_downcast_ref::<PgDatabaseError>().is_some()
        {
            return Self::of_state(file, code.as_deref().unwrap_or_default(), error);
        }
        let code = code.and_then(|code| code.parse::<i64>().ok());
        if matches!(code, Some(IOERR_FSYNC | IOERR_DIR_FSYNC)) {
            return Self::Unsynced(file.to_owned());
        }
        match code.map(|code| code & 0xff) {
            Some(5 | 6) => Self::Busy,
            Some(13) => Self::Full(file.to_owned()),
            Some(11 | 26) => Self::Corrupt(format!("{file}: {error}")),
            _ => Self::Lost(format!("{file}: {error}")),
        }
    }

    /// The fault behind PostgreSQL's SQLSTATE (its manual's appendix A).
    fn of_state(file: &str, state: &str, error: &sqlx::Error) -> Self {
        match state {
            "53100" => Self::Full(file.to_owned()),
            // Too many connections; a lock or a statement that was not got through in time.
            "53300" | "55P03" | "57014" => Self::Busy,
            "XX001" | "XX002" => Self::Corrupt(format!("{file}: {error}")),
            _ => Self::Lost(format!("{file}: {error}")),
        }
    }

    /// A row that cannot be read back.
    pub(super) fn row(what: &str, found: &str) -> Self {
        Self::Corrupt(format!("{what} cannot be `{found}`"))
    }
}
