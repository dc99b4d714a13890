//! Edge: the configuration file and the environment → one checked [`Config`].
//!
//! Two steps: as written (`shape.rs`) → checked, defaults filled, every fault reported at once.
//! Unknown keys are faults. The environment overrides secrets and addresses alone. The parts are
//! handed out by value: nobody reads a global.

mod actor;
mod books;
mod notices;
mod serving;
mod shape;
mod traces;
pub mod vault;
mod starter;

pub use actor::ActorConfig;
pub use books::PostgresConfig;
pub use notices::NoticesConfig;
pub use serving::{Entry, TlsListen};
pub use shape::check;
pub use starter::{STARTER_CONFIG, STARTER_POLICIES};
pub use traces::TracesConfig;

use secrecy::SecretString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// One thing that is wrong in a configuration or policy file.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// Line, from 1; 0 where the fault is not at a line.
    pub line: usize,
    /// What is wrong.
    pub what: String,
    /// What to write instead.
    pub instead: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {} — {}", self.file, self.what, self.instead),
            line => write!(f, "{}:{line}: {} — {}", self.file, self.what, self.instead),
        }
    }
}

/// Where the gate listens.
#[derive(Clone, Debug)]
pub struct Listen {
    /// Customers' API calls.
    pub gate: SocketAddr,
    /// The operators' page and metrics; never the customers' address.
    pub ops: SocketAddr,
    /// Figures alone, for a collector.
    pub metrics: Option<SocketAddr>,
    /// Customers' API calls over TLS.
    pub tls: Option<TlsListen>,
    /// Single-threaded runtimes for the gate, one listener each.
    pub threads: usize,
    /// How much is let in.
    pub entry: Entry,
}

/// A management server and the service account that reads it.
#[derive(Clone, Debug)]
pub struct UpstreamConfig {
    /// `host:port` of the management server's API.
    pub server: String,
    /// Where it is spoken to over TLS: the authorities that its certificate is trusted by.
    pub ca_file: Option<PathBuf>,
    /// The Host header it gets.
    pub host: String,
    /// Further management servers of the same cloud, each with its Host header.
    pub others: Vec<(String, String)>,
    /// The reading service account's API key.
    pub reader_key: String,
    /// Its secret.
    pub reader_secret: SecretString,
    /// The acting service account; none where nothing is ever stopped.
    pub actor: Option<ActorConfig>,
}

impl UpstreamConfig {
    /// Every management server as `host:port`, with its Host header.
    pub fn servers(&self) -> impl Iterator<Item = (String, String)> {
        let first = (self.server.clone(), self.host.clone());
        std::iter::once(first).chain(self.others.iter().cloned())
    }
}

/// Which paths beside the API are served.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UiConfig {
    /// The web interface's files.
    pub enabled: bool,
    /// The management server's console servlet.
    pub console: bool,
}

/// What happens to a raising call whose payer is not decided by money alone.
#[derive(Clone, Debug)]
pub struct CommandConfig {
    /// Commands that the table does not know, with the class that the operator gives them.
    pub classes: Vec<(String, String)>,
}

/// How calls are counted.
#[derive(Clone, Debug)]
pub struct CounterConfig {
    /// The Redis that all nodes share; its address may carry a password.
    pub redis: Option<SecretString>,
    /// How many nodes serve: without Redis each grants its share of a call limit.
    pub nodes: u32,
}

/// Everything that `serve` needs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Sockets.
    pub listen: Listen,
    /// The management server.
    pub upstream: UpstreamConfig,
    /// Folder of what this node keeps: `ledger.db` and `facts.db`, where the books are no
    /// PostgreSQL's.
    pub store: PathBuf,
    /// Folder of the policies.
    pub policies: PathBuf,
    /// Folder that invoices are written to.
    pub invoices: PathBuf,
    /// File with the key that encrypts secrets at rest, made by `init`.
    pub key_file: PathBuf,
    /// Billing clock file, for demonstrations alone.
    pub billing_clock: Option<PathBuf>,
    /// Which paths beside the API are served.
    pub ui: UiConfig,
    /// Classes for unknown commands.
    pub commands: CommandConfig,
    /// How calls are counted.
    pub counters: CounterConfig,
    /// How notices leave.
    pub notices: NoticesConfig,
    /// Where the books lie for several nodes; none for the two files in `store`.
    pub postgres: Option<PostgresConfig>,
    /// Where spans are sent to; none: nowhere.
    pub traces: Option<TracesConfig>,
}

/// Reads and checks a configuration file.
///
/// # Errors
/// Every fault at once, each with file, line and what to write instead.
pub fn load(path: &Path) -> Result<Config, Vec<Fault>> {
    let file = path.display().to_string();
    let instead = "name an existing file, or make one with `faregate init DIR`";
    let text = read(path, "the configuration cannot be read", instead).map_err(|f| vec![f])?;
    let folder = path.parent().unwrap_or(Path::new("."));
    shape::check(&file, &text, folder, &environment)
}

/// Every policy file of a folder, as (path, text), in the order of their paths.
///
/// # Errors
/// A fault for the folder, or for each file, that cannot be read.
pub fn policy_files(folder: &Path) -> Result<Vec<(String, String)>, Vec<Fault>> {
    let paths = policy_paths(folder)?;
    let (mut files, mut faults) = (Vec::new(), Vec::new());
    for path in paths {
        let instead = "give a readable file, or take it out of the folder";
        match read(&path, "cannot be read", instead) {
            Ok(text) => files.push((path.display().to_string(), text)),
            Err(fault) => faults.push(fault),
        }
    }
    match faults.is_empty() {
        true => Ok(files),
        false => Err(faults),
    }
}

/// The paths of a folder's policy files, sorted; tables of tests are none.
///
/// # Errors
/// A fault for the folder that cannot be read.
pub fn policy_paths(folder: &Path) -> Result<Vec<PathBuf>, Vec<Fault>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        let entries = std::fs::read_dir(&next).map_err(|e| unreadable(&next, &e))?;
        for entry in entries {
            let path = entry.map_err(|e| unreadable(&next, &e))?.path();
            if path.is_dir() && !path.ends_with("tests") {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "toml") {
                files.push(path);
            }
        }
    }
    files.sort();
    Ok(files)
}

/// The text of a file; the fault names the line where it is no UTF-8.
fn read(path: &Path, cannot: &str, instead: &str) -> Result<String, Fault> {
    let file = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|e| Fault {
        file: file.clone(),
        line: 0,
        what: format!("{cannot}: {e}"),
        instead: instead.to_owned(),
    })?;
    String::from_utf8(bytes).map_err(|e| {
        let good = e.as_bytes().get(..e.utf8_error().valid_up_to());
        let ends = good
            .unwrap_or_default()
            .iter()
            .filter(|byte| **byte == b'\n');
        Fault {
            file,
            line: ends.count().saturating_add(1),
            what: format!("{cannot}: this line is not UTF-8"),
            instead: "save the file as UTF-8".to_owned(),
        }
    })
}

fn unreadable(path: &Path, e: &std::io::Error) -> Vec<Fault> {
    vec![Fault {
        file: path.display().to_string(),
        line: 0,
        what: format!("cannot be read: {e}"),
        instead: "give a readable folder as `policies`".to_owned(),
    }]
}

/// The environment, which only overrides secrets and addresses.
#[allow(clippy::disallowed_methods, reason = "this is the folder that may")]
fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
