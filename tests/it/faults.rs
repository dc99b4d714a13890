//! Edge: real faults under a gate that serves: what is left is looked at as an auditor would.

#[cfg(feature = "crash-points")]
mod crash_points;
mod clock_jumps;
mod cut;
mod disk_full;
mod postgres_dies;
mod postgres_full;
mod redis_dies;
mod sync_fails;

use crate::stage::{Stage, until};
use faregate::cloudstack::usage_type::UsageType;
use faregate::store::{IntentStatus, Place, Store};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

/// Rows of a stage's books that are looked at.
const ROWS: u32 = 100_000;

/// Runs a question to the books on a runtime of its own.
fn ask<T>(question: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(question)
}

/// Waits until no job runs in the sandbox and the gate has had the time to look at each.
fn settled(stage: &Stage) {
    until("nothing starts any more", || {
        let jobs = stage
            .admin()
            .call("listAsyncJobs", &[("listall", "true")])
            .unwrap();
        !jobs.body.contains("asyncjobs\":[{")
    });
    std::thread::sleep(Duration::from_secs(4));
}

/// The books against what runs: sums are zero, every machine is charged once and was paid for by
/// one hold, and a hold is open for each call that is not resolved, and for no other.
fn audit(place: &Place, running: &[String]) {
    ask(async {
        let store = Store::open_at(place).await.unwrap();
        assert_eq!(store.verify().await.unwrap().faults, []);
        let metered = charged_in(&store).await;
        let once: BTreeMap<String, usize> = running.iter().map(|id| (id.clone(), 1)).collect();
        assert_eq!(metered, once, "what is charged, against what runs");
        let intents = store.recent_intents(ROWS).await.unwrap();
        let holds: BTreeSet<_> = intents.iter().filter_map(|intent| intent.hold).collect();
        assert_eq!(
            holds.len(),
            intents.len(),
            "every call has a hold of its own"
        );
        let of_status = |wanted| intents.iter().filter(|i| i.status == wanted).count();
        assert_eq!(
            of_status(IntentStatus::Settled),
            running.len(),
            "a hold settles for each machine, once"
        );
        let open = store.open_holds(None).await.unwrap();
        let unknown = intents.iter().filter(|i| !i.status.is_final()).count();
        assert_eq!(
            open.len(),
            unknown,
            "a hold is open for each unresolved call"
        );
        store.close().await;
    });
}

/// How often each machine is charged as running, now.
async fn charged_in(store: &Store) -> BTreeMap<String, usize> {
    let mut charged = BTreeMap::new();
    for row in store.open_intervals(None).await.unwrap() {
        if row.interval.meter.usage_type == UsageType::RunningVm {
            let id = row.interval.meter.resource.to_string();
            *charged.entry(id).or_default() += 1;
        }
    }
    charged
}

/// The same in books that others have open.
fn charged(place: &Place) -> BTreeMap<String, usize> {
    ask(async { charged_in(&Store::open_at(place).await.unwrap()).await })
}

/// The place of a stage's books in its folder.
fn in_folder(folder: &Path) -> Place {
    Place::Folder(folder.join("state"))
}

/// A deploy of a machine with that name, so that no two calls are equal; the machine's id where it
/// was accepted.
fn deploy(stage: &Stage, name: &str) -> Option<String> {
    let mut vm = stage.small_vm(0);
    vm.push(("name".to_owned(), name.to_owned()));
    let heard = stage.customer(0).deploy(&vm)?;
    (heard.status == 200).then(|| heard.inside()["id"].as_str().unwrap().to_owned())
}

/// Several deploys at once; the machines that were accepted.
fn deploys(stage: &Stage, name: &str, count: usize) -> Vec<String> {
    std::thread::scope(|scope| {
        let calls =
            (0..count).map(|at| scope.spawn(move || deploy(stage, &format!("{name}-{at}"))));
        let calls: Vec<_> = calls.collect();
        let ended = calls.into_iter().filter_map(|call| call.join().unwrap());
        ended.collect()
    })
}
