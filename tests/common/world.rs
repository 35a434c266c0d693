//! A folder to copy in, for the tests of the copying rules.

use std::path::Path;

use super::build::{self, bundle, file, folder, link, mode};
use super::snapshot::Snapshot;
use super::{Scratch, leave_out, run};

/// A folder to copy in: bundles, single files and links, existing folders.
pub(crate) fn world() -> Scratch {
    let scratch = Scratch::new();
    bundle(&scratch.path("src"));
    bundle(&scratch.path("-dash"));
    bundle(&scratch.path("pack"));
    bundle(&scratch.path("probe"));
    folder(scratch.path("other"));
    file(scratch.path("other/f"), "other");
    file(scratch.path("other/namesake"), "another file of this name");
    file(scratch.path("file"), "single");
    mode(scratch.path("file"), 0o751);
    file(scratch.path("-file"), "single");
    link(scratch.path("link"), b"file");
    link(scratch.path("to-folder"), b"src/lib");
    link(scratch.path("to-dst"), b"dst");
    link(scratch.path("dangling"), b"nothing");
    folder(scratch.path("dst"));
    folder(scratch.path("dst/there"));
    build::age(scratch.root());
    scratch
}

/// The whole world, without the times of the folders that stood before.
pub(crate) fn seen(scratch: &Scratch) -> Snapshot {
    Snapshot::of(scratch.root()).without_times_of(&[b"", b"dst", b"other"])
}

pub(crate) fn has_gnu_cp() -> bool {
    let is_gnu = run("cp", Path::new("."), &["--version"])
        .stdout
        .contains("coreutils");
    if !is_gnu {
        leave_out("there is no GNU cp here");
    }
    is_gnu
}

/// A target for a merge: older files, and some that the source doesn't have.
pub(crate) fn old_target(at: &Path) {
    bundle(at);
    file(at.join("run"), "an older program");
    mode(at.join("run"), 0o600);
    file(at.join("lib/kept"), "kept");
    std::fs::remove_file(at.join("lib/libfoo.so")).unwrap();
    std::fs::remove_dir(at.join("empty")).unwrap();
    link(at.join("kept-link"), b"nowhere");
    mode(at.join("lib"), 0o700);
    build::age(at);
}
