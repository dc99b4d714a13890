//! Edge: the files of a recorded lifecycle, read into calls in time order and usage records.

use super::{ReplayError, inside};
use crate::cloudstack::tree::Node;
use crate::meter::inventory::ByItself;
use crate::meter::observe::{ObservedJob, printed_second};
use crate::meter::resource::Owner;
use crate::reconcile::record::UsageRecord;
use crate::terms::ids::{CsAccountId, CsDomainId, CsProjectId, ResourceId};
use crate::terms::time::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A call at its first answer, or with its job's end.
pub(super) struct Entry {
    pub(super) command: String,
    pub(super) params: Vec<(String, String)>,
    pub(super) owner: Owner,
    pub(super) sent: Timestamp,
    pub(super) answered: Timestamp,
    pub(super) answer: Node,
    pub(super) job: Option<ObservedJob>,
}

impl Entry {
    /// When it was known.
    pub(super) fn seen(&self) -> Timestamp {
        self.job.as_ref().map_or(self.answered, |job| job.seen)
    }
}

/// Everything that is fed and compared.
pub(super) struct Recording {
    pub(super) entries: Vec<Entry>,
    pub(super) records: Vec<UsageRecord>,
    /// From the events: what changed by itself.
    pub(super) hints: Vec<(ByItself, ResourceId, Owner)>,
}

impl Recording {
    pub(super) fn read(dir: &Path) -> Result<Self, ReplayError> {
        let calls = calls_file(dir)?;
        let sibling = |ending: &str| {
            let name = calls.file_name().unwrap_or_default().to_string_lossy();
            let prefix = name.strip_suffix("calls.jsonl").unwrap_or_default();
            dir.join(format!("{prefix}{ending}"))
        };
        let lines = lines_of(&calls)?;
        let record_file = sibling("usage-records.jsonl");
        let (records, record_owners) = read_records(&record_file)?;
        let mut people = People::default();
        for owner in record_owners {
            people.add(owner);
        }
        for (_, line) in &lines {
            people.learn(line);
        }
        let entries = read_entries(&calls, &lines, &people)?;
        let events = sibling("events.jsonl");
        let hints = if events.exists() {
            read_hints(&events)?
        } else {
            Vec::new()
        };
        Ok(Self {
            entries,
            records,
            hints,
        })
    }
}

fn calls_file(dir: &Path) -> Result<PathBuf, ReplayError> {
    let fault = |source| ReplayError::File {
        path: dir.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path.to_string_lossy().ends_with(".calls.jsonl") {
            found.push(path);
        }
    }
    match <[PathBuf; 1]>::try_from(found) {
        Ok([one]) => Ok(one),
        Err(other) => Err(ReplayError::Calls {
            path: dir.to_owned(),
            found: other.len(),
        }),
    }
}

/// The JSON objects of a file with the numbers of their lines.
fn lines_of(path: &Path) -> Result<Vec<(usize, Value)>, ReplayError> {
    let text = std::fs::read_to_string(path).map_err(|source| ReplayError::File {
        path: path.to_owned(),
        source,
    })?;
    let mut found = Vec::new();
    for (index, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        let value = serde_json::from_str(line)
            .map_err(|fault| line_fault(path, index + 1, &fault.to_string()))?;
        found.push((index + 1, value));
    }
    Ok(found)
}

fn line_fault(path: &Path, line: usize, fault: &str) -> ReplayError {
    ReplayError::Line {
        path: path.to_owned(),
        line,
        fault: fault.to_owned(),
    }
}

/// Accounts and projects by what recordings call them.
#[derive(Default)]
struct People {
    accounts: BTreeMap<String, Owner>,
    projects: BTreeMap<String, CsDomainId>,
    callers: BTreeMap<String, String>,
}

impl People {
    fn add(&mut self, owner: Owner) {
        if let Some(project) = &owner.project {
            self.projects.insert(project.to_string(), owner.domain);
        } else if let Some(name) = owner.account_name.clone() {
            let kept = self.accounts.entry(name).or_insert_with(|| owner.clone());
            kept.account = kept.account.clone().or(owner.account);
        }
    }
    /// Owners that answers name, and which account a caller's jobs belong to.
    fn learn(&mut self, line: &Value) {
        let answer = inside(&line["answer"]);
        let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        if line["kind"] == "job"
            && let Some(account) = answer.text_of("account")
        {
            self.callers.insert(text("caller"), account.to_owned());
        }
        self.learn_from(&answer);
    }
    fn learn_from(&mut self, node: &Node) {
        let domain = node.text_of("domainid").map(CsDomainId::from);
        let name = node.text_of("account").map(str::to_owned);
        if let (Some(domain), Some(id)) = (&domain, node.text_of("projectid")) {
            self.projects.insert(id.to_owned(), domain.clone());
        }
        match domain {
            Some(domain) if name.is_some() => self.add(Owner {
                account: node.text_of("accountid").map(CsAccountId::from),
                account_name: name,
                domain,
                project: None,
            }),
            Some(domain) if node.name == "account" => self.add(Owner {
                account: node.text_of("id").map(CsAccountId::from),
                account_name: node.text_of("name").map(str::to_owned),
                domain,
                project: None,
            }),
            _ => {}
        }
        for child in &node.children {
            self.learn_from(child);
        }
    }
    /// Whom a call is about, as far as the request says: the job's or the answer's words win later.
    fn owner(&self, caller: &str, params: &[(String, String)]) -> Owner {
        let param = |name: &str| {
            let mut same = params
                .iter()
                .filter(|(key, _)| key.eq_ignore_ascii_case(name));
            same.next().map(|(_, value)| value.as_str())
        };
        let project = param("projectid").filter(|id| self.projects.contains_key(*id));
        if let Some((id, domain)) = project.and_then(|id| Some((id, self.projects.get(id)?))) {
            return Owner {
                account: None,
                account_name: None,
                domain: domain.clone(),
                project: Some(CsProjectId::from(id)),
            };
        }
        let by_id = param("id").and_then(|id| {
            let mut all = self.accounts.values();
            all.find(|owner| owner.account.as_ref().is_some_and(|own| own.as_str() == id))
        });
        let named = param("account").and_then(|name| self.accounts.get(name));
        let own = self.accounts.get(caller);
        let caller_account = self
            .callers
            .get(caller)
            .and_then(|name| self.accounts.get(name));
        let found = by_id.or(named).or(own).or(caller_account).cloned();
        found.unwrap_or_else(|| Owner {
            account: None,
            account_name: Some(caller.to_owned()),
            domain: CsDomainId::from(""),
            project: None,
        })
    }
}

fn time_of(path: &Path, number: usize, line: &Value, name: &str) -> Result<Timestamp, ReplayError> {
    let text = line[name].as_str().unwrap_or_default();
    printed_second(text).ok_or_else(|| {
        line_fault(
            path,
            number,
            &format!("`{name}` is `{text}`, which is not an instant"),
        )
    })
}

fn read_entries(
    path: &Path,
    lines: &[(usize, Value)],
    people: &People,
) -> Result<Vec<Entry>, ReplayError> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut by_job: BTreeMap<String, usize> = BTreeMap::new();
    for (number, line) in lines.iter().filter(|(_, line)| line["kind"] == "call") {
        let good = line["status"].as_u64() == Some(200) && line["answer"].is_object();
        if !good {
            continue;
        }
        let params = params_of(line);
        let caller = line["caller"].as_str().unwrap_or_default();
        let answer = inside(&line["answer"]);
        if let Some(job) = answer.text_of("jobid") {
            by_job.insert(job.to_owned(), entries.len());
        }
        entries.push(Entry {
            command: line["command"].as_str().unwrap_or_default().to_owned(),
            owner: people.owner(caller, &params),
            params,
            sent: time_of(path, *number, line, "sent")?,
            answered: time_of(path, *number, line, "answered")?,
            answer,
            job: None,
        });
    }
    for (number, line) in lines.iter().filter(|(_, line)| line["kind"] == "job") {
        let seen = time_of(path, *number, line, "answered")?;
        let id = line["jobid"].as_str().unwrap_or_default();
        let job = job_of(line, seen);
        let call = by_job.get(id).and_then(|index| entries.get(*index));
        let entry = match call {
            Some(call) => Entry {
                command: call.command.clone(),
                params: call.params.clone(),
                owner: call.owner.clone(),
                sent: call.sent,
                answered: call.answered,
                answer: call.answer.clone(),
                job: Some(job),
            },
            None => unknown_call(line, job, people),
        };
        entries.push(entry);
    }
    entries.sort_by_key(Entry::seen);
    Ok(entries)
}

/// The end of a job whose call lies before the recording.
fn unknown_call(line: &Value, job: ObservedJob, people: &People) -> Entry {
    let resource = line["resourceid"].as_str();
    let mut answer = Node::default();
    answer
        .children
        .extend(resource.map(|id| Node::leaf("id", id)));
    let accepted = job.created.unwrap_or(job.seen);
    let id = job.instance.as_ref().map(ToString::to_string);
    Entry {
        command: line["command"].as_str().unwrap_or_default().to_owned(),
        params: id.map(|id| ("id".to_owned(), id)).into_iter().collect(),
        owner: people.owner(line["caller"].as_str().unwrap_or_default(), &[]),
        sent: accepted,
        answered: accepted,
        answer,
        job: Some(job),
    }
}

fn job_of(line: &Value, seen: Timestamp) -> ObservedJob {
    let answer = inside(&line["answer"]);
    let second = |name: &str| answer.text_of(name).and_then(printed_second);
    ObservedJob {
        created: second("created"),
        completed: second("completed"),
        status: answer.number_of("jobstatus").unwrap_or_default(),
        result: answer.child("jobresult").cloned(),
        instance: answer.text_of("jobinstanceid").map(ResourceId::from),
        seen,
    }
}

fn params_of(line: &Value) -> Vec<(String, String)> {
    let fields = line["params"].as_object();
    let fields = fields.into_iter().flatten();
    fields
        .map(|(name, value)| match value.as_str() {
            Some(text) => (name.clone(), text.to_owned()),
            None => (name.clone(), value.to_string()),
        })
        .collect()
}

/// The pages of the whole period (`variant` is `default`, or there is none), and their owners.
fn read_records(path: &Path) -> Result<(Vec<UsageRecord>, Vec<Owner>), ReplayError> {
    let (mut records, mut owners) = (Vec::new(), Vec::new());
    for (number, line) in lines_of(path)? {
        let variant = line["variant"].as_str().unwrap_or("default");
        let page = match line["answer"].is_object() {
            true => inside(&line["answer"]),
            false => inside(&line),
        };
        for node in page.all("usagerecord").filter(|_| variant == "default") {
            let record = UsageRecord::from_node(node)
                .map_err(|fault| line_fault(path, number, &fault.to_string()))?;
            owners.push(record.owner.clone());
            records.push(record);
        }
    }
    Ok((records, owners))
}

fn read_hints(path: &Path) -> Result<Vec<(ByItself, ResourceId, Owner)>, ReplayError> {
    let mut found = Vec::new();
    for (_, line) in lines_of(path)? {
        for event in inside(&line["answer"]).all("event") {
            let kind = event.text_of("type").unwrap_or_default();
            let resource = event.text_of("resourceid").map(ResourceId::from);
            let owner = Owner {
                account: None,
                account_name: event.text_of("account").map(str::to_owned),
                domain: CsDomainId::from(event.text_of("domainid").unwrap_or_default()),
                project: event.text_of("projectid").map(CsProjectId::from),
            };
            if let Some(resource) = resource.filter(|_| kind.starts_with("VM.SCHEDULE.")) {
                found.push((ByItself::Schedule, resource, owner));
            }
        }
    }
    Ok(found)
}
