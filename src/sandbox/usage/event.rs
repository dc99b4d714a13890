//! Pure: a row of the table that the usage server reads (`cloud.usage_event`), and its kinds.
//!
//! The stand-in writes one wherever CloudStack would; `tables.rs` reads them. Every instant is a
//! whole second, cut, as CloudStack's `created` column is.

use crate::terms::time::Timestamp;

macro_rules! kinds {
    ($($name:ident => $text:literal),* $(,)?) => {
        /// What happened (`com.cloud.event.EventTypes`, those that the usage server parses).
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[allow(missing_docs, reason = "the names are CloudStack's event types")]
        pub enum UsageEventKind { $($name),* }

        impl UsageEventKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];
            /// CloudStack's name of it.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
            /// The kind with CloudStack's name; none where the usage server ignores it.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name { $($text => Some(Self::$name),)* _ => None }
            }
        }
    };
}

kinds! {
    VmCreate => "VM.CREATE",
    VmStart => "VM.START",
    VmStop => "VM.STOP",
    VmDestroy => "VM.DESTROY",
    VmUpgrade => "VM.UPGRADE",
    VmDynamicScale => "VM.DYNAMIC.SCALE",
    VolumeCreate => "VOLUME.CREATE",
    VolumeDelete => "VOLUME.DELETE",
    VolumeResize => "VOLUME.RESIZE",
    TemplateCreate => "TEMPLATE.CREATE",
    TemplateDelete => "TEMPLATE.DELETE",
    IsoCreate => "ISO.CREATE",
    IsoDelete => "ISO.DELETE",
    SnapshotCreate => "SNAPSHOT.CREATE",
    SnapshotDelete => "SNAPSHOT.DELETE",
    NetIpAssign => "NET.IPASSIGN",
    NetIpRelease => "NET.IPRELEASE",
    NetRuleAdd => "NET.RULEADD",
    NetRuleDelete => "NET.RULEDELETE",
    LbCreate => "LB.CREATE",
    LbDelete => "LB.DELETE",
    NetworkCreate => "NETWORK.CREATE",
    NetworkUpdate => "NETWORK.UPDATE",
    NetworkDelete => "NETWORK.DELETE",
    NetworkOfferingAssign => "NETWORK.OFFERING.ASSIGN",
    NetworkOfferingRemove => "NETWORK.OFFERING.REMOVE",
    VpcCreate => "VPC.CREATE",
    VpcDelete => "VPC.DELETE",
    VpnUserAdd => "VPN.USER.ADD",
    VpnUserRemove => "VPN.USER.REMOVE",
    VmSnapshotCreate => "VMSNAPSHOT.CREATE",
    VmSnapshotDelete => "VMSNAPSHOT.DELETE",
    VmSnapshotOnPrimary => "VMSNAPSHOT.ON_PRIMARY",
    VmSnapshotOffPrimary => "VMSNAPSHOT.OFF_PRIMARY",
    BackupOfferingAssign => "BACKUP.OFFERING.ASSIGN",
    BackupOfferingBackupsDelete => "BACKUP.OFFERING.BACKUPS.DEL",
    BackupUsageMetric => "BACKUP.USAGE.METRIC",
}

/// One event. Ids are what the API shows (UUIDs); absent ones are empty or `None`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UsageEvent {
    /// What happened.
    pub kind: UsageEventKind,
    /// When: whole seconds.
    pub at: Timestamp,
    /// Name of the account that owns the resource; a project's own hidden account for a project.
    pub account: String,
    /// Id of that account.
    pub account_id: String,
    /// Its domain.
    pub domain_id: String,
    /// The project (id) that owns it, where one does.
    pub project: Option<String>,
    /// The zone; empty for VPN users.
    pub zone_id: String,
    /// What it happened to. For `NETWORK.OFFERING.*`, VM snapshots and backups the VM; for
    /// `NETWORK.*` the network.
    pub resource: String,
    /// Its name at the time (an address for `NET.IP*`, the NIC's id for `NETWORK.OFFERING.*`,
    /// the snapshot's id for `VMSNAPSHOT.*`).
    pub resource_name: String,
    /// Service, disk, network or backup offering.
    pub offering_id: Option<String>,
    /// Template of a VM or of a root volume; the volume of a VM snapshot.
    pub template_id: Option<String>,
    /// Bytes (physical where there are two).
    pub size: Option<i64>,
    /// Bytes (virtual).
    pub virtual_size: Option<i64>,
    /// The network of an address or of a NIC.
    pub network_id: Option<String>,
    /// The VM of a volume or of a NIC.
    pub vm_id: Option<String>,
    /// The address is a source NAT address.
    pub is_source_nat: bool,
    /// The NIC is the VM's default one.
    pub is_default: bool,
    /// vCPUs of a custom offering (`usage_event_details`).
    pub cpu_number: Option<i64>,
    /// MHz of a custom offering.
    pub cpu_speed: Option<i64>,
    /// MiB of a custom offering.
    pub memory: Option<i64>,
    /// State of a network: `Allocated`, `Implemented`.
    pub state: Option<String>,
    /// Hypervisor of a VM.
    pub hypervisor: Option<String>,
}

impl UsageEvent {
    /// An event with the facts that every one has; the rest is empty and filled in by the writer.
    #[must_use]
    pub fn new(kind: UsageEventKind, at: Timestamp, resource: &str) -> Self {
        Self {
            kind,
            at: Timestamp::from_seconds(at.seconds()),
            account: String::new(),
            account_id: String::new(),
            domain_id: String::new(),
            project: None,
            zone_id: String::new(),
            resource: resource.to_owned(),
            resource_name: String::new(),
            offering_id: None,
            template_id: None,
            size: None,
            virtual_size: None,
            network_id: None,
            vm_id: None,
            is_source_nat: false,
            is_default: false,
            cpu_number: None,
            cpu_speed: None,
            memory: None,
            state: None,
            hypervisor: None,
        }
    }
}
