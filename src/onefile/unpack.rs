//! A bundle's first start: a folder that can be the cache, and the bundle unpacked into
//! it, whole or not at all.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use crate::dest::{self, Staging};
use crate::error::{Error, ErrorKind, Result};
use crate::extract::donors::Donors;
use crate::extract::{self, unpack as archive};
use crate::format::bcp::{Index, Launch};
use crate::pool;
use crate::probe::{self, Capabilities, Scope};
use crate::progress::{Counters, Phase, Progress, Total};
use crate::sys::{self, Umask};
use crate::text::escape_path;

use super::cache::stamp::{self, Head, Record};
use super::cache::{self, Cache, Candidate, Key, Lease, Look};
use super::trust::{Absent, Refused};

/// Permission bits that nothing in a cache gets: nobody else may write there.
pub(super) const UMASK: u32 = 0o022;

/// The operation of errors whose cause is a sentence about a folder.
const PROBED: &str = "use";

/// What is unpacked.
pub(super) struct Source<'s> {
    pub file: &'s File,
    /// The executable's path.
    pub path: &'s Path,
    pub index: &'s Index,
    pub launch: &'s Launch,
    pub progress: &'s dyn Progress,
}

/// Whether what is in the cache already will do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Present {
    Adopt,
    /// The folder of this device and number was found to be damaged; another will do.
    Replace((u64, u64)),
}

/// Unpacks into the first of `candidates` that can hold the bundle, or adopts what another
/// start unpacked meanwhile.
pub(super) fn unpack(
    source: &Source<'_>,
    candidates: &[Candidate],
    present: Present,
) -> Result<Box<Lease>> {
    let key = Key::of(&source.index.root_hash);
    // Else the caller's might keep this user itself out.
    let _umask = Umask::set(UMASK);
    let mut rejections = Rejections::default();
    for candidate in candidates {
        let cache = match Cache::open(&candidate.path, Absent::Make) {
            Ok(cache) => cache,
            Err(refused) => {
                rejections.add(&candidate.path, &refused);
                continue;
            }
        };
        match source.unpack_into(&cache, &key, present) {
            Ok(lease) => return Ok(lease),
            Err(error) => rejections.add_error(&candidate.path, error)?,
        }
    }
    Err(rejections.into_error(source.path))
}

/// Why each folder wasn't taken.
#[derive(Default)]
pub(super) struct Rejections(Vec<String>);

impl Rejections {
    pub(super) fn add(&mut self, path: &Path, refused: &Refused) {
        let path = escape_path(path);
        self.0.push(match refused {
            Refused::Absent => format!("`{path}` is not there"),
            Refused::Because(cause) if cause.contains('`') => format!("`{path}`: {cause}"),
            Refused::Because(cause) => format!("`{path}` {cause}"),
        });
    }

    /// Notes an error that another folder may not have; returns any other.
    pub(super) fn add_error(&mut self, path: &Path, error: Error) -> Result<()> {
        if !is_the_folders_fault(error.kind()) {
            return Err(error);
        }
        let reason = reason(&error, path);
        self.0.push(format!("`{}`: {reason}", escape_path(path)));
        Ok(())
    }

    pub(super) fn into_error(self, path: &Path) -> Error {
        let cause = match self.0.is_empty() {
            true => "no folder is known that its files could go to".to_owned(),
            false => format!("no folder can hold its files: {}", self.0.join("; ")),
        };
        let error = Error::new(ErrorKind::Unsupported, "start", path, cause);
        error.with_hint(format!("{} names another folder", cache::CACHE_DIR))
    }
}

/// Whether another folder may do better.
fn is_the_folders_fault(kind: ErrorKind) -> bool {
    !matches!(
        kind,
        ErrorKind::Malformed
            | ErrorKind::Truncated
            | ErrorKind::Unsafe
            | ErrorKind::LimitExceeded
            | ErrorKind::UnknownFormat
            | ErrorKind::Interrupted
    )
}

/// What is wrong with the folder at `path`, which the message names already.
fn reason(error: &Error, path: &Path) -> String {
    let (at, operation) = (error.path(), error.operation());
    if at.as_os_str().is_empty() || (at == path && operation == PROBED) {
        return error.cause();
    }
    match at == path {
        true => format!("{operation}: {}", error.cause()),
        false => format!("{error}: {}", error.cause()),
    }
}

impl Source<'_> {
    fn unpack_into(&self, cache: &Cache, key: &Key, present: Present) -> Result<Box<Lease>> {
        let lock = self.lock(cache, key)?;
        let unpacked = self.unpack_locked(cache, key, present);
        if unpacked.is_err() {
            // A folder that can't hold the bundle is left without a trace of it.
            cache.remove_lock(key);
        }
        // Others needn't wait for what follows.
        drop(lock);
        if let Ok(Unpacked::Now(_)) = &unpacked {
            dest::sweep_for(&cache.dir, key.name());
            cache::evict(cache, key);
        }
        unpacked.map(Unpacked::into_lease)
    }

    /// Waits until nobody else unpacks or removes the bundle, or a signal asks to stop.
    fn lock(&self, cache: &Cache, key: &Key) -> Result<Option<File>> {
        const PAUSE: Duration = Duration::from_millis(5);
        let status = Counters::default().status(Phase::Extracting, Total::default());
        loop {
            match cache.try_lock(key) {
                Ok(Some(lock)) => return Ok(Some(lock)),
                Ok(None) => {}
                // What is published is complete all the same.
                Err(error) if sys::lacks_locks(&error) => return Ok(None),
                Err(error) => return Err(Error::io("lock", &cache.path, error)),
            }
            if self.progress.report(&status).is_break() {
                return Err(pool::interruption());
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn unpack_locked(&self, cache: &Cache, key: &Key, present: Present) -> Result<Unpacked> {
        let failed = |operation, error| Error::io(operation, &cache.path, error);
        let root_hash = &self.index.root_hash;
        let look = cache.look(key, root_hash);
        let stands = match look.map_err(|error| failed("read", error))? {
            Look::Ready(lease) if present != Present::Replace(lease.identity) => {
                return Ok(Unpacked::Before(lease));
            }
            Look::Absent => false,
            Look::Ready(_) | Look::Damaged(_) => true,
        };
        let staging = Staging::create(&cache.dir, &cache.path, key.name())?;
        let found = self.probe(&staging, &cache.path)?;
        let path = cache.path_of(key);
        let donors = match self.launch.may_share {
            true => cache::donors(cache, key),
            false => Donors::default(),
        };
        self.extract(&staging, &found, &path, (&donors, UMASK))?;
        let head = self.head();
        self.stamp(&staging, &head)
            .map_err(|error| Error::io("write", &path, error))?;
        publish(staging, cache, key, stands).map_err(|error| failed("write to", error))?;
        match cache.look(key, root_hash) {
            Ok(Look::Ready(lease)) => Ok(Unpacked::Now(lease)),
            Ok(Look::Absent) => Err(unstable(&path, "it vanished at once")),
            Ok(Look::Damaged(cause)) => Err(unstable(&path, &cause)),
            Err(error) => Err(failed("read", error)),
        }
    }

    /// Whether the folder can hold the bundle and run it.
    pub(super) fn probe(&self, staging: &Staging, shown: &Path) -> Result<Capabilities> {
        let found = probe::probe_in(staging.dir(), shown, Scope::ForRunning)?;
        let refuse = |kind, cause: String| Err(Error::new(kind, PROBED, shown, cause));
        if let Some(cause) = found.exec.cause().filter(|_| !found.exec.is_yes()) {
            let cause = format!("programs can't run there ({cause})");
            return refuse(ErrorKind::Unsupported, cause);
        }
        if sys::HAS_PERMISSION_BITS && !found.modes.is_yes() {
            let cause = format!("{} keeps no permission bits", found.filesystem);
            return refuse(ErrorKind::Unsupported, cause);
        }
        let contents = self.index.layout.manifest.entries.iter();
        let needed: u64 = contents.map(|entry| entry.member.size).sum();
        if needed > found.free_bytes {
            let free = found.free_bytes;
            let cause = format!("{needed} bytes are needed, {free} are free");
            return refuse(ErrorKind::NoSpace, cause);
        }
        let entries = self.index.layout.manifest.entries.len() as u64;
        match found.free_inodes {
            Some(free) if free < entries => {
                let cause = format!("{entries} files are needed, {free} are free");
                refuse(ErrorKind::NoSpace, cause)
            }
            Some(_) | None => Ok(found),
        }
    }

    /// Fills the staging folder.
    pub(super) fn extract(
        &self,
        staging: &Staging,
        found: &Capabilities,
        path: &Path,
        (donors, umask): (&Donors, u32),
    ) -> Result<()> {
        let destination = archive::Destination {
            staging,
            found,
            path,
            parent: path.parent().unwrap_or(path),
            umask,
            donors,
        };
        let options = extract::Options::default();
        let archive = (self.file, self.path, self.index);
        archive::unpack(archive, &destination, &options, self.progress).map(drop)
    }

    fn head(&self) -> Head {
        let contents = self.index.layout.manifest.entries.iter();
        let bytes = contents.map(|entry| entry.member.size).sum();
        let name = self.path.file_name().map_or(&b""[..], sys::os_to_bytes);
        let mut head = Head::new(self.index.root_hash, bytes, sys::boot_id());
        head.entry = self.launch.entry.clone();
        head.library_path = self.launch.library_path.clone();
        head.has_own_name = self.launch.has_own_name;
        head.label = name[..name.len().min(255)].to_vec();
        head
    }

    /// Writes down what everything looks like.
    fn stamp(&self, staging: &Staging, head: &Head) -> io::Result<()> {
        let manifest = &self.index.layout.manifest;
        let mut records = Vec::with_capacity(manifest.entries.len());
        for entry in &manifest.entries {
            let stat = sys::stat_below(staging.dir(), &entry.member.path)?;
            let content = entry
                .content
                .map(|number| &manifest.contents[number as usize]);
            let whole = content.filter(|content| content.extents.is_none());
            let hash = whole.map_or([0; 32], |content| content.hash);
            records.push(Record::new(entry.member.path.clone(), &stat, hash));
        }
        if !head.knows_boot() {
            // Later nobody could tell that the system was started again meanwhile.
            sys::sync_filesystem(staging.dir())?;
        }
        stamp::write(staging.dir(), head, records)
    }
}

/// A bundle in the cache, unpacked now or found there.
enum Unpacked {
    Now(Box<Lease>),
    Before(Box<Lease>),
}

impl Unpacked {
    fn into_lease(self) -> Box<Lease> {
        match self {
            Self::Now(lease) | Self::Before(lease) => lease,
        }
    }
}

/// Gives what is complete its name. What `stands` there is swapped with it, or moved aside
/// where that can't be; who runs from it keeps it, and a later sweep removes it.
fn publish(staging: Staging, cache: &Cache, key: &Key, stands: bool) -> io::Result<()> {
    let staging = match stands {
        false => staging,
        true => match staging.swap_with(key.name()) {
            Ok(()) => return Ok(()),
            Err(kept) => {
                let (staging, error) = *kept;
                if !sys::lacks_flag(&error) {
                    return Err(error);
                }
                let aside = dest::forgotten_name(key.name());
                sys::rename_new(&cache.dir, key.name(), &cache.dir, &aside)?;
                staging
            }
        },
    };
    match staging.publish_as(key.name()) {
        // Without locks another start may have been faster: its bundle is as good.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        published => published,
    }
}

fn unstable(path: &Path, cause: &str) -> Error {
    let cause = format!("was unpacked, but {cause}");
    Error::new(ErrorKind::Tampered, "use", path, cause)
}
