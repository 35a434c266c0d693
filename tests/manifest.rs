//! `bundlecp manifest`: one text for a tree, wherever it is; what it says of each entry;
//! and that a text which is anything else is refused.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
#[path = "manifest/hostile.rs"]
mod hostile;
#[path = "manifest/signed.rs"]
mod signed;

use std::io::Write;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use bundlecp::manifest::{self, Manifest};
use bundlecp::pack::{self, Format, Profile, RootName};
use bundlecp::{EntryKind, Silent};
use common::build::{self, THEN, age, bytes, file, folder, hard_link, link, mode, time, xattr};
use common::{Scratch, bundlecp, names};
use signed::{hex, signed, tree_hash};

const GOLDEN: &str = include_str!("data/golden.manifest");

/// A tree with something of everything that has one place in every order.
fn tree(app: &Path) {
    folder(app.join("lib/deep"));
    folder(app.join("empty"));
    file(app.join("run"), "#!/bin/sh\n");
    mode(app.join("run"), 0o4755);
    file(app.join("lib/data"), "data");
    mode(app.join("lib/data"), 0o640);
    // `-` stands before `/`, and so the first name isn't the one that a walk meets first.
    file(app.join("lib-data"), "more data");
    hard_link(app.join("lib-data"), app.join("lib/a"));
    hard_link(app.join("lib-data"), app.join("z"));
    link(app.join("lib/deep/up"), b"../../run");
    link(app.join("Current"), b"lib");
    link(app.join("dangling"), b"no/\xFFwhere");
    file(app.join(bytes(b"caf\xE9")), "odd");
    file(app.join("a \"quoted\"\nname"), "");
    let sparse = std::fs::File::create(app.join("sparse")).unwrap();
    sparse.set_len(300 << 10).unwrap();
    sparse.write_all_at(b"data", 100 << 10).unwrap();
    for path in ["lib-data", "a \"quoted\"\nname", "sparse"] {
        mode(app.join(path), 0o644);
    }
    mode(app.join(bytes(b"caf\xE9")), 0o644);
    for path in ["lib/deep", "lib", "empty"] {
        mode(app.join(path), 0o755);
    }
    age(app);
    time(app.join("run"), (-1, 5));
    time(app.join("lib/data"), (1_000_000_000, 0));
}

fn write(source: &Path, jobs: usize) -> (String, manifest::Outcome) {
    let out = source.with_extension("manifest");
    let mut options = manifest::Options::default();
    options.jobs = Some(jobs);
    options.existing = bundlecp::Existing::Replace;
    let outcome = manifest::write(source, &out, &options, &Silent);
    let outcome = outcome.unwrap_or_else(|error| panic!("{source:?}: {error:?}"));
    (std::fs::read_to_string(out).unwrap(), outcome)
}

fn read(text: &str) -> bundlecp::Result<Manifest> {
    let limits = manifest::Limits::default();
    manifest::read_from(text.as_bytes(), Path::new("x"), limits)
}

fn pack_with(app: &Path, name: &str, change: impl FnOnce(&mut pack::Options)) -> PathBuf {
    let archive = app.with_file_name(name);
    let mut options = pack::Options::default();
    options.format = Format::of_name(&archive).unwrap();
    options.root = RootName::Strip;
    change(&mut options);
    pack::pack(&[app.to_owned()], &archive, &options, &Silent).unwrap();
    archive
}

/// The lines behind the first.
fn entries(text: &str) -> &str {
    text.split_once('\n').unwrap().1
}

#[test]
fn a_tree_has_one_text_in_a_folder_and_in_every_archive_that_tells_as_much() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    tree(&app);
    xattr(app.join("run"), "user.b", b"2\xFF");
    xattr(app.join("run"), "user.a", b"1");
    xattr(app.join("empty"), "user.c", b"");
    let (text, outcome) = write(&app, 1);
    for jobs in [2, 7] {
        assert_eq!(write(&app, jobs).0, text);
    }
    let other = scratch.path("other");
    common::copy_with(&app, &other, 2);
    assert_eq!(write(&other, 2).0, text);

    let mut archives = vec![
        pack_with(&app, "app.tar", |_| ()),
        pack_with(&app, "app.tar.gz", |_| ()),
        pack_with(&app, "app.tar.zst", |_| ()),
        pack_with(&app, "one.tar.zst", |options| {
            options.frames = pack::Frames::Single;
        }),
    ];
    let mut root_hashes = Vec::new();
    for (name, profile) in [
        ("fast.bcp", Profile::Fast),
        ("default.bcp", Profile::Default),
        ("small.bcp", Profile::Small),
    ] {
        let archive = pack_with(&app, name, |options| options.profile = profile);
        let (text, outcome) = write(&archive, 2);
        let root_hash = hex(&outcome.root_hash.unwrap());
        assert!(text.lines().next().unwrap().contains(&root_hash), "{text}");
        assert_eq!(read(&text).unwrap().root_hash(), outcome.root_hash);
        let ran = bundlecp(scratch.root(), &["list", "--root-hash", name]);
        assert_eq!(ran.stdout.trim(), root_hash);
        root_hashes.push(root_hash);
        archives.push(archive);
    }
    root_hashes.dedup();
    assert!(root_hashes.len() > 1, "blocks are another matter");
    for archive in &archives {
        let (packed, packed_outcome) = write(archive, 2);
        assert_eq!(entries(&packed), entries(&text), "{archive:?}");
        assert_eq!(packed_outcome.tree_hash, outcome.tree_hash, "{archive:?}");
    }
    assert_eq!(outcome.tree_hash, tree_hash(&[], entries(&text)));
    let counts = |outcome: &manifest::Outcome| {
        let (files, dirs) = (outcome.files, outcome.dirs);
        (files, dirs, outcome.symlinks, outcome.hardlinks)
    };
    assert_eq!(counts(&outcome), (6, 3, 3, 2));
    assert_eq!(outcome.entries(), 14);
    assert_eq!(outcome.bytes, 10 + 4 + 9 + 3 + (300 << 10));
}

#[test]
fn an_archive_keeps_the_folder_at_its_top_and_a_zip_leaves_out_what_it_does_not_tell() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    tree(&app);
    xattr(app.join("run"), "user.a", b"1");
    let own = pack_with(&app, "own.tar", |options| options.root = RootName::Own);
    let paths = |text: &str| -> Vec<String> {
        let manifest = read(text).unwrap();
        let paths = manifest.entries().iter().map(|entry| &entry.path);
        paths.map(|path| format!("{path}")).collect()
    };
    let folder: Vec<_> = paths(&write(&app, 1).0)
        .iter()
        .map(|p| format!("app/{p}"))
        .collect();
    let packed = paths(&write(&own, 1).0);
    assert_eq!(packed[0], "app");
    assert_eq!(packed[1..], folder);

    let (zip, outcome) = write(&pack_with(&app, "app.zip", |_| ()), 2);
    assert!(
        zip.lines()
            .next()
            .unwrap()
            .ends_with(r#","untold":["hardlinks","xattrs"]}"#)
    );
    assert!(!zip.contains("hardlink\"") && !entries(&zip).contains("xattrs"));
    assert_eq!(outcome.hardlinks, 0);
    // 100 ns, and no digit that nobody told.
    let run = zip.lines().find(|line| line.contains("\"run\",")).unwrap();
    assert!(run.contains("1969-12-31T23:59:59"), "{run}");
    assert!(zip.contains(":40.1234567Z\""), "{zip}");
    assert_eq!(
        outcome.tree_hash,
        tree_hash(&["hardlinks", "xattrs"], entries(&zip))
    );
}

#[test]
fn folders_that_no_member_names_are_entries_of_which_little_is_known() {
    let scratch = Scratch::new();
    let mut tar = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_gnu();
    header.set_size(1);
    header.set_mode(0o600);
    header.set_mtime(7);
    tar.append_data(&mut header, "a/b/c", &b"x"[..]).unwrap();
    let path = scratch.path("x.tar");
    file(&path, tar.into_inner().unwrap());
    let (text, _) = write(&path, 1);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[1], r#"{"path":"a","kind":"dir"}"#);
    assert_eq!(lines[2], r#"{"path":"a/b","kind":"dir"}"#);
    assert!(lines[3].contains(r#""mtime":"1970-01-01T00:00:07.000000000Z""#));
    assert!(read(&text).is_ok());
    // What isn't known is no difference.
    folder(scratch.path("a/b"));
    file(scratch.path("a/b/c"), "x");
    mode(scratch.path("a/b/c"), 0o600);
    time(scratch.path("a/b/c"), (7, 5));
    xattr(scratch.path("a/b"), "user.a", b"1");
    let ran = bundlecp(scratch.root(), &["verify", "x.manifest", "a"]);
    assert_eq!(ran.status, 0, "{ran:?}");
}

#[test]
fn entries_say_what_is_there() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    tree(&app);
    let has_xattrs = xattr(app.join("run"), "user.a", b"\xFF1");
    let manifest = read(&write(&app, 2).0).unwrap();
    let find = |path: &[u8]| {
        let entries = manifest.entries();
        let at = entries.binary_search_by(|entry| entry.path.as_bytes().cmp(path));
        &entries[at.unwrap()]
    };
    let run = find(b"run");
    assert_eq!(
        (run.kind, run.size, run.mode),
        (EntryKind::File, 10, Some(0o4755))
    );
    assert_eq!(run.hash, Some(blake3::hash(b"#!/bin/sh\n").into()));
    let modified = run.modified.unwrap();
    assert_eq!((modified.secs, modified.nanos), (-1, 5));
    if has_xattrs {
        assert_eq!(run.xattrs, [(b"user.a".to_vec(), b"\xFF1".to_vec())]);
    }
    let mut zeros = vec![0; 300 << 10];
    zeros[100 << 10..][..4].copy_from_slice(b"data");
    assert_eq!(find(b"sparse").hash, Some(blake3::hash(&zeros).into()));
    let target = |path: &[u8]| find(path).target.as_ref().unwrap().as_bytes();
    assert_eq!(target(b"dangling"), b"no/\xFFwhere");
    assert_eq!(find(b"Current").mode, None);
    let modified = find(b"Current").modified.unwrap();
    assert_eq!((modified.secs, i64::from(modified.nanos)), THEN);
    for name in [&b"lib/a"[..], b"z"] {
        assert_eq!(find(name).kind, EntryKind::Hardlink);
        assert_eq!(target(name), b"lib-data");
    }
    assert_eq!(find(b"lib").kind, EntryKind::Dir);
    assert_eq!(find(b"caf\xE9").hash, Some(blake3::hash(b"odd").into()));
}

#[test]
fn a_manifest_reads_as_docs_say_and_is_written_so_today() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    tree(&app);
    assert_eq!(write(&app, 2).0, GOLDEN);
    let header: serde_json::Value = serde_json::from_str(GOLDEN.lines().next().unwrap()).unwrap();
    let hash = tree_hash(&[], entries(GOLDEN));
    assert_eq!(header["tree_hash"], hex(&hash));
    let manifest = read(GOLDEN).unwrap();
    assert_eq!(manifest.tree_hash(), hash);
    assert_eq!(header["entries"], manifest.entries().len());
    file(scratch.path("golden"), GOLDEN);
    let ran = bundlecp(scratch.root(), &["verify", "golden", "app"]);
    assert_eq!(ran.status, 0, "{ran:?}");
}

#[test]
fn every_damaged_byte_and_every_cut_is_found() {
    for at in 0..GOLDEN.len() {
        let mut damaged = GOLDEN.as_bytes().to_vec();
        for bit in [1, 4, 0x20, 0x80] {
            damaged[at] ^= bit;
            let limits = manifest::Limits::default();
            let read = manifest::read_from(&damaged[..], Path::new("x"), limits);
            assert!(read.is_err(), "bit {bit} of byte {at}");
            damaged[at] ^= bit;
        }
        let limits = manifest::Limits::default();
        let error = manifest::read_from(&damaged[..at], Path::new("x"), limits).unwrap_err();
        assert_eq!(error.kind().exit_status(), 4, "cut at {at}: {error:?}");
    }
    assert!(read(&format!("{GOLDEN}\n")).is_err());
    assert!(read(&format!("{GOLDEN}{GOLDEN}")).is_err());
}

#[test]
fn limits_count_what_a_manifest_says() {
    let count = read(GOLDEN).unwrap().entries().len() as u64;
    let mut limits = manifest::Limits::default();
    for (most, is_read) in [(count, true), (count - 1, false)] {
        limits.entries = Some(most);
        let read = manifest::read_from(GOLDEN.as_bytes(), Path::new("x"), limits);
        assert_eq!(read.is_ok(), is_read);
    }
    limits.entries = None;
    limits.bytes = Some(300 << 10);
    let error = manifest::read_from(GOLDEN.as_bytes(), Path::new("x"), limits).unwrap_err();
    assert_eq!(error.kind(), bundlecp::ErrorKind::LimitExceeded);
}

#[test]
fn the_command_writes_whole_or_not_at_all() {
    let scratch = Scratch::new();
    tree(&scratch.path("app"));
    let root = scratch.root();
    let ran = bundlecp(root, &["manifest", "app"]);
    assert_eq!(
        (ran.status, ran.stdout.as_str(), ran.stderr.as_str()),
        (0, GOLDEN, "")
    );
    let ran = bundlecp(root, &["manifest", "app", "-o", "m", "--json"]);
    let document = ran.json();
    assert_eq!(
        document["tree_hash"],
        hex(&read(GOLDEN).unwrap().tree_hash())
    );
    assert_eq!(
        (&document["files"], &document["hardlinks"]),
        (&6.into(), &2.into())
    );
    assert_eq!(std::fs::read_to_string(scratch.path("m")).unwrap(), GOLDEN);

    file(scratch.path("app/lib/new"), "");
    let ran = bundlecp(root, &["manifest", "app", "-o", "m"]);
    assert_eq!(ran.status, 5);
    assert_eq!(
        ran.stderr,
        "bundlecp: manifest to `m`: exists already\nhint: -f replaces it\n"
    );
    assert_eq!(std::fs::read_to_string(scratch.path("m")).unwrap(), GOLDEN);
    let ran = bundlecp(root, &["manifest", "app", "-fo", "m", "-j2"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (0, ""), "{ran:?}");
    assert!(
        std::fs::read_to_string(scratch.path("m"))
            .unwrap()
            .contains("lib/new")
    );

    let listener = UnixListener::bind(scratch.path("app/socket")).unwrap();
    let ran = bundlecp(root, &["manifest", "app", "-fo", "m"]);
    assert_eq!(ran.status, 4, "{ran:?}");
    assert!(ran.stderr.contains("app/socket` is") || ran.stderr.contains("app/socket`: is"));
    let ran = bundlecp(root, &["manifest", "app", "--skip-special"]);
    assert_eq!(ran.status, 0);
    assert!(!ran.stdout.contains("socket"));
    drop(listener);
    assert_eq!(names(root), ["app", "m"]);
}

#[test]
fn what_cannot_be_is_one_line() {
    let scratch = Scratch::new();
    tree(&scratch.path("app"));
    file(scratch.path("text"), "no archive\n");
    file(scratch.path("m"), GOLDEN);
    build::folder(scratch.path("dir"));
    pack_with(&scratch.path("app"), "app.tar.gz", |_| ());
    let whole = std::fs::read(scratch.path("app.tar.gz")).unwrap();
    file(scratch.path("cut.tar.gz"), &whole[..whole.len() - 20]);
    const HOLDS: &str = "`m`: is a manifest, which holds no contents\nhint: bundlecp verify and repair --from take it";
    for (arguments, status, says) in [
        (&["manifest", "missing"][..], 5, "`missing`: No such file"),
        (&["manifest", "text"], 4, "read `text`: it is no archive"),
        (
            &["manifest", "cut.tar.gz", "-o", "new"],
            4,
            "manifest `cut.tar.gz`: ",
        ),
        (
            &["manifest", "app", "-o", "dir"],
            5,
            "manifest to `dir`: is a folder",
        ),
        (
            &["manifest", "app", "-o", "no/new"],
            5,
            "open `no`: No such file",
        ),
        (
            &["manifest", "app", "--json"],
            2,
            "manifest `-`: standard output can't have",
        ),
        (&["manifest"], 2, "hint: "),
        (&["manifest", "m"], 4, HOLDS),
        (&["extract", "m", "-C", "new"], 4, HOLDS),
        (&["list", "m"], 4, HOLDS),
        (&["convert", "m", "new.tar"], 4, HOLDS),
    ] {
        let before = names(scratch.root());
        let ran = bundlecp(scratch.root(), arguments);
        assert_eq!(ran.status, status, "{arguments:?} {ran:?}");
        assert!(ran.stderr.contains(says), "{arguments:?} {ran:?}");
        assert_eq!(ran.stdout, "", "{arguments:?}");
        assert_eq!(names(scratch.root()), before, "{arguments:?}");
    }
}

#[test]
fn standard_input_has_an_archive_or_a_manifest() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    tree(&app);
    let tar = std::fs::read(pack_with(&app, "app.tar.zst", |_| ())).unwrap();
    let zip = std::fs::read(pack_with(&app, "app.zip", |_| ())).unwrap();
    let run = |arguments: &[&str], input: &[u8]| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bundlecp"))
            .args(arguments)
            .current_dir(scratch.root())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // Whoever refuses the beginning doesn't read the end.
        let _ = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        (
            output.status.code(),
            stdout,
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let (status, text, _) = run(&["manifest", "-"], &tar);
    assert_eq!((status, entries(&text)), (Some(0), entries(GOLDEN)));
    let (status, _, stderr) = run(&["manifest", "-"], &zip);
    assert_eq!(status, Some(2));
    assert!(stderr.contains("hint: save it to a file first"), "{stderr}");
    let (status, _, stderr) = run(&["verify", "-", "app"], GOLDEN.as_bytes());
    assert_eq!((status, stderr.as_str()), (Some(0), ""));
    let (status, ..) = run(&["verify", "app", "-"], GOLDEN.as_bytes());
    assert_eq!(status, Some(0));
    let (status, stdout, _) = run(&["verify", "-"], GOLDEN.as_bytes());
    assert_eq!(status, Some(0));
    let hash = hex(&read(GOLDEN).unwrap().tree_hash());
    assert!(stdout.contains(&format!("tree hash {hash}")), "{stdout}");
    let (status, _, stderr) = run(&["extract", "-", "-C", "new"], GOLDEN.as_bytes());
    assert_eq!(status, Some(4));
    assert!(stderr.contains("is a manifest"), "{stderr}");
}

#[test]
fn an_empty_tree_has_a_manifest_too() {
    let scratch = Scratch::new();
    folder(scratch.path("app"));
    let (text, _) = write(&scratch.path("app"), 1);
    assert_eq!(text, signed(&[]));
    assert!(read(&text).unwrap().entries().is_empty());
    let ran = bundlecp(scratch.root(), &["verify", "app.manifest", "app"]);
    assert_eq!(ran.status, 0, "{ran:?}");
}
