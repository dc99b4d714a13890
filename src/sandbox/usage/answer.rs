//! Pure: what `listUsageRecords` and `listUsageTypes` answer, dates, pages and fields as recorded.
//!
//! Whose records a caller may see is the stand-in's business: it comes in as a function.

use super::event::UsageEvent;
use super::record::UsageRow;
use crate::cloudstack::usage_type::UsageType;
use crate::terms::time::{HOUR, Period, SECOND, Timestamp};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};

/// An error as CloudStack answers it inside the wrapper.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refused {
    /// HTTP status and `errorcode`.
    pub code: u16,
    /// `cserrorcode`.
    pub cs_code: u16,
    /// `errortext`.
    pub text: String,
}

/// Rows of one page unless a page size is asked for; also its greatest value.
pub const PAGE_SIZE: usize = 500;

/// Names that descriptions hold, by id.
pub trait Names {
    /// The name of an offering, template, account, domain …
    fn name_of(&self, id: &str) -> Option<String>;
    /// The domain's path, `ROOT/north`.
    fn domain_path(&self, id: &str) -> Option<String>;
    /// `ostypeid`, `osdisplayname`, `oscategoryid`, `oscategoryname` of a template.
    fn guest_os_of(&self, _template: &str) -> Option<[String; 4]> {
        None
    }
}

/// What is inside `listusagerecordsresponse`. Parameters are read as CloudStack reads them; `sees`
/// says which rows the caller's scope holds. Refuses what CloudStack refuses.
pub fn list_usage_records(
    rows: &[UsageRow],
    param: &dyn Fn(&str) -> Option<String>,
    sees: &dyn Fn(&UsageRow) -> bool,
    names: &dyn Names,
) -> Result<Value, Refused> {
    let period = asked_period(param)?;
    let page = asked_page(param)?;
    let kind = param("type").map(|text| text.parse::<u8>().unwrap_or(0));
    let thing = param("usageid");
    if thing.is_some() && kind.is_none() {
        let text = "Usageid must be specified together with usageType";
        return Err(refused(4350, text.to_owned()));
    }
    let wanted = |row: &&UsageRow| {
        let inside = row.window.start >= period.start && row.window.end <= period.end;
        let of_kind = kind.is_none_or(|kind| row.usage_type.number() == kind);
        let of_thing = thing
            .as_ref()
            .is_none_or(|id| usage_id(row) == Some(id.as_str()));
        inside && of_kind && of_thing && sees(row)
    };
    let found: Vec<&UsageRow> = rows.iter().filter(wanted).collect();
    if found.is_empty() {
        return Ok(json!({}));
    }
    let count = found.len();
    let (skip, take) = page.unwrap_or((0, PAGE_SIZE));
    let shown = found.into_iter().skip(skip).take(take);
    let shown: Vec<Value> = shown.map(|row| fields(row, names)).collect();
    Ok(match shown.is_empty() {
        true => json!({ "count": count }),
        false => json!({ "count": count, "usagerecord": shown }),
    })
}

fn refused(cs_code: u16, text: String) -> Refused {
    Refused {
        code: 431,
        cs_code,
        text,
    }
}

/// The whole of a window must lie in it, both ends inclusive.
fn asked_period(param: &dyn Fn(&str) -> Option<String>) -> Result<Period, Refused> {
    let one = |name: &str| {
        param(name).ok_or_else(|| {
            let lead = "Unable to execute API command listusagerecords due to missing parameter";
            refused(9999, format!("{lead} {name}"))
        })
    };
    let (from, to) = (one("startdate")?, one("enddate")?);
    let (start, _) = date(&from)?;
    let (end, whole_day) = date(&to)?;
    let end = if whole_day {
        end.plus(24 * HOUR - SECOND)
    } else {
        end
    };
    if start > end {
        return Err(refused(
            4350,
            format!("Incorrect Date Range. Start date: {start} is after end date:{end}"),
        ));
    }
    Ok(Period {
        start,
        end: end.plus(SECOND),
    })
}

/// A date as CloudStack reads it: exact with an offset or a blank, else, silently, the whole day.
fn date(text: &str) -> Result<(Timestamp, bool), Refused> {
    let exact = ["%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%dT%H:%M:%S%:z"];
    let exact = exact
        .iter()
        .find_map(|form| jiff::Timestamp::strptime(form, text).ok());
    let zulu = || {
        text.strip_suffix('Z')
            .filter(|_| !text.contains('.'))?
            .parse()
            .ok()
    };
    let blank = || jiff::civil::DateTime::strptime("%Y-%m-%d %H:%M:%S", text).ok();
    let utc = |local: jiff::civil::DateTime| {
        let zoned = local.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        Some(zoned.timestamp())
    };
    if let Some(at) = exact.or_else(|| utc(zulu().or_else(blank)?)) {
        return Ok((Timestamp::from_micros(at.as_microsecond()), false));
    }
    let day = text
        .get(..10)
        .and_then(|day| day.parse::<jiff::civil::Date>().ok());
    match day.and_then(|day| utc(day.at(0, 0, 0, 0))) {
        Some(at) => Ok((Timestamp::from_micros(at.as_microsecond()), true)),
        None => Err(refused(
            9999,
            format!(
                "Unable to parse date {text} for command listusagerecords, \
             please pass dates in the format mentioned in the api documentation"
            ),
        )),
    }
}

/// Rows to skip and to take; none where no page is asked for. A size of -1 without a page is all.
fn asked_page(param: &dyn Fn(&str) -> Option<String>) -> Result<Option<(usize, usize)>, Refused> {
    let lacks = |name, other| {
        let text = format!("\"{name}\" parameter is required when \"{other}\" is specified");
        Err(refused(9999, text))
    };
    let number = |text: String| text.parse::<i64>().unwrap_or(0);
    match (param("page").map(number), param("pagesize").map(number)) {
        (None, None) => Ok(None),
        (None, Some(-1)) => Ok(Some((0, usize::MAX))),
        (Some(_), None) => lacks("pagesize", "page"),
        (None, Some(_)) => lacks("page", "pagesize"),
        (Some(_), Some(-1)) => {
            let text = "Can't specify page parameter when pagesize is -1 (Unlimited)";
            Err(refused(4350, text.to_owned()))
        }
        (Some(page), Some(size)) => {
            let size = usize::try_from(size).unwrap_or(0);
            if size > PAGE_SIZE {
                let text = "Page size can't exceed max allowed page size value: 500";
                return Err(refused(4350, text.to_owned()));
            }
            let page = usize::try_from(page).unwrap_or(0).max(1);
            Ok(Some(((page - 1).saturating_mul(size), size)))
        }
    }
}

/// What `usageid` asks for: of a NIC's record the offering, of networks nothing.
fn usage_id(row: &UsageRow) -> Option<&str> {
    match row.usage_type {
        UsageType::NetworkOffering => row.event.offering_id.as_deref(),
        UsageType::Network | UsageType::Vpc | UsageType::VpnUsers => None,
        UsageType::VmSnapshot | UsageType::VmSnapshotOnPrimary => {
            Some(row.event.resource_name.as_str())
        }
        _ => Some(row.event.resource.as_str()),
    }
}

fn printed(at: Timestamp) -> String {
    format!("{}+0000", at.to_string().trim_end_matches('Z'))
}

/// One record's fields, in CloudStack's order.
fn fields(row: &UsageRow, names: &dyn Names) -> Value {
    let event = &row.event;
    let mut out = Map::new();
    match &event.project {
        Some(project) => {
            out.insert("projectid".into(), json!(project));
            let name = names.name_of(project).unwrap_or_default();
            out.insert("project".into(), json!(name));
        }
        None => {
            out.insert("account".into(), json!(event.account));
            out.insert("accountid".into(), json!(event.account_id));
        }
    }
    let domain = names.name_of(&event.domain_id).unwrap_or_default();
    out.insert("domainid".into(), json!(event.domain_id));
    out.insert("domain".into(), json!(domain));
    let path = names.domain_path(&event.domain_id).unwrap_or_default();
    out.insert("domainpath".into(), json!(path));
    if !event.zone_id.is_empty() && row.usage_type != UsageType::VpnUsers {
        out.insert("zoneid".into(), json!(event.zone_id));
    }
    out.insert("description".into(), json!(description(row, names)));
    let raw = row.raw();
    let unit = match row.usage_type {
        UsageType::NetworkBytesSent => "bytes sent",
        UsageType::NetworkBytesReceived => "bytes received",
        _ => "Hrs",
    };
    out.insert("usage".into(), json!(format!("{} {unit}", plain(raw))));
    out.insert("usagetype".into(), json!(row.usage_type.number()));
    out.insert("rawusage".into(), json!(plain(raw)));
    special(row, names, &mut out);
    out.insert("startdate".into(), json!(printed(row.window.start)));
    out.insert(
        "enddate".into(),
        json!(printed(row.window.end.plus(-SECOND))),
    );
    match row.usage_type {
        UsageType::IpAddress => {
            out.insert("issourcenat".into(), json!(event.is_source_nat));
            out.insert("issystem".into(), json!(false));
        }
        UsageType::NetworkOffering => {
            out.insert("isdefault".into(), json!(event.is_default));
        }
        _ => {}
    }
    out.insert("tags".into(), json!([]));
    Value::Object(out)
}

fn plain(raw: Decimal) -> String {
    if raw.is_zero() {
        "0".to_owned()
    } else {
        raw.to_string()
    }
}

/// The fields that only some types have.
fn special(row: &UsageRow, names: &dyn Names, out: &mut Map<String, Value>) {
    let event = &row.event;
    let mut put = |name: &str, value: Value| {
        if !value.is_null() {
            out.insert(name.to_owned(), value);
        }
    };
    match row.usage_type {
        UsageType::RunningVm | UsageType::AllocatedVm => {
            put("virtualmachineid", json!(event.resource));
            put("name", json!(event.resource_name));
            put("offeringid", json!(event.offering_id));
            put("templateid", json!(event.template_id));
            let os = names.guest_os_of(event.template_id.as_deref().unwrap_or_default());
            let fields = [
                "ostypeid",
                "osdisplayname",
                "oscategoryid",
                "oscategoryname",
            ];
            for (field, value) in fields.iter().zip(os.into_iter().flatten()) {
                put(field, json!(value));
            }
            put("usageid", json!(event.resource));
            put("type", json!(event.hypervisor));
            put("cpunumber", json!(event.cpu_number));
            put("cpuspeed", json!(event.cpu_speed));
            put("memory", json!(event.memory));
        }
        UsageType::Volume => {
            put("offeringid", json!(event.offering_id));
            put("templateid", json!(event.template_id));
            put("usageid", json!(event.resource));
            put("size", json!(event.size));
        }
        UsageType::NetworkOffering => {
            put("virtualmachineid", json!(event.resource));
            put("offeringid", json!(event.offering_id));
        }
        UsageType::Network | UsageType::Vpc | UsageType::VpnUsers => {}
        UsageType::VmSnapshot | UsageType::VmSnapshotOnPrimary => {
            put("virtualmachineid", json!(event.resource));
            let shown = names.name_of(&event.resource_name);
            put(
                "name",
                json!(shown.as_ref().unwrap_or(&event.resource_name)),
            );
            put("usageid", json!(event.resource_name));
            put("size", json!(event.size));
        }
        UsageType::Backup => {
            put("virtualmachineid", json!(event.resource));
            put("name", json!(event.resource_name));
            put("usageid", json!(event.resource));
        }
        UsageType::Iso | UsageType::Template => {
            put("usageid", json!(event.resource));
            put("size", json!(event.size));
            put("virtualsize", json!(event.virtual_size));
        }
        UsageType::Snapshot => {
            put("usageid", json!(event.resource));
            put("size", json!(event.size));
        }
        UsageType::NetworkBytesSent | UsageType::NetworkBytesReceived => {
            routed(event).for_each(|(name, value)| put(name, value));
        }
        _ => put("usageid", json!(event.resource)),
    }
}

/// The fields of bytes that a router counted.
fn routed(event: &UsageEvent) -> impl Iterator<Item = (&'static str, Value)> {
    let fields = [
        ("usageid", json!(event.resource)),
        ("type", json!("DomainRouter")),
        ("name", json!(event.resource_name)),
        ("networkid", json!(event.network_id)),
    ];
    fields.into_iter()
}

fn description(row: &UsageRow, names: &dyn Names) -> String {
    let event = &row.event;
    let named = |id: &Option<String>| {
        let id = id.as_deref().unwrap_or_default();
        format!("{} ({id})", names.name_of(id).unwrap_or_default())
    };
    let (name, id) = (&event.resource_name, &event.resource);
    let vm = |lead: &str| {
        let (offering, template) = (named(&event.offering_id), named(&event.template_id));
        format!(
            "{lead} for {name} ({id}) using service offering {offering} and template {template}"
        )
    };
    match row.usage_type {
        UsageType::RunningVm => vm("Running VM usage"),
        UsageType::AllocatedVm => vm("Allocated VM usage"),
        UsageType::Volume => {
            let size = event.size.unwrap_or_default();
            format!("Volume usage for {name} ({id}) and size {size}")
        }
        UsageType::IpAddress => format!("IPAddress: {name}"),
        UsageType::NetworkOffering => {
            let vm = names.name_of(id).unwrap_or_default();
            let offering = named(&event.offering_id);
            format!("Network offering {offering} usage for VM {vm} ({id}) ")
        }
        UsageType::LoadBalancerPolicy => "Loadbalancer policy usage ".to_owned(),
        UsageType::PortForwardingRule => "Port forwarding rule usage".to_owned(),
        UsageType::VpnUsers => "VPN usage ".to_owned(),
        UsageType::Network => {
            let offering = event.offering_id.as_deref().unwrap_or_default();
            format!("Network usage for network ID: {id}, network offering: {offering}")
        }
        UsageType::Vpc => format!("VPC usage for VPC ID: {id}"),
        UsageType::Snapshot => format!("Snapshot usage for {name} ({id})"),
        UsageType::Template => format!("Template usage for {name} ({id})"),
        UsageType::Iso => format!("ISO usage for {name} ({id})"),
        UsageType::VmSnapshot => format!("VMSnapshot usage Id: {name} for VM ({id})"),
        UsageType::VmSnapshotOnPrimary => {
            format!("VMSnapshot on primary storage usage Id: {name} for VM ({id})")
        }
        UsageType::Backup => format!("Backup usage for VM ({id})"),
        UsageType::NetworkBytesSent => format!("Bytes sent by router {id} of network {name}"),
        UsageType::NetworkBytesReceived => {
            format!("Bytes received by router {id} of network {name}")
        }
        _ => String::new(),
    }
}

/// What is inside `listusagetypesresponse`.
#[must_use]
pub fn list_usage_types() -> Value {
    let types: Vec<Value> = TYPES
        .iter()
        .map(|(id, name, text)| json!({ "id": id, "name": name, "description": text }))
        .collect();
    json!({ "count": types.len(), "usagetype": types })
}

const TYPES: [(u8, &str, &str); 25] = [
    (1, "RUNNING_VM", "Running Vm Usage"),
    (2, "ALLOCATED_VM", "Allocated Vm Usage"),
    (3, "IP_ADDRESS", "IP Address Usage"),
    (4, "NETWORK_BYTES_SENT", "Network Usage (Bytes Sent)"),
    (
        5,
        "NETWORK_BYTES_RECEIVED",
        "Network Usage (Bytes Received)",
    ),
    (6, "VOLUME", "Volume Usage"),
    (7, "TEMPLATE", "Template Usage"),
    (8, "ISO", "ISO Usage"),
    (9, "SNAPSHOT", "Snapshot Usage"),
    (10, "SECURITY_GROUP", "Security Group Usage"),
    (11, "LOAD_BALANCER_POLICY", "Load Balancer Usage"),
    (12, "PORT_FORWARDING_RULE", "Port Forwarding Usage"),
    (13, "NETWORK_OFFERING", "Network Offering Usage"),
    (14, "VPN_USERS", "VPN users usage"),
    (21, "VM_DISK_IO_READ", "VM Disk usage(I/O Read)"),
    (22, "VM_DISK_IO_WRITE", "VM Disk usage(I/O Write)"),
    (23, "VM_DISK_BYTES_READ", "VM Disk usage(Bytes Read)"),
    (24, "VM_DISK_BYTES_WRITE", "VM Disk usage(Bytes Write)"),
    (25, "VM_SNAPSHOT", "VM Snapshot storage usage"),
    (26, "VOLUME_SECONDARY", "Volume on secondary storage usage"),
    (
        27,
        "VM_SNAPSHOT_ON_PRIMARY",
        "VM Snapshot on primary storage usage",
    ),
    (28, "BACKUP", "Backup storage usage"),
    (29, "BUCKET", "Bucket storage usage"),
    (30, "NETWORK", "Network usage"),
    (31, "VPC", "VPC usage"),
];
