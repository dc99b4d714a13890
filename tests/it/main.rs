//! The one integration binary: a module per promise.
mod lifecycle;
mod usage_server;
