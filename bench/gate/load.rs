//! The load: so many open connections, each with one call under way at a time.

use crate::Outcome;
use crate::measure::per_mille;
use crate::secured::{self, Tls};
use faregate::cloudstack::query::ParamMap;
use faregate::cloudstack::signature;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// The customer's key and secret.
pub const KEY: &str = "LIN6rqXuaJwMPfGYFh13qDwYz5VNNz1J2J6qIOWcd3oLQOq0WtD4CwRundBL6rzXToa3lQOC";
pub const SECRET: &str = "a-secret-of-the-bench";
/// A key of a user who is disabled.
pub const KEY_OF_DISABLED: &str =
    "DISABLEDaJwMPfGYFh13qDwYz5VNNz1J2J6qIOWcd3oLQOq0WtD4CwRundBL6rzXToa3lQOC";

/// What is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A list: nothing is held.
    Read,
    /// A deploy: its price is held, durably, before it goes out.
    Raise,
}

impl Wire {
    /// How rows call it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Tls(_) => "tls",
            Self::Two(_) => "h2",
        }
    }
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Raise => "raise",
        }
    }
}

/// What goes over the connection.
#[derive(Clone)]
pub enum Wire {
    /// HTTP/1.1 in plain.
    Plain,
    /// HTTP/1.1 over TLS.
    Tls(Tls),
    /// HTTP/2 over TLS, one stream at a time.
    Two(Tls),
}

/// Where calls go, and how.
#[derive(Clone)]
pub struct Way {
    pub address: SocketAddr,
    pub wire: Wire,
}

/// What one round came to.
pub struct Figures {
    pub calls: u64,
    pub micros: u64,
    pub cpu_nanos: u64,
    pub p50: u64,
    pub p99: u64,
}

/// Drives one address for so long, and counts what was answered.
pub async fn drive(to: &Way, kind: Kind, open: usize, length: Duration) -> Outcome<Figures> {
    let start = Instant::now();
    let until = start + length;
    let callers: Vec<_> = (0..open)
        .map(|number| tokio::spawn(caller(to.clone(), kind, number, until)))
        .collect();
    let mut latencies = Vec::new();
    for caller in callers {
        latencies.extend(caller.await??);
    }
    let micros = u64::try_from(start.elapsed().as_micros())?;
    latencies.sort_unstable();
    Ok(Figures {
        calls: u64::try_from(latencies.len())?,
        micros,
        cpu_nanos: 0,
        p50: per_mille(&latencies, 500),
        p99: per_mille(&latencies, 990),
    })
}

/// Waits until the address answers a call as the backend would.
pub async fn until_ready(to: &Way) -> Outcome<()> {
    let patience = Instant::now() + Duration::from_secs(30);
    loop {
        match caller(to.clone(), Kind::Read, 0, Instant::now()).await {
            Ok(_) => return Ok(()),
            Err(fault) if Instant::now() > patience => {
                return Err(format!("{} does not answer: {fault}", to.address).into());
            }
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// One connection: at least one call, then calls until the time is over.
async fn caller(to: Way, kind: Kind, number: usize, until: Instant) -> std::io::Result<Vec<u64>> {
    let stream = TcpStream::connect(to.address).await?;
    stream.set_nodelay(true)?;
    match &to.wire {
        Wire::Plain => in_text(stream, request(kind, number), until).await,
        Wire::Tls(tls) => {
            let stream = secured::shake(tls, false, stream).await?;
            in_text(stream, request(kind, number), until).await
        }
        Wire::Two(tls) => {
            let stream = secured::shake(tls, true, stream).await?;
            secured::in_frames(stream, &target(kind, number), until).await
        }
    }
}

/// Calls in HTTP/1.1, one after the other.
async fn in_text(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    request: Vec<u8>,
    until: Instant,
) -> std::io::Result<Vec<u64>> {
    let mut answer = Vec::with_capacity(16 * 1024);
    let mut latencies = Vec::new();
    loop {
        let asked = Instant::now();
        stream.write_all(&request).await?;
        read_answer(&mut stream, &mut answer).await?;
        let now = Instant::now();
        let micros = now.duration_since(asked).as_micros();
        latencies.push(u64::try_from(micros).unwrap_or(u64::MAX));
        if now >= until {
            return Ok(latencies);
        }
    }
}

/// Reads one answer whole; anything but 200 ends the bench.
async fn read_answer(
    stream: &mut (impl AsyncRead + Unpin),
    answer: &mut Vec<u8>,
) -> std::io::Result<()> {
    let odd = |what: &str| std::io::Error::other(what.to_owned());
    answer.clear();
    loop {
        if let Some(end) = answer.windows(4).position(|it| it == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase();
            if !head.starts_with("http/1.1 200") {
                return Err(odd(head.lines().next().unwrap_or("no status")));
            }
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length:"));
            let length = length.and_then(|text| text.trim().parse::<usize>().ok());
            let length = length.ok_or_else(|| odd("an answer without its length"))?;
            while answer.len() < end + 4 + length {
                if stream.read_buf(answer).await? == 0 {
                    return Err(odd("the connection was closed in an answer"));
                }
            }
            return Ok(());
        }
        if stream.read_buf(answer).await? == 0 {
            return Err(odd("the connection was closed without an answer"));
        }
    }
}

/// A signed call, as a client sends it; each connection's deploys have a name of their own.
fn request(kind: Kind, number: usize) -> Vec<u8> {
    in_words(&target(kind, number))
}

/// Path and query of the same.
fn target(kind: Kind, number: usize) -> String {
    let name = format!("bench-{number}");
    let of_kind: &[(&str, &str)] = match kind {
        Kind::Read => &[
            ("command", "listVirtualMachines"),
            ("listall", "true"),
            ("pagesize", "100"),
            ("page", "1"),
        ],
        Kind::Raise => &[
            ("command", "deployVirtualMachine"),
            ("zoneid", "e0000000-0000-4000-8000-000000000001"),
            ("serviceofferingid", "50000000-0000-4000-8000-000000000001"),
            ("templateid", "70000000-0000-4000-8000-000000000001"),
            ("name", &name),
        ],
    };
    target_of(of_kind, KEY, SECRET)
}

/// A GET with these parameters, signed.
pub fn signed(params: &[(&str, &str)], key: &str, secret: &str) -> Vec<u8> {
    in_words(&target_of(params, key, secret))
}

fn in_words(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: cloud.example.com\r\nAccept: */*\r\n\r\n").into_bytes()
}

fn target_of(params: &[(&str, &str)], key: &str, secret: &str) -> String {
    let mut map = ParamMap::default();
    let always = [
        ("response", "json"),
        ("apiKey", key),
        ("signatureVersion", "3"),
        ("expires", "2099-01-01T00:00:00+0000"),
    ];
    for (name, value) in params.iter().chain(&always) {
        map.insert(name, value);
    }
    let signature = signature::sign(&map, secret.as_bytes());
    map.insert("signature", &signature);
    format!("/client/api?{}", map.to_wire())
}
