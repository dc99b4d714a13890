//! The gate against nginx and HAProxy, over one loopback backend, in one run: CPU per call and
//! latency of a read call and of a deploy whose price is held first, as ratios; and whether
//! unknown key, wrong signature and disabled user can be told apart. `cargo bench --bench gate`.
//!
//! Both proxies have one worker, pinned to one core; backend and load run on the other. CPU is the
//! proxy's own, by the scheduler's count; that figure repeats, calls a second and latency move with
//! the neighbours. Rounds of the two are interleaved.
//!
//! `BENCH_CALLS` (`read raise tls h2 sameness`), `BENCH_ROUNDS` (5), `BENCH_SECONDS` (3),
//! `BENCH_GATE` (another gate's command line; `{config}` stands for the configuration that is
//! written here).
#![allow(
    clippy::disallowed_methods,
    reason = "a bench reads the clock and its settings"
)]

#[path = "gate/backend.rs"]
mod backend;
#[path = "gate/load.rs"]
mod load;
#[path = "measure.rs"]
mod measure;
#[path = "gate/proxies.rs"]
mod proxies;
#[path = "gate/sameness.rs"]
mod sameness;
#[path = "gate/secured.rs"]
mod secured;

use load::{Figures, Kind, Way, Wire};
use proxies::Proxy;
use secured::Tls;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

const CONNECTIONS: [usize; 3] = [16, 64, 256];

fn main() -> Outcome<()> {
    let pinned = proxies::pin(std::process::id(), 1);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    runtime.block_on(run(pinned))
}

async fn run(pinned: bool) -> Outcome<()> {
    let rounds = measure::setting("BENCH_ROUNDS", 5);
    let length = Duration::from_secs(measure::setting("BENCH_SECONDS", 3));
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("target")
        .join(format!("bench-gate-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let backend = backend::start().await?;
    let (pair, tls) = secured::certificate(&folder)?;
    let (gate, config) = proxies::gate(&folder, backend, &pair)?;
    let sides = [
        Side {
            name: "direct",
            proxy: None,
            address: backend,
        },
        side("nginx", proxies::nginx(&folder, backend, &pair)?),
        side("haproxy", proxies::haproxy(&folder, backend, &pair)?),
        side("gate", gate),
    ];
    for side in &sides {
        load::until_ready(&side.way(&Wire::Plain)).await?;
        if let Some(proxy) = &side.proxy {
            proxies::pin(proxy.pid(), 0);
        }
    }
    proxies::top_up(&config)?;
    let mut kept = Vec::new();
    let run = Run {
        rounds,
        length,
        pinned,
    };
    let done = everything(&sides, &run, tls, &mut kept).await;
    drop(sides);
    std::fs::remove_dir_all(&folder)?;
    println!(
        "{} rounds in {}",
        kept.len(),
        measure::keep("gate", &kept)?.display()
    );
    done
}

async fn everything(
    sides: &[Side],
    run: &Run,
    tls: Tls,
    kept: &mut Vec<serde_json::Value>,
) -> Outcome<()> {
    let all = "read raise tls h2 sameness".to_owned();
    let wanted = std::env::var("BENCH_CALLS").unwrap_or(all);
    for kind in [Kind::Read, Kind::Raise] {
        if wanted.contains(kind.name()) {
            measured(sides, kind, &Wire::Plain, run, kept).await?;
        }
    }
    for wire in [Wire::Tls(tls.clone()), Wire::Two(tls)] {
        if wanted.contains(wire.name()) {
            measured(&sides[1..], Kind::Read, &wire, run, kept).await?;
        }
    }
    if wanted.contains("sameness") {
        let gate = sides.last().ok_or("no gate")?;
        sameness::measured(gate.address, kept).await?;
    }
    Ok(())
}

/// How often and how long.
struct Run {
    rounds: u64,
    length: Duration,
    pinned: bool,
}

struct Side {
    name: &'static str,
    proxy: Option<Proxy>,
    address: SocketAddr,
}

impl Side {
    /// How calls get there.
    fn way(&self, wire: &Wire) -> Way {
        let address = match (wire, &self.proxy) {
            (Wire::Tls(_) | Wire::Two(_), Some(proxy)) => proxy.secured,
            _ => self.address,
        };
        Way {
            address,
            wire: wire.clone(),
        }
    }
}

fn side(name: &'static str, proxy: Proxy) -> Side {
    let address = proxy.address;
    Side {
        name,
        proxy: Some(proxy),
        address,
    }
}

/// What was measured before a fault is kept as well.
async fn measured(
    sides: &[Side],
    kind: Kind,
    wire: &Wire,
    run: &Run,
    kept: &mut Vec<serde_json::Value>,
) -> Outcome<()> {
    let pinned = run.pinned;
    println!(
        "{} call {}; CPU µs/call of the proxy; pinned: {pinned}",
        kind.name(),
        wire.name()
    );
    println!(
        "{:>5} {:>8} {:>9} {:>12} {:>8} {:>8} {:>14}",
        "open", "side", "calls/s", "CPU µs/call", "p50 ms", "p99 ms", "CPU ÷ nginx"
    );
    for open in CONNECTIONS {
        let mut all: Vec<Vec<Figures>> = sides.iter().map(|_| Vec::new()).collect();
        for round in 0..run.rounds {
            for (side, figures) in sides.iter().zip(&mut all) {
                let taken = one_round(side, kind, wire, open, run.length).await;
                let taken =
                    taken.map_err(|fault| format!("{}, {open} open: {fault}", side.name))?;
                kept.push(serde_json::json!({
                    "bench": "gate", "call": kind.name(), "wire": wire.name(),
                    "side": side.name, "open": open,
                    "round": round, "calls": taken.calls, "micros": taken.micros,
                    "cpu_nanos": taken.cpu_nanos, "p50_micros": taken.p50,
                    "p99_micros": taken.p99, "pinned": pinned,
                }));
                figures.push(taken);
            }
        }
        print_medians(open, sides, &all);
    }
    Ok(())
}

async fn one_round(
    side: &Side,
    kind: Kind,
    wire: &Wire,
    open: usize,
    length: Duration,
) -> Outcome<Figures> {
    let to = side.way(wire);
    load::drive(&to, kind, open, length / 8).await?;
    let pid = side.proxy.as_ref().map(Proxy::pid);
    let before = pid.map_or(0, measure::cpu_nanos);
    let mut taken = load::drive(&to, kind, open, length).await?;
    taken.cpu_nanos = pid.map_or(0, measure::cpu_nanos).saturating_sub(before);
    Ok(taken)
}

fn print_medians(open: usize, sides: &[Side], all: &[Vec<Figures>]) {
    let cpu = |figures: &[Figures]| {
        measure::median(
            figures
                .iter()
                .map(|it| it.cpu_nanos / it.calls.max(1))
                .collect(),
        )
    };
    let nginx = sides
        .iter()
        .position(|side| side.name == "nginx")
        .map_or(0, |at| cpu(&all[at]));
    for (side, figures) in sides.iter().zip(all) {
        let of =
            |figure: fn(&Figures) -> u64| measure::median(figures.iter().map(figure).collect());
        println!(
            "{open:>5} {:>8} {:>9} {:>12} {:>8} {:>8} {:>14}",
            side.name,
            of(|it| it.calls * 1_000_000 / it.micros.max(1)),
            measure::thousandths(cpu(figures)),
            measure::thousandths(of(|it| it.p50)),
            measure::thousandths(of(|it| it.p99)),
            if side.proxy.is_some() {
                ratio(cpu(figures), nginx)
            } else {
                String::new()
            },
        );
    }
}

/// `left ÷ right` in thousandths.
fn ratio(left: u64, right: u64) -> String {
    let share = left.saturating_mul(1_000).checked_div(right);
    share.map_or_else(|| "–".to_owned(), measure::thousandths)
}
