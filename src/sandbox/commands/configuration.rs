//! Edge: global settings: those that somebody reads, and the one that changes this server.

use super::usage;
use crate::sandbox::call::{Call, Reply};
use crate::sandbox::cloud::Cloud;
use crate::sandbox::refused::{Refused, invalid};
use crate::sandbox::session::{CHECK_LOCATIONS, KeyPlaces};
use serde_json::{Value, json};

/// Name, category, default value, whether it counts without a restart.
const SETTINGS: [(&str, &str, &str, bool); 10] = [
    (AGGREGATION_RANGE, "Usage", "60", false),
    ("router.stats.interval", "Network", "300", false),
    ("vm.network.stats.interval", "Advanced", "0", false),
    ("vm.disk.stats.interval", "Advanced", "0", false),
    ("enable.usage.server", "Usage", "true", false),
    ("usage.execution.timezone", "Usage", "UTC", false),
    ("default.page.size", "Usage", "500", false),
    ("expunge.delay", "Usage", "60", false),
    ("allow.user.expunge.recover.vm", "Usage", "true", false),
    (CHECK_LOCATIONS, "Advanced", "CookieAndParameter", true),
];

const AGGREGATION_RANGE: &str = "usage.stats.job.aggregation.range";

type Setting = (&'static str, &'static str, &'static str, bool);

/// Runs a command of this file.
pub fn run(cloud: &mut Cloud, call: &Call<'_>, name: &str) -> Option<Result<Reply, Refused>> {
    Some(match name {
        "listConfigurations" => list(cloud, call),
        "updateConfiguration" => update(cloud, call),
        _ => return None,
    })
}

fn shown(cloud: &Cloud, (name, category, default, is_dynamic): &Setting) -> Value {
    let range = usage::range(cloud).to_string();
    let value = match *name {
        AGGREGATION_RANGE => &range,
        _ => cloud.settings.get(*name).map_or(*default, String::as_str),
    };
    json!({
        "category": category, "name": name, "value": value, "defaultvalue": default,
        "description": "", "isdynamic": is_dynamic, "component": "sandbox", "type": "String",
    })
}

fn list(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let rows: Vec<_> = SETTINGS
        .iter()
        .filter(|(name, ..)| call.names(name, name))
        .collect();
    call.listed("configuration", &rows, |setting| shown(cloud, setting))
}

/// Only what is obeyed can be changed.
fn update(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let (name, value) = (call.required("name")?, call.required("value")?);
    let known = SETTINGS.iter().find(|setting| setting.0 == name);
    let known = known.filter(|setting| setting.3);
    let Some(setting) = known else {
        return Err(invalid(format!("The sandbox does not change {name}")));
    };
    if KeyPlaces::named(value).is_none() {
        return Err(invalid(format!("Invalid value for configuration {name}")));
    }
    cloud.settings.insert(name.to_owned(), value.to_owned());
    Ok(Reply::Now(
        json!({ "configuration": shown(cloud, setting) }),
    ))
}
