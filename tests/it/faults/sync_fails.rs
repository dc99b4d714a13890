//! Edge: the disk fails one fsync of the ledger, by a library that is loaded before libc.

use super::{audit, deploys, in_folder, settled};
use crate::stage::{Stage, folder, until};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Fails one sync of a file of the ledger with EIO for each time that the mark is there: as Linux
/// does, which tells an error of writing back once and then says that all is well.
const SHIM: &str = r#"
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
static int fails(int fd) {
    const char *mark = getenv("FAREGATE_EIO_MARK");
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (!mark || length < 0) return 0;
    path[length] = 0;
    if (!strstr(path, "ledger.db") || unlink(mark)) return 0;
    errno = EIO;
    return 1;
}
int fsync(int fd) { return fails(fd) ? -1 : (int)syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return fails(fd) ? -1 : (int)syscall(SYS_fdatasync, fd); }
"#;

/// The library, compiled into the folder.
fn shim(folder: &Path) -> PathBuf {
    std::fs::create_dir_all(folder).unwrap();
    let (source, library) = (folder.join("eio.c"), folder.join("eio.so"));
    std::fs::write(&source, SHIM).unwrap();
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .status();
    assert!(built.unwrap().success(), "cc is installed by tests/run");
    library
}

#[test]
fn a_failed_sync_ends_the_gate_before_it_acknowledges_and_nothing_acknowledged_is_lost() {
    let own = folder("eio-shim");
    let (library, mark) = (shim(&own), own.join("mark"));
    let environment = [
        ("LD_PRELOAD", library.to_str().unwrap()),
        ("FAREGATE_EIO_MARK", mark.to_str().unwrap()),
    ];
    let mut stage = Stage::start_in("eio", &[], &environment);
    stage.top_up("prepaid-paula", "100", "more");
    let before = deploys(&stage, "before", 3);
    assert_eq!(before.len(), 3);
    std::fs::write(&mark, "").unwrap();
    let after = deploys(&stage, "after", 8);
    until("the gate has ended", || stage.gate_ended());
    assert!(!mark.exists(), "a sync failed");
    stage.kill_gate();
    stage.start_again();
    settled(&stage);
    let running = stage.machines("Running");
    for id in before.iter().chain(&after) {
        assert!(
            running.contains(id),
            "{id} was acknowledged and does not run"
        );
    }
    assert_eq!(deploys(&stage, "again", 1).len(), 1, "it serves again");
    settled(&stage);
    let running = stage.machines("Running");
    stage.kill_gate();
    audit(&in_folder(&stage.folder), &running);
    std::fs::remove_dir_all(&own).unwrap();
}
