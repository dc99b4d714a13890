//! Pure: which meters a raising call is going to start, from its parameters and from what
//! CloudStack says of the things that they name.

mod vm;

use super::refusal::Refusal;
use crate::cloudstack::command::{Parent, PriceRule};
use crate::cloudstack::query::ParamMap;
use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::meter::resource::Attributes;
use crate::rate::Planned;
use crate::terms::ids::ResourceId;
use std::collections::HashMap;

/// What kind of thing is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Thing {
    /// A service offering.
    ServiceOffering,
    /// A disk offering.
    DiskOffering,
    /// A network offering.
    NetworkOffering,
    /// A template, or an ISO: the item's name tells which.
    Template,
    /// A thing that has an owner.
    Owned(Parent),
    /// The root volume of the VM with that id.
    RootVolumeOf,
}

const VM: Thing = Thing::Owned(Parent::Vm);
const VOLUME: Thing = Thing::Owned(Parent::Volume);
const NETWORK: Thing = Thing::Owned(Parent::Network);
const SNAPSHOT: Thing = Thing::Owned(Parent::Snapshot);

/// One thing by its id.
pub type Question = (Thing, String);

/// What CloudStack said of the things that were asked for; a thing that is not there does not
/// exist.
pub type Facts = HashMap<Question, Node>;

/// What a call starts, and what of it runs already.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// Meters after the call.
    pub after: Vec<Planned>,
    /// Those of them that run before it: the call is charged the difference.
    pub before: Vec<Planned>,
}

const GIB: i64 = 1 << 30;

/// What has to be asked before a call can be priced. What the answers name in turn is in
/// [`more`].
#[must_use]
pub fn needs(rule: PriceRule, params: &ParamMap) -> Vec<Question> {
    let wanted: &[(Thing, &str)] = match rule {
        PriceRule::Deploy => &[
            (Thing::ServiceOffering, "serviceofferingid"),
            (Thing::Template, "templateid"),
            (Thing::DiskOffering, "diskofferingid"),
            (Thing::DiskOffering, "overridediskofferingid"),
            (VOLUME, "volumeid"),
            (SNAPSHOT, "snapshotid"),
        ],
        PriceRule::Start => &[(VM, "id")],
        PriceRule::Scale => &[(VM, "id"), (Thing::ServiceOffering, "serviceofferingid")],
        PriceRule::Volume => &[
            (Thing::DiskOffering, "diskofferingid"),
            (SNAPSHOT, "snapshotid"),
        ],
        PriceRule::Resize => &[(VOLUME, "id"), (Thing::DiskOffering, "diskofferingid")],
        PriceRule::Snapshot => &[(VOLUME, "volumeid")],
        PriceRule::Network => &[(Thing::NetworkOffering, "networkofferingid")],
        PriceRule::Address | PriceRule::Free | PriceRule::Missing => &[],
    };
    let mut needs: Vec<Question> = wanted
        .iter()
        .filter_map(|(thing, name)| Some((*thing, params.get(name)?.to_owned())))
        .collect();
    if rule == PriceRule::Deploy {
        needs.extend(networks(params).into_iter().map(|id| (NETWORK, id)));
        let disks = entries(params, "datadisksdetails", "diskofferingid");
        needs.extend(disks.into_iter().map(|(_, id)| (Thing::DiskOffering, id)));
    }
    needs
}

/// What has to be asked besides, now that the answers to [`needs`] are there: the networks of a
/// VM that starts, the root volume of one that gets another offering. Without these answers a
/// call is priced all the same, its networks as their offerings' unknown.
#[must_use]
pub fn more(rule: PriceRule, params: &ParamMap, facts: &Facts) -> Vec<Question> {
    let vm = || Some((VM, params.get("id")?.to_owned()));
    let found: Vec<Question> = match rule {
        PriceRule::Start => {
            let vm = vm().and_then(|question| facts.get(&question));
            vm.map(nics_of)
                .unwrap_or_default()
                .into_iter()
                .map(|id| (NETWORK, id))
                .collect()
        }
        PriceRule::Scale => {
            let id = params
                .get("serviceofferingid")
                .unwrap_or_default()
                .to_owned();
            let sized = facts
                .get(&(Thing::ServiceOffering, id))
                .and_then(|offering| offering.number_of("rootdisksize"))
                .is_some_and(|size| size > 0);
            let root = vm()
                .filter(|_| sized)
                .map(|(_, id)| (Thing::RootVolumeOf, id));
            root.into_iter().collect()
        }
        _ => Vec::new(),
    };
    found
        .into_iter()
        .filter(|question| !facts.contains_key(question))
        .collect()
}

/// The meters of a call; `None` where a thing that it names does not exist, so that CloudStack
/// will refuse it.
///
/// # Errors
/// [`Refusal::Parameter`] for what cannot be priced, [`Refusal::Unpriced`] for a command without
/// a rule.
pub fn plan(
    rule: PriceRule,
    command: &str,
    params: &ParamMap,
    facts: &Facts,
) -> Result<Option<Plan>, Refusal> {
    let missing = |question: &Question| !facts.contains_key(question);
    if needs(rule, params).iter().any(missing) {
        return Ok(None);
    }
    let call = Call { params, facts };
    match rule {
        PriceRule::Free => Ok(Some(Plan::default())),
        PriceRule::Missing => Err(Refusal::Unpriced(format!("command {command}"))),
        PriceRule::Deploy => call.deploy().map(Some),
        PriceRule::Start => call.start().map(Some),
        PriceRule::Scale => call.scale().map(Some),
        PriceRule::Volume => call.volume().map(Some),
        PriceRule::Resize => call.resize().map(Some),
        PriceRule::Address => Ok(Some(call.address())),
        PriceRule::Network => Ok(Some(call.network())),
        PriceRule::Snapshot => call.snapshot().map(Some),
    }
}

/// Ids of the networks that a deployment names, in its order, each once.
fn networks(params: &ParamMap) -> Vec<String> {
    let listed = params.get("networkids").unwrap_or_default();
    let listed = listed
        .split(',')
        .filter(|id| !id.is_empty())
        .map(str::to_owned);
    let mapped = entries(params, "iptonetworklist", "networkid");
    let mut ids = Vec::new();
    for id in listed.chain(mapped.into_iter().map(|(_, id)| id.to_ascii_lowercase())) {
        if !ids.contains(&id) {
            ids.push(id);
        }
    }
    ids
}

/// `map[i].field`: each with its `map[i].`, in the order of names.
fn entries(params: &ParamMap, map: &str, field: &str) -> Vec<(String, String)> {
    let found = params.iter().filter_map(|(lower, param)| {
        let rest = lower.strip_prefix(map)?;
        let is_entry = rest.starts_with('[') && rest.rsplit_once("].")?.1 == field;
        let at = lower.strip_suffix(field).filter(|_| is_entry)?;
        Some((at.to_owned(), param.value.to_ascii_lowercase()))
    });
    found.collect()
}

/// Ids of the networks that a VM has NICs in, one for each NIC.
fn nics_of(vm: &Node) -> Vec<String> {
    let nics = vm.all("nic").filter_map(|nic| nic.text_of("networkid"));
    nics.map(str::to_owned).collect()
}

struct Call<'a> {
    params: &'a ParamMap,
    facts: &'a Facts,
}

impl Call<'_> {
    fn fact(&self, thing: Thing, name: &str) -> Option<&Node> {
        let id = self.params.get(name)?.to_owned();
        self.facts.get(&(thing, id))
    }

    fn wanted(&self, thing: Thing, name: &str) -> Result<&Node, Refusal> {
        self.fact(thing, name)
            .ok_or_else(|| refused(name, "is missing, and its price hangs on it"))
    }

    /// A value of `details[…]`, by its key in lower case; two of one key are refused.
    fn detail(&self, key: &str) -> Result<Option<&str>, Refusal> {
        let mut found = None;
        for (lower, param) in self.params.iter() {
            let is_key = lower.starts_with("details[")
                && lower
                    .rsplit_once("].")
                    .is_some_and(|(_, inner)| inner == key);
            if is_key && found.replace(param.value.as_str()).is_some() {
                return Err(refused(&param.name, "stands there twice; send it once"));
            }
        }
        Ok(found)
    }

    fn number(&self, name: &str, text: Option<&str>) -> Result<Option<i64>, Refusal> {
        let Some(text) = text else { return Ok(None) };
        let number = text.parse::<i64>().ok().filter(|n| *n > 0);
        let plain = text.bytes().all(|b| b.is_ascii_digit());
        match number {
            Some(number) if plain => Ok(Some(number)),
            _ => Err(refused(name, &format!("is `{text}`; write digits"))),
        }
    }

    fn volume(&self) -> Result<Plan, Refusal> {
        let snapshot = self.fact(SNAPSHOT, "snapshotid");
        let source = snapshot.and_then(|snapshot| snapshot.number_of("virtualsize"));
        let asked = self.number("size", self.params.get("size"))?;
        let disk = self.fact(Thing::DiskOffering, "diskofferingid");
        let fixed = disk.and_then(|disk| disk.number_of("disksize"));
        let gib = asked.into_iter().chain(fixed).max().unwrap_or(0);
        let size = bytes("size", gib)?.max(source.unwrap_or(0));
        if size == 0 {
            return Err(refused("size", "is missing, and the price hangs on it"));
        }
        let attributes = Attributes {
            name: self.params.get("name").unwrap_or_default().to_owned(),
            offering: self.params.get("diskofferingid").map(str::to_owned),
            zone: self
                .params
                .get("zoneid")
                .or_else(|| snapshot.and_then(|snapshot| snapshot.text_of("zoneid")))
                .map(str::to_owned),
            size_bytes: Some(size),
            count: 1,
            ..Attributes::default()
        };
        Ok(Plan {
            after: vec![planned(UsageType::Volume, attributes)],
            before: Vec::new(),
        })
    }

    /// A volume takes the size asked for, else its new offering's, else it keeps its own.
    fn resize(&self) -> Result<Plan, Refusal> {
        let old = of_volume(self.wanted(VOLUME, "id")?);
        let asked = self.number("size", self.params.get("size"))?;
        let disk = self.fact(Thing::DiskOffering, "diskofferingid");
        let fixed = disk
            .and_then(|disk| disk.number_of("disksize"))
            .filter(|size| *size > 0);
        let size = match fixed.or(asked) {
            Some(gib) => Some(bytes("size", gib)?),
            None => old.size_bytes,
        };
        let offering = disk.and_then(|disk| disk.text_of("id")).map(str::to_owned);
        let new = Attributes {
            size_bytes: size,
            offering: offering.or_else(|| old.offering.clone()),
            ..old.clone()
        };
        Ok(Plan {
            after: vec![planned(UsageType::Volume, new)],
            before: vec![planned(UsageType::Volume, old)],
        })
    }

    fn address(&self) -> Plan {
        let zone = self.params.get("zoneid").map(str::to_owned);
        Plan {
            after: vec![address(false, zone)],
            before: Vec::new(),
        }
    }

    /// A network is `Allocated` until its first VM runs; one on a persistent offering is
    /// implemented at once.
    fn network(&self) -> Plan {
        let offering = self.fact(Thing::NetworkOffering, "networkofferingid");
        let persistent = offering.is_some_and(|one| one.text_of("ispersistent") == Some("true"));
        let zone = self.params.get("zoneid").map(str::to_owned);
        let attributes = Attributes {
            name: self.params.get("name").unwrap_or_default().to_owned(),
            offering: self.params.get("networkofferingid").map(str::to_owned),
            zone: zone.clone(),
            state: Some(
                if persistent {
                    "Implemented"
                } else {
                    "Allocated"
                }
                .to_owned(),
            ),
            count: 1,
            ..Attributes::default()
        };
        let mut after = vec![planned(UsageType::Network, attributes)];
        let tier = self.params.get("vpcid").is_some();
        let nat = offering.is_some_and(has_source_nat);
        if self.params.get("sourcenatipaddress").is_some() || (persistent && nat && !tier) {
            after.push(address(true, zone));
        }
        Plan {
            after,
            before: Vec::new(),
        }
    }

    /// The volume's size is the most that a snapshot can have; each further zone holds a copy.
    fn snapshot(&self) -> Result<Plan, Refusal> {
        let volume = of_volume(self.wanted(VOLUME, "volumeid")?);
        let own = volume.zone.clone();
        let listed = self.params.get("zoneids").unwrap_or_default().split(',');
        let copies = listed.filter(|zone| !zone.is_empty() && own.as_deref() != Some(*zone));
        let zones = std::iter::once(own.clone()).chain(copies.map(|zone| Some(zone.to_owned())));
        let of = |zone: Option<String>| Attributes {
            name: self.params.get("name").unwrap_or_default().to_owned(),
            zone,
            size_bytes: volume.size_bytes,
            count: 1,
            ..Attributes::default()
        };
        let after = zones
            .map(|zone| planned(UsageType::Snapshot, of(zone)))
            .collect();
        Ok(Plan {
            after,
            before: Vec::new(),
        })
    }
}

fn address(source_nat: bool, zone: Option<String>) -> Planned {
    let attributes = Attributes {
        source_nat,
        zone,
        count: 1,
        ..Attributes::default()
    };
    planned(UsageType::IpAddress, attributes)
}

/// A network, or an offering of one, that gives source NAT.
fn has_source_nat(node: &Node) -> bool {
    node.all("service")
        .any(|service| service.text_of("name") == Some("SourceNat"))
}

fn of_network(network: &Node, state: &str) -> Attributes {
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
fn of_volume(volume: &Node) -> Attributes {
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

/// Bytes of so many GiB, as every size in a request is given.
fn bytes(name: &str, gib: i64) -> Result<i64, Refusal> {
    gib.checked_mul(GIB)
        .ok_or_else(|| refused(name, "is too large"))
}

const fn planned(usage_type: UsageType, attributes: Attributes) -> Planned {
    Planned {
        usage_type,
        attributes,
    }
}

fn volume(size_bytes: Option<i64>, vm: &Attributes) -> Attributes {
    Attributes {
        zone: vm.zone.clone(),
        size_bytes,
        count: 1,
        ..Attributes::default()
    }
}

fn of_vm(vm: &Node) -> Attributes {
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

fn refused(name: &str, what: &str) -> Refusal {
    Refusal::Parameter {
        name: name.to_owned(),
        what: what.to_owned(),
    }
}

#[cfg(test)]
mod tests;
