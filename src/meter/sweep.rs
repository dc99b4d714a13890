//! Edge: the sweep of the inventory: what runs in CloudStack against what is metered.
//!
//! Calls made behind the gate's back, state changes by hypervisor or guest, and ends whose answer
//! was lost show only here. What was found this way is marked by the source of its border.

use super::inventory::Inventory;
use super::line::{Meter, MeterFault};
use super::observe::{Observed, ObservedCall, meter, observe, owner_named};
use super::resource::{Attributes, Border, BorderSource, Change, Interval, MeterId, Owner};
use crate::clock::Clock;
use crate::cloudstack::time;
use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::store::Store;
use crate::terms::ids::ResourceId;
use crate::terms::time::{SECOND, Timestamp};
use crate::upstream::UpstreamError;
use crate::upstream::service::Service;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What a sweep found, for people.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Swept {
    /// Meters that ended without our seeing it.
    pub ended: usize,
    /// Meters that started without our seeing it.
    pub started: usize,
}

/// Sweeps the inventory.
#[derive(Debug)]
pub struct Sweep {
    /// The live meter.
    pub meter: Arc<Meter>,
    /// Open intents claim what they are about to start.
    pub store: Store,
    /// The reading service account.
    pub service: Arc<Service>,
    /// Time.
    pub clock: Clock,
}

/// Types that end when their resource is not listed any more.
const LISTED: [(UsageType, &str, &str); 4] = [
    (
        UsageType::AllocatedVm,
        "listVirtualMachines",
        "virtualmachine",
    ),
    (UsageType::Volume, "listVolumes", "volume"),
    (
        UsageType::IpAddress,
        "listPublicIpAddresses",
        "publicipaddress",
    ),
    (UsageType::Network, "listNetworks", "network"),
];

impl Sweep {
    /// One sweep.
    ///
    /// # Errors
    /// [`MeterFault`]; nothing was changed then.
    pub async fn once(&self) -> Result<Swept, MeterFault> {
        // What starts while the lists are read must not be taken for ended.
        let before: Vec<Interval> = self.meter.running().await;
        let claimed = self
            .store
            .open_intents()
            .await?
            .iter()
            .map(|intent| intent.sent)
            .min();
        let now = self.clock.billing();
        let mut listed = BTreeMap::new();
        for (usage_type, command, item) in LISTED {
            listed.insert(usage_type, self.rows(command, item).await?);
        }
        self.learn(&listed, now).await?;
        let mut changes = ended(&before, &listed, now);
        let ends = changes.len();
        let vms = listed.get(&UsageType::AllocatedVm);
        if claimed.is_none() {
            let known = self.meter.with_inventory(known_vms).await;
            changes.extend(
                vms.into_iter()
                    .flatten()
                    .flat_map(|vm| started(vm, &known, now)),
            );
        }
        let found = Swept {
            ended: ends,
            started: changes.len().saturating_sub(ends),
        };
        if !changes.is_empty() {
            tracing::warn!(
                verb = "sweep",
                ended = found.ended,
                started = found.started,
                "found"
            );
            self.meter
                .apply(Observed {
                    changes,
                    ..Observed::default()
                })
                .await?;
        }
        Ok(found)
    }

    /// What later answers leave out (NICs, a volume's VM, a network's offering) is learnt from the
    /// lists, also after a restart.
    async fn learn(
        &self,
        listed: &BTreeMap<UsageType, Vec<Node>>,
        now: Timestamp,
    ) -> Result<(), MeterFault> {
        let nobody = Owner {
            account: None,
            account_name: None,
            domain: "".into(),
            project: None,
        };
        for (usage_type, command, _) in LISTED {
            let rows = listed.get(&usage_type).cloned().unwrap_or_default();
            let answer = Node {
                children: rows,
                ..Node::default()
            };
            let list = ObservedCall {
                command,
                params: &|_| None,
                owner: nobody.clone(),
                sent: now,
                answered: now,
                answer: &answer,
                job: None,
            };
            let observed = self
                .meter
                .with_inventory(|inventory| observe(&list, inventory))
                .await;
            self.meter.apply(observed).await?;
        }
        Ok(())
    }

    async fn rows(&self, command: &str, item: &str) -> Result<Vec<Node>, UpstreamError> {
        let asked = [("listall", "true"), ("projectid", "-1")];
        self.service.list(command, item, &asked).await
    }
}

/// VMs that are metered, with whether they run.
fn known_vms(inventory: &Inventory) -> BTreeMap<ResourceId, bool> {
    let mut known = BTreeMap::new();
    for interval in inventory.running() {
        match interval.meter.usage_type {
            UsageType::AllocatedVm => {
                known
                    .entry(interval.meter.resource.clone())
                    .or_insert(false);
            }
            UsageType::RunningVm => {
                known.insert(interval.meter.resource.clone(), true);
            }
            _ => {}
        }
    }
    known
}

fn ended(
    before: &[Interval],
    listed: &BTreeMap<UsageType, Vec<Node>>,
    now: Timestamp,
) -> Vec<Change> {
    let at = Border {
        at: now,
        source: BorderSource::Sweep,
    };
    let mut gone = BTreeSet::new();
    let mut changes = Vec::new();
    for interval in before {
        let id = &interval.meter.resource;
        let home = match interval.meter.usage_type {
            UsageType::RunningVm | UsageType::NetworkOffering => UsageType::AllocatedVm,
            other => other,
        };
        let Some(rows) = listed.get(&home) else {
            continue;
        };
        let row = rows
            .iter()
            .find(|row| row.text_of("id") == Some(id.as_str()));
        let state = row.and_then(|row| row.text_of("state"));
        let is_gone = row.is_none()
            || matches!(
                state,
                Some("Destroyed" | "Expunging" | "Expunged" | "Error" | "Destroy")
            );
        // A makeshift id is not in any list; its own list answer will name it.
        if is_gone && !id.as_str().contains('@') && gone.insert(id.clone()) {
            changes.push(Change::CloseAll {
                resource: id.clone(),
                at,
            });
        } else if !is_gone && state == Some("Stopped") && home != interval.meter.usage_type {
            let stopped = row.and_then(|row| printed(row, "lastupdated"));
            let at = stopped
                .filter(|border| border.at >= interval.start.at)
                .unwrap_or(at);
            changes.push(Change::Close {
                meter: interval.meter.clone(),
                at,
            });
        }
    }
    changes
}

fn started(vm: &Node, known: &BTreeMap<ResourceId, bool>, now: Timestamp) -> Vec<Change> {
    let Some(id) = vm.text_of("id").map(ResourceId::from) else {
        return Vec::new();
    };
    let state = vm.text_of("state").unwrap_or_default();
    let mut changes = Vec::new();
    let runs = known.get(&id);
    let costs = matches!(
        state,
        "Running" | "Stopped" | "Starting" | "Stopping" | "Migrating"
    );
    let at = Border {
        at: now,
        source: BorderSource::Sweep,
    };
    if runs.is_none() && costs {
        let created = printed(vm, "created").unwrap_or(at);
        // A VM of the last seconds may still be on its way through the gate.
        if now.since(created.at) < 10 * SECOND {
            return changes;
        }
        changes.push(open(meter(UsageType::AllocatedVm, &id), vm, created));
    }
    if runs != Some(&true) && state == "Running" {
        let updated = printed(vm, "lastupdated").unwrap_or(at);
        changes.push(open(meter(UsageType::RunningVm, &id), vm, updated));
    }
    changes
}

fn open(meter: MeterId, vm: &Node, start: Border) -> Change {
    let text = |name: &str| vm.text_of(name).map(str::to_owned);
    let attributes = Attributes {
        name: text("name").unwrap_or_default(),
        offering: text("serviceofferingid"),
        template: text("templateid"),
        zone: text("zoneid"),
        vcpus: vm.number_of("cpunumber"),
        cpu_mhz: vm.number_of("cpuspeed"),
        memory_mib: vm.number_of("memory"),
        count: 1,
        ..Attributes::default()
    };
    let nobody = Owner {
        account: None,
        account_name: None,
        domain: "".into(),
        project: None,
    };
    let owner = owner_named(vm, &nobody);
    Change::Open(Interval {
        meter,
        owner,
        attributes,
        start,
        end: None,
    })
}

fn printed(node: &Node, field: &str) -> Option<Border> {
    let at = node.text_of(field).and_then(time::parse)?;
    Some(Border {
        at,
        source: BorderSource::Printed,
    })
}
