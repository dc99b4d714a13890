//! Edge: certificates are read again when their files change, and at SIGHUP.

use super::wiring::Product;
use crate::gate::accept::tls::Tls;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// How often the files are looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Days before its end from which a certificate is spoken of in the log, once a day.
const DAYS_WARNED: i64 = 14;

/// Whether the last reading was refused.
#[derive(Debug, Default)]
pub struct LastReading {
    refused: AtomicBool,
}

impl LastReading {
    /// Whether files that lie there now cannot be used, and older ones are in use.
    #[must_use]
    pub fn refused(&self) -> bool {
        self.refused.load(Ordering::Relaxed)
    }
}

/// Watches the files until told to stop.
pub async fn run(product: Arc<Product>, mut stop: watch::Receiver<bool>) {
    let Some(tls) = &product.front.entrance.tls else {
        return;
    };
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(fault) => {
            tracing::error!(verb = "certificates", %fault, "SIGHUP cannot be heard");
            return;
        }
    };
    let mut seen = stamps(tls);
    let mut tick = tokio::time::interval(LOOK_EVERY);
    let mut warned = None;
    loop {
        let asked = tokio::select! {
            _ = tick.tick() => false,
            _ = hangup.recv() => true,
            _ = stop.changed() => return,
        };
        let found = stamps(tls);
        if asked || found != seen {
            seen = found;
            reload(&product, tls);
        }
        let day = product.clock.wall().seconds().div_euclid(86_400);
        if warned != Some(day) {
            warned = Some(day);
            warn(&product, tls);
        }
    }
}

fn reload(product: &Product, tls: &Tls) {
    let read = tls.reload(product.clock.wall());
    let refused = &product.front.certificates.refused;
    refused.store(read.is_err(), Ordering::Relaxed);
    match read {
        Ok(()) => tracing::info!(verb = "certificates", "read again"),
        Err(fault) => {
            tracing::error!(verb = "certificates", %fault, "not used; the old ones stay");
        }
    }
}

fn warn(product: &Product, tls: &Tls) {
    for (chain, days) in tls.days_left(product.clock.wall()) {
        if days <= DAYS_WARNED {
            let file = chain.display();
            tracing::warn!(verb = "certificates", %file, days, "a certificate ends soon");
        }
    }
}

/// When each file was written last, and how long it is.
fn stamps(tls: &Tls) -> Vec<Option<(SystemTime, u64)>> {
    let files = tls.files().iter();
    let stamp = |path| {
        let found = std::fs::metadata(path).ok()?;
        Some((found.modified().ok()?, found.len()))
    };
    files
        .flat_map(|pair| [stamp(&pair.chain), stamp(&pair.key)])
        .collect()
}
