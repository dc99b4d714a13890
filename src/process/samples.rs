//! Edge: samples of traffic and disk I/O are pulled as often as the shortest open window asks for,
//! and the payers whose samples came are renewed with them.

use super::wiring::Product;
use crate::meter::counting;
use crate::ops::views::{AlarmView, WindowView};
use crate::policy::customer::RuleSet;
use crate::policy::variable::LINE_RATE_MAX;
use crate::reconcile::pull::PullFault;
use crate::reconcile::window::query_date;
use crate::reconcile::{sample, sampler};
use crate::terms::ids::PayerId;
use crate::terms::time::{HOUR, SECOND, Timestamp};
use crate::upstream::service::Service;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often it is looked whether a window has passed, wall time.
const TICK: Duration = Duration::from_millis(250);
/// How often settings and offerings are read again, billing time.
const LOOK_EVERY: i64 = HOUR;

/// Pulls samples until told to stop.
pub async fn run(product: Arc<Product>, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(TICK);
    let (mut looked, mut pulled): (Option<Timestamp>, Option<Timestamp>) = (None, None);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stop.changed() => return,
        }
        let now = product.clock.billing();
        let passed = |before: Option<Timestamp>, every: i64| {
            before.is_none_or(|before| now.since(before) >= every)
        };
        if product.sampler.charged().is_empty() {
            continue;
        }
        if passed(looked, LOOK_EVERY) {
            looked = Some(now);
            if let Err(fault) = product.sampler.look().await {
                tracing::warn!(verb = "sample", %fault, "what is counted is not known");
            }
        }
        // What is counted is known to every node; one of them pulls for all.
        let every = product.renewals.windows.shortest().unwrap_or(LINE_RATE_MAX);
        if product.store.keeps() && passed(pulled, every) {
            pulled = Some(now);
            if let Err(fault) = pull(&product).await {
                tracing::warn!(verb = "sample", %fault, "samples were not pulled");
            }
        }
    }
}

/// A payer's open window, for the page.
#[must_use]
pub fn window(product: &Product, payer: &PayerId) -> Option<WindowView> {
    let open = product.renewals.windows.of(payer)?;
    Some(WindowView {
        seconds: open.length / SECOND,
        held: open.held.to_string(),
        overdraft: open.overdraft.map(|most| most.to_string()),
        by: open.by.name().to_owned(),
    })
}

/// What has a price and will never be counted.
#[must_use]
pub fn alarms(product: &Product) -> Vec<AlarmView> {
    let (counting, charged) = (product.sampler.counting(), product.sampler.charged());
    let warnings = counting::warnings(&counting, &charged).into_iter();
    let alarms = warnings.map(|what| AlarmView {
        kind: "counter".to_owned(),
        what,
        act: "change it in CloudStack or in the price book; it is looked at each hour".to_owned(),
    });
    alarms.collect()
}

/// Prints what has a price and will never be counted, and where the reading account cannot see it.
///
/// # Errors
/// Where the management server cannot be asked at all.
pub async fn check(service: &Service, rules: &RuleSet, now: Timestamp) -> anyhow::Result<()> {
    let charged = sample::charged(rules, now);
    if charged.is_empty() {
        return Ok(());
    }
    let counting = sampler::look(service).await?;
    for warning in counting::warnings(&counting, &charged) {
        println!("warning: {warning}");
    }
    if !counting.is_set {
        println!(
            "warning: how long the usage server's window is cannot be read, a day is assumed until \
             records tell: allow the reading role listConfigurations"
        );
    }
    let second = query_date(now);
    let asked = [("startdate", second.as_str()), ("enddate", second.as_str())];
    let answer = service.call("listUsageRecords", &asked).await?;
    if let Some(error) = answer.error {
        println!(
            "warning: listUsageRecords: {} {}: traffic and disk I/O have a price and cannot be \
             charged; allow it",
            error.code, error.text
        );
    }
    Ok(())
}

/// Pulls what is there, and renews whoever it is of.
///
/// # Errors
/// [`PullFault`]; it is tried again.
pub async fn pull(product: &Product) -> Result<(), PullFault> {
    for (payer, since) in product.sampler.once().await? {
        product.renewals.take_samples(&payer, since).await;
    }
    Ok(())
}
