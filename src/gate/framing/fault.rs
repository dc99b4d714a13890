//! Pure: why a connection is ended for its framing, and what its client is told.

use super::{HEAD_BYTES_MAX, HEADERS_MAX};
use crate::terms::limits;

/// Why a connection is ended: what stands there, with the status that the client is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// A line that does not end with CR and LF, or a CR within one.
    #[error("a line must end with CR LF, and nowhere else may either stand")]
    LineEnd,
    /// A request line of another form than `METHOD /target HTTP/1.1`.
    #[error("the request line must be `METHOD /path?query HTTP/1.1` with single spaces")]
    RequestLine,
    /// A target in another form than a path.
    #[error("the target must be a path that begins with `/` and is written in plain ASCII")]
    Target,
    /// A target that no management server would read.
    #[error(
        "the target is over {} bytes; send the parameters as a form with POST",
        limits::HEAD_BYTES_MAX
    )]
    TargetTooLong,
    /// A method longer than any.
    #[error("no such method")]
    Method,
    /// Another version of HTTP.
    #[error("the version must be HTTP/1.1 or HTTP/1.0")]
    Version,
    /// A header line that is folded, nameless, or of characters that no header has.
    #[error("a header must be `Name: value` on one line, without control characters")]
    Header,
    /// More bytes or lines than a head may have.
    #[error("the head is over {HEAD_BYTES_MAX} bytes or {HEADERS_MAX} lines; send less")]
    HeadTooLong,
    /// No `Host`, two, or one that is none.
    #[error("exactly one `Host` of the form name or name:port is needed")]
    Host,
    /// A `Content-Length` that is repeated, a list, signed, padded or no number.
    #[error("`Content-Length` must stand once and be a plain number")]
    Length,
    /// A body over what is read.
    #[error("the body is over {} bytes; send less", limits::BODY_BYTES_MAX)]
    BodyTooLong,
    /// A `Transfer-Encoding` that is repeated, a list, not `chunked`, of HTTP/1.0, or beside a
    /// `Content-Length`.
    #[error("`Transfer-Encoding` must be exactly `chunked`, once, and without `Content-Length`")]
    Coding,
    /// A body where the method has none.
    #[error("this method carries no body; send the parameters in the query, or use POST")]
    BodyOnGet,
    /// An `Expect` that is not `100-continue`.
    #[error("only `100-continue` can be expected")]
    Expect,
    /// A chunk of another form than `SIZE CR LF bytes CR LF`, or a trailer.
    #[error("a chunk must be its size in hex, CR LF, its bytes, CR LF; no extension, no trailer")]
    Chunk,
}

impl Fault {
    /// The status that says it (RFC 9110 §15).
    #[must_use]
    pub const fn status(self) -> u16 {
        match self {
            Self::TargetTooLong => 414,
            Self::HeadTooLong => 431,
            Self::BodyTooLong => 413,
            Self::Expect => 417,
            Self::Method => 501,
            Self::Version => 505,
            _ => 400,
        }
    }

    /// The whole answer in a plain form: it closes the connection.
    #[must_use]
    pub fn answer(self) -> Vec<u8> {
        let reason = match self.status() {
            413 => "Content Too Large",
            414 => "URI Too Long",
            417 => "Expectation Failed",
            431 => "Request Header Fields Too Large",
            501 => "Not Implemented",
            505 => "HTTP Version Not Supported",
            _ => "Bad Request",
        };
        let text = format!("{self}\n");
        format!(
            "HTTP/1.1 {} {reason}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: \
             {}\r\nConnection: close\r\n\r\n{text}",
            self.status(),
            text.len()
        )
        .into_bytes()
    }
}
