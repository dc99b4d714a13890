//! Edge: a consistent copy of the books while they are written, and the way back.
//!
//! A backup is a folder with `ledger.db`, `facts.db` where the books are SQLite's, and
//! `backup.json`, which says what is in it. It is written under another name first: a folder with
//! a `backup.json` is whole.

use super::check::Verified;
use super::database::{Connection, query};
use super::error::StoreError;
use super::{Place, Store, check, copy, open, postgres, sql, to_row};
use crate::terms::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

const MANIFEST: &str = "backup.json";

/// What a backup says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Manifest {
    /// The program that wrote it.
    pub program: String,
    /// When, wall time.
    pub made: String,
    /// How many transfers are in it.
    pub transfers: u64,
    /// SHA-256 of each file, hexadecimal.
    pub files: BTreeMap<String, String>,
}

/// Why a backup was not made or not taken back.
#[derive(Debug, thiserror::Error)]
pub enum BackupFault {
    /// A file could not be written or read.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// There is something already.
    #[error("{0} is there already: name a folder that is not, so that nothing is overwritten")]
    There(PathBuf),
    /// The books that a backup would go into are not empty.
    #[error("the books in {0} are not empty: a backup is only taken back into empty ones")]
    NotEmpty(String),
    /// It is not what its manifest says.
    #[error("{0} is not what {MANIFEST} says it was: the backup is damaged; take another one")]
    Damaged(PathBuf),
    /// What was copied does not stand by itself.
    #[error("the copy is not sound, and was not kept: {0}")]
    Unsound(String),
    /// The manifest cannot be read.
    #[error("{0} is no manifest of a backup: {1}")]
    Manifest(PathBuf, serde_json::Error),
    /// A store said no.
    #[error(transparent)]
    Store(#[from] StoreError),
}

type Backed<T> = Result<T, BackupFault>;

impl Store {
    /// Writes a consistent copy into the folder, which must not exist, while the books go on.
    ///
    /// # Errors
    /// [`BackupFault`]; nothing is left under the folder's name then.
    pub async fn back_up(
        &self,
        folder: &Path,
        made: Timestamp,
        told: &mut dyn FnMut(&str, u64),
    ) -> Backed<Manifest> {
        if folder.exists() {
            return Err(BackupFault::There(folder.to_owned()));
        }
        let partial = folder.with_extension("partial");
        remove(&partial)?;
        at(&partial, std::fs::create_dir_all(&partial))?;
        self.copy_into(&partial, told).await?;
        let transfers = sound(&partial).await?.transfers;
        let mut files = BTreeMap::new();
        for name in [open::LEDGER, open::FACTS] {
            let path = partial.join(name);
            if path.exists() {
                files.insert(name.to_owned(), hash(&path)?);
                at(&path, std::fs::File::open(&path).and_then(|f| f.sync_all()))?;
            }
        }
        let manifest = Manifest {
            program: format!("faregate {}", env!("CARGO_PKG_VERSION")),
            made: made.to_string(),
            transfers,
            files,
        };
        let path = partial.join(MANIFEST);
        let text = serde_json::to_string_pretty(&manifest);
        let text = text.map_err(|error| BackupFault::Manifest(path.clone(), error))?;
        at(&path, std::fs::write(&path, text))?;
        at(&path, std::fs::File::open(&path).and_then(|f| f.sync_all()))?;
        let sync = |path: &Path| at(path, std::fs::File::open(path).and_then(|f| f.sync_all()));
        sync(&partial)?;
        at(folder, std::fs::rename(&partial, folder))?;
        sync(
            folder
                .parent()
                .filter(|up| up != &Path::new(""))
                .unwrap_or(Path::new(".")),
        )?;
        Ok(manifest)
    }

    async fn copy_into(&self, folder: &Path, told: &mut dyn FnMut(&str, u64)) -> Backed<()> {
        match self {
            Self::Memory(_) => self.readers().map(drop)?,
            Self::Sqlite(books) => {
                let files = [
                    (open::LEDGER, Some(&books.readers)),
                    (open::FACTS, self.facts().readers()),
                ];
                let files = files
                    .into_iter()
                    .filter_map(|(name, pool)| Some((name, pool?)));
                for (name, pool) in files {
                    let path = folder.join(name).display().to_string();
                    let copied = pool.execute(query("VACUUM INTO $1").bind(path)).await;
                    copied.map_err(|error| StoreError::of(name, &error))?;
                    told(name, 1);
                }
            }
            Self::Postgres(books, _) => {
                let snapshot = books.readers.snapshot().await;
                let mut snapshot =
                    snapshot.map_err(|error| StoreError::of(postgres::NAME, &error))?;
                let options = open::options(&folder.join(open::LEDGER), true);
                let file = open::migrated(&options, open::LEDGER, &open::LEDGER_STEPS).await?;
                let mut file = Connection::Sqlite(file);
                copy::copy(&mut snapshot, &mut file, open::LEDGER, told).await?;
                let closed = file.close().await;
                closed.map_err(|error| StoreError::of(open::LEDGER, &error))?;
            }
        }
        Ok(())
    }
}

/// Reads a backup's manifest and checks its files against it.
///
/// # Errors
/// [`BackupFault`].
pub fn read_manifest(folder: &Path) -> Backed<Manifest> {
    let path = folder.join(MANIFEST);
    let text = at(&path, std::fs::read_to_string(&path))?;
    let manifest: Manifest =
        serde_json::from_str(&text).map_err(|error| BackupFault::Manifest(path, error))?;
    for (name, wanted) in &manifest.files {
        let path = folder.join(name);
        if hash(&path)? != *wanted {
            return Err(BackupFault::Damaged(path));
        }
    }
    Ok(manifest)
}

/// Takes a backup back into empty books, of either kind. No node may run on them.
///
/// # Errors
/// [`BackupFault`]; books that were not empty are as they were.
pub async fn restore(
    folder: &Path,
    place: &Place,
    told: &mut dyn FnMut(&str, u64),
) -> Backed<Manifest> {
    let manifest = read_manifest(folder)?;
    match place {
        Place::Folder(state) => {
            at(state, std::fs::create_dir_all(state))?;
            for name in manifest.files.keys() {
                let path = state.join(name);
                if path.exists() && !is_empty(place).await? {
                    return Err(BackupFault::NotEmpty(state.display().to_string()));
                }
            }
            for name in manifest.files.keys() {
                for rest in ["-wal", "-shm"] {
                    remove(&state.join(format!("{name}{rest}")))?;
                }
                let path = state.join(name);
                at(&path, std::fs::copy(folder.join(name), &path).map(drop))?;
                at(&path, std::fs::File::open(&path).and_then(|f| f.sync_all()))?;
                told(name, 1);
            }
        }
        Place::Postgres { .. } => {
            if !is_empty(place).await? {
                return Err(BackupFault::NotEmpty(postgres::NAME.to_owned()));
            }
            let source = open::backup(&folder.join(open::LEDGER)).await?;
            let snapshot = source.snapshot().await;
            let mut snapshot = snapshot.map_err(|error| StoreError::of(open::LEDGER, &error))?;
            let mut into = postgres::connect(place).await?;
            copy::copy(&mut snapshot, &mut into, postgres::NAME, told).await?;
        }
    }
    let store = Store::open_at(place).await?;
    let verified = store.verify().await?;
    store.close().await;
    stands(&verified)?;
    if verified.transfers != manifest.transfers {
        let text = format!("{} transfers of {}", verified.transfers, manifest.transfers);
        return Err(BackupFault::Unsound(text));
    }
    Ok(manifest)
}

/// Whether nothing was ever posted there.
async fn is_empty(place: &Place) -> Backed<bool> {
    let store = Store::open_at(place).await?;
    let verified = store.verify().await?;
    let payers = store.payers().await?;
    store.close().await;
    Ok(verified.transfers == 0 && payers.is_empty())
}

async fn sound(folder: &Path) -> Backed<Verified> {
    let pool = open::backup(&folder.join(open::LEDGER)).await?;
    let verified = check::verified(&pool, open::LEDGER).await?;
    stands(&verified)?;
    Ok(verified)
}

fn stands(verified: &Verified) -> Backed<()> {
    match verified.faults.first() {
        None => Ok(()),
        Some(fault) => Err(BackupFault::Unsound(fault.to_string())),
    }
}

fn at<T>(path: &Path, done: io::Result<T>) -> Backed<T> {
    done.map_err(|error| BackupFault::File(path.to_owned(), error))
}

fn remove(path: &Path) -> Backed<()> {
    let removed = match path.is_dir() {
        true => std::fs::remove_dir_all(path),
        false => std::fs::remove_file(path),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(BackupFault::File(path.to_owned(), error))
        }
        _ => Ok(()),
    }
}

fn hash(path: &Path) -> Backed<String> {
    let mut file = at(path, std::fs::File::open(path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let read = at(path, file.read(&mut buffer))?;
        let Some(bytes) = buffer.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        hash.update(bytes);
    }
    let digest: [u8; 32] = hash.finalize().into();
    Ok(to_row::hex(&digest))
}

/// Writes the figures that transfers and holds say into the rows of payers and caps where they
/// differ; says how many. No node may run on the books.
///
/// # Errors
/// [`StoreError`]; nothing was written then.
pub async fn rebuild(place: &Place, verified: &Verified) -> Result<usize, StoreError> {
    let kept = &verified.payers;
    let differ = verified
        .rebuilt
        .iter()
        .filter(|state| !kept.contains(state));
    let rows: Vec<Value> = differ.map(to_row::payer).collect();
    let caps = verified.caps_rebuilt.iter();
    let caps = caps.filter(|cap| !verified.caps.contains(cap));
    let caps: Vec<Value> = caps.map(to_row::cap).collect();
    let count = rows.len().saturating_add(caps.len());
    let (mut connection, file) = match place {
        Place::Folder(state) => {
            let options = open::options(&state.join(open::LEDGER), true);
            let open = open::migrated(&options, open::LEDGER, &open::LEDGER_STEPS).await?;
            (Connection::Sqlite(open), open::LEDGER)
        }
        Place::Postgres { .. } => (postgres::connect(place).await?, postgres::NAME),
    };
    copy::put_all(&mut connection, sql::PUT_PAYERS, rows, file).await?;
    copy::put_all(&mut connection, sql::PUT_CAPS, caps, file).await?;
    let kept = &verified.grants;
    let grants = verified.grants_rebuilt.iter();
    let grants: Vec<Value> = grants
        .filter(|row| !kept.contains(row))
        .map(to_row::grant)
        .collect();
    let count = count + grants.len();
    copy::put_all(&mut connection, sql::PUT_GRANTS, grants, file).await?;
    let closed = connection.close().await;
    closed.map_err(|error| StoreError::of(file, &error))?;
    Ok(count)
}
