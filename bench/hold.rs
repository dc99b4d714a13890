//! Holds a second on one hot balance, durable: many callers wait at once, each for a hold with its
//! intent, and one writer serves them in groups. `cargo bench --bench hold`.
//!
//! `BENCH_ROUNDS` (5), `BENCH_SECONDS` (3), `BENCH_DIR` (a folder on the disk to measure).
#![allow(
    clippy::disallowed_methods,
    reason = "a bench reads the clock and its settings"
)]

#[path = "measure.rs"]
mod measure;

use faregate::ledger::Command;
use faregate::ledger::command::{HoldLeg, Terms, TopUp};
use faregate::ledger::records::BillingMode;
use faregate::store::{Intent, IntentChange, IntentStatus, Store, StoreError, Work};
use faregate::terms::ids::{CallId, HoldId, JobId, PayerId, SellerId};
use faregate::terms::money::{Currency, Micros};
use faregate::terms::time::Timestamp;
use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const WAITING: [u64; 4] = [1, 16, 128, 512];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(run())
}

async fn run() -> Result<(), Box<dyn std::error::Error>> {
    let rounds = measure::setting("BENCH_ROUNDS", 5);
    let length = Duration::from_secs(measure::setting("BENCH_SECONDS", 3));
    let parent = std::env::var_os("BENCH_DIR").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target"),
        PathBuf::from,
    );
    let folder = parent.join(format!("bench-hold-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let done = measured(&folder, rounds, length).await;
    std::fs::remove_dir_all(&folder)?;
    let kept = done?;
    println!(
        "{} rounds in {}",
        kept.len(),
        measure::keep("hold", &kept)?.display()
    );
    Ok(())
}

async fn measured(
    folder: &Path,
    rounds: u64,
    length: Duration,
) -> Result<Vec<serde_json::Value>, Box<dyn std::error::Error>> {
    let store = funded(folder).await?;
    let next = Arc::new(AtomicU64::new(1));
    let mut kept = Vec::new();
    println!(
        "{:>8} {:>9} {:>12} {:>9} {:>9} {:>9}",
        "waiting", "holds/s", "CPU µs/hold", "p50 ms", "p99 ms", "sync p50"
    );
    for waiting in WAITING {
        let mut all = Vec::new();
        for _ in 0..rounds {
            let sync = sync_micros(folder)?;
            let round = one_round(&store, &next, waiting, length).await?;
            kept.push(serde_json::json!({
                "bench": "hold", "waiting": waiting, "holds": round.holds,
                "micros": round.micros, "cpu_nanos": round.cpu_nanos,
                "p50_micros": round.p50, "p99_micros": round.p99, "sync_p50_micros": sync,
            }));
            all.push((round, sync));
        }
        let of = |figure: &dyn Fn(&(Round, u64)) -> u64| {
            measure::median(all.iter().map(figure).collect())
        };
        println!(
            "{waiting:>8} {:>9} {:>12} {:>9} {:>9} {:>9}",
            of(&|(it, _)| it.holds * 1_000_000 / it.micros.max(1)),
            measure::thousandths(of(&|(it, _)| it.cpu_nanos / it.holds.max(1))),
            measure::thousandths(of(&|(it, _)| it.p50)),
            measure::thousandths(of(&|(it, _)| it.p99)),
            measure::thousandths(of(&|(_, sync)| *sync)),
        );
    }
    let found = store.verify().await?;
    assert!(
        found.faults.is_empty(),
        "the books do not add up: {:?}",
        found.faults
    );
    Ok(kept)
}

struct Round {
    holds: u64,
    micros: u64,
    cpu_nanos: u64,
    p50: u64,
    p99: u64,
}

async fn one_round(
    store: &Store,
    next: &Arc<AtomicU64>,
    waiting: u64,
    length: Duration,
) -> Result<Round, Box<dyn std::error::Error>> {
    let own = std::process::id();
    let (cpu, start) = (measure::cpu_nanos(own), Instant::now());
    let callers: Vec<_> = (0..waiting)
        .map(|_| tokio::spawn(caller(store.clone(), next.clone(), start + length)))
        .collect();
    let mut latencies = Vec::new();
    for caller in callers {
        latencies.extend(caller.await??);
    }
    let micros = u64::try_from(start.elapsed().as_micros())?;
    let cpu_nanos = measure::cpu_nanos(own).saturating_sub(cpu);
    latencies.sort_unstable();
    Ok(Round {
        holds: u64::try_from(latencies.len())?,
        micros,
        cpu_nanos,
        p50: measure::per_mille(&latencies, 500),
        p99: measure::per_mille(&latencies, 990),
    })
}

async fn caller(
    store: Store,
    next: Arc<AtomicU64>,
    until: Instant,
) -> Result<Vec<u64>, StoreError> {
    let mut latencies = Vec::new();
    while Instant::now() < until {
        let number = u128::from(next.fetch_add(1, Ordering::Relaxed));
        let asked = Instant::now();
        store.submit(hold(number)).await?;
        latencies.push(u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    Ok(latencies)
}

/// How long this disk takes to make 4 KiB durable: the median of 50, measured in the same run.
fn sync_micros(folder: &Path) -> std::io::Result<u64> {
    let mut file = File::create(folder.join("sync"))?;
    let mut taken = Vec::new();
    for _ in 0..50 {
        file.write_all(&[0; 4096])?;
        let start = Instant::now();
        file.sync_data()?;
        taken.push(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
    }
    Ok(measure::median(taken))
}

fn payer() -> PayerId {
    PayerId::from("acme")
}

async fn funded(folder: &Path) -> Result<Store, StoreError> {
    let store = Store::open(folder).await?;
    let opened = Command::OpenPayer {
        payer: payer(),
        seller: SellerId::from("house"),
        currency: Currency::EUR,
        terms: Terms {
            mode: BillingMode::Prepaid,
            credit_line: Micros::ZERO,
        },
        at: Timestamp::from_seconds(0),
    };
    store.submit(Work::of(opened)).await?;
    let paid = Command::TopUp(TopUp {
        id: "p1".to_owned(),
        payer: payer(),
        amount: Micros::new(1_000_000_000_000_000),
        provider: "card".to_owned(),
        tax: None,
        paper: None,
        reference: None,
        at: Timestamp::from_seconds(1),
    });
    store.submit(Work::of(paid)).await?;
    Ok(store)
}

/// A hold and its intent, as the gate writes them before it forwards a deploy.
fn hold(number: u128) -> Work {
    let at = Timestamp::from_seconds(2);
    let (call, hold) = (CallId::from_bits(number), HoldId::from_bits(number));
    let leg = HoldLeg {
        caps: Vec::new(),
        payer: payer(),
        wallet: Micros::new(432_000),
        promo: Micros::ZERO,
        one_off: Micros::ZERO,
    };
    let intent = Intent {
        call,
        hold: Some(hold),
        payer: Some(payer()),
        owner: "account=6f1e1e0e-6a0c-4a53-9d9c-8a4f5c0f4b11".to_owned(),
        command: "deployVirtualMachine".to_owned(),
        params: "command=deployVirtualMachine&zoneid=4613f20a-72f5-4fb3-bd78-df9759957ab9"
            .to_owned(),
        job: Some(JobId::from(format!("job-{number}"))),
        resource: None,
        planned: "[]".to_owned(),
        status: IntentStatus::Intended,
        sent: at,
        answered: None,
        updated: at,
        note: String::new(),
    };
    Work {
        intents: vec![IntentChange::Insert(intent)],
        ..Work::of(Command::Hold {
            hold,
            call,
            legs: vec![leg],
            at,
        })
    }
}
