//! Edge: what a group changed is written back, in bulk and in a few statements.

use super::database::{Connection, Query};
use super::error::StoreError;
use super::group::{Group, Outcome, digest};
use super::sql::Sql;
use super::work::{Done, IntentChange, IntervalChange, Work};
use super::{from_row, sql, to_row};
use crate::ledger::caps::CapShare;
use crate::ledger::grants::Grant;
use crate::ledger::verify::chain;
use crate::ledger::{Command, Effects};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

impl Group<'_> {
    pub(super) async fn save_books(
        &mut self,
        works: &[&Work],
        outcomes: &[Outcome],
    ) -> Result<(), StoreError> {
        let mut done = Vec::new();
        let mut effects: Vec<&Effects> = Vec::new();
        for (work, outcome) in works.iter().zip(outcomes) {
            if let (Some(command), Ok(Done { effects: one, .. })) = (&work.command, outcome)
                && !one.already_done
            {
                let digest = to_row::hex(&one.digest);
                done.push(json!([one.name, digest, kept_body(command)]));
                effects.push(one);
            }
        }
        if effects.is_empty() {
            return Ok(());
        }
        self.bulk(sql::PUT_DONE, done).await?;
        self.save_transfers(&effects).await?;
        let payers = last(&effects, |e| &e.payers, |row| row.payer.clone());
        self.bulk(sql::PUT_PAYERS, payers.map(to_row::payer))
            .await?;
        let holds = last(&effects, |e| &e.holds, |row| (row.id, row.payer.clone()));
        self.bulk(sql::PUT_HOLDS, holds.map(to_row::hold)).await?;
        let caps = last(&effects, |e| &e.caps, |row| (row.id.clone(), row.start));
        self.bulk(sql::PUT_CAPS, caps.map(to_row::cap)).await?;
        let shares = |row: &CapShare| (row.cap.clone(), row.payer.clone());
        let shares = last(&effects, |e| &e.cap_shares, shares);
        self.bulk(sql::PUT_CAP_SHARES, shares.map(to_row::cap_share))
            .await?;
        let grants = |row: &Grant| (row.payer.clone(), row.id.clone());
        let grants = last(&effects, |e| &e.grants, grants);
        self.bulk(sql::PUT_GRANTS, grants.map(to_row::grant))
            .await?;
        let accruals = last(&effects, |e| &e.accruals, |row| row.key());
        self.bulk(sql::PUT_ACCRUALS, accruals.map(to_row::accrual))
            .await?;
        let items = last(
            &effects,
            |e| &e.items,
            |row| (row.payer.clone(), row.id.clone()),
        );
        self.bulk(sql::PUT_ITEMS, items.map(to_row::item)).await?;
        let allocations = effects.iter().flat_map(|e| &e.allocations);
        let allocations = allocations.map(to_row::allocation).collect();
        self.bulk(sql::PUT_ALLOCATIONS, allocations).await?;
        let papers = effects.iter().filter_map(|e| e.document.as_ref());
        self.bulk(sql::PUT_DOCUMENTS, papers.map(to_row::document).collect())
            .await
    }

    async fn save_transfers(&mut self, effects: &[&Effects]) -> Result<(), StoreError> {
        // PostgreSQL numbers the rows, and its chain is written behind the commits (`seal.rs`).
        let last = match self.connection {
            Connection::Postgres(_) => Vec::new(),
            Connection::Sqlite(_) => {
                let last = self.connection.fetch(Query::of(sql::LAST)).await;
                last.map_err(|error| StoreError::of(self.file, &error))?
            }
        };
        let (mut seq, mut hash) = match last.first() {
            None => (0, [0; 32]),
            Some(row) => {
                let f = from_row::Fields(row);
                (f.number("seq")?, digest(&f.text("hash")?)?)
            }
        };
        let mut rows = Vec::new();
        for row in effects.iter().flat_map(|e| &e.transfers) {
            seq += 1;
            hash = chain(hash, row);
            rows.push(to_row::transfer(seq, row, &hash));
        }
        self.bulk(sql::PUT_TRANSFERS, rows).await
    }

    pub(super) async fn save_rest(&mut self, works: &[&Work]) -> Result<(), StoreError> {
        let intents = works.iter().flat_map(|work| &work.intents);
        self.in_order(intents.map(intent_row)).await?;
        let intervals = works.iter().flat_map(|work| &work.intervals);
        self.in_order(intervals.map(interval_row)).await?;
        let notices = works.iter().flat_map(|work| &work.notices);
        self.bulk(sql::PUT_NOTICES, notices.map(to_row::notice).collect())
            .await?;
        // The last value of a key wins; one statement takes each key once.
        let meta: BTreeMap<&String, &String> = works
            .iter()
            .flat_map(|work| &work.meta)
            .map(|(key, value)| (key, value))
            .collect();
        let meta = meta.into_iter().map(|(key, value)| json!([key, value]));
        self.bulk(sql::PUT_META, meta.collect()).await?;
        self.save_bundles(works).await?;
        self.save_commitments(works).await?;
        self.save_ladder(works).await
    }

    /// Writes changes of rows, each row's in their order. Rows do not depend on each other, so a
    /// statement goes out once for all of them, until a row comes a second time.
    async fn in_order(
        &mut self,
        changes: impl Iterator<Item = (Sql, String, Value)>,
    ) -> Result<(), StoreError> {
        let mut ids = BTreeSet::new();
        let mut batches: Vec<(Sql, Vec<Value>)> = Vec::new();
        for (statement, id, row) in changes {
            if !ids.insert(id.clone()) {
                for (statement, rows) in std::mem::take(&mut batches) {
                    self.bulk(statement, rows).await?;
                }
                ids = BTreeSet::from([id]);
            }
            match batches.iter_mut().find(|(other, _)| *other == statement) {
                Some((_, rows)) => rows.push(row),
                None => batches.push((statement, vec![row])),
            }
        }
        for (statement, rows) in batches {
            self.bulk(statement, rows).await?;
        }
        Ok(())
    }
}

fn intent_row(change: &IntentChange) -> (Sql, String, Value) {
    match change {
        IntentChange::Insert(row) => (sql::PUT_INTENTS, row.call.to_string(), to_row::intent(row)),
        IntentChange::Update {
            call,
            status,
            job,
            resource,
            answered,
            updated,
            note,
        } => {
            let row = json!([
                call.to_string(),
                status.name(),
                job.as_ref().map(ToString::to_string),
                resource.as_ref().map(ToString::to_string),
                answered.map(|at| at.micros()),
                updated.micros(),
                note,
            ]);
            (sql::CHANGE_INTENTS, call.to_string(), row)
        }
    }
}

fn interval_row(change: &IntervalChange) -> (Sql, String, Value) {
    match change {
        IntervalChange::Insert(row) => (
            sql::PUT_INTERVALS,
            row.id.to_string(),
            to_row::interval(row),
        ),
        IntervalChange::Replace(row) => (
            sql::REPLACE_INTERVALS,
            row.id.to_string(),
            to_row::interval(row),
        ),
        IntervalChange::End { id, border } => {
            let source = to_row::source(border.source);
            let row = json!([id.to_string(), border.at.micros(), source]);
            (sql::END_INTERVALS, id.to_string(), row)
        }
    }
}

/// What is kept of a command beside its effects: all of a rare one, nothing of the hot ones.
fn kept_body(command: &Command) -> Option<String> {
    match command {
        Command::Hold { .. }
        | Command::Draw(_)
        | Command::GiveBack { .. }
        | Command::Settle { .. }
        | Command::Renew(_)
        | Command::RenewAll(_)
        | Command::Issue(_) => None,
        other => Some(format!("{other:?}")),
    }
}

/// The last form of each row, by its key.
struct Last<'a, K, T>(BTreeMap<K, &'a T>);

fn last<'a, K: Ord, T>(
    effects: &[&'a Effects],
    rows: impl Fn(&'a Effects) -> &'a Vec<T>,
    key: impl Fn(&T) -> K,
) -> Last<'a, K, T> {
    let all = effects.iter().flat_map(|one| rows(one));
    Last(all.map(|row| (key(row), row)).collect())
}

impl<K, T> Last<'_, K, T> {
    fn map(self, to: impl Fn(&T) -> Value) -> Vec<Value> {
        self.0.into_values().map(to).collect()
    }
}
