//! The one integration binary: a module per promise.
#![allow(clippy::unwrap_used, reason = "a test stops where it must not go on")]
mod campaign;
mod recorded_requests;
mod wire;
mod command_table;
mod plans;
mod worked_examples;
mod policies;

mod ledger_events;
mod store;
mod store_crash;
mod lifecycle;
mod sandbox;
mod sandbox_faults;
mod sandbox_life;
mod sandbox_recorded;
mod sandbox_world;
mod usage_server;
mod month;
mod ops_page;
mod stage;
mod demo;
mod race;
mod resend;
mod kill;
mod clients_live;
mod kept_connections;
mod bypass;
mod oracle;
mod smuggle;
