//! Edge: PostgreSQL's chain of hashes, written behind the commits.
//!
//! Several nodes commit at once, so that no transfer knows the one before it. One sealer at a
//! time takes what is committed and on no chain yet, and puts it on the chain in the order in
//! which it finds it. What was not sealed when all nodes died is sealed by the next one.

use super::database::{Connection, Query, query};
use super::error::StoreError;
use super::from_row::{self, Fields};
use super::group::digest;
use super::open::Access;
use super::postgres::NAME;
use super::{sql, to_row};
use crate::ledger::verify::chain;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::sync::watch;

/// How often the sealer looks, wall time.
const EVERY: Duration = Duration::from_millis(500);

/// Seals until the writer has ended.
pub(super) async fn run(access: Access, mut ended: watch::Receiver<bool>) {
    let mut connection = None;
    while !*ended.borrow() {
        tokio::select! {
            () = tokio::time::sleep(EVERY) => {}
            _ = ended.changed() => {}
        }
        if connection.is_none() {
            connection = access.connect().await.ok();
        }
        let Some(open) = &mut connection else {
            continue;
        };
        loop {
            match turn(open).await {
                Ok(0) => break,
                Ok(_) => {}
                Err(fault) => {
                    tracing::warn!(%fault, "ledger: transfers were not sealed; tried again");
                    connection = None;
                    break;
                }
            }
        }
    }
}

/// Seals one page; says how many transfers.
async fn turn(connection: &mut Connection) -> Result<usize, StoreError> {
    let fault = |error: sqlx::Error| StoreError::of(NAME, &error);
    connection.execute(query("BEGIN")).await.map_err(fault)?;
    let outcome = page(connection).await;
    let end = if outcome.is_ok() {
        "COMMIT"
    } else {
        "ROLLBACK"
    };
    connection.execute(query(end)).await.map_err(fault)?;
    outcome
}

async fn page(connection: &mut Connection) -> Result<usize, StoreError> {
    let fault = |error: sqlx::Error| StoreError::of(NAME, &error);
    let got = connection.fetch(Query::of(sql::SEAL_TURN)).await;
    let got = got.map_err(fault)?;
    let mine = got.first().map(|row| row.get::<bool>("got")).transpose()?;
    if mine != Some(true) {
        return Ok(0);
    }
    let rows = connection.fetch(Query::of(sql::UNSEALED)).await;
    let rows = rows.map_err(fault)?;
    if rows.is_empty() {
        return Ok(0);
    }
    let last = connection.fetch(Query::of(sql::SEALED)).await;
    let (mut place, mut hash) = match last.map_err(fault)?.first() {
        None => (0, [0; 32]),
        Some(row) => {
            let fields = Fields(row);
            (fields.number("place")?, digest(&fields.text("hash")?)?)
        }
    };
    let (mut seals, mut done) = (Vec::new(), Vec::new());
    for row in &rows {
        let seq = Fields(row).number("seq")?;
        place += 1;
        hash = chain(hash, &from_row::transfer(row)?);
        seals.push(json!([place, seq, to_row::hex(&hash)]));
        done.push(Value::String(seq.to_string()));
    }
    for (statement, rows) in [(sql::PUT_SEALS, seals), (sql::FORGET_UNSEALED, done)] {
        let query = Query::of(statement).bind(Value::Array(rows).to_string());
        connection.execute(query).await.map_err(fault)?;
    }
    Ok(rows.len())
}
