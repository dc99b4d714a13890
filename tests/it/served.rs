//! A gate as `faregate serve` starts it, in front of a stand-in that says what reached it; and
//! clients that speak TLS and HTTP/2.
#![allow(
    clippy::disallowed_methods,
    reason = "a test has a clock and settings of its own"
)]

use crate::stage::{self, Heard, exchange};
use rcgen::{CertificateParams, KeyPair};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{
    ClientConfig, RootCertStore, SupportedProtocolVersion, version::TLS12, version::TLS13,
};

/// Answers each request with 200; keeps every head, and its body behind it. `sleep=MS` in a target
/// makes an answer late, `bytes=N` makes it long.
pub struct Recorder {
    pub address: String,
    pub heads: Arc<Mutex<Vec<String>>>,
}

impl Recorder {
    pub fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = heads.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let kept = kept.clone();
                std::thread::spawn(move || answer_all(&stream, &kept));
            }
        });
        Self { address, heads }
    }

    pub fn url(&self) -> String {
        format!("http://{}/client/api", self.address)
    }

    /// Heads of customers' calls: ours are signed as `reader`.
    pub fn seen(&self) -> Vec<String> {
        let heads = self.heads.lock().unwrap();
        let own = |head: &&String| !head.contains("apikey=reader");
        heads.iter().filter(own).cloned().collect()
    }
}

/// One connection of the recorder.
pub fn answer_all<S>(stream: S, kept: &Mutex<Vec<String>>)
where
    S: ReadWrite,
{
    let mut stream = stream;
    while let Some(head) = read_head(&mut stream) {
        let number = |name: &str| {
            let (_, rest) = head.split_once(name)?;
            let digits = rest.split(|c: char| !c.is_ascii_digit()).next()?;
            digits.parse::<u64>().ok()
        };
        std::thread::sleep(Duration::from_millis(number("sleep=").unwrap_or(0)));
        let body_bytes = number("\r\ncontent-length: ").unwrap_or(0);
        let mut body = vec![0; usize::try_from(body_bytes).unwrap()];
        stream.read_exact(&mut body).unwrap();
        let bytes = usize::try_from(number("bytes=").unwrap_or(2)).unwrap();
        kept.lock()
            .unwrap()
            .push(head + &String::from_utf8_lossy(&body));
        let answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {bytes}\r\n\r\n"
        );
        let mut rest = bytes;
        let mut written = stream.write_all(answer.as_bytes());
        let piece = "{}".repeat(8 * 1024);
        while rest > 0 && written.is_ok() {
            let some = rest.min(piece.len());
            written = stream.write_all(&piece.as_bytes()[..some]);
            rest -= some;
        }
        if written.is_err() {
            return;
        }
    }
}

/// A stream of any kind.
pub trait ReadWrite: Read + Write {}
impl<S: Read + Write> ReadWrite for S {}

fn read_head(stream: &mut impl Read) -> Option<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).ok()?;
        head.push(byte[0].to_ascii_lowercase());
    }
    String::from_utf8(head).ok()
}

/// A gate that runs as a process of its own.
pub struct Served {
    pub folder: PathBuf,
    pub child: Child,
    /// `host:port` of each.
    pub gate: String,
    pub tls: Option<String>,
    pub ops: String,
    pub log: Arc<Mutex<String>>,
    /// Whether the folder goes with it.
    pub removes: bool,
}

/// Writes a configuration: these lines in `[listen]`, these in `[upstream]`.
pub fn configured(name: &str, listen: &str, upstream: &str) -> PathBuf {
    let folder = stage::folder(name);
    let made = Command::new(env!("CARGO_BIN_EXE_faregate"))
        .arg("init")
        .arg(&folder)
        .stdout(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    std::fs::write(folder.join("reader.secret"), "a secret of the reader").unwrap();
    configure(&folder, listen, upstream);
    folder
}

/// Writes the configuration again.
pub fn configure(folder: &Path, listen: &str, upstream: &str) {
    let text = format!(
        "[listen]\ngate = \"127.0.0.1:0\"\nops = \"127.0.0.1:0\"\n{listen}\n\
         [upstream]\nreader_key = \"reader\"\nreader_secret_file = \"reader.secret\"\n{upstream}\n"
    );
    std::fs::write(folder.join("faregate.toml"), text).unwrap();
}

impl Served {
    /// In front of a recorder, with these lines in `[listen]`.
    pub fn start(name: &str, listen: &str, recorder: &Recorder) -> Self {
        let upstream = format!("url = \"{}\"", recorder.url());
        Self::over(&configured(name, listen, &upstream), &[])
    }

    /// With the configuration in the folder.
    pub fn over(folder: &Path, arguments: &[&str]) -> Self {
        let mut child = command(folder, arguments).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let log: Arc<Mutex<String>> = Arc::default();
        let (mut gate, mut tls, mut ops) = (None, None, None);
        while ops.is_none() {
            let line = lines.next();
            let line = line.unwrap_or_else(|| panic!("no start: {}", log.lock().unwrap()));
            let line = line.unwrap();
            log.lock().unwrap().push_str(&format!("{line}\n"));
            let host = |line: &str, scheme: &str| {
                let (_, rest) = line.split_once(scheme)?;
                rest.split('/').next().map(str::to_owned)
            };
            if line.starts_with("gate ") {
                gate = host(&line, "http://").or(gate);
                tls = host(&line, "https://").or(tls);
            } else if line.starts_with("operators ") {
                ops = host(&line, "http://");
            }
        }
        let rest = log.clone();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                rest.lock().unwrap().push_str(&format!("{line}\n"));
            }
        });
        Self {
            folder: folder.to_owned(),
            child,
            gate: gate.unwrap(),
            tls,
            ops: ops.unwrap(),
            log,
            removes: true,
        }
    }

    /// A GET of the API in clear, on a connection of its own.
    pub fn call(&self, query: &str) -> Option<Heard> {
        call(&self.gate, query, "")
    }

    pub fn metrics(&self) -> String {
        let request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        exchange(&self.ops, request).unwrap().body
    }

    /// The value of a figure.
    pub fn figure(&self, name: &str) -> i64 {
        let metrics = self.metrics();
        let line = metrics.lines().find(|line| line.starts_with(name));
        let line = line.unwrap_or_else(|| panic!("no {name} in {metrics}"));
        line.rsplit(' ').next().unwrap().parse().unwrap()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Bytes of its memory that are in use (`VmRSS`), in MiB.
    pub fn memory_mib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let kib = line.unwrap().split_whitespace().nth(1).unwrap();
        kib.parse::<u64>().unwrap() / 1_024
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the gate said:\n{}", self.log.lock().unwrap());
        } else if self.removes {
            let _ = std::fs::remove_dir_all(&self.folder);
        }
    }
}

/// `faregate serve` over a folder.
pub fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faregate"));
    command
        .args(["serve", "--config"])
        .arg(folder.join("faregate.toml"))
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// A GET of the API at an address, on a connection of its own, with these header lines.
pub fn call(address: &str, query: &str, lines: &str) -> Option<Heard> {
    let request = format!(
        "GET /client/api?{query} HTTP/1.1\r\nHost: cloud\r\nConnection: close\r\n{lines}\r\n"
    );
    exchange(address, &request)
}

/// A kept connection: sends a GET, reads one answer's head and body.
pub fn call_kept(stream: &mut TcpStream, query: &str) -> Option<Heard> {
    let request = format!("GET /client/api?{query} HTTP/1.1\r\nHost: cloud\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let head = read_head(stream)?;
    let (_, rest) = head.split_once("content-length: ")?;
    let length = rest.split('\r').next()?.parse().ok()?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some(Heard {
        status: head.split(' ').nth(1)?.parse().ok()?,
        body: String::from_utf8(body).ok()?,
        head,
    })
}

/// Writes a certificate for these names, which is its own authority, as `stem.crt` and `stem.key`.
pub fn certificate(folder: &Path, stem: &str, names: &[&str], until: i32) {
    std::fs::create_dir_all(folder).unwrap();
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(until, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(folder.join(format!("{stem}.crt")), certificate.pem()).unwrap();
    std::fs::write(folder.join(format!("{stem}.key")), key.serialize_pem()).unwrap();
}

/// The `[listen.tls]` lines for certificates of these stems, in the configuration's folder.
pub fn tls_lines(stems: &[&str]) -> String {
    let pair =
        |stem: &&str| format!("{{ chain_file = \"{stem}.crt\", key_file = \"{stem}.key\" }}");
    let pairs: Vec<String> = stems.iter().map(pair).collect();
    format!(
        "[listen.tls]\ngate = \"127.0.0.1:0\"\ncertificates = [{}]\n",
        pairs.join(", ")
    )
}

/// How a client speaks TLS.
pub struct Speaks {
    pub versions: &'static [&'static SupportedProtocolVersion],
    pub protocol: &'static [u8],
    pub name: &'static str,
}

/// TLS 1.3 and HTTP/2.
pub const MODERN: Speaks = Speaks {
    versions: &[&TLS13],
    protocol: b"h2",
    name: "cloud.example",
};
/// TLS 1.3 and HTTP/1.1.
pub const MODERN_ONE: Speaks = Speaks {
    versions: &[&TLS13],
    protocol: b"http/1.1",
    name: "cloud.example",
};
/// TLS 1.2 and HTTP/1.1.
pub const OLD: Speaks = Speaks {
    versions: &[&TLS12],
    protocol: b"http/1.1",
    name: "cloud.example",
};

/// Shakes hands, trusting that one certificate.
pub async fn shake(
    address: &str,
    trusted: &Path,
    speaks: &Speaks,
) -> std::io::Result<TlsStream<tokio::net::TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(trusted).unwrap())
        .unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(speaks.versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![speaks.protocol.to_vec()];
    let stream = tokio::net::TcpStream::connect(address).await?;
    let name = ServerName::try_from(speaks.name).unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await
}
