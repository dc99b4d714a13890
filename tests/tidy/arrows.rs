//! Who may import whom. A row allows whole folders (`terms`), or one file of a folder
//! (`meter::resource`). A pure file may import pure files only, wherever they lie.

use crate::source::Source;

/// One folder's row.
pub struct Row {
    pub folder: &'static str,
    /// What its pure files may import.
    pub pure: &'static [&'static str],
    /// What its edge files may import besides.
    pub edge: &'static [&'static str],
}

/// The same list as the table in `ARCHITECTURE.md`.
pub const ROWS: &[Row] = &[
    Row {
        folder: "terms",
        pure: &[],
        edge: &[],
    },
    Row {
        folder: "cloudstack",
        pure: &["terms"],
        edge: &[],
    },
    Row {
        folder: "policy",
        pure: &["terms", "cloudstack"],
        edge: &[],
    },
    Row {
        folder: "rate",
        pure: &[
            "terms",
            "cloudstack::usage_type",
            "policy",
            "meter::resource",
        ],
        edge: &[],
    },
    Row {
        folder: "ledger",
        pure: &["terms"],
        edge: &[],
    },
    Row {
        folder: "cover",
        pure: &[
            "terms",
            "cloudstack",
            "policy",
            "rate",
            "ledger",
            "meter",
            "notice",
        ],
        edge: &["store", "upstream", "clock", "telemetry"],
    },
    Row {
        folder: "notice",
        pure: &["terms", "policy"],
        edge: &["store", "clock", "telemetry", "crash"],
    },
    Row {
        folder: "gate",
        pure: &[
            "terms",
            "cloudstack",
            "policy",
            "rate",
            "ledger",
            "meter",
            "cover",
        ],
        edge: &[
            "store",
            "counters",
            "upstream",
            "clock",
            "telemetry",
            "crash",
            "config::vault",
        ],
    },
    Row {
        folder: "meter",
        pure: &["terms", "cloudstack", "policy", "rate", "ledger"],
        edge: &["store", "upstream", "clock", "telemetry"],
    },
    Row {
        folder: "reconcile",
        pure: &["terms", "cloudstack", "policy", "rate", "ledger", "meter"],
        edge: &["store", "upstream", "clock", "telemetry"],
    },
    Row {
        folder: "bill",
        pure: &[
            "terms",
            "cloudstack",
            "policy",
            "rate",
            "ledger",
            "reconcile",
            "meter",
        ],
        edge: &["store", "cover", "clock", "telemetry"],
    },
    Row {
        folder: "ops",
        pure: &[
            "terms",
            "cloudstack",
            "policy",
            "rate",
            "ledger",
            "cover",
            "meter",
            "reconcile",
            "bill",
        ],
        edge: &["store", "clock", "telemetry"],
    },
    Row {
        folder: "cli",
        pure: &[
            "terms",
            "cloudstack",
            "policy",
            "rate",
            "ledger",
            "cover",
            "gate",
            "meter",
            "reconcile",
            "bill",
            "notice",
        ],
        edge: &[
            "store",
            "upstream",
            "config",
            "process",
            "ops",
            "sandbox",
            "clock",
            "telemetry",
        ],
    },
    Row {
        folder: "store",
        pure: &[
            "terms",
            "cloudstack::usage_type",
            "ledger",
            "cover",
            "notice",
            "meter",
            "reconcile",
            "bill",
        ],
        edge: &["clock", "telemetry", "crash"],
    },
    Row {
        folder: "counters",
        pure: &["terms", "policy"],
        edge: &["clock", "telemetry"],
    },
    Row {
        folder: "upstream",
        pure: &["terms", "cloudstack"],
        edge: &["clock", "telemetry", "crash"],
    },
    Row {
        folder: "config",
        pure: &["terms", "policy"],
        edge: &["clock"],
    },
    Row {
        folder: "process",
        pure: &[
            "terms",
            "cloudstack",
            "policy",
            "rate",
            "ledger",
            "cover",
            "gate",
            "meter",
            "reconcile",
            "bill",
            "notice",
        ],
        edge: &[
            "store",
            "counters",
            "upstream",
            "config",
            "ops",
            "sandbox",
            "clock",
            "telemetry",
            "crash",
        ],
    },
    Row {
        folder: "sandbox",
        pure: &["terms", "cloudstack"],
        edge: &["clock", "telemetry"],
    },
    Row {
        folder: "clock",
        pure: &["terms"],
        edge: &[],
    },
    Row {
        folder: "telemetry",
        pure: &["terms"],
        edge: &[],
    },
    Row {
        folder: "crash",
        pure: &[],
        edge: &[],
    },
    Row {
        folder: "main",
        pure: &[],
        edge: &["cli"],
    },
    Row {
        folder: "lib",
        pure: &[],
        edge: &[],
    },
];

/// Faults of one file. `is_pure` says of a path below `src/`, without `.rs`, whether it is a pure
/// file; `None` where there is no such file.
pub fn judge(file: &Source, is_pure: impl Fn(&str) -> Option<bool>) -> Vec<String> {
    let Some(row) = ROWS.iter().find(|row| row.folder == file.folder()) else {
        return vec![format!(
            "the folder {} has no row in tests/tidy/arrows.rs",
            file.folder()
        )];
    };
    let mut faults = Vec::new();
    for path in imports(&file.product) {
        let (folder, module) = path.split_once("::").unwrap_or((path.as_str(), ""));
        if folder == row.folder && !file.is_pure() {
            continue;
        }
        let named = |list: &[&str]| list.iter().any(|item| *item == folder || *item == path);
        let allowed =
            folder == row.folder || named(row.pure) || (!file.is_pure() && named(row.edge));
        if !allowed {
            faults.push(format!(
                "imports crate::{path}, which is not in the row of {folder_of}",
                folder_of = row.folder
            ));
        } else if file.is_pure() && is_pure(&format!("{folder}/{module}")) == Some(false) {
            faults.push(format!(
                "is pure and imports crate::{path}, which is an edge file"
            ));
        }
    }
    faults.sort();
    faults.dedup();
    faults
}

/// Every `crate::a::b` and `faregate::a::b`, cut to two segments; groups are spread out.
pub fn imports(code: &str) -> Vec<String> {
    let flat: String = code.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut found = Vec::new();
    for root in ["crate::", "faregate::"] {
        for (at, _) in flat.match_indices(root) {
            let before = flat[..at].chars().next_back();
            if before.is_some_and(|letter| crate::source::is_word(letter) || letter == ':') {
                continue;
            }
            collect("", &flat[at + root.len()..], &mut found);
        }
    }
    found
}

/// Reads one use-tree (`a::b`, `a::{b, c}`, `{a::b, c}`) behind a prefix.
fn collect(prefix: &str, tail: &str, found: &mut Vec<String>) {
    if let Some(group) = tail.strip_prefix('{') {
        let mut depth = 1_usize;
        let mut start = 0;
        for (at, letter) in group.char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 || (depth == 1 && letter == ',') {
                let item = group[start..at].trim();
                if !item.is_empty() {
                    collect(prefix, item, found);
                }
                start = at + 1;
            }
            if depth == 0 {
                return;
            }
        }
        return;
    }
    let end = tail
        .find(|letter| !crate::source::is_word(letter))
        .unwrap_or(tail.len());
    let (name, rest) = tail.split_at(end);
    let path = if prefix.is_empty() {
        name.to_owned()
    } else {
        format!("{prefix}::{name}")
    };
    match rest.strip_prefix("::") {
        Some(next) if prefix.is_empty() => collect(&path, next, found),
        _ => found.push(path),
    }
}
