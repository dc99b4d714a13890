//! Edge: the parts of the configuration that say how the gate listens: TLS, proxies, bounds.

use super::shape::Faults;
use serde::Deserialize;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use toml::Spanned;

/// Connections over all addresses, unless the configuration says otherwise.
const CONNECTIONS_MAX: usize = 16_384;
/// Connections of one address, unless the configuration says otherwise.
const CONNECTIONS_PER_ADDRESS_MAX: usize = 1_024;

/// Where TLS is spoken, and with what.
#[derive(Clone, Debug)]
pub struct TlsListen {
    /// Where.
    pub gate: SocketAddr,
    /// Certificate chains and keys, as PEM files. The first is for clients that name no name.
    pub certificates: Vec<(PathBuf, PathBuf)>,
}

/// How much is let in, and on whose behalf.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Connections over all addresses.
    pub connections_max: usize,
    /// Connections of one address, or of one /64 of IPv6.
    pub connections_per_address_max: usize,
    /// Networks whose word on a client's address is taken: address and prefix length.
    pub trusted_proxies: Vec<(IpAddr, u8)>,
    /// Whether connections from there begin with a PROXY protocol v2 header.
    pub proxy_protocol: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenTls {
    gate: Spanned<String>,
    certificates: Spanned<Vec<WrittenCertificate>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCertificate {
    chain_file: String,
    key_file: String,
}

/// As written below `[listen]`, beside its addresses.
#[derive(Default)]
pub(super) struct WrittenEntry<'a> {
    pub(super) connections_max: Option<&'a Spanned<i64>>,
    pub(super) connections_per_address_max: Option<&'a Spanned<i64>>,
    pub(super) trusted_proxies: Option<&'a Spanned<Vec<String>>>,
    pub(super) proxy_protocol: Option<&'a Spanned<bool>>,
}

pub(super) fn check_tls(
    written: &WrittenTls,
    folder: &Path,
    faults: &mut Faults<'_>,
) -> Option<TlsListen> {
    let gate = faults.address(&written.gate, "listen.tls.gate");
    let certificates = written.certificates.get_ref();
    if certificates.is_empty() {
        let what = "listen.tls.certificates is empty".to_owned();
        faults.at(
            written.certificates.span().start,
            what,
            "write { chain_file = \"…\", key_file = \"…\" } for each certificate",
        );
        return None;
    }
    let path = |name: &str| folder.join(name);
    Some(TlsListen {
        gate: gate?,
        certificates: certificates
            .iter()
            .map(|one| (path(&one.chain_file), path(&one.key_file)))
            .collect(),
    })
}

pub(super) fn check_entry(written: &WrittenEntry<'_>, faults: &mut Faults<'_>) -> Option<Entry> {
    let mut count = |value: Option<&Spanned<i64>>, key: &str, usual: usize| match value {
        None => Some(usual),
        Some(value) => {
            let within = (1..=1_000_000).contains(value.get_ref());
            if !within {
                let what = format!("{key} = {} is out of range", value.get_ref());
                faults.at(value.span().start, what, "write a number from 1 to 1000000");
            }
            usize::try_from(*value.get_ref()).ok().filter(|_| within)
        }
    };
    let connections_max = count(
        written.connections_max,
        "listen.connections_max",
        CONNECTIONS_MAX,
    );
    let connections_per_address_max = count(
        written.connections_per_address_max,
        "listen.connections_per_address_max",
        CONNECTIONS_PER_ADDRESS_MAX,
    );
    let mut trusted_proxies = Vec::new();
    for text in written
        .trusted_proxies
        .map_or(&[][..], |list| list.get_ref())
    {
        match network(text) {
            Some(network) => trusted_proxies.push(network),
            None => {
                let offset = written.trusted_proxies.map_or(0, |list| list.span().start);
                let what = format!("listen.trusted_proxies: \"{text}\" is no address or network");
                faults.at(
                    offset,
                    what,
                    "write for example \"10.0.0.5\" or \"10.0.0.0/24\"",
                );
            }
        }
    }
    let proxy_protocol = written.proxy_protocol.is_some_and(|on| *on.get_ref());
    if proxy_protocol && trusted_proxies.is_empty() {
        let offset = written.proxy_protocol.map_or(0, |on| on.span().start);
        let what = "listen.proxy_protocol without listen.trusted_proxies".to_owned();
        faults.at(offset, what, "name the proxies that send the header");
    }
    Some(Entry {
        connections_max: connections_max?,
        connections_per_address_max: connections_per_address_max?,
        trusted_proxies,
        proxy_protocol,
    })
}

/// An address, or a network as `address/prefix`.
fn network(text: &str) -> Option<(IpAddr, u8)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address.parse::<IpAddr>().ok()?, Some(bits.parse().ok()?)),
        None => (text.parse::<IpAddr>().ok()?, None),
    };
    let width = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(width);
    (bits <= width).then_some((address, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_an_address_with_or_without_a_prefix() {
        let v4 = |bits| Some(("10.0.0.0".parse().unwrap(), bits));
        assert_eq!(network("10.0.0.0"), v4(32));
        assert_eq!(network("10.0.0.0/8"), v4(8));
        assert_eq!(network("2001:db8::/32").map(|(_, bits)| bits), Some(32));
        for bad in ["10.0.0.0/33", "10.0.0", "proxy", "", "10.0.0.0/", "::/129"] {
            assert_eq!(network(bad), None, "{bad}");
        }
    }
}
