//! The JSON documents: every field that the command line's contract names is
//! there with its type, and paths that aren't UTF-8 have their bytes beside them.
//! Further fields may be there.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::build::{self, bytes, file, folder, link};
use common::{Scratch, bundlecp};
use serde_json::Value;

/// What a field has to be.
#[derive(Debug, Clone, Copy)]
enum Is {
    Text,
    TextOrNull,
    Count,
    CountOrNull,
    Number,
    Bool,
    Texts,
    Objects,
    OneOf(&'static [&'static str]),
}

impl Is {
    fn holds(self, value: &Value) -> bool {
        let all = |test: fn(&Value) -> bool| value.as_array().is_some_and(|a| a.iter().all(test));
        match self {
            Is::Text => value.is_string(),
            Is::TextOrNull => value.is_string() || value.is_null(),
            Is::Count => value.is_u64(),
            Is::CountOrNull => value.is_u64() || value.is_null(),
            Is::Number => value.as_f64().is_some_and(|number| number >= 0.0),
            Is::Bool => value.is_boolean(),
            Is::Texts => all(Value::is_string),
            Is::Objects => all(Value::is_object),
            Is::OneOf(names) => value.as_str().is_some_and(|text| names.contains(&text)),
        }
    }
}

#[track_caller]
fn assert_fields(document: &Value, fields: &[(&str, Is)]) {
    for (name, is) in fields {
        let value = document.get(name);
        let value = value.unwrap_or_else(|| panic!("no `{name}` in {document:#}"));
        assert!(is.holds(value), "`{name}` is {value}, not {is:?}");
    }
}

const COPY: &[(&str, Is)] = &[
    ("files", Is::Count),
    ("dirs", Is::Count),
    ("symlinks", Is::Count),
    ("hardlinks", Is::Count),
    ("bytes", Is::Count),
    ("seconds", Is::Number),
    ("methods", Is::Texts),
];

const PROBE: &[(&str, Is)] = &[
    ("path", Is::Text),
    ("filesystem", Is::Text),
    ("symlinks", Is::OneOf(&["yes", "no", "unknown"])),
    ("symlinks_cause", Is::TextOrNull),
    ("case_sensitive", Is::Bool),
    ("hardlinks", Is::Bool),
    ("exec", Is::Bool),
    ("reflink", Is::Bool),
    ("xattrs", Is::Bool),
    ("mtime_resolution_ns", Is::Count),
    ("name_max", Is::Count),
    ("free_bytes", Is::Count),
    ("free_inodes", Is::CountOrNull),
];

const VERIFY: &[(&str, Is)] = &[("equal", Is::Bool), ("differences", Is::Objects)];

const KINDS: Is = Is::OneOf(&[
    "missing",
    "extra",
    "type",
    "flattened",
    "stub",
    "retargeted",
    "content",
    "mode",
    "mtime",
    "hardlink",
    "xattr",
]);

const DIFFERENCE: &[(&str, Is)] = &[
    ("path", Is::Text),
    ("kind", KINDS),
    ("left", Is::TextOrNull),
    ("right", Is::TextOrNull),
];

const DOCTOR: &[(&str, Is)] = &[
    ("findings", Is::Objects),
    ("bytes_total", Is::Count),
    ("bytes_saved_by_links", Is::Count),
    ("bytes_wasted", Is::Count),
    ("seconds", Is::Number),
];

const FINDING: &[(&str, Is)] = &[
    ("code", Is::Text),
    ("severity", Is::OneOf(&["error", "warning", "note"])),
    ("path", Is::Text),
    ("message", Is::Text),
    ("fix", Is::Text),
];

#[test]
fn doctor_names_what_it_found() {
    let scratch = two_bundles();
    link(scratch.path("app/dead"), b"nowhere");
    let ran = bundlecp(scratch.root(), &["doctor", "app", "--json"]);
    assert_eq!((ran.status, &*ran.stderr), (1, ""));
    let document = ran.json();
    assert_fields(&document, DOCTOR);
    let findings = document["findings"].as_array().unwrap();
    assert!(!findings.is_empty());
    for finding in findings {
        assert_fields(finding, FINDING);
    }
}

fn two_bundles() -> Scratch {
    let scratch = Scratch::new();
    build::bundle(&scratch.path("app"));
    build::bundle(&scratch.path("other"));
    scratch
}

#[test]
fn copy_counts_what_it_copied() {
    let scratch = two_bundles();
    for arguments in [
        &["-R", "app", "new", "--json"][..],
        &["-R", "app", "new2", "--json", "-v"],
        &["-R", "app", "new3", "--json", "-n"],
        &["copy", "--json", "app", "new4"],
    ] {
        let ran = bundlecp(scratch.root(), arguments);
        assert_eq!((ran.status, &*ran.stderr), (0, ""), "{arguments:?}");
        let document = ran.json();
        assert_fields(&document, COPY);
        for (field, count) in [
            ("files", 3),
            ("dirs", 4),
            ("symlinks", 6),
            ("hardlinks", 1),
            ("bytes", 10_014),
        ] {
            assert_eq!(document[field], count, "{field} of {arguments:?}");
        }
        let known = ["reflink", "copy_file_range", "read_write", "decoded"];
        for method in document["methods"].as_array().unwrap() {
            assert!(known.contains(&method.as_str().unwrap()), "{method}");
        }
    }
    let document = bundlecp(
        scratch.root(),
        &["-R", "app", "other", "--json", "-t", "new"],
    )
    .json();
    assert_eq!(document["files"], 6);
    assert_eq!(document["dirs"], 8);
}

#[test]
fn probe_says_what_the_folder_can_hold() {
    let scratch = two_bundles();
    let before = common::names(scratch.root());
    let ran = bundlecp(scratch.root(), &["probe", ".", "--json"]);
    let document = ran.json();
    assert_fields(&document, PROBE);
    let can_link = document["symlinks"] == "yes";
    assert_eq!(ran.status, i32::from(!can_link));
    assert_eq!(document["symlinks_cause"].is_null(), can_link);
    assert_eq!(common::names(scratch.root()), before);
}

#[test]
fn verify_lists_differences_with_both_sides() {
    let scratch = two_bundles();
    let ran = bundlecp(scratch.root(), &["verify", "--json", "app", "other"]);
    assert_eq!((ran.status, &*ran.stderr), (0, ""));
    assert_fields(&ran.json(), VERIFY);
    assert_eq!(ran.json()["equal"], true);
    std::fs::remove_file(scratch.path("other/run")).unwrap();
    std::fs::remove_file(scratch.path("other/Current")).unwrap();
    file(scratch.path("other/Current"), "lib");
    file(scratch.path("other/more"), "");
    file(scratch.path("other/lib/deep/data"), "DATA");
    build::mode(scratch.path("other/empty"), 0o700);
    let ran = bundlecp(scratch.root(), &["verify", "--json", "app", "other"]);
    assert_eq!((ran.status, &*ran.stderr), (1, ""));
    let document = ran.json();
    assert_fields(&document, VERIFY);
    assert_eq!(document["equal"], false);
    for difference in document["differences"].as_array().unwrap() {
        assert_fields(difference, DIFFERENCE);
        let (left, right) = (&difference["left"], &difference["right"]);
        match difference["kind"].as_str().unwrap() {
            "missing" => assert!(left.is_string() && right.is_null()),
            "extra" => assert!(left.is_null() && right.is_string()),
            _ => assert!(left.is_string() && right.is_string(), "{difference}"),
        }
    }
}

#[test]
fn the_document_is_all_that_standard_output_has() {
    let scratch = two_bundles();
    for arguments in [
        &["-R", "app", "new", "--json", "--progress=always"][..],
        &[
            "verify",
            "app",
            "other",
            "--json",
            "--progress=always",
            "--color=always",
        ],
        &["verify", "app", "other", "--json", "-q"],
        &["probe", "--json", "."],
    ] {
        let ran = bundlecp(scratch.root(), arguments);
        assert!(ran.json().is_object(), "{arguments:?}");
        assert!(ran.stdout.ends_with('\n'));
    }
}

#[test]
fn an_error_leaves_standard_output_empty() {
    let scratch = two_bundles();
    for arguments in [
        &["-R", "missing", "new", "--json"][..],
        &["verify", "app", "missing", "--json"],
        &["probe", "missing", "--json"],
    ] {
        let ran = bundlecp(scratch.root(), arguments);
        assert_eq!((ran.status, &*ran.stdout), (5, ""), "{arguments:?}");
    }
}

#[test]
fn a_difference_whose_path_is_not_text_has_the_bytes_beside_it() {
    let scratch = two_bundles();
    let name = b"caf\xe9/\xff";
    folder(scratch.path("app").join(bytes(b"caf\xe9")));
    folder(scratch.path("other").join(bytes(b"caf\xe9")));
    link(scratch.path("app").join(bytes(name)), b"\xfe");
    file(scratch.path("app/caf\u{e9}"), "");
    let ran = bundlecp(scratch.root(), &["verify", "--json", "app", "other"]);
    let document = ran.json();
    let differences = document["differences"].as_array().unwrap();
    let find = |path: &str| {
        let found = differences
            .iter()
            .find(|one| one["path"] == path && one["kind"] == "missing");
        found.unwrap_or_else(|| panic!("no `{path}` in {document:#}"))
    };
    let odd = find("caf\u{fffd}/\u{fffd}");
    assert_eq!(odd["path_base64"], STANDARD.encode(name));
    assert!(find("caf\u{e9}").get("path_base64").is_none());
}

#[test]
fn a_probed_path_that_is_not_text_has_the_bytes_beside_it() {
    let scratch = Scratch::new();
    let name = b"caf\xe9";
    folder(scratch.root().join(bytes(name)));
    let arguments = ["probe".as_ref(), OsStr::from_bytes(name), "--json".as_ref()];
    let document = bundlecp(scratch.root(), &arguments).json();
    assert_eq!(document["path"], "caf\u{fffd}");
    assert_eq!(document["path_base64"], STANDARD.encode(name));
}
