//! Windows: names relative to an open folder, through [`raw`], and safe calls of
//! `std` for all else.
//!
//! What is opened, made, described, moved, linked or removed is named by a folder's
//! handle and one name, as on Unix. Only making and reading a symbolic link, the way
//! up and the lock have no such form. They take the path that the handle has at that
//! time, and hold a second handle ([`Pinned`]) meanwhile, which denies others to
//! delete or rename the folder; NTFS also refuses to rename one while something below
//! is open. What this doesn't prevent: somebody who may write to an empty folder can
//! turn it into a junction. So a link that was made is looked up by handle before it
//! counts.
//!
//! Names are UTF-8 bytes; one with unpaired surrogates is an error. No reparse point
//! is entered that stands for another name: links, junctions, mounted volumes.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::windows::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use super::{FileType, Listed, Stat};

mod access;
mod attributes;
mod convert;
mod links;
mod process;
mod raw;
mod raw_process;
mod volume;
mod xattrs;
pub(crate) use access::stat_dir_with_rights;
pub(crate) use attributes::*;
use convert::{
    ERROR_ACCESS_DENIED, ERROR_DIRECTORY, ERROR_LOCK_VIOLATION, ERROR_SHARING_VIOLATION,
    ERROR_STOPPED_ON_SYMLINK, ERROR_USER_MAPPED_FILE, check_name, check_new_name, code,
    is_read_only,
};
pub(crate) use convert::{
    bytes_to_path, error_name, is_bad_name, is_not_a_real_dir, is_unsupported, join_bytes,
    os_to_bytes,
};
pub(crate) use links::*;
pub use process::arguments;
pub(crate) use process::*;
use raw::{Opening, Standing};
pub(crate) use volume::*;
pub(crate) use xattrs::{
    dir_xattrs, file_xattrs, is_mount_point, remove_dir_xattr, set_dir_xattr, set_file_xattr,
};

// Access rights, sharing, flags and attributes of `CreateFileW` (winnt.h, fileapi.h).
const FILE_LIST_DIRECTORY: u32 = 0x1;
const FILE_ADD_FILE: u32 = 0x2;
const FILE_READ_ATTRIBUTES: u32 = 0x80;
const FILE_WRITE_ATTRIBUTES: u32 = 0x100;
const DELETE: u32 = 0x0001_0000;
const SYNCHRONIZE: u32 = 0x0010_0000;
const FILE_GENERIC_READ: u32 = 0x0012_0089;
const FILE_GENERIC_WRITE: u32 = 0x0012_0116;
const FILE_ATTRIBUTE_READONLY: u32 = 0x1;
const FILE_ATTRIBUTE_DIRECTORY: u32 = 0x10;
const FILE_ATTRIBUTE_NORMAL: u32 = 0x80;
const FILE_ATTRIBUTE_SPARSE_FILE: u32 = 0x200;
const FILE_ATTRIBUTE_REPARSE_POINT: u32 = 0x400;
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
const FILE_FLAG_DELETE_ON_CLOSE: u32 = 0x0400_0000;

// What `NtCreateFile` does, and how (ntifs.h).
const FILE_OPEN: u32 = 1;
const FILE_CREATE: u32 = 2;
const FILE_OPEN_IF: u32 = 3;
const FILE_DIRECTORY_FILE: u32 = 0x1;
const FILE_SYNCHRONOUS_IO_NONALERT: u32 = 0x20;
const FILE_NON_DIRECTORY_FILE: u32 = 0x40;
const FILE_OPEN_FOR_BACKUP_INTENT: u32 = 0x4000;
const FILE_OPEN_REPARSE_POINT: u32 = 0x0020_0000;

/// What others may do meanwhile: read and write, but not delete or rename.
const SHARE_NO_DELETE: u32 = 0x1 | 0x2;
const SHARE_ALL: u32 = SHARE_NO_DELETE | 0x4;

/// Opens folders too, and a link itself instead of its target.
const NO_FOLLOW: u32 = FILE_FLAG_BACKUP_SEMANTICS | FILE_FLAG_OPEN_REPARSE_POINT;

/// How long a name is waited for that a scanner or an indexer has open for a moment:
/// 1 ms, then twice as long each time, half a second in all.
const PAUSES: u32 = 9;

/// An open directory. Names are looked up in it, whatever happens to its path.
#[derive(Debug)]
pub(crate) struct Dir {
    handle: File,
    /// Where it was opened: absolute and free of links, such as `\\?\C:\Users\a`.
    opened_at: PathBuf,
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
    let name = check_name(name)?;
    let opened = open_listable(dir, name)?;
    Ok(Dir {
        handle: opened,
        opened_at: dir.opened_at.join(name),
        lock: OnceLock::new(),
    })
}

/// Opens another handle to the same directory.
pub(crate) fn reopen_dir(dir: &Dir) -> io::Result<Dir> {
    Ok(Dir {
        handle: open_listable(dir, "")?,
        opened_at: dir.opened_at.clone(),
        lock: OnceLock::new(),
    })
}

/// Opens the directory above `dir`; above a volume's root is the root itself.
pub(crate) fn open_parent(dir: &Dir) -> io::Result<Dir> {
    let pinned = Pinned::of(dir)?;
    let path = &pinned.path;
    open_dir_at(path.parent().unwrap_or(path).to_owned())
}

/// Opens `name` for reading, whatever it is but a link.
pub(crate) fn open_file(dir: &Dir, name: &[u8]) -> io::Result<File> {
    open_no_link(dir, check_name(name)?, FILE_GENERIC_READ)
}

/// Opens the existing regular file `name` for writing.
pub(crate) fn open_file_for_write(dir: &Dir, name: &[u8]) -> io::Result<File> {
    let access = FILE_GENERIC_WRITE | FILE_READ_ATTRIBUTES;
    open_no_link(dir, check_name(name)?, access)
}

/// Makes the file `name`, which must not exist, and opens it for writing.
///
/// It is read-only if `mode` lets its owner not write; other bits are lost.
pub(crate) fn create_file(dir: &Dir, name: &[u8], mode: u32) -> io::Result<File> {
    let how = Opening {
        access: FILE_GENERIC_WRITE | FILE_READ_ATTRIBUTES,
        share: SHARE_ALL,
        attributes: match is_read_only(mode) {
            true => FILE_ATTRIBUTE_READONLY,
            false => FILE_ATTRIBUTE_NORMAL,
        },
        disposition: FILE_CREATE,
        options: FILE_NON_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT | FILE_OPEN_REPARSE_POINT,
    };
    raw::open_at(&dir.handle, check_new_name(name)?, how)
}

/// Makes the directory `name`, which must not exist; what may be done with it
/// follows from `dir`, not from the mode.
pub(crate) fn create_dir(dir: &Dir, name: &[u8], _mode: u32) -> io::Result<()> {
    let how = Opening {
        access: FILE_LIST_DIRECTORY | SYNCHRONIZE,
        share: SHARE_ALL,
        attributes: FILE_ATTRIBUTE_NORMAL,
        disposition: FILE_CREATE,
        options: FILE_DIRECTORY_FILE | FILE_SYNCHRONOUS_IO_NONALERT | FILE_OPEN_REPARSE_POINT,
    };
    raw::open_at(&dir.handle, check_new_name(name)?, how).map(drop)
}

/// As [`stat_at`], of several names with `/`. What is on the way is not looked at: only
/// for a folder that nobody else can change.
pub(crate) fn stat_below(dir: &Dir, path: &[u8]) -> io::Result<Stat> {
    let how = existing(FILE_READ_ATTRIBUTES | SYNCHRONIZE, SHARE_ALL);
    stat_file(&raw::open_at(&dir.handle, &check_path(path)?, how)?)
}

/// As [`read_link`], in the same case as [`stat_below`].
pub(crate) fn read_link_below(dir: &Dir, path: &[u8]) -> io::Result<Vec<u8>> {
    read_link_at(dir, &check_path(path)?)
}

/// As [`open_file`], in the same case as [`stat_below`].
pub(crate) fn open_file_below(dir: &Dir, path: &[u8]) -> io::Result<File> {
    open_no_link(dir, &check_path(path)?, FILE_GENERIC_READ)
}

/// Several names as one path of Windows.
fn check_path(path: &[u8]) -> io::Result<String> {
    let names = path.split(|byte| *byte == b'/').map(check_name);
    Ok(names.collect::<io::Result<Vec<_>>>()?.join("\\"))
}

/// Gives the file `old_name` of `old_dir` the second name `name`.
pub(crate) fn create_hard_link(
    old_dir: &Dir,
    old_name: &[u8],
    dir: &Dir,
    name: &[u8],
) -> io::Result<()> {
    let name = check_new_name(name)?;
    let file = open_for(old_dir, old_name, FILE_WRITE_ATTRIBUTES)?;
    raw::link_at(&file, &dir.handle, name)
}

/// Gives the file at the absolute `path` the second name `name`.
pub(crate) fn link_path(path: &Path, dir: &Dir, name: &[u8]) -> io::Result<()> {
    let file = open_path_for(path, FILE_WRITE_ATTRIBUTES, NO_FOLLOW)?;
    raw::link_at(&file, &dir.handle, check_new_name(name)?)
}

/// Removes the file or link `name`.
pub(crate) fn remove_file(dir: &Dir, name: &[u8]) -> io::Result<()> {
    patiently(|| {
        let file = open_for(dir, name, DELETE | FILE_READ_ATTRIBUTES)?;
        let found = stat_file(&file)?;
        if found.file_type == FileType::Dir {
            return Err(code(ERROR_ACCESS_DENIED));
        }
        match raw::remove(&file) {
            // FAT has no call that removes what is read-only.
            Err(error)
                if error.kind() == io::ErrorKind::PermissionDenied && is_read_only(found.mode) =>
            {
                set_file_mode(&open_for(dir, name, FILE_WRITE_ATTRIBUTES)?, 0o600)?;
                raw::remove(&file)
            }
            result => result,
        }
    })
}

/// Removes the empty directory `name`.
pub(crate) fn remove_dir(dir: &Dir, name: &[u8]) -> io::Result<()> {
    patiently(|| {
        let folder = open_for(dir, name, DELETE | FILE_READ_ATTRIBUTES)?;
        // The same call would remove a link to a folder.
        if stat_file(&folder)?.file_type != FileType::Dir {
            return Err(code(ERROR_DIRECTORY));
        }
        raw::remove(&folder)
    })
}

/// Moves `name` over whatever file stands at `new_name`, in one step.
pub(crate) fn rename_over(dir: &Dir, name: &[u8], to: &Dir, new_name: &[u8]) -> io::Result<()> {
    rename(dir, name, to, new_name, Standing::Replace)
}

/// Moves `name` to `new_name`, which must not exist.
pub(crate) fn rename_new(dir: &Dir, name: &[u8], to: &Dir, new_name: &[u8]) -> io::Result<()> {
    rename(dir, name, to, new_name, Standing::Keep)
}

fn rename(dir: &Dir, name: &[u8], to: &Dir, new_name: &[u8], standing: Standing) -> io::Result<()> {
    let new_name = check_new_name(new_name)?;
    patiently(|| {
        let moved = open_for(dir, name, DELETE | FILE_READ_ATTRIBUTES)?;
        raw::rename_at(&moved, &to.handle, new_name, standing)
    })
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
    // A listing has a position, which a handle shares with every other listing.
    let listing = open_listable(dir, "")?;
    let mut buffer = vec![0_u64; 64 * 1024 / 8];
    loop {
        let len = raw::next_entries(&listing, &mut buffer)?;
        if len == 0 {
            return Ok(());
        }
        for (name, file_type) in convert::listed(&buffer[..len.div_ceil(8)])? {
            if name != "." && name != ".." {
                let name = name.as_bytes();
                each(Listed { name, file_type })?;
            }
        }
    }
}

/// Takes the lock on `dir` that its process holds while it lives; `false` if
/// somebody else has it.
///
/// A folder can't be locked itself: the lock is a file beside it, which nobody
/// else can open and which the system removes when its process ends.
pub(crate) fn try_lock_dir(dir: &Dir) -> io::Result<bool> {
    lock_beside(dir, 0, FILE_FLAG_DELETE_ON_CLOSE)
}

/// Opens the file that is the lock on `dir`, if those that have it open allow that.
fn lock_beside(dir: &Dir, share: u32, flags: u32) -> io::Result<bool> {
    if dir.lock.get().is_some() {
        return Ok(true);
    }
    let path = path_of(dir);
    let name = path.file_name();
    let mut name = name
        .ok_or_else(|| code(convert::ERROR_INVALID_NAME))?
        .to_owned();
    name.push(".lock");
    let locked = OpenOptions::new()
        .write(true)
        .create(true)
        .share_mode(share)
        .custom_flags(flags | FILE_FLAG_OPEN_REPARSE_POINT)
        .open(path.with_file_name(name));
    match locked {
        Ok(file) => Ok(dir.lock.set(file).is_ok()),
        Err(error) if error.raw_os_error() == Some(ERROR_SHARING_VIOLATION) => Ok(false),
        Err(error) => Err(error),
    }
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

/// Opens a folder by a path that the user named, or that a pinned folder has. A volume
/// that is mounted there is entered.
fn open_dir_at(path: PathBuf) -> io::Result<Dir> {
    let access = FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES | SYNCHRONIZE;
    let handle = open_path_for(&path, access, FILE_FLAG_BACKUP_SEMANTICS)?;
    if raw::information(&handle)?.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY == 0 {
        return Err(code(ERROR_DIRECTORY));
    }
    Ok(Dir {
        handle,
        opened_at: path,
        lock: OnceLock::new(),
    })
}

/// Where the folder `dir` is now. RAM disks and shared folders of virtual machines may
/// not know it.
fn path_of(dir: &Dir) -> PathBuf {
    raw::final_path(&dir.handle).unwrap_or_else(|_| dir.opened_at.clone())
}

/// A folder that keeps its path as long as this lives.
struct Pinned {
    _handle: File,
    path: PathBuf,
}

impl Pinned {
    fn of(dir: &Dir) -> io::Result<Self> {
        // Only a handle that may read or write takes part in sharing at all.
        let handle = open_listable_sharing(dir, "", SHARE_NO_DELETE)?;
        Ok(Self {
            _handle: handle,
            path: path_of(dir),
        })
    }
}

/// Opens the folder `name` in `dir`, or `dir` once more for an empty name.
fn open_listable(dir: &Dir, name: &str) -> io::Result<File> {
    open_listable_sharing(dir, name, SHARE_ALL)
}

fn open_listable_sharing(dir: &Dir, name: &str, share: u32) -> io::Result<File> {
    // Not only folders, so that a link is told from a file below.
    let access = FILE_LIST_DIRECTORY | FILE_READ_ATTRIBUTES | SYNCHRONIZE;
    let how = existing(access, share);
    let handle = raw::open_at(&dir.handle, name, how)?;
    match stat_file(&handle)?.file_type {
        _ if name.is_empty() => Ok(handle),
        FileType::Dir => Ok(handle),
        FileType::File => Err(code(ERROR_DIRECTORY)),
        FileType::Symlink | FileType::Special | FileType::Unknown => {
            Err(code(ERROR_STOPPED_ON_SYMLINK))
        }
    }
}

/// Opens what is no link for content. What a driver keeps elsewhere (files in
/// the cloud, deduplicated ones) is a reparse point as well, and read as such
/// it has no content: it is opened again as a file, while the first handle
/// holds its name.
fn open_no_link(dir: &Dir, name: &str, access: u32) -> io::Result<File> {
    let how = existing(access, SHARE_NO_DELETE);
    let file = raw::open_at(&dir.handle, name, how)?;
    let found = raw::information(&file)?;
    if found.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT == 0 {
        return Ok(file);
    }
    match stat_file(&file)?.file_type {
        FileType::Symlink | FileType::Special => Err(code(ERROR_STOPPED_ON_SYMLINK)),
        FileType::File | FileType::Dir | FileType::Unknown => {
            let options = how.options & !FILE_OPEN_REPARSE_POINT;
            raw::open_at(&dir.handle, name, Opening { options, ..how })
        }
    }
}

/// How something that stands is opened: itself, whatever it is.
fn existing(access: u32, share: u32) -> Opening {
    Opening {
        access,
        share,
        attributes: 0,
        disposition: FILE_OPEN,
        options: FILE_SYNCHRONOUS_IO_NONALERT
            | FILE_OPEN_FOR_BACKUP_INTENT
            | FILE_OPEN_REPARSE_POINT,
    }
}

/// Opens `name` itself, whatever it is, for something else than its content.
fn open_for(dir: &Dir, name: &[u8], access: u32) -> io::Result<File> {
    let how = existing(access | SYNCHRONIZE, SHARE_ALL);
    raw::open_at(&dir.handle, check_name(name)?, how)
}

/// Opens `dir` once more, for something else than listing it.
fn reopen_for(dir: &Dir, access: u32) -> io::Result<File> {
    raw::open_at(&dir.handle, "", existing(access | SYNCHRONIZE, SHARE_ALL))
}

/// Opens what stands at a path for one call, and not for its content.
fn open_path_for(path: &Path, access: u32, flags: u32) -> io::Result<File> {
    OpenOptions::new()
        .access_mode(access)
        .share_mode(SHARE_ALL)
        .custom_flags(flags)
        .open(path)
}

/// Repeats a move or removal that fails because somebody has the name open: scanners
/// and indexers open what is new, and let go of it soon.
fn patiently<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    for pause in 0..PAUSES {
        match call() {
            Err(error) if is_in_use(&error) => {
                std::thread::sleep(Duration::from_millis(1 << pause));
            }
            result => return result,
        }
    }
    call()
}

/// Whether an error says that a name can't be moved or removed because somebody has it
/// open, or something below it: a program that runs from there.
pub(crate) fn is_in_use(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            ERROR_ACCESS_DENIED
                | ERROR_SHARING_VIOLATION
                | ERROR_LOCK_VIOLATION
                | ERROR_USER_MAPPED_FILE
        )
    )
}

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}
