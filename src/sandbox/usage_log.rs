//! Edge: usage events in the stand-in's file.

use super::usage::event::{UsageEvent, UsageEventKind};
use crate::terms::time::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize, Default)]
#[serde(default)]
struct Line {
    kind: String,
    at: i64,
    account: String,
    account_id: String,
    domain_id: String,
    project: Option<String>,
    zone_id: String,
    resource: String,
    resource_name: String,
    offering_id: Option<String>,
    template_id: Option<String>,
    size: Option<i64>,
    virtual_size: Option<i64>,
    network_id: Option<String>,
    vm_id: Option<String>,
    is_source_nat: bool,
    is_default: bool,
    cpu_number: Option<i64>,
    cpu_speed: Option<i64>,
    memory: Option<i64>,
    state: Option<String>,
    hypervisor: Option<String>,
}

/// Writes the events.
///
/// # Errors
/// The serializer's own.
pub fn serialize<S: Serializer>(events: &[UsageEvent], out: S) -> Result<S::Ok, S::Error> {
    out.collect_seq(events.iter().map(line))
}

/// Reads the events; one of an unknown kind is left out.
///
/// # Errors
/// The deserializer's own.
pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<UsageEvent>, D::Error> {
    let lines = Vec::<Line>::deserialize(from)?;
    Ok(lines.into_iter().filter_map(event).collect())
}

fn line(event: &UsageEvent) -> Line {
    let event = event.clone();
    Line {
        kind: event.kind.name().to_owned(),
        at: event.at.seconds(),
        account: event.account,
        account_id: event.account_id,
        domain_id: event.domain_id,
        project: event.project,
        zone_id: event.zone_id,
        resource: event.resource,
        resource_name: event.resource_name,
        offering_id: event.offering_id,
        template_id: event.template_id,
        size: event.size,
        virtual_size: event.virtual_size,
        network_id: event.network_id,
        vm_id: event.vm_id,
        is_source_nat: event.is_source_nat,
        is_default: event.is_default,
        cpu_number: event.cpu_number,
        cpu_speed: event.cpu_speed,
        memory: event.memory,
        state: event.state,
        hypervisor: event.hypervisor,
    }
}

fn event(line: Line) -> Option<UsageEvent> {
    Some(UsageEvent {
        kind: UsageEventKind::from_name(&line.kind)?,
        at: Timestamp::from_seconds(line.at),
        account: line.account,
        account_id: line.account_id,
        domain_id: line.domain_id,
        project: line.project,
        zone_id: line.zone_id,
        resource: line.resource,
        resource_name: line.resource_name,
        offering_id: line.offering_id,
        template_id: line.template_id,
        size: line.size,
        virtual_size: line.virtual_size,
        network_id: line.network_id,
        vm_id: line.vm_id,
        is_source_nat: line.is_source_nat,
        is_default: line.is_default,
        cpu_number: line.cpu_number,
        cpu_speed: line.cpu_speed,
        memory: line.memory,
        state: line.state,
        hypervisor: line.hypervisor,
    })
}
