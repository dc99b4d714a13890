//! Edge: rules that start things without a call: what belongs to them, and whether they are there.

use super::super::commitment::{Commitment, CommitmentChange};
use super::super::line::MeterFault;
use super::{Listed, Seldom, Sweep, VMS};
use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::policy::commitment::RuleKind;
use crate::terms::ids::ResourceId;
use crate::terms::time::Timestamp;
use std::collections::BTreeSet;

impl Sweep {
    /// What changes of the commitments that stand, by these lists.
    pub(super) async fn rules(
        &self,
        listed: &Listed,
        seldom: &Seldom,
        now: Timestamp,
    ) -> Result<Vec<CommitmentChange>, MeterFault> {
        let stand = self.store.commitments(None).await?;
        let scales = |it: &Commitment| it.rule.kind == RuleKind::Kubernetes;
        let clusters = match stand.iter().any(scales) {
            true => {
                self.readable("listKubernetesClusters", "kubernetescluster")
                    .await
            }
            false => None,
        };
        let mut changes = Vec::new();
        for it in &stand {
            let members = members(it, listed, seldom, clusters.as_deref());
            if let Some(members) = members.filter(|members| *members != it.members) {
                let id = it.id.clone();
                changes.push(CommitmentChange::Members { id, members });
            }
            // The lists were read after `now`: what was there before is in them.
            if it.since < now && self.is_gone(it, listed, seldom).await {
                let (key, at) = (it.id.clone(), now);
                tracing::info!(verb = "sweep", rule = %key, payer = %it.payer, "a rule is gone");
                changes.push(CommitmentChange::End { key, at });
            }
        }
        Ok(changes)
    }

    /// Whether a rule is no longer there. What cannot be asked for is there.
    async fn is_gone(&self, it: &Commitment, listed: &Listed, seldom: &Seldom) -> bool {
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
            RuleKind::AutoScale => ("listAutoScaleVmGroups", "autoscalevmgroup", None),
            RuleKind::Kubernetes => ("listKubernetesClusters", "kubernetescluster", None),
            RuleKind::SnapshotPolicy => {
                ("listSnapshotPolicies", "snapshotpolicy", Some("volumeid"))
            }
            RuleKind::BackupSchedule => (
                "listBackupSchedule",
                "backupschedule",
                Some("virtualmachineid"),
            ),
            RuleKind::VmSchedule => ("listVMSchedule", "vmschedule", Some("virtualmachineid")),
        };
        let rows = match name {
            None => self.readable(command, item).await,
            // Without `listall` a list may show the reader's own things alone.
            Some(name) => self.rows(command, item, Some((name, about))).await.ok(),
        };
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

    async fn readable(&self, command: &str, item: &str) -> Option<Vec<Node>> {
        self.rows(command, item, None).await.ok()
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
