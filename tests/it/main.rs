//! The one integration binary: a module per promise.
mod recorded_requests;
