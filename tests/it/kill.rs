//! The gate is killed at random moments of a run of deploys; the sandbox goes on.

use crate::campaign;
use crate::stage::{Stage, until};
use faregate::cloudstack::usage_type::UsageType;
use faregate::store::{IntentStatus, Store};
use std::collections::BTreeMap;
use std::time::Duration;

const MORE: &str = "2.30";

#[test]
fn a_killed_gate_loses_no_hold_doubles_none_and_charges_every_machine() {
    for round in 0..campaign::rounds("kill", 4) {
        let mut draw = campaign::Draw::of_round(round);
        let mut stage = Stage::start(&format!("kill-{round}"), &[]);
        stage.top_up("prepaid-paula", MORE, "more");
        if round % 2 == 1 {
            // The sandbox commits and does not answer: the gate dies between the two.
            stage.fault("answer-lost", 2);
        }
        let vm = stage.small_vm(0);
        let wait = Duration::from_millis(draw.below(400));
        std::thread::scope(|scope| {
            for _ in 0..30 {
                let (caller, vm) = (stage.customer(0), vm.clone());
                scope.spawn(move || caller.deploy(&vm).map(|heard| heard.status));
            }
            scope
                .spawn(move || std::thread::sleep(wait))
                .join()
                .unwrap();
            kill(&stage);
        });
        stage.kill_gate();
        stage.start_again();
        settled(&stage);
        stage.fault("answer-lost", 0);
        let running = stage.machines("Running");
        stage.stop();
        look(&stage, &running);
    }
}

/// SIGKILL while the clients are still calling.
fn kill(stage: &Stage) {
    stage.kill_from_outside();
}

/// Every job has ended and what runs is metered.
fn settled(stage: &Stage) {
    until("nothing starts any more", || {
        let admin = stage.admin();
        let jobs = admin.call("listAsyncJobs", &[("listall", "true")]).unwrap();
        !jobs.body.contains("asyncjobs\":[{")
    });
    std::thread::sleep(Duration::from_secs(4));
}

fn look(stage: &Stage, running: &[String]) {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Store::open(&stage.folder.join("state")).await.unwrap();
        let verified = store.verify().await.unwrap();
        assert!(verified.faults.is_empty(), "{:?}", verified.faults);
        let mut metered: BTreeMap<String, usize> = BTreeMap::new();
        for row in store.open_intervals(None).await.unwrap() {
            if row.interval.meter.usage_type == UsageType::RunningVm {
                *metered
                    .entry(row.interval.meter.resource.to_string())
                    .or_default() += 1;
            }
        }
        for id in running {
            assert_eq!(
                metered.get(id),
                Some(&1),
                "{id} runs and is not charged once"
            );
        }
        assert!(running.len() <= 7, "{} run with money for 7", running.len());
        let intents = store.recent_intents(1_000).await.unwrap();
        let settled = intents
            .iter()
            .filter(|i| i.status == IntentStatus::Settled)
            .count();
        assert_eq!(
            settled,
            running.len(),
            "a hold settles for each machine, once"
        );
        let open = store.open_holds(None).await.unwrap();
        let unknown = intents.iter().filter(|i| !i.status.is_final()).count();
        assert_eq!(
            open.len(),
            unknown,
            "a hold is open for each call that is not resolved"
        );
    });
}
