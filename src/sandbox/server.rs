//! Edge: the stand-in's listener, its connections and the saving of its file.

use super::cloud::{Cloud, Moment};
use super::further::Further;
use super::session::Sessions;
use super::{control, exchange, save, seed};
use crate::clock::Clock;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, oneshot, watch};

/// How long changes are gathered, at least, before the snapshot is written.
const SAVE_EVERY: Duration = Duration::from_millis(200);
/// An idle connection is closed after this, as Jetty does.
const IDLE_MAX: Duration = Duration::from_secs(30);
/// Connections at a time.
const CONNECTIONS_MAX: usize = 2_000;
/// How long open calls may go on after a stop was asked for.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// Where and how the stand-in runs.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Address to listen on; port 0 for any.
    pub listen: SocketAddr,
    /// Folder of its snapshot and of `admin.json`.
    pub state_dir: PathBuf,
    /// Wall time for signatures and sessions, billing time for all that is printed.
    pub clock: Clock,
    /// How long a job runs at least and at most, in milliseconds of wall time.
    pub job_delay_millis: (u64, u64),
}

/// Why the stand-in could not run.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The address is taken or not ours.
    #[error("the sandbox cannot listen on {address}: {source}; choose another address")]
    Listen {
        /// Which address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The snapshot cannot be read or written.
    #[error("the sandbox's folder {folder}: {source}; give it a folder that it may write")]
    Folder {
        /// Which folder.
        folder: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// What every connection shares.
#[derive(Debug)]
pub struct Sandbox {
    /// Options it was started with.
    pub options: SandboxOptions,
    /// Further servers of its cloud.
    pub further: Further,
    cloud: Arc<Mutex<Cloud>>,
    sessions: Mutex<Sessions>,
    dirty: Arc<AtomicBool>,
    saving: Mutex<()>,
}

impl Sandbox {
    /// Another management server of the same cloud, with sessions of its own; the first one
    /// saves what it changes.
    #[must_use]
    pub fn beside(&self) -> Self {
        Self {
            options: self.options.clone(),
            further: Further::default(),
            cloud: self.cloud.clone(),
            sessions: Mutex::default(),
            dirty: self.dirty.clone(),
            saving: Mutex::default(),
        }
    }

    /// The cloud, to look at.
    pub fn look(&self) -> MutexGuard<'_, Cloud> {
        self.cloud.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cloud, to change; a change is saved soon. The lock is never held across a wait.
    pub fn change(&self) -> MutexGuard<'_, Cloud> {
        self.dirty.store(true, Ordering::Release);
        self.look()
    }

    /// Login sessions.
    pub fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Billing time in whole seconds.
    #[must_use]
    pub fn now(&self) -> i64 {
        self.options.clock.billing().seconds()
    }

    /// Writes the snapshot where anything changed. One at a time writes.
    fn save(&self) -> std::io::Result<()> {
        let _one = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.dirty.swap(false, Ordering::AcqRel) {
            return Ok(());
        }
        let copy = self.look().clone();
        save::store(&self.options.state_dir, &copy)
    }
}

/// Serves until `stop` turns true; `ready` learns the address that is listened on.
///
/// # Errors
/// [`SandboxError`] where the folder or the address cannot be used.
pub async fn serve(
    options: SandboxOptions,
    ready: oneshot::Sender<SocketAddr>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), SandboxError> {
    let folder = options.state_dir.clone();
    let fault = |source| SandboxError::Folder {
        folder: folder.clone(),
        source,
    };
    let cloud = open(&options).map_err(fault)?;
    let address = options.listen;
    let refused = |source| SandboxError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    let sandbox = Arc::new(Sandbox {
        options,
        further: Further::default(),
        cloud: Arc::new(Mutex::new(cloud)),
        sessions: Mutex::default(),
        dirty: Arc::new(AtomicBool::new(true)),
        saving: Mutex::default(),
    });
    // Nobody waiting for the address is no reason not to serve.
    let _ = ready.send(bound);
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut saver = tokio::spawn(keep_saved(sandbox.clone()));
    while !*stop.borrow() {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => admit(stream, &sandbox, &room, &stop),
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            },
            ended = &mut saver => return Err(fault(ended.unwrap_or_else(std::io::Error::other))),
            changed = stop.changed() => if changed.is_err() { break },
        }
    }
    saver.abort();
    drop(listener);
    let all = u32::try_from(CONNECTIONS_MAX).unwrap_or(u32::MAX);
    // Calls that are still open after this are cut.
    let _ = tokio::time::timeout(DRAIN_MAX, room.acquire_many(all)).await;
    sandbox.save().map_err(fault)
}

/// Saves what changed, again and again, apart from the calls; ends with what the system says.
/// A large cloud is saved more seldom: a fifth of the time at most goes into it.
async fn keep_saved(sandbox: Arc<Sandbox>) -> std::io::Error {
    loop {
        let began = sandbox.options.clock.monotonic();
        let saving = sandbox.clone();
        match tokio::task::spawn_blocking(move || saving.save()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return error,
            Err(stopped) => return std::io::Error::other(stopped),
        }
        let took = began.elapsed().saturating_mul(4);
        tokio::time::sleep(SAVE_EVERY.max(took)).await;
    }
}

/// The folder's cloud, its pending jobs cancelled as a restart does; a fresh one the first time.
fn open(options: &SandboxOptions) -> std::io::Result<Cloud> {
    std::fs::create_dir_all(&options.state_dir)?;
    let fresh = || options.clock.random_uuid();
    let moment = Moment {
        now: options.clock.billing().seconds(),
        fresh: &fresh,
    };
    if let Some(mut cloud) = save::load(&options.state_dir)? {
        control::cancel_all(&mut cloud, moment);
        return Ok(cloud);
    }
    let cloud = seed::cloud(moment);
    save::store_admin(&options.state_dir, &cloud)?;
    save::store(&options.state_dir, &cloud)?;
    Ok(cloud)
}

/// Serves a connection on its own task; one too many is closed.
fn admit(
    stream: TcpStream,
    sandbox: &Arc<Sandbox>,
    room: &Arc<Semaphore>,
    stop: &watch::Receiver<bool>,
) {
    let Ok(place) = room.clone().try_acquire_owned() else {
        return;
    };
    let (sandbox, stop) = (sandbox.clone(), stop.clone());
    tokio::spawn(async move {
        connection(stream, sandbox, stop).await;
        drop(place);
    });
}

pub(super) async fn connection(
    stream: TcpStream,
    sandbox: Arc<Sandbox>,
    mut stop: watch::Receiver<bool>,
) {
    // Without it a small answer waits for the client's acknowledgement.
    let _ = stream.set_nodelay(true);
    let service = service_fn(move |request| exchange::respond(sandbox.clone(), request));
    let mut connection = std::pin::pin!(
        hyper::server::conn::http1::Builder::new()
            .half_close(true)
            .auto_date_header(false)
            .timer(TokioTimer::new())
            .header_read_timeout(IDLE_MAX)
            .serve_connection(TokioIo::new(stream), service)
    );
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = stop.changed() => {}
    }
    connection.as_mut().graceful_shutdown();
    // However it ends, the client is gone.
    let _ = connection.await;
}
