//! Edge: how the two files are opened, and brought to the newest form.

use super::database::{Connection, Pool};
use super::error::StoreError;
use super::facts::Facts;
use crate::crash::{self, Point};
use sqlx::ConnectOptions as _;
use sqlx::Row as _;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use std::path::Path;
use std::time::Duration;

/// The books' file.
pub(super) const LEDGER: &str = "ledger.db";
/// The file of what can be pulled again.
pub(super) const FACTS: &str = "facts.db";

/// Steps of `ledger.db`, oldest first.
pub(super) const LEDGER_STEPS: [&str; 6] = [
    include_str!("../../migrations/sqlite/ledger/0001_books.sql"),
    include_str!("../../migrations/sqlite/ledger/0002_caps.sql"),
    include_str!("../../migrations/sqlite/ledger/0003_ladder.sql"),
    include_str!("../../migrations/sqlite/ledger/0004_grants.sql"),
    include_str!("../../migrations/sqlite/ledger/0005_bundles.sql"),
    include_str!("../../migrations/sqlite/ledger/0006_commitments.sql"),
];
/// Steps of `facts.db`, oldest first.
pub(super) const FACTS_STEPS: [&str; 2] = [
    include_str!("../../migrations/sqlite/facts/0001_facts.sql"),
    include_str!("../../migrations/sqlite/facts/0002_price_of_judged_calls.sql"),
];

/// How a lost connection is made again.
#[derive(Clone, Debug)]
pub(super) enum Access {
    Sqlite(SqliteConnectOptions),
    Postgres(PgConnectOptions),
}

impl Access {
    pub(super) async fn connect(&self) -> Result<Connection, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(options) => Connection::Sqlite(options.connect().await?),
            Self::Postgres(options) => Connection::Postgres(options.connect().await?),
        })
    }
}

/// How a file is opened: WAL, and a sync per commit where `full`.
pub(super) fn options(path: &Path, full: bool) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(if full {
            SqliteSynchronous::Full
        } else {
            SqliteSynchronous::Normal
        })
        .busy_timeout(Duration::from_secs(5))
        .pragma("wal_autocheckpoint", if full { "0" } else { "1000" })
        .disable_statement_logging()
}

/// Opens the file for writing and brings it to the newest form.
pub(super) async fn migrated(
    options: &SqliteConnectOptions,
    file: &str,
    steps: &[&'static str],
) -> Result<SqliteConnection, StoreError> {
    let fault = |error: sqlx::Error| StoreError::of(file, &error);
    let mut connection = options.connect().await.map_err(fault)?;
    let row = sqlx::query("PRAGMA user_version")
        .fetch_one(&mut connection)
        .await
        .map_err(fault)?;
    let at: i64 = row.try_get(0).map_err(fault)?;
    let at = usize::try_from(at).unwrap_or(0);
    if at > steps.len() {
        return Err(StoreError::Corrupt(format!(
            "{file} has form {at}, this program knows {}: use the newer program",
            steps.len()
        )));
    }
    for (index, step) in steps.iter().enumerate().skip(at) {
        let text = format!(
            "BEGIN IMMEDIATE;\n{step}\nPRAGMA user_version = {};",
            index + 1
        );
        // The text is ours: a step that is built in, and its number.
        let step = sqlx::raw_sql(sqlx::AssertSqlSafe(text));
        step.execute(&mut connection).await.map_err(fault)?;
        crash::pass(Point::Migrating);
        let commit = sqlx::query("COMMIT").execute(&mut connection);
        commit.await.map_err(fault)?;
    }
    Ok(connection)
}

/// Connections that read beside the writer and never hold it up.
pub(super) async fn readers(
    options: &SqliteConnectOptions,
    file: &str,
) -> Result<SqlitePool, StoreError> {
    let pool = SqlitePoolOptions::new()
        .max_connections(4)
        .acquire_timeout(Duration::from_secs(5));
    pool.connect_with(options.clone().read_only(true).create_if_missing(false))
        .await
        .map_err(|error| StoreError::of(file, &error))
}

/// `facts.db` in the folder: one connection writes.
pub(super) async fn facts(folder: &Path) -> Result<Facts, StoreError> {
    let options = options(&folder.join(FACTS), false);
    drop(migrated(&options, FACTS, &FACTS_STEPS).await?);
    let writer = SqlitePoolOptions::new().max_connections(1);
    let writer = writer.connect_with(options.clone()).await;
    let writer = writer.map_err(|error| StoreError::of(FACTS, &error))?;
    let readers = readers(&options, FACTS).await?;
    Ok(Facts::new(Pool::Sqlite(writer), Pool::Sqlite(readers)))
}

/// The books of a backup, for reading alone.
pub(super) async fn backup(path: &Path) -> Result<Pool, StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .disable_statement_logging();
    let pool = SqlitePoolOptions::new().max_connections(2);
    let pool = pool.connect_with(options).await;
    Ok(Pool::Sqlite(
        pool.map_err(|error| StoreError::of(LEDGER, &error))?,
    ))
}
