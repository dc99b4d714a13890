//! Pure: tests of the framing: every way to cut a message in two is one way or a fault.

use super::*;

fn judged(bytes: &[u8]) -> Judged {
    Framing::default().judge(bytes)
}

const GET: &str = "GET /client/api?command=listZones HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST /client/api HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\na=b";
const CHUNKED: &str = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n\
                       3\r\na=b\r\nA\r\n0123456789\r\n0\r\n\r\n";

#[test]
fn messages_in_the_accepted_form_pass_whole_however_they_are_cut() {
    let stream = [GET, POST, CHUNKED, GET, CHUNKED, POST, POST].concat();
    let stream = stream.as_bytes();
    assert_eq!(
        judged(stream),
        Judged {
            passed: stream.len(),
            then: Then::More
        }
    );
    for step in [1, 2, 3, 7, 64] {
        let mut framing = Framing::default();
        let (mut given, mut passed) = (0, 0);
        while given < stream.len() {
            given = stream.len().min(given + step);
            let judged = framing.judge(&stream[passed..given]);
            assert_eq!(judged.then, Then::More, "{given}");
            passed += judged.passed;
        }
        assert_eq!(passed, stream.len());
        assert!(framing.in_head());
    }
}

#[test]
fn an_incomplete_head_is_held_back_whole() {
    for length in 1..GET.len() {
        let judged = judged(&GET.as_bytes()[..length]);
        assert_eq!((judged.passed, judged.then), (0, Then::More), "{length}");
    }
}

#[test]
fn what_follows_the_last_message_is_not_read() {
    let closing = "GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n";
    let old = "GET / HTTP/1.0\r\n\r\n";
    for last in [closing, old] {
        let found = judged([last, GET].concat().as_bytes());
        assert_eq!((found.passed, found.then), (last.len(), Then::Ended));
    }
    let kept = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    assert_eq!(judged([kept, GET].concat().as_bytes()).then, Then::More);
}

#[test]
fn a_fault_ends_the_connection_after_what_came_before() {
    let bad = "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n";
    let mut framing = Framing::default();
    let found = framing.judge([GET, bad, GET].concat().as_bytes());
    assert_eq!(found.passed, GET.len());
    assert_eq!(found.then, Then::Fault(Fault::Host));
    assert_eq!(framing.judge(GET.as_bytes()).passed, 0);
    assert_eq!(framing.judge(b"").then, Then::Fault(Fault::Host));
}

#[test]
fn a_bad_line_is_refused_before_the_head_is_whole() {
    for (bytes, fault) in [
        (&b"\r\n"[..], Fault::RequestLine),
        (b"GET / HTTP/1.1\n", Fault::LineEnd),
        (b"PRI * HTTP/2.0\r\n", Fault::Target),
        (b"GET / HTTP/1.1\r\n a: b\r\n", Fault::Header),
        (b"GET / HTTP/1.1\r\na : b\r\n", Fault::Header),
        (b"GET / HTTP/1.1\r\na: b\rc\r\n", Fault::LineEnd),
        (b"GET / HTTP/2.0\r\n", Fault::Version),
    ] {
        assert_eq!(judged(bytes).then, Then::Fault(fault), "{bytes:?}");
    }
}

#[test]
fn a_head_is_bounded_in_bytes_and_lines() {
    let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(limits::HEAD_BYTES_MAX));
    assert_eq!(
        judged(long.as_bytes()).then,
        Then::Fault(Fault::TargetTooLong)
    );
    let endless = format!("GET /{}", "a".repeat(limits::HEAD_BYTES_MAX + 60));
    assert_eq!(
        judged(endless.as_bytes()).then,
        Then::Fault(Fault::TargetTooLong)
    );
    let wide = format!("GET / HTTP/1.1\r\nX: {}", "a".repeat(HEAD_BYTES_MAX));
    assert_eq!(
        judged(wide.as_bytes()).then,
        Then::Fault(Fault::HeadTooLong)
    );
    let lines = |count| {
        format!(
            "GET / HTTP/1.1\r\nHost: a\r\n{}\r\n",
            "X: a\r\n".repeat(count)
        )
    };
    assert_eq!(judged(lines(99).as_bytes()).then, Then::More);
    assert_eq!(
        judged(lines(100).as_bytes()).then,
        Then::Fault(Fault::HeadTooLong)
    );
}

#[test]
fn a_host_is_a_name_or_an_address_with_perhaps_a_port() {
    for good in [
        "a",
        "a.example:8080",
        "127.0.0.1",
        "[::1]",
        "[::1]:80",
        "a_b",
    ] {
        assert!(is_host(good.as_bytes()), "{good}");
    }
    for bad in [
        "", "a b", "a,b", "a:b", "a:", ":80", "u@a", "a/b", "[::1", "[]:80", "a:123456",
    ] {
        assert!(!is_host(bad.as_bytes()), "{bad}");
    }
}

#[test]
fn an_answer_is_whole_and_closes() {
    let answer = String::from_utf8(Fault::TargetTooLong.answer()).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 414 URI Too Long\r\n"), "{head}");
    assert!(head.contains("\r\nConnection: close"));
    assert!(head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())));
}
