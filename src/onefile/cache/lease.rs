//! Taking part in the lock on an unpacked bundle, for as long as a program runs.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::sys::{self, Dir};

use super::stamp::{Health, Stamp};
use super::{Cache, Key};

/// How often the lock is tried, and how long to wait before the next time. Who removes a
/// bundle has it alone while it looks at all processes, and until it is renamed.
const TRIES: u32 = 400;
const PAUSE: Duration = Duration::from_millis(5);

/// A bundle that nobody removes while this is open.
pub(crate) struct Lease {
    /// Its folder's path.
    pub path: PathBuf,
    pub dir: Dir,
    /// Device and number of the folder.
    pub identity: (u64, u64),
    pub stamp: Stamp,
}

/// What was found under a key.
pub(crate) enum Look {
    /// A complete bundle.
    Ready(Box<Lease>),
    /// Nothing.
    Absent,
    /// A bundle that is no longer what it was, or something else; this is wrong with it.
    Damaged(String),
}

impl Cache {
    /// Looks what `key` names, and takes part in the lock on it.
    pub(crate) fn look(&self, key: &Key, root_hash: &[u8; 32]) -> io::Result<Look> {
        for tried in 1.. {
            let dir = match sys::open_dir(&self.dir, key.name()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Look::Absent),
                Err(error) if sys::is_not_a_real_dir(&error) => {
                    return Ok(Look::Damaged("is no folder".into()));
                }
                dir => dir?,
            };
            // Where there are no locks, nobody removes anything either.
            let is_shared = sys::try_share_dir(&dir).unwrap_or(true);
            // What holds it for so long isn't about to remove it.
            if (is_shared || tried >= TRIES) && self.is_in_place(&dir, key)? {
                return self.examine(dir, key, root_hash);
            }
            std::thread::sleep(PAUSE);
        }
        Ok(Look::Absent)
    }

    fn is_in_place(&self, dir: &Dir, key: &Key) -> io::Result<bool> {
        let held = sys::stat_dir(dir)?;
        match sys::stat_at(&self.dir, key.name()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            named => Ok(named?.is_same_object(&held)),
        }
    }

    fn examine(&self, dir: Dir, key: &Key, root_hash: &[u8; 32]) -> io::Result<Look> {
        let stat = sys::stat_dir_with_rights(&dir)?;
        if stat.uid != sys::effective_user() || stat.mode & 0o022 != 0 {
            return Ok(Look::Damaged("others can write to it".into()));
        }
        let stamp = match Stamp::open(&dir) {
            Ok(stamp) if stamp.head.root_hash == *root_hash => stamp,
            Ok(_) => return Ok(Look::Damaged("its stamp is another bundle's".into())),
            Err(refusal) => return Ok(Look::Damaged(format!("its stamp: {refusal}"))),
        };
        if stamp.stat.uid != sys::effective_user() || stamp.stat.mode & 0o022 != 0 {
            return Ok(Look::Damaged("others can write its stamp".into()));
        }
        match stamp.glance(&dir) {
            Ok(Health::Good) => Ok(Look::Ready(Box::new(Lease {
                path: self.path_of(key),
                dir,
                identity: (stat.device, stat.inode),
                stamp,
            }))),
            Ok(Health::Damaged(path)) => {
                let shown = crate::text::escape_bytes(&path);
                Ok(Look::Damaged(format!("`{shown}` is gone or was changed")))
            }
            Err(refusal) => Ok(Look::Damaged(refusal.to_string())),
        }
    }
}
