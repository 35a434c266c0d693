//! Zips, packed and extracted: what comes back, from files and from pipes.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use bundlecp::{ErrorKind, Silent, extract, pack};
use common::snapshot::{Kind, Snapshot};
use common::{Scratch, build};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

fn packed(scratch: &Scratch, source: &str) -> (Vec<u8>, pack::Outcome) {
    let mut options = pack::Options::default();
    options.format = pack::Format::Zip;
    let archive = scratch.path(&format!("{source}.zip"));
    let outcome = pack::pack(&[scratch.path(source)], &archive, &options, &Silent).unwrap();
    (std::fs::read(archive).unwrap(), outcome)
}

/// Extracts from a file, and from a pipe, in folders of their own.
fn extracted(
    scratch: &Scratch,
    archive: &[u8],
    options: &extract::Options,
) -> [(PathBuf, bundlecp::Result<extract::Outcome>); 2] {
    let number = common::names(scratch.root()).len();
    let file = scratch.path(&format!("archive-{number}.zip"));
    std::fs::write(&file, archive).unwrap();
    let [from_file, from_pipe] =
        ["file", "pipe"].map(|from| scratch.path(&format!("{from}-{number}")));
    let of_file = extract::extract(&file, &from_file, options, &Silent);
    let shown = Path::new("pipe");
    let of_pipe = extract::extract_from(Slow(archive), shown, &from_pipe, options, &Silent);
    [(from_file, of_file), (from_pipe, of_pipe)]
}

/// Gives a few bytes at a time.
struct Slow<'b>(&'b [u8]);

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let size = buffer.len().min(7);
        self.0.read(&mut buffer[..size])
    }
}

/// What a zip can hold of a tree: times of 100 ns, each name a file of its own.
fn as_a_zip_has_it(mut tree: Snapshot) -> Snapshot {
    for node in tree.0.values_mut() {
        node.mtime.1 -= node.mtime.1 % 100;
        node.xattrs.clear();
        if let Kind::File { first_name, .. } = &mut node.kind {
            *first_name = None;
        }
    }
    tree
}

#[test]
fn a_tree_comes_back_with_its_times() {
    let scratch = Scratch::new();
    let at = scratch.path("src");
    build::bundle(&at);
    for (path, time) in [
        ("run", (1_700_000_000, 123_456_789)),
        ("lib/deep/data", (1_700_000_001, 99)),
        ("lib/libfoo.so.1.2", (4_000_000_000, 5)),
        ("lib/libfoo.so", (-7, 999_999_999)),
        ("empty", (1, 100)),
    ] {
        build::time(at.join(path), time);
    }
    let (archive, _) = packed(&scratch, "src");
    let mut wanted = as_a_zip_has_it(Snapshot::of(&at));
    wanted.0.get_mut(&b""[..]).unwrap().mtime = (0, 0);
    let mut options = extract::Options::default();
    options.external_links = bundlecp::ExternalLinks::Allow;
    options.strip_components = 1;
    for (to, outcome) in extracted(&scratch, &archive, &options) {
        outcome.unwrap();
        let found = Snapshot::of(&to).without_times_of(&[b""]);
        wanted.assert_same(&found, &to.display().to_string());
    }
}

/// Files by path and content, each twice: with sizes before them, and behind.
fn written(files: &[(&str, &[u8])]) -> [Vec<u8>; 2] {
    fn fill<W: Write + std::io::Seek>(mut writer: ZipWriter<W>, files: &[(&str, &[u8])]) {
        for (path, content) in files {
            writer
                .start_file(*path, SimpleFileOptions::default())
                .unwrap();
            writer.write_all(content).unwrap();
        }
        writer.finish().unwrap();
    }
    let (mut whole, mut streamed) = (Cursor::new(Vec::new()), Cursor::new(Vec::new()));
    fill(ZipWriter::new(&mut whole), files);
    fill(ZipWriter::new_stream(&mut streamed), files);
    [whole.into_inner(), streamed.into_inner()]
}

#[test]
fn files_that_macos_added_are_left_out() {
    let double = [&[0, 5, 0x16, 7][..], &[0; 30]].concat();
    let files: &[(&str, &[u8])] = &[
        ("app/run", b"#!/bin/sh\n"),
        ("app/._run", &double),
        ("app/._short", &double[..25]),
        ("app/._least", &double[..26]),
        ("app/._other", b"called like one, without being one"),
        ("app/._large", &[7; 3 << 20]),
        ("app/double", &double),
        ("app/._folder/file", b"x"),
        ("app/__MACOSX/file", b"x"),
        ("__MACOSX/app/._run", &double),
        ("__MACOSX/anything", b"x"),
    ];
    for archive in written(files) {
        let scratch = Scratch::new();
        let mut options = extract::Options::default();
        for keeps in [false, true] {
            options.apple_double = match keeps {
                true => extract::AppleDouble::Keep,
                false => extract::AppleDouble::Skip,
            };
            for (to, outcome) in extracted(&scratch, &archive, &options) {
                let outcome = outcome.unwrap();
                let mut count = 0;
                for (path, content) in files {
                    let is_apple = path.starts_with("__MACOSX/")
                        || ["app/._run", "app/._least"].contains(path);
                    let found = std::fs::read(to.join(path)).ok();
                    let wanted = (keeps || !is_apple).then(|| content.to_vec());
                    assert!(found == wanted, "{path}: {keeps}");
                    count += u64::from(wanted.is_some());
                }
                assert_eq!(outcome.files, count);
                assert_eq!(to.join("__MACOSX").exists(), keeps);
            }
        }
    }
}

#[test]
fn backslashes_of_windows_need_a_file() {
    let scratch = Scratch::new();
    let [mut archive, _] = written(&[("a\\b", b"x")]);
    let central = archive.windows(4).position(|at| at == b"PK\x01\x02");
    archive[central.unwrap() + 5] = 0;
    let options = extract::Options::default();
    let [(to, of_file), (_, of_pipe)] = extracted(&scratch, &archive, &options);
    of_file.unwrap();
    assert_eq!(std::fs::read(to.join("a/b")).unwrap(), b"x");
    let error = of_pipe.unwrap_err();
    assert_eq!(error.kind(), bundlecp::ErrorKind::Unsupported, "{error}");
}

#[test]
fn what_a_zip_cannot_hold_is_noted() {
    let scratch = Scratch::new();
    let at = scratch.path("src");
    build::bundle(&at);
    let files = || {
        let outcome = packed(&scratch, "src").1;
        std::fs::remove_file(scratch.path("src.zip")).unwrap();
        outcome
    };
    let outcome = files();
    let content = "#!/bin/sh\n".len() + 10_000 + 2 * "data".len();
    assert_eq!((outcome.files, outcome.hardlinks), (4, 0));
    assert_eq!(outcome.bytes, content as u64);
    let one = "1 further name of a file became a file of its own: a zip has no hard links";
    assert_eq!(outcome.notes, [one]);
    build::hard_link(at.join("run"), at.join("lib/run"));
    let outcome = files();
    let two = "2 further names of files became files of their own: a zip has no hard links";
    assert_eq!(
        (outcome.files, outcome.notes.as_slice()),
        (5, &[two.to_owned()][..])
    );
    if build::xattr(at.join("lib"), "user.bundlecp", b"x")
        && build::xattr(at.join("run"), "user.bundlecp", b"y")
    {
        // Both names of the file.
        let three = "3 entries lost their user attributes: a zip has none";
        assert_eq!(files().notes, [two, three]);
    }
    // Nothing of this in a tar.
    let archive = scratch.path("src.tar");
    let mut options = pack::Options::default();
    options.format = pack::Format::Tar;
    let outcome = pack::pack(&[at], &archive, &options, &Silent).unwrap();
    assert_eq!((outcome.files, outcome.hardlinks), (3, 2));
    assert!(outcome.notes.is_empty());
}

/// A folder `src` with one file `large` of so many MiB, and its content.
fn with_large_file(mib: u32) -> (Scratch, Vec<u8>) {
    let scratch = Scratch::new();
    let at = scratch.path("src");
    let content: Vec<u8> = (0..mib << 20).map(|at| (at >> 7) as u8).collect();
    build::folder(&at);
    build::file(at.join("large"), &content);
    (scratch, content)
}

#[test]
fn a_table_of_parts_is_a_claim() {
    let (scratch, content) = with_large_file(9);
    let (archive, _) = packed(&scratch, "src");
    // The field's id and size, its form, 4 MiB a part; three parts.
    let field = [0x62, 0x63, 29, 0, 1, 0, 0, 0x40, 0];
    let mut places = archive.windows(field.len()).enumerate();
    let start = places.find(|(_, found)| *found == field).unwrap().0;
    let options = extract::Options::default();
    let from_file = |change: &dyn Fn(&mut [u8])| {
        let mut changed = archive.clone();
        change(&mut changed[start + 4..]);
        let [(to, of_file), (piped, of_pipe)] = extracted(&scratch, &changed, &options);
        // A pipe has no use for the table.
        of_pipe.unwrap();
        assert!(std::fs::read(piped.join("src/large")).unwrap() == content);
        match &of_file {
            Ok(_) => assert!(std::fs::read(to.join("src/large")).unwrap() == content),
            Err(_) => assert!(!to.exists()),
        }
        of_file.map(drop).map_err(|error| error.kind())
    };
    assert_eq!(from_file(&|_| {}), Ok(()));
    // What doesn't fit is not used.
    assert_eq!(from_file(&|field| field[0] = 2), Ok(()));
    assert_eq!(from_file(&|field| field[3] = 0x20), Ok(()));
    assert_eq!(from_file(&|field| field[9] ^= 1), Ok(()));
    // All parts together are as long as before.
    let moved = |field: &mut [u8]| {
        field[5] -= 1;
        field[13] += 1;
    };
    assert_eq!(from_file(&moved), Err(ErrorKind::Malformed));
}

#[test]
fn holes_are_zeros_as_any_other() {
    let scratch = Scratch::new();
    let size = 21 << 20;
    for name in ["holes", "zeros"] {
        let at = scratch.path(name).join("src");
        std::fs::create_dir(scratch.path(name)).unwrap();
        build::folder(&at);
        build::file(
            at.join("large"),
            vec![0; if name == "zeros" { size } else { 0 }],
        );
        let large = std::fs::File::options().write(true).open(at.join("large"));
        large.unwrap().set_len(size as u64).unwrap();
        build::age(&at);
    }
    let [(holes, _), (zeros, _)] = ["holes/src", "zeros/src"].map(|at| packed(&scratch, at));
    assert!(holes == zeros);
    assert_eq!(holes.windows(4).filter(|at| at == b"PK\x01\x02").count(), 2);
    // Four bytes of the table, behind its size and form.
    assert!(
        holes.windows(6).any(|at| at == b"\x62\x63\x35\0\x01\0"),
        "in parts"
    );
}

#[test]
fn a_large_file_of_two_names_is_cut_into_parts_twice() {
    let (scratch, content) = with_large_file(17);
    let at = scratch.path("src");
    build::hard_link(at.join("large"), at.join("two"));
    let (archive, outcome) = packed(&scratch, "src");
    assert_eq!(outcome.bytes, 34 << 20);
    let options = extract::Options::default();
    for (to, outcome) in extracted(&scratch, &archive, &options) {
        assert_eq!(outcome.unwrap().files, 2);
        for name in ["src/large", "src/two"] {
            assert!(std::fs::read(to.join(name)).unwrap() == content);
        }
    }
}
