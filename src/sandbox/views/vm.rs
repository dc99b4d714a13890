//! Edge: a VM as the API shows it.

use super::{Shown, printed};
use crate::sandbox::cloud::Cloud;
use crate::sandbox::fixed;
use crate::sandbox::records::{Nic, Vm};
use serde_json::{Value, json};

/// What a VM in the middle of its life shows, with what only root admin sees.
#[must_use]
pub fn vm(cloud: &Cloud, vm: &Vm, for_root: bool) -> Value {
    let mut out = Shown::new();
    out.put("id", vm.id.as_str())
        .put("name", vm.name.as_str())
        .put("displayname", vm.display.as_str());
    let owner = cloud.accounts.find(&vm.account);
    if owner.is_some_and(|owner| owner.project.is_none()) {
        out.owner_name(cloud, &vm.account);
    }
    let user = cloud
        .users
        .find(&vm.user)
        .map_or("", |user| user.name.as_str());
    out.put("userid", vm.user.as_str()).put("username", user);
    if owner.is_some_and(|owner| owner.project.is_some()) {
        out.owner_name(cloud, &vm.account);
    }
    out.owner_domain(cloud, &vm.account)
        .put("created", printed(vm.created))
        .put("lastupdated", vm.updated.map(printed))
        .put("state", vm.state.as_str())
        .put("haenable", false)
        .zone();
    placement(&mut out, vm, for_root);
    template(&mut out);
    offering(&mut out, cloud, vm);
    out.put("guestosid", fixed::text("template", "ostypeid"))
        .put("rootdeviceid", 0)
        .put("rootdevicetype", "ROOT")
        .none("securitygroup");
    let nics = vm.nics.iter().enumerate();
    let nics: Vec<Value> = nics
        .map(|(place, card)| nic(cloud, vm, card, place))
        .collect();
    out.put("nic", nics).put("hypervisor", "Simulator");
    if let Some(address) = vm.nics.first().and_then(|nic| nic.ip.as_deref()) {
        out.put("ipaddress", address);
    }
    if for_root {
        let owner = owner.map_or(0, |owner| owner.number);
        out.put("instancename", format!("i-{owner}-{}-VM", vm.number));
    }
    tail(&mut out, cloud, vm, for_root);
    out.done()
}

fn placement(out: &mut Shown, vm: &Vm, for_root: bool) {
    if vm.state != "Running" && vm.state != "Stopping" {
        return;
    }
    if for_root {
        out.put("hostid", "f1a4f96d-0015-46cd-be5d-418631735d08")
            .put(
                "hostname",
                "SimulatedAgent.555a432a-fba9-4e48-b4a8-5c70f0163343",
            );
    }
    out.put("hostcontrolstate", "Enabled");
}

fn template(out: &mut Shown) {
    let name = fixed::text("template", "name");
    out.put("templateid", fixed::template_id())
        .put("templatename", name)
        .put("templatetype", fixed::text("template", "templatetype"))
        .put("templateformat", fixed::text("template", "format"))
        .put("templatedisplaytext", name)
        .put("passwordenabled", false);
}

fn offering(out: &mut Shown, cloud: &Cloud, vm: &Vm) {
    let name = cloud
        .offerings
        .find(&vm.offering)
        .map_or("", |o| o.name.as_str());
    let size = cloud.size_of(vm);
    out.put("serviceofferingid", vm.offering.as_str())
        .put("serviceofferingname", name)
        .put("cpunumber", size.cpus)
        .put("cpuspeed", size.speed)
        .put("memory", size.memory);
}

fn tail(out: &mut Shown, cloud: &Cloud, vm: &Vm, for_root: bool) {
    let mut details = json!({});
    for (name, value) in &vm.details {
        details[name.as_str()] = json!(value);
    }
    out.put("details", details);
    if !for_root {
        out.put("readonlydetails", "dataDiskController, rootDiskController");
    }
    out.none("affinitygroup");
    if for_root {
        out.put("displayvm", true);
    }
    out.put("isdynamicallyscalable", vm.is_scalable)
        .put("deleteprotection", false)
        .put("ostypeid", fixed::text("template", "ostypeid"))
        .put("osdisplayname", fixed::text("template", "ostypename"));
    if let Some(pair) = &vm.keypair {
        out.put("keypairs", pair.as_str());
    }
    if vm.state == "Running" {
        out.put("bootmode", "legacy").put("boottype", "Bios");
    }
    if vm.was_started {
        out.put("pooltype", "NetworkFilesystem");
    }
    out.put("receivedbytes", 0).put("sentbytes", 0);
    if for_root {
        out.put("arch", "x86_64");
    }
    let owner = cloud.accounts.find(&vm.account);
    let account = owner.map_or("", |owner| owner.name.as_str());
    let tags = vm.tags.iter().map(|(key, value)| {
        json!({ "key": key, "value": value, "resourcetype": "UserVm", "resourceid": vm.id,
            "account": account })
    });
    out.put("tags", tags.collect::<Vec<Value>>())
        .put("hasannotations", false);
}

/// A NIC.
#[must_use]
pub fn nic(cloud: &Cloud, vm: &Vm, nic: &Nic, place: usize) -> Value {
    let mut out = Shown::new();
    let network = cloud.networks.find(&nic.network);
    let name = network.map_or("", |network| network.name.as_str());
    let number = network.map_or(0, |network| network.number);
    let is_l2 = network.is_some_and(|network| network.is_l2);
    out.put("id", nic.id.as_str())
        .put("networkid", nic.network.as_str())
        .put("networkname", name);
    if let Some(address) = &nic.ip {
        out.put("netmask", "255.255.255.0")
            .put("gateway", "10.1.1.1")
            .put("ipaddress", address.as_str());
    }
    if vm.state == "Running" || vm.state == "Stopping" {
        let vlan = format!("vlan://{}", 100 + number % 3_900);
        out.put("isolationuri", vlan.as_str())
            .put("broadcasturi", vlan);
    }
    out.put("traffictype", "Guest")
        .put("type", if is_l2 { "L2" } else { "Isolated" })
        .put("isdefault", place == 0)
        .put("macaddress", nic.mac.as_str())
        .none("secondaryip")
        .none("extradhcpoption")
        .put("deviceid", place.to_string());
    out.done()
}

/// What is left to show of a VM that is expunged.
#[must_use]
pub fn expunged() -> Value {
    json!({
        "securitygroup": [],
        "nic": [],
        "affinitygroup": [],
        "deleteprotection": false,
        "tags": [],
    })
}
