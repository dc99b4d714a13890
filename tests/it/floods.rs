//! Clients that mean harm: floods of HTTP/2 frames, and slowness of every kind, while another
//! client's calls are answered.
#![allow(
    clippy::disallowed_methods,
    reason = "a test has a clock and settings of its own"
)]

use crate::campaign::rounds;
use crate::http2::gate;
use crate::http2::wire::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, HEADERS, PING, PREFACE, RESET, SETTINGS,
    WINDOW_UPDATE, field, frame, pseudo,
};
use crate::served::{MODERN, Recorder, Served, shake};
use crate::stage::{exchange_over, until};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const QUERY: &str = "command=listZones&response=json";
/// What a flood may add to the gate's memory.
const GROWTH_MAX_MIB: u64 = 64;
/// Connections of each slow kind.
const SLOW: usize = 200;
/// Clients of each flood, and for how long.
const FLOODERS: usize = 4;
const SUSTAINED: Duration = Duration::from_secs(2);

fn head(method: &str, query: &str) -> Vec<u8> {
    let target = format!("/client/api?{query}");
    [pseudo(method), field(b":path", target.as_bytes())].concat()
}

/// What one round of a flood sends; stream ids go up by two.
type Round = fn(u32) -> Vec<u8>;

fn rapid_reset(stream: u32) -> Vec<u8> {
    let open = frame(
        HEADERS,
        END_HEADERS | END_STREAM,
        stream,
        &head("GET", QUERY),
    );
    [open, frame(RESET, 0, stream, &8_u32.to_be_bytes())].concat()
}

fn faults_of_ours(stream: u32) -> Vec<u8> {
    // A window that widens by nothing is a fault that the server has to reset the stream for.
    let open = frame(
        HEADERS,
        END_HEADERS | END_STREAM,
        stream,
        &head("GET", QUERY),
    );
    [open, frame(WINDOW_UPDATE, 0, stream, &[0; 4])].concat()
}

fn continuations(stream: u32) -> Vec<u8> {
    if stream == 1 {
        frame(HEADERS, END_STREAM, 1, &head("GET", QUERY))
    } else {
        frame(CONTINUATION, 0, 1, &field(b"x-more", b"and more and more"))
    }
}

fn empty_data(stream: u32) -> Vec<u8> {
    if stream == 1 {
        frame(HEADERS, END_HEADERS, 1, &head("POST", QUERY))
    } else {
        frame(DATA, 0, 1, &[])
    }
}

fn settings(_: u32) -> Vec<u8> {
    frame(SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0])
}

fn pings(_: u32) -> Vec<u8> {
    frame(PING, 0, 0, &[7; 8])
}

fn long_fields(stream: u32) -> Vec<u8> {
    let mut block = head("GET", QUERY);
    for _ in 0..150 {
        block.extend(field(b"x-long", &[b'y'; 120]));
    }
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block[..16_000])
}

/// Floods for a while, on one connection after the other; false where one goes on.
async fn sustained(address: String, trusted: std::path::PathBuf, round: Round) -> bool {
    let began = std::time::Instant::now();
    while began.elapsed() < SUSTAINED {
        if !flood(&address, &trusted, round).await {
            return false;
        }
    }
    true
}

/// Floods until the other side ends the connection; false where it does not within the rounds.
async fn flood(address: &str, trusted: &Path, round: Round) -> bool {
    let mut stream = shake(address, trusted, &MODERN).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    let (mut reads, mut writes) = tokio::io::split(stream);
    let heard = tokio::spawn(async move {
        let mut read = vec![0; 16 * 1024];
        while reads.read(&mut read).await.is_ok_and(|length| length > 0) {}
    });
    for number in 0..400_000_u32 {
        if writes.write_all(&round(2 * number + 1)).await.is_err() || heard.is_finished() {
            return true;
        }
    }
    let ended = tokio::time::timeout(Duration::from_secs(30), heard).await;
    ended.is_ok()
}

/// Asks for a long answer on many streams, and never opens a window for it.
async fn zero_window(address: String, trusted: std::path::PathBuf) -> bool {
    let mut stream = shake(&address, &trusted, &MODERN).await.unwrap();
    stream.write_all(PREFACE).await.unwrap();
    let no_window = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    stream.write_all(&no_window).await.unwrap();
    let query = format!("{QUERY}&bytes=1000000");
    for number in 0..100_u32 {
        let block = head("GET", &query);
        let ask = frame(HEADERS, END_HEADERS | END_STREAM, 2 * number + 1, &block);
        stream.write_all(&ask).await.unwrap();
    }
    let mut read = vec![0; 16 * 1024];
    let ended = async { while stream.read(&mut read).await.is_ok_and(|length| length > 0) {} };
    tokio::time::timeout(Duration::from_secs(90), ended)
        .await
        .is_ok()
}

/// The status of each call that was not answered well; none where no answer came.
type Lost = Vec<Option<u16>>;

/// A call from an address of the caller's own: a flood uses up its own address's limit of calls.
fn call_from_elsewhere(gate: &str) -> Option<u16> {
    let stream = from([127, 0, 0, 2], gate)?;
    let get =
        format!("GET /client/api?{QUERY} HTTP/1.1\r\nHost: cloud\r\nConnection: close\r\n\r\n");
    exchange_over(stream, &get).map(|heard| heard.status)
}

/// A connection from that address.
fn from(source: [u8; 4], gate: &str) -> Option<TcpStream> {
    let to: std::net::SocketAddr = gate.parse().unwrap();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&std::net::SocketAddr::from((source, 0)).into())
        .unwrap();
    socket.connect(&to.into()).ok()?;
    Some(socket.into())
}

/// Another client, who calls all the while; gives how many calls, and what was not answered well.
fn bystander(gate: &Served, stop: &Arc<AtomicBool>) -> std::thread::JoinHandle<(usize, Lost)> {
    let (address, stop) = (gate.gate.clone(), stop.clone());
    std::thread::spawn(move || {
        let (mut calls, mut lost) = (0, Vec::new());
        while !stop.load(Ordering::SeqCst) {
            let heard = call_from_elsewhere(&address);
            calls += 1;
            lost.extend((heard != Some(200)).then_some(heard));
            std::thread::sleep(Duration::from_millis(20));
        }
        (calls, lost)
    })
}

fn trusted(folder: &Path) -> std::path::PathBuf {
    folder.join("cloud.crt")
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_frames_end_their_connection_and_nobody_elses() {
    let recorder = Recorder::start();
    let gate = gate("floods-frames", &recorder);
    assert_eq!(gate.call(QUERY).unwrap().status, 200);
    let before = gate.memory_mib();
    let stop = Arc::new(AtomicBool::new(false));
    let other = bystander(&gate, &stop);
    let floods: [(&str, Round); 7] = [
        ("rapid reset", rapid_reset),
        ("faults of ours", faults_of_ours),
        ("continuations", continuations),
        ("empty data", empty_data),
        ("settings", settings),
        ("pings", pings),
        ("long fields", long_fields),
    ];
    for (name, round) in floods {
        let address = gate.tls.clone().unwrap();
        let all = (0..FLOODERS)
            .map(|_| tokio::spawn(sustained(address.clone(), trusted(&gate.folder), round)));
        for flooder in all.collect::<Vec<_>>() {
            assert!(flooder.await.unwrap(), "{name}: the connection goes on");
        }
        let now = gate.memory_mib();
        assert!(
            now < before + GROWTH_MAX_MIB,
            "{name}: {before} MiB, then {now} MiB"
        );
    }
    stop.store(true, Ordering::SeqCst);
    let (calls, lost) = tokio::task::spawn_blocking(|| other.join().unwrap())
        .await
        .unwrap();
    assert!(
        calls > 10 && lost.is_empty(),
        "of {calls} calls were not answered: {lost:?}"
    );
    tokio::task::block_in_place(|| {
        until("all are gone", || {
            gate.figure("faregate_connections_open") == 0
        });
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_opens_no_window_is_cut_and_holds_little() {
    let recorder = Recorder::start();
    let gate = gate("floods-window", &recorder);
    assert_eq!(gate.call(QUERY).unwrap().status, 200);
    let before = gate.memory_mib();
    let stop = Arc::new(AtomicBool::new(false));
    let other = bystander(&gate, &stop);
    let address = gate.tls.clone().unwrap();
    assert!(
        zero_window(address, trusted(&gate.folder)).await,
        "it goes on"
    );
    let now = gate.memory_mib();
    assert!(
        now < before + GROWTH_MAX_MIB,
        "{before} MiB, then {now} MiB"
    );
    stop.store(true, Ordering::SeqCst);
    let (calls, lost) = tokio::task::spawn_blocking(|| other.join().unwrap())
        .await
        .unwrap();
    assert!(
        calls > 10 && lost.is_empty(),
        "of {calls} calls were not answered: {lost:?}"
    );
}

/// Descriptors that the gate has open.
fn descriptors(gate: &Served) -> usize {
    let folder = format!("/proc/{}/fd", gate.child.id());
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

/// A client that begins in one of the slow ways; the bytes, then a few more each second. True
/// where the gate ended it.
fn slow(address: &str, begin: &str, dribble: &str) -> bool {
    slowly(TcpStream::connect(address).unwrap(), begin, dribble)
}

fn slowly(mut stream: TcpStream, begin: &str, dribble: &str) -> bool {
    stream
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    if stream.write_all(begin.as_bytes()).is_err() {
        return true;
    }
    for _ in 0..100 {
        let mut read = [0; 1_024];
        match stream.read(&mut read) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(fault) if fault.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return true,
        }
        if stream.write_all(dribble.as_bytes()).is_err() {
            return true;
        }
    }
    false
}

/// A client that asks for a long answer and reads nothing of it.
fn reader(address: &str) -> socket2::Socket {
    let address: std::net::SocketAddr = address.parse().unwrap();
    let domain = socket2::Domain::for_address(address);
    let mut socket = socket2::Socket::new(domain, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(&address.into()).unwrap();
    let get = format!("GET /client/api?{QUERY}&bytes=20000000 HTTP/1.1\r\nHost: cloud\r\n\r\n");
    socket.write_all(get.as_bytes()).unwrap();
    socket
}

/// What a slow client does: where it connects to, the bytes it begins with, and those of each
/// second.
type Slowness<'a> = (&'static str, &'a str, &'static str, &'static str);

fn slownesses(gate: &Served) -> [Slowness<'_>; 4] {
    let post = "POST /client/api HTTP/1.1\r\nHost: cloud\r\nContent-Type: \
                application/x-www-form-urlencoded\r\nContent-Length: 100000\r\n\r\n";
    [
        ("head", &gate.gate, "GET /client/api?", "a"),
        ("nothing", &gate.gate, "", ""),
        ("body", &gate.gate, post, "a"),
        (
            "handshake",
            gate.tls.as_ref().unwrap(),
            "\u{16}\u{3}\u{1}\u{1}",
            "a",
        ),
    ]
}

/// `tests/run --long slow` keeps a thousand of them at it for ten minutes: one that is cut comes
/// again at once, from one of ten addresses.
#[test]
fn slow_clients_that_come_again_and_again_cost_nobody_a_call() {
    let recorder = Recorder::start();
    let gate = gate("floods-slowly", &recorder);
    assert_eq!(gate.call(QUERY).unwrap().status, 200);
    let seconds = rounds("slow", 0);
    let (each, seconds) = if seconds > 0 { (250, seconds) } else { (25, 5) };
    let (before, memory) = (descriptors(&gate), gate.memory_mib());
    let stop = Arc::new(AtomicBool::new(false));
    let other = bystander(&gate, &stop);
    let until_then = std::time::Instant::now() + Duration::from_secs(seconds);
    let mut all = Vec::new();
    for (_, address, begin, dribble) in slownesses(&gate) {
        for number in 0..each {
            let source = [127, 0, 1, 1 + u8::try_from(number % 10).unwrap()];
            let address = address.to_owned();
            all.push(std::thread::spawn(move || {
                let mut cut = 0_u64;
                while std::time::Instant::now() < until_then {
                    // At the cap of its address it is not let in: that is an end, too.
                    let Some(stream) = from(source, &address) else {
                        continue;
                    };
                    assert!(slowly(stream, begin, dribble), "a slow client is not cut");
                    cut += 1;
                    std::thread::sleep(Duration::from_millis(50));
                }
                cut
            }));
        }
    }
    let slow = all.len();
    let cut: u64 = all.into_iter().map(|one| one.join().unwrap()).sum();
    stop.store(true, Ordering::SeqCst);
    let (calls, lost) = other.join().unwrap();
    let now = gate.memory_mib();
    println!(
        "{slow} slow clients for {seconds} s, cut {cut} times; {calls} calls of another, {} lost; \
         {memory} MiB, then {now} MiB",
        lost.len()
    );
    assert!(
        cut >= u64::try_from(slow).unwrap(),
        "{cut} of {slow} were cut"
    );
    assert!(
        calls > 100 && lost.is_empty(),
        "of {calls} calls were not answered: {lost:?}"
    );
    assert!(
        now < memory + GROWTH_MAX_MIB,
        "{memory} MiB, then {now} MiB"
    );
    until("the descriptors are back", || {
        descriptors(&gate) <= before + 8
    });
}

#[test]
fn slow_clients_of_every_kind_are_cut_and_others_are_served() {
    let recorder = Recorder::start();
    let gate = gate("floods-slow", &recorder);
    assert_eq!(gate.call(QUERY).unwrap().status, 200);
    let (before, memory) = (descriptors(&gate), gate.memory_mib());
    let stop = Arc::new(AtomicBool::new(false));
    let other = bystander(&gate, &stop);
    for (name, address, begin, dribble) in slownesses(&gate) {
        let all: Vec<_> = (0..SLOW)
            .map(|_| {
                let address = address.to_owned();
                std::thread::spawn(move || slow(&address, begin, dribble))
            })
            .collect();
        for one in all {
            assert!(one.join().unwrap(), "{name}: a slow client is not cut");
        }
    }
    let readers: Vec<_> = (0..SLOW).map(|_| reader(&gate.gate)).collect();
    let open = || gate.figure("faregate_connections_open");
    until("all readers are in", || open() >= 200);
    until("they are cut", || open() < 10);
    drop(readers);
    stop.store(true, Ordering::SeqCst);
    let (calls, lost) = other.join().unwrap();
    assert!(
        calls > 100 && lost.is_empty(),
        "of {calls} calls were not answered: {lost:?}"
    );
    until("the descriptors are back", || {
        descriptors(&gate) <= before + 8
    });
    let now = gate.memory_mib();
    assert!(
        now < memory + GROWTH_MAX_MIB,
        "{memory} MiB, then {now} MiB"
    );
}
