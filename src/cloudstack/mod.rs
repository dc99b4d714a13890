//! Pure: the API as CloudStack defines it; the only folder that knows its dialect.
//!
//! Nothing here knows money, a policy or a socket.

pub mod tree;
pub mod usage_type;
pub mod query;
pub mod signature;
pub mod envelope;
pub mod async_job;
pub mod command;
pub mod live;
pub mod login;
pub mod time;
pub mod xml;
