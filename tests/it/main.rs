//! The one integration binary: a module per promise.
mod recorded_requests;
mod lifecycle;
mod sandbox;
mod usage_server;
