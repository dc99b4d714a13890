//! Edge: `faregate check` holds the command table against what a running server says of itself.
#![allow(
    clippy::disallowed_methods,
    reason = "a test has a clock and settings of its own"
)]

use crate::stage::Stage;
use faregate::cloudstack::command::{Class, CommandTable};
use faregate::cloudstack::live::{Difference, LiveCommand, compare};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const RECORDED: &str = include_str!("../fixtures/cloudstack/catalogue.tsv");

/// The recorded `listApis` of 4.22, as a live server's.
fn recorded() -> Vec<LiveCommand> {
    let lines = RECORDED.lines().filter(|line| !line.starts_with('#'));
    let read = |line: &str| {
        let fields: Vec<&str> = line.split('\t').collect();
        let params = fields[2].split(',').filter(|one| !one.is_empty());
        let params = params.map(|param| {
            let mut of = param.split(':');
            let name = of.next().unwrap().to_ascii_lowercase();
            (name, of.next().unwrap().to_owned())
        });
        LiveCommand {
            name: fields[0].to_owned(),
            is_async: fields[1] == "async",
            params: params.collect(),
        }
    };
    lines.map(read).collect()
}

fn differences(live: &[LiveCommand]) -> Vec<Difference> {
    compare(&CommandTable::new(&[]).unwrap(), live)
}

#[test]
fn the_recorded_server_differs_in_nothing_and_each_of_its_commands_is_classed() {
    let live = recorded();
    assert_eq!(live.len(), 831);
    assert_eq!(differences(&live), []);
    let table = CommandTable::new(&[]).unwrap();
    for api in &live {
        let known = table.get(&api.name).unwrap();
        assert!(
            known.class != Class::Raises || api.name.len() > 3,
            "{}",
            api.name
        );
        assert!(!known.reason.is_empty(), "{}", api.name);
    }
}

#[test]
fn what_is_new_gone_or_otherwise_is_named() {
    let mut live = recorded();
    live.retain(|api| api.name != "listZones");
    for api in &mut live {
        if api.name == "createVolume" {
            api.params
                .push(("encryptwith".to_owned(), "uuid".to_owned()));
        }
        if api.name == "stopVirtualMachine" {
            api.is_async = false;
        }
        if api.name == "listVolumes" {
            api.params
                .push(("anything".to_owned(), "string".to_owned()));
        }
    }
    for (name, is_async) in [("listMoons", false), ("createMoon", true)] {
        live.push(LiveCommand {
            name: name.to_owned(),
            is_async,
            params: Vec::new(),
        });
    }
    let told: Vec<String> = differences(&live).iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "new        createMoon (asynchronous) is refused with 432 until [commands] gives it a \
             class",
            "new        listMoons is a list: it is forwarded",
            "gone       listZones",
            "otherwise  stopVirtualMachine is synchronous there",
            "parameter  encryptwith (uuid) of createVolume is refused with 431: it is not priced",
        ]
    );
}

fn check(stage: &Stage, key_file: &str) -> (bool, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_faregate"))
        .args([
            "check",
            "--config",
            &stage.config(),
            "--admin-key-file",
            key_file,
        ])
        .output()
        .unwrap();
    let all = [out.stdout, out.stderr].concat();
    (out.status.success(), String::from_utf8(all).unwrap())
}

#[test]
fn an_operators_key_is_used_once_and_the_snapshot_is_what_serve_loads() {
    let mut stage = Stage::start("live-commands", &[]);
    let admin = stage.admin();
    let file = stage.folder.join("admin.key");
    let name = file.display().to_string();
    std::fs::write(&file, format!("{}\n{}\n", admin.key, admin.secret)).unwrap();
    let (done, told) = check(&stage, &name);
    assert!(!done && told.contains("chmod 600"), "{told}");

    std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
    let (done, told) = check(&stage, &name);
    assert!(done && told.contains("0 difference(s)"), "{told}");
    assert!(
        !told.contains(&admin.secret) && !told.contains(&admin.key),
        "{told}"
    );
    let snapshot = told
        .split("written to ")
        .nth(1)
        .unwrap()
        .lines()
        .next()
        .unwrap();
    let text = std::fs::read_to_string(snapshot).unwrap();
    assert!(
        text.contains("\ndeployVirtualMachine\tasync\n"),
        "{}",
        text.len()
    );

    let ann = stage.customer(0);
    let ours = format!("{}\n{}\n", ann.key, ann.secret);
    std::fs::write(&file, ours).unwrap();
    let (done, told) = check(&stage, &name);
    assert!(!done && told.contains("root admin"), "{told}");

    // A list that only the running server knows is forwarded once the snapshot names it.
    let before = ann.call("listMoons", &[]).unwrap();
    assert_eq!(before.status, 432, "{before:?}");
    std::fs::write(
        snapshot,
        format!("{text}listMoons\tsync\ncreateMoon\tasync\n"),
    )
    .unwrap();
    stage.kill_gate();
    stage.start_again();
    let ann = stage.customer(0);
    let list = ann.call("listMoons", &[]).unwrap();
    assert_eq!(list.status, 401, "the sandbox's own answer: {list:?}");
    assert_eq!(ann.call("listZones", &[]).unwrap().status, 200);
    let create = ann.call("createMoon", &[]).unwrap();
    assert_eq!(create.status, 432, "{create:?}");
}
