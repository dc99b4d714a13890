//! Pure: what a VM costs that is restored, recovered, moved to another owner, taken in from
//! elsewhere, or changed by its details.

use super::call::{bytes, entries, networks, refused};
use super::shape::{of_vm, of_volume, planned, volume_of};
use super::{BACKUP, Call, NETWORK, Plan, Thing, VM};
use crate::cloudstack::command::Parent;
use crate::cloudstack::query::ParamMap;
use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::gate::refusal::Refusal;
use crate::meter::commitment::Rule;
use crate::meter::resource::Attributes;
use crate::policy::commitment::RuleKind;
use crate::rate::Planned;

impl Call<'_> {
    /// As a deployment of what the call leaves to the backup: its offering, template and disks.
    /// Disks that the call names replace the backup's.
    pub(super) fn vm_from_backup(&self) -> Result<Plan, Refusal> {
        let backup = self.wanted(BACKUP, "backupid")?;
        let mut params: ParamMap = self.params.clone();
        let details = backup.child("vmdetails");
        let kept = |name: &str| details.and_then(|details| details.text_of(name));
        for name in ["serviceofferingid", "templateid"] {
            if let (None, Some(id)) = (params.get(name), kept(name)) {
                params.insert(name, id);
            }
        }
        let mut plan = self.under(&params, |call| call.deploy())?;
        let zone = self.text("zoneid");
        let listed = !entries(self.params, "datadisksdetails", "diskofferingid").is_empty()
            || self.params.get("diskofferingid").is_some();
        for (is_root, size) in disks_of(backup)? {
            let root = plan.after.iter_mut().find(|one| {
                is_root && one.usage_type == UsageType::Volume && one.attributes.offering.is_none()
            });
            match root {
                Some(root) => {
                    let has = root.attributes.size_bytes.unwrap_or(0);
                    root.attributes.size_bytes = Some(has.max(size));
                }
                None if is_root || !listed => {
                    let shape = Attributes {
                        zone: zone.clone(),
                        ..volume_of(size, &Attributes::default())
                    };
                    plan.after.push(planned(UsageType::Volume, shape));
                }
                None => {}
            }
        }
        Ok(plan)
    }

    /// A new root volume of what is asked for, and not less than the old one.
    pub(super) fn restore_vm(&self) -> Result<Plan, Refusal> {
        let vm = self.wanted(VM, "virtualmachineid")?;
        let old = self
            .fact(Thing::RootVolumeOf, "virtualmachineid")
            .map(of_volume);
        let asked = match self.detail("rootdisksize")? {
            Some(text) => self.number("details.rootdisksize", Some(text))?,
            None => self.number_in("rootdisksize")?,
        };
        let disk = self.fact(Thing::DiskOffering, "diskofferingid");
        let fixed = disk.and_then(|disk| disk.number_of("disksize"));
        let gib = asked.into_iter().chain(fixed).max().unwrap_or(0);
        let template = self.fact(Thing::Template, "templateid");
        let template = template.and_then(|template| template.number_of("size"));
        let has = old.as_ref().and_then(|old| old.size_bytes);
        let size = bytes("rootdisksize", gib)?
            .max(template.unwrap_or(0))
            .max(has.unwrap_or(0));
        if size == 0 {
            return Err(refused(
                "rootdisksize",
                "is missing, and the price hangs on it",
            ));
        }
        let shape = of_vm(vm);
        let new = Attributes {
            name: shape.name.clone(),
            offering: disk
                .and_then(|disk| disk.text_of("id"))
                .map(str::to_owned)
                .or_else(|| old.as_ref().and_then(|old| old.offering.clone())),
            template: self.text("templateid").or_else(|| shape.template.clone()),
            ..volume_of(size, &shape)
        };
        let before = old.map(|old| planned(UsageType::Volume, old));
        Ok(Plan {
            after: vec![planned(UsageType::Volume, new)],
            before: before.into_iter().collect(),
            ..Plan::default()
        })
    }

    /// A destroyed VM and its root volume exist again.
    pub(super) fn recover_vm(&self) -> Result<Plan, Refusal> {
        let vm = self.wanted(VM, "id")?;
        let shape = of_vm(vm);
        let size = match self.fact(Thing::RootVolumeOf, "id") {
            Some(root) => root.number_of("size"),
            None => None,
        };
        let size = match (size, shape.template.as_deref()) {
            (Some(size), _) => size,
            (None, Some(template)) => {
                let template = self.get(Thing::Template, template);
                let size = template.and_then(|template| template.number_of("size"));
                size.map_or_else(|| self.volume_most(), Ok)?
            }
            (None, None) => self.volume_most()?,
        };
        let root = Attributes {
            template: shape.template.clone(),
            ..volume_of(size, &shape)
        };
        let after = vec![
            planned(UsageType::AllocatedVm, shape),
            planned(UsageType::Volume, root),
        ];
        let before = match vm.text_of("state") {
            Some("Destroyed" | "Expunging") | None => Vec::new(),
            Some(_) => after.clone(),
        };
        Ok(Plan {
            after,
            before,
            ..Plan::default()
        })
    }

    /// All of a VM for its new owner: CloudStack moves it with its volumes. Its NICs are metered
    /// once it runs again.
    pub(super) fn move_vm(&self) -> Result<Plan, Refusal> {
        let vm = self.wanted(VM, "virtualmachineid")?;
        let shape = of_vm(vm);
        let mut after = vec![planned(UsageType::AllocatedVm, shape.clone())];
        if vm.text_of("state") == Some("Running") {
            after.push(planned(UsageType::RunningVm, shape.clone()));
        }
        let volumes = self.items(
            Thing::VolumesOf,
            self.params.get("virtualmachineid").unwrap_or_default(),
        );
        if volumes.is_empty() {
            let what = "has no volume that is known; try again";
            return Err(refused("virtualmachineid", what));
        }
        after.extend(
            volumes
                .into_iter()
                .map(|one| planned(UsageType::Volume, of_volume(one))),
        );
        Ok(Plan::starts(after))
    }

    /// A VM that runs elsewhere: its disks as they are listed there, else at the most that a
    /// volume may have.
    pub(super) fn import_vm(&self) -> Result<Plan, Refusal> {
        let offering = self.wanted(Thing::ServiceOffering, "serviceofferingid")?;
        let there = match (self.params.get("clusterid"), self.params.get("name")) {
            (Some(cluster), Some(name)) => {
                self.get(Thing::UnmanagedVm, &format!("{cluster}/{name}"))
            }
            _ => None,
        };
        let has = |field: &str| there.and_then(|vm| vm.number_of(field));
        let vm = match (self.shape(offering), there) {
            (Ok(vm), _) => vm,
            (Err(refusal), None) => return Err(refusal),
            (Err(_), Some(_)) => Attributes {
                offering: offering.text_of("id").map(str::to_owned),
                vcpus: offering
                    .number_of("cpunumber")
                    .filter(|n| *n > 0)
                    .or(has("cpunumber")),
                memory_mib: offering
                    .number_of("memory")
                    .filter(|n| *n > 0)
                    .or(has("memory")),
                zone: self.text("zoneid"),
                count: 1,
                ..Attributes::default()
            },
        };
        let vm = Attributes {
            name: self.text("name").unwrap_or_default(),
            template: self.text("templateid"),
            ..vm
        };
        let mut plan = Plan::starts(vec![
            planned(UsageType::AllocatedVm, vm.clone()),
            planned(UsageType::RunningVm, vm.clone()),
        ]);
        let listed: Vec<i64> = there
            .map(|vm| {
                vm.all("disk")
                    .filter_map(|disk| disk.number_of("capacity"))
                    .collect()
            })
            .unwrap_or_default();
        let sizes = if listed.is_empty() {
            let map = "datadiskofferinglist";
            let data = entries(self.params, map, "diskoffering").len();
            vec![self.volume_most()?; data.saturating_add(1)]
        } else {
            listed
        };
        let disks = sizes
            .into_iter()
            .map(|size| planned(UsageType::Volume, volume_of(size, &vm)));
        plan.after.extend(disks);
        let mut networks = networks(self.params);
        networks.retain(|id| self.get(NETWORK, id).is_some());
        self.networking(&networks, &vm, &mut plan);
        Ok(plan)
    }

    /// A NIC, and the network that is implemented for it where the VM runs.
    pub(super) fn nic(&self) -> Result<Plan, Refusal> {
        let vm = of_vm(self.wanted(VM, "virtualmachineid")?);
        let mut plan = Plan::default();
        let id = self.params.get("networkid").unwrap_or_default().to_owned();
        self.networking(&[id], &vm, &mut plan);
        Ok(plan)
    }

    /// Details that set vCPUs and memory, groups, and the display flag, without which nothing of
    /// a VM is metered.
    pub(super) fn vm_details(&self) -> Result<Plan, Refusal> {
        let vm = self.wanted(VM, "id")?;
        let asked = (self.detail("cpunumber")?, self.detail("memory")?);
        let mut plan = self.resized(vm, asked)?;
        let shape = of_vm(vm);
        plan.after.extend(self.groups(&shape));
        if self.says("displayvm") && vm.text_of("displayvm") != Some("true") {
            plan.before.retain(|one| {
                !matches!(
                    one.usage_type,
                    UsageType::AllocatedVm | UsageType::RunningVm
                )
            });
        }
        Ok(plan)
    }

    /// `details[i].key` and `.value` of a VM; details of anything else have no price.
    pub(super) fn resource_detail(&self) -> Result<Plan, Refusal> {
        let kind = self.params.get("resourcetype").unwrap_or_default();
        let is_vm = ["uservm", "virtualmachine", "vm"]
            .iter()
            .any(|name| kind.eq_ignore_ascii_case(name));
        if !is_vm {
            return Ok(Plan::default());
        }
        let value = |wanted: &str| -> Result<Option<&str>, Refusal> {
            let mut found = None;
            for (at, key) in entries(self.params, "details", "key") {
                let value = self.params.get(&format!("{at}value"));
                if key == wanted && found.replace(value.unwrap_or_default()).is_some() {
                    return Err(refused(
                        &format!("{at}key"),
                        "stands there twice; send it once",
                    ));
                }
            }
            Ok(found)
        };
        let asked = (value("cpunumber")?, value("memory")?);
        if asked == (None, None) {
            return Ok(Plan::default());
        }
        let id = self
            .params
            .get("resourceid")
            .unwrap_or_default()
            .to_ascii_lowercase();
        let vm = self
            .get(VM, &id)
            .ok_or_else(|| refused("resourceid", "names no VM that is known"))?;
        self.resized(vm, asked)
    }

    /// A VM with other vCPUs or memory, as it would be and as it is.
    fn resized(
        &self,
        vm: &Node,
        (vcpus, memory): (Option<&str>, Option<&str>),
    ) -> Result<Plan, Refusal> {
        let old = of_vm(vm);
        let new = Attributes {
            vcpus: self.number("details.cpuNumber", vcpus)?.or(old.vcpus),
            memory_mib: self.number("details.memory", memory)?.or(old.memory_mib),
            ..old.clone()
        };
        let of = |shape: Attributes| -> Vec<Planned> {
            let mut meters = vec![planned(UsageType::AllocatedVm, shape.clone())];
            if vm.text_of("state") == Some("Running") {
                meters.push(planned(UsageType::RunningVm, shape));
            }
            meters
        };
        Ok(Plan {
            after: of(new),
            before: of(old),
            ..Plan::default()
        })
    }

    /// The VM may run after it.
    pub(super) fn revert_vm(&self) -> Result<Plan, Refusal> {
        let snapshot = self.wanted(Thing::Owned(Parent::VmSnapshot), "vmsnapshotid")?;
        let vm = snapshot.text_of("virtualmachineid");
        let vm = vm.and_then(|id| self.get(VM, id));
        let vm = vm.ok_or_else(|| refused("vmsnapshotid", "is of no VM that is known"))?;
        self.start_of(vm)
    }

    /// The first start that a schedule brings.
    pub(super) fn vm_schedule(&self) -> Result<Plan, Refusal> {
        let starts = self
            .params
            .get("action")
            .is_some_and(|action| action.eq_ignore_ascii_case("start"));
        if !starts {
            return Ok(Plan::default());
        }
        let vm = self.wanted(VM, "virtualmachineid")?;
        let start = self.start_of(vm)?;
        let rule = Rule {
            kind: RuleKind::VmSchedule,
            id: None,
            of: vm.text_of("id").unwrap_or_default().to_owned(),
            least: 0,
            most: 1,
            besides: 0,
            unit: start.after.clone(),
        };
        Ok(Plan {
            rules: vec![rule],
            ..start.later()
        })
    }
}

/// Sizes of the volumes that a backup holds, and which is the root; all as one where it does not
/// list them.
pub(super) fn disks_of(backup: &Node) -> Result<Vec<(bool, i64)>, Refusal> {
    let listed = backup.text_of("volumes").unwrap_or_default();
    let listed: serde_json::Value = serde_json::from_str(listed).unwrap_or_default();
    let mut disks = Vec::new();
    for volume in listed.as_array().into_iter().flatten() {
        let is_root = volume.get("type").and_then(serde_json::Value::as_str) == Some("ROOT");
        if let Some(size) = volume.get("size").and_then(serde_json::Value::as_i64) {
            disks.push((is_root, size));
        }
    }
    let all = ["virtualsize", "size"]
        .iter()
        .find_map(|name| backup.number_of(name));
    match (disks.is_empty(), all.filter(|size| *size > 0)) {
        (false, _) => Ok(disks),
        (true, Some(size)) => Ok(vec![(true, size)]),
        (true, None) => Err(refused(
            "backupid",
            "is a backup whose size is not known yet",
        )),
    }
}
