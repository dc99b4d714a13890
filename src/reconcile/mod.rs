//! Pure: our own intervals against CloudStack's usage records.
//!
//! `record.rs` reads a record, `window.rs` asks for windows, `compare.rs` finds what differs and
//! why, `correct.rs` says what a finding changes. `sample.rs` and `sampler.rs` take in what the
//! usage server alone counts, window by window.

pub mod compare;
pub mod correct;
pub mod line;
pub mod price;
pub mod pull;
pub mod record;
pub mod sample;
pub mod sampler;
pub mod window;
