//! Bundles in the cache that another may share files with.

use crate::extract::donors::Donors;
use crate::sys::{self, FileType, Timestamp};

use super::stamp::{NAME, Stamp};
use super::{Cache, Key, list};

/// How many bundles are looked through, the last used first: an older version of the same
/// program is among them, and each costs some milliseconds for 25,000 files.
const MOST: usize = 4;

/// The files of the bundles in `cache` that were used last, but for `own`.
pub(crate) fn donors(cache: &Cache, own: &Key) -> Donors {
    let mut found: Vec<(Timestamp, Key)> = Vec::new();
    for key in list::keys(cache).unwrap_or_default() {
        let stamp = sys::open_dir(&cache.dir, key.name()).and_then(|dir| sys::stat_at(&dir, NAME));
        if let Ok(stat) = stamp
            && key != *own
        {
            found.push((stat.modified, key));
        }
    }
    found.sort_by(|(a, _), (b, _)| b.cmp(a));
    let mut donors = Donors::default();
    for (_, key) in found.iter().take(MOST) {
        let stamp = sys::open_dir(&cache.dir, key.name()).map(|dir| Stamp::open(&dir));
        let Ok(Ok(records)) = stamp.map(|stamp| stamp.and_then(|stamp| stamp.records())) else {
            continue;
        };
        let root = donors.add_root(&cache.path_of(key));
        let files = records
            .into_iter()
            .filter(|record| record.kind == FileType::File);
        for record in files.filter(|record| record.hash != [0; 32]) {
            let looks = (record.mode, record.modified);
            donors.add((root, record.path), record.hash, record.size, looks);
        }
    }
    donors
}
