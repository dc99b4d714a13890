//! Edge: one group of works in one transaction: load, decide, store, and one sync for all.
//!
//! The rows of all works are loaded in a few statements, each work is decided in memory on what
//! the ones before it left, and everything is written back in bulk. A refused work leaves nothing
//! and disturbs no other.

use super::bundle::BUNDLED;
use super::database::{Connection, Query, Row, query};
use super::error::StoreError;
use super::sql::Sql;
use super::work::{Done, Work};
use super::{claims, from_row, lock, sql};
use crate::crash::{self, Point};
use crate::ledger::grants;
use crate::ledger::records::Account;
use crate::ledger::things::Things;
use crate::ledger::touches::Touches;
use crate::ledger::{Command, Effects, Loaded, decide};
use crate::terms::ids::{CapId, PayerId};
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

pub(super) struct Group<'a> {
    pub(super) connection: &'a mut Connection,
    pub(super) file: &'a str,
}

impl Group<'_> {
    async fn execute(&mut self, statement: &'static str) -> Result<(), StoreError> {
        let done = self.connection.execute(query(statement)).await;
        done.map(drop)
            .map_err(|error| StoreError::of(self.file, &error))
    }

    pub(super) async fn bulk(
        &mut self,
        statement: Sql,
        rows: Vec<Value>,
    ) -> Result<(), StoreError> {
        if rows.is_empty() {
            return Ok(());
        }
        let done = self.connection.put(statement, rows).await;
        done.map_err(|error| StoreError::of(self.file, &error))
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
        for command in &commands {
            match command {
                Command::Settle { .. } => crash::pass(Point::Settling),
                Command::Issue(_) => crash::pass(Point::Issuing),
                _ => {}
            }
        }
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
        for statement in [sql::RUNNING, sql::UNDER_WAY, BUNDLED] {
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
            touches.caps(&hold.payer, hold.caps.iter());
            loaded.holds.entry(hold.id).or_default().push(hold);
        }
        self.load_past(&mut touches, &mut loaded).await?;
        self.load_caps(&touches, &mut loaded).await?;
        let payers: BTreeSet<&PayerId> = touches.payers.iter().collect();
        for state in self
            .rows(sql::PAYERS, texts(payers), from_row::payer)
            .await?
        {
            loaded.payers.insert(state.payer.clone(), state);
        }
        self.load_grants(&mut loaded).await?;
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

    async fn load_caps(
        &mut self,
        touches: &Touches,
        loaded: &mut Loaded,
    ) -> Result<(), StoreError> {
        let ids: BTreeSet<&CapId> = touches.caps.iter().collect();
        for cap in self.rows(sql::CAPS, texts(ids), from_row::cap).await? {
            loaded.caps.insert(cap.id.clone(), cap);
        }
        let pairs: BTreeSet<&(CapId, PayerId)> = touches.cap_shares.iter().collect();
        let keys = pairs.into_iter();
        let keys = keys.map(|(cap, payer)| json!([cap.as_str(), payer.as_str()]));
        let shares = self.rows(sql::CAP_SHARES, keys.collect(), from_row::cap_share);
        for share in shares.await? {
            let key = (share.cap.clone(), share.payer.clone());
            loaded.cap_shares.insert(key, share);
        }
        Ok(())
    }

    /// The grants of gift credit of whoever is read.
    async fn load_grants(&mut self, loaded: &mut Loaded) -> Result<(), StoreError> {
        let payers = texts(loaded.payers.keys());
        for row in self.rows(sql::GRANTS, payers, from_row::grant).await? {
            grants::put(loaded.grants.entry(row.payer.clone()).or_default(), row);
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
