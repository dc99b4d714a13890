//! Header compression (RFC 7541): every form of a field, and every way to write none.

use super::case::{COMPRESSION, Case, Step, Want};
use super::wire::*;

pub fn cases() -> Vec<Case> {
    [
        indexes_wrong(),
        static_table(),
        literals(),
        dynamic(),
        sizes(),
        integers(),
        strings(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn broken(name: String, block: &[u8]) -> Case {
    let bytes = frame(HEADERS, WHOLE, 1, &head_and(block));
    Case::of(name, bytes, Want::Connection(&[COMPRESSION]))
}

fn right(name: String, block: &[u8]) -> Case {
    Case::of(name, frame(HEADERS, WHOLE, 1, block), Want::Answered(1))
}

/// Indexes that stand for nothing: 0, and what is above the static table while the dynamic one is
/// empty (RFC 7541 §2.3.3, §6.1).
fn indexes_wrong() -> Vec<Case> {
    let mut cases = vec![broken("7541 §6.1 index 0".to_owned(), &[0x80])];
    for index in [62, 63, 70, 126, 127, 128, 1_000, 65_536, 1 << 24] {
        let block = integer(0x80, 7, index);
        cases.push(broken(format!("7541 §2.3.3 index {index}"), &block));
        for (what, pattern, bits) in LITERALS {
            let block = [integer(pattern, bits, index), plain(b"v")].concat();
            cases.push(broken(
                format!("7541 §2.3.3 {what} by index {index}"),
                &block,
            ));
        }
    }
    cases
}

/// The forms of a literal: pattern and bits of the name's index (RFC 7541 §6.2).
const LITERALS: [(&str, u8, u32); 3] = [
    ("a literal that is indexed", 0x40, 6),
    ("a literal that is not indexed", 0, 4),
    ("a literal that is never indexed", 0x10, 4),
];

/// Entries of the static table that a call may carry as they are, and pseudo fields of calls.
const ENTRIES: [(usize, &str); 18] = [
    (15, "accept-charset"),
    (16, "accept-encoding: gzip, deflate"),
    (17, "accept-language"),
    (18, "accept-ranges"),
    (19, "accept"),
    (21, "age"),
    (22, "allow"),
    (24, "cache-control"),
    (29, "content-location"),
    (33, "date"),
    (34, "etag"),
    (37, "from"),
    (45, "link"),
    (51, "referer"),
    (53, "retry-after"),
    (54, "server"),
    (58, "user-agent"),
    (59, "vary"),
];

fn static_table() -> Vec<Case> {
    let mut cases: Vec<Case> = ENTRIES
        .into_iter()
        .map(|(index, what)| {
            let block = head_and(&integer(0x80, 7, index));
            right(format!("7541 appendix A, {index}: {what}"), &block)
        })
        .collect();
    // 2 is GET, 7 is https, 1 is :authority, 4 is :path.
    let authority = [vec![0x01], plain(b"cloud.example")].concat();
    let path = [vec![0x04], plain(TARGET.as_bytes())].concat();
    cases.push(right(
        "7541 appendix A, pseudo fields".to_owned(),
        &[&[0x82, 0x87][..], &authority, &path].concat(),
    ));
    for (index, what) in [
        (8, ":status 200"),
        (14, ":status 500"),
        (57, "transfer-encoding"),
    ] {
        let bytes = get_with(1, &integer(0x80, 7, index));
        let name = format!("7541 appendix A, {index}: {what} is no request's");
        cases.push(Case::of(name, bytes, Want::Malformed(1)));
    }
    for index in [3, 5, 6] {
        let bytes = get_with(1, &integer(0x80, 7, index));
        let name = format!("7541 appendix A, {index}: a pseudo field again");
        cases.push(Case::of(name, bytes, Want::Malformed(1)));
    }
    cases
}

fn literals() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, pattern, bits) in LITERALS {
        let named = [integer(pattern, bits, 58), plain(b"client/1")].concat();
        let new = [vec![pattern], plain(b"x-test"), plain(b"value")].concat();
        let packed = [vec![pattern], huffman("x-test"), huffman("value")].concat();
        let mixed = [vec![pattern], huffman("x-test"), plain(b"value")].concat();
        let empty = [vec![pattern], plain(b"x-test"), plain(b"")].concat();
        let path = [integer(pattern, bits, 4), huffman(TARGET)].concat();
        cases.extend([
            right(
                format!("7541 §6.2 {what}, name by index"),
                &head_and(&named),
            ),
            right(format!("7541 §6.2 {what}, new name"), &head_and(&new)),
            right(
                format!("7541 §5.2 {what}, in Huffman code"),
                &head_and(&packed),
            ),
            right(
                format!("7541 §5.2 {what}, half in Huffman code"),
                &head_and(&mixed),
            ),
            right(format!("7541 §5.2 {what}, empty value"), &head_and(&empty)),
            // Its mark cannot be told apart: the answer has to do.
            Case::new(
                format!("7541 §5.2 {what}: :path in Huffman code"),
                vec![
                    Step::Send(frame(HEADERS, WHOLE, 1, &[pseudo("GET"), path].concat())),
                    Step::Answer(1),
                    Step::Alive,
                ],
                Want::Steps,
            ),
        ]);
    }
    cases
}

fn kept(name: &str, value: &[u8]) -> Vec<u8> {
    [vec![0x40], plain(name.as_bytes()), plain(value)].concat()
}

/// A call whose fields all go to the dynamic table; the last becomes index 62.
fn indexed() -> Vec<u8> {
    let path = kept(":path", TARGET.as_bytes());
    let authority = kept(":authority", b"cloud.example");
    [&[0x82, 0x87][..], &authority, &path, &kept("x-test", b"a")].concat()
}

/// Two calls: a first block, and a second one that builds on it.
fn two(name: &str, first: &[u8], second: &[u8], want: Want) -> Case {
    let steps = vec![
        Step::Send(frame(HEADERS, WHOLE, 1, first)),
        Step::Answer(1),
        Step::Send(frame(HEADERS, WHOLE, 3, second)),
    ];
    Case::new(name, steps, want)
}

fn dynamic() -> Vec<Case> {
    let end = || Want::Connection(&[COMPRESSION]);
    let long = kept("x-long", &[b'y'; 4_000]);
    let too_long = kept("x-long", &[b'y'; 4_100]);
    vec![
        two(
            "7541 §2.3.2 a second call of indexes alone",
            &indexed(),
            &[0x82, 0x87, 0xc0, 0xbf, 0xbe],
            Want::Answered(3),
        ),
        two(
            "7541 §6.2.1 a name of the dynamic table",
            &indexed(),
            &[&[0x82, 0x87, 0xc0, 0xbf, 0x7e][..], &plain(b"b")].concat(),
            Want::Answered(3),
        ),
        two(
            "7541 §2.3.3 above the dynamic table",
            &indexed(),
            &[0x82, 0x87, 0xc0, 0xbf, 0xbe, 0xc1],
            end(),
        ),
        two(
            "7541 §6.2.2 what is not indexed is not kept",
            &head_and(&field(b"x-test", b"a")),
            &head_and(&[0xbe]),
            end(),
        ),
        two(
            "7541 §6.2.3 what is never indexed is not kept",
            &head_and(&[vec![0x10], plain(b"x-test"), plain(b"a")].concat()),
            &head_and(&[0xbe]),
            end(),
        ),
        two(
            "7541 §4.3 a size of 0 empties the table",
            &indexed(),
            &[&[0x20][..], &head_and(&[0xbe])].concat(),
            end(),
        ),
        two(
            "7541 §4.4 a long field puts the others out",
            &[indexed(), long.clone()].concat(),
            &head_and(&[0xc0]),
            end(),
        ),
        two(
            "7541 §4.4 a long field stays itself",
            &[indexed(), long].concat(),
            &head_and(&[0xbe]),
            Want::Answered(3),
        ),
        two(
            "7541 §4.4 a field longer than the table empties it",
            &[indexed(), too_long].concat(),
            &head_and(&[0xbe]),
            end(),
        ),
        two(
            "7541 §4.1 a smaller table keeps the newest",
            &indexed(),
            &[&integer(0x20, 5, 40)[..], &head_and(&[0xbe])].concat(),
            Want::Answered(3),
        ),
        two(
            "7541 §4.3 a smaller table loses the oldest",
            &indexed(),
            &[&integer(0x20, 5, 40)[..], &head_and(&[0xbf])].concat(),
            end(),
        ),
        right(
            "7541 §2.3.2 an index within its own block".to_owned(),
            &head_and(&[kept("x-test", b"a"), vec![0xbe, 0xbe]].concat()),
        ),
        two(
            "7541 §2.2 the table lives on over a reset stream's block",
            &indexed(),
            &[
                &[0x82, 0x87, 0xc0, 0xbf][..],
                &kept("x-more", b"c"),
                &[0xbe, 0xbf],
            ]
            .concat(),
            Want::Answered(3),
        ),
    ]
}

/// Changes of the table's size (RFC 7541 §4.2, §6.3).
fn sizes() -> Vec<Case> {
    let update = |size: usize| integer(0x20, 5, size);
    let mut cases = Vec::new();
    for size in [0, 1, 31, 4_095, 4_096] {
        let block = [update(size), head()].concat();
        cases.push(right(format!("7541 §6.3 a size of {size}"), &block));
    }
    for size in [4_097, 65_536, u32::MAX as usize] {
        let block = [update(size), head()].concat();
        let bytes = frame(HEADERS, WHOLE, 1, &block);
        let name = format!("7541 §6.3 a size of {size}");
        cases.push(Case::of(name, bytes, Want::Connection(&[COMPRESSION])));
    }
    let twice = [update(0), update(4_096), head()].concat();
    cases.push(right("7541 §4.2 two sizes at the start".to_owned(), &twice));
    cases.push(broken(
        "7541 §4.2 a size at the end".to_owned(),
        &update(100),
    ));
    cases.push(broken(
        "7541 §4.2 a size between fields".to_owned(),
        &[update(0), field(b"x-test", b"a")].concat(),
    ));
    cases
}

/// Integers that do not end, or are beyond all bounds (RFC 7541 §5.1).
fn integers() -> Vec<Case> {
    let forms = [
        ("an index", 0xff),
        ("a name's index", 0x7f),
        ("a name's index, not indexed", 0x0f),
        ("a name's index, never indexed", 0x1f),
        ("a size", 0x3f),
    ];
    let mut cases = Vec::new();
    for (what, first) in forms {
        let name = format!("7541 §5.1 {what} that goes on and on");
        let block = [vec![first], vec![0xff; 20], vec![0x7f]].concat();
        cases.push(broken(name, &block));
        let name = format!("7541 §5.1 {what} that is cut off");
        cases.push(broken(name, &[first, 0x80]));
    }
    let padded = [vec![0x0f, 0xab, 0x80, 0x00], plain(b"a")].concat();
    let name = "7541 §5.1 an integer with zeroes at its end".to_owned();
    let bytes = frame(HEADERS, WHOLE, 1, &head_and(&padded));
    cases.push(Case::of(name, bytes, Want::AnsweredOr(1, &[COMPRESSION])));
    cases
}

/// Strings that are none (RFC 7541 §5.2).
fn strings() -> Vec<Case> {
    let named = |value: &[u8]| [&[0x00][..], &plain(b"x-test"), value].concat();
    let cases: [(&str, Vec<u8>); 14] = [
        ("a value longer than the block", named(&[0x0a, b'a'])),
        ("a name longer than the block", vec![0x00, 0x0a, b'a']),
        ("a literal without a name", vec![0x00]),
        (
            "a literal without a value",
            [vec![0x00], plain(b"x-test")].concat(),
        ),
        ("a name by index without a value", vec![0x7a]),
        ("a length that is cut off", named(&[0x7f])),
        (
            "a length that goes on and on",
            named(&[&[0x7f][..], &[0xff; 20]].concat()),
        ),
        (
            "a value in Huffman code longer than the block",
            named(&[0x8a, 0x1f]),
        ),
        ("Huffman code filled up with zeroes", named(&[0x81, 0x18])),
        (
            "Huffman code filled up with 0 in the last bit",
            named(&[0x81, 0x1e]),
        ),
        (
            "Huffman code filled up with 8 bits",
            named(&[0x82, 0x1f, 0xff]),
        ),
        (
            "Huffman code filled up with 16 bits",
            named(&[0x83, 0x1f, 0xff, 0xff]),
        ),
        (
            "Huffman code with EOS",
            named(&[0x85, 0x1f, 0xff, 0xff, 0xff, 0xff]),
        ),
        (
            "Huffman code of EOS alone",
            named(&[0x84, 0xff, 0xff, 0xff, 0xff]),
        ),
    ];
    let broken_ones = cases
        .into_iter()
        .map(|(what, block)| broken(format!("7541 §5.2 {what}"), &block));
    broken_ones.collect()
}
