//! Edge: one node, from its start to its drain.

use super::wiring::{self, Product, Queues};
use crate::config::Config;
use crate::gate::accept;
use crate::gate::line::Core;
use crate::meter::follow::PlannedText;
use crate::store::AuditRow;
use crate::terms::time::SECOND;
use crate::upstream::servers::Fleet;
use anyhow::Context;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// VMs and what hangs on them are swept each minute.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Judged calls written at once.
const AUDIT_ROWS_MAX: usize = 256;

/// A node that runs.
pub struct Node {
    /// What runs in it.
    pub product: Arc<Product>,
    /// Where customers call.
    pub gate: SocketAddr,
    /// Where operators look.
    pub ops: SocketAddr,
    stop: watch::Sender<bool>,
    cores: Vec<std::thread::JoinHandle<()>>,
}

impl Node {
    /// Starts a node on the current (multi-threaded) runtime; the gate gets threads of its own.
    ///
    /// # Errors
    /// What stands in the way, with what to do.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let listeners = listeners(&config)?;
        let gate = listeners.first().context("no listener")?.local_addr()?;
        let ops = tokio::net::TcpListener::bind(config.listen.ops)
            .await
            .with_context(|| format!("{} cannot be listened on", config.listen.ops))?;
        let ops_address = ops.local_addr()?;
        let (product, queues) = wiring::open(config).await?;
        let (stop, stopped) = watch::channel(false);
        take_up(&product).await?;
        background(&product, queues, &stopped);
        tokio::spawn(super::console::serve(product.clone(), ops, stopped.clone()));
        let cores = listeners
            .into_iter()
            .map(|listener| core(product.clone(), listener, stopped.clone()))
            .collect();
        tracing::info!(verb = "serve", %gate, ops = %ops_address, "ready");
        Ok(Self {
            product,
            gate,
            ops: ops_address,
            stop,
            cores,
        })
    }

    /// Stops accepting, lets open calls end, and ends.
    pub async fn drain(self) {
        let _ = self.stop.send(true);
        let _ = tokio::task::spawn_blocking(move || {
            for core in self.cores {
                let _ = core.join();
            }
        })
        .await;
    }
}

fn listeners(config: &Config) -> anyhow::Result<Vec<std::net::TcpListener>> {
    let wanted = config.listen.gate;
    let refused = || format!("{wanted} cannot be listened on");
    let shared = config.listen.threads > 1;
    let first = accept::listener(wanted, shared).with_context(refused)?;
    let address = first.local_addr()?;
    let mut listeners = vec![first];
    for _ in 1..config.listen.threads {
        listeners.push(accept::listener(address, shared).with_context(refused)?);
    }
    Ok(listeners)
}

/// What was under way when the last process ended is followed to its end; what ended meanwhile
/// is found by a sweep.
async fn take_up(product: &Arc<Product>) -> anyhow::Result<()> {
    let now = product.clock.wall();
    let open = product.store.open_intents().await?;
    let young = open
        .iter()
        .filter(|intent| now.since(intent.sent) < 60 * SECOND);
    product.gate.resends.recall(young.filter_map(|intent| {
        Some((
            PlannedText::request_of(&intent.planned)?,
            intent.job.clone(),
        ))
    }));
    let unfinished = product.follower.unfinished().await?;
    let count = unfinished.len();
    let sender = product.gate.followed.clone();
    tokio::spawn(async move {
        for call in unfinished {
            let _ = sender.send(call).await;
        }
    });
    if count > 0 {
        tracing::info!(verb = "follow", count, "calls are taken up again");
    }
    Ok(())
}

fn background(product: &Arc<Product>, queues: Queues, stop: &watch::Receiver<bool>) {
    let renewals = product.renewals.clone();
    let stopped = stop.clone();
    tokio::spawn(async move { renewals.run(queues.wake, stopped).await });
    tokio::spawn(product.follower.clone().run(queues.followed, stop.clone()));
    tokio::spawn(probes(product.clone(), stop.clone()));
    tokio::spawn(product.gate.counters.clone().run(stop.clone()));
    tokio::spawn(audit(product.clone(), queues.audit));
    tokio::spawn(sweeps(product.clone(), stop.clone()));
    tokio::spawn(super::months::run(product.clone(), stop.clone()));
    tokio::spawn(super::reload::run(product.clone(), stop.clone()));
}

async fn audit(product: Arc<Product>, mut rows: mpsc::Receiver<AuditRow>) {
    let mut group = Vec::new();
    while rows.recv_many(&mut group, AUDIT_ROWS_MAX).await > 0 {
        if let Err(fault) = product.store.facts().audit(&group).await {
            tracing::warn!(verb = "audit", %fault, "judged calls were not noted");
        }
        group.clear();
    }
}

/// Several servers are probed; one alone is asked whatever it shows.
async fn probes(product: Arc<Product>, stop: watch::Receiver<bool>) {
    if product.servers.count() > 1 {
        let fleet = Fleet::new(product.servers.clone(), &product.clock);
        fleet.probe(stop).await;
    }
}

async fn sweeps(product: Arc<Product>, mut stop: watch::Receiver<bool>) {
    let mut tick = tokio::time::interval(SWEEP_EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => {
                if let Err(fault) = product.sweep.once().await {
                    tracing::warn!(verb = "sweep", %fault, "the inventory was not swept");
                }
            }
            _ = stop.changed() => return,
        }
    }
}

fn core(
    product: Arc<Product>,
    listener: std::net::TcpListener,
    stop: watch::Receiver<bool>,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build();
        let runtime = match runtime {
            Ok(runtime) => runtime,
            Err(fault) => {
                tracing::error!(verb = "accept", %fault, "a core has no runtime");
                return;
            }
        };
        let fleet = Fleet::new(product.servers.clone(), &product.clock);
        let core = Arc::new(Core {
            gate: product.gate.clone(),
            fleet,
        });
        if let Err(fault) = runtime.block_on(accept::serve(listener, core, stop)) {
            tracing::error!(verb = "accept", %fault, "a core stopped");
        }
    })
}

/// Waits for SIGINT or SIGTERM.
///
/// # Errors
/// Where the system gives no signals.
pub async fn asked_to_stop() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminate.recv() => {}
    }
    Ok(())
}
