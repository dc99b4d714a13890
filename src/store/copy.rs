//! Edge: every row of the books from one database into another: a backup of PostgreSQL is a
//! `ledger.db`, and a backup goes into either.

use super::database::{Connection, Query, Row, Snapshot, query};
use super::error::StoreError;
use super::from_row::{self, Fields};
use super::sql::{self, CHAINED, Sql, TAIL, cell, put};
use super::to_row;
use crate::ledger::records::Transfer;
use crate::ledger::verify::chain;
use serde_json::{Value, json};

/// Rows that are carried at once.
const BATCH: usize = 1_000;

/// How a column is carried.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Number,
}

/// A table that is carried as it is.
struct Table {
    name: &'static str,
    columns: &'static [(&'static str, Kind)],
    put: Sql,
    select: &'static str,
}

macro_rules! kind {
    (text) => {
        Kind::Text
    };
    (number) => {
        Kind::Number
    };
}

macro_rules! table {
    ($table:literal by $order:literal ($($at:literal $name:ident $kind:ident),*)) => {
        Table {
            name: $table,
            columns: &[$((stringify!($name), kind!($kind))),*],
            put: put!($table ($($at $name $kind),*) ""),
            select: concat!("SELECT * FROM ", $table, " ORDER BY ", $order),
        }
    };
}

/// Every table but `transfer`, in an order in which it may be read.
const TABLES: [Table; 15] = [
    table!("meta" by "key" (0 key text, 1 value text)),
    table!("command" by "name" (0 name text, 1 digest text, 2 body text)),
    table!("payer" by "id" (
        0 id text, 1 seller text, 2 currency text, 3 mode text, 4 credit_line number,
        5 available number, 6 held number, 7 retention number, 8 accrued number,
        9 promo_available number, 10 promo_held number, 11 promo_accrued number,
        12 holds_open number, 13 promo_holds_open number, 14 cover_target number,
        15 promo_cover_target number, 16 accrued_through number, 17 version number
    )),
    table!("hold" by "id, payer" (
        0 id text, 1 payer text, 2 call text, 3 wallet number, 4 promo number,
        5 one_off number, 6 status text, 7 at number, 8 caps text
    )),
    table!("bundle" by "id" (
        0 id text, 1 payer text, 2 account text, 3 client_key text, 4 request text, 5 lines text,
        6 at number, 7 expires number, 8 ended number
    )),
    table!("commitment" by "id" (
        0 id text, 1 payer text, 2 call text, 3 about text, 4 rule text, 5 members text,
        6 since number, 7 ended number
    )),
    table!("cap" by "id, start_at" (
        0 id text, 1 start_at number, 2 held number, 3 accrued number
    )),
    table!("cap_share" by "cap, payer" (
        0 cap text, 1 payer text, 2 start_at number, 3 covered number, 4 metered number,
        5 one_off number
    )),
    table!("promo_grant" by "payer, id" (
        0 payer text, 1 id text, 2 amount number, 3 remaining number, 4 expired number,
        5 expires number, 6 ended number, 7 reason text, 8 at number
    )),
    table!("accrual" by "payer, month" (
        0 payer text, 1 month text, 2 zone text, 3 line text, 4 tax_group text,
        5 quantity text, 6 total number, 7 promo_total number, 8 invoiced number,
        9 promo_invoiced number
    )),
    table!("item" by "payer, id" (
        0 payer text, 1 id text, 2 amount number, 3 open number, 4 due number, 5 at number
    )),
    table!("allocation" by "seq" (
        0 id text, 1 item text, 2 payer text, 3 amount number, 4 at number
    )),
    table!("document" by "id" (
        0 id text, 1 seller text, 2 payer text, 3 kind text, 4 series text, 5 number number,
        6 total number, 7 corrects text, 8 body text, 9 at number
    )),
    table!("intent" by "call" (
        0 call text, 1 hold text, 2 payer text, 3 owner text, 4 command text, 5 params text,
        6 job text, 7 resource text, 8 planned text, 9 status text, 10 sent number,
        11 answered number, 12 updated number, 13 note text
    )),
    table!("interval" by "id" (
        0 id text, 1 payer text, 2 hold text, 3 usage_type number, 4 resource text,
        5 part text, 6 account text, 7 account_name text, 8 domain text, 9 project text,
        10 attributes text, 11 start_at number, 12 start_source text, 13 end_at number,
        14 end_source text
    )),
];
const LADDER: [Table; 3] = [
    table!("episode" by "payer, name" (
        0 payer text, 1 name text, 2 stopping number, 3 stopped number, 4 ended number
    )),
    table!("ladder_action" by "id" (
        0 id text, 1 payer text, 2 episode text, 3 step text, 4 resource text, 5 name text,
        6 per_hour number, 7 status text, 8 tries number, 9 job text, 10 since number,
        11 at number, 12 note text
    )),
    table!("outbox" by "id" (
        0 id text, 1 payer text, 2 episode text, 3 step text, 4 channel text, 5 target text,
        6 subject text, 7 body text, 8 status text, 9 tries number, 10 since number,
        11 at number, 12 note text
    )),
];
const NOTICES: Table = table!("notice" by "payer, at" (
    0 payer text, 1 episode text, 2 step text, 3 text text, 4 at number
));

/// Copies every row that the snapshot sees; `told` hears of each table and its rows.
pub(super) async fn copy(
    from: &mut Snapshot,
    into: &mut Connection,
    file: &str,
    told: &mut dyn FnMut(&str, u64),
) -> Result<(), StoreError> {
    let fault = |error: sqlx::Error| StoreError::of(file, &error);
    into.execute(query("BEGIN")).await.map_err(fault)?;
    told("transfer", transfers(from, into, file).await?);
    for table in TABLES.iter().chain([&NOTICES]).chain(&LADDER) {
        told(table.name, rows(table, from, into, file).await?);
    }
    into.execute(query("COMMIT")).await.map_err(fault)?;
    Ok(())
}

async fn rows(
    table: &Table,
    from: &mut Snapshot,
    into: &mut Connection,
    file: &str,
) -> Result<u64, StoreError> {
    let mut carried = 0;
    let all = query(table.select);
    from.each(all, BATCH, async |batch: Vec<Row>| {
        let rows: Result<Vec<Value>, StoreError> =
            batch.iter().map(|row| array(row, table.columns)).collect();
        let rows = rows?;
        carried += u64::try_from(rows.len()).unwrap_or(0);
        put_all(into, table.put, rows, file).await
    })
    .await?;
    Ok(carried)
}

/// Transfers in the order of their chain, then those that are on none yet; the chain is made anew.
async fn transfers(
    from: &mut Snapshot,
    into: &mut Connection,
    file: &str,
) -> Result<u64, StoreError> {
    let (mut seq, mut hash) = (0_i64, [0; 32]);
    let mut after = 0_i64;
    let fault = |error: sqlx::Error| StoreError::of(file, &error);
    loop {
        let page = Query::of(CHAINED).bind(after).bind(10_000_i64);
        let page = from.fetch(page).await.map_err(fault)?;
        let Some(last) = page.last() else { break };
        after = Fields(last).number("place")?;
        put_transfers(&page, &mut seq, &mut hash, into, file).await?;
    }
    if let Snapshot::Postgres(_) = from {
        let tail = from.fetch(Query::of(TAIL)).await.map_err(fault)?;
        put_transfers(&tail, &mut seq, &mut hash, into, file).await?;
    }
    Ok(u64::try_from(seq).unwrap_or(0))
}

async fn put_transfers(
    page: &[Row],
    seq: &mut i64,
    hash: &mut [u8; 32],
    into: &mut Connection,
    file: &str,
) -> Result<(), StoreError> {
    let mut rows = Vec::with_capacity(page.len());
    for row in page {
        let transfer: Transfer = from_row::transfer(row)?;
        *seq += 1;
        *hash = chain(*hash, &transfer);
        rows.push(to_row::transfer(*seq, &transfer, hash));
    }
    put_all(into, sql::PUT_TRANSFERS, rows, file).await
}

/// Puts rows in bulk.
pub(super) async fn put_all(
    into: &mut Connection,
    statement: Sql,
    rows: Vec<Value>,
    file: &str,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let query = Query::of(statement).bind(Value::Array(rows).to_string());
    let done = into.execute(query).await;
    done.map(drop).map_err(|error| StoreError::of(file, &error))
}

fn array(row: &Row, columns: &[(&str, Kind)]) -> Result<Value, StoreError> {
    let fields = Fields(row);
    let mut cells = Vec::with_capacity(columns.len());
    for (name, kind) in columns {
        cells.push(match kind {
            Kind::Text => json!(fields.maybe_text(name)?),
            Kind::Number => json!(fields.maybe_number(name)?),
        });
    }
    Ok(Value::Array(cells))
}
