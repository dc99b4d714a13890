//! What a request may be (RFC 9113 §8): malformed ones are answered by an error and reach nobody.

use super::case::{Case, FLOW, Step, Want};
use super::wire::*;

pub fn cases() -> Vec<Case> {
    [
        bodies(),
        trailers(),
        names(),
        values(),
        connection_fields(),
        pseudo_fields(),
        authorities(),
        fine(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn post_with(flags: u8, more: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, flags, 1, &[head_post(), fields(more)].concat())
}

fn bodies() -> Vec<Case> {
    let data = |flags: u8, bytes: &[u8]| frame(DATA, flags, 1, bytes);
    let length = |value| post_with(END_HEADERS, &[("content-length", value)]);
    let bad = || Want::Malformed(1);
    let last = || data(END_STREAM, b"x=y");
    vec![
        Case::of(
            "9113 §8.1.1 content-length as long as DATA",
            all(&[length("3"), last()]),
            Want::Answered(1),
        ),
        Case::of(
            "9113 §8.1.1 content-length as long as all DATA",
            all(&[length("6"), data(0, b"x=y"), data(END_STREAM, b"&z=")]),
            Want::Answered(1),
        ),
        Case::of(
            "9113 §8.1.1 content-length over DATA",
            all(&[length("4"), last()]),
            bad(),
        ),
        Case::of(
            "9113 §8.1.1 content-length under DATA",
            all(&[length("2"), last()]),
            bad(),
        ),
        Case::of(
            "9113 §8.1.1 content-length 0 and DATA",
            all(&[length("0"), last()]),
            bad(),
        ),
        Case::of(
            "9113 §8.1.1 content-length over all DATA",
            all(&[length("9"), data(0, b"x=y"), data(END_STREAM, b"&z=")]),
            bad(),
        ),
        Case::of(
            "9113 §8.1.1 content-length under all DATA",
            all(&[length("4"), data(0, b"x=y"), data(END_STREAM, b"&z=")]),
            bad(),
        ),
        Case::of(
            "9113 §8.1.1 content-length and no DATA",
            post_with(WHOLE, &[("content-length", "3")]),
            bad(),
        ),
        Case::of(
            "9113 §8.1.1 content-length and empty DATA",
            all(&[length("3"), data(END_STREAM, b"")]),
            bad(),
        ),
        Case::of(
            "9113 §8.1.1 two lengths that differ",
            {
                let both = [("content-length", "3"), ("content-length", "4")];
                all(&[post_with(END_HEADERS, &both), last()])
            },
            bad(),
        ),
        Case::of(
            "9113 §8.1.1 a length that is no number",
            all(&[length("3x"), last()]),
            bad(),
        ),
        Case::of(
            "9113 §8.1.1 a length below zero",
            all(&[length("-3"), last()]),
            bad(),
        ),
        Case::of(
            "9113 §8.1.1 a length with a sign",
            all(&[length("+3"), last()]),
            bad(),
        ),
        Case::of(
            "9113 §8.1.1 a length beyond 64 bits",
            all(&[length("18446744073709551619"), last()]),
            bad(),
        ),
    ]
}

fn trailers() -> Vec<Case> {
    let end = |flags: u8, block: &[u8]| {
        all(&[
            post(1),
            frame(DATA, 0, 1, b"x=y"),
            frame(HEADERS, flags, 1, block),
        ])
    };
    let plain = field(b"x-checksum", b"7");
    vec![
        Case::of("9113 §8.1 trailers", end(WHOLE, &plain), Want::Answered(1)),
        Case::of(
            "9113 §8.1 trailers that do not end the stream",
            end(END_HEADERS, &plain),
            Want::Malformed(1),
        ),
        Case::of(
            "9113 §8.1 trailers with a request's pseudo field",
            end(WHOLE, &field(b":path", b"/other")),
            Want::Malformed(1),
        ),
        Case::of(
            "9113 §8.1 trailers with an answer's pseudo field",
            end(WHOLE, &field(b":status", b"200")),
            Want::Malformed(1),
        ),
        Case::of(
            "9113 §8.2.1 trailers with a capital letter",
            end(WHOLE, &field(b"X-Checksum", b"7")),
            Want::Malformed(1),
        ),
        Case::of(
            "9113 §8.2.2 trailers with a connection's field",
            end(WHOLE, &field(b"transfer-encoding", b"chunked")),
            Want::Malformed(1),
        ),
    ]
}

/// Names that no field has (RFC 9113 §8.2.1).
const NAMES: [(&str, &[u8]); 20] = [
    ("a capital first", b"X-test"),
    ("a capital last", b"x-tesT"),
    ("capitals alone", b"TEST"),
    ("no letter", b""),
    ("a space", b"x test"),
    ("a space first", b" x-test"),
    ("a space last", b"x-test "),
    ("a tab", b"x\ttest"),
    ("NUL", b"x\0test"),
    ("CR", b"x\rtest"),
    ("LF", b"x\ntest"),
    ("CR LF and a field", b"x: y\r\nz"),
    ("a colon inside", b"x:test"),
    ("a colon last", b"x-test:"),
    ("DEL", b"x\x7ftest"),
    ("0x80", b"x\x80test"),
    ("0xff", b"x\xfftest"),
    ("UTF-8", "x-größe".as_bytes()),
    ("a quotation mark", b"x\"test"),
    ("brackets", b"x(test)"),
];

fn names() -> Vec<Case> {
    NAMES
        .into_iter()
        .map(|(what, name)| {
            let bytes = get_with(1, &field(name, b"y"));
            Case::of(
                format!("9113 §8.2.1 a name with {what}"),
                bytes,
                Want::Malformed(1),
            )
        })
        .collect()
}

/// Values that no field has (RFC 9113 §8.2.1).
const VALUES: [(&str, &[u8]); 12] = [
    ("NUL", b"a\0b"),
    ("CR", b"a\rb"),
    ("LF", b"a\nb"),
    ("CR LF and a field", b"a\r\nx-more: b"),
    ("CR LF and a request", b"a\r\n\r\nGET / HTTP/1.1"),
    ("NUL first", b"\0a"),
    ("CR last", b"a\r"),
    ("LF last", b"a\n"),
    ("a space first", b" a"),
    ("a space last", b"a "),
    ("a tab first", b"\ta"),
    ("a tab last", b"a\t"),
];

fn values() -> Vec<Case> {
    let plain = VALUES.into_iter().map(|(what, value)| {
        let bytes = get_with(1, &field(b"x-test", value));
        Case::of(
            format!("9113 §8.2.1 a value with {what}"),
            bytes,
            Want::Malformed(1),
        )
    });
    let paths: [(&str, &[u8]); 4] = [
        ("NUL", b"\0"),
        ("CR LF", b" HTTP/1.1\r\nx: y"),
        ("LF", b"\nx"),
        ("a space", b" x"),
    ];
    let pseudo_field = paths.into_iter().map(|(what, end)| {
        let target = [TARGET.as_bytes(), end].concat();
        let block = [pseudo("GET"), field(b":path", &target)].concat();
        let name = format!("9113 §8.2.1, §8.3.1 :path with {what}");
        Case::of(name, frame(HEADERS, WHOLE, 1, &block), Want::Malformed(1))
    });
    plain.chain(pseudo_field).collect()
}

fn connection_fields() -> Vec<Case> {
    let bad = [
        ("connection", "close"),
        ("connection", "keep-alive"),
        ("connection", "te, upgrade"),
        ("proxy-connection", "keep-alive"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", "identity"),
        ("upgrade", "websocket"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("te", "trailers, deflate"),
    ];
    let mut cases: Vec<Case> = bad
        .into_iter()
        .map(|(name, value)| {
            let bytes = get_with(1, &fields(&[(name, value)]));
            Case::of(
                format!("9113 §8.2.2 {name}: {value}"),
                bytes,
                Want::Malformed(1),
            )
        })
        .collect();
    cases.push(Case::of(
        "9113 §8.2.2 te: trailers is fine",
        get_with(1, &fields(&[("te", "trailers")])),
        Want::Answered(1),
    ));
    cases.push(Case::of(
        "9113 §8.2.2 transfer-encoding with a body",
        all(&[
            post_with(END_HEADERS, &[("transfer-encoding", "chunked")]),
            frame(DATA, END_STREAM, 1, b"0\r\n\r\nGET / HTTP/1.1\r\n\r\n"),
        ]),
        Want::Malformed(1),
    ));
    cases
}

const RIGHT: [(&str, &str); 4] = [
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "cloud.example"),
    (":path", TARGET),
];

fn pseudo_fields() -> Vec<Case> {
    let whole = |list: &[(&str, &str)]| frame(HEADERS, WHOLE, 1, &fields(list));
    let bad = |what: &str, list: &[(&str, &str)]| {
        Case::of(format!("9113 §8.3 {what}"), whole(list), Want::Malformed(1))
    };
    let mut cases = Vec::new();
    for (place, (name, value)) in RIGHT.into_iter().enumerate() {
        let mut list = RIGHT.to_vec();
        list.push((name, value));
        cases.push(bad(&format!("{name} twice"), &list));
        let mut list = RIGHT.to_vec();
        list.remove(place);
        cases.push(bad(&format!("no {name}"), &list));
        list.extend([("x-test", "a"), (name, value)]);
        cases.push(bad(&format!("{name} after a field"), &list));
        let mut list = RIGHT.to_vec();
        list[place].1 = "";
        cases.push(bad(&format!("an empty {name}"), &list));
    }
    let with = |name, value| [&RIGHT[..], &[(name, value)]].concat();
    cases.extend([
        bad("an unknown pseudo field", &with(":test", "a")),
        bad("a pseudo field of an answer", &with(":status", "200")),
        bad(
            ":protocol without its setting",
            &with(":protocol", "websocket"),
        ),
        bad("a pseudo field without a name", &with(":", "a")),
        bad(
            "no pseudo field at all",
            &[("x-test", "a"), ("host", "cloud.example")],
        ),
    ]);
    let paths = [
        "client/api",
        "*",
        "?command=listZones",
        "https://cloud.example/client/api",
    ];
    for path in paths {
        let mut list = RIGHT.to_vec();
        list[3].1 = path;
        cases.push(bad(&format!(":path is {path}"), &list));
    }
    for method in ["G T", "GET\r\n", "GÉT", "CONNECT"] {
        let mut list = RIGHT.to_vec();
        list[0].1 = method;
        cases.push(bad(&format!(":method is {method:?}"), &list));
    }
    cases.push(bad(
        "CONNECT without an authority",
        &[(":method", "CONNECT")],
    ));
    cases.push(bad(
        "CONNECT to an authority",
        &[(":method", "CONNECT"), (":authority", "cloud.example:443")],
    ));
    cases
}

fn authorities() -> Vec<Case> {
    let hosts = [
        ("another host", "other.example"),
        ("another port", "cloud.example:8443"),
        ("an empty host", ""),
    ];
    let mut cases: Vec<Case> = hosts
        .into_iter()
        .map(|(what, host)| {
            let bytes = get_with(1, &fields(&[("host", host)]));
            let name = format!("9113 §8.3.1 :authority and {what}");
            Case::of(name, bytes, Want::Malformed(1))
        })
        .collect();
    cases.push(Case::of(
        "9113 §8.3.1 :authority and two hosts",
        get_with(1, &fields(&[("host", "cloud.example"), ("host", "other")])),
        Want::Malformed(1),
    ));
    for authority in [
        "user@cloud.example",
        "cloud.example/x",
        "cloud example",
        "a\r\nb",
        "a,b",
    ] {
        let mut list = RIGHT.to_vec();
        list[2].1 = authority;
        let bytes = frame(HEADERS, WHOLE, 1, &fields(&list));
        let name = format!("9113 §8.3.1 :authority is {authority:?}");
        cases.push(Case::of(name, bytes, Want::Malformed(1)));
    }
    cases
}

fn fine() -> Vec<Case> {
    let mut hosted = RIGHT.to_vec();
    hosted[2].0 = "host";
    // Pseudo fields first: the host moves behind :path.
    hosted.swap(2, 3);
    let crumbs = fields(&[("cookie", "a=b"), ("cookie", "c=d"), ("cookie", "e=f")]);
    let long = fields(&[("x-long", "y".repeat(15_000).as_str())]);
    let huge = [long.clone(), field(b"x-more", &[b'y'; 9_000])].concat();
    let (start, rest) = huge.split_at(12_000);
    vec![
        Case::of(
            "9113 §8.3.1 host in place of :authority",
            frame(HEADERS, WHOLE, 1, &fields(&hosted)),
            Want::Answered(1),
        ),
        Case::of(
            "9113 §8.3.1 host as :authority",
            get_with(1, &fields(&[("host", "cloud.example")])),
            Want::Answered(1),
        ),
        Case::of(
            "9113 §8.2.3 a cookie in crumbs",
            get_with(1, &crumbs),
            Want::Answered(1),
        ),
        Case::of(
            "9113 §8.1 a body in DATA",
            all(&[post(1), frame(DATA, END_STREAM, 1, b"x=y")]),
            Want::Answered(1),
        ),
        Case::of(
            "9113 §8.1 a body in DATA, ended by empty DATA",
            {
                all(&[
                    post(1),
                    frame(DATA, 0, 1, b"x=y"),
                    frame(DATA, END_STREAM, 1, b""),
                ])
            },
            Want::Answered(1),
        ),
        Case::of(
            "9113 §8.1 a body of none",
            frame(HEADERS, WHOLE, 1, &head_post()),
            Want::Answered(1),
        ),
        Case::of(
            "9113 §10.5.1 a head longer than we take",
            {
                all(&[
                    frame(HEADERS, END_STREAM, 1, &head_and(start)),
                    frame(CONTINUATION, END_HEADERS, 1, rest),
                ])
            },
            Want::Malformed(1),
        ),
        Case::new(
            "9113 §5 many calls on a connection",
            {
                let calls: Vec<Vec<u8>> = (0..20).map(|n| get(2 * n + 1)).collect();
                let mut steps = vec![Step::Send(calls.concat())];
                steps.extend((0..20).map(|n| Step::Answer(2 * n + 1)));
                steps
            },
            Want::Answered(39),
        ),
        Case::new(
            "9113 §8.1.1 a malformed call leaves the next one alone",
            {
                vec![Step::Send(all(&[
                    get_with(1, &field(b"te", b"gzip")),
                    get(3),
                ]))]
            },
            Want::Answered(3),
        ),
        Case::of(
            "9113 §6.9.1 a stream's fault leaves the next one alone",
            all(&[post(1), widen(1, (1 << 31) - 1), get(3)]),
            Want::AnsweredOr(3, &[FLOW]),
        ),
    ]
}
