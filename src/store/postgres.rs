//! Edge: how PostgreSQL is opened, and its schemas brought to the newest form.
//!
//! The ledger lies in the schema `faregate_ledger`, what can be pulled again in `faregate_facts`.

use super::Place;
use super::database::{Connection, Pool, Query, query};
use super::error::StoreError;
use super::group::Fence;
use super::open::Access;
use super::sql;
use crate::crash::{self, Point};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::ConnectOptions as _;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions};
use std::str::FromStr as _;
use std::time::Duration;

/// What errors call it.
pub(super) const NAME: &str = "PostgreSQL";

/// Steps of the ledger's schema, oldest first: the same as SQLite's.
pub(super) const LEDGER_STEPS: [&str; 6] = [
    include_str!("../../migrations/postgres/ledger/0001_books.sql"),
    include_str!("../../migrations/postgres/ledger/0002_caps.sql"),
    include_str!("../../migrations/postgres/ledger/0003_ladder.sql"),
    include_str!("../../migrations/postgres/ledger/0004_grants.sql"),
    include_str!("../../migrations/postgres/ledger/0005_bundles.sql"),
    include_str!("../../migrations/postgres/ledger/0006_commitments.sql"),
];
/// Steps of the facts' schema, oldest first.
pub(super) const FACTS_STEPS: [&str; 2] = [
    include_str!("../../migrations/postgres/facts/0001_facts.sql"),
    include_str!("../../migrations/postgres/facts/0002_price_of_judged_calls.sql"),
];

/// Which schema a connection works in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Schema {
    Ledger,
    Facts,
}

impl Schema {
    const fn name(self) -> &'static str {
        match self {
            Self::Ledger => "faregate_ledger",
            Self::Facts => "faregate_facts",
        }
    }
    const fn steps(self) -> &'static [&'static str] {
        match self {
            Self::Ledger => &LEDGER_STEPS,
            Self::Facts => &FACTS_STEPS,
        }
    }
}

/// A server that does not answer is given up soon: a raising call waits for it. A transaction
/// whose node was stopped in the middle is ended by the server, so that its locks come free.
const SESSION: [(&str, &str); 5] = [
    // Whatever the server's default is: a commit that was answered is on its disk.
    ("synchronous_commit", "on"),
    ("statement_timeout", "10s"),
    ("lock_timeout", "5s"),
    ("idle_in_transaction_session_timeout", "5s"),
    ("tcp_user_timeout", "5s"),
];
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(2);

/// The options of one schema's connections.
pub(super) fn options(
    url: &SecretString,
    node: &str,
    schema: Schema,
) -> Result<PgConnectOptions, StoreError> {
    // The error of the library may hold the address, and with it the password.
    let bad = |_| StoreError::Lost("the address of PostgreSQL cannot be read".to_owned());
    let options = PgConnectOptions::from_str(url.expose_secret()).map_err(bad)?;
    Ok(options
        .application_name(&format!("faregate {node}"))
        .options([("search_path", schema.name())])
        .options(SESSION)
        .disable_statement_logging())
}

pub(super) fn pool(options: PgConnectOptions, connections: u32) -> PgPool {
    PgPoolOptions::new()
        .max_connections(connections)
        .acquire_timeout(CONNECT)
        .connect_lazy_with(options)
}

/// Connects, brings the schema to the newest form, and refuses settings that would lose money.
pub(super) async fn migrated(
    options: &PgConnectOptions,
    schema: Schema,
) -> Result<PgConnection, StoreError> {
    let fault = |error: sqlx::Error| StoreError::of(NAME, &error);
    let mut connection = options.connect().await.map_err(fault)?;
    for (name, wanted) in [("fsync", "on"), ("full_page_writes", "on")] {
        let text = sqlx::AssertSqlSafe(format!("SHOW {name}"));
        let found: String = sqlx::query_scalar(text)
            .fetch_one(&mut connection)
            .await
            .map_err(fault)?;
        if found != wanted {
            return Err(StoreError::Unsafe {
                name,
                found,
                wanted,
            });
        }
    }
    bring(&mut connection, schema).await?;
    Ok(connection)
}

/// Every step that is missing, each with its number in one transaction, one node at a time.
async fn bring(connection: &mut PgConnection, schema: Schema) -> Result<(), StoreError> {
    let fault = |error: sqlx::Error| StoreError::of(NAME, &error);
    let name = schema.name();
    let begin = format!(
        "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('{name}', 0)); \
         CREATE SCHEMA IF NOT EXISTS {name}; \
         CREATE TABLE IF NOT EXISTS {name}.form (step BIGINT NOT NULL); COMMIT;"
    );
    let begin = sqlx::raw_sql(sqlx::AssertSqlSafe(begin));
    begin.execute(&mut *connection).await.map_err(fault)?;
    let steps = schema.steps();
    loop {
        let text = sqlx::AssertSqlSafe(format!("SELECT coalesce(max(step), 0) FROM {name}.form"));
        let at: i64 = sqlx::query_scalar(text)
            .fetch_one(&mut *connection)
            .await
            .map_err(fault)?;
        let at = usize::try_from(at).unwrap_or(0);
        if at > steps.len() {
            return Err(StoreError::Corrupt(format!(
                "{NAME}: schema {name} has form {at}, this program knows {}: use the newer program",
                steps.len()
            )));
        }
        let Some(step) = steps.get(at) else {
            return Ok(());
        };
        let next = at + 1;
        // Where another node was faster, the number is there: this one's step is undone.
        let text = format!(
            "BEGIN; SELECT pg_advisory_xact_lock(hashtextextended('{name}', 0)); \
             SELECT 1 / (CASE WHEN max(step) >= {next} THEN 0 ELSE 1 END) FROM {name}.form; \
             {step}\n INSERT INTO {name}.form VALUES ({next});"
        );
        let step = sqlx::raw_sql(sqlx::AssertSqlSafe(text));
        let mut done = step.execute(&mut *connection).await;
        crash::pass(Point::Migrating);
        if done.is_ok() {
            done = sqlx::raw_sql("COMMIT").execute(&mut *connection).await;
        }
        if let Err(error) = done {
            let undo = sqlx::raw_sql("ROLLBACK").execute(&mut *connection).await;
            undo.map_err(fault)?;
            // Division by zero: it is there already.
            let raced = matches!(&error, sqlx::Error::Database(inner)
                if inner.code().as_deref() == Some("22012"));
            if !raced {
                return Err(fault(error));
            }
        }
    }
}

/// Begins the node's epoch: whoever wrote under its name before cannot commit any more.
pub(super) async fn begin(pool: &Pool, node: &str) -> Result<Fence, StoreError> {
    let query = Query::of(sql::BEGIN_EPOCH).bind(node.to_owned());
    let rows = pool.fetch(query).await;
    let rows = rows.map_err(|error| StoreError::of(NAME, &error))?;
    let row = rows
        .first()
        .ok_or_else(|| StoreError::row("epoch", "nothing"))?;
    Ok(Fence {
        node: node.to_owned(),
        epoch: row.get("epoch")?,
    })
}

/// The writer's connection and the way to make it again.
pub(super) async fn writer(options: PgConnectOptions) -> Result<(Connection, Access), StoreError> {
    let connection = migrated(&options, Schema::Ledger).await?;
    Ok((Connection::Postgres(connection), Access::Postgres(options)))
}

/// Microseconds since 1970 by the server's clock.
pub(super) async fn now(pool: &Pool) -> Result<i64, StoreError> {
    let now = "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS now";
    let rows = pool.fetch(query(now)).await;
    let rows = rows.map_err(|error| StoreError::of(NAME, &error))?;
    match rows.first() {
        Some(row) => row.get("now"),
        None => Err(StoreError::row("now", "nothing")),
    }
}

/// A connection of its own to the books of a place in PostgreSQL.
pub(super) async fn connect(place: &Place) -> Result<Connection, StoreError> {
    let Place::Postgres { url, .. } = place else {
        return Err(StoreError::row("the place", "a folder"));
    };
    let options = options(url, "restore", Schema::Ledger)?;
    let connection = options.connect().await;
    let connection = connection.map_err(|error| StoreError::of(NAME, &error))?;
    Ok(Connection::Postgres(connection))
}
