//! Starting a connection, frames as such, and the frames that concern a whole connection
//! (RFC 9113 §3.4, §4, §5.4, §5.5, §6.5 to §6.8, §7).

use super::case::{COMPRESSION, Case, FLOW, PROTOCOL, SIZE, Step, Want};
use super::wire::*;

pub fn cases() -> Vec<Case> {
    [
        preface(),
        frames(),
        sizes(),
        blocks(),
        settings_right(),
        settings_wrong(),
        pings(),
        goaways(),
        pushes(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn preface() -> Vec<Case> {
    let end = || Want::Connection(&[PROTOCOL]);
    let mut cases = vec![
        Case::raw(
            "9113 §3.4 preface, settings and call at once",
            all(&[PREFACE.to_vec(), settings(&[]), get(1)]),
            Want::Answered(1),
        ),
        Case::raw(
            "9113 §3.4 a preface without settings",
            all(&[PREFACE.to_vec(), get(1)]),
            end(),
        ),
        Case::raw(
            "9113 §3.4 a preface and then ping",
            all(&[PREFACE.to_vec(), ping(0, [1; 8])]),
            end(),
        ),
        Case::raw(
            "9113 §3.4 a preface and then an ACK of settings",
            all(&[PREFACE.to_vec(), frame(SETTINGS, ACK, 0, &[])]),
            end(),
        ),
    ];
    let wrong: [(&str, &[u8]); 4] = [
        ("in small letters", b"pri * http/2.0\r\n\r\nsm\r\n\r\n"),
        ("with another end", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX"),
        (
            "of HTTP/1.1",
            b"GET /client/api HTTP/1.1\r\nHost: a\r\n\r\n",
        ),
        ("that is none", b"INVALID CONNECTION PREFACE\r\n\r\n"),
    ];
    cases.extend(wrong.map(|(what, bytes)| {
        let name = format!("9113 §3.4 a preface {what}");
        Case::raw(name, bytes.to_vec(), end())
    }));
    cases
}

fn frames() -> Vec<Case> {
    let mut cases = Vec::new();
    for kind in [0x0a, 0x16, 0x7f, 0xff] {
        for stream in [0, 1] {
            cases.push(Case::of(
                format!("9113 §4.1, §5.5 unknown type {kind:#04x} on stream {stream}"),
                all(&[frame(kind, 0xff, stream, &[0; 8]), get(1)]),
                Want::Answered(1),
            ));
        }
    }
    for (what, bytes) in [
        ("PING", frame(PING, 0xfe, 0, &[3; 8])),
        ("SETTINGS", frame(SETTINGS, 0xfe, 0, &[])),
        (
            "WINDOW_UPDATE",
            frame(WINDOW_UPDATE, 0xff, 0, &[0, 0, 0, 9]),
        ),
    ] {
        cases.push(Case::of(
            format!("9113 §4.1 undefined flags of {what}"),
            all(&[bytes, get(1)]),
            Want::Answered(1),
        ));
    }
    let reserved = 1 << 31;
    cases.extend([
        Case::of(
            "9113 §4.1 undefined flags of HEADERS",
            frame(HEADERS, WHOLE | 0xd2, 1, &head()),
            Want::Answered(1),
        ),
        Case::of(
            "9113 §4.1 reserved bit of PING",
            all(&[frame(PING, 0, reserved, &[3; 8]), get(1)]),
            Want::Answered(1),
        ),
        Case::of(
            "9113 §4.1 reserved bit of HEADERS",
            frame(HEADERS, WHOLE, reserved | 1, &head()),
            Want::Answered(1),
        ),
        Case::of(
            "9113 §5.5 an unknown frame inside a header block",
            all(&[
                frame(HEADERS, END_STREAM, 1, &head()),
                frame(0x16, 0, 1, &[]),
                frame(CONTINUATION, END_HEADERS, 1, &[]),
            ]),
            Want::Connection(&[PROTOCOL]),
        ),
        Case::of(
            "9113 §5.4.1 after GOAWAY comes the end",
            frame(PING, 0, 3, &[0; 8]),
            Want::Connection(&[PROTOCOL]),
        ),
    ]);
    cases
}

/// Frames of wrong lengths: (type, stream, lengths, whether it ends the connection).
const SIZES: [(&str, u8, u32, &[usize]); 8] = [
    ("PRIORITY", PRIORITY, 1, &[0, 4, 6, 10]),
    ("RST_STREAM", RESET, 1, &[0, 3, 5, 8]),
    ("SETTINGS", SETTINGS, 0, &[1, 3, 5, 7, 11]),
    ("PING", PING, 0, &[0, 6, 7, 9, 16]),
    ("WINDOW_UPDATE", WINDOW_UPDATE, 0, &[0, 3, 5, 8]),
    ("WINDOW_UPDATE", WINDOW_UPDATE, 1, &[0, 3, 5]),
    ("GOAWAY", GOAWAY, 0, &[0, 4, 7]),
    ("HEADERS with priority", HEADERS, 1, &[0, 4]),
];

fn sizes() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, kind, stream, lengths) in SIZES {
        for length in lengths {
            let opened = match (kind, stream) {
                (HEADERS, _) | (_, 0) => Vec::new(),
                _ => post(1),
            };
            let flags = if kind == HEADERS {
                WHOLE | WITH_PRIORITY
            } else {
                0
            };
            let wrong = frame(kind, flags, stream, &vec![1; *length]);
            let want = match kind {
                PRIORITY => Want::Stream(1, &[SIZE]),
                HEADERS => Want::Connection(&[SIZE, PROTOCOL]),
                _ => Want::Connection(&[SIZE]),
            };
            let name = format!("9113 §4.2, §6 {what} of {length} bytes on stream {stream}");
            cases.push(Case::of(name, all(&[opened, wrong]), want));
        }
    }
    let kinds = [
        ("DATA", DATA, 1),
        ("HEADERS", HEADERS, 3),
        ("PRIORITY", PRIORITY, 1),
        ("RST_STREAM", RESET, 1),
        ("SETTINGS", SETTINGS, 0),
        ("PING", PING, 0),
        ("GOAWAY", GOAWAY, 0),
        ("an unknown type", 0x16, 0),
    ];
    for (what, kind, stream) in kinds {
        let name = format!("9113 §4.2 {what} of more than SETTINGS_MAX_FRAME_SIZE");
        let long = frame(kind, 0, stream, &vec![0; 16_386]);
        cases.push(Case::of(
            name,
            all(&[post(1), long]),
            Want::Stream(1, &[SIZE]),
        ));
    }
    let body: String = (1000..1128)
        .map(|n| format!("&x{n}={}", "y".repeat(121)))
        .collect();
    assert_eq!(body.len(), 1 << 14);
    cases.push(Case::of(
        "9113 §4.2 DATA of 2^14 bytes",
        all(&[post(1), frame(DATA, END_STREAM, 1, body.as_bytes())]),
        Want::Answered(1),
    ));
    cases
}

/// Frames that may not stand between HEADERS and its CONTINUATION.
fn blocks() -> Vec<Case> {
    let between = [
        ("DATA", frame(DATA, 0, 1, b"x")),
        ("HEADERS of another stream", get(3)),
        ("HEADERS of its stream", get(1)),
        ("PRIORITY", frame(PRIORITY, 0, 1, &depends(0))),
        ("RST_STREAM", reset(1, 8)),
        ("SETTINGS", settings(&[])),
        ("PING", ping(0, [0; 8])),
        ("GOAWAY", frame(GOAWAY, 0, 0, &[0; 8])),
        ("WINDOW_UPDATE", widen(0, 1)),
        (
            "CONTINUATION of another stream",
            frame(CONTINUATION, END_HEADERS, 3, &[]),
        ),
        (
            "PUSH_PROMISE",
            frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2]),
        ),
    ];
    let open = || frame(HEADERS, END_STREAM, 1, &head());
    let mut cases: Vec<Case> = between
        .into_iter()
        .map(|(what, bytes)| {
            let name = format!("9113 §4.3, §6.2, §6.10 {what} inside a header block");
            Case::of(name, all(&[open(), bytes]), Want::Connection(&[PROTOCOL]))
        })
        .collect();
    cases.push(Case::of(
        "9113 §4.3 a header block that is none",
        frame(HEADERS, WHOLE, 1, &[0xff; 12]),
        Want::Connection(&[COMPRESSION]),
    ));
    cases
}

fn settings_right() -> Vec<Case> {
    let right: [(&str, &[(u16, u32)]); 13] = [
        ("nothing", &[]),
        ("HEADER_TABLE_SIZE 0", &[(1, 0)]),
        ("HEADER_TABLE_SIZE 2^32-1", &[(1, u32::MAX)]),
        ("ENABLE_PUSH 0", &[(2, 0)]),
        ("ENABLE_PUSH 1", &[(2, 1)]),
        ("MAX_CONCURRENT_STREAMS 0", &[(3, 0)]),
        ("MAX_CONCURRENT_STREAMS 2^32-1", &[(3, u32::MAX)]),
        ("INITIAL_WINDOW_SIZE 2^31-1", &[(4, (1 << 31) - 1)]),
        ("MAX_FRAME_SIZE 2^14", &[(5, 1 << 14)]),
        ("MAX_FRAME_SIZE 2^24-1", &[(5, (1 << 24) - 1)]),
        ("MAX_HEADER_LIST_SIZE 2^32-1", &[(6, u32::MAX)]),
        ("unknown settings", &[(0x0a0a, 7), (0xff, u32::MAX), (0, 1)]),
        (
            "the same twice",
            &[(4, 3), (4, 70_000), (5, 20_000), (5, 16_384)],
        ),
    ];
    right
        .into_iter()
        .map(|(what, all)| {
            let steps = vec![Step::Send(settings(all)), Step::Acks(2), Step::Send(get(1))];
            Case::new(
                format!("9113 §6.5 settings: {what}"),
                steps,
                Want::Answered(1),
            )
        })
        .collect()
}

fn settings_wrong() -> Vec<Case> {
    let values: [(&str, u16, u32, &'static [u32]); 9] = [
        ("ENABLE_PUSH 2", 2, 2, &[PROTOCOL]),
        ("ENABLE_PUSH 2^32-1", 2, u32::MAX, &[PROTOCOL]),
        ("INITIAL_WINDOW_SIZE 2^31", 4, 1 << 31, &[FLOW]),
        ("INITIAL_WINDOW_SIZE 2^32-1", 4, u32::MAX, &[FLOW]),
        ("MAX_FRAME_SIZE 0", 5, 0, &[PROTOCOL]),
        ("MAX_FRAME_SIZE 2^14-1", 5, (1 << 14) - 1, &[PROTOCOL]),
        ("MAX_FRAME_SIZE 2^24", 5, 1 << 24, &[PROTOCOL]),
        ("MAX_FRAME_SIZE 2^32-1", 5, u32::MAX, &[PROTOCOL]),
        ("ENABLE_PUSH 256", 2, 256, &[PROTOCOL]),
    ];
    let mut cases: Vec<Case> = values
        .into_iter()
        .map(|(what, id, value, codes)| {
            let name = format!("9113 §6.5.2 settings: {what}");
            Case::of(name, settings(&[(id, value)]), Want::Connection(codes))
        })
        .collect();
    cases.extend([
        Case::of(
            "9113 §6.5 ACK with a payload",
            frame(SETTINGS, ACK, 0, &setting(4, 5)),
            Want::Connection(&[SIZE]),
        ),
        Case::of(
            "9113 §6.5 SETTINGS on a stream",
            frame(SETTINGS, 0, 1, &setting(4, 5)),
            Want::Connection(&[PROTOCOL]),
        ),
        Case::of(
            "9113 §6.5 SETTINGS on an open stream",
            all(&[post(1), frame(SETTINGS, 0, 1, &[])]),
            Want::Connection(&[PROTOCOL]),
        ),
        Case::new(
            "9113 §6.5.3 each of many settings is acknowledged",
            vec![
                Step::Send(all(&[
                    settings(&[(4, 9)]),
                    settings(&[(4, 70_000)]),
                    settings(&[]),
                ])),
                Step::Acks(4),
            ],
            Want::Steps,
        ),
    ]);
    cases
}

fn pings() -> Vec<Case> {
    vec![
        Case::new(
            "9113 §6.7 a ping comes back as it was",
            vec![Step::Send(ping(0, *b"h2 pings")), Step::Pong(*b"h2 pings")],
            Want::Steps,
        ),
        Case::new(
            "9113 §6.7 a ping while a stream is open",
            vec![
                Step::Send(all(&[post(1), ping(0, [9; 8])])),
                Step::Pong([9; 8]),
                Step::Send(frame(DATA, END_STREAM, 1, b"x=y")),
            ],
            Want::Answered(1),
        ),
        Case::new(
            "9113 §6.7 an ACK is not answered",
            vec![Step::Send(ping(ACK, [5; 8])), Step::NoPong([5; 8])],
            Want::Steps,
        ),
        Case::of(
            "9113 §6.7 PING on a stream",
            all(&[post(1), frame(PING, 0, 1, &[0; 8])]),
            Want::Connection(&[PROTOCOL]),
        ),
    ]
}

fn goaways() -> Vec<Case> {
    let mut cases = vec![
        Case::of(
            "9113 §6.8 GOAWAY on a stream",
            frame(GOAWAY, 0, 1, &[0; 8]),
            Want::Connection(&[PROTOCOL]),
        ),
        Case::new(
            "9113 §6.8 an open call is answered after the client's GOAWAY",
            vec![
                Step::Send(all(&[
                    get_asking(1, "sleep=200"),
                    frame(GOAWAY, 0, 0, &[0; 8]),
                ])),
                Step::Answer(1),
            ],
            Want::Steps,
        ),
    ];
    for code in [0x0e, 0xff, u32::MAX] {
        cases.push(Case::new(
            format!("9113 §7 GOAWAY with unknown code {code:#x}"),
            vec![
                Step::Send(all(&[
                    get_asking(1, "sleep=200"),
                    frame(
                        GOAWAY,
                        0,
                        0,
                        &[vec![0; 4], code.to_be_bytes().to_vec()].concat(),
                    ),
                ])),
                Step::Answer(1),
            ],
            Want::Steps,
        ));
        cases.push(Case::of(
            format!("9113 §7 RST_STREAM with unknown code {code:#x}"),
            all(&[post(1), reset(1, code), get(3)]),
            Want::Answered(3),
        ));
    }
    cases
}

fn pushes() -> Vec<Case> {
    let promise = [vec![0, 0, 0, 2], head()].concat();
    [("stream 1", 1), ("stream 0", 0), ("an idle stream", 7)]
        .into_iter()
        .map(|(what, stream)| {
            let bytes = frame(PUSH_PROMISE, END_HEADERS, stream, &promise);
            let name = format!("9113 §6.6, §8.4 a client promises to push on {what}");
            Case::of(name, all(&[post(1), bytes]), Want::Connection(&[PROTOCOL]))
        })
        .collect()
}
