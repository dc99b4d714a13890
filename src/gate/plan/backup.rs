//! Pure: what backups cost, and what is made from them.

use super::call::refused;
use super::machine::disks_of;
use super::shape::{of_vm, of_volume, planned, size_of, sized, volume_of};
use super::{BACKUP, Call, Plan, Thing, VM};
use crate::cloudstack::usage_type::UsageType;
use crate::gate::refusal::Refusal;
use crate::meter::commitment::Rule;
use crate::meter::resource::Attributes;
use crate::policy::commitment::RuleKind;
use crate::rate::Planned;
use crate::terms::ids::ResourceId;

impl Call<'_> {
    /// The VM is backed up from now on.
    pub(super) fn backup_offering(&self) -> Result<Plan, Refusal> {
        let vm = self.wanted(VM, "virtualmachineid")?;
        let offering = self.text("backupofferingid");
        let size = self.size_of_vm()?;
        Ok(Plan::starts(vec![backup_of(
            vm.text_of("id"),
            &of_vm(vm),
            offering,
            size,
        )]))
    }

    /// As many as are kept (one where the call says nothing), each as large as the VM; the backup
    /// of the VM costs already.
    pub(super) fn backup(&self) -> Result<Plan, Refusal> {
        let vm = self.wanted(VM, "virtualmachineid")?;
        let offering = vm.text_of("backupofferingid").map(str::to_owned);
        let kept = self.count_in("maxbackups")?.unwrap_or(1).max(1);
        let one = self.size_of_vm()?;
        let of = |size| backup_of(vm.text_of("id"), &of_vm(vm), offering.clone(), size);
        let plan = |count: i64| {
            let size = one
                .checked_mul(count)
                .ok_or_else(|| refused("maxbackups", "is too large"))?;
            Ok(Plan {
                after: vec![of(size)],
                before: vec![of(0)],
                ..Plan::default()
            })
        };
        if self.params.get("schedule").is_none() {
            return plan(kept);
        }
        // The backup of a schedule comes later.
        let every = self.params.get("intervaltype").unwrap_or_default();
        let rule = Rule {
            kind: RuleKind::BackupSchedule,
            id: None,
            of: format!(
                "{}/{}",
                vm.text_of("id").unwrap_or_default(),
                every.to_ascii_uppercase()
            ),
            least: 0,
            most: kept,
            besides: 0,
            unit: vec![of(one)],
        };
        Plan::standing(rule, |how| Ok(plan(how.pieces(0, 0, kept))?.later()))
    }

    fn size_of_vm(&self) -> Result<i64, Refusal> {
        let name = "virtualmachineid";
        let volumes = self.items(Thing::VolumesOf, self.params.get(name).unwrap_or_default());
        size_of(&volumes, name)
    }

    /// The volumes of the VM grow at most to what the backup holds; a VM that is gone exists
    /// again.
    pub(super) fn restore_backup(&self) -> Result<Plan, Refusal> {
        let backup = self.wanted(BACKUP, "id")?;
        let id = backup.text_of("virtualmachineid").unwrap_or_default();
        let vm = self.get(VM, id);
        let shape = vm.map(of_vm).unwrap_or_default();
        let zone = shape
            .zone
            .clone()
            .or(backup.text_of("zoneid").map(str::to_owned));
        let has = self.items(Thing::VolumesOf, id);
        let before: Vec<Planned> = has
            .iter()
            .map(|one| planned(UsageType::Volume, of_volume(one)))
            .collect();
        let mut after = before.clone();
        for (at, (_, size)) in disks_of(backup)?.into_iter().enumerate() {
            match after.get_mut(at) {
                Some(volume) => {
                    let has = volume.attributes.size_bytes.unwrap_or(0);
                    volume.attributes.size_bytes = Some(has.max(size));
                }
                None => after.push(sized(UsageType::Volume, size, zone.clone())),
            }
        }
        let gone = vm.is_some_and(|vm| vm.text_of("state") == Some("Destroyed"));
        if gone {
            after.push(planned(UsageType::AllocatedVm, shape));
        }
        Ok(Plan {
            after,
            before,
            ..Plan::default()
        })
    }

    /// One volume: as large as the backup holds it, else as all that it holds.
    pub(super) fn restore_volume(&self) -> Result<Plan, Refusal> {
        let backup = self.wanted(BACKUP, "backupid")?;
        let vm = of_vm(self.wanted(VM, "virtualmachineid")?);
        let sizes = disks_of(backup)?.into_iter().map(|(_, size)| size);
        let size = sizes.max().unwrap_or(0);
        Ok(Plan::starts(vec![planned(
            UsageType::Volume,
            volume_of(size, &vm),
        )]))
    }
}

fn backup_of(id: Option<&str>, vm: &Attributes, offering: Option<String>, size: i64) -> Planned {
    let mut backup = sized(UsageType::Backup, size, vm.zone.clone());
    backup.attributes.name.clone_from(&vm.name);
    backup.attributes.offering = offering;
    backup.attributes.vm = id.map(ResourceId::from);
    backup
}
