//! Edge: the body of an answer: bytes of our own, or CloudStack's as they stream in.

use crate::crash::{self, Point};
use crate::upstream::exchange::Connections;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// What the client gets as a body.
#[derive(Debug)]
pub enum AnswerBody {
    /// Bytes that we hold.
    Whole(Option<Bytes>),
    /// Bytes as they come; the connection is given back with the last of them.
    Streamed {
        /// CloudStack's body.
        body: Incoming,
        /// The connection that it comes over, until it is given back.
        sender: Option<SendRequest<Full<Bytes>>>,
        /// The list that the connection belongs to.
        connections: Arc<Connections>,
    },
}

impl AnswerBody {
    /// A body of our own.
    #[must_use]
    pub fn whole(bytes: impl Into<Bytes>) -> Self {
        Self::Whole(Some(bytes.into()))
    }

    /// CloudStack's body over this connection. One that is empty gives the connection back at once,
    /// for nobody will ask it for bytes.
    #[must_use]
    pub fn streamed(
        body: Incoming,
        sender: SendRequest<Full<Bytes>>,
        connections: Arc<Connections>,
    ) -> Self {
        let sender = if body.is_end_stream() {
            connections.keep(sender);
            None
        } else {
            Some(sender)
        };
        Self::Streamed {
            body,
            sender,
            connections,
        }
    }
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Whole(bytes) => {
                crash::pass(Point::ReplyBody);
                Poll::Ready(
                    bytes
                        .take()
                        .filter(|b| !b.is_empty())
                        .map(|b| Ok(Frame::data(b))),
                )
            }
            Self::Streamed {
                body,
                sender,
                connections,
            } => {
                let polled = Pin::new(&mut *body).poll_frame(context);
                // A server that knows the length drops the body after its last byte and never
                // asks for the end.
                let last = match &polled {
                    Poll::Ready(None) => true,
                    Poll::Ready(Some(Ok(_))) => body.is_end_stream(),
                    Poll::Ready(Some(Err(_))) | Poll::Pending => false,
                };
                if last && let Some(sender) = sender.take() {
                    connections.keep(sender);
                }
                polled
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(bytes) => bytes.as_ref().is_none_or(Bytes::is_empty),
            // Open for as long as it has the connection.
            Self::Streamed { sender, .. } => sender.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => {
                SizeHint::with_exact(bytes.as_ref().map_or(0, |b| b.len() as u64))
            }
            Self::Streamed { body, .. } => body.size_hint(),
        }
    }
}
