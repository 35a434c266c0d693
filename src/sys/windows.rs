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

use std::ffi::{OsStr, OsString};
use std::fs::{self, File, FileTimes, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::{FileExt, MetadataExt, OpenOptionsExt, symlink_dir, symlink_file};
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use super::{Extent, FileType, Isolation, Listed, Space, Stat, Timestamp};

// Access rights, sharing, flags and attributes of `CreateFileW`.
const FILE_LIST_DIRECTORY: u32 = 0x1;
const FILE_ADD_FILE: u32 = 0x2;
const FILE_READ_ATTRIBUTES: u32 = 0x80;
const FILE_WRITE_ATTRIBUTES: u32 = 0x100;
const FILE_SHARE_READ: u32 = 0x1;
const FILE_SHARE_WRITE: u32 = 0x2;
const FILE_SHARE_DELETE: u32 = 0x4;
const FILE_ATTRIBUTE_READONLY: u32 = 0x1;
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
const FILE_FLAG_DELETE_ON_CLOSE: u32 = 0x0400_0000;

// System error codes (winerror.h).
const ERROR_INVALID_FUNCTION: i32 = 1;
const ERROR_ACCESS_DENIED: i32 = 5;
const ERROR_NOT_SAME_DEVICE: i32 = 17;
const ERROR_WRITE_PROTECT: i32 = 19;
const ERROR_SHARING_VIOLATION: i32 = 32;
const ERROR_NOT_SUPPORTED: i32 = 50;
const ERROR_DISK_FULL: i32 = 112;
const ERROR_INVALID_NAME: i32 = 123;
const ERROR_BAD_PATHNAME: i32 = 161;
const ERROR_FILENAME_EXCED_RANGE: i32 = 206;
const ERROR_DIRECTORY: i32 = 267;
const ERROR_STOPPED_ON_SYMLINK: i32 = 681;
const ERROR_NO_UNICODE_TRANSLATION: i32 = 1113;
const ERROR_PRIVILEGE_NOT_HELD: i32 = 1314;

/// What others may do meanwhile: everything but delete and rename.
const SHARE_NO_DELETE: u32 = FILE_SHARE_READ | FILE_SHARE_WRITE;
const SHARE_ALL: u32 = SHARE_NO_DELETE | FILE_SHARE_DELETE;

/// Opens folders too, and a link itself instead of its target.
const NO_FOLLOW: u32 = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT;

/// From 1601, where file times begin, to 1970, in seconds.
const EPOCH_SECS: i64 = 11_644_473_600;

/// File times count steps of 100 nanoseconds.
const STEPS_PER_SEC: u64 = 10_000_000;

/// An open directory. Its path means this directory while it is open.
#[derive(Debug)]
pub(crate) struct Dir {
    handle: File,
    /// Absolute and free of links: `\\?\C:\Users\a`.
    path: PathBuf,
    /// Held from [`try_lock_dir`] on.
    lock: OnceLock<File>,
}

/// The bytes of a name or a link's target: UTF-8, unless the name is no text.
pub(crate) fn os_to_bytes(name: &OsStr) -> &[u8] {
    name.as_encoded_bytes()
}

/// A path from the bytes of a name, a target or several names with `/`.
///
/// For messages and patterns: bytes that aren't UTF-8 are replaced, where
/// every call that takes a name refuses them.
pub(crate) fn bytes_to_path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).replace('/', "\\"))
}

/// Whether `error` means "this file system can't", not "this went wrong".
///
/// Without the privilege to make links the user can't make them on any file
/// system, and the remedy is the same: another way to carry them.
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            ERROR_INVALID_FUNCTION
                | ERROR_NOT_SUPPORTED
                | ERROR_NOT_SAME_DEVICE
                | ERROR_PRIVILEGE_NOT_HELD
        )
    ) || error.kind() == io::ErrorKind::Unsupported
}

/// Whether `error` says that a name has characters the file system refuses.
pub(crate) fn is_bad_name(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            ERROR_INVALID_NAME
                | ERROR_BAD_PATHNAME
                | ERROR_FILENAME_EXCED_RANGE
                | ERROR_NO_UNICODE_TRANSLATION
        )
    )
}

/// Whether `error` says that a link or a file stood where a folder was expected.
pub(crate) fn is_not_a_real_dir(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(ERROR_DIRECTORY | ERROR_STOPPED_ON_SYMLINK)
    )
}

/// A cause such as `ERROR_NOT_SUPPORTED`, for messages; the text where it has no such name.
pub(crate) fn error_name(error: &io::Error) -> String {
    let name = match error.raw_os_error() {
        Some(ERROR_INVALID_FUNCTION) => "ERROR_INVALID_FUNCTION",
        Some(ERROR_ACCESS_DENIED) => "ERROR_ACCESS_DENIED",
        Some(ERROR_WRITE_PROTECT) => "ERROR_WRITE_PROTECT",
        Some(ERROR_SHARING_VIOLATION) => "ERROR_SHARING_VIOLATION",
        Some(ERROR_NOT_SUPPORTED) => "ERROR_NOT_SUPPORTED",
        Some(ERROR_DISK_FULL) => "ERROR_DISK_FULL",
        Some(ERROR_INVALID_NAME) => "ERROR_INVALID_NAME",
        Some(ERROR_PRIVILEGE_NOT_HELD) => "ERROR_PRIVILEGE_NOT_HELD",
        _ => return error.to_string(),
    };
    name.to_owned()
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
    let is_dir = match fs::metadata(dir.path.join(lexical(&dir.path, &stored))) {
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
    match found.is_symlink() && is_directory_entry(&found) {
        true => fs::remove_dir(path),
        false => fs::remove_file(path),
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
    let identity = identify(file)?;
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
        device: identity.volume,
        inode: identity.file,
        links: identity.links,
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
    if permissions.readonly() == is_read_only(mode) {
        return Ok(());
    }
    permissions.set_readonly(is_read_only(mode));
    file.set_permissions(permissions)
}

/// Sets the mode of an open directory, which has none here.
pub(crate) fn set_dir_mode(_dir: &Dir, _mode: u32) -> io::Result<()> {
    unsupported()
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

/// Joins a directory's own path and the bytes of a relative path.
pub(crate) fn join_bytes(base: &Path, relative: &[u8]) -> PathBuf {
    if relative.is_empty() {
        return base.to_owned();
    }
    // `Path::join` would start anew at a name such as `C:`.
    let mut joined: OsString = base.as_os_str().to_owned();
    if !matches!(joined.as_encoded_bytes().last(), None | Some(b'\\' | b'/')) {
        joined.push("\\");
    }
    joined.push(bytes_to_path(relative));
    PathBuf::from(joined)
}

/// Lets the empty file `to` share all extents of `from`, for which `std` has no call.
pub(crate) fn clone_file(_from: &File, _to: &File) -> io::Result<()> {
    unsupported()
}

/// Copies up to `len` bytes inside the kernel, which Windows can't by handles.
pub(crate) fn copy_range(_from: &File, _to: &File, _offset: u64, _len: u64) -> io::Result<u64> {
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

/// Reserves `len` bytes of storage for `file` and sets its size.
///
/// Not offered: nobody asks for it while [`gains_from_allocation`] says no.
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

/// Reads the user attributes of `file`: none, as `std` reads no streams.
pub(crate) fn file_xattrs(_file: &File) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    Ok(Vec::new())
}

/// Reads the user attributes of a directory: none, as for a file.
pub(crate) fn dir_xattrs(_dir: &Dir) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    Ok(Vec::new())
}

/// Sets one attribute of an open file, which it can't have.
pub(crate) fn set_file_xattr(_file: &File, _name: &[u8], _value: &[u8]) -> io::Result<()> {
    unsupported()
}

/// Sets one attribute of an open directory, which it can't have.
pub(crate) fn set_dir_xattr(_dir: &Dir, _name: &[u8], _value: &[u8]) -> io::Result<()> {
    unsupported()
}

/// What tells one file from all others, whatever its names.
struct Identity {
    volume: u64,
    file: u64,
    links: u64,
}

/// Asks for the identity, which `std` reads but doesn't show (rust#63010).
fn identify(file: &File) -> io::Result<Identity> {
    let found = winapi_util::file::information(file)?;
    Ok(Identity {
        volume: found.volume_serial_number(),
        file: found.file_index(),
        links: found.number_of_links(),
    })
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
    let lock = OnceLock::new();
    Ok(Dir { handle, path, lock })
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
    let options = options
        .write(true)
        .share_mode(SHARE_ALL)
        .custom_flags(NO_FOLLOW);
    match options.open(path) {
        // A read-only file has to be made writable for as long as it takes.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let handle = open_for(
                path,
                FILE_READ_ATTRIBUTES | FILE_WRITE_ATTRIBUTES,
                NO_FOLLOW,
            )?;
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
    let name = text(name)?;
    // A colon would lead to a stream of the file, or to another drive.
    let is_single = !name.is_empty() && !name.contains(['/', '\\', ':', '\0']);
    if !is_single || matches!(name, "." | "..") {
        return Err(code(ERROR_INVALID_NAME));
    }
    Ok(dir.path.join(name))
}

/// The path of a name that is to be made in `dir`.
///
/// Paths that begin with `\\?\` reach the file system as they are, so what
/// other programs could not open again is refused here.
fn new_path(dir: &Dir, name: &[u8]) -> io::Result<PathBuf> {
    let path = existing(dir, name)?;
    let name = text(name)?;
    let is_odd = |character: char| character < ' ' || "<>\"|?*".contains(character);
    if name.contains(is_odd) || name.ends_with(['.', ' ']) || is_reserved(name) {
        return Err(code(ERROR_INVALID_NAME));
    }
    Ok(path)
}

/// Whether `name` means a device to most programs, whatever its extension.
fn is_reserved(name: &str) -> bool {
    const DEVICES: [&str; 6] = ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"];
    let stem = name
        .split('.')
        .next()
        .unwrap_or(name)
        .trim_end_matches(' ')
        .to_uppercase();
    let is_port = |port: &str| {
        let mut digits = port.chars();
        let is_digit = matches!(
            digits.next(),
            Some('0'..='9' | '\u{b9}' | '\u{b2}' | '\u{b3}')
        );
        is_digit && digits.next().is_none()
    };
    let port = stem
        .strip_prefix("COM")
        .or_else(|| stem.strip_prefix("LPT"));
    DEVICES.contains(&stem.as_str()) || port.is_some_and(is_port)
}

/// `target` with `..` taken away against `base`, which no link is part of:
/// paths that begin with `\\?\` know no `..`.
fn lexical(base: &Path, target: &Path) -> PathBuf {
    let mut at = base.to_owned();
    for component in target.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                at.pop();
            }
            Component::Normal(name) => at.push(name),
            // Absolute, or a drive with or without a path.
            Component::Prefix(_) | Component::RootDir => return target.to_owned(),
        }
    }
    at
}

fn text(bytes: &[u8]) -> io::Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| not_unicode())
}

fn not_unicode() -> io::Error {
    code(ERROR_NO_UNICODE_TRANSLATION)
}

fn code(number: i32) -> io::Error {
    io::Error::from_raw_os_error(number)
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

fn is_read_only(mode: u32) -> bool {
    mode & 0o200 == 0
}

/// Whether the file system keeps it as a folder: folders, links to folders and
/// junctions.
fn is_directory_entry(found: &Metadata) -> bool {
    const FILE_ATTRIBUTE_DIRECTORY: u32 = 0x10;
    found.file_attributes() & FILE_ATTRIBUTE_DIRECTORY != 0
}

/// The mode that stands for what Windows knows. The read-only attribute of a
/// folder doesn't protect it: Explorer uses it as a mark.
fn mode_of(found: &Metadata) -> u32 {
    match (is_directory_entry(found), found.permissions().readonly()) {
        (true, _) => 0o755,
        (false, true) => 0o444,
        (false, false) => 0o644,
    }
}

fn file_type(found: fs::FileType) -> FileType {
    if found.is_symlink() {
        FileType::Symlink
    } else if found.is_dir() {
        FileType::Dir
    } else if found.is_file() {
        FileType::File
    } else {
        FileType::Special
    }
}

/// A time from the steps since 1601 that a file has.
fn timestamp(steps: u64) -> Timestamp {
    Timestamp {
        secs: (steps / STEPS_PER_SEC).cast_signed() - EPOCH_SECS,
        nanos: (steps % STEPS_PER_SEC) as u32 * 100,
    }
}

fn times_of(stat: &Stat) -> io::Result<FileTimes> {
    let mut times = FileTimes::new().set_modified(system_time(stat.modified)?);
    // FAT and shares that keep no access time answer with the year 1601, which
    // can't be set.
    if stat.accessed.secs > -EPOCH_SECS {
        times = times.set_accessed(system_time(stat.accessed)?);
    }
    Ok(times)
}

fn system_time(time: Timestamp) -> io::Result<SystemTime> {
    let whole = Duration::from_secs(time.secs.unsigned_abs());
    let seconds = match time.secs < 0 {
        true => SystemTime::UNIX_EPOCH.checked_sub(whole),
        false => SystemTime::UNIX_EPOCH.checked_add(whole),
    };
    seconds
        .and_then(|seconds| seconds.checked_add(Duration::from_nanos(u64::from(time.nanos))))
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "a time before the year 1601"))
}
