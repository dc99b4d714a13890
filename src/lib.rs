//! Edge: the table of contents of Faregate, in the order the data flows.
//!
//! ```text
//! words & rules (pure)   terms  cloudstack  policy  rate  ledger
//! the money in motion    cover  notice
//! the request            gate   →  meter
//! the month              reconcile  →  bill
//! people                 ops  cli
//! the world              store  counters  upstream  config  process  (clock, telemetry, crash)
//! a stand-in             sandbox
//! ```
//!
//! Start with `gate/line.rs` (one call), `cover/line.rs` (one renewal), `bill/line.rs` (one month).

// One call is one future, from its connection to the store: deeper than the compiler's own bound.
#![recursion_limit = "256"]

pub mod terms;
pub mod cloudstack;
pub mod policy;
pub mod rate;
pub mod ledger;

pub mod cover;
pub mod notice;
pub mod gate;
pub mod meter;

pub mod reconcile;
pub mod bill;

pub mod ops;
pub mod cli;

pub mod store;
pub mod counters;
pub mod upstream;
pub mod config;
pub mod process;
pub mod clock;
pub mod telemetry;
pub mod crash;

pub mod sandbox;
