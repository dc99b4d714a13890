//! Pure: the stand-in's usage server: events in, records out, by CloudStack's own rules.
//!
//! `event.rs` is what goes in, `tables.rs` the helper tables, `record.rs` the records of a window,
//! `traffic.rs` those of bytes, which no event tells,
//! `answer.rs` what `listUsageRecords` and `listUsageTypes` say of them.

pub mod answer;
pub mod event;
pub mod record;
pub mod tables;
pub mod traffic;
