//! Edge: named points at which a test lets the process die by SIGKILL.
//!
//! Without the feature `crash-points` every point is an empty function. With it, a point looks in
//! the file that `FAREGATE_CRASH_FILE` names for its own name and the passage that is the last one
//! (`K3 2`): the second call that comes by K3 then takes the process along. A file, so that a
//! process that runs can be armed and one that starts again need not be.

/// Where a process may die: the steps of a call, and of what is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Point {
    /// A call was parsed.
    Parsed,
    /// Its caller was verified.
    Verified,
    /// Hold and intent are durable, nothing was sent.
    Held,
    /// A connection to a management server stands, no byte went out.
    Connected,
    /// The head of CloudStack's answer came.
    FirstByte,
    /// CloudStack's answer is whole.
    LastByte,
    /// Our answer's head is about to go out.
    ReplyHead,
    /// Our answer's body is about to go out.
    ReplyBody,
    /// The call is with its follower.
    Followed,
    /// The client has its answer, and the connection ended.
    Replied,
    /// A hold is settled in a transaction that is not committed.
    Settling,
    /// An invoice is issued in a transaction that is not committed.
    Issuing,
    /// A notice went out and is not marked as sent.
    Telling,
    /// A step of a new form of the books is done and not committed.
    Migrating,
    /// A row is sealed anew, others are not.
    Rotating,
}

#[cfg(not(feature = "crash-points"))]
#[inline(always)]
/// Nothing: the program that is served has no such points.
pub const fn pass(_point: Point) {}

#[cfg(feature = "crash-points")]
pub use armed::pass;

#[cfg(feature = "crash-points")]
mod armed {
    use super::Point;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Passages of the point that is armed.
    static PASSED: AtomicU32 = AtomicU32::new(0);

    impl Point {
        const fn name(self) -> &'static str {
            match self {
                Self::Parsed => "K1",
                Self::Verified => "K2",
                Self::Held => "K3",
                Self::Connected => "K4",
                Self::FirstByte => "K5",
                Self::LastByte => "K6",
                Self::ReplyHead => "K7",
                Self::ReplyBody => "K8",
                Self::Followed => "K9",
                Self::Replied => "K10",
                Self::Settling => "K11",
                Self::Telling => "K12",
                Self::Issuing => "K13",
                Self::Migrating => "K14",
                Self::Rotating => "K15",
            }
        }
    }

    /// Dies here where the file says so. Never for a fault of the file: no file, no crash.
    #[allow(
        clippy::disallowed_methods,
        reason = "a test's own setting, in no product"
    )]
    pub fn pass(point: Point) {
        let Some(file) = std::env::var_os("FAREGATE_CRASH_FILE") else {
            return;
        };
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let Some((name, nth)) = text.trim().split_once(' ') else {
            return;
        };
        let nth: u32 = nth.parse().unwrap_or(u32::MAX);
        if name == point.name() && PASSED.fetch_add(1, Ordering::Relaxed).saturating_add(1) == nth {
            let own = rustix::process::getpid();
            let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
            // The signal takes every thread; none goes on meanwhile.
            loop {
                std::thread::park();
            }
        }
    }
}
