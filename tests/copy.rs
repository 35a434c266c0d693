//! A copy through the library keeps everything: links byte for byte, modes,
//! times to the nanosecond, hard links, holes, user attributes, odd names.
//!
//! What is equal is decided by a snapshot that shares no code with the crate.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use bundlecp::copy::{Options, copy};
use bundlecp::{ErrorKind, Silent};
use common::build::{self, bytes, file, folder, hard_link, link, mode, time, xattr};
use common::snapshot::{Kind, Snapshot};
use common::{Scratch, copy_with, is_root, leave_out};

/// Builds a tree, copies it on one and on four threads, and compares.
#[track_caller]
fn assert_copied(build: impl FnOnce(&Path)) -> (Scratch, Snapshot) {
    let scratch = Scratch::new();
    let source = scratch.path("source");
    folder(&source);
    build(&source);
    let before = Snapshot::of(&source);
    for jobs in [1, 4] {
        let copy = scratch.path(&format!("copy-{jobs}"));
        copy_with(&source, &copy, jobs);
        let context = format!("with {jobs} threads");
        before.assert_same(&Snapshot::of(&copy), &context);
    }
    before.assert_same(&Snapshot::of(&source), "the source itself");
    assert_eq!(
        common::names(scratch.root()),
        ["copy-1", "copy-4", "source"]
    );
    (scratch, before)
}

#[test]
fn link_targets_are_kept_byte_for_byte() {
    let longest = [b"x/".repeat(2047), b"y".to_vec()].concat();
    let targets: [&[u8]; 21] = [
        b"file",
        b"./file",
        b"folder",
        b"folder/",
        b"folder//in/../in",
        b"..",
        b"../..",
        b"../outside",
        b".",
        b"/",
        b"/nonexistent/absolute",
        b"//double",
        b"dangling/at/all",
        b"link-00",
        b"link-13",
        b"caf\xe9-\xff\xfe",
        b" ",
        b"new\nline",
        b"-rf",
        "\u{e9} e\u{301} \u{1f600}".as_bytes(),
        &longest,
    ];
    let (_scratch, kept) = assert_copied(|root| {
        file(root.join("file"), "x");
        folder(root.join("folder/in"));
        for (number, target) in targets.iter().enumerate() {
            link(root.join(format!("link-{number:02}")), target);
        }
        link(root.join("folder/up"), b"../link-00");
        link(root.join("folder/in/self"), b"self");
    });
    for (number, target) in targets.iter().enumerate() {
        let node = kept.node(format!("link-{number:02}").as_bytes());
        assert!(node.kind == Kind::Link(target.to_vec()), "{number}");
    }
}

#[test]
fn modes_of_files_and_folders_are_kept() {
    let mut modes = vec![
        0o400, 0o444, 0o500, 0o555, 0o600, 0o644, 0o666, 0o700, 0o755, 0o777, 0o640, 0o751,
    ];
    modes.extend([0o2755, 0o4755, 0o6711, 0o1777]);
    if is_root() {
        // Nobody else can read what has such a mode.
        modes.extend([0, 0o001, 0o200, 0o111, 0o077]);
    }
    assert_copied(|root| {
        for bits in modes {
            file(root.join(format!("file-{bits:o}")), "content");
            mode(root.join(format!("file-{bits:o}")), bits);
            let dir = root.join(format!("dir-{bits:o}"));
            folder(dir.join("empty"));
            file(dir.join("file"), "in a folder");
            link(dir.join("link"), b"file");
            hard_link(dir.join("file"), dir.join("second"));
            mode(dir, bits | if is_root() { 0 } else { 0o500 });
        }
        mode(root, 0o555);
    });
}

#[test]
fn times_of_files_folders_and_links_are_kept_to_the_nanosecond() {
    let times = [
        (0, 0),
        (0, 1),
        (1_234_567_890, 999_999_999),
        (-1, 1),
        (-1, 999_999_999),
        (-1_000_000_000, 123_456_789),
        (4_000_000_000, 500_000_000),
    ];
    let (_scratch, kept) = assert_copied(|root| {
        for (number, at) in times.iter().enumerate() {
            let dir = root.join(format!("dir-{number}"));
            folder(&dir);
            file(dir.join("file"), "x");
            link(dir.join("link"), b"file");
            hard_link(dir.join("file"), dir.join("second"));
            for path in [dir.join("file"), dir.join("link"), dir] {
                time(path, *at);
            }
        }
        time(root, (-77, 77));
    });
    for (number, at) in times.iter().enumerate() {
        for name in ["", "/file", "/link", "/second"] {
            let path = format!("dir-{number}{name}");
            assert_eq!(kept.node(path.as_bytes()).mtime, *at, "{path}");
        }
    }
}

#[test]
fn hard_links_across_folders_stay_one_file() {
    let (scratch, kept) = assert_copied(|root| {
        folder(root.join("a/deep/er"));
        folder(root.join("z"));
        for (group, content) in ["one", "two"].iter().enumerate() {
            file(root.join(format!("a/deep/{group}")), content);
            let original = root.join(format!("a/deep/{group}"));
            hard_link(&original, root.join(format!("a/deep/er/{group}")));
            hard_link(&original, root.join(format!("{group}")));
            hard_link(&original, root.join(format!("z/{group}")));
        }
        file(root.join("alone"), "one");
        mode(root.join("z"), 0o555);
    });
    let copied = std::fs::metadata(scratch.path("copy-4/z/1")).unwrap();
    assert_eq!(copied.nlink(), 4);
    let Kind::File { first_name, .. } = &kept.node(b"z/1").kind else {
        panic!("no file");
    };
    assert_eq!(first_name.as_deref(), Some(&b"1"[..]));
}

#[test]
fn a_name_outside_the_source_does_not_join_the_copy() {
    let scratch = Scratch::new();
    folder(scratch.path("source"));
    file(scratch.path("outside"), "x");
    hard_link(scratch.path("outside"), scratch.path("source/inside"));
    copy_with(&scratch.path("source"), &scratch.path("copy"), 2);
    let nlink = |path: &str| std::fs::metadata(scratch.path(path)).unwrap().nlink();
    assert_eq!((nlink("outside"), nlink("copy/inside")), (2, 1));
}

#[test]
fn holes_stay_holes_and_take_no_storage() {
    const MIB: u64 = 1024 * 1024;
    // Where data is, in a file of so many bytes.
    let files: [(&str, u64, &[u64]); 6] = [
        ("all-hole", 4 * MIB, &[]),
        ("hole-at-start", 4 * MIB, &[4 * MIB - 100]),
        ("hole-in-middle", 4 * MIB, &[0, 3 * MIB]),
        ("hole-at-end", 4 * MIB + 1, &[0]),
        (
            "many-holes",
            12 * MIB + 17,
            &[MIB, 5 * MIB, 9 * MIB, 12 * MIB],
        ),
        ("large-empty", 600 * MIB, &[]),
    ];
    let (scratch, _) = assert_copied(|root| {
        for (name, size, data) in files {
            let file = std::fs::File::create(root.join(name)).unwrap();
            file.set_len(size).unwrap();
            for at in data {
                std::os::unix::fs::FileExt::write_all_at(&file, b"data", *at).unwrap();
            }
            file.sync_all().unwrap();
        }
    });
    for (name, size, _) in files {
        let stored = |tree: &str| {
            let path = scratch.path(tree).join(name);
            std::fs::metadata(path).unwrap().blocks() * 512
        };
        if stored("source") >= size / 2 {
            leave_out("this file system makes no holes");
            continue;
        }
        for tree in ["copy-1", "copy-4"] {
            let (now, was) = (stored(tree), stored("source"));
            assert!(now <= was + 256 * 1024, "{tree}/{name}: {now}, was {was}");
        }
    }
}

#[test]
fn a_file_that_several_threads_share_is_whole() {
    const SIZE: usize = 21 * 1024 * 1024 + 4321;
    assert_copied(|root| {
        let mut state = 1_u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        };
        let content: Vec<u8> = (0..SIZE).map(|_| next()).collect();
        for bits in [0o644, 0o444] {
            file(root.join(format!("large-{bits:o}")), &content);
            mode(root.join(format!("large-{bits:o}")), bits);
        }
        file(root.join("small"), "x");
        build::age(root);
    });
}

#[test]
fn user_attributes_of_files_and_folders_are_kept() {
    let scratch = Scratch::new();
    file(scratch.path("try"), "");
    if !xattr(scratch.path("try"), "user.try", b"1") {
        return;
    }
    let (_scratch, kept) = assert_copied(|root| {
        folder(root.join("folder"));
        file(root.join("file"), "x");
        file(root.join("read-only"), "x");
        for path in [root.to_owned(), root.join("folder"), root.join("file")] {
            xattr(&path, "user.plain", b"value");
            xattr(&path, "user.empty", b"");
            xattr(&path, "user.binary", b"\0\xff\n\0");
            xattr(&path, "user.caf\u{e9}", &[b'x'; 1000]);
        }
        xattr(root.join("read-only"), "user.a", b"b");
        mode(root.join("read-only"), 0o400);
        mode(root.join("folder"), 0o500);
        build::age(root);
    });
    assert_eq!(kept.node(b"file").xattrs.len(), 4);
    assert_eq!(kept.node(b"folder").xattrs.len(), 4);
}

#[test]
fn any_name_is_kept() {
    let names: [&[u8]; 14] = [
        b"caf\xe9",
        b"\xff\xfe",
        b"new\nline",
        b"\x1b[31m",
        b" ",
        b"-rf",
        b"...",
        b"back\\slash",
        b"*?[",
        b".bundlecp-links.json",
        b".copy-1.bundlecp-0123456789abcdef",
        "\u{e9}".as_bytes(),
        "e\u{301}".as_bytes(),
        b"README",
    ];
    let longest = [b'n'; 255];
    assert_copied(|root| {
        for name in names {
            folder(root.join(bytes(name)));
            file(root.join(bytes(name)).join(bytes(name)), name);
            link(root.join(bytes(&[b"link-", name].concat())), name);
        }
        folder(root.join(bytes(&longest)));
        file(root.join(bytes(&longest)).join(bytes(&longest)), "x");
        link(root.join(bytes(&longest)).join("link"), &longest);
    });
}

#[test]
fn empty_folders_and_an_empty_tree_are_copied() {
    assert_copied(|root| {
        folder(root.join("empty/empty/empty"));
        build::age(root);
    });
    assert_copied(build::age);
}

#[test]
fn a_folder_with_more_files_than_one_job_takes_is_whole() {
    assert_copied(|root| {
        for number in 0..700 {
            file(root.join(format!("{number}")), format!("{number}"));
        }
        link(root.join("link"), b"0");
        hard_link(root.join("699"), root.join("second"));
        mode(root, 0o555);
    });
}

#[test]
fn two_hundred_levels_and_paths_longer_than_the_system_takes_are_copied() {
    for name in ["d".repeat(3), "long".repeat(50)] {
        let (_scratch, kept) = assert_copied(|root| {
            let mut at = rustix::fs::open(root, common::folder_flags(), 0.into()).unwrap();
            for _ in 0..200 {
                rustix::fs::mkdirat(&at, &name, 0o755.into()).unwrap();
                rustix::fs::symlinkat("../x", &at, "link").unwrap();
                at = rustix::fs::openat(&at, &name, common::folder_flags(), 0.into()).unwrap();
            }
        });
        assert_eq!(kept.0.len(), 401);
    }
}

#[test]
fn the_outcome_counts_what_was_copied() {
    let scratch = Scratch::new();
    build::bundle(&scratch.path("source"));
    let outcome = copy_with(&scratch.path("source"), &scratch.path("copy"), 2);
    assert_eq!(outcome.files, 3);
    assert_eq!(outcome.dirs, 4);
    assert_eq!(outcome.symlinks, 6);
    assert_eq!(outcome.hardlinks, 1);
    assert_eq!(outcome.bytes, 10 + 10_000 + 4);
    assert_eq!(outcome.targets, [scratch.path("copy")]);
}

#[test]
fn a_source_that_changes_while_it_is_copied_is_an_error() {
    let scratch = Scratch::new();
    build::bundle(&scratch.path("source"));
    let lib = scratch.path("source/lib");
    let count = std::sync::atomic::AtomicU32::new(0);
    let mut options = Options::default();
    // Runs while `lib` is listed, after its time was taken; on a disk that is
    // more than half full, it is listed a second time.
    options.exclude = Some(Box::new(move |path| {
        if path == Path::new("lib/libfoo.so") {
            let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            file(lib.join(format!("late{number}")), "x");
        }
        false
    }));
    let target = scratch.path("copy");
    let error = copy(&[scratch.path("source")], &target, &options, &Silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::SourceChanged);
    assert_eq!(error.path(), scratch.path("source/lib"));
    assert_eq!(common::names(scratch.root()), ["source"]);
}
