//! Edge: certificates by name, reloaded without dropping a call, and how TLS is spoken.
//!
//! TLS 1.2 and 1.3 by rustls on aws-lc; X25519MLKEM768 is preferred for the key exchange. Which
//! certificate a client gets is decided by the name it asks for and the names that stand in the
//! certificates. Files that cannot be used are refused whole, and the old ones stay.

use super::expiry;
use crate::terms::time::{HOUR, Timestamp};
use arc_swap::ArcSwap;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::server::{ClientHello, ParsedCertificate, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{ServerConfig, client, version};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of a certificate or key file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Where a certificate and its key lie, as PEM.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Files {
    /// The certificate, then those that lead to its root.
    pub chain: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why certificates are not used.
#[derive(Debug, thiserror::Error)]
pub enum TlsFault {
    /// A file cannot be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} {what}")]
    Unusable {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        what: String,
    },
    /// TLS itself cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    SetUp(#[from] rustls::Error),
}

/// One certificate that is in use.
#[derive(Debug)]
struct Loaded {
    chain: PathBuf,
    key: Arc<CertifiedKey>,
    until: Timestamp,
}

/// The certificates in use, and how TLS is spoken.
#[derive(Debug)]
pub struct Tls {
    files: Vec<Files>,
    names: Arc<ByName>,
    config: Arc<ServerConfig>,
}

#[derive(Debug)]
struct ByName(ArcSwap<Vec<Loaded>>);

impl Tls {
    /// Reads and checks the files; the first certificate is for clients that name no name.
    ///
    /// # Errors
    /// [`TlsFault`] for the first file that cannot be used at `now`.
    pub fn open(files: Vec<Files>, now: Timestamp) -> Result<Self, TlsFault> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let names = Arc::new(ByName(ArcSwap::from_pointee(load(&files, &provider, now)?)));
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
            .with_no_client_auth()
            .with_cert_resolver(names.clone());
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.ticketer = aws_lc_rs::Ticketer::new()?;
        Ok(Self {
            files,
            names,
            config: Arc::new(config),
        })
    }

    /// Reads the files again. Connections that are open keep what they have.
    ///
    /// # Errors
    /// [`TlsFault`]; what was in use stays in use.
    pub fn reload(&self, now: Timestamp) -> Result<(), TlsFault> {
        let loaded = load(&self.files, self.config.crypto_provider(), now)?;
        self.names.0.store(Arc::new(loaded));
        Ok(())
    }

    /// The files that it reads.
    #[must_use]
    pub fn files(&self) -> &[Files] {
        &self.files
    }

    /// How TLS is spoken.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        self.config.clone()
    }

    /// Each certificate in use: its file, and whole days until it ends; negative once it ended.
    #[must_use]
    pub fn days_left(&self, now: Timestamp) -> Vec<(PathBuf, i64)> {
        let loaded = self.names.0.load();
        let left = |one: &Loaded| one.until.since(now).div_euclid(24 * HOUR);
        loaded
            .iter()
            .map(|one| (one.chain.clone(), left(one)))
            .collect()
    }
}

impl ResolvesServerCert for ByName {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let loaded = self.0.load();
        let asked = hello
            .server_name()
            .and_then(|name| ServerName::try_from(name).ok());
        let named = asked.and_then(|name| loaded.iter().find(|one| one.is_for(&name)));
        named.or(loaded.first()).map(|one| one.key.clone())
    }
}

impl Loaded {
    fn is_for(&self, name: &ServerName<'_>) -> bool {
        let leaf = self.key.end_entity_cert().ok();
        let parsed = leaf.and_then(|leaf| ParsedCertificate::try_from(leaf).ok());
        parsed.is_some_and(|parsed| client::verify_server_name(&parsed, name).is_ok())
    }
}

fn load(
    files: &[Files],
    provider: &CryptoProvider,
    now: Timestamp,
) -> Result<Vec<Loaded>, TlsFault> {
    files.iter().map(|pair| one(pair, provider, now)).collect()
}

fn one(files: &Files, provider: &CryptoProvider, now: Timestamp) -> Result<Loaded, TlsFault> {
    let chain = chain(&files.chain)?;
    let unusable = |path: &Path, what: String| TlsFault::Unusable {
        path: path.to_owned(),
        what,
    };
    let leaf = chain.first().and_then(|leaf| expiry::validity(leaf));
    let (from, until) = leaf.ok_or_else(|| {
        let what = "does not begin with a certificate that can be read; write it again";
        unusable(&files.chain, what.to_owned())
    })?;
    if until.since(now) <= 0 {
        let what = format!("expired {} days ago; renew it", days(now.since(until)));
        return Err(unusable(&files.chain, what));
    }
    if from.since(now) > 0 {
        let what = format!(
            "is not valid for another {} days; compare clocks, or wait",
            days(from.since(now))
        );
        return Err(unusable(&files.chain, what));
    }
    let key = PrivateKeyDer::from_pem_slice(&contents(&files.key)?).map_err(|fault| {
        let what = format!("holds no private key in PEM ({fault}); write it again");
        unusable(&files.key, what)
    })?;
    let key = CertifiedKey::from_der(chain, key, provider).map_err(|fault| {
        let what = match fault {
            rustls::Error::InconsistentKeys(_) => {
                format!("is not the key of {}", files.chain.display())
            }
            other => format!("cannot be used with {}: {other}", files.chain.display()),
        };
        unusable(&files.key, what)
    })?;
    Ok(Loaded {
        chain: files.chain.clone(),
        key: Arc::new(key),
        until,
    })
}

/// Every certificate of a PEM file.
///
/// # Errors
/// [`TlsFault`] where it holds none, or one that is half written.
fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let unusable = |what: String| TlsFault::Unusable {
        path: path.to_owned(),
        what,
    };
    let bytes = contents(path)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = chain.map_err(|fault| unusable(format!("is not whole PEM ({fault})")))?;
    if chain.is_empty() {
        let what = "holds no certificate in PEM; name the file with the chain";
        return Err(unusable(what.to_owned()));
    }
    match chain.iter().all(|one| expiry::validity(one).is_some()) {
        true => Ok(chain),
        false => Err(unusable("holds something that is no certificate".into())),
    }
}

fn contents(path: &Path) -> Result<Vec<u8>, TlsFault> {
    let unreadable = |source| TlsFault::Unreadable {
        path: path.to_owned(),
        source,
    };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    if length > FILE_BYTES_MAX {
        return Err(TlsFault::Unusable {
            path: path.to_owned(),
            what: format!("has {length} bytes, too many for PEM"),
        });
    }
    std::fs::read(path).map_err(unreadable)
}

const fn days(micros: i64) -> i64 {
    micros / (24 * HOUR)
}

#[cfg(test)]
mod tests;
