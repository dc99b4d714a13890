//! Edge: `/explain` of the operators' socket: what would happen to a call, by the running gate.

use super::wiring::Product;
use crate::gate::explain::{As, Explanation, explain};
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
    json: Option<bool>,
}

/// Answers in lines of text, or in JSON.
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
        Ok(told) => (StatusCode::OK, shown(&told, question.json == Some(true))),
        Err(why) => (StatusCode::BAD_REQUEST, format!("{why}\n")),
    }
}

/// An explanation for people, or for programs.
pub(super) fn shown(told: &Explanation, json: bool) -> String {
    let text = match json {
        true => serde_json::to_string_pretty(told).unwrap_or_default(),
        false => told.lines().join("\n"),
    };
    format!("{text}\n")
}
