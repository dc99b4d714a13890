//! Nothing slips past on a connection: whatever two readers could cut in two ways ends it, and
//! what follows is never read.

use crate::bypass::bed::{Bed, statuses};

const PAYLOADS: &str = include_str!("../fixtures/wire/framing.tsv");

/// Bytes written with `\r`, `\n`, `\\` and `\xNN`.
pub fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        out.push(match (byte, byte == b'\\') {
            (_, false) => byte,
            _ => match rest.next().unwrap() {
                b'r' => b'\r',
                b'n' => b'\n',
                b'\\' => b'\\',
                b'x' => {
                    let digits = [rest.next().unwrap(), rest.next().unwrap()];
                    let digits = std::str::from_utf8(&digits).unwrap();
                    u8::from_str_radix(digits, 16).unwrap()
                }
                other => panic!("no escape \\{}", char::from(other)),
            },
        });
    }
    out
}

fn rows() -> impl Iterator<Item = (&'static str, &'static str, Vec<u8>)> {
    let lines = PAYLOADS.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let cells: Vec<&str> = line.split('\t').collect();
        (cells[0], cells[1], bytes(cells[2]))
    })
}

#[test]
fn a_request_behind_a_payload_is_never_run_without_its_own_decision() {
    let bed = Bed::start("smuggle");
    let mut wrong = Vec::new();
    let mut count = 0;
    for (name, expected, payload) in rows() {
        let marker =
            format!("GET /client/api?command=listZones&marker={name} HTTP/1.1\r\nHost: h\r\n\r\n");
        let heard = bed.send(&[payload.as_slice(), marker.as_bytes()].concat());
        let answers: Vec<String> = statuses(&heard).iter().map(u16::to_string).collect();
        let seen = bed.seen();
        let told = answers.join(" ");
        let answered = answers.iter().filter(|status| *status == "200").count();
        let marked = seen
            .iter()
            .filter(|message| String::from_utf8_lossy(message).contains("marker="))
            .count();
        let smuggled = seen
            .iter()
            .any(|message| String::from_utf8_lossy(message).contains("smuggled"));
        let is_kept = name.starts_with("ok-");
        let fits = told == expected
            && seen.len() == answered
            && marked == usize::from(is_kept)
            && !smuggled;
        if !fits {
            wrong.push(format!(
                "{name}: `{expected}` but `{told}`, {} upstream, {marked} marked, smuggled {smuggled}",
                seen.len()
            ));
        }
        count += 1;
    }
    assert!(
        wrong.is_empty(),
        "{} of {count}:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert!(count >= 150, "only {count} payloads");
    println!("{count} payloads, each with a marker behind it");
}

/// Headers with which a client could pass for somebody else or steer a hop.
const SPOOFS: [&str; 62] = [
    "X-Forwarded-For: 9.9.9.9",
    "x-forwarded-for: 10.0.0.1, 9.9.9.9",
    "X-Forwarded-Host: evil",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Port: 443",
    "X-Forwarded-Server: evil",
    "X-Forwarded-Prefix: /x",
    "X-Forwarded-Scheme: https",
    "X-Forwarded-By: evil",
    "X-Forwarded: for=9.9.9.9",
    "X_Forwarded_For: 9.9.9.9",
    "X-Forwarded_For: 9.9.9.9",
    "Forwarded: for=9.9.9.9;host=evil;proto=https",
    "Forwarded: for=\"[::1]\"",
    "Forwarded-For: 9.9.9.9",
    "X-Real-IP: 9.9.9.9",
    "X-Client-IP: 9.9.9.9",
    "Client-IP: 9.9.9.9",
    "True-Client-IP: 9.9.9.9",
    "CF-Connecting-IP: 9.9.9.9",
    "Fastly-Client-IP: 9.9.9.9",
    "X-Cluster-Client-IP: 9.9.9.9",
    "X-Remote-Addr: 9.9.9.9",
    "X-Remote-IP: 9.9.9.9",
    "X-Originating-IP: 9.9.9.9",
    "X-Host: evil",
    "X-Original-Host: evil",
    "X-Original-URL: /client/console",
    "X-Rewrite-URL: /client/console",
    "X-HTTP-Method-Override: DELETE",
    "X-HTTP-Method: DELETE",
    "X-Method-Override: DELETE",
    "X-Proxied-Https: on",
    "Proxy-ssl-id: a",
    "Proxy-Ssl-Id: a",
    "Proxy-auth-cert: a",
    "Proxy-Connection: keep-alive",
    "Proxy-Authorization: Basic YTpi",
    "Proxy: http://evil",
    "Via: 1.1 evil",
    "Connection: X-Forwarded-For",
    "Connection: close, X-Forwarded-For, Host",
    "Connection: Cookie, Content-Length, Content-Type",
    "Connection: keep-alive",
    "Keep-Alive: timeout=1, max=1",
    "TE: trailers, deflate",
    "Trailer: X-Forwarded-For",
    "Upgrade: h2c",
    "HTTP2-Settings: AAMAAABkAAQAAP__",
    "Accept-Encoding: gzip, br",
    "Range: bytes=0-1",
    "If-None-Match: *",
    "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT",
    "Authorization: Basic YTpi",
    "Origin: http://evil",
    "Referer: http://evil/",
    "Sec-Fetch-Site: cross-site",
    "Max-Forwards: 0",
    "Cookie: JSESSIONID=b; sessionkey=k",
    "SSL-Client-Cert: a",
    "X-SSL-Client-Verify: SUCCESS",
    "X-Faregate-Payer: somebody",
];

/// All that goes upstream of a read call.
const ALLOWED: [&str; 4] = ["host", "x-forwarded-for", "user-agent", "content-length"];

fn arrived(message: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(message);
    let head = text.split("\r\n\r\n").next().unwrap();
    head.split("\r\n")
        .skip(1)
        .map(|line| line.split_once(": ").unwrap())
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect()
}

#[test]
fn no_header_of_a_client_goes_upstream_but_its_agents_name() {
    let bed = Bed::start("hygiene");
    let together = SPOOFS.join("\r\n");
    for spoof in SPOOFS.iter().copied().chain([together.as_str()]) {
        let request = format!(
            "GET /client/api?command=listZones&apikey=a HTTP/1.1\r\nHost: evil:99\r\n{spoof}\r\n\
             User-Agent: a client\r\n\r\n"
        );
        let heard = bed.send(request.as_bytes());
        assert_eq!(statuses(&heard), [200], "{spoof}");
        let seen = bed.seen();
        let [message] = seen.as_slice() else {
            panic!("{spoof}: {} upstream", seen.len());
        };
        let headers = arrived(message);
        let of = |name: &str| -> Vec<&str> {
            let named = headers.iter().filter(|(is, _)| is == name);
            named.map(|(_, value)| value.as_str()).collect()
        };
        assert_eq!(of("x-forwarded-for"), ["127.0.0.1"], "{spoof}");
        assert_eq!(of("user-agent"), ["a client"], "{spoof}");
        assert_eq!(of("host").len(), 1, "{spoof}");
        assert!(!of("host")[0].contains("evil"), "{spoof}: {headers:?}");
        for (name, _) in &headers {
            assert!(
                ALLOWED.contains(&name.as_str()),
                "{spoof}: {name} went upstream"
            );
        }
    }
}
