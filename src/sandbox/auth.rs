//! Edge: who signed a call, as CloudStack decides it (`ApiServer.verifyRequest`).

use super::call::Caller;
use super::cloud::Cloud;
use super::records::User;
use crate::cloudstack::query::ParamMap;
use crate::cloudstack::{signature, time};
use crate::terms::time::Timestamp;

/// The user whose key the call names, whatever its signature: roles are judged before signatures.
#[must_use]
pub fn claimed<'c>(cloud: &'c Cloud, params: &ParamMap) -> Option<&'c User> {
    params.get("signature")?;
    cloud.user_with_key(params.get("apikey")?)
}

/// Whether the call's signature and `expires` are good at that wall time.
#[must_use]
pub fn is_signed_by(user: &User, params: &ParamMap, wall: Timestamp) -> bool {
    if params.get("signatureversion") == Some("3") {
        let expires = params.get("expires").and_then(time::parse_expires);
        if expires.is_none_or(|expires| expires < wall) {
            return false;
        }
    }
    let secret = user.secret.as_deref().unwrap_or_default();
    signature::agrees(params, secret.as_bytes())
}

/// The caller of a signed call; none for everything that CloudStack answers with 401.
#[must_use]
pub fn signed(cloud: &Cloud, params: &ParamMap, wall: Timestamp) -> Option<Caller> {
    let user = claimed(cloud, params)?;
    let caller = Caller::of_user(cloud, &user.id)?;
    is_signed_by(user, params, wall).then_some(caller)
}
