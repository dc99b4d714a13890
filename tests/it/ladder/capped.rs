//! Caps that stop what counts in them.

use super::{FAST, PAULA, events, stage, stops, tag, told, verified};
use crate::stage::{Stage, until};
use faregate::store::Store;

/// What two machines of an account may cost in a month: some two hours of both.
fn cap(amount: &str) -> String {
    format!(
        "[[caps]]\nid = \"lab\"\nper = \"account\"\namount = \"{amount}\"\nperiod = \"month\"\n\
         reason = \"so much was agreed\"\nstops = true\n"
    )
}

/// A running machine of Paula's with a name of its own: an equal call within a minute of a start
/// of the gate is the one before.
fn machine(stage: &Stage, name: &str) -> String {
    let paula = stage.customer(0);
    let mut vm = stage.small_vm(0);
    vm.push(("name".to_owned(), name.to_owned()));
    let heard = paula.deploy(&vm).unwrap();
    assert_eq!(heard.status, 200, "{heard:?}");
    let inside = heard.inside();
    assert_eq!(paula.job_end(inside["jobid"].as_str().unwrap()), 1);
    inside["id"].as_str().unwrap().to_owned()
}

fn is_up(stage: &Stage, machine: &str) -> bool {
    stage.machines("Running").iter().any(|id| id == machine)
}

fn told_steps(stage: &Stage) -> Vec<String> {
    told(stage).into_iter().map(|(step, _)| step).collect()
}

/// What a month of the cap has come to, in millionths.
fn consumed(stage: &Stage) -> i64 {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = Store::open(&stage.folder.join("state")).await.unwrap();
        let verified = store.verify().await.unwrap();
        store.close().await;
        let rows = verified.caps.iter();
        rows.map(|row| row.accrued.get()).max().unwrap_or_default()
    })
}

/// The machine that was there before the cap, and another account's, run on: there is money enough.
#[test]
fn a_cap_that_stops_ends_what_counts_in_it_and_nothing_else() {
    let mut stage = stage("capped", FAST, "restarts = true");
    stage.top_up(PAULA, "1000", "more");
    let before = machine(&stage, "before");
    stage.with_policy("caps.toml", &cap("2.00"));
    let (second, first) = (machine(&stage, "second"), machine(&stage, "first"));
    tag(&stage, &second, "faregate.stop-order", "2");
    tag(&stage, &first, "faregate.stop-order", "1");
    let other = stage.customer(1).deploy(&stage.small_vm(1)).unwrap();
    assert_eq!(other.status, 200, "{other:?}");
    let other = other.inside()["id"].as_str().unwrap().to_owned();
    until("what counts in the cap is stopped", || {
        stops(&stage).len() >= 2 && !is_up(&stage, &first) && !is_up(&stage, &second)
    });
    let order: Vec<String> = events(&stage.admin(), "VM.STOP")
        .into_iter()
        .map(|(machine, _)| machine)
        .collect();
    assert_eq!(order.first(), Some(&first), "the customer's own order");
    assert!(is_up(&stage, &before), "it does not count in the cap");
    // The other account's is in a cap of its own, with an hour of its amount left at least.
    assert!(order.iter().take(2).all(|id| *id != other));
    assert!(told_steps(&stage).iter().any(|step| step == "stop"));
    let refused = [("id", first.as_str())];
    let refused = stage
        .customer(0)
        .call("startVirtualMachine", &refused)
        .unwrap();
    assert_eq!(refused.status, 535, "{refused:?}");
    let history = stage.faregate(&["ladder", "--config", &stage.config(), "--customer", PAULA]);
    assert!(history.contains("cap/lab/account/"), "{history}");
    assert!(consumed(&stage) <= 2_000_000, "no more than was agreed");

    // More was agreed: what was stopped goes on.
    stage.with_policy("caps.toml", &cap("1000"));
    until("what was stopped is started again", || {
        is_up(&stage, &first) && is_up(&stage, &second)
    });
    until("it is told", || {
        told_steps(&stage).iter().any(|step| step == "ended")
    });
    verified(&mut stage);
}
