//! What a process is and does: its own executable, its signals, and the program
//! that takes its place.

use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_getfd, fcntl_setfd};

use super::raw::{self, Ended, Forked};
use super::unix::{Dir, retry};

pub(crate) use super::raw::Signals;

/// The signals that ask a program to stop.
const STOP: [i32; 4] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP, libc::SIGQUIT];

/// A program that is to be run.
pub(crate) struct Program {
    pub path: PathBuf,
    /// With the name that it is called by.
    pub arguments: Vec<OsString>,
    pub environment: Vec<(OsString, OsString)>,
}

/// Replaces this process by `program`, with all signals as they are. Returns only if
/// that fails.
pub(crate) fn exec(program: &Program) -> io::Error {
    match exec_strings(program) {
        Ok((path, arguments, environment)) => raw::exec(&path, &arguments, &environment),
        Err(error) => error,
    }
}

/// Runs `command` in place of this process; returns only if that fails.
pub(crate) fn run_instead(mut command: std::process::Command) -> io::Result<i32> {
    use std::os::unix::process::CommandExt;
    Err(command.exec())
}

type Strings = (CString, Vec<CString>, Vec<CString>);

fn exec_strings(program: &Program) -> io::Result<Strings> {
    let string = |bytes: &[u8]| CString::new(bytes).map_err(io::Error::from);
    let arguments = program.arguments.iter();
    let arguments = arguments.map(|argument| string(argument.as_bytes()));
    let environment = program.environment.iter().map(|(name, value)| {
        let mut entry = name.as_bytes().to_vec();
        entry.push(b'=');
        entry.extend_from_slice(value.as_bytes());
        string(&entry)
    });
    Ok((
        string(program.path.as_os_str().as_bytes())?,
        arguments.collect::<io::Result<_>>()?,
        environment.collect::<io::Result<_>>()?,
    ))
}

/// Opens `/dev/null` for standard streams that are closed, until the process becomes
/// another: else a file that is opened would be one of them.
pub(crate) fn hold_standard_streams() {
    let is_closed = |fd: std::os::fd::BorrowedFd<'_>| fcntl_getfd(fd).is_err();
    while is_closed(rustix::stdio::stdin())
        || is_closed(rustix::stdio::stdout())
        || is_closed(rustix::stdio::stderr())
    {
        let flags = OFlags::RDWR | OFlags::CLOEXEC;
        match rustix::fs::open("/dev/null", flags, Mode::empty()) {
            Ok(stream) => std::mem::forget(stream),
            Err(_) => return,
        }
    }
}

/// The user whose rights this process has.
pub(crate) fn effective_user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether this process has no rights that its caller hasn't: else what the caller says, and
/// what the caller can write to, is not to be trusted.
pub(crate) fn has_callers_rights() -> bool {
    !raw::has_more_rights()
        && rustix::process::geteuid() == rustix::process::getuid()
        && rustix::process::getegid() == rustix::process::getgid()
}

/// This process's own executable.
pub(crate) struct OwnExecutable {
    pub file: File,
    /// Its absolute path, or what it was started by where nobody knows that.
    pub path: PathBuf,
    /// Whether a program can find out its own path, as it does on any usual system.
    pub is_told: bool,
}

/// Opens this process's own executable.
#[cfg(target_os = "linux")]
pub(crate) fn own_executable() -> io::Result<OwnExecutable> {
    use std::os::unix::ffi::OsStringExt;
    const LINK: &str = "/proc/self/exe";
    let started_by = rustix::param::linux_execfn().to_bytes();
    let started_by = PathBuf::from(OsString::from_vec(started_by.to_vec()));
    match File::open(LINK) {
        Ok(file) => Ok(OwnExecutable {
            file,
            path: match std::fs::read_link(LINK) {
                Ok(path) if !path.as_os_str().as_bytes().ends_with(b" (deleted)") => path,
                _ => std::path::absolute(&started_by).unwrap_or(started_by),
            },
            is_told: true,
        }),
        // Without /proc, the kernel's word for it stays.
        Err(error) => match File::open(&started_by) {
            Ok(file) => Ok(OwnExecutable {
                file,
                path: std::path::absolute(&started_by).unwrap_or(started_by),
                is_told: false,
            }),
            Err(_) => Err(error),
        },
    }
}

/// Opens this process's own executable.
#[cfg(not(target_os = "linux"))]
pub(crate) fn own_executable() -> io::Result<OwnExecutable> {
    let path = std::env::current_exe()?;
    Ok(OwnExecutable {
        file: File::open(&path)?,
        path,
        is_told: true,
    })
}

/// Names the run of the system since it was last started; `None` where nobody knows.
pub(crate) fn boot_id() -> Option<[u8; 16]> {
    let text = std::fs::read("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: Vec<u8> = text.into_iter().filter(u8::is_ascii_hexdigit).collect();
    let digits = std::str::from_utf8(&digits).ok()?;
    u128::from_str_radix(digits, 16).ok().map(u128::to_be_bytes)
}

/// Where the absolute `path` begins, and the names from there on, with `/`. Links among
/// them are links still.
pub(crate) fn way_to(path: &Path) -> io::Result<(PathBuf, Vec<u8>)> {
    Ok((PathBuf::from("/"), path.as_os_str().as_bytes().to_vec()))
}

/// The path that the folder is used by which was opened as `path`: who walked there has seen
/// that no link on the way is another user's.
pub(crate) fn path_to_use(_dir: &Dir, path: &Path) -> PathBuf {
    path.to_owned()
}

/// Opens `name`, a folder and no link, to look names up in it: that needs no right to
/// list it.
pub(crate) fn open_for_lookup(dir: &Dir, name: &[u8]) -> io::Result<Dir> {
    #[cfg(target_os = "linux")]
    let access = OFlags::PATH;
    #[cfg(not(target_os = "linux"))]
    let access = OFlags::RDONLY;
    let flags = access | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = retry(|| rustix::fs::openat(&dir.0, name, flags, Mode::empty()))?;
    Ok(Dir(fd))
}

/// Whether some process's program, a file that it has mapped, the script that it runs or the
/// folder that it works in is below `folder`.
pub(crate) fn is_run_from(folder: &Path) -> bool {
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return false;
    };
    let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
    let mut prefix = folder.as_os_str().as_bytes().to_vec();
    prefix.push(b'/');
    let finder = memchr::memmem::Finder::new(&prefix);
    let is_number = |name: &OsStr| name.as_bytes().iter().all(u8::is_ascii_digit);
    let mut processes = processes
        .flatten()
        .filter(|entry| is_number(&entry.file_name()));
    processes.any(|process| {
        let has = |bytes: io::Result<Vec<u8>>| bytes.is_ok_and(|b| finder.find(&b).is_some());
        let path = process.path();
        let works_in = std::fs::read_link(path.join("cwd"));
        has(std::fs::read(path.join("maps")))
            || has(std::fs::read(path.join("cmdline")))
            || works_in.is_ok_and(|at| at.starts_with(&folder))
    })
}

/// Takes part in the lock on `dir`; `false` while somebody has it alone.
pub(crate) fn try_share_dir(dir: &Dir) -> io::Result<bool> {
    match retry(|| rustix::fs::flock(&dir.0, FlockOperation::NonBlockingLockShared)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether an error says that there are no locks where a file is.
pub(crate) fn lacks_locks(error: &io::Error) -> bool {
    super::is_unsupported(error) || error.raw_os_error() == Some(libc::ENOLCK)
}

/// Takes the lock on `file` alone; `false` if somebody has it.
pub(crate) fn try_lock_file(file: &File) -> io::Result<bool> {
    match retry(|| rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a name can't be moved or removed because somebody has it open: never here.
pub(crate) fn is_in_use(_error: &io::Error) -> bool {
    false
}

/// Opens the file `name`, made with `mode` if it isn't there, to be locked.
pub(crate) fn open_lock(dir: &Dir, name: &[u8], mode: u32) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mode = Mode::from_raw_mode(mode as _);
    let fd = retry(|| rustix::fs::openat(&dir.0, name, flags, mode))?;
    Ok(File::from(fd))
}

/// What its own executable is called in messages before its path is known.
pub(crate) const OWN_EXECUTABLE: &str = "/proc/self/exe";
/// The variables that name folders with libraries, on platforms like this.
pub(crate) const LIBRARY_PATHS: [&str; 3] = ["LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LIBPATH"];
/// What separates folders in such a variable.
pub(crate) const BETWEEN_PATHS: &str = ":";
/// The variable that names the folder for caches.
pub(crate) const CACHE_HOME: &str = "XDG_CACHE_HOME";
/// The variable that names the home folder.
pub(crate) const HOME: &str = "HOME";
/// The variable that names the folder for temporary files.
pub(crate) const TEMPORARY_FOLDER: &str = "TMPDIR";
/// Whether a file's mode says who may run it.
pub(crate) const HAS_PERMISSION_BITS: bool = true;

/// Whether `one` is the variable `name`.
pub(crate) fn is_same_variable(one: &OsStr, name: &str) -> bool {
    one == name
}

/// The variable that names folders with libraries.
#[cfg(target_os = "macos")]
pub(crate) const LIBRARY_PATH: &str = "DYLD_LIBRARY_PATH";
/// The variable that names folders with libraries.
#[cfg(not(target_os = "macos"))]
pub(crate) const LIBRARY_PATH: &str = "LD_LIBRARY_PATH";

/// The platform's folder for caches, below the home folder.
#[cfg(target_os = "macos")]
pub(crate) const CACHES: &str = "Library/Caches";
/// The platform's folder for caches, below the home folder.
#[cfg(not(target_os = "macos"))]
pub(crate) const CACHES: &str = ".cache";

/// Folders that everybody may write to.
pub(crate) const TEMPORARY: [&str; 2] = ["/var/tmp", "/tmp"];

/// Keeps `dir` open, with the lock on it, in the program that this process becomes, at a
/// number that programs don't reckon with; until the result is dropped.
pub(crate) fn keep_over_exec(dir: &Dir) -> io::Result<Dir> {
    const FIRST: i32 = 100;
    // A limit below that leaves any number.
    let kept = fcntl_dupfd_cloexec(&dir.0, FIRST).or_else(|_| fcntl_dupfd_cloexec(&dir.0, 3))?;
    fcntl_setfd(&kept, FdFlags::empty())?;
    Ok(Dir(kept))
}

/// Gives new files of this process the permission bits that they are made with, less
/// `bits`, until the result is dropped.
pub(crate) struct Umask(rustix::fs::Mode);

impl Umask {
    pub(crate) fn set(bits: u32) -> Self {
        Self(rustix::process::umask(Mode::from_raw_mode(bits as _)))
    }
}

impl Drop for Umask {
    fn drop(&mut self) {
        rustix::process::umask(self.0);
    }
}

/// Holds back the signals that ask to stop, in this thread and those it starts, until
/// they are [let through](Held::release) or the value is dropped.
pub(crate) struct Held {
    before: Signals,
    is_released: bool,
}

impl Held {
    pub(crate) fn stop_signals() -> Self {
        let numbers: Vec<i32> = STOP.into_iter().filter(|n| !raw::is_ignored(*n)).collect();
        Self {
            before: Signals::of(&numbers).block(),
            is_released: false,
        }
    }

    /// Whether one of them came meanwhile.
    pub(crate) fn has_come(&self) -> bool {
        let pending = Signals::pending();
        let is_new = |number: &i32| pending.has(*number) && !self.before.has(*number);
        STOP.iter().any(is_new)
    }

    /// Lets through what came: the process ends by it, unless the caller ignored it.
    pub(crate) fn release(&mut self) {
        if !self.is_released {
            self.is_released = true;
            self.before.set();
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.release();
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Status(i32),
    Signal(i32),
}

/// Runs `program` as a child that gets every signal that this process gets, keeps
/// `lock` open, and is waited for. The process must have one thread.
pub(crate) fn run_child(mut program: Program, lock: &Dir, held: &mut Held) -> io::Result<End> {
    let all: Vec<i32> = (1..32)
        .chain(real_time())
        .filter(|number| !is_synchronous(*number) && !raw::is_ignored(*number))
        .chain([libc::SIGCHLD])
        .collect();
    let all = Signals::of(&all);
    all.block();
    // The child has the signals as the caller had them.
    let before = held.before;
    held.is_released = true;
    // Where the caller ignores it, nobody would tell of the child's end.
    let ignores_children = raw::is_ignored(libc::SIGCHLD);
    raw::by_default(libc::SIGCHLD);
    let lock = keep_over_exec(lock)?;
    match raw::fork()? {
        Forked::Child => {
            if ignores_children {
                raw::ignore(libc::SIGCHLD);
            }
            before.set();
            adopt(&mut program.environment);
            let error = exec(&program);
            // 126 and 127 are what shells say.
            let status = 126 + i32::from(error.kind() == io::ErrorKind::NotFound);
            raw::exit_now(status);
        }
        Forked::Parent(child) => {
            drop(lock);
            Ok(watch(child, &all))
        }
    }
}

/// Signals without a meaning of their own.
#[cfg(target_os = "linux")]
fn real_time() -> std::ops::RangeInclusive<i32> {
    libc::SIGRTMIN()..=libc::SIGRTMAX()
}

/// Signals without a meaning of their own: there are none.
#[cfg(not(target_os = "linux"))]
fn real_time() -> std::ops::Range<i32> {
    0..0
}

/// Signals that say what this process itself did, or can't be held back.
fn is_synchronous(number: i32) -> bool {
    [
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGFPE,
        libc::SIGILL,
        libc::SIGTRAP,
        libc::SIGSYS,
        libc::SIGKILL,
        libc::SIGSTOP,
    ]
    .contains(&number)
}

/// Signals that the terminal sends to the whole of its foreground, the child included.
fn is_of_the_terminal(number: i32) -> bool {
    [
        libc::SIGINT,
        libc::SIGQUIT,
        libc::SIGTSTP,
        libc::SIGTTIN,
        libc::SIGTTOU,
        libc::SIGWINCH,
    ]
    .contains(&number)
}

/// What systemd passes to a process is meant for this one.
fn adopt(environment: &mut [(OsString, OsString)]) {
    let process = |id: i32| OsString::from(id.to_string());
    let parent = rustix::process::getppid().map_or(0, |id| id.as_raw_nonzero().get());
    let own = rustix::process::getpid().as_raw_nonzero().get();
    for (name, value) in environment {
        let is_passed = name == OsStr::new("LISTEN_PID") || name == OsStr::new("WATCHDOG_PID");
        if is_passed && *value == process(parent) {
            *value = process(own);
        }
    }
}

/// Passes signals on to `child` until it ends.
fn watch(child: i32, all: &Signals) -> End {
    loop {
        match all.wait() {
            (libc::SIGCHLD, _) => {
                if let Some(end) = ended(child) {
                    return end;
                }
            }
            (number, false) if is_of_the_terminal(number) => {}
            (number, _) => raw::send(child, number),
        }
    }
}

/// How `child` ended, if it did: one signal may tell of several children, those included
/// that the first process of a container inherits.
fn ended(child: i32) -> Option<End> {
    let own = rustix::process::getpid().as_raw_nonzero().get();
    while let Some((process, what)) = raw::ask() {
        match what {
            _ if process != child => {}
            Ended::Exited(status) => return Some(End::Status(status)),
            Ended::Signaled(number) => return Some(End::Signal(number)),
            // By the terminal: whoever waits for this process sees it stop as well.
            Ended::Stopped(libc::SIGTSTP | libc::SIGTTIN | libc::SIGTTOU) => {
                raw::send(own, libc::SIGSTOP);
                raw::send(child, libc::SIGCONT);
            }
            Ended::Stopped(_) | Ended::Nothing => {}
        }
    }
    None
}

/// Ends this process by `number`, as its child ended.
pub(crate) fn die_by(number: i32) {
    let core = rustix::process::getrlimit(rustix::process::Resource::Core);
    let no_core = rustix::process::Rlimit {
        current: Some(0),
        ..core
    };
    // The child's own core is the one to look at.
    let _ = rustix::process::setrlimit(rustix::process::Resource::Core, no_core);
    raw::by_default(number);
    raw::send(rustix::process::getpid().as_raw_nonzero().get(), number);
    Signals::of(&[]).set();
}

/// Says `text` where the user sees it.
pub(crate) fn tell(text: &str) {
    use std::io::Write;
    let _ = writeln!(io::stderr(), "{text}");
}
