//! Edge: API key → user → account → domain path → secret, asked of CloudStack by the reading
//! service account, kept for half a minute, encrypted at rest.

use super::authenticate::{KeyEntry, Person};
use crate::clock::Clock;
use crate::cloudstack::tree::Node;
use crate::config::vault::Vault;
use crate::store::{CachedKey, Store};
use crate::terms::ids::{CsAccountId, CsDomainId};
use crate::terms::limits;
use crate::terms::time::SECOND;
use crate::upstream::directory::Directory;
use crate::upstream::service::Service;
use crate::upstream::{Sent, UpstreamError};
use moka::sync::Cache;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Look-ups of unknown keys in one second.
const LOOKUPS_A_SECOND: usize = 50;

/// Commands after which a key, a user or an account may not be what it was.
const CHANGE_KEYS: [&str; 33] = [
    "registerUserKeys",
    "createUser",
    "updateUser",
    "deleteUser",
    "disableUser",
    "enableUser",
    "lockUser",
    "moveUser",
    "createAccount",
    "updateAccount",
    "deleteAccount",
    "disableAccount",
    "enableAccount",
    "lockAccount",
    "createDomain",
    "updateDomain",
    "deleteDomain",
    "moveDomain",
    "createProject",
    "deleteProject",
    "updateProject",
    "addAccountToProject",
    "addUserToProject",
    "deleteAccountFromProject",
    "deleteUserFromProject",
    "updateRole",
    "deleteRole",
    "importRole",
    "enableRole",
    "disableRole",
    "updateRolePermission",
    "updateConfiguration",
    "resetConfiguration",
];

/// Whether a key, a user or an account may not be what it was after this command.
#[must_use]
pub fn changes_people(command: &str) -> bool {
    CHANGE_KEYS.contains(&command)
}

/// A key entry as it is sealed.
#[derive(Serialize, Deserialize)]
struct Sealed {
    api_key: String,
    secret: String,
    user: String,
    account: String,
    account_name: String,
    account_kind: i64,
    #[serde(default)]
    role: Option<String>,
    domains: Vec<String>,
    enabled: bool,
}

/// Look-ups that are under way, one at a time, with the times of the last ones.
type Lookups = tokio::sync::Mutex<VecDeque<Instant>>;

/// The keys of customers.
#[derive(Debug)]
pub struct Keys {
    service: Arc<Service>,
    directory: Arc<Directory>,
    store: Store,
    vault: Vault,
    clock: Clock,
    kept: Cache<String, Option<Arc<KeyEntry>>>,
    lookups: Lookups,
}

impl Keys {
    /// Keys asked for by this service account.
    #[must_use]
    pub fn new(
        service: Arc<Service>,
        directory: Arc<Directory>,
        store: Store,
        vault: Vault,
        clock: Clock,
    ) -> Self {
        let kept = Cache::builder()
            .max_capacity(limits::KEYS_CACHED_MAX)
            .time_to_live(Duration::from_secs(limits::KEY_SECONDS_MAX))
            .build();
        Self {
            service,
            directory,
            store,
            vault,
            clock,
            kept,
            lookups: Lookups::default(),
        }
    }

    /// What is known of a key; none where CloudStack does not know it.
    ///
    /// # Errors
    /// [`UpstreamError`] where it could not be asked, or too many keys were asked for at once.
    pub async fn entry(&self, key: &str) -> Result<Option<Arc<KeyEntry>>, UpstreamError> {
        if let Some(known) = self.kept.get(key) {
            return Ok(known);
        }
        let mut lookups = self.lookups.lock().await;
        if let Some(known) = self.kept.get(key) {
            return Ok(known);
        }
        // While the books are away CloudStack is asked: nobody waits for a database that hangs.
        let here = !self.store.is_away();
        if here && let Some(entry) = self.unseal(key).await {
            let entry = Some(Arc::new(entry));
            self.kept.insert(key.to_owned(), entry.clone());
            return Ok(entry);
        }
        self.count_lookup(&mut lookups)?;
        let entry = self.ask(key).await?.map(Arc::new);
        if here && let Some(entry) = &entry {
            self.seal(key, entry).await;
        }
        self.kept.insert(key.to_owned(), entry.clone());
        Ok(entry)
    }

    /// What is known of a key without waiting for others: kept, or asked for where nobody else asks
    /// and raising calls keep half of the look-ups for themselves.
    pub async fn known(&self, key: &str) -> Option<Arc<KeyEntry>> {
        if let Some(known) = self.kept.get(key) {
            return known;
        }
        let room = {
            let mut lookups = self.lookups.try_lock().ok()?;
            let now = self.clock.monotonic();
            lookups.retain(|at| now.duration_since(*at) < Duration::from_secs(1));
            lookups.len() < LOOKUPS_A_SECOND / 2
        };
        match room {
            true => self.entry(key).await.ok().flatten(),
            false => None,
        }
    }

    /// Drops one key, after CloudStack refused what we had verified.
    pub async fn drop_key(&self, key: &str) {
        self.kept.invalidate(key);
        if let Err(fault) = self.store.facts().forget_key(Some(&hash(key))).await {
            tracing::warn!(verb = "authenticate", %fault, "a kept key could not be forgotten");
        }
    }

    /// Drops what a command may have changed; every key, because one call can change many.
    pub async fn heed(&self, command: &str) {
        if !changes_people(command) {
            return;
        }
        let known: Vec<Arc<String>> = self.kept.iter().map(|(key, _)| key).collect();
        for key in known {
            self.drop_key(&key).await;
        }
        self.kept.invalidate_all();
        self.directory.forget();
    }

    fn count_lookup(&self, lookups: &mut VecDeque<Instant>) -> Result<(), UpstreamError> {
        let now = self.clock.monotonic();
        lookups.retain(|at| now.duration_since(*at) < Duration::from_secs(1));
        if lookups.len() >= LOOKUPS_A_SECOND {
            let what = "too many unknown keys are asked for; try again in a second".to_owned();
            return Err(UpstreamError {
                server: String::new(),
                what,
                sent: Sent::NotSent,
            });
        }
        lookups.push_back(now);
        Ok(())
    }

    async fn ask(&self, key: &str) -> Result<Option<KeyEntry>, UpstreamError> {
        let answer = self.service.call("getUser", &[("userapikey", key)]).await?;
        let Some(user) = answer.node.child("user") else {
            return match answer.error {
                Some(error) if error.code == 431 => Ok(None),
                Some(error) => Err(unclear(&format!("getUser: {} {}", error.code, error.text))),
                None => Ok(None),
            };
        };
        let text = |field: &str| {
            user.text_of(field)
                .map(str::to_owned)
                .ok_or_else(|| unclear("getUser is incomplete"))
        };
        let (id, account_id, domain) = (text("id")?, text("accountid")?, text("domainid")?);
        let keys = self.service.call("getUserKeys", &[("id", &id)]).await?;
        let Some(keys) = keys.node.child("userkeys") else {
            return Err(unclear(
                "getUserKeys gave no keys; the reading role must be of type Admin",
            ));
        };
        let account = self.directory.account_by_id(&account_id).await?;
        let domain = CsDomainId::from(domain);
        let domains = self
            .directory
            .path(&domain)
            .await?
            .unwrap_or_else(|| vec![domain]);
        let on = |state: Option<&str>| state.is_some_and(|s| s.eq_ignore_ascii_case("enabled"));
        let enabled = on(user.text_of("state"))
            && account
                .as_ref()
                .is_some_and(|account| on(Some(&account.state)))
            && may_use(keys);
        Ok(Some(KeyEntry {
            api_key: text("apikey").unwrap_or_else(|_| key.to_owned()),
            secret: SecretString::from(keys.text_of("secretkey").unwrap_or_default().to_owned()),
            person: Arc::new(Person {
                user: Some(id),
                account: CsAccountId::from(account_id),
                account_name: text("account")?,
                account_kind: user.number_of("accounttype").unwrap_or(0),
                role: account.and_then(|account| account.role),
                domains,
            }),
            enabled,
        }))
    }

    async fn seal(&self, key: &str, entry: &KeyEntry) {
        let person = &entry.person;
        let sealed = Sealed {
            api_key: entry.api_key.clone(),
            secret: entry.secret.expose_secret().to_owned(),
            user: person.user.clone().unwrap_or_default(),
            account: person.account.to_string(),
            account_name: person.account_name.clone(),
            account_kind: person.account_kind,
            role: person.role.clone(),
            domains: person.domains.iter().map(ToString::to_string).collect(),
            enabled: entry.enabled,
        };
        let key_hash = hash(key);
        let text = serde_json::to_vec(&sealed).map(zeroize::Zeroizing::new);
        let Some(ciphertext) = text.ok().and_then(|t| self.vault.seal(&key_hash, &t).ok()) else {
            return;
        };
        let row = CachedKey {
            key_hash,
            ciphertext,
            at: self.clock.wall(),
        };
        if let Err(fault) = self.store.facts().put_key(&row).await {
            tracing::warn!(verb = "authenticate", %fault, "a key could not be kept");
        }
    }

    /// A key that was learnt less than half a minute ago, before a restart.
    async fn unseal(&self, key: &str) -> Option<KeyEntry> {
        let key_hash = hash(key);
        let row = self.store.facts().key(&key_hash).await.ok()??;
        let age = self.clock.wall().since(row.at);
        let young = i64::try_from(limits::KEY_SECONDS_MAX)
            .ok()?
            .checked_mul(SECOND)?;
        if !(0..young).contains(&age) {
            return None;
        }
        let text = self.vault.open_sealed(&key_hash, &row.ciphertext)?;
        let sealed: Sealed = serde_json::from_slice(&text).ok()?;
        Some(KeyEntry {
            api_key: sealed.api_key,
            secret: SecretString::from(sealed.secret),
            person: Arc::new(Person {
                user: Some(sealed.user),
                account: CsAccountId::from(sealed.account),
                account_name: sealed.account_name,
                account_kind: sealed.account_kind,
                role: sealed.role,
                domains: sealed.domains.into_iter().map(CsDomainId::from).collect(),
            }),
            enabled: sealed.enabled,
        })
    }
}

/// `apikeyaccess` is the effective value; it is missing where the server does not know the setting.
fn may_use(keys: &Node) -> bool {
    keys.text_of("apikeyaccess").is_none_or(|access| {
        access.eq_ignore_ascii_case("true") || access.eq_ignore_ascii_case("enabled")
    })
}

fn hash(key: &str) -> String {
    Sha256::digest(key.as_bytes())
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn unclear(what: &str) -> UpstreamError {
    UpstreamError {
        server: String::new(),
        what: what.to_owned(),
        sent: Sent::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudstack::command::CommandTable;

    #[test]
    fn every_command_that_the_table_says_to_drop_keys_does() {
        let table = CommandTable::new(&[]).unwrap();
        let of_table: Vec<&str> = table
            .iter()
            .filter(|command| command.drops_key)
            .map(|command| command.name.as_str())
            .collect();
        assert!(of_table.len() > 10, "{of_table:?}");
        let kept: Vec<_> = of_table
            .into_iter()
            .filter(|name| !changes_people(name))
            .collect();
        assert_eq!(kept, Vec::<&str>::new());
    }

    #[test]
    fn what_drops_keys_is_a_command_that_there_is() {
        let table = CommandTable::new(&[]).unwrap();
        let unknown: Vec<_> = CHANGE_KEYS
            .map(|name| (name, table.get(name).is_some()))
            .into();
        let unknown: Vec<_> = unknown.into_iter().filter(|(_, known)| !known).collect();
        assert_eq!(unknown, []);
    }
}
