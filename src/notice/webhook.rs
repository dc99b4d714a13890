//! Edge: notices by webhook: one signed POST over a connection of its own.

use super::signing;
use super::text::Delivery;
use crate::terms::time::Timestamp;
use bytes::Bytes;
use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use secrecy::{ExposeSecret, SecretString};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// A receiver that does not answer is tried again later.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// What posts are signed and sent with.
#[derive(Clone)]
pub struct Webhooks {
    secret: SecretString,
    tls: TlsConnector,
}

impl std::fmt::Debug for Webhooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Webhooks")
    }
}

impl Webhooks {
    /// Posts signed with keys that are made of this secret. Receivers over TLS are trusted by the
    /// system's authorities.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn new(secret: SecretString) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        // One that cannot be read is one that is not trusted.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| format!("TLS cannot be set up: {e}"))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self {
            secret,
            tls: TlsConnector::from(Arc::new(config)),
        })
    }

    /// Posts one notice; `Ok` once the receiver answered 2xx. `wall` is now.
    ///
    /// # Errors
    /// What went wrong, for the notice's own row.
    pub async fn send(&self, delivery: &Delivery, wall: Timestamp) -> Result<(), String> {
        let post = async {
            let uri: Uri = delivery.target.parse().map_err(|e| format!("{e}"))?;
            let host = uri.host().unwrap_or_default().to_owned();
            let over_tls = uri.scheme_str() == Some("https");
            let port = uri.port_u16().unwrap_or(if over_tls { 443 } else { 80 });
            let bare = host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned();
            let stream = TcpStream::connect((bare.as_str(), port)).await;
            let stream = stream.map_err(|e| format!("{host}:{port}: {e}"))?;
            let request = self.request(delivery, &uri, wall)?;
            if !over_tls {
                return exchange(stream, request).await;
            }
            let name = ServerName::try_from(bare).map_err(|e| e.to_string())?;
            let stream = self.tls.connect(name, stream).await;
            exchange(stream.map_err(|e| format!("{host}: {e}"))?, request).await
        };
        let late = || "no answer within 20 s".to_owned();
        let status = tokio::time::timeout(ANSWER_MAX, post).await;
        let status = status.map_err(|_| late())??;
        if status.is_success() {
            return Ok(());
        }
        Err(format!("the receiver answered {status}"))
    }

    fn request(
        &self,
        delivery: &Delivery,
        uri: &Uri,
        wall: Timestamp,
    ) -> Result<Request<Full<Bytes>>, String> {
        let key = signing::key_of(self.secret.expose_secret().as_bytes(), &delivery.payer);
        let seconds = wall.seconds();
        let signature = signing::signature(&key, &delivery.id, seconds, &delivery.body);
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Request::post(path)
            .header("Host", uri.authority().map_or("", |it| it.as_str()))
            .header("Content-Type", "application/json")
            .header("User-Agent", "faregate")
            .header("webhook-id", &delivery.id)
            .header("webhook-timestamp", seconds)
            .header("webhook-signature", signature)
            .body(Full::new(Bytes::from(delivery.body.clone())))
            .map_err(|e| e.to_string())
    }
}

async fn exchange<S>(stream: S, request: Request<Full<Bytes>>) -> Result<StatusCode, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| e.to_string())?;
    let running = tokio::spawn(async move {
        // How it ends shows in the exchange.
        let _ = connection.await;
    });
    let answer = sender.send_request(request).await;
    let status = answer.map(|answer| answer.status());
    running.abort();
    status.map_err(|e| e.to_string())
}
