//! Edge: `faregate check`: every fault of configuration and policy at once.

use crate::config::{self, Config, Fault};
use crate::policy::check;
use crate::process::{commands, wiring};
use std::path::Path;
use std::process::ExitCode;

/// Prints every fault with file, line and what to write instead; 1 where there is one.
pub fn run(path: &Path, live: bool, admin_key_file: Option<&Path>) -> anyhow::Result<ExitCode> {
    let (config, mut faults) = match config::load(path) {
        Ok(config) => (Some(config), Vec::new()),
        Err(faults) => (None, faults),
    };
    // A configuration that does not stand still lets its policies be looked at.
    let folder = config.as_ref().map_or_else(
        || path.parent().unwrap_or(Path::new(".")).join("policies"),
        |config| config.policies.clone(),
    );
    faults.extend(policy_faults(&folder));
    for fault in &faults {
        println!("{fault}");
    }
    if !faults.is_empty() {
        println!("{} fault(s)", faults.len());
        return Ok(ExitCode::FAILURE);
    }
    if let Some(config) = config {
        describe(&config);
        if let Some(file) = admin_key_file {
            commands::learn(&config, file)?;
        }
        wiring::check(&config)?;
        if live {
            return wiring::check_live(&config);
        }
    }
    println!("no fault");
    Ok(ExitCode::SUCCESS)
}

fn policy_faults(folder: &Path) -> Vec<Fault> {
    let files = match config::policy_files(folder) {
        Ok(files) => files,
        Err(faults) => return faults,
    };
    match check::load(&files) {
        Ok(_) => Vec::new(),
        Err(faults) => faults
            .into_iter()
            .map(|f| Fault {
                file: f.file,
                line: f.line,
                what: f.what,
                instead: f.instead,
            })
            .collect(),
    }
}

fn describe(config: &Config) {
    println!(
        "gate       http://{}/client/api ({} thread(s))",
        config.listen.gate, config.listen.threads
    );
    if let Some(tls) = &config.listen.tls {
        println!("gate       https://{}/client/api", tls.gate);
    }
    println!("operators  http://{}/", config.listen.ops);
    for (server, host) in config.upstream.servers() {
        println!("upstream   {server} as {host}");
    }
    println!(
        "reader     key {}…, secret hidden",
        config.upstream.reader_key.get(..6).unwrap_or("")
    );
    match &config.postgres {
        None => println!("store      {}", config.store.display()),
        Some(postgres) => println!(
            "store      PostgreSQL, its address hidden, as node {}",
            postgres.node
        ),
    }
    println!("policies   {}", config.policies.display());
}
