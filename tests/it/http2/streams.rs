//! The life of streams, and the frames that belong to one (RFC 9113 §5.1 to §5.3, §6.1 to §6.4).

use super::case::{CLOSED, Case, PROTOCOL, REFUSED, Step, Want};
use super::wire::*;

pub fn cases() -> Vec<Case> {
    [
        idle(),
        half_closed(),
        closed(),
        numbers(),
        padding(),
        on_no_stream(),
        priorities(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn idle() -> Vec<Case> {
    let frames = [
        ("DATA", frame(DATA, END_STREAM, 1, b"x")),
        ("RST_STREAM", reset(1, 8)),
        ("WINDOW_UPDATE", widen(1, 100)),
        ("CONTINUATION", frame(CONTINUATION, END_HEADERS, 1, &head())),
    ];
    let wrong = frames.into_iter().map(|(what, bytes)| {
        let name = format!("9113 §5.1 idle: {what}");
        Case::of(name, bytes, Want::Connection(&[PROTOCOL]))
    });
    let between = [
        ("DATA", frame(DATA, END_STREAM, 9, b"x")),
        ("RST_STREAM", reset(9, 8)),
        ("WINDOW_UPDATE", widen(9, 100)),
    ];
    let higher = between.into_iter().map(|(what, bytes)| {
        let name = format!("9113 §5.1 idle, above an open one: {what}");
        Case::of(name, all(&[post(1), bytes]), Want::Connection(&[PROTOCOL]))
    });
    wrong.chain(higher).collect()
}

/// A call that the recorder answers late is half closed until then.
fn half_closed() -> Vec<Case> {
    let late = || get_asking(1, "sleep=300");
    let wrong = [
        ("DATA", frame(DATA, END_STREAM, 1, b"x")),
        ("empty DATA", frame(DATA, 0, 1, b"")),
        ("HEADERS", get(1)),
        ("trailers", frame(HEADERS, WHOLE, 1, &field(b"x-a", b"b"))),
    ];
    let mut cases: Vec<Case> = wrong
        .into_iter()
        .map(|(what, bytes)| {
            let name = format!("9113 §5.1 half closed (remote): {what}");
            Case::of(name, all(&[late(), bytes]), Want::Stream(1, &[CLOSED]))
        })
        .collect();
    cases.push(Case::of(
        "9113 §5.1 half closed (remote): CONTINUATION",
        all(&[late(), frame(CONTINUATION, END_HEADERS, 1, &[])]),
        Want::Connection(&[CLOSED, PROTOCOL]),
    ));
    let right = [
        ("WINDOW_UPDATE", widen(1, 100)),
        ("PRIORITY", frame(PRIORITY, 0, 1, &depends(0))),
    ];
    cases.extend(right.into_iter().map(|(what, bytes)| {
        let name = format!("9113 §5.1 half closed (remote): {what} is fine");
        Case::of(name, all(&[late(), bytes]), Want::Answered(1))
    }));
    cases.push(Case::of(
        "9113 §5.1 half closed (remote): RST_STREAM is fine",
        all(&[late(), reset(1, 8), get(3)]),
        Want::Answered(3),
    ));
    cases
}

fn closed() -> Vec<Case> {
    let wrong = || {
        [
            ("DATA", frame(DATA, END_STREAM, 1, b"x")),
            ("HEADERS", get(1)),
            ("CONTINUATION", frame(CONTINUATION, END_HEADERS, 1, &[])),
        ]
    };
    let want = |what| match what {
        "CONTINUATION" => Want::Connection(&[CLOSED, PROTOCOL]),
        _ => Want::Stream(1, &[CLOSED, PROTOCOL]),
    };
    let right = || {
        [
            ("WINDOW_UPDATE", widen(1, 100)),
            ("PRIORITY", frame(PRIORITY, 0, 1, &depends(0))),
            ("RST_STREAM", reset(1, 8)),
        ]
    };
    let mut cases = Vec::new();
    for (what, bytes) in wrong() {
        cases.push(Case::of(
            format!("9113 §5.1 closed by a reset: {what}"),
            all(&[post(1), reset(1, 8), bytes.clone()]),
            want(what),
        ));
        let steps = vec![Step::Send(get(1)), Step::Answer(1), Step::Send(bytes)];
        let name = format!("9113 §5.1 closed by its answer: {what}");
        cases.push(Case::new(name, steps, want(what)));
    }
    for (what, bytes) in right() {
        let steps = vec![
            Step::Send(get(1)),
            Step::Answer(1),
            Step::Send(all(&[bytes.clone(), get(3)])),
        ];
        let name = format!("9113 §5.1 closed by its answer: {what} is fine");
        cases.push(Case::new(name, steps, Want::Answered(3)));
        cases.push(Case::of(
            format!("9113 §5.1 closed by a reset: {what} is fine"),
            all(&[post(1), reset(1, 8), bytes, get(3)]),
            Want::Answered(3),
        ));
    }
    cases
}

fn numbers() -> Vec<Case> {
    let end = || Want::Connection(&[PROTOCOL]);
    let many: Vec<Vec<u8>> = (0..130).map(|n| post(2 * n + 1)).collect();
    vec![
        Case::of("9113 §5.1.1 an even stream", get(2), end()),
        Case::of("9113 §5.1.1 HEADERS on stream 0", get(0), end()),
        Case::of(
            "9113 §5.1.1 a stream below a used one",
            all(&[get(5), get(3)]),
            Want::Stream(3, &[PROTOCOL, CLOSED]),
        ),
        Case::of(
            "9113 §5.1.1 streams may be left out",
            get(9),
            Want::Answered(9),
        ),
        Case::of("9113 §5.1.1 the highest stream", get((1 << 31) - 1), {
            Want::Answered((1 << 31) - 1)
        }),
        Case::of(
            "9113 §5.1.2 more streams than are allowed",
            many.concat(),
            Want::Stream(201, &[REFUSED, PROTOCOL]),
        ),
    ]
}

fn padding() -> Vec<Case> {
    let padded = |length: u8, body: &[u8], pad: usize| {
        let pad = vec![0; pad];
        [&[length][..], body, &pad].concat()
    };
    let data = |payload: &[u8]| all(&[post(1), frame(DATA, END_STREAM | PADDED, 1, payload)]);
    let heads = |payload: &[u8]| frame(HEADERS, WHOLE | PADDED, 1, payload);
    let both = [&[3][..], &depends(0), &head(), &[0; 3]].concat();
    let end = || Want::Connection(&[PROTOCOL]);
    let fine = || Want::Answered(1);
    vec![
        Case::of(
            "9113 §6.1 DATA with padding",
            data(&padded(6, b"x=y", 6)),
            fine(),
        ),
        Case::of(
            "9113 §6.1 DATA with 255 bytes of it",
            data(&padded(255, b"x=y", 255)),
            fine(),
        ),
        Case::of(
            "9113 §6.1 DATA with padding of none",
            data(&padded(0, b"x=y", 0)),
            fine(),
        ),
        Case::of(
            "9113 §6.1 DATA of padding alone",
            data(&padded(6, b"", 6)),
            fine(),
        ),
        Case::of(
            "9113 §6.1 padding as long as DATA",
            data(&padded(4, b"x=y", 0)),
            end(),
        ),
        Case::of(
            "9113 §6.1 padding longer than DATA",
            data(&padded(200, b"x=y", 6)),
            end(),
        ),
        Case::of(
            "9113 §6.1 padded DATA of no byte",
            data(&[]),
            Want::Connection(&[1, 6]),
        ),
        Case::of(
            "9113 §6.2 HEADERS with padding",
            heads(&padded(6, &head(), 6)),
            fine(),
        ),
        Case::of(
            "9113 §6.2 HEADERS with 255 of it",
            heads(&padded(255, &head(), 255)),
            fine(),
        ),
        Case::of(
            "9113 §6.2 HEADERS with padding of none",
            heads(&padded(0, &head(), 0)),
            fine(),
        ),
        Case::of(
            "9113 §6.2 HEADERS with padding and priority",
            frame(HEADERS, WHOLE | PADDED | WITH_PRIORITY, 1, &both),
            fine(),
        ),
        Case::of(
            "9113 §6.2 padding longer than HEADERS",
            heads(&padded(255, &head(), 0)),
            Want::Connection(&[PROTOCOL]),
        ),
        Case::of(
            "9113 §6.2 padding as long as HEADERS",
            heads(&padded(4, b"abc", 0)),
            end(),
        ),
        Case::of(
            "9113 §6.2 padded HEADERS of no byte",
            heads(&[]),
            Want::Connection(&[1, 6]),
        ),
    ]
}

fn on_no_stream() -> Vec<Case> {
    let frames = [
        ("6.1 DATA", frame(DATA, 0, 0, b"x")),
        ("6.2 HEADERS", frame(HEADERS, END_HEADERS, 0, &head())),
        ("6.3 PRIORITY", frame(PRIORITY, 0, 0, &depends(1))),
        ("6.4 RST_STREAM", reset(0, 8)),
        (
            "6.10 CONTINUATION",
            frame(CONTINUATION, END_HEADERS, 0, &head()),
        ),
    ];
    frames
        .into_iter()
        .map(|(what, bytes)| {
            let name = format!("9113 §{what} on stream 0");
            Case::of(name, all(&[post(1), bytes]), Want::Connection(&[PROTOCOL]))
        })
        .collect()
}

fn priorities() -> Vec<Case> {
    let with = |on: u32| {
        let block = [depends(on), head()].concat();
        frame(HEADERS, WHOLE | WITH_PRIORITY, 1, &block)
    };
    let alone = |stream: u32, on: u32| frame(PRIORITY, 0, stream, &depends(on));
    vec![
        Case::of(
            "9113 §5.3 HEADERS that depend on none",
            with(0),
            Want::Answered(1),
        ),
        Case::of(
            "9113 §5.3 HEADERS that depend alone",
            with(1 << 31),
            Want::Answered(1),
        ),
        Case::of(
            "9113 §5.3 HEADERS that depend on an idle one",
            with(9),
            Want::Answered(1),
        ),
        Case::of(
            "9113 §5.3 PRIORITY of an idle stream",
            all(&[alone(1, 3), get(1)]),
            Want::Answered(1),
        ),
        Case::of(
            "9113 §5.3 PRIORITY of a later stream",
            all(&[alone(7, 0), get(1)]),
            Want::Answered(1),
        ),
        Case::of(
            "9113 §5.3 PRIORITY of an open stream",
            all(&[post(1), alone(1, 0), frame(DATA, END_STREAM, 1, b"x=y")]),
            Want::Answered(1),
        ),
        // RFC 7540 made an error of it; RFC 9113 gives priorities up.
        Case::of("9113 §5.3 HEADERS that depend on themselves", with(1), {
            Want::AnsweredOr(1, &[PROTOCOL])
        }),
        Case::of(
            "9113 §5.3 PRIORITY that depends on itself",
            all(&[post(1), alone(1, 1), frame(DATA, END_STREAM, 1, b"x=y")]),
            Want::AnsweredOr(1, &[PROTOCOL]),
        ),
    ]
}
