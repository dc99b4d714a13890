//! The one integration binary: a module per promise.
mod worked_examples;
mod policies;
