//! Pure: the framing of an HTTP/1 connection, judged before any other reader sees its bytes.
//!
//! A message has one accepted form (RFC 9112, without its leniencies): CRLF line ends, one space
//! between the parts of the request line, a target that begins with `/`, one valid `Host`, and a
//! body that is either measured by one `Content-Length` or cut into chunks without extensions or
//! trailers. Whatever two readers could cut in two ways ends the connection. `guarded.rs` holds
//! this before the socket; what a request means is for `parse.rs`.

mod fault;

pub use fault::Fault;

use crate::terms::limits;

/// Bytes of a head; the request that is built from it fits a management server's 8 KiB or is
/// refused by `parse.rs`.
pub const HEAD_BYTES_MAX: usize = limits::HEAD_BYTES_MAX * 2;
/// Header lines of a head.
pub const HEADERS_MAX: usize = 100;
/// The longest method that anybody registered has 17 letters.
const METHOD_BYTES_MAX: usize = 20;
/// Digits of a chunk's size: over 1 MiB is refused, so more are never needed.
const CHUNK_DIGITS_MAX: usize = 6;

/// What may go on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Judged {
    /// So many of the bytes, from their start, are whole heads and bodies in the accepted form.
    pub passed: usize,
    /// What follows them. Without a fault the rest is an incomplete head: it is given again, with
    /// more after it.
    pub then: Then,
}

/// How a connection goes on after what was judged.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Then {
    /// More may come.
    More,
    /// The client said that this was its last message: whatever follows is not read.
    Ended,
    /// The connection ends; before a body the client is told why.
    Fault(Fault),
}

/// The state of one connection.
#[derive(Debug, Default)]
pub struct Framing {
    state: State,
    head: Head,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum State {
    /// At a head's line that begins so many bytes after the head.
    #[default]
    Head0,
    Head(usize),
    /// Within a body of a known length.
    Length(u64),
    /// Within a chunk's size: digits so far, and their value.
    Size(usize, u64),
    /// After the CR that ends a size.
    SizeEnd(u64),
    /// Within a chunk.
    Chunk(u64),
    /// After a chunk's bytes: its CR, then its LF.
    ChunkCr,
    ChunkLf,
    /// After the last size: the CR and the LF of the empty trailer.
    LastCr,
    LastLf,
    /// Nothing more is read.
    Ended,
    Failed(Fault),
}

/// What the lines of a head said so far.
#[derive(Clone, Copy, Debug, Default)]
struct Head {
    lines: usize,
    is_1_0: bool,
    has_no_body: bool,
    hosts: usize,
    length: Option<u64>,
    chunked: bool,
    close: bool,
    keep: bool,
}

impl Framing {
    /// Whether the connection is between two messages or within a head.
    #[must_use]
    pub const fn in_head(&self) -> bool {
        matches!(self.state, State::Head0 | State::Head(_))
    }

    /// Judges bytes that follow those passed before.
    pub fn judge(&mut self, bytes: &[u8]) -> Judged {
        let mut passed = 0_usize;
        loop {
            let rest = bytes.get(passed..).unwrap_or_default();
            let step = match self.state {
                State::Ended => {
                    return Judged {
                        passed,
                        then: Then::Ended,
                    };
                }
                State::Failed(fault) => {
                    return Judged {
                        passed,
                        then: Then::Fault(fault),
                    };
                }
                _ if rest.is_empty() => {
                    return Judged {
                        passed,
                        then: Then::More,
                    };
                }
                State::Head0 => self.head(rest, 0),
                State::Head(at) => self.head(rest, at),
                _ => self.body(rest),
            };
            match step {
                Ok(0) => {
                    return Judged {
                        passed,
                        then: Then::More,
                    };
                }
                Ok(more) => passed = passed.saturating_add(more),
                Err(fault) => self.state = State::Failed(fault),
            }
        }
    }

    /// Reads a head's lines from the one that begins at `line`; gives the head's length once it is
    /// whole, and 0 before.
    fn head(&mut self, bytes: &[u8], mut line: usize) -> Result<usize, Fault> {
        loop {
            let open = bytes.get(line..).unwrap_or_default();
            let Some(end) = memchr(b'\n', open) else {
                self.state = State::Head(line);
                return self.bound(bytes.len()).map(|()| 0);
            };
            let text = open.get(..end).unwrap_or_default();
            let text = text.strip_suffix(b"\r").ok_or(Fault::LineEnd)?;
            line = line.saturating_add(end).saturating_add(1);
            self.bound(line)?;
            if self.head.lines == 0 {
                self.request_line(text)?;
            } else if text.is_empty() {
                self.state = self.after_head()?;
                return Ok(line);
            } else {
                self.header(text)?;
            }
            self.head.lines = self.head.lines.saturating_add(1);
            // The request line is one of the lines.
            if self.head.lines > HEADERS_MAX.saturating_add(1) {
                return Err(Fault::HeadTooLong);
            }
        }
    }

    /// Whether a head may have that many bytes so far.
    fn bound(&self, length: usize) -> Result<(), Fault> {
        match (self.head.lines, length) {
            // Method, version and spaces stand beside the target.
            (0, n) if n > limits::HEAD_BYTES_MAX.saturating_add(40) => Err(Fault::TargetTooLong),
            (_, n) if n > HEAD_BYTES_MAX => Err(Fault::HeadTooLong),
            _ => Ok(()),
        }
    }

    fn request_line(&mut self, line: &[u8]) -> Result<(), Fault> {
        let mut parts = line.split(|b| *b == b' ');
        let (Some(method), Some(target), Some(version), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Fault::RequestLine);
        };
        if method.is_empty() || !method.iter().all(|b| is_token(*b)) {
            return Err(Fault::RequestLine);
        }
        if method.len() > METHOD_BYTES_MAX {
            return Err(Fault::Method);
        }
        let is_plain = |b: &u8| (0x21..=0x7e).contains(b) && *b != b'#';
        if target.first() != Some(&b'/') || !target.iter().all(is_plain) {
            return Err(Fault::Target);
        }
        if target.len() > limits::HEAD_BYTES_MAX {
            return Err(Fault::TargetTooLong);
        }
        self.head = Head {
            is_1_0: match version {
                b"HTTP/1.1" => false,
                b"HTTP/1.0" => true,
                other if other.starts_with(b"HTTP/") => return Err(Fault::Version),
                _ => return Err(Fault::RequestLine),
            },
            // What a reader makes of a body here depends on the reader.
            has_no_body: method != b"POST" && method != b"PUT" && method != b"PATCH",
            ..Head::default()
        };
        Ok(())
    }

    fn header(&mut self, line: &[u8]) -> Result<(), Fault> {
        let colon = memchr(b':', line).ok_or(Fault::Header)?;
        let (name, value) = line.split_at(colon);
        let value = value.get(1..).unwrap_or_default();
        if name.is_empty() || !name.iter().all(|b| is_token(*b)) {
            return Err(Fault::Header);
        }
        if !value
            .iter()
            .all(|b| *b == b'\t' || (*b >= 0x20 && *b != 0x7f))
        {
            // A CR within a line is a line's end for some.
            let is_end = value.contains(&b'\r');
            return Err(if is_end {
                Fault::LineEnd
            } else {
                Fault::Header
            });
        }
        // Only what frames a message is read here; names differ in length, so this is cheap.
        match name.len() {
            4 if name.eq_ignore_ascii_case(b"host") => self.host(value),
            6 if name.eq_ignore_ascii_case(b"expect") => expect(value),
            10 if name.eq_ignore_ascii_case(b"connection") => {
                self.connection(value);
                Ok(())
            }
            14 if is_alike(name, b"content-length") => self.length(name, value),
            17 if is_alike(name, b"transfer-encoding") => self.coding(name, value),
            _ => Ok(()),
        }
    }

    fn host(&mut self, value: &[u8]) -> Result<(), Fault> {
        self.head.hosts = self.head.hosts.saturating_add(1);
        if self.head.hosts == 1 && is_host(trimmed(value)) {
            Ok(())
        } else {
            Err(Fault::Host)
        }
    }

    fn length(&mut self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        let digits = value.strip_prefix(b" ").unwrap_or(value);
        let is_plain = !digits.is_empty()
            && digits.iter().all(u8::is_ascii_digit)
            && (digits.len() == 1 || digits.first() != Some(&b'0'));
        if self.head.length.is_some() || name.contains(&b'_') || !is_plain {
            return Err(Fault::Length);
        }
        let length = std::str::from_utf8(digits)
            .ok()
            .and_then(|text| text.parse().ok());
        self.head.length = Some(length.unwrap_or(u64::MAX));
        Ok(())
    }

    fn coding(&mut self, name: &[u8], value: &[u8]) -> Result<(), Fault> {
        let value = value.strip_prefix(b" ").unwrap_or(value);
        if self.head.chunked || name.contains(&b'_') || value != b"chunked" {
            return Err(Fault::Coding);
        }
        self.head.chunked = true;
        Ok(())
    }

    fn connection(&mut self, value: &[u8]) {
        for option in value.split(|b| *b == b',').map(trimmed) {
            self.head.close |= option.eq_ignore_ascii_case(b"close");
            self.head.keep |= option.eq_ignore_ascii_case(b"keep-alive");
        }
    }

    /// What follows a head that is whole.
    fn after_head(&mut self) -> Result<State, Fault> {
        let head = self.head;
        if head.hosts == 0 && !head.is_1_0 {
            return Err(Fault::Host);
        }
        if head.chunked && (head.is_1_0 || head.length.is_some()) {
            return Err(Fault::Coding);
        }
        if head.has_no_body && (head.chunked || head.length.is_some_and(|length| length > 0)) {
            return Err(Fault::BodyOnGet);
        }
        let most = u64::try_from(limits::BODY_BYTES_MAX).unwrap_or(u64::MAX);
        match head.length {
            Some(length) if length > most => Err(Fault::BodyTooLong),
            Some(length) if length > 0 => Ok(State::Length(length)),
            _ if head.chunked => Ok(State::Size(0, 0)),
            _ => Ok(self.next_message()),
        }
    }

    fn next_message(&mut self) -> State {
        let is_last = self.head.close || (self.head.is_1_0 && !self.head.keep);
        self.head = Head::default();
        if is_last { State::Ended } else { State::Head0 }
    }

    /// Passes bytes of a body: as many as there are of its length or chunk, else one of its frame.
    fn body(&mut self, bytes: &[u8]) -> Result<usize, Fault> {
        let Some(&byte) = bytes.first() else {
            return Ok(0);
        };
        let (state, passed) = match self.state {
            State::Length(left) => match taken(bytes, left) {
                (0, passed) => (self.next_message(), passed),
                (left, passed) => (State::Length(left), passed),
            },
            State::Chunk(left) => match taken(bytes, left) {
                (0, passed) => (State::ChunkCr, passed),
                (left, passed) => (State::Chunk(left), passed),
            },
            frame => (self.frame(frame, byte)?, 1),
        };
        self.state = state;
        Ok(passed)
    }

    /// The state after a byte of a chunk's frame.
    fn frame(&mut self, state: State, byte: u8) -> Result<State, Fault> {
        match (state, byte) {
            (State::Size(digits, size), b'\r') if digits > 0 => Ok(State::SizeEnd(size)),
            (State::Size(digits, size), _) => {
                let digit = char::from(byte).to_digit(16).ok_or(Fault::Chunk)?;
                if digits >= CHUNK_DIGITS_MAX || (digits > 0 && size == 0) {
                    return Err(Fault::Chunk);
                }
                let size = size.saturating_mul(16).saturating_add(u64::from(digit));
                Ok(State::Size(digits.saturating_add(1), size))
            }
            (State::SizeEnd(0), b'\n') => Ok(State::LastCr),
            (State::SizeEnd(size), b'\n') => Ok(State::Chunk(size)),
            (State::ChunkCr, b'\r') => Ok(State::ChunkLf),
            (State::ChunkLf, b'\n') => Ok(State::Size(0, 0)),
            (State::LastCr, b'\r') => Ok(State::LastLf),
            (State::LastLf, b'\n') => Ok(self.next_message()),
            _ => Err(Fault::Chunk),
        }
    }
}

/// How many of a body's bytes are left, and how many passed.
fn taken(bytes: &[u8], left: u64) -> (u64, usize) {
    let there = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    if there < left {
        (left.saturating_sub(there), bytes.len())
    } else {
        (0, usize::try_from(left).unwrap_or(bytes.len()))
    }
}

fn memchr(byte: u8, bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|b| *b == byte)
}

/// RFC 9110 §5.6.2.
const fn is_token(byte: u8) -> bool {
    matches!(byte, b'!' | b'#'..=b'\'' | b'*' | b'+' | b'-' | b'.' | b'0'..=b'9' | b'A'..=b'Z'
        | b'^'..=b'z' | b'|' | b'~')
}

/// Whether a name is that one, or would be for a reader that takes `_` for `-`, as gateways of the
/// CGI family do.
fn is_alike(name: &[u8], lower: &[u8]) -> bool {
    name.iter()
        .zip(lower)
        .all(|(is, should)| is.eq_ignore_ascii_case(should) || (*is == b'_' && *should == b'-'))
}

fn trimmed(value: &[u8]) -> &[u8] {
    value.trim_ascii()
}

fn expect(value: &[u8]) -> Result<(), Fault> {
    if trimmed(value).eq_ignore_ascii_case(b"100-continue") {
        Ok(())
    } else {
        Err(Fault::Expect)
    }
}

/// A name, an IPv4 address or an IPv6 address in brackets, and perhaps a port.
fn is_host(value: &[u8]) -> bool {
    let (name, port) = match value.iter().rposition(|b| *b == b':') {
        Some(colon) if !value.ends_with(b"]") => {
            let (name, port) = value.split_at(colon);
            (name, port.get(1..))
        }
        _ => (value, None),
    };
    let is_name = match name.strip_prefix(b"[").and_then(|n| n.strip_suffix(b"]")) {
        Some(inner) => {
            !inner.is_empty()
                && inner
                    .iter()
                    .all(|b| b.is_ascii_hexdigit() || b":.".contains(b))
        }
        None => {
            !name.is_empty()
                && name
                    .iter()
                    .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(b))
        }
    };
    let is_port = port
        .is_none_or(|port| (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit));
    is_name && is_port
}

#[cfg(test)]
mod tests;
