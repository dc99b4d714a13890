//! Edge: whole recorded scenarios of cs, cmk and the Go SDK, through the gate.
//!
//! Each call keeps its method, headers and the order and spelling of its parameters; key, secret,
//! `expires` and ids are the sandbox's. Status, wrapper, field names and JSON types must be those
//! that the real server gave the real client; what the stand-in is known to answer otherwise is in
//! `sandbox::DEVIATIONS`.

use crate::sandbox::{DEVIATIONS, compare, learn};
use crate::stage::{Caller, Heard, Stage, address_of, exchange};
use faregate::clock::Clock;
use faregate::cloudstack::{query::ParamMap, signature, time};
use faregate::terms::time::SECOND;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// Enough for everything that a scenario makes.
const MONEY: &str = "100.00";

fn replay(client: &str) -> (usize, Vec<String>) {
    let stage = Stage::start(&format!("live-{client}"), &[]);
    stage.top_up("prepaid-paula", MONEY, "live");
    let caller = stage.customer(0);
    let file = format!(
        "{}/tests/fixtures/clients-live/{client}.jsonl",
        env!("CARGO_MANIFEST_DIR")
    );
    let (mut calls, mut found) = (0, Vec::new());
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    for line in std::fs::read_to_string(file).unwrap().lines() {
        let recorded: Value = serde_json::from_str(line).unwrap();
        let mut map = parameters(&recorded);
        let case = recorded["case"].as_str().unwrap();
        prepare(&stage, case, &map, &mut ids);
        let expected = expected(&recorded);
        let is_poll = map.command() == "queryAsyncJobResult";
        let pending = |value: &Value| value["queryasyncjobresultresponse"]["jobstatus"] == 0;
        if is_poll && pending(&expected) {
            continue;
        }
        let place = format!("{client} {case} {}", map.command());
        substitute(&mut map, &ids);
        let mut got = send(&caller, &recorded, map.clone());
        while is_poll && pending(&json(&got)) {
            std::thread::sleep(Duration::from_millis(50));
            got = send(&caller, &recorded, map.clone());
        }
        calls += 1;
        let ours = json(&got);
        learn(&expected, &ours, &mut ids);
        let status = recorded["response"]["status"].as_u64().unwrap();
        if status != u64::from(got.status) {
            found.push(format!("{place}: status {status} against {got:?}"));
        }
        // A refusal of the gate would have the same shape: the limit must be the cloud's own.
        let of_limit = |text: &str| text.contains("Maximum amount of resources");
        if of_limit(&expected.to_string()) && !of_limit(&got.body) {
            found.push(format!("{place}: refused by another: {got:?}"));
        }
        let mut here = Vec::new();
        compare("", &expected, &ours, &mut here);
        found.extend(here.into_iter().map(|text| format!("{place}: {text}")));
    }
    found.retain(|text| !DEVIATIONS.iter().any(|(path, _)| text.contains(path)));
    nothing_is_held(&stage, &mut found);
    (calls, found)
}

fn parameters(recorded: &Value) -> ParamMap {
    let request = &recorded["request"];
    let target = request["target"].as_str().unwrap();
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let body = request["body"].as_str().unwrap_or_default();
    ParamMap::parse_as_cloudstack(query.as_bytes(), body.as_bytes()).unwrap()
}

fn expected(recorded: &Value) -> Value {
    serde_json::from_str(recorded["response"]["body"].as_str().unwrap()).unwrap()
}

fn json(heard: &Heard) -> Value {
    serde_json::from_str(&heard.body).unwrap_or_else(|fault| panic!("{fault}: {heard:?}"))
}

/// Sets the account limits that a case was recorded with.
fn prepare(stage: &Stage, case: &str, map: &ParamMap, ids: &mut BTreeMap<String, String>) {
    let limit = match case.rsplit('/').next().unwrap_or(case) {
        // 200 GiB of primary storage: a volume of 1000 GiB passes it.
        "over-limit" => ("10", "200"),
        "limit-deploy" => ("0", "0"),
        _ => return,
    };
    // The recording's network is of an account that it does not show being made.
    if let Some(network) = map.get("networkids") {
        ids.insert(network.to_owned(), stage.text("/customers/0/network_id"));
    }
    let domain = stage.text("/customers/0/domain_id");
    let words = [
        ("account", "prepaid-paula"),
        ("domainid", domain.as_str()),
        ("resourcetype", limit.0),
        ("max", limit.1),
    ];
    let heard = stage.admin().call("updateResourceLimit", &words).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
}

fn substitute(map: &mut ParamMap, ids: &BTreeMap<String, String>) {
    for (lower, param) in map.clone().iter() {
        if let Some(id) = ids.get(&param.value) {
            map.set_value(lower, id.clone());
        }
    }
}

/// The recorded call with our keys: same method, headers, and kind of signature.
fn send(caller: &Caller, recorded: &Value, mut map: ParamMap) -> Heard {
    map.set_value("apikey", caller.key.clone());
    if map.get("expires").is_some() {
        let expires = time::print(Clock::system().wall().plus(600 * SECOND));
        map.set_value("expires", expires);
    }
    map.remove("signature");
    let signed = signature::sign(&map, caller.secret.as_bytes());
    map.insert("signature", &signed);
    let (wire, request) = (map.to_wire(), &recorded["request"]);
    let address = address_of(&caller.endpoint);
    let mut head = format!("Host: {address}\r\nConnection: close\r\n");
    for pair in request["headers"].as_array().unwrap() {
        let (name, value) = (pair[0].as_str().unwrap(), pair[1].as_str().unwrap());
        let ours = ["host", "connection", "content-length"];
        if !ours.contains(&name.to_lowercase().as_str()) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    let request = match request["method"].as_str().unwrap() {
        "POST" => format!(
            "POST /client/api HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{wire}",
            wire.len()
        ),
        method => format!("{method} /client/api?{wire} HTTP/1.1\r\n{head}\r\n"),
    };
    exchange(&address, &request).unwrap_or_else(|| panic!("no answer to {request}"))
}

/// After the scenarios everything is gone, so every hold is settled or given back.
fn nothing_is_held(stage: &Stage, found: &mut Vec<String>) {
    let config = stage.config();
    let held = || {
        let told = stage.faregate(&["ledger", "balances", "--config", &config]);
        let line = told.lines().find(|line| line.starts_with("prepaid-paula"));
        line.unwrap().to_owned()
    };
    for _ in 0..100 {
        if held().contains("held 0.000000") {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    let line = held();
    if !line.contains("held 0.000000") {
        found.push(format!("something is still held: {line}"));
    }
    stage.faregate(&["ledger", "verify", "--config", &config]);
}

#[test]
fn recorded_clients_get_through_the_gate_what_the_real_server_gave_them() {
    let clients = ["cs", "cmk", "go-sdk"];
    let results: Vec<(usize, Vec<String>)> = std::thread::scope(|scope| {
        let runs = clients.map(|client| scope.spawn(move || replay(client)));
        runs.into_iter().map(|run| run.join().unwrap()).collect()
    });
    let mut found: Vec<String> = results
        .iter()
        .flat_map(|(_, found)| found.clone())
        .collect();
    found.sort();
    found.dedup();
    let calls: Vec<usize> = results.iter().map(|(calls, _)| *calls).collect();
    assert!(found.is_empty(), "{calls:?} calls:\n{}", found.join("\n"));
    assert_eq!(calls, [56, 28, 55]);
}
