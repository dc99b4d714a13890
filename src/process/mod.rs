//! Edge: roles, wiring, signals, drain: the only place that knows all the others.

pub mod bundles;
mod certificates;
mod figures;
mod grants;
pub mod front;
pub mod handover;
pub mod hardening;
pub mod commands;
mod away;
pub mod ladder;
pub mod months;
pub mod samples;
pub mod page;
pub mod payers;
pub mod console;
mod decide;
pub mod reload;
pub mod rotation;
mod explain;
pub mod offline;
mod scopes;
pub mod serve;
pub mod sockets;
pub mod wiring;
