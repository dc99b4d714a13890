//! Pure: is this call signed by whom its key names, now?

use super::parse::Call;
use super::refusal::Refusal;
use crate::cloudstack::{signature, time};
use crate::terms::ids::{CsAccountId, CsDomainId};
use crate::terms::time::Timestamp;
use secrecy::{ExposeSecret, SecretString};

/// What is known of an API key.
#[derive(Clone, Debug)]
pub struct KeyEntry {
    /// The key as CloudStack stores it.
    pub api_key: String,
    /// Its secret: arbitrary UTF-8.
    pub secret: SecretString,
    /// The user's id.
    pub user: String,
    /// The account.
    pub account: CsAccountId,
    /// The account's name.
    pub account_name: String,
    /// 0 user, 1 root admin, 2 domain admin.
    pub account_kind: i64,
    /// Domain ids from the root down to the account's own.
    pub domains: Vec<CsDomainId>,
    /// User and account are enabled, and the key may be used.
    pub enabled: bool,
}

/// A caller whose signature agreed. Made by [`caller`] alone.
#[derive(Clone, Debug)]
pub struct Caller {
    key: KeyEntry,
}

impl Caller {
    /// His key and account.
    #[must_use]
    pub const fn key(&self) -> &KeyEntry {
        &self.key
    }
    /// His own domain.
    #[must_use]
    pub fn domain(&self) -> Option<&CsDomainId> {
        self.key.domains.last()
    }
}

/// What stands in for the secret of an unknown key, so that its refusal takes as long.
const NOBODYS_SECRET: &[u8] = b"nobody";

/// The caller of a signed call; `now` is wall time. CloudStack tells no reason of a 401 apart,
/// so neither do we.
///
/// # Errors
/// [`Refusal::NotVerified`].
pub fn caller(call: &Call, key: Option<&KeyEntry>, now: Timestamp) -> Result<Caller, Refusal> {
    let secret = key.map_or(NOBODYS_SECRET, |key| key.secret.expose_secret().as_bytes());
    let agrees = signature::agrees(&call.params, secret);
    match key {
        Some(key) if agrees && key.enabled && in_time(call, now) => Ok(Caller { key: key.clone() }),
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
