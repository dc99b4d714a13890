//! Edge: the request to CloudStack, built from the map that was judged, and sent once.
//!
//! Nothing of the client's bytes goes upstream: request line, headers and framing are ours.

use super::body::AnswerBody;
use super::parse::{Call, Method};
use super::session_key;
use super::wire::{Answer, strip_one_hop};
use crate::cloudstack::login::SessionId;
use crate::cloudstack::query::ParamMap;
use crate::crash::{self, Point};
use crate::terms::limits;
use crate::upstream::servers::{Fleet, Opened};
use crate::upstream::{Sent, UpstreamError};
use bytes::{Bytes, BytesMut};
use http::{Request, Response, Uri, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::ext::ReasonPhrase;
use std::net::IpAddr;

/// Where a call goes and on whose behalf.
#[derive(Debug)]
pub struct Way<'a> {
    /// This core's connections to the management servers.
    pub fleet: &'a Fleet,
    /// The client's address.
    pub client: IpAddr,
}

/// Builds the upstream request: our request line, a fixed set of headers, sorted names.
///
/// # Errors
/// Where HTTP cannot carry a value; nothing is sent then.
pub fn request(
    way: &Way<'_>,
    call: &Call,
    map: &ParamMap,
) -> Result<Request<Full<Bytes>>, http::Error> {
    let (builder, form) = match call.method {
        Method::Get => {
            let path = "/client/api?";
            let mut target = String::with_capacity(map.wire_length().saturating_add(path.len()));
            target.push_str(path);
            map.write_wire(&mut target);
            (
                Request::get(Uri::from_maybe_shared(Bytes::from(target))?),
                Bytes::new(),
            )
        }
        Method::Post => {
            let builder = Request::post("/client/api")
                .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
            (builder, Bytes::from(map.to_wire()))
        }
    };
    let mut builder = builder.header("X-Forwarded-For", way.client.to_string());
    if let Some(agent) = &call.user_agent {
        builder = builder.header(header::USER_AGENT, agent.as_str());
    }
    // A signed call never carries cookies: a live session would win over the signature.
    if !call.signed()
        && let Some(cookies) = call.cookies_upstream()
    {
        builder = builder.header(header::COOKIE, cookies);
    }
    builder.body(Full::from(form))
}

/// Sends it where its session lives, else to a server that is up.
async fn send(
    way: &Way<'_>,
    call: &Call,
    request: Request<Full<Bytes>>,
    raising: bool,
) -> Result<Opened, UpstreamError> {
    let session = call.cookies.as_ref().map(session_key::id);
    way.fleet.send(request, raising, session.as_ref()).await
}

/// Sends what only reads; once more where a server went away with it.
async fn read(
    way: &Way<'_>,
    request: Request<Full<Bytes>>,
    session: Option<SessionId>,
) -> Result<Opened, UpstreamError> {
    let first = way.fleet.send(request.clone(), false, session.as_ref());
    match first.await {
        Err(fault) if fault.sent == Sent::Unknown => {
            way.fleet.send(request, false, session.as_ref()).await
        }
        other => other,
    }
}

/// Forwards a call that cannot raise cost; the answer streams through.
///
/// # Errors
/// [`UpstreamError`]; a client may simply ask again.
pub async fn stream(way: &Way<'_>, call: &Call) -> Result<Response<AnswerBody>, UpstreamError> {
    let request = request(way, call, &call.params).map_err(|e| unsent(way, e))?;
    let session = call.cookies.as_ref().map(session_key::id);
    let (answer, sender, connections) = read(way, request, session).await?;
    let (mut head, body) = answer.into_parts();
    strip_one_hop(&mut head.headers);
    let body = AnswerBody::streamed(body, sender, connections);
    Ok(Response::from_parts(head, body))
}

/// Forwards a request for a page beside the API; the answer streams through. A call's cookies go
/// along where it has some.
///
/// # Errors
/// [`UpstreamError`]; a client may simply ask again.
pub async fn page(
    way: &Way<'_>,
    method: &http::Method,
    target: &str,
    headers: http::HeaderMap,
    call: Option<&Call>,
) -> Result<Response<AnswerBody>, UpstreamError> {
    let request = Request::builder().method(method.clone()).uri(target);
    let request = request.header("X-Forwarded-For", way.client.to_string());
    let mut request = request
        .body(Full::default())
        .map_err(|fault| unsent(way, fault))?;
    request.headers_mut().extend(headers);
    let cookies = call.and_then(Call::cookies_upstream);
    if let Some(value) = cookies.and_then(|text| http::HeaderValue::try_from(text).ok()) {
        request.headers_mut().insert(header::COOKIE, value);
    }
    let session = call.and_then(|call| call.cookies.as_ref());
    let session = session.map(session_key::id);
    let (answer, sender, connections) = read(way, request, session).await?;
    let (mut head, body) = answer.into_parts();
    strip_one_hop(&mut head.headers);
    let body = AnswerBody::streamed(body, sender, connections);
    Ok(Response::from_parts(head, body))
}

/// The status that one server answers a question of ours with; none where it gives no answer.
pub async fn status_at(way: &Way<'_>, call: &Call, at: usize) -> Option<u16> {
    let request = request(way, call, &call.params).ok()?;
    let (answer, sender, connections) = way.fleet.send_to(at, request).await.ok()?;
    let (head, body) = answer.into_parts();
    Limited::new(body, limits::ANSWER_BYTES_MAX)
        .collect()
        .await
        .ok()?;
    connections.keep(sender);
    Some(head.status.as_u16())
}

/// Forwards a call once and holds its whole answer.
///
/// # Errors
/// [`UpstreamError`], which says whether CloudStack may have got the call.
pub async fn whole(way: &Way<'_>, call: &Call, map: &ParamMap) -> Result<Answer, UpstreamError> {
    let request = request(way, call, map).map_err(|e| unsent(way, e))?;
    let (answer, sender, connections) = send(way, call, request, true).await?;
    crash::pass(Point::FirstByte);
    let (mut head, mut body) = answer.into_parts();
    let mut read = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|e| lost(way, e.to_string()))?;
        if let Some(data) = frame.data_ref() {
            if read.len().saturating_add(data.len()) > limits::ANSWER_BYTES_MAX {
                return Err(lost(way, "the answer is over 8 MiB".to_owned()));
            }
            read.extend_from_slice(data);
        }
    }
    crash::pass(Point::LastByte);
    connections.keep(sender);
    strip_one_hop(&mut head.headers);
    let reason = head.extensions.get::<ReasonPhrase>().map_or_else(
        || head.status.canonical_reason().map(str::to_owned),
        |reason| Some(String::from_utf8_lossy(reason.as_bytes()).into_owned()),
    );
    let headers = head
        .headers
        .iter()
        .map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()))
        .collect();
    Ok(Answer {
        status: head.status.as_u16(),
        reason,
        headers,
        body: read.freeze(),
        extensions: head.extensions,
    })
}

fn unsent(way: &Way<'_>, fault: http::Error) -> UpstreamError {
    let server = way.fleet.name();
    UpstreamError {
        server,
        what: fault.to_string(),
        sent: Sent::NotSent,
    }
}

fn lost(way: &Way<'_>, what: String) -> UpstreamError {
    UpstreamError {
        server: way.fleet.name(),
        what,
        sent: Sent::Unknown,
    }
}
