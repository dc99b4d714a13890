//! Edge: a stand-in for a CloudStack management server, with its own usage server.
//!
//! `server.rs` listens, `exchange.rs` reads a request and writes its answer, `auth.rs` says who
//! calls, `commands/` does what is asked, `finish/` does the second half of jobs, `views/` shows
//! the rows, `save.rs` keeps them. It plays faults on request (`control.rs`). Where it differs
//! from a real server is listed in `tests/sandbox-deviations.md`.
//!
//! Its rows are the form of its file, so what touches them is of the edge, though only `server.rs`,
//! `exchange.rs` and `save.rs` touch the world.

pub mod auth;
pub mod call;
pub mod catalogue;
pub mod cloud;
pub mod commands;
pub mod further;
pub mod control;
pub mod exchange;
pub mod finish;
pub mod fixed;
pub mod limits;
pub mod records;
mod pages;
pub mod refused;
pub mod save;
pub mod seed;
pub mod server;
pub mod session;
pub mod table;
pub mod usage;
pub mod usage_log;
pub mod views;
pub mod work;
pub mod write;

pub use server::{SandboxError, SandboxOptions, serve};
