//! Pure: what stands in for a thing that a call names and that is not known: each thing of its
//! kind that it could be, and what that would cost, so that the dearest is held.

use super::plan::Thing;
use crate::cloudstack::command::Parent;
use crate::cloudstack::query::ParamMap;
use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::meter::resource::Attributes;
use crate::rate::Planned;

/// The offerings that prices hang on, and the largest template.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Catalogue {
    /// Service offerings.
    pub services: Vec<Node>,
    /// Disk offerings.
    pub disks: Vec<Node>,
    /// Network offerings.
    pub networks: Vec<Node>,
    /// The template with the greatest size.
    pub largest_template: Option<Node>,
}

/// Name of the network that a VM of unknown networks is taken to have its NIC in.
const SOME_NETWORK: &str = "some-network";
const GIB: i64 = 1 << 30;

/// What the thing could be, each with the meters by which the dearest is found. Zones are those
/// that prices know, for things whose zone no parameter says.
#[must_use]
pub fn stand_ins(
    thing: Thing,
    catalogue: &Catalogue,
    params: &ParamMap,
    zones: &[String],
) -> Vec<(Node, Vec<Planned>)> {
    let zones = zones_of(params, zones);
    match thing {
        Thing::ServiceOffering => each(&catalogue.services, &zones, |offering, zone| {
            let shape = shape(offering, params, zone)?;
            Some((offering.clone(), of_vm(&shape, offering)))
        }),
        Thing::Owned(Parent::Vm) => each(&catalogue.services, &zones, |offering, zone| {
            let shape = shape(offering, params, zone)?;
            Some((vm(&shape), of_vm(&shape, offering)))
        }),
        Thing::DiskOffering => each(&catalogue.disks, &zones, |disk, zone| {
            let size = disk_size(disk, params);
            Some((disk.clone(), vec![volume(disk, size, zone)]))
        }),
        Thing::Owned(Parent::Volume | Parent::Snapshot) => {
            let most = catalogue.disks.iter().filter_map(fixed_size).max();
            each(&catalogue.disks, &zones, |disk, zone| {
                let size = disk_size(disk, params).max(most.unwrap_or(GIB));
                let name = if thing == Thing::Owned(Parent::Volume) {
                    "volume"
                } else {
                    "snapshot"
                };
                Some((
                    stored(name, disk, size, zone),
                    vec![volume(disk, size, zone)],
                ))
            })
        }
        Thing::NetworkOffering => each(&catalogue.networks, &zones, |offering, zone| {
            Some((offering.clone(), network_meters(offering, zone)))
        }),
        Thing::Owned(Parent::Network) => each(&catalogue.networks, &zones, |offering, zone| {
            Some((network(offering, zone), network_meters(offering, zone)))
        }),
        Thing::Template => {
            let found = catalogue.largest_template.clone();
            let none = || Node::leaf("template", "");
            vec![(found.unwrap_or_else(none), Vec::new())]
        }
        Thing::RootVolumeOf => vec![(Node::leaf("volume", ""), Vec::new())],
        // Nothing is priced by these alone; what hangs on a thing that is not there is none.
        _ => vec![(Node::leaf("unknown", ""), Vec::new())],
    }
}

fn zones_of(params: &ParamMap, zones: &[String]) -> Vec<Option<String>> {
    match params.get("zoneid") {
        Some(zone) => vec![Some(zone.to_owned())],
        None => std::iter::once(None)
            .chain(zones.iter().cloned().map(Some))
            .collect(),
    }
}

fn each(
    rows: &[Node],
    zones: &[Option<String>],
    make: impl Fn(&Node, Option<&str>) -> Option<(Node, Vec<Planned>)>,
) -> Vec<(Node, Vec<Planned>)> {
    let mut all = Vec::new();
    for row in rows {
        all.extend(zones.iter().filter_map(|zone| make(row, zone.as_deref())));
    }
    all
}

/// vCPUs and memory: the offering's own, or the call's for a custom one; none where nothing says
/// them, which CloudStack refuses.
fn shape(offering: &Node, params: &ParamMap, zone: Option<&str>) -> Option<Attributes> {
    let size = |field: &str| {
        let fixed = offering.number_of(field).filter(|size| *size > 0);
        fixed.or_else(|| detail(params, field))
    };
    Some(Attributes {
        offering: offering.text_of("id").map(str::to_owned),
        zone: zone.map(str::to_owned),
        vcpus: Some(size("cpunumber")?),
        memory_mib: Some(size("memory")?),
        cpu_mhz: size("cpuspeed"),
        count: 1,
        ..Attributes::default()
    })
}

fn detail(params: &ParamMap, key: &str) -> Option<i64> {
    let found = params.iter().find(|(lower, _)| {
        let inner = lower.rsplit_once("].").map(|(_, inner)| inner);
        lower.starts_with("details[") && inner == Some(key)
    });
    found.and_then(|(_, param)| param.value.parse().ok())
}

fn of_vm(shape: &Attributes, offering: &Node) -> Vec<Planned> {
    let root = offering.number_of("rootdisksize").unwrap_or(0);
    let root = Attributes {
        zone: shape.zone.clone(),
        size_bytes: Some(root.saturating_mul(GIB)),
        count: 1,
        ..Attributes::default()
    };
    let planned = |usage_type, attributes: &Attributes| Planned {
        usage_type,
        attributes: attributes.clone(),
    };
    vec![
        planned(UsageType::AllocatedVm, shape),
        planned(UsageType::RunningVm, shape),
        planned(UsageType::Volume, &root),
    ]
}

fn fixed_size(disk: &Node) -> Option<i64> {
    let gib = disk.number_of("disksize").filter(|gib| *gib > 0)?;
    Some(gib.saturating_mul(GIB))
}

fn disk_size(disk: &Node, params: &ParamMap) -> i64 {
    let asked = params.get("size").and_then(|size| size.parse::<i64>().ok());
    let asked = asked.unwrap_or(1).saturating_mul(GIB);
    fixed_size(disk).unwrap_or(0).max(asked)
}

fn volume(disk: &Node, size: i64, zone: Option<&str>) -> Planned {
    Planned {
        usage_type: UsageType::Volume,
        attributes: Attributes {
            offering: disk.text_of("id").map(str::to_owned),
            zone: zone.map(str::to_owned),
            size_bytes: Some(size),
            count: 1,
            ..Attributes::default()
        },
    }
}

fn network_meters(offering: &Node, zone: Option<&str>) -> Vec<Planned> {
    let of = |usage_type, state: Option<&str>| Planned {
        usage_type,
        attributes: Attributes {
            offering: offering.text_of("id").map(str::to_owned),
            zone: zone.map(str::to_owned),
            state: state.map(str::to_owned),
            count: 1,
            ..Attributes::default()
        },
    };
    vec![
        of(UsageType::Network, Some("Implemented")),
        of(UsageType::NetworkOffering, None),
    ]
}

fn node(name: &str, fields: &[(&str, Option<&str>)]) -> Node {
    let mut node = Node::leaf(name, "");
    for (field, text) in fields {
        node.children
            .extend(text.map(|text| Node::leaf(field, text)));
    }
    node
}

fn vm(shape: &Attributes) -> Node {
    let number = |number: Option<i64>| number.map(|number| number.to_string());
    let (cpus, memory) = (number(shape.vcpus), number(shape.memory_mib));
    let speed = number(shape.cpu_mhz);
    let mut vm = node(
        "virtualmachine",
        &[
            ("serviceofferingid", shape.offering.as_deref()),
            ("zoneid", shape.zone.as_deref()),
            ("cpunumber", cpus.as_deref()),
            ("memory", memory.as_deref()),
            ("cpuspeed", speed.as_deref()),
            // Another offering costs more on a VM that runs.
            ("state", Some("Running")),
        ],
    );
    vm.children
        .push(node("nic", &[("networkid", Some(SOME_NETWORK))]));
    vm
}

fn stored(name: &str, disk: &Node, size: i64, zone: Option<&str>) -> Node {
    let size = size.to_string();
    node(
        name,
        &[
            ("diskofferingid", disk.text_of("id")),
            ("zoneid", zone),
            ("size", Some(&size)),
            ("virtualsize", Some(&size)),
        ],
    )
}

/// A network whose first VM implements it and takes an address for it.
fn network(offering: &Node, zone: Option<&str>) -> Node {
    let mut network = node(
        "network",
        &[
            ("networkofferingid", offering.text_of("id")),
            ("zoneid", zone),
            ("state", Some("Allocated")),
        ],
    );
    network
        .children
        .push(node("service", &[("name", Some("SourceNat"))]));
    network
}

#[cfg(test)]
mod tests;
