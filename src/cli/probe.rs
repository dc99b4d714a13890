//! Edge: `faregate probe`: which ways around the gate are open from where it is run.
//!
//! The gate is a control only where nothing else reaches the management server: whoever can speak
//! to it directly pays nothing. Run it where customers are: on a VM of theirs, outside, in the
//! office network.

use anyhow::Context;
use clap::Args;
use serde_json::json;
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A firewall that drops packets gives no answer at all.
const PATIENCE: Duration = Duration::from_secs(3);
/// Of an answer only its first line is looked at.
const LINE_BYTES_MAX: usize = 200;

/// What is tried.
#[derive(Args, Debug)]
pub struct ProbeArguments {
    /// The management server as somebody would reach it directly: `http://HOST[:PORT]/client/api`
    #[arg(long, value_name = "URL")]
    from: String,
    /// Ports to try in place of a management server's own
    #[arg(long, value_delimiter = ',', value_name = "PORT,…")]
    ports: Vec<u16>,
    /// One JSON object, for scripts
    #[arg(long)]
    json: bool,
}

/// A port of a management server, what stands behind it, and what speaks there.
struct Way {
    port: u16,
    what: &'static str,
    /// A path that is asked for over plain HTTP; none where a connection says enough.
    path: Option<&'static str>,
}

const API: &str = "/client/api?command=listCapabilities&response=json";
const INTEGRATION: &str = "/client/api?command=listZones&response=json";

/// Ports of a management server's own (`server.properties`, global settings, `db.properties`).
const WAYS: [Way; 8] = [
    Way {
        port: 8080,
        what: "the API and the web interface, in plain",
        path: Some(API),
    },
    Way {
        port: 8443,
        what: "the API and the web interface, over TLS",
        path: None,
    },
    Way {
        port: 8096,
        what: "the integration API: root without any login (integration.api.port)",
        path: Some(INTEGRATION),
    },
    Way {
        port: 9090,
        what: "what management servers say to each other, without any login (cluster.servlet.port)",
        path: None,
    },
    Way {
        port: 8250,
        what: "where agents and system machines report (port)",
        path: None,
    },
    Way {
        port: 3306,
        what: "the database",
        path: None,
    },
    Way {
        port: 8787,
        what: "the Java debugger",
        path: None,
    },
    Way {
        port: 9180,
        what: "the gate's own socket for operators, which has no login",
        path: Some("/healthz"),
    },
];

/// What a port showed.
enum Found {
    Open(String),
    Refused,
    Silent,
}

/// Tries every way; exit code 1 where one is open.
///
/// # Errors
/// A URL that names no host, or a host that cannot be looked up.
pub fn run(arguments: &ProbeArguments) -> anyhow::Result<ExitCode> {
    let (host, own) = host_of(&arguments.from).with_context(|| {
        let url = &arguments.from;
        format!("`{url}` names no host; write for example http://10.0.0.5:8080/client/api")
    })?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let found = runtime.block_on(async {
        let mut addresses = tokio::net::lookup_host((host.as_str(), own.unwrap_or(8080)))
            .await
            .with_context(|| format!("{host} cannot be looked up"))?;
        let _ = addresses
            .next()
            .with_context(|| format!("{host} has no address"))?;
        let tried = ways(own, &arguments.ports).into_iter().map(|way| {
            let host = host.clone();
            async move { (tried(&host, &way).await, way) }
        });
        anyhow::Ok(futures_util::future::join_all(tried).await)
    })?;
    let open = found.iter().filter(|(it, _)| matches!(it, Found::Open(_)));
    let count = open.count();
    if arguments.json {
        println!("{}", as_json(&host, &found));
    } else {
        print(&host, &found, count);
    }
    Ok(ExitCode::from(u8::from(count > 0)))
}

/// Host and port of `http[s]://host[:port]/…`.
fn host_of(url: &str) -> Option<(String, Option<u16>)> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split('/').next().filter(|it| !it.is_empty())?;
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => {
            let host = host.trim_matches(['[', ']']);
            Some((host.to_owned(), Some(port.parse().ok()?)))
        }
        _ => Some((authority.trim_matches(['[', ']']).to_owned(), None)),
    }
}

/// The known ways, or the wanted ports alone, and the port of the URL.
fn ways(own: Option<u16>, wanted: &[u16]) -> Vec<Way> {
    let mut ways: Vec<Way> = match wanted {
        [] => WAYS.into(),
        wanted => wanted.iter().map(|port| named(*port)).collect(),
    };
    if let Some(port) = own.filter(|port| ways.iter().all(|way| way.port != *port)) {
        ways.insert(0, named(port));
    }
    ways
}

fn named(port: u16) -> Way {
    let known = WAYS.into_iter().find(|way| way.port == port);
    known.unwrap_or(Way {
        port,
        what: "the API, as the URL says",
        path: Some(API),
    })
}

async fn tried(host: &str, way: &Way) -> Found {
    let dial = TcpStream::connect((host, way.port));
    let mut stream = match tokio::time::timeout(PATIENCE, dial).await {
        Err(_) => return Found::Silent,
        Ok(Err(fault)) if fault.kind() == std::io::ErrorKind::ConnectionRefused => {
            return Found::Refused;
        }
        Ok(Err(_)) => return Found::Silent,
        Ok(Ok(stream)) => stream,
    };
    let Some(path) = way.path else {
        return Found::Open("takes a connection".to_owned());
    };
    let asked = async {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut bytes = vec![0; LINE_BYTES_MAX];
        let length = stream.read(&mut bytes).await?;
        bytes.truncate(length);
        std::io::Result::Ok(bytes)
    };
    let bytes = tokio::time::timeout(PATIENCE, asked).await;
    let bytes = bytes.ok().and_then(Result::ok).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let line = text.lines().next().unwrap_or_default();
    Found::Open(if line.starts_with("HTTP/") {
        format!("answers `{}`", line.trim())
    } else {
        "takes a connection".to_owned()
    })
}

fn print(host: &str, found: &[(Found, Way)], open: usize) {
    for (found, way) in found {
        let (state, shown) = match found {
            Found::Open(shown) => ("OPEN", shown.as_str()),
            Found::Refused => ("closed", "refuses connections"),
            Found::Silent => ("closed", "gives no answer"),
        };
        println!("{state:<7} {host}:{:<5} {shown}: {}", way.port, way.what);
    }
    if open == 0 {
        println!("no way around the gate was found from here; try it from other networks too");
    } else {
        println!(
            "{open} way(s) around the gate: let nobody but the gate reach these ports, with a \
             firewall in front of {host}"
        );
    }
}

fn as_json(host: &str, found: &[(Found, Way)]) -> serde_json::Value {
    let ways = found.iter().map(|(found, way)| {
        let (open, shown) = match found {
            Found::Open(shown) => (true, shown.as_str()),
            Found::Refused => (false, "refuses connections"),
            Found::Silent => (false, "gives no answer"),
        };
        json!({ "port": way.port, "open": open, "shows": shown, "what": way.what })
    });
    json!({ "host": host, "ways": ways.collect::<Vec<_>>() })
}
