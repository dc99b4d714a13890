//! Edge: the file in which a node writes down what passes while the books are away.
//!
//! Append-only, one row a line, each with a checksum in front; a row is synced before the call's
//! first byte goes upstream. What has been taken over is cut off as a whole. A last line without
//! its end was never acknowledged: its call was not sent. A sync that failed is not repeated: the
//! system reports it once, and what was written before it may be lost.

use super::share::Passed;
use crate::store::{Intent, IntentStatus};
use crate::terms::ids::{CallId, JobId};
use crate::terms::money::Micros;
use crate::terms::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Its name, beside the node's other files.
pub const NAME: &str = "passed.journal";
/// Characters of a line's checksum.
const SUM_LENGTH: usize = 16;

/// Why the journal cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalFault {
    /// The disk said no.
    #[error("{0}: {1}; mend the disk, then start again")]
    Disk(String, std::io::Error),
    /// A row that was synced is not what was written.
    #[error(
        "{path}: line {line} is damaged: calls that passed stand in it. Keep a copy, take the \
         line out, look in CloudStack for what it started, and start again"
    )]
    Damaged {
        /// The file.
        path: String,
        /// Which line, from 1.
        line: usize,
    },
    /// It failed before.
    #[error("the journal failed before ({0}); nothing passes until the next start")]
    Failed(String),
}

/// A call that passed: what it counts, and the intent that it becomes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// What it counts.
    pub passed: Passed,
    /// Its intent.
    pub intent: Intent,
}

/// A row of the file.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
#[serde(rename_all = "snake_case")]
pub(super) enum Row {
    /// It may be sent from here on.
    Passed(Box<Kept>),
    /// Nothing came of it: the cap has room again, and it is never taken over.
    NotMade { call: String },
    /// CloudStack named its job.
    Job { call: String, job: String },
}

/// An entry as text. Times are microseconds, amounts millionths.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(super) struct Kept {
    call: String,
    hold: Option<String>,
    payer: String,
    wallet: i64,
    one_off: i64,
    at: i64,
    horizon: i64,
    owner: String,
    command: String,
    params: String,
    job: Option<String>,
    planned: String,
    sent: i64,
}

impl Kept {
    pub(super) fn of(entry: &Entry) -> Self {
        let (passed, intent) = (&entry.passed, &entry.intent);
        Self {
            call: passed.call.to_string(),
            hold: passed.hold.map(|hold| hold.to_string()),
            payer: passed.payer.to_string(),
            wallet: passed.wallet.get(),
            one_off: passed.one_off.get(),
            at: passed.at.micros(),
            horizon: passed.horizon,
            owner: intent.owner.clone(),
            command: intent.command.clone(),
            params: intent.params.clone(),
            job: intent.job.as_ref().map(ToString::to_string),
            planned: intent.planned.clone(),
            sent: intent.sent.micros(),
        }
    }

    fn entry(self) -> Option<Entry> {
        let call: CallId = self.call.parse().ok()?;
        let hold = match self.hold {
            Some(hold) => Some(hold.parse().ok()?),
            None => None,
        };
        let passed = Passed {
            call,
            hold,
            payer: self.payer.as_str().into(),
            wallet: Micros::new(self.wallet),
            one_off: Micros::new(self.one_off),
            at: Timestamp::from_micros(self.at),
            horizon: self.horizon,
        };
        let sent = Timestamp::from_micros(self.sent);
        let intent = Intent {
            call,
            hold,
            payer: Some(passed.payer.clone()),
            owner: self.owner,
            command: self.command,
            params: self.params,
            job: self.job.map(JobId::from),
            resource: None,
            planned: self.planned,
            status: IntentStatus::Intended,
            sent,
            answered: None,
            updated: sent,
            note: "passed while the books were away".to_owned(),
        };
        Some(Entry { passed, intent })
    }
}

/// The open file.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Open(File),
    Failed(String),
}

impl Journal {
    /// Opens the journal of a folder, which must exist, and reads what is in it.
    pub(super) fn open(folder: &Path) -> Result<(Self, Vec<Entry>), JournalFault> {
        let path = folder.join(NAME);
        let fault = |error| JournalFault::Disk(path.display().to_string(), error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = options.open(&path).map_err(fault)?;
        let mut text = Vec::new();
        file.read_to_end(&mut text).map_err(fault)?;
        let (entries, good) = rows(&text, &path)?;
        let good = u64::try_from(good).unwrap_or(u64::MAX);
        file.set_len(good).map_err(fault)?;
        file.seek(SeekFrom::End(0)).map_err(fault)?;
        file.sync_all().map_err(fault)?;
        // The name itself has to outlive a power cut.
        let folder = File::open(folder).map_err(fault)?;
        folder.sync_all().map_err(fault)?;
        let state = Mutex::new(State::Open(file));
        Ok((Self { path, state }, entries))
    }

    /// A journal that takes nothing, for a gate whose books are never away.
    pub(super) fn none() -> Self {
        let why = "this gate has no journal".to_owned();
        Self {
            path: PathBuf::from(NAME),
            state: Mutex::new(State::Failed(why)),
        }
    }

    /// Writes a row; durable when this comes back. Blocks while the disk works.
    pub(super) fn append(&self, row: &Row) -> Result<(), JournalFault> {
        let line = line(row);
        self.with(|file| {
            file.write_all(line.as_bytes())?;
            file.sync_data()
        })
    }

    /// Cuts everything off: it is in the books.
    pub(super) fn clear(&self) -> Result<(), JournalFault> {
        self.with(|file| {
            file.set_len(0)?;
            file.seek(SeekFrom::Start(0))?;
            file.sync_data()
        })
    }

    /// Why nothing can be written; none where it can.
    pub(super) fn fault(&self) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match &*state {
            State::Open(_) => None,
            State::Failed(why) => Some(why.clone()),
        }
    }

    fn with(
        &self,
        work: impl FnOnce(&mut File) -> Result<(), std::io::Error>,
    ) -> Result<(), JournalFault> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let done = match &mut *state {
            State::Open(file) => work(file),
            State::Failed(why) => return Err(JournalFault::Failed(why.clone())),
        };
        done.map_err(|error| {
            *state = State::Failed(error.to_string());
            JournalFault::Disk(self.path.display().to_string(), error)
        })
    }
}

/// What stands in the journal of a folder; nothing where there is none. Changes nothing.
///
/// # Errors
/// [`JournalFault`] where it cannot be read.
pub fn read(folder: &Path) -> Result<Vec<Entry>, JournalFault> {
    let path = folder.join(NAME);
    match std::fs::read(&path) {
        Ok(text) => rows(&text, &path).map(|(entries, _)| entries),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(JournalFault::Disk(path.display().to_string(), error)),
    }
}

fn line(row: &Row) -> String {
    let json = serde_json::to_string(row).unwrap_or_default();
    format!("{} {json}\n", checksum(&json))
}

fn checksum(json: &str) -> String {
    let digest = Sha256::digest(json.as_bytes());
    let bytes = digest.iter().take(SUM_LENGTH / 2);
    bytes.map(|byte| format!("{byte:02x}")).collect()
}

/// The entries that stand, in order, and how many bytes of the text are whole lines.
fn rows(text: &[u8], path: &Path) -> Result<(Vec<Entry>, usize), JournalFault> {
    let good = text.iter().rposition(|byte| *byte == b'\n');
    let good = good.map_or(0, |at| at.saturating_add(1));
    let whole = text.get(..good).unwrap_or_default();
    let mut entries: Vec<Entry> = Vec::new();
    let lines = whole.split(|byte| *byte == b'\n');
    for (index, line) in lines.filter(|line| !line.is_empty()).enumerate() {
        let damaged = || JournalFault::Damaged {
            path: path.display().to_string(),
            line: index.saturating_add(1),
        };
        match row(line).ok_or_else(damaged)? {
            Row::Passed(kept) => entries.push(kept.entry().ok_or_else(damaged)?),
            Row::NotMade { call } => {
                entries.retain(|entry| entry.passed.call.to_string() != call);
            }
            Row::Job { call, job } => {
                let mut all = entries.iter_mut();
                let found = all.find(|entry| entry.passed.call.to_string() == call);
                if let Some(entry) = found {
                    entry.intent.job = Some(JobId::from(job));
                    entry.intent.status = IntentStatus::Answered;
                }
            }
        }
    }
    Ok((entries, good))
}

fn row(line: &[u8]) -> Option<Row> {
    let line = std::str::from_utf8(line).ok()?;
    let (sum, json) = line.split_once(' ')?;
    (sum == checksum(json)).then(|| serde_json::from_str(json).ok())?
}

#[cfg(test)]
mod tests;
