//! Gift credit of a chain that comes to its end while nobody renews.

use super::*;
use faregate::ledger::command::PromoGrant;

fn grant(name: &str, micros: i64, minutes: i64) -> Command {
    Command::PromoGrant(PromoGrant {
        id: format!("spring-{name}"),
        payer: payer(name),
        amount: Micros::new(micros),
        expires: Some(at(minutes)),
        reason: "spring".to_owned(),
        at: at(0),
    })
}

/// What is left of a payer's grant, what was spent and what expired of it.
async fn gift(store: &Store, name: &str) -> [i64; 3] {
    let rows = store.grants(&payer(name)).await.unwrap();
    let row = &rows[0];
    [row.left, row.spent().unwrap(), row.expired].map(Micros::get)
}

async fn sound(store: &Store) {
    let verified = store.verify().await.unwrap();
    assert_eq!(verified.faults, []);
    assert_eq!(verified.payers, verified.rebuilt);
}

on_both! {
/// 0.36 net an hour of carol's until minute 30, 0.25 of rita's until minute 45; the node stands
/// still for the hour. What ran before an end is of the grant, and what was held then.
async fn gift_credit_of_a_chain_ends_at_its_instant_although_nobody_renewed_then(place) {
    let store = place.open().await;
    let clock = Clock::simulated(at(0));
    let rules = Arc::new(ArcSwap::from_pointee(rules()));
    let renewals = Arc::new(Renewals::new(store.clone(), rules.clone(), clock.clone()));
    opened(&store).await;
    store.submit(Work::of(grant("carol", 5_000_000, 30))).await.unwrap();
    store.submit(Work::of(grant("rita", 1_000_000, 45))).await.unwrap();
    store.submit(Work::of(hold(&rules.load(), 1, at(0)))).await.unwrap();
    let settle = Command::Settle { hold: HoldId::from_bits(1), one_off: vec![], at: at(0) };
    let work = Work { intervals: machine(None), ..Work::of(settle) };
    store.submit(work).await.unwrap();

    clock.set(at(60));
    renewals.catch_up(&payer("carol")).await.unwrap();
    assert_eq!(gift(&store, "carol").await, [180_000, 360_000, 4_460_000]);
    assert_eq!(stands(&store, "carol").await, [784_000, 216_000, 0]);
    assert_eq!(gift(&store, "rita").await, [187_500, 250_000, 562_500]);
    assert_eq!(stands(&store, "rita").await, [925_000, 75_000, 0]);
    sound(&store).await;

    // The rest of what was held is consumed, then the wallet.
    clock.set(at(120));
    let ended = Work { intervals: machine(Some(at(120))), ..Work::default() };
    store.submit(ended).await.unwrap();
    renewals.catch_up(&payer("carol")).await.unwrap();
    assert_eq!(gift(&store, "carol").await, [0, 540_000, 4_460_000]);
    assert_eq!(stands(&store, "carol").await, [784_000, 0, 216_000]);
    assert_eq!(gift(&store, "rita").await, [0, 437_500, 562_500]);
    assert_eq!(stands(&store, "rita").await, [925_000, 0, 75_000]);
    sound(&store).await;

    // The document: 0.72 − 0.54, and tax on what is left of it alone.
    clock.set(november().period().unwrap().end.plus(60 * MINUTE));
    let folder = Folder::fresh("grants-month");
    let context = Context {
        store: store.clone(),
        rules,
        renewals,
        service: None,
        clock,
        invoices: folder.0.clone(),
    };
    assert_eq!(close(&context, &november()).await.unwrap().parked, []);
    let text = std::fs::read_to_string(folder.0.join("reseller/R-00001.json")).unwrap();
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    let fields = ["net", "allowance", "taxable", "tax", "total"];
    let printed = fields.map(|field| json[field].as_str().unwrap().to_owned());
    assert_eq!(printed, ["0.72", "0.54", "0.18", "0.04", "0.22"]);
    assert_eq!(stands(&store, "carol").await, [780_000, 0, 0]);
    sound(&store).await;
}
}
