//! Edge: log lines by the step's verb, to stderr. Set up once, written anywhere in edge files.
//!
//! Fields: `verb` (accept, authenticate, forward, follow, settle, renew, sweep …), ids, and what
//! happened. No secret, signature, session or request body is ever a field.

use tracing_subscriber::EnvFilter;

/// Starts logging; `RUST_LOG` narrows it. A second start changes nothing.
pub fn start() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false)
        .try_init();
}
