//! Edge: a network of a test's own (Linux namespaces), where packets may be dropped without harm.
//!
//! A test that needs one starts itself again in there, as a child that is left out otherwise.
#![allow(clippy::unwrap_used, reason = "a test stops where it must not go on")]

use std::process::Command;

/// Says to the child that it is where it should be.
const INSIDE: &str = "FAREGATE_TEST_NETWORK";

/// The loopback is up, and `ip netns` finds a folder of its own.
const SET_UP: &str = "ip link set lo up && mkdir -p /run/netns && mount -t tmpfs tmpfs /run/netns \
                      && exec \"$0\" --exact \"$1\" --ignored --nocapture";

/// Runs a test that is ignored otherwise in a network of its own, and fails with it. Skips it,
/// with the reason printed, where the kernel forbids such networks.
pub fn alone(test: &str) {
    let new = ["--net", "--mount"];
    let tried = Command::new("unshare").args(new).arg("true").output();
    let tried = tried.expect("unshare is installed by tests/run");
    if !tried.status.success() {
        let why = String::from_utf8_lossy(&tried.stderr).into_owned();
        assert!(std::env::var_os("CI").is_none(), "{why}");
        println!("skipped: a network of its own: {}", why.trim());
        return;
    }
    let mut child = Command::new("unshare");
    child
        .args(["--net", "--mount", "--fork", "--kill-child"])
        .args(["sh", "-c", SET_UP])
        .arg(std::env::current_exe().unwrap())
        .arg(test)
        .env(INSIDE, "1");
    let done = child.output().unwrap();
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    let also = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{told}\n{also}");
    assert!(told.contains("1 passed"), "{test} did not run:\n{told}");
}

/// Stops a child that was started by hand, in everybody's network.
pub fn must_be_alone() {
    assert!(
        std::env::var_os(INSIDE).is_some(),
        "this is the child of another test and changes the network: run that one"
    );
}

/// Runs a program of the system to its end.
pub fn run(program: &str, arguments: &[&str]) -> String {
    let done = Command::new(program).args(arguments).output();
    let done = done.unwrap_or_else(|error| panic!("{program}: {error}"));
    let told = String::from_utf8_lossy(&done.stdout).into_owned();
    let why = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{program} {arguments:?}: {why}");
    told
}
