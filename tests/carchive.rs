//! Programs that PyInstaller made: what is read of them, wherever their package
//! stands. `ci/onefile.sh` does the same with real ones.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod hostile;

use std::io::Read;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use bundlecp::archive::Archive;
use bundlecp::list::{Listed, list};
use bundlecp::{ErrorKind, Silent, convert, extract, pack, verify};
use common::Scratch;
use common::random::config;
use common::snapshot::{Kind, Snapshot};
use hostile::carchive::{Around, Entry, elf, magic, program, program_with};
use hostile::zip::zip;
use proptest::prelude::*;

/// The files of a small bundle, in the order of PyInstaller's writer.
fn bundle() -> Vec<Entry> {
    let library: Vec<u8> = (0..200_000_u32).map(|at| (at >> 3) as u8).collect();
    vec![
        Entry::new(b'm', b"struct", b"code").compressed(),
        Entry::new(b's', b"main", b"code").compressed(),
        Entry::binary(b"pkg.libs/libx.so", &library).compressed(),
        Entry::binary(b"tool", b"#!/bin/sh\n"),
        Entry::symlink(b"libx.so", b"pkg.libs/libx.so"),
        Entry::new(
            b'Z',
            b"base_library.zip",
            &zip(&[hostile::zip::Entry::file(b"m", b"x")]),
        ),
        Entry::file(b"data/empty", b""),
        Entry::file(b"data/large", &library.repeat(60)).compressed(),
        Entry::new(b'o', b"pyi-contents-directory _internal", b""),
        Entry::new(b'z', b"PYZ.pyz", b"PYZ\0 modules"),
    ]
}

fn write(scratch: &Scratch, name: &str, bytes: &[u8]) -> PathBuf {
    let path = scratch.path(name);
    std::fs::write(&path, bytes).unwrap();
    path
}

fn listed(path: &Path) -> Vec<Listed> {
    let mut all = Vec::new();
    list(path, &mut |member| {
        all.push(member);
        ControlFlow::Continue(())
    })
    .unwrap();
    all
}

fn extracted(scratch: &Scratch, path: &Path, jobs: usize) -> (PathBuf, Snapshot) {
    let to = scratch.path(&format!("out-{}", common::names(scratch.root()).len()));
    let mut options = extract::Options::default();
    options.jobs = Some(jobs);
    let outcome = extract::extract(path, &to, &options, &Silent).unwrap();
    assert_eq!(outcome.format, "pyinstaller");
    let mut seen = Snapshot::of(&to);
    for node in seen.0.values_mut() {
        node.mtime = (0, 0);
    }
    (to, seen)
}

/// Whole, and the same whatever stands around the package.
#[test]
fn a_package_is_found_wherever_it_stands() {
    let scratch = Scratch::new();
    let entries = bundle();
    let first = write(&scratch, "elf", &program(&entries));
    let (_, expected) = extracted(&scratch, &first, 2);
    let mode = |path: &[u8]| expected.node(path).mode & 0o700;
    assert_eq!((mode(b"tool"), mode(b"pkg.libs/libx.so")), (0o700, 0o700));
    assert_eq!(
        (mode(b"data/large"), mode(b"base_library.zip")),
        (0o600, 0o600)
    );
    let link = &expected.node(b"libx.so").kind;
    assert!(matches!(link, Kind::Link(target) if target == b"pkg.libs/libx.so"));
    assert!(!expected.0.contains_key(&b"PYZ.pyz"[..]));
    let of = |before: &[u8], behind: Vec<u8>| Around {
        before: [before, &[7; 5000]].concat(),
        behind,
        ..Around::default()
    };
    let mach = |begin: [u8; 4]| of(&begin, vec![0xfa; 70_000]);
    let shapes = [
        ("pe", of(b"MZ\x90\0", vec![])),
        ("signed-pe", of(b"MZ\x90\0", vec![0x30; 20_001])),
        ("mach-o", mach([0xcf, 0xfa, 0xed, 0xfe])),
        ("mach-o-32", mach([0xce, 0xfa, 0xed, 0xfe])),
        ("universal", mach([0xca, 0xfe, 0xba, 0xbe])),
        ("large-end", of(b"\x7fELF", vec![1; (3 << 20) + 1])),
        (
            "old-beside",
            of(&[&b"\x7fELF"[..], &magic(0x0d)].concat(), vec![0; 10]),
        ),
        ("two", of(&program(&[Entry::file(b"inner", b"x")]), vec![])),
        (
            "package.pkg",
            Around {
                before: vec![],
                behind: vec![],
                ..Around::default()
            },
        ),
    ];
    for (name, around) in shapes {
        let path = write(&scratch, name, &program_with(&entries, &around));
        for jobs in [1, 16] {
            expected.assert_same(&extracted(&scratch, &path, jobs).1, name);
        }
    }
    // The chunks that are searched meet within a cookie.
    for behind in (1 << 20) - 96..(1 << 20) - 78 {
        let around = of(b"\x7fELF", vec![0; behind]);
        let path = write(
            &scratch,
            "chunk",
            &program_with(&[Entry::file(b"f", b"x")], &around),
        );
        assert_eq!(listed(&path).len(), 1, "{behind}");
    }
}

#[test]
fn every_command_reads_a_program() {
    let scratch = Scratch::new();
    let path = write(&scratch, "app", &program(&bundle()));
    let names: Vec<String> = listed(&path)
        .iter()
        .map(|l| l.entry.path.to_string())
        .collect();
    let expected = [
        "pkg.libs/libx.so",
        "tool",
        "libx.so",
        "base_library.zip",
        "data/empty",
        "data/large",
    ];
    assert_eq!(names, expected);
    assert!(listed(&path).iter().all(|listed| listed.modified.is_none()));
    let (out, tree) = extracted(&scratch, &path, 2);
    let options = verify::Options::default();
    let compare = |left: &Path, right: &Path| {
        verify::verify(left, right, &options, &Silent)
            .unwrap()
            .differences
    };
    assert!(compare(&path, &out).is_empty());
    assert!(compare(&out, &path).is_empty());
    for format in [pack::Format::TarZst, pack::Format::Bcp, pack::Format::Zip] {
        let mut options = convert::Options::default();
        options.format = format;
        let to = scratch.path(format.name());
        let outcome = convert::convert(&path, &to, &options, &Silent).unwrap();
        assert_eq!((outcome.from, outcome.symlinks), ("pyinstaller", 1));
        let back = scratch.path(&format!("{}-out", format.name()));
        extract::extract(&to, &back, &extract::Options::default(), &Silent).unwrap();
        let mut seen = Snapshot::of(&back);
        seen.0.values_mut().for_each(|node| node.mtime = (0, 0));
        tree.assert_same(&seen, format.name());
    }
    let ran = common::bundlecp(scratch.root(), &["extract", "app", "-C", "json", "--json"]);
    assert_eq!(ran.json()["format"], "pyinstaller");
}

#[test]
fn single_members_are_read() {
    let scratch = Scratch::new();
    let path = write(&scratch, "app", &program(&bundle()));
    let (out, _) = extracted(&scratch, &path, 1);
    let archive = Archive::open(&path).unwrap();
    assert_eq!(archive.format(), "pyinstaller");
    for name in ["tool", "data/empty", "data/large", "pkg.libs/libx.so"] {
        let mut content = Vec::new();
        let mut member = archive.member(Path::new(name)).unwrap();
        member.read_to_end(&mut content).unwrap();
        assert!(content == std::fs::read(out.join(name)).unwrap(), "{name}");
        assert_eq!(member.size(), content.len() as u64);
    }
    let kind = |name: &str| archive.member(Path::new(name)).unwrap_err().kind();
    assert_eq!(kind("libx.so"), ErrorKind::Usage);
    assert_eq!(kind("PYZ.pyz"), ErrorKind::NotFound);
    let seek = archive.seekable_member(Path::new("tool")).unwrap_err();
    assert_eq!(seek.kind(), ErrorKind::Unsupported);
}

/// Windows names have backslashes, and so have its links.
#[test]
fn names_for_windows_are_paths() {
    let scratch = Scratch::new();
    let entries = [
        Entry::binary(b"lib\\x.dll", b"x"),
        Entry::symlink(b"x.dll", b"lib\\x.dll"),
    ];
    let around = |library| Around {
        before: b"MZ\x90\0".to_vec(),
        library,
        ..Around::default()
    };
    let windows = program_with(&entries, &around(b"python311.DLL"));
    let (_, seen) = extracted(&scratch, &write(&scratch, "windows", &windows), 1);
    assert!(seen.0.contains_key(&b"lib/x.dll"[..]));
    assert!(matches!(&seen.node(b"x.dll").kind, Kind::Link(target) if target == b"lib/x.dll"));
    let other = program_with(&entries[..1], &around(b"libpython3.11.so"));
    let (_, seen) = extracted(&scratch, &write(&scratch, "other", &other), 1);
    assert!(seen.0.contains_key(&b"lib\\x.dll"[..]));
    let out = program_with(
        &[Entry::file(b"..\\victim", b"x")],
        &around(b"python311.dll"),
    );
    let path = write(&scratch, "out", &out);
    let result = extract::extract(
        &path,
        &scratch.path("to"),
        &extract::Options::default(),
        &Silent,
    );
    assert_eq!(result.unwrap_err().kind(), ErrorKind::Unsafe);
}

/// A zip or a `.bcp` behind any program is what it was before.
#[test]
fn an_archive_behind_a_program_goes_first() {
    let scratch = Scratch::new();
    let inner = zip(&[hostile::zip::Entry::file(b"zipped", b"x")]);
    let onefile = program(&[
        Entry::file(b"packed", b"x"),
        Entry::new(b'Z', b"base.zip", &inner),
    ]);
    let around = |behind: &[u8]| Around {
        behind: behind.to_vec(),
        ..Around::default()
    };
    let format = |name: &str, bytes: &[u8]| {
        Archive::open(&write(&scratch, name, bytes)).map(|archive| archive.format())
    };
    assert_eq!(format("onefile", &onefile).unwrap(), "pyinstaller");
    // A zip in it, stored and close to the end, is no zip at the end.
    let close = program_with(&[Entry::new(b'Z', b"base.zip", &inner)], &around(b""));
    assert_eq!(format("close", &close).unwrap(), "pyinstaller");
    assert_eq!(
        format("zip", &[&elf()[..], &inner].concat()).unwrap(),
        "zip"
    );
    assert_eq!(
        format("zip-behind", &[&onefile[..], &inner].concat()).unwrap(),
        "zip"
    );
    // The first bytes of a cookie make no package of a program with a zip.
    let looks_like = [&elf()[..], &magic(0x0c), &[0xff; 90], &inner].concat();
    assert_eq!(format("looks-like", &looks_like).unwrap(), "zip");
    // A zip that is cut short stays a zip.
    let cut = [
        &elf()[..],
        &magic(0x0c),
        &[0xff; 90],
        &inner[..inner.len() - 1],
    ]
    .concat();
    assert_eq!(
        format("cut", &cut).unwrap_err().kind(),
        ErrorKind::Truncated
    );
    std::fs::create_dir(scratch.path("tree")).unwrap();
    let mut options = pack::Options::default();
    options.format = pack::Format::Bcp;
    let bcp = scratch.path("tree.bcp");
    pack::pack(&[scratch.path("tree")], &bcp, &options, &Silent).unwrap();
    let bcp = std::fs::read(bcp).unwrap();
    assert_eq!(
        format("bcp-behind", &[&onefile[..], &bcp].concat()).unwrap(),
        "bcp"
    );
}

/// This very program knows what a cookie begins with, and holds none.
#[test]
fn the_command_itself_is_no_package() {
    let error = Archive::open(Path::new(env!("CARGO_BIN_EXE_bundlecp"))).unwrap_err();
    assert_eq!(error.cause(), "it is no archive that is known here");
}

#[test]
fn nothing_is_packed_as_a_program() {
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.path("tree")).unwrap();
    write(&scratch, "app", &program(&bundle()));
    for arguments in [
        ["pack", "tree", "-o", "new", "--format", "pyinstaller"],
        ["convert", "app", "new", "--format", "pyinstaller", "-q"],
    ] {
        let ran = common::bundlecp(scratch.root(), &arguments);
        assert_eq!(ran.status, 2, "{ran:?}");
        assert!(ran.stderr.contains("bcp"), "{ran:?}");
    }
    assert!(!scratch.path("new").exists());
}

/// What stands in a package, as a property has it.
#[derive(Debug, Clone)]
struct Made {
    kind: u8,
    content: Vec<u8>,
    is_compressed: bool,
}

fn made() -> impl Strategy<Value = Made> {
    let content = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        (any::<u8>(), 0..100_000_usize).prop_map(|(byte, size)| vec![byte; size]),
    ];
    let kind = prop_oneof![Just(b'b'), Just(b'x'), Just(b'Z'), Just(b's'), Just(b'n')];
    (kind, content, any::<bool>()).prop_map(|(kind, content, is_compressed)| Made {
        kind,
        content,
        is_compressed,
    })
}

proptest! {
    #![proptest_config(config(40))]

    #[test]
    fn what_was_packed_comes_out(all in proptest::collection::vec(made(), 1..30), behind in 0..3000_usize) {
        let scratch = Scratch::new();
        let mut entries = vec![Entry::file(b"first", b"")];
        let mut expected = vec![("first".to_owned(), Vec::new())];
        for (number, made) in all.iter().enumerate() {
            let name = format!("d{}/é{number}", number % 4);
            if made.kind == b'n' {
                entries.push(Entry::symlink(name.as_bytes(), b"../first"));
                continue;
            }
            let entry = Entry::new(made.kind, name.as_bytes(), &made.content);
            entries.push(match made.is_compressed {
                true => entry.compressed(),
                false => entry,
            });
            if made.kind != b's' {
                expected.push((name, made.content.clone()));
            }
        }
        let around = Around { behind: vec![0; behind], ..Around::default() };
        let path = write(&scratch, "app", &program_with(&entries, &around));
        let (out, seen) = extracted(&scratch, &path, 2);
        let archive = Archive::open(&path).unwrap();
        for (name, content) in &expected {
            prop_assert!(std::fs::read(out.join(name)).unwrap() == *content);
            let mut read = Vec::new();
            archive.member(Path::new(name)).unwrap().read_to_end(&mut read).unwrap();
            prop_assert!(read == *content);
        }
        let links = seen.0.values().filter(|node| matches!(node.kind, Kind::Link(_))).count();
        prop_assert_eq!(links, all.iter().filter(|made| made.kind == b'n').count());
    }
}
