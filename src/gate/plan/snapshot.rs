//! Pure: what snapshots of volumes and of VMs cost: at most what they are taken of.

use super::call::refused;
use super::shape::{of_volume, size_of, sized, times};
use super::{Call, Plan, SNAPSHOT, Thing, VM, VOLUME};
use crate::cloudstack::usage_type::UsageType;
use crate::gate::refusal::Refusal;
use crate::meter::commitment::Rule;
use crate::policy::commitment::RuleKind;
use crate::rate::Planned;

const MIB: i64 = 1 << 20;

impl Call<'_> {
    /// The volume's size is the most that a snapshot can have; each further zone and each storage
    /// holds a copy.
    pub(super) fn snapshot(&self) -> Result<Plan, Refusal> {
        let volume = of_volume(self.wanted(VOLUME, "volumeid")?);
        let size = volume
            .size_bytes
            .ok_or_else(|| refused("volumeid", "has no size yet; try again"))?;
        let own = volume.zone.clone();
        let mut copies = self.list("zoneids");
        copies.retain(|zone| own.as_ref() != Some(zone));
        let stores = self.list("storageids");
        let stores = stores.iter().map(|_| own.clone());
        let zones = std::iter::once(own.clone())
            .chain(copies.into_iter().map(Some))
            .chain(stores);
        Ok(Plan::starts(
            zones.map(|zone| self.named_snapshot(size, zone)).collect(),
        ))
    }

    fn named_snapshot(&self, size: i64, zone: Option<String>) -> Planned {
        let mut snapshot = sized(UsageType::Snapshot, size, zone);
        snapshot.attributes.name = self.text("name").unwrap_or_default();
        snapshot
    }

    /// One more for each zone and storage named, one where none is.
    pub(super) fn copy_snapshot(&self) -> Result<Plan, Refusal> {
        let snapshot = self.wanted(SNAPSHOT, "id")?;
        let size = ["virtualsize", "physicalsize"]
            .iter()
            .find_map(|name| snapshot.number_of(name).filter(|size| *size > 0))
            .ok_or_else(|| refused("id", "has no size yet; try again"))?;
        let own = snapshot.text_of("zoneid").map(str::to_owned);
        let single = self.text("destzoneid");
        let mut zones: Vec<Option<String>> = self
            .list("destzoneids")
            .into_iter()
            .chain(single)
            .map(Some)
            .collect();
        zones.extend(self.list("storageids").iter().map(|_| own.clone()));
        if zones.is_empty() {
            zones.push(own);
        }
        Ok(Plan::starts(
            zones
                .into_iter()
                .map(|zone| self.named_snapshot(size, zone))
                .collect(),
        ))
    }

    /// As many as the policy keeps, in each zone.
    pub(super) fn snapshot_policy(&self) -> Result<Plan, Refusal> {
        let kept = self.number_in("maxsnaps")?.unwrap_or(1);
        let volume = self.params.get("volumeid").unwrap_or_default();
        let every = self.params.get("intervaltype").unwrap_or_default();
        let rule = Rule {
            kind: RuleKind::SnapshotPolicy,
            id: None,
            of: format!("{volume}/{}", every.to_ascii_uppercase()),
            least: 0,
            most: kept,
            besides: 0,
            unit: self.snapshot()?.after,
        };
        Plan::standing(rule, |how| {
            let mut plan = self.snapshot()?;
            for one in &mut plan.after {
                *one = times(one, how.pieces(0, 0, kept), "maxsnaps")?;
            }
            Ok(plan.later())
        })
    }

    /// One for each volume, and all of them on primary storage, with the memory where asked.
    pub(super) fn vm_snapshot(&self) -> Result<Plan, Refusal> {
        let name = "virtualmachineid";
        let vm = self.wanted(VM, name)?;
        let zone = vm.text_of("zoneid").map(str::to_owned);
        let volumes = self.items(Thing::VolumesOf, self.params.get(name).unwrap_or_default());
        let mut primary = size_of(&volumes, name)?;
        let sizes = volumes.iter().filter_map(|one| one.number_of("size"));
        let mut after: Vec<Planned> = sizes
            .map(|size| sized(UsageType::VmSnapshot, size, zone.clone()))
            .collect();
        if self.says("snapshotmemory") {
            let memory = vm.number_of("memory").unwrap_or(0).checked_mul(MIB);
            primary = memory
                .and_then(|memory| primary.checked_add(memory))
                .ok_or_else(|| refused(name, "is too large"))?;
        }
        after.push(sized(UsageType::VmSnapshotOnPrimary, primary, zone));
        Ok(Plan::starts(after))
    }
}
