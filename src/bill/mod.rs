//! Pure: the month as a document: invoices, credit notes, statements; numbers and posting are
//! the ledger's, looks are `render`'s.

pub mod credit_note;
pub mod invoice;
pub mod statement;

#[cfg(test)]
mod tests;
