//! How the gate serves: whose address counts, bounds, drain, a new binary, and what the process
//! forbids.
#![allow(
    clippy::disallowed_methods,
    reason = "a test has a clock and settings of its own"
)]

use crate::served::{Recorder, Served, call, call_kept, command, configured};
use crate::stage::{Stage, exchange, until};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const QUERY: &str = "command=listZones&response=json";

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    let patience = Some(Duration::from_secs(90));
    stream.set_read_timeout(patience).unwrap();
    stream
}

/// Whether the other side closes before it says anything more.
fn closes(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 64]), Ok(0))
}

#[test]
fn a_trusted_proxy_says_whose_a_request_is_and_nobody_else_does() {
    let recorder = Recorder::start();
    let trusting = "trusted_proxies = [\"127.0.0.0/8\"]\n";
    let proxied = Served::start("serving-xff", trusting, &recorder);
    let direct = Served::start("serving-direct", "", &recorder);
    let said = "X-Forwarded-For: 6.6.6.6, 203.0.113.9\r\nForwarded: for=9.9.9.9\r\n";
    let seen = |address: &str, lines: &str| {
        assert_eq!(call(address, QUERY, lines).unwrap().status, 200);
        let head = recorder.seen().pop().unwrap();
        let told = head.lines().filter(|line| line.contains("forwarded"));
        told.map(str::to_owned).collect::<Vec<String>>()
    };
    assert_eq!(seen(&proxied.gate, said), ["x-forwarded-for: 203.0.113.9"]);
    assert_eq!(seen(&direct.gate, said), ["x-forwarded-for: 127.0.0.1"]);
}

#[test]
fn a_proxy_that_speaks_first_names_the_client_and_must_not_be_silent() {
    let recorder = Recorder::start();
    let lines = "trusted_proxies = [\"127.0.0.1\"]\nproxy_protocol = true\n";
    let gate = Served::start("serving-proxy", lines, &recorder);
    let mut header = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c".to_vec();
    header.extend([203, 0, 113, 9, 10, 0, 0, 1, 0x13, 0x88, 0, 80]);
    let mut stream = connect(&gate.gate);
    stream.write_all(&header).unwrap();
    assert_eq!(call_kept(&mut stream, QUERY).unwrap().status, 200);
    let head = recorder.seen().pop().unwrap();
    assert!(head.contains("x-forwarded-for: 203.0.113.9\r\n"), "{head}");

    let mut silent = connect(&gate.gate);
    assert!(call_kept(&mut silent, QUERY).is_none());
    assert_eq!(recorder.seen().len(), 1, "a call without a header went on");
}

#[test]
fn whoever_has_all_connections_of_an_address_is_turned_away_and_let_in_again() {
    let recorder = Recorder::start();
    let lines = "connections_per_address_max = 3\n";
    let gate = Served::start("serving-caps", lines, &recorder);
    let mut open: Vec<TcpStream> = (0..3).map(|_| connect(&gate.gate)).collect();
    for stream in &mut open {
        assert_eq!(call_kept(stream, QUERY).unwrap().status, 200);
    }
    assert!(call_kept(&mut connect(&gate.gate), QUERY).is_none());
    assert_eq!(gate.figure("faregate_connections_open"), 3);
    assert_eq!(gate.figure("faregate_connections_turned_away"), 1);
    for stream in &mut open {
        assert_eq!(call_kept(stream, QUERY).unwrap().status, 200);
    }
    open.pop();
    until("there is room again", || {
        gate.call(QUERY).is_some_and(|heard| heard.status == 200)
    });
}

#[test]
fn a_gate_out_of_descriptors_goes_on_with_what_is_open_and_serves_again() {
    let recorder = Recorder::start();
    let mut gate = Served::start("serving-descriptors", "", &recorder);
    let mut open = connect(&gate.gate);
    assert_eq!(call_kept(&mut open, QUERY).unwrap().status, 200);
    let pid = gate.child.id().to_string();
    let has = std::fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap()
        .count();
    let most = format!("--nofile={0}:{0}", has + 4);
    let bound = Command::new("prlimit")
        .args(["--pid", &pid, &most])
        .status();
    assert!(bound.unwrap().success());
    let waiting: Vec<TcpStream> = (0..40).map(|_| connect(&gate.gate)).collect();
    for _ in 0..3 {
        assert_eq!(call_kept(&mut open, QUERY).unwrap().status, 200);
    }
    drop(waiting);
    until("it serves whoever comes", || {
        gate.call(QUERY).is_some_and(|heard| heard.status == 200)
    });
    assert!(gate.child.try_wait().unwrap().is_none(), "it ended");
}

#[test]
fn a_stop_closes_what_is_idle_answers_what_is_open_and_ends() {
    let recorder = Recorder::start();
    let mut gate = Served::start("serving-drain", "", &recorder);
    let mut idle = connect(&gate.gate);
    call_kept(&mut idle, QUERY).unwrap();
    let mut fresh = connect(&gate.gate);
    let address = gate.gate.clone();
    let slow = std::thread::spawn(move || {
        let mut stream = connect(&address);
        let heard = call_kept(&mut stream, &format!("{QUERY}&sleep=3000"));
        (heard, closes(&mut stream))
    });
    until("the slow call is open", || {
        gate.figure("faregate_connections_open") == 3
    });
    std::thread::sleep(Duration::from_millis(300));
    gate.signal("-TERM");
    assert!(closes(&mut idle) && closes(&mut fresh));
    until("it no longer listens", || {
        TcpStream::connect(&gate.gate).is_err()
    });
    assert!(
        gate.child.try_wait().unwrap().is_none(),
        "it ended with a call open"
    );
    let (heard, closed) = slow.join().unwrap();
    assert_eq!(heard.unwrap().status, 200);
    assert!(closed);
    let status = gate.child.wait().unwrap();
    assert_eq!(status.code(), Some(0), "{}", gate.log.lock().unwrap());
}

#[test]
fn a_deploy_that_is_under_way_at_a_stop_is_answered() {
    let mut stage = Stage::start("serving-deploy", &[]);
    stage.kill_gate();
    let mut gate = Served::over(&stage.folder, &[]);
    gate.removes = false;
    let vm = stage.small_vm(0);
    let mut caller = stage.customer(0);
    caller.endpoint = format!("http://{}/client/api", gate.gate);
    stage.fault("slow", 1_500);
    let asked = std::thread::spawn(move || caller.deploy(&vm));
    until("it is under way", || {
        gate.figure("faregate_calls_raising") == 1
    });
    gate.signal("-TERM");
    let heard = asked.join().unwrap().expect("the deploy was cut off");
    assert_eq!(heard.status, 200, "{heard:?}");
    assert_eq!(gate.child.wait().unwrap().code(), Some(0));
    stage.fault("slow", 0);
    until("it runs", || stage.machines("Running").len() == 1);
}

/// Calls as fast as they are answered until told to stop; how many, and which were not answered.
fn load(address: &str, stop: &Arc<AtomicBool>, kept: bool) -> (usize, Vec<String>) {
    let mut calls = 0;
    let mut lost = Vec::new();
    let mut stream = connect(address);
    while !stop.load(Ordering::SeqCst) {
        let heard = if kept {
            match call_kept(&mut stream, QUERY) {
                // A kept connection may be closed between two calls; the client connects again.
                None => {
                    stream = connect(address);
                    call_kept(&mut stream, QUERY)
                }
                heard => heard,
            }
        } else {
            call(address, QUERY, "")
        };
        calls += 1;
        if heard.as_ref().is_none_or(|heard| heard.status != 200) {
            lost.push(format!("{heard:?}"));
        }
    }
    (calls, lost)
}

#[test]
fn a_new_binary_takes_over_and_no_call_is_refused() {
    let recorder = Recorder::start();
    let lines = "threads = 2\nmetrics = \"127.0.0.1:0\"\n";
    let mut old = Served::start("serving-handover", lines, &recorder);
    old.removes = false;
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|index| {
            let (address, stop) = (old.gate.clone(), stop.clone());
            std::thread::spawn(move || load(&address, &stop, index % 2 == 0))
        })
        .collect();
    let address = old.gate.clone();
    let slow = std::thread::spawn(move || call(&address, &format!("{QUERY}&sleep=2000"), ""));
    std::thread::sleep(Duration::from_millis(500));
    let new = Served::over(&old.folder, &["--take-over"]);
    assert_eq!((&new.gate, &new.ops), (&old.gate, &old.ops));
    assert_eq!(slow.join().unwrap().unwrap().status, 200);
    assert_eq!(
        old.child.wait().unwrap().code(),
        Some(0),
        "{}",
        old.log.lock().unwrap()
    );
    let before = recorder.seen().len();
    until("the new one serves", || recorder.seen().len() > before + 50);
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        let (calls, lost) = client.join().unwrap();
        assert!(lost.is_empty(), "of {calls}: {lost:?}");
    }
    // And once more: what was taken over can be handed over.
    let newer = Served::over(&old.folder, &["--take-over"]);
    assert_eq!(newer.gate, old.gate);
    assert_eq!(newer.call(QUERY).unwrap().status, 200);
}

#[test]
fn two_nodes_never_run_with_one_state_folder() {
    let recorder = Recorder::start();
    let gate = Served::start("serving-two", "", &recorder);
    let second = command(&gate.folder, &[]).output().unwrap();
    let said = String::from_utf8_lossy(&second.stderr).into_owned();
    assert_eq!(second.status.code(), Some(2));
    assert!(said.contains("another node runs with"), "{said}");
    assert_eq!(gate.call(QUERY).unwrap().status, 200);
}

#[test]
fn a_new_binary_whose_configuration_is_faulty_takes_nothing() {
    let recorder = Recorder::start();
    let gate = Served::start("serving-faulty", "", &recorder);
    let path = gate.folder.join("faregate.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("{text}\n[nonsense]\n")).unwrap();
    let second = command(&gate.folder, &["--take-over"]).output().unwrap();
    assert_eq!(second.status.code(), Some(2));
    assert_eq!(gate.call(QUERY).unwrap().status, 200);
}

#[test]
fn the_process_cannot_be_dumped_and_its_figures_have_a_socket_of_their_own() {
    let recorder = Recorder::start();
    let upstream = format!("url = \"{}\"", recorder.url());
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let metrics = port.local_addr().unwrap().to_string();
    drop(port);
    let folder = configured(
        "serving-dump",
        &format!("metrics = \"{metrics}\"\n"),
        &upstream,
    );
    let gate = Served::over(&folder, &[]);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", gate.child.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    let words: Vec<&str> = core.split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{core}");
    // What cannot be dumped belongs to root, whoever runs it (proc(5)).
    let memory = std::fs::metadata(format!("/proc/{}/mem", gate.child.id())).unwrap();
    let owner = std::os::unix::fs::MetadataExt::uid(&memory);
    assert_eq!(owner, 0);
    let ask = |address: &str, path: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
        exchange(address, &request).unwrap().status
    };
    assert_eq!(ask(&metrics, "/metrics"), 200);
    assert_eq!(ask(&metrics, "/healthz"), 200);
    assert_eq!(ask(&metrics, "/"), 404);
    assert_eq!(ask(&gate.gate, "/metrics"), 404);
}

#[test]
fn log_lines_can_be_json_objects() {
    let recorder = Recorder::start();
    let upstream = format!("url = \"{}\"", recorder.url());
    let folder = configured("serving-json", "", &upstream);
    let gate = Served::over(&folder, &["--log-json"]);
    let log = gate.log.lock().unwrap().clone();
    let ready = log.lines().find(|line| line.contains("ready")).unwrap();
    let line: serde_json::Value = serde_json::from_str(ready).unwrap();
    assert_eq!(line["verb"], "serve", "{line}");
}

#[test]
fn an_answer_may_take_longer_than_any_bound_on_the_client() {
    let recorder = Recorder::start();
    let gate = Served::start("serving-slow", "", &recorder);
    let began = Instant::now();
    let heard = gate.call(&format!("{QUERY}&sleep=35000")).unwrap();
    assert_eq!(heard.status, 200);
    assert!(began.elapsed() >= Duration::from_secs(35));
    until("the connection is gone", || {
        gate.figure("faregate_connections_open") == 0
    });
}
