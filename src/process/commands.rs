//! Edge: what the management server can do: read once with an operator's full key, which is not
//! kept, written beside the store, and loaded by `serve`.

use crate::clock::Clock;
use crate::cloudstack::command::CommandTable;
use crate::cloudstack::live::{self, LiveCommand};
use crate::config::Config;
use crate::upstream::service::Service;
use anyhow::{Context, bail};
use secrecy::SecretString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Where the snapshot lies: beside the books.
#[must_use]
pub fn snapshot_file(config: &Config) -> PathBuf {
    config.store.join("live-commands.tsv")
}

/// The built-in table with the operator's classes and, where there is one, the snapshot of the
/// running server.
///
/// # Errors
/// A snapshot that cannot be read, with what to do.
pub fn table(config: &Config) -> anyhow::Result<CommandTable> {
    let mut table = CommandTable::new(&config.commands.classes)?;
    let file = snapshot_file(config);
    if !file.exists() {
        return Ok(table);
    }
    let again = "write it again with `faregate check --admin-key-file FILE`";
    let text = std::fs::read_to_string(&file)
        .with_context(|| format!("{} cannot be read; {again}", file.display()))?;
    let apis = match live::from_snapshot(&text) {
        Ok(apis) => apis,
        Err(line) => bail!("{}:{line} is no command; {again}", file.display()),
    };
    let count = apis.len();
    for drift in table.learn_live(apis) {
        let (command, live) = (drift.command, drift.live_async);
        tracing::warn!(verb = "learn", %command, is_async = live, "runs otherwise here");
    }
    tracing::info!(
        verb = "learn",
        commands = count,
        "the server's own commands are known"
    );
    Ok(table)
}

/// Asks the management server for its commands with the key in `file`, prints every difference
/// from the table and writes the snapshot.
///
/// # Errors
/// A key file that others can read, a key that may not see every command, a server that does not
/// answer.
pub fn learn(config: &Config, file: &Path) -> anyhow::Result<()> {
    let table = CommandTable::new(&config.commands.classes)?;
    let (key, secret) = key_in(file)?;
    let upstream = &config.upstream;
    let service = Service::new(
        upstream.server.clone(),
        upstream.host.clone(),
        key,
        secret,
        Clock::system(),
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let answer = runtime.block_on(service.call("listApis", &[]))?;
    if let Some(error) = answer.error {
        bail!("listApis: {} {}", error.code, error.text);
    }
    let live = live::read(&answer.node);
    if !sees_all(&live) {
        bail!(
            "this key may call {} commands, deployVirtualMachine and createUser not both among \
             them: use the key of a root admin with every command",
            live.len()
        );
    }
    let differences = live::compare(&table, &live);
    for difference in &differences {
        println!("{difference}");
    }
    std::fs::create_dir_all(&config.store)
        .with_context(|| format!("{} cannot be made", config.store.display()))?;
    let snapshot = snapshot_file(config);
    let new = snapshot.with_extension("new");
    std::fs::write(&new, live::to_snapshot(&live))
        .and_then(|()| std::fs::rename(&new, &snapshot))
        .with_context(|| format!("{} cannot be written", snapshot.display()))?;
    println!(
        "commands   {} there, {} difference(s); written to {}",
        live.len(),
        differences.len(),
        snapshot.display()
    );
    Ok(())
}

/// A caller sees his own commands alone: these two together are a root admin's.
fn sees_all(live: &[LiveCommand]) -> bool {
    ["deployVirtualMachine", "createUser"]
        .iter()
        .all(|wanted| live.iter().any(|api| api.name == *wanted))
}

/// Key and secret, a line each; readable by its owner alone.
fn key_in(file: &Path) -> anyhow::Result<(String, SecretString)> {
    let cannot = || format!("{} cannot be read", file.display());
    let mode = std::fs::metadata(file)
        .with_context(cannot)?
        .permissions()
        .mode();
    if mode & 0o077 != 0 {
        bail!("{} can be read by others; chmod 600 it", file.display());
    }
    let text = std::fs::read_to_string(file).with_context(cannot)?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    match (lines.next(), lines.next(), lines.next()) {
        (Some(key), Some(secret), None) => Ok((key.to_owned(), SecretString::from(secret))),
        _ => bail!("{} is not two lines: API key, secret key", file.display()),
    }
}
