//! Pure: a metered thing and the stretches of time during which it ran unchanged.
//!
//! A meter is one usage type of one resource: a running VM has a type 1, a type 2, a type 13 for
//! each NIC, a type 6 for each volume. What changes its price (size, offering, owner, network
//! state) ends one interval and starts the next.

use crate::cloudstack::usage_type::UsageType;
use crate::terms::ids::{CsAccountId, CsDomainId, CsProjectId, ResourceId};
use crate::terms::time::{Period, Timestamp};

/// Whose it is, as CloudStack says.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Owner {
    /// The account; a project's own account is left out where CloudStack leaves it out.
    pub account: Option<CsAccountId>,
    /// The account's name (CloudStack's answers name accounts by name and domain).
    pub account_name: Option<String>,
    /// The domain.
    pub domain: CsDomainId,
    /// The project, where it belongs to one.
    pub project: Option<CsProjectId>,
}

/// Which meter: one usage type of one resource.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct MeterId {
    /// CloudStack's usage type.
    pub usage_type: UsageType,
    /// The resource: VM, volume, address, network … For a NIC (type 13) the VM.
    pub resource: ResourceId,
    /// What tells several meters of one type and resource apart: a NIC's network offering.
    pub part: String,
}

/// Where the instant of a border comes from, best first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum BorderSource {
    /// A second printed in the answer: `created`, `lastupdated`, `allocated`.
    Printed,
    /// The job's `completed`.
    Completed,
    /// When the first answer came.
    FirstAnswer,
    /// Found by an event of CloudStack.
    Event,
    /// Found by the sweep of the inventory: not before the sweep before, not after this one.
    Sweep,
}

/// A start or an end, with the source of its time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Border {
    /// The instant, billing time.
    pub at: Timestamp,
    /// Where it comes from.
    pub source: BorderSource,
}

/// What a price may depend on.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Attributes {
    /// What people call it.
    pub name: String,
    /// Service, disk or network offering (UUID).
    pub offering: Option<String>,
    /// Template or ISO (UUID).
    pub template: Option<String>,
    /// Zone (UUID).
    pub zone: Option<String>,
    /// vCPUs.
    pub vcpus: Option<i64>,
    /// MHz of one vCPU.
    pub cpu_mhz: Option<i64>,
    /// Memory in MiB.
    pub memory_mib: Option<i64>,
    /// Size in bytes: volume, snapshot, template.
    pub size_bytes: Option<i64>,
    /// A source NAT address.
    pub source_nat: bool,
    /// State of a network: `Allocated`, `Implemented`.
    pub state: Option<String>,
    /// How many alike in one meter (NICs on one offering); 1 but for these and for samples of
    /// traffic and disk I/O, where it is the bytes or operations of the whole interval.
    pub count: i64,
    /// The VM it belongs to, where it belongs to one.
    pub vm: Option<ResourceId>,
}

/// A stretch of time during which a meter ran unchanged, `[start, end)`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Interval {
    /// Which meter.
    pub meter: MeterId,
    /// Whose.
    pub owner: Owner,
    /// What its price depends on.
    pub attributes: Attributes,
    /// Since when.
    pub start: Border,
    /// Until when; none while it runs.
    pub end: Option<Border>,
}

impl Interval {
    /// The part of it that lies in `window`, where what still runs is taken to run on.
    #[must_use]
    pub fn within(&self, window: Period) -> Option<Period> {
        let end = self.end.map_or(window.end, |border| border.at);
        Period {
            start: self.start.at,
            end,
        }
        .intersect(&window)
    }
}

/// One change of the inventory, as a call, an event or a sweep showed it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A meter starts. Applied to a meter that runs already it changes nothing.
    Open(Interval),
    /// A meter ends. Applied to a meter that does not run it changes nothing.
    Close {
        /// Which.
        meter: MeterId,
        /// When.
        at: Border,
    },
    /// Every meter of the resource ends (destroyed, released, deleted).
    CloseAll {
        /// Which resource.
        resource: ResourceId,
        /// When.
        at: Border,
    },
    /// What its price depends on changes: one interval ends and the next starts.
    Reshape {
        /// Which.
        meter: MeterId,
        /// When.
        at: Border,
        /// From then on.
        attributes: Attributes,
    },
    /// Its owner changes: one interval ends and the next starts.
    Move {
        /// Which resource.
        resource: ResourceId,
        /// When.
        at: Border,
        /// From then on.
        owner: Owner,
    },
}
