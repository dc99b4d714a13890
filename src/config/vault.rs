//! Edge: the key that encrypts customers' secrets at rest, and the sealing done with it.
//!
//! XChaCha20-Poly1305 with a random nonce per sealing; what a secret belongs to is bound to it as
//! associated data, so that a row copied to another key does not open.
//!
//! The key file holds a key a line, the newest first: what is sealed takes the first, what is
//! opened any. It is looked at again at each use, so that keys change under a node that serves.

use arc_swap::ArcSwap;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;
/// Keys in one file: the newest, and those that rows may still be sealed with.
const KEYS_MAX: usize = 4;

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
    #[error(
        "key file {path} does not hold one to {KEYS_MAX} lines of 64 hexadecimal digits; restore it \
         from your backup"
    )]
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
    path: PathBuf,
    keys: Arc<ArcSwap<Keys>>,
}

/// The keys of a file as it was when it looked so.
struct Keys {
    ciphers: Vec<XChaCha20Poly1305>,
    looks: Option<Looks>,
}

/// By what a file that changed is told: when it was written, its size, its place on the disk.
type Looks = (i64, i64, u64, u64);

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Vault")
    }
}

impl Vault {
    /// The vault with the keys in the file.
    ///
    /// # Errors
    /// [`VaultError`] where the file is missing or holds no key.
    pub fn open(path: &Path) -> Result<Self, VaultError> {
        // How it looks before it is read: what is written meanwhile is read at the next use.
        let looks = looks(path);
        let ciphers = ciphers(path)?;
        Ok(Self {
            path: path.to_owned(),
            keys: Arc::new(ArcSwap::from_pointee(Keys { ciphers, looks })),
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
        let fault = |source| file_fault(path, source);
        std::fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .and_then(|mut file| {
                file.write_all(fresh()?.as_bytes())?;
                file.sync_all()
            })
            .map_err(fault)
    }

    /// Puts a new key on top of a file that holds one; says whether it did. A file with more has a
    /// rotation under way, which keeps its key.
    ///
    /// # Errors
    /// [`VaultError`]: the file cannot be used or written; it stays as it is.
    pub fn add_key(path: &Path) -> Result<bool, VaultError> {
        let lines = lines(path)?;
        if lines.len() > 1 {
            return Ok(false);
        }
        let fresh = fresh().map_err(|source| file_fault(path, source))?;
        let mut text = Zeroizing::new(format!("{}\n", fresh.as_str()));
        lines.iter().for_each(|line| text.push_str(line));
        replace(path, &text)?;
        Ok(true)
    }

    /// Takes all keys but the newest away; says how many.
    ///
    /// # Errors
    /// As of [`Vault::add_key`].
    pub fn retire_keys(path: &Path) -> Result<usize, VaultError> {
        let lines = lines(path)?;
        let older = lines.len().saturating_sub(1);
        if let (Some(newest), true) = (lines.first(), older > 0) {
            replace(path, newest)?;
        }
        Ok(older)
    }

    /// The keys as the file has them now. One that cannot be used changes nothing.
    fn keys(&self) -> Arc<Keys> {
        let known = self.keys.load_full();
        let looks = looks(&self.path);
        if looks == known.looks {
            return known;
        }
        let ciphers = ciphers(&self.path).unwrap_or_else(|fault| {
            tracing::warn!(verb = "seal", %fault, "the keys that were read before stay in use");
            known.ciphers.clone()
        });
        let read = Arc::new(Keys { ciphers, looks });
        self.keys.store(read.clone());
        read
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
        let keys = self.keys();
        let newest = keys.ciphers.first().ok_or_else(|| VaultError::NotAKey {
            path: self.path.clone(),
        })?;
        let sealed = newest
            .encrypt(XNonce::from_slice(&nonce), payload)
            .map_err(|_| VaultError::Randomness("a secret is too long to seal".to_owned()))?;
        Ok([nonce.as_slice(), sealed.as_slice()].concat())
    }

    /// Opens what was sealed for `owner`; none where it was sealed for another or changed.
    #[must_use]
    pub fn open_sealed(&self, owner: &str, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let keys = self.keys();
        let mut opened = keys.ciphers.iter();
        opened.find_map(|cipher| opened_with(cipher, owner, sealed))
    }

    /// Whether the newest key opens it.
    #[must_use]
    pub fn is_newest(&self, owner: &str, sealed: &[u8]) -> bool {
        let keys = self.keys();
        let newest = keys.ciphers.first();
        newest.is_some_and(|cipher| opened_with(cipher, owner, sealed).is_some())
    }
}

fn opened_with(
    cipher: &XChaCha20Poly1305,
    owner: &str,
    sealed: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
    let payload = Payload {
        msg: sealed,
        aad: owner.as_bytes(),
    };
    let opened = cipher.decrypt(XNonce::from_slice(nonce), payload);
    opened.ok().map(Zeroizing::new)
}

fn file_fault(path: &Path, source: std::io::Error) -> VaultError {
    VaultError::File {
        path: path.to_owned(),
        source,
    }
}

fn looks(path: &Path) -> Option<Looks> {
    let found = std::fs::metadata(path).ok()?;
    Some((found.mtime(), found.mtime_nsec(), found.size(), found.ino()))
}

/// A new key as it is written.
fn fresh() -> std::io::Result<Zeroizing<String>> {
    let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
    getrandom::fill(key.as_mut()).map_err(|e| std::io::Error::other(e.to_string()))?;
    let mut text = Zeroizing::new(String::with_capacity(KEY_BYTES.saturating_mul(2)));
    for byte in key.iter() {
        text.push_str(&format!("{byte:02x}"));
    }
    Ok(text)
}

/// The keys of a file as they are written, each of them looked at.
fn lines(path: &Path) -> Result<Vec<Zeroizing<String>>, VaultError> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|source| file_fault(path, source))?;
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let sound = (1..=KEYS_MAX).contains(&lines.len());
    if !sound || lines.iter().any(|line| key_of(line).is_none()) {
        return Err(VaultError::NotAKey {
            path: path.to_owned(),
        });
    }
    let own = |line: &str| Zeroizing::new(line.to_owned());
    Ok(lines.into_iter().map(own).collect())
}

fn ciphers(path: &Path) -> Result<Vec<XChaCha20Poly1305>, VaultError> {
    let keys = lines(path)?;
    let keys = keys.iter().filter_map(|line| key_of(line));
    let cipher =
        |key: Zeroizing<[u8; KEY_BYTES]>| XChaCha20Poly1305::new(Key::from_slice(key.as_ref()));
    Ok(keys.map(cipher).collect())
}

/// Puts a file in another's place, whole or not at all, with the same owner.
fn replace(path: &Path, text: &str) -> Result<(), VaultError> {
    let fault = |source| file_fault(path, source);
    let was = std::fs::metadata(path).map_err(fault)?;
    let mut name = path.as_os_str().to_owned();
    name.push(".new");
    let next = PathBuf::from(name);
    // One that a crash left half written.
    let _ = std::fs::remove_file(&next);
    let written = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&next)
        .and_then(|mut file| {
            std::os::unix::fs::fchown(&file, Some(was.uid()), Some(was.gid()))?;
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })
        .and_then(|()| std::fs::rename(&next, path))
        .and_then(|()| {
            let folder = path
                .parent()
                .filter(|folder| !folder.as_os_str().is_empty());
            std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        });
    written.map_err(fault)
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
        // A vault that is open keeps the keys it knows.
        assert!(vault.open_sealed("key-1", &sealed).is_some());
        std::fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_key_is_changed_under_an_open_vault_and_the_old_one_can_go() {
        let folder = std::env::temp_dir().join(format!("vault-turn-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let path = folder.join("key");
        Vault::create(&path).unwrap();
        let vault = Vault::open(&path).unwrap();
        let old = vault.seal("key-1", b"geheim").unwrap();
        assert!(Vault::add_key(&path).unwrap());
        assert!(!Vault::add_key(&path).unwrap(), "one rotation at a time");
        assert!(vault.open_sealed("key-1", &old).is_some());
        assert!(!vault.is_newest("key-1", &old));
        let new = vault.seal("key-1", b"geheim").unwrap();
        assert!(vault.is_newest("key-1", &new));
        assert_eq!(Vault::retire_keys(&path).unwrap(), 1);
        assert_eq!(Vault::retire_keys(&path).unwrap(), 0);
        assert!(vault.open_sealed("key-1", &old).is_none());
        assert!(vault.open_sealed("key-1", &new).is_some());
        let mode = std::fs::metadata(&path).unwrap().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::remove_dir_all(folder).unwrap();
    }
}
