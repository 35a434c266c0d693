//! `.tar.zst` whose table and index lie: what is extracted by them from a file
//! is what a pipe gives, or it is refused.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod hostile;

use bundlecp::ErrorKind;
use bundlecp::extract::{Limits, Options};
use hostile::arena::{Arena, Before, JOBS, Source};
use hostile::tar::{Header, Tar, join};

#[test]
fn everything_again_as_an_ordinary_user() {
    hostile::user::again("everything_again_as_an_ordinary_user");
}

/// A frame, what the table says that it decodes to, and whether it is one that
/// decoders skip.
struct Frame {
    bytes: Vec<u8>,
    said: u32,
}

fn frame(raw: &[u8]) -> Frame {
    Frame {
        bytes: zstd::bulk::compress(raw, 3).unwrap(),
        said: raw.len() as u32,
    }
}

fn skippable(nibble: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x50 | nibble, 0x2a, 0x4d, 0x18];
    bytes.extend((payload.len() as u32).to_le_bytes());
    bytes.extend(payload);
    bytes
}

/// Frames, the index of these records, and the table.
fn archive(mut frames: Vec<Frame>, records: &[u8]) -> Vec<u8> {
    let index = zstd::bulk::compress(records, 3).unwrap();
    frames.push(Frame {
        bytes: skippable(0xb, &index),
        said: 0,
    });
    let mut table = Vec::new();
    let mut out = Vec::new();
    for frame in &frames {
        table.extend((frame.bytes.len() as u32).to_le_bytes());
        table.extend(frame.said.to_le_bytes());
        out.extend(&frame.bytes);
    }
    table.extend((frames.len() as u32).to_le_bytes());
    table.push(0);
    table.extend(0x8f92_eab1_u32.to_le_bytes());
    out.extend(skippable(0xe, &table));
    out
}

/// The records of an index that say what these headers do (docs/format.md).
#[allow(
    clippy::needless_pass_by_value,
    reason = "the cases read better without references"
)]
fn headers(tar: Tar) -> Vec<u8> {
    let (mut records, mut at, mut begin, mut time) = (Vec::new(), 0, 0, None);
    while at < tar.0.len() {
        let block = &tar.0[at..at + 512];
        let size = octal(&block[124..136]);
        at += 512;
        if block[156] == b'x' {
            let text = String::from_utf8_lossy(&tar.0[at..at + size]).into_owned();
            let value = text.split_once("mtime=").map(|(_, value)| value.trim());
            time = value.map(|value| value.parse().unwrap()).or(time);
            at += size.next_multiple_of(512);
            continue;
        }
        let time = time
            .take()
            .unwrap_or_else(|| octal(&block[136..148]) as i64);
        record(block, (at - begin, size, time), &mut records);
        begin = at;
    }
    records
}

fn record(block: &[u8], (header, size, time): (usize, usize, i64), out: &mut Vec<u8>) {
    let text = |field: &[u8]| field.split(|byte| *byte == 0).next().unwrap().to_vec();
    let (kind, target) = match block[156] {
        b'0' => (1, None),
        b'2' => (2, Some(text(&block[157..257]))),
        b'5' => (0, None),
        other => panic!("no record for {other}"),
    };
    out.extend([kind | 4, 0]);
    let mut string = |bytes: &[u8]| {
        number(out, bytes.len() as u64);
        out.extend(bytes);
    };
    string(&text(&block[..100]));
    number(out, header as u64);
    number(out, octal(&block[100..108]) as u64);
    match target {
        Some(target) => {
            number(out, target.len() as u64);
            out.extend(target);
        }
        None if kind == 1 => number(out, size as u64),
        None => {}
    }
    number(out, ((time << 1) ^ (time >> 63)) as u64);
    number(out, 0);
}

fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn octal(field: &[u8]) -> usize {
    let text = String::from_utf8_lossy(field).into_owned();
    usize::from_str_radix(text.trim_matches(['\0', ' ']), 8).unwrap_or(0)
}

/// Extracts from a file and a pipe: who extracts from the file has to see the
/// same tree. Returns whether the file was extracted.
#[track_caller]
fn agree(name: &str, bytes: &[u8]) -> bool {
    let arena = Arena::new();
    let mut fine = false;
    for jobs in JOBS {
        let mut options = Options::default();
        options.jobs = Some(jobs);
        arena.prepare(Before::Nothing);
        let by_index = arena.extract(bytes, Source::File, &options, name);
        if by_index.is_err() {
            continue;
        }
        fine = true;
        let from_file = arena.extracted();
        arena.prepare(Before::Nothing);
        let piped = arena.extract(bytes, Source::Pipe, &options, name);
        assert!(piped.is_ok(), "{name}: a pipe gives {piped:?}");
        from_file.assert_same(&arena.extracted(), name);
    }
    fine
}

fn file(name: &[u8], size: usize) -> Header {
    Header::new(name, b'0').size(size as u64)
}

#[test]
fn an_honest_index_is_used() {
    let big = vec![7; 3000];
    let first = Tar::new().file(b"a", b"x").header(file(b"b", 3000));
    let first = [&first.0[..], &big[..1024]].concat();
    let mut second = big[1024..].to_vec();
    second.resize(3072 - 1024, 0);
    let second = [second, Tar::new().file(b"c", b"y").end()].concat();
    let index = Tar::new()
        .header(file(b"a", 1))
        .header(file(b"b", 3000))
        .header(file(b"c", 1));
    let bytes = archive(vec![frame(&first), frame(&second)], &headers(index));
    assert!(agree("honest", &bytes));
}

#[test]
fn a_frame_that_the_table_calls_empty_is_read() {
    let shown = Tar::new().file(b"shown", b"x");
    let hidden = Tar::new().file(b"hidden", b"evil");
    let end = Tar::new().end();
    let mut frames = vec![frame(&shown.0), frame(&hidden.0), frame(&end)];
    frames[1].said = 0;
    let index = Tar::new().header(file(b"shown", 1));
    agree("empty frame", &archive(frames, &headers(index)));
}

/// The header of `a` is shorter than the one that our own packer writes, which
/// leaves room for an end of the archive between two frames.
#[test]
fn the_archives_end_between_two_frames_counts() {
    let negative = || file(b"a", 1).mtime(-1);
    let first = Tar::new().header(negative()).content(b"x").end();
    let second = Tar::new().file(b"b", b"y").end();
    let pax: &[(&str, &[u8])] = &[("mtime", b"-1")];
    let index = Tar::new()
        .pax(pax)
        .header(file(b"a", 1))
        .header(file(b"b", 1));
    let bytes = archive(vec![frame(&first), frame(&second)], &headers(index));
    agree("end in between", &bytes);
}

/// The header of `b` is longer than its own packer would write it: content that
/// goes on in the next frame would be put where it doesn't belong.
#[test]
fn content_that_goes_on_in_another_place_is_refused() {
    let mut content: Vec<u8> = (0..6000_u32).flat_map(u32::to_le_bytes).collect();
    // What is left over at the end then looks like the archive's.
    content.resize(content.len() + 2000, 0);
    let padded = content.len().next_multiple_of(512);
    let long = Tar::new()
        .pax(&[("comment", b"x")])
        .header(file(b"b", content.len()));
    let mut raw = [&long.0[..], &content].concat();
    raw.resize(long.0.len() + padded, 0);
    // One block less than two of zeros makes up for the longer header.
    let cut = 4096;
    let index = Tar::new().header(file(b"b", content.len()));
    let bytes = archive(
        vec![frame(&raw[..cut]), frame(&raw[cut..])],
        &headers(index),
    );
    agree("shifted", &bytes);
}

#[test]
fn a_global_header_in_a_frame_is_not_forgotten() {
    let global = Tar::new().records(b'g', &join(&[("mtime", b"5")]));
    let first = [global.0, Tar::new().file(b"a", b"x").0].concat();
    let second = Tar::new().file(b"b", b"y").end();
    let pax: &[(&str, &[u8])] = &[("mtime", b"5")];
    let index = Tar::new()
        .pax(pax)
        .header(file(b"a", 1))
        .header(file(b"b", 1));
    agree(
        "global",
        &archive(vec![frame(&first), frame(&second)], &headers(index)),
    );
}

#[test]
fn an_index_that_names_other_members_is_refused() {
    let honest = || Tar::new().file(b"a", b"x").file(b"b", b"y").end();
    let a = || Tar::new().header(file(b"a", 1));
    let others: Vec<(&str, Tar)> = vec![
        ("name", a().header(file(b"c", 1))),
        ("mode", a().header(file(b"b", 1).mode(0o777))),
        (
            "type",
            a().header(Header::new(b"b", b'2').link(b"../victim")),
        ),
        ("way out", a().header(file(b"../victim", 1))),
        ("absolute", a().header(file(b"/victim", 1))),
        ("twice", a().header(file(b"a", 1))),
        ("one less", a()),
        ("one more", a().header(file(b"b", 1)).header(file(b"c", 1))),
        ("nothing", Tar::new()),
        (
            "other order",
            Tar::new().header(file(b"b", 1)).header(file(b"a", 1)),
        ),
        (
            "link out",
            a().header(Header::new(b"b", b'2').link(b"/etc")),
        ),
        (
            "below a link",
            Tar::new().symlink(b"a", b"..").header(file(b"a/b", 1)),
        ),
    ];
    for (name, index) in others {
        let bytes = archive(vec![frame(&honest())], &headers(index));
        agree(name, &bytes);
    }
}

#[test]
fn tables_that_lie_are_refused() {
    let honest = Tar::new().file(b"a", b"x").end();
    let index = || headers(Tar::new().header(file(b"a", 1)));
    for said in [
        0,
        1,
        honest.len() as u32 - 512,
        honest.len() as u32 + 512,
        u32::MAX,
    ] {
        let mut frames = vec![frame(&honest)];
        frames[0].said = said;
        agree(&format!("said {said}"), &archive(frames, &index()));
    }
    // Two frames that the table calls one.
    let mut two = frame(&honest[..1024]);
    two.bytes.extend(frame(&honest[1024..]).bytes);
    two.said = honest.len() as u32;
    agree("two in one", &archive(vec![two], &index()));
    // A window that no decoder should take.
    let mut window = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, (31 - 10) << 3];
    window.extend([0x01, 0, 0]);
    let arena = Arena::new();
    arena.prepare(Before::Nothing);
    let result = arena.extract(&window, Source::Pipe, &Options::default(), "window");
    assert!(result.is_err());
}

/// An index of the same header again and again is a bomb of its own.
#[test]
fn an_index_may_not_hold_more_than_the_archive() {
    let bomb = headers(Tar::new().header(file(b"a", 1))).repeat(50_000);
    let honest = Tar::new().file(b"a", b"x").end();
    let bytes = archive(vec![frame(&honest)], &bomb);
    let arena = Arena::new();
    arena.prepare(Before::Nothing);
    let mut options = Options::default();
    options.limits = Limits::untrusted();
    let result = arena.extract(&bytes, Source::File, &options, "index bomb");
    if let Err(error) = result {
        let kind = error.kind();
        assert!(
            matches!(kind, ErrorKind::LimitExceeded | ErrorKind::Malformed),
            "{error:?}"
        );
    }
}
