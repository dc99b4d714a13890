//! Edge: a stand-in for a CloudStack, good enough for clients, the gate and a month's bill.
//!
//! `server.rs` listens; `auth.rs` says who calls; `commands.rs` sends a call to its command in
//! `identity.rs`, `lists.rs`, `machines.rs`, `volumes.rs`, `networks.rs`, `limits.rs`;
//! `jobs.rs` ends what runs on; `usage_log.rs` feeds `usage/`; `answer.rs` writes.

pub mod answer;
pub mod auth;
mod commands;
mod identity;
mod jobs;
mod limits;
mod lists;
mod machines;
mod networks;
pub mod server;
pub mod state;
pub mod usage;
mod usage_log;
mod volumes;

pub use server::{SandboxError, SandboxOptions, serve};
