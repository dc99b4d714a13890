//! HTTP/2 frames (RFC 9113 §4.1, §6) and HPACK blocks (RFC 7541) written byte by byte, right or
//! wrong as a case needs them.

pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const PRIORITY: u8 = 2;
pub const RESET: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PUSH_PROMISE: u8 = 5;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const WINDOW_UPDATE: u8 = 8;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const ACK: u8 = 1;
pub const END_HEADERS: u8 = 4;
pub const PADDED: u8 = 8;
pub const WITH_PRIORITY: u8 = 0x20;
/// A whole request in one frame.
pub const WHOLE: u8 = END_STREAM | END_HEADERS;

/// Stands in each target; a running case has its own number there.
pub const MARK: &str = "case=0000";
pub const TARGET: &str = "/client/api?command=listZones&response=json&case=0000";

pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// One setting (RFC 9113 §6.5.1).
pub fn setting(id: u16, value: u32) -> Vec<u8> {
    [&id.to_be_bytes()[..], &value.to_be_bytes()[..]].concat()
}

pub fn settings(all: &[(u16, u32)]) -> Vec<u8> {
    let payload: Vec<Vec<u8>> = all.iter().map(|(id, value)| setting(*id, *value)).collect();
    frame(SETTINGS, 0, 0, &payload.concat())
}

pub fn widen(stream: u32, by: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &by.to_be_bytes())
}

pub fn reset(stream: u32, code: u32) -> Vec<u8> {
    frame(RESET, 0, stream, &code.to_be_bytes())
}

pub fn ping(flags: u8, opaque: [u8; 8]) -> Vec<u8> {
    frame(PING, flags, 0, &opaque)
}

/// PRIORITY's fields: depends on that stream, with a weight.
pub fn depends(on: u32) -> Vec<u8> {
    [&on.to_be_bytes()[..], &[15]].concat()
}

/// An integer with a prefix of so many bits, under the first byte's pattern (RFC 7541 §5.1).
pub fn integer(pattern: u8, bits: u32, value: usize) -> Vec<u8> {
    let most = (1_usize << bits) - 1;
    if value < most {
        return vec![pattern | u8::try_from(value).unwrap()];
    }
    let mut bytes = vec![pattern | u8::try_from(most).unwrap()];
    let mut rest = value - most;
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 0x80);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}

/// A string as it is (RFC 7541 §5.2).
pub fn plain(text: &[u8]) -> Vec<u8> {
    [&integer(0, 7, text.len())[..], text].concat()
}

/// The codes of RFC 7541, appendix B, that our targets need: width, first code, characters.
const CODES: [(u32, u32, &str); 5] = [
    (5, 0x0, "012aceiost"),
    (6, 0x14, " %-./3456789=A_bdfghlmnpru"),
    (7, 0x5c, ":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, 0xf8, "&*,;XZ"),
    (10, 0x3f8, "!\"()?"),
];

/// The Huffman bits of a text, filled up with ones.
pub fn huffman_bits(text: &str) -> Vec<u8> {
    let mut bits: Vec<bool> = Vec::new();
    for letter in text.chars() {
        let code = CODES.iter().find_map(|(width, first, letters)| {
            let place = letters.find(letter)?;
            Some((*width, first + u32::try_from(place).unwrap()))
        });
        let (width, code) = code.unwrap();
        bits.extend((0..width).rev().map(|bit| code >> bit & 1 == 1));
    }
    while !bits.len().is_multiple_of(8) {
        bits.push(true);
    }
    let byte = |bits: &[bool]| bits.iter().fold(0, |byte, bit| byte << 1 | u8::from(*bit));
    bits.chunks(8).map(byte).collect()
}

/// A string in Huffman code (RFC 7541 §5.2).
pub fn huffman(text: &str) -> Vec<u8> {
    let bits = huffman_bits(text);
    [integer(0x80, 7, bits.len()), bits].concat()
}

/// A literal field that is not indexed, by a new name (RFC 7541 §6.2.2).
pub fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    [vec![0], plain(name), plain(value)].concat()
}

pub fn fields(all: &[(&str, &str)]) -> Vec<u8> {
    let each = all
        .iter()
        .map(|(name, value)| field(name.as_bytes(), value.as_bytes()));
    each.collect::<Vec<_>>().concat()
}

/// The pseudo-header fields of a call, without its target.
pub fn pseudo(method: &str) -> Vec<u8> {
    fields(&[
        (":method", method),
        (":scheme", "https"),
        (":authority", "cloud.example"),
    ])
}

/// The head of a call that is answered.
pub fn head() -> Vec<u8> {
    [pseudo("GET"), field(b":path", TARGET.as_bytes())].concat()
}

/// The head of a call with a body.
pub fn head_post() -> Vec<u8> {
    let kind = field(b"content-type", b"application/x-www-form-urlencoded");
    let target = field(b":path", TARGET.as_bytes());
    [pseudo("POST"), target, kind].concat()
}

/// A head, and then this.
pub fn head_and(more: &[u8]) -> Vec<u8> {
    [&head()[..], more].concat()
}

/// A whole call on a stream.
pub fn get(stream: u32) -> Vec<u8> {
    frame(HEADERS, WHOLE, stream, &head())
}

/// A whole call with more in its head.
pub fn get_with(stream: u32, more: &[u8]) -> Vec<u8> {
    frame(HEADERS, WHOLE, stream, &head_and(more))
}

/// A call whose answer comes late or is long, by what the recorder knows.
pub fn get_asking(stream: u32, what: &str) -> Vec<u8> {
    let target = format!("{TARGET}&{what}");
    let block = [pseudo("GET"), field(b":path", target.as_bytes())].concat();
    frame(HEADERS, WHOLE, stream, &block)
}

/// A call whose body is still to come.
pub fn post(stream: u32) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, &head_post())
}

/// Many frames as one piece.
pub fn all(pieces: &[Vec<u8>]) -> Vec<u8> {
    pieces.concat()
}
