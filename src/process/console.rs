//! Edge: what operators see and do: the page's source, and money that comes in by hand.

use super::page::FromBooks;
use super::wiring::Product;
use crate::ledger::Command;
use crate::ledger::command::TopUp;
use crate::ledger::records::Purse;
use crate::ops::dashboard;
use crate::store::Work;
use crate::terms::ids::PayerId;
use crate::terms::money::Micros;
use axum::Router;
use axum::extract::{Form, Request, State};
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use serde::Deserialize;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;

/// Serves operators until told to stop.
pub async fn serve(product: Arc<Product>, listener: TcpListener, mut stop: watch::Receiver<bool>) {
    let router = Router::new()
        .route("/top-ups", post(top_up))
        .route("/grants", post(super::grants::answer))
        .route("/explain", post(super::explain::answer))
        .route("/unresolved", post(super::decide::answer))
        .route("/clock/resume", post(resume))
        .route("/accrued-through", get(accrued_through))
        .layer(axum::middleware::from_fn(from_this_page))
        .with_state(product.clone())
        .merge(dashboard::router(Arc::new(FromBooks(product))));
    let stopped = async move {
        let _ = stop.changed().await;
    };
    if let Err(fault) = axum::serve(listener, router)
        .with_graceful_shutdown(stopped)
        .await
    {
        tracing::error!(verb = "ops", %fault, "the operators' socket ended");
    }
}

/// Whatever changes something is refused where a browser says that another site asks for it.
async fn from_this_page(request: Request, next: Next) -> Response {
    let head = request.headers();
    let told = |name: &str| head.get(name).and_then(|value| value.to_str().ok());
    let host = told("host").unwrap_or_default();
    let same_site =
        told("sec-fetch-site").is_none_or(|site| matches!(site, "same-origin" | "none"));
    let same_origin = told("origin").is_none_or(|origin| {
        let origin = origin
            .strip_prefix("http://")
            .or(origin.strip_prefix("https://"));
        origin == Some(host)
    });
    if request.method() != Method::GET && !(same_site && same_origin) {
        let why = "another site's page may not ask for this; use the operators' page itself\n";
        return (StatusCode::FORBIDDEN, why).into_response();
    }
    next.run(request).await
}

/// Serves the figures alone until told to stop.
pub async fn serve_figures(
    product: Arc<Product>,
    listener: TcpListener,
    stop: watch::Receiver<bool>,
) {
    let router = dashboard::figures(Arc::new(FromBooks(product)));
    if let Err(fault) = dashboard::serve(listener, router, stop).await {
        tracing::error!(verb = "ops", %fault, "the figures' socket ended");
    }
}

/// A payment that came in: `payer`, `amount`, and the provider's name of it.
#[derive(Deserialize)]
struct Payment {
    payer: String,
    amount: String,
    id: String,
    #[serde(default = "by_hand")]
    provider: String,
}

fn by_hand() -> String {
    "manual".to_owned()
}

async fn top_up(
    State(product): State<Arc<Product>>,
    Form(payment): Form<Payment>,
) -> (StatusCode, String) {
    let amount: Micros = match payment.amount.parse() {
        Ok(amount) => amount,
        Err(fault) => return (StatusCode::BAD_REQUEST, format!("{fault}\n")),
    };
    match credit(
        &product,
        &payment.payer,
        amount,
        &payment.id,
        &payment.provider,
    )
    .await
    {
        Ok(available) => (StatusCode::OK, format!("{available}\n")),
        Err(fault) => (StatusCode::CONFLICT, format!("{fault}\n")),
    }
}

/// Credits a payment; twice under one id is once. Gives what is available then.
///
/// # Errors
/// What the books say.
pub async fn credit(
    product: &Product,
    payer: &str,
    amount: Micros,
    id: &str,
    provider: &str,
) -> anyhow::Result<Micros> {
    let payer = PayerId::from(payer);
    let command = Command::TopUp(TopUp {
        id: id.to_owned(),
        payer: payer.clone(),
        amount,
        provider: provider.to_owned(),
        tax: None,
        paper: None,
        reference: None,
        at: product.clock.billing(),
    });
    product.store.submit(Work::of(command)).await?;
    let state = product.store.payer(&payer).await?;
    Ok(state
        .map(|state| state.purse(Purse::Available))
        .unwrap_or_default())
}

async fn resume(State(product): State<Arc<Product>>) -> &'static str {
    product.renewals.resume();
    "renewals go on\n"
}

/// The instant up to which every payer's consumption has accrued, in microseconds: a payer for
/// whom nothing runs does not lag.
async fn accrued_through(State(product): State<Arc<Product>>) -> (StatusCode, String) {
    let lagging = async {
        let now = product.clock.billing();
        let mut through = now;
        for state in product.store.payers().await? {
            let open = product.store.open_intervals(Some(&state.payer)).await?;
            let due = state.accrued_through.plus(2 * crate::terms::time::HOUR) < now;
            if !open.is_empty() && due {
                through = through.min(state.accrued_through);
            }
        }
        Ok::<_, crate::store::StoreError>(through)
    };
    match lagging.await {
        Ok(through) => (StatusCode::OK, through.micros().to_string()),
        Err(fault) => (StatusCode::SERVICE_UNAVAILABLE, fault.to_string()),
    }
}
