//! Edge: the answer to a call that this gate's death cut off, made from what its job says.

use super::line::Gate;
use super::wire::Answer;
use crate::cloudstack::async_job::{self, JobState};
use crate::cloudstack::command::{Command, Kind};
use crate::cloudstack::envelope::{Format, SECURITY_HEADERS, content_type};
use crate::terms::ids::JobId;
use std::time::Duration;

/// Between two questions.
const WAIT: Duration = Duration::from_millis(500);
/// Questions: the create phase may still run at the management server.
const QUESTIONS_MAX: usize = 120;

/// What CloudStack answered, or would have: the job, and the id of what it makes. None where
/// that cannot be known: the call had no job of ours, or CloudStack never heard of it.
pub(super) async fn answer(
    gate: &Gate,
    command: &Command,
    job: Option<JobId>,
    format: Format,
) -> Option<Answer> {
    let job = job?;
    for _ in 0..QUESTIONS_MAX {
        match gate
            .asker
            .job(job.as_str())
            .await
            .map(|answer| async_job::read(&answer))
        {
            Ok(found) if !matches!(found.state, JobState::Unknown | JobState::Unreadable(_)) => {
                let id = found.instance.filter(|_| command.kind == Kind::AsyncCreate);
                let id = id.as_ref().map(|id| id.as_str()).filter(|id| is_uuid(id));
                return Some(started(&command.wrapper, id, job.as_str(), format));
            }
            Ok(_) | Err(_) => tokio::time::sleep(WAIT).await,
        }
    }
    None
}

/// Ids go into the answer as they are.
fn is_uuid(id: &str) -> bool {
    id.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-')
}

fn started(wrapper: &str, id: Option<&str>, job: &str, format: Format) -> Answer {
    let body = match (format, id) {
        (Format::Json, Some(id)) => {
            format!("{{\"{wrapper}\":{{\"id\":\"{id}\",\"jobid\":\"{job}\"}}}}")
        }
        (Format::Json, None) => format!("{{\"{wrapper}\":{{\"jobid\":\"{job}\"}}}}"),
        (Format::Xml, id) => {
            let id = id.map_or_else(String::new, |id| format!("<id>{id}</id>"));
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?><{wrapper}>\
                 {id}<jobid>{job}</jobid></{wrapper}>"
            )
        }
    };
    let mut headers = vec![("Content-Type".to_owned(), content_type(format).into())];
    headers.extend(SECURITY_HEADERS.map(|(name, value)| (name.to_owned(), value.into())));
    Answer {
        status: 200,
        reason: Some("OK".to_owned()),
        headers,
        body: body.into(),
        extensions: http::Extensions::default(),
    }
}
