//! Edge: networks and public addresses as the API shows them.

use super::{Shown, printed};
use crate::sandbox::cloud::Cloud;
use crate::sandbox::fixed;
use crate::sandbox::records::{Address, Network};
use serde_json::Value;

/// A network, with what only root admin sees.
#[must_use]
pub fn network(cloud: &Cloud, network: &Network, for_root: bool) -> Value {
    let recorded = if network.is_l2 {
        "network.l2"
    } else {
        "network"
    };
    let mut out = Shown::like(fixed::recorded(recorded));
    let offering = fixed::network_offering(&network.offering);
    let of = |field: &str| offering.map(|offering| offering[field].clone());
    out.put("id", network.id.as_str())
        .put("name", network.name.as_str())
        .put("displaytext", network.text.as_str())
        .put("networkofferingid", network.offering.as_str())
        .put("networkofferingname", of("name"))
        .put("networkofferingdisplaytext", of("displaytext"))
        .put("networkofferingavailability", of("availability"))
        .put("state", network.state.as_str())
        .put("related", network.id.as_str())
        .put("created", printed(network.created));
    let project = cloud
        .accounts
        .find(&network.account)
        .and_then(|a| a.project.as_ref());
    if project.is_some() {
        out.drop("account");
    }
    out.owner(cloud, &network.account);
    if !network.is_l2 {
        let owner = cloud
            .accounts
            .find(&network.account)
            .map_or(0, |owner| owner.number);
        out.put("networkdomain", format!("cs{owner:x}cloud.internal"));
    }
    if for_root && network.state == "Implemented" {
        let vlan = 100 + network.number % 3_900;
        out.put("vlan", vlan.to_string())
            .put("broadcasturi", format!("vlan://{vlan}"));
    }
    out.done()
}

/// A public address. While it is being allocated it says so.
#[must_use]
pub fn address(cloud: &Cloud, address: &Address) -> Value {
    let mut out = Shown::new();
    out.put("id", address.id.as_str())
        .put("ipaddress", address.address.as_str())
        .put("allocated", printed(address.allocated))
        .zone()
        .put("issourcenat", address.is_source_nat)
        .owner(cloud, &address.account)
        .put("forvirtualnetwork", true)
        .put("isstaticnat", false)
        .put("issystem", false);
    if let Some(network) = cloud.networks.find(&address.network) {
        out.put("associatednetworkid", network.id.as_str())
            .put("associatednetworkname", network.name.as_str());
    }
    out.put("networkid", "74893523-87d5-478f-bd32-ec8d86dedbf6")
        .put("state", address.state.as_str())
        .put(
            "physicalnetworkid",
            fixed::text("network", "physicalnetworkid"),
        )
        .none("tags")
        .put("isportable", false)
        .put("hasrules", false)
        .put("forsystemvms", false)
        .put("forprovider", false)
        .put("hasannotations", false);
    out.done()
}
