//! Pure: what runs, since when, and for whom: from calls and their answers to intervals.
//!
//! The request line hands over what CloudStack said; nothing here looks back at the gate.
//! `observe.rs` reads one answer, `inventory.rs` keeps what runs, `spend.rs` prices it.

pub mod attributes_text;
pub mod commitment;
pub mod counting;
pub mod inventory;
pub mod observe;
pub mod resource;
pub mod rule_text;
mod running;
pub mod spend;
pub mod line;
pub mod moved;
mod in_flight;
pub mod follow;
pub mod planned;
pub mod kinds;
pub mod sweep;
