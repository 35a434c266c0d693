//! Windows, through the safe calls of `std` alone.
//!
//! Windows opens names by their whole path. A [`Dir`] therefore keeps its
//! path beside a handle that denies others to delete or rename it; NTFS also
//! refuses to rename a folder while something below is open. So as long as a
//! `Dir` lives, its path means the same folder. What this doesn't prevent:
//! somebody who may write to an empty folder can turn it into a junction.
//! The caller must drop a `Dir` before it removes or moves that folder.
//!
//! Names are UTF-8 bytes; one with unpaired surrogates is an error. Links and
//! junctions (reparse points that stand for another name) are never entered.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::mem::MaybeUninit;
use std::os::windows::fs::{FileExt, MetadataExt, OpenOptionsExt, symlink_dir, symlink_file};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::{Extent, FileType, Isolation, Listed, Space, Stat};

mod convert;
mod process;
mod xattrs;
use convert::{
    ERROR_ACCESS_DENIED, ERROR_DIRECTORY, ERROR_INVALID_NAME, ERROR_SHARING_VIOLATION,
    ERROR_STOPPED_ON_SYMLINK, check_name, check_new_name, code, file_type, is_directory_entry,
    is_read_only, mode_of, not_unicode, text, times_of, timestamp,
};
pub(crate) use convert::{
    bytes_to_path, error_name, is_bad_name, is_not_a_real_dir, is_unsupported, join_bytes,
    os_to_bytes,
};
pub use process::arguments;
pub(crate) use process::*;
pub(crate) use xattrs::{
    dir_xattrs, file_xattrs, is_mount_point, remove_dir_xattr, set_dir_xattr, set_file_xattr,
};

// Access rights, sharing, flags and attributes of `CreateFileW`.
const FILE_LIST_DIRECTORY: u32 = 0x1;
const FILE_ADD_FILE: u32 = 0x2;
const FILE_READ_ATTRIBUTES: u32 = 0x80;
const FILE_WRITE_ATTRIBUTES: u32 = 0x100;
const FILE_ATTRIBUTE_READONLY: u32 = 0x1;
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
const FILE_FLAG_DELETE_ON_CLOSE: u32 = 0x0400_0000;

/// What others may do meanwhile: read and write, but not delete or rename.
const SHARE_NO_DELETE: u32 = 0x1 | 0x2;
const SHARE_ALL: u32 = SHARE_NO_DELETE | 0x4;

/// Opens folders too, and a link itself instead of its target.
const NO_FOLLOW: u32 = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT;

/// An open directory. Its path means this directory while it is open.
#[derive(Debug)]
pub(crate) struct Dir {
    handle: File,
    /// Absolute and free of links: `\\?\C:\Users\a`.
    path: PathBuf,
    /// Held from [`try_lock_dir`] on.
    lock: OnceLock<File>,
}

/// Opens a directory that the user named; links in `path` are followed.
pub(crate) fn open_root(path: &Path) -> io::Result<Dir> {
    let path = match fs::canonicalize(path) {
        // RAM disks and shared folders of virtual machines may not know it.
        Err(error) if is_unsupported(&error) => std::path::absolute(path)?,
        result => result?,
    };
    open_dir_at(path)
}

/// Opens the directory `name` in `dir`, which must not be a link.
pub(crate) fn open_dir(dir: &Dir, name: &[u8]) -> io::Result<Dir> {
    open_dir_at(existing(dir, name)?)
}

/// Opens another handle to the same directory.
pub(crate) fn reopen_dir(dir: &Dir) -> io::Result<Dir> {
    open_dir_at(dir.path.clone())
}

/// Opens the directory above `dir`; above a volume's root is the root itself.
pub(crate) fn open_parent(dir: &Dir) -> io::Result<Dir> {
    open_dir_at(dir.path.parent().unwrap_or(&dir.path).to_owned())
}

/// Opens `name` for reading, whatever it is but a link.
pub(crate) fn open_file(dir: &Dir, name: &[u8]) -> io::Result<File> {
    let mut options = OpenOptions::new();
    open_no_link(&existing(dir, name)?, options.read(true))
}

/// Opens the existing regular file `name` for writing.
pub(crate) fn open_file_for_write(dir: &Dir, name: &[u8]) -> io::Result<File> {
    let mut options = OpenOptions::new();
    open_no_link(&existing(dir, name)?, options.write(true))
}

/// Makes the file `name`, which must not exist, and opens it for writing.
///
/// It is read-only if `mode` lets its owner not write; other bits are lost.
pub(crate) fn create_file(dir: &Dir, name: &[u8], mode: u32) -> io::Result<File> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .share_mode(SHARE_NO_DELETE)
        .attributes(if is_read_only(mode) {
            FILE_ATTRIBUTE_READONLY
        } else {
            0
        })
        .open(new_path(dir, name)?)
}

/// Makes the directory `name`, which must not exist; what may be done with it
/// follows from `dir`, not from the mode.
pub(crate) fn create_dir(dir: &Dir, name: &[u8], _mode: u32) -> io::Result<()> {
    fs::create_dir(new_path(dir, name)?)
}

/// Makes the symbolic link `name` to `target`, whose `/` are stored as `\`.
///
/// Links to folders are of another kind here: what stands at the target now
/// decides. A link to nothing is one to a folder only if it ends in `/`.
pub(crate) fn create_symlink(dir: &Dir, name: &[u8], target: &[u8]) -> io::Result<()> {
    let path = new_path(dir, name)?;
    let target = text(target)?;
    let stored = PathBuf::from(target.replace('/', "\\"));
    // `join` takes `..` away, which paths that begin with `\\?\` don't know.
    let is_dir = match fs::metadata(dir.path.join(&stored)) {
        Ok(found) => found.is_dir(),
        Err(_) => target.ends_with('/'),
    };
    match is_dir {
        true => symlink_dir(&stored, path),
        false => symlink_file(&stored, path),
    }
}

/// Gives the file `old_name` of `old_dir` the second name `name`.
pub(crate) fn create_hard_link(
    old_dir: &Dir,
    old_name: &[u8],
    dir: &Dir,
    name: &[u8],
) -> io::Result<()> {
    fs::hard_link(existing(old_dir, old_name)?, new_path(dir, name)?)
}

/// Reads the target of the symbolic link `name`, with `/` for each `\`.
pub(crate) fn read_link(dir: &Dir, name: &[u8]) -> io::Result<Vec<u8>> {
    let target = fs::read_link(existing(dir, name)?)?;
    let target = target.to_str().ok_or_else(not_unicode)?;
    Ok(target.replace('\\', "/").into_bytes())
}

/// Removes the file or link `name`.
pub(crate) fn remove_file(dir: &Dir, name: &[u8]) -> io::Result<()> {
    let path = existing(dir, name)?;
    let found = fs::symlink_metadata(&path)?;
    // A link to a folder, or a junction, is removed as a folder is.
    if found.is_symlink() && is_directory_entry(&found) {
        return fs::remove_dir(path);
    }
    match fs::remove_file(&path) {
        // NTFS lets `std` remove what is read-only, FAT doesn't.
        Err(error)
            if error.kind() == io::ErrorKind::PermissionDenied
                && found.permissions().readonly() =>
        {
            set_file_mode(&open_for(&path, FILE_WRITE_ATTRIBUTES, NO_FOLLOW)?, 0o600)?;
            fs::remove_file(path)
        }
        result => result,
    }
}

/// Removes the empty directory `name`.
pub(crate) fn remove_dir(dir: &Dir, name: &[u8]) -> io::Result<()> {
    let path = existing(dir, name)?;
    // The same call would remove a link to a folder.
    if !fs::symlink_metadata(&path)?.is_dir() {
        return Err(code(ERROR_DIRECTORY));
    }
    fs::remove_dir(path)
}

/// Moves `name` over whatever stands at `new_name`, in one step.
pub(crate) fn rename_over(dir: &Dir, name: &[u8], to: &Dir, new_name: &[u8]) -> io::Result<()> {
    fs::rename(existing(dir, name)?, new_path(to, new_name)?)
}

/// Moves `name` to `new_name`, which must not exist.
///
/// `std` always replaces, so the name is looked up first. What somebody puts
/// there between the two calls is replaced if it is a file or an empty folder.
pub(crate) fn rename_new(dir: &Dir, name: &[u8], to: &Dir, new_name: &[u8]) -> io::Result<()> {
    match stat_at(to, new_name) {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            rename_over(dir, name, to, new_name)
        }
        Err(error) => Err(error),
    }
}

/// Swaps `name` and `new_name` in one step, which Windows can't.
pub(crate) fn rename_exchange(_: &Dir, _: &[u8], _: &Dir, _: &[u8]) -> io::Result<()> {
    unsupported()
}

/// Whether the file system doesn't know the flag of a rename.
pub(crate) fn lacks_flag(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

/// Calls `each` for every entry of `dir` but `.` and `..`, in the file system's order.
pub(crate) fn list_dir<E: From<io::Error>>(
    dir: &Dir,
    mut each: impl FnMut(Listed<'_>) -> Result<(), E>,
) -> Result<(), E> {
    for entry in fs::read_dir(&dir.path)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_str().ok_or_else(not_unicode)?;
        each(Listed {
            name: name.as_bytes(),
            file_type: file_type(entry.file_type()?),
        })?;
    }
    Ok(())
}

/// Describes an open file.
pub(crate) fn stat_file(file: &File) -> io::Result<Stat> {
    let found = file.metadata()?;
    // What tells one file from all others `std` reads, but doesn't show (rust#63010).
    let identity = winapi_util::file::information(file)?;
    Ok(Stat {
        file_type: file_type(found.file_type()),
        mode: mode_of(&found),
        size: found.len(),
        // `std` doesn't tell: no file counts as sparse.
        allocated: found.len(),
        modified: timestamp(found.last_write_time()),
        accessed: timestamp(found.last_access_time()),
        // The nearest that `std` tells, and why `notes_changes` says no.
        changed: timestamp(found.last_write_time()),
        device: identity.volume_serial_number(),
        inode: identity.file_index(),
        links: identity.number_of_links(),
        uid: 0,
        gid: 0,
    })
}

/// Describes an open directory.
pub(crate) fn stat_dir(dir: &Dir) -> io::Result<Stat> {
    stat_file(&dir.handle)
}

/// Describes `name` itself, a link included.
pub(crate) fn stat_at(dir: &Dir, name: &[u8]) -> io::Result<Stat> {
    stat_file(&open_for(
        &existing(dir, name)?,
        FILE_READ_ATTRIBUTES,
        NO_FOLLOW,
    )?)
}

/// Describes what the user's `path` leads to, through links.
pub(crate) fn stat_path(path: &Path) -> io::Result<Stat> {
    stat_file(&open_for(
        path,
        FILE_READ_ATTRIBUTES,
        FILE_FLAG_BACKUP_SEMANTICS,
    )?)
}

/// Sets the one bit of a mode that an open file can have: read-only.
pub(crate) fn set_file_mode(file: &File, mode: u32) -> io::Result<()> {
    let mut permissions = file.metadata()?.permissions();
    permissions.set_readonly(is_read_only(mode));
    file.set_permissions(permissions)
}

/// Sets the mode of an open directory, which has none here.
pub(crate) fn set_dir_mode(_dir: &Dir, _mode: u32) -> io::Result<()> {
    unsupported()
}

/// Gives the file at the absolute `path` the second name `name`.
pub(crate) fn link_path(path: &Path, dir: &Dir, name: &[u8]) -> io::Result<()> {
    fs::hard_link(path, join_bytes(&dir.path, name))
}

/// Sets the mode of the directory `name` so that it can be opened.
///
/// Its access list forbade that, which no mode can change: the answer is the
/// same as that to opening it.
pub(crate) fn set_dir_mode_at(_dir: &Dir, _name: &[u8], _mode: u32) -> io::Result<()> {
    Err(code(ERROR_ACCESS_DENIED))
}

/// Sets access and modification time of an open file.
pub(crate) fn set_file_times(file: &File, stat: &Stat) -> io::Result<()> {
    file.set_times(times_of(stat)?)
}

/// Sets access and modification time of an open directory.
pub(crate) fn set_dir_times(dir: &Dir, stat: &Stat) -> io::Result<()> {
    // The handle itself may only list: a folder to be read may be read-only.
    open_for(&dir.path, FILE_WRITE_ATTRIBUTES, NO_FOLLOW)?.set_times(times_of(stat)?)
}

/// Sets access and modification time of `name` itself, a link included.
pub(crate) fn set_times_at(dir: &Dir, name: &[u8], stat: &Stat) -> io::Result<()> {
    open_for(&existing(dir, name)?, FILE_WRITE_ATTRIBUTES, NO_FOLLOW)?.set_times(times_of(stat)?)
}

/// Sets the owner of an open file, which has no number here.
pub(crate) fn set_file_owner(_file: &File, _stat: &Stat) -> io::Result<()> {
    unsupported()
}

/// Sets the owner of an open directory, which has no number here.
pub(crate) fn set_dir_owner(_dir: &Dir, _stat: &Stat) -> io::Result<()> {
    unsupported()
}

/// Sets the owner of `name` itself, which has no number here.
pub(crate) fn set_owner_at(_dir: &Dir, _name: &[u8], _stat: &Stat) -> io::Result<()> {
    unsupported()
}

/// Sets the length of a file; what is added reads as zeros.
pub(crate) fn set_len(file: &File, len: u64) -> io::Result<()> {
    file.set_len(len)
}

/// Reads at `offset`; fewer bytes than asked for, 0 at the end.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buffer, offset)
}

/// Writes all of `bytes` at `offset`.
pub(crate) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = file.seek_write(bytes, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
        offset += written as u64;
    }
    Ok(())
}

/// Finds the next data or hole at or after `offset`, which `std` doesn't tell.
pub(crate) fn seek_extent(_file: &File, _extent: Extent, _offset: u64) -> io::Result<Option<u64>> {
    unsupported()
}

/// Takes the lock on `dir` that its process holds while it lives; `false` if
/// somebody else has it.
///
/// A folder can't be locked itself: the lock is a file beside it, which nobody
/// else can open and which the system removes when its process ends.
pub(crate) fn try_lock_dir(dir: &Dir) -> io::Result<bool> {
    if dir.lock.get().is_some() {
        return Ok(true);
    }
    let mut name = dir
        .path
        .file_name()
        .ok_or_else(|| code(ERROR_INVALID_NAME))?
        .to_owned();
    name.push(".lock");
    let locked = OpenOptions::new()
        .write(true)
        .create(true)
        .share_mode(0)
        .custom_flags(FILE_FLAG_DELETE_ON_CLOSE | FILE_FLAG_OPEN_REPARSE_POINT)
        .open(dir.path.with_file_name(name));
    match locked {
        Ok(file) => Ok(dir.lock.set(file).is_ok()),
        Err(error) if error.raw_os_error() == Some(ERROR_SHARING_VIOLATION) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes what was written to `dir` itself durable: names that came and went.
pub(crate) fn sync_dir(dir: &Dir) -> io::Result<()> {
    let access = FILE_ADD_FILE | FILE_READ_ATTRIBUTES;
    open_for(&dir.path, access, NO_FOLLOW)?.sync_all()
}

/// Makes everything written to the file system of `dir` durable.
///
/// Only an administrator may flush a volume: each file is flushed by itself.
pub(crate) fn sync_filesystem(dir: &Dir) -> io::Result<()> {
    let mut pending = vec![dir.path.clone()];
    while let Some(path) = pending.pop() {
        for entry in fs::read_dir(&path)? {
            let entry = entry?;
            match file_type(entry.file_type()?) {
                FileType::Dir => pending.push(entry.path()),
                FileType::File => sync_file(&entry.path())?,
                FileType::Symlink | FileType::Special | FileType::Unknown => {}
            }
        }
        open_for(&path, FILE_ADD_FILE, NO_FOLLOW)?.sync_all()?;
    }
    Ok(())
}

/// Asks for what is left on the file system of `dir`.
///
/// `std` doesn't tell: the answer is "enough", so that a copy starts and a
/// full disk stops it.
pub(crate) fn space(_dir: &Dir) -> io::Result<Space> {
    Ok(Space {
        free_bytes: u64::MAX,
        used_bytes: 0,
        free_inodes: None,
        // In UTF-16 units. The same name has up to three times as many bytes.
        name_max: 255,
    })
}

/// How many files this process may have open: the size of its handle table.
pub(crate) fn open_file_limit() -> u64 {
    1 << 24
}

/// Whether this process may do what only the administrator may: never assumed.
pub(crate) fn is_privileged() -> bool {
    false
}

/// An unpredictable number for the names of staging folders.
pub(crate) fn random_u64() -> u64 {
    use std::hash::{BuildHasher, Hasher};
    std::hash::RandomState::new().build_hasher().finish()
}

/// Lets the empty file `to` share all extents of `from`, for which `std` has no call.
pub(crate) fn clone_file(_from: &File, _to: &File) -> io::Result<()> {
    unsupported()
}

/// Copies up to `len` bytes inside the kernel, which Windows can't by handles.
pub(crate) fn copy_range(_: &File, _: u64, _: &File, _: u64, _: u64) -> io::Result<u64> {
    unsupported()
}

/// Whether copying inside the kernel spares the way through this machine: it
/// doesn't, as nothing here copies inside the kernel.
pub(crate) fn offloads_copies(_dir: &Dir) -> bool {
    false
}

/// Whether reserving a large file's blocks before writing makes writing it
/// faster: not measured, so no.
pub(crate) fn gains_from_allocation(_dir: &Dir) -> bool {
    false
}

/// Whether the file system of `dir` is known to note every change of a file
/// by this machine's own clock: NTFS does, but `std` doesn't show its note.
pub(crate) fn notes_changes(_dir: &Dir) -> bool {
    false
}

/// Closes a file.
pub(crate) fn close_file(file: File) {
    drop(file);
}

/// Reserves storage for `file`: not offered, as [`gains_from_allocation`] says no.
pub(crate) fn allocate(_file: &File, _len: u64) -> io::Result<()> {
    unsupported()
}

/// The file system's name, for messages only: `unknown`, as `std` has no call for it.
pub(crate) fn filesystem_name(_dir: &Dir) -> io::Result<String> {
    Ok("unknown".to_owned())
}

/// Whether code on the file system of `file` may run: no volume forbids it.
pub(crate) fn may_execute(_file: &File) -> io::Result<bool> {
    Ok(true)
}

/// Removes a default ACL that `dir` inherited: there is none apart from its
/// access list, which is what says who may use the copy.
pub(crate) fn drop_default_acl(_dir: &Dir) {}

/// Splits the calling thread off from the process's descriptor table and umask.
///
/// There is neither; files don't get a mode either.
pub(crate) fn isolate_thread(_keep: &[&Dir]) -> Isolation {
    Isolation { exact_modes: false }
}

fn open_dir_at(path: PathBuf) -> io::Result<Dir> {
    // Only a handle that may read or write takes part in sharing at all.
    let handle = OpenOptions::new()
        .access_mode(FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES)
        .share_mode(SHARE_NO_DELETE)
        .custom_flags(NO_FOLLOW)
        .open(&path)?;
    let found = handle.metadata()?;
    if found.is_symlink() {
        return Err(code(ERROR_STOPPED_ON_SYMLINK));
    }
    if !found.is_dir() {
        return Err(code(ERROR_DIRECTORY));
    }
    Ok(Dir {
        handle,
        path,
        lock: OnceLock::new(),
    })
}

/// Opens what is no link for content. What a driver keeps elsewhere (files in
/// the cloud, deduplicated ones) is a reparse point as well, and read as such
/// it has no content: it is opened again as a file, while the first handle
/// holds its name.
fn open_no_link(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    const FILE_ATTRIBUTE_REPARSE_POINT: u32 = 0x400;
    options.share_mode(SHARE_NO_DELETE);
    let file = options.custom_flags(NO_FOLLOW).open(path)?;
    let found = file.metadata()?;
    if found.is_symlink() {
        return Err(code(ERROR_STOPPED_ON_SYMLINK));
    }
    if found.file_attributes() & FILE_ATTRIBUTE_REPARSE_POINT == 0 {
        return Ok(file);
    }
    options.custom_flags(FILE_FLAG_BACKUP_SEMANTICS).open(path)
}

/// Opens something for its attributes or to be flushed, for one call.
fn open_for(path: &Path, access: u32, flags: u32) -> io::Result<File> {
    OpenOptions::new()
        .access_mode(access)
        .share_mode(SHARE_ALL)
        .custom_flags(flags)
        .open(path)
}

fn sync_file(path: &Path) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options
        .write(true)
        .share_mode(SHARE_ALL)
        .custom_flags(NO_FOLLOW);
    match options.open(path) {
        // A read-only file has to be made writable for as long as it takes.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let handle = open_for(path, FILE_WRITE_ATTRIBUTES, NO_FOLLOW)?;
            if !handle.metadata()?.permissions().readonly() {
                return Err(error);
            }
            set_file_mode(&handle, 0o600)?;
            let synced = options.open(path).and_then(|file| file.sync_all());
            set_file_mode(&handle, 0o400)?;
            synced
        }
        file => file?.sync_all(),
    }
}

/// The path of a name that stands, or may stand, in `dir`.
fn existing(dir: &Dir, name: &[u8]) -> io::Result<PathBuf> {
    Ok(dir.path.join(check_name(name)?))
}

/// The path of a name that is to be made in `dir`.
fn new_path(dir: &Dir, name: &[u8]) -> io::Result<PathBuf> {
    Ok(dir.path.join(check_new_name(name)?))
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Does nothing: there is no such call here.
pub(crate) fn prefer_large_pages<T>(_: &mut [MaybeUninit<T>]) {}
