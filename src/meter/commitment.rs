//! Pure: rules that start things without a call, and what stays promised for each of them.
//!
//! A commitment is written with the settlement of the call that made its rule and ends with the
//! rule. What of the rule runs is paid for as anything that runs; for the rest, up to what the
//! payer's policy says, the cover keeps money, so that a piece that starts takes its own part.

use super::observe::ObservedCall;
use super::resource::{Border, BorderSource, Interval, MeterId};
use crate::cloudstack::usage_type::UsageType;
use crate::policy::commitment::{Commitment as Mode, RuleKind};
use crate::rate::Planned;
use crate::terms::ids::{CallId, PayerId, ResourceId};
use crate::terms::time::Timestamp;
use std::collections::BTreeSet;

/// A rule as its call was priced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// What kind it is.
    pub kind: RuleKind,
    /// CloudStack's id of it; none where the answer tells it.
    pub id: Option<ResourceId>,
    /// What it is about, where its pieces do not name the rule itself: `volume/HOURLY` of a
    /// snapshot policy, `vm/DAILY` of a backup schedule, the VM of a schedule that starts it.
    pub of: String,
    /// Started at once, whatever the mode.
    pub least: i64,
    /// As many as it may ever have.
    pub most: i64,
    /// Pieces that are there and no part of these: a cluster's control nodes.
    pub besides: i64,
    /// The meters of one piece.
    pub unit: Vec<Planned>,
}

impl Rule {
    /// The volume or the VM that it is about; empty where its pieces name the rule.
    #[must_use]
    pub fn about(&self) -> &str {
        self.of.split('/').next().unwrap_or_default()
    }
}

/// A rule that is there, and whose it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commitment {
    /// The rule as its call knew it, perhaps before it had an id.
    pub rule: Rule,
    /// CloudStack's id of the rule.
    pub id: ResourceId,
    /// Who pays for what it starts.
    pub payer: PayerId,
    /// The call that made it what it is.
    pub call: CallId,
    /// What a sweep knows to be its pieces, ended ones perhaps among them.
    pub members: BTreeSet<ResourceId>,
    /// Since when.
    pub since: Timestamp,
    /// Until when; none while the rule is there.
    pub ended: Option<Timestamp>,
}

/// A change of the commitments.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum CommitmentChange {
    /// A new one, or one whose rule was changed; its members stay.
    Put(Commitment),
    /// What belongs to it now.
    Members {
        /// Which rule.
        id: ResourceId,
        /// All of its pieces.
        members: BTreeSet<ResourceId>,
    },
    /// The rule of that id, or every rule about the thing of that id, is gone.
    End {
        /// Rule, volume or VM.
        key: ResourceId,
        /// When.
        at: Timestamp,
    },
}

/// Changes of the commitments, and whose cover is another once they are stored.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// In their order.
    pub changes: Vec<CommitmentChange>,
    /// Who is renewed for them.
    pub payers: BTreeSet<PayerId>,
}

impl Changes {
    /// One more, of that payer's.
    pub fn add(&mut self, payer: &PayerId, change: CommitmentChange) {
        self.payers.insert(payer.clone());
        self.changes.push(change);
    }
}

impl CommitmentChange {
    /// Whether an end by this key ends that commitment.
    #[must_use]
    pub fn ends(key: &ResourceId, it: &Commitment) -> bool {
        it.id == *key || it.rule.about() == key.as_str()
    }
}

impl Commitment {
    /// Its pieces that are there, of all that runs of its payer.
    #[must_use]
    pub fn there(&self, open: &[Interval]) -> i64 {
        let rule = &self.rule;
        let count = match rule.kind {
            // A backup is no meter of its own: what is listed is there.
            RuleKind::BackupSchedule => self.members.len(),
            RuleKind::VmSchedule => {
                let runs = |one: &&Interval| {
                    one.end.is_none()
                        && one.meter.usage_type == UsageType::RunningVm
                        && one.meter.resource.as_str() == rule.of
                };
                usize::from(open.iter().any(|one| runs(&one)))
            }
            _ => {
                let of = |one: &&Interval| self.members.contains(&one.meter.resource);
                let open = open.iter().filter(|one| one.end.is_none()).filter(of);
                let found: BTreeSet<&ResourceId> = open.map(|one| &one.meter.resource).collect();
                found.len()
            }
        };
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        count.saturating_sub(rule.besides).max(0)
    }

    /// How many pieces money is kept for beside those that are there.
    #[must_use]
    pub fn left(&self, mode: Mode, open: &[Interval]) -> i64 {
        if self.ended.is_some() {
            return 0;
        }
        let there = self.there(open);
        let most = self.rule.most.max(there);
        mode.pieces(there, self.rule.least, most)
            .saturating_sub(there)
    }

    /// The meters that money is kept for; none where there are too many to count.
    #[must_use]
    pub fn kept(&self, mode: Mode, open: &[Interval]) -> Vec<Planned> {
        self.pieces(self.left(mode, open))
    }

    /// What a call that changes the rule need not pay for: what is kept, and the pieces that are
    /// there where its plan does not count them: CloudStack's policies and schedules name none.
    #[must_use]
    pub fn paid(&self, mode: Mode, open: &[Interval]) -> Vec<Planned> {
        let there = match self.rule.kind {
            RuleKind::SnapshotPolicy | RuleKind::BackupSchedule => self.there(open),
            _ => 0,
        };
        self.pieces(self.left(mode, open).saturating_add(there))
    }

    fn pieces(&self, count: i64) -> Vec<Planned> {
        if count <= 0 {
            return Vec::new();
        }
        let unit = self.rule.unit.iter();
        unit.filter_map(|one| one.times(count)).collect()
    }

    /// The same as if it ran from `now` on: what the cover is reckoned with.
    #[must_use]
    pub fn as_running(&self, mode: Mode, open: &[Interval], now: Timestamp) -> Vec<Interval> {
        let kept = self.kept(mode, open).into_iter().enumerate();
        let start = Border {
            at: now,
            source: BorderSource::Sweep,
        };
        kept.map(|(at, one)| Interval {
            meter: MeterId {
                usage_type: one.usage_type,
                resource: ResourceId::from(format!("kept for {}", self.id).as_str()),
                part: at.to_string(),
            },
            owner: super::kinds::nobody(),
            attributes: one.attributes,
            start,
            end: None,
        })
        .collect()
    }
}

/// What is kept for all of these: a machine that several schedules start is kept for once.
pub fn kept_of<'a, T>(all: &'a [Commitment], of: impl FnMut(&'a Commitment) -> Vec<T>) -> Vec<T> {
    let mut started = BTreeSet::new();
    let once = all
        .iter()
        .filter(|it| it.rule.kind != RuleKind::VmSchedule || started.insert(it.rule.of.as_str()));
    once.flat_map(of).collect()
}

/// What a settled call's rules become: written for who pays for what they start. A rule whose id
/// no answer tells is known by what it is about.
#[must_use]
pub fn made(
    rules: &[Rule],
    observed: &ObservedCall<'_>,
    (payer, call): (&PayerId, CallId),
) -> Vec<CommitmentChange> {
    let put = |rule: &Rule| {
        let about = (!rule.of.is_empty()).then(|| ResourceId::from(rule.of.as_str()));
        let id = rule.id.clone().or_else(|| told(observed)).or(about)?;
        Some(CommitmentChange::Put(Commitment {
            rule: rule.clone(),
            id,
            payer: payer.clone(),
            call,
            members: BTreeSet::new(),
            since: observed.answered,
            ended: None,
        }))
    };
    rules.iter().filter_map(put).collect()
}

/// The id that an answer tells: of itself, of its job, of the one thing in it.
fn told(observed: &ObservedCall<'_>) -> Option<ResourceId> {
    let instance = observed.job.and_then(|job| job.instance.clone());
    let mut inside = observed.answer.children.iter();
    let own = observed.answer.text_of("id");
    let own = own.or_else(|| inside.find_map(|child| child.text_of("id")));
    instance.or_else(|| own.map(ResourceId::from))
}

/// The commitments that a call ends, once it is done.
#[must_use]
pub fn ended(observed: &ObservedCall<'_>) -> Vec<CommitmentChange> {
    let param = |name: &str| (observed.params)(name).filter(|value| !value.is_empty());
    let is = |name: &str, word: &str| param(name).is_some_and(|it| it.eq_ignore_ascii_case(word));
    let pending = observed.job.is_none() && observed.answer.child("jobid").is_some();
    if pending || observed.job.is_some_and(|job| job.status != 1) {
        return Vec::new();
    }
    let command = observed.command.to_ascii_lowercase();
    let names: &[&str] = match command.as_str() {
        "deleteautoscalevmgroup"
        | "disableautoscalevmgroup"
        | "deletekubernetescluster"
        | "stopkubernetescluster"
        | "deletevolume"
        | "destroyvolume" => &["id"],
        "scalekubernetescluster" if is("autoscalingenabled", "false") => &["id"],
        "destroyvirtualmachine" if is("expunge", "true") => &["id"],
        "expungevirtualmachine" => &["id"],
        "deletesnapshotpolicies" => &["id", "ids"],
        "deletevmschedule" => &["id", "ids"],
        "deletebackupschedule" => &["id", "virtualmachineid"],
        "removevirtualmachinefrombackupoffering" => &["virtualmachineid"],
        _ => return Vec::new(),
    };
    let keys = names.iter().filter_map(|name| param(name));
    let ids = keys.flat_map(|ids| ids.split(',')).map(str::trim);
    // A rule that is about nothing must not end with an id that is not there.
    ids.filter(|id| !id.is_empty())
        .map(|id| CommitmentChange::End {
            key: ResourceId::from(id),
            at: observed.answered,
        })
        .collect()
}

#[cfg(test)]
mod tests;
