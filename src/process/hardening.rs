//! Edge: what the process asks of the system for itself: no dumps, and enough descriptors.
//!
//! Customers' secrets are in its memory. A process that cannot be dumped writes no core file, and
//! no other process of the same user can attach to it or read its memory.

use rustix::process::{
    DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit,
};

/// Descriptors that are not connections: the books, logs, listeners.
const DESCRIPTORS_BESIDE: u64 = 256;

/// Forbids dumps of this process, for good.
///
/// # Errors
/// What the system says.
pub fn no_dumps() -> std::io::Result<()> {
    set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    Ok(setrlimit(Resource::Core, none)?)
}

/// Raises the bound on open descriptors as far as it may go; says how many connections it is
/// enough for, each with one to CloudStack.
#[must_use]
pub fn connections_possible() -> usize {
    let bound = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: bound.maximum,
        maximum: bound.maximum,
    };
    let current = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => bound.maximum,
        Err(_) => bound.current,
    };
    let possible = current.map_or(u64::MAX, |most| most.saturating_sub(DESCRIPTORS_BESIDE) / 2);
    usize::try_from(possible).unwrap_or(usize::MAX).max(1)
}
