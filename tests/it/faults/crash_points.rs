//! Edge: the process dies at each of its named points (`src/crash.rs`), then goes on.

use super::{ask, audit, deploys, in_folder, settled};
use crate::campaign::{self, Draw};
use crate::key_rotation::Sealed;
use crate::ladder::notices;
use crate::postgres::{Server, Somewhere};
use crate::stage::{Stage, folder, until};
use crate::store::{hold_with_intent, issue, open_payer, top_up};
use faregate::store::{Place, Store, Work};
use secrecy::SecretString;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Points of a call, each with how often three deploys at once come by for certain.
const OF_A_CALL: [(&str, u64); 11] = [
    ("K1", 3),
    ("K2", 3),
    ("K3", 3),
    // A connection may be used again.
    ("K4", 1),
    ("K5", 3),
    ("K6", 3),
    ("K7", 3),
    ("K8", 3),
    ("K9", 3),
    ("K10", 3),
    ("K11", 3),
];
/// Rounds on one cloud: its network has addresses for so many machines.
const ROUNDS_OF_A_STAGE: u64 = 10;
/// Deploys by threes in one round at most.
const BATCHES: u32 = 6;
const FILE: &str = "FAREGATE_CRASH_FILE";
const SIGKILL: i32 = 9;

/// Where a stage's gate looks for the point at which it dies.
struct Trap(PathBuf);

impl Trap {
    fn new(name: &str) -> Self {
        Self(folder(name).with_extension("crash"))
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }

    fn arm(&self, point: &str, nth: u64) {
        // Whole or not there: the gate may read at any time.
        let fresh = self.0.with_extension("fresh");
        std::fs::write(&fresh, format!("{point} {nth}")).unwrap();
        std::fs::rename(&fresh, &self.0).unwrap();
    }

    fn disarm(&self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Drop for Trap {
    fn drop(&mut self) {
        self.disarm();
    }
}

/// Every point of a call, so many times, on a cloud with these books.
fn calls_die(name: &str, url: Option<&str>) {
    let rounds = campaign::rounds("crash-points", 2);
    for (point, passages) in OF_A_CALL {
        let mut draw = Draw::of_round(passages);
        for first in (0..rounds).step_by(usize::try_from(ROUNDS_OF_A_STAGE).unwrap()) {
            let last = rounds.min(first + ROUNDS_OF_A_STAGE);
            let nths = (first..last).map(|_| 1 + draw.below(passages)).collect();
            on_a_stage(&format!("{name}-{point}-{first}"), url, point, nths);
        }
        println!("{point}: {rounds} crashes on {name}, the books are sound");
    }
}

fn on_a_stage(name: &str, server: Option<&str>, point: &str, nths: Vec<u64>) {
    let trap = Trap::new(name);
    let mut environment = vec![(FILE, trap.path())];
    let url = server.map(|_| ask(Server::shared().database()));
    if let Some(url) = &url {
        environment.push(("FAREGATE_POSTGRES_URL", url));
        environment.push(("FAREGATE_NODE", "one"));
    }
    let mut stage = Stage::start_in(name, &[], &environment);
    let place = match &url {
        None => in_folder(&stage.folder),
        Some(url) => Place::Postgres {
            url: SecretString::from(url.clone()),
            node: None,
        },
    };
    stage.top_up("prepaid-paula", "1000", "more");
    let mut answered = Vec::new();
    for (round, nth) in nths.into_iter().enumerate() {
        if round > 0 {
            stage.start_again();
        }
        trap.arm(point, nth);
        // A busy machine may refuse a call, so that it takes more of them to come by so often.
        let mut batch = 0;
        until(&format!("the gate dies at {point}"), || {
            if batch < BATCHES {
                answered.extend(deploys(&stage, &format!("r{round}-{batch}"), 3));
                batch += 1;
            }
            stage.gate_ended()
        });
        trap.disarm();
        stage.kill_gate();
        stage.start_again();
        settled(&stage);
        let running = stage.machines("Running");
        for id in &answered {
            assert!(running.contains(id), "{point}: {id} was answered, not made");
        }
        // The sandbox goes on: it keeps its address.
        stage.kill_gate();
        audit(&place, &running);
    }
}

#[test]
fn a_gate_that_dies_at_any_point_of_a_call_charges_each_machine_once_on_sqlite() {
    calls_die("points-sqlite", None);
}

#[test]
fn a_gate_that_dies_at_any_point_of_a_call_charges_each_machine_once_on_postgresql() {
    calls_die("points-postgres", Some("shared"));
}

/// What the child does, and where its books are where they are no folder.
const WORK: &str = "work";
const URL: &str = "url";

fn place(url: Option<String>, folder: &Path) -> Place {
    match url {
        None => Place::Folder(folder.to_owned()),
        Some(url) => Place::Postgres {
            url: SecretString::from(url),
            node: Some("one".to_owned()),
        },
    }
}

/// The process that dies: it works in its current folder.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of the tests below"]
async fn the_child_that_dies_at_a_point() {
    let Ok(work) = std::fs::read_to_string(WORK) else {
        return;
    };
    let place = place(std::fs::read_to_string(URL).ok(), Path::new("."));
    let store = Store::open_at(&place).await.unwrap();
    if work == "issue" {
        store.submit(issue(1)).await.unwrap();
    }
}

/// Runs the child until it dies at the point.
fn child_dies(folder: &Path, somewhere: &Somewhere, work: &str, point: &str, nth: u64) {
    std::fs::write(folder.join(WORK), work).unwrap();
    if let Somewhere::Postgres(url) = somewhere {
        std::fs::write(folder.join(URL), url).unwrap();
    }
    let trap = Trap(folder.join("crash"));
    trap.arm(point, nth);
    let ended = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "faults::crash_points::the_child_that_dies_at_a_point",
        ])
        .args(["--ignored", "--nocapture"])
        .current_dir(folder)
        .env(FILE, trap.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    let signal = ended.unwrap().signal();
    assert_eq!(signal, Some(SIGKILL), "{point}, passage {nth}");
}

/// A folder to work in, and the books that lie there or in PostgreSQL.
async fn ground(somewhere: &Somewhere) -> (crate::store::Folder, Somewhere) {
    let folder = crate::store::Folder::fresh("point");
    let books = match somewhere {
        Somewhere::Folder(_) => Somewhere::Folder(crate::store::Folder(folder.0.clone())),
        Somewhere::Postgres(_) => Somewhere::postgres().await,
    };
    (folder, books)
}

/// A key file and rows that are sealed with it.
#[test]
fn a_key_rotation_that_dies_between_two_rows_leaves_none_unreadable() {
    for round in 0..campaign::rounds("crash-points", 2) {
        let stage = Sealed::new(&format!("rotation-{round}"), 6);
        let trap = Trap::new(&format!("rotation-{round}"));
        trap.arm("K15", 1 + round % 6);
        let died = stage.change("rotate", &[(FILE, trap.path())]);
        assert_eq!(died.signal(), Some(SIGKILL));
        trap.disarm();
        stage.all_open();
        assert!(stage.change("rotate", &[]).success());
        trap.arm("K15", 1);
        // Nothing is left to be sealed anew.
        assert!(stage.change("retire", &[(FILE, trap.path())]).success());
        stage.all_open();
        assert_eq!(stage.keys(), 1);
    }
}

/// A notice that went out as the gate died goes out again with the same id, and none is lost.
#[test]
fn a_notice_that_was_not_marked_as_sent_comes_again_under_its_id() {
    let trap = Trap::new("notice-dies");
    let (port, posts) = notices::hook_server();
    // The receiver refuses the first one; after the second it was told.
    trap.arm("K12", 2);
    let environment = [(FILE, trap.path())];
    let mut stage = notices::hooked("notice-dies", port, &environment);
    notices::machine(&stage);
    until("it dies", || stage.gate_ended());
    trap.disarm();
    assert_eq!(posts.lock().unwrap().len(), 2);
    stage.kill_gate();
    stage.start_again();
    until("it is marked as sent", || {
        let told = notices::told(&stage);
        told.iter().any(|(_, how)| how == "webhook sent")
    });
    let posts = posts.lock().unwrap().clone();
    let ids: Vec<String> = posts
        .iter()
        .map(|post| notices::header(post, "webhook-id"))
        .collect();
    assert_eq!(ids, vec![ids[0].clone(); 3]);
}

crate::postgres::on_both! {
async fn books_whose_first_form_was_half_made_are_whole_at_the_next_start(somewhere) {
    for nth in 1..=2 {
        let (folder, books) = ground(somewhere).await;
        child_dies(&folder.0, &books, "open", "K14", nth);
        let store = books.open().await;
        store.submit(Work::of(open_payer())).await.unwrap();
        store.submit(Work::of(top_up("p1", 1_000))).await.unwrap();
        store.submit(hold_with_intent(1, 10)).await.unwrap();
        assert_eq!(store.verify().await.unwrap().faults, []);
    }
}

async fn an_invoice_that_was_half_issued_is_not_there_and_its_number_is_not_used_up(somewhere) {
    for _ in 0..campaign::rounds("crash-points", 2) {
        let (folder, books) = ground(somewhere).await;
        let store = books.open().await;
        store.submit(Work::of(open_payer())).await.unwrap();
        store.submit(Work::of(top_up("p1", 100_000))).await.unwrap();
        store.close().await;
        child_dies(&folder.0, &books, "issue", "K13", 1);
        let store = books.open().await;
        assert_eq!(store.documents(None, 9).await.unwrap(), []);
        assert_eq!(store.verify().await.unwrap().faults, []);
        let done = store.submit(issue(1)).await.unwrap();
        assert!(!done.effects.already_done);
        assert_eq!(done.effects.document.unwrap().number, 1);
    }
}
}
