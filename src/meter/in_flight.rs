//! Edge: changes of the inventory that wait for their commit side by side.
//!
//! A change that touches what another one in flight touches waits for it. After one that was not
//! done the inventory is read back, when none is under way any more: what was decided upon it may
//! have to be decided again. A caller that hangs up leaves his change under way.

use super::resource::MeterId;
use crate::store::{Done, IntervalChange, Store, StoreError, Work};
use crate::terms::ids::IntervalId;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{RwLock, oneshot};

/// What became of a work, when it is known.
#[derive(Debug)]
pub(super) struct Outcome(oneshot::Receiver<Result<Done, StoreError>>);

impl IntoFuture for Outcome {
    type Output = Result<Done, StoreError>;
    type IntoFuture = std::pin::Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async {
            let lost = || StoreError::Lost("the node ended before the store answered".to_owned());
            self.0.await.unwrap_or_else(|_| Err(lost()))
        })
    }
}

/// What works in flight touch: rows, and meters, whose rows may be others.
type Touched = (BTreeSet<IntervalId>, BTreeSet<MeterId>);

/// The works that were handed in and not answered yet.
#[derive(Debug, Default)]
pub(super) struct InFlight {
    /// Each holds it for reading; it is asked for with the inventory locked, so that whoever
    /// waits for writing waits for no new ones.
    under_way: Arc<RwLock<()>>,
    touched: Arc<Mutex<Touched>>,
    broken: Arc<AtomicBool>,
}

impl InFlight {
    /// Hands a work in. The inventory is locked.
    pub(super) async fn send(&self, store: &Store, work: Work) -> Outcome {
        let turn = self.under_way.clone().read_owned().await;
        let (told, outcome) = oneshot::channel();
        let (ids, meters) = touched(&work.intervals);
        {
            let mut all = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
            all.0.extend(ids.iter().copied());
            all.1.extend(meters.iter().cloned());
        }
        let (store, shared) = (store.clone(), self.touched.clone());
        let broken = self.broken.clone();
        tokio::spawn(async move {
            let done = store.submit(work).await;
            if done.is_err() {
                // Before it overlaps nothing any more: who sees that has to see this.
                broken.store(true, Ordering::Release);
            }
            {
                let mut all = shared.lock().unwrap_or_else(PoisonError::into_inner);
                for id in &ids {
                    all.0.remove(id);
                }
                for meter in &meters {
                    all.1.remove(meter);
                }
            }
            drop(turn);
            let _ = told.send(done);
        });
        Outcome(outcome)
    }

    /// An outcome that is known.
    pub(super) fn over(outcome: Result<Done, StoreError>) -> Outcome {
        let (told, known) = oneshot::channel();
        let _ = told.send(outcome);
        Outcome(known)
    }

    /// Whether something of these is in flight.
    pub(super) fn overlaps(&self, changes: &[IntervalChange]) -> bool {
        let (ids, meters) = touched(changes);
        let all = self.touched.lock().unwrap_or_else(PoisonError::into_inner);
        !all.0.is_disjoint(&ids) || !all.1.is_disjoint(&meters)
    }

    /// Waits until nothing is in flight. The inventory is locked.
    pub(super) async fn quiet(&self) {
        drop(self.under_way.write().await);
    }

    /// The inventory may know what is not stored.
    pub(super) fn broke(&self) {
        self.broken.store(true, Ordering::Release);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// The inventory was read back.
    pub(super) fn mended(&self) {
        self.broken.store(false, Ordering::Release);
    }
}

fn touched(changes: &[IntervalChange]) -> Touched {
    let mut touched = Touched::default();
    for change in changes {
        match change {
            IntervalChange::Insert(row) | IntervalChange::Replace(row) => {
                touched.0.insert(row.id);
                touched.1.insert(row.interval.meter.clone());
            }
            IntervalChange::End { id, .. } => drop(touched.0.insert(*id)),
        }
    }
    touched
}
