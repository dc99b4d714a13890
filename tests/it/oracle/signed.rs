//! Maps that were signed by CloudStack's algorithm on its own machine, the JVM.

use super::{Jetty, java};
use crate::campaign::Draw;
use faregate::cloudstack::query::ParamMap;
use faregate::cloudstack::signature;
use faregate::gate::authenticate::{KeyEntry, Person, caller};
use faregate::gate::parse::{self, RawRequest, Routed};
use faregate::terms::time::Timestamp;
use std::sync::Arc;

/// The oracle judges `expires` at this instant.
const NOW: i64 = 1_800_000_000;
const COUNT: usize = 12_000;

fn verdict(secret: &str, query: &str) -> bool {
    let target = format!("/client/api?{query}");
    let raw = RawRequest {
        method: "GET",
        target: target.as_bytes(),
        headers: &[],
        body: b"",
    };
    let Ok(Routed::Api(call)) = parse::request(&raw) else {
        panic!("refused: {query}");
    };
    let key = KeyEntry {
        api_key: call.params.get("apikey").unwrap().to_owned(),
        secret: secret.to_owned().into(),
        person: Arc::new(Person {
            user: Some("u".into()),
            account: "a".into(),
            account_name: "a".into(),
            account_kind: 0,
            role: None,
            domains: Vec::new(),
        }),
        enabled: true,
    };
    caller(&call, Some(&Arc::new(key)), Timestamp::from_seconds(NOW)).is_ok()
}

#[test]
fn what_the_jvm_signed_is_judged_as_cloudstack_judges_it() {
    let out = java()
        .args(["sign", &COUNT.to_string(), "1"])
        .output()
        .unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let (mut good, mut bad) = (0, 0);
    let mut wrong = Vec::new();
    for line in text.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let expected = cells[1] == "true";
        if verdict(cells[0], cells[2]) != expected {
            wrong.push(line);
        }
        *(if expected { &mut good } else { &mut bad }) += 1;
    }
    wrong.truncate(20);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert_eq!(good + bad, COUNT);
    assert!(
        good > COUNT / 4 && bad > COUNT / 8,
        "{good} good, {bad} bad"
    );
    println!("{good} signatures agree, {bad} do not");
}

#[test]
fn what_the_gate_signed_agrees_on_the_jvm() {
    const SECRET: &str = "a secret of ours, é";
    const PIECES: [&str; 14] = [
        "", "a", "A Z", "~*+ /", "%41", "&=", "é", "İ", "中文", "😀", "\r\n", "\u{2028}", "[1]",
        "'",
    ];
    let jetty = Jetty::start(SECRET);
    let mut draw = Draw::of_round(15);
    let mut requests = Vec::new();
    for number in 0..COUNT {
        let mut map = ParamMap::default();
        map.insert("command", "listZones");
        map.insert(["apiKey", "apikey", "APIKEY"][number % 3], "K");
        for _ in 0..draw.below(5) {
            let name = format!(
                "{}{}",
                ["x", "Y.", "z_", "d[0].A-"][number % 4],
                draw.below(30)
            );
            let value: String = (0..draw.below(4))
                .map(|_| PIECES[draw.below(PIECES.len() as u64) as usize])
                .collect();
            map.insert(&name, &value);
        }
        // Every fourth is changed after it was signed.
        let signed = signature::sign(&map, SECRET.as_bytes());
        if number % 4 == 0 {
            map.insert("later", "1");
        }
        map.insert(["signature", "Signature"][number % 2], &signed);
        let wire = map.to_wire();
        let request = format!("GET /client/api?{wire} HTTP/1.1\r\nHost: h\r\n\r\n");
        requests.push(request.into_bytes());
    }
    let told = jetty.told(&requests);
    for (number, told) in told.iter().enumerate() {
        let expected = if number % 4 == 0 { "false" } else { "true" };
        let shown = String::from_utf8_lossy(&requests[number]);
        assert_eq!(told.of("verified"), expected, "{shown}");
    }
    assert_eq!(told.len(), COUNT);
}
