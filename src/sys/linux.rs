//! What Linux has of its own: atomic renames, reflinks, copying inside the
//! kernel, preallocation, and threads with a descriptor table of their own.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::AsFd;

use rustix::fs::{AtFlags, CWD, FallocateFlags, Mode, OFlags, RawDir, RenameFlags, XattrFlags};
use rustix::io::Errno;

use super::unix::{file_type, rename_new_without_flag, retry};
use super::{Dir, Isolation, Listed, raw};

/// Bytes for one call of `getdents64`. 32 KiB hold about 1,000 names; larger
/// buffers gained nothing on folders of 50,000 files.
const LISTING_BYTES: usize = 32 * 1024;

/// Calls `each` for every entry of `dir` but `.` and `..`, in the file system's order.
pub(crate) fn list_dir<E: From<io::Error>>(
    dir: &Dir,
    mut each: impl FnMut(Listed<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let mut buffer = [const { MaybeUninit::<u8>::uninit() }; LISTING_BYTES];
    // A handle that was listed before stands at its end.
    retry(|| rustix::fs::seek(&dir.0, rustix::fs::SeekFrom::Start(0)))?;
    let mut entries = RawDir::new(&dir.0, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Err(Errno::INTR) => continue,
            other => other.map_err(io::Error::from)?,
        };
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
pub(crate) fn lacks_flag(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
    )
}

/// Lets the empty file `to` share all extents of `from`.
pub(crate) fn clone_file(from: &File, to: &File) -> io::Result<()> {
    retry(|| rustix::fs::ioctl_ficlone(to, from))
}

/// Copies up to `len` bytes inside the kernel; returns how many, 0 at the end. Whole
/// blocks of a file system that can share them are shared.
pub(crate) fn copy_range(
    from: &File,
    start: u64,
    to: &File,
    offset: u64,
    len: u64,
) -> io::Result<u64> {
    let len = usize::try_from(len).unwrap_or(usize::MAX);
    retry(|| {
        let (mut read, mut write) = (start, offset);
        rustix::fs::copy_file_range(from, Some(&mut read), to, Some(&mut write), len)
    })
    .map(|copied| copied as u64)
}

/// Whether copying inside the kernel spares the way through this machine: on
/// network file systems the server does the work. Elsewhere it moves pages
/// through a 64 KiB pipe, which loses to `pread` and `pwrite` with a buffer
/// that stays in the cache (docs/performance.md).
pub(crate) fn offloads_copies(dir: &Dir) -> bool {
    const NFS: u32 = 0x6969;
    const CIFS: u32 = 0xff53_4d42;
    const SMB2: u32 = 0xfe53_4d42;
    const CEPH: u32 = 0x00c3_6400;
    const LUSTRE: u32 = 0x0bd0_0bd0;
    const FUSE: u32 = 0x6573_5546;
    matches!(magic(dir), Ok(NFS | CIFS | SMB2 | CEPH | LUSTRE | FUSE))
}

/// Whether reserving a large file's blocks before writing makes writing it
/// faster: on ext4 it does, by a sixth (docs/performance.md). XFS gains
/// nothing, tmpfs would fill the pages with zeros first, and btrfs would give
/// up compression.
pub(crate) fn gains_from_allocation(dir: &Dir) -> bool {
    const EXT4: u32 = 0xef53;
    matches!(magic(dir), Ok(EXT4))
}

/// Whether the file system of `dir` is known to note every change of a file
/// by this machine's own clock. A server has its own, and FAT notes no change.
pub(crate) fn notes_changes(dir: &Dir) -> bool {
    const EXT4: u32 = 0xef53;
    const XFS: u32 = 0x5846_5342;
    const BTRFS: u32 = 0x9123_683e;
    const TMPFS: u32 = 0x0102_1994;
    matches!(magic(dir), Ok(EXT4 | XFS | BTRFS | TMPFS))
}

/// Closes a file. The C library's own `close` may be cancelled, and pays for
/// that with a hundredth of the time that a copy of many small files takes.
pub(crate) fn close_file(file: File) {
    raw::close(file.into());
}

/// Reserves `len` bytes of storage for `file` and sets its size.
pub(crate) fn allocate(file: &File, len: u64) -> io::Result<()> {
    retry(|| rustix::fs::fallocate(file, FallocateFlags::empty(), 0, len))
}

/// The file system's name, for messages only: `ext4`, or its number in hexadecimal.
pub(crate) fn filesystem_name(dir: &Dir) -> io::Result<String> {
    let magic = magic(dir)?;
    if let Some(name) = mounted_type(dir) {
        return Ok(name);
    }
    Ok(match magic {
        0xef53 => "ext4".to_owned(),
        0x5846_5342 => "xfs".to_owned(),
        0x9123_683e => "btrfs".to_owned(),
        0x0102_1994 => "tmpfs".to_owned(),
        0x6573_5546 => "fuse".to_owned(),
        0x4d44 => "vfat".to_owned(),
        0x794c_7630 => "overlay".to_owned(),
        other => format!("{other:#x}"),
    })
}

/// Makes everything written to the file system of `dir` durable.
pub(crate) fn sync_filesystem(dir: &Dir) -> io::Result<()> {
    retry(|| rustix::fs::syncfs(&dir.0))
}

/// Sets the mode of the directory `name` without opening it for reading, which
/// its present mode may forbid, and without following a link.
pub(crate) fn set_dir_mode_at(dir: &Dir, name: &[u8], mode: u32) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = retry(|| rustix::fs::openat(&dir.0, name, flags, Mode::empty()))?;
    let path = format!("/proc/thread-self/fd/{}", handle.as_raw_fd());
    let mode = Mode::from_raw_mode(mode);
    retry(|| rustix::fs::chmodat(CWD, path.as_str(), mode, AtFlags::empty()))
}

/// Whether code on the file system of `file` may run.
pub(crate) fn may_execute(file: &File) -> io::Result<bool> {
    match raw::map_executable(file.as_fd()) {
        Ok(()) => Ok(true),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::PERM) => Ok(false),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::NODEV) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a file system, or a part of one, is mounted at `dir`.
pub(crate) fn is_mount_point(dir: &Dir) -> bool {
    let mask = rustix::fs::StatxFlags::empty();
    let found = retry(|| rustix::fs::statx(&dir.0, c"", AtFlags::EMPTY_PATH, mask));
    // A kernel before 5.8 doesn't say: nothing more is known then.
    found.is_ok_and(|found| {
        found
            .stx_attributes
            .contains(rustix::fs::StatxAttributes::MOUNT_ROOT)
    })
}

/// Removes a default ACL that `dir` inherited: it would change the mode of
/// everything made inside.
pub(crate) fn drop_default_acl(dir: &Dir) {
    // Most directories have none, and most file systems say so with an error.
    let _ = rustix::fs::fremovexattr(&dir.0, "system.posix_acl_default");
}

/// Splits the calling thread off from the process's descriptor table and umask.
///
/// Threads that share a table take a lock for each descriptor that they open
/// or close. The thread may use only the handles in `keep`, and whatever it
/// opens itself, until it ends.
pub(crate) fn isolate_thread(keep: &[&Dir]) -> Isolation {
    let keep: Vec<_> = keep.iter().map(|dir| dir.0.as_fd()).collect();
    // A sandbox may forbid either; the thread then works as any other does.
    let _ = raw::unshare_descriptors(&keep);
    Isolation {
        exact_modes: raw::unshare_umask().is_ok(),
    }
}

/// Calls `each` with the name and value of every user attribute of `file`.
pub(crate) fn file_xattrs(file: &File) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    user_xattrs(file.as_fd())
}

/// Reads the user attributes of a directory.
pub(crate) fn dir_xattrs(dir: &Dir) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    user_xattrs(dir.0.as_fd())
}

/// Sets one attribute of an open file.
pub(crate) fn set_file_xattr(file: &File, name: &[u8], value: &[u8]) -> io::Result<()> {
    retry(|| rustix::fs::fsetxattr(file, name, value, XattrFlags::empty()))
}

/// Sets one attribute of an open directory.
pub(crate) fn set_dir_xattr(dir: &Dir, name: &[u8], value: &[u8]) -> io::Result<()> {
    retry(|| rustix::fs::fsetxattr(&dir.0, name, value, XattrFlags::empty()))
}

/// Removes one attribute of an open directory.
pub(crate) fn remove_dir_xattr(dir: &Dir, name: &[u8]) -> io::Result<()> {
    retry(|| rustix::fs::fremovexattr(&dir.0, name))
}

fn user_xattrs(fd: std::os::fd::BorrowedFd<'_>) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    // Nearly every file has none or few: one call answers.
    let mut names = [0_u8; 1024];
    let listed = match retry(|| rustix::fs::flistxattr(fd, &mut names[..])) {
        Ok(0) => return Ok(Vec::new()),
        Ok(len) => names[..len].to_vec(),
        Err(error) if Errno::from_io_error(&error) == Some(Errno::RANGE) => {
            let mut grown = vec![0; 64 * 1024];
            let len = retry(|| rustix::fs::flistxattr(fd, &mut grown[..]))?;
            grown.truncate(len);
            grown
        }
        Err(error) if super::is_unsupported(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for name in listed.split(|&byte| byte == 0) {
        if name.starts_with(b"user.") {
            found.push((name.to_vec(), xattr_value(fd, name)?));
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn xattr_value(fd: std::os::fd::BorrowedFd<'_>, name: &[u8]) -> io::Result<Vec<u8>> {
    // The kernel's own bound of a value (XATTR_SIZE_MAX).
    let mut value = vec![0; 64 * 1024];
    let len = retry(|| rustix::fs::fgetxattr(fd, name, &mut value[..]))?;
    value.truncate(len);
    value.shrink_to_fit();
    Ok(value)
}

#[allow(
    clippy::unnecessary_cast,
    reason = "the field's type differs between architectures"
)]
fn magic(dir: &Dir) -> io::Result<u32> {
    Ok(retry(|| rustix::fs::fstatfs(&dir.0))?.f_type as u32)
}

/// The type in the mount table, which knows `fuse.exfat` from `fuse.sshfs`.
fn mounted_type(dir: &Dir) -> Option<String> {
    let device = super::stat_dir(dir).ok()?.device;
    let wanted = format!(
        "{}:{}",
        rustix::fs::major(device),
        rustix::fs::minor(device)
    );
    let table = std::fs::read_to_string("/proc/self/mountinfo").ok()?;
    let line = table
        .lines()
        .find(|line| line.split(' ').nth(2) == Some(wanted.as_str()))?;
    let (_, after) = line.split_once(" - ")?;
    after.split(' ').next().map(str::to_owned)
}

/// Asks for large pages under memory that is about to be filled, where it is large
/// enough: the first touch of each small one takes as long as decoding it.
pub(crate) fn prefer_large_pages<T>(memory: &mut [MaybeUninit<T>]) {
    super::raw::advise_large_pages(memory);
}
