//! Edge: the lists: scope of the caller, filters, pages.

use super::answer::{Refused, refused};
use super::auth::{Caller, under};
use super::commands::{Ctx, is_known};
use super::state::{Fields, State, Thing, fields, text};
use crate::cloudstack::query::ParamMap;
use serde_json::{Value, json};

/// Most rows of a page.
const PAGE_MAX: usize = 500;

/// Kind and field name of a list command.
#[must_use]
pub fn kind_of(command: &str) -> Option<&'static str> {
    let kind = match command {
        "listZones" => "zone",
        "listServiceOfferings" => "serviceoffering",
        "listDiskOfferings" => "diskoffering",
        "listNetworkOfferings" => "networkoffering",
        "listTemplates" => "template",
        "listDomains" => "domain",
        "listUsers" => "user",
        "listVirtualMachines" => "virtualmachine",
        "listVolumes" => "volume",
        "listNetworks" => "network",
        "listPublicIpAddresses" => "publicipaddress",
        "listSnapshots" => "snapshot",
        _ => return None,
    };
    Some(kind)
}

/// Every list of plain objects.
pub fn list(
    state: &mut State,
    _: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Value, Refused> {
    let kind = kind_of(params.command()).unwrap_or_default();
    let scope = Scope::of(caller, params);
    let found: Vec<Value> = state
        .all(kind)
        .filter(|thing| scope.holds(state, thing) && matches(&thing.shown, params))
        .map(|thing| shown(state, kind, thing))
        .collect();
    page(kind, found, params)
}

/// What the API shows of an object.
pub fn shown(state: &State, kind: &str, thing: &Thing) -> Value {
    match kind {
        "virtualmachine" => super::machines::listed(thing),
        _ => {
            let _ = state;
            json!(thing.shown)
        }
    }
}

/// `listAccounts`.
pub fn accounts(
    state: &mut State,
    _: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Value, Refused> {
    let scope = Scope::of(caller, params);
    let ids: Vec<String> = state
        .all("account")
        .filter(|thing| scope.holds(state, thing) && matches(&thing.shown, params))
        .map(|thing| thing.account.clone())
        .collect();
    let found = ids
        .iter()
        .map(|id| super::identity::shown_account(state, id))
        .collect();
    page("account", found, params)
}

/// Lists of what the stand-in never has.
pub fn nothing(_: &mut State, _: &Ctx, _: &Caller, _: &ParamMap) -> Result<Value, Refused> {
    Ok(json!({}))
}

/// `listCapabilities`.
pub fn capabilities(_: &mut State, _: &Ctx, _: &Caller, _: &ParamMap) -> Result<Value, Refused> {
    Ok(json!({"capability": fields("capability")}))
}

/// `listApis`: the names that the stand-in knows.
pub fn apis(_: &mut State, _: &Ctx, _: &Caller, params: &ParamMap) -> Result<Value, Refused> {
    if let Some(name) = params.get("name")
        && !is_known(name)
    {
        return Err(refused(530, 9999, format!("Unable to find API {name}")));
    }
    let names = super::jobs::CLASSES.iter().map(|(name, ..)| (*name, true));
    let names = names.chain(SYNC.iter().map(|name| (*name, false)));
    let wanted = names.filter(|(name, _)| params.get("name").is_none_or(|asked| asked == *name));
    let found: Vec<Value> = wanted
        .map(|(name, is_async)| {
            json!({"name": name, "description": "", "isasync": is_async, "related": "",
                   "params": [], "response": []})
        })
        .collect();
    Ok(json!({"count": found.len(), "api": found}))
}

const SYNC: [&str; 14] = [
    "listZones",
    "listServiceOfferings",
    "listDiskOfferings",
    "listNetworkOfferings",
    "listTemplates",
    "listVirtualMachines",
    "listVolumes",
    "listNetworks",
    "listPublicIpAddresses",
    "listSnapshots",
    "createNetwork",
    "deleteVolume",
    "queryAsyncJobResult",
    "listAsyncJobs",
];

/// `listEvents`: pages newest first, rows inside a page oldest first.
pub fn events(
    state: &mut State,
    _: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Value, Refused> {
    let scope = Scope::of(caller, params);
    let instant = |name: &str| params.get(name).map(|text| text.replace('T', " "));
    let (from, to) = (instant("startdate"), instant("enddate"));
    let inside = |event: &Fields| {
        let at = text(event, "created").replace('T', " ");
        let day = |bound: &String| at.get(..bound.len().min(19)).unwrap_or_default().to_owned();
        let cut = |bound: &String| {
            bound
                .get(..bound.len().min(19))
                .unwrap_or_default()
                .to_owned()
        };
        from.as_ref().is_none_or(|bound| day(bound) >= cut(bound))
            && to.as_ref().is_none_or(|bound| day(bound) <= cut(bound))
    };
    let same = |event: &Fields, name: &str| {
        params
            .get(name)
            .is_none_or(|asked| text(event, name) == asked)
    };
    let newest: Vec<Value> = state
        .events
        .iter()
        .rev()
        .filter(|(account, event)| {
            let things = Thing {
                account: account.clone(),
                ..Thing::default()
            };
            let scoped = scope.holds(state, &things) && inside(event);
            scoped
                && ["id", "type", "resourceid", "level"]
                    .iter()
                    .all(|name| same(event, name))
        })
        .map(|(_, event)| json!(event))
        .collect();
    let mut value = page("event", newest, params)?;
    if let Some(Value::Array(rows)) = value.get_mut("event") {
        rows.reverse();
    }
    Ok(value)
}

/// Whose objects a list shows.
pub struct Scope<'a> {
    caller: &'a Caller,
    all: bool,
    account: Option<&'a str>,
    domain: Option<&'a str>,
}

impl<'a> Scope<'a> {
    /// By `listall`, `account`, `domainid`, `id`.
    #[must_use]
    pub fn of(caller: &'a Caller, params: &'a ParamMap) -> Self {
        let by_id = params.get("id").is_some() || params.get("ids").is_some();
        Self {
            caller,
            all: by_id || params.get("listall") == Some("true"),
            account: params.get("account"),
            domain: params.get("domainid"),
        }
    }

    /// Whether it holds an object.
    #[must_use]
    pub fn holds(&self, state: &State, thing: &Thing) -> bool {
        if thing.account.is_empty() {
            let path = text(&thing.shown, "path");
            return self.caller.is_root() || path.is_empty() || under(path, &self.caller.path);
        }
        if !self.caller.reaches(state, &thing.account) {
            return false;
        }
        let owner = state
            .find("account", &thing.account)
            .map(|account| &account.shown);
        let owner_is = |field: &str, asked: &str| {
            owner.is_some_and(|owner| text(owner, field).eq_ignore_ascii_case(asked))
        };
        match (self.account, self.domain) {
            (Some(name), domain) => {
                owner_is("name", name) && domain.is_none_or(|id| owner_is("domainid", id))
            }
            (None, Some(domain)) => owner_is("domainid", domain),
            (None, None) => self.all || thing.account == self.caller.account,
        }
    }
}

/// Filters that mean the field of the same name, or nearly.
fn matches(shown: &Fields, params: &ParamMap) -> bool {
    let same = |param: &str, field: &str| {
        params
            .get(param)
            .is_none_or(|asked| text(shown, field).eq_ignore_ascii_case(asked))
    };
    let flag = |param: &str| {
        params.get(param).is_none_or(|asked| {
            shown
                .get(param)
                .is_none_or(|held| held.to_string().eq_ignore_ascii_case(asked))
        })
    };
    let one_of = |ids: &str| ids.split(',').any(|id| text(shown, "id") == id);
    let services = params
        .get("supportedservices")
        .is_none_or(|asked| has(shown, asked));
    let keyword = params.get("keyword").is_none_or(|word| {
        let word = word.to_lowercase();
        ["name", "displayname", "username", "description"]
            .iter()
            .any(|field| text(shown, field).to_lowercase().contains(&word))
    });
    let nic = params.get("networkid").is_none_or(|id| {
        let nics = shown.get("nic").and_then(Value::as_array);
        let has = |nic: &Value| nic.get("networkid").and_then(Value::as_str) == Some(id);
        nics.is_none_or(|nics| nics.iter().any(has))
    });
    const SAME: [&str; 11] = [
        "id",
        "name",
        "zoneid",
        "state",
        "type",
        "guestiptype",
        "virtualmachineid",
        "username",
        "ipaddress",
        "associatednetworkid",
        "volumeid",
    ];
    let zone = |name: &&&str| **name != "zoneid" || shown.contains_key("zoneid");
    SAME.iter().filter(zone).all(|name| same(name, name))
        && params.get("ids").is_none_or(one_of)
        && flag("issourcenat")
        && flag("iscustomized")
        && services
        && keyword
        && nic
}

fn has(shown: &Fields, asked: &str) -> bool {
    let held = shown.get("service").and_then(Value::as_array);
    let named = |name: &str| {
        let is = |service: &Value| {
            let held = service.get("name").and_then(Value::as_str);
            held.is_some_and(|held| held.eq_ignore_ascii_case(name))
        };
        held.is_some_and(|held| held.iter().any(is))
    };
    asked.split(',').all(named)
}

/// A page of what was found, with CloudStack's rules for `page` and `pagesize`.
pub fn page(name: &str, found: Vec<Value>, params: &ParamMap) -> Result<Value, Refused> {
    let number = |param: &str| {
        let text = params.get(param).filter(|text| !text.is_empty());
        text.map(|text| text.parse::<usize>().unwrap_or(0))
    };
    let (skip, take) = match (number("page"), number("pagesize")) {
        (Some(_), None) => {
            return Err(refused(
                431,
                9999,
                "\"page\" parameter requires \"pagesize\" parameter",
            ));
        }
        (_, Some(size)) if size > PAGE_MAX => {
            let text = format!("Page size can't exceed max allowed page size value: {PAGE_MAX}");
            return Err(refused(431, 9999, text));
        }
        (Some(page), Some(size)) => (page.saturating_sub(1).saturating_mul(size), size),
        _ => (0, PAGE_MAX),
    };
    if found.is_empty() {
        return Ok(json!({}));
    }
    let count = found.len();
    let rows: Vec<Value> = found.into_iter().skip(skip).take(take).collect();
    let mut answer = Fields::new();
    answer.insert("count".to_owned(), json!(count));
    if !rows.is_empty() {
        answer.insert(name.to_owned(), json!(rows));
    }
    Ok(Value::Object(answer))
}
