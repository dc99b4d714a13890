//! Edge: counting together with the other nodes, by one script in Redis.
//!
//! A call waits for Redis 50 ms at most. At the first answer that does not come, or is none, this
//! node counts by itself, and asks in the background until Redis is there again.

use crate::policy::limits::{Counted, TooMany};
use arc_swap::ArcSwapOption;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError, Script};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::{Semaphore, watch};

/// How long a call waits for Redis.
const CALL_WAITS: Duration = Duration::from_millis(50);
/// How long a new connection may take, and a probe.
const PROBE_WAITS: Duration = Duration::from_millis(500);
/// Between two probes.
const PROBE_EVERY: Duration = Duration::from_millis(500);
/// Calls that ask Redis at once; one more is counted by the node itself.
const ASKING_MAX: usize = 512;

/// How the shared counting does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Health {
    /// Redis counts.
    pub up: bool,
    /// How often it went away since the start.
    pub losses: u64,
    /// Calls that this node counted by itself since the start.
    pub alone: u64,
}

/// The way to the Redis that all nodes share.
pub struct Shared {
    client: Client,
    script: Script,
    connection: ArcSwapOption<MultiplexedConnection>,
    asking: Semaphore,
    told_away: AtomicBool,
    losses: AtomicU64,
    alone: AtomicU64,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The address may carry a password.
        write!(f, "Shared {:?}", self.health())
    }
}

impl Shared {
    /// The Redis at this address (`redis://[user:password@]host:port/db`, `rediss://` for TLS).
    /// It is asked for by [`Shared::run`], so that a start never waits for it.
    ///
    /// # Errors
    /// Where the address cannot be read; the address is not told, for it may carry a password.
    pub fn new(address: &SecretString) -> Result<Self, &'static str> {
        let client = Client::open(address.expose_secret())
            .map_err(|_| "counters.redis is not the address of a Redis")?;
        Ok(Self {
            client,
            script: Script::new(include_str!("count.lua")),
            connection: ArcSwapOption::empty(),
            asking: Semaphore::new(ASKING_MAX),
            told_away: AtomicBool::new(false),
            losses: AtomicU64::new(0),
            alone: AtomicU64::new(0),
        })
    }

    /// How it does.
    #[must_use]
    pub fn health(&self) -> Health {
        Health {
            up: self.connection.load().is_some(),
            losses: self.losses.load(Ordering::Relaxed),
            alone: self.alone.load(Ordering::Relaxed),
        }
    }

    /// Counts a call; none where the node has to count it by itself.
    pub(super) async fn count(&self, limits: &[Counted<'_>]) -> Option<Result<(), TooMany>> {
        let told = self.asked(limits).await;
        if told.is_none() {
            self.alone.fetch_add(1, Ordering::Relaxed);
        }
        told
    }

    async fn asked(&self, limits: &[Counted<'_>]) -> Option<Result<(), TooMany>> {
        let connection = self.connection.load_full()?;
        let _turn = self.asking.try_acquire().ok()?;
        let mut call = self.script.prepare_invoke();
        for counted in limits {
            let pace = counted.limit.pace;
            call.key(bucket(counted));
            call.arg(pace.interval()).arg(i64::from(pace.burst));
        }
        let mut way = MultiplexedConnection::clone(&connection);
        let answer = call.invoke_async::<Vec<String>>(&mut way);
        let fault = match tokio::time::timeout(CALL_WAITS, answer).await {
            Ok(Ok(told)) => match read(&told, limits) {
                Some(told) => return Some(told),
                None => format!("it answered {told:?}"),
            },
            Ok(Err(fault)) => short(&fault),
            Err(_) => "it did not answer within 50 ms".to_owned(),
        };
        self.lost(&connection, &fault);
        None
    }

    /// Takes a connection out of use. Many calls may see it fail; one says so.
    fn lost(&self, failed: &Arc<MultiplexedConnection>, fault: &str) {
        let before = self.connection.compare_and_swap(failed, None);
        if before.as_ref().is_some_and(|now| Arc::ptr_eq(now, failed)) {
            self.losses.fetch_add(1, Ordering::Relaxed);
            self.told_away.store(true, Ordering::Relaxed);
            tracing::warn!(
                verb = "count",
                fault,
                "Redis is away: this node counts by itself"
            );
        }
    }

    /// Probes the connection in use, and looks for a new one where there is none, until told to
    /// stop.
    pub(super) async fn run(self: Arc<Self>, mut stop: watch::Receiver<bool>) {
        loop {
            match self.connection.load_full() {
                Some(connection) => {
                    if let Err(fault) = probe(&connection).await {
                        self.lost(&connection, &fault);
                        continue;
                    }
                }
                None => self.look().await,
            }
            tokio::select! {
                () = tokio::time::sleep(PROBE_EVERY) => {}
                _ = stop.changed() => return,
            }
        }
    }

    async fn look(&self) {
        match self.connect().await {
            Ok(connection) => {
                self.connection.store(Some(Arc::new(connection)));
                self.told_away.store(false, Ordering::Relaxed);
                tracing::info!(verb = "count", "Redis is there: all nodes count together");
            }
            Err(fault) => {
                // Once each time that it goes away, and once where it was not there at the start.
                if !self.told_away.swap(true, Ordering::Relaxed) {
                    tracing::warn!(
                        verb = "count",
                        fault,
                        "no Redis: this node counts by itself"
                    );
                }
            }
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, String> {
        let limits = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PROBE_WAITS))
            .set_response_timeout(Some(PROBE_WAITS));
        let asked = self
            .client
            .get_multiplexed_async_connection_with_config(&limits);
        let mut connection = asked.await.map_err(|fault| short(&fault))?;
        let loaded = self.script.load_async(&mut connection).await;
        loaded.map_err(|fault| short(&fault))?;
        Ok(connection)
    }
}

async fn probe(connection: &MultiplexedConnection) -> Result<(), String> {
    let mut way = connection.clone();
    let asked = redis::cmd("PING");
    let answer = asked.query_async::<String>(&mut way);
    match tokio::time::timeout(PROBE_WAITS, answer).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(fault)) => Err(short(&fault)),
        Err(_) => Err("it does not answer".to_owned()),
    }
}

/// What a fault is, without the address and what was sent.
fn short(fault: &RedisError) -> String {
    format!("{:?}", fault.kind())
}

/// The name of a bucket. Keys and addresses stand in it as a hash alone.
fn bucket(counted: &Counted<'_>) -> String {
    let pace = counted.limit.pace;
    let mut hash = Sha256::new();
    for part in [&counted.limit.id, &counted.subject] {
        hash.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(part.as_bytes());
    }
    hash.update(pace.interval().to_le_bytes());
    hash.update(pace.burst.to_le_bytes());
    let bytes: [u8; 32] = hash.finalize().into();
    let name: String = bytes.iter().take(16).map(|b| format!("{b:02x}")).collect();
    format!("faregate:limit:{name}")
}

fn read(told: &[String], limits: &[Counted<'_>]) -> Option<Result<(), TooMany>> {
    let [which, wait] = told else {
        return None;
    };
    let which: usize = which.parse().ok()?;
    let wait: i64 = wait.parse().ok()?;
    match which.checked_sub(1) {
        None => Some(Ok(())),
        Some(at) => Some(Err(TooMany::of(limits.get(at)?.limit, wait))),
    }
}
