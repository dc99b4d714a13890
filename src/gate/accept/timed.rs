//! Edge: a connection's bytes under time bounds: idle, a head that dribbles, a reader that stalls.
//!
//! Whoever answers a request says so by [`Phase`]: while a call is under way nothing is timed here
//! but writing, for an answer may take CloudStack an hour.

use super::frames::Frames;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// A head that takes longer is cut.
pub const HEAD_MAX: Duration = Duration::from_secs(10);
/// A kept connection without a request is closed.
pub const IDLE_MAX: Duration = Duration::from_secs(60);
/// A client that takes none of its answer for so long is cut.
pub const WRITE_STALL_MAX: Duration = Duration::from_secs(30);

const IDLE: u64 = 0;
const HEAD: u64 = 1;
const BUSY: u64 = 2;
const ANSWERING: u64 = 3;
const KINDS: u64 = 4;

/// What a connection waits for. Counts up, so that two idle times are told apart.
#[derive(Debug)]
pub struct Phase(AtomicU64);

impl Phase {
    /// A connection that has to show a head soon.
    #[must_use]
    pub fn fresh() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(HEAD)))
    }

    /// A call is under way.
    pub fn busy(&self) {
        self.turn(BUSY);
    }

    /// Its answer is there, and goes out.
    pub fn answering(&self) {
        self.turn(ANSWERING);
    }

    /// Whether there has been no call yet.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.now() == HEAD
    }

    /// Whether the client waits for us, or for CloudStack.
    #[must_use]
    pub fn waits_for_us(&self) -> bool {
        self.now() % KINDS == BUSY
    }

    /// The call ended; the next may come.
    pub fn idle(&self) {
        self.turn(IDLE);
    }

    fn turn(&self, kind: u64) {
        let turns = self.0.load(Ordering::Relaxed) / KINDS;
        let next = turns.wrapping_add(1).wrapping_mul(KINDS);
        self.0.store(next.wrapping_add(kind), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How long a connection may keep us waiting.
#[derive(Clone, Copy, Debug)]
struct Patience {
    head: Duration,
    idle: Duration,
    stall: Duration,
}

const PATIENCE: Patience = Patience {
    head: HEAD_MAX,
    idle: IDLE_MAX,
    stall: WRITE_STALL_MAX,
};

/// A stream under time bounds.
#[derive(Debug)]
pub struct Timed<S> {
    inner: S,
    patience: Patience,
    phase: Arc<Phase>,
    frames: Option<(Frames, Instant)>,
    reading: Option<(u64, Pin<Box<Sleep>>)>,
    writing: Option<Pin<Box<Sleep>>>,
}

impl<S> Timed<S> {
    /// An HTTP/1.1 connection.
    pub const fn new(inner: S, phase: Arc<Phase>) -> Self {
        Self {
            inner,
            patience: PATIENCE,
            phase,
            frames: None,
            reading: None,
            writing: None,
        }
    }

    /// An HTTP/2 connection: its frames are counted, its idle time is not watched here.
    pub fn framed(inner: S, phase: Arc<Phase>) -> Self {
        phase.busy();
        Self {
            frames: Some((Frames::default(), Instant::now())),
            ..Self::new(inner, phase)
        }
    }

    /// Whether the client was given its time for what it has to send.
    fn late(&mut self, context: &mut Context<'_>) -> bool {
        let phase = self.phase.now();
        let patience = match phase % KINDS {
            IDLE => self.patience.idle,
            HEAD => self.patience.head,
            _ => {
                self.reading = None;
                return false;
            }
        };
        let armed = self.reading.take().filter(|(armed, _)| *armed == phase);
        let (_, mut timer) =
            armed.unwrap_or_else(|| (phase, Box::pin(tokio::time::sleep(patience))));
        let late = timer.as_mut().poll(context).is_ready();
        self.reading = Some((phase, timer));
        late
    }

    /// A write that waits: fails once the client took nothing for too long.
    fn stalled<T>(
        &mut self,
        context: &mut Context<'_>,
        written: Poll<std::io::Result<T>>,
    ) -> Poll<std::io::Result<T>> {
        if written.is_ready() {
            self.writing = None;
            return written;
        }
        let patience = self.patience.stall;
        let timer = self
            .writing
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(patience)));
        ready!(timer.as_mut().poll(context));
        Poll::Ready(Err(cut("the client takes none of its answer")))
    }

    fn count_received(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        let Some((frames, since)) = &mut self.frames else {
            return Ok(());
        };
        frames
            .received(bytes, since.elapsed().as_secs())
            .map_err(std::io::Error::other)
    }
}

fn cut(why: &'static str) -> std::io::Error {
    std::io::Error::new(std::io::ErrorKind::TimedOut, why)
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let before = into.filled().len();
        match Pin::new(&mut this.inner).poll_read(context, into) {
            Poll::Ready(Ok(())) => {
                let bytes = into.filled().get(before..).unwrap_or_default();
                if !bytes.is_empty() && this.phase.now() % KINDS == IDLE {
                    this.phase.turn(HEAD);
                }
                let counted = this.count_received(bytes);
                if counted.is_err() {
                    into.set_filled(before);
                }
                Poll::Ready(counted)
            }
            Poll::Ready(Err(fault)) => Poll::Ready(Err(fault)),
            Poll::Pending if this.late(context) => Poll::Ready(Err(cut("no request came in time"))),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write(context, bytes);
        if let (Poll::Ready(Ok(written)), Some((frames, _))) = (&written, &mut this.frames) {
            frames.sent(*written);
        }
        this.stalled(context, written)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.inner).poll_write_vectored(context, parts);
        if let (Poll::Ready(Ok(written)), Some((frames, _))) = (&written, &mut this.frames) {
            frames.sent(*written);
        }
        this.stalled(context, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let flushed = Pin::new(&mut this.inner).poll_flush(context);
        this.stalled(context, flushed)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let closed = Pin::new(&mut this.inner).poll_shutdown(context);
        this.stalled(context, closed)
    }
}

#[cfg(test)]
mod tests;
