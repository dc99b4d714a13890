//! Edge: volumes, snapshots, disk and service offerings as the API shows them.

use super::{Shown, printed};
use crate::sandbox::cloud::Cloud;
use crate::sandbox::fixed;
use crate::sandbox::records::{DiskOffering, Offering, Snapshot, Volume};
use serde_json::Value;

/// A volume.
#[must_use]
pub fn volume(cloud: &Cloud, volume: &Volume) -> Value {
    let mut out = Shown::new();
    out.put("id", volume.id.as_str())
        .put("name", volume.name.as_str())
        .zone();
    out.put("type", if volume.is_root { "ROOT" } else { "DATADISK" });
    let vm = volume.vm.as_deref().and_then(|id| cloud.vms.find(id));
    if let Some(vm) = vm {
        out.put("deviceid", volume.device)
            .put("virtualmachineid", vm.id.as_str());
    }
    if volume.template.is_some() {
        let name = fixed::text("template", "name");
        out.put("templateid", fixed::template_id())
            .put("templatename", name)
            .put("templatedisplaytext", name);
    }
    if let Some(vm) = vm {
        out.put("vmname", vm.name.as_str())
            .put("vmdisplayname", vm.display.as_str())
            .put("vmstate", vm.state.as_str())
            .put("vmtype", "User");
    }
    out.put("provisioningtype", "thin")
        .put("size", volume.size)
        .put("created", printed(volume.created))
        .put("state", volume.state.as_str())
        .owner(cloud, &volume.account);
    if vm.is_some_and(|vm| vm.was_started) {
        for name in ["diskkbsread", "diskkbswrite", "diskioread", "diskiowrite"] {
            out.put(name, 0);
        }
    }
    if let Some(offering) = volume
        .offering
        .as_deref()
        .and_then(|id| cloud.disk_offerings.find(id))
    {
        out.put("diskofferingid", offering.id.as_str())
            .put("diskofferingname", offering.name.as_str())
            .put("diskofferingdisplaytext", offering.text.as_str());
    }
    if !volume.is_root {
        out.put("attached", volume.attached.map(printed));
    }
    out.put("destroyed", volume.state == "Destroy");
    if let Some(vm) = vm.filter(|_| volume.is_root)
        && let Some(offering) = cloud.offerings.find(&vm.offering)
    {
        out.put("serviceofferingid", offering.number.to_string())
            .put("serviceofferingname", offering.name.as_str())
            .put("serviceofferingdisplaytext", offering.text.as_str());
    }
    out.put("isextractable", !volume.is_root)
        .put("quiescevm", false)
        .put("supportsstoragesnapshot", false)
        .put("deleteprotection", false)
        .none("tags")
        .put("hasannotations", false);
    out.done()
}

/// A snapshot.
#[must_use]
pub fn snapshot(cloud: &Cloud, snapshot: &Snapshot) -> Value {
    let mut out = Shown::new();
    out.put("id", snapshot.id.as_str())
        .owner(cloud, &snapshot.account);
    let every = match snapshot.every.as_str() {
        "" => "MANUAL",
        every => every,
    };
    out.put(
        "snapshottype",
        if snapshot.every.is_empty() {
            "MANUAL"
        } else {
            "RECURRING"
        },
    )
    .put("volumeid", snapshot.volume.as_str());
    if let Some(volume) = cloud.volumes.find(&snapshot.volume) {
        out.put("volumename", volume.name.as_str())
            .put(
                "volumetype",
                if volume.is_root { "ROOT" } else { "DATADISK" },
            )
            .put("volumestate", volume.state.as_str());
    }
    out.put("created", printed(snapshot.created))
        .put("name", snapshot.name.as_str())
        .put("intervaltype", every)
        .put("state", snapshot.state.as_str())
        .put("physicalsize", 0)
        .zone()
        .put("revertable", false)
        .put("ostypeid", fixed::text("template", "ostypeid"))
        .put("osdisplayname", fixed::text("template", "ostypename"))
        .put("virtualsize", snapshot.size)
        .none("tags")
        .put("hasannotations", false);
    out.done()
}

/// A service offering.
#[must_use]
pub fn service_offering(offering: &Offering) -> Value {
    let recorded = if offering.size.is_some() {
        "serviceoffering"
    } else {
        "serviceoffering.custom"
    };
    let mut out = Shown::like(fixed::recorded(recorded));
    out.put("id", offering.id.as_str())
        .put("name", offering.name.as_str())
        .put("displaytext", offering.text.as_str());
    if let Some(size) = offering.size {
        out.put("cpunumber", size.cpus)
            .put("cpuspeed", size.speed)
            .put("memory", size.memory);
    }
    out.put("created", printed(offering.created))
        .put("diskofferingid", offering.disk.as_str())
        .put("diskofferingname", offering.name.as_str())
        .put("diskofferingdisplaytext", offering.text.as_str());
    out.done()
}

/// A disk offering.
#[must_use]
pub fn disk_offering(offering: &DiskOffering) -> Value {
    let mut out = Shown::like(fixed::recorded("diskoffering"));
    out.put("id", offering.id.as_str())
        .put("name", offering.name.as_str())
        .put("displaytext", offering.text.as_str())
        .put("disksize", offering.gib)
        .put("created", printed(offering.created))
        .put("iscustomized", offering.gib == 0);
    out.done()
}
