//! Edge: log lines by the step's verb, to stderr. Set up once, written anywhere in edge files.
//!
//! Fields: `verb` (accept, authenticate, forward, follow, settle, renew, sweep …), ids, and what
//! happened. No secret, signature, session or request body is ever a field. The same steps are
//! spans, which are sent where the program was built for it (`telemetry/otlp.rs`).

#[cfg(feature = "otel")]
mod otlp;

use tracing::Span;
use tracing_subscriber::EnvFilter;

/// The target of spans. They are no log lines: unless somebody sends them, they cost one look.
const STEPS: &str = "faregate::steps";

/// Where spans go.
#[derive(Clone, Debug)]
pub struct Traces {
    /// `http://host:port/v1/traces`.
    pub endpoint: String,
    /// This node's name.
    pub name: String,
}

/// What has to be flushed before the process ends.
#[derive(Debug, Default)]
pub struct Sending {
    #[cfg(feature = "otel")]
    provider: Option<otlp::Provider>,
}

impl Sending {
    /// Sends what waits. Called after the drain, outside the runtime, which is there still.
    pub fn flush(&self) {
        #[cfg(feature = "otel")]
        if let Some(provider) = &self.provider {
            provider.flush();
        }
    }
}

/// Starts logging, and sending spans where they are wanted; inside the runtime that sends them.
///
/// # Errors
/// What stands in the way of sending, for people.
pub fn start_with(as_json: bool, traces: Option<&Traces>) -> Result<Sending, String> {
    #[cfg(feature = "otel")]
    if let Some(traces) = traces {
        let provider = Some(otlp::Provider::start(as_json, traces)?);
        return Ok(Sending { provider });
    }
    // The configuration refuses traces where the program was built without them.
    let _ = traces;
    start(as_json);
    Ok(Sending::default())
}

/// The span of one call; what is found out of it is recorded later.
#[must_use]
pub fn call() -> Span {
    use tracing::field::Empty;
    tracing::trace_span!(
        target: STEPS, "call", otel.kind = "server", verb = "accept",
        command = Empty, params = Empty, call = Empty, status = Empty, otel.name = Empty
    )
}

/// The span of a step within a call, by the verb of its log lines.
#[must_use]
pub fn step(verb: &'static str) -> Span {
    tracing::trace_span!(target: STEPS, "step", otel.name = verb, verb)
}

/// What is logged unless `RUST_LOG` says otherwise: libraries must not let a flood fill the log.
const USUAL: &str = "info,h2=error,hyper=error,rustls=error";

/// Starts logging, as lines for people or as JSON objects; `RUST_LOG` narrows it. A second start
/// changes nothing.
pub fn start(as_json: bool) {
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter())
        .with_writer(std::io::stderr)
        .with_target(false);
    let _ = if as_json {
        lines.json().flatten_event(true).try_init()
    } else {
        lines.try_init()
    };
}

fn filter() -> EnvFilter {
    EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(USUAL))
}
