//! Edge: usage events as the stand-in keeps them, and the usage server's commands.

use super::answer::Refused;
use super::auth::Caller;
use super::commands::Ctx;
use super::lists::Scope;
use super::state::{State, Thing, text};
use super::usage::answer::{Names, list_usage_records, list_usage_types};
use super::usage::event::{UsageEvent, UsageEventKind};
use super::usage::record::{RecordFault, records, spoilt};
use crate::cloudstack::query::ParamMap;
use crate::terms::time::{HOUR, Period, Timestamp};
use serde_json::{Value, json};

const DAY: i64 = 24 * HOUR;

/// Writes a usage event of an account's object; `more` fills in what the kind needs.
pub fn log(
    state: &mut State,
    ctx: &Ctx,
    kind: UsageEventKind,
    account: &str,
    resource: (&str, &str),
    more: impl FnOnce(&mut UsageEvent),
) {
    let mut event = UsageEvent::new(kind, ctx.now, resource.0);
    event.resource_name = resource.1.to_owned();
    event.account_id = account.to_owned();
    event.account = state.text_of("account", account, "name");
    event.domain_id = state.text_of("account", account, "domainid");
    event.zone_id = state
        .all("zone")
        .next()
        .map(|z| text(&z.shown, "id").to_owned())
        .unwrap_or_default();
    more(&mut event);
    state.usage.push(kept(&event));
}

fn kept(event: &UsageEvent) -> Value {
    json!({
        "kind": event.kind.name(), "at": event.at.seconds(), "account": event.account,
        "account_id": event.account_id, "domain_id": event.domain_id, "zone_id": event.zone_id,
        "resource": event.resource, "resource_name": event.resource_name,
        "offering_id": event.offering_id, "template_id": event.template_id, "size": event.size,
        "virtual_size": event.virtual_size, "network_id": event.network_id,
        "vm_id": event.vm_id, "is_source_nat": event.is_source_nat,
        "is_default": event.is_default, "cpu_number": event.cpu_number,
        "cpu_speed": event.cpu_speed, "memory": event.memory, "state": event.state,
        "hypervisor": event.hypervisor,
    })
}

fn read(value: &Value) -> Option<UsageEvent> {
    let string = |name: &str| value[name].as_str().map(str::to_owned);
    let number = |name: &str| value[name].as_i64();
    let kind = UsageEventKind::from_name(value["kind"].as_str()?)?;
    let mut event = UsageEvent::new(
        kind,
        Timestamp::from_seconds(number("at")?),
        value["resource"].as_str()?,
    );
    event.account = string("account")?;
    event.account_id = string("account_id")?;
    event.domain_id = string("domain_id")?;
    event.zone_id = string("zone_id")?;
    event.resource_name = string("resource_name")?;
    event.offering_id = string("offering_id");
    event.template_id = string("template_id");
    event.size = number("size");
    event.virtual_size = number("virtual_size");
    event.network_id = string("network_id");
    event.vm_id = string("vm_id");
    event.is_source_nat = value["is_source_nat"] == json!(true);
    event.is_default = value["is_default"] == json!(true);
    event.cpu_number = number("cpu_number");
    event.cpu_speed = number("cpu_speed");
    event.memory = number("memory");
    event.state = string("state");
    event.hypervisor = string("hypervisor");
    Some(event)
}

/// The days in UTC that are over, from the first event's on.
fn windows(events: &[UsageEvent], now: Timestamp) -> Vec<Period> {
    let day = |at: Timestamp| at.micros().div_euclid(DAY);
    let Some(first) = events.iter().map(|event| event.at).min() else {
        return Vec::new();
    };
    let period = |n: i64| Period {
        start: Timestamp::from_micros(n.saturating_mul(DAY)),
        end: Timestamp::from_micros(n.saturating_add(1).saturating_mul(DAY)),
    };
    (day(first)..day(now)).map(period).collect()
}

struct NamesOf<'a>(&'a State);

impl Names for NamesOf<'_> {
    fn name_of(&self, id: &str) -> Option<String> {
        let things = self.0.things.values().flatten();
        let found = things
            .into_iter()
            .find(|thing| text(&thing.shown, "id") == id)?;
        Some(text(&found.shown, "name").to_owned())
    }
    fn domain_path(&self, id: &str) -> Option<String> {
        self.0
            .find("domain", id)
            .map(|domain| text(&domain.shown, "path").to_owned())
    }
}

/// `listUsageRecords`.
pub fn list(
    state: &mut State,
    ctx: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Value, Refused> {
    let events: Vec<UsageEvent> = state.usage.iter().filter_map(read).collect();
    let all = records(&events, &windows(&events, ctx.now));
    let mut faults = Vec::new();
    if state.faults.contains_key("usage-doubled") {
        faults.push(RecordFault::Doubled(0));
    }
    if state.faults.contains_key("usage-missing") {
        faults.push(RecordFault::Missing(all.len().saturating_sub(1)));
    }
    let all = spoilt(&all, &faults);
    let scope = Scope::of(caller, params);
    let every = params.get("account").is_none() && params.get("domainid").is_none();
    let account = params.get("accountid");
    let sees = |row: &super::usage::record::UsageRow| {
        let thing = Thing {
            account: row.event.account_id.clone(),
            ..Thing::default()
        };
        let asked = account.is_none_or(|id| id == row.event.account_id);
        asked && (every && caller.reaches(state, &thing.account) || scope.holds(state, &thing))
    };
    let param = |name: &str| params.get(name).map(str::to_owned);
    list_usage_records(&all, &param, &sees, &NamesOf(state)).map_err(|refusal| {
        super::answer::refused(refusal.code.into(), refusal.cs_code.into(), refusal.text)
    })
}

/// `listUsageTypes`.
pub fn types(_: &mut State, _: &Ctx, _: &Caller, _: &ParamMap) -> Result<Value, Refused> {
    Ok(list_usage_types())
}

/// `listUsageServerMetrics`: the job of the last day ran at once after it.
pub fn metrics(_: &mut State, ctx: &Ctx, _: &Caller, _: &ParamMap) -> Result<Value, Refused> {
    let day = ctx.now.micros().div_euclid(DAY).saturating_mul(DAY);
    let ran = super::state::printed(Timestamp::from_micros(day));
    Ok(json!({"usageMetrics": {
        "hostname": "localhost", "collectiontime": super::state::printed(ctx.now), "state": "Up",
        "lastheartbeat": super::state::printed(ctx.now), "lastsuccessfuljob": ran,
    }}))
}

/// `generateUsageRecords`: nothing to do, records are made when they are asked for.
pub fn generate(_: &mut State, _: &Ctx, _: &Caller, _: &ParamMap) -> Result<Value, Refused> {
    Ok(json!({"success": true}))
}
