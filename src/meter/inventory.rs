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
///
/// What changed since [`Inventory::settle`] can be undone, and the meters that it touched are
/// known: a call costs what it touches, however much runs.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Inventory {
    open: BTreeMap<MeterId, Interval>,
    meters: Index<MeterId>,
    ended: Vec<Interval>,
    vms: BTreeMap<ResourceId, KnownVm>,
    networks: BTreeMap<ResourceId, KnownNetwork>,
    parents: BTreeMap<ResourceId, ResourceId>,
    children: Index<ResourceId>,
    names: BTreeMap<ResourceId, ResourceId>,
    former: Index<ResourceId>,
    by_itself: BTreeSet<(ByItself, Option<ResourceId>, Owner)>,
    loose: BTreeMap<(ResourceId, Border), i64>,
    undo: Vec<Undo>,
}

/// What was there before one step, newest last.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Undo {
    Open(MeterId, Option<Interval>),
    /// One more had ended.
    Ended,
    /// The ended ones were others, or had other names.
    EndedWere(Vec<Interval>),
    Vm(ResourceId, Option<KnownVm>),
    Network(ResourceId, Option<KnownNetwork>),
    Parent(ResourceId, Option<ResourceId>),
    Name(ResourceId, Option<ResourceId>),
    ByItself((ByItself, Option<ResourceId>, Owner)),
    Loose((ResourceId, Border), Option<i64>),
}

/// Which entries belong to a thing.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Index<T>(BTreeMap<ResourceId, BTreeSet<T>>);

impl<T> Default for Index<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<T: Ord> Index<T> {
    fn of(&self, thing: &ResourceId) -> impl Iterator<Item = &T> {
        self.0.get(thing).into_iter().flatten()
    }
    fn put(&mut self, thing: &ResourceId, entry: T) {
        match self.0.get_mut(thing) {
            Some(entries) => drop(entries.insert(entry)),
            None => drop(self.0.insert(thing.clone(), BTreeSet::from([entry]))),
        }
    }
    fn take(&mut self, thing: &ResourceId, entry: &T) {
        if let Some(entries) = self.0.get_mut(thing) {
            entries.remove(entry);
            if entries.is_empty() {
                self.0.remove(thing);
            }
        }
    }
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
        let ended = std::mem::take(&mut self.ended);
        if !ended.is_empty() {
            self.undo.push(Undo::EndedWere(ended.clone()));
        }
        ended
    }
    /// Takes a meter away that runs no more, or otherwise, as another node stored it.
    pub fn forget(&mut self, meter: &MeterId) {
        let before = self.set_open(meter.clone(), None);
        self.undo.push(Undo::Open(meter.clone(), before));
    }
    /// The meters touched since the last [`Inventory::settle`], whatever became of them.
    #[must_use]
    pub fn touched(&self) -> BTreeSet<MeterId> {
        let touched = self.undo.iter().filter_map(|undo| match undo {
            Undo::Open(meter, _) => Some(meter.clone()),
            _ => None,
        });
        touched.collect()
    }
    /// What changed until now stays.
    pub fn settle(&mut self) {
        self.undo.clear();
    }
    /// Everything is as it was at the last [`Inventory::settle`].
    pub fn roll_back(&mut self) {
        while let Some(undo) = self.undo.pop() {
            match undo {
                Undo::Open(meter, before) => drop(self.set_open(meter, before)),
                Undo::Ended => drop(self.ended.pop()),
                Undo::EndedWere(before) => self.ended = before,
                Undo::Vm(id, before) => drop(set(&mut self.vms, id, before)),
                Undo::Network(id, before) => drop(set(&mut self.networks, id, before)),
                Undo::Parent(child, before) => drop(self.set_parent(child, before)),
                Undo::Name(old, before) => drop(self.set_name(old, before)),
                Undo::ByItself(entry) => drop(self.by_itself.remove(&entry)),
                Undo::Loose(key, before) => drop(set(&mut self.loose, key, before)),
            }
        }
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
        let meters = self.meters.of(resource);
        meters.filter_map(|meter| self.open.get(meter))
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
        self.children.of(parent)
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
        let undo = match fact {
            Fact::Vm(id, vm) => Undo::Vm(id.clone(), set(&mut self.vms, id, Some(vm))),
            Fact::Network(id, network) => {
                Undo::Network(id.clone(), set(&mut self.networks, id, Some(network)))
            }
            Fact::Child(child, parent) => return self.belong(child, Some(parent)),
            Fact::Orphan(child) => return self.belong(child, None),
            Fact::Named(old, new) => return self.rename(&old, &new),
            Fact::ByItself(why, what, owner) => {
                let entry = (why, what, owner);
                if !self.by_itself.insert(entry.clone()) {
                    return;
                }
                Undo::ByItself(entry)
            }
            Fact::Loose(resource, border, micros) => {
                let key = (resource, border);
                Undo::Loose(key.clone(), set(&mut self.loose, key, Some(micros)))
            }
        };
        self.undo.push(undo);
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
        match self.open.get(&interval.meter) {
            None => {
                let ended_later = self.ended.iter().any(|old| {
                    old.meter == interval.meter
                        && old.start.at <= interval.start.at
                        && old.end.is_some_and(|end| end.at > interval.start.at)
                });
                if !ended_later {
                    done.opened.push(interval.clone());
                    self.keep(interval);
                }
            }
            Some(kept) if interval.start.source < kept.start.source => {
                let mended = Interval {
                    start: interval.start,
                    attributes: interval.attributes,
                    ..kept.clone()
                };
                done.mended.push(mended.clone());
                self.keep(mended);
            }
            Some(_) => {}
        }
    }
    /// At or before its start the interval was so from the start on: nothing is cut.
    fn reshape_one(&mut self, meter: &MeterId, at: Border, to: Attributes, done: &mut Applied) {
        let Some(kept) = self.open.get(meter).filter(|kept| kept.attributes != to) else {
            return;
        };
        let kept = kept.clone();
        let next = Interval {
            attributes: to,
            ..kept.clone()
        };
        if at.at <= kept.start.at {
            done.mended.push(next.clone());
            self.keep(next);
        } else {
            self.cut(kept, next, at, done);
        }
    }
    fn close_one(&mut self, meter: &MeterId, at: Border, done: &mut Applied) {
        if let Some(mut interval) = self.let_go(meter) {
            let at = Border {
                at: at.at.max(interval.start.at),
                ..at
            };
            interval.end = Some(at);
            done.closed.push(interval.clone());
            self.undo.push(Undo::Ended);
            self.ended.push(interval);
        }
    }
    fn cut(&mut self, kept: Interval, next: Interval, at: Border, done: &mut Applied) {
        let meter = kept.meter;
        self.close_one(&meter, at, done);
        let next = Interval { start: at, ..next };
        done.opened.push(next.clone());
        self.keep(next);
    }
    fn rename(&mut self, old: &ResourceId, new: &ResourceId) {
        if old == new {
            return;
        }
        let former: Vec<ResourceId> = self.former.of(old).cloned().collect();
        for name in former.into_iter().chain([old.clone()]) {
            let before = self.set_name(name.clone(), Some(new.clone()));
            self.undo.push(Undo::Name(name, before));
        }
        if self.ended.iter().any(|of| &of.meter.resource == old) {
            self.undo.push(Undo::EndedWere(self.ended.clone()));
        }
        for interval in &mut self.ended {
            if &interval.meter.resource == old {
                interval.meter.resource = new.clone();
            }
        }
        for meter in self.meters_of(old) {
            if let Some(mut interval) = self.let_go(&meter) {
                interval.meter.resource = new.clone();
                self.keep(interval);
            }
        }
        if let Some(parent) = self.parents.get(old).cloned() {
            self.belong(old.clone(), None);
            self.belong(new.clone(), Some(parent));
        }
        let children: Vec<ResourceId> = self.children.of(old).cloned().collect();
        for child in children {
            self.belong(child, Some(new.clone()));
        }
    }

    fn keep(&mut self, interval: Interval) {
        let meter = interval.meter.clone();
        let before = self.set_open(meter.clone(), Some(interval));
        self.undo.push(Undo::Open(meter, before));
    }
    fn let_go(&mut self, meter: &MeterId) -> Option<Interval> {
        let before = self.set_open(meter.clone(), None)?;
        self.undo
            .push(Undo::Open(meter.clone(), Some(before.clone())));
        Some(before)
    }
    fn belong(&mut self, child: ResourceId, parent: Option<ResourceId>) {
        let before = self.set_parent(child.clone(), parent);
        self.undo.push(Undo::Parent(child, before));
    }

    fn set_open(&mut self, meter: MeterId, to: Option<Interval>) -> Option<Interval> {
        match &to {
            Some(_) => self.meters.put(&meter.resource, meter.clone()),
            None => self.meters.take(&meter.resource, &meter),
        }
        set(&mut self.open, meter, to)
    }
    fn set_parent(&mut self, child: ResourceId, to: Option<ResourceId>) -> Option<ResourceId> {
        set_linked(&mut self.parents, &mut self.children, child, to)
    }
    fn set_name(&mut self, old: ResourceId, to: Option<ResourceId>) -> Option<ResourceId> {
        set_linked(&mut self.names, &mut self.former, old, to)
    }
}

/// Sets or removes an entry; gives what was there.
fn set<K: Ord, V>(map: &mut BTreeMap<K, V>, key: K, to: Option<V>) -> Option<V> {
    match to {
        Some(value) => map.insert(key, value),
        None => map.remove(&key),
    }
}

/// The same where an index leads back from the value to its keys.
fn set_linked(
    map: &mut BTreeMap<ResourceId, ResourceId>,
    back: &mut Index<ResourceId>,
    key: ResourceId,
    to: Option<ResourceId>,
) -> Option<ResourceId> {
    let before = set(map, key.clone(), to.clone());
    if let Some(before) = &before {
        back.take(before, &key);
    }
    if let Some(to) = &to {
        back.put(to, key);
    }
    before
}

#[cfg(test)]
mod tests;
