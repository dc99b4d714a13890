//! The rules about everything that is not Rust: documents, policies, scripts, migrations, history.

use std::collections::BTreeSet;

/// What belongs to one machine, or to how a text came about, and so to no file here. The words are
/// put together so that this file does not hold them.
pub fn foreign_words() -> Vec<String> {
    let parts = [
        ("/wo", "rk/"),
        ("/ro", "ot/"),
        ("/ho", "me/"),
        ("/tmp/", "brief"),
        ("sha", "red/facts"),
        ("sha", "red/fixtures"),
        ("sha", "red/gate"),
        ("sha", "red/accounting"),
        ("sha", "red/design"),
        ("Co-Authored", "-By"),
        ("Generated", " with"),
    ];
    parts
        .iter()
        .map(|(start, end)| format!("{start}{end}"))
        .collect()
}

/// Lines that hold a foreign word. What a Containerfile or a unit sets up inside is its own.
pub fn foreign(text: &str) -> Vec<(usize, String)> {
    let words = foreign_words();
    let said = |(number, line): (usize, &str)| {
        let word = words.iter().find(|word| line.contains(word.as_str()))?;
        Some((number, format!("speaks of `{word}`")))
    };
    crate::source::numbered(text).filter_map(said).collect()
}

/// People write at most 60; what git's own tools cut off is refused.
pub const SUBJECT_MAX: usize = 72;

/// What is wrong with the first line of a commit message.
pub fn subject(line: &str) -> Option<String> {
    let columns = line.chars().count();
    match columns {
        0 => Some("has no subject".to_owned()),
        1..=SUBJECT_MAX => None,
        _ => Some(format!(
            "a subject of {columns} columns, over {SUBJECT_MAX}"
        )),
    }
}

/// Relative links of a Markdown text: `(line, target without its anchor)`.
pub fn links(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut fenced = false;
    for (number, line) in crate::source::numbered(text) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        for (at, _) in line.match_indices("](") {
            let target = line[at + 2..].split(')').next().unwrap_or_default();
            let path = target.split('#').next().unwrap_or_default();
            if !path.is_empty() && !target.contains("://") && !target.starts_with("mailto:") {
                found.push((number, path.to_owned()));
            }
        }
    }
    found
}

/// Migrations of one folder: numbered from 0001 without a hole, named by what they do.
pub fn migrations(names: &BTreeSet<String>) -> Vec<String> {
    let mut faults = Vec::new();
    for (index, name) in names.iter().enumerate() {
        let number = format!("{:04}_", index + 1);
        let rest = name
            .strip_prefix(&number)
            .and_then(|rest| rest.strip_suffix(".sql"));
        let named = rest.is_some_and(|rest| {
            !rest.is_empty() && rest.chars().all(|it| it.is_ascii_lowercase() || it == '_')
        });
        if !named {
            faults.push(format!("{name}: expected {number}what_it_does.sql"));
        }
    }
    if names.is_empty() {
        faults.push("no migration at all".to_owned());
    }
    faults
}

/// The parts that a decision record has, in this order.
pub const RECORD_PARTS: &[&str] = &[
    "Status:",
    "**Context.**",
    "**Decision.**",
    "**Consequences.**",
    "**Reopen when**",
];

pub fn record(text: &str) -> Vec<String> {
    let mut from = 0;
    let mut faults = Vec::new();
    for part in RECORD_PARTS {
        match text[from..].find(part) {
            Some(at) => from += at + part.len(),
            None => faults.push(format!("has no {part} in its place")),
        }
    }
    faults
}
