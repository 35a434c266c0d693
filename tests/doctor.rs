//! What `doctor` finds beside lost links: links to nowhere, names, modes, broken shapes;
//! and what it says of all that.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod bundles;
mod common;

use std::fs;
use std::path::Path;

use bundlecp::doctor::{self, BundleKind, Code, Severity};
use bundlecp::{Silent, repair};
use bundles::{ALL, Damage, damage, elf, links, program};
use common::build::{file, folder, link, mode};
use common::{Scratch, bundlecp, examine, names};

/// Codes and paths of what was found.
fn found(path: &Path) -> Vec<(Code, String)> {
    let findings = examine(path).findings.into_iter();
    findings
        .map(|finding| (finding.code, finding.path.to_string()))
        .collect()
}

fn expected<const N: usize>(code: Code, paths: [&str; N]) -> Vec<(Code, String)> {
    paths.map(|path| (code, path.to_owned())).to_vec()
}

#[test]
fn kinds_of_bundles_are_named() {
    let pyinstaller = "PyInstaller folder (contents in `_internal`)";
    for (name, words) in [
        ("pyinstaller", pyinstaller),
        ("app", "macOS application"),
        ("npm", "JavaScript project (node_modules)"),
        ("pnpm", "JavaScript project (node_modules)"),
    ] {
        let scratch = Scratch::new();
        let (_, bundle) = ALL.iter().find(|(of, _)| *of == name).unwrap();
        bundles::build(&scratch.path("app"), *bundle);
        assert_eq!(examine(&scratch.path("app")).kind.to_string(), words);
    }
    let cases: [(&str, BundleKind); 5] = [
        ("pyvenv.cfg", BundleKind::Venv),
        ("conda-meta/history", BundleKind::Conda),
        ("resources/app.asar", BundleKind::Electron),
        ("usr/bin/x", BundleKind::System),
        ("some/file", BundleKind::Plain),
    ];
    for (path, kind) in cases {
        let scratch = Scratch::new();
        let at = scratch.path("tree").join(path);
        folder(at.parent().unwrap());
        file(at, "x");
        assert_eq!(examine(&scratch.path("tree")).kind, kind);
    }
}

#[test]
fn links_that_lead_nowhere_are_told_apart() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    folder(app.join("dir"));
    file(app.join("dir/file"), "x");
    for (name, target) in [
        ("absolute", "/etc/passwd"),
        ("dangling", "dir/none"),
        ("escaping", "../outside"),
        ("fine", "dir/file"),
        ("loop", "loop"),
        ("through", "escaping/x"),
    ] {
        link(app.join(name), target.as_bytes());
    }
    let mut all = expected(Code::DanglingLink, ["dangling"]);
    all.extend(expected(Code::AbsoluteLink, ["absolute"]));
    all.extend(expected(Code::EscapingLink, ["escaping", "through"]));
    all.extend(expected(Code::LoopingLink, ["loop"]));
    assert_eq!(found(&app), all);
}

#[test]
fn an_environment_may_have_its_interpreter_outside() {
    let scratch = Scratch::new();
    let venv = scratch.path("venv");
    folder(venv.join("bin"));
    file(venv.join("pyvenv.cfg"), "home = /usr/bin\n");
    link(venv.join("bin/python3"), b"/usr/bin/python3");
    link(venv.join("bin/python"), b"python3");
    assert_eq!(found(&venv), []);
    link(venv.join("bin/tool"), b"/usr/bin/tool");
    assert_eq!(found(&venv), expected(Code::AbsoluteLink, ["bin/tool"]));
}

#[test]
fn names_that_arrive_as_one_are_found() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    for path in [
        "a/READ",
        "a/Read",
        "a/read",
        "b/read",
        "c/e\u{301}",
        "c/\u{e9}",
    ] {
        folder(app.join(path).parent().unwrap());
        file(app.join(path), path);
    }
    let mut all = expected(Code::CaseCollision, ["a/Read", "a/read"]);
    all.extend(expected(Code::NormalizationCollision, ["c/\u{e9}"]));
    assert_eq!(found(&app), all);
}

#[test]
fn a_name_that_windows_cannot_hold_is_no_problem_here() {
    let scratch = Scratch::new();
    folder(scratch.path("app"));
    file(scratch.path("app/aux.h"), "x");
    let outcome = examine(&scratch.path("app"));
    assert_eq!(outcome.findings.len(), 1);
    assert_eq!(outcome.findings[0].code, Code::WindowsName);
    assert_eq!(outcome.findings[0].severity, Severity::Note);
    assert!(!outcome.has_problems());
    assert_eq!(bundlecp(scratch.root(), &["doctor", "app"]).status, 0);
}

#[test]
fn programs_get_their_bits_back_and_nothing_else_does() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    bundles::build(&app, bundles::pyinstaller);
    folder(app.join("bin"));
    folder(app.join("docs"));
    program(app.join("bin/start"), "#!/bin/sh\n");
    file(app.join("docs/example.sh"), "#!/bin/sh\n");
    file(app.join("bin/words"), "no script");
    let programs = [
        "_internal/libz.so.1",
        "_internal/numpy.libs/libblas.so.3",
        "_internal/numpy.libs/libgfortran.so.5",
        "app",
        "bin/start",
    ];
    assert_eq!(found(&app), []);
    for path in programs {
        mode(app.join(path), 0o640);
    }
    assert_eq!(found(&app), expected(Code::LostExec, programs));
    let options = repair::Options::default();
    let plan = repair::plan(&app, &options, &Silent).unwrap();
    repair::apply(plan, &options, &Silent).unwrap();
    assert_eq!(found(&app), []);
    for path in programs {
        assert_eq!(mode_of(&app.join(path)), 0o750, "{path}");
    }
    for path in ["docs/example.sh", "bin/words", "_internal/data/v1/text"] {
        assert_eq!(mode_of(&app.join(path)) & 0o111, 0, "{path}");
    }
}

#[test]
fn scripts_that_npm_links_to_are_programs() {
    for how in [None, Some(Damage::Flattened), Some(Damage::Stubs)] {
        let scratch = Scratch::new();
        let (original, app) = (scratch.path("original"), scratch.path("app"));
        bundles::build(&original, bundles::npm);
        match how {
            Some(how) => damage(&original, &app, how),
            None => fs::rename(&original, &app).unwrap(),
        }
        let tool = app.join("node_modules/tool/bin/tool.js");
        assert!(fs::read(&tool).unwrap().starts_with(b"#!"));
        for at in [&tool, &app.join("node_modules/.bin/tool")] {
            if !at.is_symlink() {
                mode(at, 0o644);
            }
        }
        let found = found(&app);
        let is_lost = |(code, path): &(Code, String)| {
            *code == Code::LostExec && path == "node_modules/tool/bin/tool.js"
        };
        assert!(found.iter().any(is_lost), "{how:?}: {found:?}");
    }
}

#[test]
fn a_program_that_gives_rights_away_is_named() {
    let scratch = Scratch::new();
    for (tree, path) in [("app", "tool"), ("system", "usr/bin/tool")] {
        let at = scratch.path(tree).join(path);
        folder(at.parent().unwrap());
        file(&at, elf("tool"));
        mode(&at, 0o4755);
    }
    let all = expected(Code::SetId, ["tool"]);
    assert_eq!(found(&scratch.path("app")), all);
    // A system needs them.
    assert_eq!(found(&scratch.path("system")), []);
}

#[test]
fn frameworks_that_cannot_be_mended_by_rules_are_named() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    let framework = app.join("X.framework");
    for version in ["A", "B"] {
        folder(framework.join("Versions").join(version));
        file(framework.join("Versions").join(version).join("X"), version);
    }
    assert_eq!(found(&app), expected(Code::FrameworkShape, ["X.framework"]));
    link(framework.join("Versions/Current"), b"B");
    // With one of them chosen, the link at the top is known.
    assert_eq!(found(&app), expected(Code::MissingLink, ["X.framework/X"]));
}

#[test]
fn what_code_signing_refuses_is_named() {
    let scratch = Scratch::new();
    let app = scratch.path("X.app");
    bundles::build(&app, bundles::app);
    assert_eq!(found(&app), []);
    let contents = app.join("Contents");
    folder(contents.join("Frameworks/pkg.dir"));
    folder(contents.join("Resources/en.lproj"));
    folder(contents.join("Frameworks/Y.framework/Versions/5.1"));
    file(contents.join("Resources/._app.icns"), "attributes");
    file(contents.join("MacOS/data.txt"), "two words\n");
    file(contents.join("MacOS/script"), "#!/bin/sh\n");
    mode(contents.join("MacOS/script"), 0o755);
    file(app.join("README"), "beside");
    fs::remove_file(contents.join("Info.plist")).unwrap();
    let mut all = expected(
        Code::UnsignableApp,
        [
            ".",
            "Contents/Frameworks/pkg.dir",
            "Contents/MacOS/data.txt",
            "Contents/Resources/._app.icns",
            "README",
        ],
    );
    all.insert(
        0,
        (
            Code::MissingLink,
            "Contents/Frameworks/Y.framework/Versions/Current".into(),
        ),
    );
    assert_eq!(found(&app), all);
    // The same in a folder with more than the application.
    folder(scratch.path("dist"));
    fs::rename(&app, scratch.path("dist/X.app")).unwrap();
    let inside = |(code, path): (Code, String)| match path.as_str() {
        "." => (code, "X.app".to_owned()),
        path => (code, format!("X.app/{path}")),
    };
    let all: Vec<_> = all.into_iter().map(inside).collect();
    assert_eq!(found(&scratch.path("dist")), all);
}

#[test]
fn entries_are_listed_when_asked_for() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    bundles::build(&app, bundles::pyinstaller);
    let mut options = doctor::Options::default();
    assert!(examine(&app).entries.is_empty());
    options.list_entries = true;
    let outcome = doctor::examine(&app, &options, &Silent).unwrap();
    let count = outcome.files + outcome.dirs + outcome.symlinks;
    // All but the root.
    assert_eq!(outcome.entries.len() as u64, count - 1);
    assert!(outcome.entries.is_sorted_by(|a, b| a.path < b.path));
}

#[test]
fn people_read_what_is_wrong_by_what_mends_it() {
    let scratch = Scratch::new();
    let (original, app) = (scratch.path("original"), scratch.path("app"));
    bundles::build(&original, bundles::pyinstaller);
    damage(&original, &app, Damage::Flattened);
    assert!(links(&app).is_empty());
    link(app.join("dead"), b"nowhere");
    let ran = bundlecp(scratch.root(), &["doctor", "app"]);
    assert_eq!((ran.status, &*ran.stderr), (1, ""));
    let text = ran.stdout;
    for words in [
        "app: PyInstaller folder (contents in `_internal`)\n",
        "error: links that became copies (4) [flattened-link]\n",
        "  _internal/libblas.so.3 -> numpy.libs/libblas.so.3 (76 B)\n",
        "    fix: `bundlecp repair --apply` puts the link back\n",
        "  dead -> nowhere: leads to nothing: whoever opens it fails\n",
        "\n5 errors found in ",
    ] {
        assert!(text.contains(words), "{words}\nin\n{text}");
    }
    assert!(!text.contains('\x1b'));
    let saved = text.lines().last().unwrap();
    assert!(
        saved.ends_with(" would be saved by `bundlecp repair`"),
        "{saved}"
    );
    let colored = bundlecp(scratch.root(), &["doctor", "app", "--color", "always"]);
    assert!(colored.stdout.contains("\x1b[1;31merror:\x1b[0m"));
    let quiet = bundlecp(scratch.root(), &["doctor", "app", "-q"]);
    assert_eq!((quiet.status, &*quiet.stdout), (1, ""));
    let clean = bundlecp(scratch.root(), &["doctor", "original"]);
    assert_eq!(clean.status, 0);
    assert!(clean.stdout.contains("\nnothing is wrong, looked for in "));
}

#[test]
fn scripts_read_what_the_contract_says() {
    let scratch = Scratch::new();
    let (original, app) = (scratch.path("original"), scratch.path("app"));
    bundles::build(&original, bundles::pyinstaller);
    damage(&original, &app, Damage::Flattened);
    for arguments in [
        ["doctor", "app", "--json"],
        ["doctor", "app", "--format=json"],
    ] {
        let ran = bundlecp(scratch.root(), &arguments);
        assert_eq!(ran.status, 1);
        let document = ran.json();
        assert_eq!(document["bundle"]["kind"], "pyinstaller");
        assert_eq!(document["bundle"]["contents"]["path"], "_internal");
        let first = &document["findings"][0];
        assert_eq!(first["code"], "flattened-link");
        assert_eq!(first["severity"], "error");
        assert_eq!(first["path"], "_internal/data/current");
        assert_eq!(first["target"], "v2");
        assert!(first["message"].is_string() && first["fix"].is_string());
        let sizes = ["bytes_total", "bytes_saved_by_links", "bytes_wasted"];
        for name in sizes {
            assert!(document[name].is_u64(), "{name}");
        }
        assert_eq!(document["bytes_wasted"], document["bytes_repairable"]);
    }
}

#[test]
fn mistakes_get_one_clear_line() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    bundles::build(&app, bundles::pyinstaller);
    file(scratch.path("text"), "no archive, and no folder");
    folder(scratch.path("folder"));
    for (arguments, status, words) in [
        (&["doctor", "missing"][..], 5, "open `missing`: "),
        (&["doctor", "text"], 4, "read `text`: it is no archive"),
        (&["doctor"], 2, "DIR|ARCHIVE"),
        (
            &["doctor", "app", "--json", "--format=sarif"],
            2,
            "--format",
        ),
        (&["doctor", "app", "-f"], 2, "--html"),
        (
            &["doctor", "app", "--html", "text"],
            5,
            "report to `text`: exists already",
        ),
        (
            &["doctor", "app", "--html", "folder"],
            5,
            "report to `folder`: is a folder",
        ),
        (&["doctor", "app", "--html", "none/x"], 5, "open `none`: "),
    ] {
        let ran = bundlecp(scratch.root(), arguments);
        assert_eq!(ran.status, status, "{arguments:?}: {}", ran.stderr);
        assert!(ran.stderr.contains(words), "{arguments:?}: {}", ran.stderr);
        assert_eq!(ran.stdout, "");
    }
    assert_eq!(names(scratch.root()), ["app", "folder", "text"]);
    assert_eq!(
        fs::read(scratch.path("text")).unwrap(),
        b"no archive, and no folder"
    );
}

#[test]
fn a_page_appears_whole_and_replaces_only_when_told() {
    let scratch = Scratch::new();
    bundles::build(&scratch.path("app"), bundles::pyinstaller);
    let page = ["doctor", "app", "--html", "page.html"];
    assert_eq!(bundlecp(scratch.root(), &page).status, 0);
    let written = fs::read_to_string(scratch.path("page.html")).unwrap();
    assert!(written.starts_with("<!doctype html>"));
    file(scratch.path("page.html"), "old");
    assert_eq!(bundlecp(scratch.root(), &page).status, 5);
    assert_eq!(fs::read(scratch.path("page.html")).unwrap(), b"old");
    let replaced = bundlecp(scratch.root(), &[&page[..], &["-f"]].concat());
    assert_eq!(replaced.status, 0, "{}", replaced.stderr);
    let again = fs::read_to_string(scratch.path("page.html")).unwrap();
    assert!(again.starts_with("<!doctype html>"));
    assert_eq!(names(scratch.root()), ["app", "page.html"]);
}

fn mode_of(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}
