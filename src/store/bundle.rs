//! Edge: the rows of bundles: what was asked for together, and until when it is kept.
//!
//! A row never says what became of its lines: the hold of each line does. `ended` only spares
//! looking at a bundle of which nothing is left.

use super::Store;
use super::database::{Query, Row, query};
use super::error::StoreError;
use super::from_row::Fields;
use super::group::Group;
use super::sql::{Sql, cell, put};
use super::work::Work;
use crate::ledger::things::{Amounts, Things};
use crate::terms::ids::{BundleId, HoldId, PayerId};
use crate::terms::money::Micros;
use crate::terms::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

type Read<T> = Result<T, StoreError>;

/// One call of a bundle, as it was priced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredLine {
    /// The API command.
    pub command: String,
    /// Its parameters as query text, without keys, signatures and passwords.
    pub params: String,
    /// Its hold; none where the call cannot raise cost.
    pub hold: Option<HoldId>,
    /// What was held for it: for the horizon, one-off prices included.
    pub price: Micros,
    /// For one hour.
    pub per_hour: Micros,
    /// The part of `price` that is due once.
    pub one_off: Micros,
    /// What it adds to what its payer has; it counts until the line is drawn or goes back.
    pub things: Things,
}

/// A bundle.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoredBundle {
    /// Which.
    pub id: BundleId,
    /// Who pays for every line.
    pub payer: PayerId,
    /// Whose it is: the caller's own account as text.
    pub account: String,
    /// The client's own name for it, empty where he gave none.
    pub client_key: String,
    /// A hash of what was asked for: under one name there is one bundle.
    pub request: String,
    /// Its lines, in the client's order.
    pub lines: Vec<StoredLine>,
    /// When it was made, billing time.
    pub at: Timestamp,
    /// What no call drew goes back from then on, billing time.
    pub expires: Timestamp,
    /// When that was done.
    pub ended: Option<Timestamp>,
}

/// A change of the bundles' rows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum BundleChange {
    /// A new one; a second time it changes nothing.
    Insert(StoredBundle),
    /// Nothing of it is held for itself any more.
    End {
        /// Which.
        id: BundleId,
        /// When, billing time.
        at: Timestamp,
    },
}

/// A line as it is written: `things` are usage type, zone, pieces, vCPUs, MiB, bytes.
#[derive(Serialize, Deserialize)]
struct LineText {
    command: String,
    params: String,
    hold: Option<String>,
    price: i64,
    per_hour: i64,
    one_off: i64,
    things: Vec<(u8, String, i64, i64, i64, i64)>,
}

const PUT_BUNDLES: Sql = put!("bundle" (
    0 id text, 1 payer text, 2 account text, 3 client_key text, 4 request text, 5 lines text,
    6 at number, 7 expires number, 8 ended number
) "ON CONFLICT DO NOTHING");
const END_BUNDLES: Sql = Sql {
    sqlite: "UPDATE bundle SET ended = coalesce(bundle.ended, j.value ->> 1) \
        FROM json_each($1) AS j WHERE bundle.id = j.value ->> 0",
    postgres: "UPDATE bundle SET ended = coalesce(bundle.ended, (j.value ->> 1)::bigint) \
        FROM json_array_elements($1::json) AS j(value) WHERE bundle.id = j.value ->> 0",
    rows: None,
};
/// What lines that no call drew yet are going to start: sums, as `UNDER_WAY` has them of calls.
pub(super) const BUNDLED: Sql = Sql {
    sqlite: "SELECT b.payer, t.value ->> 0 AS usage_type, \
        t.value ->> 1 AS zone, sum(t.value ->> 2) AS pieces, sum(t.value ->> 3) AS vcpus, \
        sum(t.value ->> 4) AS memory_mib, sum(t.value ->> 5) AS bytes \
        FROM bundle AS b, json_each(b.lines) AS l, json_each(l.value, '$.things') AS t, hold AS h \
        WHERE b.ended IS NULL AND h.id = l.value ->> 'hold' AND h.payer = b.payer \
        AND h.status = 'open' AND b.payer IN (SELECT value FROM json_each($1)) \
        GROUP BY b.payer, t.value ->> 0, t.value ->> 1",
    postgres: "SELECT b.payer, (t.value ->> 0)::bigint AS usage_type, t.value ->> 1 AS zone, \
        sum((t.value ->> 2)::bigint)::bigint AS pieces, \
        sum((t.value ->> 3)::bigint)::bigint AS vcpus, \
        sum((t.value ->> 4)::bigint)::bigint AS memory_mib, \
        sum((t.value ->> 5)::bigint)::bigint AS bytes \
        FROM bundle AS b, json_array_elements(b.lines::json) AS l(value), \
        json_array_elements(l.value -> 'things') AS t(value), hold AS h \
        WHERE b.ended IS NULL AND h.id = l.value ->> 'hold' AND h.payer = b.payer \
        AND h.status = 'open' \
        AND b.payer = ANY (ARRAY(SELECT json_array_elements_text($1::json))) \
        GROUP BY b.payer, t.value ->> 0, t.value ->> 1",
    rows: None,
};

impl Group<'_> {
    /// Writes the bundles' rows of works that passed: new ones first, then what ended.
    pub(super) async fn save_bundles(&mut self, works: &[&Work]) -> Read<()> {
        let (mut new, mut ended) = (BTreeMap::new(), BTreeMap::new());
        for change in works.iter().flat_map(|work| &work.bundles) {
            match change {
                BundleChange::Insert(it) => {
                    new.entry(it.id).or_insert_with(|| to_row(it));
                }
                BundleChange::End { id, at } => {
                    let row = || json!([id.to_string(), at.micros()]);
                    ended.entry(*id).or_insert_with(row);
                }
            }
        }
        self.bulk(PUT_BUNDLES, new.into_values().collect()).await?;
        self.bulk(END_BUNDLES, ended.into_values().collect()).await
    }
}

/// The same rows in memory.
pub(super) fn apply(rows: &mut BTreeMap<BundleId, StoredBundle>, change: &BundleChange) {
    match change {
        BundleChange::Insert(it) => {
            rows.entry(it.id).or_insert_with(|| it.clone());
        }
        BundleChange::End { id, at } => {
            if let Some(row) = rows.get_mut(id) {
                row.ended = row.ended.or(Some(*at));
            }
        }
    }
}

impl Store {
    /// A bundle, whoever's it is.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn bundle(&self, id: BundleId) -> Read<Option<StoredBundle>> {
        if let Self::Memory(store) = self {
            return store.read(|rows| rows.bundles.get(&id).cloned()).await;
        }
        let query = query("SELECT * FROM bundle WHERE id = $1").bind(id.to_string());
        self.one(query, from_row).await
    }

    /// An account's newest bundles, those that ended included.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn bundles(&self, account: &str, limit: u32) -> Read<Vec<StoredBundle>> {
        if let Self::Memory(store) = self {
            return store
                .read(|rows| {
                    let of_account = rows.bundles.values().filter(|it| it.account == account);
                    let mut found: Vec<StoredBundle> = of_account.cloned().collect();
                    found.sort_by_key(|it| (std::cmp::Reverse(it.at), it.id));
                    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
                    found
                })
                .await;
        }
        let text = "SELECT * FROM bundle WHERE account = $1 ORDER BY at DESC, id LIMIT $2";
        let query = query(text).bind(account.to_owned()).bind(i64::from(limit));
        self.all(query, from_row).await
    }

    /// Bundles whose time is over and that have not ended, those of longest ago first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn bundles_due(&self, now: Timestamp, limit: u32) -> Read<Vec<StoredBundle>> {
        if let Self::Memory(store) = self {
            return store
                .read(|rows| {
                    let due = |it: &&StoredBundle| it.ended.is_none() && it.expires <= now;
                    let due = rows.bundles.values().filter(due);
                    let mut found: Vec<StoredBundle> = due.cloned().collect();
                    found.sort_by_key(|it| (it.expires, it.id));
                    found.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
                    found
                })
                .await;
        }
        let text = "SELECT * FROM bundle WHERE ended IS NULL AND expires <= $1 \
                    ORDER BY expires, id LIMIT $2";
        let query: Query = query(text).bind(now.micros()).bind(i64::from(limit));
        self.all(query, from_row).await
    }
}

fn to_row(it: &StoredBundle) -> Value {
    let lines: Vec<LineText> = it.lines.iter().map(line_text).collect();
    json!([
        it.id.to_string(),
        it.payer.as_str(),
        it.account,
        it.client_key,
        it.request,
        json!(lines).to_string(),
        it.at.micros(),
        it.expires.micros(),
        it.ended.map(|at| at.micros()),
    ])
}

fn line_text(line: &StoredLine) -> LineText {
    let things = line.things.iter().map(|(kind, zone, it)| {
        let zone = zone.to_owned();
        (kind, zone, it.pieces, it.vcpus, it.memory_mib, it.bytes)
    });
    LineText {
        command: line.command.clone(),
        params: line.params.clone(),
        hold: line.hold.map(|hold| hold.to_string()),
        price: line.price.get(),
        per_hour: line.per_hour.get(),
        one_off: line.one_off.get(),
        things: things.collect(),
    }
}

fn from_row(row: &Row) -> Read<StoredBundle> {
    let f = Fields(row);
    let (id, lines) = (f.text("id")?, f.text("lines")?);
    let read: Result<Vec<LineText>, _> = serde_json::from_str(&lines);
    let read = read.map_err(|_| StoreError::row("lines", &lines))?;
    Ok(StoredBundle {
        id: id.parse().map_err(|_| StoreError::row("id", &id))?,
        payer: PayerId::from(f.text("payer")?),
        account: f.text("account")?,
        client_key: f.text("client_key")?,
        request: f.text("request")?,
        lines: read.into_iter().map(line).collect::<Read<_>>()?,
        at: Timestamp::from_micros(f.number("at")?),
        expires: Timestamp::from_micros(f.number("expires")?),
        ended: f.maybe_number("ended")?.map(Timestamp::from_micros),
    })
}

fn line(text: LineText) -> Read<StoredLine> {
    let hold = text.hold.map(|hold| {
        let fault = || StoreError::row("lines", &hold);
        hold.parse().map_err(|_| fault())
    });
    let mut things = Things::default();
    for (kind, zone, pieces, vcpus, memory_mib, bytes) in text.things {
        let amounts = Amounts {
            pieces,
            vcpus,
            memory_mib,
            bytes,
        };
        things.add(kind, &zone, &amounts);
    }
    Ok(StoredLine {
        command: text.command,
        params: text.params,
        hold: hold.transpose()?,
        price: Micros::new(text.price),
        per_hour: Micros::new(text.per_hour),
        one_off: Micros::new(text.one_off),
        things,
    })
}
