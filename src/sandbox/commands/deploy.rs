//! Edge: a deploy: what it checks, and the VM that is there from then on, whatever its job does.

use super::event::note;
use super::vm::new_size;
use crate::sandbox::call::{Call, Reply};
use crate::sandbox::cloud::{Cloud, Moment, next_number};
use crate::sandbox::finish;
use crate::sandbox::fixed;
use crate::sandbox::limits;
use crate::sandbox::records::{Account, Event, Nic, Vm, VmSize, Volume};
use crate::sandbox::refused::{Refused, invalid, refused};
use crate::sandbox::usage::event::UsageEventKind;
use crate::sandbox::work::Work;
use std::collections::BTreeMap;

/// What a deploy asks for, checked.
struct Asked {
    owner: Account,
    offering: String,
    size: Option<VmSize>,
    networks: Vec<String>,
    name: Option<String>,
    root_bytes: i64,
}

/// `deployVirtualMachine`: checks, then the VM and its root disk; a job starts it.
///
/// # Errors
/// CloudStack's refusals; nothing is made then.
pub fn deploy(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let mut asked = read(cloud, call)?;
    check_limits(cloud, &asked)?;
    if asked.networks.is_empty() {
        asked
            .networks
            .push(default_network(cloud, &asked.owner, call.moment));
    }
    let vm = create(cloud, call, &asked);
    let start = call.flag("startvm") != Some(false);
    let work = Work::Deploy {
        vm: vm.clone(),
        start,
    };
    Ok(Reply::created("VirtualMachine", &vm, work))
}

fn read(cloud: &Cloud, call: &Call<'_>) -> Result<Asked, Refused> {
    let (offering, size) = new_size(cloud, call, None)?;
    let zone = call.required("zoneid")?;
    if !zone.eq_ignore_ascii_case(fixed::zone_id()) && zone != "1" {
        return Err(call.no_such("zoneid"));
    }
    let template = call.required("templateid")?;
    if !template
        .trim_end()
        .eq_ignore_ascii_case(fixed::template_id())
    {
        return Err(call.no_such("templateid"));
    }
    let owner = call.owner(cloud)?.clone();
    let mut networks = Vec::new();
    for id in call.list("networkids") {
        let network = cloud.networks.find(id).filter(|network| !network.removed);
        let network = network.ok_or_else(|| call.no_such("networkids"))?;
        let is_own = network.account == owner.id;
        let is_admins = call.caller.is_root() && call.text("account").is_none();
        if !is_own && !is_admins {
            return Err(refused(
                531,
                4365,
                format!(
                    "Unable to use network with id= {}, permission denied",
                    network.id
                ),
            ));
        }
        networks.push(network.id.clone());
    }
    let name = call.text("name").map(str::to_owned);
    if let Some(name) = &name {
        check_name(cloud, name, &networks)?;
    }
    let gib = root_gib(call)?;
    let root_bytes = gib.map_or(fixed::template_size(), |gib| {
        gib.saturating_mul(limits::GIB)
    });
    if root_bytes < fixed::template_size() {
        return Err(invalid(format!(
            "rootdisksize override is smaller than template size {}",
            fixed::template_size()
        )));
    }
    Ok(Asked {
        owner,
        offering,
        size,
        networks,
        name,
        root_bytes,
    })
}

fn root_gib(call: &Call<'_>) -> Result<Option<i64>, Refused> {
    let detail = call
        .map("details")
        .get("rootdisksize")
        .and_then(|text| text.parse().ok());
    let gib = detail.or(call.number("rootdisksize")?);
    match gib {
        Some(gib) if !(1..=1_000_000).contains(&gib) => {
            Err(invalid("Root disk size should be a positive number."))
        }
        gib => Ok(gib),
    }
}

fn check_name(cloud: &Cloud, name: &str, networks: &[String]) -> Result<(), Refused> {
    let is_host_name = name.len() <= 63
        && !name.starts_with('-')
        && !name.ends_with('-')
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if !is_host_name {
        return Err(invalid(
            "Invalid name. Vm name can contain ASCII letters 'a' through 'z', the digits '0' \
             through '9', and the hyphen ('-'), must be between 1 and 63 characters long, and \
             can't start or end with \"-\" and can't start with digit",
        ));
    }
    let on = |vm: &Vm| {
        vm.nics
            .iter()
            .find(|nic| networks.contains(&nic.network))
            .cloned()
    };
    let mut taken = cloud
        .vms
        .iter()
        .filter(|vm| !vm.removed && vm.name.eq_ignore_ascii_case(name))
        .filter_map(on);
    let Some(nic) = taken.next() else {
        return Ok(());
    };
    let network = cloud
        .networks
        .find(&nic.network)
        .cloned()
        .unwrap_or_default();
    Err(invalid(format!(
        "The vm with hostName {name} already exists in the network domain: {}; network={}",
        if network.is_l2 {
            "null".to_owned()
        } else {
            format!("cs{:x}cloud.internal", 1)
        },
        network.name
    )))
}

fn check_limits(cloud: &Cloud, asked: &Asked) -> Result<(), Refused> {
    let offered = cloud
        .offerings
        .find(&asked.offering)
        .and_then(|offering| offering.size);
    let size = offered.or(asked.size).unwrap_or_default();
    let wanted = [
        (0, 1),
        (8, size.cpus),
        (9, size.memory),
        (2, 1),
        (10, asked.root_bytes),
    ];
    for (kind, amount) in wanted {
        limits::check(cloud, &asked.owner, kind, amount, 9999)?;
    }
    Ok(())
}

/// The owner's oldest isolated network; one is made where there is none.
fn default_network(cloud: &mut Cloud, owner: &Account, moment: Moment<'_>) -> String {
    let own = |network: &&crate::sandbox::records::Network| {
        !network.removed && network.account == owner.id && !network.is_l2
    };
    if let Some(network) = cloud.networks.iter().find(own) {
        return network.id.clone();
    }
    let offering = fixed::network_offerings().first();
    let offering = offering
        .and_then(|offering| offering["id"].as_str())
        .unwrap_or_default();
    let name = format!("{}-network", owner.name);
    super::network::add(cloud, owner, &name, offering, moment)
}

/// Writes the VM and its root disk: from here on it exists, whatever becomes of the job.
fn create(cloud: &mut Cloud, call: &Call<'_>, asked: &Asked) -> String {
    let moment = call.moment;
    let number = cloud.vms.next(3);
    let id = (moment.fresh)();
    let name = asked.name.clone().unwrap_or_else(|| format!("VM-{id}"));
    let nics = asked.networks.iter().enumerate();
    let nics = nics
        .map(|(place, network)| nic(cloud, network, number, place, moment))
        .collect();
    let vm = Vm {
        number,
        id: id.clone(),
        display: call.text("displayname").unwrap_or(&name).to_owned(),
        name,
        account: asked.owner.id.clone(),
        user: call.caller.user.clone(),
        created: moment.now,
        state: "Stopped".to_owned(),
        offering: asked.offering.clone(),
        size: asked.size,
        template: fixed::template_id().to_owned(),
        nics,
        details: shown_details(call),
        keypair: call.text("keypair").map(str::to_owned),
        is_scalable: true,
        ..Vm::default()
    };
    let size = cloud.size_of(&vm);
    let used = cloud.used_mut(&vm.account);
    used.vms += 1;
    used.cpus += size.cpus;
    used.memory += size.memory;
    cloud.vms.insert(vm.clone());
    root_disk(cloud, &vm, asked.root_bytes, moment);
    finish::vm::note_vm(cloud, &vm.id, UsageEventKind::VmCreate, moment.now);
    id
}

fn shown_details(call: &Call<'_>) -> BTreeMap<String, String> {
    let mut details = call.map("details");
    for own in ["cpuNumber", "cpuSpeed", "memory", "rootdisksize"] {
        details.remove(own);
    }
    details
}

fn nic(cloud: &Cloud, network: &str, vm: i64, place: usize, moment: Moment<'_>) -> Nic {
    let place = i64::try_from(place).unwrap_or(0);
    let number = vm * 8 + place;
    let row = cloud.networks.find(network);
    let is_l2 = row.is_some_and(|network| network.is_l2);
    let host = 2 + (vm + place) % 250;
    Nic {
        id: (moment.fresh)(),
        number,
        network: network.to_owned(),
        ip: (!is_l2).then(|| format!("10.1.1.{host}")),
        mac: format!(
            "02:01:00:{:02x}:{:02x}:{:02x}",
            number >> 16 & 255,
            number >> 8 & 255,
            number & 255
        ),
    }
}

fn root_disk(cloud: &mut Cloud, vm: &Vm, bytes: i64, moment: Moment<'_>) {
    let id = (moment.fresh)();
    let name = format!("ROOT-{}", vm.number);
    cloud.volumes.insert(Volume {
        number: next_number(&cloud.volumes),
        id: id.clone(),
        name: name.clone(),
        is_root: true,
        size: bytes,
        account: vm.account.clone(),
        created: moment.now,
        state: "Allocated".to_owned(),
        template: Some(vm.template.clone()),
        vm: Some(vm.id.clone()),
        device: Some(0),
        ..Volume::default()
    });
    let used = cloud.used_mut(&vm.account);
    used.volumes += 1;
    used.bytes += bytes;
    finish::volume::note_volume(cloud, &id, UsageEventKind::VolumeCreate, moment.now);
    note(
        cloud,
        moment,
        Event {
            kind: "VOLUME.CREATE".to_owned(),
            text: format!(
                "Successfully created entity for creating ROOT volume. Volume Type: ROOTVolume \
                 Id: {id} Vm Id: {}",
                vm.id
            ),
            account: vm.account.clone(),
            user: vm.user.clone(),
            resource: ("Volume".to_owned(), id, name),
            state: "Created".to_owned(),
            ..Event::default()
        },
    );
}
