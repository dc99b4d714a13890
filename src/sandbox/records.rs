//! Edge: the rows of the stand-in's cloud, in the form of its file. Seconds are billing time since
//! 1970-01-01 UTC, sizes are bytes, references are UUIDs.

use super::table::Row;
use super::work::Work;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

macro_rules! rows {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Serialize, Deserialize, Debug, Default)]
        pub struct $name {
            /// Internal number.
            pub number: i64,
            /// UUID.
            pub id: String,
            $($(#[$field_doc])* pub $field: $kind,)*
        }
        impl Row for $name {
            fn number(&self) -> i64 { self.number }
            fn id(&self) -> &str { &self.id }
        }
    )*};
}

rows! {
    /// A small thing without states: a rule, a VPN user, a VM snapshot, a bucket.
    Thing {
        /// As a job's `jobinstancetype` names it.
        kind: String,
        /// Name.
        name: String,
        /// Whose.
        account: String,
        /// The address or VM that it is on; empty where it is on none.
        on: String,
        /// When.
        created: i64,
        /// What it holds.
        bytes: i64,
        /// It is gone.
        removed: bool,
    }
    /// A domain.
    Domain {
        /// Name.
        name: String,
        /// Its parent; none for ROOT.
        parent: Option<String>,
        /// `ROOT/north/sub`.
        path: String,
        /// 0 for ROOT.
        level: i64,
        /// When.
        created: i64,
        /// It is gone.
        removed: bool,
    }
    /// An account; a project's own hidden one as well.
    Account {
        /// Name.
        name: String,
        /// `accounttype`: 0 user, 1 root admin, 2 domain admin, 5 project.
        kind: i64,
        /// Its domain.
        domain: String,
        /// `enabled`, `disabled`, `locked`.
        state: String,
        /// When.
        created: i64,
        /// It came with the cloud.
        is_default: bool,
        /// Its role; none for the one that its type comes with.
        role: Option<String>,
        /// The project it stands for.
        project: Option<String>,
        /// Limits that differ from the defaults, by type; primary storage in GiB.
        limits: BTreeMap<u8, i64>,
        /// It is gone.
        removed: bool,
    }
    /// A role that was made; those that come with a cloud are `fixed.rs`'s.
    Role {
        /// Name.
        name: String,
        /// Text.
        text: String,
        /// Type of the accounts that it is for.
        kind: i64,
        /// It is gone.
        removed: bool,
    }
    /// A user.
    User {
        /// Name, unique in the domain.
        name: String,
        /// Password in clear: a throw-away one.
        password: String,
        /// First name.
        first: String,
        /// Last name.
        last: String,
        /// Address.
        email: String,
        /// Its account.
        account: String,
        /// `enabled`, `disabled`, `locked`.
        state: String,
        /// When.
        created: i64,
        /// `apikey`.
        api_key: Option<String>,
        /// `secretkey`.
        secret: Option<String>,
        /// It came with the cloud.
        is_default: bool,
        /// It is gone.
        removed: bool,
    }
    /// A project.
    Project {
        /// Name.
        name: String,
        /// Text.
        text: String,
        /// Its domain.
        domain: String,
        /// The hidden account that owns what is made in it.
        account: String,
        /// The account that owns it.
        owner: String,
        /// Accounts that may use it, the owner among them.
        members: Vec<String>,
        /// When.
        created: i64,
        /// `Active`, `Disabled`.
        state: String,
        /// It is gone.
        removed: bool,
    }
    /// A service offering.
    Offering {
        /// Name.
        name: String,
        /// Text.
        text: String,
        /// vCPUs, MHz, MiB; none where the customer chooses.
        size: Option<VmSize>,
        /// The hidden disk offering that goes with it.
        disk: String,
        /// When.
        created: i64,
        /// It is gone.
        removed: bool,
    }
    /// A disk offering.
    DiskOffering {
        /// Name.
        name: String,
        /// Text.
        text: String,
        /// GiB; 0 where the customer chooses.
        gib: i64,
        /// When.
        created: i64,
        /// It is gone.
        removed: bool,
    }
    /// A VM.
    Vm {
        /// Host name.
        name: String,
        /// Display name.
        display: String,
        /// Owner.
        account: String,
        /// User who made it.
        user: String,
        /// When.
        created: i64,
        /// Last change of state.
        updated: Option<i64>,
        /// CloudStack's name of its state.
        state: String,
        /// Service offering.
        offering: String,
        /// What the customer chose of a custom offering.
        size: Option<VmSize>,
        /// Template.
        template: String,
        /// NICs, the default one first.
        nics: Vec<Nic>,
        /// Details given.
        details: BTreeMap<String, String>,
        /// Resource tags.
        #[serde(default)]
        tags: BTreeMap<String, String>,
        /// SSH key pair.
        keypair: Option<String>,
        /// It ran once, so its root disk lies on a pool.
        was_started: bool,
        /// It may be scaled while it runs.
        is_scalable: bool,
        /// When it was destroyed.
        destroyed: Option<i64>,
        /// It is expunged.
        removed: bool,
    }
    /// A volume.
    Volume {
        /// Name.
        name: String,
        /// It is a VM's root disk.
        is_root: bool,
        /// Bytes.
        size: i64,
        /// Owner.
        account: String,
        /// When.
        created: i64,
        /// CloudStack's name of its state.
        state: String,
        /// Disk offering of a data disk.
        offering: Option<String>,
        /// Template of a root disk.
        template: Option<String>,
        /// The VM it is attached to.
        vm: Option<String>,
        /// As which device.
        device: Option<i64>,
        /// When it was attached.
        attached: Option<i64>,
        /// It is gone.
        removed: bool,
    }
    /// A guest network.
    Network {
        /// Name.
        name: String,
        /// Text.
        text: String,
        /// Network offering.
        offering: String,
        /// Owner.
        account: String,
        /// When.
        created: i64,
        /// `Allocated`, `Implemented`.
        state: String,
        /// It has no addresses.
        is_l2: bool,
        /// It is gone.
        removed: bool,
    }
    /// A public address.
    Address {
        /// `192.168.2.4`.
        address: String,
        /// Owner.
        account: String,
        /// Network it is associated with.
        network: String,
        /// It is the network's source NAT address.
        is_source_nat: bool,
        /// When.
        allocated: i64,
        /// `Allocating`, `Allocated`.
        state: String,
        /// It is released.
        removed: bool,
    }
    /// A snapshot of a volume.
    Snapshot {
        /// Name.
        name: String,
        /// Volume.
        volume: String,
        /// Owner.
        account: String,
        /// When.
        created: i64,
        /// `BackingUp`, `BackedUp`.
        state: String,
        /// Bytes of the volume.
        size: i64,
        /// `HOURLY` … where a policy took it, else empty.
        #[serde(default)]
        every: String,
        /// It is gone.
        removed: bool,
    }
    /// A policy that takes snapshots of a volume.
    SnapshotPolicy {
        /// Volume.
        volume: String,
        /// Owner.
        account: String,
        /// `HOURLY`, `DAILY`, `WEEKLY`, `MONTHLY`.
        every: String,
        /// `0`, `00:00` …
        schedule: String,
        /// `UTC` …
        zone: String,
        /// So many are kept.
        keeps: i64,
        /// It is gone.
        removed: bool,
    }
    /// An SSH key pair.
    KeyPair {
        /// Name, unique in the account.
        name: String,
        /// Owner.
        account: String,
        /// Fingerprint.
        fingerprint: String,
        /// It is gone.
        removed: bool,
    }
    /// An asynchronous job.
    Job {
        /// Java class of the command.
        class: String,
        /// Account that asked.
        account: String,
        /// User who asked.
        user: String,
        /// What it works on: CloudStack's kind and, for most commands, the UUID.
        instance: Option<(String, Option<String>)>,
        /// When.
        created: i64,
        /// When it ended.
        completed: Option<i64>,
        /// `jobstatus`: 0 pending, 1 done, 2 failed.
        status: i64,
        /// `jobresultcode`.
        code: i64,
        /// `jobresult`; none where a restart cancelled the job.
        result: Option<Value>,
        /// What is to be done.
        work: Work,
        /// The event that opened it.
        event: Option<String>,
    }
    /// A row of the event list.
    Event {
        /// `VM.CREATE` …
        kind: String,
        /// `INFO`, `ERROR`.
        level: String,
        /// Text.
        text: String,
        /// Account it is booked on.
        account: String,
        /// User who acted.
        user: String,
        /// What it is about: kind, UUID, name.
        resource: (String, String, String),
        /// When.
        created: i64,
        /// `Created`, `Scheduled`, `Started`, `Completed`.
        state: String,
        /// The event it belongs to.
        parent: Option<String>,
    }
}

/// What a VM has.
#[derive(Clone, Copy, Serialize, Deserialize, PartialEq, Eq, Debug, Default)]
pub struct VmSize {
    /// vCPUs.
    pub cpus: i64,
    /// MHz.
    pub speed: i64,
    /// MiB.
    pub memory: i64,
}

/// A NIC of a VM.
#[derive(Clone, Serialize, Deserialize, Debug, Default)]
pub struct Nic {
    /// UUID.
    pub id: String,
    /// Internal number.
    pub number: i64,
    /// Its network.
    pub network: String,
    /// Its address; none in an L2 network.
    pub ip: Option<String>,
    /// Its MAC.
    pub mac: String,
}
