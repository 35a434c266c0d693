//! The calls that have no safe wrapper. The only module on Unix with `unsafe`.
#![allow(unsafe_code)]

use std::ffi::{CStr, CString, OsString, c_char, c_int};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::ffi::OsStringExt;

/// The arguments that the system gave to `main`.
///
/// # Safety
///
/// `arguments` has `count` pointers to strings that end in a NUL.
pub unsafe fn arguments(count: c_int, arguments: *const *const c_char) -> Vec<OsString> {
    let count = usize::try_from(count).unwrap_or_default();
    let argument = |number| {
        // SAFETY: the caller's contract.
        let argument = unsafe { CStr::from_ptr(*arguments.add(number)) };
        OsString::from_vec(argument.to_bytes().to_vec())
    };
    (0..count).map(argument).collect()
}

/// Replaces the process by the program at `path`; returns only if that fails.
pub(super) fn exec(path: &CStr, arguments: &[CString], environment: &[CString]) -> io::Error {
    let pointers = |strings: &[CString]| -> Vec<*const c_char> {
        let all = strings.iter().map(|string| string.as_ptr());
        all.chain([std::ptr::null()]).collect()
    };
    let (arguments, environment) = (pointers(arguments), pointers(environment));
    // SAFETY: all strings live until the call, and both rows end in a null pointer.
    unsafe { libc::execve(path.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// Which of the two a fork came back as.
pub(super) enum Forked {
    Parent(i32),
    Child,
}

/// Splits the process, which has one thread, into two.
pub(super) fn fork() -> io::Result<Forked> {
    // SAFETY: the caller has one thread, so the child finds no lock held.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => Ok(Forked::Child),
        child => Ok(Forked::Parent(child)),
    }
}

/// Ends the process at once, without what the program wanted done at its end.
pub(super) fn exit_now(status: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(status) }
}

/// A set of signals.
#[derive(Clone, Copy)]
pub(crate) struct Signals(libc::sigset_t);

impl Signals {
    pub(super) fn of(numbers: &[i32]) -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: the first call makes the set, the others add to it.
        unsafe {
            libc::sigemptyset(set.as_mut_ptr());
            for number in numbers {
                libc::sigaddset(set.as_mut_ptr(), *number);
            }
            Self(set.assume_init())
        }
    }

    pub(super) fn has(&self, number: i32) -> bool {
        // SAFETY: the set is complete.
        unsafe { libc::sigismember(&self.0, number) == 1 }
    }

    /// Holds back these signals as well. Returns those that were held back before.
    pub(super) fn block(&self) -> Self {
        self.mask(libc::SIG_BLOCK)
    }

    /// Holds back just these.
    pub(super) fn set(&self) {
        self.mask(libc::SIG_SETMASK);
    }

    fn mask(&self, how: c_int) -> Self {
        let mut before = MaybeUninit::uninit();
        // SAFETY: both sets are the calling thread's own. It doesn't fail for a valid `how`.
        unsafe {
            libc::pthread_sigmask(how, &self.0, before.as_mut_ptr());
            Self(before.assume_init())
        }
    }

    /// Those that came and are held back.
    pub(super) fn pending() -> Self {
        let mut set = MaybeUninit::uninit();
        // SAFETY: the call fills the set.
        unsafe {
            libc::sigpending(set.as_mut_ptr());
            Self(set.assume_init())
        }
    }

    /// Waits for one of these, which are held back. Returns its number, and whether a
    /// process sent it, not the system.
    #[cfg(target_os = "linux")]
    pub(super) fn wait(&self) -> (i32, bool) {
        let mut about = MaybeUninit::<libc::siginfo_t>::uninit();
        loop {
            // SAFETY: the set is complete; `about` is read where the call filled it.
            unsafe {
                let number = libc::sigwaitinfo(&self.0, about.as_mut_ptr());
                if number > 0 {
                    return (number, about.assume_init().si_code <= 0);
                }
            }
        }
    }

    /// Waits for one of these, which are held back. Returns its number; that the system
    /// sent it isn't told here.
    #[cfg(not(target_os = "linux"))]
    pub(super) fn wait(&self) -> (i32, bool) {
        let mut number = 0;
        // SAFETY: the set is complete, and `number` this function's own.
        unsafe { libc::sigwait(&self.0, &mut number) };
        (number, true)
    }
}

/// Whether a signal is ignored.
pub(super) fn is_ignored(number: i32) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: asks only; `action` is read where the call filled it.
    unsafe {
        libc::sigaction(number, std::ptr::null(), action.as_mut_ptr()) == 0
            && action.assume_init().sa_sigaction == libc::SIG_IGN
    }
}

/// What became of a child.
pub(super) enum Ended {
    Exited(i32),
    Signaled(i32),
    Stopped(i32),
    Nothing,
}

/// Asks which child something became of, and what, without waiting.
pub(super) fn ask() -> Option<(i32, Ended)> {
    let mut status = 0;
    // SAFETY: `status` is this function's own.
    let found = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG | libc::WUNTRACED) };
    let what = match status {
        _ if found <= 0 => return None,
        status if libc::WIFEXITED(status) => Ended::Exited(libc::WEXITSTATUS(status)),
        status if libc::WIFSTOPPED(status) => Ended::Stopped(libc::WSTOPSIG(status)),
        status if libc::WIFSIGNALED(status) => Ended::Signaled(libc::WTERMSIG(status)),
        _ => Ended::Nothing,
    };
    Some((found, what))
}

/// Sends a signal.
pub(super) fn send(process: i32, number: i32) {
    // SAFETY: a system call without pointers.
    unsafe { libc::kill(process, number) };
}

/// Ignores a signal.
pub(super) fn ignore(number: i32) {
    // SAFETY: no handler of this program's is set.
    unsafe { libc::signal(number, libc::SIG_IGN) };
}

/// Gives a signal its usual meaning.
pub(super) fn by_default(number: i32) {
    // SAFETY: no handler of this program's is set.
    unsafe { libc::signal(number, libc::SIG_DFL) };
}

/// Whether the system started this program with rights that its caller hasn't, capabilities
/// of its file included.
#[cfg(target_os = "linux")]
pub(super) fn has_more_rights() -> bool {
    // SAFETY: reads a number that the system passed to this process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// Whether the system started this program with rights that its caller hasn't, as far as
/// ids don't tell.
#[cfg(not(target_os = "linux"))]
pub(super) fn has_more_rights() -> bool {
    false
}

#[cfg(target_os = "linux")]
pub(super) use linux::*;

#[cfg(target_os = "linux")]
mod linux {
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
    pub(in super::super) fn unshare_descriptors(keep: &[BorrowedFd<'_>]) -> io::Result<()> {
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
    pub(in super::super) fn unshare_umask() -> io::Result<()> {
        // SAFETY: only the calling thread's working directory and umask are split off.
        check(unsafe { libc::unshare(libc::CLONE_FS) })?;
        rustix::process::umask(rustix::fs::Mode::empty());
        Ok(())
    }

    /// Maps one page of `file` for execution and unmaps it again.
    pub(in super::super) fn map_executable(file: BorrowedFd<'_>) -> io::Result<()> {
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
    pub(in super::super) fn advise_large_pages<T>(memory: &mut [MaybeUninit<T>]) {
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
    pub(in super::super) fn close(fd: OwnedFd) {
        // SAFETY: the descriptor was owned, and is given up here.
        unsafe { rustix::io::close(fd.into_raw_fd()) };
    }

    fn close_range(first: u32, last: u32) -> io::Result<()> {
        // SAFETY: by `unshare_descriptors`'s contract nothing on this thread uses them.
        check(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) } as libc::c_int)
    }

    fn check(result: libc::c_int) -> io::Result<()> {
        if result == -1 {
            return Err(io::Error::last_os_error());
        }
        Ok(())
    }
}
