//! Edge: what a person runs: each command's file reads its arguments and prints its findings.

pub mod month;
pub mod replay_lifecycle;
pub mod replay_requests;
