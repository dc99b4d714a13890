//! Edge: a client's connection behind the strict framing of `framing.rs`.
//!
//! Whoever reads from it gets whole heads, and bodies as they come, of messages in the accepted
//! form, and the connection's end where something else follows. What was refused is told to the
//! client after the answers to what was read before.

use super::framing::{Fault, Framing, HEAD_BYTES_MAX, Then};
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

/// How long a client that was refused may go on sending before the connection is cut: closing
/// with unread bytes would reset it, and the refusal could be lost on the way.
const LINGER_MAX: Duration = Duration::from_secs(2);
/// How much of what it sends then is thrown away.
const LINGER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A connection whose bytes are judged before anybody reads them.
#[derive(Debug)]
pub struct Guarded<S> {
    inner: S,
    framing: Framing,
    /// Bytes of a head that is not whole yet, or that did not fit the reader's buffer.
    held: Vec<u8>,
    /// So many of the held bytes are judged and wait for the reader.
    ready: usize,
    over: Over,
}

/// How the connection ends.
#[derive(Debug)]
enum Over {
    /// It goes on.
    No,
    /// Nothing more is read.
    Silent,
    /// The client is told, from that byte of the answer on.
    Told { answer: Vec<u8>, sent: usize },
    /// The answer is out; what still comes is thrown away for a moment.
    Lingers {
        until: Pin<Box<Sleep>>,
        thrown: usize,
    },
    /// Done.
    Yes,
}

impl<S> Guarded<S> {
    /// Puts the guard before a connection on which nothing was read yet.
    pub fn new(inner: S) -> Self {
        Self {
            inner,
            framing: Framing::default(),
            held: Vec::new(),
            ready: 0,
            over: Over::No,
        }
    }

    /// Judges bytes; says how many may go on, and remembers an end.
    fn judge(&mut self, bytes: &[u8]) -> usize {
        let judged = self.framing.judge(bytes);
        match judged.then {
            Then::More => {}
            // Its last message may be passing right now: the end comes with what follows.
            Then::Ended if judged.passed == bytes.len() => {}
            Then::Ended => self.over = Over::Silent,
            Then::Fault(fault) => {
                tracing::debug!(%fault, "a connection was ended for its framing");
                // Within a body the reader answers by itself: its body broke off.
                let in_body = fault == Fault::Chunk;
                let answer = if in_body { Vec::new() } else { fault.answer() };
                self.over = Over::Told { answer, sent: 0 };
            }
        }
        judged.passed
    }

    /// Hands held bytes out that are judged.
    fn give(&mut self, out: &mut ReadBuf<'_>) {
        let length = self.ready.min(out.remaining());
        if let Some(bytes) = self.held.get(..length) {
            out.put_slice(bytes);
        }
        self.held.drain(..length);
        self.ready = self.ready.saturating_sub(length);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            if this.ready > 0 {
                this.give(out);
                return Poll::Ready(Ok(()));
            }
            if !matches!(this.over, Over::No) || out.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let is_ended = if this.held.is_empty() {
                ready!(this.read_through(context, out))?
            } else {
                ready!(this.read_held(context))?
            };
            if is_ended || !out.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

impl<S: AsyncRead + Unpin> Guarded<S> {
    /// Reads straight into the reader's buffer, and takes back an incomplete head. True at the end.
    fn read_through(
        &mut self,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<bool>> {
        let before = out.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, out))?;
        let bytes = out.filled().get(before..).unwrap_or_default();
        if bytes.is_empty() {
            return Poll::Ready(Ok(true));
        }
        let passed = self.judge(bytes);
        let bytes = out.filled().get(before..).unwrap_or_default();
        if matches!(self.over, Over::No) {
            self.held
                .extend_from_slice(bytes.get(passed..).unwrap_or_default());
        }
        out.set_filled(before.saturating_add(passed));
        Poll::Ready(Ok(passed == 0 && !matches!(self.over, Over::No)))
    }

    /// Reads on where a head is not whole. True at the end.
    fn read_held(&mut self, context: &mut Context<'_>) -> Poll<io::Result<bool>> {
        let mut space = [0_u8; 4096];
        let mut more = ReadBuf::new(&mut space);
        ready!(Pin::new(&mut self.inner).poll_read(context, &mut more))?;
        if more.filled().is_empty() {
            // Half a head and then the end: nobody is asked to make sense of it.
            return Poll::Ready(Ok(true));
        }
        // A head's bytes are bounded by the framing; a chunk may stand behind it.
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(more.filled());
        debug_assert!(held.len() <= HEAD_BYTES_MAX.saturating_add(2 * 4096));
        self.ready = self.judge(&held);
        if !matches!(self.over, Over::No) {
            held.truncate(self.ready);
        }
        self.held = held;
        Poll::Ready(Ok(self.ready == 0 && !matches!(self.over, Over::No)))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().inner).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().inner).poll_flush(context)
    }

    /// Tells a refused client why, ends our half, and throws away for a moment what it still sends.
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match &mut this.over {
                Over::No | Over::Silent | Over::Yes => {
                    return Pin::new(&mut this.inner).poll_shutdown(context);
                }
                Over::Told { answer, sent } => {
                    let rest = answer.get(*sent..).unwrap_or_default();
                    if rest.is_empty() {
                        ready!(Pin::new(&mut this.inner).poll_shutdown(context))?;
                        let until = Box::pin(sleep(LINGER_MAX));
                        this.over = Over::Lingers { until, thrown: 0 };
                        continue;
                    }
                    let written = ready!(Pin::new(&mut this.inner).poll_write(context, rest))?;
                    if written == 0 {
                        return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
                    }
                    *sent = sent.saturating_add(written);
                }
                Over::Lingers { until, thrown } => {
                    if until.as_mut().poll(context).is_ready() || *thrown > LINGER_BYTES_MAX {
                        this.over = Over::Yes;
                        return Poll::Ready(Ok(()));
                    }
                    let mut space = [0_u8; 4096];
                    let mut more = ReadBuf::new(&mut space);
                    let read = ready!(Pin::new(&mut this.inner).poll_read(context, &mut more));
                    let length = more.filled().len();
                    if read.is_err() || length == 0 {
                        this.over = Over::Yes;
                        return Poll::Ready(Ok(()));
                    }
                    *thrown = thrown.saturating_add(length);
                }
            }
        }
    }
}
