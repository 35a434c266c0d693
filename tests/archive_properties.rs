//! Random trees are packed into every format and extracted from a file or a
//! pipe: what comes back is the tree, but for what the format can't hold; and
//! the same tree gives the same bytes, whoever packs it on however many threads.
//!
//! `BUNDLECP_CASES` sets how many trees; without it few, to be quick.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Once;

use bundlecp::extract::{self, AppleDouble, extract, extract_from};
use bundlecp::pack::{self, Format, Frames, ZipMethod, pack, pack_to};
use bundlecp::verify::{self, DifferenceKind, verify};
use bundlecp::{ExternalLinks, Silent, Timestamp};
use common::random::{build, costly, ops, place};
use common::snapshot::{Kind, Snapshot};
use common::{Scratch, folder_flags};
use proptest::prelude::*;
use rustix::fs::{Dir, FileType, Mode};

/// Enough to meet every format both ways in every run.
const QUICK: u32 = 24;
/// Not what anybody has, so that a mode of the run shows.
const UMASK: u32 = 0o027;

/// Every test of this file needs the same one: it belongs to the process.
fn set_umask() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        rustix::process::umask(Mode::from_raw_mode(UMASK as _));
    });
}

/// A format with what changes its bytes' structure.
#[derive(Debug, Clone, Copy)]
struct Way {
    format: Format,
    frames: Frames,
    method: ZipMethod,
}

fn way() -> impl Strategy<Value = Way> {
    let plain = Format::ALL.map(|format| Way {
        format,
        frames: Frames::Many,
        method: ZipMethod::Deflate,
    });
    let single = Way {
        format: Format::TarZst,
        frames: Frames::Single,
        method: ZipMethod::Deflate,
    };
    let zstd = Way {
        format: Format::Zip,
        frames: Frames::Many,
        method: ZipMethod::Zstd,
    };
    prop::sample::select([&plain[..], &[single, zstd]].concat())
}

fn pack_options(way: Way, jobs: usize) -> pack::Options {
    let mut options = pack::Options::default();
    options.format = way.format;
    options.frames = way.frames;
    options.zip_method = way.method;
    options.jobs = Some(jobs);
    options
}

fn packed(source: &Path, options: &pack::Options) -> Vec<u8> {
    let mut bytes = Vec::new();
    let done = pack_to(
        &[source.to_owned()],
        &mut bytes,
        Path::new("-"),
        options,
        &Silent,
    );
    done.unwrap_or_else(|error| panic!("{error:?}"));
    bytes
}

/// How the archive comes to the extraction.
#[derive(Debug, Clone, Copy)]
enum From {
    File,
    /// A pipe that gives at most so many bytes at a time.
    Pipe(usize),
}

fn from() -> impl Strategy<Value = From> {
    prop_oneof![
        Just(From::File),
        prop::sample::select(vec![1, 511, 4096, 1 << 16]).prop_map(From::Pipe),
    ]
}

struct Pipe<'b>(&'b [u8], usize);

impl Read for Pipe<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let len = buffer.len().min(self.1);
        self.0.read(&mut buffer[..len])
    }
}

fn unpack(archive: &Path, target: &Path, from: From, jobs: usize) -> extract::Outcome {
    let mut options = extract::Options::default();
    options.external_links = ExternalLinks::Allow;
    options.apple_double = AppleDouble::Keep;
    options.jobs = Some(jobs);
    let done = match from {
        From::File => extract(archive, target, &options, &Silent),
        From::Pipe(size) => {
            let bytes = std::fs::read(archive).unwrap();
            let shown = Path::new("a pipe");
            extract_from(Pipe(&bytes, size), shown, target, &options, &Silent)
        }
    };
    done.unwrap_or_else(|error| panic!("{error:?}"))
}

/// What `format` keeps of a tree, after an extraction by these tests.
fn kept(mut tree: Snapshot, format: Format) -> Snapshot {
    for node in tree.0.values_mut() {
        if !matches!(node.kind, Kind::Link(_)) {
            node.mode &= 0o777 & !UMASK;
        }
        if format == Format::Zip {
            forget_what_no_zip_has(&mut node.kind);
            node.xattrs.clear();
        }
    }
    tree
}

fn forget_what_no_zip_has(kind: &mut Kind) {
    if let Kind::File { first_name, .. } = kind {
        *first_name = None;
    }
}

/// Zips tell times in steps of two seconds at worst: gives those of `wanted`
/// that are near enough to the times of `found`.
fn nearly_in_time(found: &mut Snapshot, wanted: &Snapshot) {
    for (path, node) in &mut found.0 {
        let Some(other) = wanted.0.get(path) else {
            continue;
        };
        if (node.mtime.0 - other.mtime.0).abs() <= 2 {
            node.mtime = other.mtime;
        }
    }
}

fn verified(left: &Path, right: &Path, format: Format) -> Vec<verify::Difference> {
    let mut options = verify::Options::default();
    // The umask and the bits that no extraction sets.
    options.ignore = vec![DifferenceKind::Mode];
    if format == Format::Zip {
        options.ignore.extend([
            DifferenceKind::Mtime,
            DifferenceKind::Hardlink,
            DifferenceKind::Xattr,
        ]);
    }
    let outcome = verify(left, right, &options, &Silent);
    outcome.unwrap().differences
}

proptest! {
    #![proptest_config(costly(QUICK, 4))]

    #[test]
    fn what_is_packed_comes_back(
        ops in ops(),
        place in place(),
        way in way(),
        from in from(),
        jobs in (1..5_usize, 1..5_usize),
    ) {
        set_umask();
        let scratch = place.scratch();
        let (source, archive) = (scratch.path("tree"), scratch.path("archive"));
        build(&source, &ops);
        let before = Snapshot::of(&source);
        let options = pack_options(way, jobs.0);
        pack(std::slice::from_ref(&source), &archive, &options, &Silent).unwrap();
        let outcome = unpack(&archive, &scratch.path("out"), from, jobs.1);
        prop_assert_eq!(common::names(scratch.root()), ["archive", "out", "tree"]);
        prop_assert_eq!(common::names(&scratch.path("out")), ["tree"]);
        let target = scratch.path("out/tree");
        let wanted = kept(before.clone(), way.format);
        let mut found = Snapshot::of(&target);
        if way.format == Format::Zip {
            nearly_in_time(&mut found, &wanted);
        }
        wanted.assert_same(&found, "what was extracted");
        before.assert_same(&Snapshot::of(&source), "what was packed");
        let differences = verified(&source, &target, way.format);
        prop_assert!(differences.is_empty(), "{:?}", differences);
        prop_assert_eq!(outcome.losses, Default::default());
        let count = |is: fn(&Kind) -> bool| {
            before.0.values().filter(|one| is(&one.kind)).count() as u64
        };
        let files = count(|kind| matches!(kind, Kind::File { .. }));
        prop_assert_eq!(outcome.files + outcome.hardlinks, files);
        prop_assert_eq!(outcome.symlinks, count(|kind| matches!(kind, Kind::Link(_))));
        // The destination was made as well.
        let dirs = count(|kind| matches!(kind, Kind::Dir));
        prop_assert_eq!(outcome.dirs, dirs + 1);
    }

    #[test]
    fn the_same_tree_gives_the_same_bytes(ops in ops(), place in place(), way in way()) {
        set_umask();
        let scratch = place.scratch();
        let source = scratch.path("tree");
        build(&source, &ops);
        let bytes = packed(&source, &pack_options(way, 1));
        for jobs in [2, 7] {
            prop_assert!(bytes == packed(&source, &pack_options(way, jobs)), "{} threads", jobs);
        }
        let (_other, copied) = in_another_order(&scratch, &source);
        let again = packed(&copied, &pack_options(way, 2));
        prop_assert!(bytes == again, "another order of the names");
        prop_assert!(bytes_of_a_file(&scratch, &source, way) == bytes, "a file");
    }

    #[test]
    fn members_are_sorted(ops in ops(), way in way()) {
        let scratch = Scratch::in_memory();
        let source = scratch.path("tree");
        build(&source, &ops);
        let bytes = packed(&source, &pack_options(way, 2));
        let mut listed: Vec<Vec<Vec<u8>>> = Vec::new();
        bundlecp::list::list_from(&*bytes, Path::new("-"), &mut |member| {
            listed.push(names_of(member.entry.path.as_bytes()));
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
        let tree = Snapshot::of(&source);
        let mut wanted: Vec<_> = tree.0.keys().map(|path| {
            names_of(&[b"tree/", path.as_slice()].concat())
        }).collect();
        wanted.sort();
        prop_assert!(listed == wanted, "{:?} instead of {:?}", listed, wanted);
    }

    #[test]
    fn no_time_is_later_than_the_latest(
        ops in ops(),
        place in place(),
        way in way(),
        secs in -1_000_000_000..3_000_000_000_i64,
        from in from(),
    ) {
        set_umask();
        let scratch = place.scratch();
        let (source, archive) = (scratch.path("tree"), scratch.path("archive"));
        build(&source, &ops);
        let mut wanted = kept(Snapshot::of(&source), way.format);
        for node in wanted.0.values_mut() {
            node.mtime = node.mtime.min((secs, 0));
        }
        let mut options = pack_options(way, 2);
        options.latest = Some(Timestamp { secs, nanos: 0 });
        pack(&[source], &archive, &options, &Silent).unwrap();
        unpack(&archive, &scratch.path("out"), from, 2);
        let mut found = Snapshot::of(&scratch.path("out/tree"));
        if way.format == Format::Zip {
            nearly_in_time(&mut found, &wanted);
        }
        wanted.assert_same(&found, "with clamped times");
    }
}

fn names_of(path: &[u8]) -> Vec<Vec<u8>> {
    let names = path.split(|byte| *byte == b'/');
    names
        .filter(|name| !name.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

fn bytes_of_a_file(scratch: &Scratch, source: &Path, way: Way) -> Vec<u8> {
    let archive = scratch.path("archive");
    pack(
        &[source.to_owned()],
        &archive,
        &pack_options(way, 3),
        &Silent,
    )
    .unwrap();
    std::fs::read(archive).unwrap()
}

/// A copy of the tree whose folders tell their names in another order: every
/// name is made anew, and in memory, whose order is none of a disk's.
fn in_another_order(scratch: &Scratch, source: &Path) -> (Option<Scratch>, PathBuf) {
    if let Some(memory) = Scratch::new_in(Path::new("/dev/shm")) {
        let copied = memory.path("tree");
        // Some kernels' memory holds no user attributes: then it is no equal tree.
        if common::copy_with(source, &copied, 1).losses == Default::default() {
            rename_all(&open(&copied));
            return (Some(memory), copied);
        }
    }
    let copied = scratch.path("copy/tree");
    std::fs::create_dir(scratch.path("copy")).unwrap();
    common::copy_with(source, &copied, 1);
    rename_all(&open(&copied));
    (None, copied)
}

fn open(path: &Path) -> OwnedFd {
    rustix::fs::open(path, folder_flags(), Mode::empty()).unwrap()
}

/// Renames every entry below `dir` and back, and gives folders their modes and
/// times back.
fn rename_all(dir: &OwnedFd) {
    let before = rustix::fs::fstat(dir).unwrap();
    rustix::fs::fchmod(dir, Mode::RWXU).unwrap();
    let entries: Vec<_> = Dir::read_from(dir).unwrap().map(Result::unwrap).collect();
    for entry in entries {
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        if entry.file_type() == FileType::Directory {
            let inner = rustix::fs::openat(dir, name, folder_flags(), Mode::empty());
            rename_all(&inner.unwrap());
        }
        let meanwhile = c"a name that no random tree has";
        rustix::fs::renameat(dir, name, dir, meanwhile).unwrap();
        rustix::fs::renameat(dir, meanwhile, dir, name).unwrap();
    }
    common::restore(dir, &before);
}
