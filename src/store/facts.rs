//! Edge: `facts.db`: what can be pulled again from CloudStack, and the audit of judged requests.
//!
//! One writing connection; several rows go into one transaction. Losing this file loses no money.

use super::error::StoreError;
use super::from_row::Fields;
use super::open;
use crate::terms::ids::{CallId, PayerId};
use crate::terms::money::{Currency, Micros};
use crate::terms::time::{Period, Timestamp};
use serde_json::{Value, json};
use sqlx::Row as _;
use sqlx::sqlite::{SqliteArguments, SqlitePool, SqlitePoolOptions, SqliteRow};
use std::path::Path;

const FILE: &str = "facts.db";

type Query = sqlx::query::Query<'static, sqlx::Sqlite, SqliteArguments>;
type Read<T> = Result<T, StoreError>;

/// The facts. A clone is another way to the same ones.
#[derive(Clone, Debug)]
pub struct Facts {
    /// None where nothing is kept: books in memory.
    file: Option<FactsFile>,
}

#[derive(Clone, Debug)]
struct FactsFile {
    writer: SqlitePool,
    readers: SqlitePool,
}

/// A usage record as CloudStack gave it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageRow {
    /// Its natural key: what makes two readings the same record.
    pub key: String,
    /// CloudStack's usage type.
    pub usage_type: u8,
    /// The resource's id.
    pub resource: String,
    /// The window that it is for.
    pub window: Period,
    /// As it was read, JSON or XML.
    pub raw: String,
    /// When it was read, wall time.
    pub read: Timestamp,
}

/// A judged request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AuditRow {
    /// When, wall time.
    pub at: Timestamp,
    /// Which call.
    pub call: CallId,
    /// The API command.
    pub command: String,
    /// Who pays.
    pub payer: Option<PayerId>,
    /// `forward`, `refuse` …
    pub verdict: String,
    /// Why.
    pub reason: String,
    /// What it costs, or would have cost, by the hour, where it was priced.
    pub price: Option<(Micros, Currency)>,
}

/// What is known of an API key, encrypted by the one who knows the secret.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CachedKey {
    /// A hash of the key.
    pub key_hash: String,
    /// Opaque bytes.
    pub ciphertext: Vec<u8>,
    /// When it was learned, wall time.
    pub at: Timestamp,
}

/// A text that was fetched once, such as the answer to `listApis`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// The text.
    pub body: String,
    /// When it was fetched, wall time.
    pub at: Timestamp,
}

impl Facts {
    /// Opens `facts.db` in the folder.
    pub(super) async fn open(folder: &Path) -> Read<Self> {
        let options = open::options(&folder.join(FILE), false);
        drop(open::migrated(&options, FILE, &open::FACTS_STEPS).await?);
        let writer = SqlitePoolOptions::new().max_connections(1);
        let writer = writer.connect_with(options.clone()).await;
        Ok(Self {
            file: Some(FactsFile {
                writer: writer.map_err(|error| StoreError::of(FILE, &error))?,
                readers: open::readers(&options, FILE).await?,
            }),
        })
    }

    /// Facts that nothing keeps: whatever is put there is forgotten.
    pub(super) const fn nowhere() -> Self {
        Self { file: None }
    }

    async fn write(&self, query: Query) -> Read<u64> {
        let Some(file) = &self.file else {
            return Ok(0);
        };
        let done = query.execute(&file.writer).await;
        done.map(|done| done.rows_affected())
            .map_err(|error| StoreError::of(FILE, &error))
    }

    async fn bulk(&self, statement: &'static str, rows: Vec<Value>) -> Read<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let text = Value::Array(rows).to_string();
        self.write(sqlx::query(statement).bind(text))
            .await
            .map(drop)
    }

    async fn all<T>(&self, query: Query, read: fn(&SqliteRow) -> Read<T>) -> Read<Vec<T>> {
        let Some(file) = &self.file else {
            return Ok(Vec::new());
        };
        let rows = query
            .fetch_all(&file.readers)
            .await
            .map_err(|error| StoreError::of(FILE, &error))?;
        rows.iter().map(read).collect()
    }

    /// Keeps usage records, and the cursor up to which they were pulled, together. A record that
    /// is there already keeps the time of its first reading and takes the new text.
    pub async fn keep_usage(&self, rows: &[UsageRow], cursor: Option<(&str, &str)>) -> Read<()> {
        let fault = |error: sqlx::Error| StoreError::of(FILE, &error);
        let array: Vec<Value> = rows.iter().map(usage_array).collect();
        let Some(file) = &self.file else {
            return Ok(());
        };
        let mut transaction = file.writer.begin().await.map_err(fault)?;
        sqlx::query(
            "INSERT INTO usage_record SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, \
             value ->> 4, value ->> 5, value ->> 6, value ->> 6 FROM json_each(?1) WHERE true \
             ON CONFLICT (key) DO UPDATE SET raw = excluded.raw, last_read = excluded.last_read",
        )
        .bind(Value::Array(array).to_string())
        .execute(&mut *transaction)
        .await
        .map_err(fault)?;
        if let Some((key, value)) = cursor {
            sqlx::query("INSERT OR REPLACE INTO meta VALUES (?1, ?2)")
                .bind(key.to_owned())
                .bind(value.to_owned())
                .execute(&mut *transaction)
                .await
                .map_err(fault)?;
        }
        transaction.commit().await.map_err(fault)
    }

    /// Usage records whose window starts in the period, by key.
    pub async fn usage(&self, period: Period) -> Read<Vec<UsageRow>> {
        let query = sqlx::query(
            "SELECT * FROM usage_record WHERE window_start >= ?1 AND window_start < ?2 \
             ORDER BY key",
        );
        let query = query.bind(period.start.micros()).bind(period.end.micros());
        self.all(query, usage_row).await
    }

    /// A cursor, or another value kept by name.
    pub async fn meta(&self, key: &str) -> Read<Option<String>> {
        let query = sqlx::query("SELECT value FROM meta WHERE key = ?1").bind(key.to_owned());
        let rows = self.all(query, |row| Fields(row).text("value")).await?;
        Ok(rows.into_iter().next())
    }

    /// Keeps a value by name.
    pub async fn put_meta(&self, key: &str, value: &str) -> Read<()> {
        let query = sqlx::query("INSERT OR REPLACE INTO meta VALUES (?1, ?2)");
        let query = query.bind(key.to_owned()).bind(value.to_owned());
        self.write(query).await.map(drop)
    }

    /// Writes judged requests down, many in one transaction.
    pub async fn audit(&self, rows: &[AuditRow]) -> Read<()> {
        let array = rows.iter().map(|row| {
            json!([
                row.at.micros(),
                row.call.to_string(),
                row.command,
                row.payer.as_ref().map(ToString::to_string),
                row.verdict,
                row.reason,
                row.price.map(|(per_hour, _)| per_hour.get()),
                row.price.map(|(_, currency)| currency.to_string()),
            ])
        });
        let statement = "INSERT INTO audit (at, call, command, payer, verdict, reason, \
             per_hour, currency) \
             SELECT value ->> 0, value ->> 1, value ->> 2, value ->> 3, value ->> 4, \
             value ->> 5, value ->> 6, value ->> 7 FROM json_each(?1)";
        self.bulk(statement, array.collect()).await
    }

    /// The newest judged requests.
    pub async fn audited(&self, rows: u32) -> Read<Vec<AuditRow>> {
        let query = sqlx::query("SELECT * FROM audit ORDER BY seq DESC LIMIT ?1");
        self.all(query.bind(i64::from(rows)), audit_row).await
    }

    /// Calls that were only observed, from an instant up to another (wall time), oldest first,
    /// with everything else that was noted of them.
    pub async fn observed(&self, during: Period) -> Read<Vec<AuditRow>> {
        let query = sqlx::query(
            "SELECT * FROM audit WHERE at >= ?1 AND at < ?2 AND call IN \
             (SELECT call FROM audit WHERE verdict = 'observe' AND at >= ?1 AND at < ?2) \
             ORDER BY seq",
        );
        let query = query.bind(during.start.micros()).bind(during.end.micros());
        self.all(query, audit_row).await
    }

    /// Forgets judged requests older than this; says how many.
    pub async fn forget_audit(&self, before: Timestamp) -> Read<u64> {
        let query = sqlx::query("DELETE FROM audit WHERE at < ?1").bind(before.micros());
        self.write(query).await
    }

    /// Keeps what is known of a key.
    pub async fn put_key(&self, key: &CachedKey) -> Read<()> {
        let query = sqlx::query("INSERT OR REPLACE INTO key_cache VALUES (?1, ?2, ?3)")
            .bind(key.key_hash.clone())
            .bind(key.ciphertext.clone())
            .bind(key.at.micros());
        self.write(query).await.map(drop)
    }

    /// What is known of a key.
    pub async fn key(&self, key_hash: &str) -> Read<Option<CachedKey>> {
        let query = sqlx::query("SELECT * FROM key_cache WHERE key_hash = ?1");
        let rows = self.all(query.bind(key_hash.to_owned()), key_row).await?;
        Ok(rows.into_iter().next())
    }

    /// Forgets a key, or all of them.
    pub async fn forget_key(&self, key_hash: Option<&str>) -> Read<u64> {
        let query = sqlx::query("DELETE FROM key_cache WHERE ?1 IS NULL OR key_hash = ?1");
        self.write(query.bind(key_hash.map(str::to_owned))).await
    }

    /// Keeps a snapshot.
    pub async fn put_snapshot(&self, name: &str, snapshot: &Snapshot) -> Read<()> {
        let query = sqlx::query("INSERT OR REPLACE INTO snapshot VALUES (?1, ?2, ?3)")
            .bind(name.to_owned())
            .bind(snapshot.body.clone())
            .bind(snapshot.at.micros());
        self.write(query).await.map(drop)
    }

    /// The snapshot of this name.
    pub async fn snapshot(&self, name: &str) -> Read<Option<Snapshot>> {
        let query = sqlx::query("SELECT * FROM snapshot WHERE name = ?1").bind(name.to_owned());
        let read = |row: &SqliteRow| {
            let f = Fields(row);
            Ok(Snapshot {
                body: f.text("body")?,
                at: Timestamp::from_micros(f.number("at")?),
            })
        };
        Ok(self.all(query, read).await?.into_iter().next())
    }
}

fn usage_array(row: &UsageRow) -> Value {
    json!([
        row.key,
        row.usage_type,
        row.resource,
        row.window.start.micros(),
        row.window.end.micros(),
        row.raw,
        row.read.micros(),
    ])
}

fn usage_row(row: &SqliteRow) -> Read<UsageRow> {
    let f = Fields(row);
    let number = f.number("usage_type")?;
    let at = |name: &str| f.number(name).map(Timestamp::from_micros);
    Ok(UsageRow {
        key: f.text("key")?,
        usage_type: u8::try_from(number)
            .map_err(|_| StoreError::row("usage_type", &number.to_string()))?,
        resource: f.text("resource")?,
        window: Period {
            start: at("window_start")?,
            end: at("window_end")?,
        },
        raw: f.text("raw")?,
        read: at("last_read")?,
    })
}

fn audit_row(row: &SqliteRow) -> Read<AuditRow> {
    let f = Fields(row);
    let call = f.text("call")?;
    Ok(AuditRow {
        at: Timestamp::from_micros(f.number("at")?),
        call: call.parse().map_err(|_| StoreError::row("call", &call))?,
        command: f.text("command")?,
        payer: f.maybe_text("payer")?.map(PayerId::from),
        verdict: f.text("verdict")?,
        reason: f.text("reason")?,
        price: price(&f)?,
    })
}

fn price(f: &Fields<'_>) -> Read<Option<(Micros, Currency)>> {
    let per_hour = f.maybe_number("per_hour")?.map(Micros::new);
    let currency = f.maybe_text("currency")?;
    let unknown = |text: &String| StoreError::row("currency", text);
    let currency = currency.map(|text| text.parse().map_err(|_| unknown(&text)));
    Ok(per_hour.zip(currency.transpose()?))
}

fn key_row(row: &SqliteRow) -> Read<CachedKey> {
    let f = Fields(row);
    let bytes = row.try_get("ciphertext");
    Ok(CachedKey {
        key_hash: f.text("key_hash")?,
        ciphertext: bytes.map_err(|error| StoreError::Corrupt(error.to_string()))?,
        at: Timestamp::from_micros(f.number("at")?),
    })
}
