//! Archives that are cut short or damaged, at every byte, and readers that
//! bring the bytes in an odd way: in every format, from a file and from a pipe.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod hostile;

use std::io::{self, Cursor, Read, Write};
use std::ops::ControlFlow;
use std::path::Path;

use bundlecp::extract::{AfterEnd, Options, extract_from};
use bundlecp::pack::{self, Format, Frames, RootName, pack};
use bundlecp::{ErrorKind, Progress, Silent, Status, list};
use common::snapshot::Snapshot;
use common::{Scratch, build};
use hostile::arena::{Arena, Before, Source};
use hostile::tar::Tar;

/// A small archive of every shape.
fn archives() -> Vec<(&'static str, Vec<u8>)> {
    archives_with(b"some content")
}

/// An archive of every shape, with a file of this content.
fn archives_with(content: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let scratch = Scratch::new();
    let source = scratch.path("source");
    build::folder(source.join("d"));
    build::file(source.join("d/f"), content);
    build::link(source.join("l"), b"d/f");
    build::age(&source);
    let packed = |format: Format, frames: Frames| {
        let archive = scratch.path("archive");
        let mut options = pack::Options::default();
        (options.format, options.frames) = (format, frames);
        options.existing = bundlecp::Existing::Replace;
        options.root = RootName::Strip;
        options.jobs = Some(1);
        pack(std::slice::from_ref(&source), &archive, &options, &Silent).unwrap();
        std::fs::read(&archive).unwrap()
    };
    let tar = packed(Format::Tar, Frames::Many);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&tar).unwrap();
    vec![
        ("gz", packed(Format::TarGz, Frames::Many)),
        ("one gz member", gzip.finish().unwrap()),
        ("bz2", packed(Format::TarBz2, Frames::Many)),
        ("xz", packed(Format::TarXz, Frames::Many)),
        ("zst", packed(Format::TarZst, Frames::Many)),
        ("one zst frame", packed(Format::TarZst, Frames::Single)),
        ("zip", packed(Format::Zip, Frames::Many)),
        ("bcp", packed(Format::Bcp, Frames::Many)),
        ("tar", tar),
    ]
}

/// What damaged bytes may be refused for.
fn is_about_the_bytes(kind: ErrorKind) -> bool {
    use ErrorKind::{
        BadName, Encrypted, LimitExceeded, Malformed, NameCollision, Truncated, UnknownFormat,
        Unsafe, Unsupported,
    };
    matches!(
        kind,
        BadName
            | Encrypted
            | LimitExceeded
            | Malformed
            | NameCollision
            | Truncated
            | UnknownFormat
            | Unsafe
            | Unsupported
    )
}

/// Tries every archive with `damage` done to it at each byte of every `part`th
/// of it, from `first` on.
fn damaged(
    shape: impl Fn(&str) -> bool,
    first: usize,
    part: usize,
    damage: fn(&mut Vec<u8>, usize) -> Must,
) {
    let arena = Arena::new();
    for (name, bytes) in archives().into_iter().filter(|(name, _)| shape(name)) {
        let whole = tree(Cursor::new(bytes.clone()), 1);
        for (number, at) in (first..bytes.len()).step_by(part).enumerate() {
            if number % EVERY != 0 && !hostile::is_thorough() {
                continue;
            }
            for source in [Source::File, Source::Pipe] {
                let mut changed = bytes.clone();
                let must = damage(&mut changed, at);
                arena.prepare(Before::Nothing);
                let mut options = Options::default();
                options.jobs = Some(2);
                let context = format!("{name}, byte {at}, {source:?}");
                match arena.extract(&changed, source, &options, &context) {
                    Ok(_) if must == Must::Contain => {}
                    // All that was cut off is the end, or an index that no other
                    // reader knows.
                    Ok(_) => {
                        let cut = arena.extracted().without_times_of(&[b"", b"d"]);
                        whole.assert_same(&cut, &context);
                    }
                    Err(error) => {
                        assert!(is_about_the_bytes(error.kind()), "{context}: {error:?}");
                    }
                }
            }
        }
    }
}

/// How many places are left out, but in the full run that a change has to pass.
const EVERY: usize = 13;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Must {
    Refuse,
    Contain,
}

fn cut(bytes: &mut Vec<u8>, at: usize) -> Must {
    bytes.truncate(at);
    Must::Refuse
}

#[allow(clippy::ptr_arg, reason = "it stands beside one that cuts")]
fn flip(bytes: &mut Vec<u8>, at: usize) -> Must {
    bytes[at] ^= 1 << (at % 8);
    Must::Contain
}

fn is_tar(name: &str) -> bool {
    name == "tar"
}

fn is_packed(name: &str) -> bool {
    name != "tar"
}

#[test]
fn compressed_archives_cut_at_any_byte_are_refused() {
    damaged(is_packed, 0, 1, cut);
}

#[test]
fn compressed_archives_with_any_bit_flipped_are_contained() {
    damaged(is_packed, 0, 1, flip);
}

/// Where tars are cut between members they are whole: without their end.
fn cut_tar(bytes: &mut Vec<u8>, at: usize) -> Must {
    cut(bytes, at);
    match at > 0 && at.is_multiple_of(512) {
        true => Must::Contain,
        false => Must::Refuse,
    }
}

#[test]
fn tars_cut_at_any_odd_byte_are_refused() {
    damaged(is_tar, 1, 2, cut_tar);
}

#[test]
fn tars_cut_at_any_even_byte_are_refused() {
    damaged(is_tar, 0, 2, cut_tar);
}

#[test]
fn tars_with_any_odd_bit_flipped_are_contained() {
    damaged(is_tar, 1, 2, flip);
}

#[test]
fn tars_with_any_even_bit_flipped_are_contained() {
    damaged(is_tar, 0, 2, flip);
}

/// A second archive behind a compressed one, and what else decoders ignore.
#[test]
fn what_stands_behind_a_compressed_archive_is_refused() {
    let arena = Arena::new();
    for (name, bytes) in archives() {
        for behind in [&b"x"[..], b"\0x", b"evil that goes on for a while", &bytes] {
            let both = [&bytes[..], behind].concat();
            for source in [Source::File, Source::Pipe] {
                arena.prepare(Before::Nothing);
                let result = arena.extract(&both, source, &Options::default(), name);
                let kind = result.unwrap_err().kind();
                assert!(is_about_the_bytes(kind), "{name}: {kind:?}");
            }
        }
    }
}

/// The decompressor's own sums stand behind the tar's end, where readers that
/// stop there never look.
#[test]
fn checksums_behind_the_tars_end_count() {
    let arena = Arena::new();
    let padded = [Tar::new().file(b"f", b"x").end(), vec![0; 300_000]].concat();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    gzip.write_all(&padded).unwrap();
    let gzip = gzip.finish().unwrap();
    let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::best());
    bzip2.write_all(&padded).unwrap();
    let bzip2 = bzip2.finish().unwrap();
    let mut xz = liblzma::write::XzEncoder::new(Vec::new(), 6);
    xz.write_all(&padded).unwrap();
    let xz = xz.finish().unwrap();
    let mut zstd = zstd::Encoder::new(Vec::new(), 3).unwrap();
    zstd.include_checksum(true).unwrap();
    zstd.write_all(&padded).unwrap();
    let zstd = zstd.finish().unwrap();
    for (name, bytes, from_end) in [
        ("gz sum", &gzip, 8),
        ("gz length", &gzip, 4),
        ("bz2 sum", &bzip2, 5),
        ("xz footer", &xz, 12),
        ("zst sum", &zstd, 4),
    ] {
        for source in [Source::File, Source::Pipe] {
            arena.prepare(Before::Nothing);
            arena
                .extract(bytes, source, &Options::default(), name)
                .unwrap();
            let mut wrong = bytes.clone();
            let at = wrong.len() - from_end;
            wrong[at] ^= 1;
            arena.prepare(Before::Nothing);
            let result = arena.extract(&wrong, source, &Options::default(), name);
            assert_eq!(result.unwrap_err().kind(), ErrorKind::Malformed, "{name}");
        }
    }
}

/// Brings one byte at a time.
struct Slow(Cursor<Vec<u8>>);

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(1);
        self.0.read(&mut buffer[..most])
    }
}

/// Is interrupted every other time, and brings up to 7 bytes else.
struct Shaky(Cursor<Vec<u8>>, bool);

impl Read for Shaky {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let most = buffer.len().min(7);
        self.0.read(&mut buffer[..most])
    }
}

/// Fails somewhere in the middle.
struct Failing(Cursor<Vec<u8>>, u64);

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.1 - self.0.position();
        if left == 0 {
            return Err(io::Error::from_raw_os_error(5));
        }
        let most = buffer.len().min(left as usize);
        self.0.read(&mut buffer[..most])
    }
}

fn tree(reader: impl Read + Send, jobs: usize) -> Snapshot {
    let scratch = Scratch::new();
    let mut options = Options::default();
    options.jobs = Some(jobs);
    let destination = scratch.path("out");
    let shown = Path::new("archive");
    extract_from(reader, shown, &destination, &options, &Silent).unwrap();
    Snapshot::of(&destination).without_times_of(&[b"", b"d"])
}

fn listed(reader: impl Read + Send) -> Vec<String> {
    let mut members = Vec::new();
    list::list_from(reader, Path::new("archive"), &mut |member| {
        members.push(format!("{member:?}"));
        ControlFlow::Continue(())
    })
    .unwrap();
    members
}

#[test]
fn readers_that_bring_little_or_are_interrupted_give_the_same_tree() {
    for (name, bytes) in archives() {
        let cursor = || Cursor::new(bytes.clone());
        let whole = tree(cursor(), 1);
        assert!(whole.0.len() >= 4, "{name}");
        for jobs in [1, 2, 16] {
            whole.assert_same(&tree(Slow(cursor()), jobs), name);
            whole.assert_same(&tree(Shaky(cursor(), false), jobs), name);
        }
        assert_eq!(listed(cursor()), listed(Slow(cursor())), "{name}");
        assert_eq!(listed(cursor()), listed(Shaky(cursor(), true)), "{name}");
    }
}

#[test]
fn a_reader_that_fails_leaves_nothing_behind() {
    let arena = Arena::new();
    for (name, bytes) in archives() {
        for at in [0, 1, 10, bytes.len() / 2, bytes.len() - 1] {
            arena.prepare(Before::Nothing);
            let run = || {
                let reader = Failing(Cursor::new(bytes.clone()), at as u64);
                arena.extract_from(reader, &Options::default())
            };
            let error = arena.check(name, run).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io, "{name} at {at}: {error:?}");
        }
    }
}

/// Takes its time, so that there is something to stop.
struct Sleepy(Cursor<Vec<u8>>);

impl Read for Sleepy {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        std::thread::sleep(std::time::Duration::from_millis(2));
        let most = buffer.len().min(1000);
        self.0.read(&mut buffer[..most])
    }
}

struct Stop;

impl Progress for Stop {
    fn report(&self, _: &Status) -> ControlFlow<()> {
        ControlFlow::Break(())
    }
}

#[test]
fn an_extraction_that_is_stopped_leaves_nothing_behind() {
    let arena = Arena::new();
    // What can't be compressed: 200 KB of hashes.
    let noise = (0..6400_u32).flat_map(|n| *blake3::hash(&n.to_le_bytes()).as_bytes());
    for (name, bytes) in archives_with(&noise.collect::<Vec<_>>()) {
        for jobs in [1, 2, 16] {
            arena.prepare(Before::Nothing);
            let mut options = Options::default();
            options.jobs = Some(jobs);
            let run = || {
                let reader = Sleepy(Cursor::new(bytes.clone()));
                let shown = Path::new("archive");
                extract_from(reader, shown, &arena.destination(), &options, &Stop)
            };
            let error = arena.check(name, run).unwrap_err();
            let kind = error.kind();
            assert_eq!(
                kind,
                ErrorKind::Interrupted,
                "{name}, {jobs} jobs: {error:?}"
            );
        }
    }
}

/// A dry run finds what an extraction would, and leaves nothing.
#[test]
fn dry_runs_refuse_the_same() {
    let arena = Arena::new();
    let bad = Tar::new().symlink(b"l", b"../victim").end();
    for (bytes, is_fine) in archives()
        .into_iter()
        .map(|(_, bytes)| (bytes, true))
        .chain([(bad, false)])
    {
        for source in [Source::File, Source::Pipe] {
            for after_end in [AfterEnd::Refuse, AfterEnd::Continue] {
                arena.prepare(Before::Nothing);
                let mut options = Options::default();
                options.dry_run = true;
                options.after_end = after_end;
                let result = arena.extract(&bytes, source, &options, "dry run");
                assert_eq!(result.is_ok(), is_fine, "{result:?}");
                assert!(!arena.destination().exists());
            }
        }
    }
}
