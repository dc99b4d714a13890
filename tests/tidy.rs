//! The house rules, as a test: what `CONTRIBUTING.md` asks of a file is checked here. A rule that a
//! file cannot keep yet stands in `tests/tidy/exceptions.txt` with its reason; an exception that is
//! no longer needed fails too, so the list only gets shorter.

#[path = "tidy/arrows.rs"]
mod arrows;
#[path = "tidy/licences.rs"]
mod licences;
#[path = "tidy/papers.rs"]
mod papers;
#[path = "tidy/rules.rs"]
mod rules;
#[path = "tidy/self_test.rs"]
mod self_test;
#[path = "tidy/signs.rs"]
mod signs;
#[path = "tidy/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use source::Source;

#[test]
fn every_source_keeps_the_house_rules() {
    let files = rust_files();
    let pure: BTreeMap<String, bool> = files
        .iter()
        .map(|file| (module(file), file.is_pure()))
        .collect();
    let mut faults = Vec::new();
    for file in &files {
        for rule in rules::RULES {
            let found = (rule.judge)(file);
            faults.extend(
                found
                    .into_iter()
                    .map(|it| Fault::new(rule.name, file, it.line, it.size, it.what)),
            );
        }
        if file.is_product() {
            let found = arrows::judge(file, |path| pure.get(path.trim_end_matches('/')).copied());
            faults.extend(
                found
                    .into_iter()
                    .map(|what| Fault::new("arrow", file, 0, 1, what)),
            );
        }
    }
    settle(faults);
}

#[test]
fn no_text_speaks_of_the_machine_it_was_written_on() {
    let mut faults = Vec::new();
    for path in texts() {
        // Recorded traffic is what it is.
        if path.starts_with("tests/fixtures/") || path.starts_with("deploy/") {
            continue;
        }
        let found = papers::foreign(&read(&path));
        faults.extend(
            found
                .into_iter()
                .map(|(line, what)| format!("{path}:{line}: {what}")),
        );
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_link_of_a_document_leads_somewhere() {
    let mut faults = Vec::new();
    for path in texts().into_iter().filter(|path| path.ends_with(".md")) {
        let folder = Path::new(&path)
            .parent()
            .unwrap_or(Path::new(""))
            .to_owned();
        for (line, target) in papers::links(&read(&path)) {
            if !root().join(&folder).join(&target).exists() {
                faults.push(format!("{path}:{line}: there is no {target}"));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn migrations_are_numbered_and_embedded() {
    let sources: String = rust_files().iter().map(|file| file.text.as_str()).collect();
    for folder in ["migrations/sqlite/ledger", "migrations/sqlite/facts"] {
        let names: BTreeSet<String> = below(folder)
            .iter()
            .filter_map(|path| path.rsplit('/').next().map(str::to_owned))
            .collect();
        assert_eq!(papers::migrations(&names), Vec::<String>::new(), "{folder}");
        for name in names {
            assert!(
                sources.contains(&name),
                "{folder}/{name} is not embedded by src/store"
            );
        }
    }
}

#[test]
fn every_alarm_figure_and_warning_has_a_row_for_operators() {
    let document = read("docs/operating.md");
    // Schemas of PostgreSQL have such names too.
    let schemas = ["`faregate_ledger`", "`faregate_facts`"];
    let mut shown = BTreeSet::new();
    for file in rust_files().iter().filter(|file| file.is_product()) {
        let product = file.text.split("#[cfg(test)]").next().unwrap_or_default();
        shown.extend(signs::shown(product));
    }
    shown.retain(|sign| !schemas.contains(&sign.as_str()));
    assert!(shown.len() > 50, "found only {shown:?}");
    let missing: Vec<&String> = shown
        .iter()
        .filter(|sign| !signs::has_row(&document, sign))
        .collect();
    assert!(missing.is_empty(), "no row in operating.md: {missing:?}");
}

#[test]
fn a_sign_without_a_row_is_found() {
    let source = "AlarmView { kind: \"fire\".to_owned() } name: \"faregate_heat\", \
                  tracing::warn!(verb = \"burn\", \"hot\"); tracing::error!(\"ash: cold; x\");";
    let signs = signs::shown(source);
    let expected = [
        "alarm `fire`",
        "`faregate_heat`",
        "`verb=burn`",
        "`ash: cold`",
    ];
    assert_eq!(signs, expected);
    assert!(signs::has_row(
        "| `faregate_heat` | hot | cool |",
        "`faregate_heat`"
    ));
    assert!(!signs::has_row("see `faregate_heat`", "`faregate_heat`"));
}

#[test]
fn every_decision_record_has_its_parts() {
    let records = below("docs/adr");
    assert!(
        records.len() >= 11,
        "the first eleven decisions are written down"
    );
    for path in records.iter().filter(|path| path.ends_with(".md")) {
        assert_eq!(papers::record(&read(path)), Vec::<String>::new(), "{path}");
    }
}

#[test]
fn every_folder_of_the_source_is_on_the_map() {
    let map = read("ARCHITECTURE.md");
    let folders: BTreeSet<String> = rust_files()
        .iter()
        .filter(|it| it.is_product())
        .map(|it| it.folder().to_owned())
        .collect();
    for folder in folders
        .iter()
        .filter(|name| !["main", "lib"].contains(&name.as_str()))
    {
        assert!(
            map.contains(&format!("`{folder}")),
            "ARCHITECTURE.md does not name {folder}"
        );
    }
}

#[test]
fn commit_messages_are_short_and_of_no_machine() {
    let listed = Command::new("git")
        .args(["log", "--format=%H%n%B%x00", "-n", "300"])
        .current_dir(root())
        .output();
    let Some(output) = listed.ok().filter(|output| output.status.success()) else {
        eprintln!("no history here (an archive?): commit messages are not judged");
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut faults = Vec::new();
    for message in text
        .split('\0')
        .map(str::trim)
        .filter(|message| !message.is_empty())
    {
        let (commit, body) = message.split_once('\n').unwrap_or((message, ""));
        let found = papers::foreign(body);
        faults.extend(
            found
                .into_iter()
                .map(|(_, what)| format!("{commit}: {what}")),
        );
        let subject = body.lines().next().unwrap_or_default();
        faults.extend(papers::subject(subject).map(|what| format!("{commit}: {what}")));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn an_exception_may_shrink_and_not_grow() {
    let listed = "# rule path size reason\nfile-length src/a.rs 510 wants to be two files\n";
    let found = |rule: &'static str, size: usize| {
        let file = Source::new("src/a.rs", "");
        left_over(
            listed,
            vec![Fault::new(rule, &file, 0, size, "x".to_owned())],
        )
    };
    assert!(found("file-length", 509).is_empty());
    assert!(found("file-length", 510).is_empty());
    assert_eq!(found("file-length", 511).len(), 1);
    assert_eq!(
        found("float", 1).len(),
        2,
        "the float, and the exception not needed"
    );
}

/// One thing that is wrong, and the rule that says so.
struct Fault {
    rule: &'static str,
    path: String,
    size: usize,
    said: String,
}

impl Fault {
    fn new(rule: &'static str, file: &Source, line: usize, size: usize, what: String) -> Fault {
        Fault {
            rule,
            path: file.path.clone(),
            size,
            said: format!("{}:{line}: {what}", file.path),
        }
    }
}

/// Fails on what `left_over` leaves.
fn settle(faults: Vec<Fault>) {
    let said = left_over(&read("tests/tidy/exceptions.txt"), faults);
    assert!(
        said.is_empty(),
        "{} faults\n{}",
        said.len(),
        said.join("\n")
    );
}

/// Every fault without an exception, every exception that has grown, and every one without a fault.
fn left_over(listed: &str, faults: Vec<Fault>) -> Vec<String> {
    let mut excepted = exceptions(listed);
    let mut found: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut said = Vec::new();
    for fault in faults {
        let key = (fault.rule.to_owned(), fault.path);
        if excepted.contains_key(&key) {
            *found.entry(key).or_default() += fault.size;
        } else {
            said.push(format!("[{}] {}", fault.rule, fault.said));
        }
    }
    for (key, size) in found {
        let allowed = excepted.remove(&key).unwrap_or_default();
        if size > allowed {
            let (rule, path) = key;
            said.push(format!("[{rule}] {path}: {size}, excepted for {allowed}"));
        }
    }
    said.extend(
        excepted
            .keys()
            .map(|(rule, path)| format!("[{rule}] {path}: exception not needed")),
    );
    said
}

/// Rule and path, and how much is excepted.
fn exceptions(listed: &str) -> BTreeMap<(String, String), usize> {
    let lines = listed.lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let read = |line: &str| {
        let words: Vec<&str> = line.splitn(4, ' ').collect();
        let [rule, path, size, reason] = words[..] else {
            panic!("an exception is `rule path size reason`: {line}");
        };
        assert!(reason.len() > 10, "an exception needs a reason: {line}");
        let size = size.parse();
        let size = size.unwrap_or_else(|_| panic!("an exception needs its size: {line}"));
        ((rule.to_owned(), path.to_owned()), size)
    };
    lines.map(read).collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|fault| panic!("{path}: {fault}"))
}

/// `src/gate/parse.rs` and `src/gate/mod.rs` as the arrows name them: `gate/parse`, `gate`.
fn module(file: &Source) -> String {
    let below = file.path.strip_prefix("src/").unwrap_or(&file.path);
    below
        .trim_end_matches(".rs")
        .trim_end_matches("/mod")
        .to_owned()
}

fn rust_files() -> Vec<Source> {
    let mut paths: Vec<String> = ["src", "tests", "bench"]
        .iter()
        .flat_map(|it| below(it))
        .collect();
    paths.retain(|path| path.ends_with(".rs") && !path.starts_with("tests/fixtures/"));
    paths
        .iter()
        .map(|path| Source::new(path, &read(path)))
        .collect()
}

/// Every text of the package that people read or that runs: documents, scripts, policies, code.
fn texts() -> Vec<String> {
    const KINDS: &[&str] = &[
        "rs", "md", "toml", "sql", "py", "sh", "html", "css", "js", "txt", "tsv", "story",
        "service",
    ];
    let mut paths = below("");
    paths.retain(|path| {
        let name = path.rsplit('/').next().unwrap_or(path);
        KINDS.contains(&name.rsplit('.').next().unwrap_or_default()) || name == "run"
    });
    paths
}

/// Files below a folder of the package, their paths from its root; built and hidden ones left out.
fn below(folder: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![root().join(folder)];
    while let Some(folder) = open.pop() {
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            let name = entry.file_name().to_string_lossy().into_owned();
            let skipped = name == "target" || name == "results" || name == "demo-state";
            if skipped || (name.starts_with('.') && name != ".ci") {
                continue;
            }
            if path.is_dir() {
                open.push(path);
            } else if let Ok(short) = path.strip_prefix(root()) {
                found.push(short.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    found.sort();
    found
}
