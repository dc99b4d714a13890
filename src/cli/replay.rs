//! Edge: `faregate replay`: an operator tries his own recordings before going live.

use super::replay_requests::SignatureVerdict;
use super::{replay_lifecycle, replay_requests};
use crate::cloudstack::command::{Class, Command, CommandTable};
use crate::gate::classify::{self, Standing};
use crate::gate::parse::Call;
use crate::gate::refusal::Refusal;
use crate::gate::typed;
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
            let judge = |call: &Call, signature| judge(&table, call, signature);
            replay_requests::run(BufReader::new(input), &mut out, *json, &judge)?;
        }
        Recording::Lifecycle { folder, json } => {
            replay_lifecycle::run(folder, &mut out, *json)?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// What the gate would say of a call whose payer has unlimited money: what cannot raise cost
/// passes; what can must be signed well and typed.
fn judge(table: &CommandTable, call: &Call, signature: SignatureVerdict) -> Option<Refusal> {
    match classify::standing(table, &call.params) {
        Ok(Standing::Known(Class::Raises, command)) => {
            judge_raising(table, &command, call, signature)
        }
        Ok(_) => None,
        Err(refusal) => Some(refusal),
    }
}

fn judge_raising(
    table: &CommandTable,
    command: &Command,
    call: &Call,
    signature: SignatureVerdict,
) -> Option<Refusal> {
    if call.signed() && signature == SignatureVerdict::Disagrees {
        return Some(Refusal::NotVerified);
    }
    let mut params = call.params.clone();
    typed::parameters(&command.name, table, &mut params).err()
}
