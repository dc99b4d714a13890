//! Edge: login sessions: whose a session is, asked of CloudStack with the client's own cookies,
//! and kept for a while; who may change one, and when.
//!
//! A question shows CloudStack exactly what the raising call will show it, so a session without
//! its key is never taken for its owner's, and what CloudStack does to a session that is asked
//! for with a wrong key, it does here too.

use super::authenticate::{self, Caller};
use super::forward;
use super::keys;
use super::line::{Core, way};
use super::parse::Call;
use super::refusal::Refusal;
use super::session_key::{self, Vouched};
use crate::cloudstack::envelope;
use crate::cloudstack::login::SessionId;
use crate::terms::limits;
use moka::sync::Cache;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::{OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock};

/// How long a login or logout waits for its session's raising calls.
const TURN_MAX: Duration = Duration::from_secs(60);
/// How long one server may take to say whether a session is its own.
const ASK_MAX: Duration = Duration::from_secs(5);
/// Locks that nobody holds are swept out when there are so many.
const TURNS_KEPT_MAX: usize = 1_024;

type Turns = HashMap<SessionId, Weak<RwLock<()>>>;

/// The sessions of customers.
#[derive(Debug)]
pub struct Sessions {
    vouched: Cache<SessionId, Arc<Vouched>>,
    turns: Mutex<Turns>,
}

impl Default for Sessions {
    fn default() -> Self {
        let kept = Duration::from_secs(limits::SESSION_SECONDS_MAX);
        Self {
            vouched: Cache::builder()
                .max_capacity(limits::SESSIONS_CACHED_MAX)
                .time_to_live(kept)
                .build(),
            turns: Mutex::default(),
        }
    }
}

impl Sessions {
    /// Enters a raising call: while it is under way nothing changes its session. None outside a
    /// session.
    pub async fn enter(&self, call: &Call) -> Option<OwnedRwLockReadGuard<()>> {
        let cookies = call.cookies.as_ref()?;
        let turn = self.lock_of(session_key::id(cookies));
        Some(turn.read_owned().await)
    }

    /// Enters a call that may change its session: what is known of the session is dropped, and
    /// its raising calls have ended.
    ///
    /// # Errors
    /// [`Refusal::Busy`] where they did not end within a minute.
    pub async fn change(&self, call: &Call) -> Result<Option<OwnedRwLockWriteGuard<()>>, Refusal> {
        self.change_within(call, TURN_MAX).await
    }

    async fn change_within(
        &self,
        call: &Call,
        most: Duration,
    ) -> Result<Option<OwnedRwLockWriteGuard<()>>, Refusal> {
        let Some(cookies) = &call.cookies else {
            return Ok(None);
        };
        let session = session_key::id(cookies);
        let turn = self.lock_of(session).write_owned();
        let turn = tokio::time::timeout(most, turn).await;
        let turn = turn.map_err(|_| Refusal::Busy)?;
        self.vouched.invalidate(&session);
        Ok(Some(turn))
    }

    /// Whose session a call is in, as far as that is known without asking.
    #[must_use]
    pub fn known(&self, call: &Call) -> Option<Caller> {
        let session = session_key::id(call.cookies.as_ref()?);
        let shown = session_key::shown(call)?;
        let vouched = self.vouched.get(&session)?;
        let is_proved = vouched.shown == shown && !session_key::differs(call);
        is_proved.then(|| authenticate::of_session(vouched.person.clone()))
    }

    /// Drops a session that CloudStack refused.
    pub fn forget(&self, call: &Call) {
        if let Some(cookies) = &call.cookies {
            self.vouched.invalidate(&session_key::id(cookies));
        }
    }

    /// Drops what a command may have changed: one call can change many.
    pub fn heed(&self, command: &str) {
        if keys::changes_people(command) {
            self.vouched.invalidate_all();
        }
    }

    fn lock_of(&self, session: SessionId) -> Arc<RwLock<()>> {
        let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
        if turns.len() >= TURNS_KEPT_MAX {
            turns.retain(|_, turn| turn.strong_count() > 0);
        }
        if let Some(turn) = turns.get(&session).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::new(RwLock::new(()));
        turns.insert(session, Arc::downgrade(&turn));
        turn
    }
}

/// Whose session a raising call is in. CloudStack is asked where that is not known, or where the
/// call shows its key in another way than the one that was vouched for.
///
/// # Errors
/// [`Refusal::NotVerified`] outside a session or with two keys; [`Refusal::Told`] in CloudStack's
/// own words where it knows no such session; [`Refusal::CannotAsk`].
pub(super) async fn caller(core: &Core, call: &Call, peer: SocketAddr) -> Result<Caller, Refusal> {
    let sessions = &core.gate.sessions;
    let (Some(cookies), Some(shown)) = (&call.cookies, session_key::shown(call)) else {
        return Err(Refusal::NotVerified);
    };
    if session_key::differs(call) {
        return Err(Refusal::NotVerified);
    }
    if let Some(known) = sessions.known(call) {
        return Ok(known);
    }
    let session = session_key::id(cookies);
    sessions.vouched.invalidate(&session);
    let asked = session_key::question(call);
    let way = way(core, peer);
    let mut answer = forward::whole(&way, &asked, &asked.params).await;
    if answer.is_err() {
        // It only reads: a connection that died under it is no reason to refuse the call.
        answer = forward::whole(&way, &asked, &asked.params).await;
    }
    let answer = answer.map_err(|fault| Refusal::CannotAsk(fault.what))?;
    let read = envelope::read_xml(answer.status, &answer.body)
        .map_err(|fault| Refusal::CannotAsk(fault.to_string()))?;
    if let Some(error) = read.error {
        return Err(refused(error));
    }
    let nobody = || Refusal::CannotAsk("the session's account is not told".to_owned());
    let own = session_key::own_account(&read.node).ok_or_else(nobody)?;
    let path = core.gate.directory.path(&own.domain).await;
    let path = path.map_err(|fault| Refusal::CannotAsk(fault.what))?;
    let mut person = own.person;
    person.domains = path.unwrap_or_else(|| vec![own.domain]);
    let person = Arc::new(person);
    let vouched = Vouched {
        shown,
        person: person.clone(),
    };
    sessions.vouched.insert(session, Arc::new(vouched));
    Ok(authenticate::of_session(person))
}

/// Finds the server that a call's session lives in, where there are several and none is known to:
/// each is asked whose the session is, as the raising call of a session is asked. A server that
/// does not have it says 401 and changes nothing.
pub(super) async fn find_server(core: &Core, call: &Call, peer: SocketAddr) {
    let servers = core.fleet.servers();
    let (Some(cookies), Some(_)) = (&call.cookies, session_key::shown(call)) else {
        return;
    };
    let session = session_key::id(cookies);
    if servers.count() < 2 || servers.server_of(&session).is_some() {
        return;
    }
    let asked = session_key::question(call);
    let mut all_deny = true;
    for at in 0..servers.count() {
        let way = way(core, peer);
        let question = forward::status_at(&way, &asked, at);
        match tokio::time::timeout(ASK_MAX, question).await.ok().flatten() {
            Some(401) => {}
            // A role that may not ask, and a second factor that is missing, are sessions too.
            Some(200 | 432 | 511) => {
                servers.remember(session, at);
                return;
            }
            Some(_) | None => all_deny = false,
        }
    }
    // A session that no server knows is not asked for again; one that opens is learnt then.
    if all_deny && let Some(first) = servers.order(Some(&session)).first() {
        servers.remember(session, *first);
    }
}

/// What CloudStack said of the session is what it would say of the call itself, but for a role
/// that may not ask: then nobody knows who pays.
fn refused(error: envelope::ApiError) -> Refusal {
    match error.code {
        401 => Refusal::NotVerified,
        511 => Refusal::Told(error),
        code => Refusal::CannotAsk(format!("listAccounts: {code} {}", error.text)),
    }
}

#[cfg(test)]
mod tests;
