//! Edge: the way to the management servers: connections, exchanges, and our own signed calls.
//!
//! Nothing here decides anything: it sends what it is given and says how far it got.

pub mod exchange;

/// How far a request got when something went wrong. Only `NotSent` may be tried again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sent {
    /// No byte went out.
    NotSent,
    /// Bytes went out; whether CloudStack ran the command is not known.
    Unknown,
}

/// A management server could not be asked, or gave no readable answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("management server {server}: {what}")]
pub struct UpstreamError {
    /// Which server, host and port.
    pub server: String,
    /// What happened.
    pub what: String,
    /// How far the request got.
    pub sent: Sent,
}
pub mod directory;
pub mod servers;
pub mod service;
