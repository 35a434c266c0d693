//! What several test files need: scratch folders that can always be removed, a
//! snapshot of a tree that shares no code with the crate, and the command.
#![allow(dead_code, reason = "each test file uses a part of this")]

pub(crate) mod build;
pub(crate) mod random;
pub(crate) mod snapshot;
pub(crate) mod world;
pub(crate) mod x86;
pub(crate) mod zlib;

use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Timespec, Timestamps, XattrFlags};
use tempfile::TempDir;

/// A temporary folder that is removed whatever modes the tree in it has.
pub(crate) struct Scratch(TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    /// One in memory, where that is a file system with user attributes: for tests that make
    /// thousands of trees and don't mind of what kind it is. ext4 doesn't use the number of
    /// a removed file for five seconds, and looks longer for one the more are removed.
    pub(crate) fn in_memory() -> Self {
        let memory = Self::new_in(Path::new("/dev/shm")).filter(|scratch| {
            let (root, name) = (scratch.root(), "user.bundlecp");
            rustix::fs::setxattr(root, name, b"", XattrFlags::empty()).is_ok()
                && rustix::fs::removexattr(root, name).is_ok()
        });
        memory.unwrap_or_else(Self::new)
    }

    /// One in the folder `at`, if there can be one.
    pub(crate) fn new_in(at: &Path) -> Option<Self> {
        TempDir::new_in(at).ok().map(Self)
    }

    pub(crate) fn root(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.root().join(relative)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Ok(root) = rustix::fs::open(self.root(), folder_flags(), Mode::empty()) {
            open_up(&root);
        }
    }
}

pub(crate) fn folder_flags() -> OFlags {
    OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC
}

/// Gives the owner access to every folder below `dir`.
pub(crate) fn open_up(dir: &impl std::os::fd::AsFd) {
    let Ok(entries) = Dir::read_from(dir) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if name == c"." || name == c".." || entry.file_type() != FileType::Directory {
            continue;
        }
        let _ = rustix::fs::chmodat(dir, name, Mode::RWXU, AtFlags::empty());
        if let Ok(inner) = rustix::fs::openat(dir, name, folder_flags(), Mode::empty()) {
            open_up(&inner);
        }
    }
}

/// Gives the folder its mode and times back.
pub(crate) fn restore(dir: &OwnedFd, before: &rustix::fs::Stat) {
    rustix::fs::fchmod(dir, Mode::from_raw_mode(before.st_mode & 0o7777)).unwrap();
    let time = |seconds, nanos| Timespec {
        tv_sec: seconds,
        tv_nsec: nanos as _,
    };
    let times = Timestamps {
        last_access: time(before.st_atime, before.st_atime_nsec),
        last_modification: time(before.st_mtime, before.st_mtime_nsec),
    };
    rustix::fs::futimens(dir, &times).unwrap();
}

/// Whether this test runs as the administrator, whom no mode stops.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Says why a part of a test is left out here.
#[allow(clippy::print_stderr, reason = "tests have nowhere else to say it")]
pub(crate) fn leave_out(why: &str) {
    eprintln!("left out: {why}");
}

/// What a run of a program came to.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// The standard output as one JSON document.
    pub(crate) fn json(&self) -> serde_json::Value {
        let parsed = serde_json::from_str(&self.stdout);
        parsed.unwrap_or_else(|error| panic!("{error} in {self:?}"))
    }
}

/// Runs `bundlecp` in the folder `dir`.
pub(crate) fn bundlecp<A: AsRef<OsStr>>(dir: &Path, arguments: &[A]) -> Ran {
    run(env!("CARGO_BIN_EXE_bundlecp"), dir, arguments)
}

/// Runs any program in the folder `dir`, speaking English.
pub(crate) fn run<A: AsRef<OsStr>>(program: &str, dir: &Path, arguments: &[A]) -> Ran {
    let mut command = Command::new(program);
    command.current_dir(dir).env("LC_ALL", "C").args(arguments);
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran {
        status: output.status.code().unwrap_or(-1),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// The names in a folder, sorted.
pub(crate) fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<_> = entries
        .map(|entry| name(entry).to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// What `doctor` says of the bundle at `path`.
pub(crate) fn examine(path: &Path) -> bundlecp::doctor::Outcome {
    let options = bundlecp::doctor::Options::default();
    bundlecp::doctor::examine(path, &options, &bundlecp::Silent).unwrap()
}

/// Copies with the library, quietly, on `jobs` threads.
pub(crate) fn copy_with(source: &Path, destination: &Path, jobs: usize) -> bundlecp::copy::Outcome {
    let mut options = bundlecp::copy::Options::default();
    options.jobs = Some(jobs);
    let sources = [source.to_owned()];
    let copied = bundlecp::copy::copy(&sources, destination, &options, &bundlecp::Silent);
    copied.unwrap_or_else(|error| panic!("{error:?}"))
}
