//! Edge: the operators' page and the figures that it draws, over HTTP. Reads only.
//!
//! The page is three embedded files; the browser may load nothing else and run nothing that
//! stands in the markup. No answer allows another origin to read it.

use super::kept::Kept;
use super::metrics;
use super::source::OpsSource;
use super::views::LiveView;
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Json, Redirect, Response};
use axum::routing::get;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::watch;

const PAGE: &str = include_str!("page/page.html");
const STYLE: &str = include_str!("page/page.css");
const SCRIPT: &str = include_str!("page/page.js");

/// How old a reading is, in milliseconds.
const AGE: HeaderName = HeaderName::from_static("x-age-ms");
/// What the page may load and do.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; \
     frame-ancestors 'none'; require-trusted-types-for 'script'";
/// A document has its style within and does nothing.
const DOCUMENT_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";
/// Longest search that is looked for, in characters.
const SEARCH_MAX: usize = 100;
/// The books must answer within this for the node to count as healthy.
const HEALTH_PATIENCE: Duration = Duration::from_secs(5);

type Source = Arc<Kept>;

/// The page over a source.
pub fn router(source: Arc<dyn OpsSource>) -> Router {
    Router::new()
        .route("/", get(page))
        .route("/page.css", get(style))
        .route("/page.js", get(script))
        .route("/live.json", get(live))
        .route("/meters.json", get(meters))
        .route("/invoices.json", get(documents))
        .route("/invoices", get(|| async { Redirect::to("/#documents") }))
        .route("/invoices/{file}", get(document))
        .route("/healthz", get(health))
        .route("/metrics", get(scrape))
        .with_state(Arc::new(Kept::new(source)))
}

/// The figures alone, and whether the node answers.
pub fn figures(source: Arc<dyn OpsSource>) -> Router {
    Router::new()
        .route("/healthz", get(health))
        .route("/metrics", get(scrape))
        .with_state(Arc::new(Kept::new(source)))
}

/// Serves a router until told to stop; open answers end first.
///
/// # Errors
/// What the socket says.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    mut stop: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let stopped = async move {
        let _ = stop.wait_for(|stop| *stop).await;
    };
    axum::serve(listener, router)
        .with_graceful_shutdown(stopped)
        .await
}

fn answer(status: StatusCode, media: &str, policy: &'static str, body: Vec<u8>) -> Response {
    let media = HeaderValue::from_str(media);
    let media = media.unwrap_or(HeaderValue::from_static("application/octet-stream"));
    let fixed = |name: HeaderName, value: &'static str| (name, HeaderValue::from_static(value));
    let headers = [
        (CONTENT_TYPE, media),
        fixed(CONTENT_SECURITY_POLICY, policy),
        fixed(CACHE_CONTROL, "no-store"),
        fixed(X_CONTENT_TYPE_OPTIONS, "nosniff"),
        fixed(X_FRAME_OPTIONS, "DENY"),
        fixed(REFERRER_POLICY, "no-referrer"),
        fixed(
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    (status, headers, body).into_response()
}

fn text(status: StatusCode, media: &str, body: &str) -> Response {
    answer(status, media, PAGE_POLICY, body.as_bytes().to_vec())
}

fn json(view: &impl Serialize) -> Response {
    match Json(view).into_response().into_parts() {
        (parts, body) if parts.status.is_success() => {
            let mut response = answer(parts.status, "application/json", PAGE_POLICY, Vec::new());
            *response.body_mut() = body;
            response
        }
        (parts, _) => text(
            parts.status,
            "text/plain",
            "the answer could not be written\n",
        ),
    }
}

async fn page() -> Response {
    text(StatusCode::OK, "text/html; charset=utf-8", PAGE)
}

async fn style() -> Response {
    text(StatusCode::OK, "text/css; charset=utf-8", STYLE)
}

async fn script() -> Response {
    text(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT)
}

async fn live(State(source): State<Source>) -> Response {
    let (view, age) = source.live().await;
    let mut response = json(view.as_ref());
    let age = HeaderValue::from(u64::try_from(age.as_millis()).unwrap_or(u64::MAX));
    response.headers_mut().insert(AGE, age);
    response
}

/// Which meters are asked for. What is no page number is page 1.
#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    page: String,
    #[serde(default)]
    search: String,
}

async fn meters(State(source): State<Source>, Query(wanted): Query<Wanted>) -> Response {
    let page = wanted.page.parse().unwrap_or(1);
    let search: String = wanted.search.chars().take(SEARCH_MAX).collect();
    json(&source.source.meters(page, &search).await)
}

async fn documents(State(source): State<Source>) -> Response {
    json(&source.source.documents().await)
}

async fn document(State(source): State<Source>, Path(file): Path<String>) -> Response {
    let found = match file.rsplit_once('.') {
        Some((number, format)) => source.source.document(number, format).await,
        None => None,
    };
    match found {
        Some((media, body)) => answer(StatusCode::OK, &media, DOCUMENT_POLICY, body),
        None => text(
            StatusCode::NOT_FOUND,
            "text/plain; charset=utf-8",
            "no such document; /invoices lists them, as .html, .json and .csv\n",
        ),
    }
}

/// The figures, or why there are none in time.
async fn looked_at(source: &Source) -> Result<Arc<LiveView>, String> {
    let view = tokio::time::timeout(HEALTH_PATIENCE, source.live()).await;
    let (view, _) = view.map_err(|_| "the books did not answer within 5 s".to_owned())?;
    match view.fault.clone() {
        Some(fault) => Err(fault),
        None => Ok(view),
    }
}

async fn health(State(source): State<Source>) -> Response {
    match looked_at(&source).await {
        Ok(_) => text(StatusCode::OK, "text/plain; charset=utf-8", "ok\n"),
        Err(why) => {
            let why = format!("{why}\n");
            text(
                StatusCode::SERVICE_UNAVAILABLE,
                "text/plain; charset=utf-8",
                &why,
            )
        }
    }
}

async fn scrape(State(source): State<Source>) -> Response {
    let view = looked_at(&source).await.unwrap_or_else(|why| {
        Arc::new(LiveView {
            fault: Some(why),
            store_away: source.source.store_away(),
            ..LiveView::default()
        })
    });
    text(
        StatusCode::OK,
        "text/plain; version=0.0.4; charset=utf-8",
        &format!(
            "{}{}",
            metrics::text(&view),
            metrics::figures(&source.source.figures())
        ),
    )
}
