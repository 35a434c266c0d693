//! Where bundlecp differs from `cp` on purpose: a target that exists is an
//! error, `-f` swaps it, `--merge` lays the source over it; and what `-n`, `-v`,
//! `-q` and `--exclude` do.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::path::Path;

use common::build::{self, bundle, file, folder, link, mode};
use common::bundlecp;
use common::snapshot::Kind;
use common::world::{old_target, seen, world};

#[test]
fn a_target_that_exists_is_an_error_with_a_hint() {
    for arguments in [
        &["-R", "src", "dst"][..],
        &["-RT", "src", "dst"],
        &["-R", "other/.", "dst"],
        &["file", "dst/file"],
        &["file", "dst"],
        &["-R", "link", "dst/link"],
        &["-R", "src", "other", "-t", "dst"],
    ] {
        let scratch = world();
        bundle(&scratch.path("dst/src"));
        for name in ["f", "file", "link"] {
            file(scratch.path("dst").join(name), "it was here before");
        }
        build::age(scratch.root());
        let before = seen(&scratch);
        let ran = bundlecp(scratch.root(), arguments);
        assert_ne!(ran.status, 0, "{arguments:?}");
        assert!(ran.stderr.contains("exists already"), "{}", ran.stderr);
        let hint = ran.stderr.lines().find(|line| line.starts_with("hint: "));
        let hint = hint.unwrap_or_else(|| panic!("no hint: {}", ran.stderr));
        assert!(hint.contains("-f") && hint.contains("--merge"), "{hint}");
        before.assert_same(&seen(&scratch), &format!("{arguments:?}"));
    }
}

#[test]
fn f_swaps_whatever_stands_there_for_the_copy_and_nothing_of_it_remains() {
    type Old = fn(&Path);
    let kinds: [(&str, Old); 6] = [
        ("a folder", |at| {
            folder(at.join("sub"));
            file(at.join("old"), "old");
        }),
        ("a read-only folder", |at| {
            folder(at.join("sub"));
            file(at.join("sub/old"), "old");
            mode(at.join("sub"), 0o555);
            mode(at, 0o555);
        }),
        ("a file", |at| file(at, "old")),
        ("a link to a file", |at| link(at, b"../file")),
        ("a dangling link", |at| link(at, b"nothing")),
        ("a link to a folder", |at| link(at, b"../other")),
    ];
    for (kind, make_old) in kinds {
        for source in ["src", "file", "to-folder"] {
            let scratch = world();
            make_old(&scratch.path("dst/target"));
            let before = seen(&scratch);
            let ran = bundlecp(scratch.root(), &["-fRT", source, "dst/target"]);
            let context = format!("{source} over {kind}");
            assert_eq!(ran.status, 0, "{context}: {}", ran.stderr);
            let after = seen(&scratch);
            let (wanted, made) = (before.below(source.as_bytes()), after.below(b"dst/target"));
            wanted.assert_same(&made, &context);
            assert_eq!(common::names(&scratch.path("dst")), ["target", "there"]);
            let other = after.below(b"other");
            before
                .below(b"other")
                .assert_same(&other, "what a link led to");
        }
    }
}

#[test]
fn f_replaces_only_the_members_that_the_source_has() {
    let scratch = world();
    file(scratch.path("dst/f"), "old");
    let ran = bundlecp(scratch.root(), &["-fR", "other/.", "dst"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let names = common::names(&scratch.path("dst"));
    assert_eq!(names, ["f", "namesake", "there"]);
    let content = std::fs::read_to_string(scratch.path("dst/f")).unwrap();
    assert_eq!(content, "other");
}

#[test]
fn merge_keeps_what_the_source_does_not_have() {
    let scratch = world();
    old_target(&scratch.path("dst/src"));
    let ran = bundlecp(scratch.root(), &["-R", "--merge", "src", "dst"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let (source, merged) = (
        seen(&scratch).below(b"src"),
        seen(&scratch).below(b"dst/src"),
    );
    assert!(merged.node(b"kept-link").kind == Kind::Link(b"nowhere".to_vec()));
    assert!(merged.0.contains_key(&b"lib/kept"[..]));
    for (path, node) in &source.0 {
        assert_eq!(merged.node(path), node, "{}", String::from_utf8_lossy(path));
    }
    assert_eq!(merged.0.len(), source.0.len() + 2);
}

#[test]
fn merging_contents_leaves_the_receiving_folder_its_mode() {
    let scratch = world();
    mode(scratch.path("dst"), 0o755);
    let ran = bundlecp(scratch.root(), &["-R", "--merge", "other/.", "dst"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert_eq!(seen(&scratch).node(b"dst").mode, 0o755);
}

#[test]
fn a_dry_run_writes_nothing_and_finds_the_errors() {
    for arguments in [
        &["-n", "-R", "src", "new"][..],
        &["-n", "-R", "src", "other", "dst"],
        &["--dry-run", "-fRT", "src", "dst"],
        &["-n", "--merge", "-R", "src/.", "dst"],
        &["-nv", "file", "dst"],
    ] {
        let scratch = world();
        let before = seen(&scratch);
        let ran = bundlecp(scratch.root(), arguments);
        assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.stderr);
        before.assert_same(&seen(&scratch), &format!("{arguments:?}"));
        assert!(ran.stderr.contains("would copy"), "{}", ran.stderr);
    }
    let mut missed = Vec::new();
    for arguments in [
        &["-n", "-R", "missing", "new"][..],
        &["-n", "-R", "src", "dst"],
        &["-n", "-RT", "src", "dst"],
        &["-n", "-R", "src", "src/new"],
        &["-n", "-R", "src", "no/such"],
        // What is found only when members are published or merged.
        &["-n", "-R", "dst/.", "other"],
        &["-n", "-R", "--merge", "src", "dst"],
    ] {
        let scratch = world();
        folder(scratch.path("other/there"));
        folder(scratch.path("dst/src/run"));
        if bundlecp(scratch.root(), arguments).status == 0 {
            missed.push(arguments.join(" "));
        }
    }
    assert!(missed.is_empty(), "no error in a dry run: {missed:#?}");
}

#[test]
fn verbose_lists_what_is_made_and_quiet_says_nothing() {
    let scratch = world();
    let ran = bundlecp(scratch.root(), &["-Rv", "src", "dst"]);
    let mut lines: Vec<_> = ran.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines.len(), seen(&scratch).below(b"src").0.len());
    assert_eq!(lines[0], "dst/src");
    assert!(lines.contains(&"dst/src/Current -> lib"), "{lines:?}");
    assert!(ran.stderr.contains("copied 3 files"), "{}", ran.stderr);
    let ran = bundlecp(scratch.root(), &["-Rq", "src", "dst/quiet"]);
    assert_eq!((ran.status, &*ran.stdout, &*ran.stderr), (0, "", ""));
}

#[test]
fn excluded_paths_are_left_out_with_all_below_them() {
    for (globs, left) in [
        (
            &["*.so*"][..],
            &["lib", "lib/deep", "lib/deep/data", "lib/deep/up"][..],
        ),
        (
            &["lib/deep"],
            &[
                "lib",
                "lib/libfoo.so",
                "lib/libfoo.so.1",
                "lib/libfoo.so.1.2",
            ],
        ),
        (
            &["deep/"],
            &[
                "lib",
                "lib/libfoo.so",
                "lib/libfoo.so.1",
                "lib/libfoo.so.1.2",
            ],
        ),
        (&["/lib"], &[]),
        (&["lib*", "data"], &[]),
    ] {
        let scratch = world();
        let mut arguments = vec!["-R", "src", "new"];
        for glob in globs {
            arguments.extend(["--exclude", glob]);
        }
        let ran = bundlecp(scratch.root(), &arguments);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        let made = seen(&scratch).below(b"new");
        let below_lib = made.0.keys().filter(|path| path.starts_with(b"lib"));
        let made: Vec<_> = below_lib
            .map(|path| String::from_utf8_lossy(path))
            .collect();
        assert_eq!(made, left, "{globs:?}");
    }
}
