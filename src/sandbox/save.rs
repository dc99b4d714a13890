//! Edge: the stand-in's file: one snapshot, replaced as a whole, so no reader sees half of it.

use super::cloud::Cloud;
use serde_json::json;
use std::io;
use std::path::{Path, PathBuf};

/// The snapshot.
fn file(folder: &Path) -> PathBuf {
    folder.join("sandbox.json")
}

/// The cloud in the folder; none where there is no file yet.
///
/// # Errors
/// What the system says, or what is wrong with the file.
pub fn load(folder: &Path) -> io::Result<Option<Cloud>> {
    let bytes = match std::fs::read(file(folder)) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut cloud: Cloud = serde_json::from_slice(&bytes).map_err(io::Error::other)?;
    cloud.reindex();
    Ok(Some(cloud))
}

/// Writes the cloud.
///
/// # Errors
/// What the system says.
pub fn store(folder: &Path, cloud: &Cloud) -> io::Result<()> {
    let bytes = serde_json::to_vec(cloud).map_err(io::Error::other)?;
    replace(&file(folder), &bytes)
}

/// Writes `admin.json`: the root admin's key and secret.
///
/// # Errors
/// What the system says.
pub fn store_admin(folder: &Path, cloud: &Cloud) -> io::Result<()> {
    let admin = cloud.users.iter().find(|user| user.is_default);
    let keys = json!({
        "api_key": admin.and_then(|user| user.api_key.as_deref()),
        "secret": admin.and_then(|user| user.secret.as_deref()),
    });
    replace(&folder.join("admin.json"), keys.to_string().as_bytes())
}

fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = path.with_extension("new");
    std::fs::write(&fresh, bytes)?;
    std::fs::rename(&fresh, path)
}
