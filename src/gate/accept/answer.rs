//! Edge: an answer on its way to the client: whether it goes on, and that it ended.

use super::timed::Phase;
use crate::clock::Clock;
use crate::gate::body::AnswerBody;
use crate::gate::resend::Delivery;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// A client that takes none of an answer for so long stalls it.
pub const STALL_MAX: Duration = super::timed::WRITE_STALL_MAX;
/// Bytes of one piece of an answer over HTTP/2: what waits for the client's window is no more.
const PIECE_BYTES_MAX: usize = 16 * 1024;
/// An answer that went out so long ago on a connection that still lives has arrived.
const ARRIVED: Duration = Duration::from_secs(60);
/// Answers of one connection whose arrival is not known.
const UNKNOWN_MAX: usize = 256;

/// Where a call of a connection stands.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// We, or CloudStack, have to go on.
    Ours,
    /// The client has to take what lies ready since then.
    Theirs(Instant),
}

/// The calls of one HTTP/2 connection, each on a stream of its own.
#[derive(Debug)]
pub struct Streams {
    clock: Clock,
    body_bytes: Arc<AtomicUsize>,
    inner: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    serial: u64,
    steps: HashMap<u64, Step>,
    quiet_since: Instant,
    answered: VecDeque<(Instant, Delivery)>,
}

/// What a connection's calls do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Calls that wait for us or for CloudStack.
    pub ours: usize,
    /// Calls that wait for the client, and not for too long.
    pub theirs: usize,
    /// Calls whose client takes nothing.
    pub stalled: usize,
    /// How long there has been no call, or no other than stalled ones.
    pub quiet: Duration,
    /// Whether there has been a call at all.
    pub used: bool,
}

/// One call of an HTTP/2 connection; dropped when its stream ends.
#[derive(Debug)]
pub struct Stream {
    streams: Arc<Streams>,
    id: u64,
    delivery: Option<Delivery>,
    ended: bool,
}

impl Streams {
    /// No call yet.
    #[must_use]
    pub fn new(clock: Clock) -> Arc<Self> {
        let open = Open {
            serial: 0,
            steps: HashMap::new(),
            quiet_since: clock.monotonic(),
            answered: VecDeque::new(),
        };
        Arc::new(Self {
            clock,
            body_bytes: Arc::default(),
            inner: Mutex::new(open),
        })
    }

    /// A call begins.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> Stream {
        let mut open = self.open();
        open.serial = open.serial.saturating_add(1);
        let id = open.serial;
        open.steps.insert(id, Step::Ours);
        Stream {
            streams: self.clone(),
            id,
            delivery: None,
            ended: false,
        }
    }

    /// How its calls stand now; answers that must have arrived by now count as arrived.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let now = self.clock.monotonic();
        let mut open = self.open();
        let mut standing = Standing {
            ours: 0,
            theirs: 0,
            stalled: 0,
            quiet: Duration::ZERO,
            used: open.serial > 0,
        };
        for step in open.steps.values() {
            match step {
                Step::Ours => standing.ours = standing.ours.saturating_add(1),
                Step::Theirs(since) if now.duration_since(*since) >= STALL_MAX => {
                    standing.stalled = standing.stalled.saturating_add(1);
                }
                Step::Theirs(_) => standing.theirs = standing.theirs.saturating_add(1),
            }
        }
        if open.steps.is_empty() {
            standing.quiet = now.duration_since(open.quiet_since);
        }
        let arrived = |at: &Instant| now.duration_since(*at) >= ARRIVED;
        while open.answered.front().is_some_and(|(at, _)| arrived(at)) {
            open.arrived();
        }
        standing
    }

    /// The connection ended well: what was answered has arrived.
    pub fn ended_well(&self) {
        let mut open = self.open();
        while !open.answered.is_empty() {
            open.arrived();
        }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    fn arrived(&mut self) {
        if let Some((_, delivery)) = self.answered.pop_front() {
            delivery.done();
        }
    }
}

impl Stream {
    /// What the bodies of this connection's calls hold together.
    #[must_use]
    pub fn body_bytes(&self) -> Arc<AtomicUsize> {
        self.streams.body_bytes.clone()
    }

    /// The answer to watch is there.
    pub fn answers(&mut self, delivery: Option<Delivery>) {
        self.delivery = delivery;
        self.step(Step::Theirs(self.streams.clock.monotonic()));
    }

    fn step(&self, step: Step) {
        self.streams.open().steps.insert(self.id, step);
    }
}

impl Drop for Stream {
    /// A stream that ended with its last byte is answered, though not yet surely heard; one that
    /// the client reset is not, and its delivery says so by being dropped.
    fn drop(&mut self) {
        let now = self.streams.clock.monotonic();
        let mut open = self.streams.open();
        open.steps.remove(&self.id);
        if open.steps.is_empty() {
            open.quiet_since = now;
        }
        if let (true, Some(delivery)) = (self.ended, self.delivery.take()) {
            if open.answered.len() >= UNKNOWN_MAX {
                open.arrived();
            }
            open.answered.push_back((now, delivery));
        }
    }
}

/// Who is told of an answer's course.
#[derive(Debug)]
pub enum Watch {
    /// The one call of an HTTP/1.1 connection.
    First(Arc<Phase>),
    /// A stream of an HTTP/2 connection.
    Second(Stream),
}

impl Watch {
    /// The answer is there, and goes out.
    pub fn answering(&self) {
        if let Self::First(phase) = self {
            phase.answering();
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        if let Self::First(phase) = self {
            phase.idle();
        }
    }
}

/// An answer's body under watch.
#[derive(Debug)]
pub struct Watched {
    body: AnswerBody,
    rest: Option<Bytes>,
    watch: Watch,
}

impl Watched {
    /// Watches a body.
    #[must_use]
    pub fn new(body: AnswerBody, watch: Watch) -> Self {
        let mut watched = Self {
            body,
            rest: None,
            watch,
        };
        watched.note_end();
        watched
    }

    fn note_end(&mut self) {
        let ended = self.is_end_stream();
        if let Watch::Second(stream) = &mut self.watch
            && ended
        {
            stream.ended = true;
        }
    }

    /// A piece of what is there, at most so long as may wait for a client's window.
    fn piece(&mut self, mut data: Bytes) -> Frame<Bytes> {
        if data.len() > PIECE_BYTES_MAX {
            self.rest = Some(data.split_off(PIECE_BYTES_MAX));
        }
        Frame::data(data)
    }
}

impl Body for Watched {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let polled = match this.rest.take() {
            Some(rest) => Poll::Ready(Some(Ok(Frame::data(rest)))),
            None => Pin::new(&mut this.body).poll_frame(context),
        };
        let Watch::Second(stream) = &mut this.watch else {
            return polled;
        };
        match polled {
            Poll::Pending => {
                stream.step(Step::Ours);
                Poll::Pending
            }
            Poll::Ready(None) => {
                stream.ended = true;
                Poll::Ready(None)
            }
            Poll::Ready(Some(Err(fault))) => Poll::Ready(Some(Err(fault))),
            Poll::Ready(Some(Ok(frame))) => {
                stream.step(Step::Theirs(stream.streams.clock.monotonic()));
                let frame = match frame.into_data() {
                    Ok(data) => this.piece(data),
                    Err(trailers) => trailers,
                };
                this.note_end();
                Poll::Ready(Some(Ok(frame)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        // What is left of a piece is counted by no one: the exact length is known at the start.
        match &self.rest {
            None => self.body.size_hint(),
            Some(_) => SizeHint::default(),
        }
    }
}
