//! The rules that look at one file at a time. Each takes a file and gives what is wrong with it.

use crate::source::{Source, block_lines, is_word, lines_with, numbered};

/// One thing that a rule says of a file.
pub struct Found {
    /// 0 is the whole file.
    pub line: usize,
    pub what: String,
    /// How much of it: the length where the rule is about one, else 1. What a file is excepted for
    /// may not grow.
    pub size: usize,
}

impl Found {
    fn at(line: usize, what: impl Into<String>) -> Found {
        let what = what.into();
        Found {
            line,
            what,
            size: 1,
        }
    }
}

pub type Faults = Vec<Found>;

/// A rule and its name, as it stands in `tests/tidy/exceptions.txt`.
pub struct Rule {
    pub name: &'static str,
    pub judge: fn(&Source) -> Faults,
}

pub const RULES: &[Rule] = &[
    Rule {
        name: "head",
        judge: head,
    },
    Rule {
        name: "pure",
        judge: pure,
    },
    Rule {
        name: "file-length",
        judge: file_length,
    },
    Rule {
        name: "function-length",
        judge: function_length,
    },
    Rule {
        name: "inline-tests",
        judge: inline_tests,
    },
    Rule {
        name: "width",
        judge: width,
    },
    Rule {
        name: "float",
        judge: float,
    },
    Rule {
        name: "unbounded",
        judge: unbounded,
    },
    Rule {
        name: "to-do",
        judge: to_do,
    },
    Rule {
        name: "library",
        judge: library,
    },
    Rule {
        name: "name",
        judge: name,
    },
    Rule {
        name: "expect",
        judge: expect,
    },
    Rule {
        name: "serde",
        judge: serde,
    },
    Rule {
        name: "test-name",
        judge: test_name,
    },
    Rule {
        name: "ignored",
        judge: ignored,
    },
];

pub const FILE_LINES_MAX: usize = 500;
pub const TEST_FILE_LINES_MAX: usize = 700;
pub const FUNCTION_LINES_MAX: usize = 70;
/// A test may tell a longer story.
pub const TEST_FUNCTION_LINES_MAX: usize = 120;
pub const INLINE_TEST_LINES_MAX: usize = 52;
pub const WIDTH_MAX: usize = 100;

fn head(file: &Source) -> Faults {
    let known = file.text.starts_with("//! Pure: ") || file.text.starts_with("//! Edge: ");
    let fault = "the first line says neither `//! Pure: …` nor `//! Edge: …`";
    if known || !file.is_product() {
        vec![]
    } else {
        vec![Found::at(1, fault)]
    }
}

/// What a pure file may not mention: waiting, the network, the disk, the clock, the environment.
const IMPURE: &[&str] = &[
    "async",
    "await",
    "tokio",
    "hyper",
    "axum",
    "sqlx",
    "socket2",
    "std::fs",
    "std::net",
    "std::env",
    "std::process",
    "std::thread",
    "std::io",
    "SystemTime",
    "Instant",
    "static mut",
    "OnceLock",
    "LazyLock",
    "thread_local",
    "println",
    "eprintln",
    "getrandom",
];

fn pure(file: &Source) -> Faults {
    if !file.is_pure() {
        return vec![];
    }
    let said = |word: &&str| {
        let lines = lines_with(&file.product, word);
        let fault = format!("a pure file mentions `{word}`");
        lines
            .into_iter()
            .map(move |line| Found::at(line, fault.clone()))
            .collect::<Vec<_>>()
    };
    IMPURE.iter().flat_map(said).collect()
}

fn file_length(file: &Source) -> Faults {
    let lines = file.text.lines().count() - file.inline_test_lines;
    let max = if file.is_test() {
        TEST_FILE_LINES_MAX
    } else {
        FILE_LINES_MAX
    };
    if lines > max {
        let what = format!("has {lines} lines, over {max}");
        vec![Found {
            line: 0,
            what,
            size: lines,
        }]
    } else {
        vec![]
    }
}

fn function_length(file: &Source) -> Faults {
    let lines: Vec<&str> = file.code.lines().collect();
    let max = if file.is_test() {
        TEST_FUNCTION_LINES_MAX
    } else {
        FUNCTION_LINES_MAX
    };
    let mut faults = Vec::new();
    for number in lines_with(&file.code, "fn") {
        let below = &lines[number - 1..];
        let Some(name) = function_name(below[0]) else {
            continue;
        };
        // A signature that ends in a semicolon before any brace has no body.
        let ends = below
            .iter()
            .flat_map(|line| line.chars())
            .find(|it| matches!(it, '{' | ';'));
        let length = block_lines(below);
        if ends == Some('{') && length > max {
            faults.push(Found {
                line: number,
                what: format!("`{name}` has {length} lines, over {max}"),
                size: length,
            });
        }
    }
    faults
}

/// The name behind `fn`; `None` where `fn` is a type.
fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    if before.chars().next_back().is_some_and(is_word) {
        return None;
    }
    let end = after.find(|letter| !is_word(letter))?;
    (end > 0).then(|| &after[..end])
}

fn inline_tests(file: &Source) -> Faults {
    let lines = file.inline_test_lines;
    let fault = format!("{lines} lines of inline tests: move them to a sibling tests.rs");
    if lines > INLINE_TEST_LINES_MAX {
        vec![Found {
            line: 0,
            what: fault,
            size: lines,
        }]
    } else {
        vec![]
    }
}

/// A literal that nobody can break is left alone, as the formatter does.
fn width(file: &Source) -> Faults {
    let comments: Vec<&str> = file.comments.lines().collect();
    let wide = |(number, line): (usize, &str)| {
        let columns = line.chars().count();
        let said = comments
            .get(number - 1)
            .is_some_and(|line| !line.trim().is_empty());
        let literal = line.contains('"') && !said;
        let fault = format!("{columns} columns, over {WIDTH_MAX}");
        (columns > WIDTH_MAX && !literal).then(|| Found::at(number, fault))
    };
    numbered(&file.text).filter_map(wide).collect()
}

fn float(file: &Source) -> Faults {
    if !file.path.starts_with("src/") {
        return vec![];
    }
    let mut faults: Faults = ["f32", "f64"]
        .iter()
        .flat_map(|word| lines_with(&file.code, word))
        .map(|line| Found::at(line, "a float: money and time are integers or decimals"))
        .collect();
    for (number, line) in numbered(&file.code) {
        if has_float_literal(line) {
            faults.push(Found::at(number, "a float literal"));
        }
    }
    faults
}

/// Digits, a dot, digits; not a range, not a tuple's field.
fn has_float_literal(line: &str) -> bool {
    let letters: Vec<char> = line.chars().collect();
    (1..letters.len().saturating_sub(1)).any(|at| {
        if letters[at] != '.' || !letters[at + 1].is_ascii_digit() {
            return false;
        }
        let digits = letters[..at]
            .iter()
            .rev()
            .take_while(|it| it.is_ascii_digit())
            .count();
        let before = at.checked_sub(digits + 1).map(|it| letters[it]);
        digits > 0 && before.is_none_or(|it| !is_word(it) && it != '.')
    })
}

const UNBOUNDED: &[&str] = &[
    "unbounded_channel",
    "unbounded",
    "UnboundedSender",
    "std::sync::mpsc::channel",
];

fn unbounded(file: &Source) -> Faults {
    let found = UNBOUNDED
        .iter()
        .flat_map(|word| lines_with(&file.product, word));
    let fault = "a queue without a bound: give it one in terms/limits.rs";
    if !file.is_product() {
        return vec![];
    }
    found.map(|line| Found::at(line, fault)).collect()
}

fn to_do(file: &Source) -> Faults {
    let marks = ["TO", "FIX", "HA", "XX"]
        .iter()
        .zip(["DO", "ME", "CK", "X"]);
    let marks: Vec<String> = marks.map(|(start, end)| format!("{start}{end}")).collect();
    let mut lines: Vec<usize> = marks
        .iter()
        .flat_map(|mark| lines_with(&file.comments, mark))
        .collect();
    lines.extend(lines_with(&file.product, "todo"));
    lines.extend(lines_with(&file.product, "unimplemented"));
    lines
        .into_iter()
        .map(|line| Found::at(line, "a bare to-do: do it or file an issue"))
        .collect()
}

/// Which library may be named in which part of `src/`.
const LIBRARIES: &[(&str, &[&str])] = &[
    ("sqlx", &["src/store/"]),
    (
        "hyper",
        &[
            "src/gate/accept.rs",
            "src/gate/accept/",
            "src/gate/forward.rs",
            "src/gate/body.rs",
            "src/gate/wire.rs",
            "src/gate/line.rs",
            "src/gate/line/",
            "src/upstream/",
            "src/notice/webhook.rs",
            "src/ops/",
            "src/sandbox/",
        ],
    ),
    ("axum", &["src/ops/", "src/process/"]),
    ("minijinja", &["src/bill/", "src/ops/"]),
    ("quick_xml", &["src/cloudstack/"]),
    ("clap", &["src/cli/", "src/main.rs"]),
    (
        "hmac",
        &[
            "src/cloudstack/",
            "src/gate/authenticate.rs",
            "src/notice/signing.rs",
        ],
    ),
    ("getrandom", &["src/clock.rs", "src/config/vault.rs"]),
];

fn library(file: &Source) -> Faults {
    if !file.is_product() {
        return vec![];
    }
    let mut faults = Vec::new();
    for (name, places) in LIBRARIES {
        if places.iter().any(|place| file.path.starts_with(place)) {
            continue;
        }
        for line in lines_with(&file.product, name) {
            let what = format!("`{name}` belongs to {}", places.join(", "));
            faults.push(Found::at(line, what));
        }
    }
    faults
}

const BANNED_NAMES: &[&str] = &[
    "utils", "util", "helpers", "helper", "manager", "common", "misc", "base",
];

fn name(file: &Source) -> Faults {
    let banned = |part: &str| BANNED_NAMES.contains(&part.trim_end_matches(".rs"));
    let part = file.path.split('/').find(|part| banned(part));
    part.map(|part| Found::at(0, format!("`{part}` says nothing of what is inside")))
        .into_iter()
        .collect()
}

/// An `expect` outside tests needs a comment on its line or in the three above it.
fn expect(file: &Source) -> Faults {
    if !file.is_product() {
        return vec![];
    }
    let comments: Vec<&str> = file.comments.lines().collect();
    let reasoned = |number: usize| {
        (number.saturating_sub(4)..number).any(|index| {
            comments
                .get(index)
                .is_some_and(|line| !line.trim().is_empty())
        })
    };
    let bare = |(number, line): (usize, &str)| {
        let calls = [".expect(", ".unwrap()", "unreachable!("]
            .iter()
            .any(|it| line.contains(it));
        let fault = "no comment says why this cannot fail".to_owned();
        (calls && !reasoned(number)).then(|| Found::at(number, fault))
    };
    numbered(&file.product).filter_map(bare).collect()
}

/// The formats of files and answers live at the edges; domain types carry no such attributes.
const SERDE_IN_PURE: &[&str] = &[
    "src/policy/shape.rs",
    "src/rate/table.rs",
    "src/ops/",
    "src/policy/table.rs",
    "src/bill/document.rs",
    "src/bill/render.rs",
    // The answer of `policy explain`, of which nothing is decided.
    "src/gate/explain/explanation.rs",
    "src/sandbox/",
];

fn serde(file: &Source) -> Faults {
    let allowed = SERDE_IN_PURE
        .iter()
        .any(|place| file.path.starts_with(place));
    if !file.is_pure() || allowed {
        return vec![];
    }
    let lines = ["Serialize", "Deserialize", "serde::Serialize", "FromRow"]
        .iter()
        .flat_map(|word| lines_with(&file.product, word));
    lines
        .map(|line| Found::at(line, "a domain type with a file's or a row's format"))
        .collect()
}

/// A test's name is a promise: some words, no number at its end, no `test_` in front.
fn test_name(file: &Source) -> Faults {
    let lines: Vec<&str> = file.code.lines().collect();
    let mut faults = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let marked = ["#[test]", "#[tokio::test"]
            .iter()
            .any(|it| line.trim().starts_with(it));
        let named = lines[index..]
            .iter()
            .take(6)
            .find_map(|line| function_name(line));
        let (true, Some(name)) = (marked, named) else {
            continue;
        };
        let words = name.split('_').count();
        // Three digits are a status of HTTP; one or two are the second try at a name.
        let last = name.rsplit('_').next().unwrap_or_default();
        let numbered = last.len() < 3 && last.ends_with(|letter: char| letter.is_ascii_digit());
        if words < 3 || name.starts_with("test_") || numbered {
            faults.push(Found::at(index + 1, format!("`{name}` is no promise")));
        }
    }
    faults
}

fn ignored(file: &Source) -> Faults {
    let bare = |(number, line): (usize, &str)| {
        let fault = "an ignored test says why: #[ignore = \"…\"]".to_owned();
        (line.trim() == "#[ignore]").then(|| Found::at(number, fault))
    };
    numbered(&file.code).filter_map(bare).collect()
}
