//! Pure: what a call in a login session shows of its session's key, and whose an answer of
//! CloudStack says that the session is.
//!
//! No key and no session id is kept, only their hashes.

use super::authenticate::Person;
use super::parse::{Call, Method, SessionCookies};
use crate::cloudstack::envelope::Format;
use crate::cloudstack::login::{SessionId, session_id};
use crate::cloudstack::query::ParamMap;
use crate::cloudstack::tree::Node;
use crate::terms::ids::CsDomainId;
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// The session keys that one request carries, hashed, each in its place. A request that shows
/// what a proved one showed carries the key in every place that CloudStack asks for it in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shown {
    cookie: Option<[u8; 32]>,
    parameter: Option<[u8; 32]>,
}

/// A session as CloudStack vouched for it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vouched {
    /// What the request showed that CloudStack was asked with.
    pub shown: Shown,
    /// Whose it is.
    pub person: Arc<Person>,
}

/// An account as `listAccounts` names it to the account itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnAccount {
    /// Its own words, the path of domains left out.
    pub person: Person,
    /// Its domain.
    pub domain: CsDomainId,
}

/// The session that cookies name.
#[must_use]
pub fn id(cookies: &SessionCookies) -> SessionId {
    session_id(&cookies.session)
}

/// What a call shows; none where it is in no session, or shows no key at all.
#[must_use]
pub fn shown(call: &Call) -> Option<Shown> {
    let cookies = call.cookies.as_ref()?;
    let cookie = cookies.key.as_deref().map(hash);
    let parameter = call.params.get("sessionkey").map(hash);
    (cookie.is_some() || parameter.is_some()).then_some(Shown { cookie, parameter })
}

/// Whether two places of a call hold different keys, or one place two of them.
#[must_use]
pub fn differs(call: &Call) -> bool {
    let Some(cookies) = &call.cookies else {
        return false;
    };
    let parameter = call.params.get("sessionkey");
    let beside = matches!((&cookies.key, parameter), (Some(a), Some(b)) if a != b);
    cookies.keys_differ || beside
}

/// The question whose session this is: the caller's own account, and no other for any role
/// (`ListAccountsCmd` without arguments), with what the call itself shows.
#[must_use]
pub fn question(call: &Call) -> Call {
    let mut params = ParamMap::default();
    for (name, value) in [
        ("command", "listAccounts"),
        ("details", "min"),
        ("response", "xml"),
    ] {
        params.insert(name, value);
    }
    if let Some(key) = call.params.get("sessionkey") {
        params.insert("sessionkey", key);
    }
    Call {
        method: Method::Get,
        params,
        format: Format::Xml,
        cookies: call.cookies.clone(),
        user_agent: call.user_agent.clone(),
        bundle: None,
    }
}

/// The one account of the answer; none where it names none or several.
#[must_use]
pub fn own_account(answer: &Node) -> Option<OwnAccount> {
    let mut accounts = answer.all("account");
    let (account, None) = (accounts.next()?, accounts.next()) else {
        return None;
    };
    let mut users = account.all("user");
    let user = match (users.next(), users.next()) {
        (Some(only), None) => only.text_of("id").map(str::to_owned),
        _ => None,
    };
    let domain = CsDomainId::from(account.text_of("domainid")?);
    Some(OwnAccount {
        person: Person {
            user,
            account: account.text_of("id")?.into(),
            account_name: account.text_of("name")?.to_owned(),
            account_kind: account.number_of("accounttype")?,
            role: account.text_of("rolename").map(str::to_owned),
            domains: Vec::new(),
        },
        domain,
    })
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

#[cfg(test)]
mod tests;
