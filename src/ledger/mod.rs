//! Pure: double entry as a deterministic state machine. Imports `terms` alone.
//!
//! `command.rs` is what may be asked, `decide.rs` what it does, `refusal.rs` why not, `loaded.rs`
//! the rows between a store and the rules, `verify.rs` what always holds.

pub mod bundle;
pub mod caps;
pub mod chart;
pub mod command;
mod paper;
pub mod decide;
pub mod grants;
pub mod loaded;
pub mod records;
pub mod refusal;
pub mod things;
pub mod touches;
pub mod verify;

pub use command::Command;
pub use decide::decide;
pub use loaded::{Effects, Loaded};
pub use refusal::LedgerRefusal;
