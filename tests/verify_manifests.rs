//! Comparing with manifests: every change to a tree is found where one side, or both, is
//! only what was written down of it.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
#[path = "verify/rows.rs"]
mod rows;

use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use bundlecp::Silent;
use bundlecp::manifest;
use bundlecp::pack::{self, Format, RootName};
use bundlecp::verify::{self, verify};
use common::build::{self, file, folder, hard_link, keeping_time, mode, xattr};
use common::{Scratch, bundlecp};
use rows::{ROWS, Row, side};

type Found = Vec<(String, String)>;

/// Writes down what is at `source`, as `name` beside it.
fn note(source: &Path, name: &str) -> PathBuf {
    let to = source.with_file_name(name);
    let options = manifest::Options::default();
    manifest::write(source, &to, &options, &Silent).unwrap_or_else(|error| panic!("{error:?}"));
    to
}

fn pack(tree: &Path, name: &str, root: RootName) -> PathBuf {
    let archive = tree.with_file_name(name);
    let mut options = pack::Options::default();
    options.format = Format::of_name(&archive).unwrap();
    options.root = root;
    pack::pack(&[tree.to_owned()], &archive, &options, &Silent).unwrap();
    archive
}

fn differences(left: &Path, right: &Path) -> Found {
    let outcome = verify(left, right, &verify::Options::default(), &Silent);
    let outcome = outcome.unwrap_or_else(|error| panic!("{left:?} {right:?}: {error:?}"));
    let text = |difference: &verify::Difference| {
        let path = String::from_utf8_lossy(difference.path.as_bytes());
        (path.into_owned(), difference.kind.name().to_owned())
    };
    outcome.differences.iter().map(text).collect()
}

/// What a row of the table comes to: of the root, a folder's manifest says nothing.
fn expected(row: &Row, prefix: &str) -> Found {
    let below = row.differences.iter().filter(|(path, _)| !path.is_empty());
    let own = |(path, kind): &(&str, &str)| (format!("{prefix}{path}"), (*kind).to_owned());
    below.map(own).collect()
}

#[test]
fn each_change_is_found_with_a_manifest_on_either_side() {
    for row in ROWS {
        let scratch = Scratch::new();
        let (left, right) = (scratch.path("a/app"), scratch.path("b/app"));
        side(&left);
        side(&right);
        keeping_time(&right, || (row.change)(&right));
        let (left_noted, right_noted) = (note(&left, "m"), note(&right, "m"));
        let found = expected(row, "");
        assert_eq!(differences(&left_noted, &right), found, "{} left", row.name);
        assert_eq!(
            differences(&left, &right_noted),
            found,
            "{} right",
            row.name
        );
        assert_eq!(
            differences(&left_noted, &right_noted),
            found,
            "{} both",
            row.name
        );

        let (left_packed, right_packed) = (
            pack(&left, "own.bcp", RootName::Own),
            pack(&right, "own.tar.zst", RootName::Own),
        );
        for (left, right, what) in [
            (&left_noted, &right_packed, "manifest and archive"),
            (&left_packed, &right_noted, "archive and manifest"),
        ] {
            assert_eq!(differences(left, right), found, "{} {what}", row.name);
        }
        // Of the folder that stands in the archive, its manifest has all.
        let (left_own, right_own) = (note(&left_packed, "own"), note(&right_packed, "own"));
        assert_eq!(differences(&left_own, &right_noted), found, "{}", row.name);
        let found: Found = differences(&left_packed, &right_packed);
        assert_eq!(differences(&left_own, &right_own), found, "{}", row.name);
        assert_eq!(differences(&left_own, &right_packed), found, "{}", row.name);
        assert_eq!(differences(&left_packed, &right_own), found, "{}", row.name);
    }
}

#[test]
fn attributes_of_the_user_are_compared_where_a_manifest_tells_them() {
    for (path, of_zip, kinds) in [
        ("run", false, &["xattr"][..]),
        ("lib", false, &["xattr"]),
        ("run", true, &[]),
    ] {
        let scratch = Scratch::new();
        let app = scratch.path("app");
        side(&app);
        if !xattr(app.join("tree"), "user.old", b"0") {
            return;
        }
        let noted = match of_zip {
            true => note(&pack(&app, "app.zip", RootName::Strip), "m"),
            false => note(&app, "m"),
        };
        assert_eq!(differences(&noted, &app), []);
        xattr(app.join(path), "user.new", b"1");
        for (left, right) in [(&app, &noted), (&noted, &app)] {
            let found = differences(left, right);
            let found: Vec<_> = found.iter().map(|(_, kind)| kind.as_str()).collect();
            assert_eq!(found, kinds, "{path}");
        }
    }
}

#[test]
fn a_tree_equals_every_manifest_of_it_and_of_its_archives() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    side(&app);
    mode(app.join("run"), 0o4755);
    xattr(app.join("run"), "user.a", b"1");
    hard_link(app.join("run"), app.join("again"));
    build::age(&app);
    let mut all = vec![app.clone(), note(&app, "folder.manifest")];
    for format in Format::ALL {
        for (root, how) in [(RootName::Own, "own"), (RootName::Strip, "strip")] {
            let archive = pack(&app, &format!("{how}.{}", format.name()), root);
            let name = format!("{how}.{}.manifest", format.name());
            let noted = note(&archive, &name);
            assert_eq!(differences(&archive, &noted), [], "{name}");
            assert_eq!(differences(&noted, &archive), [], "{name}");
            all.push(noted);
        }
    }
    let is_own = |path: &Path| path.to_string_lossy().contains("/own.");
    let is_stripped = |path: &Path| path.to_string_lossy().contains("/strip.");
    for left in &all {
        for right in &all {
            // As two archives, they are compared as they are.
            let differ = is_own(left) && is_stripped(right) || is_own(right) && is_stripped(left);
            if !differ {
                assert_eq!(differences(left, right), [], "{left:?} {right:?}");
            }
        }
    }
}

#[test]
fn a_manifest_of_a_folder_begins_where_the_folder_does() {
    let scratch = Scratch::new();
    let outer = scratch.path("outer");
    folder(outer.join("app"));
    file(outer.join("app/f"), "");
    build::age(&outer);
    // One folder at the top, and yet no archive's.
    let noted = note(&outer, "m");
    assert_eq!(differences(&noted, &outer), []);
    assert_eq!(differences(&outer.join("app"), &noted).len(), 2);
    keeping_time(&outer, || file(outer.join("g"), ""));
    let extra = ("g".to_owned(), "extra".to_owned());
    assert_eq!(differences(&noted, &outer), [extra]);
}

#[test]
fn large_files_are_compared_by_the_hash_of_all_their_bytes() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    folder(&app);
    let size = 512 << 20;
    let large = std::fs::File::create(app.join("large")).unwrap();
    large.set_len(size).unwrap();
    large.write_all_at(b"data", 100 << 20).unwrap();
    build::age(&app);
    let noted = note(&app, "m");
    let mut hasher = blake3::Hasher::new();
    let zeros = vec![0; 1 << 20];
    (0..100).for_each(|_| _ = hasher.update(&zeros));
    hasher.update(b"data").update(&zeros[4..]);
    (101..512).for_each(|_| _ = hasher.update(&zeros));
    let read = manifest::read(&noted).unwrap();
    assert_eq!(read.entries()[0].hash, Some(hasher.finalize().into()));
    let packed = pack(&app, "app.bcp", RootName::Own);
    assert_eq!(differences(&packed, &noted), []);
    large.write_all_at(b"D", 100 << 20).unwrap();
    build::age(&app);
    let content = ("large".to_owned(), "content".to_owned());
    assert_eq!(differences(&noted, &app), [content]);
}

#[test]
fn the_command_names_what_changed_since() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    side(&app);
    let ran = bundlecp(scratch.root(), &["manifest", "app", "-o", "m"]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let run = app.join("run");
    keeping_time(&run, || file(&run, "#!/bin/no\n"));
    let ran = bundlecp(scratch.root(), &["verify", "m", "app", "--json"]);
    assert_eq!(ran.status, 1, "{ran:?}");
    let document = ran.json();
    let difference = &document["differences"][0];
    assert_eq!(difference["path"], "run");
    assert_eq!(difference["kind"], "content");
    let words = difference["left"].as_str().unwrap();
    assert!(words.starts_with("content with BLAKE3 "), "{words}");
    assert_eq!(document["differences"].as_array().unwrap().len(), 1);
    let ran = bundlecp(
        scratch.root(),
        &["verify", "m", "app", "--ignore", "content"],
    );
    assert_eq!(ran.status, 0, "{ran:?}");
}
