//! What only Linux has, on all other platforms: "unsupported", or nothing to do.
//!
//! macOS makes clones under a new name only ([`create_clone`](super::create_clone)), its
//! `fcopyfile` copies whole files in user space, and between two open files it would report
//! a clone that is none: the flags for that are those of `copyfile`, which takes paths
//! (<https://openradar.appspot.com/30706426>). `F_PREALLOCATE` has no safe wrapper. Of Windows'
//! file systems, only ReFS shares storage. Where a file system can't reserve any,
//! `posix_fallocate` may write zeros instead, which costs more than it gains.

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;

use super::{Dir, Isolation};

/// Lets the empty file `to` share all extents of `from`.
pub(crate) fn clone_file(_from: &File, _to: &File) -> io::Result<()> {
    unsupported()
}

/// Copies up to `len` bytes inside the kernel.
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

/// Reserves storage for `file`: nobody asks for it while [`gains_from_allocation`] says no.
pub(crate) fn allocate(_file: &File, _len: u64) -> io::Result<()> {
    unsupported()
}

/// Closes a file.
pub(crate) fn close_file(file: File) {
    drop(file);
}

/// Splits the calling thread off from the process's descriptor table and umask.
///
/// Threads share both, where there are such, so files get their mode less the umask.
pub(crate) fn isolate_thread(_keep: &[&Dir]) -> Isolation {
    Isolation { exact_modes: false }
}

/// Does nothing: there is no such call here.
pub(crate) fn prefer_large_pages<T>(_: &mut [MaybeUninit<T>]) {}

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}
