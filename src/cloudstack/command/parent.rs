//! Pure: the things that have an owner, and how CloudStack lists each by its id.

/// A thing that already has an owner.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs, reason = "the names are CloudStack's")]
pub enum Parent {
    Vm,
    Volume,
    Network,
    Address,
    Snapshot,
    VmSnapshot,
    Vpc,
    Template,
    Iso,
    Backup,
    SharedFs,
    Kubernetes,
    LbRule,
    PfRule,
    AutoScaleGroup,
    AutoScaleProfile,
    Bucket,
    User,
    Account,
    Domain,
    Project,
}

/// How a thing is listed by its id. Our lists carry `listall=true&projectid=-1` besides, where
/// the command takes them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Listing {
    /// The list command.
    pub command: &'static str,
    /// Its parameter for the id.
    pub by: &'static str,
    /// What an item of its answer is called.
    pub item: &'static str,
}

impl Parent {
    const NAMED: [(&'static str, Self); 21] = [
        ("vm", Self::Vm),
        ("volume", Self::Volume),
        ("network", Self::Network),
        ("ip", Self::Address),
        ("snapshot", Self::Snapshot),
        ("vmsnapshot", Self::VmSnapshot),
        ("vpc", Self::Vpc),
        ("template", Self::Template),
        ("iso", Self::Iso),
        ("backup", Self::Backup),
        ("sharedfs", Self::SharedFs),
        ("kubernetes", Self::Kubernetes),
        ("lbrule", Self::LbRule),
        ("pfrule", Self::PfRule),
        ("autoscalegroup", Self::AutoScaleGroup),
        ("autoscaleprofile", Self::AutoScaleProfile),
        ("bucket", Self::Bucket),
        ("user", Self::User),
        ("account", Self::Account),
        ("domain", Self::Domain),
        ("project", Self::Project),
    ];

    /// The thing with that name in the table.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        let found = Self::NAMED.iter().find(|(name, _)| *name == text);
        found.map(|(_, parent)| *parent)
    }

    /// How CloudStack lists it by its id.
    #[must_use]
    pub const fn listing(self) -> Listing {
        let (command, by, item) = match self {
            Self::Vm => ("listVirtualMachines", "id", "virtualmachine"),
            Self::Volume => ("listVolumes", "id", "volume"),
            Self::Network => ("listNetworks", "id", "network"),
            Self::Address => ("listPublicIpAddresses", "id", "publicipaddress"),
            Self::Snapshot => ("listSnapshots", "id", "snapshot"),
            Self::VmSnapshot => ("listVMSnapshot", "vmsnapshotid", "vmSnapshot"),
            Self::Vpc => ("listVPCs", "id", "vpc"),
            Self::Template => ("listTemplates", "id", "template"),
            Self::Iso => ("listIsos", "id", "iso"),
            Self::Backup => ("listBackups", "id", "backup"),
            Self::SharedFs => ("listSharedFileSystems", "id", "sharedfilesystem"),
            Self::Kubernetes => ("listKubernetesClusters", "id", "kubernetescluster"),
            Self::LbRule => ("listLoadBalancerRules", "id", "loadbalancerrule"),
            Self::PfRule => ("listPortForwardingRules", "id", "portforwardingrule"),
            Self::AutoScaleGroup => ("listAutoScaleVmGroups", "id", "autoscalevmgroup"),
            Self::AutoScaleProfile => ("listAutoScaleVmProfiles", "id", "autoscalevmprofile"),
            Self::Bucket => ("listBuckets", "id", "bucket"),
            Self::User => ("listUsers", "id", "user"),
            Self::Account => ("listAccounts", "id", "account"),
            Self::Domain => ("listDomains", "id", "domain"),
            Self::Project => ("listProjects", "id", "project"),
        };
        Listing { command, by, item }
    }
}
