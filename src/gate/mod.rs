//! Edge: one call, from bytes to answer: verified, priced, paid for or refused, forwarded once.
//!
//! Start in `line.rs`. Every stage that it calls is a file of its own.

pub mod parse;
pub mod authenticate;
pub mod refusal;
pub mod respond;
