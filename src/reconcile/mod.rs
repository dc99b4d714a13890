//! Pure: our own intervals against CloudStack's usage records.
//!
//! `record.rs` reads a record, `window.rs` asks for windows, `compare.rs` finds what differs and
//! why, `correct.rs` says what a finding changes.

pub mod compare;
pub mod correct;
pub mod line;
pub mod price;
pub mod pull;
pub mod record;
pub mod window;
