//! Pure: the usage types of the usage server (`org.apache.cloudstack.usage.UsageTypes`, 4.22).

/// What a usage record is about. The number is CloudStack's.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
#[allow(
    missing_docs,
    reason = "the names are CloudStack's and say what they are"
)]
pub enum UsageType {
    RunningVm = 1,
    AllocatedVm = 2,
    IpAddress = 3,
    NetworkBytesSent = 4,
    NetworkBytesReceived = 5,
    Volume = 6,
    Template = 7,
    Iso = 8,
    Snapshot = 9,
    SecurityGroup = 10,
    LoadBalancerPolicy = 11,
    PortForwardingRule = 12,
    NetworkOffering = 13,
    VpnUsers = 14,
    VmDiskIoRead = 21,
    VmDiskIoWrite = 22,
    VmDiskBytesRead = 23,
    VmDiskBytesWrite = 24,
    VmSnapshot = 25,
    VolumeSecondary = 26,
    VmSnapshotOnPrimary = 27,
    Backup = 28,
    Bucket = 29,
    Network = 30,
    Vpc = 31,
}

impl UsageType {
    /// Every type, in the order of its number.
    pub const ALL: [Self; 25] = [
        Self::RunningVm,
        Self::AllocatedVm,
        Self::IpAddress,
        Self::NetworkBytesSent,
        Self::NetworkBytesReceived,
        Self::Volume,
        Self::Template,
        Self::Iso,
        Self::Snapshot,
        Self::SecurityGroup,
        Self::LoadBalancerPolicy,
        Self::PortForwardingRule,
        Self::NetworkOffering,
        Self::VpnUsers,
        Self::VmDiskIoRead,
        Self::VmDiskIoWrite,
        Self::VmDiskBytesRead,
        Self::VmDiskBytesWrite,
        Self::VmSnapshot,
        Self::VolumeSecondary,
        Self::VmSnapshotOnPrimary,
        Self::Backup,
        Self::Bucket,
        Self::Network,
        Self::Vpc,
    ];

    /// CloudStack's number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self as u8
    }
    /// Its records count an amount (bytes, operations) that nobody knows before it was used.
    #[must_use]
    pub const fn counts_amounts(self) -> bool {
        matches!(
            self,
            Self::NetworkBytesSent
                | Self::NetworkBytesReceived
                | Self::VmDiskIoRead
                | Self::VmDiskIoWrite
                | Self::VmDiskBytesRead
                | Self::VmDiskBytesWrite
        )
    }
    /// The type with CloudStack's number, if there is one.
    #[must_use]
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}
