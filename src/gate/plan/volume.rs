//! Pure: what a volume costs that is created, resized, uploaded, recovered, moved or taken in.

use super::call::{bytes, refused};
use super::shape::{of_volume, planned, sized};
use super::{Call, Plan, SNAPSHOT, Thing, VOLUME};
use crate::cloudstack::usage_type::UsageType;
use crate::gate::refusal::Refusal;
use crate::meter::resource::Attributes;

impl Call<'_> {
    pub(super) fn volume(&self) -> Result<Plan, Refusal> {
        let snapshot = self.fact(SNAPSHOT, "snapshotid");
        let source = snapshot.and_then(|snapshot| snapshot.number_of("virtualsize"));
        let asked = self.number_in("size")?;
        let disk = self.fact(Thing::DiskOffering, "diskofferingid");
        let fixed = disk.and_then(|disk| disk.number_of("disksize"));
        let gib = asked.into_iter().chain(fixed).max().unwrap_or(0);
        let size = bytes("size", gib)?.max(source.unwrap_or(0));
        if size == 0 {
            return Err(refused("size", "is missing, and the price hangs on it"));
        }
        let attributes = Attributes {
            name: self.text("name").unwrap_or_default(),
            offering: self.text("diskofferingid"),
            zone: self
                .params
                .get("zoneid")
                .or_else(|| snapshot.and_then(|snapshot| snapshot.text_of("zoneid")))
                .map(str::to_owned),
            size_bytes: Some(size),
            count: 1,
            ..Attributes::default()
        };
        Ok(Plan::starts(vec![planned(UsageType::Volume, attributes)]))
    }

    /// A volume takes its new offering's size, else the size asked for, else it keeps its own.
    pub(super) fn resize(&self) -> Result<Plan, Refusal> {
        let old = of_volume(self.first_of(VOLUME, ["id", "volumeid"])?);
        let asked = self.number_in("size")?;
        let disk = ["diskofferingid", "newdiskofferingid"]
            .iter()
            .find_map(|name| self.fact(Thing::DiskOffering, name));
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

    /// On secondary storage, as large as an upload may be.
    pub(super) fn upload(&self) -> Result<Plan, Refusal> {
        let most = self.setting("storage.max.volume.upload.size", 500)?;
        let mut volume = sized(UsageType::VolumeSecondary, most, self.text("zoneid"));
        volume.attributes.name = self.text("name").unwrap_or_default();
        volume.attributes.offering = self.text("diskofferingid");
        Ok(Plan::starts(vec![volume]))
    }

    /// A volume as it is: recovered, for a new owner, or displayed and so metered.
    pub(super) fn take_volume(&self) -> Result<Plan, Refusal> {
        let volume = of_volume(self.first_of(VOLUME, ["id", "volumeid"])?);
        if self.params.get("displayvolume") == Some("false") {
            return Ok(Plan::default());
        }
        Ok(Plan::starts(vec![planned(UsageType::Volume, volume)]))
    }

    /// A volume that lies on a storage already: its size there, else the most that one may have.
    pub(super) fn import_volume(&self) -> Result<Plan, Refusal> {
        let there = match (self.params.get("storageid"), self.params.get("path")) {
            (Some(storage), Some(path)) => {
                self.get(Thing::UnmanagedVolume, &format!("{storage}/{path}"))
            }
            _ => None,
        };
        let size = there
            .and_then(|volume| volume.number_of("virtualsize").or(volume.number_of("size")))
            .filter(|size| *size > 0);
        let size = size.map_or_else(|| self.volume_most(), Ok)?;
        let mut volume = sized(UsageType::Volume, size, None);
        volume.attributes.offering = self.text("diskofferingid");
        Ok(Plan::starts(vec![volume]))
    }

    /// The volume takes the size that it had at its snapshot; never priced below its own.
    pub(super) fn revert_snapshot(&self) -> Result<Plan, Refusal> {
        let snapshot = self.wanted(SNAPSHOT, "id")?;
        let volume = snapshot.text_of("volumeid");
        let volume = volume.and_then(|id| self.get(VOLUME, id));
        let volume = volume.ok_or_else(|| refused("id", "is of no volume that is known"))?;
        let old = of_volume(volume);
        let then = snapshot.number_of("virtualsize").unwrap_or(0);
        let new = Attributes {
            size_bytes: Some(old.size_bytes.unwrap_or(0).max(then)),
            ..old.clone()
        };
        Ok(Plan {
            after: vec![planned(UsageType::Volume, new)],
            before: vec![planned(UsageType::Volume, old)],
        })
    }
}
