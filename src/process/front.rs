//! Edge: what connections come in by, and go out by, made from the configuration.

use super::certificates::LastReading;
use crate::clock::Clock;
use crate::config::{Config, TlsListen};
use crate::gate::accept::Entrance;
use crate::gate::accept::caps::{Bounds, Caps};
use crate::gate::accept::client::Proxies;
use crate::gate::accept::tls::{Files, Tls};
use crate::upstream::tls::UpstreamTls;
use std::path::PathBuf;
use std::sync::Arc;

/// Certificates, bounds and proxies of the gate, and TLS to the management server.
#[derive(Debug)]
pub struct Front {
    /// What customers' connections come in by.
    pub entrance: Arc<Entrance>,
    /// How the last reading of certificates went.
    pub certificates: LastReading,
    /// How the management server is spoken to over TLS.
    pub upstream_tls: Option<UpstreamTls>,
}

impl Front {
    /// Reads what the configuration names.
    ///
    /// # Errors
    /// A certificate or an authority that cannot be used.
    pub fn open(config: &Config, clock: &Clock) -> anyhow::Result<Self> {
        Ok(Self {
            entrance: Arc::new(entrance(config, clock)?),
            certificates: LastReading::default(),
            upstream_tls: upstream_tls(config)?,
        })
    }
}

fn entrance(config: &Config, clock: &Clock) -> anyhow::Result<Entrance> {
    let listen = &config.listen;
    let files = |tls: &TlsListen| {
        let pair = |(chain, key): &(PathBuf, PathBuf)| Files {
            chain: chain.clone(),
            key: key.clone(),
        };
        tls.certificates.iter().map(pair).collect()
    };
    let open = |tls| Tls::open(files(tls), clock.wall());
    Ok(Entrance {
        tls: listen.tls.as_ref().map(open).transpose()?,
        caps: Caps::new(Bounds {
            connections_max: listen.entry.connections_max,
            connections_per_address_max: listen.entry.connections_per_address_max,
        }),
        proxies: Proxies {
            trusted: listen.entry.trusted_proxies.clone(),
            speak_first: listen.entry.proxy_protocol,
        },
    })
}

/// TLS to the management server, where it is spoken to over TLS.
///
/// # Errors
/// Where the file of authorities cannot be used.
pub fn upstream_tls(config: &Config) -> anyhow::Result<Option<UpstreamTls>> {
    let upstream = &config.upstream;
    let open = |ca_file: &PathBuf| UpstreamTls::open(ca_file, &upstream.server);
    Ok(upstream.ca_file.as_ref().map(open).transpose()?)
}
