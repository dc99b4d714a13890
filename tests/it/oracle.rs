//! What CloudStack's own web server makes of bytes: a real Jetty with CloudStack's way from a
//! request to a command (`tests/oracle/Oracle.java`), beside what the gate judged.

mod differential;
mod grammar;
mod signed;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Debian's `libjetty9-java` puts them here; `tests/run` installs it.
const JARS: [&str; 8] = [
    "jetty9-http",
    "jetty9-io",
    "jetty9-security",
    "jetty9-server",
    "jetty9-servlet",
    "jetty9-servlets",
    "jetty9-util",
    "servlet-api",
];

/// A Jetty that runs.
pub struct Jetty {
    child: Child,
    /// Where it listens.
    pub address: String,
}

/// What would be run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// 200 where a command was reached.
    pub status: u16,
    fields: HashMap<String, String>,
}

impl Told {
    /// A field of the answer; empty where there is none.
    pub fn of(&self, name: &str) -> &str {
        self.fields.get(name).map_or("", String::as_str)
    }
}

fn java() -> Command {
    let path: Vec<String> = JARS
        .iter()
        .map(|name| format!("/usr/share/java/{name}.jar"))
        .collect();
    for jar in &path {
        let is_there = std::path::Path::new(jar).exists();
        assert!(is_there, "there is no {jar}: tests/run installs it");
    }
    let mut java = Command::new("java");
    java.args(["-Xmx256m", "-cp", &path.join(":")])
        .arg(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/tests/oracle/Oracle.java"
        ))
        .stderr(Stdio::null());
    java
}

impl Jetty {
    /// Starts one that checks signatures with this secret.
    pub fn start(secret: &str) -> Self {
        let mut child = java()
            .args(["serve", secret])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("java: tests/run installs it");
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        let port: u16 = line.trim().parse().expect("the oracle prints its port");
        let address = format!("127.0.0.1:{port}");
        Self { child, address }
    }

    /// What it makes of each request, asked in order over as few connections as it allows.
    pub fn told(&self, requests: &[Vec<u8>]) -> Vec<Told> {
        let mut told = Vec::new();
        while told.len() < requests.len() {
            let before = told.len();
            self.over_one_connection(&requests[before..], &mut told);
            assert!(told.len() > before, "the oracle did not answer");
        }
        told
    }

    fn over_one_connection(&self, requests: &[Vec<u8>], told: &mut Vec<Told>) {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::with_capacity(1 << 16, stream);
        // A batch fits the buffers of a socket, so that neither side waits for the other.
        for batch in requests.chunks(32) {
            if writer.write_all(&batch.concat()).is_err() {
                return;
            }
            for _ in batch {
                match read_told(&mut reader) {
                    Some((answer, is_last)) => {
                        told.push(answer);
                        if is_last {
                            return;
                        }
                    }
                    None => return,
                }
            }
        }
    }
}

impl Drop for Jetty {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One answer, and whether the connection ends with it.
fn read_told(reader: &mut BufReader<TcpStream>) -> Option<(Told, bool)> {
    let mut line = String::new();
    let mut head = Vec::new();
    loop {
        line.clear();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim_end().is_empty() {
            break;
        }
        head.push(line.trim_end().to_ascii_lowercase());
    }
    let status: u16 = head.first()?.split(' ').nth(1)?.parse().ok()?;
    let length = head
        .iter()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8_lossy(&body);
    // Its own error pages are for people.
    let lines = body.lines().filter(|_| status == 200);
    let pairs = lines.filter_map(|line| line.split_once('\t'));
    let fields = pairs
        .map(|(name, value)| {
            let value = if name == "map" {
                value.to_owned()
            } else {
                unescaped(value)
            };
            (name.to_owned(), value)
        })
        .collect();
    let is_last = head.iter().any(|line| line == "connection: close");
    Some((Told { status, fields }, is_last))
}

fn unescaped(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next().unwrap(), rest.next().unwrap()];
        bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
    }
    String::from_utf8(bytes).unwrap()
}
