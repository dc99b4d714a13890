//! Edge: domains, accounts, users and projects as the API shows them.

use super::{Shown, printed};
use crate::sandbox::call::Caller;
use crate::sandbox::cloud::Cloud;
use crate::sandbox::limits;
use crate::sandbox::records::{Account, Domain, Project, User};
use serde_json::{Value, json};

/// Names of what is limited, with the type's number, in an account's order.
const OF_ACCOUNT: [(&str, u8); 17] = [
    ("vm", 0),
    ("ip", 1),
    ("volume", 2),
    ("snapshot", 3),
    ("backup", 12),
    ("backupstorage", 13),
    ("template", 4),
    ("project", 5),
    ("network", 6),
    ("vpc", 7),
    ("cpu", 8),
    ("memory", 9),
    ("gpu", 16),
    ("primarystorage", 10),
    ("secondarystorage", 11),
    ("bucket", 14),
    ("objectstorage", 15),
];

/// The same in a project's order.
const OF_PROJECT: [(&str, u8); 16] = [
    ("network", 6),
    ("vpc", 7),
    ("cpu", 8),
    ("memory", 9),
    ("gpu", 16),
    ("primarystorage", 10),
    ("secondarystorage", 11),
    ("bucket", 14),
    ("objectstorage", 15),
    ("vm", 0),
    ("ip", 1),
    ("volume", 2),
    ("snapshot", 3),
    ("backup", 12),
    ("backupstorage", 13),
    ("template", 4),
];

/// A domain.
#[must_use]
pub fn domain(cloud: &Cloud, domain: &Domain) -> Value {
    let mut out = head(cloud, domain);
    out.put("state", "Active")
        .put("created", printed(domain.created));
    let unlimited = Account {
        kind: 1,
        ..Account::default()
    };
    used(&mut out, cloud, &unlimited, &OF_ACCOUNT);
    out.put("hasannotations", false).done()
}

/// A domain as `createDomain` shows it.
#[must_use]
pub fn new_domain(cloud: &Cloud, domain: &Domain) -> Value {
    head(cloud, domain)
        .put("secondarystoragetotal", zero())
        .done()
}

fn head(cloud: &Cloud, domain: &Domain) -> Shown {
    let mut out = Shown::new();
    let parent = domain
        .parent
        .as_deref()
        .and_then(|id| cloud.domains.find(id));
    let mut others = cloud.domains.iter().filter(|other| !other.removed);
    let has_child = others.any(|other| other.parent.as_deref() == Some(&domain.id));
    out.put("id", domain.id.as_str())
        .put("name", domain.name.as_str())
        .put("level", domain.level);
    if let Some(parent) = parent {
        out.put("parentdomainid", parent.id.as_str())
            .put("parentdomainname", parent.name.as_str());
    }
    out.put("haschild", has_child)
        .put("path", domain.path.as_str());
    out
}

/// The one fractional number of CloudStack's answers: what is used of secondary storage.
fn zero() -> Value {
    // Read from text, so that no fraction is computed with anywhere.
    serde_json::from_str("0.0").unwrap_or_default()
}

/// An account; with its numbers unless `details=min`.
#[must_use]
pub fn account(cloud: &Cloud, account: &Account, caller: &Caller, min: bool) -> Value {
    let mut out = Shown::new();
    let (role, role_type, role_name) = cloud.role_of(account);
    out.put("id", account.id.as_str())
        .put("name", account.name.as_str())
        .put("accounttype", account.kind)
        .put("roleid", role)
        .put("roletype", role_type)
        .put("rolename", role_name)
        .owner_domain(cloud, &account.id);
    if min {
        out.put("secondarystoragetotal", zero());
    } else {
        used(&mut out, cloud, account, &OF_ACCOUNT);
    }
    out.put("state", account.state.as_str());
    if !account.is_default {
        out.put("created", printed(account.created));
    }
    let users = cloud
        .users
        .iter()
        .filter(|u| !u.removed && u.account == account.id);
    let users: Vec<Value> = users.map(|of| user(cloud, of, caller, false)).collect();
    out.put("user", users)
        .put("isdefault", account.is_default)
        .none("groups");
    if caller.is_root() {
        out.put("apikeyaccess", "INHERIT");
    }
    out.done()
}

fn used(out: &mut Shown, cloud: &Cloud, account: &Account, order: &[(&str, u8)]) {
    for (name, kind) in order {
        let limit = limits::limit(account, *kind);
        let bytes = matches!(kind, 10 | 11);
        let used = limits::used(cloud, &account.id, *kind);
        let used = if bytes { used / limits::GIB } else { used };
        let text = |n: i64| {
            if limit < 0 {
                "Unlimited".to_owned()
            } else {
                n.to_string()
            }
        };
        let left = text(limit.saturating_sub(used));
        let is_secondary = *kind == 11;
        let left = if is_secondary && limit >= 0 {
            format!("{left}.0")
        } else {
            left
        };
        let total = if is_secondary { zero() } else { json!(used) };
        out.put(&format!("{name}limit"), text(limit))
            .put(&format!("{name}total"), total)
            .put(&format!("{name}available"), left);
        if *name == "template" && !account.id.is_empty() {
            let of = cloud.used_by(&account.id);
            out.put("vmstopped", of.vms - of.running)
                .put("vmrunning", of.running);
        }
    }
}

/// A user. `iscallerchilddomain` is told from the caller; in a list root admin sees more.
#[must_use]
pub fn user(cloud: &Cloud, user: &User, caller: &Caller, listed: bool) -> Value {
    let mut out = Shown::new();
    let unknown = Account::default();
    let account = cloud.accounts.find(&user.account).unwrap_or(&unknown);
    let (role, role_type, role_name) = cloud.role_of(account);
    let domain = cloud.domains.find(&account.domain);
    let is_below =
        caller.domain != account.domain && cloud.is_under(&account.domain, &caller.domain);
    out.put("id", user.id.as_str())
        .put("username", user.name.as_str())
        .put("firstname", user.first.as_str())
        .put("lastname", user.last.as_str())
        .put("email", user.email.as_str())
        .put("created", printed(user.created))
        .put("state", user.state.as_str())
        .put("account", account.name.as_str())
        .put("accounttype", account.kind)
        .put("usersource", "native")
        .put("roleid", role)
        .put("roletype", role_type)
        .put("rolename", role_name)
        .put("domainid", account.domain.as_str())
        .put("domain", domain.map_or("", |domain| domain.name.as_str()))
        .put("apikey", user.api_key.as_deref())
        .put("accountid", account.id.as_str())
        .put("iscallerchilddomain", listed && is_below)
        .put("isdefault", user.is_default)
        .put("is2faenabled", false)
        .put("is2famandated", false);
    if listed && caller.is_root() {
        out.put("apikeyaccess", "INHERIT");
    }
    out.done()
}

/// A project.
#[must_use]
pub fn project(cloud: &Cloud, project: &Project) -> Value {
    let mut out = Shown::new();
    let owner = cloud
        .accounts
        .find(&project.owner)
        .map_or("", |owner| owner.name.as_str());
    let domain = cloud
        .domains
        .find(&project.domain)
        .map_or("", |d| d.name.as_str());
    let unknown = Account::default();
    let hidden = cloud.accounts.find(&project.account).unwrap_or(&unknown);
    out.put("id", project.id.as_str())
        .put("name", project.name.as_str())
        .put("displaytext", project.text.as_str())
        .put("domainid", project.domain.as_str())
        .put("domain", domain)
        .put("owner", json!([{ "account": owner }]))
        .put("projectaccountname", hidden.name.as_str())
        .put("state", project.state.as_str())
        .none("tags");
    used(&mut out, cloud, hidden, &OF_PROJECT);
    out.put("created", printed(project.created));
    out.done()
}

/// A member of a project: a whole account.
#[must_use]
pub fn member(cloud: &Cloud, project: &Project, account: &Account, role: &str) -> Value {
    let mut out = Shown::new();
    let domain = cloud.domains.find(&account.domain);
    out.put("projectid", project.id.as_str())
        .put("project", project.name.as_str())
        .put("accountid", account.id.as_str())
        .put("account", account.name.as_str())
        .put("accounttype", account.kind)
        .put("role", role)
        .put("domainid", account.domain.as_str())
        .put("domain", domain.map_or("", |domain| domain.name.as_str()));
    out.done()
}
