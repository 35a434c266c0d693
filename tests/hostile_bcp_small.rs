//! `.bcp` archives that lie with what `--profile small` writes: blocks of LZMA2,
//! parts in all forms, and the filter for ARM64.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod hostile;

use std::io::Read;

use bundlecp::ErrorKind::{Malformed, Truncated, Unsupported};
use bundlecp::archive::Archive;
use bundlecp::extract::Options;
use bundlecp::{Silent, verify};
use hostile::arena::{Arena, Before};
use hostile::bcp::{PartRow, Parts, Rows, Section, lzma2, manifest, tables};
use hostile::bcp_sample::{BOTH, Kinds, Reading, is_refused};
use hostile::bcp_small::{
    CODE, NAMES, ONE, TEXT, TWO, blocks, contents, of_rows, raw_blocks, rows, sample,
};

#[test]
fn everything_again_as_an_ordinary_user() {
    hostile::user::again("everything_again_as_an_ordinary_user");
}

#[test]
fn what_the_description_allows_comes_out() {
    let bytes = sample().bytes();
    let arena = Arena::new();
    for source in BOTH {
        for jobs in [1, 4] {
            arena.prepare(Before::Nothing);
            let mut options = Options::default();
            options.jobs = Some(jobs);
            arena.extract(&bytes, *source, &options, "sample").unwrap();
            for (name, content) in NAMES.iter().zip(contents()) {
                let found = std::fs::read(arena.destination().join(name)).unwrap();
                assert!(found == content, "{name}, {source:?}");
            }
        }
    }
    let path = arena.archive(&bytes);
    let options = verify::Options::default();
    verify::verify(&path, &path, &options, &Silent).unwrap();
    let archive = Archive::open(&path).unwrap();
    for (name, content) in NAMES.iter().zip(contents()) {
        let mut found = Vec::new();
        let mut reader = archive.member(name.as_ref()).unwrap();
        reader.read_to_end(&mut found).unwrap();
        assert!(found == content, "{name}");
    }
}

type RowLie = (&'static str, Kinds, fn(&mut Rows));

#[track_caller]
fn lies(cases: &[RowLie], reading: Reading) {
    let arena = Arena::new();
    for (name, kinds, lie) in cases {
        let mut rows = rows();
        lie(&mut rows);
        is_refused(&arena, name, &of_rows(&rows).bytes(), kinds, reading);
    }
}

/// Says that a stream is longer or shorter, and its content with it: what is stored
/// stays as long.
fn resize(rows: &mut Rows, row: usize, by: i32) {
    let part = &mut rows.parts[row];
    part.length = part.length.checked_add_signed(by).unwrap();
    let size = &mut rows.sizes[part.content as usize];
    *size = size.checked_add_signed(i64::from(by)).unwrap();
    let content = part.content;
    for behind in &mut rows.parts[row + 1..] {
        if behind.content == content {
            behind.offset = behind.offset.checked_add_signed(i64::from(by)).unwrap();
        }
    }
}

#[test]
fn inflated_streams_that_are_nowhere_are_refused() {
    let cases: &[RowLie] = &[
        ("of none", &[Malformed], |rows| rows.parts[2].content = 4),
        ("of 2^32 - 1", &[Malformed], |rows| {
            rows.parts[2].content = u32::MAX;
        }),
        ("of one without", &[Malformed], |rows| {
            rows.parts[2].content = TEXT as u32;
        }),
        ("of one for ARM64", &[Malformed], |rows| {
            rows.parts[0].content = CODE as u32;
        }),
        ("descending", &[Malformed], |rows| {
            rows.parts.rotate_right(1);
        }),
        ("backwards", &[Malformed], |rows| rows.parts.swap(0, 1)),
        ("twice", &[Malformed], |rows| {
            rows.parts.insert(1, rows.parts[0]);
        }),
        ("within the one before", &[Malformed], |rows| {
            rows.parts[1].offset = rows.parts[0].offset + 1;
        }),
        ("a byte too early", &[Malformed], |rows| {
            let before = rows.parts[0];
            rows.parts[1].offset = before.offset + u64::from(before.length) - 1;
        }),
        ("past the end", &[Malformed], |rows| {
            rows.parts[2].offset = 1;
        }),
        ("behind the end", &[Malformed], |rows| {
            rows.parts[2].offset = rows.sizes[ONE];
        }),
        ("beyond", &[Malformed], |rows| {
            rows.parts[2].offset = rows.sizes[ONE] + 1;
        }),
        ("at 2^63", &[Malformed], |rows| {
            rows.parts[2].offset = 1 << 63;
        }),
        ("at 2^64 - 1", &[Malformed], |rows| {
            rows.parts[2].offset = u64::MAX;
        }),
        ("at 2^64 less its length", &[Malformed], |rows| {
            rows.parts[2].offset = 0_u64.wrapping_sub(u64::from(rows.parts[2].length));
        }),
        ("second at 2^64 - 1", &[Malformed], |rows| {
            rows.parts[1].offset = u64::MAX;
        }),
        ("in a hole", &[Malformed], |rows| {
            rows.sizes[ONE] += 4096;
            rows.extents.push((ONE as u32, 0, 700));
        }),
    ];
    lies(cases, Reading::Manifest);
}

#[test]
fn inflated_streams_of_wrong_sizes_are_refused() {
    let cases: &[RowLie] = &[
        ("length 0", &[Malformed], |rows| rows.parts[2].length = 0),
        ("length 0, all of it", &[Malformed], |rows| {
            rows.parts[2].length = 0;
            rows.sizes[ONE] = 0;
        }),
        ("length of 4 GiB", &[Malformed], |rows| {
            rows.parts[2].length = u32::MAX;
        }),
        ("as long as inflated", &[Malformed], |rows| {
            let by = rows.parts[2].stored - rows.parts[2].length;
            resize(rows, 2, by as i32);
        }),
        ("longer than inflated", &[Malformed], |rows| {
            let by = rows.parts[2].stored - rows.parts[2].length;
            resize(rows, 2, by as i32 + 1);
        }),
        ("inflates to nothing", &[Malformed], |rows| {
            rows.parts[2].stored = 0;
            rows.blocks.pop();
        }),
        ("inflates to a byte less", &[Malformed], |rows| {
            rows.parts[2].stored -= 1;
        }),
        ("inflates to a byte more", &[Malformed], |rows| {
            rows.parts[2].stored += 1;
        }),
        ("inflates to more than a block", &[Malformed], |rows| {
            rows.parts[2].stored = (16 << 20) + 1;
            rows.blocks[5] = 16 << 20;
            rows.blocks.push(1);
        }),
        ("inflates to 4 GiB", &[Malformed], |rows| {
            rows.parts[2].stored = u32::MAX;
            rows.blocks[5] = 16 << 20;
            rows.blocks.extend([16 << 20; 254]);
            rows.blocks.push((16 << 20) - 1);
        }),
        ("begins in a block before", &[Malformed], |rows| {
            rows.blocks[1] += 1;
            rows.blocks[2] -= 1;
        }),
        ("ends in a block behind", &[Malformed], |rows| {
            rows.blocks[2] -= 1;
            rows.blocks[3] += 1;
        }),
        ("over the end of a block", &[Malformed], |rows| {
            rows.blocks[4] += 1;
            rows.blocks[5] -= 1;
        }),
        ("blocks hold less", &[Malformed], |rows| rows.blocks[5] -= 1),
        ("blocks hold more", &[Malformed], |rows| rows.blocks[5] += 1),
        ("blocks hold the streams alone", &[Malformed], |rows| {
            rows.blocks[5] = rows.parts[2].length;
        }),
        ("a content of 2^63 - 1", &[Malformed], |rows| {
            rows.sizes[ONE] = i64::MAX as u64;
        }),
        ("contents of 2^64", &[Malformed], |rows| {
            rows.sizes[ONE] = i64::MAX as u64;
            rows.sizes[TWO] = i64::MAX as u64;
        }),
    ];
    lies(cases, Reading::Manifest);
}

#[test]
fn filters_and_their_columns_go_together() {
    let cases: &[RowLie] = &[
        ("no rows", &[Malformed], |rows| rows.parts.clear()),
        ("none for one", &[Malformed], |rows| {
            let row = rows.parts.pop().unwrap();
            rows.blocks[5] = row.length;
        }),
        ("none for another", &[Malformed], |rows| {
            rows.parts.drain(..2);
        }),
        ("rows without filter", &[Malformed], |rows| {
            rows.filters[ONE] = 0;
        }),
        ("rows, and another filter", &[Malformed], |rows| {
            rows.filters[ONE] = 2;
            rows.filtered.push([0, 100]);
        }),
        ("a range besides", &[Malformed], |rows| {
            rows.filtered.push([0, 100]);
        }),
        ("filter 4", &[Unsupported], |rows| rows.filters[ONE] = 4),
        ("no range", &[Malformed], |rows| rows.filtered.clear()),
        ("range without filter", &[Malformed], |rows| {
            rows.filters[CODE] = 0;
        }),
        ("range of nothing", &[Malformed], |rows| {
            rows.filtered[0] = [100, 0];
        }),
        ("range past the end", &[Malformed], |rows| {
            rows.filtered[0] = [100, rows.sizes[CODE] - 99];
        }),
        ("range behind the end", &[Malformed], |rows| {
            rows.filtered[0] = [rows.sizes[CODE], 1];
        }),
        ("range overflows", &[Malformed], |rows| {
            rows.filtered[0] = [100, u64::MAX - 50];
        }),
    ];
    lies(cases, Reading::Manifest);
    let arena = Arena::new();
    for left in [1, 21, 23, 43] {
        let mut columns = rows().columns();
        let column = columns.iter_mut().find(|column| column.number == 53);
        column.unwrap().values.truncate(left);
        let bytes = Parts::new(manifest(&tables(&columns)), &blocks()).bytes();
        is_refused(
            &arena,
            "half a row",
            &bytes,
            &[Malformed],
            Reading::Manifest,
        );
    }
}

#[test]
fn unknown_forms_are_refused() {
    let arena = Arena::new();
    let level = |level: u16| level | 15 << 4;
    let window = |window: u16| 9 | window << 4;
    let reserved = (10..16).map(|bit| 9 | 15 << 4 | 1 << bit);
    let lies = [
        level(0),
        level(10),
        level(11),
        level(15),
        11 | 1 << 15,
        12,
        12 | 64 << 4,
        13 | 1 << 4,
        14,
        15,
        window(0),
        window(8),
        0,
        u16::MAX,
    ];
    for form in lies.into_iter().chain(reserved) {
        let mut rows = rows();
        rows.parts[2].form = form;
        let bytes = of_rows(&rows).bytes();
        let name = format!("form {form:#x}");
        is_refused(&arena, &name, &bytes, &[Unsupported], Reading::Manifest);
    }
}

/// What makes the streams again shows only then.
#[test]
fn streams_of_another_length_are_refused() {
    let cases: &[RowLie] = &[
        ("longer", &[Malformed], |rows| resize(rows, 2, 1)),
        ("shorter", &[Malformed], |rows| resize(rows, 2, -1)),
        ("much longer", &[Malformed], |rows| resize(rows, 2, 1000)),
        ("one byte", &[Malformed], |rows| {
            let by = 1 - rows.parts[2].length as i32;
            resize(rows, 2, by);
        }),
        ("first longer", &[Malformed], |rows| resize(rows, 0, 1)),
        ("second shorter", &[Malformed], |rows| resize(rows, 1, -1)),
        ("another level", &[Malformed], |rows| {
            rows.parts[2].form = 1 | 15 << 4;
        }),
        ("another window", &[Malformed], |rows| {
            rows.parts[2].form = 9 | 9 << 4;
        }),
    ];
    lies(cases, Reading::All);
}

/// A call, data, a jump, and what only looks like a call.
const PROGRAM: &[u8] =
    b"\x90\xE8\x10\0\0\0\x48\x8B\x05\x20\0\0\0\x0F\x84\x30\0\0\0\xE8\0\0\0\x7F\x90\x90\x90";
/// What is stored of it, if it stands at 3.
const TAKEN_APART: &[u8] = b"\x01\0\0\0\x01\0\0\0\x01\0\0\0\
    \x90\xE8\x48\x8B\x05\x0F\x84\xE8\x06\0\0\0\x7F\x90\x90\x90\
    \0\0\0\x19\0\0\0\x30\0\0\0\x46";

/// The program in form 10, between three bytes and two.
fn taken_apart(stored: &[u8], lie: impl Fn(&mut PartRow)) -> Parts {
    let content = [b"abc", PROGRAM, b"xy"].concat();
    let mut rows = Rows::default();
    rows.content(&content);
    rows.file(0, b"a", 0);
    rows.filters[0] = 3;
    let mut part = PartRow {
        content: 0,
        offset: 3,
        length: PROGRAM.len() as u32,
        stored: stored.len() as u32,
        form: 10,
    };
    lie(&mut part);
    rows.sizes[0] = u64::from(part.length) + 5;
    rows.blocks.push(part.stored + 5);
    rows.parts.push(part);
    let block = Section::stored(&[b"abc", stored, b"xy"].concat());
    Parts::new(manifest(&tables(&rows.columns())), &[block])
}

#[test]
fn code_and_addresses_that_do_not_go_together_are_refused() {
    let arena = Arena::new();
    let whole = taken_apart(TAKEN_APART, |_| {}).bytes();
    for source in BOTH {
        arena.prepare(Before::Nothing);
        arena
            .extract(&whole, *source, &Options::default(), "whole")
            .unwrap();
        let found = std::fs::read(arena.destination().join("a")).unwrap();
        assert_eq!(found, [b"abc", PROGRAM, b"xy"].concat());
    }
    let path = arena.archive(&whole);
    verify::verify(&path, &path, &verify::Options::default(), &Silent).unwrap();
    type Lie = fn(&mut PartRow);
    let sizes: [(&str, Lie); 9] = [
        ("as long as its code", |part| part.stored = part.length),
        ("a byte too short", |part| part.stored = part.length + 11),
        ("a byte too long", |part| part.stored = 2 * part.length + 13),
        ("of nothing", |part| (part.length, part.stored) = (0, 12)),
        ("more than a block", |part| part.stored = (16 << 20) + 1),
        ("ARM64, longer", |part| part.form = 11),
        ("rows, longer", |part| part.form = 12 | 1 << 4),
        ("unwind table, longer", |part| part.form = 13),
        ("2^32 - 1", |part| part.stored = u32::MAX - 5),
    ];
    for (name, lie) in sizes {
        let bytes = taken_apart(TAKEN_APART, lie).bytes();
        is_refused(&arena, name, &bytes, &[Malformed], Reading::Manifest);
    }
    let lengths: [(&str, Lie); 2] = [
        ("one more", |part| part.length += 1),
        ("one less", |part| part.length -= 1),
    ];
    for (name, lie) in lengths {
        let bytes = taken_apart(TAKEN_APART, lie).bytes();
        is_refused(&arena, name, &bytes, &[Malformed], Reading::All);
    }
    // Counts, and an escape that is none.
    for (at, byte) in [
        (0, 0),
        (0, 2),
        (4, 0),
        (8, 5),
        (3, 0xFF),
        (11, 0x40),
        (20, 7),
    ] {
        let mut stored = TAKEN_APART.to_vec();
        stored[at] = byte;
        let bytes = taken_apart(&stored, |_| {}).bytes();
        let name = format!("{byte} at {at}");
        is_refused(&arena, &name, &bytes, &[Malformed], Reading::All);
    }
}

/// Extents and parts are each gone through once, not one for each of the other.
#[test]
fn many_extents_and_many_parts_take_no_time_together() {
    const EXTENTS: u64 = 1_000_000;
    const PARTS: u64 = 500_000;
    let mut rows = Rows::default();
    rows.content(b"");
    rows.file(0, b"a", 0);
    rows.sizes[0] = 2 * EXTENTS;
    rows.filters[0] = 3;
    rows.extents = (0..EXTENTS).map(|at| (0, 2 * at, 1)).collect();
    let parts = (0..PARTS).map(|offset| PartRow {
        content: 0,
        offset,
        length: 1,
        stored: 1,
        form: 11,
    });
    rows.parts = parts.collect();
    let bytes = Parts::new(manifest(&tables(&rows.columns())), &[]).bytes();
    let arena = Arena::new();
    is_refused(&arena, "many", &bytes, &[Malformed], Reading::Manifest);
}

/// A stream of 6 bytes for 100 that are alike.
fn alike(byte: u8) -> Parts {
    let stream = [0x4B, 0x4C, 0xA4, 0x3D, 0, 0];
    let mut rows = Rows::default();
    rows.content(&stream);
    rows.file(0, b"a", 0);
    rows.filters[0] = 3;
    rows.parts.push(PartRow {
        content: 0,
        offset: 0,
        length: 6,
        stored: 100,
        form: 6 | 15 << 4,
    });
    rows.blocks.push(100);
    let block = Section::stored(&[byte; 100]);
    Parts::new(manifest(&tables(&rows.columns())), &[block])
}

/// No length tells it, and it is what the root hash says: only who compares the
/// contents sees it.
#[test]
fn a_stream_of_other_bytes_is_found_by_verify() {
    let arena = Arena::new();
    let options = verify::Options::default();
    for (byte, is_right) in [(b'a', true), (b'b', false)] {
        let bytes = alike(byte).bytes();
        for source in BOTH {
            arena.prepare(Before::Nothing);
            arena
                .extract(&bytes, *source, &Options::default(), "alike")
                .unwrap();
        }
        let path = arena.archive(&bytes);
        let proof = verify::verify(&path, &path, &options, &Silent);
        match is_right {
            true => assert_eq!(proof.unwrap().differences.len(), 0),
            false => assert_eq!(proof.unwrap_err().kind(), Malformed),
        }
    }
}

#[test]
fn blocks_of_lzma_that_lie_are_refused() {
    let raw = &raw_blocks()[4];
    let whole = lzma2(raw);
    let end = whole.len() - 1;
    let longer = [&raw[..], b"x"].concat();
    let mut xz = Vec::new();
    let mut encoder = liblzma::read::XzEncoder::new(&raw[..], 6);
    encoder.read_to_end(&mut xz).unwrap();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("nothing", Vec::new()),
        ("an end alone", vec![0]),
        ("half", whole[..end / 2].to_vec()),
        ("no end", whole[..end].to_vec()),
        ("a byte behind", [&whole[..], b"\0"].concat()),
        ("another behind", [&whole[..], &whole].concat()),
        (
            "another without end between",
            [&whole[..end], &whole].concat(),
        ),
        ("one more", lzma2(&longer)),
        ("one less", lzma2(&raw[1..])),
        ("of nothing", lzma2(b"")),
        ("xz", xz),
        ("zstd", zstd::bulk::compress(raw, 3).unwrap()),
        ("as it is", raw.clone()),
        ("bomb", lzma2(&vec![0; 20 << 20])),
        (
            "first chunk needs one before",
            [&[0x80], &whole[1..]].concat(),
        ),
        (
            "first chunk needs a dictionary",
            [&[0xC0], &whole[1..]].concat(),
        ),
        ("stored chunk needs a dictionary", vec![2, 0, 0, b'x', 0]),
        ("unknown chunk", [&[3], &whole[1..]].concat()),
    ];
    let arena = Arena::new();
    let refused = |name: &str, block: Section, kinds| {
        let mut parts = sample();
        parts.sections[5] = block;
        is_refused(&arena, name, &parts.bytes(), kinds, Reading::All);
    };
    let damaged: Kinds = &[Malformed, Truncated];
    for (name, data) in cases {
        refused(name, Section::block(2, &data), damaged);
    }
    let mut reserved = Section::lzma(raw);
    reserved.payload[1] = 1;
    refused("reserved", reserved, damaged);
    refused(
        "too long",
        Section::block(2, &vec![7; raw.len() + 1]),
        damaged,
    );
    for codec in [3, 4, 128, 255] {
        refused("codec", Section::block(codec, &whole), &[Unsupported]);
    }
}

/// Whatever LZMA2 makes of damage that the hashes don't show, it is no other tree.
#[test]
fn flipped_bits_in_lzma_are_found_by_verify() {
    let arena = Arena::new();
    let options = verify::Options::default();
    let whole = Section::lzma(&raw_blocks()[4]);
    for bit in 8 * 8..whole.payload.len() * 8 {
        let mut parts = sample();
        parts.sections[5] = whole.clone();
        parts.sections[5].payload[bit / 8] ^= 1 << (bit % 8);
        let path = arena.archive(&parts.bytes());
        let proof = verify::verify(&path, &path, &options, &Silent);
        let kind = proof
            .err()
            .unwrap_or_else(|| panic!("bit {bit}: equal"))
            .kind();
        assert!(matches!(kind, Malformed | Truncated), "bit {bit}: {kind:?}");
    }
}
