//! Windows, and blocks in several frames (RFC 9113 §6.9, §6.10).

use super::case::{Case, FLOW, PROTOCOL, Step, Want};
use super::wire::*;

pub fn cases() -> Vec<Case> {
    [windows_wrong(), windows_right(), continuations()]
        .into_iter()
        .flatten()
        .collect()
}

fn windows_wrong() -> Vec<Case> {
    const MOST: u32 = (1 << 31) - 1;
    vec![
        Case::of("9113 §6.9 the connection widens by 0", widen(0, 0), {
            Want::Connection(&[PROTOCOL])
        }),
        Case::of(
            "9113 §6.9 the connection widens by the reserved bit",
            widen(0, 1 << 31),
            Want::Connection(&[PROTOCOL]),
        ),
        Case::of(
            "9113 §6.9 a stream widens by 0",
            all(&[post(1), widen(1, 0)]),
            Want::Stream(1, &[PROTOCOL]),
        ),
        Case::of(
            "9113 §6.9.1 the connection's window overflows",
            widen(0, MOST),
            Want::Connection(&[FLOW]),
        ),
        Case::of(
            "9113 §6.9.1 it overflows in two steps",
            all(&[widen(0, MOST - 70_000), widen(0, 70_000)]),
            Want::Connection(&[FLOW]),
        ),
        Case::of(
            "9113 §6.9.1 a stream's window overflows",
            all(&[post(1), widen(1, MOST)]),
            Want::Stream(1, &[FLOW]),
        ),
        Case::of(
            "9113 §6.9.1 it overflows in two steps, a stream's",
            all(&[post(1), widen(1, MOST - 70_000), widen(1, 70_000)]),
            Want::Stream(1, &[FLOW]),
        ),
        Case::of(
            "9113 §6.9.2 settings make a stream's window overflow",
            all(&[post(1), widen(1, MOST - 65_535), settings(&[(4, MOST)])]),
            Want::Connection(&[FLOW]),
        ),
    ]
}

fn windows_right() -> Vec<Case> {
    let window = |bytes: u32| Step::Send(settings(&[(4, bytes)]));
    let long = || Step::Send(get_asking(1, "bytes=1000"));
    vec![
        Case::new(
            "9113 §6.9.1 no data for a window of none",
            {
                vec![
                    window(0),
                    long(),
                    Step::NoData(1),
                    Step::Send(widen(1, 1000)),
                ]
            },
            Want::Answered(1),
        ),
        Case::new(
            "9113 §6.9.1 one byte for a window of one",
            {
                vec![
                    window(1),
                    long(),
                    Step::Data(1, 1),
                    Step::Send(widen(1, 999)),
                ]
            },
            Want::Answered(1),
        ),
        Case::new(
            "9113 §6.9.1 as much as each widening allows",
            {
                vec![
                    window(10),
                    long(),
                    Step::Data(1, 10),
                    Step::Send(widen(1, 90)),
                    Step::Data(1, 100),
                    Step::Send(widen(1, 900)),
                ]
            },
            Want::Answered(1),
        ),
        Case::new(
            "9113 §6.9.2 settings open the window of an open stream",
            {
                vec![
                    window(0),
                    long(),
                    Step::NoData(1),
                    window(1),
                    Step::Data(1, 1),
                    window(1000),
                ]
            },
            Want::Answered(1),
        ),
        Case::new(
            "9113 §6.9.2 a window below zero",
            {
                vec![
                    window(100),
                    long(),
                    Step::Data(1, 100),
                    window(0),
                    Step::Send(widen(1, 50)),
                    Step::Data(1, 100),
                    Step::Send(widen(1, 60)),
                    Step::Data(1, 110),
                    Step::Send(widen(1, 890)),
                ]
            },
            Want::Answered(1),
        ),
        Case::new(
            "9113 §6.9.1 the connection's window holds all streams",
            {
                vec![
                    window(100_000),
                    Step::Send(get_asking(1, "bytes=65535")),
                    Step::Answer(1),
                    Step::Send(get_asking(3, "bytes=500")),
                    Step::NoData(3),
                    Step::Send(widen(0, 500)),
                ]
            },
            Want::Answered(3),
        ),
        Case::new(
            "9113 §6.9 widening up to the most",
            vec![Step::Send(widen(0, (1 << 31) - 1 - 65_535)), long()],
            Want::Answered(1),
        ),
    ]
}

fn continuations() -> Vec<Case> {
    let block = head();
    let (first, rest) = block.split_at(20);
    let open = |bytes: &[u8]| frame(HEADERS, END_STREAM, 1, bytes);
    let more = |flags: u8, bytes: &[u8]| frame(CONTINUATION, flags, 1, bytes);
    let single: Vec<Vec<u8>> = rest.iter().map(|byte| more(0, &[*byte])).collect();
    let end = || Want::Connection(&[PROTOCOL]);
    vec![
        Case::of(
            "9113 §6.10 one",
            all(&[open(first), more(END_HEADERS, rest)]),
            Want::Answered(1),
        ),
        Case::of(
            "9113 §6.10 two",
            {
                all(&[
                    open(first),
                    more(0, &rest[..9]),
                    more(END_HEADERS, &rest[9..]),
                ])
            },
            Want::Answered(1),
        ),
        Case::of(
            "9113 §6.10 an empty one at the end",
            all(&[open(&block), more(END_HEADERS, &[])]),
            Want::Answered(1),
        ),
        Case::of(
            "9113 §6.10 empty HEADERS before one",
            all(&[open(&[]), more(END_HEADERS, &block)]),
            Want::Answered(1),
        ),
        Case::of(
            "9113 §6.10 five pieces",
            {
                let mut pieces = vec![open(first)];
                pieces.extend(rest.chunks(rest.len() / 4 + 1).map(|piece| more(0, piece)));
                pieces.push(more(END_HEADERS, &[]));
                pieces.concat()
            },
            Want::Answered(1),
        ),
        Case::of(
            "9113 §6.10 a frame for each byte",
            all(&[open(first), single.concat(), more(END_HEADERS, &[])]),
            Want::AnsweredOr(1, &[11]),
        ),
        Case::of(
            "9113 §6.10 after the end of a block",
            all(&[post(1), more(END_HEADERS, &field(b"x-a", b"b"))]),
            end(),
        ),
        Case::of(
            "9113 §6.10 after a continuation that ended it",
            {
                all(&[
                    open(first),
                    more(END_HEADERS, rest),
                    more(END_HEADERS, &field(b"a", b"b")),
                ])
            },
            end(),
        ),
        Case::of(
            "9113 §6.10 after DATA",
            {
                all(&[
                    post(1),
                    frame(DATA, 0, 1, b"x"),
                    more(END_HEADERS, &field(b"a", b"b")),
                ])
            },
            end(),
        ),
    ]
}
