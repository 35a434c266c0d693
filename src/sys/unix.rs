//! What every Unix does the same way: handle-relative calls through `rustix`.
//!
//! Every call that can be interrupted by a signal is repeated. No call here
//! follows a symbolic link, except [`open_root`] and [`stat_path`], which take
//! a path that the user named.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, Timespec, Timestamps};
use rustix::io::Errno;

use super::{Extent, FileType, LinkTo, Space, Stat, Timestamp};

/// An open directory. Names are looked up in it, whatever happens to its path.
#[derive(Debug)]
pub(crate) struct Dir(pub(super) OwnedFd);

/// The bytes of a name or a link's target, as the file system stores them.
pub(crate) fn os_to_bytes(name: &OsStr) -> &[u8] {
    name.as_bytes()
}

/// A path from the bytes of a name, a target or several names with `/`.
pub(crate) fn bytes_to_path(bytes: &[u8]) -> Cow<'_, Path> {
    Cow::Borrowed(Path::new(OsStr::from_bytes(bytes)))
}

/// Whether `error` means "this file system can't", not "this went wrong".
pub(crate) fn is_unsupported(error: &io::Error) -> bool {
    let Some(errno) = Errno::from_io_error(error) else {
        return error.kind() == io::ErrorKind::Unsupported;
    };
    // Two numbers on macOS, one on Linux.
    errno == Errno::NOTSUP
        || matches!(
            errno,
            Errno::NOSYS
                | Errno::OPNOTSUPP
                | Errno::PERM
                | Errno::INVAL
                | Errno::XDEV
                | Errno::NOTTY
        )
}

/// Whether `error` says that a name has characters the file system refuses.
pub(crate) fn is_bad_name(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::INVAL | Errno::ILSEQ | Errno::NAMETOOLONG)
    )
}

/// Whether `error` says that a link or a file stood where a folder was expected.
pub(crate) fn is_not_a_real_dir(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::LOOP | Errno::NOTDIR | Errno::MLINK)
    )
}

/// A cause such as `EPERM`, for messages; the text where there is no number.
pub(crate) fn error_name(error: &io::Error) -> String {
    match Errno::from_io_error(error) {
        Some(Errno::PERM) => "EPERM".to_owned(),
        Some(Errno::NOSYS) => "ENOSYS".to_owned(),
        Some(Errno::OPNOTSUPP) => "EOPNOTSUPP".to_owned(),
        Some(Errno::ACCESS) => "EACCES".to_owned(),
        Some(Errno::INVAL) => "EINVAL".to_owned(),
        Some(Errno::IO) => "EIO".to_owned(),
        Some(Errno::NOSPC) => "ENOSPC".to_owned(),
        Some(Errno::ROFS) => "EROFS".to_owned(),
        Some(Errno::NOENT) => "ENOENT".to_owned(),
        Some(Errno::ILSEQ) => "EILSEQ".to_owned(),
        Some(Errno::NAMETOOLONG) => "ENAMETOOLONG".to_owned(),
        _ => error.to_string(),
    }
}

/// Opens a directory that the user named; links in `path` are followed.
pub(crate) fn open_root(path: &Path) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = retry(|| rustix::fs::openat(CWD, path, flags, Mode::empty()))?;
    Ok(Dir(fd))
}

/// Opens the directory `name` in `dir`, which must not be a link.
pub(crate) fn open_dir(dir: &Dir, name: &[u8]) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = retry(|| rustix::fs::openat(&dir.0, name, flags, Mode::empty()))?;
    Ok(Dir(fd))
}

/// Opens another handle to the same directory.
pub(crate) fn reopen_dir(dir: &Dir) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = retry(|| rustix::fs::openat(&dir.0, ".", flags, Mode::empty()))?;
    Ok(Dir(fd))
}

/// Opens the directory above `dir`.
pub(crate) fn open_parent(dir: &Dir) -> io::Result<Dir> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = retry(|| rustix::fs::openat(&dir.0, "..", flags, Mode::empty()))?;
    Ok(Dir(fd))
}

/// Opens `name` for reading, whatever it is; a FIFO does not block.
pub(crate) fn open_file(dir: &Dir, name: &[u8]) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = retry(|| rustix::fs::openat(&dir.0, name, flags, Mode::empty()))?;
    Ok(File::from(fd))
}

/// Opens what is at `path`, and no link, for reading; a FIFO does not block.
pub(crate) fn open_plain(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = retry(|| rustix::fs::openat(CWD, path, flags, Mode::empty()))?;
    Ok(File::from(fd))
}

/// Opens the existing regular file `name` for writing.
pub(crate) fn open_file_for_write(dir: &Dir, name: &[u8]) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = retry(|| rustix::fs::openat(&dir.0, name, flags, Mode::empty()))?;
    Ok(File::from(fd))
}

/// Makes the file `name`, which must not exist, and opens it for writing.
pub(crate) fn create_file(dir: &Dir, name: &[u8], mode: u32) -> io::Result<File> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(mode as _);
    let fd = retry(|| rustix::fs::openat(&dir.0, name, flags, mode))?;
    Ok(File::from(fd))
}

/// Makes the directory `name`, which must not exist.
pub(crate) fn create_dir(dir: &Dir, name: &[u8], mode: u32) -> io::Result<()> {
    let mode = Mode::from_raw_mode(mode as _);
    retry(|| rustix::fs::mkdirat(&dir.0, name, mode))
}

/// What is neither file, folder nor link, for messages.
pub(crate) const SPECIAL: &str = "device, FIFO or socket";

/// What helps where such a thing is.
pub(crate) const SPECIAL_HINT: &str = "leave such files out with --skip-special";

/// Whether `name` is a junction, as only Windows has them.
pub(crate) fn is_junction(_dir: &Dir, _name: &[u8]) -> io::Result<bool> {
    Ok(false)
}

/// Whether links to folders are of another kind than those to files.
pub(crate) const HAS_KINDS_OF_LINKS: bool = false;

/// Makes the symbolic link `name` with exactly the bytes `target`.
pub(crate) fn create_symlink(
    dir: &Dir,
    name: &[u8],
    target: &[u8],
    _leads_to: LinkTo,
) -> io::Result<()> {
    retry(|| rustix::fs::symlinkat(target, &dir.0, name))
}

/// What kind of link `name` is: there is only one.
pub(crate) fn kind_of_link(_dir: &Dir, _name: &[u8]) -> io::Result<LinkTo> {
    Ok(LinkTo::Unknown)
}

/// Gives the file `old_name` of `old_dir` the second name `name`.
pub(crate) fn create_hard_link(
    old_dir: &Dir,
    old_name: &[u8],
    dir: &Dir,
    name: &[u8],
) -> io::Result<()> {
    retry(|| rustix::fs::linkat(&old_dir.0, old_name, &dir.0, name, AtFlags::empty()))
}

/// Gives the file at the absolute `path` the second name `name`.
pub(crate) fn link_path(path: &Path, dir: &Dir, name: &[u8]) -> io::Result<()> {
    retry(|| rustix::fs::linkat(CWD, path, &dir.0, name, AtFlags::empty()))
}

/// Reads the target of the symbolic link `name`, byte for byte.
pub(crate) fn read_link(dir: &Dir, name: &[u8]) -> io::Result<Vec<u8>> {
    let target = retry(|| rustix::fs::readlinkat(&dir.0, name, Vec::new()))?;
    Ok(target.into_bytes())
}

/// Removes the file or link `name`.
pub(crate) fn remove_file(dir: &Dir, name: &[u8]) -> io::Result<()> {
    retry(|| rustix::fs::unlinkat(&dir.0, name, AtFlags::empty()))
}

/// Removes the empty directory `name`.
pub(crate) fn remove_dir(dir: &Dir, name: &[u8]) -> io::Result<()> {
    retry(|| rustix::fs::unlinkat(&dir.0, name, AtFlags::REMOVEDIR))
}

/// Moves `name` over whatever stands at `new_name`, in one step.
pub(crate) fn rename_over(dir: &Dir, name: &[u8], to: &Dir, new_name: &[u8]) -> io::Result<()> {
    retry(|| rustix::fs::renameat(&dir.0, name, &to.0, new_name))
}

/// Describes an open file.
pub(crate) fn stat_file(file: &File) -> io::Result<Stat> {
    retry(|| rustix::fs::fstat(file)).map(|stat| stat_from(&stat))
}

/// Describes an open directory.
pub(crate) fn stat_dir(dir: &Dir) -> io::Result<Stat> {
    retry(|| rustix::fs::fstat(&dir.0)).map(|stat| stat_from(&stat))
}

/// Describes `name` itself, a link included.
pub(crate) fn stat_at(dir: &Dir, name: &[u8]) -> io::Result<Stat> {
    retry(|| rustix::fs::statat(&dir.0, name, AtFlags::SYMLINK_NOFOLLOW))
        .map(|stat| stat_from(&stat))
}

/// Describes what the user's `path` leads to, through links.
pub(crate) fn stat_path(path: &Path) -> io::Result<Stat> {
    retry(|| rustix::fs::statat(CWD, path, AtFlags::empty())).map(|stat| stat_from(&stat))
}

/// Sets the mode of an open file.
pub(crate) fn set_file_mode(file: &File, mode: u32) -> io::Result<()> {
    retry(|| rustix::fs::fchmod(file, Mode::from_raw_mode(mode as _)))
}

/// Sets the mode of an open directory.
pub(crate) fn set_dir_mode(dir: &Dir, mode: u32) -> io::Result<()> {
    retry(|| rustix::fs::fchmod(&dir.0, Mode::from_raw_mode(mode as _)))
}

/// Sets access and modification time of an open file.
pub(crate) fn set_file_times(file: &File, stat: &Stat) -> io::Result<()> {
    retry(|| rustix::fs::futimens(file, &times_of(stat)))
}

/// Sets access and modification time of an open directory.
pub(crate) fn set_dir_times(dir: &Dir, stat: &Stat) -> io::Result<()> {
    retry(|| rustix::fs::futimens(&dir.0, &times_of(stat)))
}

/// Sets access and modification time of `name` itself, a link included.
pub(crate) fn set_times_at(dir: &Dir, name: &[u8], stat: &Stat) -> io::Result<()> {
    let times = times_of(stat);
    retry(|| rustix::fs::utimensat(&dir.0, name, &times, AtFlags::SYMLINK_NOFOLLOW))
}

/// Sets the owner of an open file.
pub(crate) fn set_file_owner(file: &File, stat: &Stat) -> io::Result<()> {
    let (uid, gid) = owner_of(stat);
    retry(|| rustix::fs::fchown(file, uid, gid))
}

/// Sets the owner of an open directory.
pub(crate) fn set_dir_owner(dir: &Dir, stat: &Stat) -> io::Result<()> {
    let (uid, gid) = owner_of(stat);
    retry(|| rustix::fs::fchown(&dir.0, uid, gid))
}

/// Sets the owner of `name` itself, a link included.
pub(crate) fn set_owner_at(dir: &Dir, name: &[u8], stat: &Stat) -> io::Result<()> {
    let (uid, gid) = owner_of(stat);
    retry(|| rustix::fs::chownat(&dir.0, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW))
}

/// Sets the length of a file; what is added is a hole.
pub(crate) fn set_len(file: &File, len: u64) -> io::Result<()> {
    retry(|| rustix::fs::ftruncate(file, len))
}

/// Reads at `offset`; fewer bytes than asked for, 0 at the end.
pub(crate) fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    retry(|| rustix::io::pread(file, &mut *buffer, offset))
}

/// Writes all of `bytes` at `offset`.
pub(crate) fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = retry(|| rustix::io::pwrite(file, bytes, offset))?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = &bytes[written..];
        offset += written as u64;
    }
    Ok(())
}

/// Finds the next data or hole at or after `offset`, or `None` past the last.
pub(crate) fn seek_extent(file: &File, extent: Extent, offset: u64) -> io::Result<Option<u64>> {
    let whence = match extent {
        Extent::Data => rustix::fs::SeekFrom::Data(offset),
        Extent::Hole => rustix::fs::SeekFrom::Hole(offset),
    };
    match retry(|| rustix::fs::seek(file, whence)) {
        Ok(position) => Ok(Some(position)),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NXIO) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Takes the lock on `dir` that its process holds while it lives; `false` if
/// somebody else has it.
pub(crate) fn try_lock_dir(dir: &Dir) -> io::Result<bool> {
    match retry(|| rustix::fs::flock(&dir.0, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes what was written to `dir` itself durable: names that came and went.
pub(crate) fn sync_dir(dir: &Dir) -> io::Result<()> {
    retry(|| rustix::fs::fsync(&dir.0))
}

/// Asks for what is left on the file system of `dir`.
pub(crate) fn space(dir: &Dir) -> io::Result<Space> {
    let stat = retry(|| rustix::fs::fstatvfs(&dir.0))?;
    // A file system without a fixed inode table reports none at all.
    let free_inodes = (stat.f_files > 0).then_some(stat.f_favail);
    Ok(Space {
        free_bytes: stat.f_bavail.saturating_mul(stat.f_frsize),
        used_bytes: (stat.f_blocks.saturating_sub(stat.f_bfree)).saturating_mul(stat.f_frsize),
        free_inodes,
        name_max: stat.f_namemax,
    })
}

/// How many files this process may have open.
pub(crate) fn open_file_limit() -> u64 {
    rustix::process::getrlimit(rustix::process::Resource::Nofile)
        .current
        .unwrap_or(u64::MAX)
}

/// Whether this process may do what only the administrator may.
pub(crate) fn is_privileged() -> bool {
    rustix::process::geteuid().is_root()
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
    let mut bytes = base.as_os_str().to_owned().into_vec();
    if !bytes.is_empty() && bytes.last() != Some(&b'/') {
        bytes.push(b'/');
    }
    bytes.extend_from_slice(relative);
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

/// Moves `name` to `new_name`, which must not exist, where no rename can refuse
/// to replace: what is made there between the look and the move is lost.
pub(super) fn rename_new_without_flag(
    dir: &Dir,
    name: &[u8],
    to: &Dir,
    new_name: &[u8],
) -> io::Result<()> {
    match stat_at(to, new_name) {
        Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            rename_over(dir, name, to, new_name)
        }
        Err(error) => Err(error),
    }
}

/// Repeats a call until no signal interrupts it.
pub(super) fn retry<T>(mut call: impl FnMut() -> rustix::io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
            Ok(value) => return Ok(value),
        }
    }
}

fn times_of(stat: &Stat) -> Timestamps {
    Timestamps {
        last_access: timespec(stat.accessed),
        last_modification: timespec(stat.modified),
    }
}

fn timespec(time: Timestamp) -> Timespec {
    Timespec {
        tv_sec: time.secs,
        tv_nsec: i64::from(time.nanos) as _,
    }
}

fn owner_of(stat: &Stat) -> (Option<rustix::fs::Uid>, Option<rustix::fs::Gid>) {
    let uid = rustix::fs::Uid::from_raw(stat.uid);
    let gid = rustix::fs::Gid::from_raw(stat.gid);
    (Some(uid), Some(gid))
}

#[allow(
    clippy::unnecessary_cast,
    clippy::cast_lossless,
    reason = "the fields' types differ between platforms"
)]
fn stat_from(stat: &rustix::fs::Stat) -> Stat {
    Stat {
        file_type: file_type(rustix::fs::FileType::from_raw_mode(stat.st_mode)),
        mode: stat.st_mode as u32 & 0o7777,
        size: stat.st_size as u64,
        allocated: (stat.st_blocks as u64).saturating_mul(512),
        modified: Timestamp {
            secs: stat.st_mtime as i64,
            nanos: stat.st_mtime_nsec as u32,
        },
        accessed: Timestamp {
            secs: stat.st_atime as i64,
            nanos: stat.st_atime_nsec as u32,
        },
        changed: Timestamp {
            secs: stat.st_ctime as i64,
            nanos: stat.st_ctime_nsec as u32,
        },
        device: stat.st_dev as u64,
        inode: stat.st_ino as u64,
        links: stat.st_nlink as u64,
        uid: stat.st_uid,
        gid: stat.st_gid,
    }
}

pub(super) fn file_type(raw: rustix::fs::FileType) -> FileType {
    match raw {
        rustix::fs::FileType::RegularFile => FileType::File,
        rustix::fs::FileType::Directory => FileType::Dir,
        rustix::fs::FileType::Symlink => FileType::Symlink,
        rustix::fs::FileType::Unknown => FileType::Unknown,
        _ => FileType::Special,
    }
}
