//! Edge: domains and accounts.

use crate::sandbox::call::{Call, Reply};
use crate::sandbox::cloud::{Cloud, next_number};
use crate::sandbox::fixed;
use crate::sandbox::records::{Account, Domain, User};
use crate::sandbox::refused::{Refused, invalid, not_yours, refused};
use crate::sandbox::views;
use crate::sandbox::work::Work;
use serde_json::json;

/// Runs a command of this file.
pub fn run(cloud: &mut Cloud, call: &Call<'_>, name: &str) -> Option<Result<Reply, Refused>> {
    Some(match name {
        "createDomain" => create_domain(cloud, call),
        "listDomains" | "listDomainChildren" => list_domains(cloud, call),
        "updateDomain" => update_domain(cloud, call),
        "deleteDomain" => delete_domain(cloud, call),
        "createAccount" => create_account(cloud, call),
        "listAccounts" => list_accounts(cloud, call),
        "updateAccount" => update_account(cloud, call),
        "enableAccount" => enable_account(cloud, call),
        "disableAccount" => disable_account(cloud, call),
        "lockAccount" => Err(refused(
            530,
            9999,
            "LockAccount does not lock accounts. Its implementation is disabled. Use \
             DisableAccount instead.",
        )),
        "deleteAccount" => delete_account(cloud, call),
        _ => return None,
    })
}

/// The domain a parameter names, if the caller may act in it.
pub fn domain(cloud: &Cloud, call: &Call<'_>, parameter: &str) -> Result<Domain, Refused> {
    let id = call.required(parameter)?;
    let domain = cloud.domains.find(id).filter(|domain| !domain.removed);
    let domain = domain.ok_or_else(|| call.no_such(parameter))?;
    if !cloud.is_under(&domain.id, &call.caller.domain) {
        return Err(not_yours());
    }
    Ok(domain.clone())
}

fn create_domain(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let name = call.required("name")?;
    let parent = match call.text("parentdomainid") {
        Some(_) => domain(cloud, call, "parentdomainid")?,
        None => cloud
            .domains
            .find(&call.caller.domain)
            .cloned()
            .unwrap_or_default(),
    };
    let mut domains = cloud.domains.iter();
    let taken = domains.any(|domain| {
        !domain.removed
            && domain.parent.as_deref() == Some(&parent.id)
            && domain.name.eq_ignore_ascii_case(name)
    });
    if taken {
        return Err(invalid(format!(
            "Domain with name {name} already exists for the parent id={}",
            parent.number
        )));
    }
    let made = Domain {
        number: next_number(&cloud.domains),
        id: call
            .text("domainid")
            .map_or_else(|| (call.moment.fresh)(), str::to_owned),
        name: name.to_owned(),
        path: format!("{}/{name}", parent.path),
        level: parent.level + 1,
        parent: Some(parent.id),
        created: call.moment.now,
        removed: false,
    };
    cloud.domains.insert(made.clone());
    Ok(Reply::Now(
        json!({ "domain": views::account::new_domain(cloud, &made) }),
    ))
}

fn list_domains(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let lists_all = call.flag("listall") == Some(true) || call.caller.is_root();
    let level = call.number("level")?;
    let rows: Vec<&Domain> = cloud
        .domains
        .iter()
        .filter(|domain| !domain.removed && call.names(&domain.id, &domain.name))
        .filter(|domain| level.is_none_or(|level| domain.level == level))
        .filter(|domain| cloud.is_under(&domain.id, &call.caller.domain))
        .filter(|domain| lists_all || call.text("id").is_some() || domain.id == call.caller.domain)
        .collect();
    call.listed("domain", &rows, |domain| {
        views::account::domain(cloud, domain)
    })
}

fn update_domain(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let old = domain(cloud, call, "id")?;
    if let Some(name) = call.text("name") {
        let cut = old.path.len() - old.name.len();
        let path = format!("{}{name}", old.path.get(..cut).unwrap_or_default());
        let below = format!("{}/", old.path);
        for domain in cloud.domains.iter_mut() {
            if domain.id == old.id {
                domain.name = name.to_owned();
                domain.path.clone_from(&path);
            } else if let Some(rest) = domain.path.strip_prefix(&below) {
                domain.path = format!("{path}/{rest}");
            }
        }
    }
    let row = cloud.domains.find(&old.id).cloned().unwrap_or_default();
    Ok(Reply::Now(
        json!({ "domain": views::account::domain(cloud, &row) }),
    ))
}

fn delete_domain(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let row = domain(cloud, call, "id")?;
    if row.level == 0 {
        return Err(refused(531, 4365, "It is prohibited to delete ROOT domain"));
    }
    let in_use = cloud
        .accounts
        .iter()
        .any(|a| !a.removed && a.domain == row.id);
    if in_use && call.flag("cleanup") != Some(true) {
        return Err(refused(
            530,
            9999,
            format!(
                "Failed to delete domain {}: it has accounts; pass cleanup=true",
                row.name
            ),
        ));
    }
    let work = Work::DeleteDomain {
        domain: row.id.clone(),
    };
    Ok(Reply::job("Domain", &row.id, work))
}

fn create_account(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let home = match call.text("domainid") {
        Some(_) => domain(cloud, call, "domainid")?,
        None => cloud
            .domains
            .find(&call.caller.domain)
            .cloned()
            .unwrap_or_default(),
    };
    let user = call.required("username")?;
    let name = call.text("account").unwrap_or(user);
    let by_role = call.text("roleid").and_then(|id| {
        fixed::roles()
            .iter()
            .find(|role| role.1 == id)
            .map(|role| role.0)
    });
    let kind = by_role.or(call.number("accounttype")?).unwrap_or(0);
    if !(0..=2).contains(&kind) || (kind == 1 && !call.caller.is_root()) {
        return Err(not_yours());
    }
    if cloud.account_named(name, &home.id).is_some() {
        return Err(invalid(format!(
            "The specified account: {name} already exists in domain {}",
            home.id
        )));
    }
    check_user_name(cloud, user, &home.id)?;
    let made = Account {
        number: next_number(&cloud.accounts),
        id: call
            .text("accountid")
            .map_or_else(|| (call.moment.fresh)(), str::to_owned),
        name: name.to_owned(),
        kind,
        domain: home.id,
        state: "enabled".to_owned(),
        created: call.moment.now,
        ..Account::default()
    };
    cloud.accounts.insert(made.clone());
    add_user(cloud, call, &made.id)?;
    Ok(Reply::Now(json!({ "account": shown(cloud, call, &made) })))
}

/// Users' names are unique in a domain.
pub fn check_user_name(cloud: &Cloud, name: &str, domain: &str) -> Result<(), Refused> {
    let mut users = cloud.users.iter();
    let taken = users.any(|user| {
        let account = cloud.accounts.find(&user.account);
        !user.removed
            && user.name.eq_ignore_ascii_case(name)
            && account.is_some_and(|account| account.domain == domain)
    });
    if taken {
        return Err(invalid(format!(
            "The user {name} already exists in domain {domain}"
        )));
    }
    Ok(())
}

/// Writes a user from the call's parameters.
pub fn add_user(cloud: &mut Cloud, call: &Call<'_>, account: &str) -> Result<User, Refused> {
    let made = User {
        number: next_number(&cloud.users),
        id: call
            .text("userid")
            .map_or_else(|| (call.moment.fresh)(), str::to_owned),
        name: call.required("username")?.to_owned(),
        password: call.required("password")?.to_owned(),
        first: call.required("firstname")?.to_owned(),
        last: call.required("lastname")?.to_owned(),
        email: call.required("email")?.to_owned(),
        account: account.to_owned(),
        state: "enabled".to_owned(),
        created: call.moment.now,
        ..User::default()
    };
    cloud.users.insert(made.clone());
    Ok(made)
}

fn shown(cloud: &Cloud, call: &Call<'_>, account: &Account) -> serde_json::Value {
    views::account::account(cloud, account, call.caller, false)
}

fn list_accounts(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let min = call.list("details") == ["min"];
    let lists_all = call.flag("listall") == Some(true);
    let below = call.flag("isrecursive") == Some(true);
    let in_domain = |account: &Account| match call.text("domainid") {
        Some(domain) if below => cloud.is_under(&account.domain, domain),
        Some(domain) => account.domain.eq_ignore_ascii_case(domain),
        None if call.text("id").is_some() || lists_all => true,
        None => account.id == call.caller.account,
    };
    let kind = call.number("accounttype")?;
    let wanted = |account: &&Account| {
        !account.removed
            && account.project.is_none()
            && call.names(&account.id, &account.name)
            && kind.is_none_or(|kind| account.kind == kind)
            && call
                .text("state")
                .is_none_or(|asked| asked.eq_ignore_ascii_case(&account.state))
            && in_domain(account)
            && call.caller.reaches(cloud, &account.id)
    };
    let rows: Vec<&Account> = cloud.accounts.iter().filter(wanted).collect();
    call.listed("account", &rows, |account| {
        let mut shown = views::account::account(cloud, account, call.caller, min);
        if let Some(users) = shown["user"].as_array_mut() {
            // A list of accounts tells nothing of where the caller stands to its users.
            users
                .iter_mut()
                .for_each(|user| user["iscallerchilddomain"] = json!(false));
        }
        shown
    })
}

/// The account that `id`, or `account` and `domainid`, name.
fn named(cloud: &Cloud, call: &Call<'_>) -> Result<Account, Refused> {
    let found = match call.text("id") {
        Some(id) => cloud.accounts.find(id).filter(|account| !account.removed),
        None => match (call.text("account"), call.text("domainid")) {
            (Some(name), Some(domain)) => {
                let domain = cloud.domains.find(domain);
                domain.and_then(|domain| cloud.account_named(name, &domain.id))
            }
            _ => None,
        },
    };
    let account = found.ok_or_else(|| call.no_such("id"))?;
    if !call.caller.reaches(cloud, &account.id) {
        return Err(not_yours());
    }
    Ok(account.clone())
}

fn changed(
    cloud: &mut Cloud,
    call: &Call<'_>,
    change: impl FnOnce(&mut Account),
) -> Result<Reply, Refused> {
    let account = named(cloud, call)?;
    if let Some(row) = cloud.accounts.find_mut(&account.id) {
        change(row);
    }
    let row = cloud
        .accounts
        .find(&account.id)
        .cloned()
        .unwrap_or_default();
    Ok(Reply::Now(json!({ "account": shown(cloud, call, &row) })))
}

fn update_account(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let name = call.text("newname").map(str::to_owned);
    let role = call.text("roleid").map(str::to_owned);
    let known = |id: &str| cloud.roles.find(id).is_some_and(|role| !role.removed);
    if role.as_deref().is_some_and(|id| !known(id)) {
        return Err(call.no_such("roleid"));
    }
    changed(cloud, call, |account| {
        if role.is_some() {
            account.role = role;
        }
        if let Some(name) = name {
            account.name = name;
        }
    })
}

fn enable_account(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    changed(cloud, call, |account| account.state = "enabled".to_owned())
}

fn disable_account(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let account = named(cloud, call)?;
    let lock = call.required("lock")?.eq_ignore_ascii_case("true");
    let work = Work::DisableAccount {
        account: account.id.clone(),
        lock,
    };
    Ok(Reply::job("Account", &account.id, work))
}

fn delete_account(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let account = named(cloud, call)?;
    if account.is_default {
        return Err(invalid(
            "The account is system account and can not be deleted",
        ));
    }
    let work = Work::DeleteAccount {
        account: account.id.clone(),
    };
    Ok(Reply::job("Account", &account.id, work))
}
