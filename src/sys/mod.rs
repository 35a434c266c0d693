//! Every call to the operating system, as free functions: std types in,
//! [`std::io::Result`] out.
//!
//! This file selects the platform and holds the types that all platforms
//! share. A call that takes a [`Dir`] takes one bare name beside it, never a
//! path: what a name means can't change between two calls on the same handle.
//! "This file system can't" is an error that [`is_unsupported`] recognises.
//!
//! Nothing here knows what a bundle is, and nothing outside knows which
//! platform it runs on.

#[cfg(unix)]
mod process;
#[cfg(unix)]
mod raw;
#[cfg(unix)]
mod unix;
#[cfg(unix)]
pub(crate) use process::*;
#[cfg(unix)]
pub use raw::arguments;
#[cfg(unix)]
pub(crate) use unix::*;
// In a folder that nobody else can change, a name may be several, with `/`; and a mode tells
// what others may do.
#[cfg(unix)]
pub(crate) use unix::{
    open_file as open_file_below, read_link as read_link_below, stat_at as stat_below,
    stat_dir as stat_dir_with_rights,
};

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
pub(crate) use linux::*;

#[cfg(target_os = "macos")]
mod macos;
#[cfg(target_os = "macos")]
pub(crate) use macos::*;

#[cfg(all(unix, not(any(target_os = "linux", target_os = "macos"))))]
mod fallback;
#[cfg(all(unix, not(any(target_os = "linux", target_os = "macos"))))]
pub(crate) use fallback::*;

#[cfg(not(target_os = "linux"))]
mod lacking;
#[cfg(not(target_os = "linux"))]
pub(crate) use lacking::*;

#[cfg(windows)]
mod windows;
#[cfg(windows)]
pub use windows::arguments;
#[cfg(windows)]
pub(crate) use windows::*;

use std::time::{SystemTime, UNIX_EPOCH};

/// What kind of thing a name stands for. A link is itself, not its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileType {
    File,
    Dir,
    Symlink,
    /// A device, FIFO or socket.
    Special,
    /// The directory listing didn't say.
    Unknown,
}

/// What a symbolic link leads to. Windows makes links to folders of another kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum LinkTo {
    /// Nobody said, or nothing.
    #[default]
    Unknown,
    File,
    Dir,
}

/// A point in time. Shown as RFC 3339 with nine digits, in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp {
    /// Seconds since 1970, negative before.
    pub secs: i64,
    /// Nanoseconds after that: 0 to 999,999,999.
    pub nanos: u32,
}

impl Timestamp {
    /// The present, by this machine's clock.
    pub(crate) fn now() -> Self {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            secs: i64::try_from(now.as_secs()).unwrap_or(i64::MAX),
            nanos: now.subsec_nanos(),
        }
    }

    /// The time as nanoseconds since 1970, wrapping in the year 2262: an
    /// identity to compare, not a date.
    pub(crate) fn as_fingerprint(self) -> u64 {
        let nanos = self.secs.wrapping_mul(1_000_000_000);
        nanos.wrapping_add(i64::from(self.nanos)) as u64
    }
}

/// What the file system says about one file, folder or link.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stat {
    pub file_type: FileType,
    /// Permission bits with set-user-ID, set-group-ID and sticky: 0 to 0o7777.
    pub mode: u32,
    /// Content in bytes, holes included.
    pub size: u64,
    /// Storage in bytes, holes left out.
    pub allocated: u64,
    pub modified: Timestamp,
    pub accessed: Timestamp,
    /// When content or attributes were last changed; nobody can set it back.
    pub changed: Timestamp,
    pub device: u64,
    pub inode: u64,
    pub links: u64,
    pub uid: u32,
    pub gid: u32,
}

impl Stat {
    /// Whether both describe the same object of the same file system.
    pub(crate) fn is_same_object(&self, other: &Stat) -> bool {
        self.device == other.device && self.inode == other.inode
    }
}

/// What is left on a file system, and what it holds.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Space {
    /// Bytes that this user can still write.
    pub free_bytes: u64,
    /// Bytes that are in use by anybody; 0 where the file system doesn't say.
    pub used_bytes: u64,
    /// Files that can still be made, or `None` where there is no such limit.
    pub free_inodes: Option<u64>,
    /// The longest name in bytes.
    pub name_max: u64,
}

/// How a worker thread stands towards the rest of the process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Isolation {
    /// Files get exactly the mode that they are created with.
    pub exact_modes: bool,
}

/// Opens a file that the user named, for reading; links in `path` are followed.
pub(crate) fn open_path(path: &std::path::Path) -> std::io::Result<std::fs::File> {
    std::fs::File::open(path)
}

/// Makes the file `name`, which must not exist, with the storage of `from` if the file
/// system can share it: else it is empty, and the second result says why.
#[cfg(not(target_os = "macos"))]
pub(crate) fn create_clone(
    from: &std::fs::File,
    dir: &Dir,
    name: &[u8],
    mode: u32,
) -> std::io::Result<(std::fs::File, std::io::Result<()>)> {
    let to = create_file(dir, name, mode)?;
    let cloned = clone_file(from, &to);
    Ok((to, cloned))
}

/// One entry of a directory listing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listed<'a> {
    pub name: &'a [u8],
    pub file_type: FileType,
}

/// The two parts that a sparse file consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    Data,
    Hole,
}
