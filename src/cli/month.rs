//! Edge: `faregate month`: closes a month: pull, compare, correct, invoice, files.

use crate::bill::line::{Context, MonthReport, close, last_ended};
use crate::clock::Clock;
use crate::config::{self, Config};
use crate::cover::line::Renewals;
use crate::policy;
use crate::process::wiring;
use crate::reconcile::correct::{Believed, seconds};
use crate::reconcile::line::Finding;
use crate::store::Store;
use crate::terms::time::BillingMonth;
use anyhow::{Context as _, bail};
use arc_swap::ArcSwap;
use clap::Args;
use rust_decimal::Decimal;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

/// Close a month: pull usage records, compare, correct, and write the invoices
#[derive(Args, Clone, Debug)]
pub struct MonthArguments {
    /// The configuration
    #[arg(long, default_value = "faregate.toml")]
    pub config: PathBuf,
    /// Which month, for example 2026-11; without it the last one that has ended
    pub month: Option<String>,
    /// Do not ask CloudStack: the records that are kept are to do
    #[arg(long)]
    pub offline: bool,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Closes the month; 1 where a payer is parked or the month has to wait.
///
/// # Errors
/// What keeps everything from being done: configuration, policies, store.
pub fn run(arguments: &MonthArguments) -> anyhow::Result<ExitCode> {
    let config = match config::load(&arguments.config) {
        Ok(config) => config,
        Err(faults) => bail!("{}", join(&faults)),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run_with(&config, arguments))
}

async fn run_with(config: &Config, arguments: &MonthArguments) -> anyhow::Result<ExitCode> {
    let context = context(config, arguments.offline).await?;
    let zones: BTreeSet<String> = context
        .rules
        .load()
        .sellers
        .values()
        .map(|seller| seller.zone.clone())
        .collect();
    let mut whole = true;
    for zone in zones {
        let month = match &arguments.month {
            Some(text) => BillingMonth::parse(text, &zone)?,
            None => last_ended(context.clock.billing(), &zone)?,
        };
        let report = close(&context, &month).await?;
        whole &= report.parked.is_empty() && report.waiting.is_none();
        let text = match arguments.json {
            true => json(&month, &report),
            false => table(&month, &report),
        };
        print!("{text}");
    }
    Ok(if whole {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn context(config: &Config, offline: bool) -> anyhow::Result<Context> {
    let files = config::policy_files(&config.policies).map_err(|f| anyhow::anyhow!(join(&f)))?;
    let rules = policy::check::load(&files).map_err(|faults| {
        let faults: Vec<String> = faults
            .iter()
            .map(|f| format!("{}:{}: {} — {}", f.file, f.line, f.what, f.instead))
            .collect();
        anyhow::anyhow!(faults.join("\n"))
    })?;
    let clock = match &config.billing_clock {
        Some(path) => Clock::with_billing_file(path)?,
        None => Clock::system(),
    };
    let store = Store::open_at(&wiring::place(config, false)).await;
    let store = store.with_context(|| format!("the store in {}", config.store.display()))?;
    let rules = Arc::new(ArcSwap::from_pointee(rules));
    let renewals = Renewals::new(store.clone(), rules.clone(), clock.clone());
    let service = match offline {
        true => None,
        false => {
            let servers = wiring::servers(config)?;
            Some(Arc::new(wiring::service(config, servers, &clock)))
        }
    };
    Ok(Context {
        store,
        rules,
        renewals: Arc::new(renewals),
        service,
        clock,
        invoices: config.invoices.clone(),
    })
}

fn join(faults: &[config::Fault]) -> String {
    faults
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

/// What a person reads.
#[must_use]
pub fn table(month: &BillingMonth, report: &MonthReport) -> String {
    let mut out = vec![format!("month {month} ({})", month.zone())];
    if let Some(reason) = &report.waiting {
        out.push(format!("  waits: {reason}"));
    } else {
        let (agree, differ) = (report.agreements, report.differences.len());
        out.push(format!(
            "  usage records: {agree} meters agree, {differ} differ"
        ));
    }
    for one in &report.differences {
        let it = &one.difference;
        let cause = it
            .cause
            .map_or_else(String::new, |cause| format!(" ({})", cause.name()));
        out.push(format!(
            "  {:<11} type {:<2} {}{cause}: metered {} s, reported {} h, price {}, {}",
            it.class.name(),
            it.usage_type.number(),
            it.resource,
            seconds(it.metered_micros),
            hours(it.reported_micros),
            price(one),
            follows(one.believed),
        ));
    }
    for (payer, number) in &report.issued {
        out.push(format!("  issued {number} to {payer}"));
    }
    for (payer, reason) in &report.parked {
        out.push(format!("  parked {payer}: {reason}"));
    }
    out.extend(
        report
            .files
            .iter()
            .map(|path| format!("  wrote {}", path.display())),
    );
    out.join("\n") + "\n"
}

fn json(month: &BillingMonth, report: &MonthReport) -> String {
    let mut out = Vec::new();
    for one in &report.differences {
        let it = &one.difference;
        out.push(serde_json::json!({
            "class": it.class.name(),
            "cause": it.cause.map(crate::reconcile::compare::Cause::name),
            "usagetype": it.usage_type.number(),
            "resource": it.resource,
            "name": it.name,
            "payer": one.payer.as_ref().map(ToString::to_string),
            "metered_seconds": seconds(it.metered_micros),
            "reported_hours": hours(it.reported_micros),
            "price": one.price.as_ref().ok().map(ToString::to_string),
            "price_fault": one.price.as_ref().err(),
            "follows": follows(one.believed),
        }));
    }
    let pairs = |pairs: &[(crate::terms::ids::PayerId, String)], name: &str| {
        let pairs = pairs.iter();
        pairs
            .map(|(payer, text)| serde_json::json!({ "payer": payer.to_string(), name: text }))
            .collect::<Vec<_>>()
    };
    out.push(serde_json::json!({
        "month": month.to_string(),
        "zone": month.zone(),
        "agreements": report.agreements,
        "issued": pairs(&report.issued, "number"),
        "parked": pairs(&report.parked, "reason"),
        "waiting": report.waiting,
        "files": report.files.iter().map(|path| path.display().to_string()).collect::<Vec<_>>(),
    }));
    out.iter().map(|line| format!("{line}\n")).collect()
}

fn price(one: &Finding) -> String {
    match &one.price {
        Ok(price) => price.round_dp(6).normalize().to_string(),
        Err(fault) => format!("unknown: {fault}"),
    }
}

const fn follows(believed: Believed) -> &'static str {
    match believed {
        Believed::Meter => "the meter stands",
        Believed::Records => "the records stand: corrected",
        Believed::Person => "a person has to look; the meter stands until then",
    }
}

/// Hours of six decimals.
fn hours(micros: i64) -> String {
    let hours = Decimal::from(micros).checked_div(Decimal::from(crate::terms::time::HOUR));
    format!("{:.6}", hours.unwrap_or_default().round_dp(6))
}
