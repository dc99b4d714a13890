//! Edge: `faregate demo skip`: billing time jumps ahead, and every renewal between is made.

use super::state::{DemoState, Folder};
use crate::cli::ledger::get;
use crate::clock::Clock;
use crate::terms::time::{BillingMonth, HOUR, SECOND, Timestamp};
use anyhow::{Context, bail};
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

/// Renewals of a month for a handful of payers take seconds.
const PATIENCE: Duration = Duration::from_secs(300);

/// Skips ahead and waits until the running demo has caught up.
pub async fn skip(state: &Path, how_far: &str) -> anyhow::Result<ExitCode> {
    let folder = Folder::open(state, false)?;
    let demo = folder
        .load()?
        .context("no demo ran in this folder yet; start `faregate demo`")?;
    let clock = Clock::with_billing_file(&folder.clock_file())?;
    let target = target(clock.billing(), how_far)?;
    eprintln!("billing time is {target}; renewals between are made");
    to(&folder, &demo, target, true).await?;
    Ok(ExitCode::SUCCESS)
}

/// Moves billing time on to an instant and waits until every payer is renewed up to it; says how
/// far it is where asked.
pub async fn to(
    folder: &Folder,
    demo: &DemoState,
    target: Timestamp,
    aloud: bool,
) -> anyhow::Result<()> {
    let ops = SocketAddr::from(([127, 0, 0, 1], demo.ops_port));
    let clock = Clock::system();
    folder.skip_to(target)?;
    let started = clock.monotonic();
    while clock.monotonic().duration_since(started) < PATIENCE {
        let (status, text) = get(ops, "/accrued-through")
            .await
            .context("no demo runs here")?;
        let behind: Timestamp = match text.trim().parse() {
            Ok(micros) if status == 200 => Timestamp::from_micros(micros),
            _ => bail!("the demo does not say how far it is: {status} {text}"),
        };
        if behind >= target {
            if aloud {
                eprintln!("\nevery payer is renewed up to {behind}");
            }
            return Ok(());
        }
        if aloud {
            eprint!("\rrenewed up to {behind}   ");
            std::io::stderr().flush()?;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    bail!(
        "the demo did not catch up within {} s; look at its page",
        PATIENCE.as_secs()
    )
}

fn target(now: Timestamp, how_far: &str) -> anyhow::Result<Timestamp> {
    if how_far == "month" {
        let next = BillingMonth::containing(now, "UTC")?.next();
        return Ok(next.period()?.start.plus(60 * SECOND));
    }
    let (number, unit) = how_far.split_at(how_far.len().saturating_sub(1));
    let number: i64 = number.parse().with_context(|| {
        format!("`{how_far}` is not a time; write for example 1d, 36h, 30m or month")
    })?;
    let unit = match unit {
        "d" => 24 * HOUR,
        "h" => HOUR,
        "m" => 60 * SECOND,
        _ => bail!("`{how_far}` is not a time; write for example 1d, 36h, 30m or month"),
    };
    if !(1..=3_660).contains(&number) {
        bail!("`{how_far}` is out of range; skip at most ten years");
    }
    Ok(now.plus(number.saturating_mul(unit)))
}
