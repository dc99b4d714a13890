//! Edge: `faregate key`: another key for customers' secrets at rest.

use super::ledger::{block_on, load};
use crate::process::{rotation, wiring};
use crate::store::Store;
use clap::{Args, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// What is done with the key.
#[derive(Subcommand, Debug)]
pub enum KeyChange {
    /// Put a new key on top of the key file and seal every row with it; the old one stays below
    Rotate(KeyArguments),
    /// Take the older keys out of the key file, once every node has the new one
    Retire(KeyArguments),
}

/// Whose key.
#[derive(Args, Debug)]
pub struct KeyArguments {
    /// The configuration
    #[arg(long)]
    config: PathBuf,
}

/// Changes it, while nodes serve; prints what was done and what is next.
pub fn run(change: &KeyChange) -> anyhow::Result<ExitCode> {
    let (KeyChange::Rotate(arguments) | KeyChange::Retire(arguments)) = change;
    let config = load(&arguments.config)?;
    let file = config.key_file.display().to_string();
    block_on(async {
        let store = Store::open_at(&wiring::place(&config, false)).await?;
        if let KeyChange::Retire(_) = change {
            match rotation::retire(&config, &store).await? {
                0 => println!("{file} holds one key; nothing to take away"),
                older => println!("{older} older key taken out of {file}"),
            }
            return Ok(ExitCode::SUCCESS);
        }
        let done = rotation::rotate(&config, &store).await?;
        match done.began {
            true => println!("{file} has a new key"),
            false => println!("{file} has had a new key since a rotation before; gone on with it"),
        }
        println!("{} rows sealed with it", done.sealed);
        if done.lost > 0 {
            println!(
                "{} rows were sealed with none of the keys and are gone; CloudStack is asked again",
                done.lost
            );
        }
        println!(
            "next: copy {file} to every other node of these books, then `faregate key retire`"
        );
        Ok(ExitCode::SUCCESS)
    })?
}
