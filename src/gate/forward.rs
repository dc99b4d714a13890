//! Edge: the request to CloudStack, built from the map that was judged, and sent once.
//!
//! Nothing of the client's bytes goes upstream: request line, headers and framing are ours.

use super::body::AnswerBody;
use super::parse::{Call, Method};
use super::wire::{Answer, strip_one_hop};
use crate::cloudstack::query::ParamMap;
use crate::terms::limits;
use crate::upstream::exchange::Connections;
use crate::upstream::{Sent, UpstreamError};
use bytes::{Bytes, BytesMut};
use http::{Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::ext::ReasonPhrase;
use std::net::IpAddr;
use std::sync::Arc;

/// Where a call goes and on whose behalf.
#[derive(Debug)]
pub struct Way<'a> {
    /// Idle connections of this core.
    pub connections: &'a Arc<Connections>,
    /// The Host header that CloudStack gets.
    pub host: &'a str,
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
    let wire = map.to_wire();
    let builder = match call.method {
        Method::Get => Request::get(format!("/client/api?{wire}")),
        Method::Post => Request::post("/client/api")
            .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded"),
    };
    let mut builder = builder
        .header(header::HOST, way.host)
        .header("X-Forwarded-For", way.client.to_string());
    if let Some(agent) = &call.user_agent {
        builder = builder.header(header::USER_AGENT, agent.as_str());
    }
    // A signed call never carries cookies: a live session would win over the signature.
    if !call.signed()
        && let Some(cookies) = call.cookies_upstream()
    {
        builder = builder.header(header::COOKIE, cookies);
    }
    match call.method {
        Method::Get => builder.body(Full::default()),
        Method::Post => builder.body(Full::from(wire)),
    }
}

/// Forwards a call that cannot raise cost; the answer streams through.
///
/// # Errors
/// [`UpstreamError`]; a client may simply ask again.
pub async fn stream(way: &Way<'_>, call: &Call) -> Result<Response<AnswerBody>, UpstreamError> {
    let request = request(way, call, &call.params).map_err(|e| unsent(way, e))?;
    let (answer, sender) = way.connections.send(request, false).await?;
    let (mut head, body) = answer.into_parts();
    strip_one_hop(&mut head.headers);
    let body = AnswerBody::streamed(body, sender, way.connections.clone());
    Ok(Response::from_parts(head, body))
}

/// Forwards a call once and holds its whole answer.
///
/// # Errors
/// [`UpstreamError`], which says whether CloudStack may have got the call.
pub async fn whole(way: &Way<'_>, call: &Call, map: &ParamMap) -> Result<Answer, UpstreamError> {
    let request = request(way, call, map).map_err(|e| unsent(way, e))?;
    let (answer, sender) = way.connections.send(request, true).await?;
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
    way.connections.keep(sender);
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
    let server = way.connections.server().to_owned();
    UpstreamError {
        server,
        what: fault.to_string(),
        sent: Sent::NotSent,
    }
}

fn lost(way: &Way<'_>, what: String) -> UpstreamError {
    UpstreamError {
        server: way.connections.server().to_owned(),
        what,
        sent: Sent::Unknown,
    }
}
