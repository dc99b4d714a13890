//! A demo on loopback, as a newcomer starts it: sandbox, gate, customers; and a client that signs.
#![allow(
    clippy::disallowed_methods,
    reason = "a test has a clock and settings of its own"
)]

use faregate::cloudstack::query::ParamMap;
use faregate::cloudstack::signature;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A demo that runs, and what it printed.
pub struct Stage {
    /// Its folder.
    pub folder: PathBuf,
    /// Its first line, read.
    pub told: Value,
    /// The program that is started; another release's where a test says so.
    pub program: PathBuf,
    gate: Option<Child>,
    environment: Vec<(String, String)>,
}

/// Key and secret at an endpoint.
#[derive(Clone)]
pub struct Caller {
    pub endpoint: String,
    pub key: String,
    pub secret: String,
}

/// Status, head and body of an answer.
#[derive(Debug)]
pub struct Heard {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Heard {
    /// A header of the answer.
    pub fn header(&self, name: &str) -> Option<String> {
        let wanted = name.to_lowercase();
        self.head.lines().skip(1).find_map(|line| {
            let (name, value) = line.split_once(':')?;
            (name.to_lowercase() == wanted).then(|| value.trim().to_owned())
        })
    }
    /// The body as JSON, inside its wrapper.
    pub fn inside(&self) -> Value {
        let value: Value =
            serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"));
        value.as_object().unwrap().values().next().unwrap().clone()
    }
}

/// A folder of its own for each test.
pub fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("faregate-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&path);
    path
}

impl Stage {
    /// Starts a fresh demo in a folder of that name.
    pub fn start(name: &str, more: &[&str]) -> Self {
        Self::start_in(name, more, &[])
    }

    /// Starts a fresh demo with these variables in its environment.
    pub fn start_in(name: &str, more: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_as(
            env!("CARGO_BIN_EXE_faregate").into(),
            name,
            more,
            environment,
        )
    }

    /// Starts a fresh demo of a program of its own.
    pub fn start_as(
        program: PathBuf,
        name: &str,
        more: &[&str],
        environment: &[(&str, &str)],
    ) -> Self {
        let folder = folder(name);
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment: Vec<(String, String)> = environment.iter().map(own).collect();
        let (gate, told) = demo(&program, &folder, more, &environment);
        Self {
            folder,
            told,
            program,
            gate: Some(gate),
            environment,
        }
    }

    /// Starts the gate again with one more policy file.
    pub fn with_policy(&mut self, name: &str, text: &str) {
        self.kill_gate();
        std::fs::write(self.folder.join("policies").join(name), text).unwrap();
        self.start_again();
    }

    /// Kills the gate at once (SIGKILL); the sandbox goes on.
    pub fn kill_gate(&mut self) {
        if let Some(mut gate) = self.gate.take() {
            let _ = gate.kill();
            gate.wait().unwrap();
        }
    }

    /// Kills the gate by its process id, while others still use the stage.
    pub fn kill_from_outside(&self) {
        if let Some(gate) = &self.gate {
            let _ = Command::new("kill")
                .args(["-KILL", &gate.id().to_string()])
                .status();
        }
    }

    /// Whether the gate's process has ended, however it did.
    pub fn gate_ended(&mut self) -> bool {
        let gate = self.gate.as_mut();
        gate.is_none_or(|gate| gate.try_wait().unwrap().is_some())
    }

    /// Starts the demo again in the same folder.
    pub fn start_again(&mut self) {
        let (gate, told) = demo(&self.program, &self.folder, &[], &self.environment);
        self.gate = Some(gate);
        self.told = told;
    }

    /// The same with these variables in the gate's environment from now on.
    pub fn start_again_in(&mut self, environment: &[(&str, &str)]) {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        self.environment = environment.iter().map(own).collect();
        self.start_again();
    }

    /// Stops gate and sandbox as Ctrl-C would.
    pub fn stop(&mut self) {
        if let Some(mut gate) = self.gate.take() {
            let _ = Command::new("kill")
                .args(["-TERM", &gate.id().to_string()])
                .status();
            gate.wait().unwrap();
        }
    }

    pub fn text(&self, pointer: &str) -> String {
        self.told
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{pointer}"))
            .to_owned()
    }

    /// A customer at the gate: 0 is prepaid, 1 postpaid.
    pub fn customer(&self, index: usize) -> Caller {
        Caller {
            endpoint: self.text("/endpoint"),
            key: self.text(&format!("/customers/{index}/api_key")),
            secret: self.text(&format!("/customers/{index}/secret")),
        }
    }

    /// The sandbox's administrator at the sandbox itself.
    pub fn admin(&self) -> Caller {
        Caller {
            endpoint: self.text("/sandbox/endpoint"),
            key: self.text("/sandbox/api_key"),
            secret: self.text("/sandbox/secret"),
        }
    }

    /// The parameters of a small VM of the customer.
    pub fn small_vm(&self, index: usize) -> Vec<(String, String)> {
        let pairs = [
            ("serviceofferingid", self.text("/offerings/small")),
            ("templateid", self.text("/template_id")),
            ("zoneid", self.text("/zone_id")),
            (
                "networkids",
                self.text(&format!("/customers/{index}/network_id")),
            ),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).to_vec()
    }

    /// Credits a payment at the operators' socket.
    pub fn top_up(&self, payer: &str, amount: &str, id: &str) {
        let address = address_of(&self.text("/operator_page"));
        let body = format!("payer={payer}&amount={amount}&id={id}");
        let request = format!(
            "POST /top-ups HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let heard = exchange(&address, &request).unwrap();
        assert_eq!(heard.status, 200, "{heard:?}");
    }

    /// A fault of the sandbox, switched on so many times.
    pub fn fault(&self, name: &str, count: usize) {
        let address = address_of(&self.text("/sandbox/endpoint"));
        let body = format!("name={name}&count={count}");
        let request = format!(
            "POST /sandbox/faults HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: \
             application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let heard = exchange(&address, &request).unwrap();
        assert_eq!(heard.status, 200, "{heard:?}");
    }

    /// Ids of VMs of that state, asked of the sandbox itself.
    pub fn machines(&self, state: &str) -> Vec<String> {
        let asked = [("listall", "true"), ("state", state), ("projectid", "-1")];
        let heard = self.admin().call("listVirtualMachines", &asked).unwrap();
        assert_eq!(heard.status, 200, "{heard:?}");
        let list = heard.inside();
        let rows = list["virtualmachine"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        rows.iter()
            .map(|row| row["id"].as_str().unwrap().to_owned())
            .collect()
    }

    /// What a command of the program prints.
    pub fn faregate(&self, arguments: &[&str]) -> String {
        let out = Command::new(env!("CARGO_BIN_EXE_faregate"))
            .args(arguments)
            .output()
            .unwrap();
        assert!(
            out.status.success(),
            "{arguments:?}: {}",
            String::from_utf8_lossy(&out.stderr)
        );
        String::from_utf8(out.stdout).unwrap()
    }

    /// Path of the configuration.
    pub fn config(&self) -> String {
        self.folder.join("faregate.toml").display().to_string()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.stop();
        stop_sandbox(&self.folder);
        if !std::thread::panicking() {
            let _ = std::fs::remove_dir_all(&self.folder);
            let _ = std::fs::remove_file(self.folder.with_extension("log"));
        }
    }
}

fn stop_sandbox(folder: &Path) {
    if let Ok(pid) = std::fs::read_to_string(folder.join("sandbox/sandbox.pid")) {
        let _ = Command::new("kill")
            .args(["-TERM", pid.trim()])
            .stderr(Stdio::null())
            .status();
    }
}

fn demo(
    program: &Path,
    folder: &Path,
    more: &[&str],
    environment: &[(String, String)],
) -> (Child, Value) {
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(folder.with_extension("log"))
        .unwrap();
    let mut child = Command::new(program)
        .args(["demo", "--json", "--state"])
        .arg(folder)
        .args(more)
        .envs(environment.iter().cloned())
        .stdout(Stdio::piped())
        .stderr(log)
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let told = serde_json::from_str(&line)
        .unwrap_or_else(|e| panic!("the demo printed `{line}`: {e}; see {folder:?}.log"));
    (child, told)
}

impl Caller {
    /// One signed GET; none where the connection broke without an answer.
    pub fn call(&self, command: &str, params: &[(&str, &str)]) -> Option<Heard> {
        self.call_in("json", command, params)
    }

    pub fn call_in(&self, format: &str, command: &str, params: &[(&str, &str)]) -> Option<Heard> {
        self.call_with("", format, command, params)
    }

    /// The same with headers of the test's own, each with its line's end.
    pub fn call_with(
        &self,
        headers: &str,
        format: &str,
        command: &str,
        params: &[(&str, &str)],
    ) -> Option<Heard> {
        let query = self.signed(format, command, params);
        let address = address_of(&self.endpoint);
        let request = format!(
            "GET /client/api?{query} HTTP/1.1\r\nHost: {address}\r\n{headers}Connection: close\r\n\r\n"
        );
        exchange(&address, &request)
    }

    /// The query of a signed call.
    pub fn signed(&self, format: &str, command: &str, params: &[(&str, &str)]) -> String {
        let mut map = ParamMap::default();
        let own = [
            ("command", command),
            ("response", format),
            ("apiKey", self.key.as_str()),
        ];
        for (name, value) in own.iter().chain(params) {
            map.insert(name, value);
        }
        let signed = signature::sign(&map, self.secret.as_bytes());
        map.insert("signature", &signed);
        map.to_wire().to_string()
    }

    /// A deploy of a small VM.
    pub fn deploy(&self, params: &[(String, String)]) -> Option<Heard> {
        self.call("deployVirtualMachine", &pairs(params))
    }

    /// Waits for a job's end; gives its status.
    pub fn job_end(&self, job: &str) -> i64 {
        let started = Instant::now();
        while started.elapsed() < Duration::from_secs(60) {
            let heard = self.call("queryAsyncJobResult", &[("jobid", job)]).unwrap();
            let status = heard.inside()["jobstatus"].as_i64().unwrap_or(0);
            if status != 0 {
                return status;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("job {job} did not end within a minute");
    }

    /// Environment of clients that read CloudStack's variables.
    pub fn environment(&self) -> [(&'static str, String); 3] {
        [
            ("CLOUDSTACK_ENDPOINT", self.endpoint.clone()),
            ("CLOUDSTACK_KEY", self.key.clone()),
            ("CLOUDSTACK_SECRET", self.secret.clone()),
        ]
    }
}

/// Parameters as a call takes them.
pub fn pairs(params: &[(String, String)]) -> Vec<(&str, &str)> {
    let pairs = params.iter();
    pairs.map(|(a, b)| (a.as_str(), b.as_str())).collect()
}

/// Tries until it holds, for at most a minute.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "not within a minute: {what}"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// `host:port` of a URL.
pub fn address_of(url: &str) -> String {
    url.trim_start_matches("http://")
        .split('/')
        .next()
        .unwrap()
        .to_owned()
}

/// Sends a request as it is; none where the connection broke without an answer.
pub fn exchange(address: &str, request: &str) -> Option<Heard> {
    exchange_over(TcpStream::connect(address).ok()?, request)
}

/// The same over a connection that is open, and ends with it.
pub fn exchange_over(mut stream: TcpStream, request: &str) -> Option<Heard> {
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (head, body) = text.split_once("\r\n\r\n")?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    let body = if chunked {
        unchunk(body)
    } else {
        body.to_owned()
    };
    Some(Heard {
        status,
        head: head.to_owned(),
        body,
    })
}

fn unchunk(mut rest: &str) -> String {
    let mut whole = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size.trim(), 16).unwrap_or(0);
        if size == 0 {
            break;
        }
        whole.push_str(&after[..size]);
        rest = &after[size + 2..];
    }
    whole
}
