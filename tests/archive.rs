//! `Archive`: members and their content, in every format, without extracting.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use bundlecp::archive::Archive;
use bundlecp::extract::{self, extract};
use bundlecp::pack::{self, Format, Frames};
use bundlecp::{EntryKind, ErrorKind, Silent};
use common::Scratch;
use common::build::{age, bundle, file};

/// Every format, and a `.tar.zst` without an index.
fn archives(scratch: &Scratch) -> Vec<(Format, PathBuf)> {
    let mut formats = Format::ALL.map(|format| (format, Frames::Many)).to_vec();
    formats.push((Format::TarZst, Frames::Single));
    archives_in(scratch, &formats)
}

fn archives_in(scratch: &Scratch, formats: &[(Format, Frames)]) -> Vec<(Format, PathBuf)> {
    let app = scratch.path("app");
    let mut made = Vec::new();
    for &(format, frames) in formats {
        let archive = scratch.path(&format!("{frames:?}.{}", format.name()));
        let mut options = pack::Options::default();
        options.format = format;
        options.frames = frames;
        options.profile = pack::Profile::Fast;
        pack::pack(std::slice::from_ref(&app), &archive, &options, &Silent).unwrap();
        made.push((format, archive));
    }
    made
}

fn noise(count: u32) -> Vec<u8> {
    (0..count)
        .map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

fn read(archive: &Archive, path: &str) -> Vec<u8> {
    let mut member = archive.member(Path::new(path)).unwrap();
    let mut content = Vec::new();
    member.read_to_end(&mut content).unwrap();
    assert_eq!(member.size(), content.len() as u64, "{path}");
    content
}

fn kind_of(archive: &Archive, path: &str) -> (ErrorKind, String) {
    let error = archive.member(Path::new(path)).unwrap_err();
    (error.kind(), error.cause())
}

#[test]
fn every_file_reads_as_it_was_packed_in_any_order() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    bundle(&app);
    // Last: what is before it is read without decoding it.
    file(app.join("z"), noise(1 << 20));
    file(app.join("none"), "");
    let sparse = std::fs::File::create(app.join("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    sparse.write_all_at(b"data", 1 << 20).unwrap();
    age(&app);
    for (format, path) in archives(&scratch) {
        let archive = Archive::open(&path).unwrap();
        assert_eq!(archive.format(), format.name());
        let entries = archive.entries().unwrap();
        let mut files: Vec<_> = entries
            .iter()
            .filter(|one| matches!(one.entry.kind, EntryKind::File | EntryKind::Hardlink))
            .collect();
        assert_eq!(files.len(), 7, "{format:?}");
        files.reverse();
        for one in files {
            let path = one.entry.path.to_string();
            let content = std::fs::read(scratch.path(&path)).unwrap();
            assert!(read(&archive, &path) == content, "{format:?} {path}");
        }
        assert!(read(&archive, "./app//same-data") == b"data", "{format:?}");
    }
}

#[test]
fn a_member_of_several_frames_is_read_whole_and_its_neighbours_too() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    bundle(&app);
    file(app.join("large"), noise(17 << 20));
    file(app.join("z"), "behind it");
    let path = scratch.path("a.tar.zst");
    let mut options = pack::Options::default();
    options.profile = pack::Profile::Fast;
    pack::pack(&[app], &path, &options, &Silent).unwrap();
    let archive = Archive::open(&path).unwrap();
    assert!(read(&archive, "app/large") == noise(17 << 20));
    assert_eq!(read(&archive, "app/z"), b"behind it");
    assert_eq!(read(&archive, "app/run"), b"#!/bin/sh\n");
}

/// Writes a file of 48 MiB that has data in four places, two frames of it in one.
fn with_holes(path: &Path) {
    const MIB: u32 = 1 << 20;
    let file = std::fs::File::create(path).unwrap();
    file.set_len(48 << 20).unwrap();
    for (at, count) in [
        (MIB, 12 * MIB),
        (20 * MIB, 300),
        (24 * MIB + 5000, 2 * MIB),
        (46 * MIB, MIB + 7),
    ] {
        file.write_all_at(&noise(count), u64::from(at)).unwrap();
    }
}

#[test]
fn a_large_file_with_holes_is_cut_and_keeps_them() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    std::fs::create_dir(&app).unwrap();
    with_holes(&app.join("m"));
    file(app.join("z"), "behind it");
    age(&app);
    let content = std::fs::read(app.join("m")).unwrap();
    let stored = std::fs::metadata(app.join("m")).unwrap().blocks() * 512;
    // The others are cut in the same way, and slow without optimisation.
    let formats = [
        (Format::Tar, Frames::Many),
        (Format::TarGz, Frames::Many),
        (Format::TarZst, Frames::Many),
        (Format::TarZst, Frames::Single),
        (Format::Zip, Frames::Many),
    ];
    for (format, path) in archives_in(&scratch, &formats) {
        let context = format!("{format:?} {}", path.display());
        let archive = Archive::open(&path).unwrap();
        assert!(read(&archive, "app/m") == content, "{context}");
        assert_eq!(read(&archive, "app/z"), b"behind it", "{context}");
        let destination = scratch.path("out");
        extract(&path, &destination, &extract::Options::default(), &Silent).unwrap();
        let unpacked = destination.join("app/m");
        assert!(std::fs::read(&unpacked).unwrap() == content, "{context}");
        if format == Format::Tar {
            let packed = std::fs::metadata(&path).unwrap().len();
            assert!(packed < stored + (1 << 20), "{context}: {packed}");
        }
        if format != Format::Zip {
            let kept = std::fs::metadata(&unpacked).unwrap().blocks() * 512;
            assert!(kept <= stored + (1 << 20), "{context}: {kept} of {stored}");
        }
        std::fs::remove_dir_all(&destination).unwrap();
    }
}

#[test]
fn what_is_no_file_says_what_it_is() {
    let scratch = Scratch::new();
    bundle(&scratch.path("app"));
    for (format, path) in archives(&scratch) {
        let archive = Archive::open(&path).unwrap();
        for (path, kind, cause) in [
            ("app/nope", ErrorKind::NotFound, "no member `app/nope`"),
            ("run", ErrorKind::NotFound, "no member `run`"),
            ("app/lib", ErrorKind::Usage, "is a folder"),
            ("app/Current", ErrorKind::Usage, "is a link to `lib`"),
            ("../x", ErrorKind::Unsafe, "`..`"),
        ] {
            let found = kind_of(&archive, path);
            assert_eq!(found.0, kind, "{format:?} {path}");
            assert!(found.1.contains(cause), "{format:?} {path}: {}", found.1);
        }
    }
}

#[test]
fn damage_shows_while_the_member_is_read() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    bundle(&app);
    file(app.join("z"), noise(1 << 20));
    for (format, path) in archives(&scratch) {
        // A tar has no sums, and a stream's stand behind all members.
        let is_checked = matches!(format, Format::TarZst | Format::Zip | Format::Bcp);
        if !is_checked || path.ends_with("Single.tar.zst") {
            continue;
        }
        let mut bytes = std::fs::read(&path).unwrap();
        let middle = bytes.len() * 3 / 4;
        bytes[middle] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let archive = Archive::open(&path).unwrap();
        let read = archive
            .member(Path::new("app/z"))
            .map_err(std::io::Error::other)
            .and_then(|mut member| member.read_to_end(&mut Vec::new()));
        assert!(read.is_err(), "{format:?}");
        assert_eq!(archive.entries().unwrap().len(), 15, "{format:?}");
    }
}

#[test]
fn a_truncated_stream_fails_in_the_member() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    bundle(&app);
    file(app.join("z"), noise(1 << 20));
    for (format, path) in archives(&scratch) {
        let bytes = std::fs::read(&path).unwrap();
        std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
        let Ok(archive) = Archive::open(&path) else {
            assert!(matches!(format, Format::Zip | Format::Bcp), "{format:?}");
            continue;
        };
        let mut member = archive.member(Path::new("app/z")).unwrap();
        let error = member.read_to_end(&mut Vec::new()).unwrap_err();
        let kind = error.kind();
        assert_eq!(kind, std::io::ErrorKind::UnexpectedEof, "{format:?}");
        assert_eq!(read(&archive, "app/run"), b"#!/bin/sh\n");
    }
}
