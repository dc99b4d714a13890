//! Edge: does a caller call too often? His address counts whoever he is; his key, user, account
//! and domain only once his signature or session agreed, so that nobody can use up the calls of
//! somebody whose key he has read in a log.

use super::authenticate::{self, Caller};
use super::classify::Standing;
use super::line::Gate;
use super::parse::Call;
use super::refusal::Refusal;
use crate::cloudstack::command::Class;
use crate::policy::limits::{Calling, Per, fitting};
use std::net::{IpAddr, Ipv6Addr};

/// The network that an address counts as: itself, or its /64, which one subscriber has.
#[must_use]
pub(super) fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(four) => four.to_string(),
        IpAddr::V6(six) => format!("{}/64", Ipv6Addr::from_bits(six.to_bits() >> 64 << 64)),
    }
}

/// Counts a received call: against the limits of its address, and, where CloudStack itself will
/// judge it, against those of its caller as far as he is known. The caller of a raising call is
/// counted when he was verified.
pub(super) async fn at_the_door(
    gate: &Gate,
    call: &Call,
    standing: &Result<Standing<'_>, Refusal>,
    address: IpAddr,
) -> Result<(), Refusal> {
    if gate.rules.load().limits.is_empty() {
        return Ok(());
    }
    let class = match standing {
        Ok(Standing::Known(class, _)) => Some(*class),
        Ok(Standing::Forwarded) => Some(Class::Read),
        Err(_) => None,
    };
    let network = network(address);
    let calling = Calling {
        network: Some(&network),
        ..Calling::default()
    };
    count(gate, &calling, call.command(), class).await?;
    match class {
        None | Some(Class::Raises) => Ok(()),
        Some(class) => by_what_is_known(gate, call, class).await,
    }
}

/// Counts a call against the limits of its caller, who was verified.
pub(super) async fn by_caller(
    gate: &Gate,
    caller: &Caller,
    command: &str,
    class: Class,
) -> Result<(), Refusal> {
    let person = caller.person();
    let domains: Vec<&str> = person.domains.iter().map(|id| id.as_str()).collect();
    let calling = Calling {
        network: None,
        key: caller.key().map(|key| key.api_key.as_str()),
        user: person.user.as_deref(),
        account: Some(person.account.as_str()),
        domains: &domains,
    };
    count(gate, &calling, command, Some(class)).await
}

/// Counts a call that CloudStack itself will judge, where its key is known here already or it is
/// of a known session.
async fn by_what_is_known(gate: &Gate, call: &Call, class: Class) -> Result<(), Refusal> {
    let command = call.command().to_ascii_lowercase();
    let rules = gate.rules.load();
    let wanted = |per: Per| per != Per::Address;
    let mut limits = rules.limits.iter();
    if !limits.any(|one| wanted(one.per) && one.selects(&command, Some(class))) {
        return Ok(());
    }
    let Some(caller) = known(gate, call).await else {
        return Ok(());
    };
    by_caller(gate, &caller, &command, class).await
}

async fn known(gate: &Gate, call: &Call) -> Option<Caller> {
    let Some(name) = call.params.get("apikey") else {
        return gate.sessions.known(call);
    };
    let key = gate.keys.known(name).await?;
    authenticate::caller(call, Some(&key), gate.clock.wall()).ok()
}

async fn count(
    gate: &Gate,
    calling: &Calling<'_>,
    command: &str,
    class: Option<Class>,
) -> Result<(), Refusal> {
    let rules = gate.rules.load_full();
    if rules.limits.is_empty() {
        return Ok(());
    }
    let limits = fitting(&rules.limits, calling, command, class);
    let counted = gate.counters.count(&limits).await;
    counted.map_err(Refusal::TooMany)
}

#[cfg(test)]
mod tests {
    use super::network;

    #[test]
    fn addresses_of_one_subscriber_count_together() {
        let of = |text: &str| network(text.parse().unwrap());
        assert_eq!(of("2001:db8:1:2:3::4"), "2001:db8:1:2::/64");
        assert_eq!(of("2001:db8:1:2:ffff::1"), "2001:db8:1:2::/64");
        assert_eq!(of("::ffff:192.0.2.1"), "192.0.2.1");
    }
}
