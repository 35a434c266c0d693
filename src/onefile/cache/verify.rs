//! An unpacked bundle against its executable's hashes, on demand.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::path::RelPath;
use crate::progress::Progress;
use crate::sys;

use super::super::environment::Environment;
use super::super::trust::Absent;
use super::super::unpack::{self, Present, Source};
use super::super::{check, locate};
use super::stamp::Stamp;
use super::{Cache, Key, Look, candidates};

/// What a cache was found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// The bundle's folder.
    pub path: PathBuf,
    /// What is missing or isn't what it was, from the folder on, sorted. What a program
    /// wrote there besides doesn't count.
    pub differences: Vec<RelPath>,
    /// Why the bundle isn't used at all, whatever is in it.
    pub unusable: Option<String>,
}

impl Verified {
    /// Whether all is as it was unpacked. Else it was unpacked again.
    pub fn is_intact(&self) -> bool {
        self.differences.is_empty() && self.unusable.is_none()
    }
}

/// Compares what the executable at `path` unpacked with its hashes, and unpacks it again
/// where it is if it isn't what it was. `None` if it isn't unpacked anywhere.
///
/// While it unpacks, the process's umask is another.
///
/// # Errors
///
/// When the executable can't be read, and when it can't be unpacked again.
pub fn verify(
    path: &Path,
    environment: &Environment,
    progress: &dyn Progress,
) -> Result<Option<Verified>> {
    let file = sys::open_path(path).map_err(|error| Error::io("open", path, error))?;
    let (index, launch) = locate::read(&file, path)?;
    let key = Key::of(&index.root_hash);
    for candidate in candidates(environment) {
        let Ok(cache) = Cache::open(&candidate.path, Absent::Fail) else {
            continue;
        };
        let look = cache.look(&key, &index.root_hash);
        let mut present = Present::Adopt;
        let (differences, unusable) = match look {
            Ok(Look::Absent) | Err(_) => continue,
            Ok(Look::Damaged(cause)) => (Vec::new(), Some(cause)),
            Ok(Look::Ready(lease)) => {
                let manifest = &index.layout.manifest;
                let found = check::differences(&lease.dir, &lease.path, manifest, progress)?;
                if found.is_empty() {
                    Stamp::settle(&lease.dir);
                }
                present = Present::Replace(lease.identity);
                (found, None)
            }
        };
        let names = |path: &Vec<u8>| RelPath::from_names([path.as_slice()]);
        let verified = Verified {
            path: cache.path_of(&key),
            differences: differences.iter().map(names).collect(),
            unusable,
        };
        if !verified.is_intact() {
            let source = Source {
                file: &file,
                path,
                index: &index,
                launch: &launch,
                progress,
            };
            unpack::unpack(&source, &[candidate], present)?;
        }
        return Ok(Some(verified));
    }
    Ok(None)
}
