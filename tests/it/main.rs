//! The one integration binary: a module per promise.
mod recorded_requests;

mod ledger_events;
mod store;
mod store_crash;
mod lifecycle;
mod usage_server;
mod month;
