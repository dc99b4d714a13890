//! What the benches share: CPU time of a process, percentiles, and the file of raw rounds.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// CPU nanoseconds that a process and its children have used so far, by the scheduler's own count
/// (`/proc/PID/task/*/schedstat`, its first figure). Only Linux has it.
pub fn cpu_nanos(pid: u32) -> u64 {
    let own: u64 = tasks(pid).into_iter().map(first_number).sum();
    own + children(pid).into_iter().map(cpu_nanos).sum::<u64>()
}

fn tasks(pid: u32) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/task")) else {
        return vec![];
    };
    entries
        .flatten()
        .map(|entry| entry.path().join("schedstat"))
        .collect()
}

fn first_number(path: impl AsRef<Path>) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .next()
        .and_then(|word| word.parse().ok())
        .unwrap_or(0)
}

fn children(pid: u32) -> Vec<u32> {
    let path = format!("/proc/{pid}/task/{pid}/children");
    let text = fs::read_to_string(path).unwrap_or_default();
    text.split_whitespace()
        .filter_map(|word| word.parse().ok())
        .collect()
}

/// The value below which so many of a thousand lie; 0 for none at all.
pub fn per_mille(sorted: &[u64], share: usize) -> u64 {
    let at = (sorted.len() * share / 1_000).min(sorted.len().saturating_sub(1));
    sorted.get(at).copied().unwrap_or(0)
}

pub fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    per_mille(&values, 500)
}

/// Thousandths as a decimal: 1234 → `1.234`.
pub fn thousandths(value: u64) -> String {
    format!("{}.{:03}", value / 1_000, value % 1_000)
}

/// A setting of the bench: `NAME=value` in the environment, or the default.
pub fn setting(name: &str, default: u64) -> u64 {
    let said = std::env::var(name).ok();
    said.and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Appends rounds to `bench/results/NAME.jsonl`, each with commit, cores and build.
pub fn keep(name: &str, rounds: &[serde_json::Value]) -> std::io::Result<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("bench/results");
    fs::create_dir_all(&folder)?;
    let path = folder.join(format!("{name}.jsonl"));
    let mut file = fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(&path)?;
    let build = if cfg!(debug_assertions) {
        "debug"
    } else {
        "release"
    };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    for round in rounds {
        let mut line = round.clone();
        line["commit"] = commit().into();
        line["cores"] = cores.into();
        line["build"] = build.into();
        writeln!(file, "{line}")?;
    }
    Ok(path)
}

fn commit() -> String {
    let output = Command::new("git")
        .args(["describe", "--always", "--dirty", "--abbrev=12"])
        .output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |it| String::from_utf8_lossy(&it.stdout).trim().to_owned(),
    )
}
