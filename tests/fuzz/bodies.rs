//! What each fuzz target does with its bytes. The same functions replay the seeds in the tests.
//! A panic, an overflow or a broken promise is what is looked for; refusals are answers.

use faregate::cli::replay_requests::{self, SignatureVerdict};
use faregate::cloudstack::command::CommandTable;
use faregate::cloudstack::envelope::{self, ApiError, Format};
use faregate::cloudstack::query::ParamMap;
use faregate::cloudstack::{async_job, live};
use faregate::config;
use faregate::gate::framing::{Framing, Then};
use faregate::gate::parse::{self, Call, Header, RawRequest, Routed};
use faregate::policy::check;
use faregate::reconcile::pull;
use faregate::terms::time::Timestamp;
use std::path::Path;
use std::sync::OnceLock;

/// A connection's bytes: what passes does not hang on where the network cuts them; the first
/// message is then read as a request.
pub fn request(data: &[u8]) {
    let whole = judged(data, data.len().max(1));
    for size in [1, 3, 64, data.len() / 2 + 1] {
        assert_eq!(judged(data, size), whole, "cut into pieces of {size}");
    }
    if whole.0 > 0 {
        first_message(&data[..whole.0]);
    }
}

/// How many bytes pass, and whether more may come, when they arrive in pieces of that size.
fn judged(data: &[u8], size: usize) -> (usize, &'static str) {
    let mut framing = Framing::default();
    let (mut passed, mut arrived) = (0, 0);
    while arrived < data.len() {
        arrived = (arrived + size).min(data.len());
        let judged = framing.judge(&data[passed..arrived]);
        assert!(
            judged.passed <= arrived - passed,
            "more passed than there was"
        );
        passed += judged.passed;
        match judged.then {
            Then::More => {}
            Then::Ended => return (passed, "ended"),
            Then::Fault(fault) => {
                assert!(fault.answer().is_empty() || fault.answer().starts_with(b"HTTP/1.1 "));
                return (passed, "fault");
            }
        }
    }
    (passed, "more")
}

fn first_message(bytes: &[u8]) {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return;
    };
    let head: Vec<&[u8]> = bytes[..end].split(|b| *b == b'\n').collect();
    let words: Vec<&[u8]> = head[0].trim_ascii().split(|b| *b == b' ').collect();
    let headers: Vec<Header<'_>> = head[1..].iter().filter_map(|line| header(line)).collect();
    let raw = RawRequest {
        method: std::str::from_utf8(words[0]).unwrap_or("GET"),
        target: words.get(1).copied().unwrap_or_default(),
        headers: &headers,
        body: &bytes[end + 4..],
    };
    if let Ok(Routed::Api(call)) = parse::request(&raw) {
        says_the_same(&call.params);
        assert!(
            !(call.signed() && call.cookies.is_some()),
            "cookies on a signed call"
        );
        judge(&call);
    }
}

fn header(line: &[u8]) -> Option<Header<'_>> {
    let at = line.iter().position(|b| *b == b':')?;
    let name = std::str::from_utf8(&line[..at]).ok()?;
    Some((name, line[at + 1..].trim_ascii()))
}

/// The command table, its class and its types: each has to end with yes or no.
fn judge(call: &Call) {
    for signature in [SignatureVerdict::Agrees, SignatureVerdict::None] {
        let _ = replay_requests::judge(table(), call, signature);
    }
}

fn table() -> &'static CommandTable {
    static TABLE: OnceLock<CommandTable> = OnceLock::new();
    TABLE.get_or_init(|| CommandTable::new(&[]).unwrap())
}

/// Query and, after a line break, form: what is built from the map is read as the same map by us
/// and by CloudStack.
pub fn canonical(data: &[u8]) {
    let at = data.iter().position(|b| *b == b'\n').unwrap_or(data.len());
    let (query, form) = (&data[..at], data.get(at + 1..).unwrap_or_default());
    let lenient = ParamMap::parse_as_cloudstack(query, form);
    let Ok(map) = ParamMap::parse(query, form) else {
        return;
    };
    assert_eq!(
        lenient.as_ref(),
        Some(&map),
        "CloudStack would read it otherwise"
    );
    says_the_same(&map);
    let kept = map.to_kept();
    assert!(ParamMap::parse(kept.as_bytes(), b"").is_ok(), "{kept}");
}

fn says_the_same(map: &ParamMap) {
    let wire = map.to_wire();
    assert_eq!(ParamMap::parse(wire.as_bytes(), b"").as_ref(), Ok(map));
    assert_eq!(
        ParamMap::parse_as_cloudstack(wire.as_bytes(), b"").as_ref(),
        Some(map)
    );
    assert!(wire.len() <= map.wire_length() && map.wire_length() <= wire.len() + 2);
}

/// An answer of a management server, as JSON and as XML, as any answer and as a job's; then the
/// bytes as an error's text, which comes back as it was.
pub fn answer(data: &[u8]) {
    for format in [Format::Json, Format::Xml] {
        if let Ok(answer) = envelope::read(200, data, format) {
            let _ = async_job::read(&answer);
            let _ = live::read(&answer.node);
        }
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let error = ApiError {
        code: 431,
        cs_code: Some(4350),
        text: text.to_owned(),
    };
    let body = envelope::error_body("xresponse", &error, Format::Json, None);
    let read = envelope::read_json(431, body.as_bytes()).unwrap();
    assert_eq!(read.error, Some(error));
}

/// A page of usage records, in XML as we ask for it and in JSON as it is recorded.
pub fn usage(data: &[u8]) {
    for format in [Format::Xml, Format::Json] {
        if let Ok(answer) = envelope::read(200, data, format) {
            let records: Vec<_> = answer.node.all("usagerecord").cloned().collect();
            if let Ok(rows) = pull::rows(&records, Timestamp::from_seconds(0)) {
                assert_eq!(rows.len(), records.len(), "each record is a row");
            }
        }
    }
}

/// A policy file.
pub fn policy(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = check::load(&[("fuzz.toml".to_owned(), text.to_owned())]);
    }
}

/// A configuration, without the files that it names: an input may name a device.
pub fn config(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if !text.contains("/dev") && !text.contains("/proc") {
        let _ = config::check("fuzz.toml", text, Path::new("nowhere"), &|_| None);
    }
}

/// A recording of requests, and a list of a live server's commands.
pub fn recording(data: &[u8]) {
    let judge = |call: &Call, signature| replay_requests::judge(table(), call, signature);
    let _ = replay_requests::run(data, std::io::sink(), true, &judge);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = live::from_snapshot(text);
    }
}
