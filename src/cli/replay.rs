//! Edge: `faregate replay`: an operator tries his own recordings before going live.

use super::{replay_lifecycle, replay_requests};
use crate::cloudstack::command::CommandTable;
use crate::gate::parse::Call;
use anyhow::Context;
use clap::Subcommand;
use std::io::{BufReader, BufWriter, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Which recording is replayed.
#[derive(Subcommand, Debug)]
pub enum Recording {
    /// Judge recorded requests, one JSON object a line
    Requests {
        /// The recording
        file: PathBuf,
        /// One JSON object a line, the totals last
        #[arg(long)]
        json: bool,
    },
    /// Feed a recorded lifecycle through meter and comparison
    Lifecycle {
        /// The folder with one `*.calls.jsonl` and its siblings
        folder: PathBuf,
        /// One JSON object a line, the totals last
        #[arg(long)]
        json: bool,
    },
}

/// Replays; 0 whenever the input could be read, whatever was found in it.
pub fn run(what: &Recording) -> anyhow::Result<ExitCode> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    match what {
        Recording::Requests { file, json } => {
            let input = std::fs::File::open(file)
                .with_context(|| format!("{} cannot be read", file.display()))?;
            let table = CommandTable::new(&[])?;
            let judge = |call: &Call, signature| replay_requests::judge(&table, call, signature);
            replay_requests::run(BufReader::new(input), &mut out, *json, &judge)?;
        }
        Recording::Lifecycle { folder, json } => {
            replay_lifecycle::run(folder, &mut out, *json)?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
