//! Edge: what a person runs: each command's file reads its arguments and prints its findings.
//! Edge: (to be written).

pub mod replay_requests;
pub mod replay_lifecycle;
pub mod replay_requests;
