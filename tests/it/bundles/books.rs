//! Edge: promises of the books of bundles, on both databases.

use crate::postgres::{Somewhere, on_both};
use crate::store::{open_payer, payer, top_up};
use faregate::ledger::bundle::{Bundle, Draw, EndBundle, LineHold};
use faregate::ledger::command::HoldLeg;
use faregate::ledger::records::HoldStatus;
use faregate::ledger::things::{Amounts, Bound, Claim, Measure, Things};
use faregate::ledger::{Command, LedgerRefusal};
use faregate::store::forms::{self, Form, NEWEST};
use faregate::store::{
    BundleChange, IntentStatus, Store, StoreError, StoredBundle, StoredLine, Work,
};
use faregate::terms::ids::{BundleId, CallId, HoldId};
use faregate::terms::money::Micros;
use faregate::terms::time::Timestamp;

const PRICE: i64 = 432_240;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}
fn line(bundle: u128, number: u128) -> HoldId {
    HoldId::from_bits(bundle * 1_000 + number)
}
fn leg(micros: i64) -> HoldLeg {
    HoldLeg {
        payer: payer(),
        wallet: Micros::new(micros),
        promo: Micros::ZERO,
        one_off: Micros::ZERO,
        caps: Vec::new(),
    }
}
fn machines(count: i64) -> Things {
    let mut things = Things::default();
    let amounts = Amounts {
        pieces: count,
        ..Amounts::default()
    };
    things.add(2, "z", &amounts);
    things
}
fn claim(adds: i64, drawn: i64, most: i64) -> Claim {
    Claim {
        payer: payer(),
        adds: machines(adds),
        drawn: machines(drawn),
        bounds: vec![Bound {
            rule: "few".to_owned(),
            what: "vm".to_owned(),
            usage_type: 2,
            zone: None,
            measure: Measure::Pieces,
            divisor: 1,
            most,
            reason: "agreed".to_owned(),
        }],
    }
}

/// A bundle of so many machines, each with a line of its own, under a limit of so many.
fn bundle(id: u128, count: u128, most: i64) -> Work {
    let numbers = || 0..count;
    let row = StoredBundle {
        id: BundleId::from_bits(id),
        payer: payer(),
        account: "a".to_owned(),
        client_key: format!("order-{id}"),
        request: "00".to_owned(),
        lines: numbers()
            .map(|number| StoredLine {
                command: "deployVirtualMachine".to_owned(),
                params: "command=deployVirtualMachine".to_owned(),
                hold: Some(line(id, number)),
                price: Micros::new(PRICE),
                per_hour: Micros::new(PRICE),
                one_off: Micros::ZERO,
                things: machines(1),
            })
            .collect(),
        at: at(2),
        expires: at(100),
        ended: None,
    };
    let lines = numbers().map(|number| LineHold {
        hold: line(id, number),
        legs: vec![leg(PRICE)],
    });
    Work {
        claim: Some(claim(i64::try_from(count).unwrap(), 0, most)),
        bundles: vec![BundleChange::Insert(row)],
        ..Work::of(Command::Bundle(Bundle {
            bundle: BundleId::from_bits(id),
            lines: lines.collect(),
            at: at(2),
        }))
    }
}
/// A call that takes a line, under a limit of so many machines.
fn draw(id: u128, call: u128, number: u128, most: i64) -> Work {
    Work {
        claim: Some(claim(1, 1, most)),
        ..Work::of(Command::Draw(Draw {
            hold: HoldId::from_bits(call),
            call: CallId::from_bits(call),
            bundle: BundleId::from_bits(id),
            line: line(id, number),
            legs: vec![leg(PRICE)],
            at: at(3),
        }))
    }
}
fn end(id: u128, count: u128) -> Work {
    let bundle = BundleId::from_bits(id);
    Work {
        bundles: vec![BundleChange::End {
            id: bundle,
            at: at(9),
        }],
        ..Work::of(Command::EndBundle(EndBundle {
            bundle,
            lines: (0..count).map(|number| line(id, number)).collect(),
            at: at(9),
        }))
    }
}
async fn funded(place: &Somewhere, micros: i64) -> Store {
    let store = place.open().await;
    store.submit(Work::of(open_payer())).await.unwrap();
    store.submit(Work::of(top_up("p1", micros))).await.unwrap();
    store
}
/// No fault, and every figure made anew from transfers and open holds is the one that is kept.
async fn sound(store: &Store) {
    let verified = store.verify().await.unwrap();
    assert_eq!(verified.faults, []);
    assert_eq!(verified.payers, verified.rebuilt);
}
async fn pieces(store: &Store) -> i64 {
    let things = store.things(&payer()).await.unwrap();
    things.total(2, None, Measure::Pieces)
}

on_both! {
async fn of_a_hundred_bundles_with_money_for_three_three_are_held_whole(place) {
    let store = funded(place, 3 * 4 * PRICE + PRICE).await;
    let mut tasks = Vec::new();
    for id in 1..=100_u128 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move { store.submit(bundle(id, 4, 1_000)).await }));
    }
    let mut made = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => made += 1,
            Err(StoreError::Refused(LedgerRefusal::NotEnough { price, .. })) => {
                assert_eq!(price, Micros::new(4 * PRICE));
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(made, 3);
    assert_eq!(store.open_holds(None).await.unwrap().len(), 12);
    assert_eq!(store.bundles("a", 1_000).await.unwrap().len(), 3);
    sound(&store).await;
}
}

on_both! {
async fn a_line_goes_to_one_of_many_calls_and_the_end_takes_what_is_left(place) {
    let store = funded(place, 10 * PRICE).await;
    store.submit(bundle(1, 3, 1_000)).await.unwrap();
    let mut tasks = Vec::new();
    for call in 100..150_u128 {
        let store = store.clone();
        tasks.push(tokio::spawn(async move { store.submit(draw(1, call, call % 2, 1_000)).await }));
    }
    let mut drawn = 0;
    for task in tasks {
        match task.await.unwrap() {
            Ok(_) => drawn += 1,
            Err(StoreError::Refused(LedgerRefusal::HoldClosed { status, .. })) => {
                assert_eq!(status, HoldStatus::Drawn);
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(drawn, 2);
    sound(&store).await;
    store.submit(end(1, 3)).await.unwrap();
    let again = store.submit(end(1, 3)).await.unwrap();
    assert!(again.effects.already_done);
    let late = store.submit(draw(1, 200, 2, 1_000)).await;
    assert!(matches!(late, Err(StoreError::Refused(LedgerRefusal::HoldClosed { .. }))));
    let state = store.payer(&payer()).await.unwrap().unwrap();
    assert_eq!(state.holds_open, Micros::new(2 * PRICE));
    sound(&store).await;
}
}

on_both! {
async fn what_a_line_claims_counts_until_its_call_or_its_end_and_never_twice(place) {
    let store = funded(place, 10 * PRICE).await;
    let refused = store.submit(bundle(1, 3, 2)).await;
    assert!(matches!(refused, Err(StoreError::Refused(LedgerRefusal::OverLimit(_)))));
    assert_eq!(store.bundle(BundleId::from_bits(1)).await.unwrap(), None);
    store.submit(bundle(2, 2, 2)).await.unwrap();
    assert_eq!(pieces(&store).await, 2);
    let beside = store.submit(bundle(3, 1, 2)).await;
    assert!(matches!(beside, Err(StoreError::Refused(LedgerRefusal::OverLimit(_)))));
    // Its own call takes the line's place; what it starts then counts as its intent does.
    store.submit(draw(2, 100, 0, 2)).await.unwrap();
    assert_eq!(pieces(&store).await, 1);
    store.submit(end(2, 2)).await.unwrap();
    assert_eq!(pieces(&store).await, 0);
    sound(&store).await;
}
}

on_both! {
async fn a_bundle_reads_back_as_it_was_written_and_is_due_once(place) {
    let store = funded(place, 10 * PRICE).await;
    let work = bundle(1, 2, 9);
    let BundleChange::Insert(row) = work.bundles[0].clone() else {
        panic!("it is one");
    };
    store.submit(work.clone()).await.unwrap();
    let again = store.submit(work).await.unwrap();
    assert!(again.effects.already_done);
    assert_eq!(store.bundle(row.id).await.unwrap(), Some(row.clone()));
    assert_eq!(store.bundles("a", 9).await.unwrap(), std::slice::from_ref(&row));
    assert_eq!(store.bundles("b", 9).await.unwrap(), []);
    assert_eq!(store.bundles_due(at(99), 9).await.unwrap(), []);
    assert_eq!(store.bundles_due(at(100), 9).await.unwrap(), std::slice::from_ref(&row));
    store.submit(end(1, 2)).await.unwrap();
    assert_eq!(store.bundles_due(at(100), 9).await.unwrap(), []);
    let ended = store.bundle(row.id).await.unwrap().unwrap();
    assert_eq!(ended.ended, Some(at(9)));
    assert_eq!(ended.lines, row.lines);
}
}

on_both! {
async fn an_older_release_finds_what_a_bundle_holds_as_calls_to_decide(place) {
    let store = funded(place, 10 * PRICE).await;
    store.submit(bundle(1, 2, 9)).await.unwrap();
    store.submit(draw(1, 100, 0, 9)).await.unwrap();
    let before = store.payer(&payer()).await.unwrap();
    store.close().await;
    let at = place.place("one");
    let older = Form { ledger: 3, ..NEWEST };
    forms::back(&at, older, &mut |_, _| {}).await.unwrap();
    let store = place.open().await;
    assert_eq!(store.payer(&payer()).await.unwrap(), before);
    let left = store.open_intents().await.unwrap();
    assert_eq!(left.len(), 1, "one line is left: {left:?}");
    assert_eq!(left[0].status, IntentStatus::Unresolved);
    assert_eq!(left[0].hold, Some(line(1, 1)));
    assert!(left[0].note.contains("give it back"), "{left:?}");
    let given = Command::GiveBack {
        hold: line(1, 1),
        one_off: Vec::new(),
        at: Timestamp::from_seconds(20),
    };
    store.submit(Work::of(given)).await.unwrap();
    sound(&store).await;
}
}
