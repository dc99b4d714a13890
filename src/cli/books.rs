//! Edge: `faregate ledger backup`, `restore`, `drill` and `rebuild`: the books as a whole.

use super::grant;
use super::ledger::{block_on, load};
use crate::clock::Clock;
use crate::ledger::caps::Cap;
use crate::ledger::records::{PayerState, Purse};
use crate::process::handover::Mark;
use crate::process::wiring;
use crate::store::{self, Place, Store};
use anyhow::bail;
use clap::Args;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Where the books are, and where their copy is.
#[derive(Args, Debug)]
pub struct CopyArguments {
    /// The configuration
    #[arg(long)]
    config: PathBuf,
    /// The folder of the backup
    #[arg(long)]
    folder: PathBuf,
}

/// A backup alone.
#[derive(Args, Debug)]
pub struct DrillArguments {
    /// The folder of the backup
    #[arg(long)]
    folder: PathBuf,
}

/// Figures made anew.
#[derive(Args, Debug)]
pub struct RebuildArguments {
    /// The configuration
    #[arg(long)]
    config: PathBuf,
    /// Write what differs into the books; no node may run on them
    #[arg(long)]
    write: bool,
}

fn tell(what: &str, rows: u64) {
    eprintln!("{what:<12} {rows}");
}

/// Writes a consistent copy while the node goes on.
pub fn back_up(arguments: &CopyArguments) -> anyhow::Result<ExitCode> {
    let config = load(&arguments.config)?;
    block_on(async {
        let store = Store::open_at(&wiring::place(&config, false)).await?;
        let made = Clock::system().wall();
        let manifest = store.back_up(&arguments.folder, made, &mut tell).await?;
        store.close().await;
        println!(
            "{} transfers in {}, made {}",
            manifest.transfers,
            arguments.folder.display(),
            manifest.made
        );
        Ok(ExitCode::SUCCESS)
    })?
}

/// Takes a backup back into empty books.
pub fn restore(arguments: &CopyArguments) -> anyhow::Result<ExitCode> {
    let config = load(&arguments.config)?;
    std::fs::create_dir_all(&config.store)?;
    let _alone = Mark::set(&config.store)?;
    let place = wiring::place(&config, false);
    let manifest = block_on(store::restore(&arguments.folder, &place, &mut tell))??;
    println!(
        "{} transfers as of {} are in the books and sound; what ran since then is found by the \
         sweep and by usage records when the node starts",
        manifest.transfers, manifest.made
    );
    Ok(ExitCode::SUCCESS)
}

/// Takes a backup back into a folder of its own, checks it there, and removes it.
pub fn drill(arguments: &DrillArguments) -> anyhow::Result<ExitCode> {
    let aside = arguments.folder.with_extension("drill");
    if aside.exists() {
        bail!("{} is there already; remove it", aside.display());
    }
    let outcome = drilled(&arguments.folder, &aside);
    if aside.exists() {
        std::fs::remove_dir_all(&aside)?;
    }
    outcome
}

fn drilled(folder: &Path, aside: &Path) -> anyhow::Result<ExitCode> {
    let place = Place::Folder(aside.to_owned());
    block_on(async {
        let manifest = store::restore(folder, &place, &mut tell).await?;
        let store = Store::open_at(&place).await?;
        let verified = store.verify().await?;
        store.close().await;
        let differ = compare(&verified.payers, &verified.rebuilt);
        let grants = grant::compare(&verified);
        println!(
            "{} transfers as of {}; sums, purses, holds, items and the chain are sound; {} of {} \
             payers rebuilt as they are kept",
            manifest.transfers,
            manifest.made,
            verified.payers.len() - differ,
            verified.payers.len()
        );
        Ok(if differ == 0 && grants == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    })?
}

/// Makes every payer's and cap's figures anew from transfers and holds, and says where they differ.
pub fn rebuild(arguments: &RebuildArguments) -> anyhow::Result<ExitCode> {
    let config = load(&arguments.config)?;
    let place = wiring::place(&config, false);
    let _alone = arguments
        .write
        .then(|| Mark::set(&config.store))
        .transpose()?;
    block_on(async {
        let store = Store::open_at(&place).await?;
        let verified = store.verify().await?;
        store.close().await;
        let differ = compare(&verified.payers, &verified.rebuilt);
        let over = compare_caps(&verified.caps, &verified.caps_rebuilt);
        let grants = grant::compare(&verified);
        println!(
            "{} transfers; {differ} of {} payers, {over} of {} caps and {grants} of {} grants \
             differ from what they say",
            verified.transfers,
            verified.payers.len(),
            verified.caps.len(),
            verified.grants.len()
        );
        if differ == 0 && over == 0 && grants == 0 {
            return Ok(ExitCode::SUCCESS);
        }
        if !arguments.write {
            println!("stop the node, take a backup, and run this with --write");
            return Ok(ExitCode::FAILURE);
        }
        let written = store::rebuild(&place, &verified).await?;
        println!("{written} written");
        Ok(ExitCode::SUCCESS)
    })?
}

/// Prints what differs; says of how many caps.
fn compare_caps(kept: &[Cap], rebuilt: &[Cap]) -> usize {
    let both = kept.iter().zip(rebuilt);
    let differ: Vec<_> = both.filter(|(kept, rebuilt)| kept != rebuilt).collect();
    for (kept, rebuilt) in &differ {
        println!(
            "cap {}: kept {} held and {} accrued, rebuilt {} and {}",
            kept.id, kept.held, kept.accrued, rebuilt.held, rebuilt.accrued
        );
    }
    differ.len()
}

/// Prints what differs; says of how many payers.
fn compare(kept: &[PayerState], rebuilt: &[PayerState]) -> usize {
    let mut differ = 0;
    for (kept, rebuilt) in kept.iter().zip(rebuilt) {
        if kept == rebuilt {
            continue;
        }
        differ += 1;
        for purse in Purse::ALL {
            let (stands, sum) = (kept.purse(purse), rebuilt.purse(purse));
            if stands != sum {
                println!(
                    "{} {}: kept {stands}, rebuilt {sum}",
                    kept.payer,
                    purse.name()
                );
            }
        }
        if kept.holds_open != rebuilt.holds_open {
            println!(
                "{} open holds: kept {}, rebuilt {}",
                kept.payer, kept.holds_open, rebuilt.holds_open
            );
        }
    }
    differ
}
