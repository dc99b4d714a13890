//! The one integration binary: a module per promise.
mod recorded_requests;
mod command_table;
mod worked_examples;
mod policies;

mod ledger_events;
mod store;
mod store_crash;
mod lifecycle;
mod sandbox;
mod usage_server;
mod month;
mod ops_page;
