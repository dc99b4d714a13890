//! Edge: another key for what is sealed at rest, while a gate serves.
#![allow(clippy::unwrap_used, reason = "a test stops where it must not go on")]

use crate::campaign::Draw;
use crate::stage::{Caller, Stage, until};
use crate::store::Folder;
use faregate::config::vault::Vault;
use faregate::store::{CachedKey, Place, Store};
use faregate::terms::time::Timestamp;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Runs `faregate key`, which may be killed after a while.
fn change(config: &Path, what: &str, more: &[(&str, &str)], die: Option<Duration>) -> ExitStatus {
    let mut child = Command::new(env!("CARGO_BIN_EXE_faregate"))
        .args(["key", what, "--config"])
        .arg(config)
        .envs(more.iter().copied())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    if let Some(after) = die {
        std::thread::sleep(after);
        let _ = child.kill();
    }
    child.wait().unwrap()
}

fn ask<T>(question: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(question)
}

/// Puts rows into a store that are sealed with the newest key of a file.
fn fill(store: &Path, key: &Path, rows: usize) {
    let vault = Vault::open(key).unwrap();
    ask(async {
        let store = Store::open_at(&Place::Folder(store.to_owned()))
            .await
            .unwrap();
        for row in 0..rows {
            let key_hash = format!("row-{row}");
            let ciphertext = vault.seal(&key_hash, key_hash.as_bytes()).unwrap();
            let row = CachedKey {
                key_hash,
                ciphertext,
                at: Timestamp::from_micros(0),
            };
            store.facts().put_key(&row).await.unwrap();
        }
        store.close().await;
    });
}

fn rows(store: &Path) -> Vec<CachedKey> {
    ask(async {
        let store = Store::open_at(&Place::Folder(store.to_owned()))
            .await
            .unwrap();
        let rows = store.facts().keys().await.unwrap();
        store.close().await;
        rows
    })
}

/// The names of rows that no key of a file opens.
fn unreadable(store: &Path, key: &Path) -> Vec<String> {
    let vault = Vault::open(key).unwrap();
    let rows = rows(store).into_iter();
    let shut = rows.filter(|row| vault.open_sealed(&row.key_hash, &row.ciphertext).is_none());
    shut.map(|row| row.key_hash).collect()
}

/// When the newest row was sealed.
fn newest(store: &Path) -> Option<Timestamp> {
    rows(store).into_iter().map(|row| row.at).max()
}

fn keys(file: &Path) -> usize {
    std::fs::read_to_string(file).unwrap().lines().count()
}

/// A configuration whose store has sealed rows, without a gate.
pub struct Sealed {
    folder: Folder,
    rows: usize,
}

impl Sealed {
    pub fn new(name: &str, rows: usize) -> Self {
        let folder = Folder::fresh(name);
        let made = Command::new(env!("CARGO_BIN_EXE_faregate"))
            .arg("init")
            .arg(&folder.0)
            .stdout(Stdio::null())
            .status();
        assert!(made.unwrap().success());
        for name in ["reader.secret", "actor.secret"] {
            std::fs::write(folder.0.join(name), "a secret").unwrap();
        }
        let sealed = Self { folder, rows };
        let store = sealed.store();
        std::fs::create_dir_all(&store).unwrap();
        fill(&store, &sealed.key(), rows);
        sealed
    }

    fn store(&self) -> PathBuf {
        self.folder.0.join("state")
    }

    fn key(&self) -> PathBuf {
        self.folder.0.join("faregate.key")
    }

    /// Runs `faregate key rotate` or `retire`.
    pub fn change(&self, what: &str, more: &[(&str, &str)]) -> ExitStatus {
        change(&self.folder.0.join("faregate.toml"), what, more, None)
    }

    /// How many keys the file has.
    pub fn keys(&self) -> usize {
        keys(&self.key())
    }

    /// Each row is there and opens.
    pub fn all_open(&self) {
        assert_eq!(unreadable(&self.store(), &self.key()), [""; 0]);
        assert_eq!(rows(&self.store()).len(), self.rows);
    }
}

#[test]
fn a_rotation_seals_every_row_anew_and_the_old_key_opens_none() {
    let sealed = Sealed::new("rotation", 20);
    let old = sealed.folder.0.join("old.key");
    std::fs::copy(sealed.key(), &old).unwrap();
    assert!(sealed.change("retire", &[]).success());
    assert_eq!(sealed.keys(), 1, "one key is never taken away");
    assert!(sealed.change("rotate", &[]).success());
    assert_eq!(sealed.keys(), 2);
    sealed.all_open();
    assert_eq!(unreadable(&sealed.store(), &old).len(), 20);
    assert!(sealed.change("retire", &[]).success());
    assert_eq!(sealed.keys(), 1);
    sealed.all_open();
}

/// Calls of several customers until told to stop; how many were made.
fn load(callers: &[Caller], over: &AtomicBool, made: &AtomicUsize) {
    std::thread::scope(|scope| {
        for caller in callers {
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let heard = caller.call("listZones", &[]).unwrap();
                    assert_eq!(heard.status, 200, "{heard:?}");
                    made.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
}

#[test]
fn a_key_rotation_under_load_that_is_killed_again_and_again_fails_no_call() {
    let stage = Stage::start("key-rotation", &[]);
    let config = PathBuf::from(stage.config());
    let (store, key) = (
        stage.folder.join("state"),
        stage.folder.join("faregate.key"),
    );
    let old = stage.folder.join("old.key");
    std::fs::copy(&key, &old).unwrap();
    let (over, made) = (AtomicBool::new(false), AtomicUsize::new(0));
    let callers = [stage.customer(0), stage.customer(1)];
    std::thread::scope(|scope| {
        let loaded = scope.spawn(|| load(&callers, &over, &made));
        until("calls are made", || made.load(Ordering::Relaxed) > 20);
        fill(&store, &key, 300);
        let mut draw = Draw::of_round(36);
        for round in 0..10 {
            let die = Duration::from_millis(draw.below(120));
            let what = if round % 3 == 2 { "retire" } else { "rotate" };
            change(&config, what, &[], Some(die));
            assert_eq!(unreadable(&store, &key), [""; 0], "after round {round}");
        }
        assert!(change(&config, "rotate", &[], None).success());
        assert!(change(&config, "retire", &[], None).success());
        // Whoever is asked for anew is sealed with the key that is in the file now.
        let kept = newest(&store);
        let admin = Caller {
            endpoint: stage.customer(0).endpoint,
            ..stage.admin()
        };
        let users = admin.call("listUsers", &[("listall", "true")]).unwrap();
        let id = users.inside()["user"][0]["id"].as_str().unwrap().to_owned();
        let named = [("id", id.as_str()), ("firstname", "Anew")];
        let changed = admin.call("updateUser", &named).unwrap();
        assert_eq!(changed.status, 200, "{changed:?}");
        until("callers are kept again", || newest(&store) > kept);
        over.store(true, Ordering::Relaxed);
        loaded.join().unwrap();
    });
    assert_eq!(keys(&key), 1);
    assert_eq!(unreadable(&store, &key), [""; 0]);
    assert_eq!(unreadable(&store, &old).len(), rows(&store).len());
}
