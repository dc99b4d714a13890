//! Edge: small things as CloudStack prints them: the fields that this project reads.

use super::{Shown, printed};
use crate::sandbox::cloud::Cloud;
use crate::sandbox::commands::thing::{BUCKET, LB_RULE, PORT_RULE, VM_SNAPSHOT, VPN_USER};
use crate::sandbox::records::Thing;
use serde_json::Value;

/// The name of the entity in a job's result.
#[must_use]
pub fn entity(thing: &Thing) -> &'static str {
    match thing.kind.as_str() {
        PORT_RULE => "portforwardingrule",
        LB_RULE => "loadbalancer",
        VPN_USER => "vpnuser",
        VM_SNAPSHOT => "vmsnapshot",
        _ => "bucket",
    }
}

/// A thing. A port-forwarding rule names no owner.
#[must_use]
pub fn thing(cloud: &Cloud, thing: &Thing) -> Value {
    let mut out = Shown::new();
    out.put("id", thing.id.as_str());
    match thing.kind.as_str() {
        PORT_RULE => {
            out.put("ipaddressid", thing.on.as_str())
                .put("state", "Active");
        }
        LB_RULE => {
            out.put("name", thing.name.as_str())
                .put("publicipid", thing.on.as_str())
                .owner(cloud, &thing.account)
                .zone()
                .put("state", "Active");
        }
        VPN_USER => {
            out.put("username", thing.name.as_str())
                .owner(cloud, &thing.account)
                .put("state", "Active");
        }
        VM_SNAPSHOT => {
            out.put("name", thing.name.as_str())
                .put("displayname", thing.name.as_str())
                .put("virtualmachineid", thing.on.as_str())
                .owner(cloud, &thing.account)
                .zone()
                .put("type", "Disk")
                .put("created", printed(thing.created))
                .put("state", "Ready");
        }
        BUCKET => {
            out.put("name", thing.name.as_str())
                .owner(cloud, &thing.account)
                .put("size", thing.bytes)
                .put("created", printed(thing.created))
                .put("state", "Created");
        }
        _ => {}
    }
    out.done()
}
