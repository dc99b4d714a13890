//! Caps, as customers meet them: one amount for many, counted in the step that makes the hold.

use crate::limits::another;
use crate::postgres::on_both;
use crate::stage::{Stage, pairs, until};
use crate::store::{hold, open_payer, top_up};
use faregate::ledger::caps::CapBound;
use faregate::ledger::command::TopUp;
use faregate::ledger::{Command, LedgerRefusal};
use faregate::store::{StoreError, Work};
use faregate::terms::ids::{CapId, HoldId, PayerId};
use faregate::terms::money::Micros;
use faregate::terms::time::Timestamp;
use std::sync::atomic::{AtomicUsize, Ordering};

/// 2 × 0.432240 fit into the whole cloud's month, 3 do not.
const CAPS: &str = r#"
[[caps]]
id = "cloud"
per = "domain"
amount = "1.00"
period = "month"
reason = "so much was agreed for a month"
"#;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

#[test]
fn a_domains_cap_admits_what_it_covers_of_many_and_gives_room_when_something_ends() {
    let mut stage = Stage::start("budgets", &[]);
    stage.top_up("prepaid-paula", "1000", "more");
    stage.with_policy("caps.toml", CAPS);
    let (paula, vm) = (stage.customer(0), stage.small_vm(0));
    let (accepted, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..20 {
            scope.spawn(|| {
                let heard = paula.deploy(&vm).unwrap();
                match heard.status {
                    200 => accepted.fetch_add(1, Ordering::Relaxed),
                    535 => {
                        let text = heard.inside()["errortext"].as_str().unwrap().to_owned();
                        assert_eq!(text, "cap cloud: so much was agreed for a month");
                        refused.fetch_add(1, Ordering::Relaxed)
                    }
                    _ => panic!("{heard:?}"),
                };
            });
        }
    });
    assert_eq!((accepted.into_inner(), refused.into_inner()), (2, 18));
    until("two run", || stage.machines("Running").len() == 2);

    // Who asks beforehand is told the same.
    let dry = "X-Faregate-Estimate: 1\r\n";
    let heard = paula.call_with(dry, "json", "deployVirtualMachine", &pairs(&vm));
    let told = heard.unwrap().inside()["estimate"].clone();
    assert_eq!(told["allowed"], false, "{told}");
    assert_eq!(told["refusedby"], "cloud");
    let words: Vec<String> = vm
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let call = format!("command=deployVirtualMachine&{}", words.join("&"));
    let config = stage.config();
    let question = [
        "policy", "explain", &call, "--as", &paula.key, "--config", &config,
    ];
    let told = stage.faregate(&question);
    assert!(told.contains("cap      cloud (cloud/domain/"), "{told}");
    assert!(told.contains("verdict  refused: cloud (535)"), "{told}");

    // Another payer of the same domain tree finds the cap used up as well.
    let heard = stage.customer(1).deploy(&stage.small_vm(1)).unwrap();
    assert_eq!(heard.status, 535, "{heard:?}");

    // What ends leaves the cap with the next renewal; a start of the gate forgets nothing.
    stage.kill_gate();
    stage.start_again();
    let paula = stage.customer(0);
    assert_eq!(another(&paula, &vm).status, 535);
    let one = stage.machines("Running").pop().unwrap();
    let gone = [("id", one.as_str()), ("expunge", "true")];
    let heard = paula.call("destroyVirtualMachine", &gone).unwrap();
    let job = heard.inside()["jobid"].as_str().unwrap().to_owned();
    assert_eq!(paula.job_end(&job), 1);
    until("there is room", || another(&paula, &vm).status == 200);
    until("two run again", || stage.machines("Running").len() == 2);
    assert_eq!(another(&paula, &vm).status, 535);
    let told = stage.faregate(&["ledger", "verify", "--config", &stage.config()]);
    assert!(!told.contains("fault"), "{told}");
}

pub fn capped(number: u128, of: &str, micros: i64, most: i64) -> Command {
    let Command::Hold {
        hold,
        call,
        mut legs,
        at,
    } = hold(number, micros)
    else {
        unreachable!()
    };
    legs[0].payer = PayerId::from(of);
    legs[0].caps = vec![CapBound {
        cap: CapId::from("lab/domain/d1"),
        rule: "lab".to_owned(),
        most: Micros::new(most),
        start: Timestamp::from_seconds(0),
        reason: "the lab has a budget".to_owned(),
    }];
    Command::Hold {
        hold,
        call,
        legs,
        at,
    }
}

on_both! {
async fn a_cap_shared_by_two_payers_admits_exactly_what_it_covers(place) {
    let store = place.open().await;
    for of in ["ann", "ben"] {
        let Command::OpenPayer { seller, currency, terms, at, .. } = open_payer() else {
            unreachable!()
        };
        let payer = PayerId::from(of);
        let open = Command::OpenPayer { payer: payer.clone(), seller, currency, terms, at };
        store.submit(Work::of(open)).await.unwrap();
        let Command::TopUp(paid) = top_up(of, 1_000_000_000) else { unreachable!() };
        let paid = Command::TopUp(TopUp { payer, ..paid });
        store.submit(Work::of(paid)).await.unwrap();
    }
    let mut tasks = Vec::new();
    for number in 1..=200_u128 {
        let store = store.clone();
        let of = ["ann", "ben"][usize::from(number % 2 == 0)];
        tasks.push(tokio::spawn(async move {
            store.submit(Work::of(capped(number, of, 432_000, 7 * 432_000 + 431_999))).await
        }));
    }
    let mut held = Vec::new();
    for (number, task) in (1..=200_u128).zip(tasks) {
        match task.await.unwrap() {
            Ok(_) => held.push(number),
            Err(StoreError::Refused(LedgerRefusal::OverCap(over))) => {
                assert_eq!((over.rule.as_str(), over.missing), ("lab", Micros::new(1)));
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(held.len(), 7);
    assert_eq!(store.verify().await.unwrap().faults, []);
    let (first, second) = (HoldId::from_bits(held[0]), HoldId::from_bits(held[1]));
    let settle = Command::Settle { hold: first, one_off: vec![], at: at(3) };
    store.submit(Work::of(settle)).await.unwrap();
    let back = Command::GiveBack { hold: second, one_off: vec![], at: at(3) };
    store.submit(Work::of(back)).await.unwrap();
    assert_eq!(store.verify().await.unwrap().faults, []);
    let again = store.submit(Work::of(capped(201, "ann", 432_000, 7 * 432_000))).await;
    again.unwrap();
    let over = store.submit(Work::of(capped(202, "ben", 1, 7 * 432_000))).await;
    assert!(matches!(over, Err(StoreError::Refused(LedgerRefusal::OverCap(_)))));
    let kept = store.hold(first).await.unwrap();
    assert_eq!(kept[0].caps, [CapId::from("lab/domain/d1")]);
    let share = store.cap_shares(&kept[0].payer).await.unwrap();
    assert_eq!((share.len(), share[0].covered), (1, Micros::new(432_000)));
    assert_eq!(store.verify().await.unwrap().faults, []);
}
}
