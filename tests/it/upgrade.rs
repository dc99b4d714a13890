//! Promises of the way to a newer release and back: the books go along, whoever is killed on it.
#![allow(clippy::unwrap_used, reason = "a test stops where it must not go on")]

use crate::campaign::{self, Draw};
use crate::postgres::on_both;
use crate::stage::{Stage, until};
use crate::store::{Folder, hold_with_intent, open_payer, payer, top_up};
use faregate::ledger::Command;
use faregate::ledger::records::HoldStatus;
use faregate::store::forms::{self, NEWEST, RELEASES};
use faregate::store::{Place, Store, Work};
use faregate::terms::ids::HoldId;
use faregate::terms::time::Timestamp;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

/// Live holds, one that is settled, one given back.
async fn lived_in(store: &Store) {
    store.submit(Work::of(open_payer())).await.unwrap();
    let money = Work::of(top_up("p1", 1_000_000));
    store.submit(money).await.unwrap();
    for number in 1..=9 {
        let hold = hold_with_intent(number, 7_000);
        store.submit(hold).await.unwrap();
    }
    let at = Timestamp::from_seconds(9);
    let ends = [
        Command::Settle {
            hold: HoldId::from_bits(1),
            one_off: vec![],
            at,
        },
        Command::GiveBack {
            hold: HoldId::from_bits(2),
            one_off: vec![],
            at,
        },
    ];
    for end in ends {
        store.submit(Work::of(end)).await.unwrap();
    }
}

/// What must be the same on either side.
async fn figures(store: &Store) -> String {
    let verified = store.verify().await.unwrap();
    assert_eq!(verified.faults, []);
    let payers = store.payers().await.unwrap();
    let holds = store.open_holds(Some(&payer())).await.unwrap();
    let settled = store.hold(HoldId::from_bits(1)).await.unwrap();
    assert_eq!(settled[0].status, HoldStatus::Settled);
    let intents = store.open_intents().await.unwrap();
    format!("{} {payers:?} {holds:?} {intents:?}", verified.transfers)
}

on_both! {
async fn books_go_back_to_every_release_and_forward_again_unchanged(place) {
    for release in RELEASES {
        let place = &place.fresh().await;
        let at = place.place("one");
        let store = place.open().await;
        lived_in(&store).await;
        let before = figures(&store).await;
        store.close().await;
        assert_eq!(forms::form(&at).await.unwrap(), NEWEST);
        let mut undone = Vec::new();
        let mut tell = |what: &str, step: usize| undone.push(format!("{what} {step}"));
        forms::back(&at, release.form, &mut tell).await.unwrap();
        assert_eq!(forms::form(&at).await.unwrap(), release.form);
        let steps = NEWEST.ledger - release.form.ledger + NEWEST.facts - release.form.facts;
        assert_eq!(undone.len(), steps, "{undone:?}");
        let store = place.open().await;
        assert_eq!(figures(&store).await, before, "{}", release.name);
        assert_eq!(forms::form(&at).await.unwrap(), NEWEST);
        store.submit(hold_with_intent(77, 7)).await.unwrap();
        store.close().await;
    }
}
}

/// A configuration for books in a folder, as `faregate init` writes one.
fn configured(folder: &Path) -> PathBuf {
    let program = env!("CARGO_BIN_EXE_faregate");
    let made = std::process::Command::new(program)
        .arg("init")
        .arg(folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    std::fs::write(folder.join("reader.secret"), "a secret").unwrap();
    folder.join("faregate.toml")
}

fn back(config: &Path, backup: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_faregate"));
    command.args(["ledger", "back", "--to", "first-fare", "--config"]);
    command.arg(config).arg("--backup").arg(backup);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_way_back_that_is_killed_anywhere_loses_nothing_and_can_be_gone_again() {
    let folder = Folder::fresh("back");
    let config = configured(&folder.0);
    let state = folder.0.join("state");
    std::fs::create_dir_all(&state).unwrap();
    let at = Place::Folder(state.clone());
    let store = Store::open(&state).await.unwrap();
    lived_in(&store).await;
    let before = figures(&store).await;
    store.close().await;
    let mut draw = Draw::of_round(0);
    let mut seen = std::collections::BTreeSet::new();
    let rounds = campaign::rounds("upgrade", 12);
    // On a slow machine the first kills all fall before the way back begins.
    let more = |round: u64, seen: usize| round < rounds || (seen < 2 && round < 400);
    let mut round = 0;
    while more(round, seen.len()) {
        let backup = folder.0.join(format!("backup-{round}"));
        let mut child = back(&config, &backup).spawn().unwrap();
        tokio::time::sleep(Duration::from_millis(draw.below(160 + round * 4))).await;
        let _ = child.kill();
        child.wait().unwrap();
        seen.insert(forms::form(&at).await.unwrap().ledger);
        let store = Store::open(&state).await.unwrap();
        assert_eq!(figures(&store).await, before, "round {round}");
        store.close().await;
        round += 1;
    }
    let whole = back(&config, &folder.0.join("whole")).output().unwrap();
    assert!(whole.status.success(), "{whole:?}");
    assert_eq!(forms::form(&at).await.unwrap(), RELEASES[0].form);
    assert!(seen.len() > 1, "no kill fell on the way: {seen:?}");
}

#[test]
fn the_way_back_is_refused_while_a_node_serves_and_to_a_release_that_is_none() {
    let stage = Stage::start("back-refused", &[]);
    let config = PathBuf::from(stage.config());
    let backup = stage.folder.join("backup");
    let refused = back(&config, &backup).output().unwrap();
    assert!(!refused.status.success());
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("runs") || why.contains("serves"), "{why}");
    assert!(!backup.exists());
    let none = std::process::Command::new(env!("CARGO_BIN_EXE_faregate"))
        .args(["ledger", "back", "--to", "0.9", "--config"])
        .arg(&config)
        .arg("--backup")
        .arg(&backup)
        .output()
        .unwrap();
    let why = String::from_utf8_lossy(&none.stderr).into_owned();
    assert!(why.contains("first-fare, gate-holds"), "{why}");
}

/// Commits that closed the releases, as this repository has them.
const COMMITS: [(&str, &str); 2] = [
    ("first-fare", "bb2e11d94e1bc0309db3af95606b8d2fdba92601"),
    ("gate-holds", "8dc9d26764fbe7cb1055d8762ad7a25cbca8bfb5"),
];

/// A release's own program, built from the history of this repository.
fn program_of(release: &str) -> PathBuf {
    let (_, commit) = COMMITS.iter().find(|(name, _)| *name == release).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let cache = root.join("tests/.cache/releases");
    let tree = cache.join(release);
    let run = |command: &mut std::process::Command| {
        let done = command.output().unwrap();
        assert!(done.status.success(), "{done:?}");
    };
    if !tree.exists() {
        run(std::process::Command::new("git")
            .current_dir(root)
            .args(["worktree", "add", "--detach"])
            .arg(&tree)
            .arg(commit));
    }
    run(std::process::Command::new("cargo")
        .current_dir(&tree)
        .args(["build", "--bin", "faregate", "--target-dir"])
        .arg(cache.join("target")));
    let program = tree.join("faregate-of-the-release");
    std::fs::copy(cache.join("target/debug/faregate"), &program).unwrap();
    program
}

/// Machines that run and are paid for by the older program, a kill, the newer one on its books,
/// more machines, and back. `tests/run --long upgrade` alone: it builds two older programs.
#[test]
fn an_older_releases_live_holds_are_gone_on_with_and_handed_back() {
    if campaign::rounds("upgrade", 0) == 0 {
        return;
    }
    let now = PathBuf::from(env!("CARGO_BIN_EXE_faregate"));
    for (release, _) in COMMITS {
        let old = program_of(release);
        let mut stage = Stage::start_as(old.clone(), &format!("from-{release}"), &[], &[]);
        stage.top_up("prepaid-paula", "50.00", "much");
        // A name for each: an equal call within a minute of a kill is given the first one's answer.
        let call = |stage: &Stage, name: usize| {
            let mut vm = stage.small_vm(0);
            vm.push(("name".to_owned(), format!("machine-{name}")));
            let heard = stage.customer(0).deploy(&vm).unwrap();
            assert_eq!(heard.status, 200, "{release}: {heard:?}");
        };
        let deploy = |stage: &Stage, wanted: usize| {
            call(stage, wanted);
            until("it runs", || stage.machines("Running").len() == wanted);
        };
        deploy(&stage, 1);
        // In the middle of a call: its hold is open, its job goes on.
        call(&stage, 2);
        stage.kill_gate();
        stage.program = now.clone();
        stage.start_again();
        until("both run", || stage.machines("Running").len() == 2);
        deploy(&stage, 3);
        let sound = |stage: &Stage| {
            let told = stage.faregate(&["ledger", "verify", "--config", &stage.config()]);
            assert!(!told.contains("fault"), "{release}: {told}");
        };
        sound(&stage);
        stage.kill_gate();
        let backup = stage.folder.join("before-the-way-back");
        let gone = std::process::Command::new(&now)
            .args(["ledger", "back", "--to", release, "--config"])
            .arg(stage.config())
            .arg("--backup")
            .arg(&backup)
            .output()
            .unwrap();
        assert!(gone.status.success(), "{release}: {gone:?}");
        stage.program = old;
        stage.start_again();
        deploy(&stage, 4);
        stage.kill_gate();
        stage.program = now.clone();
        stage.start_again();
        sound(&stage);
        deploy(&stage, 5);
        println!("{release}: forward, back and forward again with five machines");
    }
}
