//! Edge: log lines by the step's verb, to stderr. Set up once, written anywhere in edge files.
//!
//! Fields: `verb` (accept, authenticate, forward, follow, settle, renew, sweep …), ids, and what
//! happened. No secret, signature, session or request body is ever a field.

use tracing_subscriber::EnvFilter;

/// What is logged unless `RUST_LOG` says otherwise: libraries must not let a flood fill the log.
const USUAL: &str = "info,h2=error,hyper=error,rustls=error";

/// Starts logging, as lines for people or as JSON objects; `RUST_LOG` narrows it. A second start
/// changes nothing.
pub fn start(as_json: bool) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(USUAL));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    let _ = if as_json {
        lines.json().flatten_event(true).try_init()
    } else {
        lines.try_init()
    };
}
