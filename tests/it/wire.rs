//! Requests and answers of a real management server: signatures, bypass attempts, errors, XML.

mod answers;
mod bypass;
mod signatures;

use faregate::gate::parse::{self, RawRequest, Routed};
use faregate::gate::refusal::Refusal;
use serde_json::Value;

pub const SIGNATURES: &str = include_str!("../fixtures/cloudstack/signatures.jsonl");
pub const BYPASS: &str = include_str!("../fixtures/cloudstack/bypass.jsonl");
pub const ERRORS: &str = include_str!("../fixtures/cloudstack/errors.jsonl");
pub const XML: &str = include_str!("../fixtures/cloudstack/xml.jsonl");
pub const JOBS: &str = include_str!("../fixtures/cloudstack/async-jobs.jsonl");

pub fn recorded(text: &str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

pub fn case(line: &Value) -> &str {
    line["case"].as_str().unwrap()
}

/// Headers as name and bytes.
pub fn headers(message: &Value) -> Vec<(String, Vec<u8>)> {
    let pairs = message["headers"].as_array().unwrap();
    pairs
        .iter()
        .map(|pair| {
            let text = |at: usize| pair[at].as_str().unwrap().to_owned();
            (text(0), text(1).into_bytes())
        })
        .collect()
}

/// The request of a line, judged by the gate's first stage.
pub fn judged(line: &Value) -> Result<Routed, Refusal> {
    let request = &line["request"];
    let headers = headers(request);
    let headers: Vec<(&str, &[u8])> = headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_slice()))
        .collect();
    parse::request(&RawRequest {
        method: request["method"].as_str().unwrap(),
        target: request["target"].as_str().unwrap().as_bytes(),
        headers: &headers,
        body: request["body"].as_str().unwrap_or_default().as_bytes(),
    })
}

/// Query and form body of a line's request.
pub fn query_and_body(line: &Value) -> (String, String) {
    let request = &line["request"];
    let target = request["target"].as_str().unwrap();
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let is_form = headers(request).iter().any(|(name, value)| {
        name.eq_ignore_ascii_case("content-type")
            && value.starts_with(b"application/x-www-form-urlencoded")
    });
    let body = request["body"].as_str().filter(|_| is_form);
    (query.to_owned(), body.unwrap_or_default().to_owned())
}
