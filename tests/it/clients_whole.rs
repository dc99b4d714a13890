//! Real clients from PyPI and npm run a customer's whole day through the gate, and against the
//! cloud itself: what they are told is the same, step by step.

#![allow(
    clippy::disallowed_methods,
    reason = "tests/run says where it installed the clients"
)]

use crate::stage::{Caller, Stage};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;
use std::sync::LazyLock;

/// The environment that `tests/run` makes, else one made here.
static PYTHON: LazyLock<PathBuf> = LazyLock::new(|| {
    let made = std::env::var("FAREGATE_TEST_VENV").map(PathBuf::from);
    let folder =
        made.unwrap_or_else(|_| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("clients"));
    if !folder.join("bin/python").exists() {
        let venv = Command::new("python3")
            .args(["-m", "venv"])
            .arg(&folder)
            .status();
        assert!(
            venv.is_ok_and(|it| it.success()),
            "python3 -m venv {folder:?} fails"
        );
    }
    let has = Command::new(folder.join("bin/python"))
        .args(["-c", "import cs, libcloud, ansible"])
        .output();
    if !has.is_ok_and(|it| it.status.success()) {
        let pip = Command::new(folder.join("bin/pip"))
            .args(["install", "-q", "cs==5.2.0", "apache-libcloud==3.9.1"])
            .arg("ansible==12.3.0")
            .status();
        assert!(
            pip.is_ok_and(|it| it.success()),
            "the clients cannot be installed from PyPI"
        );
    }
    folder.join("bin/python")
});

/// Runs a script of `tests/clients` with its client; gives the lines that it prints.
pub fn lines(script: &str, arguments: &[String], environment: &[(&str, String)]) -> Vec<String> {
    let path = format!("{}/tests/clients/{script}", env!("CARGO_MANIFEST_DIR"));
    let mut program = if script.ends_with(".js") {
        let mut node = Command::new("node");
        node.env("CSCLIENT", CSCLIENT.as_path());
        node
    } else {
        Command::new(PYTHON.as_path())
    };
    let output = program
        .arg(path)
        .args(arguments)
        .envs(environment.iter().cloned())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{script}: {said}");
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn day(scenario: &str, caller: &Caller, arguments: &[String]) -> Vec<String> {
    lines(scenario, arguments, &caller.environment())
}

/// csclient from npm: in the folder that `tests/run` made, else installed here.
static CSCLIENT: LazyLock<PathBuf> = LazyLock::new(|| {
    let made = std::env::var("FAREGATE_TEST_NPM").map(PathBuf::from);
    let folder = made.unwrap_or_else(|_| PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("npm"));
    let module = folder.join("node_modules/csclient");
    if !module.exists() {
        let npm = Command::new("npm")
            .args(["install", "--silent", "--prefix"])
            .arg(&folder)
            .arg("csclient@0.6.4")
            .status();
        assert!(
            npm.is_ok_and(|it| it.success()),
            "csclient cannot be installed from npm"
        );
    }
    module
});

/// The same customer at the cloud itself.
fn directly(stage: &Stage) -> Caller {
    Caller {
        endpoint: stage.text("/sandbox/endpoint"),
        ..stage.customer(0)
    }
}

fn disk(stage: &Stage) -> String {
    let heard = stage.admin().call("listDiskOfferings", &[]).unwrap();
    let rows = heard.inside()["diskoffering"].as_array().unwrap().clone();
    let fixed = rows.iter().find(|row| row["iscustomized"] == false);
    fixed.unwrap()["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_day_with_cs_is_the_same_through_the_gate_as_without_it() {
    let stage = Stage::start("day-cs", &[]);
    stage.top_up("prepaid-paula", "50.00", "day");
    let arguments = [
        stage.text("/zone_id"),
        stage.text("/template_id"),
        stage.text("/offerings/small"),
        disk(&stage),
    ];
    let through = day("cs_scenario.py", &stage.customer(0), &arguments);
    let direct = day("cs_scenario.py", &directly(&stage), &arguments);
    assert_eq!(through.len(), 11, "{through:#?}");
    assert_eq!(through, direct);
}

#[test]
fn a_day_with_libcloud_is_the_same_through_the_gate_as_without_it() {
    let stage = Stage::start("day-libcloud", &[]);
    stage.top_up("prepaid-paula", "50.00", "day");
    let arguments = [
        stage.text("/zone_id"),
        stage.text("/template_id"),
        stage.text("/offerings/small"),
        stage.text("/customers/0/network_id"),
    ];
    // A destroyed machine keeps its name for a while.
    let named = |name: &str| [arguments.as_slice(), &[name.to_owned()]].concat();
    let through = day("libcloud_scenario.py", &stage.customer(0), &named("one"));
    let direct = day("libcloud_scenario.py", &directly(&stage), &named("two"));
    assert_eq!(through.len(), 10, "{through:#?}");
    assert_eq!(through, direct);
}

#[test]
fn a_day_with_csclient_is_the_same_through_the_gate_as_without_it() {
    let stage = Stage::start("day-csclient", &[]);
    stage.top_up("prepaid-paula", "50.00", "day");
    let heard = stage
        .admin()
        .call("listNetworkOfferings", &[("guestiptype", "Isolated")]);
    let rows = heard.unwrap().inside()["networkoffering"].clone();
    let rows = rows.as_array().unwrap();
    let offering = rows.iter().find(|row| row["forvpc"] != true).unwrap()["id"].clone();
    let arguments = [
        stage.text("/zone_id"),
        stage.text("/template_id"),
        stage.text("/offerings/small"),
        disk(&stage),
        offering.as_str().unwrap().to_owned(),
    ];
    let named = |name: &str| [arguments.as_slice(), &[name.to_owned()]].concat();
    let through = day("csclient_scenario.js", &stage.customer(0), &named("one"));
    let direct = day("csclient_scenario.js", &directly(&stage), &named("two"));
    assert_eq!(through.len(), 8, "{through:#?}");
    assert_eq!(through, direct);
}

#[test]
fn a_day_with_ansible_is_the_same_through_the_gate_as_without_it() {
    let stage = Stage::start("day-ansible", &[]);
    stage.top_up("prepaid-paula", "50.00", "day");
    let name = |command: &str, kind: &str, wanted: &dyn Fn(&Value) -> bool| {
        let heard = stage.admin().call(command, &[]).unwrap().inside();
        let rows = heard[kind].as_array().unwrap().clone();
        let row = rows.iter().find(|row| wanted(row)).unwrap();
        row["name"].as_str().unwrap().to_owned()
    };
    let is = |id: String| move |row: &Value| row["id"] == id.as_str();
    let small = is(stage.text("/offerings/small"));
    let arguments = [
        stage.text("/zone_id"),
        stage.text("/template_id"),
        name("listServiceOfferings", "serviceoffering", &small),
        name("listDiskOfferings", "diskoffering", &|row| {
            row["iscustomized"] == false
        }),
        name("listNetworkOfferings", "networkoffering", &|row| {
            row["guestiptype"] == "Isolated" && row["forvpc"] != true
        }),
    ];
    // The second machine is one more than the cloud lets her have.
    let domain = stage.text("/customers/0/domain_id");
    let limit = [
        ("account", "prepaid-paula"),
        ("domainid", domain.as_str()),
        ("resourcetype", "0"),
        ("max", "1"),
    ];
    let heard = stage.admin().call("updateResourceLimit", &limit).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    let named = |name: &str| [arguments.as_slice(), &[name.to_owned()]].concat();
    let through = day("ansible_scenario.py", &stage.customer(0), &named("one"));
    let direct = day("ansible_scenario.py", &directly(&stage), &named("two"));
    assert_eq!(through, direct);
    let told: Vec<Value> = through
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let ended: Vec<_> = told
        .iter()
        .map(|it| (it["step"].as_str().unwrap(), it["changed"] == true))
        .collect();
    let expected = [
        ("network", true),
        ("deploy", true),
        ("deploy again", false),
        ("stop", true),
        ("start", true),
        ("volume", true),
        ("attach", true),
        ("address", true),
        ("refused", true),
        ("detach", true),
        ("delete volume", true),
        ("release", true),
        ("destroy", true),
    ];
    assert_eq!(ended, expected);
    let failed = told.iter().filter(|it| it["failed"] == true);
    let texts: Vec<_> = failed.map(|it| it["text"].as_str().unwrap()).collect();
    assert!(
        matches!(texts[..], [text] if text.contains("Maximum amount of resources")),
        "{texts:?}"
    );
}
