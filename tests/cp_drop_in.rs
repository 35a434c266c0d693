//! The command line copies where `cp -a` copies: both are run with the same
//! arguments in equal folders, and the results compared.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::os::unix::fs::MetadataExt;

use common::build;
use common::snapshot::Kind;
use common::world::{has_gnu_cp, old_target, seen, world};
use common::{Scratch, bundlecp, run};

#[test]
fn the_result_is_that_of_cp() {
    let rows: &[&[&str]] = &[
        &["-R", "src", "new"],
        &["-R", "src", "new/"],
        &["-R", "src/", "new"],
        &["-R", "src//", "./new"],
        &["-R", "src/.", "new"],
        &["-R", "src/./", "new"],
        &["-R", "src", "dst"],
        &["-R", "src", "dst/"],
        &["-R", "src/", "dst"],
        &["-R", "src/.", "dst"],
        &["-R", "src", "to-dst"],
        &["-R", "src", "to-dst/"],
        &["-R", "src", "dst/new"],
        &["-R", "src", "to-dst/new"],
        &["-R", "src/lib/../lib", "new"],
        &["-R", "src/lib/deep", "dst"],
        &["-R", "src", "other", "file", "link", "dst"],
        &["-R", "src/lib", "pack/empty", "dst"],
        &["-R", "src/.", "other/.", "dst"],
        &["-R", "-t", "dst", "src", "other"],
        &["-R", "src", "other", "-t", "dst"],
        &["-Rtdst", "src"],
        &["-R", "--target-directory=dst", "src"],
        &["-R", "-T", "src", "new"],
        &["-RT", "src/.", "new"],
        &["-R", "--no-target-directory", "src", "new"],
        &["src", "new", "-R"],
        &["-R", "-R", "-f", "-f", "src", "new"],
        &["-fR", "src", "new"],
        &["-fR", "src", "dst"],
        &["-fRT", "src", "new"],
        &["-a", "src", "new"],
        &["-a", "src", "dst"],
        &["-aT", "src", "new"],
        &["-rp", "src", "new"],
        &["-rpP", "src", "new"],
        &["-dr", "src", "new"],
        &["-apf", "src", "new"],
        &["--archive", "src", "new"],
        &["--recursive", "--no-dereference", "src", "new"],
        &["--force", "-r", "src", "new"],
        &["file", "new"],
        &["file", "dst"],
        &["file", "dst/renamed"],
        &["file", "other/new"],
        &["other/f", "dst/namesake"],
        &["other/f", "namesake"],
        &["-p", "file", "dst/"],
        &["-T", "file", "new"],
        &["src/run", "src/lib/deep/data", "dst"],
        &["-R", "link", "new"],
        &["-R", "link", "dst"],
        &["-R", "to-folder", "new"],
        &["-R", "to-folder", "dst"],
        &["-R", "dangling", "dst"],
        &["-R", "dangling", "new"],
        &["-R", "src/absolute", "src/Current", "dst"],
        &["-R", "--", "-dash", "new"],
        &["-R", "--", "-dash", "-file", "dst"],
        &["-R", "./-dash", "new"],
        &["--", "-file", "new"],
        &["-R", "./pack", "new"],
        &["-R", "pack", "probe", "dst"],
        &["-R", "--", "probe", "new"],
        &["./probe", "new"],
    ];
    if !has_gnu_cp() {
        return;
    }
    let mut failed = Vec::new();
    for arguments in rows {
        let (theirs, ours) = (world(), world());
        let with_a: Vec<&str> = ["-a"].iter().chain(*arguments).copied().collect();
        let cp = run("cp", theirs.root(), &with_a);
        assert_eq!(cp.status, 0, "cp {with_a:?}: {}", cp.stderr);
        let ran = bundlecp(ours.root(), arguments);
        let compared = std::panic::catch_unwind(|| {
            assert_eq!(ran.status, 0, "{}", ran.stderr);
            assert_eq!((&*ran.stdout, &*ran.stderr), ("", ""));
            seen(&theirs).assert_same(&seen(&ours), "cp and bundlecp");
        });
        if compared.is_err() {
            failed.push(arguments.join(" "));
        }
    }
    assert!(failed.is_empty(), "not as cp: {failed:#?}");
}

#[test]
fn what_cp_refuses_is_refused_and_changes_nothing() {
    let rows: &[&[&str]] = &[
        &["-R", "missing", "new"],
        &["-R", "src", "missing/new"],
        &["-R", "src", "file/new"],
        &["-R", "src", "other", "missing"],
        &["-R", "src", "other", "file"],
        &["-R", "src", "src/new"],
        &["-R", "src", "-t", "missing"],
        &["-R", "src", "-t", "file"],
        &["-RT", "src", "other", "new"],
        &["-RT", "src", "file"],
        &["-R", "src/run", "src/run"],
        &["file", "new/"],
        &["file/.", "new"],
        &["-R", "src"],
    ];
    if !has_gnu_cp() {
        return;
    }
    let mut failed = Vec::new();
    for arguments in rows {
        let (theirs, ours) = (world(), world());
        let before = seen(&ours);
        let with_a: Vec<&str> = ["-a"].iter().chain(*arguments).copied().collect();
        assert_ne!(run("cp", theirs.root(), &with_a).status, 0, "cp {with_a:?}");
        let ran = bundlecp(ours.root(), arguments);
        if ran.status == 0 || before != seen(&ours) {
            failed.push((arguments.join(" "), ran));
        }
    }
    assert!(failed.is_empty(), "not refused: {failed:#?}");
}

#[test]
fn merge_comes_to_what_cp_leaves_of_two_trees() {
    if !has_gnu_cp() {
        return;
    }
    for arguments in [
        &["-R", "src", "dst"][..],
        &["-RT", "src", "dst/src"],
        &["-R", "src/.", "dst/src"],
    ] {
        let (theirs, ours) = (world(), world());
        for scratch in [&theirs, &ours] {
            old_target(&scratch.path("dst/src"));
            // cp would write into the file that both names share.
            std::fs::remove_file(scratch.path("dst/src/same-data")).unwrap();
            build::age(&scratch.path("dst"));
        }
        let with_a: Vec<&str> = ["-a"].iter().chain(arguments).copied().collect();
        assert_eq!(run("cp", theirs.root(), &with_a).status, 0);
        let merge: Vec<&str> = ["--merge"].iter().chain(arguments).copied().collect();
        let ran = bundlecp(ours.root(), &merge);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        // Whether `SRC/.` changes the folder that receives it is left open.
        let root: &[&[u8]] = match arguments[1].ends_with("/.") {
            true => &[b"dst/src"],
            false => &[],
        };
        let of = |scratch: &Scratch| seen(scratch).without_times_of(root);
        of(&theirs).assert_same(&of(&ours), &format!("{merge:?}"));
    }
}

#[test]
fn following_links_is_refused() {
    for arguments in [
        &["-L", "src", "new"][..],
        &["-RL", "src", "new"],
        &["-RH", "src", "new"],
        &["--dereference", "src", "new"],
    ] {
        let scratch = world();
        let before = seen(&scratch);
        let ran = bundlecp(scratch.root(), arguments);
        assert_eq!(ran.status, 2, "{arguments:?}");
        assert!(ran.stderr.contains("--on-no-symlinks=copy"), "{ran:?}");
        before.assert_same(&seen(&scratch), &format!("{arguments:?}"));
    }
}

#[test]
fn a_slash_behind_a_link_does_not_follow_it() {
    let scratch = world();
    let ran = bundlecp(scratch.root(), &["-R", "to-folder/", "new"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let made = &seen(&scratch).0[&b"new"[..]].kind;
    assert!(*made == Kind::Link(b"src/lib".to_vec()));
}

#[test]
fn links_modes_and_times_are_kept_without_any_flag() {
    let scratch = world();
    let ran = bundlecp(scratch.root(), &["src", "new"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let after = seen(&scratch);
    after
        .below(b"src")
        .assert_same(&after.below(b"new"), "no flag");
    let inode = |path: &str| std::fs::metadata(scratch.path(path)).unwrap().ino();
    assert_eq!(inode("new/same-data"), inode("new/lib/deep/data"));
}
