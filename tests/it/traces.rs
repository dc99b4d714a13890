//! Edge: spans of a call's steps at a collector, by OTLP over HTTP; no secret in any of them. Built
//! with the feature `otel` alone.

use crate::browser::Browser;
use crate::stage::{Caller, Stage, pairs};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

/// A trace that a client claims to be in.
const CLAIMED: &str = "0af7651916cd43dd8448eb211c80319c";

/// A collector that takes everything, and keeps the bytes.
struct Collector {
    address: String,
    taken: Arc<Mutex<Vec<u8>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let taken = Arc::new(Mutex::new(Vec::new()));
        let kept = taken.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let kept = kept.clone();
                std::thread::spawn(move || while take(stream.as_ref().unwrap(), &kept) {});
            }
        });
        Self { address, taken }
    }

    fn has(&self, bytes: &[u8]) -> bool {
        let taken = self.taken.lock().unwrap();
        taken.windows(bytes.len()).any(|window| window == bytes)
    }
}

/// Reads one request and answers it; false where none comes any more.
fn take(mut stream: &TcpStream, kept: &Mutex<Vec<u8>>) -> bool {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return false;
        }
        kept.lock().unwrap().extend(line.as_bytes());
        let header = line.to_lowercase();
        if let Some(value) = header.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    kept.lock().unwrap().extend(body);
    let answer =
        b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n";
    stream.write_all(answer).is_ok()
}

fn serve(stage: &Stage, collector: &Collector) -> (Child, String) {
    let endpoint = format!("http://{}/v1/traces", collector.address);
    let mut gate = Command::new(env!("CARGO_BIN_EXE_faregate"))
        .args(["serve", "--config", &stage.config()])
        .env("FAREGATE_TRACES_ENDPOINT", endpoint)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(gate.stderr.take().unwrap()).lines();
    let endpoint = lines
        .by_ref()
        .map(Result::unwrap)
        .find_map(|line| Some(line.strip_prefix("gate ")?.trim().to_owned()))
        .unwrap();
    // What it says later is read away, so that it never waits for a reader.
    std::thread::spawn(move || lines.for_each(drop));
    (gate, endpoint)
}

#[test]
fn every_step_arrives_before_the_process_ends_and_no_secret_with_it() {
    let mut stage = Stage::start("traces", &[]);
    stage.kill_gate();
    let collector = Collector::start();
    let (mut gate, endpoint) = serve(&stage, &collector);
    let paula = Caller {
        endpoint: endpoint.clone(),
        ..stage.customer(0)
    };
    let mut vm = stage.small_vm(0);
    vm.push(("userdata".to_owned(), "cGFzc3dvcmQ9aHVudGVyMg".to_owned()));
    vm.push(("password".to_owned(), "Correct-Horse-7".to_owned()));
    let claims = format!("traceparent: 00-{CLAIMED}-b7ad6b7169203331-01\r\n");
    let made = paula.call_with(&claims, "json", "deployVirtualMachine", &pairs(&vm));
    assert_eq!(made.unwrap().status, 200);
    let signed = paula.signed("json", "listZones", &[]);
    assert_eq!(paula.call("listZones", &[]).unwrap().status, 200);
    let mut session = Browser::login(&endpoint, "prepaid-paula");
    assert_eq!(session.call("listVirtualMachines", &[]).status, 200);

    let asked = Command::new("kill")
        .args(["-TERM", &gate.id().to_string()])
        .status();
    assert!(asked.unwrap().success());
    assert!(gate.wait().unwrap().success(), "the gate did not drain");

    let steps = [
        "authenticate",
        "admit",
        "plan",
        "whose",
        "reserve",
        "hold",
        "forward",
        "observe",
    ];
    let told = [
        "POST /v1/traces",
        "service.name",
        "deployVirtualMachine",
        "listZones",
    ];
    for wanted in told {
        assert!(collector.has(wanted.as_bytes()), "{wanted} did not arrive");
    }
    for step in steps {
        // A text in protobuf stands behind its length: the whole of it, not a part of another.
        let length = u8::try_from(step.len()).unwrap();
        let text = [&[length], step.as_bytes()].concat();
        assert!(collector.has(&text), "{step} did not arrive");
    }
    assert!(
        collector.has(stage.text("/zone_id").as_bytes()),
        "no parameters arrived"
    );

    let signature = signed.split("signature=").nth(1).unwrap();
    let signature = signature.split('&').next().unwrap();
    let secrets = [
        paula.secret.as_str(),
        paula.key.as_str(),
        signature,
        "cGFzc3dvcmQ9aHVudGVyMg",
        "Correct-Horse-7",
        "demo-password",
        session.key.as_str(),
    ];
    for secret in secrets {
        assert!(
            !secret.is_empty() && !collector.has(secret.as_bytes()),
            "`{secret}` arrived"
        );
    }
    let claimed: Vec<u8> = (0..CLAIMED.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&CLAIMED[at..at + 2], 16).unwrap())
        .collect();
    assert!(!collector.has(&claimed), "a client's trace was taken over");
}
