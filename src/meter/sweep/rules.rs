//! Edge: rules that start things without a call: what belongs to them, and whether they are there.

use super::super::commitment::{Changes, Commitment, CommitmentChange};
use super::super::line::MeterFault;
use super::{Listed, Seldom, Sweep, VMS};
use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::policy::commitment::RuleKind;
use crate::terms::ids::ResourceId;
use crate::terms::time::Timestamp;
use std::collections::BTreeSet;

/// The lists of rules that are read whole, once for all of a kind.
const CLUSTERS: (&str, &str) = ("listKubernetesClusters", "kubernetescluster");
const GROUPS: (&str, &str) = ("listAutoScaleVmGroups", "autoscalevmgroup");

/// Those lists; none where a list was not needed or cannot be read.
struct Whole {
    clusters: Option<Vec<Node>>,
    groups: Option<Vec<Node>>,
}

impl Sweep {
    /// What changes of the commitments that stand, by these lists.
    pub(super) async fn rules(
        &self,
        listed: &Listed,
        seldom: &Seldom,
        now: Timestamp,
    ) -> Result<Changes, MeterFault> {
        let stand = self.store.commitments(None).await?;
        let any = |kind| stand.iter().any(|it| it.rule.kind == kind);
        let groups = any(RuleKind::AutoScale) && seldom.read;
        let whole = Whole {
            clusters: self.whole(any(RuleKind::Kubernetes), CLUSTERS).await,
            groups: self.whole(groups, GROUPS).await,
        };
        let mut changes = Changes::default();
        for it in &stand {
            let members = members(it, listed, seldom, whole.clusters.as_deref());
            if let Some(members) = members.filter(|members| *members != it.members) {
                let id = it.id.clone();
                changes.add(&it.payer, CommitmentChange::Members { id, members });
            }
            // The lists were read after `now`: what was there before is in them.
            if it.since < now && self.is_gone(it, listed, seldom, &whole).await {
                let (key, at) = (it.id.clone(), now);
                tracing::info!(verb = "sweep", rule = %key, payer = %it.payer, "a rule is gone");
                changes.add(&it.payer, CommitmentChange::End { key, at });
            }
        }
        Ok(changes)
    }

    async fn whole(&self, wanted: bool, (command, item): (&str, &str)) -> Option<Vec<Node>> {
        match wanted {
            true => self.rows(command, item, None).await.ok(),
            false => None,
        }
    }

    /// Whether a rule is no longer there. What cannot be asked for is there.
    async fn is_gone(
        &self,
        it: &Commitment,
        listed: &Listed,
        seldom: &Seldom,
        whole: &Whole,
    ) -> bool {
        let about = it.rule.about();
        let home = match it.rule.kind {
            RuleKind::SnapshotPolicy => Some(UsageType::Volume),
            RuleKind::BackupSchedule | RuleKind::VmSchedule => Some(UsageType::AllocatedVm),
            RuleKind::AutoScale | RuleKind::Kubernetes => None,
        };
        if let Some(rows) = home.and_then(|home| listed.get(&home)) {
            let lives = |row: &Node| row.text_of("id") == Some(about) && super::kinds::lives(row);
            if !rows.iter().any(lives) {
                return true;
            }
        }
        if !seldom.read {
            return false;
        }
        let (command, item, name) = match it.rule.kind {
            RuleKind::AutoScale => return is_missing(it, whole.groups.as_deref()),
            RuleKind::Kubernetes => return is_missing(it, whole.clusters.as_deref()),
            RuleKind::SnapshotPolicy => ("listSnapshotPolicies", "snapshotpolicy", "volumeid"),
            RuleKind::BackupSchedule => {
                ("listBackupSchedule", "backupschedule", "virtualmachineid")
            }
            RuleKind::VmSchedule => ("listVMSchedule", "vmschedule", "virtualmachineid"),
        };
        // Without `listall` a list may show the reader's own things alone.
        let rows = self.rows(command, item, Some((name, about))).await;
        is_missing(it, rows.ok().as_deref())
    }
}

/// Whether a rule is in its list no more, or switched off. One that was not read says nothing.
fn is_missing(it: &Commitment, rows: Option<&[Node]>) -> bool {
    let Some(rows) = rows else { return false };
    let named = |row: &&Node| row.text_of("id") == Some(it.id.as_str());
    match rows.iter().find(named) {
        Some(row) => {
            let state = row.text_of("state").unwrap_or_default();
            state.eq_ignore_ascii_case("disabled") || row.text_of("enabled") == Some("false")
        }
        // A rule whose answer told no id is there while there is one like it.
        None => it.id.as_str() != it.rule.of || rows.is_empty(),
    }
}

/// What belongs to a rule by these lists; none where its list was not read.
fn members(
    it: &Commitment,
    listed: &Listed,
    seldom: &Seldom,
    clusters: Option<&[Node]>,
) -> Option<BTreeSet<ResourceId>> {
    let ids = |rows: &[Node], belongs: &dyn Fn(&Node) -> bool| {
        let mine = rows.iter().filter(|row| belongs(row));
        mine.filter_map(|row| row.text_of("id").map(ResourceId::from))
            .collect()
    };
    let (about, every) = it.rule.of.split_once('/').unwrap_or_default();
    let by_schedule = |row: &Node, name: &str| {
        let interval = row.text_of("intervaltype").unwrap_or_default();
        row.text_of(name) == Some(about) && interval.eq_ignore_ascii_case(every)
    };
    match it.rule.kind {
        RuleKind::AutoScale => {
            let rows = listed.get(&UsageType::AllocatedVm)?;
            Some(ids(rows, &|row| {
                row.text_of("autoscalevmgroupid") == Some(it.id.as_str())
            }))
        }
        RuleKind::SnapshotPolicy => {
            let rows = listed.get(&UsageType::Snapshot)?;
            Some(ids(rows, &|row| by_schedule(row, "volumeid")))
        }
        RuleKind::BackupSchedule => {
            let rows = seldom.backups.as_deref()?;
            Some(ids(rows, &|row| by_schedule(row, "virtualmachineid")))
        }
        RuleKind::Kubernetes => {
            let mut rows = clusters?.iter();
            let cluster = rows.find(|row| row.text_of("id") == Some(it.id.as_str()))?;
            let vms = cluster.all("virtualmachines");
            let vms: Vec<Node> = vms.chain(cluster.all(VMS.1)).cloned().collect();
            Some(ids(&vms, &|_| true))
        }
        RuleKind::VmSchedule => None,
    }
}
