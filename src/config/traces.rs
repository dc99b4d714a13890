//! Edge: where spans are sent to, where that is wanted.

use super::shape::Faults;
use serde::Deserialize;
use toml::Spanned;

/// The collector that takes this node's spans.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TracesConfig {
    /// `http://host:port/v1/traces`: OTLP over HTTP.
    pub endpoint: String,
    /// `service.instance.id`: this node's name among others.
    pub name: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenTraces {
    endpoint: Option<Spanned<String>>,
    name: Option<String>,
}

/// The table `[traces]`; without it, and without `FAREGATE_TRACES_ENDPOINT`, nothing is sent.
pub(super) fn check_traces(
    written: &Option<WrittenTraces>,
    environment: &dyn Fn(&str) -> Option<String>,
    faults: &mut Faults<'_>,
) -> Option<TracesConfig> {
    let in_file = written.as_ref().and_then(|it| it.endpoint.as_ref());
    let offset = in_file.map_or(0, |text| text.span().start);
    let in_file = in_file.map(|text| text.get_ref().clone());
    let Some(endpoint) = environment("FAREGATE_TRACES_ENDPOINT").or(in_file) else {
        if written.is_some() {
            faults.at(
                offset,
                "[traces] without traces.endpoint".to_owned(),
                "name the collector, or set FAREGATE_TRACES_ENDPOINT, or remove the table",
            );
        }
        return None;
    };
    if !cfg!(feature = "otel") {
        faults.at(
            offset,
            "traces.endpoint is set, and this program was built without traces".to_owned(),
            "build it with `cargo build --release --features otel`, or remove [traces]",
        );
    }
    let uri = endpoint.parse::<http::Uri>().ok();
    let plain = uri.filter(|uri| uri.scheme_str() == Some("http") && uri.host().is_some());
    // Whoever wrote a password into the address is not told it again.
    if plain.is_none_or(|uri| uri.authority().is_some_and(|it| it.as_str().contains('@'))) {
        faults.at(
            offset,
            "traces.endpoint is no http:// address, or carries a password".to_owned(),
            "write \"http://127.0.0.1:4318/v1/traces\", a collector beside the node; it may \
             speak TLS onwards",
        );
    }
    let name = written.as_ref().and_then(|it| it.name.clone());
    Some(TracesConfig {
        endpoint,
        name: name.unwrap_or_else(|| "faregate".to_owned()),
    })
}
