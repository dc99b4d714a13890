//! Edge: what operators look at.
//!
//! `views.rs` says what is shown, `source.rs` who answers, `kept.rs` how often the books are
//! read, `dashboard.rs` serves the page in `page/` and its figures, and `metrics.rs` the same
//! figures for a scraper. A running node's answers are `process`'s. Nothing here changes anything.

pub mod views;
pub mod source;
pub mod kept;
pub mod metrics;
pub mod dashboard;
