//! Edge: the file system of the books is full: ext4 on a loop device of a few MiB.

use super::{deploys, in_folder, settled};
use crate::stage::{Stage, folder, until};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system that is taken away at the end.
pub struct Small(PathBuf);

impl Small {
    /// Mounts one; none, with the reason printed, where the kernel forbids it.
    pub fn mount(name: &str, mib: u64) -> Option<Self> {
        let at = folder(name);
        let (image, here) = (at.join("image"), at.join("here"));
        std::fs::create_dir_all(&here).unwrap();
        let file = std::fs::File::create(&image).unwrap();
        file.set_len(mib * 1024 * 1024).unwrap();
        let run = |program: &str, arguments: &[&str], paths: &[&Path]| {
            let done = Command::new(program).args(arguments).args(paths).output();
            let done = done.unwrap_or_else(|error| panic!("{program}: {error}"));
            if done.status.success() {
                return true;
            }
            let why = String::from_utf8_lossy(&done.stderr).into_owned();
            println!("skipped: {program} on a loop device: {}", why.trim());
            false
        };
        let made = run("mkfs.ext4", &["-q", "-F", "-m", "0"], &[&image]);
        assert!(made, "mkfs.ext4 needs no right of its own");
        run("mount", &["-o", "loop"], &[&image, &here]).then_some(Self(at))
    }

    pub fn here(&self) -> PathBuf {
        self.0.join("here")
    }

    /// Takes all that is left, to the last block.
    pub fn fill(&self) {
        use std::io::Write as _;
        let mut file = std::fs::File::create(self.here().join("filler")).unwrap();
        for size in [65_536, 4_096, 512] {
            while file.write_all(&vec![7; size]).is_ok() {}
        }
        let _ = file.sync_all();
    }

    pub fn free(&self) {
        std::fs::remove_file(self.here().join("filler")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.here()).status();
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// Reads and stops pass, raising calls are refused with 503 and hold nothing; what was acknowledged
/// is there, and the gate goes on by itself as soon as there is room.
#[test]
fn a_full_disk_refuses_raising_calls_alone_and_heals_without_hands() {
    let Some(small) = Small::mount("disk-full-fs", 24) else {
        return;
    };
    let mut stage = Stage::start("disk-full", &[]);
    stage.top_up("prepaid-paula", "100", "more");
    let before = deploys(&stage, "before", 3);
    assert_eq!(before.len(), 3);
    settled(&stage);
    stage.kill_gate();
    let state = stage.folder.join("state");
    std::fs::rename(&state, stage.folder.join("state.was")).unwrap();
    let moved = Command::new("cp")
        .arg("-a")
        .arg(stage.folder.join("state.was"))
        .arg(small.here().join("state"))
        .status();
    assert!(moved.unwrap().success());
    std::os::unix::fs::symlink(small.here().join("state"), &state).unwrap();
    stage.start_again();
    assert_eq!(deploys(&stage, "room", 1).len(), 1);
    settled(&stage);
    small.fill();
    until("a raising call is refused", || {
        let vm = stage.small_vm(0);
        let heard = stage.customer(0).deploy(&vm).unwrap();
        assert!([200, 503].contains(&heard.status), "{heard:?}");
        heard.status == 503
    });
    let read = stage.customer(0).call("listVirtualMachines", &[]).unwrap();
    assert_eq!(read.status, 200, "{read:?}");
    let stopped = [("id", before[0].as_str())];
    let stopped = stage.customer(0).call("stopVirtualMachine", &stopped);
    assert_eq!(stopped.unwrap().status, 200);
    until("it stops", || {
        stage.machines("Stopped").contains(&before[0])
    });
    small.free();
    until("there is room again", || {
        deploys(&stage, "after", 1).len() == 1
    });
    settled(&stage);
    let books = in_folder(&stage.folder);
    until("all that runs is charged, and nothing else", || {
        let running = stage.machines("Running").into_iter();
        super::charged(&books) == running.map(|id| (id, 1)).collect()
    });
    let told = stage.faregate(&["ledger", "verify", "--config", &stage.config()]);
    assert!(!told.contains("fault"), "{told}");
    stage.kill_gate();
}
