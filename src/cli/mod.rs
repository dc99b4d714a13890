//! Edge: (to be written).

pub mod replay_requests;
pub mod replay_lifecycle;
