//! `bundlecp verify`: one change to a tree, and exactly the differences that it
//! makes, by path and kind; in the JSON document, and named in the text.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
#[path = "verify/rows.rs"]
mod rows;

use common::build::{self, bytes, file, folder, keeping_time, link, mode, time, xattr};
use common::{Scratch, bundlecp};
use rows::{ROWS, side};

/// Two equal trees.
fn sides() -> Scratch {
    let scratch = Scratch::new();
    side(&scratch.path("left"));
    side(&scratch.path("right"));
    scratch
}

fn differences(document: &serde_json::Value) -> Vec<(String, String)> {
    let text = |difference: &serde_json::Value, field: &str| {
        difference[field].as_str().unwrap().to_owned()
    };
    let list = document["differences"].as_array().unwrap();
    list.iter()
        .map(|one| (text(one, "path"), text(one, "kind")))
        .collect()
}

#[test]
fn each_change_is_exactly_its_differences() {
    for row in ROWS {
        let scratch = sides();
        let right = scratch.path("right");
        let root_changes = row.differences.iter().any(|(path, _)| path.is_empty());
        match root_changes {
            true => (row.change)(&right),
            false => keeping_time(&right, || (row.change)(&right)),
        }
        let ran = bundlecp(scratch.root(), &["verify", "left", "right", "--json"]);
        let document = ran.json();
        let expected: Vec<_> = row
            .differences
            .iter()
            .map(|(path, kind)| ((*path).to_owned(), (*kind).to_owned()))
            .collect();
        let found = differences(&document);
        // The root may be shown as `.`.
        let found: Vec<_> = found
            .into_iter()
            .map(|(path, kind)| (if path == "." { String::new() } else { path }, kind))
            .collect();
        assert_eq!(found, expected, "{}", row.name);
        assert_eq!(document["equal"], expected.is_empty(), "{}", row.name);
        assert_eq!(ran.status, i32::from(!expected.is_empty()), "{}", row.name);
        let ran = bundlecp(scratch.root(), &["verify", "left", "right", "-j1"]);
        for (path, kind) in &expected {
            let is_named = |line: &str| line.starts_with(kind.as_str()) && line.contains(path);
            assert!(ran.stdout.lines().any(is_named), "{}: {ran:?}", row.name);
        }
        let count = ran.stdout.lines().count();
        assert_eq!(count, expected.len() + 1, "{}: {ran:?}", row.name);
    }
}

#[test]
fn user_attributes_that_differ_are_named() {
    for (path, name, value) in [
        ("run", "user.new", "1"),
        ("lib", "user.new", "1"),
        ("tree/twin-a", "user.a", "2"),
    ] {
        let scratch = sides();
        for side in ["left", "right"] {
            if !xattr(scratch.path(side).join("tree/twin-a"), "user.a", b"1") {
                return;
            }
        }
        xattr(scratch.path("right").join(path), name, value.as_bytes());
        let ran = bundlecp(scratch.root(), &["verify", "left", "right", "--json"]);
        assert_eq!(
            differences(&ran.json()),
            [(path.to_owned(), "xattr".to_owned())]
        );
    }
}

#[test]
fn equal_trees_say_so_and_nothing_when_quiet() {
    let scratch = sides();
    let ran = bundlecp(scratch.root(), &["verify", "left", "right"]);
    assert_eq!((ran.status, &*ran.stderr), (0, ""));
    assert!(ran.stdout.starts_with("equal"), "{}", ran.stdout);
    for arguments in [
        ["verify", "-q", "left", "right"],
        ["verify", "-q", "left", "left"],
    ] {
        let ran = bundlecp(scratch.root(), &arguments);
        assert_eq!((ran.status, &*ran.stdout, &*ran.stderr), (0, "", ""));
    }
}

#[test]
fn ignored_kinds_do_not_count() {
    let scratch = sides();
    let right = scratch.path("right");
    mode(right.join("run"), 0o700);
    time(right.join("lib"), (0, 0));
    keeping_time(&right, || file(right.join("more"), ""));
    for (ignored, status, left) in [
        (&["--ignore", "mode"][..], 1, &["mtime", "extra"][..]),
        (&["--ignore", "mode,mtime"], 1, &["extra"]),
        (&["--ignore", "mode", "--ignore", "mtime,extra"], 0, &[]),
        (&["--ignore=content"], 1, &["mtime", "extra", "mode"]),
    ] {
        let mut arguments = vec!["verify", "--json", "left", "right"];
        arguments.extend(ignored);
        let ran = bundlecp(scratch.root(), &arguments);
        let kinds: Vec<_> = differences(&ran.json())
            .into_iter()
            .map(|(_, kind)| kind)
            .collect();
        assert_eq!(ran.status, status, "{ignored:?}");
        assert_eq!(kinds, left, "{ignored:?}");
    }
}

#[test]
fn what_stands_behind_a_link_is_not_looked_at() {
    let scratch = sides();
    for side in ["left", "right"] {
        link(scratch.path(side).join("out"), b"../../outside");
        build::age(&scratch.path(side));
    }
    folder(scratch.path("outside"));
    let ran = bundlecp(scratch.root(), &["verify", "left", "right"]);
    assert_eq!(ran.status, 0, "{}", ran.stdout);
    for (name, target) in [("left-link", "left"), ("right-link", "right")] {
        link(scratch.path(name), target.as_bytes());
    }
    let ran = bundlecp(scratch.root(), &["verify", "left-link", "right-link"]);
    assert_eq!(ran.status, 0, "{ran:?}");
}

#[test]
fn names_that_are_not_text_are_told_apart() {
    let scratch = sides();
    let right = scratch.path("right");
    keeping_time(&right, || file(right.join(bytes(b"caf\xe9")), ""));
    keeping_time(&right, || file(right.join(bytes(b"caf\xe8")), ""));
    let ran = bundlecp(scratch.root(), &["verify", "left", "right"]);
    for name in ["caf\\xe8", "caf\\xe9"] {
        assert!(ran.stdout.contains(name), "{}", ran.stdout);
    }
}
