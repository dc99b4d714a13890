//! Edge: (to be written).
pub mod replay_requests;
//! Edge: what a person runs: each command's file reads its arguments and prints its findings.

pub mod replay_lifecycle;
