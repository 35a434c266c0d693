//! `pack`, `extract` and `list` as a user runs them: round trips through every
//! format, what each option chooses, and what is printed. Bad input is in
//! `cli_archives/bad.rs`.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

#[path = "cli_archives/bad.rs"]
mod bad;
mod common;
#[path = "cli_archives/convert.rs"]
mod convert;
#[path = "cli_archives/evil.rs"]
mod evil;
#[path = "cli_archives/hash.rs"]
mod hash;
#[path = "cli_archives/pipes.rs"]
mod pipes;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::build::{self, bundle, bytes, file, folder, link};
use common::snapshot::{Kind, Snapshot};
use common::{Ran, Scratch, bundlecp, names};
use pipes::{output_of, with_input};
use serde_json::Value;

/// A format that is tested.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Format {
    name: &'static str,
    /// The kinds of difference that a round trip through it may leave; none for
    /// a format that keeps everything.
    lost: &'static str,
}

impl Format {
    fn loses(self, kind: &str) -> bool {
        self.lost.split(',').any(|lost| lost == kind)
    }
}

/// Every format that this version packs and extracts.
pub(crate) const FORMATS: &[Format] = &[
    exact("tar"),
    exact("tar.gz"),
    exact("tar.bz2"),
    exact("tar.xz"),
    exact("tar.zst"),
    exact("bcp"),
];

const fn exact(name: &'static str) -> Format {
    Format { name, lost: "" }
}

const ANY_LINKS: &str = "--allow-external-links";

/// A bundle with all that is hard to keep.
fn world() -> Scratch {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    bundle(&app);
    file(app.join(bytes(b"caf\xe9")), "not UTF-8");
    link(app.join(bytes(b"to-caf\xe9")), b"caf\xe9");
    link(app.join("chain"), b"Current/libfoo.so");
    build::xattr(app.join("run"), "user.note", b"kept");
    build::age(&app);
    for (name, nanoseconds) in [("run", 1), ("lib/deep/data", 999_999_999), ("lib", 7)] {
        build::time(app.join(name), (1_234_567_890, nanoseconds));
    }
    build::time(&app, (1_234_567_890, 42));
    scratch
}

/// As [`world`], packed as `app.<format>`.
fn packed(format: &str) -> Scratch {
    let scratch = world();
    let archive = format!("app.{format}");
    let ran = bundlecp(scratch.root(), &["pack", "-q", "app", "-o", &archive]);
    assert_silent(&ran);
    scratch
}

#[track_caller]
fn assert_silent(ran: &Ran) {
    assert_eq!((ran.status, &*ran.stdout, &*ran.stderr), (0, "", ""));
}

/// The paths below `root/relative`, sorted.
fn paths_in(scratch: &Scratch, relative: &str) -> Vec<String> {
    let snapshot = Snapshot::of(&scratch.path(relative));
    let paths = snapshot.0.keys().filter(|path| !path.is_empty());
    paths
        .map(|path| String::from_utf8_lossy(path).into_owned())
        .collect()
}

#[test]
fn every_format_brings_a_bundle_back_as_it_was() {
    for format in FORMATS {
        let scratch = packed(format.name);
        let archive = format!("app.{}", format.name);
        let extract = ["extract", &archive, "-C", "out", ANY_LINKS];
        assert_silent(&bundlecp(scratch.root(), &extract));
        assert_came_back(&scratch, *format);
        let listed = bundlecp(scratch.root(), &["list", &archive]);
        assert_eq!((listed.status, &*listed.stderr), (0, ""));
        let mut lines: Vec<_> = listed.stdout.lines().collect();
        lines.sort_unstable();
        assert_eq!(lines, MEMBERS, "{format:?}");
    }
}

const MEMBERS: [&str; 17] = [
    "app/",
    "app/Current",
    "app/absolute",
    "app/caf\\xe9",
    "app/chain",
    "app/dangling",
    "app/empty/",
    "app/lib/",
    "app/lib/deep/",
    "app/lib/deep/data",
    "app/lib/deep/up",
    "app/lib/libfoo.so",
    "app/lib/libfoo.so.1",
    "app/lib/libfoo.so.1.2",
    "app/run",
    "app/same-data",
    "app/to-caf\\xe9",
];

#[track_caller]
fn assert_came_back(scratch: &Scratch, format: Format) {
    let ignored = format!("--ignore={}", format.lost);
    let mut verify = vec!["verify", "app", "out/app"];
    match format.lost {
        "" => {
            let before = Snapshot::of(&scratch.path("app"));
            before.assert_same(&Snapshot::of(&scratch.path("out/app")), format.name);
        }
        _ => verify.push(&ignored),
    }
    let verified = bundlecp(scratch.root(), &verify);
    assert_eq!(verified.status, 0, "{format:?}: {}", verified.stdout);
    assert_eq!(names(&scratch.path("out")), ["app"]);
}

#[test]
fn every_format_goes_through_pipes() {
    for format in FORMATS {
        let scratch = world();
        let pack = ["pack", "app", "-q", "-o", "-", "--format", format.name];
        let archive = output_of(scratch.root(), &pack);
        let name = format!("app.{}", format.name);
        assert_silent(&bundlecp(
            scratch.root(),
            &["pack", "app", "-q", "-o", &name],
        ));
        let in_file = std::fs::read(scratch.path(&name)).unwrap();
        assert!(archive == in_file, "{format:?}: the pipe got other bytes");
        let extract = ["extract", "-", "-C", "out", ANY_LINKS];
        assert_silent(&with_input(scratch.root(), &extract, &archive));
        assert_came_back(&scratch, *format);
        let from_pipe = with_input(scratch.root(), &["list", "-", "-l"], &archive);
        let from_file = bundlecp(scratch.root(), &["list", &name, "-l"]);
        assert_eq!(from_pipe.stdout, from_file.stdout);
    }
}

#[test]
fn the_same_folder_makes_the_same_bytes() {
    for format in FORMATS {
        let scratch = world();
        let pack = |jobs: &str| {
            let options = [
                "pack",
                "app",
                "-q",
                "-o",
                "-",
                "--format",
                format.name,
                jobs,
            ];
            output_of(scratch.root(), &options)
        };
        assert!(pack("-j1") == pack("-j4"), "{format:?}");
    }
}

#[test]
fn a_name_says_the_format_and_an_option_overrides_it() {
    let scratch = world();
    for (name, format, known) in [
        ("a.tar", None, "tar"),
        ("a.tgz", None, "tar.gz"),
        ("a.tbz2", None, "tar.bz2"),
        ("a.txz", None, "tar.xz"),
        ("a.TZST", None, "tar.zst"),
        ("a.bin", Some("tar.gz"), "tar.gz"),
        ("b.tar", Some("tar.xz"), "tar.xz"),
    ] {
        let mut pack = vec!["pack", "app", "--json", "-o", name];
        pack.extend(format.map(|format| ["--format", format]).iter().flatten());
        let document = bundlecp(scratch.root(), &pack).json();
        assert_eq!(document["format"], known, "{name}");
        let look = ["extract", name, "-n", "--json", ANY_LINKS, "-C", "new"];
        assert_eq!(bundlecp(scratch.root(), &look).json()["format"], known);
    }
}

#[test]
fn roots_are_named_stripped_or_kept() {
    let scratch = world();
    for (options, first) in [
        (&[][..], "app/"),
        (&["--strip-root"], "Current"),
        (&["--root", "app-1.2"], "app-1.2/"),
        (&["--root", "a/b"], "a/b/"),
    ] {
        let pack = [&["pack", "app", "-qf", "-o", "a.tar"], options].concat();
        assert_silent(&bundlecp(scratch.root(), &pack));
        let listed = bundlecp(scratch.root(), &["list", "a.tar"]).stdout;
        assert_eq!(listed.lines().next(), Some(first), "{options:?}");
    }
}

#[test]
fn packing_leaves_out_what_is_excluded() {
    let scratch = world();
    let pack = [
        "pack",
        "app",
        "-q",
        "-o",
        "a.tar",
        "--exclude=lib",
        "--exclude=caf*",
        "--exclude=/run",
        "--exclude=app",
    ];
    assert_silent(&bundlecp(scratch.root(), &pack));
    let listed = bundlecp(scratch.root(), &["list", "a.tar"]).stdout;
    for kept in ["app/same-data", "app/empty/", "app/Current"] {
        assert!(listed.contains(kept), "{listed}");
    }
    for left_out in ["app/lib", "app/caf", "app/run"] {
        assert!(!listed.contains(left_out), "{listed}");
    }
}

#[test]
fn levels_and_profiles_change_the_size() {
    let scratch = world();
    let text: String = (0..60_000)
        .map(|n| format!("{} ", n % 977 * n % 991))
        .collect();
    file(scratch.path("app/text"), text);
    let size = |options: &[&str]| {
        let pack = [&["pack", "app", "--json", "-fo", "a.tar.zst"], options].concat();
        bundlecp(scratch.root(), &pack).json()["packed_bytes"]
            .as_u64()
            .unwrap()
    };
    assert!(size(&["--profile=small"]) < size(&["--profile=fast"]));
    assert!(size(&["--level=19"]) < size(&["--level=1"]));
    assert!(size(&["--level=19", "--single-frame"]) < size(&["--level=1", "--single-frame"]));
}

#[test]
fn links_that_lead_out_are_noted_when_packed_and_refused_when_extracted() {
    let scratch = world();
    let ran = bundlecp(scratch.root(), &["pack", "app", "-o", "a.tar"]);
    let note = "1 link leads out of the bundle; whoever extracts it needs --allow-external-links";
    assert_eq!(ran.stderr, format!("bundlecp: note: {note}\n"));
    let ran = bundlecp(scratch.root(), &["extract", "a.tar", "-C", "out"]);
    assert_eq!(ran.status, 4, "{}", ran.stderr);
    assert!(ran.stderr.contains("app/absolute"), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("--allow-external-links"),
        "{}",
        ran.stderr
    );
    assert_eq!(names(scratch.root()), ["a.tar", "app"]);
}

#[test]
fn members_patterns_and_depth_choose_what_is_extracted() {
    const LIBRARIES: [&str; 3] = ["libfoo.so", "libfoo.so.1", "libfoo.so.1.2"];
    let all = |before: &str| LIBRARIES.map(|name| format!("{before}{name}"));
    let deep = |before: &str| vec![format!("{before}/deep"), format!("{before}/deep/data")];
    let table: [(&[&str], Vec<String>); 9] = [
        (&["app/run"], vec!["app".into(), "app/run".into()]),
        (&["./app//empty/"], vec!["app".into(), "app/empty".into()]),
        (&["app/run", "--strip-components=1"], vec!["run".into()]),
        (
            &["app/lib/deep/", "--exclude=up", "--strip-components=1"],
            [vec!["lib".into()], deep("lib")].concat(),
        ),
        (&["lib*.so*", "--strip-components=2"], all("").to_vec()),
        (
            &["--include=lib*.so*", "--strip-components", "2"],
            all("").to_vec(),
        ),
        (
            &[
                "--include",
                "lib",
                "--exclude",
                "deep",
                "--strip-components",
                "1",
            ],
            [vec!["lib".into()], all("lib/").to_vec()].concat(),
        ),
        (&["--include=nothing"], vec![]),
        (&["--strip-components=9"], vec![]),
    ];
    for format in FORMATS {
        let scratch = packed(format.name);
        let archive = format!("app.{}", format.name);
        for (number, (options, expected)) in table.iter().enumerate() {
            let out = format!("out{number}");
            let extract = [&["extract", &archive, "-C", &out], *options].concat();
            assert_silent(&bundlecp(scratch.root(), &extract));
            assert_eq!(paths_in(&scratch, &out), *expected, "{extract:?}");
        }
    }
}

#[test]
fn a_member_that_is_not_there_is_an_error_before_anything_appears() {
    for format in FORMATS {
        let scratch = packed(format.name);
        let archive = format!("app.{}", format.name);
        folder(scratch.path("dst"));
        let before = Snapshot::of(scratch.root());
        for (members, missing) in [
            (&["app/run", "app/nope"][..], "app/nope"),
            (&["run"], "run"),
            (&["*.nope"], "*.nope"),
        ] {
            for out in ["dst", "new"] {
                let extract = [&["extract", &archive, "-C", out], members].concat();
                let ran = bundlecp(scratch.root(), &extract);
                let says = format!("bundlecp: extract `{archive}`: no such member: `{missing}`\n");
                assert_eq!(ran.status, 5);
                assert!(ran.stderr.starts_with(&says), "{}", ran.stderr);
            }
        }
        let known = [b"" as &[u8], b"dst"];
        let after = Snapshot::of(scratch.root()).without_times_of(&known);
        before
            .without_times_of(&known)
            .assert_same(&after, format.name);
    }
}

#[test]
fn a_hard_link_without_its_content_says_what_is_missing() {
    let scratch = packed("tar");
    let listed = bundlecp(scratch.root(), &["list", "app.tar", "--json"]).stdout;
    let lines = listed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let further: Value = lines
        .into_iter()
        .find(|line: &Value| line["kind"] == "hardlink")
        .unwrap();
    let (path, target) = (
        further["path"].as_str().unwrap(),
        further["target"].as_str().unwrap(),
    );
    let ran = bundlecp(scratch.root(), &["extract", "app.tar", "-C", "out", path]);
    assert_eq!(ran.status, 2);
    assert!(ran.stderr.contains(target), "{}", ran.stderr);
    assert_eq!(names(scratch.root()), ["app", "app.tar"]);
    let both = ["extract", "app.tar", "-C", "out", path, target];
    assert_silent(&bundlecp(scratch.root(), &both));
}

#[test]
fn what_stands_is_kept_replaced_or_merged() {
    for format in FORMATS {
        let scratch = packed(format.name);
        let archive = format!("app.{}", format.name);
        folder(scratch.path("out/app"));
        file(scratch.path("out/app/run"), "older");
        file(scratch.path("out/app/more"), "kept by a merge");
        file(scratch.path("out/other"), "not of the archive");
        let extract = |option: &str| {
            let arguments = ["extract", &archive, "-C", "out", ANY_LINKS, option];
            bundlecp(scratch.root(), &arguments)
        };
        let ran = extract("-q");
        assert_eq!(ran.status, 5, "{}", ran.stderr);
        assert!(
            ran.stderr
                .starts_with("bundlecp: extract to `out/app`: exists already\nhint: -f")
        );
        assert_eq!(
            paths_in(&scratch, "out"),
            ["app", "app/more", "app/run", "other"]
        );
        assert_silent(&extract("--merge"));
        let run = std::fs::read_to_string(scratch.path("out/app/run")).unwrap();
        assert_eq!(run, "#!/bin/sh\n");
        assert!(scratch.path("out/app/more").exists());
        assert_silent(&extract("--replace"));
        assert!(!scratch.path("out/app/more").exists());
        assert_eq!(names(&scratch.path("out")), ["app", "other"]);
        std::fs::remove_file(scratch.path("out/other")).unwrap();
        assert_came_back(&scratch, *format);
    }
}

#[test]
fn an_archive_that_stands_is_kept_or_replaced() {
    let scratch = world();
    file(scratch.path("a.tar"), "something else");
    let ran = bundlecp(scratch.root(), &["pack", "app", "-o", "a.tar"]);
    let says = "bundlecp: pack to `a.tar`: exists already\nhint: -f replaces it\n";
    assert_eq!((ran.status, &*ran.stderr), (5, says));
    assert_eq!(
        std::fs::read(scratch.path("a.tar")).unwrap(),
        b"something else"
    );
    for option in ["-f", "--force", "--replace"] {
        assert_silent(&bundlecp(
            scratch.root(),
            &["pack", "app", "-qo", "a.tar", option],
        ));
        assert!(std::fs::read(scratch.path("a.tar")).unwrap().len() > 10_000);
    }
    assert_eq!(names(scratch.root()), ["a.tar", "app"]);
}

#[test]
fn a_dry_run_checks_everything_and_writes_nothing() {
    for format in FORMATS {
        let scratch = packed(format.name);
        let archive = format!("app.{}", format.name);
        folder(scratch.path("dst"));
        build::age(scratch.root());
        let before = Snapshot::of(scratch.root());
        for arguments in [
            &["pack", "-n", "app", "-o", "new.tar.gz"][..],
            &["pack", "-n", "app", "-o", "-", "--format=tar"],
            &["extract", "-n", &archive, "-C", "dst", ANY_LINKS],
            &["extract", "-nv", &archive, "-C", "new", ANY_LINKS],
        ] {
            let ran = bundlecp(scratch.root(), arguments);
            assert_eq!(ran.status, 0, "{arguments:?}: {}", ran.stderr);
            assert!(ran.stderr.contains("would "), "{}", ran.stderr);
            before.assert_same(&Snapshot::of(scratch.root()), &format!("{arguments:?}"));
        }
        let refused = bundlecp(scratch.root(), &["extract", "-n", &archive, "-C", "new"]);
        assert_eq!(refused.status, 4);
    }
}

#[test]
fn every_member_is_named_on_demand() {
    let scratch = packed("tar.gz");
    let ran = bundlecp(scratch.root(), &["pack", "app", "-v", "-o", "b.tar"]);
    assert_eq!(ran.stdout.lines().count(), 17, "{}", ran.stdout);
    assert!(ran.stdout.contains("\napp/caf\\xe9\n"), "{}", ran.stdout);
    assert!(
        ran.stderr
            .contains("packed 4 files, 4 folders, 8 links, 1 hard link, ")
    );
    let ran = bundlecp(
        scratch.root(),
        &["extract", "app.tar.gz", "-vC", "out", ANY_LINKS],
    );
    assert_eq!(ran.stdout.lines().count(), 17, "{}", ran.stdout);
    assert!(
        ran.stdout.contains("\napp/Current -> lib\n"),
        "{}",
        ran.stdout
    );
    assert!(
        ran.stderr.contains("8 links, 1 hard link, "),
        "{}",
        ran.stderr
    );
    let to_pipe = ["pack", "app", "-v", "-o", "-", "--format=tar", "-n"];
    let ran = bundlecp(scratch.root(), &to_pipe);
    assert_eq!(ran.stdout, "");
    assert!(ran.stderr.contains("app/lib/libfoo.so\n"), "{}", ran.stderr);
}

#[test]
fn no_time_is_later_than_the_epoch_of_the_build() {
    let scratch = world();
    let pack =
        |epoch: &str| pipes::with_epoch(scratch.root(), epoch, &["pack", "app", "-qfo", "a.tar"]);
    assert_silent(&pack("1000000001"));
    let listed = bundlecp(scratch.root(), &["list", "--json", "a.tar"]).stdout;
    let time = |path: &str| {
        let lines = listed
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap());
        let found = lines.into_iter().find(|line| line["path"] == path);
        found.unwrap()["mtime"].as_str().unwrap().to_owned()
    };
    assert_eq!(time("app/run"), "2001-09-09T01:46:41.000000000Z");
    assert_eq!(time("app/dangling"), "2001-09-09T01:46:40.123456789Z");
    for wrong in ["", "now", "1.5", "99999999999999999999"] {
        let ran = pack(wrong);
        let says = format!("bundlecp: SOURCE_DATE_EPOCH `{wrong}`: not a number of seconds\n");
        assert_eq!(ran.status, 2);
        assert!(ran.stderr.starts_with(&says), "{}", ran.stderr);
    }
}

#[test]
fn a_bundle_is_written_down_where_its_links_cannot_be() {
    let scratch = packed("tar");
    let copy = ["extract", "app.tar", "-C", "out", "--on-no-symlinks=copy"];
    let ran = bundlecp(scratch.root(), &copy);
    assert_eq!(ran.status, 2, "{}", ran.stderr);
    assert_eq!(names(scratch.root()), ["app", "app.tar"]);
}

#[test]
fn results_are_counted_in_json() {
    for format in FORMATS {
        let scratch = world();
        let archive = format!("app.{}", format.name);
        let packed = bundlecp(scratch.root(), &["pack", "app", "--json", "-o", &archive]).json();
        let extract = ["extract", &archive, "--json", "-C", "out", ANY_LINKS];
        let extracted = bundlecp(scratch.root(), &extract).json();
        // A further name of four bytes is a file of its own where names can't be further.
        let further = u64::from(!format.loses("hardlink"));
        for (document, dirs) in [(&packed, 4), (&extracted, 5)] {
            for (field, count) in [
                ("files", 5 - further),
                ("dirs", dirs),
                ("symlinks", 8),
                ("hardlinks", further),
                ("bytes", 10_027 - 4 * further),
            ] {
                assert_eq!(document[field], count, "{field} of {document:#}");
            }
            assert!(document["seconds"].as_f64().unwrap() >= 0.0);
            assert!(document["methods"].is_array());
            assert!(document["notes"].is_array());
            assert_eq!(document["format"], format.name);
        }
        assert_eq!(extracted["methods"][0], "decoded");
        assert!(extracted["links_files"].as_array().unwrap().is_empty());
        let size = std::fs::metadata(scratch.path(&archive)).unwrap().len();
        assert_eq!(packed["packed_bytes"], size);
        assert_eq!(packed["external_links"], 1);
    }
}

#[test]
fn listed_members_have_all_that_the_contract_names() {
    for format in FORMATS {
        let scratch = packed(format.name);
        let archive = format!("app.{}", format.name);
        let ran = bundlecp(scratch.root(), &["list", &archive, "--json"]);
        let lines = ran
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let lines: Vec<Value> = lines.collect();
        assert_eq!(lines.len(), 17);
        for line in &lines {
            let kind = line["kind"].as_str().unwrap();
            assert!(["file", "dir", "symlink", "hardlink"].contains(&kind));
            assert!(line["path"].is_string() && line["size"].is_u64());
            assert!(u32::from_str_radix(line["mode"].as_str().unwrap(), 8).is_ok());
            assert!(line["mtime"].as_str().unwrap().ends_with('Z'));
            let is_link = matches!(kind, "symlink" | "hardlink");
            assert_eq!(line.get("target").is_some(), is_link, "{line}");
        }
        assert_is(&lines, "app/run", &[("kind", "file"), ("mode", "0755")]);
        assert_is(
            &lines,
            "app/Current",
            &[("kind", "symlink"), ("target", "lib")],
        );
        assert_is(&lines, "app/empty", &[("kind", "dir"), ("mode", "0755")]);
        let odd = STANDARD.encode(b"app/to-caf\xe9");
        let target = STANDARD.encode(b"caf\xe9");
        let fields = [("path_base64", &*odd), ("target_base64", &*target)];
        assert_is(&lines, "app/to-caf\u{fffd}", &fields);
        if !format.loses("mtime") {
            let time = "2009-02-13T23:31:30.000000001Z";
            assert_is(&lines, "app/run", &[("mtime", time)]);
        }
    }
}

#[track_caller]
fn assert_is(lines: &[Value], path: &str, fields: &[(&str, &str)]) {
    let line = lines.iter().find(|line| line["path"] == path);
    let line = line.unwrap_or_else(|| panic!("no `{path}`"));
    for (field, value) in fields {
        assert_eq!(line[field], *value, "{field} of {line}");
    }
}

#[test]
fn long_lines_look_as_in_ls() {
    let scratch = packed("tar");
    let listed = bundlecp(scratch.root(), &["list", "-l", "app.tar"]).stdout;
    for line in [
        "drwxr-xr-x            0 2009-02-13T23:31:30.000000042Z app/",
        "-rwxr-xr-x           10 2009-02-13T23:31:30.000000001Z app/run",
        "lrwxrwxrwx            0 2001-09-09T01:46:40.123456789Z app/Current -> lib",
        "lrwxrwxrwx            0 2001-09-09T01:46:40.123456789Z app/to-caf\\xe9 -> caf\\xe9",
    ] {
        assert!(
            listed.lines().any(|listed| listed == line),
            "no {line} in\n{listed}"
        );
    }
}

#[test]
fn an_empty_folder_is_a_bundle_too() {
    for format in FORMATS {
        let scratch = Scratch::new();
        folder(scratch.path("app"));
        let archive = format!("a.{}", format.name);
        for (option, expected) in [("--strip-root", &[][..]), ("--root=x", &["x"])] {
            let pack = ["pack", "app", "-fo", &archive, option];
            assert_silent(&bundlecp(scratch.root(), &pack));
            let out = format!("out{option}");
            let extract = ["extract", &archive, "-C", &out];
            assert_silent(&bundlecp(scratch.root(), &extract));
            assert_eq!(names(&scratch.path(&out)), expected, "{format:?} {option}");
        }
    }
}

#[test]
fn apple_doubles_are_left_out_unless_they_are_asked_for() {
    let scratch = Scratch::new();
    let double = [&[0, 5, 0x16, 7, 0, 2, 0, 0][..], &[0; 92]].concat();
    let archive = evil::tar(&[evil::data("app/._x", &double), evil::data("app/x", b"x")]);
    file(scratch.path("a.tar"), archive);
    for (option, expected) in [("-q", &["x"][..]), ("--keep-apple-double", &["._x", "x"])] {
        let out = format!("out{option}");
        let extract = ["extract", "a.tar", "-C", &out, option];
        assert_silent(&bundlecp(scratch.root(), &extract));
        assert_eq!(names(&scratch.path(&out).join("app")), expected);
    }
}

#[test]
fn what_follows_a_tar_is_refused_or_read_on_demand() {
    let scratch = Scratch::new();
    let two = [
        evil::tar(&[evil::data("a", b"1")]),
        evil::tar(&[evil::data("b", b"2")]),
    ]
    .concat();
    file(scratch.path("a.tar"), two);
    let ran = bundlecp(scratch.root(), &["extract", "a.tar", "-C", "out"]);
    assert_eq!(ran.status, 4, "{}", ran.stderr);
    assert_eq!(names(scratch.root()), ["a.tar"]);
    let extract = ["extract", "a.tar", "-C", "out", "--ignore-zeros"];
    assert_silent(&bundlecp(scratch.root(), &extract));
    assert_eq!(names(&scratch.path("out")), ["a", "b"]);
}

#[test]
fn modes_are_those_of_the_archive_without_special_bits() {
    let scratch = Scratch::new();
    let mut member = evil::data("tool", b"x");
    member.mode = 0o6755;
    file(scratch.path("a.tar"), evil::tar(&[member]));
    assert_silent(&bundlecp(
        scratch.root(),
        &["extract", "a.tar", "-C", "out"],
    ));
    let snapshot = Snapshot::of(&scratch.path("out"));
    let tool = snapshot.node(b"tool");
    assert_eq!(tool.mode, 0o755);
    assert!(matches!(tool.kind, Kind::File { size: 1, .. }));
}

#[test]
fn chosen_members_come_out_of_a_zip_that_is_damaged_elsewhere() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    folder(&app);
    let mut seed = 1_u32;
    let noise = std::iter::repeat_with(|| {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (seed >> 24) as u8
    });
    file(app.join("large"), noise.take(13 << 20).collect::<Vec<u8>>());
    file(app.join("small"), "small");
    let run = |arguments: &[&str]| bundlecp(scratch.root(), arguments).status;
    assert_eq!(run(&["pack", "app", "-o", "app.zip"]), 0);
    let mut bytes = std::fs::read(scratch.path("app.zip")).unwrap();
    bytes[1 << 20] ^= 1;
    std::fs::write(scratch.path("app.zip"), bytes).unwrap();
    assert_eq!(run(&["extract", "app.zip", "-C", "all"]), 4);
    assert!(!scratch.path("all").exists());
    assert_eq!(run(&["extract", "app.zip", "app/small", "-C", "one"]), 0);
    let content = std::fs::read(scratch.path("one/app/small"));
    assert_eq!(content.unwrap(), b"small");
}
