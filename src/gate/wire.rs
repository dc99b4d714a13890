//! Edge: what goes to the client and to CloudStack as HTTP: whole answers, headers let through.

use super::body::AnswerBody;
use bytes::Bytes;
use http::{Extensions, HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use hyper::ext::ReasonPhrase;

/// Headers of one hop; they never cross the gate (RFC 9110 §7.6.1).
const ONE_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    header::TRANSFER_ENCODING,
    header::TE,
    header::TRAILER,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// An answer held whole: CloudStack's to a raising call, or our own refusal.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status code; CloudStack has some that HTTP does not know (430, 530 …).
    pub status: u16,
    /// Reason phrase as CloudStack writes it.
    pub reason: Option<String>,
    /// Headers in order, names in the case they were written in.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Body.
    pub body: Bytes,
    /// What hyper knows of the answer beside: the case in which header names were written.
    pub extensions: Extensions,
}

impl Answer {
    /// As a response of hyper. A header that HTTP cannot carry is left out.
    #[must_use]
    pub fn response(self) -> Response<AnswerBody> {
        let mut response = Response::new(AnswerBody::whole(self.body));
        *response.status_mut() =
            StatusCode::from_u16(self.status).unwrap_or(StatusCode::BAD_GATEWAY);
        *response.extensions_mut() = self.extensions;
        if let Some(reason) = self
            .reason
            .and_then(|text| ReasonPhrase::try_from(text).ok())
        {
            response.extensions_mut().insert(reason);
        }
        for (name, value) in self.headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::from_bytes(&value))
                && name != header::CONTENT_LENGTH
            {
                response.headers_mut().append(name, value);
            }
        }
        response
    }
}

/// Takes away what belongs to one hop, the headers that `Connection` names included.
pub fn strip_one_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .filter_map(|name| HeaderName::try_from(name.trim()).ok())
        .collect();
    for name in named.iter().chain(ONE_HOP.iter()) {
        headers.remove(name);
    }
}
