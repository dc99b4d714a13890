//! Edge: `faregate ledger form` and `faregate ledger back`: which release can read the books.

use super::ledger::{block_on, load};
use crate::clock::Clock;
use crate::process::handover::Mark;
use crate::process::wiring;
use crate::store::{Store, forms};
use anyhow::{Context, bail};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

/// Which books.
#[derive(Args, Debug)]
pub struct FormArguments {
    /// The configuration
    #[arg(long)]
    config: PathBuf,
}

/// The way back to an older release.
#[derive(Args, Debug)]
pub struct BackArguments {
    /// The configuration; no node may run on its books
    #[arg(long)]
    config: PathBuf,
    /// Where the books are copied to first: a folder that is not there yet
    #[arg(long)]
    backup: PathBuf,
    /// The release that is to read them; the one before this by default
    #[arg(long)]
    to: Option<String>,
}

/// Says which form the books have and which releases read it.
pub fn form(arguments: &FormArguments) -> anyhow::Result<ExitCode> {
    let config = load(&arguments.config)?;
    let place = wiring::place(&config, false);
    let found = block_on(forms::form(&place))??;
    let newest = forms::NEWEST;
    println!(
        "ledger form {}, facts form {}; this program writes {} and {}",
        found.ledger, found.facts, newest.ledger, newest.facts
    );
    for release in forms::RELEASES {
        let read = if release.form == found {
            "reads"
        } else {
            "does not read"
        };
        println!(
            "{} (forms {} and {}) {read} them",
            release.name, release.form.ledger, release.form.facts
        );
    }
    Ok(ExitCode::SUCCESS)
}

/// Checks and copies the books, then takes them back.
pub fn back(arguments: &BackArguments) -> anyhow::Result<ExitCode> {
    let config = load(&arguments.config)?;
    let known = forms::RELEASES.map(|release| release.name).join(", ");
    let release = match &arguments.to {
        None => forms::RELEASES.last(),
        Some(name) => forms::RELEASES.iter().find(|release| release.name == name),
    };
    let release = release.with_context(|| {
        let asked = arguments.to.as_deref().unwrap_or_default();
        format!("there is no release `{asked}` before this one; there are {known}")
    })?;
    let _alone = Mark::set(&config.store)?;
    let place = wiring::place(&config, false);
    let mut tell = |what: &str, rows: u64| eprintln!("{what:<12} {rows}");
    let mut undone = |what: &str, step: usize| println!("{what}: step {step} is undone");
    block_on(async {
        // Opening brings forward what an earlier way back, cut off in the middle, left behind.
        let store = Store::open_at(&place).await?;
        let verified = store.verify().await?;
        if !verified.faults.is_empty() {
            bail!(
                "the books are not sound, so nothing was done: {:?}",
                verified.faults
            );
        }
        let made = Clock::system().wall();
        store.back_up(&arguments.backup, made, &mut tell).await?;
        store.close().await;
        forms::back(&place, release.form, &mut undone).await?;
        println!(
            "{} reads the books now; what it does not know is in {}",
            release.name,
            arguments.backup.display()
        );
        Ok(ExitCode::SUCCESS)
    })?
}
