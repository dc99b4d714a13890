//! Every recorded signature recomputes; a rebuilt request keeps its signature.

use super::{BYPASS, ERRORS, JOBS, SIGNATURES, XML, case, judged, query_and_body, recorded};
use faregate::cloudstack::query::ParamMap;
use faregate::cloudstack::signature;
use faregate::gate::parse::Routed;
use proptest::prelude::*;
use std::collections::HashMap;

const USERS: &str = include_str!("../../fixtures/cloudstack/users.json");

/// Secrets by key.
fn secrets() -> HashMap<String, String> {
    let users: serde_json::Value = serde_json::from_str(USERS).unwrap();
    let text = |user: &serde_json::Value, field: &str| user[field].as_str().map(str::to_owned);
    users["users"]
        .as_object()
        .unwrap()
        .values()
        .filter_map(|user| Some((text(user, "key")?, text(user, "secret")?)))
        .collect()
}

/// Whether a recorded request's signature is the one that its key's secret makes; none where it
/// is not signed or the key is not one of the users'.
fn agrees(line: &serde_json::Value, secrets: &HashMap<String, String>) -> Option<bool> {
    let (query, body) = query_and_body(line);
    let map = ParamMap::parse_as_cloudstack(query.as_bytes(), body.as_bytes())?;
    map.get("signature")?;
    let secret = secrets.get(map.get("apikey")?)?;
    Some(signature::agrees(&map, secret.as_bytes()))
}

#[test]
fn a_request_rebuilt_from_the_map_keeps_its_signature() {
    let secrets = secrets();
    let mut pairs = 0;
    for line in recorded(SIGNATURES).filter(|line| case(line).starts_with("orig.")) {
        let twin = case(&line).replace("orig.", "rebuilt.");
        let twin = recorded(SIGNATURES).find(|l| case(l) == twin).unwrap();
        assert_eq!(agrees(&line, &secrets), Some(true), "{}", case(&line));
        assert_eq!(agrees(&twin, &secrets), Some(true), "{}", case(&twin));
        // Names that differ in case alone are refused.
        if case(&line) == "orig.mixed-case-names" {
            assert!(judged(&line).is_err());
            continue;
        }
        let (Ok(Routed::Api(orig)), Ok(Routed::Api(rebuilt))) = (judged(&line), judged(&twin))
        else {
            panic!("{} is refused", case(&line));
        };
        assert_eq!(orig.params, rebuilt.params, "{}", case(&line));
        let again = ParamMap::parse(orig.params.to_wire().as_bytes(), b"").unwrap();
        assert_eq!(again, orig.params, "{}", case(&line));
        pairs += 1;
    }
    assert_eq!(pairs, 23);
}

/// Cases whose signature is wrong on purpose, or is made over names as another reader takes them.
const MEANT_TO_DISAGREE: [&str; 13] = [
    "client-signs-tilde-unescaped",
    "row10",
    "row22",
    "row33",
    "row34",
    "row35",
    "row36b",
    "401.bad-signature.json",
    "401.bad-signature.deploy.json",
    "432.forbidden-and-bad-signature.json",
    "401.bad-signature.xml",
    "401.bad-signature.deploy.xml",
    "432.forbidden-and-bad-signature.xml",
];

#[test]
fn every_recorded_signature_recomputes_but_for_those_that_are_wrong_on_purpose() {
    let secrets = secrets();
    let (mut agree, mut disagree) = (0, Vec::new());
    let files = [SIGNATURES, BYPASS, ERRORS, XML, JOBS];
    let lines: Vec<_> = files.into_iter().flat_map(recorded).collect();
    for line in &lines {
        match agrees(line, &secrets) {
            Some(true) => agree += 1,
            Some(false) => disagree.push(case(line)),
            None => {}
        }
    }
    assert_eq!(disagree, MEANT_TO_DISAGREE);
    assert_eq!(agree, 349);
}

#[test]
fn a_tilde_signed_unescaped_is_refused_as_cloudstack_refuses_it() {
    let line = recorded(SIGNATURES)
        .find(|line| case(line) == "client-signs-tilde-unescaped")
        .unwrap();
    assert_eq!(agrees(&line, &secrets()), Some(false));
    assert_eq!(line["response"]["status"], 401);
}

fn any_params() -> impl Strategy<Value = Vec<(String, String)>> {
    let name = "[A-Za-z0-9_.\\[\\]-]{1,12}";
    proptest::collection::vec((name, any::<String>()), 0..12)
}

fn map_of(params: &[(String, String)]) -> ParamMap {
    let mut map = ParamMap::default();
    for (name, value) in params {
        // Names that no client may send, or that must be lower-case, are tested by table.
        map.insert(&format!("p{name}"), value);
    }
    map
}

proptest! {
    #[test]
    fn a_map_reads_back_from_its_wire_form(params in any_params()) {
        let map = map_of(&params);
        prop_assert_eq!(ParamMap::parse(map.to_wire().as_bytes(), b""), Ok(map.clone()));
        prop_assert_eq!(ParamMap::parse(b"", map.to_wire().as_bytes()), Ok(map));
    }

    #[test]
    fn a_signature_survives_another_order_and_encoding(
        params in any_params(), turn in 0_usize..12,
    ) {
        let map = map_of(&params);
        let mut tokens: Vec<String> = map
            .iter()
            .map(|(_, param)| {
                let hex = |text: &str| text.bytes().map(|b| format!("%{b:02x}")).collect::<String>();
                format!("{}={}", hex(&param.name), hex(&param.value))
            })
            .collect();
        let len = tokens.len().max(1);
        tokens.rotate_left(turn % len);
        let (query, body) = tokens.split_at(turn % len);
        let other = ParamMap::parse(query.join("&").as_bytes(), body.join("&").as_bytes()).unwrap();
        prop_assert_eq!(signature::sign(&other, b"secret"), signature::sign(&map, b"secret"));
    }

    #[test]
    fn no_bytes_make_the_reader_panic(query in any::<Vec<u8>>(), body in any::<Vec<u8>>()) {
        if let Ok(map) = ParamMap::parse(&query, &body) {
            prop_assert_eq!(ParamMap::parse(map.to_wire().as_bytes(), b""), Ok(map));
        }
    }
}
