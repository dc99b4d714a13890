//! Edge: whose address a connection or a request comes from.
//!
//! It is the socket's peer, or what a proxy that the operator trusts says: a PROXY protocol v2
//! header before anything else (haproxy.org, proxy-protocol.txt §2.2), or the right-most address of
//! `X-Forwarded-For` that is not itself a trusted proxy. What anybody else says is not looked at.

use http::HeaderMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use tokio::io::{AsyncRead, AsyncReadExt};

/// The twelve bytes that begin a PROXY protocol v2 header.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes after the fixed part: addresses, and notes that are skipped.
const REST_BYTES_MAX: usize = 4_096;
/// Addresses of one `X-Forwarded-For` that are looked at.
const HOPS_MAX: usize = 32;

/// The proxies in front of the gate.
#[derive(Clone, Default, Debug)]
pub struct Proxies {
    /// Networks of the proxies: address and length of the prefix.
    pub trusted: Vec<(IpAddr, u8)>,
    /// Whether each connection from a trusted proxy begins with a PROXY protocol v2 header.
    pub speak_first: bool,
}

/// Why a PROXY protocol header could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ProxyFault {
    /// The connection ended or broke.
    #[error("the connection ended within the PROXY header: {0}")]
    Cut(#[from] std::io::Error),
    /// It is no header of version 2.
    #[error("no PROXY protocol v2 header; let the proxy send one or set proxy_protocol = false")]
    NotOne,
}

impl Proxies {
    /// Whether the address is one of a trusted proxy.
    #[must_use]
    pub fn trust(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.trusted
            .iter()
            .any(|(network, bits)| within(address, *network, *bits))
    }

    /// The client of a request that came from `peer`.
    #[must_use]
    pub fn client(&self, peer: SocketAddr, headers: &HeaderMap) -> SocketAddr {
        if !self.trust(peer.ip()) {
            return peer;
        }
        let mut nearest = peer;
        let lines = headers.get_all("x-forwarded-for").iter().rev();
        let hops = lines.flat_map(|line| line.as_bytes().rsplit(|b| *b == b','));
        for hop in hops.take(HOPS_MAX) {
            // What stands left of something unreadable was not written by a proxy we trust.
            let Some(address) = std::str::from_utf8(hop).ok().and_then(hop_address) else {
                break;
            };
            nearest = SocketAddr::new(address.to_canonical(), 0);
            if !self.trust(address) {
                break;
            }
        }
        nearest
    }
}

/// An address as proxies write it: plain, with a port, or in brackets.
fn hop_address(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let plain = text.parse().ok();
    plain
        .or_else(|| {
            text.parse()
                .ok()
                .map(|with_port: SocketAddr| with_port.ip())
        })
        .or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

fn within(address: IpAddr, network: IpAddr, bits: u8) -> bool {
    let (address, network, width) = match (address, network.to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(n)) => (u128::from(a.to_bits()), u128::from(n.to_bits()), 32),
        (IpAddr::V6(a), IpAddr::V6(n)) => (a.to_bits(), n.to_bits(), 128),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => return false,
    };
    let below = u32::saturating_sub(width, u32::from(bits));
    let cut = |bits: u128| bits.checked_shr(below).unwrap_or(0);
    cut(address) == cut(network)
}

/// Reads the header that a proxy sends first; not one byte more.
///
/// # Errors
/// [`ProxyFault`]; the connection is then of no use.
pub async fn spoken_for<S: AsyncRead + Unpin>(
    stream: &mut S,
    peer: SocketAddr,
) -> Result<SocketAddr, ProxyFault> {
    let mut fixed = [0_u8; 16];
    stream.read_exact(&mut fixed).await?;
    let [head @ .., version_and_command, family, high, low] = fixed;
    let rest = usize::from(u16::from_be_bytes([high, low]));
    if head != SIGNATURE || version_and_command >> 4 != 2 || rest > REST_BYTES_MAX {
        return Err(ProxyFault::NotOne);
    }
    let mut addresses = vec![0_u8; rest];
    stream.read_exact(&mut addresses).await?;
    match version_and_command & 0x0f {
        // The proxy's own health check.
        0 => Ok(peer),
        1 => named(family, &addresses, peer).ok_or(ProxyFault::NotOne),
        _ => Err(ProxyFault::NotOne),
    }
}

/// The source address of the header; a proxy that does not know it says so with family 0.
fn named(family: u8, bytes: &[u8], peer: SocketAddr) -> Option<SocketAddr> {
    match family {
        0x11 => {
            let source: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
            let port: [u8; 2] = bytes.get(8..10)?.try_into().ok()?;
            let address = IpAddr::V4(Ipv4Addr::from(source));
            Some(SocketAddr::new(address, u16::from_be_bytes(port)))
        }
        0x21 => {
            let source: [u8; 16] = bytes.get(..16)?.try_into().ok()?;
            let port: [u8; 2] = bytes.get(32..34)?.try_into().ok()?;
            let address = IpAddr::V6(Ipv6Addr::from(source)).to_canonical();
            Some(SocketAddr::new(address, u16::from_be_bytes(port)))
        }
        0x00 => Some(peer),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
