//! Real clients show the text of every refusal and send a refused call once: at a server that
//! answers with the gate's own bytes and counts, and at the gate with a payer out of money.

use crate::clients_whole::lines;
use crate::error_shape::refusals;
use crate::stage::Stage;
use faregate::cloudstack::envelope::Format;
use faregate::cloudstack::query::ParamMap;
use faregate::gate::refusal::Refusal;
use faregate::gate::respond;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Scripts, and whether they ask for XML.
const CLIENTS: [(&str, bool); 5] = [
    ("cs_refused.py", false),
    ("cs_refused.py", true),
    ("libcloud_refused.py", false),
    ("csclient_refused.js", false),
    ("ansible_refused.py", false),
];

/// Refuses each call under `/<n>/client/api` with the n-th refusal, and counts them.
struct Refuser {
    address: String,
    calls: Arc<Mutex<Vec<usize>>>,
}

impl Refuser {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let calls = Arc::new(Mutex::new(vec![0; refusals().len()]));
        let counted = Arc::clone(&calls);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                refuse(stream.unwrap(), &counted);
            }
        });
        Self { address, calls }
    }

    fn endpoints(&self) -> Vec<String> {
        let at = |place: usize| format!("http://{}/{place}/client/api", self.address);
        (0..refusals().len()).map(at).collect()
    }
}

fn refuse(mut stream: TcpStream, calls: &Mutex<Vec<usize>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        // A connection that a client opened and did not use.
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let target = head.split(' ').nth(1).unwrap();
    let (path, query) = target.split_once('?').unwrap();
    let place: usize = path.split('/').nth(1).unwrap().parse().unwrap();
    calls.lock().unwrap()[place] += 1;
    let map = ParamMap::parse_as_cloudstack(query.as_bytes(), b"").unwrap();
    let wrapper = format!("{}response", map.command().to_lowercase());
    let format = Format::asked(map.get("response"));
    let answer = respond::refusal(&refusals()[place], &wrapper, format);
    let length = answer.body.len();
    let mut bytes = format!("HTTP/1.1 {} {}\r\n", answer.status, answer.reason).into_bytes();
    for (name, value) in &answer.headers {
        bytes.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    }
    bytes.extend(format!("Content-Length: {length}\r\nConnection: close\r\n\r\n").bytes());
    bytes.extend(&answer.body);
    stream.write_all(&bytes).unwrap();
}

/// What the client shows for each endpoint.
fn shown(script: &str, params: &Value, endpoints: &[String]) -> Vec<String> {
    let arguments = [&[params.to_string()], endpoints].concat();
    let told = lines(script, &arguments, &[]);
    assert_eq!(told.len(), endpoints.len(), "{script}: {told:#?}");
    let text = |line: &String| serde_json::from_str(line).unwrap_or_else(|_| line.clone());
    told.iter().map(text).collect()
}

/// Whether the user learns what is wrong. Of a 401 libcloud says that the credentials are wrong,
/// whatever the server says.
fn is_told(script: &str, refusal: &Refusal, shown: &str) -> bool {
    let error = refusal.error();
    if script.starts_with("libcloud") && error.code == 401 {
        return shown.starts_with("InvalidCredsError");
    }
    shown.contains(&error.text)
}

fn every_refusal_is_shown_and_sent_once(script: &str, is_xml: bool) -> Vec<String> {
    let refuser = Refuser::start();
    // Ansible blots its secret out wherever it stands, so it is no word of any text.
    let mut params = json!({ "key": "k7Q-key", "secret": "k7Q-secret", "xml": is_xml });
    // Ansible looks things up before it deploys; its first call is the refused one.
    if !script.starts_with("ansible") {
        params["call"] = json!({ "zoneid": "1", "templateid": "2", "serviceofferingid": "3" });
    }
    let told = shown(script, &params, &refuser.endpoints());
    let calls = refuser.calls.lock().unwrap().clone();
    let mut found = Vec::new();
    for ((refusal, told), calls) in refusals().iter().zip(&told).zip(calls) {
        if !is_told(script, refusal, told) {
            found.push(format!(
                "{script} xml {is_xml}: shows {told:?} of {refusal:?}"
            ));
        }
        if calls != 1 {
            found.push(format!(
                "{script} xml {is_xml}: {calls} calls of {refusal:?}"
            ));
        }
    }
    found
}

#[test]
fn real_clients_show_every_refusal_and_send_no_refused_call_again() {
    let found: Vec<String> = std::thread::scope(|scope| {
        let runs = CLIENTS.map(|(script, is_xml)| {
            scope.spawn(move || every_refusal_is_shown_and_sent_once(script, is_xml))
        });
        runs.into_iter()
            .flat_map(|run| run.join().unwrap())
            .collect()
    });
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn real_clients_show_what_is_missing_and_nothing_is_started() {
    let stage = Stage::start("clients-refused", &[]);
    let vm = stage.small_vm(0);
    let paula = stage.customer(0);
    let mut left = 50;
    while paula.deploy(&vm).unwrap().status == 200 {
        left -= 1;
        assert!(left > 0, "the first payment is not used up");
    }
    let count = || {
        let rows = stage
            .admin()
            .call("listVirtualMachines", &[("listall", "true")]);
        rows.unwrap().inside()["count"].clone()
    };
    let before = count();
    let call: Value = vm
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    for (script, is_xml) in CLIENTS {
        let params = json!({
            "key": paula.key, "secret": paula.secret, "xml": is_xml, "call": call,
        });
        let told = shown(script, &params, std::slice::from_ref(&paula.endpoint));
        for part in ["not enough balance: price ", "missing ", "Top up at "] {
            assert!(told[0].contains(part), "{script}: {told:?}");
        }
    }
    assert_eq!(count(), before);
}
