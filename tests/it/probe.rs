//! The self-test that looks for ways around the gate.

use crate::network::{alone, must_be_alone, run};
use crate::stage::{Stage, address_of, until};
use serde_json::Value;
use std::net::{TcpListener, TcpStream};
use std::process::Command;

fn probe(arguments: &[&str]) -> (i32, Value) {
    let output = Command::new(env!("CARGO_BIN_EXE_faregate"))
        .arg("probe")
        .args(arguments)
        .arg("--json")
        .output()
        .unwrap();
    let told = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code().unwrap(), told)
}

#[test]
fn a_management_server_that_can_be_reached_directly_is_found() {
    let stage = Stage::start("probe", &[]);
    let address = address_of(&stage.text("/sandbox/endpoint"));
    let port: u16 = address.rsplit(':').next().unwrap().parse().unwrap();
    let url = format!("http://{address}/client/api");
    let (code, told) = probe(&["--from", &url, "--ports", &port.to_string()]);
    assert_eq!(code, 1, "{told}");
    let way = &told["ways"][0];
    assert_eq!(
        (way["port"].as_u64(), way["open"].as_bool()),
        (Some(port.into()), Some(true))
    );
    assert!(
        way["shows"]
            .as_str()
            .unwrap()
            .starts_with("answers `HTTP/1.1"),
        "{told}"
    );
}

#[test]
fn a_port_that_takes_connections_is_a_way_and_one_that_refuses_them_is_none() {
    let open = TcpListener::bind("127.0.0.1:0").unwrap();
    let (open_port, closed_port) = {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap();
        (
            open.local_addr().unwrap().port(),
            closed.local_addr().unwrap().port(),
        )
    };
    let url = |port: u16| format!("http://127.0.0.1:{port}/client/api");
    let (code, told) = probe(&[
        "--from",
        &url(closed_port),
        "--ports",
        &closed_port.to_string(),
    ]);
    assert_eq!(
        (code, told["ways"][0]["open"].as_bool()),
        (0, Some(false)),
        "{told}"
    );
    let both = format!("{open_port},{closed_port}");
    let (code, told) = probe(&["--from", &url(closed_port), "--ports", &both]);
    let open: Vec<bool> = told["ways"]
        .as_array()
        .unwrap()
        .iter()
        .map(|way| way["open"].as_bool().unwrap())
        .collect();
    assert_eq!((code, open), (1, vec![true, false]), "{told}");
}

#[test]
fn a_url_without_a_host_is_told_so() {
    let (code, _) = probe(&["--from", "nowhere"]);
    assert_eq!(code, 2);
}

/// The gate's machine and its management server's, beside a network of customers: an address each.
const OURS: &str = "198.51.100.1";
const THEIRS: &str = "198.51.100.2";
/// Where the gate listens to everybody, and to operators on its own machine.
const GATE: u16 = 18_080;
const OPERATORS: u16 = 19_180;
/// All that a management server and its neighbours listen on.
const WAYS: [u16; 8] = [8080, 8443, 8096, 9090, 3306, 5432, 6379, 9180];

#[test]
fn with_the_rules_of_deploy_the_gate_is_the_only_way_in() {
    alone("probe::customers_knock_at_every_port");
}

/// Runs a program where customers are.
fn as_customer(program: &str, arguments: &[&str]) -> std::process::Output {
    let inside = ["netns", "exec", "customers", program];
    let mut run = Command::new("ip");
    run.args(inside).args(arguments);
    run.output().unwrap()
}

/// Which of the ports a customer can connect to.
fn reached() -> Vec<u16> {
    let knock = |port: &u16| {
        let connect = format!("exec 3<>/dev/tcp/{OURS}/{port}");
        let done = as_customer("timeout", &["1", "bash", "-c", &connect]);
        done.status.success()
    };
    WAYS.into_iter().filter(|port| knock(port)).collect()
}

fn probed() -> (i32, Vec<u64>) {
    let url = format!("http://{OURS}:8080/client/api");
    let program = env!("CARGO_BIN_EXE_faregate");
    let done = as_customer(program, &["probe", "--from", &url, "--json"]);
    let told: Value = serde_json::from_slice(&done.stdout).unwrap();
    let ways = told["ways"].as_array().unwrap().iter();
    let open = ways.filter(|way| way["open"].as_bool().unwrap());
    let open = open.map(|way| way["port"].as_u64().unwrap()).collect();
    (done.status.code().unwrap(), open)
}

/// The worked rules, with the gate's own machine as the gate.
fn rules() -> String {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/deploy/nftables/faregate.nft");
    let written = std::fs::read_to_string(file).unwrap();
    assert!(written.contains("define gates = { 198.51.100.10, 198.51.100.11 }"));
    written
}

#[test]
#[ignore = "changes the network: with_the_rules_of_deploy_the_gate_is_… runs it in its own"]
fn customers_knock_at_every_port() {
    must_be_alone();
    for step in [
        "netns add customers",
        "link add gate0 type veth peer name customer0 netns customers",
        "link set gate0 up",
        &format!("address add {OURS}/24 dev gate0"),
        "-n customers link set lo up",
        "-n customers link set customer0 up",
        &format!("-n customers address add {THEIRS}/24 dev customer0"),
    ] {
        run("ip", &step.split(' ').collect::<Vec<_>>());
    }
    let mut stage = Stage::start("only-way", &[]);
    let gate = Open::start(&mut stage);
    let listening: Vec<_> = WAYS
        .into_iter()
        .map(|port| TcpListener::bind(("0.0.0.0", port)).unwrap())
        .collect();
    assert_eq!(reached(), WAYS, "without rules everything is open");
    let (code, open) = probed();
    assert_eq!((code, open), (1, vec![8080, 8443, 8096, 9090, 3306, 9180]));

    let file = std::env::temp_dir().join(format!("faregate-rules-{}.nft", std::process::id()));
    std::fs::write(&file, rules()).unwrap();
    // Twice: what is in force is replaced.
    for _ in 0..2 {
        run("nft", &["-f", file.to_str().unwrap()]);
    }
    std::fs::remove_file(&file).unwrap();
    assert_eq!(reached(), [0; 0]);
    assert_eq!(probed(), (0, vec![]));
    // And the gate serves them as before.
    let query = stage.customer(0).signed("json", "listZones", &[]);
    let request =
        format!("GET /client/api?{query} HTTP/1.1\r\nHost: {OURS}\r\nConnection: close\r\n\r\n");
    let send = format!(
        "exec 3<>/dev/tcp/{OURS}/{GATE}; printf '%s' \"$0\" >&3; head -n 1 <&3 | tr -d '\\r'"
    );
    let heard = as_customer("timeout", &["20", "bash", "-c", &send, &request]);
    assert_eq!(heard.stdout.trim_ascii(), b"HTTP/1.1 200 OK", "{heard:?}");
    drop((listening, gate));
}

/// A gate that listens to everybody.
struct Open(std::process::Child);

impl Open {
    /// In front of a stage's sandbox, in place of its own gate.
    fn start(stage: &mut Stage) -> Self {
        stage.kill_gate();
        let written = std::fs::read_to_string(stage.config()).unwrap();
        let mut written: toml::Table = written.parse().unwrap();
        let listen = written["listen"].as_table_mut().unwrap();
        listen.insert("gate".to_owned(), format!("0.0.0.0:{GATE}").into());
        listen.insert("ops".to_owned(), format!("127.0.0.1:{OPERATORS}").into());
        let config = stage.folder.join("open.toml");
        std::fs::write(&config, written.to_string()).unwrap();
        let log = std::fs::File::create(stage.folder.join("open.log")).unwrap();
        let gate = Command::new(env!("CARGO_BIN_EXE_faregate"))
            .args(["serve", "--config"])
            .arg(&config)
            .stderr(log)
            .spawn();
        until("the gate listens", || {
            TcpStream::connect(("127.0.0.1", GATE)).is_ok()
        });
        Self(gate.unwrap())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
