//! Pure: networks, VPCs, public addresses, their rules, VPN users.

use super::super::inventory::{Fact, KnownNetwork};
use super::super::resource::{Attributes, Border, Owner};
use super::{FactQuestion, Watch, meter};
use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::terms::ids::ResourceId;

/// Reads the command if it is one of networks.
pub(super) fn observe(watch: &mut Watch<'_, '_>, command: &str) -> bool {
    match command {
        "createnetwork" => network(watch),
        "updatenetwork" => network_changed(watch),
        "deletenetwork" | "deletevpc" => network_ended(watch),
        "createvpc" => vpc(watch),
        "associateipaddress" => address(watch),
        "disassociateipaddress" => address_ended(watch),
        "createportforwardingrule" => {
            rule(watch, "portforwardingrule", UsageType::PortForwardingRule);
        }
        "createloadbalancerrule" => rule(watch, "loadbalancer", UsageType::LoadBalancerPolicy),
        "deleteportforwardingrule" | "deleteloadbalancerrule" => rule_ended(watch),
        "addvpnuser" => vpn_user(watch),
        "removevpnuser" => vpn_user_ended(watch),
        _ => return false,
    }
    true
}

/// What an answer says of a network.
pub(super) fn known(network: &Node) -> KnownNetwork {
    let tier = network.child("vpcid").is_some();
    let services = network.all("service");
    let nat = services
        .filter_map(|service| service.text_of("name"))
        .any(|name| name == "SourceNat");
    KnownNetwork {
        offering: network.text_of("networkofferingid").map(str::to_owned),
        source_nat: nat && !tier,
    }
}

/// What a network's price may depend on.
pub(super) fn attributes(network: &Node) -> Attributes {
    let text = |name: &str| network.text_of(name).map(str::to_owned);
    Attributes {
        name: text("name").unwrap_or_default(),
        offering: text("networkofferingid"),
        zone: text("zoneid"),
        state: text("state"),
        count: 1,
        ..Attributes::default()
    }
}

/// The id under which a source NAT address is kept until a list tells its own.
pub(super) fn unnamed_nat(of: &ResourceId) -> ResourceId {
    format!("NAT@{of}").into()
}

fn network(watch: &mut Watch<'_, '_>) {
    let Some(network) = watch.entity("network").filter(|_| watch.done()) else {
        return;
    };
    let Some(id) = network.text_of("id").map(ResourceId::from) else {
        return;
    };
    watch.learn(Fact::Network(id.clone(), known(&network)));
    if let Some(vpc) = network.text_of("vpcid") {
        watch.learn(Fact::Child(id.clone(), vpc.into()));
    }
    let start = watch.printed(Some(&network), "created", watch.first());
    let owner = watch.owner_of(&network);
    watch.open(
        meter(UsageType::Network, &id),
        owner,
        attributes(&network),
        start,
    );
}

fn network_changed(watch: &mut Watch<'_, '_>) {
    let Some(network) = watch.entity("network").filter(|_| watch.done()) else {
        return;
    };
    let Some(id) = network.text_of("id").map(ResourceId::from) else {
        return;
    };
    watch.learn(Fact::Network(id.clone(), known(&network)));
    watch.reshape(
        meter(UsageType::Network, &id),
        watch.completed(),
        attributes(&network),
    );
}

/// With a network or VPC everything in it ends: addresses and their rules.
fn network_ended(watch: &mut Watch<'_, '_>) {
    let Some(id) = watch.param_id("id").filter(|_| watch.done()) else {
        return;
    };
    let at = watch.completed();
    end_with_children(watch, &id, at);
}

fn end_with_children(watch: &mut Watch<'_, '_>, id: &ResourceId, at: Border) {
    let children: Vec<ResourceId> = watch.inventory.children(id).cloned().collect();
    for child in children {
        end_with_children(watch, &child, at);
    }
    watch.learn(Fact::Orphan(id.clone()));
    watch.close_all(id.clone(), at);
}

/// A VPC has its source NAT address from its first second on.
fn vpc(watch: &mut Watch<'_, '_>) {
    let Some(vpc) = watch.entity("vpc").filter(|_| watch.done()) else {
        return;
    };
    let Some(id) = vpc.text_of("id").map(ResourceId::from) else {
        return;
    };
    let owner = watch.owner_of(&vpc);
    let start = watch.printed(Some(&vpc), "created", watch.first());
    let shape = attributes(&vpc);
    watch.open(meter(UsageType::Vpc, &id), owner.clone(), shape, start);
    let nat = vpc
        .all("service")
        .any(|service| service.text_of("name") == Some("SourceNat"));
    if nat {
        open_nat(watch, &id, &owner, start);
        watch.ask(FactQuestion::AddressesOfVpc(id));
    }
}

fn open_nat(watch: &mut Watch<'_, '_>, of: &ResourceId, owner: &Owner, start: Border) {
    let id = watch.inventory.current_name(&unnamed_nat(of)).clone();
    let attributes = Attributes {
        source_nat: true,
        count: 1,
        ..Attributes::default()
    };
    watch.open(
        meter(UsageType::IpAddress, &id),
        owner.clone(),
        attributes,
        start,
    );
    watch.learn(Fact::Child(id, of.clone()));
}

/// A network is implemented by the first VM that runs in it.
pub(super) fn implemented(
    watch: &mut Watch<'_, '_>,
    network: &ResourceId,
    owner: &Owner,
    at: Border,
) {
    let of = meter(UsageType::Network, network);
    if let Some(mut shape) = watch.attributes_of(&of) {
        shape.state = Some("Implemented".to_owned());
        watch.reshape(of, at, shape);
    }
    let job = watch.completed();
    source_nat(watch, network, owner, job);
}

/// The source NAT address that a network gets while it is implemented; the answer names neither
/// the address nor its second, so the border is as loose as the job is long.
pub(super) fn source_nat(
    watch: &mut Watch<'_, '_>,
    network: &ResourceId,
    owner: &Owner,
    at: Border,
) {
    let wants = watch
        .inventory
        .network(network)
        .is_some_and(|known| known.source_nat);
    let has = watch.inventory.children(network).any(|child| {
        let mut open = watch.inventory.open_of_resource(child);
        open.any(|address| address.attributes.source_nat)
    });
    if wants && !has {
        let loose = watch.job_length();
        let id = watch.inventory.current_name(&unnamed_nat(network)).clone();
        watch.learn(Fact::Loose(id, at, loose));
        open_nat(watch, network, owner, at);
        watch.ask(FactQuestion::AddressesOf(network.clone()));
    }
}

/// What an answer says of a public address.
pub(super) fn address_attributes(address: &Node) -> Attributes {
    let text = |name: &str| address.text_of(name).map(str::to_owned);
    Attributes {
        name: text("ipaddress").unwrap_or_default(),
        zone: text("zoneid"),
        source_nat: address.text_of("issourcenat") == Some("true"),
        count: 1,
        ..Attributes::default()
    }
}

fn address(watch: &mut Watch<'_, '_>) {
    let Some(address) = watch.entity("ipaddress").filter(|_| watch.done()) else {
        return;
    };
    let Some(id) = address.text_of("id").map(ResourceId::from) else {
        return;
    };
    let told = |name: &str| address.text_of(name).map(ResourceId::from);
    let parent = told("associatednetworkid").or_else(|| told("vpcid"));
    let parent = parent
        .or_else(|| watch.param_id("networkid"))
        .or_else(|| watch.param_id("vpcid"));
    if let Some(parent) = parent {
        watch.learn(Fact::Child(id.clone(), parent));
    }
    let start = watch.printed(Some(&address), "allocated", watch.completed());
    let owner = watch.owner_of(&address);
    watch.open(
        meter(UsageType::IpAddress, &id),
        owner,
        address_attributes(&address),
        start,
    );
}

fn address_ended(watch: &mut Watch<'_, '_>) {
    let told = watch.param_id("id").filter(|_| watch.done());
    let named = watch.call.job.and_then(|job| job.instance.clone());
    if let Some(id) = told.or(named.filter(|_| watch.done())) {
        let at = watch.completed();
        end_with_children(watch, &id, at);
    }
}

/// A rule costs from the first answer on. It ends with its address.
fn rule(watch: &mut Watch<'_, '_>, entity: &str, kind: UsageType) {
    let Some(rule) = watch.entity(entity).filter(|_| watch.done()) else {
        return;
    };
    let Some(id) = rule.text_of("id").map(ResourceId::from) else {
        return;
    };
    let told = |name: &str| rule.text_of(name).map(ResourceId::from);
    let parent = watch
        .param_id("ipaddressid")
        .or_else(|| told("publicipid"))
        .or_else(|| told("ipaddressid"));
    if let Some(parent) = parent {
        watch.learn(Fact::Child(id.clone(), parent));
    }
    let attributes = Attributes {
        name: rule.text_of("name").unwrap_or_default().to_owned(),
        zone: rule.text_of("zoneid").map(str::to_owned),
        count: 1,
        vm: told("virtualmachineid"),
        ..Attributes::default()
    };
    // A port-forwarding rule names no owner: it is its address's.
    let of_address = watch.inventory.intervals().filter(|open| {
        let parent = watch.param("ipaddressid");
        open.end.is_none() && Some(open.meter.resource.as_str()) == parent
    });
    let of_address = of_address.last().map(|open| open.owner.clone());
    let owner = match (
        rule.child("account").or_else(|| rule.child("projectid")),
        of_address,
    ) {
        (None, Some(owner)) => owner,
        _ => watch.owner_of(&rule),
    };
    watch.open(meter(kind, &id), owner, attributes, watch.first());
}

fn rule_ended(watch: &mut Watch<'_, '_>) {
    if let Some(id) = watch.param_id("id").filter(|_| watch.done()) {
        watch.learn(Fact::Orphan(id.clone()));
        watch.close_all(id, watch.completed());
    }
}

/// Port-forwarding rules to a VM end when it is expunged.
pub(super) fn rules_of_vm_end(watch: &mut Watch<'_, '_>, vm: &ResourceId, at: Border) {
    let rules: Vec<_> = watch
        .inventory
        .running()
        .filter(|open| open.meter.usage_type == UsageType::PortForwardingRule)
        .filter(|open| open.attributes.vm.as_ref() == Some(vm))
        .map(|open| open.meter.clone())
        .collect();
    for rule in rules {
        watch.close(rule, at);
    }
}

fn vpn_user(watch: &mut Watch<'_, '_>) {
    let Some(user) = watch.entity("vpnuser").filter(|_| watch.done()) else {
        return;
    };
    let Some(id) = user.text_of("id").map(ResourceId::from) else {
        return;
    };
    let name = user.text_of("username").or_else(|| watch.param("username"));
    let attributes = Attributes {
        name: name.unwrap_or_default().to_owned(),
        count: 1,
        ..Attributes::default()
    };
    let (owner, start) = (watch.owner_of(&user), watch.completed());
    watch.open(meter(UsageType::VpnUsers, &id), owner, attributes, start);
}

fn vpn_user_ended(watch: &mut Watch<'_, '_>) {
    let Some(name) = watch.param("username").filter(|_| watch.done()) else {
        return;
    };
    let user = watch
        .inventory
        .running()
        .filter(|open| open.meter.usage_type == UsageType::VpnUsers)
        .filter(|open| open.attributes.name == name && open.owner == watch.call.owner)
        .map(|open| open.meter.clone())
        .next();
    if let Some(user) = user {
        watch.close(user, watch.completed());
    }
}
