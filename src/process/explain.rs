//! Edge: `/explain` of the operators' socket: what would happen to a call, by the running gate.

use super::wiring::Product;
use crate::gate::explain::{As, explain};
use axum::Form;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Deserialize;
use std::net::IpAddr;
use std::sync::Arc;

/// The question: `call` is the query of an API call, unsigned.
#[derive(Deserialize)]
pub(super) struct Question {
    call: String,
    key: Option<String>,
    account: Option<String>,
    address: Option<IpAddr>,
}

/// Answers in lines of text.
pub(super) async fn answer(
    State(product): State<Arc<Product>>,
    Form(question): Form<Question>,
) -> (StatusCode, String) {
    let who = match (question.key, question.account) {
        (Some(key), _) => As::Key(key),
        (None, Some(id)) => As::Account(id),
        (None, None) => As::Nobody,
    };
    match explain(&product.gate, &question.call, &who, question.address).await {
        Ok(lines) => (StatusCode::OK, format!("{}\n", lines.join("\n"))),
        Err(why) => (StatusCode::BAD_REQUEST, format!("{why}\n")),
    }
}
