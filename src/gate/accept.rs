//! Edge: listeners: what is accepted, how much of it at once, and how a core stops.
//!
//! Each core has a single-threaded runtime, its own listeners on the shared ports and its own
//! upstream connections; what waits for the disk or for CloudStack's jobs runs elsewhere. What
//! becomes of a connection is in `connection.rs`; the other files are its parts.

mod answer;
mod body;
pub mod caps;
pub mod client;
mod connection;
mod expiry;
mod frames;
mod second;
mod timed;
pub mod tls;

use super::line::Core;
use caps::Caps;
use client::Proxies;
use connection::Guest;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tls::Tls;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// Connections that wait to be accepted; the kernel bounds it too (`net.core.somaxconn`).
const BACKLOG: i32 = 4_096;
/// Between two tries while the system has no descriptors left.
const BREATH: Duration = Duration::from_millis(20);

/// What every core lets connections in by.
#[derive(Debug)]
pub struct Entrance {
    /// Certificates; none where there is no TLS listener.
    pub tls: Option<Tls>,
    /// How many may come in.
    pub caps: Arc<Caps>,
    /// Who may speak for others.
    pub proxies: Proxies,
}

/// Whether a listener speaks TLS.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Speaks {
    /// HTTP/1.1 as it is.
    Plain,
    /// HTTP/2 or HTTP/1.1 over TLS.
    Tls,
}

/// What the gate is asked to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Run {
    /// Accept and serve.
    Serve,
    /// Accept nothing, and let what is open end; the listeners stay.
    Pause,
    /// The same, and then end.
    End,
}

/// A listener on an address, which several cores may share; one that is not shared is refused
/// where anybody else listens there already.
///
/// # Errors
/// What the system says where the address cannot be listened on.
pub fn listener(address: SocketAddr, shared: bool) -> std::io::Result<std::net::TcpListener> {
    let domain = socket2::Domain::for_address(address);
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(shared)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// Serves one core's listeners until it is told to end and every open call has ended.
///
/// # Errors
/// What the system says where a listener cannot be used.
pub async fn serve(
    listeners: Vec<(std::net::TcpListener, Speaks)>,
    core: Arc<Core>,
    entrance: Arc<Entrance>,
    run: watch::Receiver<Run>,
) -> std::io::Result<()> {
    let mut doors = JoinSet::new();
    for (listener, speaks) in listeners {
        let door = Door {
            listener: TcpListener::from_std(listener)?,
            speaks,
            core: core.clone(),
            entrance: entrance.clone(),
        };
        doors.spawn(door.keep(run.clone()));
    }
    while doors.join_next().await.is_some() {}
    // Calls whose client is gone still run on this core, and theirs is money too.
    while entrance.caps.working() > 0 {
        tokio::time::sleep(BREATH).await;
    }
    Ok(())
}

/// One listener of one core.
struct Door {
    listener: TcpListener,
    speaks: Speaks,
    core: Arc<Core>,
    entrance: Arc<Entrance>,
}

impl Door {
    async fn keep(self, mut run: watch::Receiver<Run>) {
        let mut open = JoinSet::new();
        loop {
            let now = *run.borrow_and_update();
            if now == Run::End {
                break;
            }
            tokio::select! {
                accepted = self.listener.accept(), if now == Run::Serve => match accepted {
                    Ok((stream, peer)) => self.let_in(stream, peer, &run, &mut open),
                    // Out of descriptors: wait for connections to end rather than spin.
                    Err(_) => tokio::time::sleep(BREATH).await,
                },
                Some(_) = open.join_next(), if !open.is_empty() => {}
                changed = run.changed() => {
                    if changed.is_err() {
                        break;
                    }
                }
            }
        }
        drop(self);
        while open.join_next().await.is_some() {}
    }

    /// Serves a connection as a task of its own; whoever is over a bound is not served at all.
    fn let_in(
        &self,
        stream: tokio::net::TcpStream,
        peer: SocketAddr,
        run: &watch::Receiver<Run>,
        open: &mut JoinSet<()>,
    ) {
        let Some(place) = self.entrance.caps.enter() else {
            return;
        };
        // A proxy's own connections are many; those it speaks for are counted one by one.
        let address = if self.entrance.proxies.trust(peer.ip()) {
            None
        } else {
            match self.entrance.caps.enter_as(peer.ip()) {
                None => return,
                some => some,
            }
        };
        let tls = match (self.speaks, &self.entrance.tls) {
            (Speaks::Plain, _) => None,
            (Speaks::Tls, Some(tls)) => Some(TlsAcceptor::from(tls.config())),
            (Speaks::Tls, None) => return,
        };
        let guest = Guest {
            core: self.core.clone(),
            entrance: self.entrance.clone(),
            run: run.clone(),
            place,
            peer,
            address,
        };
        open.spawn(connection::serve(stream, tls, guest));
    }
}
