//! Pure: double entry as a deterministic state machine. Imports `terms` alone.

pub mod chart;
pub mod command;
pub mod records;
