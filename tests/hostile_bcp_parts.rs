//! `.bcp` archives whose parts lie: the tables' frame, blocks, sections, footer and
//! trailer. Any bit that is flipped and any byte that is cut off is noticed.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod hostile;

use std::io::{self, Read, Write};
use std::path::Path;

use bundlecp::ErrorKind::{LimitExceeded, Malformed, Truncated, UnknownFormat, Unsupported};
use bundlecp::extract::{Options, extract, extract_from};
use bundlecp::pack::Profile;
use bundlecp::{Silent, pack, verify};
use common::{Scratch, build, names, zlib};
use hostile::arena::{Arena, Before, Source};
use hostile::bcp::{Parts, Section, Tail, manifest, said, tables};
use hostile::bcp_sample::{BOTH, Kinds, Reading, blocks, is_refused, raw_blocks, rows, sample};

#[test]
fn everything_again_as_an_ordinary_user() {
    hostile::user::again("everything_again_as_an_ordinary_user");
}

fn sample_tables() -> Vec<u8> {
    tables(&rows().columns())
}

/// A frame with a window of 2 to the power of `log`, and no size of its content.
fn windowed(data: &[u8], log: u32) -> Vec<u8> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(log).unwrap();
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

fn skippable() -> Vec<u8> {
    [&[0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0][..], b"hi"].concat()
}

#[test]
fn frames_of_tables_that_lie_are_refused() {
    let tables = sample_tables();
    let length = tables.len() as u64;
    let frame = |bytes: &[u8]| zstd::bulk::compress(bytes, 3).unwrap();
    let whole = frame(&tables);
    let two = [frame(&tables[..9]), frame(&tables[9..])].concat();
    let bomb = frame(&vec![0; 20 << 20]);
    let damaged: Kinds = &[Malformed, Truncated];
    let cases: Vec<(&str, Kinds, Vec<u8>)> = vec![
        ("nothing", &[Malformed], Vec::new()),
        ("half a head", &[Malformed], vec![0; 7]),
        ("no frame", damaged, said(length, b"")),
        ("no zstd", damaged, said(length, &tables)),
        ("less", damaged, said(length - 1, &whole)),
        ("more", damaged, said(length + 1, &whole)),
        ("none", damaged, said(0, &whole)),
        (
            "over 128 MiB",
            &[LimitExceeded],
            said((128 << 20) + 1, &whole),
        ),
        ("2^64 - 1", &[LimitExceeded], said(u64::MAX, &whole)),
        ("a bomb", damaged, said(length, &bomb)),
        ("a bomb that says so", damaged, said(20 << 20, &bomb)),
        ("cut", damaged, said(length, &whole[..whole.len() - 1])),
        ("two frames", damaged, said(length, &two)),
        (
            "empty frame behind",
            damaged,
            said(length, &[&whole[..], &frame(b"")].concat()),
        ),
        (
            "skippable behind",
            damaged,
            said(length, &[&whole[..], &skippable()].concat()),
        ),
        (
            "skippable in front",
            damaged,
            said(length, &[&skippable()[..], &whole].concat()),
        ),
        (
            "zeros behind",
            damaged,
            said(length, &[&whole[..], &[0; 8]].concat()),
        ),
        (
            "window",
            &[Malformed, LimitExceeded],
            said(length, &windowed(&tables, 24)),
        ),
    ];
    let arena = Arena::new();
    for (name, kinds, payload) in cases {
        let bytes = Parts::new(payload, &blocks()).bytes();
        is_refused(&arena, name, &bytes, kinds, Reading::Manifest);
    }
}

#[test]
fn blocks_that_lie_are_refused() {
    let raw = raw_blocks();
    let all = zstd::bulk::compress(&raw[1], 3).unwrap();
    let (half, rest) = raw[1].split_at(500);
    let frame = |bytes: &[u8]| zstd::bulk::compress(bytes, 3).unwrap();
    let mut reserved = Section::zstd(&raw[1]);
    reserved.payload[7] = 1;
    let mut noisy = raw[1].clone();
    noisy.push(0);
    let cases: Vec<(&str, Kinds, Section)> = vec![
        (
            "shorter than its head",
            &[Malformed],
            Section::new(b"BLOK", vec![1; 7]),
        ),
        ("empty", &[Malformed], Section::new(b"BLOK", Vec::new())),
        ("codec 3", &[Unsupported], Section::block(3, &all)),
        ("codec 255", &[Unsupported], Section::block(255, &all)),
        ("reserved", &[Malformed], reserved),
        ("stored longer", &[Malformed], Section::stored(&noisy)),
        ("stored shorter", &[Malformed], Section::stored(half)),
        ("zstd longer", &[Malformed], Section::zstd(&noisy)),
        ("zstd shorter", &[Malformed], Section::zstd(half)),
        ("zstd of nothing", &[Malformed], Section::block(1, b"")),
        (
            "two frames",
            &[Malformed],
            Section::block(1, &[frame(half), frame(rest)].concat()),
        ),
        (
            "skippable",
            &[Malformed],
            Section::block(1, &[&all[..], &skippable()].concat()),
        ),
        (
            "without size",
            &[Malformed],
            Section::block(1, &windowed(&raw[1], 12)),
        ),
        ("bomb", &[Malformed], Section::zstd(&vec![0; 20 << 20])),
        (
            "payload too long",
            &[Malformed],
            Section::block(1, &[7; 2001]),
        ),
    ];
    let arena = Arena::new();
    for (name, kinds, block) in cases {
        let mut parts = sample();
        parts.sections[2] = block;
        is_refused(&arena, name, &parts.bytes(), kinds, Reading::All);
    }
    // Right for the blocks, but not what the manifest says that the content is.
    let mut other = raw[2].clone();
    other[34] ^= 1;
    let mut parts = sample();
    parts.sections[3] = Section::stored(&other);
    let path = arena.archive(&parts.bytes());
    let options = verify::Options::default();
    let error = verify::verify(&path, arena.root(), &options, &Silent).unwrap_err();
    assert_eq!(error.kind(), Malformed);
}

type PartLie = (&'static str, Kinds, fn(&mut Parts));

#[test]
fn sections_that_lie_are_refused() {
    let cases: &[PartLie] = &[
        ("no manifest", &[Malformed], |parts| {
            drop(parts.sections.remove(0));
        }),
        ("no sections", &[Malformed], |parts| parts.sections.clear()),
        ("two manifests", &[Malformed], |parts| {
            parts.sections.insert(1, parts.sections[0].clone());
        }),
        ("manifest second", &[Malformed], |parts| {
            parts.sections.swap(0, 1);
        }),
        ("manifest last", &[Malformed], |parts| {
            parts.sections.rotate_left(1);
        }),
        ("a block less", &[Malformed], |parts| {
            drop(parts.sections.pop());
        }),
        ("a block more", &[Malformed], |parts| {
            parts.sections.push(parts.sections[3].clone());
        }),
        ("a footer between", &[Malformed], |parts| {
            parts.sections.insert(2, Section::new(b"FOOT", Vec::new()));
        }),
        ("blocks swapped", &[Malformed], |parts| {
            parts.sections.swap(2, 3);
        }),
        ("flags", &[Malformed], |parts| parts.sections[2].flags = 3),
        ("not critical", &[Malformed], |parts| {
            parts.sections[2].flags = 0;
        }),
        ("manifest not critical", &[Malformed], |parts| {
            parts.sections[0].flags = 0;
        }),
        ("something optional first", &[Malformed], |parts| {
            let mut section = Section::new(b"NEWS", b"x".to_vec());
            section.flags = 0;
            parts.sections.insert(0, section);
        }),
        ("something critical", &[Unsupported], |parts| {
            parts
                .sections
                .insert(2, Section::new(b"NEWS", b"x".to_vec()));
        }),
        ("version 2", &[Unsupported], |parts| parts.header[8] = 2),
        ("version 0", &[Unsupported], |parts| parts.header[8] = 0),
        ("version 257", &[Unsupported], |parts| parts.header[9] = 1),
        ("reserved", &[Malformed], |parts| parts.header[15] = 1),
        ("length", &[Malformed, Truncated], |parts| {
            parts.sections[3].length = Some(u64::MAX);
        }),
        ("length + 1", &[Malformed, Truncated], |parts| {
            parts.sections[3].length = Some(parts.sections[3].payload.len() as u64 + 1);
        }),
    ];
    let arena = Arena::new();
    for (name, kinds, lie) in cases {
        let mut parts = sample();
        lie(&mut parts);
        is_refused(&arena, name, &parts.bytes(), kinds, Reading::All);
    }
    let mut parts = sample();
    parts
        .sections
        .insert(2, Section::new(b"NEWS", b"x".to_vec()));
    let result = arena.extract(&parts.bytes(), Source::Pipe, &Options::default(), "newer");
    assert!(
        result
            .unwrap_err()
            .hint()
            .unwrap()
            .contains("newer bundlecp")
    );
}

type TailLie = (&'static str, Kinds, fn(&mut Tail));

#[test]
fn tails_that_lie_are_refused() {
    let damaged: Kinds = &[Malformed, Truncated];
    let cases: &[TailLie] = &[
        ("archive longer", damaged, |tail| tail.archive += 1),
        ("archive shorter", damaged, |tail| tail.archive -= 1),
        ("archive of nothing", damaged, |tail| tail.archive = 0),
        ("archive of 2^64", damaged, |tail| tail.archive = u64::MAX),
        ("footer longer", damaged, |tail| tail.length += 48),
        ("footer shorter", damaged, |tail| tail.length -= 48),
        ("footer of nothing", damaged, |tail| tail.length = 0),
        ("footer of 2^64", damaged, |tail| tail.length = u64::MAX),
        ("root hash", damaged, |tail| tail.root = [7; 32]),
        ("version 2", &[Unsupported], |tail| tail.version = 2),
        ("reserved", &[Malformed], |tail| tail.reserved[5] = 1),
        ("end", &[Truncated], |tail| tail.magic[7] = b'!'),
        ("footer's flags", damaged, |tail| tail.footer.flags = 0),
        ("footer's length", damaged, |tail| {
            tail.footer.length = Some(tail.length + 1);
        }),
        ("row missing", damaged, |tail| {
            tail.footer.payload.truncate(3 * 48);
            tail.length -= 48;
            tail.archive -= 48;
        }),
        ("row more", damaged, |tail| {
            let row = tail.footer.payload[144..].to_vec();
            tail.footer.payload.extend(row);
            tail.length += 48;
            tail.archive += 48;
        }),
        ("rows in another order", damaged, |tail| {
            tail.footer.payload[48..].rotate_left(48);
        }),
        ("half a row", damaged, |tail| {
            tail.footer.payload.extend([0; 24]);
            tail.length += 24;
            tail.archive += 24;
        }),
        ("hash of a block", damaged, |tail| {
            tail.footer.payload[2 * 48 + 20] ^= 1;
        }),
        ("hash of the manifest", damaged, |tail| {
            tail.footer.payload[20] ^= 1;
        }),
        ("row's length", damaged, |tail| {
            tail.footer.payload[48 + 15] = 0x80;
        }),
    ];
    let arena = Arena::new();
    for (name, kinds, lie) in cases {
        let bytes = sample().bytes_with(lie);
        is_refused(&arena, name, &bytes, kinds, Reading::All);
    }
    for behind in [&b"\0"[..], b"x", &[0; 512], &sample().bytes()[..100]] {
        let bytes = [&sample().bytes(), behind].concat();
        is_refused(&arena, "something behind", &bytes, damaged, Reading::All);
    }
}

/// What nobody knows is passed over, but it is a part of the archive.
#[test]
fn damage_in_an_unknown_section_is_noticed() {
    let arena = Arena::new();
    let mut parts = sample();
    let mut section = Section::new(b"NEWS", b"whatever it is".to_vec());
    section.flags = 0;
    parts.sections.insert(2, section);
    let bytes = parts.bytes();
    let at = bytes.windows(8).position(|bytes| bytes == b"whatever");
    let front = at.unwrap() - 16;
    for place in front..front + 30 {
        let mut bytes = bytes.clone();
        bytes[place] ^= 2;
        let name = format!("byte {}", place - front);
        let kinds = &[Malformed, Truncated, Unsupported];
        is_refused(&arena, &name, &bytes, kinds, Reading::All);
    }
}

/// A small tree, and what it is packed into.
fn packed(scratch: &Scratch, profile: Profile) -> Vec<u8> {
    let tree = scratch.path("tree");
    build::folder(tree.join("d"));
    build::file(tree.join("d/a"), "hello ".repeat(9));
    build::file(tree.join("b"), "hello ".repeat(9));
    build::link(tree.join("l"), b"d/a");
    build::hard_link(tree.join("b"), tree.join("h"));
    if profile == Profile::Small {
        build::file(tree.join("d/z"), zlib::streams()[22].zlib);
        // Numbers that LZMA takes less for.
        let odd = |at: u32| at.wrapping_mul(2_654_435_761).rotate_left(9) & 0x3F;
        let numbers = (0..400).flat_map(|at| (0x4000_0000 | odd(at)).to_le_bytes());
        build::file(tree.join("n"), numbers.collect::<Vec<u8>>());
        let arm = (0..200_u32).flat_map(|at| (0x9400_1000 - at).to_le_bytes());
        let x86 = (0..200_u32).flat_map(|at| {
            let displacement = (4096 - 7 * at).to_le_bytes();
            [&b"\xE8"[..], &displacement, b"\x89\xC0"].concat()
        });
        let programs: [(_, u8, Vec<u8>); 2] = [("p", 12, arm.collect()), ("q", 7, x86.collect())];
        for (name, machine, code) in programs {
            let begin = [b"\xCF\xFA\xED\xFE", &[machine, 0, 0, 1][..]].concat();
            build::file(tree.join(name), [begin, code].concat());
        }
    }
    build::age(&tree);
    let mut options = pack::Options::default();
    options.format = pack::Format::Bcp;
    options.profile = profile;
    let archive = scratch.path("packed.bcp");
    pack::pack(&[tree], &archive, &options, &Silent).unwrap();
    std::fs::read(archive).unwrap()
}

/// Who reads a whole archive.
#[derive(Debug, Clone, Copy)]
enum Taker {
    File,
    Pipe,
    Verify,
}

const TAKERS: [Taker; 3] = [Taker::File, Taker::Pipe, Taker::Verify];

/// Whether `taker` refuses `bytes`; and nothing is left of trying.
#[track_caller]
fn is_not_taken(scratch: &Scratch, bytes: &[u8], taker: Taker, context: &str) {
    let (archive, place) = (scratch.path("damaged"), scratch.path("place"));
    build::folder(&place);
    let destination = place.join("out");
    let options = Options::default();
    let result = match taker {
        Taker::File => {
            build::file(&archive, bytes);
            extract(&archive, &destination, &options, &Silent).map(drop)
        }
        Taker::Pipe => {
            extract_from(bytes, Path::new("x"), &destination, &options, &Silent).map(drop)
        }
        Taker::Verify => {
            build::file(&archive, bytes);
            let options = verify::Options::default();
            verify::verify(&scratch.path("tree"), &archive, &options, &Silent).map(drop)
        }
    };
    assert!(result.is_err(), "{context}: {taker:?}");
    assert!(
        names(&place).is_empty(),
        "{context}: {taker:?} left something"
    );
}

/// Each bit is tried with one taker and the next bit with the next: each taker meets two or
/// three bits of every byte.
#[track_caller]
fn no_bit_is_left_out(profile: Profile, step: usize) {
    let scratch = Scratch::in_memory();
    let bytes = packed(&scratch, profile);
    // A change has to pass the full run, which flips every bit.
    let step = if hostile::is_thorough() { 1 } else { step };
    let takers = TAKERS.into_iter().cycle();
    for (bit, taker) in (0..bytes.len() * 8).step_by(step).zip(takers) {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let context = format!("bit {} of {}", bit % 8, bit / 8);
        is_not_taken(&scratch, &damaged, taker, &context);
    }
}

/// Cut at each byte, for all takers.
#[track_caller]
fn no_byte_is_left_out(profile: Profile) -> Vec<u8> {
    let scratch = Scratch::in_memory();
    let bytes = packed(&scratch, profile);
    for length in 0..bytes.len() {
        for taker in TAKERS {
            is_not_taken(
                &scratch,
                &bytes[..length],
                taker,
                &format!("cut to {length}"),
            );
        }
    }
    bytes
}

#[test]
fn every_bit_counts() {
    no_bit_is_left_out(Profile::Default, 5);
}

#[test]
fn every_bit_of_a_small_one_counts() {
    no_bit_is_left_out(Profile::Small, 7);
}

#[test]
fn every_byte_of_a_small_one_counts() {
    let bytes = no_byte_is_left_out(Profile::Small);
    assert_eq!(block_codecs(&bytes), [2], "LZMA2");
}

/// The codec of each block.
fn block_codecs(bytes: &[u8]) -> Vec<u8> {
    let fronts = bytes.windows(4).enumerate();
    let blocks =
        fronts.filter(|(at, kind)| kind == b"BLOK" && bytes[at + 4..at + 8] == [1, 0, 0, 0]);
    // What the footer says of a block looks alike.
    let rows = bytes.windows(4).position(|kind| kind == b"FOOT").unwrap();
    let blocks = blocks.filter(|(at, _)| *at < rows);
    blocks.map(|(at, _)| bytes[at + 16]).collect()
}

#[test]
fn every_byte_counts() {
    no_byte_is_left_out(Profile::Default);
    let arena = Arena::new();
    let whole = sample().bytes();
    for length in (0..whole.len()).step_by(37) {
        arena.prepare(Before::Nothing);
        for source in BOTH {
            let result = arena.extract(&whole[..length], *source, &Options::default(), "cut");
            let kind = result.unwrap_err().kind();
            let is_known = matches!(kind, Truncated | Malformed | UnknownFormat);
            assert!(is_known, "{length}: {kind:?}");
        }
    }
}

/// Gives one byte at a time, and is interrupted before each.
struct Drip<'a> {
    bytes: &'a [u8],
    is_interrupted: bool,
}

impl Read for Drip<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        self.is_interrupted = !self.is_interrupted;
        if self.is_interrupted {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = out.len().min(1);
        self.bytes.read(&mut out[..count])
    }
}

#[test]
fn a_slow_pipe_gives_the_same() {
    let bytes = sample().bytes();
    let arena = Arena::new();
    arena.prepare(Before::Nothing);
    let options = Options::default();
    arena
        .extract(&bytes, Source::Pipe, &options, "whole")
        .unwrap();
    let expected = arena.extracted();
    arena.prepare(Before::Nothing);
    let drip = Drip {
        bytes: &bytes,
        is_interrupted: false,
    };
    arena
        .check("drip", || arena.extract_from(drip, &options))
        .unwrap();
    let times = |seen: common::snapshot::Snapshot| {
        seen.without_times_of(&[b"", b"d/a", b"d/h", b"l", b"program", b"same", b"sparse"])
    };
    times(expected).assert_same(&times(arena.extracted()), "drip");
}

#[test]
fn a_manifest_alone_is_an_archive() {
    let rows = hostile::bcp::Rows::default();
    let bytes = Parts::new(manifest(&tables(&rows.columns())), &[]).bytes();
    let arena = Arena::new();
    for source in BOTH {
        arena.prepare(Before::Nothing);
        arena
            .extract(&bytes, *source, &Options::default(), "empty")
            .unwrap();
        assert_eq!(arena.extracted().0.len(), 1);
    }
}
