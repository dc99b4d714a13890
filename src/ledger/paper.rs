//! Pure: what a document comes to, by tax and by class of revenue.

use crate::terms::money::Micros;

/// One tax of a document or an advance.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TaxAmount {
    /// Country and rate: `DE.19`.
    pub tax: String,
    /// How much.
    pub amount: Micros,
}

/// One class of revenue of a document.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RevenueAmount {
    /// The class: `compute`, `storage` …
    pub class: String,
    /// Net.
    pub amount: Micros,
}
