//! Pure: the usage server's helper tables: one row for each stretch of unchanged use.
//!
//! The rules are the server's own (`UsageManagerImpl` and its parsers, 4.22), its known faults
//! included: a live scale that names another offering overwrites the allocated row, removing one
//! NIC ends every NIC on its offering, a template without a size is dropped, a VPN user ends when
//! his removal is processed.

use super::event::{UsageEvent, UsageEventKind as Kind};
use crate::cloudstack::usage_type::UsageType;
use crate::terms::time::{Period, Timestamp};

/// One row: so it was from `start` to `end`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Row {
    /// The type of record it becomes.
    pub usage_type: UsageType,
    /// The event that opened it: owner, thing, sizes, offering.
    pub event: UsageEvent,
    /// Whole second.
    pub start: Timestamp,
    /// Whole second; none while it lasts.
    pub end: Option<Timestamp>,
}

/// The rows that events make, in the order they were opened. `windows` are the jobs' windows,
/// `[start, end)`, in order: some rows end when their job ran. Events must be in time order.
#[must_use]
pub fn rows(events: &[UsageEvent], windows: &[Period]) -> Vec<Row> {
    let mut tables = Tables {
        rows: Vec::new(),
        windows,
    };
    for event in events {
        tables.take(event);
    }
    tables.rows
}

struct Tables<'a> {
    rows: Vec<Row>,
    windows: &'a [Period],
}

impl Tables<'_> {
    fn take(&mut self, event: &UsageEvent) {
        match event.kind {
            Kind::VmCreate => self.open(UsageType::AllocatedVm, event),
            Kind::VmStart => self.started(event),
            Kind::VmStop => self.close(UsageType::RunningVm, event),
            Kind::VmDestroy => self.close(UsageType::AllocatedVm, event),
            Kind::VmUpgrade => self.renew(UsageType::AllocatedVm, event),
            Kind::VmDynamicScale => self.scaled(event),
            Kind::VolumeCreate => self.open(UsageType::Volume, event),
            Kind::VolumeDelete => self.close(UsageType::Volume, event),
            Kind::VolumeResize => self.renew(UsageType::Volume, event),
            Kind::TemplateCreate if event.size.unwrap_or(0) < 1 => {}
            Kind::TemplateCreate => self.open(UsageType::Template, event),
            Kind::TemplateDelete => self.close(UsageType::Template, event),
            Kind::IsoCreate => self.open(UsageType::Iso, event),
            Kind::IsoDelete => self.close(UsageType::Iso, event),
            Kind::SnapshotCreate => self.open(UsageType::Snapshot, event),
            Kind::SnapshotDelete => self.close(UsageType::Snapshot, event),
            Kind::NetIpAssign => self.open(UsageType::IpAddress, event),
            Kind::NetIpRelease => self.close(UsageType::IpAddress, event),
            Kind::NetRuleAdd => self.open(UsageType::PortForwardingRule, event),
            Kind::NetRuleDelete => self.close(UsageType::PortForwardingRule, event),
            Kind::LbCreate => self.open(UsageType::LoadBalancerPolicy, event),
            Kind::LbDelete => self.close(UsageType::LoadBalancerPolicy, event),
            Kind::NetworkCreate => self.network(event, "Allocated"),
            Kind::NetworkUpdate => {
                self.close(UsageType::Network, event);
                self.network(event, "Implemented");
            }
            Kind::NetworkDelete => self.close(UsageType::Network, event),
            Kind::NetworkOfferingAssign => self.open(UsageType::NetworkOffering, event),
            Kind::NetworkOfferingRemove => self.nic_removed(event),
            Kind::VpcCreate => self.open(UsageType::Vpc, event),
            Kind::VpcDelete => self.close(UsageType::Vpc, event),
            Kind::VpnUserAdd => self.open(UsageType::VpnUsers, event),
            Kind::VpnUserRemove => self.vpn_user_removed(event),
            Kind::VmSnapshotCreate => self.open(UsageType::VmSnapshot, event),
            Kind::VmSnapshotDelete => self.snapshot_ended(UsageType::VmSnapshot, event),
            Kind::VmSnapshotOnPrimary => self.open(UsageType::VmSnapshotOnPrimary, event),
            Kind::VmSnapshotOffPrimary => {
                self.snapshot_ended(UsageType::VmSnapshotOnPrimary, event);
            }
            Kind::BackupOfferingAssign => self.open(UsageType::Backup, event),
            Kind::BackupOfferingBackupsDelete => self.close(UsageType::Backup, event),
            Kind::BackupUsageMetric => {
                for row in self.open_rows(UsageType::Backup, &event.resource) {
                    row.event.size = event.size;
                }
            }
        }
    }

    fn open(&mut self, usage_type: UsageType, event: &UsageEvent) {
        self.rows.push(Row {
            usage_type,
            event: event.clone(),
            start: event.at,
            end: None,
        });
    }
    fn open_rows<'r>(
        &'r mut self,
        usage_type: UsageType,
        resource: &'r str,
    ) -> impl Iterator<Item = &'r mut Row> {
        self.rows.iter_mut().filter(move |row| {
            row.usage_type == usage_type && row.event.resource == resource && row.end.is_none()
        })
    }
    fn close(&mut self, usage_type: UsageType, event: &UsageEvent) {
        for row in self.open_rows(usage_type, &event.resource) {
            row.end = Some(event.at);
        }
    }
    /// One row ends and the next starts with what the event says. A root volume keeps its
    /// template, which a resize does not name.
    fn renew(&mut self, usage_type: UsageType, event: &UsageEvent) {
        let before = self.open_rows(usage_type, &event.resource).next();
        let template = before.and_then(|row| row.event.template_id.clone());
        self.close(usage_type, event);
        let mut next = event.clone();
        next.template_id = next.template_id.or(template);
        self.open(usage_type, &next);
    }
    fn started(&mut self, event: &UsageEvent) {
        self.close(UsageType::RunningVm, event);
        self.open(UsageType::RunningVm, event);
        self.overwrite_allocated(event);
    }
    fn scaled(&mut self, event: &UsageEvent) {
        self.close(UsageType::RunningVm, event);
        self.open(UsageType::RunningVm, event);
        self.overwrite_allocated(event);
    }
    /// An event that names another offering than the allocated row overwrites it: what was
    /// allocated in the job's period before is lost.
    fn overwrite_allocated(&mut self, event: &UsageEvent) {
        for row in self.open_rows(UsageType::AllocatedVm, &event.resource) {
            if row.event.offering_id != event.offering_id {
                row.event = event.clone();
                row.start = event.at;
            }
        }
    }
    fn network(&mut self, event: &UsageEvent, otherwise: &str) {
        let mut event = event.clone();
        event.state.get_or_insert_with(|| otherwise.to_owned());
        self.open(UsageType::Network, &event);
    }
    fn nic_removed(&mut self, event: &UsageEvent) {
        for row in self.open_rows(UsageType::NetworkOffering, &event.resource) {
            if row.event.offering_id == event.offering_id {
                row.end = Some(event.at);
            }
        }
    }
    /// The end is that of the window whose job sees the removal.
    fn vpn_user_removed(&mut self, event: &UsageEvent) {
        let job = self.windows.iter().find(|window| window.contains(event.at));
        let end = job.map_or(event.at, |window| window.end);
        for row in self.open_rows(UsageType::VpnUsers, &event.resource) {
            row.end = Some(end);
        }
    }
    /// Its resource is the VM; the snapshot is told apart by its name.
    fn snapshot_ended(&mut self, usage_type: UsageType, event: &UsageEvent) {
        for row in self.open_rows(usage_type, &event.resource) {
            if row.event.resource_name == event.resource_name {
                row.end = Some(event.at);
            }
        }
    }
}
