//! Edge: (to be written).

pub mod usage;
