//! Edge: the sweep of the inventory: what runs in CloudStack against what is metered.
//!
//! Calls made behind the gate's back, state changes by hypervisor or guest, and ends whose answer
//! was lost show only here. What was found this way is marked by the source of its border.

use super::commitment::Changes;
use super::inventory::Inventory;
use super::kinds::{self, Around, Claim, Kind, nobody};
use super::line::{Meter, MeterFault};
use super::observe::{Observed, ObservedCall, meter, observe, owner_named};
use super::planned::sent_of;
use super::resource::{Attributes, Border, BorderSource, Change, Interval, MeterId};
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
use std::sync::atomic::{AtomicU32, Ordering};

mod rules;

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
    meter: Arc<Meter>,
    /// Open intents claim what they are about to start.
    store: Store,
    service: Arc<Service>,
    clock: Clock,
    /// Sweeps so far.
    rounds: AtomicU32,
}

/// What the VMs' list is read as.
const VMS: (&str, &str) = ("listVirtualMachines", "virtualmachine");

/// Sweeps from one reading of the lists that change seldom to the next.
const SELDOM_EVERY: u32 = 15;

/// How long a call may claim what it may have made: twice as long as its job may be unknown.
const CLAIM_MAX: i64 = 3_600 * SECOND;

type Listed = BTreeMap<UsageType, Vec<Node>>;

impl Sweep {
    /// A sweep into this meter, that reads with this service account.
    #[must_use]
    pub const fn new(meter: Arc<Meter>, store: Store, service: Arc<Service>, clock: Clock) -> Self {
        Self {
            meter,
            store,
            service,
            clock,
            rounds: AtomicU32::new(0),
        }
    }

    /// One sweep.
    ///
    /// # Errors
    /// [`MeterFault`]; nothing was changed then.
    pub async fn once(&self) -> Result<Swept, MeterFault> {
        // What starts while the lists are read must not be taken for ended.
        let before: Vec<Interval> = self.meter.running().await;
        let claims = self.claims().await?;
        let now = self.clock.billing();
        let mut listed = Listed::new();
        let vms = self.rows(VMS.0, VMS.1, None).await?;
        listed.insert(UsageType::AllocatedVm, vms);
        for kind in kinds::OFTEN {
            let rows = self.rows(kind.command, kind.item, None).await?;
            listed.insert(first(&kind), rows);
        }
        self.learn(&listed, now).await?;
        let seldom = self.seldom(&mut listed).await;
        let mut changes = ended(&before, &listed, now);
        changes.extend(seldom.backups_ended(&before, &listed, now));
        let ends = changes.len();
        let known = self.meter.with_inventory(known_vms).await;
        let vms = listed.get(&UsageType::AllocatedVm);
        let vms = vms.into_iter().flatten();
        changes.extend(vms.flat_map(|vm| started(vm, &known, now)));
        self.others(&listed, &before, now, &mut changes).await?;
        changes.retain(|change| match change {
            Change::Open(interval) => !kinds::is_claimed(interval, &claims),
            _ => true,
        });
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
        }
        let commitments = self.rules(&listed, &seldom, now).await?;
        if !changes.is_empty() || !commitments.changes.is_empty() {
            let observed = Observed {
                changes,
                ..Observed::default()
            };
            self.meter.apply(observed, commitments).await?;
        }
        Ok(found)
    }

    /// Calls whose outcome is still to come. One that stays open longer is a person's to look at,
    /// and no reason to leave what runs unmetered.
    async fn claims(&self) -> Result<Vec<Claim>, MeterFault> {
        let young = self.clock.wall().plus(-CLAIM_MAX);
        let open = self.store.open_intents().await?;
        let young = open.iter().filter(|intent| intent.sent >= young);
        Ok(young
            .map(|intent| Claim {
                command: intent.command.to_ascii_lowercase(),
                sent: sent_of(intent).unwrap_or(intent.sent),
            })
            .collect())
    }

    /// What later answers leave out (NICs, a volume's VM, a network's offering) is learnt from the
    /// lists, also after a restart.
    async fn learn(
        &self,
        listed: &BTreeMap<UsageType, Vec<Node>>,
        now: Timestamp,
    ) -> Result<(), MeterFault> {
        let often = kinds::OFTEN.map(|kind| (first(&kind), kind.command));
        for (usage_type, command) in std::iter::once((UsageType::AllocatedVm, VMS.0)).chain(often) {
            let rows = listed.get(&usage_type).cloned().unwrap_or_default();
            let answer = Node {
                children: rows,
                ..Node::default()
            };
            let list = ObservedCall {
                command,
                params: &|_| None,
                owner: nobody(),
                sent: now,
                answered: now,
                answer: &answer,
                job: None,
            };
            let observed = self
                .meter
                .with_inventory(|inventory| observe(&list, inventory))
                .await;
            self.meter.apply(observed, Changes::default()).await?;
        }
        Ok(())
    }

    /// Adds the lists that change seldom, each quarter of an hour; one that cannot be read ends
    /// and starts nothing.
    async fn seldom(&self, listed: &mut Listed) -> Seldom {
        let mut found = Seldom::default();
        if !self
            .rounds
            .fetch_add(1, Ordering::Relaxed)
            .is_multiple_of(SELDOM_EVERY)
        {
            return found;
        }
        found.read = true;
        for kind in kinds::SELDOM {
            match self.rows(kind.command, kind.item, kind.filter).await {
                Ok(rows) => {
                    for usage_type in kind.types {
                        listed.insert(*usage_type, rows.clone());
                    }
                }
                Err(fault) => {
                    tracing::info!(verb = "sweep", list = kind.command, %fault, "not swept");
                }
            }
        }
        found.backups = self.rows("listBackups", "backup", None).await.ok();
        found
    }

    /// What else started without our seeing it. What nobody pays for is left out.
    async fn others(
        &self,
        listed: &Listed,
        before: &[Interval],
        now: Timestamp,
        changes: &mut Vec<Change>,
    ) -> Result<(), MeterFault> {
        let of = |usage_type| listed.get(&usage_type).map(Vec::as_slice);
        let addresses = of(UsageType::IpAddress).unwrap_or_default();
        let mut around = Around::of(addresses, of(UsageType::Volume).unwrap_or_default());
        around.known = self.meter.with_inventory(known_meters).await;
        for kind in kinds::OFTEN.iter().chain(&kinds::SELDOM) {
            for row in of(first(kind)).unwrap_or_default() {
                for interval in kinds::started(kind, row, &around, now) {
                    let payer = self.meter.payer_of(&interval.owner, interval.start.at);
                    let is_new = around.known.insert(key_of(&interval));
                    if is_new && payer.await?.is_some() {
                        changes.push(Change::Open(interval));
                    }
                }
                let id = row.text_of("id");
                let open = before.iter().find(|open| {
                    open.meter.usage_type == first(kind) && id == Some(open.meter.resource.as_str())
                });
                changes.extend(open.and_then(|open| kinds::grown(kind, row, open, now)));
            }
        }
        Ok(())
    }

    async fn rows(
        &self,
        command: &str,
        item: &str,
        filter: Option<(&str, &str)>,
    ) -> Result<Vec<Node>, UpstreamError> {
        let mut asked = vec![("listall", "true"), ("projectid", "-1")];
        asked.extend(filter);
        self.service.list(command, item, &asked).await
    }
}

/// What only some sweeps read, beside the kinds.
#[derive(Default)]
struct Seldom {
    /// Whether this sweep reads them.
    read: bool,
    backups: Option<Vec<Node>>,
}

impl Seldom {
    /// A VM's backups cost until it has neither an offering for them nor a backup.
    fn backups_ended(&self, before: &[Interval], listed: &Listed, now: Timestamp) -> Vec<Change> {
        let Some(backups) = &self.backups else {
            return Vec::new();
        };
        let vms = listed.get(&UsageType::AllocatedVm);
        let offered = |id: &str| {
            let mut rows = vms.into_iter().flatten();
            rows.any(|vm| vm.text_of("id") == Some(id) && vm.child("backupofferingid").is_some())
        };
        let backed = |id: &str| {
            let mut rows = backups.iter();
            rows.any(|backup| backup.text_of("virtualmachineid") == Some(id))
        };
        let metered = before.iter().filter(|open| {
            let id = open.meter.resource.as_str();
            open.meter.usage_type == UsageType::Backup && !offered(id) && !backed(id)
        });
        metered
            .map(|open| Change::Close {
                meter: open.meter.clone(),
                at: Border {
                    at: now,
                    source: BorderSource::Sweep,
                },
            })
            .collect()
    }
}

/// The type that names a kind.
fn first(kind: &Kind) -> UsageType {
    kind.types.first().copied().unwrap_or(UsageType::Volume)
}

fn key_of(interval: &Interval) -> (UsageType, ResourceId) {
    (interval.meter.usage_type, interval.meter.resource.clone())
}

fn known_meters(inventory: &Inventory) -> BTreeSet<(UsageType, ResourceId)> {
    inventory.running().map(key_of).collect()
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
    let owner = owner_named(vm, &nobody());
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
