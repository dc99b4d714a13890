//! TLS and HTTP/2: the same calls over what browsers and most clients speak.

use crate::Outcome;
use bytes::Bytes;
use rcgen::{CertificateParams, KeyPair};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, ServerName};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

/// The name that every proxy has a certificate for.
const NAME: &str = "cloud.example.com";

/// How clients speak TLS 1.3 to all proxies.
#[derive(Clone)]
pub struct Tls {
    one: Arc<ClientConfig>,
    two: Arc<ClientConfig>,
}

/// Where a certificate and its key are.
pub struct Pair {
    pub chain: PathBuf,
    pub key: PathBuf,
    /// Both in one file, as HAProxy wants them.
    pub both: PathBuf,
}

/// Makes a certificate that all proxies use, and what clients need to trust it.
pub fn certificate(folder: &Path) -> Outcome<(Pair, Tls)> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec![NAME.to_owned()])?.self_signed(&key)?;
    let pair = Pair {
        chain: folder.join("cloud.crt"),
        key: folder.join("cloud.key"),
        both: folder.join("cloud.pem"),
    };
    let (chain, key) = (certificate.pem(), key.serialize_pem());
    std::fs::write(&pair.chain, &chain)?;
    std::fs::write(&pair.key, &key)?;
    std::fs::write(&pair.both, format!("{chain}{key}"))?;
    let tls = Tls {
        one: Arc::new(client(&pair.chain, b"http/1.1")?),
        two: Arc::new(client(&pair.chain, b"h2")?),
    };
    Ok((pair, tls))
}

fn client(trusted: &Path, protocol: &[u8]) -> Outcome<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted)?)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(config)
}

/// A connection over TLS, for HTTP/2 or HTTP/1.1.
pub async fn shake(
    tls: &Tls,
    for_two: bool,
    stream: TcpStream,
) -> std::io::Result<TlsStream<TcpStream>> {
    let config = if for_two { &tls.two } else { &tls.one };
    let name = ServerName::try_from(NAME).map_err(std::io::Error::other)?;
    tokio_rustls::TlsConnector::from(config.clone())
        .connect(name, stream)
        .await
}

/// Calls in HTTP/2, one stream after the other.
pub async fn in_frames(
    stream: TlsStream<TcpStream>,
    target: &str,
    until: Instant,
) -> std::io::Result<Vec<u64>> {
    let (client, connection) = h2::client::handshake(stream)
        .await
        .map_err(std::io::Error::other)?;
    let served = tokio::spawn(connection);
    let mut latencies = Vec::new();
    loop {
        let asked = Instant::now();
        one(&client, target).await?;
        let now = Instant::now();
        let micros = now.duration_since(asked).as_micros();
        latencies.push(u64::try_from(micros).unwrap_or(u64::MAX));
        if now >= until {
            served.abort();
            return Ok(latencies);
        }
    }
}

/// One call; anything but 200 ends the bench.
async fn one(client: &h2::client::SendRequest<Bytes>, target: &str) -> std::io::Result<()> {
    let request = http::Request::get(format!("https://{NAME}{target}"));
    let request = request.body(()).map_err(std::io::Error::other)?;
    let ready = client.clone().ready().await;
    let mut ready = ready.map_err(std::io::Error::other)?;
    let sent = ready.send_request(request, true);
    let (answer, _) = sent.map_err(std::io::Error::other)?;
    let answer = answer.await.map_err(std::io::Error::other)?;
    if answer.status() != http::StatusCode::OK {
        return Err(std::io::Error::other(answer.status().to_string()));
    }
    let mut body = answer.into_body();
    while let Some(part) = body.data().await {
        let part = part.map_err(std::io::Error::other)?;
        let released = body.flow_control().release_capacity(part.len());
        released.map_err(std::io::Error::other)?;
    }
    Ok(())
}
