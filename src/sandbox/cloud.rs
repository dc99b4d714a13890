//! Edge: everything the stand-in's cloud holds, and the look-ups that all commands share.

use super::records::{
    Account, Address, DiskOffering, Domain, Event, Job, KeyPair, Network, Offering, Project, Role,
    Snapshot, SnapshotPolicy, Thing, User, Vm, VmSize, Volume,
};
use super::table::{Row, Table};
use super::usage::event::{UsageEvent, UsageEventKind};
use super::usage::traffic::Traffic;
use crate::terms::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// The cloud.
#[derive(Clone, Serialize, Deserialize, Debug, Default)]
#[allow(missing_docs, reason = "each is the table of its name")]
pub struct Cloud {
    pub domains: Table<Domain>,
    pub accounts: Table<Account>,
    pub users: Table<User>,
    pub projects: Table<Project>,
    pub offerings: Table<Offering>,
    pub disk_offerings: Table<DiskOffering>,
    pub vms: Table<Vm>,
    pub volumes: Table<Volume>,
    pub networks: Table<Network>,
    pub addresses: Table<Address>,
    pub snapshots: Table<Snapshot>,
    #[serde(default)]
    pub snapshot_policies: Table<SnapshotPolicy>,
    pub key_pairs: Table<KeyPair>,
    #[serde(default)]
    pub things: Table<Thing>,
    #[serde(default)]
    pub roles: Table<Role>,
    pub jobs: Table<Job>,
    pub events: Table<Event>,
    /// What the usage server reads.
    #[serde(with = "super::usage_log")]
    pub usage: Vec<UsageEvent>,
    /// Settings that differ from their defaults, by name.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// What routers counted.
    #[serde(default)]
    pub traffic: Vec<Traffic>,
    /// Faults switched on: how often each still strikes (for `slow`, milliseconds).
    pub faults: BTreeMap<String, u64>,
    /// What accounts use, by account: kept with every change, so that limits cost nothing.
    #[serde(skip)]
    pub used: HashMap<String, Used>,
}

/// What an account uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(missing_docs, reason = "each is the resource of its name")]
pub struct Used {
    pub vms: i64,
    pub running: i64,
    pub addresses: i64,
    pub volumes: i64,
    pub snapshots: i64,
    pub networks: i64,
    pub cpus: i64,
    pub memory: i64,
    pub bytes: i64,
}

/// When a change happens, and where new UUIDs come from.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    /// Billing time, whole seconds.
    pub now: i64,
    /// A random UUID.
    pub fresh: &'a dyn Fn() -> String,
}

impl Cloud {
    /// Builds what is not in the file.
    pub fn reindex(&mut self) {
        self.domains.reindex();
        self.accounts.reindex();
        self.users.reindex();
        self.projects.reindex();
        self.offerings.reindex();
        self.disk_offerings.reindex();
        self.vms.reindex();
        self.volumes.reindex();
        self.networks.reindex();
        self.addresses.reindex();
        self.snapshots.reindex();
        self.snapshot_policies.reindex();
        self.key_pairs.reindex();
        self.things.reindex();
        self.roles.reindex();
        self.jobs.reindex();
        self.events.reindex();
        self.count_used();
    }

    /// Counts what every account uses from the rows.
    pub fn count_used(&mut self) {
        let mut used: HashMap<String, Used> = HashMap::new();
        for vm in self.vms.iter().filter(|vm| vm.counts()) {
            let size = self.size_of(vm);
            let of = used.entry(vm.account.clone()).or_default();
            of.vms += 1;
            of.running += i64::from(vm.state == "Running");
            of.cpus += size.cpus;
            of.memory += size.memory;
        }
        for volume in self.volumes.iter().filter(|v| v.counts()) {
            let of = used.entry(volume.account.clone()).or_default();
            of.volumes += 1;
            of.bytes += volume.size;
        }
        for network in self.networks.iter().filter(|n| !n.removed && !n.is_l2) {
            used.entry(network.account.clone()).or_default().networks += 1;
        }
        for address in self.addresses.iter().filter(|a| !a.removed) {
            used.entry(address.account.clone()).or_default().addresses += 1;
        }
        for snapshot in self.snapshots.iter().filter(|s| !s.removed) {
            used.entry(snapshot.account.clone()).or_default().snapshots += 1;
        }
        self.used = used;
    }

    /// What an account uses.
    #[must_use]
    pub fn used_by(&self, account: &str) -> Used {
        self.used.get(account).copied().unwrap_or_default()
    }

    /// What an account uses, to change.
    pub fn used_mut(&mut self, account: &str) -> &mut Used {
        self.used.entry(account.to_owned()).or_default()
    }

    /// vCPUs, MHz and MiB of a VM.
    #[must_use]
    pub fn size_of(&self, vm: &Vm) -> VmSize {
        let offered = self.offerings.find(&vm.offering).and_then(|o| o.size);
        offered.or(vm.size).unwrap_or_default()
    }

    /// The path of a domain, `ROOT/north`.
    #[must_use]
    pub fn path_of(&self, domain: &str) -> &str {
        self.domains.find(domain).map_or("", |d| &d.path)
    }

    /// Whether `domain` is `top` or below it.
    #[must_use]
    pub fn is_under(&self, domain: &str, top: &str) -> bool {
        let rest = self.path_of(domain).strip_prefix(self.path_of(top));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The account of that name in that domain; names fold case.
    #[must_use]
    pub fn account_named(&self, name: &str, domain: &str) -> Option<&Account> {
        self.accounts.iter().find(|account| {
            !account.removed && account.domain == domain && account.name.eq_ignore_ascii_case(name)
        })
    }

    /// The role of an account: id, type, name.
    #[must_use]
    pub fn role_of(&self, account: &Account) -> (&str, &str, &str) {
        let (id, kind, name) = super::fixed::role_of(account.kind);
        let own = account.role.as_deref().and_then(|id| self.roles.find(id));
        own.map_or((id, kind, name), |role| (&role.id, kind, &role.name))
    }

    /// The user with that API key, found as CloudStack's database does: any case, blanks after.
    #[must_use]
    pub fn user_with_key(&self, key: &str) -> Option<&User> {
        let key = key.trim_end();
        self.users.iter().find(|user| {
            let own = user.api_key.as_deref().unwrap_or_default();
            !user.removed && !key.is_empty() && own.eq_ignore_ascii_case(key)
        })
    }

    /// Writes a usage event with its owner filled in; `fill` adds the rest.
    pub fn note_usage(
        &mut self,
        kind: UsageEventKind,
        at: i64,
        account: &str,
        resource: &str,
        fill: impl FnOnce(&mut UsageEvent),
    ) {
        let mut event = UsageEvent::new(kind, Timestamp::from_seconds(at), resource);
        if let Some(owner) = self.accounts.find(account) {
            event.account = owner.name.clone();
            event.account_id = owner.id.clone();
            event.domain_id = owner.domain.clone();
            event.project = owner.project.clone();
        }
        event.zone_id = super::fixed::zone_id().to_owned();
        fill(&mut event);
        self.usage.push(event);
    }

    /// Whether a fault is switched on; takes one of its strikes.
    pub fn strikes(&mut self, fault: &str) -> bool {
        let Some(left) = self.faults.get_mut(fault) else {
            return false;
        };
        *left = left.saturating_sub(1);
        if *left == 0 {
            self.faults.remove(fault);
        }
        true
    }
}

impl Vm {
    /// It counts against its owner's limits.
    #[must_use]
    pub fn counts(&self) -> bool {
        !self.removed && self.state != "Destroyed" && self.state != "Error"
    }
}

impl Volume {
    /// It counts against its owner's limits.
    #[must_use]
    pub fn counts(&self) -> bool {
        !self.removed && self.state != "Destroy" && self.state != "Expunged"
    }
}

/// The number a new row gets.
#[must_use]
pub fn next_number<T: Row>(table: &Table<T>) -> i64 {
    table.next(1)
}
