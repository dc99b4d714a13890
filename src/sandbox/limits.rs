//! Edge: limits of an account, and the refusals where they would be passed.

use super::answer::{Refused, missing, refused};
use super::auth::Caller;
use super::commands::Ctx;
use super::state::{State, shape, text};
use crate::cloudstack::query::ParamMap;
use serde_json::{Value, json};

/// Bytes of a GiB.
pub const GIB: i64 = 1 << 30;

/// `resourcetype` and its name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Limited {
    /// 0
    Vms,
    /// 1
    Addresses,
    /// 2
    Volumes,
    /// 3
    Snapshots,
    /// 6
    Networks,
    /// 8
    Cpus,
    /// 9, in MiB
    Memory,
    /// 10, in bytes here, in GiB as a limit
    PrimaryStorage,
}

impl Limited {
    const fn number(self) -> u8 {
        match self {
            Self::Vms => 0,
            Self::Addresses => 1,
            Self::Volumes => 2,
            Self::Snapshots => 3,
            Self::Networks => 6,
            Self::Cpus => 8,
            Self::Memory => 9,
            Self::PrimaryStorage => 10,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Vms => "user_vm",
            Self::Addresses => "public_ip",
            Self::Volumes => "volume",
            Self::Snapshots => "snapshot",
            Self::Networks => "network",
            Self::Cpus => "cpu",
            Self::Memory => "memory",
            Self::PrimaryStorage => "primary_storage",
        }
    }

    fn used(self, state: &State, account: &str) -> i64 {
        let kind = match self {
            Self::Vms | Self::Cpus | Self::Memory => "virtualmachine",
            Self::Addresses => "publicipaddress",
            Self::Volumes | Self::PrimaryStorage => "volume",
            Self::Snapshots => "snapshot",
            Self::Networks => "network",
        };
        let field = match self {
            Self::Cpus => "cpunumber",
            Self::Memory => "memory",
            Self::PrimaryStorage => "size",
            _ => "",
        };
        let counts = |state: &str| state != "Destroyed" && state != "Error";
        let owned = state.all(kind).filter(|thing| thing.account == account);
        owned
            .filter(|thing| counts(text(&thing.shown, "state")))
            .map(|thing| match field {
                "" => 1,
                field => thing.shown.get(field).and_then(Value::as_i64).unwrap_or(0),
            })
            .fold(0, i64::saturating_add)
    }
}

fn limit_of(state: &State, account: &str, number: u8) -> i64 {
    let set = state
        .limits
        .get(account)
        .and_then(|limits| limits.get(&number));
    let is_root = state
        .find("account", account)
        .is_some_and(|account| account.shown.get("accounttype") == Some(&json!(1)));
    set.copied()
        .unwrap_or_else(|| if is_root { -1 } else { standard(number) })
}

fn standard(number: u8) -> i64 {
    match number {
        5 => 10,
        8 => 40,
        9 => 40_960,
        10 => 200,
        11 | 13 | 15 => 400,
        _ => 20,
    }
}

/// Refuses where `more` would pass the account's limit; `cs_code` as the command has it.
///
/// # Errors
/// 535, or 532 for addresses.
pub fn check(
    state: &State,
    account: &str,
    what: Limited,
    more: i64,
    cs_code: i64,
) -> Result<(), Refused> {
    let limit = limit_of(state, account, what.number());
    let scale = if what == Limited::PrimaryStorage {
        GIB
    } else {
        1
    };
    let (used, most) = (what.used(state, account), limit.saturating_mul(scale));
    if limit < 0 || used.saturating_add(more) <= most {
        return Ok(());
    }
    let name = state.text_of("account", account, "name");
    if what == Limited::Addresses {
        let text =
            format!("Maximum number of public IP addresses for account: {name} has been exceeded.");
        return Err(refused(532, 4280, text));
    }
    let amount = |value: i64| match what {
        Limited::PrimaryStorage if value == 0 => "(0 bytes) 0".to_owned(),
        Limited::PrimaryStorage => {
            let cents = value.saturating_mul(100).checked_div(GIB).unwrap_or(0);
            let whole = cents.checked_div(100).unwrap_or(0);
            let part = cents.checked_rem(100).unwrap_or(0);
            format!("({whole}.{part:02} GB) {value}")
        }
        _ => value.to_string(),
    };
    Err(refused(
        535,
        cs_code,
        format!(
            "Maximum amount of resources of Type = '{}', tag = 'null' for Account Name = {name} in \
             Domain Id = 8 is exceeded: Account Resource Limit = {}, Current Account Resource \
             Amount = {}, Current Account Resource Reservation = {}, Requested Resource Amount = {}.",
            what.name(),
            amount(most),
            amount(used),
            amount(0),
            amount(more),
        ),
    ))
}

/// `updateResourceLimit`.
pub fn update(
    state: &mut State,
    _: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Value, Refused> {
    let number = params
        .get("resourcetype")
        .and_then(|text| text.parse::<u8>().ok());
    let number = number.ok_or_else(|| missing(params.command(), "resourcetype"))?;
    let max = params
        .get("max")
        .and_then(|text| text.parse::<i64>().ok())
        .unwrap_or(-1);
    let account = asked_account(state, caller, params)?;
    state
        .limits
        .entry(account.clone())
        .or_default()
        .insert(number, max);
    let rows = rows(state, &account);
    let row = rows
        .into_iter()
        .find(|row| row["resourcetype"] == json!(number.to_string()));
    Ok(json!({"resourcelimit": row}))
}

/// `listResourceLimits`.
pub fn list(
    state: &mut State,
    _: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Value, Refused> {
    let account = asked_account(state, caller, params)?;
    let mut rows = rows(state, &account);
    if let Some(number) = params.get("resourcetype") {
        rows.retain(|row| row["resourcetype"] == json!(number));
    }
    super::lists::page("resourcelimit", rows, params)
}

/// The account that `account` and `domainid` name; the caller's own without them.
///
/// # Errors
/// 531 for one that the caller may not use.
pub fn asked_account(state: &State, caller: &Caller, params: &ParamMap) -> Result<String, Refused> {
    let Some(name) = params.get("account") else {
        return Ok(caller.account.clone());
    };
    let domain = params.get("domainid").unwrap_or(&caller.domain);
    let found = state.all("account").find(|thing| {
        text(&thing.shown, "name").eq_ignore_ascii_case(name)
            && text(&thing.shown, "domainid") == domain
    });
    let found = found.map(|thing| thing.account.clone());
    let found = found.ok_or_else(|| {
        refused(
            431,
            4350,
            format!("Unable to find account {name} in domain {domain}"),
        )
    })?;
    match caller.reaches(state, &found) {
        true => Ok(found),
        false => Err(super::answer::not_yours()),
    }
}

fn rows(state: &State, id: &str) -> Vec<Value> {
    let Value::Array(rows) = shape("resourcelimit") else {
        return Vec::new();
    };
    let account = state
        .find("account", id)
        .map(|thing| thing.shown.clone())
        .unwrap_or_default();
    let of = |mut row: Value| {
        let number = row["resourcetype"]
            .as_str()
            .and_then(|text| text.parse().ok())
            .unwrap_or(0);
        row["max"] = json!(limit_of(state, id, number));
        row["account"] = json!(text(&account, "name"));
        for field in ["domainid", "domain", "domainpath"] {
            row[field] = json!(text(&account, field));
        }
        row
    };
    rows.into_iter().map(of).collect()
}
