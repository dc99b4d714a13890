//! Edge: TLS to a management server: one pinned authority, and the server's name checked.
//!
//! The system's own authorities count for nothing here: who may speak as a management server is
//! the operator's to say, by the one file that he names.

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, version};
use std::path::Path;
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// How a management server is spoken to over TLS.
#[derive(Clone)]
pub struct UpstreamTls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl std::fmt::Debug for UpstreamTls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "UpstreamTls({:?})", self.name)
    }
}

/// Why TLS to a management server cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamTlsFault {
    /// The authorities' file is not usable.
    #[error(
        "{path}: {what}; name a PEM file with the authority that signed the server's certificate"
    )]
    Authorities {
        /// Which file.
        path: String,
        /// What is wrong.
        what: String,
    },
    /// The server's name is no name.
    #[error("`{0}` is neither a name nor an address that a certificate can be for")]
    Name(String),
    /// TLS itself cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    SetUp(#[from] rustls::Error),
}

impl UpstreamTls {
    /// TLS to the server of that name (`host:port` or `host`), trusted by the authorities in the
    /// file alone.
    ///
    /// # Errors
    /// [`UpstreamTlsFault`].
    pub fn open(ca_file: &Path, server: &str) -> Result<Self, UpstreamTlsFault> {
        let fault = |what: String| UpstreamTlsFault::Authorities {
            path: ca_file.display().to_string(),
            what,
        };
        let bytes = std::fs::read(ca_file).map_err(|e| fault(format!("cannot be read: {e}")))?;
        let mut roots = RootCertStore::empty();
        for one in CertificateDer::pem_slice_iter(&bytes) {
            let one = one.map_err(|e| fault(format!("is not whole PEM ({e})")))?;
            roots
                .add(one)
                .map_err(|e| fault(format!("holds a certificate that cannot be used ({e})")))?;
        }
        if roots.is_empty() {
            return Err(fault("holds no certificate".to_owned()));
        }
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name: name_of(server).ok_or_else(|| UpstreamTlsFault::Name(server.to_owned()))?,
        })
    }

    /// Shakes hands over a connection.
    ///
    /// # Errors
    /// What TLS says: another authority, another name, an end that came.
    pub async fn over(&self, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
        self.connector.connect(self.name.clone(), stream).await
    }
}

/// The host of `host:port`, brackets of an IPv6 address taken off.
fn name_of(server: &str) -> Option<ServerName<'static>> {
    let host = match server.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => server,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    ServerName::try_from(host.to_owned()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_without_its_port() {
        let shown = |server: &str| name_of(server).map(|name| name.to_str().into_owned());
        assert_eq!(
            shown("cloud.example:8443").as_deref(),
            Some("cloud.example")
        );
        assert_eq!(shown("10.0.0.5:443").as_deref(), Some("10.0.0.5"));
        assert_eq!(shown("[2001:db8::1]:443").as_deref(), Some("2001:db8::1"));
        assert_eq!(shown("two words:1"), None);
    }
}
