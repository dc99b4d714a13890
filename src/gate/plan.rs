//! Pure: which meters a raising call is going to start, from its parameters and from what
//! CloudStack says of the things that they name.
//!
//! One file a family. What a size hangs on is asked of CloudStack; what nobody can know before
//! the call (a download, a snapshot, a backup) is taken at the most that it can become.

mod address;
mod autoscale;
mod backup;
mod bucket;
mod call;
mod kubernetes;
mod machine;
mod named;
mod network;
mod rules;
mod shared_fs;
mod shape;
mod snapshot;
mod template;
mod vm;
mod volume;

use super::refusal::Refusal;
use super::typed;
use crate::cloudstack::command::{Parent, PriceRule};
use crate::cloudstack::query::ParamMap;
use crate::cloudstack::tree::Node;
use crate::meter::commitment::Rule;
use crate::policy::commitment::{Commitment, Commitments, RuleKind};
use crate::rate::Planned;
use call::{Call, entries, networks};
use named::named;
use std::collections::HashMap;

/// What kind of thing is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Thing {
    /// A service offering.
    ServiceOffering,
    /// A disk offering.
    DiskOffering,
    /// A network offering.
    NetworkOffering,
    /// A template, or an ISO: the item's name tells which.
    Template,
    /// A thing that has an owner.
    Owned(Parent),
    /// The root volume of the VM with that id.
    RootVolumeOf,
    /// Every volume of the VM with that id, as `volume` children.
    VolumesOf,
    /// Every VM with a NIC in the network with that id, as `virtualmachine` children.
    VmsIn,
    /// The source NAT address of the VPC with that id.
    SourceNatOf,
    /// Every VPN user of an owner, written `domain/account`, or `project/` and its id, as
    /// `vpnuser` children.
    VpnUsersOf,
    /// A range of public addresses.
    AddressRange,
    /// A VM that CloudStack does not manage, written `cluster/name`.
    UnmanagedVm,
    /// A volume that CloudStack does not manage, written `storage/path`.
    UnmanagedVolume,
    /// A global setting, by its name.
    Setting,
    /// Every zone, as `zone` children; the id says `all`.
    Zones,
    /// Every autoscale group with the profile of that id, as `autoscalevmgroup` children.
    GroupsOf,
}

impl Thing {
    /// What this is a list of; its answer is one node with an item a child.
    #[must_use]
    pub const fn items(self) -> Option<&'static str> {
        match self {
            Self::VolumesOf => Some("volume"),
            Self::VmsIn => Some("virtualmachine"),
            Self::VpnUsersOf => Some("vpnuser"),
            Self::Zones => Some("zone"),
            Self::GroupsOf => Some("autoscalevmgroup"),
            _ => None,
        }
    }
}

const VM: Thing = Thing::Owned(Parent::Vm);
const VOLUME: Thing = Thing::Owned(Parent::Volume);
const NETWORK: Thing = Thing::Owned(Parent::Network);
const SNAPSHOT: Thing = Thing::Owned(Parent::Snapshot);
const BACKUP: Thing = Thing::Owned(Parent::Backup);

/// One thing by its id.
pub type Question = (Thing, String);

/// What CloudStack said of the things that were asked for; a thing that is not there does not
/// exist.
pub type Facts = HashMap<Question, Node>;

/// What a call starts, and what of it runs already.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Meters after the call.
    pub after: Vec<Planned>,
    /// Those of them that run before it: the call is charged the difference.
    pub before: Vec<Planned>,
    /// The call starts nothing by itself: something starts later, without a call. Its price must
    /// be there now; what falls due once falls due then.
    pub later: bool,
    /// What is left of the plan where the policy asks for less than the most that the call's rule
    /// may start by itself.
    pub standing: Option<Box<Standing>>,
    /// Rules that the call makes or changes, which start things by themselves.
    pub rules: Vec<Rule>,
}

/// The plans of a rule that starts things without a call, under each lesser commitment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Standing {
    /// What makes them.
    pub kind: RuleKind,
    /// For one more than there are.
    pub next: Plan,
    /// For the first one.
    pub first: Plan,
}

impl Plan {
    fn starts(after: Vec<Planned>) -> Self {
        Self {
            after,
            ..Self::default()
        }
    }

    /// The plan of a rule that goes on by itself, for its maximum, and the lesser ones.
    fn standing(
        rule: Rule,
        of: impl Fn(Commitment) -> Result<Self, Refusal>,
    ) -> Result<Self, Refusal> {
        let standing = Standing {
            kind: rule.kind,
            next: of(Commitment::Next)?,
            first: of(Commitment::First)?,
        };
        Ok(Self {
            standing: Some(Box::new(standing)),
            rules: vec![rule],
            ..of(Commitment::Maximum)?
        })
    }

    /// The part of the plan that its payer's policy wants money for now.
    #[must_use]
    pub fn committed(mut self, how: &Commitments) -> Self {
        let Some(standing) = self.standing.take() else {
            return self;
        };
        let part = match how.of(standing.kind) {
            Commitment::Maximum => return self,
            Commitment::Next => standing.next,
            Commitment::First => standing.first,
        };
        Self {
            rules: self.rules,
            ..part
        }
    }

    /// What starts later, without a call.
    fn later(self) -> Self {
        Self {
            later: true,
            ..self
        }
    }
}

/// What has to be asked before a call can be priced: a call that names one of these which is not
/// there is left to CloudStack, which refuses it. What the answers name in turn is in [`more`].
#[must_use]
pub fn needs(rule: PriceRule, params: &ParamMap) -> Vec<Question> {
    let wanted = named(rule).iter();
    let mut needs: Vec<Question> = wanted
        .filter_map(|(thing, name)| Some((*thing, params.get(name)?.to_ascii_lowercase())))
        .collect();
    if matches!(rule, PriceRule::Deploy | PriceRule::VmFromBackup) {
        needs.extend(networks(params).into_iter().map(|id| (NETWORK, id)));
        let disks = entries(params, "datadisksdetails", "diskofferingid")
            .into_iter()
            .chain(entries(params, "datadiskofferinglist", "diskofferingid"));
        needs.extend(disks.map(|(_, id)| (Thing::DiskOffering, id)));
    }
    needs
}

/// What has to be asked besides, now that these answers are there: the networks of a VM that
/// starts, the volumes of one that is snapshotted, the profile of a group. Asked in rounds until
/// nothing is new; without an answer a call is priced at the most that it could be, or refused.
#[must_use]
pub fn more(rule: PriceRule, params: &ParamMap, facts: &Facts) -> Vec<Question> {
    let call = Call::new(params, facts);
    // What stays open is what is asked next; whether it can be priced is judged afterwards.
    let _ = call.plan(rule, "");
    call.open()
}

/// The meters of a call; `None` where a thing that it names does not exist, so that CloudStack
/// will refuse it.
///
/// # Errors
/// [`Refusal::Parameter`] for what cannot be priced, [`Refusal::Unpriced`] for a command without
/// a rule.
pub fn plan(
    rule: PriceRule,
    command: &str,
    params: &ParamMap,
    facts: &Facts,
) -> Result<Option<Plan>, Refusal> {
    plain_ids(params)?;
    let missing = |question: &Question| !facts.contains_key(question);
    if needs(rule, params).iter().any(missing) {
        return Ok(None);
    }
    Call::new(params, facts).plan(rule, command).map(Some)
}

/// Ids inside maps, and that of a resource of any kind, are typed here: a schema knows the map
/// alone. What is no UUID could be read as another thing than the one that is priced.
fn plain_ids(params: &ParamMap) -> Result<(), Refusal> {
    const FIELDS: [&str; 6] = [
        "diskofferingid",
        "datadisktemplateid",
        "networkid",
        "network",
        "networkofferingid",
        "offering",
    ];
    for (lower, param) in params.iter() {
        let field = lower.rsplit_once("].").map_or("", |(_, field)| field);
        if FIELDS.contains(&field) || lower == "resourceid" {
            typed::uuid(&param.name, &param.value)?;
        }
    }
    Ok(())
}

impl Call<'_> {
    fn plan(&self, rule: PriceRule, command: &str) -> Result<Plan, Refusal> {
        match rule {
            PriceRule::Free => Ok(Plan::default()),
            PriceRule::Missing => Err(Refusal::Unpriced(format!("command {command}"))),
            PriceRule::Deploy => self.deploy(),
            PriceRule::Start => self.start(),
            PriceRule::Scale => self.scale(),
            PriceRule::VmFromBackup => self.vm_from_backup(),
            PriceRule::RestoreVm => self.restore_vm(),
            PriceRule::RecoverVm => self.recover_vm(),
            PriceRule::MoveVm => self.move_vm(),
            PriceRule::ImportVm => self.import_vm(),
            PriceRule::Nic => self.nic(),
            PriceRule::VmDetails => self.vm_details(),
            PriceRule::ResourceDetail => self.resource_detail(),
            PriceRule::RevertVm => self.revert_vm(),
            PriceRule::VmSchedule => self.vm_schedule(),
            PriceRule::Volume => self.volume(),
            PriceRule::Resize => self.resize(),
            PriceRule::Upload => self.upload(),
            PriceRule::TakeVolume => self.take_volume(),
            PriceRule::ImportVolume => self.import_volume(),
            PriceRule::RevertSnapshot => self.revert_snapshot(),
            PriceRule::Snapshot => self.snapshot(),
            PriceRule::CopySnapshot => self.copy_snapshot(),
            PriceRule::SnapshotPolicy => self.snapshot_policy(),
            PriceRule::VmSnapshot => self.vm_snapshot(),
            PriceRule::BackupOffering => self.backup_offering(),
            PriceRule::Backup => self.backup(),
            PriceRule::RestoreBackup => self.restore_backup(),
            PriceRule::RestoreVolume => self.restore_volume(),
            PriceRule::Address => Ok(self.address()),
            PriceRule::AddressRange => self.address_range(),
            PriceRule::LbRule => Ok(self.lb_rule()),
            PriceRule::PfRule => Ok(self.pf_rule()),
            PriceRule::VpnUser => Ok(self.vpn_user()),
            PriceRule::RemoteAccess => Ok(self.remote_access()),
            PriceRule::Network => Ok(self.network()),
            PriceRule::NetworkChange => self.network_change(),
            PriceRule::Vpc => Ok(self.vpc()),
            PriceRule::VpcStart => Ok(self.vpc_start()),
            PriceRule::PrivateGateway => Ok(self.private_gateway()),
            PriceRule::Template => self.template(),
            PriceRule::TemplateFrom => self.template_from(),
            PriceRule::CopyTemplate => self.copy_template(),
            PriceRule::Bucket => self.bucket(),
            PriceRule::SharedFs => self.shared_fs(),
            PriceRule::SharedFsStart => self.shared_fs_start(),
            PriceRule::SharedFsChange => self.shared_fs_change(),
            PriceRule::Kubernetes => self.kubernetes(),
            PriceRule::KubernetesScale => self.kubernetes_scale(),
            PriceRule::KubernetesStart => self.kubernetes_start(),
            PriceRule::KubernetesNodes => self.kubernetes_nodes(),
            PriceRule::AutoScale => self.autoscale(),
            PriceRule::AutoScaleProfile => self.autoscale_profile(),
        }
    }
}

#[cfg(test)]
mod tests;
