//! Edge: jobs and events as the API shows them.

use super::{Shown, printed};
use crate::sandbox::cloud::Cloud;
use crate::sandbox::records::{Event, Job};
use serde_json::Value;

/// What `queryAsyncJobResult` says of a job, and an item of `listAsyncJobs`.
#[must_use]
pub fn job(cloud: &Cloud, job: &Job) -> Value {
    let mut out = Shown::new();
    out.put("accountid", job.account.as_str());
    if let Some(account) = cloud.accounts.find(&job.account) {
        out.put("account", account.name.as_str())
            .put("domainid", account.domain.as_str())
            .put("domainpath", cloud.path_of(&account.domain));
    }
    out.put("userid", job.user.as_str())
        .put("cmd", job.class.as_str())
        .put("jobprocstatus", 0)
        .put("jobresultcode", job.code);
    if let Some(result) = &job.result {
        out.put("jobresulttype", "object")
            .put("jobresult", result.clone());
    }
    if let Some((kind, id)) = &job.instance {
        out.put("jobinstancetype", kind.as_str())
            .put("jobinstanceid", id.as_deref());
    }
    if job.result.is_none() {
        out.put("managementserverid", "d1d4c56e-7651-4d8c-a0c9-c6de2bc2feb1")
            .put("managementservername", "localhost");
    }
    out.put("created", printed(job.created))
        .put("completed", job.completed.map(printed))
        .put("jobid", job.id.as_str())
        .put("jobstatus", job.status);
    out.done()
}

/// A row of `listEvents`.
#[must_use]
pub fn event(cloud: &Cloud, event: &Event) -> Value {
    let mut out = Shown::new();
    let user = cloud
        .users
        .find(&event.user)
        .map_or("system", |user| user.name.as_str());
    let (kind, id, name) = &event.resource;
    out.put("id", event.id.as_str())
        .put("username", user)
        .put("type", event.kind.as_str())
        .put("level", event.level.as_str())
        .put("description", event.text.as_str())
        .owner(cloud, &event.account)
        .put("resourceid", id.as_str())
        .put("resourcetype", kind.as_str());
    if !name.is_empty() {
        out.put("resourcename", name.as_str());
    }
    out.put("created", printed(event.created))
        .put("state", event.state.as_str())
        .put("parentid", event.parent.as_deref());
    out.done()
}
