//! Edge: login sessions: they live in memory alone, as a real server's do.

use super::cloud::Cloud;
use super::records::User;
use super::refused::{Refused, refused};
use crate::cloudstack::query::ParamMap;
use crate::terms::time::{SECOND, Timestamp};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Seconds without a call after which a session ends.
pub const TIMEOUT_SECONDS: i64 = 1_800;

/// The setting that says where a session's key has to be.
pub const CHECK_LOCATIONS: &str = "api.sessionkey.check.locations";

/// Where a session's key has to be. A key that is in a place where it need not be has to be right
/// too, whatever the setting (`HttpUtils.validateSessionKey`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum KeyPlaces {
    /// In either.
    CookieOrParameter,
    /// In the parameter.
    ParameterOnly,
    /// In both.
    #[default]
    CookieAndParameter,
}

impl KeyPlaces {
    /// The setting's value, as CloudStack spells it.
    #[must_use]
    pub fn named(value: &str) -> Option<Self> {
        Some(match value {
            "CookieOrParameter" => Self::CookieOrParameter,
            "ParameterOnly" => Self::ParameterOnly,
            "CookieAndParameter" => Self::CookieAndParameter,
            _ => return None,
        })
    }

    /// What a cloud is set to.
    #[must_use]
    pub fn of(cloud: &Cloud) -> Self {
        let set = cloud.settings.get(CHECK_LOCATIONS);
        set.and_then(|value| Self::named(value)).unwrap_or_default()
    }

    const fn are_shown(self, cookie: bool, parameter: bool) -> bool {
        match self {
            Self::CookieOrParameter => cookie || parameter,
            Self::ParameterOnly => parameter,
            Self::CookieAndParameter => cookie && parameter,
        }
    }
}

/// One session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its user.
    pub user: String,
    /// `sessionkey`.
    pub key: String,
    last: Timestamp,
}

/// Live sessions by the value of `JSESSIONID`.
#[derive(Clone, Debug, Default)]
pub struct Sessions {
    live: HashMap<String, Session>,
}

/// What a request's cookies and session key prove.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Proof {
    /// There is no live session.
    None,
    /// The session's user.
    User(String),
    /// A live session with a wrong or missing key: it was ended for that.
    Ended,
}

impl Sessions {
    /// Opens a session.
    pub fn open(&mut self, id: &str, key: &str, user: &str, now: Timestamp) {
        let session = Session {
            user: user.to_owned(),
            key: key.to_owned(),
            last: now,
        };
        self.live.insert(id.to_owned(), session);
    }

    /// What the cookies prove: the key is in every place that the setting asks for it in, and
    /// right wherever it is. The first cookie of the name counts.
    pub fn prove(
        &mut self,
        (cookies, params): (&[(String, String)], &ParamMap),
        places: KeyPlaces,
        now: Timestamp,
    ) -> Proof {
        let Some(id) = live_id(cookies) else {
            return Proof::None;
        };
        let Some(session) = self.live.get_mut(&id) else {
            return Proof::None;
        };
        if now.since(session.last) > TIMEOUT_SECONDS * SECOND {
            self.live.remove(&id);
            return Proof::None;
        }
        let cookie = cookies.iter().find(|(name, _)| name == "sessionkey");
        let cookie = cookie.map(|(_, key)| key.as_str());
        let parameter = params.get("sessionkey");
        let mut shown = [cookie, parameter].into_iter().flatten();
        let agrees = shown.all(|key| key == session.key);
        if agrees && places.are_shown(cookie.is_some(), parameter.is_some()) {
            session.last = now;
            return Proof::User(session.user.clone());
        }
        self.live.remove(&id);
        Proof::Ended
    }

    /// Ends the session of these cookies; gives its key.
    pub fn close(&mut self, cookies: &[(String, String)]) -> Option<String> {
        let id = live_id(cookies)?;
        self.live.remove(&id).map(|session| session.key)
    }

    /// Ends every session, as a restart does.
    pub fn clear(&mut self) {
        self.live.clear();
    }
}

fn live_id(cookies: &[(String, String)]) -> Option<String> {
    let (_, value) = cookies
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("JSESSIONID"))?;
    value.split('.').next().map(str::to_owned)
}

/// The user that name, password and domain name.
///
/// # Errors
/// 531 with CloudStack's texts.
pub fn login<'c>(cloud: &'c Cloud, params: &ParamMap) -> Result<&'c User, Refused> {
    let Some(name) = params.get("username") else {
        return Err(failed("null".to_owned()));
    };
    let path = params.get("domain").unwrap_or_default().trim_matches('/');
    let asked = match params.get("domainid") {
        Some(id) => cloud.domains.find(id),
        None => {
            let full = if path.is_empty() || path.eq_ignore_ascii_case("ROOT") {
                "ROOT".to_owned()
            } else {
                format!("ROOT/{path}")
            };
            cloud
                .domains
                .iter()
                .find(|d| !d.removed && d.path.eq_ignore_ascii_case(&full))
        }
    };
    let Some(domain) = asked.filter(|domain| !domain.removed) else {
        return Err(failed(format!(
            "Unable to find the domain from the path /{path}/"
        )));
    };
    let matching = |user: &&User| {
        let account = cloud.accounts.find(&user.account);
        !user.removed
            && user.name.eq_ignore_ascii_case(name)
            && account.is_some_and(|account| account.domain == domain.id)
    };
    let found = cloud.users.iter().find(matching);
    let known = found.filter(|user| Some(user.password.as_str()) == params.get("password"));
    known.ok_or_else(|| {
        failed(format!(
            "Failed to authenticate user {name} in domain {}; please provide valid credentials",
            domain.number
        ))
    })
}

fn failed(text: String) -> Refused {
    let mut refusal = refused(531, 0, text);
    refusal.error.cs_code = None;
    refusal
}

/// What is inside `loginresponse`.
#[must_use]
pub fn login_answer(cloud: &Cloud, user: &User, key: &str) -> Value {
    let account = cloud
        .accounts
        .find(&user.account)
        .cloned()
        .unwrap_or_default();
    json!({
        "username": user.name,
        "userid": user.id,
        "domainid": account.domain,
        "timeout": TIMEOUT_SECONDS,
        "account": account.name,
        "firstname": user.first,
        "lastname": user.last,
        "type": account.kind.to_string(),
        "timezone": "UTC",
        "timezoneoffset": "0.0",
        "registered": "false",
        "sessionkey": key,
        "is2faenabled": "false",
        "is2faverified": "true",
        "issuerfor2fa": "CloudStack",
    })
}
