//! Edge: several management servers: which are up, and which one a login session lives in.
//!
//! A server is down from the connection that it refuses until a probe is answered. Sessions live
//! in the memory of one server; where a session's cookie came from is remembered by its hash.

use super::exchange::{Connections, Wire};
use super::tls::UpstreamTls;
use super::{Sent, UpstreamError};
use crate::clock::Clock;
use crate::cloudstack::login::{SessionId, session_id};
use crate::terms::limits;
use bytes::Bytes;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use moka::sync::Cache;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Between two probes of the servers.
const PROBE_EVERY: Duration = Duration::from_secs(5);
/// A server that takes longer to answer nothing at all is down.
const PROBE_MAX: Duration = Duration::from_secs(5);
/// How long a session's server is remembered without a call of it; CloudStack ends a session
/// after half an hour.
const ROUTE_KEPT: Duration = Duration::from_secs(3_600);

/// One management server.
#[derive(Debug)]
struct Server {
    address: String,
    host: String,
    tls: Option<UpstreamTls>,
    within: Option<Wire>,
    up: AtomicBool,
}

/// The management servers of one cloud; shared by every core and by our own calls.
#[derive(Debug)]
pub struct Servers {
    all: Vec<Server>,
    next: AtomicUsize,
    routes: Cache<SessionId, usize>,
}

impl Servers {
    /// Servers by `host:port`, each with the Host header that it gets. All count as up.
    #[must_use]
    pub fn new(servers: impl IntoIterator<Item = (String, String)>) -> Self {
        Self::of(
            servers
                .into_iter()
                .map(|(address, host)| (address, host, None)),
        )
    }

    /// The same, each spoken to over TLS where it says how.
    #[must_use]
    pub fn of(servers: impl IntoIterator<Item = (String, String, Option<UpstreamTls>)>) -> Self {
        let all = servers.into_iter().map(|(address, host, tls)| Server {
            address,
            host,
            tls,
            within: None,
            up: AtomicBool::new(true),
        });
        Self::all(all.collect())
    }

    /// One server in this process, for a simulation: no socket is opened.
    #[must_use]
    pub fn within(name: &str, wire: Wire) -> Self {
        Self::all(vec![Server {
            address: name.to_owned(),
            host: name.to_owned(),
            tls: None,
            within: Some(wire),
            up: AtomicBool::new(true),
        }])
    }

    fn all(all: Vec<Server>) -> Self {
        Self {
            all,
            next: AtomicUsize::new(0),
            routes: Cache::builder()
                .max_capacity(limits::SESSIONS_CACHED_MAX)
                .time_to_idle(ROUTE_KEPT)
                .build(),
        }
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.all.len()
    }

    /// Each server's address, and whether it is up.
    pub fn states(&self) -> impl Iterator<Item = (&str, bool)> {
        let state = |server: &Server| server.up.load(Ordering::Relaxed);
        self.all.iter().map(move |s| (s.address.as_str(), state(s)))
    }

    /// The server that a session lives in.
    #[must_use]
    pub fn server_of(&self, session: &SessionId) -> Option<usize> {
        self.routes.get(session)
    }

    /// Remembers where a session lives.
    pub fn remember(&self, session: SessionId, server: usize) {
        if self.all.len() > 1 {
            self.routes.insert(session, server);
        }
    }

    /// The order to try servers in: the session's own, then those that are up, each in its turn,
    /// then the rest, for a server that is thought to be down may be up again.
    #[must_use]
    pub fn order(&self, session: Option<&SessionId>) -> Vec<usize> {
        let count = self.all.len();
        if count <= 1 {
            return (0..count).collect();
        }
        let own = session.and_then(|session| self.routes.get(session));
        let first = match session {
            // A session that nobody knows goes to one server as long as that is up.
            Some(session) => session.first().copied().map_or(0, usize::from),
            None => self.next.fetch_add(1, Ordering::Relaxed),
        };
        let turn = (0..count).map(|step| first.wrapping_add(step) % count);
        let (up, down): (Vec<usize>, Vec<usize>) = turn.partition(|at| self.is_up(*at));
        let mut order: Vec<usize> = own.into_iter().collect();
        order.extend(up.into_iter().chain(down).filter(|at| Some(*at) != own));
        order
    }

    fn is_up(&self, at: usize) -> bool {
        self.all
            .get(at)
            .is_some_and(|server| server.up.load(Ordering::Relaxed))
    }

    /// Notes what a server just showed.
    fn note(&self, at: usize, up: bool) {
        let Some(server) = self.all.get(at) else {
            return;
        };
        if server.up.swap(up, Ordering::Relaxed) != up {
            let state = if up { "up" } else { "down" };
            tracing::warn!(verb = "probe", server = %server.address, state, "changed");
        }
    }
}

/// One core's, or one service account's, connections to every server.
#[derive(Debug)]
pub struct Fleet {
    servers: Arc<Servers>,
    connections: Vec<Arc<Connections>>,
}

/// An answer's head, the connection that its body comes over, and the list that it goes back to.
pub type Opened = (
    Response<Incoming>,
    SendRequest<Full<Bytes>>,
    Arc<Connections>,
);

impl Fleet {
    /// No connection yet.
    #[must_use]
    pub fn new(servers: Arc<Servers>, clock: &Clock) -> Self {
        let connections = servers.all.iter().map(|server| {
            let address = server.address.clone();
            let connections = Connections::new(address, clock.clone());
            let connections = connections.over(server.tls.clone());
            Arc::new(connections.within(server.within.clone()))
        });
        Self {
            connections: connections.collect(),
            servers,
        }
    }

    /// The servers.
    #[must_use]
    pub const fn servers(&self) -> &Arc<Servers> {
        &self.servers
    }

    /// The servers' addresses, for people.
    #[must_use]
    pub fn name(&self) -> String {
        let names: Vec<&str> = self.servers.states().map(|(name, _)| name).collect();
        names.join(", ")
    }

    /// Sends one request to the first server of the order that takes it. The next one is tried
    /// only where no byte went out.
    ///
    /// # Errors
    /// [`UpstreamError`] of the last server tried.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
        raising: bool,
        session: Option<&SessionId>,
    ) -> Result<Opened, UpstreamError> {
        let order = self.servers.order(session);
        self.send_by(&order, request, raising).await
    }

    /// Sends one request to this server and no other.
    ///
    /// # Errors
    /// [`UpstreamError`].
    pub async fn send_to(
        &self,
        at: usize,
        request: Request<Full<Bytes>>,
    ) -> Result<Opened, UpstreamError> {
        self.send_by(&[at], request, false).await
    }

    async fn send_by(
        &self,
        order: &[usize],
        request: Request<Full<Bytes>>,
        raising: bool,
    ) -> Result<Opened, UpstreamError> {
        let mut last = None;
        for at in order {
            let (Some(server), Some(connections)) =
                (self.servers.all.get(*at), self.connections.get(*at))
            else {
                continue;
            };
            let mut request = request.clone();
            if let Ok(host) = header::HeaderValue::from_str(&server.host) {
                request.headers_mut().insert(header::HOST, host);
            }
            match connections.send(request, raising).await {
                Ok((answer, sender)) => {
                    self.servers.note(*at, true);
                    for session in opened_sessions(answer.headers()) {
                        self.servers.remember(session, *at);
                    }
                    return Ok((answer, sender, connections.clone()));
                }
                Err(fault) if fault.sent == Sent::NotSent => {
                    self.servers.note(*at, false);
                    last = Some(fault);
                }
                Err(fault) => return Err(fault),
            }
        }
        Err(last.unwrap_or_else(|| UpstreamError {
            server: String::new(),
            what: "there is no management server".to_owned(),
            sent: Sent::NotSent,
        }))
    }

    /// Probes every server, again and again, until `stop` turns true.
    pub async fn probe(&self, mut stop: tokio::sync::watch::Receiver<bool>) {
        let mut tick = tokio::time::interval(PROBE_EVERY);
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    for at in 0..self.servers.count() {
                        self.probe_one(at).await;
                    }
                }
                _ = stop.changed() => return,
            }
        }
    }

    /// A call without a command runs nothing; one that serves answers it with 401.
    async fn probe_one(&self, at: usize) {
        let Ok(request) = Request::get("/client/api?response=xml").body(Full::default()) else {
            return;
        };
        let asked = async {
            let (answer, sender, connections) = self.send_to(at, request).await.ok()?;
            let serves = !answer.status().is_server_error();
            // Read to its end, so that the connection can be used again.
            answer.into_body().collect().await.ok()?;
            connections.keep(sender);
            Some(serves)
        };
        let serves = tokio::time::timeout(PROBE_MAX, asked).await;
        self.servers.note(at, serves.ok().flatten() == Some(true));
    }
}

/// The sessions that an answer opens.
fn opened_sessions(headers: &HeaderMap) -> impl Iterator<Item = SessionId> {
    headers
        .get_all(header::SET_COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .filter_map(|text| text.split(';').next()?.split_once('='))
        .filter(|(name, value)| name.trim().eq_ignore_ascii_case("jsessionid") && !value.is_empty())
        .map(|(_, value)| session_id(value))
}

#[cfg(test)]
mod tests;
