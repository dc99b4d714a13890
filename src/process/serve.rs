//! Edge: one node, from its start to its drain.

use super::handover::{Mark, Post, Successor};
use super::sockets::{Role, Sockets};
use super::wiring::{self, Product, Queues};
use crate::config::Config;
use crate::gate::accept::{self, Run, Speaks};
use crate::gate::away::take_over;
use crate::gate::line::Core;
use crate::meter::planned::PlannedText;
use crate::store::{AuditRow, Standing};
use crate::terms::ids::CallId;
use crate::terms::time::SECOND;
use crate::upstream::servers::Fleet;
use anyhow::Context;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// VMs and what hangs on them are swept each minute.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
/// Judged calls written at once.
const AUDIT_ROWS_MAX: usize = 256;
/// How long a new node waits for open calls to end.
const HAND_OVER_MAX: Duration = Duration::from_secs(60);
/// How often the keeper looks for calls that another node left behind, and how long a call was
/// sent before it counts as left, wall time.
const TAKE_UP_EVERY: Duration = Duration::from_secs(5);
const LEFT_AFTER: i64 = 20 * SECOND;
/// How long a node that ends takes to give its lease back.
const LEAVE_MAX: Duration = Duration::from_secs(2);
/// Between two looks at what is open.
const QUIET_EVERY: Duration = Duration::from_millis(20);

/// A node that runs.
pub struct Node {
    /// What runs in it.
    pub product: Arc<Product>,
    /// Where customers call.
    pub gate: SocketAddr,
    /// Where customers call over TLS.
    pub tls: Option<SocketAddr>,
    /// Where operators look.
    pub ops: SocketAddr,
    sockets: Sockets,
    post: Option<Post>,
    mark: Mark,
    run: watch::Sender<Run>,
    stop: watch::Sender<bool>,
    standing: watch::Receiver<Standing>,
    cores: Vec<std::thread::JoinHandle<()>>,
}

impl Node {
    /// Starts a node on the current (multi-threaded) runtime; the gate gets threads of its own.
    ///
    /// # Errors
    /// What stands in the way, with what to do.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        let sockets = Sockets::bind(&config.listen)?;
        Self::start_with(config, sockets).await
    }

    /// Starts a node that listens on these sockets.
    ///
    /// # Errors
    /// As [`Node::start`].
    pub async fn start_with(config: Config, sockets: Sockets) -> anyhow::Result<Self> {
        let shares = sockets.per_core(config.listen.threads)?;
        let gate = sockets.address(Role::Gate).context("no listener")?;
        let ops = sockets.one(Role::Ops)?.context("no operators' listener")?;
        let ops = tokio::net::TcpListener::from_std(ops)?;
        let ops_address = ops.local_addr()?;
        std::fs::create_dir_all(&config.store)
            .with_context(|| format!("{} cannot be made", config.store.display()))?;
        let mark = Mark::set(&config.store)?;
        let post = Post::open(&config).inspect_err(|fault| {
            tracing::warn!(verb = "serve", %fault, "no new node can take over from this one");
        });
        let mut config = config;
        // Port 0 is another one by now; the ladder calls the gate like anybody.
        config.listen.gate = gate;
        let (product, queues) = wiring::open(config).await?;
        let outbox = super::ladder::outbox(&product)?;
        let (stop, stopped) = watch::channel(false);
        let (run, running) = watch::channel(Run::Serve);
        take_up(&product).await?;
        let standing = background(&product, queues, &stopped);
        tokio::spawn(outbox.run(stopped.clone()));
        tokio::spawn(super::console::serve(product.clone(), ops, stopped.clone()));
        if let Some(metrics) = sockets.one(Role::Metrics)? {
            let metrics = tokio::net::TcpListener::from_std(metrics)?;
            let figures = super::console::serve_figures(product.clone(), metrics, stopped.clone());
            tokio::spawn(figures);
        }
        let cores = shares
            .into_iter()
            .map(|listeners| core(product.clone(), listeners, running.clone()))
            .collect();
        tracing::info!(verb = "serve", %gate, ops = %ops_address, "ready");
        Ok(Self {
            product,
            gate,
            tls: sockets.address(Role::Tls),
            ops: ops_address,
            sockets,
            post: post.ok(),
            mark,
            run,
            stop,
            standing,
            cores,
        })
    }

    /// Waits until this node was cut off from the books and another one went on in its place.
    /// Nothing that it does is kept any more: it has to end, and may be started again.
    pub async fn cut_off(&self) {
        let mut standing = self.standing.clone();
        let cut = standing.wait_for(|standing| *standing == Standing::CutOff);
        if cut.await.is_err() {
            std::future::pending().await
        }
    }

    /// Waits for a new node that asks for the sockets.
    pub async fn successor(&self) -> Successor {
        match &self.post {
            Some(post) => post.successor(&self.sockets).await,
            None => std::future::pending().await,
        }
    }

    /// Lets open calls end, closes the books and gives the sockets to a new node. Where the calls
    /// do not end in time, nothing is given and the node that goes on comes back.
    ///
    /// # Errors
    /// Where the books are closed already and the new node could not be given the sockets.
    pub async fn hand_over(self, successor: Successor) -> anyhow::Result<Option<Self>> {
        tracing::info!(
            verb = "hand over",
            "a new node takes over; open calls end first"
        );
        let _ = self.run.send(Run::Pause);
        let quiet = tokio::time::timeout(HAND_OVER_MAX, self.quiet()).await;
        if quiet.is_err() {
            let caps = &self.product.front.entrance.caps;
            let why = format!(
                "after {} s {} connections and {} raising calls are still open; try again",
                HAND_OVER_MAX.as_secs(),
                caps.open(),
                caps.working()
            );
            tracing::warn!(verb = "hand over", %why, "goes on");
            let _ = self.run.send(Run::Serve);
            successor.refuse(&why);
            return Ok(Some(self));
        }
        let Self {
            product,
            sockets,
            post,
            mark,
            run,
            stop,
            standing,
            cores,
            ..
        } = self;
        end_cores(&run, cores).await;
        let _ = stop.send(true);
        left(standing).await;
        product.store.close().await;
        drop((post, mark));
        tokio::task::spawn_blocking(move || successor.send(&sockets)).await??;
        tracing::info!(verb = "hand over", "the new node has the sockets");
        Ok(None)
    }

    async fn quiet(&self) {
        let caps = &self.product.front.entrance.caps;
        while caps.open() > 0 || caps.working() > 0 {
            tokio::time::sleep(QUIET_EVERY).await;
        }
    }

    /// Stops accepting, lets open calls end, and ends.
    pub async fn drain(self) {
        let Self {
            product,
            sockets,
            run,
            stop,
            standing,
            cores,
            mark,
            ..
        } = self;
        // Who calls now is told at once that nobody listens.
        drop(sockets);
        end_cores(&run, cores).await;
        let _ = stop.send(true);
        left(standing).await;
        product.store.close().await;
        drop(mark);
    }
}

/// Waits until the keeper's lease was given back; it runs out by itself where that fails.
async fn left(mut standing: watch::Receiver<Standing>) {
    let given_back = async { while standing.changed().await.is_ok() {} };
    let _ = tokio::time::timeout(LEAVE_MAX, given_back).await;
}

async fn end_cores(run: &watch::Sender<Run>, cores: Vec<std::thread::JoinHandle<()>>) {
    let _ = run.send(Run::End);
    let joined = tokio::task::spawn_blocking(move || {
        for core in cores {
            let _ = core.join();
        }
    });
    let _ = joined.await;
}

/// What was under way when the last process ended is followed to its end; what ended meanwhile
/// is found by a sweep.
async fn take_up(product: &Arc<Product>) -> anyhow::Result<()> {
    take_over::begin(&product.gate).await?;
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

fn background(
    product: &Arc<Product>,
    queues: Queues,
    stop: &watch::Receiver<bool>,
) -> watch::Receiver<Standing> {
    let (tell, standing) = watch::channel(Standing::default());
    let (store, stopped) = (product.store.clone(), stop.clone());
    tokio::spawn(async move { store.stand(tell, stopped).await });
    tokio::spawn(keep(product.clone(), standing.clone(), stop.clone()));
    let renewals = product.renewals.clone();
    let stopped = stop.clone();
    tokio::spawn(async move { renewals.run(queues.wake, stopped).await });
    let (ladder, stopped) = (product.ladder.clone(), stop.clone());
    tokio::spawn(async move { ladder.run(stopped).await });
    tokio::spawn(super::ladder::meter(
        product.clone(),
        queues.acted,
        stop.clone(),
    ));
    tokio::spawn(product.follower.clone().run(queues.followed, stop.clone()));
    tokio::spawn(take_over::run(product.gate.clone(), stop.clone()));
    tokio::spawn(probes(product.clone(), stop.clone()));
    tokio::spawn(product.gate.counters.clone().run(stop.clone()));
    tokio::spawn(audit(product.clone(), queues.audit));
    tokio::spawn(sweeps(product.clone(), stop.clone()));
    tokio::spawn(super::samples::run(product.clone(), stop.clone()));
    tokio::spawn(super::bundles::run(product.clone(), stop.clone()));
    tokio::spawn(super::months::run(product.clone(), stop.clone()));
    tokio::spawn(super::reload::run(product.clone(), stop.clone()));
    tokio::spawn(super::certificates::run(product.clone(), stop.clone()));
    standing
}

/// A node that becomes the keeper follows what other nodes left behind, and looks again now and
/// then: a call whose own node is alive is settled once all the same.
async fn keep(
    product: Arc<Product>,
    standing: watch::Receiver<Standing>,
    mut stop: watch::Receiver<bool>,
) {
    let mut taken: BTreeSet<CallId> = BTreeSet::new();
    let mut tick = tokio::time::interval(TAKE_UP_EVERY);
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = stop.changed() => return,
        }
        if !product.store.shared() || *standing.borrow() != Standing::Keeps {
            continue;
        }
        let open = match product.follower.unfinished().await {
            Ok(open) => open,
            Err(fault) => {
                tracing::warn!(verb = "follow", %fault, "open calls cannot be read");
                continue;
            }
        };
        let now = product.clock.wall();
        taken.retain(|call| open.iter().any(|left| left.call == *call));
        for call in open {
            let late = now.since(call.sent_wall) > LEFT_AFTER;
            if late && taken.insert(call.call) {
                tracing::info!(verb = "follow", call = %call.call, "a call is taken up");
                let _ = product.gate.followed.send(call).await;
            }
        }
    }
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
                if !product.store.keeps() {
                    continue;
                }
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
    listeners: Vec<(std::net::TcpListener, Speaks)>,
    run: watch::Receiver<Run>,
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
            caps: product.front.entrance.caps.clone(),
        });
        let entrance = product.front.entrance.clone();
        if let Err(fault) = runtime.block_on(accept::serve(listeners, core, entrance, run)) {
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
