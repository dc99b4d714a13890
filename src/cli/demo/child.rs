//! Edge: the sandbox as a child process: started, found again after a crash, stopped.

use super::state::{DemoState, Folder};
use anyhow::{Context, bail};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

/// File with the sandbox's process id, so that `--fresh` and a later stop find it.
const PID_FILE: &str = "sandbox/sandbox.pid";
/// The port that a first demo takes where it is free.
const USUAL_PORT: u16 = 8181;

/// Starts the sandbox, on the port of the last start where it is free, and waits until it listens.
pub async fn start(folder: &Folder, state: &mut DemoState) -> anyhow::Result<Child> {
    let wanted = if state.sandbox_port == 0 {
        USUAL_PORT
    } else {
        state.sandbox_port
    };
    match start_on(folder, state, wanted).await {
        Ok(child) => Ok(child),
        Err(_) => start_on(folder, state, 0).await,
    }
}

async fn start_on(folder: &Folder, state: &mut DemoState, port: u16) -> anyhow::Result<Child> {
    let program = std::env::current_exe().context("this program's own path is not known")?;
    let mut child = Command::new(program)
        .arg("sandbox")
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .arg("--state")
        .arg(folder.file("sandbox"))
        .arg("--billing-clock")
        .arg(folder.clock_file())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .spawn()
        .context("the sandbox could not be started")?;
    let stdout = child.stdout.take().context("the sandbox has no output")?;
    let mut lines = BufReader::new(stdout).lines();
    let line = tokio::time::timeout(Duration::from_secs(30), lines.next_line()).await;
    let Ok(Ok(Some(line))) = line else {
        bail!("the sandbox did not start; its own words stand above");
    };
    let address = line
        .trim_start_matches("http://")
        .trim_end_matches("/client/api");
    let address: SocketAddr = address.parse().context("the sandbox named no address")?;
    state.sandbox_port = address.port();
    let pid = child.id().map(|id| id.to_string()).unwrap_or_default();
    folder.write(PID_FILE, pid.as_bytes())?;
    Ok(child)
}

/// Whether a sandbox answers on that port: one that outlived a killed gate.
pub async fn answers(port: u16) -> bool {
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let asked = crate::cli::ledger::get(address, "/sandbox/state");
    matches!(
        tokio::time::timeout(Duration::from_secs(2), asked).await,
        Ok(Ok((200, _)))
    )
}

/// The administrator's key and secret, written by the sandbox at its first start.
pub fn admin(folder: &Folder) -> anyhow::Result<(String, String)> {
    let path = folder.file("sandbox/admin.json");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let value: serde_json::Value = serde_json::from_str(&text)?;
    let field = |name: &str| {
        let text = value.get(name).and_then(|value| value.as_str());
        text.map(str::to_owned)
            .with_context(|| format!("{} has no {name}", path.display()))
    };
    Ok((field("api_key")?, field("secret")?))
}

/// Stops our own child: asked first, then made to.
pub async fn stop(mut child: Child) {
    if let Some(id) = child.id() {
        terminate(&id.to_string()).await;
    }
    if tokio::time::timeout(Duration::from_secs(5), child.wait())
        .await
        .is_err()
    {
        let _ = child.kill().await;
    }
}

/// Stops a sandbox that an earlier demo left behind.
pub async fn stop_orphan(state: &Path) {
    let Ok(pid) = std::fs::read_to_string(state.join(PID_FILE)) else {
        return;
    };
    let pid = pid.trim();
    // The id may belong to another program by now: only a sandbox of ours is asked to end.
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let is_ours = words.split(|b| *b == 0).any(|word| word == b"sandbox");
    if is_ours && !pid.is_empty() {
        terminate(pid).await;
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

async fn terminate(pid: &str) {
    let _ = Command::new("kill").args(["-TERM", pid]).status().await;
}
