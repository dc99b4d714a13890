//! Pure: what rules on addresses and VPN users cost.

use super::shape::{address, of_network, one, planned};
use super::{Call, NETWORK, Plan, Thing};
use crate::cloudstack::command::Parent;
use crate::cloudstack::usage_type::UsageType;

impl Call<'_> {
    /// A load balancer rule; where it names neither an address nor, for an internal one, a
    /// network's own, CloudStack takes a new address for it.
    pub(super) fn lb_rule(&self) -> Plan {
        let zone = self
            .zone_of_address("publicipid")
            .or_else(|| self.text("zoneid"));
        let mut plan = Plan::starts(vec![one(UsageType::LoadBalancerPolicy, zone.clone())]);
        if self.params.get("sourceipaddressnetworkid").is_some() {
            // Within a network: it is implemented for the rule.
            let network = self.fact(NETWORK, "networkid");
            for rule in &mut plan.after {
                let zone = network.and_then(|network| network.text_of("zoneid"));
                rule.attributes.zone = zone.map(str::to_owned);
            }
            if let Some(network) = network.filter(|one| one.text_of("state") == Some("Allocated")) {
                let of = |state| planned(UsageType::Network, of_network(network, state));
                plan.before.push(of("Allocated"));
                plan.after.push(of("Implemented"));
            }
        } else if self.params.get("publicipid").is_none() {
            plan.after.push(address(false, zone));
        }
        plan
    }

    pub(super) fn pf_rule(&self) -> Plan {
        let zone = self.zone_of_address("ipaddressid");
        Plan::starts(vec![one(UsageType::PortForwardingRule, zone)])
    }

    /// The zone of the address that a parameter names.
    pub(super) fn zone_of_address(&self, name: &str) -> Option<String> {
        let address = self.fact(Thing::Owned(Parent::Address), name)?;
        address.text_of("zoneid").map(str::to_owned)
    }

    pub(super) fn vpn_user(&self) -> Plan {
        Plan::starts(vec![one(UsageType::VpnUsers, None)])
    }

    /// Every VPN user of the account whose address it is counts anew.
    pub(super) fn remote_access(&self) -> Plan {
        let address = self.fact(Thing::Owned(Parent::Address), "publicipid");
        let text = |name: &str| address.and_then(|address| address.text_of(name));
        let whose = match (text("projectid"), text("domainid"), text("account")) {
            (Some(project), ..) => format!("project/{project}"),
            (None, Some(domain), Some(account)) => format!("{domain}/{account}"),
            _ => return Plan::default(),
        };
        let users = self.items(Thing::VpnUsersOf, &whose);
        let zone = text("zoneid").map(str::to_owned);
        let users = users.iter().map(|_| one(UsageType::VpnUsers, zone.clone()));
        Plan::starts(users.collect())
    }
}
