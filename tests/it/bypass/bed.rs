//! A gate as a process of its own, between a raw socket and an upstream that keeps what arrives.
//!
//! The gate's own questions go on to the demo's sandbox; whatever a customer's call becomes is
//! kept byte by byte and answered here.

use crate::stage::{Stage, address_of};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Gate, sandbox and recorder.
pub struct Bed {
    pub stage: Stage,
    gate: Child,
    /// Where the gate listens.
    pub address: String,
    seen: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Bed {
    pub fn start(name: &str) -> Self {
        let mut stage = Stage::start(name, &[]);
        stage.kill_gate();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let file = std::fs::read_to_string(stage.config()).unwrap();
        let mut config: toml::Table = file.parse().unwrap();
        let reader = config["upstream"]["reader_key"]
            .as_str()
            .unwrap()
            .to_owned();
        let sandbox = address_of(&stage.text("/sandbox/endpoint"));
        let recorder = recorder(sandbox, reader, seen.clone());
        let set = |config: &mut toml::Table, at: &str, name: &str, value: &str| {
            let table = config.get_mut(at).unwrap().as_table_mut().unwrap();
            table.insert(name.to_owned(), toml::Value::String(value.to_owned()));
        };
        let upstream = format!("http://{recorder}/client/api");
        set(&mut config, "upstream", "url", &upstream);
        set(&mut config, "listen", "gate", "127.0.0.1:0");
        set(&mut config, "listen", "ops", "127.0.0.1:0");
        let path = stage.folder.join("bed.toml");
        std::fs::write(&path, toml::to_string(&config).unwrap()).unwrap();
        let mut gate = Command::new(env!("CARGO_BIN_EXE_faregate"))
            .args(["serve", "--config"])
            .arg(&path)
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(gate.stderr.take().unwrap()).lines();
        let line = lines
            .find(|line| line.as_ref().is_ok_and(|line| line.starts_with("gate ")))
            .expect("the gate says where it listens")
            .unwrap();
        let address = address_of(line.trim_start_matches("gate").trim());
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .for_each(|line| eprintln!("{line}"))
        });
        Self {
            stage,
            gate,
            address,
            seen,
        }
    }

    /// What arrived upstream since the last look.
    pub fn seen(&self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }

    /// Sends bytes over a connection of their own; gives whatever came back until its end.
    pub fn send(&self, bytes: &[u8]) -> Vec<u8> {
        send(&self.address, bytes)
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = self.gate.kill();
        let _ = self.gate.wait();
    }
}

/// Sends bytes, says that no more come, and reads to the end.
pub fn send(address: &str, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    let bound = Some(Duration::from_secs(60));
    stream.set_read_timeout(bound).unwrap();
    // A refused client may find the connection ended before its last byte is out.
    let _ = stream.write_all(bytes);
    let _ = stream.shutdown(std::net::Shutdown::Write);
    let mut heard = Vec::new();
    let _ = stream.read_to_end(&mut heard);
    heard
}

/// The status of each answer.
pub fn statuses(heard: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(heard);
    let starts = text.split("HTTP/1.").skip(1);
    let status = |rest: &str| match rest.get(..6)?.split_once(' ')? {
        ("0" | "1", code) => code.trim().parse().ok().filter(|_| code.ends_with(' ')),
        _ => None,
    };
    starts.filter_map(status).collect()
}

fn recorder(sandbox: String, reader: String, seen: Arc<Mutex<Vec<Vec<u8>>>>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (sandbox, reader, seen) = (sandbox.clone(), reader.clone(), seen.clone());
            std::thread::spawn(move || record(stream, &sandbox, &reader, &seen));
        }
    });
    address
}

fn record(mut stream: TcpStream, sandbox: &str, reader: &str, seen: &Mutex<Vec<Vec<u8>>>) {
    let mut held = Vec::new();
    while let Some(message) = message(&mut stream, &mut held) {
        let text = String::from_utf8_lossy(&message);
        if text.contains(reader) {
            let (line, rest) = text.split_once("\r\n").unwrap();
            let asked = format!("{line}\r\nConnection: close\r\n{rest}");
            let _ = stream.write_all(&send(sandbox, asked.as_bytes()));
            return;
        }
        let is_read = text.contains("command=list");
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.push(message.clone());
            seen.len()
        };
        let (status, body) = if is_read {
            ("200 OK", format!("{{\"recorded\":{{\"count\":{number}}}}}"))
        } else {
            // The gate takes this for an error that comes before anything was created.
            let refused = if text.contains("response=json") || text.contains("response=JSON") {
                "{\"errorresponse\":{\"uuidList\":[],\"errorcode\":531,\
                 \"cserrorcode\":4365,\"errortext\":\"recorded\"}}"
            } else {
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><errorresponse><errorcode>531\
                 </errorcode><cserrorcode>4365</cserrorcode><errortext>recorded</errortext>\
                 </errorresponse>"
            };
            ("531 ", refused.to_owned())
        };
        let answer = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json;charset=utf-8\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// The next message of the gate: a head, and as many bytes as its `Content-Length` says.
fn message(stream: &mut TcpStream, held: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        let end = held.windows(4).position(|w| w == b"\r\n\r\n");
        if let Some(end) = end.map(|at| at + 4) {
            let head = String::from_utf8_lossy(&held[..end]).to_lowercase();
            assert!(!head.contains("transfer-encoding"), "{head}");
            let length = head
                .split_once("content-length: ")
                .and_then(|(_, rest)| rest.split("\r\n").next()?.parse().ok())
                .unwrap_or(0);
            if held.len() >= end + length {
                return Some(held.drain(..end + length).collect());
            }
        }
        let mut space = [0_u8; 16384];
        let read = stream.read(&mut space).ok().filter(|length| *length > 0)?;
        held.extend_from_slice(&space[..read]);
    }
}
