//! Pure: who calls, by signature or by session, as CloudStack decides it.

use super::answer::{Refused, unauthorized};
use super::state::{State, text};
use crate::cloudstack::{query::ParamMap, signature, time};
use crate::terms::time::Timestamp;

/// Who calls.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// User id.
    pub user: String,
    /// Account id.
    pub account: String,
    /// `accounttype`: 0 user, 1 root admin, 2 domain admin.
    pub kind: i64,
    /// Domain id.
    pub domain: String,
    /// Domain path.
    pub path: String,
}

impl Caller {
    /// The root admin.
    #[must_use]
    pub const fn is_root(&self) -> bool {
        self.kind == 1
    }

    /// Whether the caller may see and use what that account owns.
    #[must_use]
    pub fn reaches(&self, state: &State, account: &str) -> bool {
        if self.is_root() || account == self.account || account.is_empty() {
            return true;
        }
        let path = state.text_of("account", account, "domainpath");
        self.kind == 2 && under(&path, &self.path)
    }
}

/// Whether a domain path is that one or below it.
#[must_use]
pub fn under(path: &str, top: &str) -> bool {
    path.strip_prefix(top)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The caller of a request.
///
/// # Errors
/// 401 for every reason alike.
pub fn caller(
    state: &State,
    params: &ParamMap,
    cookies: &[(String, String)],
    wall: Timestamp,
) -> Result<Caller, Refused> {
    let user = match session_user(state, params, cookies) {
        Some(user) => user,
        None => signed_user(state, params, wall).ok_or_else(unauthorized)?,
    };
    of_user(state, &user).ok_or_else(unauthorized)
}

/// The caller that a user is; none where it or its account is not enabled.
#[must_use]
pub fn of_user(state: &State, user: &str) -> Option<Caller> {
    let user = &state.find("user", user)?.shown;
    let account = &state.find("account", text(user, "accountid"))?.shown;
    let enabled = text(user, "state") == "enabled" && text(account, "state") == "enabled";
    enabled.then(|| Caller {
        user: text(user, "id").to_owned(),
        account: text(account, "id").to_owned(),
        kind: account
            .get("accounttype")
            .and_then(serde_json::Value::as_i64)
            .unwrap_or(0),
        domain: text(account, "domainid").to_owned(),
        path: text(account, "domainpath").to_owned(),
    })
}

fn session_user(state: &State, params: &ParamMap, cookies: &[(String, String)]) -> Option<String> {
    let cookie = |name: &str| {
        let found = cookies
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    };
    let session = cookie("JSESSIONID")?;
    let (key, user) = state.sessions.get(session.split('.').next()?)?;
    let given = params.get("sessionkey").or_else(|| cookie("sessionkey"))?;
    (given == key).then(|| user.clone())
}

fn signed_user(state: &State, params: &ParamMap, wall: Timestamp) -> Option<String> {
    let key = params.get("apikey")?.trim_end();
    let known = |api_key: &str| !api_key.is_empty() && api_key.eq_ignore_ascii_case(key);
    let (user, secrets) = state
        .secrets
        .iter()
        .find(|(_, secrets)| known(&secrets.api_key))?;
    if params.get("signatureversion") == Some("3") {
        let expires = time::parse_expires(params.get("expires")?)?;
        if expires < wall {
            return None;
        }
    }
    signature::agrees(params, secrets.secret.as_bytes()).then(|| user.clone())
}
