//! Edge: files as operators write them, with the mistakes that people make: `faregate check` names
//! file, line, value and what to write instead, and takes nothing of a set that has a fault.

use std::path::{Path, PathBuf};
use std::process::Command;

const CONFIG: &str = "faregate.toml";
const CUSTOMERS: &str = "policies/customers/examples.toml";
const TARIFF: &str = "policies/tariffs/2026-01-01-standard.toml";
const PREPAID: &str = "policies/prepaid/standard.toml";
const LIMITS: &str = "policies/limits/examples.toml";
const SELLER: &str = "policies/sellers/house.toml";

/// What somebody did to a file.
enum Did {
    /// Wrote this in place of that, once.
    Wrote(&'static str, &'static str),
    /// Put these bytes at its end.
    Added(&'static [u8]),
    /// Left this in it, and nothing else.
    Left(&'static [u8]),
    /// Removed it.
    Removed,
    /// Made a folder in its place.
    Folder,
}
use Did::{Added, Folder, Left, Removed, Wrote};

/// A folder as `faregate init` makes it, with what an operator fills in.
fn fresh(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bad-input-{name}"));
    let _ = std::fs::remove_dir_all(&folder);
    let made = Command::new(env!("CARGO_BIN_EXE_faregate"))
        .arg("init")
        .arg(&folder)
        .output();
    assert!(made.unwrap().status.success());
    let config = folder.join(CONFIG);
    let text = std::fs::read_to_string(&config).unwrap();
    let text = text.replace("reader_key = \"\"", "reader_key = \"reader\"");
    std::fs::write(config, text).unwrap();
    std::fs::write(folder.join("reader.secret"), "hunter2").unwrap();
    folder
}

fn check(folder: &Path) -> (bool, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_faregate"))
        .args(["check", "--config", CONFIG])
        .current_dir(folder)
        .output()
        .unwrap();
    let [out, err] = [output.stdout, output.stderr].map(|it| String::from_utf8(it).unwrap());
    (output.status.success(), format!("{out}{err}"))
}

fn change(path: &Path, did: &Did) {
    match did {
        Wrote(before, after) => {
            let text = std::fs::read_to_string(path).unwrap();
            assert!(
                text.contains(before),
                "{} has no `{before}`",
                path.display()
            );
            std::fs::write(path, text.replacen(before, after, 1)).unwrap();
        }
        Added(bytes) => {
            let text = std::fs::read(path).unwrap();
            std::fs::write(path, [&text, *bytes].concat()).unwrap();
        }
        Left(bytes) => std::fs::write(path, bytes).unwrap(),
        Removed => std::fs::remove_file(path).unwrap(),
        Folder => {
            std::fs::remove_file(path).unwrap();
            std::fs::create_dir(path).unwrap();
        }
    }
}

/// Each mistake: is the set refused, with these parts in what is told?
fn all_are_named(name: &str, cases: &[(&str, Did, &[&str])]) {
    let folder = fresh(name);
    let (stands, told) = check(&folder);
    assert!(stands && told.contains("no fault"), "{told}");
    for (file, did, parts) in cases {
        let path = folder.join(file);
        let before = std::fs::read(&path).unwrap();
        change(&path, did);
        let (stands, told) = check(&folder);
        for part in *parts {
            assert!(
                told.contains(part),
                "`{part}` is not told of {file}:\n{told}"
            );
        }
        assert!(!stands && !told.contains("no fault"), "{told}");
        assert!(!told.contains("hunter2"), "a secret is told: {told}");
        assert!(
            !told.contains("panicked") && !told.contains(":0:"),
            "{told}"
        );
        if path.is_dir() {
            std::fs::remove_dir(&path).unwrap();
        }
        std::fs::write(&path, before).unwrap();
    }
    let (stands, told) = check(&folder);
    assert!(stands, "a mistake outlived its correction: {told}");
}

#[test]
fn mistakes_in_policies_are_named_with_their_line() {
    all_are_named(
        "policies",
        &[
            (
                CUSTOMERS,
                Wrote("seller = ", "seler = "),
                &["examples.toml:11:", "`seler`"],
            ),
            (
                CUSTOMERS,
                Wrote("book = \"standard\"", "book = \"standart\""),
                &["examples.toml:14:", "`standart` is not known", "[book]"],
            ),
            (
                CUSTOMERS,
                Wrote("\"postpaid-example\"", "\"prepaid-example\""),
                &["examples.toml:18:", "written twice"],
            ),
            (
                CUSTOMERS,
                Added(b"# caf\xe9\n"),
                &["not UTF-8", "examples.toml:33:", "save"],
            ),
            (
                CUSTOMERS,
                Left(b""),
                &["`prepaid-example` is not a customer"],
            ),
            (
                TARIFF,
                Wrote("\"0.0120\"", "0.0120"),
                &["standard.toml:12:", "expected a string"],
            ),
            (
                TARIFF,
                Wrote("\"0.0120\"", "\"0,0120\""),
                &["standard.toml:12:", "`0,0120`"],
            ),
            (
                TARIFF,
                Wrote("unit = \"month\"", "unit = \"minute\""),
                &["`minute`", "hour, month"],
            ),
            (
                TARIFF,
                Wrote("from = 2026-01-01", "from = 2026-02-30"),
                &["standard.toml:6:", "between 01 and 28"],
            ),
            (
                TARIFF,
                Wrote("from = 2026-01-01", "from = \"01.01.2026\""),
                &["standard.toml:6:", "01.01.2026"],
            ),
            (
                PREPAID,
                Wrote("\"1h\"", "\"1 hour\""),
                &["standard.toml:4:", "write 90s, 5m"],
            ),
            (
                LIMITS,
                Wrote("period = \"1m\"", "period = \"2d\""),
                &[":9:", "`2d`", "1s to 1d"],
            ),
            (
                SELLER,
                Wrote("\"0.19\"", "\"19\""),
                &["house.toml:18:", "write \"0.19\""],
            ),
            (
                SELLER,
                Wrote("Europe/Berlin", "Europe/Berln"),
                &["house.toml:8:", "Europe/Berln"],
            ),
        ],
    );
}

#[test]
fn mistakes_in_the_configuration_and_its_keys_are_named() {
    all_are_named(
        "config",
        &[
            (
                CONFIG,
                Wrote("gate = \"127.0.0.1:8180\"", "gate = \"here\""),
                &["faregate.toml:5:", "listen.gate = \"here\""],
            ),
            (CONFIG, Wrote("[paths]", "[path]"), &["`path`", "`paths`"]),
            (
                CONFIG,
                Added(b"# caf\xe9\n"),
                &["not UTF-8", "save the file as UTF-8"],
            ),
            (
                CONFIG,
                Left(b""),
                &["faregate.toml:1:", "missing field `listen`"],
            ),
            (CONFIG, Folder, &["cannot be read", "faregate init"]),
            (
                "reader.secret",
                Removed,
                &["secret file reader.secret cannot be read", "name a file"],
            ),
            (
                "reader.secret",
                Folder,
                &["secret file reader.secret cannot be read"],
            ),
            (
                "reader.secret",
                Left(b"\xff\xfe"),
                &["reader.secret", "UTF-8"],
            ),
            (
                "faregate.key",
                Removed,
                &["key file faregate.key", "`faregate init` makes one"],
            ),
            ("faregate.key", Folder, &["key file faregate.key"]),
            (
                "faregate.key",
                Left(b"abc"),
                &["64 hexadecimal digits", "restore it"],
            ),
        ],
    );
}

#[test]
fn every_file_that_is_not_utf_8_is_named_at_once() {
    let folder = fresh("several");
    for file in [CUSTOMERS, SELLER] {
        change(&folder.join(file), &Added(b"\xff\n"));
    }
    let (stands, told) = check(&folder);
    assert!(!stands && told.contains("2 fault(s)"), "{told}");
    assert!(told.contains(CUSTOMERS) && told.contains(SELLER), "{told}");
}
