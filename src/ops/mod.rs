//! Edge: what operators look at.
//!
//! `views.rs` says what is shown, `source.rs` who answers, `dashboard.rs` serves the page in
//! `page/` and its figures, and `metrics.rs` the same figures for a scraper. The answers of a
//! running node are `process`'s. Nothing here changes anything.

pub mod views;
pub mod source;
pub mod metrics;
pub mod dashboard;
