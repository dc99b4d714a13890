//! Pure: which meters a raising call is going to start, from its parameters and from what
//! CloudStack says of the things that they name.

use super::refusal::Refusal;
use crate::cloudstack::command::PriceRule;
use crate::cloudstack::query::ParamMap;
use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::meter::resource::Attributes;
use crate::rate::Planned;
use std::collections::{BTreeMap, HashMap};

/// What kind of thing is asked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[allow(missing_docs, reason = "the names are CloudStack's")]
pub enum Thing {
    ServiceOffering,
    DiskOffering,
    Template,
    Network,
    Vm,
    Volume,
    Snapshot,
    Address,
    Vpc,
}

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

/// What has to be asked before a call can be priced.
#[must_use]
pub fn needs(rule: PriceRule, params: &ParamMap) -> Vec<Question> {
    let wanted: &[(Thing, &str)] = match rule {
        PriceRule::Deploy => &[
            (Thing::ServiceOffering, "serviceofferingid"),
            (Thing::Template, "templateid"),
            (Thing::DiskOffering, "diskofferingid"),
            (Thing::DiskOffering, "overridediskofferingid"),
            (Thing::Volume, "volumeid"),
            (Thing::Snapshot, "snapshotid"),
        ],
        PriceRule::Start => &[(Thing::Vm, "id")],
        PriceRule::Scale => &[
            (Thing::Vm, "id"),
            (Thing::ServiceOffering, "serviceofferingid"),
        ],
        PriceRule::Volume => &[
            (Thing::DiskOffering, "diskofferingid"),
            (Thing::Snapshot, "snapshotid"),
        ],
        PriceRule::Resize => &[
            (Thing::Volume, "id"),
            (Thing::DiskOffering, "diskofferingid"),
        ],
        PriceRule::Snapshot => &[(Thing::Volume, "volumeid")],
        PriceRule::Address | PriceRule::Network | PriceRule::Free | PriceRule::Missing => &[],
    };
    let mut needs: Vec<Question> = wanted
        .iter()
        .filter_map(|(thing, name)| Some((*thing, params.get(name)?.to_owned())))
        .collect();
    if rule == PriceRule::Deploy {
        needs.extend(networks(params).into_iter().map(|id| (Thing::Network, id)));
    }
    needs
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

fn networks(params: &ParamMap) -> Vec<String> {
    let listed = params.get("networkids").unwrap_or_default();
    let mut ids: Vec<String> = listed
        .split(',')
        .filter(|id| !id.is_empty())
        .map(str::to_owned)
        .collect();
    for (lower, param) in params.iter() {
        if lower.starts_with("iptonetworklist[") && lower.ends_with("].networkid") {
            ids.push(param.value.to_ascii_lowercase());
        }
    }
    ids
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

    /// vCPUs, memory and speed: the offering's own, or the details of a custom one.
    fn shape(&self, offering: &Node) -> Result<Attributes, Refusal> {
        let size = |key: &str, field: &str| -> Result<Option<i64>, Refusal> {
            let asked = self.number(&format!("details.{key}"), self.detail(key)?)?;
            Ok(offering.number_of(field).filter(|n| *n > 0).or(asked))
        };
        let vcpus = size("cpunumber", "cpunumber")?;
        let memory_mib = size("memory", "memory")?;
        if vcpus.is_none() || memory_mib.is_none() {
            let what = "needs details[0].cpuNumber and details[0].memory with this offering";
            return Err(refused("serviceofferingid", what));
        }
        Ok(Attributes {
            offering: offering.text_of("id").map(str::to_owned),
            vcpus,
            memory_mib,
            cpu_mhz: size("cpuspeed", "cpuspeed")?,
            zone: self.params.get("zoneid").map(str::to_owned),
            count: 1,
            ..Attributes::default()
        })
    }

    fn deploy(&self) -> Result<Plan, Refusal> {
        for name in ["datadiskofferinglist", "datadisksdetails", "nicnetworklist"] {
            if let Some((_, param)) = self
                .params
                .iter()
                .find(|(lower, _)| lower.starts_with(name))
            {
                return Err(refused(
                    &param.name,
                    "has no price rule yet; add disks by createVolume",
                ));
            }
        }
        let offering = self.wanted(Thing::ServiceOffering, "serviceofferingid")?;
        let mut vm = self.shape(offering)?;
        vm.template = self.params.get("templateid").map(str::to_owned);
        vm.name = self.params.get("name").unwrap_or_default().to_owned();
        let mut after = vec![planned(UsageType::AllocatedVm, vm.clone())];
        if self.params.get("startvm") != Some("false") {
            after.push(planned(UsageType::RunningVm, vm.clone()));
            after.extend(self.nics());
        }
        after.extend(self.disks(offering, &vm)?);
        after.extend(self.source_nat());
        Ok(Plan {
            after,
            before: Vec::new(),
        })
    }

    fn disks(&self, offering: &Node, vm: &Attributes) -> Result<Vec<Planned>, Refusal> {
        let is_iso = self
            .fact(Thing::Template, "templateid")
            .is_some_and(|template| template.name == "iso");
        let mut disks = Vec::new();
        let data = self.fact(Thing::DiskOffering, "diskofferingid");
        let data_size = match data {
            Some(disk) => Some(self.disk_size(disk, "size")?),
            None => None,
        };
        if self.params.get("volumeid").is_none() {
            let root = if is_iso {
                data_size
            } else {
                Some(self.root_size(offering)?)
            };
            let shape = Attributes {
                template: vm.template.clone(),
                ..volume(root, vm)
            };
            disks.push(planned(UsageType::Volume, shape));
        }
        if let (Some(disk), false) = (data, is_iso) {
            let offering = disk.text_of("id").map(str::to_owned);
            let shape = Attributes {
                offering,
                ..volume(data_size, vm)
            };
            disks.push(planned(UsageType::Volume, shape));
        }
        Ok(disks)
    }

    /// `details[…].rootdisksize` wins over `rootdisksize`, an override offering over the service
    /// offering's own, and the template's size is the least.
    fn root_size(&self, offering: &Node) -> Result<i64, Refusal> {
        let source = self
            .fact(Thing::Template, "templateid")
            .and_then(|template| template.number_of("size"))
            .or_else(|| {
                self.fact(Thing::Snapshot, "snapshotid")?
                    .number_of("virtualsize")
            })
            .unwrap_or(0);
        let asked = match self.detail("rootdisksize")? {
            Some(text) => self.number("details.rootdisksize", Some(text))?,
            None => self.number("rootdisksize", self.params.get("rootdisksize"))?,
        };
        let fixed = match self.fact(Thing::DiskOffering, "overridediskofferingid") {
            Some(disk) => disk.number_of("disksize"),
            None => offering.number_of("rootdisksize"),
        };
        let gib = asked
            .into_iter()
            .chain(fixed.filter(|size| *size > 0))
            .max()
            .unwrap_or(0);
        let bytes = gib
            .checked_mul(GIB)
            .ok_or_else(|| refused("rootdisksize", "is too large"))?;
        Ok(bytes.max(source))
    }

    fn disk_size(&self, disk: &Node, name: &str) -> Result<i64, Refusal> {
        let asked = self.number(name, self.params.get(name))?;
        let fixed = disk.number_of("disksize").filter(|size| *size > 0);
        let gib = fixed.into_iter().chain(asked).max();
        gib.and_then(|gib| gib.checked_mul(GIB))
            .ok_or_else(|| refused(name, "is missing, and the price hangs on it"))
    }

    /// NICs, grouped by the network's offering as the usage server meters them.
    fn nics(&self) -> Vec<Planned> {
        let mut by_offering: BTreeMap<Option<String>, i64> = BTreeMap::new();
        let ids = networks(self.params);
        for id in &ids {
            let network = self.facts.get(&(Thing::Network, id.clone()));
            let offering = network
                .and_then(|n| n.text_of("networkofferingid"))
                .map(str::to_owned);
            let count = by_offering.entry(offering).or_default();
            *count = count.saturating_add(1);
        }
        if ids.is_empty() {
            by_offering.insert(None, 1);
        }
        by_offering
            .into_iter()
            .map(|(offering, count)| {
                let attributes = Attributes {
                    offering,
                    count,
                    ..Attributes::default()
                };
                planned(UsageType::NetworkOffering, attributes)
            })
            .collect()
    }

    /// A network that nobody used yet gets its source NAT address with its first VM.
    fn source_nat(&self) -> Vec<Planned> {
        let ids = networks(self.params);
        let unused = ids.iter().filter(|id| {
            let network = self.facts.get(&(Thing::Network, (*id).clone()));
            network.is_some_and(|network| {
                network.text_of("state") == Some("Allocated")
                    && network
                        .all("service")
                        .any(|s| s.text_of("name") == Some("SourceNat"))
            })
        });
        unused
            .map(|_| {
                let attributes = Attributes {
                    source_nat: true,
                    count: 1,
                    ..Attributes::default()
                };
                planned(UsageType::IpAddress, attributes)
            })
            .collect()
    }

    fn start(&self) -> Result<Plan, Refusal> {
        let vm = self.wanted(Thing::Vm, "id")?;
        let mut after = vec![planned(UsageType::RunningVm, of_vm(vm))];
        let nics = i64::try_from(vm.all("nic").count()).unwrap_or(1).max(1);
        let nic = Attributes {
            count: nics,
            ..Attributes::default()
        };
        after.push(planned(UsageType::NetworkOffering, nic));
        let before = if vm.text_of("state") == Some("Running") {
            after.clone()
        } else {
            Vec::new()
        };
        Ok(Plan { after, before })
    }

    fn scale(&self) -> Result<Plan, Refusal> {
        let vm = self.wanted(Thing::Vm, "id")?;
        let offering = self.wanted(Thing::ServiceOffering, "serviceofferingid")?;
        let old = of_vm(vm);
        let new = match self.shape(offering) {
            Ok(shape) => Attributes {
                zone: old.zone.clone(),
                template: old.template.clone(),
                ..shape
            },
            // Values that are left out keep what the VM has.
            Err(_) if offering.text_of("iscustomized") == Some("true") => Attributes {
                offering: offering.text_of("id").map(str::to_owned),
                vcpus: self
                    .number("details.cpunumber", self.detail("cpunumber")?)?
                    .or(old.vcpus),
                memory_mib: self
                    .number("details.memory", self.detail("memory")?)?
                    .or(old.memory_mib),
                ..old.clone()
            },
            Err(refusal) => return Err(refusal),
        };
        let runs = vm.text_of("state") == Some("Running");
        let of = |shape: &Attributes| {
            let mut meters = vec![planned(UsageType::AllocatedVm, shape.clone())];
            if runs {
                meters.push(planned(UsageType::RunningVm, shape.clone()));
            }
            meters
        };
        Ok(Plan {
            after: of(&new),
            before: of(&old),
        })
    }

    fn volume(&self) -> Result<Plan, Refusal> {
        let size = match self.fact(Thing::DiskOffering, "diskofferingid") {
            Some(disk) => self.disk_size(disk, "size")?,
            None => {
                let snapshot = self.wanted(Thing::Snapshot, "snapshotid")?;
                let size = snapshot.number_of("virtualsize").filter(|size| *size > 0);
                let asked = self.number("size", self.params.get("size"))?;
                let asked = asked.and_then(|gib| gib.checked_mul(GIB));
                size.into_iter().chain(asked).max().ok_or_else(|| {
                    refused(
                        "snapshotid",
                        "names a snapshot whose size is not known; send size",
                    )
                })?
            }
        };
        let attributes = Attributes {
            offering: self.params.get("diskofferingid").map(str::to_owned),
            zone: self.params.get("zoneid").map(str::to_owned),
            size_bytes: Some(size),
            count: 1,
            ..Attributes::default()
        };
        Ok(Plan {
            after: vec![planned(UsageType::Volume, attributes)],
            before: Vec::new(),
        })
    }

    fn resize(&self) -> Result<Plan, Refusal> {
        let volume = self.wanted(Thing::Volume, "id")?;
        let old = Attributes {
            offering: volume.text_of("diskofferingid").map(str::to_owned),
            zone: volume.text_of("zoneid").map(str::to_owned),
            size_bytes: volume.number_of("size"),
            count: 1,
            ..Attributes::default()
        };
        let size = match self.fact(Thing::DiskOffering, "diskofferingid") {
            Some(disk) => self.disk_size(disk, "size")?,
            None => self
                .number("size", self.params.get("size"))?
                .and_then(|gib| gib.checked_mul(GIB))
                .ok_or_else(|| refused("size", "is missing, and the price hangs on it"))?,
        };
        let new = Attributes {
            size_bytes: Some(size),
            ..old.clone()
        };
        Ok(Plan {
            after: vec![planned(UsageType::Volume, new)],
            before: vec![planned(UsageType::Volume, old)],
        })
    }

    fn address(&self) -> Plan {
        let attributes = Attributes {
            count: 1,
            ..Attributes::default()
        };
        Plan {
            after: vec![planned(UsageType::IpAddress, attributes)],
            before: Vec::new(),
        }
    }

    fn network(&self) -> Plan {
        let attributes = Attributes {
            offering: self.params.get("networkofferingid").map(str::to_owned),
            zone: self.params.get("zoneid").map(str::to_owned),
            count: 1,
            ..Attributes::default()
        };
        Plan {
            after: vec![planned(UsageType::Network, attributes)],
            before: Vec::new(),
        }
    }

    fn snapshot(&self) -> Result<Plan, Refusal> {
        let volume = self.wanted(Thing::Volume, "volumeid")?;
        let attributes = Attributes {
            size_bytes: volume.number_of("size"),
            count: 1,
            ..Attributes::default()
        };
        Ok(Plan {
            after: vec![planned(UsageType::Snapshot, attributes)],
            before: Vec::new(),
        })
    }
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
