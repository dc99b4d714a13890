//! Edge: calls whose outcome nobody could prove are a person's to decide, once and with a reason.
#![allow(clippy::unwrap_used, reason = "a test stops where it must not go on")]

use crate::stage::{Heard, Stage, address_of, exchange, until};
use serde_json::Value;
use sqlx::Connection as _;

fn live(stage: &Stage) -> Value {
    let address = address_of(&stage.text("/operator_page"));
    let request =
        format!("GET /live.json HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    serde_json::from_str(&exchange(&address, &request).unwrap().body).unwrap()
}

fn decide(stage: &Stage, headers: &str, hold: &str, decision: &str, reason: &str) -> Heard {
    let address = address_of(&stage.text("/operator_page"));
    let body = format!("hold={hold}&decision={decision}&reason={reason}");
    let request = format!(
        "POST /unresolved HTTP/1.1\r\nHost: {address}\r\n{headers}Connection: close\r\nContent-Type: \
         application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    exchange(&address, &request).unwrap()
}

/// The holds that are shown, as (hold, status, amount).
fn holds(stage: &Stage) -> Vec<(String, String, String)> {
    let live = live(stage);
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    let rows = live["holds"].as_array().unwrap().iter();
    rows.map(|row| (text(row, "hold"), text(row, "status"), text(row, "amount")))
        .collect()
}

fn available(stage: &Stage) -> String {
    let live = live(stage);
    let mut payers = live["payers"].as_array().unwrap().iter();
    let paula = payers.find(|payer| payer["id"] == "prepaid-paula").unwrap();
    paula["available"].as_str().unwrap().to_owned()
}

/// As if nobody could find out what became of the calls.
fn give_up(stage: &Stage) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let file = stage.folder.join("state/ledger.db");
        let url = format!("sqlite://{}", file.display());
        let mut books = sqlx::SqliteConnection::connect(&url).await.unwrap();
        let given_up =
            sqlx::query("UPDATE intent SET status = 'unresolved' WHERE hold IS NOT NULL");
        given_up.execute(&mut books).await.unwrap();
    });
}

#[test]
fn an_unresolved_call_is_shown_with_its_money_and_decided_once_with_a_reason() {
    let mut stage = Stage::start("unresolved", &[]);
    stage.top_up("prepaid-paula", "5.00", "more");
    // Jobs that take longer than the test: nothing proves itself meanwhile.
    stage.fault("slow-jobs", 600_000);
    for _ in 0..2 {
        let heard = stage.customer(0).deploy(&stage.small_vm(0)).unwrap();
        assert_eq!(heard.status, 200, "{heard:?}");
    }
    stage.kill_gate();
    give_up(&stage);
    stage.start_again();
    until("both are shown", || holds(&stage).len() == 2);
    let shown = holds(&stage);
    assert!(shown.iter().all(|(_, status, _)| status == "unresolved"));
    assert!(shown.iter().all(|(_, _, amount)| amount != "0.000000"));
    let alarms = live(&stage)["alarms"].to_string();
    assert!(alarms.contains("unresolved"), "{alarms}");
    let (first, second) = (shown[0].0.as_str(), shown[1].0.as_str());

    assert_eq!(decide(&stage, "", first, "give-back", "").status, 400);
    assert_eq!(
        decide(&stage, "", "hld_nonsense", "give-back", "x").status,
        400
    );
    let elsewhere = "Origin: http://evil.example\r\n";
    assert_eq!(
        decide(&stage, elsewhere, first, "give-back", "x").status,
        403
    );
    let elsewhere = "Sec-Fetch-Site: cross-site\r\n";
    assert_eq!(
        decide(&stage, elsewhere, first, "give-back", "x").status,
        403
    );
    assert_eq!(holds(&stage), shown, "nothing of that decided anything");

    let before = available(&stage);
    let heard = decide(&stage, "", first, "give-back", "nothing+there");
    assert_eq!(heard.status, 200, "{heard:?}");
    until("one is left", || holds(&stage).len() == 1);
    until("its money is available again", || {
        available(&stage) != before
    });
    let again = decide(&stage, "", first, "settle", "it+runs");
    assert_eq!(again.status, 409, "{again:?}");

    let heard = decide(&stage, "", second, "ask-again", "the+server+is+back");
    assert_eq!(heard.status, 200, "{heard:?}");
    until("it is asked for again", || {
        holds(&stage)
            .iter()
            .all(|(_, status, _)| status == "answered")
    });
    let told = stage.faregate(&["ledger", "verify", "--config", &stage.config()]);
    assert!(!told.contains("fault"), "{told}");
}
