//! The one integration binary: a module per promise.

mod ledger_events;
mod store;
mod store_crash;
