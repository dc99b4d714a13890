//! Pure: what networks, VPCs and their tiers cost when they are made, started or given another
//! offering.

use super::call::entries;
use super::shape::{address, has_source_nat, of_network, one, planned};
use super::{Call, NETWORK, Plan, Thing};
use crate::cloudstack::command::Parent;
use crate::cloudstack::tree::Node;
use crate::cloudstack::usage_type::UsageType;
use crate::gate::refusal::Refusal;
use crate::meter::resource::Attributes;

const VPC: Thing = Thing::Owned(Parent::Vpc);

impl Call<'_> {
    /// A network is `Allocated` until its first VM runs; one on a persistent offering is
    /// implemented at once.
    pub(super) fn network(&self) -> Plan {
        let offering = self.fact(Thing::NetworkOffering, "networkofferingid");
        let persistent = offering.is_some_and(|one| one.text_of("ispersistent") == Some("true"));
        let zone = self.text("zoneid");
        let state = if persistent {
            "Implemented"
        } else {
            "Allocated"
        };
        let attributes = Attributes {
            name: self.text("name").unwrap_or_default(),
            offering: self.text("networkofferingid"),
            zone: zone.clone(),
            state: Some(state.to_owned()),
            count: 1,
            ..Attributes::default()
        };
        let mut after = vec![planned(UsageType::Network, attributes)];
        let tier = self.params.get("vpcid").is_some();
        let nat = offering.is_some_and(has_source_nat);
        if self.params.get("sourcenatipaddress").is_some() || (persistent && nat && !tier) {
            after.push(address(true, zone));
        }
        Plan::starts(after)
    }

    /// A network, or a VPC with tiers of its own choice, on another offering; a network that is
    /// displayed; another source NAT address.
    pub(super) fn network_change(&self) -> Result<Plan, Refusal> {
        let mut plan = Plan::default();
        if let Some(vpc) = self.fact(VPC, "vpcid") {
            plan.before.push(of_vpc(vpc, vpc.text_of("vpcofferingid")));
            plan.after
                .push(of_vpc(vpc, self.params.get("vpcofferingid")));
            for (at, id) in entries(self.params, "tiernetworkofferings", "networkid") {
                let offering = self.params.get(&format!("{at}networkofferingid"));
                let offering = offering.map(str::to_ascii_lowercase);
                if let Some(network) = self.get(NETWORK, &id) {
                    self.reoffered(network, offering.as_deref(), &mut plan);
                }
            }
            return Ok(plan);
        }
        let network = self.first_of(NETWORK, ["id", "networkid"])?;
        self.reoffered(network, self.params.get("networkofferingid"), &mut plan);
        if self.says("displaynetwork") {
            plan.before
                .retain(|one| one.usage_type != UsageType::Network);
        }
        if self.params.get("sourcenatipaddress").is_some() {
            let zone = network.text_of("zoneid").map(str::to_owned);
            plan.after.push(address(true, zone));
        }
        Ok(plan)
    }

    /// The network as it is and as it would be, with a NIC for each VM in it that runs; a
    /// persistent offering implements it.
    fn reoffered(&self, network: &Node, offering: Option<&str>, plan: &mut Plan) {
        let state = network.text_of("state").unwrap_or("Allocated");
        let old = of_network(network, state);
        let mut new = old.clone();
        if let Some(offering) = offering {
            new.offering = Some(offering.to_owned());
            let facts = self.get(Thing::NetworkOffering, offering);
            let persistent = facts.is_some_and(|one| one.text_of("ispersistent") == Some("true"));
            if persistent && state == "Allocated" {
                new.state = Some("Implemented".to_owned());
                if facts.is_some_and(has_source_nat) && network.text_of("vpcid").is_none() {
                    plan.after.push(address(true, old.zone.clone()));
                }
            }
            let vms = self.items(Thing::VmsIn, network.text_of("id").unwrap_or_default());
            let runs = |vm: &&&Node| vm.text_of("state") == Some("Running");
            let count = i64::try_from(vms.iter().filter(runs).count()).unwrap_or(i64::MAX);
            if count > 0 {
                let nics = |offering: &Option<String>| {
                    let mut nics = one(UsageType::NetworkOffering, old.zone.clone());
                    nics.attributes.offering.clone_from(offering);
                    nics.attributes.count = count;
                    nics
                };
                plan.before.push(nics(&old.offering));
                plan.after.push(nics(&new.offering));
            }
        }
        plan.before.push(planned(UsageType::Network, old));
        plan.after.push(planned(UsageType::Network, new));
    }

    /// A VPC, and the address that it takes when it starts.
    pub(super) fn vpc(&self) -> Plan {
        let zone = self.text("zoneid");
        let mut vpc = one(UsageType::Vpc, zone.clone());
        vpc.attributes.name = self.text("name").unwrap_or_default();
        vpc.attributes.offering = self.text("vpcofferingid");
        let mut after = vec![vpc];
        if self.params.get("start") != Some("false") {
            after.push(address(true, zone));
        }
        Plan::starts(after)
    }

    /// The source NAT address of a VPC that has none yet, or that is given another.
    pub(super) fn vpc_start(&self) -> Plan {
        let id = self.params.get("id").unwrap_or_default();
        let zone = self.fact(VPC, "id").and_then(|vpc| vpc.text_of("zoneid"));
        let zone = zone.map(str::to_owned);
        let after = vec![address(true, zone)];
        let has = self.get(Thing::SourceNatOf, id);
        let before = match has {
            Some(_) if self.params.get("sourcenatipaddress").is_none() => after.clone(),
            _ => Vec::new(),
        };
        Plan { after, before }
    }

    /// The network of its own that a private gateway has.
    pub(super) fn private_gateway(&self) -> Plan {
        let zone = self
            .fact(VPC, "vpcid")
            .and_then(|vpc| vpc.text_of("zoneid"));
        let mut network = one(UsageType::Network, zone.map(str::to_owned));
        network.attributes.offering = self.text("networkofferingid");
        network.attributes.state = Some("Implemented".to_owned());
        Plan::starts(vec![network])
    }
}

fn of_vpc(vpc: &Node, offering: Option<&str>) -> crate::rate::Planned {
    let mut meter = one(UsageType::Vpc, vpc.text_of("zoneid").map(str::to_owned));
    meter.attributes.name = vpc.text_of("name").unwrap_or_default().to_owned();
    meter.attributes.offering = offering.map(str::to_owned);
    meter
}
