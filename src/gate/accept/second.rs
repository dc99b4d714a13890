//! Edge: the head of an HTTP/2 request, brought to the form that the parser reads.
//!
//! The library refuses malformed fields, forbidden ones and a body of another length than was
//! announced (RFC 9113 §8.1.1, §8.2). What is left for here: one authority, and a target that is a
//! path.

use http::request::Parts;
use http::uri::PathAndQuery;
use http::{HeaderValue, Method, StatusCode, Uri, header};

/// Turns `:authority` and `:path` into a `Host` header and a target.
///
/// # Errors
/// The status for a head that names two hosts, none, or no path.
pub fn head(mut head: Parts) -> Result<Parts, StatusCode> {
    if head.method == Method::CONNECT {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let authority = head.uri.authority().map(|host| host.as_str().to_owned());
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
mod tests {
    use super::*;
    use http::Request;

    fn read(method: &str, uri: &str, hosts: &[&str]) -> Result<(String, String), StatusCode> {
        let mut request = Request::builder().method(method).uri(uri);
        for host in hosts {
            request = request.header("host", *host);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let parts = head(parts)?;
        let host = parts.headers["host"].to_str().unwrap().to_owned();
        Ok((host, parts.uri.to_string()))
    }

    #[test]
    fn authority_and_host_become_one_host_and_the_target_a_path() {
        let cloud = |target: &str| Ok(("cloud:8443".to_owned(), target.to_owned()));
        let api = "https://cloud:8443/client/api?command=x&a=%41";
        assert_eq!(read("GET", api, &[]), cloud("/client/api?command=x&a=%41"));
        assert_eq!(
            read("GET", api, &["CLOUD:8443"]),
            cloud("/client/api?command=x&a=%41")
        );
        assert_eq!(
            read("POST", "/client/api", &["cloud:8443"]),
            cloud("/client/api")
        );
    }

    #[test]
    fn a_head_with_two_hosts_or_none_is_refused() {
        let bad = Err(StatusCode::BAD_REQUEST);
        assert_eq!(read("GET", "https://a/x", &["b"]), bad);
        assert_eq!(read("GET", "https://a/x", &["a", "a"]), bad);
        assert_eq!(read("GET", "https://u@a/x", &[]), bad);
        assert_eq!(read("GET", "/x", &[]), bad);
        assert_eq!(read("OPTIONS", "*", &["a"]), bad);
        assert_eq!(
            read("CONNECT", "a:1", &[]),
            Err(StatusCode::METHOD_NOT_ALLOWED)
        );
    }
}
