//! Edge: another key for what is sealed at rest, while nodes serve.
//!
//! First a new key is put on top of the key file: nodes look at it at each use, seal with the
//! newest and open with any. Then each row is sealed anew, unless it changed meanwhile. Last, the
//! older keys are taken out of the file. Each step can be said again after a crash; a row that no
//! key opens is none: CloudStack is asked for that key again.

use crate::config::Config;
use crate::config::vault::{Vault, VaultError};
use crate::crash::{self, Point};
use crate::store::{Store, StoreError};

/// What a rotation did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rotated {
    /// A new key was made; else one that was begun before was gone on with.
    pub began: bool,
    /// Rows that are sealed with the newest key now and were not.
    pub sealed: usize,
    /// Rows that no key opened, taken away.
    pub lost: usize,
}

/// Why keys could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum RotationFault {
    /// The key file.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Puts a new key in use and seals all rows with it.
///
/// # Errors
/// [`RotationFault`]; said again, it goes on.
pub async fn rotate(config: &Config, store: &Store) -> Result<Rotated, RotationFault> {
    let began = Vault::add_key(&config.key_file)?;
    let (sealed, lost) = seal_anew(&Vault::open(&config.key_file)?, store).await?;
    Ok(Rotated {
        began,
        sealed,
        lost,
    })
}

/// Seals what is still under an older key, then takes the older keys away; says how many.
///
/// # Errors
/// As of [`rotate`].
pub async fn retire(config: &Config, store: &Store) -> Result<usize, RotationFault> {
    seal_anew(&Vault::open(&config.key_file)?, store).await?;
    Ok(Vault::retire_keys(&config.key_file)?)
}

async fn seal_anew(vault: &Vault, store: &Store) -> Result<(usize, usize), RotationFault> {
    let (mut sealed, mut lost) = (0_usize, 0_usize);
    for row in store.facts().keys().await? {
        if vault.is_newest(&row.key_hash, &row.ciphertext) {
            continue;
        }
        match vault.open_sealed(&row.key_hash, &row.ciphertext) {
            Some(secret) => {
                let ciphertext = vault.seal(&row.key_hash, &secret)?;
                let done = store.facts().reseal_key(&row, ciphertext).await?;
                sealed = sealed.saturating_add(usize::from(done));
            }
            None => {
                let gone = store.facts().forget_key(Some(&row.key_hash)).await?;
                lost = lost.saturating_add(usize::from(gone > 0));
            }
        }
        crash::pass(Point::Rotating);
    }
    Ok((sealed, lost))
}
