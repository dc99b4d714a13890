//! Pure: a refusal → bytes in CloudStack's own form; the only such place.

use super::refusal::Refusal;
use crate::cloudstack::envelope::{
    ApiError, Format, SECURITY_HEADERS, content_type, description, error_body,
};

/// An answer of our own.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnAnswer {
    /// Status.
    pub status: u16,
    /// Reason phrase, as Jetty writes it: the number itself where it has no name.
    pub reason: String,
    /// Headers in order, `Content-Length` left out.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Body.
    pub body: Vec<u8>,
}

/// The answer that refuses a call; `wrapper` is the command's own.
#[must_use]
pub fn refusal(refusal: &Refusal, wrapper: &str, format: Format) -> OwnAnswer {
    let mut answer = error(&refusal.error(), wrapper, format);
    if let Refusal::TooMany(limit) = refusal {
        let seconds = limit.wait_seconds().to_string().into_bytes();
        answer.headers.push(("Retry-After".to_owned(), seconds));
    }
    answer
}

/// An error of CloudStack's kind: form A without `cserrorcode`, form B with it.
#[must_use]
pub fn error(error: &ApiError, wrapper: &str, format: Format) -> OwnAnswer {
    let mut headers = vec![("Content-Type".to_owned(), content_type(format).into())];
    if error.cs_code.is_some() {
        headers.push(("X-Description".to_owned(), description(&error.text)));
    }
    headers.extend(SECURITY_HEADERS.map(|(name, value)| (name.to_owned(), value.into())));
    OwnAnswer {
        status: u16::try_from(error.code).unwrap_or(530),
        reason: reason(error.code),
        headers,
        body: error_body(wrapper, error, format, None).into_bytes(),
    }
}

fn reason(code: i64) -> String {
    match code {
        400 => "Bad Request".to_owned(),
        401 => "Unauthorized".to_owned(),
        404 => "Not Found".to_owned(),
        405 => "Method Not Allowed".to_owned(),
        413 => "Payload Too Large".to_owned(),
        415 => "Unsupported Media Type".to_owned(),
        429 => "Too Many Requests".to_owned(),
        431 => "Request Header Fields Too Large".to_owned(),
        503 => "Service Unavailable".to_owned(),
        511 => "Network Authentication Required".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
