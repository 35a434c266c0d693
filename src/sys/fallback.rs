//! What a Unix without a backend of its own gets: the calls of POSIX, and
//! "unsupported" for everything that POSIX doesn't have.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;

use rustix::fs::{AtFlags, Mode};

use super::unix::retry;
use super::{Dir, FileType, Isolation, Listed};

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

/// Lets the empty file `to` share all extents of `from`, which POSIX can't.
pub(crate) fn clone_file(_from: &File, _to: &File) -> io::Result<()> {
    unsupported()
}

/// Copies up to `len` bytes inside the kernel, which POSIX can't.
pub(crate) fn copy_range(_: &File, _: u64, _: &File, _: u64, _: u64) -> io::Result<u64> {
    unsupported()
}

/// Whether copying inside the kernel spares the way through this machine: it
/// doesn't, as nothing here copies inside the kernel.
pub(crate) fn offloads_copies(_dir: &Dir) -> bool {
    false
}

/// Whether reserving a large file's blocks before writing makes writing it
/// faster: not known, and ZFS, the usual file system here, reserves nothing.
pub(crate) fn gains_from_allocation(_dir: &Dir) -> bool {
    false
}

/// Whether the file system of `dir` is known to note every change of a file
/// by this machine's own clock: not known, as POSIX doesn't name it.
pub(crate) fn notes_changes(_dir: &Dir) -> bool {
    false
}

/// Closes a file.
pub(crate) fn close_file(file: File) {
    drop(file);
}

/// Reserves `len` bytes of storage for `file` and sets its size.
///
/// Not offered: where a file system can't, `posix_fallocate` may write zeros
/// instead, which costs more than it gains.
pub(crate) fn allocate(_file: &File, _len: u64) -> io::Result<()> {
    unsupported()
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

/// Splits the calling thread off from the process's descriptor table and umask.
///
/// Threads share both here, so files get their mode less the umask.
pub(crate) fn isolate_thread(_keep: &[&Dir]) -> Isolation {
    Isolation { exact_modes: false }
}

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

/// Does nothing: there is no such call here.
pub(crate) fn prefer_large_pages<T>(_: &mut [MaybeUninit<T>]) {}
