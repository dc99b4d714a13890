//! Edge: months that ended are closed: pulled, compared, rated and invoiced, by themselves.

use super::wiring::Product;
use crate::bill::line::{self, Context, MonthReport};
use crate::store::{StoreError, Work};
use crate::terms::time::BillingMonth;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How often it is looked whether a month ended, wall time.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What the last closing came to, for the operators' page.
#[derive(Debug, Default)]
pub struct LastMonth {
    report: Mutex<Option<(BillingMonth, MonthReport)>>,
}

impl LastMonth {
    /// Looks at the last report, if there is one.
    pub fn look<T>(&self, look: impl FnOnce(&BillingMonth, &MonthReport) -> T) -> Option<T> {
        let report = self.report.lock().unwrap_or_else(PoisonError::into_inner);
        report.as_ref().map(|(month, report)| look(month, report))
    }
}

/// What closing a month needs.
#[must_use]
pub fn context(product: &Product) -> Context {
    Context {
        store: product.store.clone(),
        rules: product.rules.clone(),
        renewals: product.renewals.clone(),
        service: Some(product.service.clone()),
        clock: product.clock.clone(),
        invoices: product.config.invoices.clone(),
    }
}

/// Closes months until told to stop. A month that waits for the usage server is tried again.
pub async fn run(product: Arc<Product>, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => {
                if !product.store.keeps() {
                    continue;
                }
                if let Err(fault) = close_ended(&product).await {
                    tracing::warn!(verb = "issue", %fault, "a month is not closed");
                }
            }
            _ = stop.changed() => return,
        }
    }
}

async fn close_ended(product: &Product) -> anyhow::Result<()> {
    let now = product.clock.billing();
    let rules = product.rules.load_full();
    let zones: BTreeSet<&str> = rules.sellers.values().map(|s| s.zone.as_str()).collect();
    for zone in zones {
        let month = line::last_ended(now, zone)?;
        let key = format!("month/{zone}/{month}");
        if product.store.meta(&key).await?.is_some() || nothing_ran(product, &month).await? {
            continue;
        }
        // What traffic of the month is told by now belongs on its invoice.
        if let Err(fault) = super::samples::pull(product).await {
            tracing::warn!(verb = "sample", %fault, %month, "samples were not pulled");
        }
        let report = line::close(&context(product), &month).await?;
        let waits = report.waiting.clone();
        tracing::info!(verb = "issue", %month, issued = report.issued.len(),
            parked = report.parked.len(), waits = waits.as_deref().unwrap_or("no"), "month");
        if waits.is_none() && report.parked.is_empty() {
            let meta = vec![(key, now.to_string())];
            product
                .store
                .submit(Work {
                    meta,
                    ..Work::default()
                })
                .await?;
        }
        let mut last = product
            .months
            .report
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *last = Some((month, report));
    }
    Ok(())
}

/// A month before the first meter needs no closing.
async fn nothing_ran(product: &Product, month: &BillingMonth) -> anyhow::Result<bool> {
    let period = month.period()?;
    let ran: Result<_, StoreError> = product.store.intervals_in(None, period).await;
    Ok(ran?.is_empty())
}
