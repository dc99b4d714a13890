//! Pure: the cookie that names a login session.

use sha2::{Digest, Sha256};

/// The hash of a session's id; the id itself is never kept.
pub type SessionId = [u8; 32];

/// The session that the value of a `JSESSIONID` cookie names. Jetty takes an id with or without
/// its node's suffix (`DefaultSessionIdManager.getId`).
#[must_use]
pub fn session_id(value: &str) -> SessionId {
    Sha256::digest(value.split('.').next().unwrap_or_default().as_bytes()).into()
}
