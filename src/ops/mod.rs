//! Edge: what operators look at.
//!
//! `views.rs` says what is shown, `source.rs` who answers, `dashboard.rs` serves the page and its
//! figures, `metrics.rs` the same figures for a scraper, and `books.rs` reads them from the
//! store. Nothing here changes anything.

pub mod views;
pub mod source;
pub mod metrics;
pub mod dashboard;
