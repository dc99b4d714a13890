//! Edge: promises of the operators' page: what it says, what it never does, how much it shows.
//!
//! `serve_fixed_page_for_screenshots` (ignored) serves it over figures that move, to be looked
//! at: `FAREGATE_PAGE=3 cargo test --test it -- --ignored --nocapture serve_fixed_page`.
#![allow(clippy::unwrap_used, reason = "a test stops where it must not go on")]

mod figures;

use faregate::clock::Clock;
use faregate::ops::dashboard;
use faregate::ops::source::{Answering, Fixed, OpsSource};
use faregate::ops::views::{DocumentRow, LiveView, MetersPage};
use faregate::terms::money::Micros;
use faregate::terms::time::{SECOND, Timestamp};
use figures::{empty, fixed};
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::watch;

const SPITEFUL: &str = "</script><img src=x onerror=alert(1)>\"'&";

/// A page that is served until this is dropped.
struct Served {
    address: SocketAddr,
    _stop: watch::Sender<bool>,
}

impl Served {
    async fn over(source: impl OpsSource + 'static) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        let router = dashboard::router(Arc::new(source));
        tokio::spawn(dashboard::serve(listener, router, stopped));
        Self {
            address,
            _stop: stop,
        }
    }

    /// Status, head in lower case, and body.
    async fn get(&self, path: &str) -> (u16, String, String) {
        let mut socket = tokio::net::TcpStream::connect(self.address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nhost: page\r\nconnection: close\r\n\r\n");
        socket.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).await.unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head.to_lowercase(), body.to_owned())
    }

    async fn json(&self, path: &str) -> Value {
        let (status, head, body) = self.get(path).await;
        assert_eq!(status, 200, "{path}");
        assert!(head.contains("content-type: application/json"), "{head}");
        serde_json::from_str(&body).unwrap()
    }
}

#[tokio::test]
async fn the_figures_are_decimal_texts_and_spans_are_seconds() {
    let served = Served::over(fixed(3)).await;
    let live = served.json("/live.json").await;
    let payer = &live["payers"][0];
    assert_eq!(payer["available"], "0.412300");
    assert_eq!(payer["per_hour"], "0.096000");
    assert_eq!(payer["empty_in"], 2_960);
    assert_eq!(payer["state"], "closed");
    assert_eq!(live["payers"][2]["empty_in"], Value::Null);
    assert_eq!(live["meters_total"], 3);
    assert_eq!(live["calls"][0]["verdict"], "refuse");
    assert_eq!(live["fault"], Value::Null);
    let documents = served.json("/invoices.json").await;
    assert_eq!(documents[0]["number"], "2026-00017");
}

#[tokio::test]
async fn names_of_tenants_reach_the_browser_as_data_and_never_as_markup() {
    let mut source = fixed(3);
    source.live.payers[0].name = SPITEFUL.to_owned();
    source.live.calls[0].reason = SPITEFUL.to_owned();
    source.meters[0].name = SPITEFUL.to_owned();
    let served = Served::over(source).await;
    let (_, head, page) = served.get("/").await;
    assert!(!page.contains("onerror"));
    assert!(!page.contains("<style") && !page.contains(" style=") && !page.contains(" onclick"));
    let policy = head
        .lines()
        .find(|line| line.starts_with("content-security-policy"))
        .unwrap();
    assert!(policy.contains("default-src 'none'") && policy.contains("script-src 'self'"));
    assert!(!policy.contains("unsafe") && policy.contains("require-trusted-types-for"));
    let (_, head, body) = served.get("/live.json").await;
    assert!(head.contains("x-content-type-options: nosniff"));
    let live: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(live["payers"][0]["name"], SPITEFUL);
    let (_, _, script) = served.get("/page.js").await;
    let ways_into_markup = [
        "innerHTML",
        "outerHTML",
        "insertAdjacentHTML",
        "document.write",
        "eval(",
        "srcdoc",
    ];
    for way in ways_into_markup {
        assert!(!script.contains(way), "{way}");
    }
}

#[tokio::test]
async fn the_page_loads_nothing_from_elsewhere_and_no_other_origin_may_read_it() {
    let served = Served::over(fixed(0)).await;
    for path in [
        "/",
        "/page.css",
        "/page.js",
        "/live.json",
        "/metrics",
        "/healthz",
    ] {
        let (status, head, body) = served.get(path).await;
        assert_eq!(status, 200, "{path}");
        assert!(!head.contains("access-control-allow"), "{path}: {head}");
        assert!(head.contains("cache-control: no-store"), "{path}: {head}");
        assert!(head.contains("x-frame-options: deny"), "{path}: {head}");
        let outside = body.replace("http://www.w3.org/2000/svg", "");
        assert!(
            !outside.contains("http://") && !outside.contains("https://"),
            "{path}"
        );
        assert!(
            !outside.contains("@import") && !outside.contains("url("),
            "{path}"
        );
    }
}

#[tokio::test]
async fn ten_thousand_meters_come_in_pages_of_a_hundred() {
    let served = Served::over(fixed(10_000)).await;
    let asked = [
        ("", 1, 100),
        ("?page=100", 100, 100),
        ("?page=101", 100, 100),
        ("?page=0", 1, 100),
        ("?page=-3", 1, 100),
        ("?page=99999999999999999999999", 1, 100),
        ("?page=two", 1, 100),
    ];
    for (query, page, rows) in asked {
        let found = served.json(&format!("/meters.json{query}")).await;
        assert_eq!(found["page"], page, "{query}");
        assert_eq!(found["pages"], 100, "{query}");
        assert_eq!(found["total"], 10_000, "{query}");
        assert_eq!(found["rows"].as_array().unwrap().len(), rows, "{query}");
    }
    let (_, _, body) = served.get("/live.json").await;
    assert!(body.len() < 200_000, "{} bytes each second", body.len());
}

#[tokio::test]
async fn a_search_finds_any_part_in_any_case_and_says_how_many() {
    let served = Served::over(fixed(10_000)).await;
    let found = served.json("/meters.json?search=WEB-00042%20").await;
    assert_eq!(
        (&found["total"], &found["pages"]),
        (&Value::from(1), &Value::from(1))
    );
    assert_eq!(found["rows"][0]["name"], "web-00042");
    let none = served
        .json("/meters.json?search=%3Cnothing%3E&page=7")
        .await;
    assert_eq!(
        (&none["total"], &none["page"]),
        (&Value::from(0), &Value::from(1))
    );
    let long = "x".repeat(5_000);
    let found = served.json(&format!("/meters.json?search={long}")).await;
    assert_eq!(found["search"].as_str().unwrap().len(), 100);
}

#[tokio::test]
async fn an_empty_product_has_a_page_with_one_page_of_no_meters() {
    let served = Served::over(fixed(0)).await;
    let found = served.json("/meters.json?page=3").await;
    assert_eq!(
        (&found["page"], &found["pages"]),
        (&Value::from(1), &Value::from(1))
    );
    assert_eq!(
        served.json("/live.json").await["payers"],
        Value::Array(Vec::new())
    );
}

#[tokio::test]
async fn a_document_comes_in_its_formats_and_may_run_nothing() {
    let served = Served::over(fixed(3)).await;
    let (status, head, body) = served.get("/invoices/2026-00017.html").await;
    assert_eq!((status, body.as_str()), (200, "<p>an invoice</p>"));
    assert!(head.contains("content-type: text/html"));
    assert!(head.contains("sandbox") && !head.contains("script-src"));
    for path in [
        "2026-00017.pdf",
        "2026-00017",
        "9999-1.html",
        "..%2f..%2fetc%2fpasswd.html",
    ] {
        assert_eq!(
            served.get(&format!("/invoices/{path}")).await.0,
            404,
            "{path}"
        );
    }
}

#[tokio::test]
async fn health_is_well_only_while_the_books_can_be_read() {
    let served = Served::over(fixed(3)).await;
    let (status, _, body) = served.get("/healthz").await;
    assert_eq!((status, body.as_str()), (200, "ok\n"));
    let mut source = fixed(3);
    source.live.fault = Some("ledger.db: the disk is full".to_owned());
    let served = Served::over(source).await;
    let (status, _, body) = served.get("/healthz").await;
    assert_eq!(status, 503);
    assert!(body.contains("ledger.db: the disk is full"));
    let (status, _, metrics) = served.get("/metrics").await;
    assert_eq!(status, 200);
    assert!(metrics.contains("\nfaregate_books_readable 0\n"));
}

#[tokio::test]
async fn a_scraper_finds_the_same_figures() {
    let served = Served::over(fixed(3)).await;
    let (_, head, body) = served.get("/metrics").await;
    assert!(head.contains("content-type: text/plain; version=0.0.4"));
    let wanted = [
        "faregate_meters_running 3",
        "faregate_money{currency=\"EUR\",figure=\"available\"} 36.532300",
        "faregate_payer_empty_seconds{payer=\"north\",currency=\"EUR\"} 2960",
        "faregate_payer_open{payer=\"north\",currency=\"EUR\"} 0",
    ];
    for line in wanted {
        assert!(
            body.lines().any(|had| had == line),
            "{line} is missing in\n{body}"
        );
    }
    let forged = body
        .lines()
        .filter(|line| !line.starts_with("# ") && !line.starts_with("faregate_"));
    assert_eq!(forged.count(), 0);
}

/// Counts how often it is read.
struct Counted(Arc<AtomicUsize>);

impl OpsSource for Counted {
    fn live(&self) -> Answering<'_, LiveView> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(async {
            tokio::time::sleep(std::time::Duration::from_millis(400)).await;
            empty()
        })
    }

    fn meters(&self, page: usize, search: &str) -> Answering<'_, MetersPage> {
        Box::pin(std::future::ready(MetersPage::of(&[], page, search)))
    }

    fn documents(&self) -> Answering<'_, Vec<DocumentRow>> {
        Box::pin(std::future::ready(Vec::new()))
    }

    fn document(&self, _: &str, _: &str) -> Answering<'_, Option<(String, Vec<u8>)>> {
        Box::pin(std::future::ready(None))
    }
}

#[tokio::test]
async fn many_who_look_at_once_cost_the_books_one_reading() {
    let readings = Arc::new(AtomicUsize::new(0));
    let served = Served::over(Counted(readings.clone())).await;
    let looks = (0..20).map(|_| served.get("/live.json"));
    let answers = futures_util::future::join_all(looks).await;
    assert!(answers.iter().all(|(status, ..)| *status == 200));
    assert_eq!(readings.load(Ordering::SeqCst), 1);
    assert!(
        answers
            .iter()
            .all(|(_, head, _)| head.contains("x-age-ms: "))
    );
    tokio::time::sleep(std::time::Duration::from_millis(1_600)).await;
    served.get("/live.json").await;
    assert_eq!(readings.load(Ordering::SeqCst), 2);
}

/// Figures that move with the clock, as a product's do.
struct Moving {
    fixed: Fixed,
    clock: Clock,
    start: Timestamp,
}

impl OpsSource for Moving {
    fn live(&self) -> Answering<'_, LiveView> {
        let mut view = self.fixed.live.clone();
        let wall = self.clock.wall();
        let gone = wall.since(self.start) * view.speed / SECOND;
        view.wall = wall.to_string();
        view.now = self.start.plus(gone * SECOND).to_string();
        for payer in &mut view.payers {
            let rate: Micros = payer.per_hour.parse().unwrap();
            payer.spent = more(&payer.spent, rate.get() * gone / 3600);
            payer.empty_in = payer.empty_in.map(|left| (left - gone).max(0));
        }
        for total in &mut view.totals {
            let rate: Micros = total.per_hour.parse().unwrap();
            total.spent = more(&total.spent, rate.get() * gone / 3600);
            let step = (gone / 60) % 7;
            total.per_hour = more(&total.per_hour, rate.get() * step / 5);
        }
        Box::pin(std::future::ready(view))
    }

    fn meters(&self, page: usize, search: &str) -> Answering<'_, MetersPage> {
        self.fixed.meters(page, search)
    }

    fn documents(&self) -> Answering<'_, Vec<DocumentRow>> {
        self.fixed.documents()
    }

    fn document(&self, number: &str, format: &str) -> Answering<'_, Option<(String, Vec<u8>)>> {
        self.fixed.document(number, format)
    }
}

fn more(amount: &str, micros: i64) -> String {
    let amount: Micros = amount.parse().unwrap();
    amount.plus(Micros::new(micros)).unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "serves until it is stopped, to be looked at"]
async fn serve_fixed_page_for_screenshots() {
    for (port, meters) in [(18_300, 0), (18_303, 3), (18_310, 10_000)] {
        let clock = Clock::system();
        let start = clock.wall();
        let source = Moving {
            fixed: fixed(meters),
            clock,
            start,
        };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", port))
            .await
            .unwrap();
        let (stop, stopped) = watch::channel(false);
        let router = dashboard::router(Arc::new(source));
        tokio::spawn(dashboard::serve(listener, router, stopped));
        std::mem::forget(stop);
        println!("{meters} meters: http://127.0.0.1:{port}/");
    }
    tokio::time::sleep(std::time::Duration::from_secs(3_600)).await;
}
