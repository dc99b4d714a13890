//! Pure: price books: what is priced, on which basis, in which tiers, since when.
//!
//! A book is a row of versions; each is in force from its date until the next one's. Which lines
//! price a given meter is answered in `rate`, which knows what a meter looks like.

use crate::cloudstack::usage_type::UsageType;
use crate::terms::ids::PriceLineId;
use crate::terms::money::Currency;
use crate::terms::time::{HOUR, Period, Timestamp};
use rust_decimal::Decimal;

/// Hours of a priced month: a price per month is 1/730 of itself per hour, whatever the calendar.
pub const HOURS_OF_A_MONTH: i64 = 730;

/// What a price line counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(
    missing_docs,
    reason = "the names are those of the policy files and say what they are"
)]
pub enum Component {
    Vm,
    Vcpu,
    RamGib,
    Volume,
    VolumeGib,
    PublicIp,
    Nic,
    Network,
    Vpc,
    SnapshotGib,
    TemplateGib,
    IsoGib,
    SecurityGroup,
    LbRule,
    PfRule,
    VpnUser,
    Backup,
    VmSnapshotGib,
    VmSnapshotOnPrimaryGib,
    BucketGib,
    VolumeSecondaryGib,
    SentGib,
    ReceivedGib,
    DiskReadsMillion,
    DiskWritesMillion,
    DiskReadGib,
    DiskWrittenGib,
}

const GIB: i64 = 1 << 30;
const MILLION: i64 = 1_000_000;

impl Component {
    /// Every component with the name that policy files use.
    pub const ALL: [(Self, &'static str); 27] = [
        (Self::Vm, "vm"),
        (Self::Vcpu, "vcpu"),
        (Self::RamGib, "ram_gib"),
        (Self::Volume, "volume"),
        (Self::VolumeGib, "volume_gib"),
        (Self::PublicIp, "public_ip"),
        (Self::Nic, "nic"),
        (Self::Network, "network"),
        (Self::Vpc, "vpc"),
        (Self::SnapshotGib, "snapshot_gib"),
        (Self::TemplateGib, "template_gib"),
        (Self::IsoGib, "iso_gib"),
        (Self::SecurityGroup, "security_group"),
        (Self::LbRule, "lb_rule"),
        (Self::PfRule, "pf_rule"),
        (Self::VpnUser, "vpn_user"),
        (Self::Backup, "backup"),
        (Self::VmSnapshotGib, "vm_snapshot_gib"),
        (Self::VmSnapshotOnPrimaryGib, "vm_snapshot_on_primary_gib"),
        (Self::BucketGib, "bucket_gib"),
        (Self::VolumeSecondaryGib, "volume_secondary_gib"),
        (Self::SentGib, "sent_gib"),
        (Self::ReceivedGib, "received_gib"),
        (Self::DiskReadsMillion, "disk_reads_million"),
        (Self::DiskWritesMillion, "disk_writes_million"),
        (Self::DiskReadGib, "disk_read_gib"),
        (Self::DiskWrittenGib, "disk_written_gib"),
    ];

    /// The component with that name, if there is one.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|(_, name)| *name == text)
            .map(|(component, _)| *component)
    }
    /// The name in policy files.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::ALL
            .iter()
            .find(|(component, _)| *component == self)
            .map_or("?", |(_, name)| name)
    }
    /// Part of a VM, and so priced on a [`Basis`].
    #[must_use]
    pub const fn is_of_vm(self) -> bool {
        matches!(self, Self::Vm | Self::Vcpu | Self::RamGib)
    }
    /// An amount, and not something that lasts: traffic, disk I/O. Its price is for the amount.
    #[must_use]
    pub const fn is_amount(self) -> bool {
        self.usage_type(Basis::Allocated).counts_amounts()
    }
    /// The usage type it is counted on; a VM's parts depend on the basis.
    #[must_use]
    pub const fn usage_type(self, basis: Basis) -> UsageType {
        match self {
            Self::Vm | Self::Vcpu | Self::RamGib => match basis {
                Basis::Running => UsageType::RunningVm,
                Basis::Allocated | Basis::Stopped => UsageType::AllocatedVm,
            },
            Self::Volume | Self::VolumeGib => UsageType::Volume,
            Self::PublicIp => UsageType::IpAddress,
            Self::Nic => UsageType::NetworkOffering,
            Self::Network => UsageType::Network,
            Self::Vpc => UsageType::Vpc,
            Self::SnapshotGib => UsageType::Snapshot,
            Self::TemplateGib => UsageType::Template,
            Self::IsoGib => UsageType::Iso,
            Self::SecurityGroup => UsageType::SecurityGroup,
            Self::LbRule => UsageType::LoadBalancerPolicy,
            Self::PfRule => UsageType::PortForwardingRule,
            Self::VpnUser => UsageType::VpnUsers,
            Self::Backup => UsageType::Backup,
            Self::VmSnapshotGib => UsageType::VmSnapshot,
            Self::VmSnapshotOnPrimaryGib => UsageType::VmSnapshotOnPrimary,
            Self::BucketGib => UsageType::Bucket,
            Self::VolumeSecondaryGib => UsageType::VolumeSecondary,
            Self::SentGib => UsageType::NetworkBytesSent,
            Self::ReceivedGib => UsageType::NetworkBytesReceived,
            Self::DiskReadsMillion => UsageType::VmDiskIoRead,
            Self::DiskWritesMillion => UsageType::VmDiskIoWrite,
            Self::DiskReadGib => UsageType::VmDiskBytesRead,
            Self::DiskWrittenGib => UsageType::VmDiskBytesWrite,
        }
    }
    /// Metered units (MiB, bytes, pieces) of one priced unit (GiB, piece).
    #[must_use]
    pub const fn divisor(self) -> i64 {
        match self {
            Self::RamGib => 1024,
            Self::VolumeGib
            | Self::SnapshotGib
            | Self::TemplateGib
            | Self::IsoGib
            | Self::VmSnapshotGib
            | Self::VmSnapshotOnPrimaryGib
            | Self::BucketGib
            | Self::VolumeSecondaryGib
            | Self::SentGib
            | Self::ReceivedGib
            | Self::DiskReadGib
            | Self::DiskWrittenGib => GIB,
            Self::DiskReadsMillion | Self::DiskWritesMillion => MILLION,
            _ => 1,
        }
    }
}

/// Which seconds of a VM a line counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Basis {
    /// While it runs (usage type 1).
    Running,
    /// While it is allocated, running or not (usage type 2).
    Allocated,
    /// Allocated minus running, the same VM, the same seconds.
    Stopped,
}

/// The time that a price is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Unit {
    /// One hour.
    Hour,
    /// [`HOURS_OF_A_MONTH`] hours.
    Month,
    /// None: the price is for the amount, however long it took.
    Amount,
}

impl Unit {
    /// Microseconds of it; an amount is counted as if in one.
    #[must_use]
    pub const fn micros(self) -> i64 {
        match self {
            Self::Hour => HOUR,
            Self::Month => HOUR.saturating_mul(HOURS_OF_A_MONTH),
            Self::Amount => 1,
        }
    }
}

/// Which meters a line is for: every key that is given must fit.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Match {
    /// Service, disk or network offering (UUID).
    pub offering: Option<String>,
    /// Zone (UUID).
    pub zone: Option<String>,
    /// Template or ISO (UUID).
    pub template: Option<String>,
    /// Source NAT addresses only, or all others only.
    pub source_nat: Option<bool>,
    /// State of a network: `Allocated` or `Implemented`.
    pub state: Option<String>,
}

impl Match {
    /// How many keys are given: of several lines that fit, the one with most keys wins.
    #[must_use]
    pub fn keys(&self) -> usize {
        [
            self.offering.is_some(),
            self.zone.is_some(),
            self.template.is_some(),
            self.source_nat.is_some(),
            self.state.is_some(),
        ]
        .into_iter()
        .filter(|given| *given)
        .count()
    }
}

/// One step of a graduated price.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Tier {
    /// Up to this quantity (priced units × the line's unit of time); none for the last.
    pub up_to: Option<Decimal>,
    /// Net price of one priced unit for one unit of time.
    pub price: Decimal,
}

/// One price.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PriceLine {
    /// Its id within the book; the same in every version.
    pub id: PriceLineId,
    /// What it counts.
    pub component: Component,
    /// Which seconds of a VM.
    pub basis: Basis,
    /// Which meters.
    pub matches: Match,
    /// The time a price is for.
    pub unit: Unit,
    /// Graduated, in rising order; one tier where the price is flat.
    pub tiers: Vec<Tier>,
    /// Free per calendar month, taken off before the tiers.
    pub allowance: Decimal,
    /// Most that the line costs in a calendar month, net.
    pub month_cap: Option<Decimal>,
    /// Said to be free, which is something else than having no price.
    pub free: bool,
    /// Net price once, when the job succeeds.
    pub one_off: Decimal,
    /// Added on top of the other lines that fit.
    pub surcharge: bool,
    /// Revenue account: `revenue.<class>`.
    pub class: String,
    /// Group of the tax profile: `standard`, `reduced` …
    pub tax_group: String,
    /// What a document says.
    pub text: String,
}

/// The prices in force from an instant on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BookVersion {
    /// Since when.
    pub from: Timestamp,
    /// Until when, where the file says so (else until the next version).
    pub until: Option<Timestamp>,
    /// The prices.
    pub lines: Vec<PriceLine>,
}

/// A price book.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PriceBook {
    /// Its id.
    pub id: String,
    /// Its currency.
    pub currency: Currency,
    /// Its versions, oldest first.
    pub versions: Vec<BookVersion>,
}

impl PriceBook {
    /// The version in force at the instant.
    #[must_use]
    pub fn at(&self, instant: Timestamp) -> Option<&BookVersion> {
        self.versions
            .iter()
            .rev()
            .find(|version| version.from <= instant)
            .filter(|version| version.until.is_none_or(|until| instant < until))
    }
    /// Every version in force at some instant of the period.
    pub fn within(&self, period: Period) -> impl Iterator<Item = &BookVersion> {
        self.versions
            .iter()
            .enumerate()
            .filter_map(move |(at, version)| {
                let next = self.versions.get(at + 1).map(|next| next.from);
                let end = [version.until, next].into_iter().flatten().min();
                let starts_in_time = version.from < period.end;
                (starts_in_time && end.is_none_or(|end| end > period.start)).then_some(version)
            })
    }
}
