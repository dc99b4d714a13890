//! A hundred deploys at once, with money for seven.

use crate::campaign;
use crate::stage::{Stage, until};
use std::sync::atomic::{AtomicUsize, Ordering};

/// 7 × 0.432240 fit, 8 do not.
const MORE: &str = "2.30";

#[test]
fn of_a_hundred_parallel_deploys_with_money_for_seven_exactly_seven_run() {
    for round in 0..campaign::rounds("race", 2) {
        let stage = Stage::start(&format!("race-{round}"), &[]);
        stage.top_up("prepaid-paula", MORE, "more");
        let (accepted, refused) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let vm = stage.small_vm(0);
        std::thread::scope(|scope| {
            for _ in 0..100 {
                scope.spawn(|| {
                    let heard = stage.customer(0).deploy(&vm).unwrap();
                    match heard.status {
                        200 => accepted.fetch_add(1, Ordering::Relaxed),
                        535 => refused.fetch_add(1, Ordering::Relaxed),
                        _ => panic!("{heard:?}"),
                    };
                });
            }
        });
        assert_eq!((accepted.into_inner(), refused.into_inner()), (7, 93));
        until("seven run", || stage.machines("Running").len() == 7);
        let told = stage.faregate(&["ledger", "verify", "--config", &stage.config()]);
        assert!(!told.contains("fault"), "{told}");
        let balances = stage.faregate(&["ledger", "balances", "--config", &stage.config()]);
        let paula = balances
            .lines()
            .find(|line| line.starts_with("prepaid-paula"))
            .unwrap();
        assert!(!paula.contains("available -"), "{paula}");
    }
}
