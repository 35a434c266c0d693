//! The cache that self-extracting executables unpack themselves into.
//!
//! One folder for each bundle, named after its root hash, with the bundle and a
//! stamp in it. It appears complete, by one rename, and is never changed after
//! that. Whoever runs from it takes part in the lock on it; whoever removes it has to
//! have that lock alone, moves it aside first, and then removes it.

mod clean;
mod donors;
mod lease;
mod list;
pub(super) mod stamp;
mod verify;

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use crate::sys::{self, Dir};

use super::environment::Environment;
use super::locate::Onefile;
use super::trust::{self, Absent, Last, Refused};

pub(super) use clean::evict;
pub use clean::{Cleaned, Limits, clean};
pub(super) use donors::donors;
pub(super) use lease::{Lease, Look};
pub use list::{Cached, list};
pub use verify::{Verified, verify};

/// The variable that names the cache's folder.
pub const CACHE_DIR: &str = "BUNDLECP_CACHE_DIR";

/// Digits of a root hash that name a folder: 128 bits. The stamp has all of it.
const DIGITS: usize = 32;

/// A folder that can be the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate {
    /// Its path.
    pub path: PathBuf,
    /// The variable or the custom that it comes from: `HOME`.
    pub source: &'static str,
}

/// Returns the folders that are tried for the cache, in this order: what
/// `BUNDLECP_CACHE_DIR` names, the user's own folder for caches (`XDG_CACHE_HOME`, else
/// below `HOME`), then one of this user's in `TMPDIR`, `/var/tmp` and `/tmp`. On Windows
/// that is `LOCALAPPDATA`, else below `USERPROFILE`, then `TEMP`.
pub fn candidates(environment: &Environment) -> Vec<Candidate> {
    let mut found = Vec::new();
    let mut add = |path: PathBuf, source| {
        if !found.iter().any(|one: &Candidate| one.path == path) {
            found.push(Candidate { path, source });
        }
    };
    let absolute = |name| environment.folder(name).filter(|path| path.is_absolute());
    if let Some(path) = environment.folder(CACHE_DIR) {
        add(path, CACHE_DIR);
    }
    match (absolute(sys::CACHE_HOME), absolute(sys::HOME)) {
        (Some(path), _) => add(path.join("bundlecp"), sys::CACHE_HOME),
        (None, Some(home)) => add(home.join(sys::CACHES).join("bundlecp"), sys::HOME),
        (None, None) => {}
    }
    let own = format!("bundlecp-{}", sys::effective_user());
    if let Some(path) = absolute(sys::TEMPORARY_FOLDER) {
        add(path.join(&own), sys::TEMPORARY_FOLDER);
    }
    for path in sys::TEMPORARY {
        add(Path::new(path).join(&own), "the system");
    }
    found
}

/// The folders that are tried for what is unpacked for one start only.
pub(super) fn temporary(environment: &Environment) -> Vec<Candidate> {
    let named = [CACHE_DIR, sys::TEMPORARY_FOLDER].map(|name| (environment.folder(name), name));
    let named = named
        .into_iter()
        .filter_map(|(path, source)| Some((path?, source)));
    let usual = sys::TEMPORARY
        .iter()
        .rev()
        .map(|path| (PathBuf::from(path), "the system"));
    let all = named.chain(usual);
    all.map(|(path, source)| Candidate { path, source })
        .collect()
}

/// Returns the folders that executables may have used for their caches.
pub fn folders(environment: &Environment) -> Vec<PathBuf> {
    let is_cache = |candidate: &Candidate| Cache::open(&candidate.path, Absent::Fail).is_ok();
    let found = candidates(environment).into_iter().filter(is_cache);
    found.map(|candidate| candidate.path).collect()
}

/// Returns the folder that the next executable is unpacked in, as far as that shows
/// without writing to it.
pub fn folder(environment: &Environment) -> Option<PathBuf> {
    let may_be = |candidate: &Candidate| {
        let opened = Cache::open(&candidate.path, Absent::Fail);
        matches!(opened, Ok(_) | Err(Refused::Absent))
    };
    let found = candidates(environment).into_iter().find(may_be);
    found.map(|candidate| candidate.path)
}

/// Returns the folder that `onefile` is unpacked in, if it is.
pub fn find(onefile: &Onefile, environment: &Environment) -> Option<PathBuf> {
    let key = Key::of(&onefile.root_hash);
    candidates(environment).into_iter().find_map(|candidate| {
        let cache = Cache::open(&candidate.path, Absent::Fail).ok()?;
        match cache.look(&key, &onefile.root_hash).ok()? {
            Look::Ready(lease) => Some(lease.path),
            Look::Absent | Look::Damaged(_) => None,
        }
    })
}

/// A folder that is the cache, held open.
pub(super) struct Cache {
    pub path: PathBuf,
    pub dir: Dir,
}

impl Cache {
    /// Opens the cache at `path`, if nobody else can have prepared it.
    pub(super) fn open(path: &Path, absent: Absent) -> Result<Self, Refused> {
        let (dir, path) = trust::open(path, Last::Private, absent)?;
        Ok(Self { path, dir })
    }

    /// The path of what `key` names.
    pub(super) fn path_of(&self, key: &Key) -> PathBuf {
        sys::join_bytes(&self.path, &key.0)
    }

    /// Keeps others from unpacking or removing what `key` names, until the result is dropped;
    /// `None` while somebody does.
    pub(super) fn try_lock(&self, key: &Key) -> io::Result<Option<File>> {
        let file = sys::open_lock(&self.dir, &key.lock_name(), 0o600)?;
        let is_ours = sys::try_lock_file(&file)? && self.is_named(&file, key)?;
        Ok(is_ours.then_some(file))
    }

    /// Removes the name of a lock that the caller has. Who waits for it takes another.
    pub(super) fn remove_lock(&self, key: &Key) {
        let _ = sys::remove_file(&self.dir, &key.lock_name());
    }

    /// Whether the lock's name still stands for `file`: who removes a cache removes its
    /// lock as well.
    fn is_named(&self, file: &File, key: &Key) -> io::Result<bool> {
        let held = sys::stat_file(file)?;
        match sys::stat_at(&self.dir, &key.lock_name()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            named => Ok(named?.is_same_object(&held)),
        }
    }
}

/// What names a bundle's folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Key(Vec<u8>);

impl Key {
    pub(super) fn of(root_hash: &[u8; 32]) -> Self {
        let digits = root_hash
            .iter()
            .flat_map(|byte| format!("{byte:02x}").into_bytes());
        Self(digits.take(DIGITS).collect())
    }

    /// The key that a folder of this name has.
    fn of_name(name: &[u8]) -> Option<Self> {
        let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let is_key = name.len() == DIGITS && name.iter().all(is_digit);
        is_key.then(|| Self(name.to_vec()))
    }

    pub(super) fn name(&self) -> &[u8] {
        &self.0
    }

    fn lock_name(&self) -> Vec<u8> {
        [b".", self.0.as_slice(), b".lock"].concat()
    }
}
