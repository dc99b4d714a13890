//! Pure: one call and what CloudStack answered → what started, ended or changed, and when.
//!
//! The instants are the seconds at which CloudStack itself counts: a second printed in the answer
//! where there is one, else the job's `completed`, else the first answer. A VM's allocation starts
//! in the create phase, before its job ends; a destroyed VM stops running at the first answer and
//! stops being allocated when it is destroyed. Sizes and offerings come from the result, never
//! from the request. A call is observed twice where it starts a job: at its first answer
//! (`job: None`) and at the job's end; a call without a job once.
//!
//! `vm.rs`, `volume.rs`, `network.rs` and `other.rs` hold a function per command, `list.rs` reads
//! the customer's own lists for ids that no job shows (root volumes, source NAT addresses).

mod list;
mod network;
mod other;
mod vm;
mod volume;

use super::inventory::{Fact, Inventory};
use super::resource::{Attributes, Border, BorderSource, Change, Interval, MeterId, Owner};
use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::terms::ids::{CsDomainId, CsProjectId, ResourceId};
use crate::terms::time::Timestamp;

/// The end of a job, as `queryAsyncJobResult` shows it.
#[derive(Clone, Debug)]
pub struct ObservedJob {
    /// When CloudStack stored it, whole seconds.
    pub created: Option<Timestamp>,
    /// When it ended, whole seconds.
    pub completed: Option<Timestamp>,
    /// 1 done, 2 failed.
    pub status: i64,
    /// What `jobresult` holds.
    pub result: Option<Node>,
    /// `jobinstanceid`.
    pub instance: Option<ResourceId>,
    /// When we saw that it had ended.
    pub seen: Timestamp,
}

/// One call that was forwarded and answered.
pub struct ObservedCall<'a> {
    /// The command, in CloudStack's own spelling or any other case.
    pub command: &'a str,
    /// A parameter by its name.
    pub params: &'a (dyn Fn(&str) -> Option<&'a str> + Sync),
    /// Whose things the call is about, as the gate resolved it.
    pub owner: Owner,
    /// When the request went out.
    pub sent: Timestamp,
    /// When the answer was there.
    pub answered: Timestamp,
    /// The answer, inside its wrapper. An answer that is an error is not observed.
    pub answer: &'a Node,
    /// The job's end, once it is known.
    pub job: Option<&'a ObservedJob>,
}

/// What an answer left open and CloudStack can be asked for. The answer to the list goes back in
/// as an observed call of that command.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum FactQuestion {
    /// `listVolumes virtualmachineid=…`: ids and sizes of its volumes.
    VolumesOf(ResourceId),
    /// `listPublicIpAddresses associatednetworkid=…`: its source NAT address, and since when.
    AddressesOf(ResourceId),
    /// `listPublicIpAddresses vpcid=…`.
    AddressesOfVpc(ResourceId),
    /// `listNetworks id=…`: its offering and services.
    Network(ResourceId),
    /// `listVirtualMachines id=…`: a job ended without saying what became of it.
    Vm(ResourceId),
}

/// What an observation yields. Facts go to [`Inventory::learn`] first, then the changes to
/// [`Inventory::apply`], in their order.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Observed {
    /// What was learnt beside the meters.
    pub facts: Vec<Fact>,
    /// What started, ended or changed.
    pub changes: Vec<Change>,
    /// What to ask CloudStack.
    pub questions: Vec<FactQuestion>,
}

impl Observed {
    /// Keeps the facts and applies the changes.
    pub fn apply_to(self, inventory: &mut Inventory) -> Vec<super::inventory::Applied> {
        for fact in self.facts {
            inventory.learn(fact);
        }
        let changes = self.changes.into_iter();
        changes.map(|change| inventory.apply(change)).collect()
    }
}

/// Reads one call. Commands that start, end or change nothing yield nothing.
#[must_use]
pub fn observe(call: &ObservedCall<'_>, inventory: &Inventory) -> Observed {
    let mut watch = Watch {
        call,
        inventory,
        out: Observed::default(),
    };
    let command = call.command.to_ascii_lowercase();
    let known = vm::observe(&mut watch, &command)
        || volume::observe(&mut watch, &command)
        || network::observe(&mut watch, &command)
        || other::observe(&mut watch, &command)
        || list::observe(&mut watch, &command);
    if known {
        watch.out
    } else {
        Observed::default()
    }
}

/// Where a call stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Its job runs.
    Pending,
    /// Done: by a job, or in the answer.
    Done,
    /// Its job failed.
    Failed,
}

/// One observation in the making.
struct Watch<'a, 'c> {
    call: &'a ObservedCall<'c>,
    inventory: &'a Inventory,
    out: Observed,
}

impl Watch<'_, '_> {
    fn stage(&self) -> Stage {
        match self.call.job {
            Some(job) if job.status == 1 => Stage::Done,
            Some(_) => Stage::Failed,
            None if self.call.answer.child("jobid").is_some() => Stage::Pending,
            None => Stage::Done,
        }
    }
    fn done(&self) -> bool {
        self.stage() == Stage::Done
    }
    fn param(&self, name: &str) -> Option<&str> {
        (self.call.params)(name).filter(|value| !value.is_empty())
    }
    fn param_id(&self, name: &str) -> Option<ResourceId> {
        self.param(name).map(ResourceId::from)
    }
    fn says(&self, name: &str) -> Option<bool> {
        self.param(name)
            .map(|value| value.eq_ignore_ascii_case("true"))
    }
    /// The entity of that name: in the job's result, else in the answer.
    fn entity(&self, name: &str) -> Option<Node> {
        match self.call.job {
            Some(job) => job.result.as_ref()?.child(name).cloned(),
            None => self.call.answer.child(name).cloned(),
        }
    }
    /// The id that the first answer, the job, or the request names.
    fn created_id(&self) -> Option<ResourceId> {
        let told = self.call.answer.text_of("id").map(ResourceId::from);
        told.or_else(|| self.call.job.and_then(|job| job.instance.clone()))
    }
    fn first(&self) -> Border {
        Border {
            at: self.call.answered,
            source: BorderSource::FirstAnswer,
        }
    }
    /// The job's end; the answer where there was no job.
    fn completed(&self) -> Border {
        match self.call.job {
            Some(job) => Border {
                at: job.completed.unwrap_or(job.seen),
                source: BorderSource::Completed,
            },
            None => self.first(),
        }
    }
    /// The second printed under that name, else the other border.
    fn printed(&self, node: Option<&Node>, field: &str, otherwise: Border) -> Border {
        match node
            .and_then(|node| node.text_of(field))
            .and_then(printed_second)
        {
            Some(at) => Border {
                at,
                source: BorderSource::Printed,
            },
            None => otherwise,
        }
    }
    /// The owner an entity names, else the call's.
    fn owner_of(&self, node: &Node) -> Owner {
        owner_named(node, &self.call.owner)
    }
    fn learn(&mut self, fact: Fact) {
        self.out.facts.push(fact);
    }
    fn ask(&mut self, question: FactQuestion) {
        if !self.out.questions.contains(&question) {
            self.out.questions.push(question);
        }
    }
    fn open(&mut self, meter: MeterId, owner: Owner, attributes: Attributes, start: Border) {
        self.out.changes.push(Change::Open(Interval {
            meter,
            owner,
            attributes,
            start,
            end: None,
        }));
    }
    fn close(&mut self, meter: MeterId, at: Border) {
        self.out.changes.push(Change::Close { meter, at });
    }
    fn close_all(&mut self, resource: ResourceId, at: Border) {
        self.out.changes.push(Change::CloseAll { resource, at });
    }
    fn reshape(&mut self, meter: MeterId, at: Border, attributes: Attributes) {
        self.out.changes.push(Change::Reshape {
            meter,
            at,
            attributes,
        });
    }
    /// The interval a meter has now, in the inventory or by a change of this observation.
    fn attributes_of(&self, meter: &MeterId) -> Option<Attributes> {
        let open = self.inventory.open_of(meter)?;
        Some(open.attributes.clone())
    }
    /// Microseconds from the first answer to the job's end: how loosely an instant in it is known.
    fn job_length(&self) -> i64 {
        self.completed().at.since(self.call.sent).max(0)
    }
}

/// The meter of one usage type of a resource.
#[must_use]
pub fn meter(usage_type: UsageType, resource: &ResourceId) -> MeterId {
    MeterId {
        usage_type,
        resource: resource.clone(),
        part: String::new(),
    }
}

/// The owner an entity names; what it leaves out comes from `otherwise` where that is the same.
#[must_use]
pub fn owner_named(node: &Node, otherwise: &Owner) -> Owner {
    let domain = node
        .text_of("domainid")
        .map_or_else(|| otherwise.domain.clone(), CsDomainId::from);
    if let Some(project) = node.text_of("projectid") {
        return Owner {
            account: None,
            account_name: None,
            domain,
            project: Some(CsProjectId::from(project)),
        };
    }
    let Some(name) = node.text_of("account") else {
        return otherwise.clone();
    };
    let same = otherwise.project.is_none()
        && otherwise.account_name.as_deref() == Some(name)
        && otherwise.domain == domain;
    Owner {
        account: otherwise.account.clone().filter(|_| same),
        account_name: Some(name.to_owned()),
        domain,
        project: None,
    }
}

/// The instant of `2026-11-22T23:47:00+0000`, as CloudStack prints it.
#[must_use]
pub fn printed_second(text: &str) -> Option<Timestamp> {
    let parsed = jiff::Timestamp::strptime("%Y-%m-%dT%H:%M:%S%z", text);
    let parsed = parsed.or_else(|_| text.parse::<jiff::Timestamp>());
    Some(Timestamp::from_micros(parsed.ok()?.as_microsecond()))
}

#[cfg(test)]
mod tests;
