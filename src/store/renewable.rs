//! Edge: what a payer's renewal is computed from, all of it as of one commit.

use super::database::{Snapshot, query};
use super::error::StoreError;
use super::work::StoredInterval;
use super::{Store, from_row};
use crate::ledger::records::{Accrual, PayerState};
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
    /// His intervals that touch the period asked for, oldest first.
    pub intervals: Vec<StoredInterval>,
}

impl Store {
    /// What there is to renew of a payer: accrual of some months, intervals of a period. None for
    /// a payer without a row.
    ///
    /// # Errors
    /// [`StoreError`] where it cannot be read.
    pub async fn renewable(
        &self,
        payer: &PayerId,
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
                        intervals: rows.intervals_in(Some(payer), period),
                    })
                })
                .await;
        }
        let lost = |error: sqlx::Error| StoreError::of(self.file(), &error);
        let mut snapshot = self.readers()?.snapshot().await.map_err(lost)?;
        self.as_of(&mut snapshot, payer, months, period).await
    }

    async fn as_of(
        &self,
        snapshot: &mut Snapshot,
        payer: &PayerId,
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
        let rows = query(
            "SELECT * FROM interval WHERE payer = $3 AND start_at < $2 \
             AND (end_at IS NULL OR end_at > $1) ORDER BY start_at, id",
        );
        let rows = rows.bind(period.start.micros()).bind(period.end.micros());
        let rows = snapshot.fetch(rows.bind(payer.to_string())).await;
        let rows = rows.map_err(lost)?;
        let intervals = rows.iter().map(from_row::interval);
        Ok(Some(Renewable {
            state,
            accruals,
            intervals: intervals.collect::<Result<_, _>>()?,
        }))
    }
}
