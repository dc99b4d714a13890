//! Edge: what a payer has as his calls are judged, read once for all calls that wait for it.
//!
//! A call gets what was read after it asked, never before: what is told is as fresh as if each
//! call had read for itself. Whether there is money is decided by the books alone, at the hold.

use crate::ledger::records::{Accrual, PayerState};
use crate::store::{Store, StoreError};
use crate::terms::ids::PayerId;
use crate::terms::time::BillingMonth;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A payer's figures, and his accrual of a month.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Balance {
    /// His row.
    pub state: PayerState,
    /// What his lines came to.
    pub accruals: Vec<Accrual>,
}

type Asked = (PayerId, Option<BillingMonth>);

/// Who is asked for just now.
#[derive(Debug, Default)]
pub struct Balances(Mutex<HashMap<Asked, Arc<One>>>);

#[derive(Debug, Default)]
struct One {
    /// Calls that asked so far.
    asked: AtomicU64,
    /// What was read last, and how many calls had asked before that reading began.
    read: tokio::sync::Mutex<(u64, Option<Arc<Balance>>)>,
}

impl Balances {
    /// A payer's figures, with his accrual of a month where there is one; none for a payer without
    /// a row.
    ///
    /// # Errors
    /// [`StoreError`] where they cannot be read.
    pub async fn of(
        &self,
        store: &Store,
        payer: &PayerId,
        month: Option<BillingMonth>,
    ) -> Result<Option<Arc<Balance>>, StoreError> {
        let key = (payer.clone(), month);
        let one = self.all().entry(key.clone()).or_default().clone();
        let place = one.asked.fetch_add(1, Ordering::SeqCst);
        let mut read = one.read.lock().await;
        if read.0 <= place {
            let asked = one.asked.load(Ordering::SeqCst);
            let found = self::read(store, payer, key.1.as_ref()).await;
            if found.is_err() {
                self.forget(&key, &one);
            }
            *read = (asked, found?.map(Arc::new));
        }
        let found = read.1.clone();
        drop(read);
        self.forget(&key, &one);
        Ok(found)
    }

    /// Where nobody else waits nothing is kept: the next one reads anew.
    fn forget(&self, key: &Asked, one: &Arc<One>) {
        let mut all = self.all();
        // The map's, and this call's.
        if Arc::strong_count(one) <= 2 {
            all.remove(key);
        }
    }

    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<Asked, Arc<One>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn read(
    store: &Store,
    payer: &PayerId,
    month: Option<&BillingMonth>,
) -> Result<Option<Balance>, StoreError> {
    let Some(state) = store.payer(payer).await? else {
        return Ok(None);
    };
    let accruals = match month {
        Some(month) => store.accruals(payer, month).await?,
        None => Vec::new(),
    };
    Ok(Some(Balance { state, accruals }))
}

#[cfg(test)]
mod tests;
