//! Edge: questions about the books, answered beside the writer from the last commit.

use super::bundle::BUNDLED;
use super::database::{Query, Row, query};
use super::error::StoreError;
use super::from_row::Fields;
use super::memory::of;
use super::work::{Intent, Notice, StoredInterval};
use super::{Store, from_row, sql};
use crate::ledger::caps::{Cap, CapShare, CappedResource};
use crate::ledger::grants::{self, Grant};
use crate::ledger::records::{Accrual, Document, Hold, Item, PayerState, Transfer};
use crate::ledger::things::Things;
use crate::terms::ids::{CapId, DocumentId, HoldId, JobId, PayerId, ResourceId, SellerId};
use crate::terms::time::{BillingMonth, Period, Timestamp};

type Read<T> = Result<T, StoreError>;

/// A transfer with its place in the chain.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TransferRow {
    /// Its place, from 1.
    pub seq: i64,
    /// The transfer.
    pub transfer: Transfer,
}

impl Store {
    pub(super) async fn all<T>(&self, query: Query, read: fn(&Row) -> Read<T>) -> Read<Vec<T>> {
        let rows = self.readers()?.fetch(query).await;
        let rows = rows.map_err(|error| StoreError::of(self.file(), &error))?;
        rows.iter().map(read).collect()
    }

    pub(super) async fn one<T>(&self, query: Query, read: fn(&Row) -> Read<T>) -> Read<Option<T>> {
        Ok(self.all(query, read).await?.into_iter().next())
    }

    /// A payer's figures.
    pub async fn payer(&self, payer: &PayerId) -> Read<Option<PayerState>> {
        if let Self::Memory(store) = self {
            return store
                .read(|rows| rows.ledger.payers.get(payer).cloned())
                .await;
        }
        let query = query("SELECT * FROM payer WHERE id = $1").bind(payer.to_string());
        self.one(query, from_row::payer).await
    }

    /// Every payer, by id.
    pub async fn payers(&self) -> Read<Vec<PayerState>> {
        if let Self::Memory(store) = self {
            return store
                .read(|rows| rows.ledger.payers.values().cloned().collect())
                .await;
        }
        let query = query("SELECT * FROM payer ORDER BY id");
        self.all(query, from_row::payer).await
    }

    /// What a payer has: what runs, and what his open calls are going to start.
    pub async fn things(&self, payer: &PayerId) -> Read<Things> {
        if let Self::Memory(store) = self {
            return store.read(|rows| rows.things(payer)).await;
        }
        let mut things = Things::default();
        let keys = serde_json::json!([payer.as_str()]).to_string();
        for statement in [sql::RUNNING, sql::UNDER_WAY, BUNDLED] {
            let query = Query::of(statement).bind(keys.clone());
            for (_, kind, zone, amounts) in self.all(query, from_row::amounts).await? {
                things.add(kind, &zone, &amounts);
            }
        }
        Ok(things)
    }

    /// The legs of a hold.
    pub async fn hold(&self, hold: HoldId) -> Read<Vec<Hold>> {
        if let Self::Memory(store) = self {
            return store.read(|rows| rows.legs(hold)).await;
        }
        let query = query("SELECT * FROM hold WHERE id = $1").bind(hold.to_string());
        self.all(query, from_row::hold).await
    }

    /// Open holds, of one payer or of all, oldest first.
    pub async fn open_holds(&self, payer: Option<&PayerId>) -> Read<Vec<Hold>> {
        if let Self::Memory(store) = self {
            return store.read(|rows| rows.open_holds(payer)).await;
        }
        let query = query(
            "SELECT * FROM hold WHERE status = 'open' AND ($1 IS NULL OR payer = $1) ORDER BY id",
        );
        let query = query.bind(payer.map(ToString::to_string));
        self.all(query, from_row::hold).await
    }

    /// A payer's parts of caps, those that are over included.
    pub async fn cap_shares(&self, payer: &PayerId) -> Read<Vec<CapShare>> {
        if let Self::Memory(store) = self {
            return store.read(|rows| rows.cap_shares(payer)).await;
        }
        let query = query("SELECT * FROM cap_share WHERE payer = $1 ORDER BY cap");
        self.all(query.bind(payer.to_string()), from_row::cap_share)
            .await
    }

    /// The payers that have a part of a cap.
    pub async fn cap_payers(&self, cap: &CapId) -> Read<Vec<PayerId>> {
        if let Self::Memory(store) = self {
            return store.read(|rows| rows.cap_payers(cap)).await;
        }
        let query = query("SELECT payer FROM cap_share WHERE cap = $1 ORDER BY payer");
        let payer = |row: &Row| Ok(PayerId::from(Fields(row).text("payer")?));
        self.all(query.bind(cap.to_string()), payer).await
    }

    /// A payer's grants of gift credit, soonest end first.
    pub async fn grants(&self, payer: &PayerId) -> Read<Vec<Grant>> {
        if let Self::Memory(store) = self {
            return store.read(|rows| rows.grants(payer)).await;
        }
        let query = query("SELECT * FROM promo_grant WHERE payer = $1").bind(payer.to_string());
        let mut rows = Vec::new();
        for row in self.all(query, from_row::grant).await? {
            grants::put(&mut rows, row);
        }
        Ok(rows)
    }

    /// Grants of gift credit whose end has come by then and was not booked yet.
    pub async fn grants_due(&self, at: Timestamp) -> Read<Vec<Grant>> {
        if let Self::Memory(store) = self {
            return store.read(|rows| rows.grants_due(at)).await;
        }
        let query = query(
            "SELECT * FROM promo_grant WHERE ended = 0 AND expires IS NOT NULL \
             AND expires <= $1 ORDER BY expires, payer, id",
        );
        self.all(query.bind(at.micros()), from_row::grant).await
    }

    /// The figures of these caps in their newest periods; none of one that nobody passed yet.
    pub async fn caps(&self, ids: &[CapId]) -> Read<Vec<Cap>> {
        if let Self::Memory(store) = self {
            return store.read(|rows| rows.caps(ids)).await;
        }
        let ids: Vec<&str> = ids.iter().map(CapId::as_str).collect();
        let query = Query::of(sql::CAPS).bind(serde_json::json!(ids).to_string());
        self.all(query, from_row::cap).await
    }

    /// Resources of a payer that ran after an instant and count in caps, with the holds' caps.
    pub async fn capped_resources(
        &self,
        payer: &PayerId,
        after: Timestamp,
    ) -> Read<Vec<CappedResource>> {
        if let Self::Memory(store) = self {
            return store.read(|rows| rows.capped_resources(payer, after)).await;
        }
        let query = query(
            "SELECT DISTINCT i.resource, i.start_at, h.caps FROM interval AS n \
             JOIN interval AS i ON i.resource = n.resource AND i.payer = n.payer \
             JOIN hold AS h ON h.id = i.hold AND h.payer = i.payer AND h.caps <> '[]' \
             WHERE n.payer = $1 AND (n.end_at IS NULL OR n.end_at > $2)",
        );
        let query = query.bind(payer.to_string()).bind(after.micros());
        self.all(query, from_row::capped_resource).await
    }

    /// What a payer accrued in a month (of the seller's zone), by line.
    pub async fn accruals(&self, payer: &PayerId, month: &BillingMonth) -> Read<Vec<Accrual>> {
        if let Self::Memory(store) = self {
            return store.read(|rows| rows.accruals(payer, month)).await;
        }
        let query = query("SELECT * FROM accrual WHERE payer = $1 AND month = $2")
            .bind(payer.to_string())
            .bind(month.to_string());
        self.all(query, from_row::accrual).await
    }

    /// Accrual of a payer that is on no invoice yet, oldest month first.
    pub async fn uninvoiced(&self, payer: &PayerId) -> Read<Vec<Accrual>> {
        let query = query(
            "SELECT * FROM accrual WHERE payer = $1 \
             AND (total <> invoiced OR promo_total <> promo_invoiced) ORDER BY month, line",
        );
        self.all(query.bind(payer.to_string()), from_row::accrual)
            .await
    }

    /// A page of a payer's transfers, newest first, before the place given.
    pub async fn transfers(
        &self,
        payer: &PayerId,
        before: Option<i64>,
        rows: u32,
    ) -> Read<Vec<TransferRow>> {
        let query = query(
            "SELECT * FROM transfer WHERE payer = $1 AND seq < $2 ORDER BY seq DESC LIMIT $3",
        );
        let query = query
            .bind(payer.to_string())
            .bind(before.unwrap_or(i64::MAX))
            .bind(i64::from(rows));
        self.all(query, transfer_row).await
    }

    /// A payer's items, open ones alone where asked, oldest first.
    pub async fn items(&self, payer: &PayerId, open_alone: bool) -> Read<Vec<Item>> {
        let query =
            query("SELECT * FROM item WHERE payer = $1 AND (open <> 0 OR NOT $2) ORDER BY at, id");
        let query = query.bind(payer.to_string()).bind(open_alone);
        self.all(query, from_row::item).await
    }

    /// A document.
    pub async fn document(&self, id: DocumentId) -> Read<Option<Document>> {
        let query = query("SELECT * FROM document WHERE id = $1").bind(id.to_string());
        self.one(query, from_row::document).await
    }

    /// The document with a number.
    pub async fn document_numbered(
        &self,
        seller: &SellerId,
        series: &str,
        number: i64,
    ) -> Read<Option<Document>> {
        let query =
            query("SELECT * FROM document WHERE seller = $1 AND series = $2 AND number = $3");
        let query = query
            .bind(seller.to_string())
            .bind(series.to_owned())
            .bind(number);
        self.one(query, from_row::document).await
    }

    /// Documents of a payer, or of all, newest first.
    pub async fn documents(&self, payer: Option<&PayerId>, rows: u32) -> Read<Vec<Document>> {
        let query = query(
            "SELECT * FROM document WHERE ($1 IS NULL OR payer = $1) \
             ORDER BY at DESC, number DESC LIMIT $2",
        );
        let query = query
            .bind(payer.map(ToString::to_string))
            .bind(i64::from(rows));
        self.all(query, from_row::document).await
    }

    /// Every intent of which something may still become, oldest first.
    pub async fn open_intents(&self) -> Read<Vec<Intent>> {
        if let Self::Memory(store) = self {
            return store
                .read(|rows| rows.intents_where(|intent| !intent.status.is_final()))
                .await;
        }
        let query = query(
            "SELECT * FROM intent WHERE status NOT IN ('settled', 'given-back') ORDER BY call",
        );
        self.all(query, from_row::intent).await
    }

    /// The intent with our job id.
    pub async fn intent_of_job(&self, job: &JobId) -> Read<Option<Intent>> {
        if let Self::Memory(store) = self {
            return store
                .read(|rows| {
                    rows.intents_where(|intent| intent.job.as_ref() == Some(job))
                        .pop()
                })
                .await;
        }
        let query = query("SELECT * FROM intent WHERE job = $1").bind(job.to_string());
        self.one(query, from_row::intent).await
    }

    /// Intents about a resource, oldest first.
    pub async fn intents_of_resource(&self, resource: &ResourceId) -> Read<Vec<Intent>> {
        if let Self::Memory(store) = self {
            return store
                .read(|rows| {
                    rows.intents_where(|intent| intent.resource.as_ref() == Some(resource))
                })
                .await;
        }
        let query = query("SELECT * FROM intent WHERE resource = $1 ORDER BY call");
        self.all(query.bind(resource.to_string()), from_row::intent)
            .await
    }

    /// The intent of a hold.
    pub async fn intent_of_hold(&self, hold: HoldId) -> Read<Option<Intent>> {
        if let Self::Memory(store) = self {
            return store
                .read(|rows| rows.intents_where(|intent| intent.hold == Some(hold)).pop())
                .await;
        }
        let query = query("SELECT * FROM intent WHERE hold = $1").bind(hold.to_string());
        self.one(query, from_row::intent).await
    }

    /// The newest intents.
    pub async fn recent_intents(&self, rows: u32) -> Read<Vec<Intent>> {
        if let Self::Memory(store) = self {
            let limit = usize::try_from(rows).unwrap_or(usize::MAX);
            return store.read(|rows| rows.recent_intents(limit)).await;
        }
        let query = query("SELECT * FROM intent ORDER BY call DESC LIMIT $1");
        self.all(query.bind(i64::from(rows)), from_row::intent)
            .await
    }

    /// Intervals that run, of one payer or of all.
    pub async fn open_intervals(&self, payer: Option<&PayerId>) -> Read<Vec<StoredInterval>> {
        if let Self::Memory(store) = self {
            return store
                .read(|rows| {
                    rows.intervals_where(|row| row.interval.end.is_none() && of(row, payer))
                })
                .await;
        }
        let query = match payer {
            Some(payer) => {
                query("SELECT * FROM interval WHERE end_at IS NULL AND payer = $1 ORDER BY id")
                    .bind(payer.to_string())
            }
            None => query("SELECT * FROM interval WHERE end_at IS NULL ORDER BY id"),
        };
        self.all(query, from_row::interval).await
    }

    /// Intervals that ended after an instant.
    pub async fn intervals_ended_since(&self, since: Timestamp) -> Read<Vec<StoredInterval>> {
        if let Self::Memory(store) = self {
            let ended = |row: &StoredInterval| row.interval.end.is_some_and(|end| end.at > since);
            return store.read(|rows| rows.intervals_where(ended)).await;
        }
        let query = query("SELECT * FROM interval WHERE end_at > $1").bind(since.micros());
        self.all(query, from_row::interval).await
    }

    /// The last change of the intervals, where several nodes make them.
    pub async fn tide(&self) -> Read<Option<i64>> {
        match self {
            Self::Sqlite(_) | Self::Memory(_) => Ok(None),
            Self::Postgres(..) => self.one(Query::of(sql::TIDE), |row| row.get("at")).await,
        }
    }

    /// Intervals that changed after one change, up to another, of several nodes.
    pub async fn intervals_changed(&self, after: i64, up_to: i64) -> Read<Vec<StoredInterval>> {
        let query = Query::of(sql::CHANGED).bind(after).bind(up_to);
        self.all(query, from_row::interval).await
    }

    /// Intervals that ran at some time in the period, of one payer or of all, oldest first.
    pub async fn intervals_in(
        &self,
        payer: Option<&PayerId>,
        period: Period,
    ) -> Read<Vec<StoredInterval>> {
        if let Self::Memory(store) = self {
            return store.read(|rows| rows.intervals_in(payer, period)).await;
        }
        // Two statements: one that leaves the payer open finds no index for him.
        let query = query(match payer {
            Some(_) => {
                "SELECT * FROM interval WHERE payer = $3 AND start_at < $2 \
                 AND (end_at IS NULL OR end_at > $1) ORDER BY start_at, id"
            }
            None => {
                "SELECT * FROM interval WHERE start_at < $2 \
                 AND (end_at IS NULL OR end_at > $1) ORDER BY start_at, id"
            }
        });
        let query = query.bind(period.start.micros()).bind(period.end.micros());
        let query = match payer {
            Some(payer) => query.bind(payer.to_string()),
            None => query,
        };
        self.all(query, from_row::interval).await
    }

    /// Whether anything of a payer touches the period.
    pub async fn has_intervals_in(&self, payer: &PayerId, period: Period) -> Read<bool> {
        if let Self::Memory(store) = self {
            return store
                .read(|rows| !rows.intervals_in(Some(payer), period).is_empty())
                .await;
        }
        let query = query(
            "SELECT 1 FROM interval WHERE payer = $1 AND start_at < $3 \
             AND (end_at IS NULL OR end_at > $2) LIMIT 1",
        );
        let query = query
            .bind(payer.to_string())
            .bind(period.start.micros())
            .bind(period.end.micros());
        Ok(!self.all(query, |_| Ok(())).await?.is_empty())
    }

    /// Intervals of a resource, oldest first.
    pub async fn intervals_of(&self, resource: &ResourceId) -> Read<Vec<StoredInterval>> {
        if let Self::Memory(store) = self {
            return store.read(|rows| rows.intervals_of(resource)).await;
        }
        let query = query("SELECT * FROM interval WHERE resource = $1 ORDER BY start_at, id");
        self.all(query.bind(resource.to_string()), from_row::interval)
            .await
    }

    /// Notices of a payer, or of all, newest first.
    pub async fn notices(&self, payer: Option<&PayerId>, rows: u32) -> Read<Vec<Notice>> {
        if let Self::Memory(store) = self {
            let limit = usize::try_from(rows).unwrap_or(usize::MAX);
            return store.read(|rows| rows.notices(payer, limit)).await;
        }
        let query = query(
            "SELECT * FROM notice WHERE ($1 IS NULL OR payer = $1) ORDER BY at DESC LIMIT $2",
        );
        let query = query
            .bind(payer.map(ToString::to_string))
            .bind(i64::from(rows));
        self.all(query, from_row::notice).await
    }

    /// A value of `meta`.
    pub async fn meta(&self, key: &str) -> Read<Option<String>> {
        if let Self::Memory(store) = self {
            return store.read(|rows| rows.meta.get(key).cloned()).await;
        }
        let query = query("SELECT value FROM meta WHERE key = $1").bind(key.to_owned());
        self.one(query, |row| from_row::Fields(row).text("value"))
            .await
    }
}

fn transfer_row(row: &Row) -> Read<TransferRow> {
    Ok(TransferRow {
        seq: from_row::Fields(row).number("seq")?,
        transfer: from_row::transfer(row)?,
    })
}
