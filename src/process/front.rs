//! Edge: what connections come in by, and which servers they go on to, made from the configuration.

use super::certificates::LastReading;
use crate::clock::Clock;
use crate::config::{Config, TlsListen};
use crate::gate::accept::Entrance;
use crate::gate::accept::caps::{Bounds, Caps};
use crate::gate::accept::client::Proxies;
use crate::gate::accept::tls::{Files, Tls};
use crate::upstream::servers::Servers;
use crate::upstream::tls::UpstreamTls;
use std::path::PathBuf;
use std::sync::Arc;

/// Certificates, bounds and proxies of the gate.
#[derive(Debug)]
pub struct Front {
    /// What customers' connections come in by.
    pub entrance: Arc<Entrance>,
    /// How the last reading of certificates went.
    pub certificates: LastReading,
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

/// The management servers, spoken to over TLS where the configuration names an authority.
///
/// # Errors
/// Where the file of authorities cannot be used.
pub fn servers(config: &Config) -> anyhow::Result<Servers> {
    let mut servers = Vec::new();
    for (address, host) in config.upstream.servers() {
        let ca_file = config.upstream.ca_file.as_ref();
        let tls = ca_file.map(|file| UpstreamTls::open(file, &address));
        servers.push((address, host, tls.transpose()?));
    }
    Ok(Servers::of(servers))
}
