//! Every dependency's licence is one that this package may be shipped with. The list is
//! `tests/licences.txt`; the facts come from `cargo metadata`, which needs no network here.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

#[test]
fn every_dependency_has_a_licence_from_the_list() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let listed =
        std::fs::read_to_string(root.join("tests/licences.txt")).expect("the list is there");
    let allowed = read_list(&listed);
    let target = "x86_64-unknown-linux-gnu";
    let output = Command::new(option_env!("CARGO").unwrap_or("cargo"))
        .args([
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            target,
        ])
        .current_dir(root)
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let facts: serde_json::Value = serde_json::from_slice(&output.stdout).expect("it prints JSON");
    let packages = facts["packages"].as_array().expect("it lists packages");
    assert!(
        packages.len() > 50,
        "only {} packages: is this the whole tree?",
        packages.len()
    );
    let refused: Vec<String> = packages
        .iter()
        .filter_map(|it| refusal(it, &allowed))
        .collect();
    assert!(
        refused.is_empty(),
        "not in tests/licences.txt:\n{}",
        refused.join("\n")
    );
}

fn refusal(package: &serde_json::Value, allowed: &BTreeSet<String>) -> Option<String> {
    let expression = package["license"].as_str().unwrap_or_default();
    let fits = permits(expression, allowed);
    (!fits).then(|| format!("{} {}: {expression:?}", package["name"], package["version"]))
}

fn read_list(text: &str) -> BTreeSet<String> {
    let line = |line: &str| line.trim().to_owned();
    text.lines()
        .map(line)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

/// Can the expression be met by the allowed ids? `OR` (and the old `/`) needs one side, `AND` both.
fn permits(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression
        .replace('(', " ( ")
        .replace(')', " ) ")
        .replace('/', " OR ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = either(&words, &mut at, allowed);
    met && at == words.len()
}

fn either(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = both(words, at, allowed);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= both(words, at, allowed);
    }
    met
}

fn both(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let mut met = one(words, at, allowed);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at, allowed);
    }
    met
}

fn one(words: &[&str], at: &mut usize, allowed: &BTreeSet<String>) -> bool {
    let word = words.get(*at).copied().unwrap_or_default();
    *at += 1;
    if word == "(" {
        let met = either(words, at, allowed);
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return met && closed;
    }
    match (words.get(*at), words.get(*at + 1)) {
        (Some(&"WITH"), Some(exception)) => {
            *at += 2;
            allowed.contains(&format!("{word} WITH {exception}"))
        }
        _ => allowed.contains(word),
    }
}

#[test]
fn a_licence_expression_is_read_as_its_words_say() {
    let allowed = read_list("# no\nMIT\nApache-2.0\nApache-2.0 WITH LLVM-exception\n");
    let good = [
        "MIT",
        "MIT OR GPL-3.0",
        "MIT/GPL-2.0",
        "MIT AND Apache-2.0",
        "(GPL-3.0 OR MIT) AND MIT",
        "Apache-2.0 WITH LLVM-exception",
    ];
    let bad = [
        "",
        "GPL-3.0",
        "MIT AND GPL-3.0",
        "MIT WITH Other-exception",
        "(MIT",
        "MIT MIT",
        "(MIT OR GPL-3.0) AND GPL-3.0",
    ];
    for expression in good {
        assert!(permits(expression, &allowed), "{expression} is refused");
    }
    for expression in bad {
        assert!(!permits(expression, &allowed), "{expression} passes");
    }
}
