//! Pure: the month as a document: invoices, credit notes, statements; numbers and posting are
//! the ledger's, looks are `render`'s.

pub mod credit_note;
pub mod document;
pub mod due;
pub mod invoice;
pub mod line;
pub mod render;
pub mod statement;

#[cfg(test)]
mod tests;
