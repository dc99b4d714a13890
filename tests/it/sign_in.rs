//! Signing in and out, two-factor and the rest of a session's life, as a management server was
//! recorded, and what signs in from elsewhere: the gate passes both ways what would pass directly.

use crate::servers::behind;
use crate::stage::{Stage, exchange};
use faregate::cloudstack::command::{Class, CommandTable, Known};
use faregate::cloudstack::query::ParamMap;
use serde_json::Value;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Made after CloudStack's source, not recorded.
const ELSEWHERE: &str = include_str!("../fixtures/cloudstack/sign-in.jsonl");
/// Commands that no server has: the gate says so itself, with the same status.
const UNKNOWN: [&str; 2] = ["flow.unknown-command", "flow.wrong-case"];
const SESSIONS: &str = include_str!("../fixtures/cloudstack/sessions.jsonl");

/// A management server that plays one recorded answer, and keeps what it was asked.
struct Player {
    address: String,
    answer: Arc<Mutex<Value>>,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Player {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let player = Self {
            address: listener.local_addr().unwrap().to_string(),
            answer: Arc::default(),
            heard: Arc::default(),
        };
        let (answer, heard) = (player.answer.clone(), player.heard.clone());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (answer, heard) = (answer.clone(), heard.clone());
                std::thread::spawn(move || play(stream, &answer, &heard));
            }
        });
        player
    }
}

/// Answers every request of a connection; the gate's own signed questions are not known here.
fn play(mut stream: TcpStream, answer: &Mutex<Value>, heard: &Mutex<Vec<String>>) {
    while let Some(request) = read_request(&mut stream) {
        let own = request.contains("signatureVersion=3") && request.contains("response=xml");
        let text = if own {
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n".to_owned()
        } else {
            heard.lock().unwrap().push(request);
            written(&answer.lock().unwrap())
        };
        if stream.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    let mut part = [0_u8; 4_096];
    loop {
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.map_or(0, |text| text.trim().parse().unwrap());
            if bytes.len() >= end + 4 + length {
                return Some(String::from_utf8(bytes).unwrap());
            }
        }
        let read = stream.read(&mut part).ok().filter(|length| *length > 0)?;
        bytes.extend_from_slice(&part[..read]);
    }
}

/// A recorded answer as bytes.
fn written(answer: &Value) -> String {
    let body = answer["body"].as_str().unwrap_or_default();
    let mut text = format!(
        "HTTP/1.1 {} {}\r\n",
        answer["status"],
        answer["reason"].as_str().unwrap_or_default()
    );
    for (name, value) in headers(answer) {
        text += &format!("{name}: {value}\r\n");
    }
    text + &format!("Content-Length: {}\r\n\r\n{body}", body.len())
}

/// Headers but for those that belong to one connection.
fn headers(message: &Value) -> Vec<(String, String)> {
    let pairs = message["headers"].as_array().unwrap().iter();
    let pairs = pairs.map(|pair| {
        let text = |at: usize| pair[at].as_str().unwrap().to_owned();
        (text(0), text(1))
    });
    let own = [
        "connection",
        "content-length",
        "transfer-encoding",
        "host",
        "date",
        "keep-alive",
    ];
    pairs
        .filter(|(name, _)| !own.contains(&name.to_lowercase().as_str()))
        .collect()
}

/// The recorded request, sent to the gate.
fn request(line: &Value, address: &str) -> String {
    let request = &line["request"];
    let body = request["body"].as_str().unwrap_or_default();
    let mut text = format!(
        "{} {} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n",
        request["method"].as_str().unwrap(),
        request["target"].as_str().unwrap()
    );
    for (name, value) in headers(request) {
        text += &format!("{name}: {value}\r\n");
    }
    if !body.is_empty() {
        text += &format!("Content-Length: {}\r\n", body.len());
    }
    text + "\r\n" + body
}

fn params(target: &str, body: &str) -> ParamMap {
    let query = target.split_once('?').map_or("", |(_, query)| query);
    ParamMap::parse_as_cloudstack(query.as_bytes(), body.as_bytes()).unwrap()
}

fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}

fn cookie<'t>(head: &'t str, name: &str) -> Option<&'t str> {
    let line = head
        .lines()
        .find(|line| line.to_lowercase().starts_with("cookie:"))?;
    line["cookie:".len()..]
        .split(';')
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(known, _)| known.eq_ignore_ascii_case(name))
        .map(|(_, value)| value)
}

/// What went wrong with one line; none where it passed both ways as it was.
fn passed(line: &Value, player: &Player, gate: &str) -> Result<(), String> {
    *player.answer.lock().unwrap() = line["response"].clone();
    player.heard.lock().unwrap().clear();
    let sent = request(line, gate);
    let got = exchange(gate, &sent).ok_or("no answer")?;
    let heard = std::mem::take(&mut *player.heard.lock().unwrap());
    let [heard] = heard.as_slice() else {
        return Err(format!("{} requests went on: {}", heard.len(), got.body));
    };
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    let target = head.split(' ').nth(1).unwrap();
    let asked = &line["request"];
    let asked_body = asked["body"].as_str().unwrap_or_default();
    let before = params(asked["target"].as_str().unwrap(), asked_body);
    if before.to_wire() != params(target, body).to_wire() {
        return Err(format!("the parameters changed: {heard}"));
    }
    let is_signed = before.get("signature").is_some() || before.get("apikey").is_some();
    for name in ["JSESSIONID", "sessionkey"] {
        let before = cookie(&sent, name).filter(|_| !is_signed);
        if before.is_some_and(|value| cookie(head, name) != Some(value)) {
            return Err(format!("cookie {name} changed: {heard}"));
        }
    }
    let response = &line["response"];
    if Some(u64::from(got.status)) != response["status"].as_u64() {
        return Err(format!("status {}", got.status));
    }
    let expected = headers(response)
        .into_iter()
        .map(|(n, v)| format!("{n}: {v}"));
    let found = got.head.lines().skip(1).filter(|line| {
        let lower = line.to_lowercase();
        !["connection:", "content-length:", "transfer-encoding:"]
            .iter()
            .any(|own| lower.starts_with(own))
    });
    let (expected, found) = (
        sorted(expected.map(|line| line.to_lowercase()).collect()),
        sorted(found.map(str::to_lowercase).collect()),
    );
    if expected != found {
        return Err(format!("headers {found:?} for {expected:?}"));
    }
    if got.body != response["body"].as_str().unwrap_or_default() {
        return Err(format!("body {}", got.body));
    }
    Ok(())
}

/// A gate in front of the player.
fn staged(name: &str) -> (Player, crate::servers::Behind, String) {
    let mut stage = Stage::start(name, &[]);
    stage.kill_gate();
    let player = Player::start();
    let behind = behind(stage, std::slice::from_ref(&player.address));
    let address = crate::stage::address_of(&behind.endpoint);
    (player, behind, address)
}

fn raises(table: &CommandTable, line: &Value) -> bool {
    let asked = &line["request"];
    let map = params(
        asked["target"].as_str().unwrap(),
        asked["body"].as_str().unwrap_or_default(),
    );
    matches!(table.resolve(map.command()), Known::Command(command)
        if command.judged(&map).0 == Class::Raises)
}

#[test]
fn the_recorded_life_of_sessions_passes_as_it_was() {
    let (player, _behind, gate) = staged("sign-in-recorded");
    let table = CommandTable::new(&[]).unwrap();
    let (mut count, mut faults) = (0, Vec::new());
    for line in SESSIONS.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let case = line["case"].as_str().unwrap();
        // Priced calls are asked about first: `sessions.rs`.
        if raises(&table, &line) {
            continue;
        }
        if UNKNOWN.contains(&case) {
            let got = exchange(&gate, &request(&line, &gate)).unwrap();
            assert_eq!(
                Some(u64::from(got.status)),
                line["response"]["status"].as_u64()
            );
            continue;
        }
        count += 1;
        if let Err(fault) = passed(&line, &player, &gate) {
            faults.push(format!("{case}: {fault}"));
        }
    }
    assert_eq!(count, 98);
    assert!(
        faults.is_empty(),
        "{} of {count}:\n{}",
        faults.len(),
        faults.join("\n")
    );
}

/// SAML, OAuth, a forgotten password and themes, in the forms that CloudStack's source gives them
/// (`SAML2LoginAPIAuthenticatorCmd`, `OauthLoginAPIAuthenticatorCmd`, `ForgotPasswordAPIAuthCmd`).
#[test]
fn what_signs_in_from_elsewhere_passes_as_it_would_directly() {
    let (player, _behind, gate) = staged("sign-in-elsewhere");
    let faults: Vec<String> = ELSEWHERE
        .lines()
        .filter_map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let fault = passed(&line, &player, &gate).err()?;
            Some(format!("{}: {fault}", line["case"]))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(ELSEWHERE.lines().count(), 14);
}

/// The question whose session it is gets 511, and so does the call, in its own wrapper: nobody is
/// asked for money, and the call itself is never sent.
#[test]
fn a_raising_call_before_the_second_factor_is_answered_as_the_server_would() {
    let (player, _behind, gate) = staged("sign-in-second-factor");
    let lines = SESSIONS
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let mut found = 0;
    for line in lines.filter(|line| line["case"] == "2fa.call-before-verify.xml~2") {
        found += 1;
        *player.answer.lock().unwrap() = line["response"].clone();
        let got = exchange(&gate, &request(&line, &gate)).unwrap();
        assert_eq!(got.status, 511, "{got:?}");
        assert_eq!(got.body, line["response"]["body"].as_str().unwrap());
        let heard = player.heard.lock().unwrap();
        assert_eq!(heard.len(), 1, "{heard:?}");
        assert!(heard[0].contains("command=listAccounts"), "{heard:?}");
        assert!(!heard[0].contains("deployVirtualMachine"), "{heard:?}");
    }
    assert_eq!(found, 1);
}
