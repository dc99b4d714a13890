//! The one integration binary: a module per promise.

mod store;
mod store_crash;
