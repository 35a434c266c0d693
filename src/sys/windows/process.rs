//! What a process is and does: its own executable, what asks it to stop, and the program
//! that it waits for, as no process can become another here.

use std::ffi::{OsStr, OsString, c_char, c_int};
use std::fs::{File, TryLockError};
use std::io;
use std::os::windows::io::AsRawHandle;
use std::path::{Component, Path, PathBuf};
use std::process::Command;

use super::convert::without_prefix;
use super::raw_process::{self, Job};
use super::{
    Dir, FILE_GENERIC_READ, FILE_GENERIC_WRITE, FILE_NON_DIRECTORY_FILE, FILE_OPEN_IF, Opening,
    SHARE_ALL, SHARE_NO_DELETE, check_new_name, existing, lock_beside, open_dir, path_of, raw,
    reopen_dir,
};

/// What its own executable is called in messages before its path is known.
pub(crate) const OWN_EXECUTABLE: &str = "this program";
/// The variable that names folders with libraries.
pub(crate) const LIBRARY_PATH: &str = "PATH";
/// The variables that name folders with libraries, on platforms like this.
pub(crate) const LIBRARY_PATHS: [&str; 1] = [LIBRARY_PATH];
/// What separates folders in such a variable.
pub(crate) const BETWEEN_PATHS: &str = ";";
/// The variable that names the folder for caches.
pub(crate) const CACHE_HOME: &str = "LOCALAPPDATA";
/// The variable that names the home folder.
pub(crate) const HOME: &str = "USERPROFILE";
/// The platform's folder for caches, below the home folder.
pub(crate) const CACHES: &str = "AppData\\Local";
/// The variable that names the folder for temporary files.
pub(crate) const TEMPORARY_FOLDER: &str = "TEMP";
/// Folders that everybody may write to: none that nobody else can prepare.
pub(crate) const TEMPORARY: [&str; 0] = [];
/// Whether a file's mode says who may run it.
pub(crate) const HAS_PERMISSION_BITS: bool = false;

/// Whether `one` is the variable `name`: in any case here.
pub(crate) fn is_same_variable(one: &OsStr, name: &str) -> bool {
    one.eq_ignore_ascii_case(name)
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

/// Runs `program` in place of this process: waits for its end, and ends with its status.
/// Returns only if it can't be started.
pub(crate) fn exec(program: &Program) -> io::Error {
    match run(program) {
        Ok(status) => std::process::exit(status),
        Err(error) => error,
    }
}

/// Runs `program` as a child that gets what asks to stop, and ends with this process.
///
/// Its first argument is its path: what this process was called by can't be handed on.
/// Streams that this process lacks, as one without a console does, the child lacks as well.
fn run(program: &Program) -> io::Result<i32> {
    raw_process::hold_interrupts();
    let job = Job::new();
    let mut child = Command::new(&program.path)
        .args(program.arguments.iter().skip(1))
        .env_clear()
        .envs(
            program
                .environment
                .iter()
                .map(|(name, value)| (name, value)),
        )
        .spawn()?;
    // Windows 7 knows no job in a job: there, it may go on when this process is killed.
    if let Ok(job) = &job {
        let _ = job.add(&child);
    }
    raw_process::hand_on_the_foreground(&child);
    let status = child.wait()?;
    Ok(status.code().unwrap_or(1))
}

/// Runs `command` as a child, and returns its exit status.
pub(crate) fn run_instead(mut command: Command) -> io::Result<i32> {
    let status = command.status()?;
    Ok(status.code().unwrap_or(1))
}

/// Streams are never closed here.
pub(crate) fn hold_standard_streams() {}

/// There are no such numbers here: this one stands for the user.
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

/// Names the run of the system since it was last started, by the time of that; `None` where
/// the system doesn't tell.
pub(crate) fn boot_id() -> Option<[u8; 16]> {
    let time = raw_process::boot_time().ok()?;
    let mut id = *b"........windows.";
    id[..8].copy_from_slice(&time.to_le_bytes());
    Some(id)
}

/// Where the absolute `path` begins, and the names from there on, with `/`. Links are
/// followed already, as far as there is something: what is there has one path without.
pub(crate) fn way_to(path: &Path) -> io::Result<(PathBuf, Vec<u8>)> {
    let mut missing = Vec::new();
    let mut there = path.to_owned();
    let found = loop {
        match std::fs::canonicalize(&there) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let Some(name) = there.file_name() else {
                    return Err(error);
                };
                missing.push(name.to_owned());
                there.pop();
            }
            found => break found?,
        }
    };
    let found = without_prefix(found);
    let names = found.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name),
        _ => None,
    });
    let names: Vec<&[u8]> = names
        .chain(missing.iter().rev().map(OsString::as_os_str))
        .map(super::os_to_bytes)
        .collect();
    let root = found.ancestors().last().unwrap_or(&found);
    Ok((root.to_owned(), names.join(&b'/')))
}

/// The path that the folder `dir` is used by, which was opened as `path`: without links that
/// others could put in place of it.
pub(crate) fn path_to_use(dir: &Dir, _path: &Path) -> PathBuf {
    without_prefix(path_of(dir))
}

/// Opens `name`, a folder and no link, to look names up in it.
pub(crate) fn open_for_lookup(dir: &Dir, name: &[u8]) -> io::Result<Dir> {
    open_dir(dir, name)
}

/// Opens what is at `path` for reading.
pub(crate) fn open_plain(path: &Path) -> io::Result<File> {
    File::open(path)
}

/// Whether some process runs from below `folder`: nobody removes what is open here.
pub(crate) fn is_run_from(_folder: &Path) -> bool {
    false
}

/// Takes part in the lock on `dir`; `false` while somebody has it alone. Its file stays
/// beside the folder, until somebody has the lock alone.
pub(crate) fn try_share_dir(dir: &Dir) -> io::Result<bool> {
    lock_beside(dir, SHARE_NO_DELETE, 0)
}

/// Takes the lock on `file` alone; `false` if somebody has it.
pub(crate) fn try_lock_file(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Whether an error says that there are no locks where a file is.
pub(crate) fn lacks_locks(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Unsupported
}

/// Opens the file `name`, made if it isn't there, to be locked.
pub(crate) fn open_lock(dir: &Dir, name: &[u8], _mode: u32) -> io::Result<File> {
    let how = existing(FILE_GENERIC_READ | FILE_GENERIC_WRITE, SHARE_ALL);
    let how = Opening {
        disposition: FILE_OPEN_IF,
        options: how.options | FILE_NON_DIRECTORY_FILE,
        ..how
    };
    raw::open_at(&dir.handle, check_new_name(name)?, how)
}

/// Keeps `dir` open while the program runs that this process waits for.
pub(crate) fn keep_over_exec(dir: &Dir) -> io::Result<Dir> {
    reopen_dir(dir)
}

/// There are no such bits here.
pub(crate) struct Umask;

impl Umask {
    pub(crate) fn set(_bits: u32) -> Self {
        Self
    }
}

/// Holds back what asks to stop until it is [let through](Held::release) or the value is
/// dropped: then the process ends, if it came.
pub(crate) struct Held {
    is_released: bool,
}

impl Held {
    pub(crate) fn stop_signals() -> Self {
        raw_process::hold_interrupts();
        Self { is_released: false }
    }

    pub(crate) fn has_come(&self) -> bool {
        raw_process::has_come()
    }

    pub(crate) fn release(&mut self) {
        const INTERRUPTED: i32 = 130;
        if std::mem::replace(&mut self.is_released, true) {
            return;
        }
        raw_process::release_interrupts();
        if self.has_come() {
            std::process::exit(INTERRUPTED);
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
    #[allow(dead_code, reason = "no signal ends a process here")]
    Signal(i32),
}

/// Runs `program` as a child, as [`exec`] does. What asks to stop is the child's affair.
#[expect(
    clippy::needless_pass_by_value,
    reason = "the same signature everywhere"
)]
pub(crate) fn run_child(program: Program, _lock: &Dir, held: &mut Held) -> io::Result<End> {
    held.is_released = true;
    run(&program).map(End::Status)
}

/// No signal ends a process here.
pub(crate) fn die_by(_number: i32) {}

/// Says `text` where the user sees it: in a window, if there is no standard error.
pub(crate) fn tell(text: &str) {
    use std::io::Write;
    let mut stream = io::stderr();
    if !stream.as_raw_handle().is_null() {
        let _ = writeln!(stream, "{text}");
        return;
    }
    let own = std::env::current_exe().unwrap_or_default();
    let title = own.file_stem().unwrap_or_default().to_string_lossy();
    raw_process::show(text, &title);
}
