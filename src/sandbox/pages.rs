//! Edge: what stands beside the API: a stand-in of the web interface's files, with conditions and
//! ranges as Jetty serves them, and of the console servlet.

use super::exchange::{Answer, append, plain};
use bytes::Bytes;
use http::{HeaderMap, Method, header};
use http_body_util::Full;

/// Path, media type, text.
const FILES: [(&str, &str, &str); 6] = [
    ("/client/", "text/html", INDEX),
    ("/client/index.html", "text/html", INDEX),
    (
        "/client/config.json",
        "application/json",
        "{\"apiBase\":\"/client/api\",\"docBase\":\"http://docs.cloudstack.apache.org/en/latest\"}",
    ),
    (
        "/client/js/app.0a1b2c3d.js",
        "application/javascript",
        "console.log('sandbox')\n",
    ),
    (
        "/client/css/app.0a1b2c3d.css",
        "text/css",
        "body{margin:0}\n",
    ),
    (
        "/client/locales/en.json",
        "application/json",
        "{\"label.name\":\"Name\"}",
    ),
];
const INDEX: &str = "<!DOCTYPE html><html lang=en><head><title>CloudStack stand-in</title>\
                     <script src=js/app.0a1b2c3d.js></script></head><body></body></html>\n";
const ETAG: &str = "W/\"stand-in\"";
const MODIFIED: &str = "Thu, 01 Jan 2026 00:00:00 GMT";

/// The answer to a path beside the API; none where there is nothing.
#[must_use]
pub(super) fn answer(
    method: &Method,
    path: &str,
    query: &str,
    asked: &HeaderMap,
) -> Option<Answer> {
    if path == "/client" {
        let mut answer = plain(302, "");
        append(&mut answer, "Location", "/client/");
        return Some(answer);
    }
    if path == "/client/console" {
        return Some(console(query, asked));
    }
    let (_, kind, text) = FILES.iter().find(|(known, ..)| *known == path)?;
    if !matches!(*method, Method::GET | Method::HEAD) {
        return Some(plain(405, ""));
    }
    let header = |name| asked.get(name).and_then(|value| value.to_str().ok());
    let mut answer = if header(header::IF_NONE_MATCH) == Some(ETAG)
        || header(header::IF_MODIFIED_SINCE) == Some(MODIFIED)
    {
        plain(304, "")
    } else {
        file(method, text, header(header::RANGE))
    };
    append(&mut answer, "Content-Type", kind);
    append(&mut answer, "Last-Modified", MODIFIED);
    append(&mut answer, "Accept-Ranges", "bytes");
    append(&mut answer, "ETag", ETAG);
    Some(answer)
}

/// The text, or its range of the form `bytes=FROM-TO`.
fn file(method: &Method, text: &'static str, range: Option<&str>) -> Answer {
    let asked = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let bounds = asked.and_then(|(from, to)| Some((from.parse().ok()?, to.parse().ok()?)));
    let part = bounds.and_then(|(from, to): (usize, usize)| text.get(from..=to));
    let (status, body) = part.map_or((200, text), |part| (206, part));
    let mut answer = plain(status, "");
    if let (Some((from, to)), 206) = (asked, status) {
        let range = format!("bytes {from}-{to}/{}", text.len());
        append(&mut answer, "Content-Range", &range);
    }
    if *method == Method::HEAD {
        append(&mut answer, "Content-Length", &body.len().to_string());
    } else {
        *answer.body_mut() = Full::new(Bytes::from_static(body.as_bytes()));
    }
    answer
}

/// It says what it was asked: nobody has a screen here.
fn console(query: &str, asked: &HeaderMap) -> Answer {
    let cookie = asked
        .get(header::COOKIE)
        .and_then(|value| value.to_str().ok());
    let has = if cookie.is_some() { "with" } else { "without" };
    let mut answer = plain(
        200,
        &format!("<html>console {has} a session: {query}</html>"),
    );
    append(&mut answer, "Content-Type", "text/html");
    answer
}
