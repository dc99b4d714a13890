//! Edge: bundles whose time is over give back what no call drew.

use super::wiring::Product;
use crate::gate::bundle;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often it is looked for them.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Ends them until told to stop. Of several nodes one does it for all.
pub async fn run(product: Arc<Product>, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(LOOK_EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stop.changed() => return,
        }
        if !product.store.keeps() || product.store.is_away() {
            continue;
        }
        match bundle::end_due(&product.gate, product.clock.billing()).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(verb = "bundle", count, "ended: their time is over"),
            Err(fault) => {
                tracing::warn!(verb = "bundle", %fault, "what is left was not given back yet");
            }
        }
    }
}
