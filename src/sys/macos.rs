//! What macOS has of its own: atomic renames with `renameatx_np`, mount flags
//! and the file system's name in `statfs`, attributes in one flat namespace.
//!
//! It has no way to clone into an open file, only into a new one, none to copy inside the
//! kernel between two open files, and no descriptor table or umask for one thread.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, CloneFlags, Mode, RenameFlags, StatFs, XattrFlags};
use rustix::io::Errno;

use super::unix::{
    create_file, file_type, open_file, rename_new_without_flag, retry, set_file_mode, stat_file,
};
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
            file_type: file_type(entry.file_type()),
        })?;
    }
    Ok(())
}

/// Moves `name` to `new_name`, which must not exist.
pub(crate) fn rename_new(dir: &Dir, name: &[u8], to: &Dir, new_name: &[u8]) -> io::Result<()> {
    let flags = RenameFlags::NOREPLACE;
    match retry(|| rustix::fs::renameat_with(&dir.0, name, &to.0, new_name, flags)) {
        Err(error) if lacks_flag(&error) => rename_new_without_flag(dir, name, to, new_name),
        result => result,
    }
}

/// Swaps `name` and `new_name` in one step.
pub(crate) fn rename_exchange(dir: &Dir, name: &[u8], to: &Dir, new_name: &[u8]) -> io::Result<()> {
    let flags = RenameFlags::EXCHANGE;
    retry(|| rustix::fs::renameat_with(&dir.0, name, &to.0, new_name, flags))
}

/// Whether the file system doesn't know the flag of a rename.
///
/// APFS and HFS+ know both; others say so with `ENOTSUP`, which here is
/// another number than `EOPNOTSUPP`.
pub(crate) fn lacks_flag(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP | Errno::OPNOTSUPP)
    )
}

/// Makes the file `name`, which must not exist, with the storage of `from` if the file
/// system can share it: else it is empty, and the second result says why.
///
/// A clone has what `from` has, but for its owner: attributes, times and a mode, to
/// which its owner's right to write is added. It is open for reading, which is all that
/// what is left to set needs.
pub(crate) fn create_clone(
    from: &File,
    dir: &Dir,
    name: &[u8],
    mode: u32,
) -> io::Result<(File, io::Result<()>)> {
    let flags = CloneFlags::NOFOLLOW | CloneFlags::NOOWNERCOPY;
    match retry(|| rustix::fs::fclonefileat(from, &dir.0, name, flags)) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Err(error),
        Err(error) => return Ok((create_file(dir, name, mode)?, Err(error))),
    }
    let file = open_file(dir, name)?;
    let found = stat_file(&file)?;
    if found.mode & 0o200 == 0 {
        set_file_mode(&file, found.mode & 0o777 | 0o600)?;
    }
    Ok((file, Ok(())))
}

/// Whether the file system of `dir` is known to note every change of a file
/// by this machine's own clock: APFS does, and nobody can set the note
/// (`setattrlist(2)`). HFS+ notes whole seconds, a server has its own clock.
pub(crate) fn notes_changes(dir: &Dir) -> bool {
    matches!(filesystem_name(dir).as_deref(), Ok("apfs"))
}

/// The file system's name, for messages only: `apfs`.
pub(crate) fn filesystem_name(dir: &Dir) -> io::Result<String> {
    let stat = statfs(dir.0.as_fd())?;
    let bytes = stat.f_fstypename.iter().map(|byte| byte.cast_unsigned());
    let name: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
    Ok(String::from_utf8_lossy(&name).into_owned())
}

/// Makes everything written to the file system of `dir` durable.
///
/// As far as macOS lets a program: `sync` starts writing what is in memory,
/// `F_FULLFSYNC` waits for `dir` and empties the drive's own cache, which
/// `fsync` leaves full.
pub(crate) fn sync_filesystem(dir: &Dir) -> io::Result<()> {
    rustix::fs::sync();
    match retry(|| rustix::fs::fcntl_fullfsync(&dir.0)) {
        // Network and FAT volumes have no such request.
        Err(error) if super::is_unsupported(&error) || lacks_flag(&error) => super::sync_dir(dir),
        result => result,
    }
}

/// Sets the mode of the directory `name` without opening it for reading, which
/// its present mode may forbid, and without following a link.
pub(crate) fn set_dir_mode_at(dir: &Dir, name: &[u8], mode: u32) -> io::Result<()> {
    if super::stat_at(dir, name)?.file_type != FileType::Dir {
        return Err(Errno::NOTDIR.into());
    }
    // A link that took its place since then would get the mode itself: unlike
    // on Linux, links have modes here, and the flag is honoured.
    let mode = Mode::from_raw_mode(mode as _);
    retry(|| rustix::fs::chmodat(&dir.0, name, mode, AtFlags::SYMLINK_NOFOLLOW))
}

/// Whether code on the file system of `file` may run.
///
/// The mount's flag answers. Mapping a page for execution would ask the code
/// signing policy, which judges the file and not the file system.
pub(crate) fn may_execute(file: &File) -> io::Result<bool> {
    let flags = statfs(file.as_fd())?.f_flags;
    Ok(flags & libc::MNT_NOEXEC.cast_unsigned() == 0)
}

/// Removes a default ACL that `dir` inherited: there is none to remove. ACLs
/// that are inherited here don't change the mode of what is made inside.
pub(crate) fn drop_default_acl(_dir: &Dir) {}

/// Reads the name and value of every attribute of `file` that a copy can have.
pub(crate) fn file_xattrs(file: &File) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    portable_xattrs(file.as_fd())
}

/// Reads the attributes of a directory that a copy can have.
pub(crate) fn dir_xattrs(dir: &Dir) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    portable_xattrs(dir.0.as_fd())
}

/// Sets one attribute of an open file.
pub(crate) fn set_file_xattr(file: &File, name: &[u8], value: &[u8]) -> io::Result<()> {
    retry(|| rustix::fs::fsetxattr(file, name, value, XattrFlags::empty()))
}

/// Sets one attribute of an open directory.
pub(crate) fn set_dir_xattr(dir: &Dir, name: &[u8], value: &[u8]) -> io::Result<()> {
    retry(|| rustix::fs::fsetxattr(&dir.0, name, value, XattrFlags::empty()))
}

/// Whether a file system is mounted at `dir`: its device is not its parent's.
pub(crate) fn is_mount_point(dir: &Dir) -> bool {
    let above = super::open_parent(dir).and_then(|above| super::stat_dir(&above));
    matches!((super::stat_dir(dir), above), (Ok(own), Ok(above)) if own.device != above.device)
}

/// Removes one attribute of an open directory.
pub(crate) fn remove_dir_xattr(dir: &Dir, name: &[u8]) -> io::Result<()> {
    retry(|| rustix::fs::fremovexattr(&dir.0, name))
}

/// Whether the attribute `name` belongs to the file's content, not to this
/// machine's records about it.
///
/// Resource forks, Finder information and the signatures of files that are no
/// programs (`com.apple.cs.*`) are part of a bundle. So is the quarantine: a
/// copy without it would slip past Gatekeeper. The four left out are kept by
/// the system itself, which refuses or replaces what a program writes there.
fn is_portable(name: &[u8]) -> bool {
    const PROVENANCE: &[u8] = b"com.apple.provenance";
    const ACCESS_LIST: &[u8] = b"com.apple.macl";
    const SYSTEM_PROTECTION: &[u8] = b"com.apple.rootless";
    const SYSTEM_PREFIX: &[u8] = b"com.apple.system.";
    !matches!(name, PROVENANCE | ACCESS_LIST | SYSTEM_PROTECTION)
        && !name.starts_with(SYSTEM_PREFIX)
}

fn portable_xattrs(fd: BorrowedFd<'_>) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    // Nearly every file has none or few: one call answers.
    let mut names = [0_u8; 1024];
    let listed = match retry(|| rustix::fs::flistxattr(fd, &mut names[..])) {
        Ok(0) => return Ok(Vec::new()),
        Ok(len) => names[..len].to_vec(),
        Err(error) if is_too_small(&error) => {
            let mut grown = vec![0; retry(|| rustix::fs::flistxattr_query(fd))?];
            let len = retry(|| rustix::fs::flistxattr(fd, &mut grown[..]))?;
            grown.truncate(len);
            grown
        }
        Err(error) if super::is_unsupported(&error) || lacks_flag(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for name in listed.split(|&byte| byte == 0) {
        if !name.is_empty() && is_portable(name) {
            found.push((name.to_vec(), xattr_value(fd, name)?));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn xattr_value(fd: BorrowedFd<'_>, name: &[u8]) -> io::Result<Vec<u8>> {
    // The system states no bound: a resource fork may have megabytes.
    let mut value = vec![0; retry(|| rustix::fs::fgetxattr_query(fd, name))?];
    let len = retry(|| rustix::fs::fgetxattr(fd, name, &mut value[..]))?;
    value.truncate(len);
    Ok(value)
}

fn is_too_small(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::RANGE)
}

fn statfs(fd: BorrowedFd<'_>) -> io::Result<StatFs> {
    retry(|| rustix::fs::fstatfs(fd))
}
