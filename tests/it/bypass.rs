//! No request is run as something else than what was judged.

pub mod bed;
