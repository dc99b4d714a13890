//! Edge: the key that encrypts customers' secrets at rest, and the sealing done with it.
//!
//! XChaCha20-Poly1305 with a random nonce per sealing; what a secret belongs to is bound to it as
//! associated data, so that a row copied to another key does not open.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// Why the key file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// It cannot be read or written.
    #[error("key file {path}: {source}; `faregate init` makes one")]
    File {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It does not hold a key.
    #[error("key file {path} does not hold 64 hexadecimal digits; restore it from your backup")]
    NotAKey {
        /// Which file.
        path: PathBuf,
    },
    /// The system gave no randomness.
    #[error("the system gave no random bytes: {0}")]
    Randomness(String),
}

/// Seals and opens secrets.
#[derive(Clone)]
pub struct Vault {
    cipher: XChaCha20Poly1305,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// The vault with the key in the file.
    ///
    /// # Errors
    /// [`VaultError`] where the file is missing or holds no key.
    pub fn open(path: &Path) -> Result<Self, VaultError> {
        let text = std::fs::read_to_string(path)
            .map(Zeroizing::new)
            .map_err(|source| VaultError::File {
                path: path.to_owned(),
                source,
            })?;
        let key = key_of(text.trim()).ok_or(VaultError::NotAKey {
            path: path.to_owned(),
        })?;
        Ok(Self {
            cipher: XChaCha20Poly1305::new(Key::from_slice(key.as_ref())),
        })
    }

    /// Makes a key file that only its owner may read. An existing file stays as it is.
    ///
    /// # Errors
    /// [`VaultError`] where the file cannot be written.
    pub fn create(path: &Path) -> Result<(), VaultError> {
        if path.exists() {
            return Ok(());
        }
        let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
        getrandom::fill(key.as_mut()).map_err(|e| VaultError::Randomness(e.to_string()))?;
        let mut text = Zeroizing::new(String::with_capacity(KEY_BYTES.saturating_mul(2)));
        for byte in key.iter() {
            text.push_str(&format!("{byte:02x}"));
        }
        let fault = |source| VaultError::File {
            path: path.to_owned(),
            source,
        };
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .map_err(fault)
    }

    /// Seals a secret that belongs to `owner`.
    ///
    /// # Errors
    /// [`VaultError::Randomness`] where the system gives no nonce.
    pub fn seal(&self, owner: &str, secret: &[u8]) -> Result<Vec<u8>, VaultError> {
        let mut nonce = [0_u8; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(|e| VaultError::Randomness(e.to_string()))?;
        let payload = Payload {
            msg: secret,
            aad: owner.as_bytes(),
        };
        let sealed = self
            .cipher
            .encrypt(XNonce::from_slice(&nonce), payload)
            .map_err(|_| VaultError::Randomness("a secret is too long to seal".to_owned()))?;
        Ok([nonce.as_slice(), sealed.as_slice()].concat())
    }

    /// Opens what was sealed for `owner`; none where it was sealed for another or changed.
    #[must_use]
    pub fn open_sealed(&self, owner: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
        let payload = Payload {
            msg: sealed,
            aad: owner.as_bytes(),
        };
        self.cipher
            .decrypt(XNonce::from_slice(nonce), payload)
            .ok()
            .map(Zeroizing::new)
    }
}

fn key_of(hex: &str) -> Option<Zeroizing<[u8; KEY_BYTES]>> {
    let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
    if hex.len() != KEY_BYTES.checked_mul(2)? || !hex.is_ascii() {
        return None;
    }
    for (byte, place) in key.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(hex.get(place..place + 2)?, 16).ok()?;
    }
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_secret_opens_for_its_owner_alone() {
        let folder = std::env::temp_dir().join(format!("vault-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("key");
        Vault::create(&path).unwrap();
        let vault = Vault::open(&path).unwrap();
        let sealed = vault.seal("key-1", b"geheim").unwrap();
        assert!(!sealed.windows(6).any(|part| part == b"geheim"));
        assert_eq!(
            vault.open_sealed("key-1", &sealed).unwrap().as_slice(),
            b"geheim"
        );
        assert!(vault.open_sealed("key-2", &sealed).is_none());
        std::fs::write(&path, "short").unwrap();
        assert!(matches!(
            Vault::open(&path),
            Err(VaultError::NotAKey { .. })
        ));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
