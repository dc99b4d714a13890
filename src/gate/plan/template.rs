//! Pure: what templates and ISOs cost: what they are made from, or the most that a download may
//! have, in each zone.

use super::call::refused;
use super::shape::{size_of, sized};
use super::{Call, Plan, SNAPSHOT, Thing, VM, VOLUME};
use crate::cloudstack::usage_type::UsageType;
use crate::gate::refusal::Refusal;
use crate::rate::Planned;

impl Call<'_> {
    /// Registered, or uploaded by the browser: its size is known when it is there. `-1` stands
    /// for every zone.
    pub(super) fn template(&self) -> Result<Plan, Refusal> {
        let command = self.params.command();
        let kind = if command.ends_with("Iso") {
            UsageType::Iso
        } else {
            UsageType::Template
        };
        let most = self.template_most()?;
        let single = self.text("zoneid");
        let mut zones: Vec<String> = self.list("zoneids").into_iter().chain(single).collect();
        if zones.is_empty() || zones.iter().any(|zone| zone == "-1") {
            let all = self.items(Thing::Zones, "all");
            let ids = all.iter().filter_map(|zone| zone.text_of("id"));
            zones = ids.map(str::to_owned).collect();
        }
        if zones.is_empty() {
            return Err(refused("zoneid", "is missing, and no zone is known"));
        }
        let one = |zone| self.named_template(kind, most, zone);
        Ok(Plan::starts(zones.into_iter().map(Some).map(one).collect()))
    }

    fn named_template(&self, kind: UsageType, size: i64, zone: Option<String>) -> Planned {
        let mut template = sized(kind, size, zone);
        template.attributes.name = self.text("name").unwrap_or_default();
        template
    }

    pub(super) fn template_from(&self) -> Result<Plan, Refusal> {
        let source = self
            .fact(VOLUME, "volumeid")
            .or_else(|| self.fact(SNAPSHOT, "snapshotid"));
        let size = match source {
            Some(source) => ["size", "virtualsize"]
                .iter()
                .find_map(|name| source.number_of(name)),
            None => None,
        };
        let size = match (size, self.params.get("virtualmachineid")) {
            (Some(size), _) => size,
            (None, Some(vm)) => size_of(&self.items(Thing::VolumesOf, vm), "virtualmachineid")?,
            (None, None) => self.template_most()?,
        };
        let vm = self.fact(VM, "virtualmachineid");
        let zone = source.or(vm).and_then(|source| source.text_of("zoneid"));
        let zone = zone.map(str::to_owned).or_else(|| self.text("zoneid"));
        Ok(Plan::starts(vec![self.named_template(
            UsageType::Template,
            size,
            zone,
        )]))
    }

    pub(super) fn copy_template(&self) -> Result<Plan, Refusal> {
        let template = self.wanted(Thing::Template, "id")?;
        let kind = if template.name == "iso" {
            UsageType::Iso
        } else {
            UsageType::Template
        };
        let size = match template.number_of("size").filter(|size| *size > 0) {
            Some(size) => size,
            None => self.template_most()?,
        };
        let single = self.text("destzoneid");
        let zones: Vec<String> = self.list("destzoneids").into_iter().chain(single).collect();
        if zones.is_empty() {
            return Err(refused(
                "destzoneids",
                "is missing, and the price hangs on it",
            ));
        }
        let one = |zone| self.named_template(kind, size, zone);
        Ok(Plan::starts(zones.into_iter().map(Some).map(one).collect()))
    }
}
