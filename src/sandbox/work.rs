//! Edge: what an asynchronous job has still to do.

use super::records::VmSize;
use serde::{Deserialize, Serialize};

/// The second half of an asynchronous command.
#[derive(Clone, Serialize, Deserialize, PartialEq, Eq, Debug, Default)]
#[allow(
    missing_docs,
    reason = "each is the command of its name; fields are UUIDs"
)]
pub enum Work {
    #[default]
    Nothing,
    Deploy {
        vm: String,
        start: bool,
    },
    Start {
        vm: String,
    },
    Stop {
        vm: String,
    },
    Reboot {
        vm: String,
        forced: bool,
    },
    Destroy {
        vm: String,
        expunge: bool,
        volumes: Vec<String>,
    },
    Expunge {
        vm: String,
    },
    Scale {
        vm: String,
        offering: String,
        size: Option<VmSize>,
    },
    CreateVolume {
        volume: String,
    },
    AttachVolume {
        volume: String,
        vm: String,
        device: Option<i64>,
    },
    DetachVolume {
        volume: String,
    },
    ResizeVolume {
        volume: String,
        offering: Option<String>,
        bytes: i64,
        may_shrink: bool,
    },
    ChangeVolume {
        volume: String,
        offering: String,
        bytes: i64,
        may_shrink: bool,
    },
    DestroyVolume {
        volume: String,
        expunge: bool,
    },
    CreateSnapshot {
        snapshot: String,
    },
    DeleteSnapshot {
        snapshot: String,
    },
    AssociateAddress {
        address: String,
    },
    ReleaseAddress {
        address: String,
    },
    DeleteNetwork {
        network: String,
    },
    RestartNetwork {
        network: String,
    },
    DeleteAccount {
        account: String,
    },
    DisableAccount {
        account: String,
        lock: bool,
    },
    DisableUser {
        user: String,
    },
    DeleteDomain {
        domain: String,
    },
    CreateProject {
        project: String,
    },
    DeleteProject {
        project: String,
    },
    MakeThing {
        thing: String,
    },
    RemoveThing {
        thing: String,
    },
}
