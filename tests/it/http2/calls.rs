//! Calls of every kind beside each other on one HTTP/2 connection, and the end of such a
//! connection when the gate stops.

use crate::served::{MODERN, Recorder, Served, certificate, shake, tls_lines};
use crate::stage::{Stage, pairs, until};
use crate::tls::{ask_two, two};
use bytes::Bytes;
use h2::client::SendRequest;
use http::Request;
use std::time::Duration;

const QUERY: &str = "command=listZones&response=json";

/// The gate of a stage, with TLS.
fn gate_of(stage: &mut Stage) -> Served {
    stage.kill_gate();
    let path = stage.folder.join("faregate.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let listen = format!("{}\n[upstream]", tls_lines(&["cloud"]));
    std::fs::write(&path, text.replace("[upstream]", &listen)).unwrap();
    certificate(&stage.folder, "cloud", &["cloud.example"], 2200);
    let mut gate = Served::over(&stage.folder, &[]);
    gate.removes = false;
    gate
}

async fn client(gate: &Served) -> SendRequest<Bytes> {
    two(gate.tls.as_ref().unwrap(), &gate.folder.join("cloud.crt")).await
}

fn request(method: &str, query: &str) -> Request<()> {
    let uri = format!("https://cloud.example/client/api?{query}");
    Request::builder().method(method).uri(uri).body(()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn raising_reading_and_refused_calls_share_one_connection() {
    let mut stage = Stage::start("http2-shared", &[]);
    let gate = gate_of(&mut stage);
    let client = client(&gate).await;
    let caller = stage.customer(0);
    let vm = stage.small_vm(0);
    let deploy = caller.signed("json", "deployVirtualMachine", &pairs(&vm));
    let list = caller.signed("json", "listVirtualMachines", &[]);
    let wrong = list.replace("signature=", "signature=AAAA");
    let calls = [
        (request("GET", &deploy), 200),
        (request("GET", &list), 200),
        (request("GET", &wrong), 401),
        (request("HEAD", &list), 405),
        (request("GET", &format!("{list}&host=a")), 401),
        (request("GET", "command=createNothingKnown"), 432),
        (request("GET", &list), 200),
    ];
    let asked = calls.map(|(request, expected)| {
        let mut client = client.clone();
        tokio::spawn(async move {
            let shown = format!("{request:?}");
            let (status, body) = ask_two(&mut client, request).await.unwrap();
            assert_eq!(
                status,
                expected,
                "{shown}: {}",
                String::from_utf8_lossy(&body)
            );
        })
    });
    for one in asked {
        one.await.unwrap();
    }
    until("it runs", || stage.machines("Running").len() == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_on_an_open_stream_is_answered_at_a_stop() {
    let mut stage = Stage::start("http2-stop", &[]);
    let mut gate = gate_of(&mut stage);
    let mut client = client(&gate).await;
    let vm = stage.small_vm(0);
    let caller = stage.customer(0);
    let deploy = caller.signed("json", "deployVirtualMachine", &pairs(&vm));
    stage.fault("slow", 1_500);
    let mut first = client.clone();
    let asked = tokio::spawn(async move { ask_two(&mut first, request("GET", &deploy)).await });
    tokio::task::block_in_place(|| {
        until("it is under way", || {
            gate.figure("faregate_calls_raising") == 1
        });
        gate.signal("-TERM");
    });
    let (status, body) = asked.await.unwrap().expect("the deploy was cut off");
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    let ended = tokio::task::block_in_place(|| gate.child.wait().unwrap());
    assert_eq!(ended.code(), Some(0));
    let late = ask_two(&mut client, request("GET", QUERY)).await;
    assert!(late.is_err(), "a call after GOAWAY went on: {late:?}");
    stage.fault("slow", 0);
    until("it runs", || stage.machines("Running").len() == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn open_streams_are_answered_when_the_gate_drains() {
    let recorder = Recorder::start();
    let mut gate = super::gate("http2-drain", &recorder);
    let mut client = client(&gate).await;
    let mut open = Vec::new();
    for number in 0..5 {
        let slow = format!("{QUERY}&sleep=4000&number={number}");
        let (answer, _) = client.send_request(request("GET", &slow), true).unwrap();
        open.push(answer);
    }
    // It was sent after them: they are there.
    let (status, _) = ask_two(&mut client, request("GET", QUERY)).await.unwrap();
    assert_eq!(status, 200);
    assert!(recorder.seen().len() < 6, "they ended before the stop");
    gate.signal("-TERM");
    for answer in open {
        let answer = answer.await.expect("a call was cut off");
        assert_eq!(answer.status(), 200);
        let body = answer.into_body().data().await.unwrap().unwrap();
        assert_eq!(&body[..], b"{}");
    }
    let late = ask_two(&mut client, request("GET", QUERY)).await;
    assert!(late.is_err(), "a call after GOAWAY went on: {late:?}");
    let ended = tokio::task::block_in_place(|| gate.child.wait().unwrap());
    assert_eq!(ended.code(), Some(0), "{}", gate.log.lock().unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn long_answers_come_whole_through_small_windows_beside_a_stream_nobody_reads() {
    let recorder = Recorder::start();
    let gate = super::gate("http2-windows", &recorder);
    let trusted = gate.folder.join("cloud.crt");
    let stream = shake(gate.tls.as_ref().unwrap(), &trusted, &MODERN);
    let (mut client, connection) = h2::client::Builder::new()
        .initial_window_size(1_000)
        .handshake::<_, Bytes>(stream.await.unwrap())
        .await
        .unwrap();
    tokio::spawn(connection);
    let long = || request("GET", &format!("{QUERY}&bytes=300000"));
    let (unread, _) = client.send_request(long(), true).unwrap();
    let unread = unread.await.unwrap();
    let asked: Vec<_> = (0..4)
        .map(|_| {
            let (mut client, long) = (client.clone(), long());
            tokio::spawn(async move { ask_two(&mut client, long).await })
        })
        .collect();
    for one in asked {
        let answered = tokio::time::timeout(Duration::from_secs(60), one).await;
        let (status, body) = answered.expect("it hangs").unwrap().unwrap();
        assert_eq!((status, body.len()), (200, 300_000));
    }
    assert_eq!(unread.status(), 200);
}
