//! Edge: one request, one answer, over kept-alive HTTP/1.1 connections.
//!
//! Each core and each service client has a list of its own. A request that could not be written
//! is told apart from one whose fate is unknown; neither is ever sent again from here.

use super::tls::UpstreamTls;
use super::{Sent, UpstreamError};
use crate::clock::Clock;
use crate::crash::{self, Point};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio::net::TcpStream;

/// Idle connections die at 20 s: CloudStack closes its side at 30.
const IDLE_MAX: Duration = Duration::from_secs(20);
/// A raising call uses a connection that answered within the last 5 s, or a fresh one.
const IDLE_MAX_RAISING: Duration = Duration::from_secs(5);
/// Connecting to a management server that is up takes milliseconds.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// Some synchronous commands take minutes; clients wait as long.
const ANSWER_MAX: Duration = Duration::from_secs(3_600);
/// Idle connections kept per list.
const IDLE_CONNECTIONS_MAX: usize = 256;

/// What of an answer is held for a client that reads slowly.
const READ_BYTES_MAX: usize = 64 * 1024;

/// The way to a server in this process, instead of a socket: what each connection is opened by.
#[derive(Clone)]
pub struct Wire(pub Arc<dyn Fn() -> std::io::Result<DuplexStream> + Send + Sync>);

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

/// A list of idle connections to one management server.
#[derive(Debug)]
pub struct Connections {
    server: String,
    tls: Option<UpstreamTls>,
    within: Option<Wire>,
    clock: Clock,
    idle: Mutex<Vec<(SendRequest<Full<Bytes>>, Instant)>>,
}

impl Connections {
    /// An empty list for `host:port`.
    #[must_use]
    pub const fn new(server: String, clock: Clock) -> Self {
        Self {
            server,
            tls: None,
            within: None,
            clock,
            idle: Mutex::new(Vec::new()),
        }
    }

    /// The same list, spoken to over TLS where there is one.
    #[must_use]
    pub fn over(self, tls: Option<UpstreamTls>) -> Self {
        Self { tls, ..self }
    }

    /// The same list, to a server in this process where there is one.
    #[must_use]
    pub fn within(self, within: Option<Wire>) -> Self {
        Self { within, ..self }
    }

    /// Host and port of the server.
    #[must_use]
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Sends one request and gives the answer's head; its body streams. The connection goes back
    /// to the list by [`Connections::keep`] once the body was read.
    ///
    /// # Errors
    /// [`UpstreamError`], which says whether a byte may have gone out.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
        raising: bool,
    ) -> Result<(Response<Incoming>, SendRequest<Full<Bytes>>), UpstreamError> {
        let mut request = request;
        while let Some(mut sender) = self.take(raising) {
            match self.exchange(&mut sender, request).await {
                Ok(answer) => return Ok((answer, sender)),
                Err((_, Some(unsent))) => request = unsent,
                Err((fault, None)) => return Err(fault),
            }
        }
        let mut sender = self.connect().await?;
        if raising {
            crash::pass(Point::Connected);
        }
        match self.exchange(&mut sender, request).await {
            Ok(answer) => Ok((answer, sender)),
            Err((fault, _)) => Err(fault),
        }
    }

    /// Gives a connection back after its answer was read to the end.
    pub fn keep(&self, sender: SendRequest<Full<Bytes>>) {
        let now = self.clock.monotonic();
        if let Ok(mut idle) = self.idle.lock()
            && !sender.is_closed()
            && idle.len() < IDLE_CONNECTIONS_MAX
        {
            idle.push((sender, now));
        }
    }

    fn take(&self, raising: bool) -> Option<SendRequest<Full<Bytes>>> {
        let bound = if raising { IDLE_MAX_RAISING } else { IDLE_MAX };
        let now = self.clock.monotonic();
        let mut idle = self.idle.lock().ok()?;
        while let Some((sender, since)) = idle.pop() {
            if now.duration_since(since) > IDLE_MAX {
                idle.clear();
                return None;
            }
            if now.duration_since(since) > bound {
                idle.push((sender, since));
                return None;
            }
            if !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>, UpstreamError> {
        let dial = async {
            if let Some(wire) = &self.within {
                return handshake((wire.0)()?).await;
            }
            let stream = TcpStream::connect(&self.server).await?;
            stream.set_nodelay(true)?;
            match &self.tls {
                None => handshake(stream).await,
                Some(tls) => handshake(tls.over(stream).await?).await,
            }
        };
        let fault = |what| UpstreamError {
            server: self.server.clone(),
            what,
            sent: Sent::NotSent,
        };
        tokio::time::timeout(CONNECT_MAX, dial)
            .await
            .map_err(|_| fault("did not accept a connection within 5 s".to_owned()))?
            .map_err(|e| fault(e.to_string()))
    }

    /// One exchange; on a fault the request comes back where no byte of it went out.
    async fn exchange(
        &self,
        sender: &mut SendRequest<Full<Bytes>>,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, (UpstreamError, Option<Request<Full<Bytes>>>)> {
        let fault = |what: String, sent| UpstreamError {
            server: self.server.clone(),
            what,
            sent,
        };
        if let Err(e) = sender.ready().await {
            return Err((fault(e.to_string(), Sent::NotSent), Some(request)));
        }
        match tokio::time::timeout(ANSWER_MAX, sender.try_send_request(request)).await {
            Err(_) => Err((
                fault("gave no answer within an hour".to_owned(), Sent::Unknown),
                None,
            )),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(mut e)) => {
                let unsent = e.take_message();
                let sent = if unsent.is_some() {
                    Sent::NotSent
                } else {
                    Sent::Unknown
                };
                Err((fault(e.error().to_string(), sent), unsent))
            }
        }
    }
}

/// A connection that is ready for its first request, whatever carries it.
async fn handshake<S>(stream: S) -> std::io::Result<SendRequest<Full<Bytes>>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = http1::Builder::new()
        .preserve_header_case(true)
        .max_buf_size(READ_BYTES_MAX)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(std::io::Error::other)?;
    tokio::spawn(async move {
        // How a connection ends shows in the exchange that used it.
        let _ = connection.await;
    });
    Ok(sender)
}
