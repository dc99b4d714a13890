//! Edge: the same question put to either database, and the row that comes back.

use super::error::StoreError;
use super::sql::Sql;
use futures_util::TryStreamExt as _;
use serde_json::Value;
use sqlx::postgres::{PgConnection, PgPool, PgRow};
use sqlx::sqlite::{SqliteConnection, SqlitePool, SqliteRow};
use sqlx::{Acquire as _, AssertSqlSafe, ColumnIndex, Decode, Postgres, Row as _, Sqlite, Type};

/// A value that goes with a statement.
#[derive(Clone, Debug)]
pub(super) enum Cell {
    Text(Option<String>),
    Number(Option<i64>),
    Flag(bool),
    Bytes(Vec<u8>),
}

/// So many rows go into one statement; the largest that fit first.
const ROWS_BOUND: [usize; 5] = [256, 128, 64, 32, 16];

impl Cell {
    /// A value as SQLite's `->>` takes it out of an array.
    fn of(value: Value) -> Self {
        match value {
            Value::Null => Self::Text(None),
            Value::Bool(it) => Self::Number(Some(i64::from(it))),
            Value::String(text) => Self::Text(Some(text)),
            Value::Number(number) => match number.as_i64() {
                Some(whole) => Self::Number(Some(whole)),
                None => Self::Text(Some(number.to_string())),
            },
            other => Self::Text(Some(other.to_string())),
        }
    }
}

impl From<String> for Cell {
    fn from(value: String) -> Self {
        Self::Text(Some(value))
    }
}
impl From<Option<String>> for Cell {
    fn from(value: Option<String>) -> Self {
        Self::Text(value)
    }
}
impl From<i64> for Cell {
    fn from(value: i64) -> Self {
        Self::Number(Some(value))
    }
}
impl From<bool> for Cell {
    fn from(value: bool) -> Self {
        Self::Flag(value)
    }
}
impl From<Vec<u8>> for Cell {
    fn from(value: Vec<u8>) -> Self {
        Self::Bytes(value)
    }
}

/// A statement with its values.
#[derive(Clone, Debug)]
pub(super) struct Query {
    sql: Sql,
    cells: Vec<Cell>,
}

/// A statement that both databases understand; values are bound to `$1`, `$2` … in order.
pub(super) fn query(text: &'static str) -> Query {
    Query::of(Sql::both(text))
}

impl Query {
    pub(super) const fn of(sql: Sql) -> Self {
        Self {
            sql,
            cells: Vec::new(),
        }
    }
    pub(super) fn bind(mut self, cell: impl Into<Cell>) -> Self {
        self.cells.push(cell.into());
        self
    }
}

/// The library's own query for one database, with its values.
macro_rules! bound {
    ($text:expr, $cells:expr) => {
        $cells
            .into_iter()
            .fold(sqlx::query($text), |query, cell| match cell {
                Cell::Text(value) => query.bind(value),
                Cell::Number(value) => query.bind(value),
                Cell::Flag(value) => query.bind(value),
                Cell::Bytes(value) => query.bind(value),
            })
    };
}

/// A row of either database.
#[derive(Debug)]
pub(super) enum Row {
    Sqlite(SqliteRow),
    Postgres(PgRow),
}

impl Row {
    pub(super) fn get<T>(&self, name: &str) -> Result<T, StoreError>
    where
        T: for<'r> Decode<'r, Sqlite>
            + Type<Sqlite>
            + for<'r> Decode<'r, Postgres>
            + Type<Postgres>,
        for<'n> &'n str: ColumnIndex<SqliteRow> + ColumnIndex<PgRow>,
    {
        let value = match self {
            Self::Sqlite(row) => row.try_get(name),
            Self::Postgres(row) => row.try_get(name),
        };
        value.map_err(|error: sqlx::Error| StoreError::Corrupt(error.to_string()))
    }
}

/// One connection, of which a transaction is held open by its statements.
#[derive(Debug)]
pub(super) enum Connection {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Connection {
    pub(super) async fn execute(&mut self, query: Query) -> Result<u64, sqlx::Error> {
        let Query { sql, cells } = query;
        Ok(match self {
            Self::Sqlite(connection) => bound!(sql.sqlite, cells)
                .execute(connection)
                .await?
                .rows_affected(),
            Self::Postgres(connection) => bound!(sql.postgres, cells)
                .execute(connection)
                .await?
                .rows_affected(),
        })
    }

    /// Takes rows in, each a JSON array of its values. SQLite binds the values of many rows one by
    /// one, which spares it reading JSON; of a few it reads the array, in one statement.
    pub(super) async fn put(&mut self, sql: Sql, rows: Vec<Value>) -> Result<(), sqlx::Error> {
        let mut left = rows;
        if let (Self::Sqlite(connection), Some(many)) = (&mut *self, sql.rows) {
            for size in ROWS_BOUND {
                while left.len() >= size {
                    let rest = left.split_off(size);
                    let values = left.into_iter().flat_map(|row| match row {
                        Value::Array(values) => values,
                        one => vec![one],
                    });
                    let cells: Vec<Cell> = values.map(Cell::of).collect();
                    bound!(AssertSqlSafe(many.text(size)), cells)
                        .execute(&mut *connection)
                        .await?;
                    left = rest;
                }
            }
        }
        if left.is_empty() {
            return Ok(());
        }
        let query = Query::of(sql).bind(Value::Array(left).to_string());
        self.execute(query).await.map(drop)
    }

    pub(super) async fn fetch(&mut self, query: Query) -> Result<Vec<Row>, sqlx::Error> {
        let Query { sql, cells } = query;
        Ok(match self {
            Self::Sqlite(connection) => {
                let rows = bound!(sql.sqlite, cells).fetch_all(connection).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(connection) => {
                let rows = bound!(sql.postgres, cells).fetch_all(connection).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    pub(super) async fn close(self) -> Result<(), sqlx::Error> {
        use sqlx::Connection as _;
        match self {
            Self::Sqlite(connection) => connection.close().await,
            Self::Postgres(connection) => connection.close().await,
        }
    }
}

/// Connections for statements that each stand alone.
#[derive(Clone, Debug)]
pub(super) enum Pool {
    Sqlite(SqlitePool),
    Postgres(PgPool),
}

impl Pool {
    pub(super) async fn execute(&self, query: Query) -> Result<u64, sqlx::Error> {
        let Query { sql, cells } = query;
        Ok(match self {
            Self::Sqlite(pool) => bound!(sql.sqlite, cells)
                .execute(pool)
                .await?
                .rows_affected(),
            Self::Postgres(pool) => bound!(sql.postgres, cells)
                .execute(pool)
                .await?
                .rows_affected(),
        })
    }

    pub(super) async fn fetch(&self, query: Query) -> Result<Vec<Row>, sqlx::Error> {
        let Query { sql, cells } = query;
        Ok(match self {
            Self::Sqlite(pool) => {
                let rows = bound!(sql.sqlite, cells).fetch_all(pool).await?;
                rows.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(pool) => {
                let rows = bound!(sql.postgres, cells).fetch_all(pool).await?;
                rows.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// Every statement until the snapshot is dropped sees the same commits.
    pub(super) async fn snapshot(&self) -> Result<Snapshot, sqlx::Error> {
        Ok(match self {
            Self::Sqlite(pool) => Snapshot::Sqlite(pool.begin().await?),
            Self::Postgres(pool) => {
                let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                Snapshot::Postgres(pool.begin_with(begin).await?)
            }
        })
    }
}

/// One state of the database, however long it is read.
#[derive(Debug)]
pub(super) enum Snapshot {
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl Snapshot {
    pub(super) async fn fetch(&mut self, query: Query) -> Result<Vec<Row>, sqlx::Error> {
        let Query { sql, cells } = query;
        Ok(match self {
            Self::Sqlite(snapshot) => {
                let rows = bound!(sql.sqlite, cells).fetch_all(snapshot.acquire().await?);
                rows.await?.into_iter().map(Row::Sqlite).collect()
            }
            Self::Postgres(snapshot) => {
                let rows = bound!(sql.postgres, cells).fetch_all(snapshot.acquire().await?);
                rows.await?.into_iter().map(Row::Postgres).collect()
            }
        })
    }

    /// Hands the rows over in batches, without holding all of them at once.
    pub(super) async fn each(
        &mut self,
        query: Query,
        rows: usize,
        mut take: impl AsyncFnMut(Vec<Row>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let lost = |error: sqlx::Error| StoreError::Lost(error.to_string());
        let Query { sql, cells } = query;
        let mut batch = Vec::with_capacity(rows);
        macro_rules! hand_over {
            ($stream:expr, $row:path) => {{
                let mut stream = $stream;
                while let Some(row) = stream.try_next().await.map_err(lost)? {
                    batch.push($row(row));
                    if batch.len() == rows {
                        take(std::mem::take(&mut batch)).await?;
                    }
                }
            }};
        }
        match self {
            Self::Sqlite(snapshot) => hand_over!(
                bound!(sql.sqlite, cells).fetch(snapshot.acquire().await.map_err(lost)?),
                Row::Sqlite
            ),
            Self::Postgres(snapshot) => hand_over!(
                bound!(sql.postgres, cells).fetch(snapshot.acquire().await.map_err(lost)?),
                Row::Postgres
            ),
        }
        take(batch).await
    }
}
