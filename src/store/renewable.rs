//! Edge: what a payer's renewal is computed from, all of it as of one commit.
//!
//! Of a reseller that is what his customers run, too.

use super::database::{Query, Snapshot, query};
use super::error::StoreError;
use super::work::StoredInterval;
use super::{Store, commitment, from_row, sql};
use crate::ledger::records::{Accrual, PayerState};
use crate::meter::commitment::Commitment;
use crate::terms::ids::PayerId;
use crate::terms::time::{BillingMonth, Period};

/// A payer's row with his accrual and his intervals. They belong together: what a settlement adds
/// to his cover's target is in the row if, and only if, what it started is among the intervals.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Renewable {
    /// His figures.
    pub state: PayerState,
    /// His accrual of the months asked for.
    pub accruals: Vec<Accrual>,
    /// Intervals of his, and of those asked for besides, that touch the period, oldest first.
    pub intervals: Vec<StoredInterval>,
    /// Commitments of theirs that stand.
    pub commitments: Vec<Commitment>,
}

impl Store {
    /// What there is to renew of a payer: accrual of some months, intervals of a period, of all
    /// whose things he pays for (`of`, himself among them). None for a payer without a row.
    ///
    /// # Errors
    /// [`StoreError`] where it cannot be read.
    pub async fn renewable(
        &self,
        payer: &PayerId,
        of: &[PayerId],
        months: &[BillingMonth],
        period: Period,
    ) -> Result<Option<Renewable>, StoreError> {
        if let Self::Memory(store) = self {
            return store
                .read(|rows| {
                    let accruals = months.iter().flat_map(|month| rows.accruals(payer, month));
                    rows.ledger.payers.get(payer).map(|state| Renewable {
                        state: state.clone(),
                        accruals: accruals.collect(),
                        intervals: rows.intervals_of_all(of, period),
                        commitments: rows.commitments_of(of),
                    })
                })
                .await;
        }
        let lost = |error: sqlx::Error| StoreError::of(self.file(), &error);
        let mut snapshot = self.readers()?.snapshot().await.map_err(lost)?;
        self.as_of(&mut snapshot, (payer, of), months, period).await
    }

    /// Intervals of these payers that touch the period, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] where they cannot be read.
    pub async fn intervals_of_all(
        &self,
        of: &[PayerId],
        period: Period,
    ) -> Result<Vec<StoredInterval>, StoreError> {
        if let Self::Memory(store) = self {
            return store.read(|rows| rows.intervals_of_all(of, period)).await;
        }
        self.all(touching(of, period), from_row::interval).await
    }

    async fn as_of(
        &self,
        snapshot: &mut Snapshot,
        (payer, of): (&PayerId, &[PayerId]),
        months: &[BillingMonth],
        period: Period,
    ) -> Result<Option<Renewable>, StoreError> {
        let lost = |error: sqlx::Error| StoreError::of(self.file(), &error);
        let state = query("SELECT * FROM payer WHERE id = $1").bind(payer.to_string());
        let state = snapshot.fetch(state).await.map_err(lost)?;
        let Some(state) = state.first().map(from_row::payer).transpose()? else {
            return Ok(None);
        };
        let mut accruals = Vec::new();
        for month in months {
            let rows = query("SELECT * FROM accrual WHERE payer = $1 AND month = $2")
                .bind(payer.to_string())
                .bind(month.to_string());
            for row in snapshot.fetch(rows).await.map_err(lost)? {
                accruals.push(from_row::accrual(&row)?);
            }
        }
        let rows = snapshot.fetch(commitment::standing(Some(of))).await;
        let commitments = commitment::all(&rows.map_err(lost)?)?;
        let rows = snapshot.fetch(touching(of, period)).await;
        let rows = rows.map_err(lost)?;
        let intervals = rows.iter().map(from_row::interval);
        Ok(Some(Renewable {
            state,
            accruals,
            intervals: intervals.collect::<Result<_, _>>()?,
            commitments,
        }))
    }
}

/// Intervals of payers that touch a period, oldest first.
fn touching(of: &[PayerId], period: Period) -> Query {
    let (start, end) = (period.start.micros(), period.end.micros());
    match of {
        [one] => query(
            "SELECT * FROM interval WHERE payer = $3 AND start_at < $2 \
             AND (end_at IS NULL OR end_at > $1) ORDER BY start_at, id",
        )
        .bind(start)
        .bind(end)
        .bind(one.to_string()),
        all => {
            let ids: Vec<&str> = all.iter().map(PayerId::as_str).collect();
            let ids = serde_json::json!(ids).to_string();
            Query::of(sql::INTERVALS_OF).bind(ids).bind(start).bind(end)
        }
    }
}
