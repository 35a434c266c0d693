//! Owners: the copy belongs to whoever copies, and loses set-ID bits of others,
//! unless owners are asked for. Only the administrator can try that.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use bundlecp::Silent;
use bundlecp::copy::{Options, copy};
use common::build::{self, file, folder, mode};
use common::snapshot::Snapshot;
use common::{Scratch, copy_with, is_root, leave_out};

#[test]
fn set_id_bits_are_kept_only_with_the_owner_who_gave_them() {
    if !is_root() {
        leave_out("only the administrator can give files away");
        return;
    }
    let scratch = Scratch::new();
    folder(scratch.path("source/folder"));
    file(scratch.path("source/program"), "x");
    for path in ["source/program", "source/folder"] {
        std::os::unix::fs::lchown(scratch.path(path), Some(12345), Some(54321)).unwrap();
        mode(scratch.path(path), 0o6755);
    }
    let outcome = copy_with(&scratch.path("source"), &scratch.path("copy"), 1);
    let copied = Snapshot::of(&scratch.path("copy"));
    for path in [&b"program"[..], b"folder"] {
        assert_eq!(copied.node(path).mode, 0o755);
        assert_eq!(copied.node(path).owner.0, 0);
    }
    assert_eq!(outcome.losses.modes, 2);
}

#[test]
fn owners_are_kept_where_they_are_asked_for() {
    if !is_root() {
        leave_out("only the administrator can give files away");
        return;
    }
    let scratch = Scratch::new();
    build::bundle(&scratch.path("source/bundle"));
    build::bundle(&scratch.path("source/more/bundle"));
    folder(scratch.path("source/more/a/b/c"));
    file(scratch.path("source/more/a/b/file"), "x");
    for (number, entry) in walkdir::WalkDir::new(scratch.path("source"))
        .sort_by_file_name()
        .into_iter()
        .enumerate()
    {
        let (owner, group) = (1000 + number as u32 / 2, 2000 + number as u32);
        std::os::unix::fs::lchown(entry.unwrap().path(), Some(owner), Some(group)).unwrap();
    }
    mode(scratch.path("source/bundle/run"), 0o4755);
    mode(scratch.path("source/bundle/lib"), 0o2750);
    build::age(&scratch.path("source"));
    for jobs in [1, 4] {
        let target = scratch.path(&format!("copy-{jobs}"));
        let mut options = Options::default();
        options.ownership = bundlecp::Ownership::Original;
        options.jobs = Some(jobs);
        copy(&[scratch.path("source")], &target, &options, &Silent).unwrap();
        let source = Snapshot::of(&scratch.path("source"));
        source.assert_same(&Snapshot::of(&target), &format!("with {jobs} threads"));
    }
}
