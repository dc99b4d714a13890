//! Requests from the grammar: what the gate judged is what CloudStack runs, of the client's own
//! bytes and of the ones that the gate sends in their place.

use super::{Jetty, Told, grammar};
use crate::campaign::{Draw, rounds};
use faregate::clock::Clock;
use faregate::cloudstack::query::ParamMap;
use faregate::cloudstack::signature;
use faregate::gate::forward::{self, Way};
use faregate::gate::framing::{Framing, Then};
use faregate::gate::parse::{self, Call, Method, RawRequest, Routed};
use faregate::upstream::servers::{Fleet, Servers};
use http_body_util::BodyExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

const SECRET: &str = "oracle-secret";
const HOST: &str = "cloud";
const CLIENT: &str = "192.0.2.7";
/// Requests of one round: they are drawn from one stream, so that a round can be repeated.
const BATCH: u64 = 2_000;

/// The call of a request's bytes, by the gate's own stages; none where they refuse it.
pub fn judged(bytes: &[u8]) -> Option<Call> {
    let judged = Framing::default().judge(bytes);
    if judged.passed != bytes.len() || matches!(judged.then, Then::Fault(_)) {
        return None;
    }
    let end = bytes.windows(4).position(|w| w == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&bytes[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let line: Vec<&str> = lines.next()?.split(' ').collect();
    let headers: Vec<(String, Vec<u8>)> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.trim().as_bytes().to_vec()))
        .collect();
    let is_chunked = headers.iter().any(|(name, _)| name == "transfer-encoding");
    let body = &bytes[end + 4..];
    let body = if is_chunked {
        unchunked(body)
    } else {
        body.to_vec()
    };
    let headers: Vec<(&str, &[u8])> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()))
        .collect();
    let raw = RawRequest {
        method: line[0],
        target: line[1].as_bytes(),
        headers: &headers,
        body: &body,
    };
    match parse::request(&raw) {
        Ok(Routed::Api(call)) => Some(call),
        _ => None,
    }
}

fn unchunked(mut rest: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = rest.windows(2).position(|w| w == b"\r\n").unwrap();
        let size = std::str::from_utf8(&rest[..end]).unwrap();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return body;
        }
        let start = end + 2;
        body.extend_from_slice(&rest[start..start + size]);
        rest = &rest[start + size + 2..];
    }
}

/// The bytes that the gate sends for a call.
fn rebuilt(way: &Way<'_>, call: &Call) -> Vec<u8> {
    let request = forward::request(way, call, &call.params).unwrap();
    let (head, body) = request.into_parts();
    let body = futures_body(body);
    // The server's name is added where the server is chosen.
    let start = format!("{} {} HTTP/1.1\r\nHost: {HOST}\r\n", head.method, head.uri);
    let mut bytes = start.into_bytes();
    for (name, value) in &head.headers {
        bytes.extend_from_slice(format!("{name}: ").as_bytes());
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    if head.method == "POST" {
        bytes.extend_from_slice(format!("content-length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(&body);
    bytes
}

fn futures_body(body: http_body_util::Full<bytes::Bytes>) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime
        .block_on(body.collect())
        .unwrap()
        .to_bytes()
        .to_vec()
}

/// A map as the oracle prints it.
pub fn as_told(map: &ParamMap) -> String {
    let mut lower = ParamMap::default();
    for (name, param) in map.iter() {
        lower.insert(name, &param.value);
    }
    lower.to_wire()
}

/// What the oracle would run other than what was judged.
fn differs(call: &Call, told: &Told) -> Option<String> {
    let method = match call.method {
        Method::Get => "GET",
        Method::Post => "POST",
    };
    let map = as_told(&call.params);
    let fields = [
        ("method", method),
        ("command", call.command()),
        ("apikey", call.params.get("apikey").unwrap_or_default()),
        ("map", map.as_str()),
    ];
    // A call without a signature is its session's; the cookies of a signed one never go upstream.
    let session = call.cookies.as_ref().map_or("", |cookies| &cookies.session);
    if !call.signed() && told.of("session") != session {
        return Some(format!(
            "session: judged `{session}`, is `{}`",
            told.of("session")
        ));
    }
    let mut found = fields
        .iter()
        .filter(|(name, judged)| told.of(name) != *judged)
        .map(|(name, judged)| format!("{name}: judged `{judged}`, runs `{}`", told.of(name)));
    found.next()
}

/// Of the gate's own bytes nothing at all may differ.
fn differs_rebuilt(call: &Call, told: &Told) -> Option<String> {
    let session = call.cookies.as_ref().map_or("", |cookies| &cookies.session);
    let computed = signature::sign(&call.params, SECRET.as_bytes());
    for (name, judged) in [
        ("session", session),
        ("remote", CLIENT),
        ("server", HOST),
        ("computed", &computed),
    ] {
        if told.of(name) != judged {
            return Some(format!(
                "{name}: judged `{judged}`, runs `{}`",
                told.of(name)
            ));
        }
    }
    differs(call, told)
}

#[derive(Default)]
struct Totals {
    cases: AtomicU64,
    forwarded: AtomicU64,
    refused_there: AtomicU64,
}

fn round(jetty: &Jetty, round: u64, totals: &Totals) -> Vec<String> {
    let mut draw = Draw::of_round(round);
    let server = ("cloud:80".to_owned(), HOST.to_owned());
    let fleet = Fleet::new(Arc::new(Servers::new([server])), &Clock::system());
    let way = Way {
        fleet: &fleet,
        client: CLIENT.parse().unwrap(),
    };
    let drawn: Vec<(Vec<u8>, Call)> = (0..BATCH)
        .filter_map(|_| {
            let bytes = grammar::request(&mut draw);
            judged(&bytes).map(|call| (bytes, call))
        })
        .collect();
    let own: Vec<Vec<u8>> = drawn.iter().map(|(bytes, _)| bytes.clone()).collect();
    let ours: Vec<Vec<u8>> = drawn.iter().map(|(_, call)| rebuilt(&way, call)).collect();
    let (own_told, ours_told) = (jetty.told(&own), jetty.told(&ours));
    let mut wrong = Vec::new();
    for (at, (bytes, call)) in drawn.iter().enumerate() {
        let shown = || format!("round {round}: {}", String::from_utf8_lossy(bytes));
        match &ours_told[at] {
            told if told.status == 200 && !told.fields.contains_key("fault") => {
                let fault = differs_rebuilt(call, told);
                wrong.extend(fault.map(|fault| format!("ours: {fault}: {}", shown())));
            }
            told => wrong.push(format!("ours is refused: {told:?}: {}", shown())),
        }
        match &own_told[at] {
            // What CloudStack refuses by itself runs nothing.
            told if told.status != 200 || told.fields.contains_key("fault") => {
                totals.refused_there.fetch_add(1, Ordering::Relaxed);
            }
            told => {
                let fault = differs(call, told);
                wrong.extend(fault.map(|fault| format!("own: {fault}: {}", shown())));
            }
        }
    }
    totals.cases.fetch_add(BATCH, Ordering::Relaxed);
    totals
        .forwarded
        .fetch_add(drawn.len() as u64, Ordering::Relaxed);
    wrong
}

#[test]
fn nothing_runs_but_what_was_judged() {
    let jetty = Jetty::start(SECRET);
    let count = rounds("differential", 100);
    let (totals, next) = (Totals::default(), AtomicU64::new(0));
    let wrong = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count || wrong.lock().unwrap().len() > 20 {
                        return;
                    }
                    let found = round(&jetty, at, &totals);
                    wrong.lock().unwrap().extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    let shown: Vec<&String> = wrong.iter().take(20).collect();
    assert!(wrong.is_empty(), "{} differ:\n{shown:#?}", wrong.len());
    let [cases, forwarded, refused] = [&totals.cases, &totals.forwarded, &totals.refused_there]
        .map(|n| n.load(Ordering::Relaxed));
    println!(
        "{cases} cases, {forwarded} forwarded, of which CloudStack's server alone would refuse \
         {refused}; 0 run as something else"
    );
    assert_eq!(cases, count * BATCH);
    // Neither half of the comparison is empty.
    assert!(
        forwarded * 4 > cases && forwarded < cases,
        "{forwarded} forwarded"
    );
}
