//! Pure: the things that a rule's parameters name: what is not there is left to CloudStack.

use super::{BACKUP, NETWORK, SNAPSHOT, Thing, VM, VOLUME};
use crate::cloudstack::command::{Parent, PriceRule};

/// The things that a rule's parameters name.
pub(super) fn named(rule: PriceRule) -> &'static [(Thing, &'static str)] {
    match rule {
        PriceRule::Deploy | PriceRule::VmFromBackup => &[
            (BACKUP, "backupid"),
            (Thing::ServiceOffering, "serviceofferingid"),
            (Thing::Template, "templateid"),
            (Thing::DiskOffering, "diskofferingid"),
            (Thing::DiskOffering, "overridediskofferingid"),
            (VOLUME, "volumeid"),
            (SNAPSHOT, "snapshotid"),
        ],
        PriceRule::Start => &[(VM, "id"), (VM, "resourceid")],
        PriceRule::Scale => &[(VM, "id"), (Thing::ServiceOffering, "serviceofferingid")],
        PriceRule::RestoreVm => &[
            (VM, "virtualmachineid"),
            (Thing::Template, "templateid"),
            (Thing::DiskOffering, "diskofferingid"),
        ],
        PriceRule::RecoverVm | PriceRule::VmDetails => &[(VM, "id")],
        PriceRule::MoveVm
        | PriceRule::VmSnapshot
        | PriceRule::BackupOffering
        | PriceRule::Backup
        | PriceRule::VmSchedule => &[(VM, "virtualmachineid")],
        PriceRule::Nic => &[(VM, "virtualmachineid"), (NETWORK, "networkid")],
        PriceRule::ImportVm => &[(Thing::ServiceOffering, "serviceofferingid")],
        PriceRule::RevertVm => &[(Thing::Owned(Parent::VmSnapshot), "vmsnapshotid")],
        PriceRule::Volume => &[
            (Thing::DiskOffering, "diskofferingid"),
            (SNAPSHOT, "snapshotid"),
        ],
        PriceRule::Resize => &[
            (VOLUME, "id"),
            (VOLUME, "volumeid"),
            (Thing::DiskOffering, "diskofferingid"),
            (Thing::DiskOffering, "newdiskofferingid"),
        ],
        PriceRule::Upload => &[(Thing::DiskOffering, "diskofferingid")],
        PriceRule::ImportVolume => &[(Thing::DiskOffering, "diskofferingid")],
        PriceRule::TakeVolume => &[(VOLUME, "id"), (VOLUME, "volumeid")],
        other => of_others(other),
    }
}

fn of_others(rule: PriceRule) -> &'static [(Thing, &'static str)] {
    match rule {
        PriceRule::Snapshot | PriceRule::SnapshotPolicy => &[(VOLUME, "volumeid")],
        PriceRule::CopySnapshot | PriceRule::RevertSnapshot => &[(SNAPSHOT, "id")],
        PriceRule::RestoreBackup => &[(BACKUP, "id")],
        PriceRule::RestoreVolume => &[(BACKUP, "backupid"), (VM, "virtualmachineid")],
        PriceRule::AddressRange => &[(Thing::AddressRange, "id")],
        PriceRule::RemoteAccess => &[(Thing::Owned(Parent::Address), "publicipid")],
        PriceRule::Network => &[(Thing::NetworkOffering, "networkofferingid")],
        PriceRule::NetworkChange => &[
            (NETWORK, "id"),
            (NETWORK, "networkid"),
            (Thing::Owned(Parent::Vpc), "vpcid"),
            (Thing::NetworkOffering, "networkofferingid"),
        ],
        PriceRule::VpcStart => &[(Thing::Owned(Parent::Vpc), "id")],
        PriceRule::TemplateFrom => &[
            (VOLUME, "volumeid"),
            (SNAPSHOT, "snapshotid"),
            (VM, "virtualmachineid"),
        ],
        PriceRule::CopyTemplate => &[(Thing::Template, "id")],
        PriceRule::Bucket => &[(Thing::Owned(Parent::Bucket), "id")],
        PriceRule::SharedFs | PriceRule::SharedFsStart | PriceRule::SharedFsChange => &[
            (Thing::Owned(Parent::SharedFs), "id"),
            (Thing::ServiceOffering, "serviceofferingid"),
            (Thing::DiskOffering, "diskofferingid"),
            (NETWORK, "networkid"),
        ],
        PriceRule::Kubernetes
        | PriceRule::KubernetesScale
        | PriceRule::KubernetesStart
        | PriceRule::KubernetesNodes => &[
            (Thing::Owned(Parent::Kubernetes), "id"),
            (Thing::ServiceOffering, "serviceofferingid"),
            (NETWORK, "networkid"),
        ],
        PriceRule::AutoScale => &[
            (Thing::Owned(Parent::AutoScaleGroup), "id"),
            (Thing::Owned(Parent::AutoScaleProfile), "vmprofileid"),
        ],
        PriceRule::AutoScaleProfile => &[
            (Thing::Owned(Parent::AutoScaleProfile), "id"),
            (Thing::ServiceOffering, "serviceofferingid"),
            (Thing::Template, "templateid"),
        ],
        // Address, rules, VPN user, VPC, gateway, template, detail: what they name is asked for as
        // it is needed, or is nothing that a price hangs on.
        _ => &[],
    }
}
