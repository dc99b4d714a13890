//! Edge: listeners, bounds of head and body, one connection after the other, drain.
//!
//! Each core has a single-threaded runtime, its own listener on the shared port and its own
//! upstream connections; what waits for the disk or for CloudStack's jobs runs elsewhere.

use super::body::AnswerBody;
use super::guarded::Guarded;
use super::line::{self, Core, Slot};
use crate::terms::limits;
use bytes::{Bytes, BytesMut};
use http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A head that takes longer is cut.
const HEAD_SECONDS_MAX: Duration = Duration::from_secs(30);
/// A body that takes longer is cut.
const BODY_SECONDS_MAX: Duration = Duration::from_secs(60);
/// How long open calls may go on after a stop was asked for.
const DRAIN_MAX: Duration = Duration::from_secs(30);

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
    socket.listen(4_096)?;
    Ok(socket.into())
}

/// Serves one core until `stop` turns true, then lets open calls end.
///
/// # Errors
/// What the system says where the listener cannot be used.
pub async fn serve(
    listener: std::net::TcpListener,
    core: Arc<Core>,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    let mut open = tokio::task::JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    open.spawn(connection(stream, peer, core.clone(), stop.clone()));
                }
                // Out of descriptors: wait for connections to end rather than spin.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
            Some(_) = open.join_next(), if !open.is_empty() => {}
            _ = stop.changed() => break,
        }
    }
    drop(listener);
    let ended = async { while open.join_next().await.is_some() {} };
    let _ = tokio::time::timeout(DRAIN_MAX, ended).await;
    Ok(())
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    core: Arc<Core>,
    mut stop: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let slot = Arc::new(Slot::default());
    let last = slot.clone();
    let service = service_fn(move |request| {
        let (core, slot) = (core.clone(), slot.clone());
        async move { Ok::<_, Infallible>(answer(&core, request, peer, &slot).await) }
    });
    let mut connection = std::pin::pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_SECONDS_MAX)
            .max_buf_size(limits::HEAD_BYTES_MAX.saturating_mul(8))
            .preserve_header_case(true)
            .title_case_headers(true)
            .auto_date_header(false)
            .half_close(true)
            .serve_connection(TokioIo::new(Guarded::new(stream)), service)
    );
    let ended = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        _ = stop.changed() => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // A connection that ended well took its last answer along; one that broke may not have.
    let last = last.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let (Ok(()), Some(delivery)) = (ended, last) {
        delivery.done();
    }
}

async fn answer(
    core: &Arc<Core>,
    request: Request<Incoming>,
    peer: SocketAddr,
    slot: &Slot,
) -> Response<AnswerBody> {
    let (head, body) = request.into_parts();
    match tokio::time::timeout(BODY_SECONDS_MAX, read_body(body)).await {
        Ok(Ok(body)) => line::line(core, head, body, peer, slot).await,
        Ok(Err(status)) => bare(status),
        Err(_) => bare(StatusCode::REQUEST_TIMEOUT),
    }
}

async fn read_body(mut body: Incoming) -> Result<Bytes, StatusCode> {
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| StatusCode::BAD_REQUEST)?;
        if let Some(data) = frame.data_ref() {
            if read.len().saturating_add(data.len()) > limits::BODY_BYTES_MAX {
                return Err(StatusCode::PAYLOAD_TOO_LARGE);
            }
            read.extend_from_slice(data);
        }
    }
    Ok(read.freeze())
}

fn bare(status: StatusCode) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::Whole(None));
    *response.status_mut() = status;
    response
}
