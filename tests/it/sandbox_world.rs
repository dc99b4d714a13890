//! Edge: a sandbox with an account in it, and short ways to call it.

use crate::sandbox::{Keys, call, map_of, start_at};
use faregate::clock::Clock;
use serde_json::Value;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

/// The zone, the template and the small offering have a recorded server's ids.
pub const ZONE: &str = "4613f20a-72f5-4fb3-bd78-df9759957ab9";
/// The template.
pub const TEMPLATE: &str = "9a04d019-e6ca-11f1-b146-02fc00000001";
/// 1 vCPU, 500 MHz, 1 GiB.
pub const SMALL: &str = "7ec359c5-e408-4df1-b966-790081c181fc";
/// 2 vCPUs, 500 MHz, 4 GiB.
pub const MEDIUM: &str = "a47dc925-4bd6-4330-af3e-01736b0e8760";
/// The disk offering whose size is the customer's.
pub const DISK: &str = "417a38c3-4999-4e1c-babe-8f477285aabc";
/// Isolated networks with a source NAT address.
pub const ISOLATED: &str = "8ad1591d-55af-44ca-8f97-8ae7ab800625";

/// A running sandbox.
pub struct World {
    /// Where it listens.
    pub at: SocketAddr,
    /// Its root admin.
    pub admin: Keys,
    /// A plain user.
    pub ann: Keys,
    folder: PathBuf,
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl World {
    /// A fresh one.
    pub async fn new(name: &str) -> Self {
        Self::at(name, Clock::system()).await
    }

    /// The same at another time.
    pub async fn at(name: &str, clock: Clock) -> Self {
        let folder = format!("fg-sandbox-{name}-{}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        let _ = std::fs::remove_dir_all(&folder);
        let (at, admin, ann) = start_at(&folder, clock).await;
        Self {
            at,
            admin,
            ann,
            folder,
        }
    }

    /// What is inside the wrapper of a call's answer, which must be a 200.
    pub async fn ok(&self, keys: &Keys, words: &[(&str, &str)]) -> Value {
        let (status, body) = self.any(keys, words).await;
        assert_eq!(status, 200, "{words:?}: {body}");
        body
    }

    /// Status and what is inside the wrapper.
    pub async fn any(&self, keys: &Keys, words: &[(&str, &str)]) -> (u16, Value) {
        let (status, body) = call(self.at, &map_of(words), keys).await;
        let inside = body
            .as_object()
            .and_then(|body| body.values().next())
            .cloned();
        (status, inside.unwrap_or(body))
    }

    /// What a job comes to.
    pub async fn job(&self, keys: &Keys, id: &Value) -> Value {
        let id = id.as_str().expect("a job id");
        for _ in 0..2_000 {
            let asked = [("command", "queryAsyncJobResult"), ("jobid", id)];
            let job = self.ok(keys, &asked).await;
            if job["jobstatus"] != 0 {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("job {id} does not end");
    }

    /// Runs an asynchronous command to the end of its job, which must succeed.
    pub async fn done(&self, keys: &Keys, words: &[(&str, &str)]) -> Value {
        let begun = self.ok(keys, words).await;
        let job = self.job(keys, &begun["jobid"]).await;
        assert_eq!(job["jobstatus"], 1, "{words:?}: {job}");
        job
    }

    /// Makes an isolated network; gives its id.
    pub async fn network(&self, keys: &Keys, name: &str) -> String {
        let asked = [
            ("command", "createNetwork"),
            ("name", name),
            ("zoneid", ZONE),
            ("networkofferingid", ISOLATED),
        ];
        text(&self.ok(keys, &asked).await["network"]["id"])
    }

    /// The answer to a deploy of a small VM.
    pub async fn deploy(&self, keys: &Keys, more: &[(&str, &str)]) -> (u16, Value) {
        let mut words = vec![
            ("command", "deployVirtualMachine"),
            ("zoneid", ZONE),
            ("templateid", TEMPLATE),
            ("serviceofferingid", SMALL),
        ];
        words.extend_from_slice(more);
        self.any(keys, &words).await
    }

    /// Deploys a small VM and waits until it runs; gives its id.
    pub async fn vm(&self, keys: &Keys, network: &str, name: &str) -> String {
        let (status, begun) = self
            .deploy(keys, &[("networkids", network), ("name", name)])
            .await;
        assert_eq!(status, 200, "{begun}");
        let job = self.job(keys, &begun["jobid"]).await;
        assert_eq!(job["jobstatus"], 1, "{job}");
        text(&begun["id"])
    }

    /// The state of a VM, as its owner sees it; empty where it is gone.
    pub async fn state(&self, keys: &Keys, vm: &str) -> String {
        let list = self
            .ok(keys, &[("command", "listVirtualMachines"), ("id", vm)])
            .await;
        list["virtualmachine"][0]["state"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }

    /// Switches a fault on or off by the sandbox's own path.
    pub async fn fault(&self, name: &str, count: u64) {
        let form = format!("name={name}&count={count}");
        let request = format!(
            "POST /sandbox/faults HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            form.len()
        );
        let answer = raw(self.at, &request).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// A sub-account of ROOT with keys.
    pub async fn account(&self, name: &str, kind: &str, domain: Option<&str>) -> Keys {
        let mut words = vec![
            ("command", "createAccount"),
            ("username", name),
            ("password", "Pass-1234"),
            ("firstname", name),
            ("lastname", "Test"),
            ("email", "a@example.org"),
            ("accounttype", kind),
        ];
        words.extend(domain.map(|domain| ("domainid", domain)));
        let made = self.ok(&self.admin, &words).await;
        let user = text(&made["account"]["user"][0]["id"]);
        let keys = [("command", "registerUserKeys"), ("id", user.as_str())];
        let keys = self.ok(&self.admin, &keys).await;
        Keys {
            api_key: text(&keys["userkeys"]["apikey"]),
            secret: text(&keys["userkeys"]["secretkey"]),
        }
    }
}

/// A text that must be there.
pub fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("no text: {value}"))
        .to_owned()
}

/// Sends bytes and reads until the other side closes.
pub async fn raw(at: SocketAddr, request: &str) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(at)
        .await
        .expect("a connection");
    stream
        .write_all(request.as_bytes())
        .await
        .expect("a request sent");
    let mut answer = Vec::new();
    // A connection that is cut is an answer as well: none.
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8_lossy(&answer).into_owned()
}
