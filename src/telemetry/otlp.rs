//! Edge: spans to a collector by OTLP over HTTP, beside the log lines; with the feature `otel`.
//!
//! A call starts a trace of its own: what a client says of its trace is not read, and nothing of
//! ours goes to the management servers. Spans that the collector does not take in time are lost;
//! no call waits for them.

use super::{STEPS, Traces, filter};
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::runtime::Tokio;
use opentelemetry_sdk::trace::SdkTracerProvider;
use opentelemetry_sdk::trace::span_processor_with_async_runtime::BatchSpanProcessor;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Spans on their way to the collector.
#[derive(Debug)]
pub(super) struct Provider(SdkTracerProvider);

impl Provider {
    /// Starts log lines and spans; inside the runtime that sends them.
    pub(super) fn start(as_json: bool, traces: &Traces) -> Result<Self, String> {
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(traces.endpoint.as_str())
            .build();
        let exporter = exporter.map_err(|fault| format!("traces cannot be sent: {fault}"))?;
        let version = env!("CARGO_PKG_VERSION");
        let resource = Resource::builder_empty()
            .with_service_name("faregate")
            .with_attribute(KeyValue::new("service.version", version))
            .with_attribute(KeyValue::new("service.instance.id", traces.name.clone()))
            .build();
        let batches = BatchSpanProcessor::builder(exporter, Tokio).build();
        let provider = SdkTracerProvider::builder()
            .with_span_processor(batches)
            .with_resource(resource)
            .build();
        let spans = tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("faregate"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_filter(filter_fn(|of| of.target() == STEPS));
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_target(false);
        let lines = match as_json {
            true => lines.json().flatten_event(true).boxed(),
            false => lines.boxed(),
        };
        let all = tracing_subscriber::registry().with(lines.with_filter(filter()));
        all.with(spans)
            .try_init()
            .map_err(|fault| fault.to_string())?;
        Ok(Self(provider))
    }

    /// Sends what waits. Outside the runtime, which has to be there still.
    pub(super) fn flush(&self) {
        if let Err(fault) = self.0.shutdown() {
            tracing::warn!(verb = "drain", %fault, "the last spans were not sent");
        }
    }
}
