//! Edge: `replay lifecycle DIR`: a recorded lifecycle through meter and comparison.
//!
//! DIR holds one `<prefix>.calls.jsonl` (calls and the ends of their jobs), its
//! `<prefix>.usage-records.jsonl`, and perhaps `<prefix>.events.jsonl`, which adds causes. The
//! calls are fed in the order their answers came; what differs from the records is printed, with
//! the cause where one is known. `recording.rs` reads the files.

mod recording;

use crate::cloudstack::tree::Node;
use crate::meter::inventory::{ByItself, Fact, Inventory};
use crate::meter::observe::{ObservedCall, ObservedJob, observe};
use crate::meter::resource::Interval;
use crate::reconcile::compare::{Class, Context, Difference, compare};
use crate::reconcile::correct::seconds;
use crate::reconcile::record::UsageRecord;
use crate::reconcile::window;
use crate::terms::time::{HOUR, Period};
use recording::{Entry, Recording};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Why a recording cannot be replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A file or folder could not be read, or the findings could not be written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is not exactly one recording in the folder.
    #[error("{path} holds {found} files named *.calls.jsonl; exactly one is wanted")]
    Calls {
        /// The folder.
        path: PathBuf,
        /// How many.
        found: usize,
    },
    /// A line is not what the form wants.
    #[error("{path}, line {line}: {fault}")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What is wrong with it.
        fault: String,
    },
}

/// How many meters compare how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LifecycleTotals {
    /// Calls and job ends that were fed.
    pub calls: usize,
    /// Intervals that came of them.
    pub intervals: usize,
    /// Records that were read.
    pub records: usize,
    /// Meters within the tolerance.
    pub agreements: usize,
    /// Metered and not reported.
    pub missing: usize,
    /// Reported and not metered.
    pub extra: usize,
    /// Both, too far apart.
    pub different: usize,
    /// Reported twice.
    pub doubled: usize,
    /// Known faults of the usage server.
    pub known_faults: usize,
}

/// What a replay found.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// Every interval that the calls show.
    pub intervals: Vec<Interval>,
    /// Every record.
    pub records: Vec<UsageRecord>,
    /// Every meter, agreements included.
    pub compared: Vec<Difference>,
    /// The sums.
    pub totals: LifecycleTotals,
}

/// Replays the recording in `dir` and prints its differences to `out`: as a table, or with `json`
/// one object a line and a last one with the totals. Refuses [`ReplayError`].
pub fn run(dir: &Path, mut out: impl Write, json: bool) -> Result<LifecycleTotals, ReplayError> {
    let found = replay(dir)?;
    let written = match json {
        true => write_json(&found, &mut out),
        false => write_table(&found, &mut out),
    };
    written.map_err(|source| ReplayError::File {
        path: dir.to_owned(),
        source,
    })?;
    Ok(found.totals)
}

/// Reads, feeds and compares. Refuses [`ReplayError`].
pub fn replay(dir: &Path) -> Result<Replayed, ReplayError> {
    let recording = Recording::read(dir)?;
    let mut inventory = Inventory::default();
    for entry in &recording.entries {
        feed(entry, &mut inventory);
    }
    for (why, what, owner) in &recording.hints {
        inventory.learn(Fact::ByItself(*why, Some(what.clone()), owner.clone()));
    }
    let intervals: Vec<Interval> = inventory.intervals().cloned().collect();
    let context = Context {
        looseness: &|resource, border| inventory.looseness(resource, border),
        by_itself: inventory
            .by_itself()
            .cloned()
            .collect::<Vec<(ByItself, _, _)>>(),
    };
    let period = period(&recording);
    let compared = compare(&intervals, &recording.records, period, &context);
    let totals = totals(&recording, &intervals, &compared);
    Ok(Replayed {
        intervals,
        records: recording.records,
        compared,
        totals,
    })
}

fn feed(entry: &Entry, inventory: &mut Inventory) {
    let params = |name: &str| {
        let mut same = entry
            .params
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        same.next().map(|(_, value)| value.as_str())
    };
    let job: Option<&ObservedJob> = entry.job.as_ref();
    let observed = observe(
        &ObservedCall {
            command: &entry.command,
            params: &params,
            owner: entry.owner.clone(),
            sent: entry.sent,
            answered: entry.answered,
            answer: &entry.answer,
            job,
        },
        inventory,
    );
    observed.apply_to(inventory);
    inventory.settle();
}

/// From the first window's start to the last one's end; without records, the calls' own extent.
fn period(recording: &Recording) -> Period {
    let windows = window::distinct(recording.records.iter().map(|record| record.window));
    let start = windows.first().map(|window| window.start);
    let end = windows.iter().map(|window| window.end).max();
    let sent = recording.entries.iter().map(|entry| entry.sent).min();
    let seen = recording.entries.iter().map(Entry::seen).max();
    Period {
        start: start.or(sent).unwrap_or_default(),
        end: end.or(seen).unwrap_or_default(),
    }
}

fn totals(
    recording: &Recording,
    intervals: &[Interval],
    compared: &[Difference],
) -> LifecycleTotals {
    let count = |class| compared.iter().filter(|one| one.class == class).count();
    LifecycleTotals {
        calls: recording.entries.len(),
        intervals: intervals.len(),
        records: recording.records.len(),
        agreements: count(Class::Agreement),
        missing: count(Class::Missing),
        extra: count(Class::Extra),
        different: count(Class::Different),
        doubled: count(Class::Doubled),
        known_faults: count(Class::KnownFault),
    }
}

fn differences(found: &Replayed) -> impl Iterator<Item = &Difference> {
    let all = found.compared.iter();
    all.filter(|one| one.class != Class::Agreement)
}

/// Hours with six decimals, rounded half away from zero.
fn hours(micros: i64) -> String {
    let millionths = (micros.unsigned_abs() + 1_800).div_euclid(HOUR.unsigned_abs() / 1_000_000);
    let sign = if micros < 0 { "-" } else { "" };
    format!(
        "{sign}{}.{:06}",
        millionths / 1_000_000,
        millionths % 1_000_000
    )
}

fn owner_text(one: &Difference) -> String {
    match (&one.owner.project, &one.owner.account_name) {
        (Some(project), _) => project.to_string(),
        (None, Some(account)) => account.clone(),
        (None, None) => one.owner.domain.to_string(),
    }
}

fn write_json(found: &Replayed, out: &mut impl Write) -> std::io::Result<()> {
    // Numbers are written from integers: a JSON writer would take them through floats.
    let text = |text: &str| serde_json::Value::from(text).to_string();
    for one in differences(found) {
        let cause = one
            .cause
            .map_or_else(|| "null".to_owned(), |cause| text(cause.name()));
        writeln!(
            out,
            "{{\"class\":{},\"resource\":{},\"usagetype\":{},\"metered_seconds\":{},\
             \"reported_hours\":{},\"cause\":{cause},\"owner\":{},\"name\":{},\
             \"tolerance_seconds\":{}}}",
            text(one.class.name()),
            text(&one.resource),
            one.usage_type.number(),
            seconds(one.metered_micros),
            hours(one.reported_micros),
            text(&owner_text(one)),
            text(&one.name),
            seconds(one.tolerance_micros),
        )?;
    }
    let sums = &found.totals;
    writeln!(
        out,
        "{{\"totals\":{{\"calls\":{},\"intervals\":{},\"records\":{},\"agreements\":{},\
         \"missing\":{},\"extra\":{},\"different\":{},\"doubled\":{},\"known_faults\":{}}}}}",
        sums.calls,
        sums.intervals,
        sums.records,
        sums.agreements,
        sums.missing,
        sums.extra,
        sums.different,
        sums.doubled,
        sums.known_faults,
    )
}

fn write_table(found: &Replayed, out: &mut impl Write) -> std::io::Result<()> {
    for one in differences(found) {
        writeln!(
            out,
            "{:<12} type {:<2} {:<20} {} ({}): metered {} s, reported {} h, tolerance {} s{}",
            one.class.name(),
            one.usage_type.number(),
            owner_text(one),
            one.resource,
            one.name,
            seconds(one.metered_micros),
            hours(one.reported_micros),
            seconds(one.tolerance_micros),
            one.cause
                .map_or_else(String::new, |cause| format!(", {}", cause.name())),
        )?;
    }
    let sums = &found.totals;
    writeln!(
        out,
        "{} calls, {} intervals, {} records: {} agree, {} missing, {} extra, {} different, \
         {} doubled, {} known faults",
        sums.calls,
        sums.intervals,
        sums.records,
        sums.agreements,
        sums.missing,
        sums.extra,
        sums.different,
        sums.doubled,
        sums.known_faults,
    )
}

/// The tree inside an answer's wrapper.
fn inside(answer: &serde_json::Value) -> Node {
    let first = answer.as_object().and_then(|wrapper| wrapper.iter().next());
    match first {
        Some((name, value)) => Node::from_json(name, value),
        None => Node::default(),
    }
}
