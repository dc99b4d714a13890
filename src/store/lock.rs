//! Edge: which works of a group may be decided now, where several nodes write the same books.
//!
//! PostgreSQL alone: SQLite has one writer. Every payer, cap and number series that a work touches
//! is locked, in the order of their names, until the transaction ends. A group takes what is free
//! and leaves the rest of its works for the next one; a work that was left too often waits for
//! its locks in a group of its own. The locks are advisory, so that they hold for a payer who has
//! no row yet; every node takes them before it reads what it decides on.

use super::database::{Connection, Query};
use super::error::StoreError;
use super::from_row::Fields;
use super::sql::{CAPS_OF_HOLDS, HOLDERS, LOCK, PAYERS_OF_TRANSFERS, Sql, TRY_LOCK};
use super::work::Work;
use crate::ledger::touches::Touches;
use crate::terms::ids::CapId;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Locks what it can get, or all where it waits; says of each work whether it may be decided.
pub(super) async fn take(
    connection: &mut Connection,
    file: &str,
    works: &[&Work],
    wait: bool,
) -> Result<Vec<bool>, StoreError> {
    if let Connection::Sqlite(_) = connection {
        return Ok(vec![true; works.len()]);
    }
    let touches: Vec<Touches> = works
        .iter()
        .map(|work| match &work.command {
            Some(command) => command.touches(),
            None => Touches::default(),
        })
        .collect();
    let holds = touches.iter().flat_map(|one| &one.holds);
    let holders = pairs(connection, file, (HOLDERS, "payer"), holds.clone()).await?;
    let passed = pairs(connection, file, (CAPS_OF_HOLDS, "cap"), holds).await?;
    let commands = touches.iter().flat_map(|one| &one.transfers_of);
    let movers = pairs(connection, file, (PAYERS_OF_TRANSFERS, "payer"), commands).await?;
    let keys: Vec<BTreeSet<String>> = works
        .iter()
        .zip(&touches)
        .map(|(work, one)| keys(work, one, (&holders, &passed), &movers))
        .collect();
    let all: BTreeSet<&String> = keys.iter().flatten().collect();
    let names = all.into_iter().cloned().map(Value::String).collect();
    let statement = if wait { LOCK } else { TRY_LOCK };
    let query = Query::of(statement).bind(Value::Array(names).to_string());
    let rows = connection.fetch(query).await;
    let rows = rows.map_err(|error| StoreError::of(file, &error))?;
    let mut got = BTreeSet::new();
    for row in &rows {
        if row.get::<bool>("got")? {
            got.insert(Fields(row).text("key")?);
        }
    }
    Ok(keys.iter().map(|wanted| wanted.is_subset(&got)).collect())
}

/// What has to be locked before this work is decided.
fn keys(
    work: &Work,
    touches: &Touches,
    (holders, passed): (&Found, &Found),
    movers: &Found,
) -> BTreeSet<String> {
    let payer = |id: &str| format!("payer/{id}");
    let named = touches
        .payers
        .iter()
        .chain(&touches.items_of)
        .chain(&touches.allocations_of)
        .chain(touches.accruals.iter().map(|(payer, _)| payer))
        .chain(work.claim.iter().map(|claim| &claim.payer));
    let mut keys: BTreeSet<String> = named.map(|id| payer(id.as_str())).collect();
    let holds = touches.holds.iter().map(ToString::to_string);
    let of_holds = holds
        .clone()
        .filter_map(|hold| holders.get(&hold))
        .flatten();
    let caps = touches.caps.iter().map(CapId::as_str);
    let of_passed = holds.filter_map(|hold| passed.get(&hold)).flatten();
    let caps = caps.chain(of_passed.map(String::as_str));
    keys.extend(caps.map(|id| format!("cap/{id}")));
    let moved = touches.transfers_of.iter().map(ToString::to_string);
    let of_transfers = moved.filter_map(|name| movers.get(&name)).flatten();
    keys.extend(of_holds.chain(of_transfers).map(|id| payer(id)));
    keys.extend(touches.series.iter().map(|name| format!("series/{name}")));
    keys
}

/// What each id leads to.
type Found = BTreeMap<String, BTreeSet<String>>;

/// For each id of a statement's array: the payers or caps of this column that it leads to.
async fn pairs<T: ToString>(
    connection: &mut Connection,
    file: &str,
    (statement, column): (Sql, &str),
    ids: impl Iterator<Item = T>,
) -> Result<Found, StoreError> {
    let ids: BTreeSet<String> = ids.map(|id| id.to_string()).collect();
    let mut found = Found::new();
    if ids.is_empty() {
        return Ok(found);
    }
    let ids = ids.into_iter().map(Value::String).collect();
    let query = Query::of(statement).bind(Value::Array(ids).to_string());
    let rows = connection.fetch(query).await;
    for row in &rows.map_err(|error| StoreError::of(file, &error))? {
        let fields = Fields(row);
        if let Some(to) = fields.maybe_text(column)? {
            found.entry(fields.text("id")?).or_default().insert(to);
        }
    }
    Ok(found)
}
