//! What cmk and the web interface sent in login sessions, as recorded, through the gate and to the
//! cloud itself: the same answers.

use crate::browser::Browser;
use crate::stage::{Heard, Stage, address_of, exchange};
use serde_json::Value;
use std::collections::BTreeSet;

const RECORDED: &str = include_str!("../fixtures/wire/client-requests.jsonl");
/// The session's key and id in the recording.
const KEY: &str = "sKeY-0123_abc";
const SESSION: &str = "node01abcdef.node0";

/// The recorded bytes with this session's key, id and server.
fn sent(recorded: &Value, browser: &Browser) -> Heard {
    let own = |text: &str| {
        text.replace(KEY, &browser.key)
            .replace(SESSION, &browser.cookie("JSESSIONID"))
    };
    let text = |field: &str| recorded[field].as_str().unwrap();
    let address = address_of(&browser.endpoint);
    let body = own(text("body"));
    let mut head = format!("{} {} HTTP/1.1\r\n", text("method"), own(text("target")));
    for header in recorded["headers"].as_array().unwrap() {
        let name = header[0].as_str().unwrap();
        let value = match name.to_ascii_lowercase().as_str() {
            "host" => address.clone(),
            "content-length" => body.len().to_string(),
            // The sandbox compresses nothing, and the test reads to the end.
            "accept-encoding" | "connection" => continue,
            _ => own(header[1].as_str().unwrap()),
        };
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("Connection: close\r\n\r\n");
    exchange(&address, &(head + &body)).unwrap()
}

/// Status, content type, names of set cookies, and the answer's shape; of an error its text.
fn compared(heard: &Heard) -> (u16, BTreeSet<String>, Vec<String>) {
    let wanted = |line: &&str| {
        let lower = line.to_ascii_lowercase();
        ["content-type:", "set-cookie:"]
            .iter()
            .any(|name| lower.starts_with(name))
    };
    let lines = heard.head.lines().filter(wanted);
    let heads = lines.map(|line| line.split(['=', ';']).next().unwrap().to_ascii_lowercase());
    let body: Value = serde_json::from_str(&heard.body).unwrap_or_default();
    let mut shape = Vec::new();
    shape_of("", &body, &mut shape);
    (heard.status, heads.collect(), shape)
}

fn shape_of(path: &str, value: &Value, shape: &mut Vec<String>) {
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(name, inner)| shape_of(&format!("{path}/{name}"), inner, shape)),
        Value::Array(rows) => rows
            .iter()
            .for_each(|inner| shape_of(&format!("{path}/[]"), inner, shape)),
        leaf if path.ends_with("errortext") || path.ends_with("errorcode") => {
            // A user's id stands in one of them, and each login of the sandbox has its own.
            let words = leaf.to_string();
            let kept = words.split(['[', ']']).filter(|part| part.len() != 36);
            shape.push(format!("{path} = {}", kept.collect::<String>()));
        }
        _ => shape.push(path.to_owned()),
    }
}

#[test]
fn recorded_session_calls_get_the_same_answers_through_the_gate_as_without_it() {
    let stage = Stage::start("session-recordings", &[]);
    // What a recorded deploy names is not there: the dearest it could be is held meanwhile.
    stage.top_up("prepaid-paula", "100000.00", "recordings");
    let own = |endpoint: &str| Browser::login(endpoint, "prepaid-paula");
    let (gate, cloud) = (stage.text("/endpoint"), stage.text("/sandbox/endpoint"));
    let (mut through, mut direct) = (own(&gate), own(&cloud));
    let (mut count, mut wrong) = (0, Vec::new());
    for line in RECORDED.lines().filter(|line| line.contains(KEY)) {
        let recorded: Value = serde_json::from_str(line).unwrap();
        let (here, there) = (sent(&recorded, &through), sent(&recorded, &direct));
        if compared(&here) != compared(&there) {
            wrong.push(format!("{}:\n{here:?}\n{there:?}", recorded["target"]));
        }
        count += 1;
        if line.contains("command=logout") {
            (through, direct) = (own(&gate), own(&cloud));
        }
    }
    assert_eq!(count, 18);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let balances = stage.faregate(&["ledger", "balances", "--config", &stage.config()]);
    let paula = balances
        .lines()
        .find(|line| line.starts_with("prepaid-paula"));
    assert!(paula.unwrap().contains("held 0.000000"), "{balances}");
}
