//! Edge: the head of an HTTP/2 request, brought to the form that the parser reads.
//!
//! The library refuses malformed fields, forbidden ones and a body of another length than was
//! announced (RFC 9113 §8.1.1, §8.2). What is left for here: one authority, a scheme, a target that
//! is a path, and what it lets through in names and values.

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri, header};

/// Turns `:authority` and `:path` into a `Host` header and a target.
///
/// # Errors
/// The status for a head that names two hosts, none, no scheme, or no path, or has a malformed
/// field.
pub fn head(mut head: Parts) -> Result<Parts, StatusCode> {
    if head.method == Method::CONNECT {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let well_formed = |(name, value): (&HeaderName, &HeaderValue)| {
        let value = value.as_bytes();
        !name.as_str().contains('"') && value.trim_ascii() == value
    };
    if !head.headers.iter().all(well_formed) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let authority = head.uri.authority().map(|host| host.as_str().to_owned());
    // Without an authority the library has checked the scheme and dropped it.
    if authority.is_some() && head.uri.scheme_str().is_none_or(str::is_empty) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let mut hosts = head.headers.get_all(header::HOST).iter();
    let host = hosts.next().map(HeaderValue::as_bytes);
    if hosts.next().is_some() {
        return Err(StatusCode::BAD_REQUEST);
    }
    let agreed = match (authority, host) {
        (Some(authority), None) => authority,
        (Some(authority), Some(host)) if host.eq_ignore_ascii_case(authority.as_bytes()) => {
            authority
        }
        (None, Some(host)) => String::from_utf8_lossy(host).into_owned(),
        (Some(_), Some(_)) | (None, None) => return Err(StatusCode::BAD_REQUEST),
    };
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b".-_:[]".contains(&byte);
    if agreed.is_empty() || !agreed.bytes().all(is_host) {
        return Err(StatusCode::BAD_REQUEST);
    }
    let value = HeaderValue::from_str(&agreed).map_err(|_| StatusCode::BAD_REQUEST)?;
    head.headers.insert(header::HOST, value);
    let path = head.uri.path_and_query().map(PathAndQuery::as_str);
    let path = path.filter(|path| path.starts_with('/'));
    let target = path.ok_or(StatusCode::BAD_REQUEST)?.parse::<Uri>();
    head.uri = target.map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok(head)
}

#[cfg(test)]
mod tests;
