//! Pure: what a shared file system costs: the machine that serves it, its root volume and the
//! volume that holds the files.

use super::call::{bytes, refused};
use super::shape::{planned, volume_of};
use super::{Call, Plan, Thing};
use crate::cloudstack::command::Parent;
use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::gate::refusal::Refusal;
use crate::meter::resource::Attributes;
use crate::rate::Planned;

const SHARED_FS: Thing = Thing::Owned(Parent::SharedFs);

impl Call<'_> {
    /// All of one that is created, or of one that is recovered: as its listing says.
    pub(super) fn shared_fs(&self) -> Result<Plan, Refusal> {
        let there = self.fact(SHARED_FS, "id");
        let vm = self.server(there)?;
        let mut plan = Plan::starts(vec![planned(UsageType::AllocatedVm, vm.clone())]);
        if there.is_none() {
            plan.after.push(planned(UsageType::RunningVm, vm.clone()));
            let network = self.text("networkid");
            self.networking(network.as_slice(), &vm, &mut plan);
        }
        plan.after
            .push(planned(UsageType::Volume, self.server_root(&vm)?));
        plan.after
            .push(planned(UsageType::Volume, self.files(there, &vm)?));
        Ok(plan)
    }

    /// Its machine runs.
    pub(super) fn shared_fs_start(&self) -> Result<Plan, Refusal> {
        let there = self.wanted(SHARED_FS, "id")?;
        let vm = self.server(Some(there))?;
        let mut plan = Plan::starts(vec![planned(UsageType::RunningVm, vm.clone())]);
        let network = there.text_of("networkid").map(str::to_owned);
        self.networking(network.as_slice(), &vm, &mut plan);
        Ok(plan)
    }

    /// Another size of its volume or of its machine.
    pub(super) fn shared_fs_change(&self) -> Result<Plan, Refusal> {
        let there = self.wanted(SHARED_FS, "id")?;
        if self.params.get("serviceofferingid").is_none() {
            let vm = Attributes {
                zone: there.text_of("zoneid").map(str::to_owned),
                ..Attributes::default()
            };
            let old = Attributes {
                offering: there.text_of("diskofferingid").map(str::to_owned),
                ..volume_of(has_bytes(there).unwrap_or(0), &vm)
            };
            return Ok(Plan {
                after: vec![planned(UsageType::Volume, self.files(Some(there), &vm)?)],
                before: vec![planned(UsageType::Volume, old)],
            });
        }
        let runs = there.text_of("state") == Some("Ready");
        let of = |offering: &Node| -> Result<Vec<Planned>, Refusal> {
            let shape = Attributes {
                zone: there.text_of("zoneid").map(str::to_owned),
                ..self.shape(offering)?
            };
            let mut meters = vec![planned(UsageType::AllocatedVm, shape.clone())];
            if runs {
                meters.push(planned(UsageType::RunningVm, shape));
            }
            Ok(meters)
        };
        let old = there.text_of("serviceofferingid");
        let old = old.and_then(|id| self.get(Thing::ServiceOffering, id));
        Ok(Plan {
            after: of(self.wanted(Thing::ServiceOffering, "serviceofferingid")?)?,
            before: old.map(of).transpose()?.unwrap_or_default(),
        })
    }

    fn server(&self, there: Option<&Node>) -> Result<Attributes, Refusal> {
        let id = there.and_then(|fs| fs.text_of("serviceofferingid"));
        let id = id
            .or(self.params.get("serviceofferingid"))
            .unwrap_or_default();
        let offering = self.get(Thing::ServiceOffering, id);
        let offering = offering.ok_or_else(|| {
            refused(
                "serviceofferingid",
                "is not known, and the price hangs on it",
            )
        })?;
        let text = |name: &str| there.and_then(|fs| fs.text_of(name)).map(str::to_owned);
        Ok(Attributes {
            name: text("name")
                .or_else(|| self.text("name"))
                .unwrap_or_default(),
            zone: text("zoneid").or_else(|| self.text("zoneid")),
            ..self.shape(offering)?
        })
    }

    /// The root volume has the size of the system's own template, which no list shows: the most
    /// that a template may have.
    fn server_root(&self, vm: &Attributes) -> Result<Attributes, Refusal> {
        let offering = vm.offering.as_deref().unwrap_or_default();
        let offering = self.get(Thing::ServiceOffering, offering);
        let fixed = offering
            .and_then(|one| one.number_of("rootdisksize"))
            .unwrap_or(0);
        let size = bytes("serviceofferingid", fixed)?.max(self.template_most()?);
        Ok(volume_of(size, vm))
    }

    fn files(&self, there: Option<&Node>, vm: &Attributes) -> Result<Attributes, Refusal> {
        let listed = there.and_then(|fs| fs.text_of("diskofferingid"));
        let id = self
            .params
            .get("diskofferingid")
            .or(listed)
            .unwrap_or_default();
        let disk = self.get(Thing::DiskOffering, id);
        let fixed = disk
            .and_then(|disk| disk.number_of("disksize"))
            .filter(|gib| *gib > 0);
        let asked = fixed.into_iter().chain(self.number_in("size")?).max();
        let size = match (asked, there.and_then(has_bytes)) {
            (Some(gib), has) => bytes("size", gib)?.max(has.unwrap_or(0)),
            (None, Some(has)) => has,
            (None, None) => return Err(refused("size", "is missing, and the price hangs on it")),
        };
        Ok(Attributes {
            offering: Some(id.to_owned()),
            ..volume_of(size, vm)
        })
    }
}

/// Bytes of the volume, as a listing says: `size` in bytes, else `sizegb`.
fn has_bytes(there: &Node) -> Option<i64> {
    let size = there.number_of("size").filter(|size| *size > 0);
    size.or_else(|| there.number_of("sizegb")?.checked_mul(1 << 30))
}
