//! Edge: (to be written).
pub mod replay_requests;
