//! Edge: rules, VPN users, VM snapshots and buckets are metered from their call to their end,
//! through the gate and, by the sweep, behind its back.
#![allow(
    clippy::disallowed_methods,
    reason = "a test has a clock and settings of its own"
)]

use crate::stage::{Caller, Stage, address_of, exchange, until};
use serde_json::Value;
use std::collections::BTreeMap;

type Words = Vec<(&'static str, String)>;

/// What it is for people, the command that makes it, and the one that ends it by which parameter.
struct Kind {
    name: &'static str,
    make: (&'static str, Words),
    end: (&'static str, &'static str),
}

fn kind(
    name: &'static str,
    make: &'static str,
    words: &[(&'static str, &str)],
    end: (&'static str, &'static str),
) -> Kind {
    let words = words
        .iter()
        .map(|(name, value)| (*name, (*value).to_owned()));
    Kind {
        name,
        make: (make, words.collect()),
        end,
    }
}

fn kinds(address: &str, vm: &str) -> Vec<Kind> {
    let port = [
        ("ipaddressid", address),
        ("privateport", "22"),
        ("publicport", "22"),
        ("protocol", "tcp"),
        ("virtualmachineid", vm),
    ];
    let balanced = [
        ("publicipid", address),
        ("name", "web"),
        ("algorithm", "roundrobin"),
        ("privateport", "80"),
        ("publicport", "80"),
    ];
    let bucket = [
        ("name", "photos"),
        ("quota", "5"),
        ("objectstorageid", "00000000-0000-4000-8000-000000000009"),
    ];
    let user = [("username", "road"), ("password", "warrior-1")];
    let snapshot = [("virtualmachineid", vm)];
    let ends = |command: &'static str, by: &'static str| (command, by);
    vec![
        kind(
            "a port-forwarding rule",
            "createPortForwardingRule",
            &port,
            ends("deletePortForwardingRule", "id"),
        ),
        kind(
            "a load-balancer rule",
            "createLoadBalancerRule",
            &balanced,
            ends("deleteLoadBalancerRule", "id"),
        ),
        kind(
            "a VPN user",
            "addVpnUser",
            &user,
            ends("removeVpnUser", "username"),
        ),
        kind(
            "a VM snapshot",
            "createVMSnapshot",
            &snapshot,
            ends("deleteVMSnapshot", "vmsnapshotid"),
        ),
        kind(
            "a bucket",
            "createBucket",
            &bucket,
            ends("deleteBucket", "id"),
        ),
    ]
}

/// Calls and waits for the job, where there is one; gives the id of what was made.
fn run(caller: &Caller, command: &str, words: &[(&str, &str)]) -> String {
    let heard = caller.call(command, words).unwrap();
    assert_eq!(heard.status, 200, "{command}: {heard:?}");
    let inside = heard.inside();
    if let Some(job) = inside["jobid"].as_str() {
        assert_eq!(caller.job_end(job), 1, "{command}");
    }
    inside["id"].as_str().unwrap_or_default().to_owned()
}

fn make(caller: &Caller, kind: &Kind) -> String {
    let (command, words) = &kind.make;
    let words: Vec<(&str, &str)> = words.iter().map(|(n, v)| (*n, v.as_str())).collect();
    run(caller, command, &words)
}

fn end(caller: &Caller, kind: &Kind, id: &str) {
    let (command, by) = kind.end;
    let value = if by == "username" { "road" } else { id };
    run(caller, command, &[(by, value)]);
}

/// Payers of the running meters, by resource.
pub fn metered(stage: &Stage) -> BTreeMap<String, String> {
    metered_like(stage, "")
}

/// Those in which that text is found.
pub fn metered_like(stage: &Stage, search: &str) -> BTreeMap<String, String> {
    let address = address_of(&stage.text("/operator_page"));
    let request = format!(
        "GET /meters.json?search={search} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    );
    let heard = exchange(&address, &request).unwrap();
    let page: Value =
        serde_json::from_str(&heard.body).unwrap_or_else(|e| panic!("{e}: {heard:?}"));
    let rows = page["rows"].as_array().unwrap();
    let text = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    rows.iter()
        .map(|row| (text(row, "resource"), text(row, "payer")))
        .collect()
}

/// A VM of the postpaid customer, and the source NAT address that it brought.
fn ground(stage: &Stage) -> (Caller, String, String) {
    let pete = stage.customer(1);
    let heard = pete.deploy(&stage.small_vm(1)).unwrap().inside();
    assert_eq!(pete.job_end(heard["jobid"].as_str().unwrap()), 1);
    let vm = heard["id"].as_str().unwrap().to_owned();
    until("the deployment is settled", || {
        metered(stage).contains_key(&vm)
    });
    let list = pete.call("listPublicIpAddresses", &[]).unwrap().inside();
    let address = list["publicipaddress"][0]["id"].as_str().unwrap();
    (pete, address.to_owned(), vm)
}

#[test]
fn things_made_and_ended_through_the_gate_are_metered_between() {
    let stage = Stage::start("metered-types", &[]);
    let (pete, address, vm) = ground(&stage);
    for kind in kinds(&address, &vm) {
        let id = make(&pete, &kind);
        until(&format!("{} is metered", kind.name), || {
            metered(&stage).get(&id).map(String::as_str) == Some("postpaid-pete")
        });
        end(&pete, &kind, &id);
        until(&format!("{} is metered no more", kind.name), || {
            !metered(&stage).contains_key(&id)
        });
    }
}

#[test]
fn things_made_and_ended_behind_the_gate_are_found_by_the_sweep() {
    let mut stage = Stage::start("swept-types", &[]);
    let (pete, address, vm) = ground(&stage);
    let behind = Caller {
        endpoint: stage.text("/sandbox/endpoint"),
        ..pete.clone()
    };
    stage.kill_gate();
    let kinds = kinds(&address, &vm);
    let made: Vec<String> = kinds.iter().map(|kind| make(&behind, kind)).collect();
    // What is a few seconds old is taken to be on its way through the gate.
    std::thread::sleep(std::time::Duration::from_secs(11));
    stage.start_again();
    for (kind, id) in kinds.iter().zip(&made) {
        until(&format!("{} is found", kind.name), || {
            metered(&stage).get(id).map(String::as_str) == Some("postpaid-pete")
        });
    }
    stage.kill_gate();
    for (kind, id) in kinds.iter().zip(&made) {
        end(&behind, kind, id);
    }
    stage.start_again();
    for (kind, id) in kinds.iter().zip(&made) {
        until(&format!("{} is found to be gone", kind.name), || {
            !metered(&stage).contains_key(id)
        });
    }
}
