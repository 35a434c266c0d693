//! What a Unix without a backend of its own gets: the calls of POSIX, and
//! "unsupported" for everything that POSIX doesn't have.

use std::fs::File;
use std::io;

use rustix::fs::{AtFlags, Mode};

use super::unix::retry;
use super::{Dir, FileType, Listed};

/// Calls `each` for every entry of `dir` but `.` and `..`, in the file system's order.
pub(crate) fn list_dir<E: From<io::Error>>(
    dir: &Dir,
    mut each: impl FnMut(Listed<'_>) -> Result<(), E>,
) -> Result<(), E> {
    // Opens the directory once more: a listing has a position, which a
    // duplicated descriptor would share with every other listing.
    let entries = retry(|| rustix::fs::Dir::read_from(&dir.0))?;
    for entry in entries {
        let entry = entry.map_err(io::Error::from)?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        each(Listed {
            name,
            file_type: listed_type(&entry),
        })?;
    }
    Ok(())
}

/// Moves `name` to `new_name`, which must not exist.
///
/// POSIX has no such rename: the name is looked up first. What somebody puts
/// there between the two calls is replaced, unless one of the two is a folder
/// and the other isn't, or it is a folder that isn't empty.
pub(crate) fn rename_new(dir: &Dir, name: &[u8], to: &Dir, new_name: &[u8]) -> io::Result<()> {
    super::unix::rename_new_without_flag(dir, name, to, new_name)
}

/// Swaps `name` and `new_name` in one step, which POSIX can't.
pub(crate) fn rename_exchange(
    _dir: &Dir,
    _name: &[u8],
    _to: &Dir,
    _new_name: &[u8],
) -> io::Result<()> {
    unsupported()
}

/// Whether the file system doesn't know the flag of a rename.
pub(crate) fn lacks_flag(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

/// Whether the file system of `dir` is known to note every change of a file
/// by this machine's own clock: not known, as POSIX doesn't name it.
pub(crate) fn notes_changes(_dir: &Dir) -> bool {
    false
}

/// The file system's name, for messages only: `unknown`, as POSIX has none.
pub(crate) fn filesystem_name(_dir: &Dir) -> io::Result<String> {
    Ok("unknown".to_owned())
}

/// Makes everything written to the file system of `dir` durable.
///
/// As far as POSIX goes: `sync` need not wait for what it starts, `fsync` does.
pub(crate) fn sync_filesystem(dir: &Dir) -> io::Result<()> {
    rustix::fs::sync();
    super::sync_dir(dir)
}

/// Sets the mode of the directory `name` without opening it for reading, which
/// its present mode may forbid, and without following a link.
pub(crate) fn set_dir_mode_at(dir: &Dir, name: &[u8], mode: u32) -> io::Result<()> {
    // Where the flag isn't honoured this fails: a way round it that follows
    // no link would need more than POSIX has.
    let mode = Mode::from_raw_mode(mode as _);
    retry(|| rustix::fs::chmodat(&dir.0, name, mode, AtFlags::SYMLINK_NOFOLLOW))
}

/// Whether code on the file system of `file` may run: taken for granted, as
/// POSIX doesn't tell how a file system is mounted.
pub(crate) fn may_execute(_file: &File) -> io::Result<bool> {
    Ok(true)
}

/// Removes a default ACL that `dir` inherited: POSIX knows none.
pub(crate) fn drop_default_acl(_dir: &Dir) {}

/// Reads the user attributes of `file`: none, as POSIX has no attributes.
pub(crate) fn file_xattrs(_file: &File) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    Ok(Vec::new())
}

/// Reads the user attributes of a directory: none, as for a file.
pub(crate) fn dir_xattrs(_dir: &Dir) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    Ok(Vec::new())
}

/// Sets one attribute of an open file, which POSIX can't.
pub(crate) fn set_file_xattr(_file: &File, _name: &[u8], _value: &[u8]) -> io::Result<()> {
    unsupported()
}

/// Sets one attribute of an open directory, which POSIX can't.
pub(crate) fn set_dir_xattr(_dir: &Dir, _name: &[u8], _value: &[u8]) -> io::Result<()> {
    unsupported()
}

/// Whether a file system is mounted at `dir`: its device is not its parent's.
pub(crate) fn is_mount_point(dir: &Dir) -> bool {
    let above = super::open_parent(dir).and_then(|above| super::stat_dir(&above));
    matches!((super::stat_dir(dir), above), (Ok(own), Ok(above)) if own.device != above.device)
}

/// Removes one attribute of an open directory, which has none.
pub(crate) fn remove_dir_xattr(_dir: &Dir, _name: &[u8]) -> io::Result<()> {
    unsupported()
}

#[cfg(not(any(target_os = "illumos", target_os = "solaris")))]
fn listed_type(entry: &rustix::fs::DirEntry) -> FileType {
    super::unix::file_type(entry.file_type())
}

/// Directory entries of Solaris have no type.
#[cfg(any(target_os = "illumos", target_os = "solaris"))]
fn listed_type(_entry: &rustix::fs::DirEntry) -> FileType {
    FileType::Unknown
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}
