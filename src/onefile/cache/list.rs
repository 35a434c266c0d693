//! What is in a cache.

use std::io;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::sys::{self, FileType, Timestamp};

use super::super::trust::{Absent, Refused};
use super::stamp::Stamp;
use super::{Cache, Key};
use crate::error::ErrorKind;

/// An unpacked bundle.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Cached {
    /// Its folder.
    pub path: PathBuf,
    /// The name of the executable that it was unpacked from.
    pub label: String,
    /// The program's path, from the folder on.
    pub entry: PathBuf,
    /// The hash that names what it was unpacked from.
    pub root_hash: [u8; 32],
    /// Content of all its files in bytes.
    pub bytes: u64,
    /// When a program was last started from it, to the hour.
    pub last_used: Timestamp,
    /// Whether a program runs from it.
    pub is_in_use: bool,
}

/// Lists what is in the cache at `folder`, the last used first. A folder that isn't there
/// has nothing in it.
///
/// # Errors
///
/// When the folder can't be read, or another user could write to it.
pub fn list(folder: &Path) -> Result<Vec<Cached>> {
    let Some(cache) = open(folder)? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for key in keys(&cache).map_err(|error| Error::io("read", folder, error))? {
        if let Some(mut cached) = one(&cache, &key) {
            cached.is_in_use = is_in_use(&cache, &key);
            found.push(cached);
        }
    }
    found.sort_by(|a, b| (b.last_used, &a.path).cmp(&(a.last_used, &b.path)));
    Ok(found)
}

/// Opens a cache that somebody wants to look after; `None` if there is none.
pub(super) fn open(folder: &Path) -> Result<Option<Cache>> {
    let folder = std::path::absolute(folder).map_err(|error| Error::io("open", folder, error))?;
    match Cache::open(&folder, Absent::Fail) {
        Ok(cache) => Ok(Some(cache)),
        Err(Refused::Absent) => Ok(None),
        Err(Refused::Because(cause)) => {
            let error = Error::new(ErrorKind::PermissionDenied, "open", folder, cause);
            Err(error.with_hint("no executable uses such a cache"))
        }
    }
}

/// The bundles in `cache`.
pub(super) fn keys(cache: &Cache) -> io::Result<Vec<Key>> {
    let mut keys = Vec::new();
    sys::list_dir::<io::Error>(&cache.dir, |listed| {
        if matches!(listed.file_type, FileType::Dir | FileType::Unknown) {
            keys.extend(Key::of_name(listed.name));
        }
        Ok(())
    })?;
    Ok(keys)
}

/// What a key names, as far as its stamp tells; `None` if it is gone or has none that is known
/// here.
pub(super) fn one(cache: &Cache, key: &Key) -> Option<Cached> {
    let dir = sys::open_dir(&cache.dir, key.name()).ok()?;
    let stamp = Stamp::open(&dir).ok()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(Cached {
        path: cache.path_of(key),
        label: text(&stamp.head.label),
        entry: sys::bytes_to_path(&stamp.head.entry).into_owned(),
        root_hash: stamp.head.root_hash,
        bytes: stamp.head.bytes,
        last_used: stamp.stat.modified,
        is_in_use: false,
    })
}

/// Whether what a key names can't have been of use to any version: a stamp of a later one is
/// that one's affair.
pub(super) fn has_no_stamp(cache: &Cache, key: &Key) -> bool {
    let Ok(dir) = sys::open_dir(&cache.dir, key.name()) else {
        return false;
    };
    match Stamp::open(&dir) {
        Ok(_) => false,
        Err(refusal) => refusal.kind() != ErrorKind::Unsupported,
    }
}

/// Whether a program holds the lock on what a key names, or runs from it without.
pub(super) fn is_in_use(cache: &Cache, key: &Key) -> bool {
    let Ok(dir) = sys::open_dir(&cache.dir, key.name()) else {
        return false;
    };
    let is_locked = matches!(sys::try_lock_dir(&dir), Ok(false));
    // The lock goes with the handle, before all processes are looked at.
    drop(dir);
    is_locked || sys::is_run_from(&cache.path_of(key))
}
