//! Pure: what a VM costs that is deployed, started or given another offering.

use super::call::{bytes, entries, networks, refused};
use super::shape::{
    address, has_source_nat, nics_of, of_network, of_vm, of_volume, one, planned, volume_of,
};
use super::{Call, NETWORK, Plan, SNAPSHOT, Thing, VM};
use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::gate::refusal::Refusal;
use crate::meter::resource::Attributes;
use crate::rate::Planned;
use std::collections::BTreeMap;

impl Call<'_> {
    /// vCPUs, memory and speed: the offering's own, or the details of a custom one.
    pub(super) fn shape(&self, offering: &Node) -> Result<Attributes, Refusal> {
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

    /// What a deployment starts.
    pub(super) fn deploy(&self) -> Result<Plan, Refusal> {
        let offering = self.wanted(Thing::ServiceOffering, "serviceofferingid")?;
        let mut vm = self.shape(offering)?;
        vm.template = self.params.get("templateid").map(str::to_owned);
        vm.name = self.params.get("name").unwrap_or_default().to_owned();
        let mut plan = Plan::default();
        plan.after.push(planned(UsageType::AllocatedVm, vm.clone()));
        plan.after.extend(self.disks(offering, &vm)?);
        if self.params.get("startvm") != Some("false") {
            plan.after.push(planned(UsageType::RunningVm, vm.clone()));
            self.networking(&networks(self.params), &vm, &mut plan);
            plan.after.extend(self.groups(&vm));
        }
        if self.says("vnfconfiguremanagement") {
            plan.after.extend(self.vnf_access(&vm));
        }
        Ok(plan)
    }

    /// The security groups that a call names, each once.
    pub(super) fn groups(&self, vm: &Attributes) -> Vec<Planned> {
        let named = ["securitygroupids", "securitygroupnames"];
        let groups = named.iter().flat_map(|name| self.list(name));
        groups
            .map(|_| one(UsageType::SecurityGroup, vm.zone.clone()))
            .collect()
    }

    /// Access to a network appliance's management: an address, a rule for each of its ports (SSH,
    /// HTTP and HTTPS).
    fn vnf_access(&self, vm: &Attributes) -> Vec<Planned> {
        let mut rules = one(UsageType::PortForwardingRule, vm.zone.clone());
        rules.attributes.count = 3;
        vec![address(false, vm.zone.clone()), rules]
    }

    fn disks(&self, offering: &Node, vm: &Attributes) -> Result<Vec<Planned>, Refusal> {
        let template = self.fact(Thing::Template, "templateid");
        let is_iso = template.is_some_and(|template| template.name == "iso");
        let data = self.fact(Thing::DiskOffering, "diskofferingid");
        let data = data
            .map(|disk| Ok((disk, self.disk_size(disk, "size")?)))
            .transpose()?;
        let mut disks = Vec::new();
        if self.params.get("volumeid").is_none() {
            // With an ISO the disk offering is the root volume's.
            let root = match data {
                Some((_, size)) if is_iso => size,
                _ => self.root_size(offering)?,
            };
            let shape = Attributes {
                template: vm.template.clone(),
                ..volume_of(root, vm)
            };
            disks.push(planned(UsageType::Volume, shape));
        }
        if let Some((disk, size)) = data.filter(|_| !is_iso) {
            let offering = disk.text_of("id").map(str::to_owned);
            let shape = Attributes {
                offering,
                ..volume_of(size, vm)
            };
            disks.push(planned(UsageType::Volume, shape));
        }
        disks.extend(self.listed_disks(vm)?);
        Ok(disks)
    }

    /// Disks of `datadisksdetails`, and of the data disk templates of `datadiskofferinglist`:
    /// each at least as large as its template.
    fn listed_disks(&self, vm: &Attributes) -> Result<Vec<Planned>, Refusal> {
        let mut disks = Vec::new();
        for map in ["datadisksdetails", "datadiskofferinglist"] {
            for (at, id) in entries(self.params, map, "diskofferingid") {
                let Some(disk) = self.get(Thing::DiskOffering, &id) else {
                    continue;
                };
                let template = self.params.get(&format!("{at}datadisktemplateid"));
                let template = template.map(str::to_ascii_lowercase);
                let least = template
                    .and_then(|template| self.get(Thing::Template, &template))
                    .and_then(|template| template.number_of("size"));
                let size = match (self.disk_size(disk, &format!("{at}size")), least) {
                    (Ok(size), least) => size.max(least.unwrap_or(0)),
                    (Err(_), Some(least)) => least,
                    (Err(refusal), None) => return Err(refusal),
                };
                let shape = Attributes {
                    offering: Some(id),
                    ..volume_of(size, vm)
                };
                disks.push(planned(UsageType::Volume, shape));
            }
        }
        Ok(disks)
    }

    /// `details[…].rootdisksize` wins over `rootdisksize`, an override offering over the service
    /// offering's own, and the template's size is the least.
    fn root_size(&self, offering: &Node) -> Result<i64, Refusal> {
        let source = self
            .fact(Thing::Template, "templateid")
            .and_then(|template| template.number_of("size"))
            .or_else(|| self.fact(SNAPSHOT, "snapshotid")?.number_of("virtualsize"))
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
        Ok(bytes("rootdisksize", gib)?.max(source))
    }

    pub(super) fn disk_size(&self, disk: &Node, name: &str) -> Result<i64, Refusal> {
        let asked = self.number(name, self.params.get(name))?;
        let fixed = disk.number_of("disksize").filter(|size| *size > 0);
        let gib = fixed.into_iter().chain(asked).max();
        gib.and_then(|gib| bytes(name, gib).ok())
            .ok_or_else(|| refused(name, "is missing, and the price hangs on it"))
    }

    /// NICs, grouped by the network's offering as the usage server meters them, and what a
    /// network costs more once its first VM runs: it is implemented, with a source NAT address,
    /// but for a VPC's tier, whose VPC has the address. A call that names no network may be given
    /// a new one.
    pub(super) fn networking(&self, ids: &[String], vm: &Attributes, plan: &mut Plan) {
        let mut by_offering: BTreeMap<Option<String>, i64> = BTreeMap::new();
        let mut seen: Vec<&String> = Vec::new();
        for id in ids {
            let network = self.get(NETWORK, id);
            let offering = network
                .and_then(|n| n.text_of("networkofferingid"))
                .map(str::to_owned);
            let count = by_offering.entry(offering).or_default();
            *count = count.saturating_add(1);
            let idle = network.filter(|network| network.text_of("state") == Some("Allocated"));
            if let (Some(network), false) = (idle, seen.contains(&id)) {
                plan.before.push(planned(
                    UsageType::Network,
                    of_network(network, "Allocated"),
                ));
                plan.after.push(planned(
                    UsageType::Network,
                    of_network(network, "Implemented"),
                ));
                if has_source_nat(network) && network.text_of("vpcid").is_none() {
                    plan.after.push(address(true, vm.zone.clone()));
                }
            }
            seen.push(id);
        }
        if ids.is_empty() {
            by_offering.insert(None, 1);
            plan.after.push(address(true, vm.zone.clone()));
        }
        for (offering, count) in by_offering {
            let attributes = Attributes {
                name: vm.name.clone(),
                offering,
                zone: vm.zone.clone(),
                count,
                ..Attributes::default()
            };
            plan.after
                .push(planned(UsageType::NetworkOffering, attributes));
        }
    }

    /// What a start starts: the VM is allocated already.
    pub(super) fn start(&self) -> Result<Plan, Refusal> {
        let vm = self.first_of(VM, ["id", "resourceid"])?;
        self.start_of(vm)
    }

    /// What runs once this VM runs.
    pub(super) fn start_of(&self, vm: &Node) -> Result<Plan, Refusal> {
        let shape = of_vm(vm);
        let mut plan = Plan::default();
        plan.after
            .push(planned(UsageType::RunningVm, shape.clone()));
        let ids = nics_of(vm);
        if !ids.is_empty() {
            self.networking(&ids, &shape, &mut plan);
        }
        if vm.text_of("state") == Some("Running") {
            plan.before = plan.after.clone();
        }
        Ok(plan)
    }

    /// The VM as it would be, and as it is.
    pub(super) fn scale(&self) -> Result<Plan, Refusal> {
        let vm = self.wanted(VM, "id")?;
        let offering = self.wanted(Thing::ServiceOffering, "serviceofferingid")?;
        let old = of_vm(vm);
        let custom = offering.text_of("iscustomized") == Some("true");
        let shape = match self.shape(offering) {
            Ok(shape) => shape,
            // Values that are left out keep what the VM has.
            Err(_) if custom => {
                let of =
                    |key: &str, field: &str, has: Option<i64>| -> Result<Option<i64>, Refusal> {
                        let asked = self.number(&format!("details.{key}"), self.detail(key)?)?;
                        Ok(offering
                            .number_of(field)
                            .filter(|n| *n > 0)
                            .or(asked)
                            .or(has))
                    };
                Attributes {
                    offering: offering.text_of("id").map(str::to_owned),
                    vcpus: of("cpunumber", "cpunumber", old.vcpus)?,
                    memory_mib: of("memory", "memory", old.memory_mib)?,
                    cpu_mhz: of("cpuspeed", "cpuspeed", old.cpu_mhz)?,
                    ..old.clone()
                }
            }
            Err(refusal) => return Err(refusal),
        };
        let new = Attributes {
            name: old.name.clone(),
            template: old.template.clone(),
            zone: old.zone.clone(),
            ..shape
        };
        let runs = vm.text_of("state") == Some("Running");
        let of = |shape: &Attributes| {
            let mut meters = vec![planned(UsageType::AllocatedVm, shape.clone())];
            if runs {
                meters.push(planned(UsageType::RunningVm, shape.clone()));
            }
            meters
        };
        let mut plan = Plan {
            after: of(&new),
            before: of(&old),
        };
        let gib = offering.number_of("rootdisksize").unwrap_or(0);
        let root = match gib {
            1.. => self.fact(Thing::RootVolumeOf, "id"),
            _ => None,
        };
        if let Some(root) = root {
            let wanted = bytes("serviceofferingid", gib)?;
            let has = of_volume(root);
            let size = has.size_bytes.unwrap_or(0).max(wanted);
            let grown = Attributes {
                size_bytes: Some(size),
                ..has.clone()
            };
            plan.before.push(planned(UsageType::Volume, has));
            plan.after.push(planned(UsageType::Volume, grown));
        }
        Ok(plan)
    }
}
