//! Bundles that lost their links: each is named by `doctor` and put back by `repair`, and
//! nothing else is.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bundles;
mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use bundlecp::doctor::{self, Code};
use bundlecp::repair::{self, ChangeKind};
use bundlecp::verify::{self, DifferenceKind};
use bundlecp::{ErrorKind, Silent, manifest, pack};
use bundles::{ALL, Damage, damage, links};
use common::build::{self, file, folder, hard_link, link, mode};
use common::snapshot::Snapshot;
use common::{Scratch, bundlecp, examine, names};

fn plan_from(dir: &Path, from: Option<&Path>) -> repair::Plan {
    let mut options = repair::Options::default();
    options.from = from.map(Path::to_owned);
    repair::plan(dir, &options, &Silent).unwrap()
}

fn repair_from(dir: &Path, from: Option<&Path>) -> repair::Outcome {
    let plan = plan_from(dir, from);
    repair::apply(plan, &repair::Options::default(), &Silent).unwrap()
}

#[track_caller]
fn assert_equal(left: &Path, right: &Path, ignore: &[DifferenceKind]) {
    let mut options = verify::Options::default();
    options.ignore = ignore.to_vec();
    let outcome = verify::verify(left, right, &options, &Silent).unwrap();
    assert!(outcome.is_equal(), "{:#?}", outcome.differences);
}

/// Codes, paths and targets of what was found.
fn found(outcome: &doctor::Outcome) -> Vec<(Code, String, String)> {
    let finding = |finding: &doctor::Finding| {
        let target = finding.target.as_ref().map(ToString::to_string);
        (
            finding.code,
            finding.path.to_string(),
            target.unwrap_or_default(),
        )
    };
    outcome.findings.iter().map(finding).collect()
}

#[test]
fn bundles_as_they_were_made_have_nothing() {
    for (name, bundle) in ALL {
        let scratch = Scratch::new();
        let at = scratch.path("app");
        bundles::build(&at, *bundle);
        let outcome = examine(&at);
        assert_eq!(found(&outcome), [], "{name}");
        assert_eq!(outcome.bytes_wasted, 0);
        assert!(outcome.bytes_saved_by_links > 0);
        assert!(plan_from(&at, None).is_empty(), "{name}");
    }
}

#[test]
fn each_lost_link_is_named_and_comes_back() {
    for (name, bundle) in ALL {
        for how in [Damage::Flattened, Damage::Stubs] {
            let context = format!("{name}, {how:?}");
            let scratch = Scratch::new();
            let (original, lost) = (scratch.path("original"), scratch.path("lost"));
            bundles::build(&original, *bundle);
            damage(&original, &lost, how);
            build::age(&lost);
            let code = match how {
                Damage::Flattened => Code::FlattenedLink,
                Damage::Stubs => Code::StubLink,
            };
            let expected: Vec<_> = links(&original)
                .into_iter()
                .map(|(path, target)| (code, path, target))
                .collect();
            assert_eq!(found(&examine(&lost)), expected, "{context}");
            let before = Snapshot::of(&lost);
            let plan = plan_from(&lost, None);
            assert_eq!(plan.changes.len(), expected.len(), "{context}");
            assert!(plan.undecided.is_empty(), "{context}: {:?}", plan.undecided);
            before.assert_same(&Snapshot::of(&lost), "a plan writes nothing");
            repair_from(&lost, None);
            assert_equal(&original, &lost, &[DifferenceKind::Mtime]);
            assert_eq!(found(&examine(&lost)), [], "{context}");
            assert_eq!(names(scratch.root()), ["lost", "original"], "{context}");
        }
    }
}

#[test]
fn the_original_restores_all_of_it() {
    for (name, bundle) in ALL {
        for how in [Damage::Flattened, Damage::Stubs] {
            let scratch = Scratch::new();
            let original = scratch.path("original");
            bundles::build(&original, *bundle);
            let noted = scratch.path("app.manifest");
            manifest::write(&original, &noted, &manifest::Options::default(), &Silent).unwrap();
            let packed = scratch.path("app.tar.zst");
            let sources = [original.clone()];
            pack::pack(&sources, &packed, &pack::Options::default(), &Silent).unwrap();
            for from in [&noted, &packed, &original] {
                let lost = scratch.path("lost");
                damage(&original, &lost, how);
                repair_from(&lost, Some(from));
                // A manifest and an archive have no entry for the folder around it all.
                assert_equal(&original, &lost, &[DifferenceKind::Mtime]);
                assert_equal(from, &lost, &[]);
                let _ = fs::remove_dir_all(&lost);
            }
            assert_eq!(found(&examine(&original)), [], "{name}");
        }
    }
}

#[test]
fn what_is_not_certain_stays() {
    type Build = fn(&Path);
    let cases: [(&str, Build); 7] = [
        ("two libraries are equal", |app| {
            file(app.join("_internal/other/libz.so"), b"\x7fELF same");
            mode(app.join("_internal/other/libz.so"), 0o755);
        }),
        ("two are equal, and one may not be run", |app| {
            file(app.join("_internal/other/libz.so"), b"\x7fELF same");
        }),
        ("a byte differs", |app| {
            file(app.join("_internal/deep/libz.so"), b"\x7fELF sama");
        }),
        ("it is empty", |app| {
            file(app.join("_internal/deep/libz.so"), "");
            file(app.join("_internal/libz.so"), "");
        }),
        ("it is no library", |app| {
            file(app.join("_internal/deep/libz.so"), "LICENCE");
            file(app.join("_internal/libz.so"), "LICENCE");
        }),
        ("it has another name", |app| {
            let deep = app.join("_internal/deep");
            fs::rename(deep.join("libz.so"), deep.join("libz.so.1")).unwrap();
        }),
        ("only one may be run", |app| {
            mode(app.join("_internal/libz.so"), 0o755);
            mode(app.join("_internal/deep/libz.so"), 0o644);
        }),
    ];
    for (name, change) in cases {
        let scratch = Scratch::new();
        let app = scratch.path("app");
        folder(app.join("_internal/deep"));
        folder(app.join("_internal/other"));
        file(app.join("_internal/base_library.zip"), "x");
        for path in ["_internal/libz.so", "_internal/deep/libz.so"] {
            file(app.join(path), b"\x7fELF same");
            mode(app.join(path), 0o755);
        }
        change(&app);
        let plan = plan_from(&app, None);
        let links = plan
            .changes
            .iter()
            .filter(|change| change.kind == ChangeKind::Link);
        assert_eq!(links.count(), 0, "{name}: {:?}", plan.changes);
    }
}

/// What flattens a bundle leaves no link behind: a folder with one is no copy of a folder
/// that has a file there, though both read the same.
#[test]
fn a_folder_with_a_link_of_its_own_stays() {
    let scratch = Scratch::new();
    let (original, app) = (scratch.path("original"), scratch.path("app"));
    for root in [&original, &app] {
        folder(root.join("v1"));
        file(root.join("lib"), "x");
        file(root.join("v1/data"), "x");
    }
    link(original.join("latest"), b"v1");
    folder(app.join("latest"));
    link(app.join("latest/data"), b"../lib");

    assert_eq!(found(&examine(&app)), []);
    assert!(plan_from(&app, None).is_empty());
    let told = plan_from(&app, Some(&original));
    assert!(
        told.changes
            .iter()
            .all(|change| change.kind != ChangeKind::Link)
    );
    assert_eq!(told.undecided[0].path.to_string(), "latest");
    repair::apply(told, &repair::Options::default(), &Silent).unwrap();
    assert_eq!(
        fs::read_link(app.join("latest/data")).unwrap(),
        Path::new("../lib")
    );
}

#[test]
fn equal_libraries_are_listed_and_not_linked() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    folder(app.join("_internal/a"));
    folder(app.join("_internal/b"));
    file(app.join("_internal/base_library.zip"), "x");
    for path in [
        "_internal/libz.so",
        "_internal/a/libz.so",
        "_internal/b/libz.so",
    ] {
        file(app.join(path), b"\x7fELF same");
        mode(app.join(path), 0o755);
    }
    let outcome = examine(&app);
    let ambiguous = outcome
        .findings
        .iter()
        .find(|finding| finding.code == Code::AmbiguousLink);
    let message = &ambiguous.unwrap().message;
    assert!(message.contains("`a/libz.so` or `b/libz.so`"), "{message}");
    let plan = plan_from(&app, None);
    assert!(plan.is_empty());
    assert_eq!(plan.undecided[0].path.to_string(), "_internal/libz.so");
}

#[test]
fn texts_are_not_taken_for_links() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    folder(app.join("lib"));
    file(app.join("lib/a.so"), "library");
    for (name, text) in [
        ("ends", "lib/a.so\n"),
        ("path.txt", "lib"),
        ("absolute", "/lib"),
        ("out", "../app/lib"),
        ("nowhere", "lib/b.so"),
        ("self", "self"),
        ("through", "lib/a.so/x"),
        ("a", "b"),
        ("b", "a"),
        ("space", "lib "),
    ] {
        file(app.join(name), text);
    }
    assert_eq!(found(&examine(&app)), []);
    assert!(plan_from(&app, None).is_empty());
}

#[test]
fn links_that_a_copy_wrote_down_come_back() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    folder(app.join("lib/v1"));
    file(app.join("lib/v1/a.so"), "library");
    let noted = r#"{"format": "bundlecp-links", "version": 1, "links": [
        {"path": "lib/used", "target": "v1", "leads_to": "dir", "mtime": "2026-01-01T00:00:00Z"},
        {"path": "a.so", "target": "lib/used/a.so", "leads_to": "file", "mtime": "2026-01-01T00:00:00Z"},
        {"path": "dangling", "target": "lib/none", "leads_to": "dangling", "mtime": "2026-01-01T00:00:00Z"},
        {"path": "passwd", "target": "/etc/passwd", "leads_to": "outside", "mtime": "2026-01-01T00:00:00Z"},
        {"path": "../up", "target": "app/lib", "leads_to": "outside", "mtime": "2026-01-01T00:00:00Z"},
        {"path": "lib/v1/a.so/x", "target": "a", "leads_to": "file", "mtime": "2026-01-01T00:00:00Z"}
    ]}"#;
    file(app.join(".bundlecp-links.json"), noted);
    repair_from(&app, None);
    let expected = [
        ("a.so", "lib/used/a.so"),
        ("dangling", "lib/none"),
        ("lib/used", "v1"),
    ];
    let expected = expected.map(|(path, target)| (path.to_owned(), target.to_owned()));
    assert_eq!(links(&app), expected);
    assert_eq!(names(&app), ["a.so", "dangling", "lib"]);
    assert_eq!(names(scratch.root()), ["app"]);
}

#[test]
fn frameworks_get_links_that_are_gone() {
    let scratch = Scratch::new();
    let (original, lost) = (scratch.path("original"), scratch.path("lost"));
    bundles::build(&original, bundles::app);
    bundles::build(&lost, bundles::app);
    let framework = lost.join("Contents/Frameworks/Python.framework");
    for name in ["Versions/Current", "Python", "Resources"] {
        fs::remove_file(framework.join(name)).unwrap();
    }
    let missing: Vec<_> = examine(&lost)
        .findings
        .into_iter()
        .filter(|finding| finding.code == Code::MissingLink)
        .map(|finding| finding.path.to_string())
        .collect();
    assert_eq!(missing.len(), 3, "{missing:?}");
    repair_from(&lost, None);
    assert_equal(&original, &lost, &[DifferenceKind::Mtime]);
}

#[test]
fn what_changes_after_the_plan_is_noticed() {
    let scratch = Scratch::new();
    let (original, lost) = (scratch.path("original"), scratch.path("lost"));
    bundles::build(&original, bundles::pyinstaller);
    type Change = fn(&Path);
    let changes: [Change; 3] = [
        |lost| file(lost.join("_internal/libblas.so.3"), "changed"),
        |lost| file(lost.join("_internal/numpy.libs/libblas.so.3"), "changed"),
        |lost| file(lost.join("_internal/new"), "new"),
    ];
    for change in changes {
        damage(&original, &lost, Damage::Flattened);
        build::age(&lost);
        let plan = plan_from(&lost, None);
        change(&lost);
        let before = Snapshot::of(&lost);
        let error = repair::apply(plan, &repair::Options::default(), &Silent).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SourceChanged, "{}", error.report());
        before.assert_same(&Snapshot::of(&lost), "as it was");
        assert_eq!(names(scratch.root()), ["lost", "original"]);
        fs::remove_dir_all(&lost).unwrap();
    }
}

#[test]
fn hard_links_to_a_copy_keep_their_content() {
    let scratch = Scratch::new();
    let (original, lost) = (scratch.path("original"), scratch.path("lost"));
    bundles::build(&original, bundles::pyinstaller);
    damage(&original, &lost, Damage::Flattened);
    let copy = lost.join("_internal/libblas.so.3");
    hard_link(&copy, lost.join("second-name"));
    repair_from(&lost, None);
    assert!(copy.is_symlink());
    assert_eq!(
        fs::read(&copy).unwrap(),
        fs::read(lost.join("second-name")).unwrap()
    );
}

#[test]
fn an_environment_gets_its_interpreter_back_from_what_it_was() {
    let scratch = Scratch::new();
    let (original, lost) = (scratch.path("original"), scratch.path("lost"));
    let outside = scratch.path("python3");
    file(&outside, b"\x7fELF python");
    mode(&outside, 0o755);
    folder(original.join("bin"));
    folder(original.join("lib/python3.11"));
    file(original.join("lib/python3.11/site.py"), "site");
    let home = scratch.root().to_str().unwrap();
    let config = format!("home = {home}\ncommand = {home}/python3 -m venv {home}/original\n");
    file(original.join("pyvenv.cfg"), config);
    link(original.join("lib64"), b"lib");
    link(
        original.join("bin/python3"),
        outside.to_str().unwrap().as_bytes(),
    );
    link(original.join("bin/python"), b"python3");
    link(original.join("bin/python3.11"), b"python3");
    assert_eq!(found(&examine(&original)), []);
    damage(&original, &lost, Damage::Flattened);
    let codes: Vec<_> = found(&examine(&lost))
        .into_iter()
        .map(|(code, path, _)| (code, path))
        .collect();
    let expected = [
        (Code::FlattenedLink, "bin/python"),
        (Code::FlattenedLink, "bin/python3.11"),
        (Code::FlattenedLink, "lib64"),
        (Code::AmbiguousLink, "bin/python3"),
    ];
    assert_eq!(codes, expected.map(|(code, path)| (code, path.to_owned())));
    let plan = plan_from(&lost, None);
    assert_eq!((plan.changes.len(), plan.undecided.len()), (3, 1));
    // What the link would name is equal, on this machine.
    repair_from(&lost, Some(&original));
    assert_equal(&original, &lost, &[]);
    // It isn't any more.
    fs::remove_dir_all(&lost).unwrap();
    damage(&original, &lost, Damage::Flattened);
    file(&outside, b"\x7fELF update");
    repair_from(&lost, Some(&original));
    let standing: BTreeMap<_, _> = links(&lost).into_iter().collect();
    assert!(!standing.contains_key("bin/python3"));
    assert_eq!(
        fs::read(lost.join("bin/python3")).unwrap(),
        b"\x7fELF python"
    );
}

#[test]
fn archives_are_examined_like_the_folders_in_them() {
    let scratch = Scratch::new();
    let (original, lost) = (scratch.path("original"), scratch.path("app"));
    bundles::build(&original, bundles::pyinstaller);
    damage(&original, &lost, Damage::Flattened);
    for (source, count) in [(&original, 0), (&lost, 4)] {
        for ending in ["zip", "tar.zst", "bcp"] {
            let archive = scratch.path(&format!("x.{ending}"));
            let sources = [source.clone()];
            pack::pack(&sources, &archive, &pack::Options::default(), &Silent).unwrap();
            let outcome = examine(&archive);
            let lost = found(&outcome);
            let flattened = lost
                .iter()
                .filter(|(code, ..)| *code == Code::FlattenedLink);
            assert_eq!(flattened.count(), count, "{ending}: {lost:?}");
            let is_named = lost
                .iter()
                .any(|(code, ..)| *code == Code::ArchiveWithoutLinks);
            assert_eq!(is_named, count > 0);
            fs::remove_file(&archive).unwrap();
            assert_eq!(names(scratch.root()), ["app", "original"]);
        }
    }
}

#[test]
fn the_command_says_what_it_would_do_and_does_it_when_told() {
    let scratch = Scratch::new();
    let (original, lost) = (scratch.path("original"), scratch.path("app"));
    bundles::build(&original, bundles::pyinstaller);
    damage(&original, &lost, Damage::Flattened);
    let dry = bundlecp(scratch.root(), &["repair", "app"]);
    assert_eq!(dry.status, 0, "{}", dry.stderr);
    assert!(
        dry.stdout
            .contains("link      _internal/data/current -> v2"),
        "{}",
        dry.stdout
    );
    assert!(
        dry.stdout.ends_with("4 changes to make: --apply does it\n"),
        "{}",
        dry.stdout
    );
    assert!(links(&lost).is_empty());
    let ran = bundlecp(scratch.root(), &["repair", "app", "--apply", "--json"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let document = ran.json();
    assert_eq!(document["applied"], true);
    assert_eq!(document["changes"].as_array().unwrap().len(), 4);
    assert_eq!(document["changes"][0]["kind"], "link");
    let again = bundlecp(scratch.root(), &["repair", "app", "--apply"]);
    assert_eq!((again.status, &*again.stdout), (0, "nothing to repair\n"));
    for (arguments, status, words) in [
        (&["repair", "missing"][..], 5, "open `missing`"),
        (&["repair", "app", "--from", "missing"], 5, "`missing`"),
        (&["repair", "app/app"], 5, "extract an archive first"),
        (&["repair"], 2, "DIR"),
        (&["repair", "app", "--apply", "-n"], 2, "--apply"),
    ] {
        let ran = bundlecp(scratch.root(), arguments);
        assert_eq!(ran.status, status, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
    }
}
