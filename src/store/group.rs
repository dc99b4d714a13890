//! Edge: one group of works in one transaction: load, decide, store, and one sync for all.
//!
//! The rows of all works are loaded in a few statements, each work is decided in memory on what
//! the ones before it left, and everything is written back in bulk. A refused work leaves nothing
//! and disturbs no other.

use super::database::{Connection, Query, Row, query};
use super::error::StoreError;
use super::sql::Sql;
use super::work::{Done, IntentChange, IntervalChange, Work};
use super::{claims, from_row, lock, sql, to_row};
use crate::ledger::records::Account;
use crate::ledger::things::Things;
use crate::ledger::touches::Touches;
use crate::ledger::verify::chain;
use crate::ledger::{Command, Effects, Loaded, decide};
use crate::terms::ids::PayerId;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

pub(super) type Outcome = Result<Done, StoreError>;

/// In whose name a node writes: its epoch must still run when a group is committed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fence {
    pub(super) node: String,
    pub(super) epoch: i64,
}

/// What a group runs on.
pub(super) struct Ground<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) file: &'a str,
    pub(super) fence: Option<&'a Fence>,
}

/// Does the works in one transaction. An error means that none was done; none for a work means
/// that another node has its payer just now, and that it goes into a later group. Where it may
/// `wait`, there is no such work.
pub(super) async fn run(
    ground: Ground<'_>,
    works: &[&Work],
    wait: bool,
) -> Result<Vec<Option<Outcome>>, StoreError> {
    let Ground {
        connection,
        file,
        fence,
    } = ground;
    let begin = match connection {
        Connection::Sqlite(_) => "BEGIN IMMEDIATE",
        Connection::Postgres(_) => "BEGIN",
    };
    let mut group = Group { connection, file };
    group.execute(begin).await?;
    let outcome = match group.turn(fence, works, wait).await {
        Ok(outcomes) => group.execute("COMMIT").await.map(|()| outcomes),
        Err(fault) => Err(fault),
    };
    if outcome.is_err() {
        // Where the database rolled back by itself there is nothing left to roll back.
        let _ = group.execute("ROLLBACK").await;
    }
    outcome
}

struct Group<'a> {
    connection: &'a mut Connection,
    file: &'a str,
}

impl Group<'_> {
    async fn execute(&mut self, statement: &'static str) -> Result<(), StoreError> {
        let done = self.connection.execute(query(statement)).await;
        done.map(drop)
            .map_err(|error| StoreError::of(self.file, &error))
    }

    async fn bulk(&mut self, statement: Sql, rows: Vec<Value>) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let query = Query::of(statement).bind(Value::Array(rows).to_string());
        let done = self.connection.execute(query).await;
        done.map(drop)
            .map_err(|error| StoreError::of(self.file, &error))
    }

    async fn rows<T>(
        &mut self,
        statement: Sql,
        keys: Vec<Value>,
        read: impl Fn(&Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let query = Query::of(statement).bind(Value::Array(keys).to_string());
        let rows = self.connection.fetch(query).await;
        let rows = rows.map_err(|error| StoreError::of(self.file, &error))?;
        rows.iter().map(read).collect()
    }

    /// Takes the locks, then serves the works that have all of theirs.
    async fn turn(
        &mut self,
        fence: Option<&Fence>,
        works: &[&Work],
        wait: bool,
    ) -> Result<Vec<Option<Outcome>>, StoreError> {
        if let Some(fence) = fence {
            let query = Query::of(sql::FENCE)
                .bind(fence.node.clone())
                .bind(fence.epoch);
            let rows = self.connection.fetch(query).await;
            if rows
                .map_err(|error| StoreError::of(self.file, &error))?
                .is_empty()
            {
                return Err(StoreError::Fenced(fence.node.clone()));
            }
        }
        let free = lock::take(self.connection, self.file, works, wait).await?;
        let ready = works.iter().zip(&free).filter(|(_, free)| **free);
        let ready: Vec<&Work> = ready.map(|(work, _)| *work).collect();
        let mut outcomes = self.serve(&ready).await?.into_iter();
        let placed = free
            .iter()
            .map(|free| free.then(|| outcomes.next()).flatten());
        Ok(placed.collect())
    }

    async fn serve(&mut self, works: &[&Work]) -> Result<Vec<Outcome>, StoreError> {
        let commands: Vec<&Command> = works.iter().filter_map(|w| w.command.as_ref()).collect();
        let mut loaded = self.load(&commands).await?;
        let mut things = self.things_of(works).await?;
        let mut tide = self.tide(works).await?;
        let mut outcomes = Vec::with_capacity(works.len());
        for work in works {
            let outcome = tide.admit(work).and_then(|turned| {
                claims::admit(work, &things)?;
                let effects = match &work.command {
                    None => Effects::default(),
                    Some(command) => decide(command, &loaded)?,
                };
                Ok(Done {
                    effects,
                    tide: turned,
                })
            });
            if outcome.is_ok() {
                claims::absorb(work, &mut things);
            }
            if let Ok(done) = &outcome
                && work.command.is_some()
            {
                loaded.absorb(&done.effects);
            }
            outcomes.push(outcome);
        }
        self.save_books(works, &outcomes).await?;
        let passed = works.iter().zip(&outcomes).filter(|(_, o)| o.is_ok());
        let passed: Vec<&Work> = passed.map(|(work, _)| *work).collect();
        self.save_rest(&passed).await?;
        Ok(outcomes)
    }

    /// The turn of the intervals, where works of this group change them.
    async fn tide(&mut self, works: &[&Work]) -> Result<Tide, StoreError> {
        let changes = works.iter().any(|work| !work.intervals.is_empty());
        if !changes || matches!(self.connection, Connection::Sqlite(_)) {
            return Ok(Tide::default());
        }
        let turned = self.connection.fetch(Query::of(sql::TURN_TIDE)).await;
        let turned = turned.map_err(|error| StoreError::of(self.file, &error))?;
        let at = turned.first().map(|row| row.get("at")).transpose()?;
        Ok(Tide { at, taken: false })
    }

    /// What the payers have whose works have limits to keep. What the works of this group open,
    /// end or give back besides is as if it came after their claims: no claim depends on it.
    async fn things_of(
        &mut self,
        works: &[&Work],
    ) -> Result<BTreeMap<PayerId, Things>, StoreError> {
        let payers = claims::bounded(works);
        let mut things: BTreeMap<PayerId, Things> = BTreeMap::new();
        for statement in [sql::RUNNING, sql::UNDER_WAY] {
            let sums = self.rows(statement, texts(&payers), from_row::amounts);
            for (payer, kind, zone, amounts) in sums.await? {
                things.entry(payer).or_default().add(kind, &zone, &amounts);
            }
        }
        Ok(things)
    }

    /// First what is found by the commands' own names, then what those rows name.
    async fn load(&mut self, commands: &[&Command]) -> Result<Loaded, StoreError> {
        let mut loaded = Loaded::default();
        let mut touches = Touches::default();
        let mut names = Vec::new();
        for command in commands {
            let mut one = command.touches();
            names.push(Value::String(std::mem::take(&mut one.name)));
            touches.join(one);
        }
        let done = |row: &Row| {
            let f = from_row::Fields(row);
            Ok((f.text("name")?, digest(&f.text("digest")?)?))
        };
        loaded.done = self
            .rows(sql::DONE, names, done)
            .await?
            .into_iter()
            .collect();
        let ids = texts(&touches.holds);
        for hold in self.rows(sql::HOLDS, ids, from_row::hold).await? {
            touches.payers.push(hold.payer.clone());
            loaded.holds.entry(hold.id).or_default().push(hold);
        }
        self.load_past(&mut touches, &mut loaded).await?;
        let payers: BTreeSet<&PayerId> = touches.payers.iter().collect();
        for state in self
            .rows(sql::PAYERS, texts(payers), from_row::payer)
            .await?
        {
            loaded.payers.insert(state.payer.clone(), state);
        }
        self.load_papers(&touches, &mut loaded).await?;
        Ok(loaded)
    }

    /// The transfers of commands that are to be reversed, and whose money they moved.
    async fn load_past(
        &mut self,
        touches: &mut Touches,
        loaded: &mut Loaded,
    ) -> Result<(), StoreError> {
        let read = |row: &Row| {
            let name = from_row::Fields(row).text("command")?;
            Ok((name, from_row::transfer(row)?))
        };
        let names = texts(&touches.transfers_of);
        for (name, row) in self.rows(sql::TRANSFERS_OF, names, read).await? {
            for account in [&row.debit, &row.credit] {
                if let Account::Payer(payer, _) = account {
                    touches.payers.push(payer.clone());
                    touches.items_of.push(payer.clone());
                    touches.allocations_of.push(payer.clone());
                }
            }
            loaded.transfers.entry(name.into()).or_default().push(row);
        }
        Ok(())
    }

    async fn load_papers(
        &mut self,
        touches: &Touches,
        loaded: &mut Loaded,
    ) -> Result<(), StoreError> {
        let pairs: BTreeSet<(&PayerId, String)> = touches
            .accruals
            .iter()
            .map(|(payer, month)| (payer, month.to_string()))
            .collect();
        let keys = pairs.iter().map(|(p, m)| json!([p.as_str(), m])).collect();
        for row in self.rows(sql::ACCRUALS, keys, from_row::accrual).await? {
            loaded.accruals.insert(row.key(), row);
        }
        let mut items = self
            .rows(sql::ITEMS_OPEN, texts(&touches.items_of), from_row::item)
            .await?;
        let reopen = texts(&touches.allocations_of);
        items.extend(
            self.rows(sql::ITEMS_ALL, reopen.clone(), from_row::item)
                .await?,
        );
        for item in items {
            let key = (item.payer.clone(), item.id.clone());
            loaded.items.insert(key, item);
        }
        for row in self
            .rows(sql::ALLOCATIONS, reopen, from_row::allocation)
            .await?
        {
            let rows = loaded.allocations.entry(row.payer.clone()).or_default();
            rows.push(row);
        }
        let ids = texts(&touches.documents);
        for paper in self.rows(sql::DOCUMENTS, ids, from_row::document).await? {
            loaded.documents.insert(paper.id, paper);
        }
        let read = |row: &Row| {
            let f = from_row::Fields(row);
            let key = (f.text("seller")?.into(), f.text("series")?);
            Ok((key, f.number("number")?))
        };
        let series = texts(&touches.series);
        loaded.series = self
            .rows(sql::SERIES, series, read)
            .await?
            .into_iter()
            .collect();
        Ok(())
    }

    async fn save_books(
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

    async fn save_rest(&mut self, works: &[&Work]) -> Result<(), StoreError> {
        let mut run = Run::default();
        for change in works.iter().flat_map(|work| &work.intents) {
            let (statement, id, row) = intent_row(change);
            if let Some((statement, rows)) = run.push(statement, id, row) {
                self.bulk(statement, rows).await?;
            }
        }
        for change in works.iter().flat_map(|work| &work.intervals) {
            let (statement, id, row) = interval_row(change);
            if let Some((statement, rows)) = run.push(statement, id, row) {
                self.bulk(statement, rows).await?;
            }
        }
        self.bulk(run.statement, run.rows).await?;
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
        self.bulk(sql::PUT_META, meta.collect()).await
    }
}

/// The turn of the intervals in this group. One work that was decided on the turn before may have
/// it; whoever decided on an older one, or on the same, decides again.
#[derive(Default)]
struct Tide {
    at: Option<i64>,
    taken: bool,
}

impl Tide {
    fn admit(&mut self, work: &Work) -> Result<Option<i64>, StoreError> {
        let Some(at) = self.at.filter(|_| !work.intervals.is_empty()) else {
            return Ok(None);
        };
        if let Some(seen) = work.seen
            && (self.taken || seen != at - 1)
        {
            return Err(StoreError::Stale);
        }
        self.taken = true;
        Ok(Some(at))
    }
}

/// Changes of one kind in a row, no id twice: they can go out in one statement.
#[derive(Default)]
struct Run {
    statement: Sql,
    ids: BTreeSet<String>,
    rows: Vec<Value>,
}

impl Run {
    /// Takes a change in; what has to go out before it comes back.
    fn push(&mut self, statement: Sql, id: String, row: Value) -> Option<(Sql, Vec<Value>)> {
        let breaks = self.statement != statement || self.ids.contains(&id);
        let before = breaks.then(|| (self.statement, std::mem::take(&mut self.rows)));
        if breaks {
            self.ids.clear();
        }
        self.statement = statement;
        self.ids.insert(id);
        self.rows.push(row);
        before
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

fn texts<T: ToString>(ids: impl IntoIterator<Item = T>) -> Vec<Value> {
    ids.into_iter()
        .map(|id| Value::String(id.to_string()))
        .collect()
}

/// 32 bytes from their 64 hexadecimal digits.
pub(super) fn digest(text: &str) -> Result<[u8; 32], StoreError> {
    let fault = || StoreError::row("a hash", text);
    let mut out = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return Err(fault());
    }
    for (index, byte) in out.iter_mut().enumerate() {
        let pair = text.get(index * 2..index * 2 + 2).ok_or_else(fault)?;
        *byte = u8::from_str_radix(pair, 16).map_err(|_| fault())?;
    }
    Ok(out)
}
