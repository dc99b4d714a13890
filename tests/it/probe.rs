//! The self-test that looks for ways around the gate.

use crate::stage::{Stage, address_of};
use serde_json::Value;
use std::net::TcpListener;
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
