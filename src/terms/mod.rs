//! Pure: the words every other folder is written in: money, time, ids, quantities, bounds.
//!
//! Nothing here knows CloudStack, a tariff or a store.

pub mod ids;
pub mod limits;
pub mod money;
pub mod quantity;
pub mod time;
