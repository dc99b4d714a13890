//! Edge: domains, accounts, users and their keys.

use super::answer::{Refused, missing, refused};
use super::auth::Caller;
use super::commands::Ctx;
use super::state::{Secrets, State, fields, printed, set, text};
use crate::clock::Clock;
use crate::cloudstack::query::ParamMap;
use serde_json::{Value, json};

/// What an account and its first user are made of.
pub struct NewAccount<'a> {
    /// Account name.
    pub name: &'a str,
    /// 0 user, 1 root admin, 2 domain admin.
    pub kind: i64,
    /// Domain id.
    pub domain: &'a str,
    /// User name.
    pub user: &'a str,
    /// Password for `login`.
    pub password: &'a str,
    /// First name, last name, mail.
    pub names: [&'a str; 3],
}

/// Makes an account with its user; gives the user's id.
pub fn add_account(state: &mut State, clock: &Clock, new: &NewAccount<'_>) -> String {
    let (account, user) = (clock.random_uuid(), clock.random_uuid());
    let role = match new.kind {
        1 => (
            "Admin",
            "Root Admin",
            "7d0c8c46-e6ca-11f1-b146-02fc00000001",
        ),
        2 => (
            "DomainAdmin",
            "Domain Admin",
            "7d0c8c48-e6ca-11f1-b146-02fc00000001",
        ),
        _ => ("User", "User", "81aa17cb-e6ca-11f1-b146-02fc00000001"),
    };
    let domain = state.text_of("domain", new.domain, "name");
    let path = state.text_of("domain", new.domain, "path");
    let common = [
        ("accounttype", json!(new.kind)),
        ("roleid", json!(role.2)),
        ("roletype", json!(role.0)),
        ("rolename", json!(role.1)),
        ("domainid", json!(new.domain)),
        ("domain", json!(domain)),
        ("created", printed(clock.billing())),
    ];
    let mut shown = fields("account");
    set(
        &mut shown,
        &[("id", json!(account)), ("name", json!(new.name))],
    );
    set(&mut shown, &common);
    set(
        &mut shown,
        &[("domainpath", json!(path)), ("user", json!([]))],
    );
    state.put("account", &account, shown);
    let mut shown = fields("user");
    set(
        &mut shown,
        &[("id", json!(user)), ("username", json!(new.user))],
    );
    for (name, value) in ["firstname", "lastname", "email"].iter().zip(new.names) {
        set(&mut shown, &[(name, json!(value))]);
    }
    set(&mut shown, &common);
    set(
        &mut shown,
        &[("account", json!(new.name)), ("accountid", json!(account))],
    );
    shown.remove("apikey");
    state.put("user", &account, shown);
    let secrets = Secrets {
        password: new.password.to_owned(),
        ..Secrets::default()
    };
    state.secrets.insert(user.clone(), secrets);
    user
}

/// Gives a user a new pair of keys.
pub fn new_keys(state: &mut State, clock: &Clock, user: &str) -> Value {
    let fresh = || {
        let text = format!(
            "{}{}{}",
            clock.random_uuid(),
            clock.random_uuid(),
            clock.random_uuid()
        );
        text.replace('-', "").chars().take(86).collect::<String>()
    };
    let secrets = state.secrets.entry(user.to_owned()).or_default();
    (secrets.api_key, secrets.secret) = (fresh(), fresh());
    let keys = json!({"apikey": secrets.api_key, "secretkey": secrets.secret});
    let api_key = secrets.api_key.clone();
    if let Some(user) = state.find_mut("user", user) {
        set(&mut user.shown, &[("apikey", json!(api_key))]);
    }
    keys
}

/// `registerUserKeys`.
pub fn register_user_keys(
    state: &mut State,
    ctx: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Value, Refused> {
    let user = reached_user(state, caller, params)?;
    Ok(json!({"userkeys": new_keys(state, &ctx.clock, &user)}))
}

/// `getUserKeys`.
pub fn get_user_keys(
    state: &mut State,
    _: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Value, Refused> {
    let user = reached_user(state, caller, params)?;
    let secrets = state.secrets.get(&user).cloned().unwrap_or_default();
    Ok(json!({"userkeys": {
        "apikey": secrets.api_key, "secretkey": secrets.secret, "apikeyaccess": true,
    }}))
}

fn reached_user(state: &State, caller: &Caller, params: &ParamMap) -> Result<String, Refused> {
    let user = state.named("user", params, "id")?;
    match caller.reaches(state, &user.account) {
        true => Ok(text(&user.shown, "id").to_owned()),
        false => Err(super::answer::not_yours()),
    }
}

/// `getUser` by key, in any case of its letters.
pub fn get_user(
    state: &mut State,
    _: &Ctx,
    _: &Caller,
    params: &ParamMap,
) -> Result<Value, Refused> {
    let command = params.command();
    let key = params
        .get("userapikey")
        .ok_or_else(|| missing(command, "userapikey"))?
        .trim_end();
    if key.is_empty() {
        return Err(refused(
            431,
            9999,
            "Invalid value provided for API arg: userapikey",
        ));
    }
    let found = state
        .secrets
        .iter()
        .find(|(_, held)| held.api_key.eq_ignore_ascii_case(key));
    let user = found.and_then(|(id, _)| state.find("user", id));
    let user =
        user.ok_or_else(|| refused(431, 4350, "User with specified API key does not exist"))?;
    let mut shown = user.shown.clone();
    shown.remove("apikeyaccess");
    set(&mut shown, &[("iscallerchilddomain", json!(false))]);
    Ok(json!({"user": shown}))
}

/// `createDomain`.
pub fn create_domain(
    state: &mut State,
    ctx: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Value, Refused> {
    let name = params
        .get("name")
        .ok_or_else(|| missing(params.command(), "name"))?;
    let parent = params.get("parentdomainid").unwrap_or(&caller.domain);
    let parent = state
        .find("domain", parent)
        .map(|thing| thing.shown.clone());
    let parent = parent.ok_or_else(|| refused(431, 4350, "Unable to find parent domain"))?;
    let path = format!("{}/{name}", text(&parent, "path"));
    if state
        .all("domain")
        .any(|domain| text(&domain.shown, "path") == path)
    {
        let text = format!("Domain with name {name} already exists for the parent");
        return Err(refused(431, 4350, text));
    }
    let level = parent
        .get("level")
        .and_then(Value::as_i64)
        .unwrap_or(0)
        .saturating_add(1);
    let mut shown = fields("domain");
    let id = ctx.clock.random_uuid();
    set(
        &mut shown,
        &[
            ("id", json!(id)),
            ("name", json!(name)),
            ("level", json!(level)),
            ("parentdomainid", json!(text(&parent, "id"))),
            ("parentdomainname", json!(text(&parent, "name"))),
            ("haschild", json!(false)),
            ("path", json!(path)),
            ("created", printed(ctx.now)),
        ],
    );
    state.put("domain", "", shown.clone());
    Ok(json!({"domain": shown}))
}

/// `createAccount`.
pub fn create_account(
    state: &mut State,
    ctx: &Ctx,
    caller: &Caller,
    params: &ParamMap,
) -> Result<Value, Refused> {
    let command = params.command();
    let need = |name: &str| params.get(name).ok_or_else(|| missing(command, name));
    let user = need("username")?;
    let name = params.get("account").unwrap_or(user);
    let domain = params.get("domainid").unwrap_or(&caller.domain);
    if state.find("domain", domain).is_none() {
        return Err(super::answer::parameter_value(command, "domainid", domain));
    }
    let same = |fields: &super::state::Fields| {
        text(fields, "name").eq_ignore_ascii_case(name) && text(fields, "domainid") == domain
    };
    if state.all("account").any(|account| same(&account.shown)) {
        let text = format!("The specified account: {name} already exists");
        return Err(refused(431, 4350, text));
    }
    let kind = params
        .get("accounttype")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let new = NewAccount {
        name,
        kind,
        domain,
        user,
        password: params.get("password").unwrap_or_default(),
        names: [need("firstname")?, need("lastname")?, need("email")?],
    };
    let user = add_account(state, &ctx.clock, &new);
    let account = state.text_of("user", &user, "accountid");
    Ok(json!({"account": shown_account(state, &account)}))
}

/// `disableAccount`, `enableAccount`, `lockAccount`: the state by the command's name.
pub fn set_account_state(
    state: &mut State,
    _: &Ctx,
    _: &Caller,
    params: &ParamMap,
) -> Result<Value, Refused> {
    let to = match params.command() {
        "enableAccount" => "enabled",
        "lockAccount" => "locked",
        _ => "disabled",
    };
    let id = match params.get("id") {
        Some(id) => id.to_owned(),
        None => state
            .all("account")
            .find(|thing| Some(text(&thing.shown, "name")) == params.get("account"))
            .map(|thing| thing.account.clone())
            .unwrap_or_default(),
    };
    let account = state.find_mut("account", &id);
    let account = account.ok_or_else(|| missing(params.command(), "account"))?;
    set(&mut account.shown, &[("state", json!(to))]);
    Ok(json!({"account": shown_account(state, &id)}))
}

/// An account as the API shows it: with its users and its counts.
pub fn shown_account(state: &State, id: &str) -> Value {
    let Some(account) = state.find("account", id) else {
        return Value::Null;
    };
    let mut shown = account.shown.clone();
    let users: Vec<Value> = state
        .all("user")
        .filter(|user| user.account == id)
        .map(|user| {
            let mut user = user.shown.clone();
            user.remove("apikeyaccess");
            set(&mut user, &[("iscallerchilddomain", json!(false))]);
            json!(user)
        })
        .collect();
    let count = |kind: &str| state.all(kind).filter(|thing| thing.account == id).count();
    let vms = |of: &str| {
        let of = |t: &&super::state::Thing| t.account == id && text(&t.shown, "state") == of;
        state.all("virtualmachine").filter(of).count()
    };
    set(
        &mut shown,
        &[
            ("vmtotal", json!(count("virtualmachine"))),
            ("volumetotal", json!(count("volume"))),
            ("iptotal", json!(count("publicipaddress"))),
            ("networktotal", json!(count("network"))),
            ("snapshottotal", json!(count("snapshot"))),
            ("vmrunning", json!(vms("Running"))),
            ("vmstopped", json!(vms("Stopped"))),
            ("user", json!(users)),
        ],
    );
    json!(shown)
}
