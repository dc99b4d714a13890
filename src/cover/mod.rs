//! Pure: the money in motion: renewals, covers, forecasts, the end ladder, holds' outcomes.
//!
//! `rate` gives amounts and `ledger` applies them; the files here decide which, and when.

#[allow(
    clippy::module_inception,
    reason = "the file about the cover in the room about covers"
)]
pub mod cover;
pub mod caps;
pub mod episode;
pub mod forecast;
pub mod ladder;
pub mod preview;
pub mod retention;
pub mod settle;
pub mod window;
pub mod act;
pub mod actor;
pub mod climb;
pub mod line;
mod trust;
pub mod windows;
mod tell;

#[cfg(test)]
mod tests;
