//! Edge: the only reader of time and of randomness.
//!
//! Two clocks: *wall* time judges signatures, sessions, time-outs and polling; *billing* time
//! measures what is consumed. They are one clock unless a billing clock file says otherwise
//! (`demo --speed`, `demo skip`): then billing time runs faster, from one origin that gate and
//! sandbox share through that file.

use crate::terms::time::Timestamp;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, RwLock};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How billing time follows wall time: `billing = billing_origin + (wall − wall_origin) × speed`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BillingOrigin {
    /// Wall instant of the origin.
    pub wall: Timestamp,
    /// Billing instant of the origin.
    pub billing: Timestamp,
    /// How many times faster billing time runs; 1 in production.
    pub speed: i64,
}

/// Why the billing clock file could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ClockError {
    /// The file could not be read or written.
    #[error("billing clock file {path}: {source}")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is not three whole numbers.
    #[error(
        "billing clock file {path} does not hold `wall_micros billing_micros speed`; it holds `{found}`"
    )]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is in it.
        found: String,
    },
}

/// Reads wall time, billing time, monotonic time and randomness.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's clock; billing time may follow a shared origin file.
    System {
        /// The origin file and what it said last.
        billing: Option<Arc<SharedOrigin>>,
    },
    /// A clock that tests move: wall and billing time alike.
    Simulated(Arc<RwLock<Timestamp>>),
    /// The clock of a seeded run: it goes as the runtime's paused clock does, leaps when told, and
    /// what it draws at random follows from its seed.
    Seeded(Arc<Seeded>),
}

/// What a seeded clock stands at.
#[derive(Debug)]
pub struct Seeded {
    origin: tokio::time::Instant,
    /// Wall time at the origin, and how far the monotonic clock has leapt since.
    at_origin: RwLock<(Timestamp, Duration)>,
    drawn: AtomicU64,
}

/// A billing origin that several processes share through one file.
#[derive(Debug)]
pub struct SharedOrigin {
    path: PathBuf,
    last: RwLock<(Option<SystemTime>, BillingOrigin, Instant)>,
}

impl Clock {
    /// The machine's clock, billing time equal to wall time.
    #[must_use]
    pub const fn system() -> Self {
        Self::System { billing: None }
    }

    /// The machine's clock with billing time from the origin file, which must exist.
    ///
    /// # Errors
    /// [`ClockError`] where the file cannot be read or does not hold an origin.
    #[allow(clippy::disallowed_methods, reason = "this is the file that may")]
    pub fn with_billing_file(path: &Path) -> Result<Self, ClockError> {
        let origin = read_origin(path)?;
        let shared = SharedOrigin {
            path: path.to_owned(),
            last: RwLock::new((modified(path), origin, Instant::now())),
        };
        Ok(Self::System {
            billing: Some(Arc::new(shared)),
        })
    }

    /// A clock that stands at `now` until it is moved.
    #[must_use]
    pub fn simulated(now: Timestamp) -> Self {
        Self::Simulated(Arc::new(RwLock::new(now)))
    }

    /// A clock that stands at `now` and draws from `seed`; it goes with the clock of the runtime
    /// that it is made in.
    #[must_use]
    pub fn seeded(now: Timestamp, seed: u64) -> Self {
        Self::Seeded(Arc::new(Seeded {
            origin: tokio::time::Instant::now(),
            at_origin: RwLock::new((now, Duration::ZERO)),
            drawn: AtomicU64::new(seed),
        }))
    }

    /// Lets a seeded clock leap: its wall time, and its monotonic time where that leaps too.
    pub fn leap(&self, wall_micros: i64, steady: Duration) {
        if let Self::Seeded(clock) = self
            && let Ok(mut at) = clock.at_origin.write()
        {
            *at = (at.0.plus(wall_micros), at.1.saturating_add(steady));
        }
    }

    /// Moves a simulated clock; the machine's clock cannot be moved.
    pub fn set(&self, now: Timestamp) {
        if let Self::Simulated(cell) = self
            && let Ok(mut held) = cell.write()
        {
            *held = now;
        }
    }

    /// Wall time: signatures, sessions, time-outs, polling.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        match self {
            Self::System { .. } => system_now(),
            Self::Simulated(cell) => cell
                .read()
                .map_or_else(|held| *held.into_inner(), |held| *held),
            Self::Seeded(clock) => {
                let gone = clock.origin.elapsed().as_micros();
                let gone = i64::try_from(gone).unwrap_or(i64::MAX);
                clock.leapt().0.plus(gone)
            }
        }
    }

    /// Billing time: intervals, holds, renewals, windows, months.
    #[must_use]
    pub fn billing(&self) -> Timestamp {
        match self {
            Self::System {
                billing: Some(shared),
            } => shared.origin().at(system_now()),
            _ => self.wall(),
        }
    }

    /// How many times faster billing time runs than wall time.
    #[must_use]
    pub fn speed(&self) -> i64 {
        match self {
            Self::System {
                billing: Some(shared),
            } => shared.origin().speed,
            _ => 1,
        }
    }

    /// 128 bits for an id of ours: time-ordered, in the layout of UUIDv7.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the file that may")]
    pub fn id_bits(&self) -> u128 {
        match self {
            Self::Seeded(clock) => {
                let millis = u64::try_from(self.wall().micros().max(0) / 1_000).unwrap_or(0);
                uuid::Builder::from_unix_timestamp_millis(millis, &clock.bytes())
                    .into_uuid()
                    .as_u128()
            }
            _ => uuid::Uuid::now_v7().as_u128(),
        }
    }

    /// A random UUID (v4, lower case), for CloudStack's `customjobid`.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the file that may")]
    pub fn random_uuid(&self) -> String {
        match self {
            Self::Seeded(clock) => uuid::Builder::from_random_bytes(clock.next().to_be_bytes())
                .into_uuid()
                .to_string(),
            _ => uuid::Uuid::new_v4().to_string(),
        }
    }

    /// Monotonic time, for time-outs and latencies alone.
    #[must_use]
    #[allow(clippy::disallowed_methods, reason = "this is the file that may")]
    pub fn monotonic(&self) -> Instant {
        match self {
            Self::Seeded(clock) => tokio::time::Instant::now().into_std() + clock.leapt().1,
            // Both clocks of a simulated one are moved together.
            Self::Simulated(_) => {
                static ORIGIN: LazyLock<Instant> = LazyLock::new(Instant::now);
                let gone = u64::try_from(self.wall().micros()).unwrap_or_default();
                *ORIGIN + Duration::from_micros(gone)
            }
            Self::System { .. } => Instant::now(),
        }
    }
}

impl Seeded {
    fn leapt(&self) -> (Timestamp, Duration) {
        match self.at_origin.read() {
            Ok(at) => *at,
            Err(poisoned) => *poisoned.into_inner(),
        }
    }

    /// 128 bits, drawn (splitmix64, twice).
    fn next(&self) -> u128 {
        let mut both = [0_u64; 2];
        for half in &mut both {
            const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
            let drawn = self.drawn.fetch_add(STEP, Ordering::Relaxed);
            let mixed = drawn.wrapping_add(STEP);
            let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            *half = mixed ^ (mixed >> 31);
        }
        (u128::from(both[0]) << 64) | u128::from(both[1])
    }

    fn bytes(&self) -> [u8; 10] {
        let mut bytes = [0; 10];
        for (byte, drawn) in bytes.iter_mut().zip(self.next().to_be_bytes()) {
            *byte = drawn;
        }
        bytes
    }
}

impl BillingOrigin {
    /// Billing time at a wall instant.
    #[must_use]
    pub fn at(&self, wall: Timestamp) -> Timestamp {
        self.billing
            .plus(wall.since(self.wall).saturating_mul(self.speed))
    }
}

impl SharedOrigin {
    /// The origin as of now: the file is looked at again every 100 ms, so that a skip made by
    /// another process is seen at once by all.
    #[allow(clippy::disallowed_methods, reason = "this is the file that may")]
    fn origin(&self) -> BillingOrigin {
        let (stamp, origin, looked) = match self.last.read() {
            Ok(last) => *last,
            Err(poisoned) => *poisoned.into_inner(),
        };
        if looked.elapsed() < Duration::from_millis(100) {
            return origin;
        }
        let now_stamp = modified(&self.path);
        let fresh = if now_stamp == stamp {
            origin
        } else {
            read_origin(&self.path).unwrap_or(origin)
        };
        if let Ok(mut last) = self.last.write() {
            *last = (now_stamp, fresh, Instant::now());
        }
        fresh
    }
}

/// Writes the origin so that no reader ever sees half a file.
///
/// # Errors
/// [`ClockError::File`] where the folder cannot be written.
pub fn write_origin(path: &Path, origin: BillingOrigin) -> Result<(), ClockError> {
    let fault = |source| ClockError::File {
        path: path.to_owned(),
        source,
    };
    let text = format!(
        "{} {} {}\n",
        origin.wall.micros(),
        origin.billing.micros(),
        origin.speed
    );
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, text).map_err(fault)?;
    std::fs::rename(&fresh, path).map_err(fault)
}

/// The origin in the file.
///
/// # Errors
/// [`ClockError`] where it cannot be read or is not three whole numbers.
pub fn read_origin(path: &Path) -> Result<BillingOrigin, ClockError> {
    let text = std::fs::read_to_string(path).map_err(|source| ClockError::File {
        path: path.to_owned(),
        source,
    })?;
    let numbers: Option<Vec<i64>> = text
        .split_whitespace()
        .map(|word| word.parse().ok())
        .collect();
    match numbers.as_deref() {
        Some([wall, billing, speed]) if *speed > 0 => Ok(BillingOrigin {
            wall: Timestamp::from_micros(*wall),
            billing: Timestamp::from_micros(*billing),
            speed: *speed,
        }),
        _ => Err(ClockError::Malformed {
            path: path.to_owned(),
            found: text.trim().to_owned(),
        }),
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path)
        .and_then(|data| data.modified())
        .ok()
}

#[allow(clippy::disallowed_methods, reason = "this is the file that may")]
fn system_now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
