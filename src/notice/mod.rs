//! Pure: notices on their way to customers: by mail, by webhook, and on the operators' page.
//!
//! `text.rs` says what a notice says and to whom it goes, `signing.rs` signs a webhook's body,
//! `outbox.rs` takes what is due and marks what became of it, `mail.rs` and `webhook.rs` send.

pub mod text;
pub mod signing;
pub mod mail;
pub mod webhook;
pub mod outbox;
