//! Every rule fires on a bad snippet and is silent on a good one.

use crate::source::{Source, lines_with};
use crate::{arrows, papers, rules};

/// Rule, path, a snippet that must be refused, one that must pass.
const CASES: &[(&str, &str, &str, &str)] = &[
    (
        "head",
        "src/gate/a.rs",
        "//! A file.\n",
        "//! Edge: a file.\n",
    ),
    (
        "pure",
        "src/rate/a.rs",
        "//! Pure: x\nasync fn a() {}\n",
        "//! Pure: x\n// async\nfn a() {}\n",
    ),
    (
        "pure",
        "src/rate/b.rs",
        "//! Pure: x\nuse std::fs;\n",
        "//! Edge: x\nuse std::fs;\n",
    ),
    (
        "pure",
        "src/rate/c.rs",
        "//! Pure: x\nfn a() { SystemTime::now(); }\n",
        "//! Pure: x\nfn a() -> &'static str { \"SystemTime\" }\n",
    ),
    (
        "float",
        "src/rate/d.rs",
        "fn a(b: f64) {}\n",
        "fn a(b: u64) { b.0.1; 0..10 }\n",
    ),
    (
        "float",
        "src/rate/e.rs",
        "const A: D = d(0.25);\n",
        "const A: D = d(\"0.25\"); // 0.25\n",
    ),
    (
        "unbounded",
        "src/store/a.rs",
        "let a = mpsc::unbounded_channel();\n",
        "let a = mpsc::channel(LIMIT);\n",
    ),
    (
        "to-do",
        "src/store/b.rs",
        "// TO\u{44}O: later\n",
        "// nothing is left to do\n",
    ),
    (
        "library",
        "src/gate/c.rs",
        "use sqlx::Row;\n",
        "use crate::store::Row; // not sqlx\n",
    ),
    (
        "library",
        "src/rate/f.rs",
        "use hyper::Uri;\n",
        "use crate::terms::Uri;\n",
    ),
    ("name", "src/gate/utils.rs", "//! Edge: x\n", ""),
    (
        "expect",
        "src/gate/d.rs",
        "let a = b.expect(\"c\");\n",
        "// b was set above\nb.expect(\"c\");\n",
    ),
    (
        "serde",
        "src/ledger/a.rs",
        "//! Pure: x\n#[derive(Serialize)]\nstruct A;\n",
        "//! Pure: x\n#[derive(Clone)]\nstruct A;\n",
    ),
    (
        "test-name",
        "tests/it/a.rs",
        "#[test]\nfn hold_2() {}\n",
        "#[test]\nfn an_expired_hold_gives_the_money_back() {}\n",
    ),
    (
        "ignored",
        "tests/it/b.rs",
        "#[ignore]\nfn a() {}\n",
        "#[ignore = \"needs nginx\"]\nfn a() {}\n",
    ),
];

fn judged(rule: &str, path: &str, text: &str) -> bool {
    let rule = rules::RULES
        .iter()
        .find(|it| it.name == rule)
        .expect("the rule exists");
    !(rule.judge)(&Source::new(path, text)).is_empty()
}

#[test]
fn each_rule_fires_on_a_bad_snippet_only() {
    for (rule, path, bad, good) in CASES {
        assert!(judged(rule, path, bad), "{rule} is silent on {bad:?}");
        let path = if *rule == "name" {
            "src/gate/parse.rs"
        } else {
            path
        };
        assert!(!judged(rule, path, good), "{rule} fires on {good:?}");
    }
}

#[test]
fn every_rule_has_been_tried() {
    let by_length = ["file-length", "function-length", "inline-tests", "width"];
    for rule in rules::RULES {
        let tried = CASES.iter().any(|case| case.0 == rule.name) || by_length.contains(&rule.name);
        assert!(tried, "{} has no bad snippet", rule.name);
    }
}

#[test]
fn lengths_are_counted_to_the_line() {
    let lines = |count: usize| "// x\n".repeat(count);
    assert!(judged(
        "file-length",
        "src/a.rs",
        &lines(rules::FILE_LINES_MAX + 1)
    ));
    assert!(!judged(
        "file-length",
        "src/a.rs",
        &lines(rules::FILE_LINES_MAX)
    ));
    let function = |count: usize| format!("fn a() {{\n{}}}\n", "    b();\n".repeat(count - 2));
    assert!(judged(
        "function-length",
        "src/a.rs",
        &function(rules::FUNCTION_LINES_MAX + 1)
    ));
    assert!(!judged(
        "function-length",
        "src/a.rs",
        &function(rules::FUNCTION_LINES_MAX)
    ));
    let tests = |count: usize| format!("#[cfg(test)]\nmod tests {{\n{}}}\n", lines(count));
    assert!(judged(
        "inline-tests",
        "src/a.rs",
        &tests(rules::INLINE_TEST_LINES_MAX)
    ));
    assert!(!judged("inline-tests", "src/a.rs", &tests(10)));
    assert!(!judged(
        "file-length",
        "src/a.rs",
        &format!("{}{}", lines(400), tests(200))
    ));
    assert!(judged("width", "src/a.rs", &"x".repeat(101)));
    assert!(!judged("width", "src/a.rs", &"ä".repeat(100)));
}

#[test]
fn an_arrow_against_the_flow_is_found() {
    let pure = |path: &str| match path {
        "meter/line" => Some(false),
        _ => Some(true),
    };
    let faults = |path: &str, text: &str| arrows::judge(&Source::new(path, text), pure);
    let bad = [
        ("src/ledger/a.rs", "//! Pure: x\nuse crate::rate::month;\n"),
        (
            "src/rate/a.rs",
            "//! Pure: x\nuse crate::{terms::ids::Id, store::Store};\n",
        ),
        (
            "src/rate/b.rs",
            "//! Pure: x\nuse crate::cloudstack::query::ParamMap;\n",
        ),
        ("src/gate/a.rs", "//! Pure: x\nuse crate::store::Store;\n"),
        ("src/gate/b.rs", "//! Edge: x\nuse crate::bill::line;\n"),
        (
            "src/cover/a.rs",
            "//! Pure: x\nuse crate::meter::line::Follow;\n",
        ),
        ("src/unheard/a.rs", "//! Pure: x\n"),
    ];
    for (path, text) in bad {
        assert!(!faults(path, text).is_empty(), "{path} passes: {text}");
    }
    let good = [
        (
            "src/ledger/a.rs",
            "//! Pure: x\n// crate::rate\nuse crate::terms::{ids::A, money::B};\n",
        ),
        (
            "src/rate/a.rs",
            "//! Pure: x\nuse crate::cloudstack::usage_type::UsageType;\n",
        ),
        ("src/gate/a.rs", "//! Edge: x\nuse crate::store::Store;\n"),
        (
            "src/rate/t.rs",
            "//! Pure: x\n#[cfg(test)]\nmod tests {\n use crate::store::A;\n}\n",
        ),
    ];
    for (path, text) in good {
        assert_eq!(faults(path, text), Vec::<String>::new(), "{path}");
    }
}

#[test]
fn comments_and_literals_are_told_from_code() {
    let text = "let a = \"f64 // no\"; // f64\nlet b = r#\"f64 \" \"#; /* f64 /* f64 */ */ let c = '\"';\n\
                let d: &'static str = b\"f64\"; let e = '\\''; let f: f64;\n";
    let file = Source::new("src/a.rs", text);
    assert_eq!(lines_with(&file.code, "f64"), vec![3]);
    assert_eq!(lines_with(&file.comments, "f64"), vec![1, 2]);
}

#[test]
fn papers_are_judged_too() {
    let word = &papers::foreign_words()[0];
    assert_eq!(papers::foreign(&format!("fine\nsee {word}x\n")).len(), 1);
    assert!(papers::foreign("see docs/operating.md\n").is_empty());
    assert!(papers::subject(&"ä".repeat(papers::SUBJECT_MAX)).is_none());
    assert!(papers::subject(&"x".repeat(papers::SUBJECT_MAX + 1)).is_some());
    assert!(papers::subject("").is_some());
    let named =
        |names: &[&str]| papers::migrations(&names.iter().map(|it| it.to_string()).collect());
    assert!(named(&["0001_books.sql", "0002_caps.sql"]).is_empty());
    assert!(!named(&["0001_books.sql", "0003_caps.sql"]).is_empty());
    assert!(!named(&["0001_.sql"]).is_empty());
    assert_eq!(
        papers::links("[a](b.md#c) [d](https://e) ```\n"),
        vec![(1, "b.md".to_owned())]
    );
    assert!(!papers::record("Status: accepted.\n**Decision.** no context").is_empty());
}
