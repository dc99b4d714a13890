//! Attempts to be read in two ways: each is refused by its rule, or forwarded as what runs.

use super::{BYPASS, case, judged, recorded};
use faregate::gate::parse::{self, RawRequest, Routed};

/// Case and outcome: a rule, or what is forwarded.
const OUTCOMES: &str = include_str!("../../fixtures/cloudstack/bypass-outcomes.tsv");

fn outcome(line: &serde_json::Value) -> String {
    match judged(line) {
        Ok(Routed::Api(call)) => {
            let cookies = call.cookies.is_some();
            let with = if cookies { " with its session" } else { "" };
            format!("{}{with}", call.command())
        }
        Ok(Routed::Elsewhere(_)) => "404".to_owned(),
        Err(refusal) => format!("{} {}", refusal.error().code, refusal.rule()),
    }
}

#[test]
fn every_bypass_attempt_ends_as_the_table_says() {
    let found: Vec<String> = recorded(BYPASS)
        .map(|line| format!("{}\t{}", case(&line), outcome(&line)))
        .collect();
    let listed: Vec<&str> = OUTCOMES
        .lines()
        .filter(|line| !line.starts_with('#'))
        .collect();
    assert_eq!(found.join("\n"), listed.join("\n"));
}

const FORM: &str = "application/x-www-form-urlencoded";

fn rule(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> String {
    let headers: Vec<(String, Vec<u8>)> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
        .collect();
    let headers: Vec<(&str, &[u8])> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()))
        .collect();
    let raw = RawRequest {
        method,
        target: target.as_bytes(),
        headers: &headers,
        body,
    };
    match parse::request(&raw) {
        Ok(_) => "forward".to_owned(),
        Err(refusal) => format!("{} {}", refusal.error().code, refusal.rule()),
    }
}

#[test]
fn a_query_that_can_be_read_in_two_ways_is_refused_by_its_rule() {
    let long_name = format!("{}=1", "n".repeat(256));
    let fitting = format!("command=listZones&x={}", "a".repeat(7_700));
    let too_long = format!("command=listZones&x={}", "a".repeat(7_800));
    let grows = format!("command=listZones&x={}", "/".repeat(2_600));
    let many: String = (0..1_001).map(|n| format!("p{n}=1&")).collect();
    let most: String = (0..1_000).map(|n| format!("p{n}=1&")).collect();
    for (query, expected) in [
        ("command=listZones&&", "forward"),
        ("command=listZones&x=a=b;c", "forward"),
        ("command=listZones&x=%C3%A9", "forward"),
        ("command=listZones&x=%C3", "431 C3"),
        ("command=listZones&x=%zz", "431 C3"),
        ("command=listZones&x=%2", "431 C3"),
        ("command=listZones&=1", "431 C3"),
        ("command=listZones&n%C3%A9=1", "431 C3"),
        ("command=listZones&a%26b=1", "431 C3"),
        ("command=listZones&sessionKey=1", "431 C5"),
        ("command=listZones&customjobid=1", "431 C5"),
        ("command=listZones&CustomJobId=1", "431 C5"),
        ("command=listZones&ctxUserId=2", "431 C5"),
        ("command=listZones&httpMethod=POST", "431 C5"),
        ("command=listZones&startEventId=1", "431 C5"),
        ("command=listZones&uuid=1", "431 C5"),
        ("command=listZones&cmdEventType=X", "431 C5"),
        (long_name.as_str(), "431 C3"),
        (fitting.as_str(), "forward"),
        (too_long.as_str(), "414 C9"),
        (grows.as_str(), "414 C9"),
        (many.as_str(), "431 C2"),
        (most.as_str(), "forward"),
    ] {
        let found = rule("GET", &format!("/client/api?{query}"), &[], b"");
        let shown: String = query.chars().take(60).collect();
        assert_eq!(found, expected, "{shown}");
    }
}

#[test]
fn a_body_is_a_form_in_utf_8_or_refused() {
    let form: &[u8] = b"command=listZones";
    let long = [b"command=".as_slice(), &[b'x'; 1024 * 1024]].concat();
    for (method, headers, body, expected) in [
        ("POST", vec![("content-type", FORM)], form, "forward"),
        (
            "POST",
            vec![(
                "Content-Type",
                "Application/X-WWW-Form-urlencoded;charset=UTF-8",
            )],
            form,
            "forward",
        ),
        ("POST", vec![], b"".as_slice(), "forward"),
        ("POST", vec![], form, "415 C2"),
        (
            "POST",
            vec![("Content-Type", "application/json")],
            b"{}",
            "415 C2",
        ),
        (
            "POST",
            vec![("Content-Type", "multipart/form-data; boundary=x")],
            form,
            "415 C2",
        ),
        (
            "POST",
            vec![("Content-Type", FORM), ("Content-Encoding", "gzip")],
            form,
            "415 C2",
        ),
        (
            "POST",
            vec![("Content-Type", FORM), ("content-type", FORM)],
            form,
            "400 C2",
        ),
        ("POST", vec![("Content-Type", FORM)], &long, "413 C2"),
        ("GET", vec![("Content-Type", FORM)], form, "400 C2"),
        ("GET", vec![("Content-Type", FORM)], b"", "forward"),
        ("HEAD", vec![], b"", "405 C2"),
    ] {
        let found = rule(method, "/client/api", &headers, body);
        assert_eq!(found, expected, "{method} {headers:?}");
    }
}
