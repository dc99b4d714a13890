//! Pure: what runs now, what ran, and how things hang together.
//!
//! Changes come from calls, events and sweeps, sometimes twice and sometimes late: applying one
//! again changes nothing. Beside the meters the inventory keeps what later answers leave out: the
//! NICs of a VM, the offering of a network, the rules of an address.

use super::resource::{Attributes, Border, Change, Interval, MeterId, Owner};
use crate::terms::ids::ResourceId;
use std::collections::{BTreeMap, BTreeSet};

/// One NIC of a VM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Nic {
    /// Its id.
    pub id: String,
    /// Its network.
    pub network: ResourceId,
}

/// What is known of a VM beside its meters.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KnownVm {
    /// Its NICs.
    pub nics: Vec<Nic>,
    /// What CloudStack said last of its size and offering.
    pub attributes: Attributes,
    /// The number in its instance name (`i-2-77-VM`): its volumes are `ROOT-77` and `DATA-77`.
    pub number: Option<String>,
    /// A backup offering was taken away while backups remain.
    pub backup_ends: bool,
}

/// What is known of a network beside its meter.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct KnownNetwork {
    /// Its offering: the offering of the NICs in it.
    pub offering: Option<String>,
    /// It gets a source NAT address of its own when it is implemented.
    pub source_nat: bool,
}

/// Why something changes without a call of a tenant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum ByItself {
    /// A VM schedule starts and stops it.
    Schedule,
    /// An autoscale group of the owner deploys and destroys VMs.
    Autoscale,
    /// A snapshot policy takes snapshots of it.
    SnapshotPolicy,
    /// Metering by CloudStack was switched off for a VM that runs on (`displayvm=false`).
    Hidden,
    /// The owner was deleted or disabled: its things ended inside that job, each at its own time.
    OwnerEnded,
}

/// What an answer told beside the meters.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fact {
    /// A VM as it is now.
    Vm(ResourceId, KnownVm),
    /// A network as it is now.
    Network(ResourceId, KnownNetwork),
    /// The first belongs to the second: volume and VM, address and network, rule and address.
    Child(ResourceId, ResourceId),
    /// The first belongs to nothing any more.
    Orphan(ResourceId),
    /// The thing that was called by the first id until now has the second.
    Named(ResourceId, ResourceId),
    /// It may change without a call: a thing, or an owner's things.
    ByItself(ByItself, Option<ResourceId>, Owner),
    /// The instant of a border of this resource is only known within so many microseconds.
    Loose(ResourceId, Border, i64),
}

/// What a change did to the meters.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// Intervals that ended.
    pub closed: Vec<Interval>,
    /// Intervals that started.
    pub opened: Vec<Interval>,
    /// Intervals that run on with a better known start or more known attributes.
    pub mended: Vec<Interval>,
}

/// Meters that run, intervals that ended since they were last taken, and what is known.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    open: BTreeMap<MeterId, Interval>,
    ended: Vec<Interval>,
    vms: BTreeMap<ResourceId, KnownVm>,
    networks: BTreeMap<ResourceId, KnownNetwork>,
    parents: BTreeMap<ResourceId, ResourceId>,
    names: BTreeMap<ResourceId, ResourceId>,
    by_itself: BTreeSet<(ByItself, Option<ResourceId>, Owner)>,
    loose: BTreeMap<(ResourceId, Border), i64>,
}

impl Inventory {
    /// What runs, in the order of its meters.
    pub fn running(&self) -> impl Iterator<Item = &Interval> {
        self.open.values()
    }
    /// Every interval kept: ended ones in the order they ended, then those that run.
    pub fn intervals(&self) -> impl Iterator<Item = &Interval> {
        self.ended.iter().chain(self.open.values())
    }
    /// Takes away the ended intervals (a store keeps them).
    pub fn take_ended(&mut self) -> Vec<Interval> {
        std::mem::take(&mut self.ended)
    }
    /// The open interval of a meter.
    #[must_use]
    pub fn open_of(&self, meter: &MeterId) -> Option<&Interval> {
        self.open.get(meter)
    }
    /// The open intervals of a resource.
    pub fn open_of_resource<'a>(
        &'a self,
        resource: &'a ResourceId,
    ) -> impl Iterator<Item = &'a Interval> {
        self.open
            .values()
            .filter(move |interval| &interval.meter.resource == resource)
    }
    /// What is known of a VM.
    #[must_use]
    pub fn vm(&self, id: &ResourceId) -> Option<&KnownVm> {
        self.vms.get(id)
    }
    /// What is known of a network.
    #[must_use]
    pub fn network(&self, id: &ResourceId) -> Option<&KnownNetwork> {
        self.networks.get(id)
    }
    /// What belongs to a thing.
    pub fn children<'a>(
        &'a self,
        parent: &'a ResourceId,
    ) -> impl Iterator<Item = &'a ResourceId> + 'a {
        self.parents
            .iter()
            .filter(move |(_, of)| *of == parent)
            .map(|(child, _)| child)
    }
    /// What a thing belongs to.
    #[must_use]
    pub fn parent(&self, child: &ResourceId) -> Option<&ResourceId> {
        self.parents.get(child)
    }
    /// The id by which a thing is kept, where it had another before.
    #[must_use]
    pub fn current_name<'a>(&'a self, id: &'a ResourceId) -> &'a ResourceId {
        self.names.get(id).unwrap_or(id)
    }
    /// Things and owners that may change without a call.
    pub fn by_itself(&self) -> impl Iterator<Item = &(ByItself, Option<ResourceId>, Owner)> {
        self.by_itself.iter()
    }
    /// How loosely a border is known beyond what its source says, in microseconds.
    #[must_use]
    pub fn looseness(&self, resource: &ResourceId, border: Border) -> Option<i64> {
        self.loose.get(&(resource.clone(), border)).copied()
    }

    /// Keeps a fact.
    pub fn learn(&mut self, fact: Fact) {
        match fact {
            Fact::Vm(id, vm) => {
                self.vms.insert(id, vm);
            }
            Fact::Network(id, network) => {
                self.networks.insert(id, network);
            }
            Fact::Child(child, parent) => {
                self.parents.insert(child, parent);
            }
            Fact::Orphan(child) => {
                self.parents.remove(&child);
            }
            Fact::Named(old, new) => self.rename(&old, &new),
            Fact::ByItself(why, what, owner) => {
                self.by_itself.insert((why, what, owner));
            }
            Fact::Loose(resource, border, micros) => {
                self.loose.insert((resource, border), micros);
            }
        }
    }

    /// Applies a change; twice is once.
    pub fn apply(&mut self, change: Change) -> Applied {
        let mut done = Applied::default();
        match change {
            Change::Open(interval) => self.open_one(interval, &mut done),
            Change::Close { meter, at } => self.close_one(&meter, at, &mut done),
            Change::CloseAll { resource, at } => {
                for meter in self.meters_of(&resource) {
                    self.close_one(&meter, at, &mut done);
                }
            }
            Change::Reshape {
                meter,
                at,
                attributes,
            } => {
                self.reshape_one(&meter, at, attributes, &mut done);
            }
            Change::Move {
                resource,
                at,
                owner,
            } => {
                for meter in self.meters_of(&resource) {
                    let kept = self.open.get(&meter).filter(|kept| kept.owner != owner);
                    if let Some(kept) = kept.cloned() {
                        let next = Interval {
                            owner: owner.clone(),
                            ..kept.clone()
                        };
                        self.cut(kept, next, at, &mut done);
                    }
                }
            }
        }
        done
    }

    fn meters_of(&self, resource: &ResourceId) -> Vec<MeterId> {
        self.open_of_resource(resource)
            .map(|interval| interval.meter.clone())
            .collect()
    }
    fn open_one(&mut self, interval: Interval, done: &mut Applied) {
        match self.open.get_mut(&interval.meter) {
            None => {
                let ended_later = self.ended.iter().any(|old| {
                    old.meter == interval.meter
                        && old.start.at <= interval.start.at
                        && old.end.is_some_and(|end| end.at > interval.start.at)
                });
                if !ended_later {
                    done.opened.push(interval.clone());
                    self.open.insert(interval.meter.clone(), interval);
                }
            }
            Some(kept) if interval.start.source < kept.start.source => {
                kept.start = interval.start;
                kept.attributes = interval.attributes;
                done.mended.push(kept.clone());
            }
            Some(_) => {}
        }
    }
    /// At or before its start the interval was so from the start on: nothing is cut.
    fn reshape_one(&mut self, meter: &MeterId, at: Border, to: Attributes, done: &mut Applied) {
        let Some(kept) = self.open.get_mut(meter) else {
            return;
        };
        if kept.attributes == to {
            return;
        }
        if at.at <= kept.start.at {
            kept.attributes = to;
            done.mended.push(kept.clone());
            return;
        }
        let kept = kept.clone();
        let next = Interval {
            attributes: to,
            ..kept.clone()
        };
        self.cut(kept, next, at, done);
    }
    fn close_one(&mut self, meter: &MeterId, at: Border, done: &mut Applied) {
        if let Some(mut interval) = self.open.remove(meter) {
            let at = Border {
                at: at.at.max(interval.start.at),
                ..at
            };
            interval.end = Some(at);
            done.closed.push(interval.clone());
            self.ended.push(interval);
        }
    }
    fn cut(&mut self, kept: Interval, next: Interval, at: Border, done: &mut Applied) {
        let meter = kept.meter;
        self.close_one(&meter, at, done);
        let next = Interval { start: at, ..next };
        done.opened.push(next.clone());
        self.open.insert(meter, next);
    }
    fn rename(&mut self, old: &ResourceId, new: &ResourceId) {
        if old == new {
            return;
        }
        for name in self.names.values_mut().filter(|name| *name == old) {
            *name = new.clone();
        }
        self.names.insert(old.clone(), new.clone());
        for mut interval in std::mem::take(&mut self.ended) {
            if &interval.meter.resource == old {
                interval.meter.resource = new.clone();
            }
            self.ended.push(interval);
        }
        for meter in self.meters_of(old) {
            if let Some(mut interval) = self.open.remove(&meter) {
                interval.meter.resource = new.clone();
                self.open.insert(interval.meter.clone(), interval);
            }
        }
        if let Some(parent) = self.parents.remove(old) {
            self.parents.insert(new.clone(), parent);
        }
        for parent in self.parents.values_mut().filter(|parent| *parent == old) {
            *parent = new.clone();
        }
    }
}
