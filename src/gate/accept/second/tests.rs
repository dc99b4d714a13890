//! Edge: heads of HTTP/2, as they go on and as they are refused.

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
fn spaces_around_a_value_are_refused() {
    for (value, is_fine) in [("a b", true), (" a", false), ("a\t", false)] {
        let request = Request::get("https://a/x").header("x-test", value);
        let (parts, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(head(parts).is_ok(), is_fine, "{value:?}");
    }
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
