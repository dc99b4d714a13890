//! Edge: the demo's folder: what was made, which sandbox runs, and where billing time stands.

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

use crate::clock::{BillingOrigin, Clock, read_origin, write_origin};
use crate::terms::time::Timestamp;

/// The file that says that a folder is a demo's.
const STATE_FILE: &str = "demo.json";
/// The shared billing clock.
const CLOCK_FILE: &str = "billing.clock";
/// Billing time when the demo last ran, in microseconds.
const SEEN_FILE: &str = "billing.seen";

/// A customer of the demo.
#[derive(Clone, Serialize, Deserialize, Debug)]
pub struct DemoCustomer {
    /// Name, which is payer and account as well.
    pub name: String,
    /// `prepaid` or `postpaid`.
    pub mode: String,
    /// API key.
    pub api_key: String,
    /// Its secret: a throw-away one of a sandbox.
    pub secret: String,
    /// CloudStack's id of its domain.
    pub domain_id: String,
    /// CloudStack's id of its network.
    pub network_id: String,
}

/// What the demo made, kept for the next start.
#[derive(Clone, Serialize, Deserialize, Debug, Default)]
pub struct DemoState {
    /// Port of the gate.
    pub gate_port: u16,
    /// Port of the operator page.
    pub ops_port: u16,
    /// Port of the sandbox.
    pub sandbox_port: u16,
    /// The sandbox administrator's key.
    pub admin_key: String,
    /// Its secret.
    pub admin_secret: String,
    /// The customers.
    pub customers: Vec<DemoCustomer>,
    /// The zone.
    pub zone_id: String,
    /// The template.
    pub template_id: String,
    /// Offerings by name.
    pub offerings: Vec<(String, String)>,
}

/// The demo's folder.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// Opens the folder, made where it is missing; `fresh` empties it first, but never a folder
    /// that is not a demo's.
    pub fn open(path: &Path, fresh: bool) -> anyhow::Result<Self> {
        let folder = Self {
            path: path.to_owned(),
        };
        let is_ours = folder.file(STATE_FILE).exists() || folder.file(CLOCK_FILE).exists();
        let is_empty = std::fs::read_dir(path).map_or(true, |mut entries| entries.next().is_none());
        if !is_ours && !is_empty {
            bail!(
                "{} is not empty and not a demo's folder; name another with --state DIR",
                path.display()
            );
        }
        if fresh && is_ours {
            std::fs::remove_dir_all(path)
                .with_context(|| format!("{} cannot be emptied", path.display()))?;
        }
        std::fs::create_dir_all(path.join("sandbox"))
            .with_context(|| format!("{} cannot be made", path.display()))?;
        Ok(folder)
    }

    /// A file of the folder.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// What was made before, if anything was.
    pub fn load(&self) -> anyhow::Result<Option<DemoState>> {
        let path = self.file(STATE_FILE);
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path)?;
        let state = serde_json::from_str(&text).with_context(|| {
            format!(
                "{} cannot be read; start anew with `demo --fresh`",
                path.display()
            )
        })?;
        Ok(Some(state))
    }

    /// Keeps what was made, whole or not at all.
    pub fn save(&self, state: &DemoState) -> anyhow::Result<()> {
        self.write(STATE_FILE, serde_json::to_string_pretty(state)?.as_bytes())
    }

    /// Writes a file so that nobody ever reads half of it.
    pub fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        let (path, fresh) = (self.file(name), self.file(&format!("{name}.new")));
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&fresh, bytes)
            .and_then(|()| std::fs::rename(&fresh, &path))
            .with_context(|| format!("{} cannot be written", path.display()))
    }

    /// The billing clock. While the sandbox did not run, billing time stood still; a new speed
    /// takes over where the old one left off.
    pub fn clock(&self, speed: Option<i64>, sandbox_ran_on: bool) -> anyhow::Result<Clock> {
        let path = self.file(CLOCK_FILE);
        let wall = Clock::system().wall();
        let origin = match read_origin(&path) {
            Err(_) => BillingOrigin {
                wall,
                billing: wall,
                speed: speed.unwrap_or(1),
            },
            Ok(before) => {
                let running = before.at(wall);
                let billing = if sandbox_ran_on {
                    running
                } else {
                    self.seen().unwrap_or(running)
                };
                BillingOrigin {
                    wall,
                    billing,
                    speed: speed.unwrap_or(before.speed),
                }
            }
        };
        write_origin(&path, origin)?;
        Ok(Clock::with_billing_file(&path)?)
    }

    /// Path of the billing clock.
    #[must_use]
    pub fn clock_file(&self) -> PathBuf {
        self.file(CLOCK_FILE)
    }

    /// Moves billing time on to `target`.
    pub fn skip_to(&self, target: Timestamp) -> anyhow::Result<()> {
        let path = self.clock_file();
        let before = read_origin(&path).context("no demo ran in this folder yet")?;
        let wall = Clock::system().wall();
        let billing = target.max(before.at(wall));
        Ok(write_origin(
            &path,
            BillingOrigin {
                wall,
                billing,
                speed: before.speed,
            },
        )?)
    }

    /// Notes where billing time stands, for the next start.
    pub fn note_seen(&self, billing: Timestamp) -> anyhow::Result<()> {
        self.write(SEEN_FILE, billing.micros().to_string().as_bytes())
    }

    fn seen(&self) -> Option<Timestamp> {
        let text = std::fs::read_to_string(self.file(SEEN_FILE)).ok()?;
        text.trim().parse().ok().map(Timestamp::from_micros)
    }
}
