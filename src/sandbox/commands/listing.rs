//! Edge: lists of what is the same for everybody: zone, offerings, templates, roles …

use crate::sandbox::call::{Call, Reply};
use crate::sandbox::catalogue::catalogue;
use crate::sandbox::cloud::Cloud;
use crate::sandbox::commands::usage;
use crate::sandbox::fixed;
use crate::sandbox::records::{DiskOffering, Offering};
use crate::sandbox::refused::{Refused, refused};
use crate::sandbox::views::volume::{disk_offering, service_offering};
use serde_json::{Value, json};

/// Runs a command of this file.
pub fn run(cloud: &mut Cloud, call: &Call<'_>, name: &str) -> Option<Result<Reply, Refused>> {
    Some(match name {
        "listZones" => zones(call),
        "listServiceOfferings" => service_offerings(cloud, call),
        "listDiskOfferings" => disk_offerings(cloud, call),
        "listNetworkOfferings" => network_offerings(call),
        "listTemplates" => templates(call),
        "listCapabilities" => capabilities(call),
        "listApis" => apis(call),
        "listRoles" => roles(call),
        "listOsTypes" => os_types(call),
        "listHypervisors" => call.listed("hypervisor", &["Simulator"], |n| json!({ "name": n })),
        "listConfigurations" => configurations(cloud, call),
        _ => return None,
    })
}

fn zones(call: &Call<'_>) -> Result<Reply, Refused> {
    let wanted = call.names(fixed::zone_id(), fixed::text("zone", "name"));
    let rows = if wanted {
        vec![fixed::recorded("zone")]
    } else {
        Vec::new()
    };
    call.listed("zone", &rows, |zone| Value::Object(zone.clone()))
}

fn service_offerings(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let rows: Vec<&Offering> = cloud
        .offerings
        .iter()
        .filter(|offering| !offering.removed && call.names(&offering.id, &offering.name))
        .collect();
    call.listed("serviceoffering", &rows, |offering| {
        service_offering(offering)
    })
}

fn disk_offerings(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let rows: Vec<&DiskOffering> = cloud
        .disk_offerings
        .iter()
        .filter(|offering| !offering.removed && call.names(&offering.id, &offering.name))
        .collect();
    call.listed("diskoffering", &rows, |offering| disk_offering(offering))
}

fn network_offerings(call: &Call<'_>) -> Result<Reply, Refused> {
    let field = |offering: &Value, name: &str| offering[name].as_str().unwrap_or("").to_owned();
    let services = |offering: &Value| -> Vec<String> {
        let services = offering["service"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        services
            .iter()
            .map(|service| field(service, "name"))
            .collect()
    };
    let wanted = |offering: &&Value| {
        let kind = field(offering, "guestiptype");
        let has = services(offering);
        call.names(&field(offering, "id"), &field(offering, "name"))
            && call
                .text("guestiptype")
                .is_none_or(|asked| asked.eq_ignore_ascii_case(&kind))
            && call
                .text("state")
                .is_none_or(|asked| asked.eq_ignore_ascii_case("Enabled"))
            && call
                .list("supportedservices")
                .iter()
                .all(|asked| has.iter().any(|name| name.eq_ignore_ascii_case(asked)))
    };
    let rows: Vec<&Value> = fixed::network_offerings().iter().filter(wanted).collect();
    call.listed("networkoffering", &rows, |offering| (*offering).clone())
}

fn templates(call: &Call<'_>) -> Result<Reply, Refused> {
    let wanted = call.names(fixed::template_id(), fixed::text("template", "name"))
        && !matches!(
            call.text("templatefilter"),
            Some("self" | "selfexecutable" | "shared")
        );
    let rows = if wanted {
        vec![fixed::recorded("template")]
    } else {
        Vec::new()
    };
    call.listed("template", &rows, |template| {
        Value::Object(template.clone())
    })
}

fn capabilities(call: &Call<'_>) -> Result<Reply, Refused> {
    let name = if call.caller.is_root() {
        "capability.admin"
    } else {
        "capability.user"
    };
    Ok(Reply::Now(json!({ "capability": fixed::recorded(name) })))
}

fn apis(call: &Call<'_>) -> Result<Reply, Refused> {
    let rows = catalogue().listed(call.caller.kind, call.text("name"));
    if rows.is_empty() {
        let text = "Api Discovery plugin was unable to find an api by that name or process any \
                    apis";
        return Err(refused(530, 9999, text));
    }
    Ok(Reply::Now(json!({ "count": rows.len(), "api": rows })))
}

fn roles(call: &Call<'_>) -> Result<Reply, Refused> {
    let rows: Vec<_> = fixed::roles()
        .iter()
        .filter(|role| call.names(role.1, role.3))
        .collect();
    call.listed("role", &rows, |(_, id, kind, name)| {
        json!({
            "id": id, "name": name, "type": kind,
            "description": format!("Default {} role", name.to_lowercase()),
            "isdefault": true, "ispublic": true, "state": "ENABLED",
        })
    })
}

fn os_types(call: &Call<'_>) -> Result<Reply, Refused> {
    let id = fixed::text("template", "ostypeid");
    let name = fixed::text("template", "ostypename");
    let rows = if call.names(id, name) {
        vec![()]
    } else {
        Vec::new()
    };
    call.listed("ostype", &rows, |()| {
        json!({
            "id": id, "name": name, "oscategoryid": "7cd0cd0c-e6ca-11f1-b146-02fc00000001",
            "oscategoryname": "CentOS", "description": name, "isuserdefined": false,
            "fordisplay": true,
        })
    })
}

fn configurations(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let range = usage::range(cloud).to_string();
    let known = [
        ("usage.stats.job.aggregation.range", range.as_str()),
        ("router.stats.interval", "300"),
        ("vm.network.stats.interval", "0"),
        ("vm.disk.stats.interval", "0"),
        ("enable.usage.server", "true"),
        ("usage.execution.timezone", "UTC"),
        ("default.page.size", "500"),
        ("expunge.delay", "60"),
        ("allow.user.expunge.recover.vm", "true"),
    ];
    let rows: Vec<_> = known
        .iter()
        .filter(|(name, _)| call.names(name, name))
        .collect();
    call.listed("configuration", &rows, |(name, value)| {
        json!({
            "category": "Usage", "name": name, "value": value, "defaultvalue": value,
            "description": "", "isdynamic": false, "component": "sandbox", "type": "String",
        })
    })
}
