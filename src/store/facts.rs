//! Edge: `facts.db`: what can be pulled again from CloudStack, and the audit of judged requests.
//!
//! One writing connection; several rows go into one transaction. Losing this file loses no money.

use super::database::{Pool, Query, Row, query};
use super::error::StoreError;
use super::from_row::Fields;
use super::sql::{Sql, cell, put, replace};
use crate::terms::ids::{CallId, PayerId};
use crate::terms::money::{Currency, Micros};
use crate::terms::time::{Period, Timestamp};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const FILE: &str = "the facts' store";

type Read<T> = Result<T, StoreError>;

/// The last place is the first reading's time for a new record, and the newest for a known one.
const PUT_USAGE: Sql = put!("usage_record" (
    0 key text, 1 usage_type number, 2 resource text, 3 window_start number,
    4 window_end number, 5 raw text, 6 first_read number, 6 last_read number
) replace!("key": raw last_read));
const PUT_AUDIT: Sql = put!("audit" (
    0 at number, 1 call text, 2 command text, 3 payer text, 4 verdict text, 5 reason text,
    6 per_hour number, 7 currency text
) "");

/// The facts. A clone is another way to the same ones.
#[derive(Clone, Debug)]
pub struct Facts {
    /// None where nothing is kept: books in memory.
    file: Option<FactsFile>,
}

#[derive(Clone, Debug)]
struct FactsFile {
    writer: Pool,
    readers: Pool,
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
    /// Facts behind these connections: one writes at a time, the others read beside it.
    pub(super) const fn new(writer: Pool, readers: Pool) -> Self {
        Self {
            file: Some(FactsFile { writer, readers }),
        }
    }

    /// None where nothing is kept.
    pub(super) fn readers(&self) -> Option<&Pool> {
        self.file.as_ref().map(|file| &file.readers)
    }

    /// Facts that nothing keeps: whatever is put there is forgotten.
    pub(super) const fn nowhere() -> Self {
        Self { file: None }
    }

    async fn write(&self, query: Query) -> Read<u64> {
        let Some(file) = &self.file else {
            return Ok(0);
        };
        let done = file.writer.execute(query).await;
        done.map_err(|error| StoreError::of(FILE, &error))
    }

    async fn bulk(&self, statement: Sql, rows: Vec<Value>) -> Read<()> {
        if rows.is_empty() {
            return Ok(());
        }
        let text = Value::Array(rows).to_string();
        let query = Query::of(statement).bind(text);
        self.write(query).await.map(drop)
    }

    async fn all<T>(&self, query: Query, read: fn(&Row) -> Read<T>) -> Read<Vec<T>> {
        let Some(file) = &self.file else {
            return Ok(Vec::new());
        };
        let rows = file.readers.fetch(query).await;
        let rows = rows.map_err(|error| StoreError::of(FILE, &error))?;
        rows.iter().map(read).collect()
    }

    /// Keeps usage records, then the cursor up to which they were pulled: a cursor that is lost in
    /// between has them read again. A record that is there already keeps the time of its first
    /// reading and takes the new text.
    pub async fn keep_usage(&self, rows: &[UsageRow], cursor: Option<(&str, &str)>) -> Read<()> {
        // A page may hold one record twice; PostgreSQL wants each row once.
        let array: BTreeMap<&str, Value> = rows
            .iter()
            .map(|row| (row.key.as_str(), usage_array(row)))
            .collect();
        self.bulk(PUT_USAGE, array.into_values().collect()).await?;
        match cursor {
            Some((key, value)) => self.put_meta(key, value).await,
            None => Ok(()),
        }
    }

    /// Usage records whose window starts in the period, by key.
    pub async fn usage(&self, period: Period) -> Read<Vec<UsageRow>> {
        let query = query(
            "SELECT * FROM usage_record WHERE window_start >= $1 AND window_start < $2 \
             ORDER BY key",
        );
        let query = query.bind(period.start.micros()).bind(period.end.micros());
        self.all(query, usage_row).await
    }

    /// A cursor, or another value kept by name.
    pub async fn meta(&self, key: &str) -> Read<Option<String>> {
        let query = query("SELECT value FROM meta WHERE key = $1").bind(key.to_owned());
        let rows = self.all(query, |row| Fields(row).text("value")).await?;
        Ok(rows.into_iter().next())
    }

    /// Keeps a value by name.
    pub async fn put_meta(&self, key: &str, value: &str) -> Read<()> {
        let query = query(
            "INSERT INTO meta (key, value) VALUES ($1, $2) \
             ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        );
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
        self.bulk(PUT_AUDIT, array.collect()).await
    }

    /// The newest judged requests.
    pub async fn audited(&self, rows: u32) -> Read<Vec<AuditRow>> {
        let query = query("SELECT * FROM audit ORDER BY seq DESC LIMIT $1");
        self.all(query.bind(i64::from(rows)), audit_row).await
    }

    /// Calls that were only observed, from an instant up to another (wall time), oldest first,
    /// with everything else that was noted of them.
    pub async fn observed(&self, during: Period) -> Read<Vec<AuditRow>> {
        let query = query(
            "SELECT * FROM audit WHERE at >= $1 AND at < $2 AND call IN \
             (SELECT call FROM audit WHERE verdict = 'observe' AND at >= $1 AND at < $2) \
             ORDER BY seq",
        );
        let query = query.bind(during.start.micros()).bind(during.end.micros());
        self.all(query, audit_row).await
    }

    /// Forgets judged requests older than this; says how many.
    pub async fn forget_audit(&self, before: Timestamp) -> Read<u64> {
        let query = query("DELETE FROM audit WHERE at < $1").bind(before.micros());
        self.write(query).await
    }

    /// Keeps what is known of a key.
    pub async fn put_key(&self, key: &CachedKey) -> Read<()> {
        let query = query(
            "INSERT INTO key_cache (key_hash, ciphertext, at) VALUES ($1, $2, $3) ON CONFLICT \
             (key_hash) DO UPDATE SET ciphertext = excluded.ciphertext, at = excluded.at",
        )
        .bind(key.key_hash.clone())
        .bind(key.ciphertext.clone())
        .bind(key.at.micros());
        self.write(query).await.map(drop)
    }

    /// What is known of a key.
    pub async fn key(&self, key_hash: &str) -> Read<Option<CachedKey>> {
        let query = query("SELECT * FROM key_cache WHERE key_hash = $1");
        let rows = self.all(query.bind(key_hash.to_owned()), key_row).await?;
        Ok(rows.into_iter().next())
    }

    /// All that is known of keys.
    pub async fn keys(&self) -> Read<Vec<CachedKey>> {
        let query = query("SELECT * FROM key_cache ORDER BY key_hash");
        self.all(query, key_row).await
    }

    /// Puts another ciphertext in a row's place, unless the row changed since it was read.
    pub async fn reseal_key(&self, was: &CachedKey, ciphertext: Vec<u8>) -> Read<bool> {
        let query =
            query("UPDATE key_cache SET ciphertext = $1 WHERE key_hash = $2 AND ciphertext = $3")
                .bind(ciphertext)
                .bind(was.key_hash.clone())
                .bind(was.ciphertext.clone());
        self.write(query).await.map(|rows| rows > 0)
    }

    /// Forgets a key, or all of them.
    pub async fn forget_key(&self, key_hash: Option<&str>) -> Read<u64> {
        self.write(match key_hash {
            Some(hash) => query("DELETE FROM key_cache WHERE key_hash = $1").bind(hash.to_owned()),
            None => query("DELETE FROM key_cache"),
        })
        .await
    }

    /// Keeps a snapshot.
    pub async fn put_snapshot(&self, name: &str, snapshot: &Snapshot) -> Read<()> {
        let query = query(
            "INSERT INTO snapshot (name, body, at) VALUES ($1, $2, $3) \
             ON CONFLICT (name) DO UPDATE SET body = excluded.body, at = excluded.at",
        )
        .bind(name.to_owned())
        .bind(snapshot.body.clone())
        .bind(snapshot.at.micros());
        self.write(query).await.map(drop)
    }

    /// The snapshot of this name.
    pub async fn snapshot(&self, name: &str) -> Read<Option<Snapshot>> {
        let query = query("SELECT * FROM snapshot WHERE name = $1").bind(name.to_owned());
        let read = |row: &Row| {
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

fn usage_row(row: &Row) -> Read<UsageRow> {
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

fn audit_row(row: &Row) -> Read<AuditRow> {
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

fn key_row(row: &Row) -> Read<CachedKey> {
    let f = Fields(row);
    Ok(CachedKey {
        key_hash: f.text("key_hash")?,
        ciphertext: row.get("ciphertext")?,
        at: Timestamp::from_micros(f.number("at")?),
    })
}
