//! Edge: whom a proxy may speak for.

use super::*;

fn proxies() -> Proxies {
    let network = |text: &str, bits| (text.parse().unwrap(), bits);
    Proxies {
        trusted: vec![network("10.0.0.0", 8), network("2001:db8::", 32)],
        speak_first: false,
    }
}

fn client(peer: &str, lines: &[&str]) -> String {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append("x-forwarded-for", line.parse().unwrap());
    }
    let peer = SocketAddr::new(peer.parse().unwrap(), 4_711);
    proxies().client(peer, &headers).ip().to_string()
}

#[test]
fn the_right_most_address_that_is_no_proxy_is_the_client() {
    let table: [(&str, &[&str], &str); 10] = [
        ("198.51.100.7", &["203.0.113.9"], "198.51.100.7"),
        ("10.1.1.1", &[], "10.1.1.1"),
        ("10.1.1.1", &["203.0.113.9"], "203.0.113.9"),
        (
            "10.1.1.1",
            &["6.6.6.6, 203.0.113.9, 10.2.2.2"],
            "203.0.113.9",
        ),
        (
            "10.1.1.1",
            &["6.6.6.6", "203.0.113.9", "10.2.2.2"],
            "203.0.113.9",
        ),
        ("10.1.1.1", &["203.0.113.9:5060"], "203.0.113.9"),
        ("2001:db8::5", &["[2001:4860::8]"], "2001:4860::8"),
        ("::ffff:10.1.1.1", &["203.0.113.9"], "203.0.113.9"),
        ("10.1.1.1", &["6.6.6.6, unknown, 10.2.2.2"], "10.2.2.2"),
        ("10.1.1.1", &["10.9.9.9, 10.2.2.2"], "10.9.9.9"),
    ];
    for (peer, lines, expected) in table {
        assert_eq!(client(peer, lines), expected, "{peer} {lines:?}");
    }
}

fn header(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = SIGNATURE.to_vec();
    bytes.extend([0x20 | command, family]);
    bytes.extend(u16::try_from(rest.len()).unwrap().to_be_bytes());
    bytes.extend(rest);
    bytes
}

async fn spoken(bytes: &[u8]) -> (Option<String>, Vec<u8>) {
    let mut left = bytes;
    let peer = "10.1.1.1:1".parse().unwrap();
    let client = spoken_for(&mut left, peer).await;
    (client.ok().map(|client| client.to_string()), left.to_vec())
}

#[tokio::test]
async fn a_proxy_header_names_the_client_and_nothing_after_it_is_eaten() {
    let mut v4 = vec![203, 0, 113, 9, 10, 1, 1, 1, 0x13, 0x88, 0, 80];
    // A note of type 4 (padding) behind the addresses.
    v4.extend([4, 0, 1, 0]);
    let mut bytes = header(1, 0x11, &v4);
    bytes.extend(b"GET / HTTP/1.1\r\n");
    let (client, left) = spoken(&bytes).await;
    assert_eq!(client.as_deref(), Some("203.0.113.9:5000"));
    assert_eq!(left, b"GET / HTTP/1.1\r\n");
    let mut v6 = [0_u8; 36];
    v6[..4].copy_from_slice(&[0x20, 1, 0x0d, 0xb8]);
    v6[33] = 9;
    let (client, _) = spoken(&header(1, 0x21, &v6)).await;
    assert_eq!(client.as_deref(), Some("[2001:db8::]:9"));
}

#[tokio::test]
async fn a_health_check_and_an_unknown_source_are_the_proxy_itself() {
    for bytes in [
        header(0, 0, &[]),
        header(1, 0, &[]),
        header(0, 0x11, &[1; 12]),
    ] {
        assert_eq!(spoken(&bytes).await.0.as_deref(), Some("10.1.1.1:1"));
    }
}

#[tokio::test]
async fn what_is_no_proxy_header_is_refused() {
    let mut long = header(1, 0x11, &[]);
    long[14] = 0xff;
    let mut old = header(1, 0x11, &[0; 12]);
    old[12] = 0x11;
    let cases = [
        b"PROXY TCP4 203.0.113.9 10.1.1.1 5000 80\r\n".to_vec(),
        b"GET /client/api?command=x HTTP/1.1\r\n\r\n".to_vec(),
        header(1, 0x11, &[0; 11])[..20].to_vec(),
        header(1, 0x12, &[0; 12]),
        header(2, 0x11, &[0; 12]),
        header(1, 0x11, &[0; 9]),
        long,
        old,
    ];
    for bytes in cases {
        assert_eq!(spoken(&bytes).await.0, None, "{bytes:?}");
    }
}
