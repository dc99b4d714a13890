//! Pure: the meters of things as CloudStack lists them, and many alike of one.

use super::call::refused;
use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::gate::refusal::Refusal;
use crate::meter::resource::Attributes;
use crate::rate::Planned;
use crate::terms::ids::ResourceId;

pub(super) const fn planned(usage_type: UsageType, attributes: Attributes) -> Planned {
    Planned {
        usage_type,
        attributes,
    }
}

/// One of a thing that has no size, in a zone.
pub(super) fn one(usage_type: UsageType, zone: Option<String>) -> Planned {
    let attributes = Attributes {
        zone,
        count: 1,
        ..Attributes::default()
    };
    planned(usage_type, attributes)
}

/// One of so many bytes, in a zone.
pub(super) fn sized(usage_type: UsageType, size: i64, zone: Option<String>) -> Planned {
    let attributes = Attributes {
        size_bytes: Some(size),
        zone,
        count: 1,
        ..Attributes::default()
    };
    planned(usage_type, attributes)
}

pub(super) fn address(source_nat: bool, zone: Option<String>) -> Planned {
    let mut address = one(UsageType::IpAddress, zone);
    address.attributes.source_nat = source_nat;
    address
}

/// So many alike as one meter: vCPUs, memory, sizes and pieces of all of them.
pub(super) fn times(of: &Planned, count: i64, name: &str) -> Result<Planned, Refusal> {
    of.times(count).ok_or_else(|| refused(name, "is too large"))
}

/// A network, or an offering of one, that gives source NAT.
pub(super) fn has_source_nat(node: &Node) -> bool {
    node.all("service")
        .any(|service| service.text_of("name") == Some("SourceNat"))
}

pub(super) fn of_network(network: &Node, state: &str) -> Attributes {
    let text = |name: &str| network.text_of(name).map(str::to_owned);
    Attributes {
        name: text("name").unwrap_or_default(),
        offering: text("networkofferingid"),
        zone: text("zoneid"),
        state: Some(state.to_owned()),
        count: 1,
        ..Attributes::default()
    }
}

/// As the meter reads a volume.
pub(super) fn of_volume(volume: &Node) -> Attributes {
    let text = |name: &str| volume.text_of(name).map(str::to_owned);
    Attributes {
        name: text("name").unwrap_or_default(),
        offering: text("diskofferingid"),
        template: text("templateid"),
        zone: text("zoneid"),
        size_bytes: volume.number_of("size"),
        count: 1,
        vm: text("virtualmachineid").map(ResourceId::from),
        ..Attributes::default()
    }
}

/// A volume of so many bytes of a VM.
pub(super) fn volume_of(size_bytes: i64, vm: &Attributes) -> Attributes {
    Attributes {
        zone: vm.zone.clone(),
        size_bytes: Some(size_bytes),
        count: 1,
        ..Attributes::default()
    }
}

pub(super) fn of_vm(vm: &Node) -> Attributes {
    let text = |name: &str| vm.text_of(name).map(str::to_owned);
    Attributes {
        name: text("name").unwrap_or_default(),
        offering: text("serviceofferingid"),
        template: text("templateid"),
        zone: text("zoneid"),
        vcpus: vm.number_of("cpunumber"),
        cpu_mhz: vm.number_of("cpuspeed"),
        memory_mib: vm.number_of("memory"),
        count: 1,
        ..Attributes::default()
    }
}

/// Bytes of all of these volumes.
pub(super) fn size_of(volumes: &[&Node], name: &str) -> Result<i64, Refusal> {
    let sizes = volumes.iter().filter_map(|one| one.number_of("size"));
    let mut sum: i64 = 0;
    for size in sizes {
        sum = sum
            .checked_add(size)
            .ok_or_else(|| refused(name, "is too large"))?;
    }
    if sum > 0 {
        return Ok(sum);
    }
    Err(refused(
        name,
        "has no volume whose size is known; try again",
    ))
}

/// Ids of the networks that a VM has NICs in, one for each NIC.
pub(super) fn nics_of(vm: &Node) -> Vec<String> {
    let nics = vm.all("nic").filter_map(|nic| nic.text_of("networkid"));
    nics.map(str::to_owned).collect()
}
