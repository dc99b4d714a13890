//! Edge: users and their keys.

use super::identity::{add_user, check_user_name};
use crate::sandbox::call::{Call, Reply};
use crate::sandbox::cloud::Cloud;
use crate::sandbox::records::User;
use crate::sandbox::refused::{Refused, invalid, not_yours};
use crate::sandbox::seed::new_key;
use crate::sandbox::views;
use crate::sandbox::work::Work;
use serde_json::json;

/// Runs a command of this file.
pub fn run(cloud: &mut Cloud, call: &Call<'_>, name: &str) -> Option<Result<Reply, Refused>> {
    Some(match name {
        "createUser" => create(cloud, call),
        "listUsers" => list(cloud, call),
        "updateUser" => update(cloud, call),
        "deleteUser" => delete(cloud, call),
        "enableUser" => set_state(cloud, call, "enabled"),
        "lockUser" => set_state(cloud, call, "locked"),
        "disableUser" => disable(cloud, call),
        "getUser" => by_key(cloud, call),
        "getUserKeys" => keys(cloud, call),
        "registerUserKeys" => register(cloud, call),
        _ => return None,
    })
}

fn named(cloud: &Cloud, call: &Call<'_>) -> Result<User, Refused> {
    let id = call.required("id")?;
    let user = cloud.users.find(id).filter(|user| !user.removed);
    let user = user.ok_or_else(|| call.no_such("id"))?;
    let is_root = |account: &str| {
        cloud
            .accounts
            .find(account)
            .is_some_and(|account| account.kind == 1)
    };
    let above = is_root(&user.account) && !call.caller.is_root();
    if above || !call.caller.reaches(cloud, &user.account) {
        return Err(not_yours());
    }
    Ok(user.clone())
}

fn create(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let name = call.required("account")?;
    let domain = call.text("domainid").unwrap_or(&call.caller.domain);
    let account = cloud.account_named(name, domain).cloned();
    let account = account.ok_or_else(|| {
        invalid(format!(
            "Unable to find account {name} in domain id={domain} to create user"
        ))
    })?;
    if !call.caller.reaches(cloud, &account.id) {
        return Err(not_yours());
    }
    check_user_name(cloud, call.required("username")?, &account.domain)?;
    let made = add_user(cloud, call, &account.id)?;
    Ok(Reply::Now(
        json!({ "user": shown(cloud, call, &made, false) }),
    ))
}

fn shown(cloud: &Cloud, call: &Call<'_>, user: &User, listed: bool) -> serde_json::Value {
    views::account::user(cloud, user, call.caller, listed)
}

/// A normal user sees itself alone; admins see their account's users, or all with `listall`.
fn list(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let lists_all = call.flag("listall") == Some(true) || call.text("id").is_some();
    let scope = match call.text("account").or(call.text("domainid")) {
        Some(_) => Some(call.scope(cloud)?),
        None => None,
    };
    let wanted = |user: &&User| {
        let sees = match (&scope, call.caller.kind) {
            (_, 0) => user.id == call.caller.user,
            (Some(scope), _) => scope.shows(cloud, &user.account),
            (None, _) if lists_all => call.caller.reaches(cloud, &user.account),
            (None, _) => user.account == call.caller.account,
        };
        !user.removed
            && sees
            && call
                .text("id")
                .is_none_or(|id| user.id.eq_ignore_ascii_case(id))
            && call
                .text("username")
                .is_none_or(|name| user.name.eq_ignore_ascii_case(name))
    };
    let rows: Vec<&User> = cloud.users.iter().filter(wanted).collect();
    call.listed("user", &rows, |user| shown(cloud, call, user, true))
}

fn update(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let user = named(cloud, call)?;
    let pair = (call.text("userapikey"), call.text("usersecretkey"));
    if pair.0.is_some() != pair.1.is_some() {
        return Err(invalid("Please provide an userApiKey/userSecretKey pair"));
    }
    if let Some(key) = pair.0
        && cloud
            .user_with_key(key)
            .is_some_and(|other| other.id != user.id)
    {
        return Err(invalid(format!(
            "The API key [{key}] exists in the system. Please provide a unique key."
        )));
    }
    if let Some(row) = cloud.users.find_mut(&user.id) {
        let set = |field: &mut String, name: &str| {
            if let Some(text) = call.text(name) {
                text.clone_into(field);
            }
        };
        set(&mut row.first, "firstname");
        set(&mut row.last, "lastname");
        set(&mut row.email, "email");
        set(&mut row.password, "password");
        set(&mut row.name, "username");
        if let (Some(key), Some(secret)) = pair {
            row.api_key = Some(key.to_owned());
            row.secret = Some(secret.to_owned());
        }
    }
    reply(cloud, call, &user.id)
}

fn reply(cloud: &Cloud, call: &Call<'_>, id: &str) -> Result<Reply, Refused> {
    let row = cloud.users.find(id).cloned().unwrap_or_default();
    Ok(Reply::Now(
        json!({ "user": shown(cloud, call, &row, false) }),
    ))
}

fn delete(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let user = named(cloud, call)?;
    if user.is_default {
        return Err(invalid("The user is default and can not be removed"));
    }
    if let Some(row) = cloud.users.find_mut(&user.id) {
        row.removed = true;
    }
    Ok(Reply::success())
}

fn set_state(cloud: &mut Cloud, call: &Call<'_>, state: &str) -> Result<Reply, Refused> {
    let user = named(cloud, call)?;
    if let Some(row) = cloud.users.find_mut(&user.id) {
        state.clone_into(&mut row.state);
    }
    reply(cloud, call, &user.id)
}

fn disable(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let user = named(cloud, call)?;
    Ok(Reply::job(
        "User",
        &user.id,
        Work::DisableUser {
            user: user.id.clone(),
        },
    ))
}

fn by_key(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let Some(key) = call.text("userapikey") else {
        return Err(invalid("Invalid value provided for API arg: userapikey"));
    };
    let user = cloud.user_with_key(key).cloned();
    let user = user.ok_or_else(|| invalid("User with specified API key does not exist"))?;
    Ok(Reply::Now(
        json!({ "user": shown(cloud, call, &user, false) }),
    ))
}

fn keys(cloud: &Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let user = named(cloud, call)?;
    Ok(Reply::Now(json!({ "userkeys": {
        "apikey": user.api_key, "secretkey": user.secret, "apikeyaccess": true,
    }})))
}

fn register(cloud: &mut Cloud, call: &Call<'_>) -> Result<Reply, Refused> {
    let user = named(cloud, call)?;
    let (key, secret) = (new_key(call.moment), new_key(call.moment));
    if let Some(row) = cloud.users.find_mut(&user.id) {
        row.api_key = Some(key.clone());
        row.secret = Some(secret.clone());
    }
    Ok(Reply::Now(
        json!({ "userkeys": { "apikey": key, "secretkey": secret } }),
    ))
}
