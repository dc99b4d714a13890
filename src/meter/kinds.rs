//! Pure: the kinds of things that a sweep looks for besides VMs: how each is listed, when it
//! lives, since when, and what its price depends on.
//!
//! Not here, because no list shows when they start or end: bytes of networks and disks and disk
//! I/O (4, 5, 21 to 24), which are counted by the usage server alone, security groups (10) and
//! volumes on secondary storage (26), which come with its records too.

use super::observe::{meter, owner_named};
use super::resource::{Attributes, Border, BorderSource, Change, Interval, Owner};
use crate::cloudstack::time;
use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::terms::ids::{CsDomainId, ResourceId};
use crate::terms::time::{SECOND, Timestamp};
use std::collections::{BTreeMap, BTreeSet};

/// The field of what really lies on a store, known once it does.
const PHYSICAL: &str = "physicalsize";
/// What was made in the last seconds may still be on its way through the gate.
const ON_ITS_WAY: i64 = 10 * SECOND;

/// A kind of thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kind {
    /// The types that it is metered as; the first names it.
    pub types: &'static [UsageType],
    /// Its list command.
    pub command: &'static str,
    /// What an item of the answer is called.
    pub item: &'static str,
    /// A parameter that the list needs.
    pub filter: Option<(&'static str, &'static str)>,
    /// The field that prints since when it is there.
    since: Option<&'static str>,
    /// The field with its size in bytes.
    size: Option<&'static str>,
}

const fn kind(
    types: &'static [UsageType],
    (command, item): (&'static str, &'static str),
    since: Option<&'static str>,
    size: Option<&'static str>,
) -> Kind {
    Kind {
        types,
        command,
        item,
        filter: None,
        since,
        size,
    }
}

const fn filtered(kind: Kind, name: &'static str) -> Kind {
    Kind {
        filter: Some((name, "all")),
        ..kind
    }
}

/// Read with every sweep, beside the VMs.
pub const OFTEN: [Kind; 3] = [
    kind(
        &[UsageType::Volume],
        ("listVolumes", "volume"),
        Some("created"),
        Some("size"),
    ),
    kind(
        &[UsageType::IpAddress],
        ("listPublicIpAddresses", "publicipaddress"),
        Some("allocated"),
        None,
    ),
    kind(
        &[UsageType::Network],
        ("listNetworks", "network"),
        Some("created"),
        None,
    ),
];

/// Read each quarter of an hour. A cloud without the feature, or a reading role without the list,
/// leaves a kind unswept.
pub const SELDOM: [Kind; 9] = [
    kind(
        &[UsageType::Vpc],
        ("listVPCs", "vpc"),
        Some("created"),
        None,
    ),
    kind(
        &[UsageType::Snapshot],
        ("listSnapshots", "snapshot"),
        Some("created"),
        Some(PHYSICAL),
    ),
    kind(
        &[UsageType::VmSnapshot, UsageType::VmSnapshotOnPrimary],
        ("listVMSnapshot", "vmSnapshot"),
        Some("created"),
        None,
    ),
    filtered(
        kind(
            &[UsageType::Template],
            ("listTemplates", "template"),
            Some("created"),
            Some(PHYSICAL),
        ),
        "templatefilter",
    ),
    filtered(
        kind(
            &[UsageType::Iso],
            ("listIsos", "iso"),
            Some("created"),
            Some(PHYSICAL),
        ),
        "isofilter",
    ),
    kind(
        &[UsageType::LoadBalancerPolicy],
        ("listLoadBalancerRules", "loadbalancerrule"),
        None,
        None,
    ),
    kind(
        &[UsageType::PortForwardingRule],
        ("listPortForwardingRules", "portforwardingrule"),
        None,
        None,
    ),
    kind(
        &[UsageType::VpnUsers],
        ("listVpnUsers", "vpnuser"),
        None,
        None,
    ),
    kind(
        &[UsageType::Bucket],
        ("listBuckets", "bucket"),
        Some("created"),
        Some("size"),
    ),
];

/// The VMs' list, for what a call made.
const VMS: Kind = kind(
    &[UsageType::AllocatedVm, UsageType::RunningVm],
    ("listVirtualMachines", "virtualmachine"),
    Some("created"),
    None,
);

/// The lists in which a command's work would show: where its kind is not known, VMs, volumes and
/// addresses.
pub fn made_by(command: &str) -> impl Iterator<Item = Kind> {
    let made = match command {
        "createSnapshot" | "createSnapshotFromVMSnapshot" => Some(UsageType::Snapshot),
        "createVMSnapshot" => Some(UsageType::VmSnapshot),
        "createTemplate" | "registerTemplate" | "copyTemplate" => Some(UsageType::Template),
        "registerIso" | "copyIso" => Some(UsageType::Iso),
        "createLoadBalancerRule" => Some(UsageType::LoadBalancerPolicy),
        "createPortForwardingRule" => Some(UsageType::PortForwardingRule),
        "addVpnUser" => Some(UsageType::VpnUsers),
        "createBucket" => Some(UsageType::Bucket),
        "createNetwork" => Some(UsageType::Network),
        "createVPC" => Some(UsageType::Vpc),
        _ => None,
    };
    let often = [UsageType::Volume, UsageType::IpAddress];
    let all = OFTEN.iter().chain(&SELDOM).copied();
    let listed = all.filter(move |kind| match made {
        Some(made) => kind.types.contains(&made),
        None => kind.types.iter().any(|one| often.contains(one)),
    });
    made.is_none().then_some(VMS).into_iter().chain(listed)
}

/// Whether a listed thing costs in its state. A list without states lists what lives.
#[must_use]
pub fn lives(row: &Node) -> bool {
    !matches!(
        row.text_of("state"),
        Some(
            "Destroyed"
                | "Destroy"
                | "Destroying"
                | "Expunging"
                | "Expunged"
                | "Error"
                | "Deleting"
                | "Removed"
                | "Revoke"
                | "Releasing"
                | "Shutdown"
                | "UploadError"
                | "UploadAbandoned"
        )
    )
}

/// A call through the gate whose outcome is not known yet: what it made is its own to meter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// The command, in lower case.
    pub command: String,
    /// When it was sent, billing time.
    pub sent: Timestamp,
}

/// Whether an open call may have started this. CloudStack prints whole seconds, so what it prints
/// as made 2 s and more before a call was sent is not the call's.
#[must_use]
pub fn is_claimed(started: &Interval, claims: &[Claim]) -> bool {
    let maker = match started.meter.usage_type {
        UsageType::LoadBalancerPolicy => Some("createloadbalancerrule"),
        UsageType::PortForwardingRule => Some("createportforwardingrule"),
        UsageType::VpnUsers => Some("addvpnuser"),
        _ => None,
    };
    claims
        .iter()
        .any(|claim| match (started.start.source, maker) {
            (BorderSource::Printed, _) => started.start.at >= claim.sent.plus(-2 * SECOND),
            (_, Some(maker)) => claim.command == maker,
            (_, None) => true,
        })
}

/// What stands around the rows of a kind.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// Owners of public addresses, for rules that print none.
    pub owners: BTreeMap<ResourceId, Owner>,
    /// Bytes of the volumes of a VM: its snapshots are as large.
    pub bytes: BTreeMap<ResourceId, i64>,
    /// What is metered already.
    pub known: BTreeSet<(UsageType, ResourceId)>,
}

impl Around {
    /// From the lists of addresses and volumes.
    #[must_use]
    pub fn of(addresses: &[Node], volumes: &[Node]) -> Self {
        let mut around = Self::default();
        for address in addresses {
            if let Some(id) = address.text_of("id") {
                around.owners.insert(id.into(), owner_of(address));
            }
        }
        for volume in volumes {
            let size = volume.number_of("size").unwrap_or(0);
            if let Some(vm) = volume.text_of("virtualmachineid") {
                let bytes = around.bytes.entry(vm.into()).or_default();
                *bytes = bytes.saturating_add(size);
            }
        }
        around
    }
}

/// The owner that a row names; one without a domain where it names none.
fn owner_of(row: &Node) -> Owner {
    owner_named(row, &nobody())
}

const NOBODY: &str = "";

/// Stands where no owner is known.
#[must_use]
pub fn nobody() -> Owner {
    Owner {
        account: None,
        account_name: None,
        domain: CsDomainId::from(NOBODY),
        project: None,
    }
}

/// The meters of a listed thing that are not known yet; none where it is too young to judge, does
/// not live, is shared by all, or names nobody.
#[must_use]
pub fn started(kind: &Kind, row: &Node, around: &Around, now: Timestamp) -> Vec<Interval> {
    let Some(id) = row.text_of("id").map(ResourceId::from) else {
        return Vec::new();
    };
    let start = since(kind, row, now);
    if !lives(row) || is_for_all(kind, row) || now.since(start.at) < 0 {
        return Vec::new();
    }
    if start.source == BorderSource::Printed && now.since(start.at) < ON_ITS_WAY {
        return Vec::new();
    }
    let of_address = row
        .text_of("ipaddressid")
        .and_then(|address| around.owners.get(&ResourceId::from(address)));
    let owner = match (
        row.child("account").or_else(|| row.child("projectid")),
        of_address,
    ) {
        (None, Some(owner)) => owner.clone(),
        _ => owner_of(row),
    };
    if owner.domain.as_str() == NOBODY {
        return Vec::new();
    }
    let shape = attributes(kind, row, around);
    let fresh = |kind: &&UsageType| !around.known.contains(&(**kind, id.clone()));
    kind.types
        .iter()
        .filter(fresh)
        .map(|usage_type| Interval {
            meter: meter(*usage_type, &id),
            owner: owner.clone(),
            attributes: shape.clone(),
            start,
            end: None,
        })
        .collect()
}

/// A thing whose size is another than the metered one. A bucket grows without a call. The physical
/// size of a snapshot, a template or an ISO is told once it lies on its store: where none was told
/// before, it was so all the time.
#[must_use]
pub fn grown(kind: &Kind, row: &Node, open: &Interval, now: Timestamp) -> Option<Change> {
    let size = row.number_of(kind.size?)?;
    let before = open.attributes.size_bytes;
    let is_bucket = kind.types.contains(&UsageType::Bucket);
    let is_physical = kind.size == Some(PHYSICAL) && size > 0;
    if Some(size) == before || !(is_bucket || is_physical) {
        return None;
    }
    let at = match before {
        None | Some(0) if is_physical => open.start,
        _ => swept(now),
    };
    Some(Change::Reshape {
        meter: open.meter.clone(),
        at,
        attributes: Attributes {
            size_bytes: Some(size),
            ..open.attributes.clone()
        },
    })
}

/// Shared networks are the provider's; CloudStack's own templates and ISOs are nobody's.
fn is_for_all(kind: &Kind, row: &Node) -> bool {
    let shared = kind.types.contains(&UsageType::Network) && row.text_of("type") == Some("Shared");
    shared || row.text_of("account") == Some("system")
}

fn since(kind: &Kind, row: &Node, now: Timestamp) -> Border {
    let printed = kind.since.and_then(|field| row.text_of(field));
    match printed.and_then(time::parse) {
        Some(at) => Border {
            at,
            source: BorderSource::Printed,
        },
        None => swept(now),
    }
}

const fn swept(now: Timestamp) -> Border {
    Border {
        at: now,
        source: BorderSource::Sweep,
    }
}

fn attributes(kind: &Kind, row: &Node, around: &Around) -> Attributes {
    let text = |name: &str| row.text_of(name).map(str::to_owned);
    let name = ["name", "ipaddress", "displayname", "username"];
    let vm = text("virtualmachineid").map(ResourceId::from);
    let of_vm = vm.as_ref().and_then(|vm| around.bytes.get(vm)).copied();
    let size = match kind.size {
        Some(field) => row.number_of(field),
        None if kind.types.contains(&UsageType::VmSnapshot) => of_vm,
        None => None,
    };
    let offering = match kind.types.first() {
        Some(UsageType::Volume) => text("diskofferingid"),
        Some(UsageType::Network) => text("networkofferingid"),
        _ => None,
    };
    Attributes {
        name: name.into_iter().find_map(text).unwrap_or_default(),
        offering,
        template: text("templateid"),
        zone: text("zoneid"),
        size_bytes: size,
        source_nat: row.text_of("issourcenat") == Some("true"),
        state: text("state").filter(|_| kind.types.contains(&UsageType::Network)),
        count: 1,
        vm,
        ..Attributes::default()
    }
}

#[cfg(test)]
mod tests;
