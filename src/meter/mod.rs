//! Pure: what runs, since when, and for whom: from calls and their answers to intervals.
//!
//! The request line hands over what CloudStack said; nothing here looks back at the gate.

pub mod resource;
