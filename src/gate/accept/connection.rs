//! Edge: one connection, from its first byte to its end: proxy header, TLS, HTTP/1.1 or HTTP/2.

use super::answer::{Standing, Stream, Streams, Watch, Watched};
use super::caps::{AddressPlace, Held, Place};
use super::timed::{HEAD_MAX, IDLE_MAX, Phase, Timed};
use super::{Entrance, Run, body, client, second};
use crate::crash::{self, Point};
use crate::gate::body::AnswerBody;
use crate::gate::guarded::Guarded;
use crate::gate::line::{self, Core, Slot};
use crate::terms::limits;
use http::{Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

/// How often a connection is looked after.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a connection may linger after it was told to end, unless it waits for us.
const LINGER_MAX: Duration = Duration::from_secs(30);
/// How long a fresh connection still has for its first request when the gate is to end.
const FIRST_MAX: Duration = Duration::from_secs(1);
const FIRST_EVERY: Duration = Duration::from_millis(10);
/// How long an HTTP/2 connection without calls lingers after it was told to end.
const GOAWAY_MAX: Duration = Duration::from_secs(5);
/// Calls of one HTTP/2 connection at once.
const STREAMS_MAX: u32 = 100;
/// Streams that a client may reset before their call has begun.
const RESETS_WAITING_MAX: usize = 20;
/// Streams that we may have to reset for a client's faults.
const RESETS_OURS_MAX: usize = 64;
/// Bytes of an HTTP/2 head, names and values unpacked.
const HEAD_LIST_BYTES_MAX: u32 = 16 * 1024;
/// What a client may send on one stream, and on all, before we have read it.
const WINDOW_BYTES: u32 = 64 * 1024;
const WINDOW_BYTES_ALL: u32 = 256 * 1024;
/// What waits on one stream for the client's window.
const SEND_BYTES_MAX: usize = 64 * 1024;
/// A silent HTTP/2 client is asked whether it is there, and given up without an answer.
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_MAX: Duration = Duration::from_secs(10);

/// What one connection is served with.
pub(super) struct Guest {
    pub(super) core: Arc<Core>,
    pub(super) entrance: Arc<Entrance>,
    pub(super) run: watch::Receiver<Run>,
    pub(super) place: Place,
    pub(super) peer: SocketAddr,
    pub(super) address: Option<AddressPlace>,
}

/// Serves a connection to its end.
pub(super) async fn serve(mut stream: TcpStream, tls: Option<TlsAcceptor>, mut guest: Guest) {
    let _ = stream.set_nodelay(true);
    let proxies = &guest.entrance.proxies;
    if proxies.speak_first && proxies.trust(guest.peer.ip()) {
        let spoken = client::spoken_for(&mut stream, guest.peer);
        guest.peer = match tokio::time::timeout(HEAD_MAX, spoken).await {
            Ok(Ok(client)) => client,
            Ok(Err(fault)) => {
                tracing::warn!(verb = "accept", proxy = %guest.peer, %fault, "not served");
                return;
            }
            Err(_) => return,
        };
        guest.address = guest.entrance.caps.enter_as(guest.peer.ip());
        if guest.address.is_none() {
            return;
        }
    }
    let Some(tls) = tls else {
        return first(stream, guest).await;
    };
    let Ok(Ok(stream)) = tokio::time::timeout(HEAD_MAX, tls.accept(stream)).await else {
        return;
    };
    if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
        two(stream, guest).await;
    } else {
        first(stream, guest).await;
    }
}

async fn first<S>(stream: S, guest: Guest)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let phase = Phase::fresh();
    let slot = Arc::new(Slot::default());
    let Guest {
        core,
        entrance,
        run,
        place,
        peer,
        address,
    } = guest;
    let service = {
        let (phase, slot) = (phase.clone(), slot.clone());
        let (core, entrance) = (core.clone(), entrance.clone());
        service_fn(move |request: Request<Incoming>| {
            phase.busy();
            let watch = Watch::First(phase.clone());
            let (core, entrance, slot) = (core.clone(), entrance.clone(), slot.clone());
            async move {
                let peer = entrance.proxies.client(peer, request.headers());
                let held = entrance.caps.hold(None);
                let answer = answer(&core, request, held, peer, &slot).await;
                crash::pass(Point::ReplyHead);
                watch.answering();
                Ok::<_, Infallible>(answer.map(|body| Watched::new(body, watch)))
            }
        })
    };
    let timed = Timed::new(Guarded::new(stream), phase.clone());
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(None)
        .max_buf_size(limits::HEAD_BYTES_MAX.saturating_mul(8))
        .preserve_header_case(true)
        .title_case_headers(true)
        .auto_date_header(false)
        .half_close(true)
        .serve_connection(TokioIo::new(timed), service);
    let mut connection = std::pin::pin!(connection);
    let calls = Calls::One(phase);
    let ended = look_after(
        connection.as_mut(),
        |it| it.graceful_shutdown(),
        run,
        &calls,
    )
    .await;
    crash::pass(Point::Replied);
    // A connection that ended well took its last answer along; one that broke may not have.
    let last = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let (true, Some(delivery)) = (ended, last) {
        delivery.done();
    }
    drop((place, address));
}

async fn two<S>(stream: S, guest: Guest)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let streams = Streams::new(guest.core.gate.clock.clone());
    let Guest {
        core,
        entrance,
        run,
        place,
        peer,
        address,
    } = guest;
    let service = {
        let streams = streams.clone();
        service_fn(move |request: Request<Incoming>| {
            let stream = streams.begin();
            let (core, entrance) = (core.clone(), entrance.clone());
            async move {
                let peer = entrance.proxies.client(peer, request.headers());
                let answer = answer_two(&core, &entrance, request, peer, stream).await;
                Ok::<_, Infallible>(answer)
            }
        })
    };
    let timed = Timed::framed(stream, Phase::fresh());
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_pending_accept_reset_streams(RESETS_WAITING_MAX)
        .max_local_error_reset_streams(RESETS_OURS_MAX)
        .max_header_list_size(HEAD_LIST_BYTES_MAX)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES_ALL)
        .max_send_buf_size(SEND_BYTES_MAX)
        .keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PONG_MAX)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(timed), service);
    let mut connection = std::pin::pin!(connection);
    let calls = Calls::Many(streams.clone());
    if look_after(
        connection.as_mut(),
        |it| it.graceful_shutdown(),
        run,
        &calls,
    )
    .await
    {
        streams.ended_well();
    }
    drop((place, address));
}

/// The calls of a connection.
enum Calls {
    One(Arc<Phase>),
    Many(Arc<Streams>),
}

/// What becomes of a connection.
#[derive(PartialEq, Eq)]
enum Fate {
    GoesOn,
    Ends,
    IsCut,
}

/// Sees a connection to its end; says whether it ended well. One that is told to end does so
/// once its calls have: a call that waits for us is never cut.
async fn look_after<C>(
    mut connection: Pin<&mut C>,
    end: impl Fn(Pin<&mut C>),
    mut run: watch::Receiver<Run>,
    calls: &Calls,
) -> bool
where
    C: Future<Output = hyper::Result<()>>,
{
    let mut asked = std::pin::pin!(async move {
        let _ = run.wait_for(|run| *run != Run::Serve).await;
    });
    let mut tick = tokio::time::interval(LOOK_EVERY);
    let mut told: Option<Instant> = None;
    loop {
        let fate = tokio::select! {
            ended = connection.as_mut() => return ended.is_ok(),
            () = asked.as_mut(), if told.is_none() => {
                // The library would end a fresh connection whose request is on its way.
                let first = tokio::time::timeout(FIRST_MAX, calls.first());
                tokio::select! {
                    ended = connection.as_mut() => return ended.is_ok(),
                    _ = first => Fate::Ends,
                }
            }
            _ = tick.tick(), if told.is_some() || matches!(calls, Calls::Many(_)) => {
                calls.fate(told.map(|told| told.elapsed()))
            }
        };
        match fate {
            Fate::GoesOn => {}
            Fate::IsCut => return false,
            Fate::Ends => {
                end(connection.as_mut());
                told = Some(Instant::now());
            }
        }
    }
}

impl Calls {
    /// Waits for the first call of a fresh connection.
    async fn first(&self) {
        while let Self::One(phase) = self
            && phase.is_fresh()
        {
            tokio::time::sleep(FIRST_EVERY).await;
        }
    }

    /// What becomes of the connection, told to end so long ago.
    fn fate(&self, told: Option<Duration>) -> Fate {
        match (self, told) {
            (Self::One(_), None) => Fate::GoesOn,
            (Self::One(phase), Some(since)) if since < LINGER_MAX || phase.waits_for_us() => {
                Fate::GoesOn
            }
            (Self::One(_), Some(_)) => Fate::IsCut,
            (Self::Many(streams), None) => open_fate(streams.standing()),
            (Self::Many(streams), Some(since)) => told_fate(streams.standing(), since),
        }
    }
}

fn open_fate(standing: Standing) -> Fate {
    let patience = if standing.used { IDLE_MAX } else { HEAD_MAX };
    if standing.stalled > 0 || standing.quiet >= patience {
        Fate::Ends
    } else {
        Fate::GoesOn
    }
}

fn told_fate(standing: Standing, since: Duration) -> Fate {
    let patience = if standing.theirs > 0 {
        LINGER_MAX
    } else {
        GOAWAY_MAX
    };
    if standing.ours > 0 || since < patience {
        Fate::GoesOn
    } else {
        Fate::IsCut
    }
}

async fn answer_two(
    core: &Arc<Core>,
    entrance: &Entrance,
    request: Request<Incoming>,
    peer: SocketAddr,
    mut stream: Stream,
) -> Response<Watched> {
    let slot = Slot::default();
    let (head, body) = request.into_parts();
    let is_head = head.method == Method::HEAD;
    let response = match second::head(head) {
        Ok(head) => {
            let held = entrance.caps.hold(Some(stream.body_bytes()));
            answer(core, Request::from_parts(head, body), held, peer, &slot).await
        }
        Err(status) => bare(status),
    };
    let delivery = slot.into_inner().unwrap_or_else(PoisonError::into_inner);
    stream.answers(delivery);
    // Over HTTP/1.1 the library leaves the body of such an answer out by itself.
    let response = if is_head {
        bare(response.status())
    } else {
        response
    };
    response.map(|body| Watched::new(body, Watch::Second(stream)))
}

async fn answer(
    core: &Arc<Core>,
    request: Request<Incoming>,
    held: Held,
    peer: SocketAddr,
    slot: &Slot,
) -> Response<AnswerBody> {
    let (head, body) = request.into_parts();
    match body::read(body, held).await {
        Ok((body, _held)) => line::line(core, head, body, peer, slot).await,
        Err(status) => bare(status),
    }
}

fn bare(status: StatusCode) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::Whole(None));
    *response.status_mut() = status;
    response
}
