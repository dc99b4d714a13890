//! Edge: the listening sockets of a node: bound, or taken over from the node before.

use crate::config::Listen;
use crate::gate::accept::{self, Speaks};
use anyhow::Context;
use std::net::{SocketAddr, TcpListener};

/// What a listening socket is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Role {
    /// Customers, in clear.
    Gate,
    /// Customers, over TLS.
    Tls,
    /// Operators.
    Ops,
    /// Collectors of figures.
    Metrics,
}

impl Role {
    /// The word for it between two nodes.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Gate => "gate",
            Self::Tls => "tls",
            Self::Ops => "ops",
            Self::Metrics => "metrics",
        }
    }

    /// The role with that word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        let all = [Self::Gate, Self::Tls, Self::Ops, Self::Metrics];
        all.into_iter().find(|role| role.word() == word)
    }
}

/// Every listening socket of a node. It keeps them open: what waits in their queues is not lost
/// while nobody accepts.
#[derive(Debug)]
pub struct Sockets(Vec<(Role, TcpListener)>);

impl Sockets {
    /// Binds everything that the configuration asks for.
    ///
    /// # Errors
    /// The address that cannot be listened on.
    pub fn bind(listen: &Listen) -> anyhow::Result<Self> {
        Self::bind_missing(listen, &[])
    }

    /// Binds what the configuration asks for and is not among what another node offers.
    ///
    /// # Errors
    /// The address that cannot be listened on.
    pub fn bind_missing(listen: &Listen, offered: &[(Role, SocketAddr)]) -> anyhow::Result<Self> {
        let mut bound = Vec::new();
        for (role, wanted, count) in wanted(listen) {
            if offered.iter().any(|one| serves(*one, role, wanted)) {
                continue;
            }
            let refused = || format!("{wanted} cannot be listened on");
            let shared = count > 1;
            let first = accept::listener(wanted, shared).with_context(refused)?;
            let address = first.local_addr()?;
            bound.push((role, first));
            for _ in 1..count {
                let more = accept::listener(address, shared).with_context(refused)?;
                bound.push((role, more));
            }
        }
        Ok(Self(bound))
    }

    /// Adds what another node handed over and the configuration asks for; the rest is closed.
    pub fn take(&mut self, listen: &Listen, given: Vec<(Role, TcpListener)>) {
        let wanted = wanted(listen);
        for (role, listener) in given {
            let Ok(address) = listener.local_addr() else {
                continue;
            };
            let is_wanted = |(wanted_role, wanted, _): &(Role, SocketAddr, usize)| {
                serves((role, address), *wanted_role, *wanted)
            };
            if wanted.iter().any(is_wanted) {
                self.0.push((role, listener));
            }
        }
    }

    /// Each socket's role and address.
    #[must_use]
    pub fn offer(&self) -> Vec<(Role, SocketAddr)> {
        let address =
            |(role, listener): &(Role, TcpListener)| Some((*role, listener.local_addr().ok()?));
        self.0.iter().filter_map(address).collect()
    }

    /// The sockets themselves, in the order of the offer.
    #[must_use]
    pub fn all(&self) -> &[(Role, TcpListener)] {
        &self.0
    }

    /// The address that a role is served at.
    #[must_use]
    pub fn address(&self, role: Role) -> Option<SocketAddr> {
        let offer = self.offer();
        offer.into_iter().find(|one| one.0 == role).map(|one| one.1)
    }

    /// Another handle of the one socket of a role.
    ///
    /// # Errors
    /// What the system says.
    pub fn one(&self, role: Role) -> std::io::Result<Option<TcpListener>> {
        let found = self.0.iter().find(|one| one.0 == role);
        found.map(|one| one.1.try_clone()).transpose()
    }

    /// Customers' sockets for each of so many cores: every socket is served, and so is every core.
    ///
    /// # Errors
    /// What the system says.
    pub fn per_core(&self, cores: usize) -> std::io::Result<Vec<Vec<(TcpListener, Speaks)>>> {
        let mut shares: Vec<Vec<(TcpListener, Speaks)>> = Vec::new();
        shares.resize_with(cores, Vec::new);
        for (role, speaks) in [(Role::Gate, Speaks::Plain), (Role::Tls, Speaks::Tls)] {
            let of_role: Vec<&TcpListener> = self
                .0
                .iter()
                .filter(|one| one.0 == role)
                .map(|one| &one.1)
                .collect();
            let turns = if of_role.is_empty() {
                0
            } else {
                of_role.len().max(cores)
            };
            let sockets = of_role.iter().cycle().take(turns);
            for (socket, core) in sockets.zip((0..cores).cycle()) {
                if let Some(share) = shares.get_mut(core) {
                    share.push((socket.try_clone()?, speaks));
                }
            }
        }
        Ok(shares)
    }
}

/// Role, address, and sockets on it: one for each core where customers call.
fn wanted(listen: &Listen) -> Vec<(Role, SocketAddr, usize)> {
    let tls = listen
        .tls
        .as_ref()
        .map(|tls| (Role::Tls, tls.gate, listen.threads));
    let metrics = listen.metrics.map(|address| (Role::Metrics, address, 1));
    let first = [
        (Role::Gate, listen.gate, listen.threads),
        (Role::Ops, listen.ops, 1),
    ];
    first.into_iter().chain(tls).chain(metrics).collect()
}

/// Whether a socket is what was asked for; port 0 asks for any.
fn serves(offered: (Role, SocketAddr), role: Role, wanted: SocketAddr) -> bool {
    offered.0 == role
        && offered.1.ip() == wanted.ip()
        && (wanted.port() == 0 || wanted.port() == offered.1.port())
}
