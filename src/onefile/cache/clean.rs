//! Removing bundles that weren't used for long, and what killed runs left.

use std::io;
use std::path::{Path, PathBuf};

use crate::dest::{self, remove};
use crate::error::{Error, Result};
use crate::sys::{self, Timestamp};

use super::list::{self, Cached};
use super::{Cache, Key};

/// What may stay in a cache. The default removes all that isn't in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Limits {
    /// Content of all files in bytes: the least recently used go first.
    pub bytes: Option<u64>,
    /// Seconds since the last start.
    pub age: Option<u64>,
}

impl Limits {
    /// What every executable keeps to when it unpacks itself: what wasn't used for 90
    /// days goes.
    pub(crate) const USUAL: Self = Self {
        bytes: None,
        age: Some(90 * 24 * 3600),
    };

    fn keeps_nothing(&self) -> bool {
        self.bytes.is_none() && self.age.is_none()
    }
}

/// What was removed.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct Cleaned {
    /// Bundles that were removed.
    pub removed: Vec<Cached>,
    /// Bundles that would have been, were they not in use.
    pub in_use: Vec<Cached>,
    /// What could not be removed, and why.
    pub failed: Vec<(PathBuf, String)>,
}

/// Removes from the cache at `folder` what is beyond `limits`, and what killed runs
/// left; never what a program runs from. With `dry_run`, it only says what it would do.
///
/// # Errors
///
/// When the folder can't be read, or another user could write to it.
pub fn clean(folder: &Path, limits: Limits, dry_run: bool) -> Result<Cleaned> {
    match list::open(folder)? {
        Some(cache) => {
            let cleaned = clean_in(&cache, limits, None, dry_run);
            cleaned.map_err(|error| Error::io("read", folder, error))
        }
        None => Ok(Cleaned::default()),
    }
}

/// The same for an executable that just unpacked itself as `own`. What fails is left to
/// the next one.
pub(crate) fn evict(cache: &Cache, own: &Key) {
    let _ = clean_in(cache, Limits::USUAL, Some(own), false);
}

fn clean_in(
    cache: &Cache,
    limits: Limits,
    own: Option<&Key>,
    dry_run: bool,
) -> io::Result<Cleaned> {
    let keys = list::keys(cache)?;
    let keys = keys.into_iter().filter(|key| own != Some(key));
    if !dry_run {
        sweep_leftovers(cache)?;
    }
    let mut found: Vec<(Key, Cached)> = Vec::new();
    for key in keys {
        match list::one(cache, &key) {
            Some(cached) => found.push((key, cached)),
            // Without a stamp it is of no use to anybody.
            None if !dry_run && list::has_no_stamp(cache, &key) => drop(remove(cache, &key)),
            None => {}
        }
    }
    // The last used first.
    found.sort_by(|(_, a), (_, b)| (b.last_used, &a.path).cmp(&(a.last_used, &b.path)));
    let now = Timestamp::now();
    let mut cleaned = Cleaned::default();
    let mut kept: u64 = 0;
    for (key, mut cached) in found {
        let age = now.secs.saturating_sub(cached.last_used.secs);
        let age = u64::try_from(age).unwrap_or_default();
        let is_old = limits.age.is_some_and(|most| age > most);
        let total = kept.saturating_add(cached.bytes);
        let is_too_much = limits.bytes.is_some_and(|most| total > most);
        if !(is_old || is_too_much || limits.keeps_nothing()) {
            kept = total;
            continue;
        }
        let removed = match dry_run {
            true => Ok(!list::is_in_use(cache, &key)),
            false => remove(cache, &key),
        };
        match removed {
            Ok(true) => cleaned.removed.push(cached),
            Ok(false) => {
                kept = total;
                cached.is_in_use = true;
                cleaned.in_use.push(cached);
            }
            Err(error) => cleaned.failed.push((cached.path, error.to_string())),
        }
    }
    Ok(cleaned)
}

/// Removes what `key` names; `false` if somebody uses it.
fn remove(cache: &Cache, key: &Key) -> io::Result<bool> {
    // Nobody unpacks it meanwhile.
    let Some(_lock) = cache.try_lock(key)? else {
        return Ok(false);
    };
    let dir = match sys::open_dir(&cache.dir, key.name()) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
        dir => dir?,
    };
    // No start can join from here on; one that closed what it didn't open has no lock.
    if !sys::try_lock_dir(&dir)? || sys::is_run_from(&cache.path_of(key)) {
        return Ok(false);
    }
    // From here on a start finds nothing, and unpacks it again.
    let aside = dest::forgotten_name(key.name());
    match sys::rename_new(&cache.dir, key.name(), &cache.dir, &aside) {
        Err(error) if sys::is_in_use(&error) => return Ok(false),
        moved => moved?,
    }
    let removed = remove::remove_tree(&cache.dir, &aside);
    let _ = sys::remove_file(&cache.dir, &key.lock_name());
    removed.map(|()| true)
}

/// Removes staging folders of killed runs, and locks, of bundles that aren't there.
fn sweep_leftovers(cache: &Cache) -> io::Result<()> {
    let mut labels: Vec<Key> = Vec::new();
    sys::list_dir::<io::Error>(&cache.dir, |listed| {
        let label = listed
            .name
            .strip_prefix(b".")
            .and_then(|name| name.get(..super::DIGITS));
        if let Some(key) = label.and_then(Key::of_name)
            && !labels.contains(&key)
        {
            labels.push(key);
        }
        Ok(())
    })?;
    for key in labels {
        dest::sweep_for(&cache.dir, key.name());
        let is_there = sys::stat_at(&cache.dir, key.name()).is_ok();
        if !is_there && let Ok(Some(_lock)) = cache.try_lock(&key) {
            cache.remove_lock(&key);
        }
    }
    Ok(())
}
