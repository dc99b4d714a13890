//! Edge: one call, from bytes to answer: verified, priced, paid for or refused, forwarded once.
//!
//! Start in `line.rs`. Every stage that it calls is a file of its own.

pub mod parse;
pub mod authenticate;
pub mod balance;
pub mod session_key;
pub mod session;
pub mod refusal;
pub mod respond;
pub mod classify;
pub mod typed;
pub mod plan;
pub mod keys;
pub mod ask;
pub mod whose;
pub mod page_path;
pub mod pages;
pub mod dearest;
pub mod told;
mod doubt;
pub mod body;
pub mod wire;
pub mod resend;
pub mod forward;
pub mod reserve;
pub mod line;
mod admit;
pub mod explain;
mod observe;
mod limit;
mod budget;
mod kept;
pub mod bundle;
mod claim;
mod estimate;
mod outcome;
mod promise;
mod wholesale;
mod undo;
pub mod away;
mod raise;
mod recall;
pub mod framing;
pub mod guarded;
pub mod accept;
