//! Signing in and out, two-factor and the rest of a session's life, as a management server was
//! recorded, and what signs in from elsewhere: the gate passes both ways what would pass directly.

use crate::servers::behind;
use crate::stage::{Stage, exchange};
use faregate::cloudstack::command::{Class, CommandTable, Known};
use faregate::cloudstack::query::ParamMap;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

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
    let behind = behind(stage, &[player.address.clone()]);
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
    let form = ["Content-Type", "application/x-www-form-urlencoded"];
    let long = "PHNhbWw".repeat(1_200);
    let session = ["Cookie", "JSESSIONID=node0abc.node0"];
    let set = |line: &str| json!(["Set-Cookie", line]);
    let idp = "https://idp.example.com/sso?SAMLRequest=fZJ%2B&Signature=a%3D";
    let saml_cookies = json!([
        ["Location", "https://cloud.example.com/client"],
        set("userid=3dc18729;Domain=example.com;Path=/client"),
        set("isSAML=true;Domain=example.com;Path=/client;Secure"),
        set("sessionkey=abc;Domain=example.com;Path=/client"),
        set("sessionkey=abc;HttpOnly;Path=/client/api"),
    ]);
    let case = |name: &str, request: Value, response: Value| {
        json!({
            "case": name, "request": request, "response": response,
        })
    };
    let get = |target: &str, headers: Value| {
        json!({
            "method": "GET", "target": target, "headers": headers, "body": null,
        })
    };
    let post = |target: &str, headers: Value, body: String| {
        json!({
            "method": "POST", "target": target, "headers": headers, "body": body,
        })
    };
    let answer = |status: u16, headers: Value, body: &str| {
        json!({
            "status": status, "reason": "Found", "headers": headers, "body": body,
        })
    };
    let api = "/client/api?command=";
    let cases = [
        case(
            "samlSso leads to the identity provider",
            get(
                &format!("{api}samlSso&idpid=https%3A%2F%2Fidp.example.com"),
                json!([]),
            ),
            answer(
                302,
                json!([
                    ["Location", idp],
                    set("JSESSIONID=node0abc.node0; Path=/client")
                ]),
                "",
            ),
        ),
        case(
            "the identity provider's form comes back",
            post(
                &format!("{api}samlSso"),
                json!([form, session]),
                format!("SAMLResponse={long}&RelayState=x"),
            ),
            answer(302, saml_cookies.clone(), "<loginresponse/>"),
        ),
        case(
            "the same in another case",
            post(
                &format!("{api}SAMLSSO"),
                json!([form, session]),
                format!("SAMLResponse={long}"),
            ),
            answer(302, saml_cookies, ""),
        ),
        case(
            "samlSlo",
            get(&format!("{api}samlSlo"), json!([session])),
            answer(
                302,
                json!([["Location", "https://idp.example.com/slo?SAMLRequest=x"]]),
                "",
            ),
        ),
        case(
            "switching the account of a session",
            get(
                &format!("{api}listAndSwitchSamlAccount&userid=u&domainid=d&response=json"),
                json!([["Cookie", "JSESSIONID=node0abc.node0; sessionkey=abc"]]),
            ),
            answer(
                200,
                json!([set("sessionkey=def;HttpOnly;Path=/client/api")]),
                "{\"loginresponse\":{}}",
            ),
        ),
        case(
            "two session keys of different scopes",
            get(
                &format!("{api}listZones&sessionkey=abc&response=json"),
                json!([[
                    "Cookie",
                    "sessionkey=abc; JSESSIONID=node0abc.node0; sessionkey=old"
                ]]),
            ),
            answer(200, json!([]), "{\"listzonesresponse\":{}}"),
        ),
        case(
            "oauthlogin",
            post(
                "/client/api",
                json!([form]),
                "command=oauthlogin&provider=github&email=a%40b.c&secretcode=x&response=json"
                    .to_owned(),
            ),
            answer(
                200,
                json!([set("sessionkey=abc;HttpOnly;SameSite=Lax")]),
                "{\"oauthloginresponse\":{}}",
            ),
        ),
        case(
            "verifyOAuthCodeAndGetUser",
            get(
                &format!("{api}verifyOAuthCodeAndGetUser&provider=github&secretcode=x"),
                json!([]),
            ),
            answer(200, json!([]), "<oauth/>"),
        ),
        case(
            "listOauthProvider",
            get(&format!("{api}listOauthProvider&response=json"), json!([])),
            answer(200, json!([]), "{\"listoauthproviderresponse\":{}}"),
        ),
        case(
            "listIdps",
            get(&format!("{api}listIdps&response=json"), json!([])),
            answer(
                401,
                json!([]),
                "{\"listidpsresponse\":{\"uuidList\":[],\"errorcode\":401}}",
            ),
        ),
        case(
            "getSPMetadata",
            get(&format!("{api}getSPMetadata"), json!([])),
            answer(
                200,
                json!([["Content-Type", "text/xml;charset=utf-8"]]),
                "<md:EntityDescriptor/>",
            ),
        ),
        case(
            "forgotPassword",
            post(
                "/client/api",
                json!([form]),
                "command=forgotPassword&username=ann&domain=%2Fr1&response=json".to_owned(),
            ),
            answer(
                200,
                json!([]),
                "{\"forgotpasswordresponse\":{\"success\":true}}",
            ),
        ),
        case(
            "resetPassword",
            post(
                "/client/api",
                json!([form]),
                "command=resetPassword&username=ann&token=t&password=n%2B+w&response=json"
                    .to_owned(),
            ),
            answer(
                200,
                json!([]),
                "{\"resetpasswordresponse\":{\"success\":true}}",
            ),
        ),
        case(
            "listGuiThemes without login",
            get(&format!("{api}listGuiThemes&response=json"), json!([])),
            answer(200, json!([]), "{\"listguithemesresponse\":{}}"),
        ),
    ];
    let faults: Vec<String> = cases
        .iter()
        .filter_map(|line| {
            let fault = passed(line, &player, &gate).err()?;
            Some(format!("{}: {fault}", line["case"]))
        })
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
