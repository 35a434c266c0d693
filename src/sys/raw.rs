//! The calls of Linux that have no safe wrapper. The only module with `unsafe`.
#![allow(unsafe_code)]

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, IntoRawFd, OwnedFd};

use rustix::mm::{Advice, madvise};

/// Gives the calling thread its own file descriptor table with only `keep` and
/// the three standard streams in it.
///
/// The caller must be a thread that uses no other descriptor until it ends:
/// numbers that it knew are closed here, and what it opens is unknown to the
/// other threads. Every [`OwnedFd`] made after this call
/// must be dropped on the same thread.
pub(super) fn unshare_descriptors(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
    // SAFETY: only the calling thread's table changes, and its contract is above.
    check(unsafe { libc::unshare(libc::CLONE_FILES) })?;
    let mut kept: Vec<u32> = keep.iter().map(|fd| fd.as_raw_fd() as u32).collect();
    kept.sort_unstable();
    let mut first = 3;
    for fd in kept {
        if fd > first {
            close_range(first, fd - 1)?;
        }
        first = first.max(fd + 1);
    }
    close_range(first, u32::MAX)
}

/// Gives the calling thread its own umask, and sets it to 0.
pub(super) fn unshare_umask() -> io::Result<()> {
    // SAFETY: only the calling thread's working directory and umask are split off.
    check(unsafe { libc::unshare(libc::CLONE_FS) })?;
    rustix::process::umask(rustix::fs::Mode::empty());
    Ok(())
}

/// Maps one page of `file` for execution and unmaps it again.
pub(super) fn map_executable(file: BorrowedFd<'_>) -> io::Result<()> {
    use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
    const PAGE: usize = 4096;
    let protection = ProtFlags::READ | ProtFlags::EXEC;
    // SAFETY: a new mapping at an address that the kernel chooses; nothing reads
    // or runs it, and it is gone before this function returns.
    unsafe {
        let at = mmap(
            std::ptr::null_mut(),
            PAGE,
            protection,
            MapFlags::PRIVATE,
            file,
            0,
        )?;
        munmap(at, PAGE)?;
    }
    Ok(())
}

/// Asks for large pages under the whole 2 MiB that lie in `memory`.
pub(super) fn advise_large_pages<T>(memory: &mut [MaybeUninit<T>]) {
    const LARGE: usize = 2 << 20;
    let range = memory.as_mut_ptr_range();
    let start = range.start.addr().next_multiple_of(LARGE);
    let end = range.end.addr() / LARGE * LARGE;
    if start < end {
        let at = range.start.with_addr(start).cast();
        // SAFETY: the pages are the caller's, and what is in them stays.
        let _ = unsafe { madvise(at, end - start, Advice::LinuxHugepage) };
    }
}

/// Closes a descriptor by the bare system call.
pub(super) fn close(fd: OwnedFd) {
    // SAFETY: the descriptor was owned, and is given up here.
    unsafe { rustix::io::close(fd.into_raw_fd()) };
}

fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: by `unshare_descriptors`'s contract nothing on this thread uses them.
    check(unsafe { libc::close_range(first, last, 0) })
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
