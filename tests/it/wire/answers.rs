//! Errors written to the letter, answers and jobs read from JSON and XML alike.

use super::{ERRORS, JOBS, XML, case, headers, query_and_body, recorded};
use faregate::cloudstack::async_job::{self, JobState};
use faregate::cloudstack::envelope::{self, Format};
use faregate::cloudstack::query::ParamMap;
use faregate::gate::respond;
use serde_json::Value;

/// What a recorded request asked for.
fn format_of(line: &Value) -> Format {
    let (query, body) = query_and_body(line);
    let map = ParamMap::parse_as_cloudstack(query.as_bytes(), body.as_bytes());
    Format::asked(map.as_ref().and_then(|map| map.get("response")))
}

fn body(line: &Value) -> &[u8] {
    line["response"]["body"].as_str().unwrap().as_bytes()
}

/// Recorded errors of the API itself.
fn api_errors() -> impl Iterator<Item = (Value, envelope::Answer)> {
    recorded(ERRORS).chain(recorded(XML)).filter_map(|line| {
        let status = u16::try_from(line["response"]["status"].as_u64()?).ok()?;
        let format = format_of(&line);
        let answer = envelope::read(
            status,
            line["response"]["body"].as_str()?.as_bytes(),
            format,
        );
        let answer = answer.ok().filter(|answer| answer.error.is_some())?;
        Some((line, answer))
    })
}

/// Latin-1 text as the recording shows it.
fn shown(value: &[u8]) -> String {
    value.iter().map(|byte| char::from(*byte)).collect()
}

#[test]
fn every_recorded_error_is_written_again_to_the_letter() {
    let mut count = 0;
    for (line, answer) in api_errors() {
        let error = answer.error.unwrap();
        let format = format_of(&line);
        let own = respond::error(&error, &answer.node.name, format);
        let text = String::from_utf8(own.body).unwrap();
        // The version is told to callers who were authenticated; we do not tell it.
        let recorded_body = String::from_utf8_lossy(body(&line))
            .replace(" cloud-stack-version=\"4.22.0.0-SNAPSHOT\"", "");
        assert_eq!(text, recorded_body, "{}", case(&line));
        let with_version = envelope::error_body(
            &answer.node.name,
            &error,
            format,
            Some("4.22.0.0-SNAPSHOT").filter(|_| body(&line) != recorded_body.as_bytes()),
        );
        assert_eq!(with_version.as_bytes(), body(&line), "{}", case(&line));
        assert_eq!(
            u64::from(own.status),
            line["response"]["status"],
            "{}",
            case(&line)
        );
        assert_eq!(
            own.reason,
            line["response"]["reason"].as_str().unwrap(),
            "{}",
            case(&line)
        );
        let written: Vec<(String, String)> = own
            .headers
            .into_iter()
            .map(|(name, value)| (name, shown(&value)))
            .collect();
        let sent: Vec<(String, String)> = headers(&line["response"])
            .into_iter()
            .filter(|(name, _)| name != "Content-Length" && name != "Set-Cookie")
            .map(|(name, value)| (name, String::from_utf8(value).unwrap()))
            .collect();
        assert_eq!(written, sent, "{}", case(&line));
        count += 1;
    }
    assert_eq!(count, 115);
}

#[test]
fn every_recorded_xml_answer_reads() {
    let mut count = 0;
    for line in recorded(XML) {
        let text = body(&line);
        if !text.starts_with(b"<?xml") {
            continue;
        }
        let status = u16::try_from(line["response"]["status"].as_u64().unwrap()).unwrap();
        let answer = envelope::read_xml(status, text);
        let answer = answer.unwrap_or_else(|e| panic!("{}: {e}", case(&line)));
        assert_eq!(answer.error.is_some(), status != 200, "{}", case(&line));
        count += 1;
    }
    assert_eq!(count, 65);
}

#[test]
fn markup_in_a_name_reads_as_the_name() {
    let line = recorded(XML).find(|line| case(line) == "stop.displayname-with-markup");
    let answer = envelope::read_xml(200, body(&line.unwrap())).unwrap();
    let machine = answer.node.child("virtualmachine").unwrap();
    assert_eq!(machine.text_of("displayname"), Some("a<b>&\"c' é 東 ]]>"));
}

/// The word for a job's state.
fn word(state: &JobState) -> String {
    match state {
        JobState::Pending => "pending".to_owned(),
        JobState::Done(node) => format!(
            "done {}",
            node.children
                .first()
                .map_or("", |child| child.name.as_str())
        ),
        JobState::Failed { code, .. } => format!("failed {code}"),
        JobState::Cancelled => "cancelled".to_owned(),
        JobState::Unknown => "unknown".to_owned(),
        JobState::Unreadable(what) => format!("unreadable {what}"),
    }
}

#[test]
fn every_recorded_job_reads_as_the_table_says() {
    let listed = include_str!("../../fixtures/cloudstack/job-states.tsv");
    let mut found = Vec::new();
    for line in recorded(JOBS).chain(recorded(XML)) {
        let (query, _) = query_and_body(&line);
        if !query.contains("command=queryAsyncJobResult") {
            continue;
        }
        let status = u16::try_from(line["response"]["status"].as_u64().unwrap()).unwrap();
        let text = line["response"]["body"].as_str().unwrap_or_default();
        let state = envelope::read(status, text.as_bytes(), format_of(&line)).map_or_else(
            |e| format!("not read: {e}"),
            |a| word(&async_job::read(&a).state),
        );
        found.push(format!("{}\t{state}", case(&line)));
    }
    assert_eq!(found.join("\n"), listed.trim_end());
}
