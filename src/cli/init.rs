//! Edge: `faregate init`: a commented configuration, first policies, and the key for secrets.

use crate::config::vault::Vault;
use crate::config::{STARTER_CONFIG, STARTER_POLICIES};
use anyhow::Context;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Writes what is missing; what exists stays as it is.
pub fn run(folder: &Path) -> anyhow::Result<ExitCode> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    write_new(&folder.join("faregate.toml"), STARTER_CONFIG)?;
    for (name, text) in STARTER_POLICIES {
        write_new(&folder.join("policies").join(name), text)?;
    }
    let key = folder.join("faregate.key");
    Vault::create(&key)?;
    println!(
        "{}: encrypts customers' secrets; back it up, keep it private",
        key.display()
    );
    let config = folder.join("faregate.toml");
    println!("next: put the reading service account's key and secret in, then run");
    println!("  faregate check --config {}", config.display());
    println!("  faregate serve --config {}", config.display());
    Ok(ExitCode::SUCCESS)
}

fn write_new(path: &Path, text: &str) -> anyhow::Result<()> {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    match std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(path)
    {
        Ok(mut file) => {
            file.write_all(text.as_bytes())?;
            println!("{}: written", path.display());
            Ok(())
        }
        Err(e) if e.kind() == std::io::ErrorKind::AlreadyExists => {
            println!("{}: exists, left as it is", path.display());
            Ok(())
        }
        Err(e) => Err(e).with_context(|| format!("{} cannot be written", path.display())),
    }
}
