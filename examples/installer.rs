//! An installer: a bundle from an archive, with a line that counts, and the version before
//! back in its place if the new one doesn't start.
//!
//! `cargo run --release --example installer -- ARCHIVE FOLDER [PROGRAM]`
//!
//! 1. The archive's one folder is extracted to `FOLDER.new`, whole or not at all. Return
//!    stops it; nothing has changed then.
//! 2. FOLDER becomes `FOLDER.before`, and `FOLDER.new` becomes FOLDER.
//! 3. PROGRAM, from FOLDER on, is run with `--version`. If it fails, `FOLDER.before` becomes
//!    FOLDER again.

#![allow(clippy::print_stderr, reason = "an installer speaks to its user")]

use std::error::Error;
use std::fs;
use std::io::{IsTerminal, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bundlecp::extract::{self, extract};
use bundlecp::{ErrorKind, Progress, Status};

fn main() -> ExitCode {
    let arguments: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let (archive, folder, program) = match &arguments[..] {
        [archive, folder] => (archive, folder, None),
        [archive, folder, program] => (archive, folder, Some(program.as_path())),
        _ => {
            eprintln!("usage: installer ARCHIVE FOLDER [PROGRAM]");
            return ExitCode::from(2);
        }
    };
    match install(archive, folder, program, &Counter::listening()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The library's errors have a hint of their own, and a status that fits them.
            let own = error.downcast_ref::<bundlecp::Error>();
            eprintln!("{}", own.map_or(error.to_string(), bundlecp::Error::report));
            ExitCode::from(match own.map(bundlecp::Error::kind) {
                None => 1,
                Some(ErrorKind::Interrupted) => 130,
                Some(kind) => kind.exit_status(),
            })
        }
    }
}

fn install(
    archive: &Path,
    folder: &Path,
    program: Option<&Path>,
    progress: &dyn Progress,
) -> Result<(), Box<dyn Error>> {
    let (new, before) = (beside(folder, ".new"), beside(folder, ".before"));
    let mut options = extract::Options::default();
    // The archive's own folder becomes FOLDER.
    options.strip_components = 1;
    // It is on the disk before anything takes its place.
    options.sync = bundlecp::copy::Sync::Full;
    let done = extract(archive, &new, &options, progress)?;
    eprintln!("{} files, {} links", done.files, done.symlinks);

    let is_update = folder.exists();
    if is_update {
        remove(&before)?;
        fs::rename(folder, &before)?;
    }
    if let Err(error) = fs::rename(&new, folder) {
        if is_update {
            fs::rename(&before, folder)?;
        }
        remove(&new)?;
        return Err(error.into());
    }
    if program.is_none_or(|program| starts(&folder.join(program))) {
        return Ok(());
    }
    fs::rename(folder, &new)?;
    if is_update {
        fs::rename(&before, folder)?;
    }
    remove(&new)?;
    Err(match is_update {
        true => "the new version doesn't start: the one before is back".into(),
        false => "the program doesn't start: nothing is installed".into(),
    })
}

fn starts(program: &Path) -> bool {
    let started = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    started.as_ref().is_ok_and(ExitStatus::success)
}

fn beside(folder: &Path, ending: &str) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(ending);
    folder.with_file_name(name)
}

fn remove(folder: &Path) -> std::io::Result<()> {
    match folder.exists() {
        true => fs::remove_dir_all(folder),
        false => Ok(()),
    }
}

/// A line that counts, and a thread that waits for Return.
struct Counter {
    stopped: Arc<AtomicBool>,
}

impl Counter {
    fn listening() -> Self {
        let stopped = Arc::new(AtomicBool::new(false));
        if std::io::stdin().is_terminal() {
            let stopped = Arc::clone(&stopped);
            std::thread::spawn(move || {
                if std::io::stdin().read(&mut [0]).is_ok() {
                    stopped.store(true, Ordering::Relaxed);
                }
            });
        }
        Self { stopped }
    }
}

impl Progress for Counter {
    fn report(&self, status: &Status) -> ControlFlow<()> {
        if std::io::stderr().is_terminal() {
            let total = status.entries_total.unwrap_or(status.entries);
            eprint!("\r{} of {total} entries ", status.entries);
            let _ = std::io::stderr().flush();
        }
        match self.stopped.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}
