//! Pure: the rules as an operator wrote them, checked: sellers, customers, prices, terms, access.
//!
//! `shape` is the TOML as written, `check` turns it into a [`customer::RuleSet`] or names every
//! fault at once. Nothing here multiplies a price: that is `rate`.

pub mod access;
pub mod admission;
pub mod caps;
pub mod check;
pub mod commitment;
pub mod condition;
pub mod customer;
pub mod ending;
pub mod mode;
pub mod limits;
pub mod prepaid;
pub mod shape;
pub mod table;
pub mod tariff;
pub mod variable;
mod faults;
mod books;
mod contact;
pub mod store_away;
mod wholesale;
