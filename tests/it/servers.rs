//! Several management servers: sessions stay where they live, a server that is down is passed
//! over, and no write is sent twice.
#![allow(
    clippy::unwrap_used,
    reason = "a test stops where its stage is not as it was set"
)]

use crate::browser::Browser;
use crate::stage::{Caller, Stage, address_of, exchange, until};
use bytes::Bytes;
use faregate::clock::Clock;
use faregate::gate::forward::{self, Way};
use faregate::gate::parse::{self, RawRequest, Routed};
use faregate::upstream::Sent;
use faregate::upstream::servers::{Fleet, Servers};
use http::Request;
use http_body_util::Full;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// A gate in front of management servers that a test chose, on free ports.
pub struct Behind {
    /// The demo whose books and sandbox it uses.
    pub stage: Stage,
    /// Where it listens.
    pub endpoint: String,
    gate: Child,
}

/// Starts it, after the demo's own gate was killed.
pub fn behind(stage: Stage, servers: &[String]) -> Behind {
    let urls: Vec<String> = servers
        .iter()
        .map(|server| format!("\"http://{server}/client/api\""))
        .collect();
    let config = std::fs::read_to_string(stage.config()).unwrap();
    let lines: Vec<String> = config
        .lines()
        .map(|line| match line.split_once(" = ").map(|(key, _)| key) {
            Some("url") => format!("servers = [{}]", urls.join(", ")),
            Some(key @ ("gate" | "ops")) => format!("{key} = \"127.0.0.1:0\""),
            _ => line.to_owned(),
        })
        .collect();
    std::fs::write(stage.config(), lines.join("\n")).unwrap();
    let (gate, endpoint) = serve(&stage);
    Behind {
        stage,
        endpoint,
        gate,
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        let _ = self.gate.kill();
        let _ = self.gate.wait();
    }
}

/// A gate in front of two management servers of one cloud.
struct Pair {
    gate: Behind,
    servers: [String; 2],
}

impl Pair {
    fn start(name: &str) -> Self {
        let mut stage = Stage::start(name, &[]);
        let servers = ["open=127.0.0.1:0"; 2].map(|form| {
            let told = sandbox(&stage, form);
            told["opened"].as_str().unwrap().to_owned()
        });
        stage.kill_gate();
        let gate = behind(stage, &servers);
        Self { gate, servers }
    }

    /// The same with a gate that knows nothing yet.
    fn restart(&mut self) {
        let gate = &mut self.gate;
        gate.gate.kill().unwrap();
        gate.gate.wait().unwrap();
        (gate.gate, gate.endpoint) = serve(&gate.stage);
    }

    fn customer(&self) -> Caller {
        Caller {
            endpoint: self.gate.endpoint.clone(),
            ..self.gate.stage.customer(0)
        }
    }

    fn close(&self, server: usize) {
        sandbox(&self.gate.stage, &format!("close={}", self.servers[server]));
    }

    fn open(&self, server: usize) {
        sandbox(&self.gate.stage, &format!("open={}", self.servers[server]));
    }
}

fn serve(stage: &Stage) -> (Child, String) {
    let mut gate = Command::new(env!("CARGO_BIN_EXE_faregate"))
        .args(["serve", "--config", &stage.config()])
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

fn sandbox(stage: &Stage, form: &str) -> serde_json::Value {
    let address = address_of(&stage.text("/sandbox/endpoint"));
    let request = format!(
        "POST /sandbox/servers HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: \
         application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    let heard = exchange(&address, &request).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    serde_json::from_str(&heard.body).unwrap()
}

const PAULA: &str = "prepaid-paula";

#[test]
fn many_sessions_each_stay_with_the_server_that_opened_them() {
    let pair = Pair::start("servers-sticky");
    let mut sessions: Vec<Browser> = (0..6)
        .map(|_| Browser::login(&pair.gate.endpoint, PAULA))
        .collect();
    for _ in 0..4 {
        for session in &mut sessions {
            let heard = session.call("listVirtualMachines", &[]);
            assert_eq!(heard.status, 200, "{heard:?}");
        }
    }
    let at_home = |server: &String| {
        let known = sessions.iter().filter(|session| {
            let endpoint = format!("http://{server}/client/api");
            let mut direct = Browser {
                endpoint,
                ..(*session).clone()
            };
            direct.call("listZones", &[]).status == 200
        });
        known.count()
    };
    let homes: Vec<usize> = pair.servers.iter().map(at_home).collect();
    assert_eq!(homes.iter().sum::<usize>(), 6);
    assert!(homes.iter().all(|count| *count > 0), "{homes:?}");
}

#[test]
fn a_gate_that_does_not_know_a_session_finds_its_server() {
    let mut pair = Pair::start("servers-found");
    let mut sessions: Vec<Browser> = (0..4)
        .map(|_| Browser::login(&pair.gate.endpoint, PAULA))
        .collect();
    pair.restart();
    let vm = pair.gate.stage.small_vm(0);
    let vm: Vec<(&str, &str)> = vm.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let mut statuses = Vec::new();
    for session in &mut sessions {
        session.endpoint.clone_from(&pair.gate.endpoint);
        statuses.push(session.call("deployVirtualMachine", &vm).status);
    }
    // Money for two; the others are told so, which only a live session is.
    assert_eq!(statuses, [200, 200, 535, 535]);
    for session in &mut sessions {
        assert_eq!(session.call("listZones", &[]).status, 200);
        assert_eq!(session.call("logout", &[]).status, 200);
    }
}

#[test]
fn a_server_that_refuses_connections_is_passed_over_and_used_again_when_it_is_back() {
    let pair = Pair::start("servers-down");
    pair.close(0);
    let paula = pair.customer();
    for _ in 0..4 {
        assert_eq!(paula.call("listZones", &[]).unwrap().status, 200);
    }
    let heard = paula.deploy(&pair.gate.stage.small_vm(0)).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    pair.open(0);
    pair.close(1);
    for _ in 0..4 {
        assert_eq!(paula.call("listZones", &[]).unwrap().status, 200);
    }
    let heard = paula.deploy(&pair.gate.stage.small_vm(0)).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    // Both down: nothing was sent, nothing stays held.
    pair.close(0);
    let heard = paula.deploy(&pair.gate.stage.small_vm(0)).unwrap();
    assert_eq!(heard.status, 503, "{heard:?}");
    pair.open(0);
    until("two machines run", || {
        pair.gate.stage.machines("Running").len() == 2
    });
}

#[test]
fn a_session_whose_server_is_gone_is_told_to_log_in_again() {
    let pair = Pair::start("servers-gone");
    let mut sessions: Vec<Browser> = (0..4)
        .map(|_| Browser::login(&pair.gate.endpoint, PAULA))
        .collect();
    pair.close(0);
    let statuses: Vec<u16> = sessions
        .iter_mut()
        .map(|session| session.call("listZones", &[]).status)
        .collect();
    assert!(
        statuses.contains(&200) && statuses.contains(&401),
        "{statuses:?}"
    );
    assert!(
        statuses.iter().all(|s| [200, 401].contains(s)),
        "{statuses:?}"
    );
    let again = Browser::login(&pair.gate.endpoint, PAULA);
    assert_eq!(again.clone().call("listZones", &[]).status, 200);
}

/// A server that reads a request and hangs up: it may have run it.
async fn hangs_up() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let read = Arc::new(AtomicUsize::new(0));
    let count = read.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = [0_u8; 4_096];
            if stream.read(&mut bytes).await.is_ok_and(|length| length > 0) {
                count.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    (address, read)
}

#[tokio::test]
async fn a_request_that_a_server_read_is_never_sent_to_another() {
    let (first, first_read) = hangs_up().await;
    let (second, second_read) = hangs_up().await;
    let servers = [first, second].map(|server| (server.clone(), server));
    let fleet = Fleet::new(Arc::new(Servers::new(servers)), &Clock::system());
    for sent in 1..=10 {
        let request = Request::get("/client/api").body(Full::<Bytes>::default());
        let fault = fleet.send(request.unwrap(), true, None).await.unwrap_err();
        assert_eq!(fault.sent, Sent::Unknown);
        let read = first_read.load(Ordering::SeqCst) + second_read.load(Ordering::SeqCst);
        assert_eq!(read, sent);
    }
}

/// A server that reads requests and answers the first with no byte, the next with one, and so on.
async fn cuts(answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        for cut in 0..=answer.len() {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut bytes = [0_u8; 4_096];
            assert!(stream.read(&mut bytes).await.unwrap() > 0);
            stream.write_all(&answer.as_bytes()[..cut]).await.unwrap();
        }
    });
    address
}

#[tokio::test]
async fn an_answer_cut_at_any_byte_leaves_the_outcome_unknown() {
    let body = "{\"deployvirtualmachineresponse\":{\"id\":\"a\",\"jobid\":\"b\"}}";
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
    );
    let server = cuts(answer.clone()).await;
    let fleet = Fleet::new(
        Arc::new(Servers::new([(server.clone(), server)])),
        &Clock::system(),
    );
    let raw = RawRequest {
        method: "GET",
        target: b"/client/api?command=deployVirtualMachine&response=json",
        headers: &[],
        body: b"",
    };
    let Ok(Routed::Api(call)) = parse::request(&raw) else {
        panic!("it is a call");
    };
    let way = Way {
        fleet: &fleet,
        client: "192.0.2.1".parse().unwrap(),
    };
    for cut in 0..answer.len() {
        let fault = forward::whole(&way, &call, &call.params).await.unwrap_err();
        assert_eq!(fault.sent, Sent::Unknown, "cut at {cut}: {fault}");
    }
    let whole = forward::whole(&way, &call, &call.params).await.unwrap();
    assert_eq!((whole.status, whole.body.as_ref()), (200, body.as_bytes()));
}
