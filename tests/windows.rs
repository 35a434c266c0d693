//! The command on Windows: what its users meet there and nowhere else.
//!
//! Where no links can be made (Wine makes none, and Windows only in Developer Mode or
//! for an administrator), the tests prove that this is found out before anything is
//! written; elsewhere, that links of both kinds arrive.
#![cfg(windows)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "common/wine.rs"]
mod wine;

use std::fs::{self, File, OpenOptions};
use std::os::windows::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use wine::bundlecp;

#[track_caller]
fn succeeds(at: &Path, arguments: &[&str]) -> String {
    let output = bundlecp(at, arguments);
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {error}");
    String::from_utf8(output.stdout).unwrap()
}

/// Checks the exit status, and returns what was said.
#[track_caller]
fn fails(at: &Path, arguments: &[&str], status: i32) -> String {
    let output = bundlecp(at, arguments);
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {error}");
    assert!(error.starts_with("bundlecp: "), "{error}");
    error
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn makes_links(at: &Path) -> bool {
    let found = bundlecp(at, &["probe", ".", "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&found.stdout).unwrap();
    found["symlinks"] == "yes"
}

/// A tar of files with one byte, and links of (name, target).
fn tar(path: &Path, files: &[&str], links: &[(&str, &str)]) {
    let mut tar = tar::Builder::new(File::create(path).unwrap());
    let header = |kind| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_mtime(1_700_000_000);
        header
    };
    for file in files {
        let mut header = header(tar::EntryType::Regular);
        header.set_size(1);
        // Names that the crate's own calls would refuse.
        header.as_old_mut().name[..file.len()].copy_from_slice(file.as_bytes());
        header.set_cksum();
        tar.append(&header, &b"x"[..]).unwrap();
    }
    for (name, target) in links {
        let mut header = header(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, name, target).unwrap();
    }
    tar.finish().unwrap();
}

/// A tree with a long path, odd but allowed names, and a read-only file.
fn make_tree(at: &Path) {
    let deep = (0..12).fold(at.join("app"), |path, _| {
        path.join("a folder of 28 characters xx")
    });
    // As the system's long paths are not switched on for every program.
    let deep = Path::new(r"\\?\").join(std::path::absolute(deep).unwrap());
    fs::create_dir_all(&deep).unwrap();
    fs::write(deep.join("\u{e4}\u{1f4e6} file.txt"), "deep").unwrap();
    fs::create_dir_all(at.join("app/empty")).unwrap();
    let locked = at.join("app/read only.dll");
    fs::write(&locked, vec![7; 100_000]).unwrap();
    let modified = SystemTime::UNIX_EPOCH + Duration::new(1_600_000_000, 123_456_700);
    File::options()
        .write(true)
        .open(&locked)
        .unwrap()
        .set_modified(modified)
        .unwrap();
    let mut permissions = fs::metadata(&locked).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&locked, permissions).unwrap();
}

#[test]
fn a_copy_has_long_names_times_and_read_only_files() {
    let temp = TempDir::new().unwrap();
    make_tree(temp.path());
    succeeds(temp.path(), &["-R", "app", "copy"]);
    succeeds(temp.path(), &["verify", "app", "copy"]);
    let copied = fs::metadata(temp.path().join("copy/read only.dll")).unwrap();
    assert!(copied.permissions().readonly());
    // As a whole, read-only files included; and again over it, file by file.
    fs::write(temp.path().join("copy/more"), "").unwrap();
    fails(temp.path(), &["-R", "-T", "app", "copy"], 5);
    succeeds(temp.path(), &["-R", "-T", "-f", "app", "copy"]);
    succeeds(temp.path(), &["-R", "-T", "--merge", "app", "copy"]);
    succeeds(temp.path(), &["verify", "app", "copy"]);
    assert_eq!(names(temp.path()), ["app", "copy"]);
    // With what makes it durable.
    succeeds(temp.path(), &["-R", "--sync", "full", "app", "synced"]);
    assert_eq!(names(temp.path()), ["app", "copy", "synced"]);
}

#[test]
fn every_format_goes_there_and_back() {
    let temp = TempDir::new().unwrap();
    make_tree(temp.path());
    for ending in [
        "tar", "tar.gz", "tar.bz2", "tar.xz", "tar.zst", "zip", "bcp",
    ] {
        let archive = format!("app.{ending}");
        succeeds(temp.path(), &["pack", "app", "-o", &archive]);
        let listed = succeeds(temp.path(), &["list", &archive]);
        assert!(listed.contains("app/read only.dll"), "{listed}");
        assert!(!listed.contains('\\'), "{listed}");
        succeeds(temp.path(), &["extract", &archive, "-C", ending]);
        succeeds(temp.path(), &["verify", "app", &format!("{ending}/app")]);
        succeeds(temp.path(), &["verify", "app", &archive]);
    }
    // The same members whatever carried them.
    succeeds(temp.path(), &["convert", "app.zip", "again.tar"]);
    succeeds(temp.path(), &["verify", "app.tar", "again.tar"]);
    succeeds(temp.path(), &["manifest", "app", "-o", "app.jsonl"]);
    succeeds(temp.path(), &["verify", "app.bcp", "app.jsonl"]);
    succeeds(temp.path(), &["doctor", "app.bcp"]);
}

#[test]
fn modes_are_those_that_others_expect_and_no_difference_here() {
    let temp = TempDir::new().unwrap();
    fs::create_dir(temp.path().join("app")).unwrap();
    for (name, content) in [
        ("run", "#!/bin/sh\n"),
        ("lib.so", "\u{7f}ELF\u{2}"),
        ("app.exe", "MZ"),
        ("text", "a text"),
    ] {
        fs::write(temp.path().join("app").join(name), content).unwrap();
    }
    for archive in ["app.tar", "app.zip", "app.bcp"] {
        succeeds(temp.path(), &["pack", "app", "-o", archive]);
        let listed = succeeds(temp.path(), &["list", "-l", archive]);
        for (name, mode) in [
            ("app/run", "-rwxr-xr-x"),
            ("app/lib.so", "-rwxr-xr-x"),
            ("app/app.exe", "-rwxr-xr-x"),
            ("app/text", "-rw-r--r--"),
        ] {
            let line = listed.lines().find(|line| line.ends_with(name));
            assert!(line.unwrap().starts_with(mode), "{listed}");
        }
        succeeds(temp.path(), &["extract", archive, "-C", "out", "-f"]);
        succeeds(temp.path(), &["verify", archive, "out/app"]);
        succeeds(temp.path(), &["verify", "app", archive]);
    }
    succeeds(temp.path(), &["doctor", "app"]);
}

#[test]
fn links_arrive_or_nothing_does() {
    let temp = TempDir::new().unwrap();
    let links = [
        ("app/lib.dll", "sub/lib.dll"),
        ("app/current", "sub"),
        ("app/none", "gone"),
    ];
    tar(&temp.path().join("app.tar"), &["app/sub/lib.dll"], &links);
    succeeds(temp.path(), &["convert", "app.tar", "app.bcp"]);
    for archive in ["app.tar", "app.bcp"] {
        if !makes_links(temp.path()) {
            let error = fails(temp.path(), &["extract", archive, "-C", "out"], 3);
            assert!(error.contains("can't hold symbolic links"), "{error}");
            assert_eq!(names(temp.path()), ["app.bcp", "app.tar"]);
            continue;
        }
        succeeds(temp.path(), &["extract", archive, "-C", "out"]);
        succeeds(temp.path(), &["-R", "out", "copy"]);
        succeeds(temp.path(), &["verify", "out", "copy"]);
        for tree in ["out", "copy"] {
            let kind = |name: &str| {
                let path = temp.path().join(tree).join(name);
                fs::symlink_metadata(path).unwrap().file_type()
            };
            assert!(kind("app/lib.dll").is_symlink_file());
            assert!(kind("app/current").is_symlink_dir());
            assert!(kind("app/none").is_symlink_file());
            fs::remove_dir_all(temp.path().join(tree)).unwrap();
        }
    }
}

#[test]
fn where_links_are_lost_on_purpose_their_contents_or_names_are_kept() {
    let temp = TempDir::new().unwrap();
    tar(
        &temp.path().join("app.tar"),
        &["app/sub/a"],
        &[("app/b", "sub/a")],
    );
    if makes_links(temp.path()) {
        return;
    }
    let manifest = [
        "extract",
        "app.tar",
        "-C",
        "out",
        "--on-no-symlinks",
        "manifest",
    ];
    succeeds(temp.path(), &manifest);
    assert!(names(&temp.path().join("out")).contains(&".bundlecp-links.json".to_owned()));
}

#[test]
fn names_that_windows_gives_another_meaning_are_refused_before_anything_is_written() {
    let temp = TempDir::new().unwrap();
    let names_of = [
        "app/CON",
        "app/nul.txt",
        "app/COM1",
        "app/a:b",
        "app/x.",
        "app/x ",
        "app/a?b",
        "app/LPT9.x.y",
        "app/CONIN$",
    ];
    for name in names_of {
        tar(&temp.path().join("app.tar"), &["app/first", name], &[]);
        let error = fails(temp.path(), &["extract", "app.tar", "-C", "out"], 3);
        assert!(error.contains("\nhint: rename it"), "{error}");
        assert_eq!(names(temp.path()), ["app.tar"], "{name}");
    }
    for name in [
        "C:evil",
        "app/a\\..\\..\\b",
        "\\\\host\\share\\x",
        "..\\x",
        "C:\\x",
    ] {
        tar(&temp.path().join("app.tar"), &[name], &[]);
        let output = bundlecp(temp.path(), &["extract", "app.tar", "-C", "out"]);
        assert!(
            matches!(output.status.code(), Some(3 | 4)),
            "{name}: {output:?}"
        );
        assert_eq!(names(temp.path()), ["app.tar"], "{name}");
    }
}

#[test]
fn names_that_differ_by_case_alone_are_told() {
    let temp = TempDir::new().unwrap();
    tar(&temp.path().join("app.tar"), &["app/Read", "app/READ"], &[]);
    let error = fails(temp.path(), &["extract", "app.tar", "-C", "out"], 3);
    assert!(error.contains("is the same name"), "{error}");
    assert_eq!(names(temp.path()), ["app.tar"]);
}

/// Opens a file as scanners do that let nobody delete or rename it meanwhile.
fn hold(path: &Path) -> File {
    OpenOptions::new()
        .read(true)
        .share_mode(1)
        .open(path)
        .unwrap()
}

#[test]
fn what_a_scanner_holds_for_a_moment_is_waited_for() {
    let temp = TempDir::new().unwrap();
    fs::create_dir(temp.path().join("new")).unwrap();
    fs::write(temp.path().join("new/a"), "new").unwrap();
    fs::create_dir(temp.path().join("old")).unwrap();
    fs::write(temp.path().join("old/a"), "old").unwrap();
    let held = hold(&temp.path().join("old/a"));
    let scanner = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        drop(held);
    });
    succeeds(temp.path(), &["-R", "-T", "--merge", "new", "old"]);
    scanner.join().unwrap();
    assert_eq!(
        fs::read_to_string(temp.path().join("old/a")).unwrap(),
        "new"
    );
}

#[test]
fn what_stays_held_is_an_error_and_the_destination_as_it_was() {
    let temp = TempDir::new().unwrap();
    for (tree, content) in [("new", "new"), ("old", "old")] {
        fs::create_dir(temp.path().join(tree)).unwrap();
        fs::write(temp.path().join(tree).join("a"), content).unwrap();
        fs::write(temp.path().join(tree).join("b"), content).unwrap();
    }
    let held = hold(&temp.path().join("old/b"));
    let error = fails(temp.path(), &["-R", "-T", "--merge", "new", "old"], 5);
    assert_eq!(error.lines().count(), 1, "{error}");
    drop(held);
    for name in ["old/a", "old/b"] {
        assert_eq!(fs::read_to_string(temp.path().join(name)).unwrap(), "old");
    }
    assert_eq!(names(temp.path()), ["new", "old"]);
    assert_eq!(names(&temp.path().join("old")), ["a", "b"]);
}

#[test]
fn a_junction_is_not_entered() {
    let temp = TempDir::new().unwrap();
    fs::create_dir_all(temp.path().join("app")).unwrap();
    fs::create_dir_all(temp.path().join("elsewhere")).unwrap();
    fs::write(temp.path().join("elsewhere/secret"), "").unwrap();
    let made = Command::new("cmd")
        .args(["/c", "mklink", "/J", "app\\junction", "elsewhere"])
        .current_dir(temp.path())
        .output();
    // Wine has no such command.
    if made.is_err() || !temp.path().join("app/junction/secret").exists() {
        return;
    }
    let error = fails(temp.path(), &["-R", "app", "copy"], 4);
    assert!(error.contains("is a junction"), "{error}");
    assert!(error.contains("--junctions-as-links"), "{error}");
    assert_eq!(names(temp.path()), ["app", "elsewhere"]);
    succeeds(temp.path(), &["-R", "--skip-special", "app", "copy"]);
    assert!(names(&temp.path().join("copy")).is_empty());
    if makes_links(temp.path()) {
        succeeds(
            temp.path(),
            &["-R", "--junctions-as-links", "app", "linked"],
        );
        let target = fs::read_link(temp.path().join("linked/junction")).unwrap();
        assert_eq!(target, Path::new(r"..\elsewhere"));
        succeeds(temp.path(), &["verify", "app", "linked"]);
    }
    // An archive holds them anywhere.
    let packed = ["pack", "--junctions-as-links", "app", "-o", "app.bcp"];
    succeeds(temp.path(), &packed);
    let listed = succeeds(temp.path(), &["list", "-l", "app.bcp"]);
    assert!(listed.contains("../elsewhere"), "{listed}");
    succeeds(temp.path(), &["verify", "app", "app.bcp"]);
}
