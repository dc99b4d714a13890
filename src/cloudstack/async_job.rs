//! Pure: the answer of `queryAsyncJobResult`. Only its outer fields are read: a VM inside the
//! result may carry a `jobstatus` of its own.

use super::envelope::Answer;
use super::time;
use super::tree::Node;
use crate::terms::ids::ResourceId;
use crate::terms::time::Timestamp;

/// What a job came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum JobState {
    /// It runs.
    Pending,
    /// `jobstatus` 1, with what `jobresult` holds.
    Done(Node),
    /// `jobstatus` 2 with an error in `jobresult`.
    Failed {
        /// `errorcode`.
        code: i64,
        /// `errortext`.
        text: String,
    },
    /// `jobstatus` 2 without `jobresult`: cancelled by a restart. What became of the resource
    /// shows only in the resource.
    Cancelled,
    /// CloudStack knows no such job: not yet, never, or not any more.
    Unknown,
    /// An answer that proves nothing.
    Unreadable(String),
}

/// A job's outer fields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Job {
    /// What it came to.
    pub state: JobState,
    /// `jobinstanceid`: the resource, named while the job still runs.
    pub instance: Option<ResourceId>,
    /// `created`.
    pub created: Option<Timestamp>,
    /// `completed`.
    pub completed: Option<Timestamp>,
}

/// Reads the answer to a query for one job.
#[must_use]
pub fn read(answer: &Answer) -> Job {
    let node = &answer.node;
    let state = match &answer.error {
        // Of all 431s only this one says that there is no such job.
        Some(error)
            if error.code == 431
                && error.cs_code == Some(9999)
                && error
                    .text
                    .contains("invalid value. Invalid parameter jobid value=") =>
        {
            JobState::Unknown
        }
        Some(error) => JobState::Unreadable(format!("{} {}", error.code, error.text)),
        None => state_of(node),
    };
    Job {
        state,
        instance: node.text_of("jobinstanceid").map(ResourceId::from),
        created: node.text_of("created").and_then(time::parse),
        completed: node.text_of("completed").and_then(time::parse),
    }
}

fn state_of(node: &Node) -> JobState {
    match (node.number_of("jobstatus"), node.child("jobresult")) {
        (Some(0), _) => JobState::Pending,
        (Some(1), result) => JobState::Done(result.cloned().unwrap_or_default()),
        (Some(2 | 3), Some(result)) if result.child("errorcode").is_some() => JobState::Failed {
            code: result.number_of("errorcode").unwrap_or(530),
            text: result.text_of("errortext").unwrap_or_default().to_owned(),
        },
        (Some(2 | 3), _) => JobState::Cancelled,
        (status, _) => JobState::Unreadable(format!("jobstatus {status:?}")),
    }
}
