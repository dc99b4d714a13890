//! Pure: is this call signed by whom its key names, now? Whose session a call is in, CloudStack
//! says (`session.rs`).

use super::parse::Call;
use super::refusal::Refusal;
use crate::cloudstack::{signature, time};
use crate::terms::ids::{CsAccountId, CsDomainId};
use crate::terms::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;

/// What is known of an API key.
#[derive(Clone, Debug)]
pub struct KeyEntry {
    /// The key as CloudStack stores it.
    pub api_key: String,
    /// Its secret: arbitrary UTF-8.
    pub secret: SecretString,
    /// Whose it is.
    pub person: Arc<Person>,
    /// User and account are enabled, and the key may be used.
    pub enabled: bool,
}

/// Who a caller is, however that was proved.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Person {
    /// The user's id; none where a session's account has several.
    pub user: Option<String>,
    /// The account.
    pub account: CsAccountId,
    /// The account's name.
    pub account_name: String,
    /// 0 user, 1 root admin, 2 domain admin.
    pub account_kind: i64,
    /// The name of the account's role, where CloudStack tells it.
    pub role: Option<String>,
    /// Domain ids from the root down to the account's own.
    pub domains: Vec<CsDomainId>,
}

/// A caller whose signature agreed, or whose login session CloudStack vouched for. Made by
/// [`caller`] and [`of_session`] alone.
#[derive(Clone, Debug)]
pub struct Caller {
    person: Arc<Person>,
    key: Option<Arc<KeyEntry>>,
}

impl Caller {
    /// The key that verified the call; none in a login session, whose calls cannot be signed anew.
    #[must_use]
    pub fn key(&self) -> Option<&KeyEntry> {
        self.key.as_deref()
    }
    /// Who he is.
    #[must_use]
    pub fn person(&self) -> &Person {
        &self.person
    }
    /// His own domain.
    #[must_use]
    pub fn domain(&self) -> Option<&CsDomainId> {
        self.person.domains.last()
    }
}

/// The caller of a call in a login session that CloudStack itself said to be this person's.
#[must_use]
pub const fn of_session(person: Arc<Person>) -> Caller {
    Caller { person, key: None }
}

/// What stands in for the secret of an unknown key, so that its refusal takes as long.
const NOBODYS_SECRET: &[u8] = b"nobody";

/// The caller of a signed call; `now` is wall time. CloudStack tells no reason of a 401 apart,
/// so neither do we.
///
/// # Errors
/// [`Refusal::NotVerified`].
pub fn caller(call: &Call, key: Option<&Arc<KeyEntry>>, now: Timestamp) -> Result<Caller, Refusal> {
    let secret = key.map_or(NOBODYS_SECRET, |key| key.secret.expose_secret().as_bytes());
    let agrees = signature::agrees(&call.params, secret);
    match key {
        Some(key) if agrees && key.enabled && in_time(call, now) => Ok(Caller {
            person: key.person.clone(),
            key: Some(key.clone()),
        }),
        _ => Err(Refusal::NotVerified),
    }
}

/// Signature version 3 needs an `expires` that is not over; every other version ignores it
/// (`ApiServer.verifyRequest`).
fn in_time(call: &Call, now: Timestamp) -> bool {
    match call.params.get("signatureversion") {
        Some("3") => call
            .params
            .get("expires")
            .and_then(time::parse_expires)
            .is_some_and(|expires| expires >= now),
        _ => true,
    }
}

#[cfg(test)]
mod tests;
