//! Edge: the configuration as written, and the check that turns it into [`Config`].

use super::actor::check_actor;
use super::books::{WrittenPostgres, check_postgres};
use super::notices::{WrittenNotices, check_notices};
use super::serving::{WrittenEntry, WrittenTls, check_entry, check_tls};
use super::traces::{WrittenTraces, check_traces};
use super::{CommandConfig, Config, CounterConfig, Fault, Listen, UiConfig, UpstreamConfig};
use secrecy::SecretString;
use serde::Deserialize;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use toml::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    listen: WrittenListen,
    upstream: WrittenUpstream,
    #[serde(default)]
    paths: WrittenPaths,
    #[serde(default)]
    ui: WrittenUi,
    #[serde(default)]
    commands: toml::Table,
    #[serde(default)]
    counters: WrittenCounters,
    postgres: Option<WrittenPostgres>,
    traces: Option<WrittenTraces>,
    #[serde(default)]
    notices: WrittenNotices,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenCounters {
    redis: Option<Spanned<String>>,
    nodes: Option<Spanned<i64>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenListen {
    gate: Spanned<String>,
    ops: Spanned<String>,
    metrics: Option<Spanned<String>>,
    threads: Option<Spanned<i64>>,
    connections_max: Option<Spanned<i64>>,
    connections_per_address_max: Option<Spanned<i64>>,
    trusted_proxies: Option<Spanned<Vec<String>>>,
    proxy_protocol: Option<Spanned<bool>>,
    tls: Option<WrittenTls>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenUpstream {
    url: Option<Spanned<String>>,
    servers: Option<Vec<Spanned<String>>>,
    host: Option<String>,
    ca_file: Option<Spanned<String>>,
    reader_key: Option<String>,
    reader_secret_file: Option<Spanned<String>>,
    actor_key: Option<Spanned<String>>,
    actor_secret_file: Option<Spanned<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenUi {
    enabled: Option<bool>,
    console: Option<bool>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct WrittenPaths {
    store: Option<String>,
    policies: Option<String>,
    invoices: Option<String>,
    key_file: Option<String>,
    billing_clock: Option<String>,
}

/// Faults of one file, gathered.
pub(super) struct Faults<'a> {
    file: &'a str,
    text: &'a str,
    found: Vec<Fault>,
}

impl Faults<'_> {
    pub(super) fn at(&mut self, offset: usize, what: String, instead: &str) {
        let line = self
            .text
            .get(..offset)
            .map_or(0, |before| before.matches('\n').count() + 1);
        self.found.push(Fault {
            file: self.file.to_owned(),
            line,
            what,
            instead: instead.to_owned(),
        });
    }
    pub(super) fn address(&mut self, value: &Spanned<String>, key: &str) -> Option<SocketAddr> {
        let parsed = value.get_ref().parse().ok();
        if parsed.is_none() {
            let what = format!(
                "{key} = \"{}\" is not an address with a port",
                value.get_ref()
            );
            self.at(
                value.span().start,
                what,
                "write for example \"127.0.0.1:8080\"",
            );
        }
        parsed
    }
}

/// Checks a configuration text; `environment` gives an environment variable.
pub fn check(
    file: &str,
    text: &str,
    folder: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, Vec<Fault>> {
    let mut faults = Faults {
        file,
        text,
        found: Vec::new(),
    };
    let written: Written = match toml::from_str(text) {
        Ok(written) => written,
        Err(e) => {
            let offset = e.span().map_or(0, |span| span.start);
            faults.at(
                offset,
                e.message().to_owned(),
                "see `faregate init` for every key",
            );
            return Err(faults.found);
        }
    };
    let listen = check_listen(&written.listen, folder, &mut faults);
    let upstream = check_upstream(&written.upstream, folder, environment, &mut faults);
    let commands = check_commands(&written.commands, &mut faults);
    let counters = check_counters(&written.counters, environment, &mut faults);
    let postgres = check_postgres(&written.postgres, environment, &mut faults);
    let traces = check_traces(&written.traces, environment, &mut faults);
    let notices = check_notices(&written.notices, folder, environment, &mut faults);
    let path = |value: &Option<String>, default: &str| -> PathBuf {
        folder.join(value.as_deref().unwrap_or(default))
    };
    let paths = &written.paths;
    match (listen, upstream) {
        (Some(listen), Some(upstream)) if faults.found.is_empty() => Ok(Config {
            listen,
            upstream,
            store: path(&paths.store, "state"),
            policies: path(&paths.policies, "policies"),
            invoices: path(&paths.invoices, "invoices"),
            key_file: path(&paths.key_file, "faregate.key"),
            billing_clock: paths.billing_clock.as_ref().map(|name| folder.join(name)),
            ui: check_ui(&written.ui),
            commands,
            counters,
            notices,
            postgres,
            traces,
        }),
        _ => Err(faults.found),
    }
}

fn check_listen(written: &WrittenListen, folder: &Path, faults: &mut Faults<'_>) -> Option<Listen> {
    let gate = faults.address(&written.gate, "listen.gate");
    let ops = faults.address(&written.ops, "listen.ops");
    let metrics = written.metrics.as_ref();
    let metrics = metrics.map(|address| faults.address(address, "listen.metrics"));
    let tls = written.tls.as_ref();
    let tls = tls.map(|tls| check_tls(tls, folder, faults));
    let entry = WrittenEntry {
        connections_max: written.connections_max.as_ref(),
        connections_per_address_max: written.connections_per_address_max.as_ref(),
        trusted_proxies: written.trusted_proxies.as_ref(),
        proxy_protocol: written.proxy_protocol.as_ref(),
    };
    let entry = check_entry(&entry, faults);
    let threads = match &written.threads {
        None => Some(1),
        Some(count) if (1..=256).contains(count.get_ref()) => {
            usize::try_from(*count.get_ref()).ok()
        }
        Some(count) => {
            let what = format!("listen.threads = {} is out of range", count.get_ref());
            faults.at(count.span().start, what, "write a number from 1 to 256");
            None
        }
    };
    if gate.is_some() && gate == ops && gate.is_some_and(|address| address.port() != 0) {
        let what = "listen.gate and listen.ops are one address".to_owned();
        faults.at(
            written.ops.span().start,
            what,
            "give operators a socket of their own",
        );
        return None;
    }
    Some(Listen {
        gate: gate?,
        ops: ops?,
        metrics: metrics.flatten(),
        tls: tls.flatten(),
        threads: threads?,
        entry: entry?,
    })
}

fn check_upstream(
    written: &WrittenUpstream,
    folder: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    faults: &mut Faults<'_>,
) -> Option<UpstreamConfig> {
    let at = text_at(written);
    let (servers, over_tls) = servers(written, environment, faults);
    let ca_file = check_ca_file(over_tls, written, folder, faults);
    let key = environment("FAREGATE_READER_KEY").or_else(|| written.reader_key.clone());
    if key.is_none() {
        let what = "the reading service account has no key".to_owned();
        let instead = "write upstream.reader_key, or set FAREGATE_READER_KEY; without it customers' \
                       keys cannot be verified and nothing can be enforced";
        faults.at(at, what, instead);
    }
    let secret = reader_secret(written, folder, environment, faults);
    let actor = check_actor(
        written.actor_key.as_ref(),
        written.actor_secret_file.as_ref(),
        folder,
        environment,
        faults,
    );
    let mut servers = servers.into_iter();
    let (server, host) = servers.next()?;
    Some(UpstreamConfig {
        ca_file,
        server,
        host,
        others: servers.collect(),
        reader_key: key?,
        reader_secret: secret?,
        actor,
    })
}

/// Where faults of the upstream as a whole are shown.
fn text_at(written: &WrittenUpstream) -> usize {
    let first = written.servers.iter().flatten().next();
    let found = written.url.as_ref().or(first);
    found.map_or(0, |url| url.span().start)
}

/// The servers, each with its Host header, and whether they are spoken to over TLS; none with a
/// fault.
fn servers(
    written: &WrittenUpstream,
    environment: &dyn Fn(&str) -> Option<String>,
    faults: &mut Faults<'_>,
) -> (Vec<(String, String)>, Option<bool>) {
    let at = text_at(written);
    let instead = "write for example \"http://10.0.0.5:8080/client/api\"";
    let urls: Vec<(usize, String)> = match (
        environment("FAREGATE_UPSTREAM_URL"),
        &written.url,
        &written.servers,
    ) {
        (Some(url), ..) => vec![(at, url)],
        (None, Some(url), None) => vec![(at, url.get_ref().clone())],
        (None, None, Some(urls)) if !urls.is_empty() => urls
            .iter()
            .map(|url| (url.span().start, url.get_ref().clone()))
            .collect(),
        _ => {
            let what = "upstream needs either url or servers, and not both".to_owned();
            faults.at(
                at,
                what,
                "write url for one management server, servers for several",
            );
            return (Vec::new(), None);
        }
    };
    let mut found: Vec<(String, String)> = Vec::new();
    let mut all_over_tls = None;
    for (at, url) in urls {
        let Some((server, over_tls)) = server_of(&url) else {
            let what = format!("upstream \"{url}\" is not the API of a management server");
            faults.at(at, what, instead);
            continue;
        };
        if found.iter().any(|(known, _)| *known == server) {
            faults.at(
                at,
                format!("{server} stands twice"),
                "name each server once",
            );
            continue;
        }
        if *all_over_tls.get_or_insert(over_tls) != over_tls {
            let what = "some management servers are spoken to over TLS and some are not";
            faults.at(
                at,
                what.to_owned(),
                "write all of them as https://, or none",
            );
            continue;
        }
        let host = written.host.clone().unwrap_or_else(|| server.clone());
        found.push((server, host));
    }
    (found, all_over_tls)
}

fn reader_secret(
    written: &WrittenUpstream,
    folder: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
    faults: &mut Faults<'_>,
) -> Option<SecretString> {
    if let Some(secret) = environment("FAREGATE_READER_SECRET") {
        return Some(SecretString::from(secret));
    }
    let Some(name) = &written.reader_secret_file else {
        let what = "the reading service account has no secret".to_owned();
        let instead = "write upstream.reader_secret_file, or set FAREGATE_READER_SECRET";
        faults.at(text_at(written), what, instead);
        return None;
    };
    let path = folder.join(name.get_ref());
    match std::fs::read_to_string(&path) {
        Ok(text) if !text.trim().is_empty() => Some(SecretString::from(text.trim().to_owned())),
        Ok(_) => {
            let what = format!("the secret file {} is empty", path.display());
            faults.at(
                name.span().start,
                what,
                "put the service account's secret key into it",
            );
            None
        }
        Err(e) => {
            let what = format!("the secret file {} cannot be read: {e}", path.display());
            faults.at(
                name.span().start,
                what,
                "name a file with the service account's secret key",
            );
            None
        }
    }
}

/// The web interface is served unless it is switched off, the console with it.
fn check_ui(written: &WrittenUi) -> UiConfig {
    let enabled = written.enabled.unwrap_or(true);
    UiConfig {
        enabled,
        console: written.console.unwrap_or(enabled),
    }
}

fn check_commands(written: &toml::Table, faults: &mut Faults<'_>) -> CommandConfig {
    let mut classes = Vec::new();
    for (name, value) in written {
        match value.as_str() {
            Some(class @ ("read" | "lowers" | "neutral" | "raises")) => {
                classes.push((name.clone(), class.to_owned()));
            }
            _ => {
                let offset = faults.text.find(name.as_str()).unwrap_or(0);
                let what = format!("commands.{name} = {value} is not a class");
                faults.at(
                    offset,
                    what,
                    "write \"read\", \"lowers\", \"neutral\" or \"raises\"",
                );
            }
        }
    }
    CommandConfig { classes }
}

fn check_counters(
    written: &WrittenCounters,
    environment: &dyn Fn(&str) -> Option<String>,
    faults: &mut Faults<'_>,
) -> CounterConfig {
    let told = written.redis.as_ref().map(|text| text.get_ref().clone());
    let redis = environment("FAREGATE_REDIS_URL").or(told);
    let known = |url: &String| ["redis://", "rediss://"].iter().any(|s| url.starts_with(s));
    if !redis.as_ref().is_none_or(known) {
        // The value is not told: it may carry a password.
        let what = "counters.redis is not the address of a Redis".to_owned();
        let offset = written.redis.as_ref().map_or(0, |text| text.span().start);
        faults.at(
            offset,
            what,
            "write for example \"redis://10.0.0.9:6379/0\"",
        );
    }
    let nodes = match &written.nodes {
        None => 1,
        Some(count) => match u32::try_from(*count.get_ref()) {
            Ok(nodes @ 1..=1024) => nodes,
            _ => {
                let what = format!("counters.nodes = {} is out of range", count.get_ref());
                faults.at(count.span().start, what, "write a number from 1 to 1024");
                1
            }
        },
    };
    CounterConfig {
        redis: redis.map(SecretString::from),
        nodes,
    }
}

/// A server that is spoken to over TLS needs a file of authorities, and no other has one.
fn check_ca_file(
    over_tls: Option<bool>,
    written: &WrittenUpstream,
    folder: &Path,
    faults: &mut Faults<'_>,
) -> Option<PathBuf> {
    match (&written.ca_file, over_tls?) {
        (Some(name), true) => return Some(folder.join(name.get_ref())),
        (None, false) => {}
        (Some(name), false) => {
            let what = "upstream.ca_file without TLS to the management server".to_owned();
            faults.at(
                name.span().start,
                what,
                "write https:// in upstream.url, or remove it",
            );
        }
        (None, true) => {
            let what = "upstream.url is https and there is no upstream.ca_file".to_owned();
            let instead = "name a PEM file with the authority that signed the management server's \
                           certificate; no other authority is trusted";
            faults.at(text_at(written), what, instead);
        }
    }
    None
}

/// `host:port` of `http[s]://host[:port]/client/api`, and whether it is spoken to over TLS.
fn server_of(url: &str) -> Option<(String, bool)> {
    let (rest, port, over_tls) = match url.strip_prefix("https://") {
        Some(rest) => (rest, 443, true),
        None => (url.strip_prefix("http://")?, 80, false),
    };
    let (authority, path) = rest.split_once('/')?;
    if !matches!(path, "client/api" | "client/api/") || authority.is_empty() {
        return None;
    }
    let server = match authority.rsplit_once(':') {
        Some((_, port)) => port.parse::<u16>().ok().map(|_| authority.to_owned())?,
        None => format!("{authority}:{port}"),
    };
    Some((server, over_tls))
}

#[cfg(test)]
mod tests;
