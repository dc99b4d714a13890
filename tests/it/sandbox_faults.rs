//! Edge: the faults that the sandbox plays, and that its file brings everything back.

use crate::sandbox::{call, map_of};
use crate::sandbox_world::{SMALL, TEMPLATE, World, ZONE, text};
use faregate::clock::{BillingOrigin, Clock, write_origin};
use faregate::sandbox::{SandboxOptions, serve};
use faregate::terms::time::Timestamp;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;

#[tokio::test]
async fn a_failing_job_undoes_its_deploy() {
    let world = World::new("fails").await;
    let network = world.network(&world.ann, "n").await;
    world.fault("job-fails", 1).await;
    let (_, begun) = world.deploy(&world.ann, &[("networkids", &network)]).await;
    let job = world.job(&world.ann, &begun["jobid"]).await;
    assert_eq!(
        (job["jobstatus"].as_i64(), job["jobresultcode"].as_i64()),
        (Some(2), Some(530))
    );
    assert_eq!(world.state(&world.ann, &text(&begun["id"])).await, "Error");
    world.vm(&world.ann, &network, "next").await;
}

#[tokio::test]
async fn a_cancelled_deploy_has_no_result_and_leaves_its_vm() {
    let world = World::new("cancelled").await;
    let network = world.network(&world.ann, "n").await;
    world.fault("job-fails-after-vm", 1).await;
    let (_, begun) = world.deploy(&world.ann, &[("networkids", &network)]).await;
    let job = world.job(&world.ann, &begun["jobid"]).await;
    assert_eq!(
        (job["jobstatus"].as_i64(), job["jobresultcode"].as_i64()),
        (Some(2), Some(530))
    );
    assert!(job.get("jobresult").is_none() && job.get("completed").is_some());
    assert_eq!(
        world.state(&world.ann, &text(&begun["id"])).await,
        "Stopped"
    );
}

/// Sends a deploy whose answer never comes; gives the account's VMs and jobs afterwards.
async fn unanswered(world: &World, fault: &str) -> (Value, Value) {
    let network = world.network(&world.ann, "n").await;
    world.fault(fault, 1).await;
    let mut map = map_of(&[
        ("command", "deployVirtualMachine"),
        ("zoneid", ZONE),
        ("templateid", TEMPLATE),
        ("serviceofferingid", SMALL),
        ("customjobid", "0b3c8f5e-9a55-4b7e-8f5d-2f1f3f0f9a01"),
    ]);
    map.insert("networkids", &network);
    let (at, keys) = (
        world.at,
        crate::sandbox::Keys {
            api_key: world.ann.api_key.clone(),
            secret: world.ann.secret.clone(),
        },
    );
    let lost = tokio::spawn(async move { call(at, &map, &keys).await });
    assert!(
        lost.await.is_err(),
        "the connection was cut without an answer"
    );
    let vms = world
        .ok(&world.ann, &[("command", "listVirtualMachines")])
        .await;
    let asked = [
        ("command", "queryAsyncJobResult"),
        ("jobid", "0b3c8f5e-9a55-4b7e-8f5d-2f1f3f0f9a01"),
    ];
    (vms, world.any(&world.admin, &asked).await.1)
}

#[tokio::test]
async fn a_lost_answer_was_carried_out() {
    let world = World::new("lost").await;
    let (vms, job) = unanswered(&world, "answer-lost").await;
    assert_eq!(vms["count"], 1);
    assert_eq!(job["jobinstanceid"], vms["virtualmachine"][0]["id"]);
}

#[tokio::test]
async fn a_server_that_dies_before_the_job_row_leaves_a_vm_and_no_job() {
    let world = World::new("orphan").await;
    let (vms, job) = unanswered(&world, "dies-before-job-row").await;
    assert_eq!(vms["virtualmachine"][0]["state"], "Stopped");
    assert_eq!(job["errorcode"], 431);
}

fn options(folder: &Path, clock: Clock, millis: u64) -> SandboxOptions {
    SandboxOptions {
        listen: "127.0.0.1:0".parse().unwrap(),
        state_dir: folder.to_owned(),
        clock,
        job_delay_millis: (millis, millis),
    }
}

struct Running {
    at: std::net::SocketAddr,
    stop: tokio::sync::watch::Sender<bool>,
    ends: tokio::task::JoinHandle<()>,
}

async fn run(options: SandboxOptions) -> Running {
    let (ready, address) = tokio::sync::oneshot::channel();
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let ends = tokio::spawn(async move { serve(options, ready, stopped).await.unwrap() });
    Running {
        at: address.await.unwrap(),
        stop,
        ends,
    }
}

fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("fg-sandbox-{name}-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn admin(folder: &Path) -> crate::sandbox::Keys {
    let text = std::fs::read(folder.join("admin.json")).unwrap();
    let keys: Value = serde_json::from_slice(&text).unwrap();
    crate::sandbox::Keys {
        api_key: keys["api_key"].as_str().unwrap().to_owned(),
        secret: keys["secret"].as_str().unwrap().to_owned(),
    }
}

async fn deploy(at: std::net::SocketAddr, keys: &crate::sandbox::Keys) -> Value {
    let words = [
        ("command", "deployVirtualMachine"),
        ("zoneid", ZONE),
        ("templateid", TEMPLATE),
        ("serviceofferingid", SMALL),
    ];
    let (status, body) = call(at, &map_of(&words), keys).await;
    assert_eq!(status, 200, "{body}");
    body["deployvirtualmachineresponse"].clone()
}

#[tokio::test]
async fn a_restart_keeps_everything_and_cancels_what_was_under_way() {
    let folder = folder("restart");
    let first = run(options(&folder, Clock::system(), 1)).await;
    let keys = admin(&folder);
    let done = deploy(first.at, &keys).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    first.stop.send(true).unwrap();
    first.ends.await.unwrap();
    let second = run(options(&folder, Clock::system(), 60_000)).await;
    let begun = deploy(second.at, &keys).await;
    second.stop.send(true).unwrap();
    second.ends.await.unwrap();
    let third = run(options(&folder, Clock::system(), 1)).await;
    let query = |id: &Value| {
        map_of(&[
            ("command", "queryAsyncJobResult"),
            ("jobid", id.as_str().unwrap()),
        ])
    };
    let (_, job) = call(third.at, &query(&begun["jobid"]), &keys).await;
    let job = &job["queryasyncjobresultresponse"];
    assert_eq!(
        (job["jobstatus"].as_i64(), job["jobresultcode"].as_i64()),
        (Some(2), Some(530))
    );
    assert!(job.get("jobresult").is_none());
    let (_, vms) = call(
        third.at,
        &map_of(&[("command", "listVirtualMachines")]),
        &keys,
    )
    .await;
    let vms = vms["listvirtualmachinesresponse"]["virtualmachine"]
        .as_array()
        .unwrap()
        .clone();
    let state = |id: &Value| {
        let vm = vms
            .iter()
            .find(|vm| vm["id"] == *id)
            .expect("the VM is there");
        vm["state"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        (state(&done["id"]), state(&begun["id"])),
        ("Running".into(), "Stopped".into())
    );
    let _ = std::fs::remove_dir_all(folder);
}

#[tokio::test]
async fn usage_records_follow_the_billing_clock_and_can_be_spoilt() {
    let folder = folder("usage");
    let file = folder.join("billing.clock");
    let wall = Clock::system().wall();
    let start = Timestamp::from_seconds(wall.seconds() / 3_600 * 3_600);
    write_origin(
        &file,
        BillingOrigin {
            wall,
            billing: start,
            speed: 1,
        },
    )
    .unwrap();
    let clock = Clock::with_billing_file(&file).unwrap();
    let running = run(options(&folder, clock, 1)).await;
    let keys = admin(&folder);
    deploy(running.at, &keys).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    // Three hours later.
    let later = BillingOrigin {
        wall,
        billing: start.plus(3 * 3_600_000_000),
        speed: 1,
    };
    write_origin(&file, later).unwrap();
    tokio::time::sleep(Duration::from_millis(200)).await;
    let list = map_of(&[
        ("command", "listUsageRecords"),
        ("startdate", "2020-01-01"),
        ("enddate", "2050-01-01"),
        ("type", "1"),
    ]);
    let count = async || {
        let (status, body) = call(running.at, &list, &keys).await;
        assert_eq!(status, 200, "{body}");
        body["listusagerecordsresponse"]["usagerecord"]
            .as_array()
            .map_or(0, Vec::len)
    };
    assert_eq!(
        count().await,
        3,
        "an hour of running for each hour that has ended"
    );
    let form = "name=usage-doubled&count=1";
    let request = format!(
        "POST /sandbox/faults HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: \
         {}\r\n\r\n{form}",
        form.len()
    );
    crate::sandbox_world::raw(running.at, &request).await;
    let all = map_of(&[
        ("command", "listUsageRecords"),
        ("startdate", "2020-01-01"),
        ("enddate", "2050-01-01"),
    ]);
    let (_, body) = call(running.at, &all, &keys).await;
    let records = body["listusagerecordsresponse"]["usagerecord"]
        .as_array()
        .unwrap()
        .clone();
    assert_eq!(records[0], records[1]);
    running.stop.send(true).unwrap();
    running.ends.await.unwrap();
    let _ = std::fs::remove_dir_all(folder);
}
