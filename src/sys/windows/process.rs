//! What a process is and does. Self-extracting executables are not started here yet: what
//! they need says that it is not supported.

use std::ffi::{OsString, c_char, c_int};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::Dir;

/// The variable that names folders with libraries.
pub(crate) const LIBRARY_PATH: &str = "PATH";
/// The platform's folder for caches, below the home folder.
pub(crate) const CACHES: &str = "AppData\\Local";
/// Folders that everybody may write to: none that nobody else can prepare.
pub(crate) const TEMPORARY: [&str; 0] = [];

fn unsupported<T>() -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

/// The arguments of the process: what `main` got is not in Unicode.
///
/// # Safety
///
/// None here; on other platforms the pointers are read.
#[allow(unsafe_code, reason = "the same signature everywhere")]
pub unsafe fn arguments(_count: c_int, _arguments: *const *const c_char) -> Vec<OsString> {
    std::env::args_os().collect()
}

/// A program that is to be run.
pub(crate) struct Program {
    pub path: PathBuf,
    /// With the name that it is called by.
    pub arguments: Vec<OsString>,
    pub environment: Vec<(OsString, OsString)>,
}

/// Replaces this process by `program`, which no process can here.
pub(crate) fn exec(_program: &Program) -> io::Error {
    io::ErrorKind::Unsupported.into()
}

/// Runs `command` as a child, and returns its exit status.
pub(crate) fn run_instead(mut command: std::process::Command) -> io::Result<i32> {
    let status = command.status()?;
    Ok(status.code().unwrap_or(1))
}

/// Streams are never closed here.
pub(crate) fn hold_standard_streams() {}

/// There are no such numbers here.
pub(crate) fn effective_user() -> u32 {
    0
}

/// Whether this process has no rights that its caller hasn't.
pub(crate) fn has_callers_rights() -> bool {
    true
}

/// This process's own executable.
pub(crate) struct OwnExecutable {
    pub file: File,
    /// Its absolute path.
    pub path: PathBuf,
    /// Whether a program can find out its own path.
    pub is_told: bool,
}

/// Opens this process's own executable.
pub(crate) fn own_executable() -> io::Result<OwnExecutable> {
    let path = std::env::current_exe()?;
    Ok(OwnExecutable {
        file: File::open(&path)?,
        path,
        is_told: true,
    })
}

/// Names the run of the system since it was last started; nobody knows here.
pub(crate) fn boot_id() -> Option<[u8; 16]> {
    None
}

/// Opens `name`, a folder and no link, to look names up in it.
pub(crate) fn open_for_lookup(_dir: &Dir, _name: &[u8]) -> io::Result<Dir> {
    unsupported()
}

/// Opens what is at `path` for reading.
pub(crate) fn open_plain(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Whether some process runs from below `folder`: nobody removes what is open here.
pub(crate) fn is_run_from(_folder: &Path) -> bool {
    false
}

/// Takes part in the lock on `dir`.
pub(crate) fn try_share_dir(_dir: &Dir) -> io::Result<bool> {
    unsupported()
}

/// Takes the lock on `file` alone; `false` if somebody has it.
pub(crate) fn try_lock_file(_file: &File) -> io::Result<bool> {
    unsupported()
}

/// Whether an error says that there are no locks where a file is.
pub(crate) fn lacks_locks(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

/// Opens the file `name`, made if it isn't there, to be locked.
pub(crate) fn open_lock(_dir: &Dir, _name: &[u8], _mode: u32) -> io::Result<File> {
    unsupported()
}

/// Keeps `dir` open in the program that this process becomes.
pub(crate) fn keep_over_exec(_dir: &Dir) -> io::Result<Dir> {
    unsupported()
}

/// There are no such bits here.
pub(crate) struct Umask;

impl Umask {
    pub(crate) fn set(_bits: u32) -> Self {
        Self
    }
}

/// Signals that ask to stop end a process here.
pub(crate) struct Held;

impl Held {
    pub(crate) fn stop_signals() -> Self {
        Self
    }

    pub(crate) fn has_come(&self) -> bool {
        false
    }

    pub(crate) fn release(&mut self) {}
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
    #[allow(dead_code, reason = "no signal ends a process here")]
    Signal(i32),
}

/// Runs `program` as a child.
pub(crate) fn run_child(program: Program, _lock: &Dir, _held: &mut Held) -> io::Result<End> {
    let mut arguments = program.arguments.into_iter();
    arguments.next();
    let mut command = std::process::Command::new(&program.path);
    command
        .args(arguments)
        .env_clear()
        .envs(program.environment);
    run_instead(command).map(End::Status)
}

/// No signal ends a process here.
pub(crate) fn die_by(_number: i32) {}
