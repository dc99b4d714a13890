//! Edge: (to be written).
