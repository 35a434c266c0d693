//! Making trees: files, links, times, modes and attributes in one line each.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, XattrFlags};

/// A time that no clock of a test run shows: 2001-09-09 and an odd nanosecond.
pub(crate) const THEN: (i64, i64) = (1_000_000_000, 123_456_789);

/// A path from bytes that need not be UTF-8.
pub(crate) fn bytes(path: &[u8]) -> PathBuf {
    PathBuf::from(OsStr::from_bytes(path))
}

pub(crate) fn folder(path: impl AsRef<Path>) {
    std::fs::create_dir_all(path).unwrap();
}

pub(crate) fn file(path: impl AsRef<Path>, content: impl AsRef<[u8]>) {
    std::fs::write(path, content).unwrap();
}

pub(crate) fn link(path: impl AsRef<Path>, target: &[u8]) {
    symlink(OsStr::from_bytes(target), path).unwrap();
}

/// By the command: `rustix` has no such call for macOS.
pub(crate) fn fifo(path: impl AsRef<Path>) {
    let made = std::process::Command::new("mkfifo")
        .arg(path.as_ref())
        .status();
    assert!(made.unwrap().success());
}

pub(crate) fn hard_link(original: impl AsRef<Path>, path: impl AsRef<Path>) {
    std::fs::hard_link(original, path).unwrap();
}

pub(crate) fn mode(path: impl AsRef<Path>, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// Sets both times of the entry itself, a link included.
pub(crate) fn time(path: impl AsRef<Path>, (seconds, nanoseconds): (i64, i64)) {
    let time = Timespec {
        tv_sec: seconds,
        tv_nsec: nanoseconds as _,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, path.as_ref(), &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

/// Sets a user attribute; `false` where the file system has none.
pub(crate) fn xattr(path: impl AsRef<Path>, name: &str, value: &[u8]) -> bool {
    let set = rustix::fs::lsetxattr(path.as_ref(), name, value, XattrFlags::empty());
    match set {
        Err(rustix::io::Errno::OPNOTSUPP) => {
            super::leave_out("this file system has no user attributes");
            false
        }
        set => {
            set.unwrap();
            true
        }
    }
}

/// Does `change` in the folder `dir` and gives the folder back its time.
pub(crate) fn keeping_time(dir: impl AsRef<Path>, change: impl FnOnce()) {
    use std::os::unix::fs::MetadataExt;
    let before = std::fs::metadata(dir.as_ref()).unwrap();
    change();
    time(dir, (before.mtime(), before.mtime_nsec()));
}

/// Gives every entry of a tree the same time, `at` itself last.
pub(crate) fn age(at: &Path) {
    for entry in walkdir::WalkDir::new(at).contents_first(true) {
        time(entry.unwrap().path(), THEN);
    }
}

/// Makes a small bundle: a program, a library with its links, a link to a
/// folder, a dangling, an absolute and a chained one, two names of one file.
pub(crate) fn bundle(at: &Path) {
    folder(at.join("lib/deep"));
    folder(at.join("empty"));
    file(at.join("run"), "#!/bin/sh\n");
    mode(at.join("run"), 0o755);
    file(at.join("lib/libfoo.so.1.2"), vec![7; 10_000]);
    link(at.join("lib/libfoo.so.1"), b"libfoo.so.1.2");
    link(at.join("lib/libfoo.so"), b"libfoo.so.1");
    file(at.join("lib/deep/data"), "data");
    mode(at.join("lib/deep/data"), 0o640);
    hard_link(at.join("lib/deep/data"), at.join("same-data"));
    link(at.join("Current"), b"lib");
    link(at.join("dangling"), b"nowhere/at/all");
    link(at.join("absolute"), b"/nonexistent/x");
    link(at.join("lib/deep/up"), b"../../run");
    age(at);
}
