//! `--profile small` of `.bcp`, from outside: whatever zlib has made, or something
//! like it, and wherever that stands, what comes out is what was packed.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::io::{Read, Write};
use std::ops::ControlFlow;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use bundlecp::archive::Archive;
use bundlecp::extract::{self, extract, extract_from};
use bundlecp::pack::{self, Format, Profile, pack};
use bundlecp::verify::{self, verify};
use bundlecp::{Progress, Silent, Status};
use common::build::{age, file, folder, hard_link, link, mode};
use common::random::costly;
use common::snapshot::Snapshot;
use common::zlib::{self, Stream, gzip, png, zip_member};
use common::{Scratch, bundlecp};
use proptest::prelude::*;

/// Packs a tree, and checks that it comes back in every way. Returns how many
/// bytes the archive has.
#[track_caller]
fn comes_back(scratch: &Scratch, tree: &Path) -> u64 {
    comes_back_at(None, scratch, tree)
}

/// The same at a level of zstd's, without LZMA: where the forms count, and not what
/// compresses them.
#[track_caller]
fn comes_back_at(level: Option<i32>, scratch: &Scratch, tree: &Path) -> u64 {
    let archive = scratch.path("archive.bcp");
    let before = Snapshot::of(tree);
    let mut options = pack::Options::default();
    options.format = Format::Bcp;
    options.profile = Profile::Small;
    options.level = level;
    options.existing = bundlecp::Existing::Replace;
    let mut first: Option<Vec<u8>> = None;
    for jobs in [1, 2, 8] {
        options.jobs = Some(jobs);
        let seen = Watch::default();
        pack(&[tree.to_owned()], &archive, &options, &seen).unwrap();
        seen.check();
        let bytes = std::fs::read(&archive).unwrap();
        let first = first.get_or_insert_with(|| bytes.clone());
        assert!(*first == bytes, "{jobs} threads pack other bytes");
    }
    for (jobs, is_piped) in [(1, false), (4, false), (1, true), (4, true)] {
        let out = scratch.path("out");
        let mut options = extract::Options::default();
        options.jobs = Some(jobs);
        let seen = Watch::default();
        match is_piped {
            false => extract(&archive, &out, &options, &seen),
            true => {
                let reader = std::fs::File::open(&archive).unwrap();
                extract_from(reader, Path::new("-"), &out, &options, &seen)
            }
        }
        .unwrap();
        seen.check();
        let context = format!("{jobs} threads, piped: {is_piped}");
        before.assert_same(
            &Snapshot::of(&out.join(tree.file_name().unwrap())),
            &context,
        );
        std::fs::remove_dir_all(out).unwrap();
    }
    let seen = Watch::default();
    let proof = verify(tree, &archive, &verify::Options::default(), &seen).unwrap();
    seen.check();
    assert!(proof.differences.is_empty(), "{:?}", proof.differences);
    members_come_back(&archive, tree);
    std::fs::metadata(archive).unwrap().len()
}

/// Every file, read by itself.
#[track_caller]
fn members_come_back(archive: &Path, tree: &Path) {
    let opened = Archive::open(archive).unwrap();
    for entry in walkdir::WalkDir::new(tree) {
        let entry = entry.unwrap();
        if !entry.file_type().is_file() {
            continue;
        }
        let name = entry.path().strip_prefix(tree.parent().unwrap()).unwrap();
        let mut found = Vec::new();
        let mut reader = opened.member(name).unwrap();
        reader.read_to_end(&mut found).unwrap();
        assert!(found == std::fs::read(entry.path()).unwrap(), "{name:?}");
    }
}

/// What is reported is never more than there is.
#[derive(Default)]
struct Watch(Mutex<Option<String>>);

impl Progress for Watch {
    fn report(&self, status: &Status) -> ControlFlow<()> {
        if status.bytes_total.is_some_and(|total| status.bytes > total) {
            *self.0.lock().unwrap() = Some(format!("{status:?}"));
        }
        ControlFlow::Continue(())
    }
}

impl Watch {
    #[track_caller]
    fn check(&self) {
        let too_much = self.0.lock().unwrap();
        assert_eq!(*too_much, None);
    }
}

/// As many bytes that nothing compresses, the same for the same seed.
fn noise(seed: u64, count: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let bytes = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    });
    bytes.take(count).collect()
}

/// A program for x86-64 with an archive of streams behind it, as PyInstaller's.
fn program(streams: &[Stream]) -> Vec<u8> {
    let mut program = vec![0; 64];
    program[..6].copy_from_slice(b"\x7FELF\x02\x01");
    (program[18], program[54]) = (62, 56);
    for number in 0..5000_u32 {
        program.push(0xE8);
        program.extend((number * 64).to_le_bytes());
    }
    for stream in streams {
        program.extend(stream.zlib);
        program.extend(b"MEI\x0C\x0B\x0A\x0B\x0E");
    }
    program
}

#[test]
fn a_program_with_streams_behind_it_comes_back() {
    let (scratch, all) = (Scratch::new(), zlib::streams());
    let app = scratch.path("app");
    folder(app.join("lib"));
    let program = program(&all);
    file(app.join("run"), &program);
    mode(app.join("run"), 0o755);
    file(app.join("lib/again"), &program);
    hard_link(app.join("run"), app.join("lib/hard"));
    link(app.join("link"), b"lib/again");
    let sparse = std::fs::File::create(app.join("sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    let small: Vec<u8> = all[zlib::SMALL]
        .iter()
        .flat_map(|one| one.zlib)
        .copied()
        .collect();
    sparse.write_all_at(&small, 1 << 20).unwrap();
    sparse.write_all_at(&small, (2 << 20) + 7).unwrap();
    age(&app);
    comes_back(&scratch, &app);
}

/// Code for `machine` as one segment that is to be executed, behind 120 bytes.
fn elf(machine: u8, code: &[u8]) -> Vec<u8> {
    let mut elf = [0; 120];
    elf[..6].copy_from_slice(b"\x7FELF\x02\x01");
    (elf[18], elf[32], elf[54], elf[56]) = (machine, 64, 56, 1);
    elf[64..72].copy_from_slice(&[1, 0, 0, 0, 5, 0, 0, 0]);
    elf[72] = 120;
    elf[96..104].copy_from_slice(&(code.len() as u64).to_le_bytes());
    [&elf[..], code].concat()
}

/// Calls that a filter helps with; every instruction ends with noise.
fn calls(call: fn(u32) -> Vec<u8>, count: u32) -> Vec<u8> {
    let noise = noise(9, count as usize);
    let mut code = Vec::new();
    for (number, odd) in (0..count).zip(noise) {
        code.extend(call((number % 9 * 4096).wrapping_sub(code.len() as u32)));
        code.extend([odd & 0x3F | 0x40, 0x90, 0x90, 0x91]);
    }
    code
}

fn x86_call(to: u32) -> Vec<u8> {
    [&[0xE8][..], &to.to_le_bytes()].concat()
}

fn arm64_call(to: u32) -> Vec<u8> {
    (0x9400_0000 | ((to / 4) & 0x03FF_FFFF))
        .to_le_bytes()
        .to_vec()
}

/// Streams in front of, within and behind the code of programs, which goes over several
/// blocks.
#[test]
fn code_that_blocks_and_streams_cut_comes_back() {
    let (scratch, all) = (Scratch::new(), zlib::streams());
    let app = scratch.path("app");
    folder(&app);
    type Call = fn(u32) -> Vec<u8>;
    let programs: [(_, _, Call, u32); 2] = [
        ("x86", 62, x86_call, 2_000_000),
        ("arm", 183, arm64_call, 150_000),
    ];
    for (name, machine, call, count) in programs {
        let code = calls(call, count);
        let mut program = elf(machine, &code);
        for at in [0, 100_000, code.len() / 2] {
            let stream = &all[zlib::SMALL][at % 7].zlib;
            program[120 + at..][..stream.len()].copy_from_slice(stream);
        }
        program.extend(all[zlib::LARGE.start].zlib);
        file(app.join(name), &program);
        let columns = columns_of(&elf(machine, &calls(call, 3000)));
        assert!(columns.contains(&53) && !columns.contains(&52), "{name}");
    }
    age(&app);
    comes_back_at(Some(3), &scratch, &app);
}

/// Changes a file when the first byte is written: everything was looked at by then.
struct Changing(PathBuf);

impl Write for Changing {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.exists() {
            std::fs::remove_file(&self.0)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_program_that_goes_after_it_was_looked_at_is_an_error() {
    for profile in [Profile::Default, Profile::Small] {
        for (machine, call) in [(62, x86_call as fn(u32) -> Vec<u8>), (183, arm64_call)] {
            let scratch = Scratch::new();
            let app = scratch.path("app");
            folder(&app);
            file(app.join("program"), elf(machine, &calls(call, 20_000)));
            let mut options = pack::Options::default();
            options.format = Format::Bcp;
            options.profile = profile;
            let changing = Changing(app.join("program"));
            let error =
                pack::pack_to(&[app], changing, Path::new("x"), &options, &Silent).unwrap_err();
            assert_eq!(error.path(), scratch.path("app/program"));
        }
    }
}

#[test]
fn streams_that_fill_blocks_come_back() {
    let (scratch, all) = (Scratch::new(), zlib::streams());
    let app = scratch.path("app");
    folder(&app);
    let mut many = Vec::new();
    for round in 0..3 {
        for stream in &all[zlib::LARGE] {
            many.extend(noise(round, 1000));
            many.extend(stream.zlib);
        }
    }
    file(app.join("many"), &many);
    age(&app);
    // 3 × 12 MiB: blocks end early, after three or four streams.
    let archive = comes_back(&scratch, &app);
    assert!(
        archive < many.len() as u64 / 2,
        "{archive} of {}",
        many.len()
    );
}

#[test]
fn one_member_comes_out_by_itself() {
    let (scratch, all) = (Scratch::new(), zlib::streams());
    let app = scratch.path("app");
    folder(&app);
    file(app.join("program"), program(&all[zlib::SMALL]));
    file(app.join("image"), png(&all[zlib::IMAGE]));
    file(app.join("other"), noise(5, 3000));
    age(&app);
    let packed = ["pack", "--profile", "small", "app", "-o", "app.bcp"];
    assert_eq!(bundlecp(scratch.root(), &packed).status, 0);
    for member in ["program", "image"] {
        let path = format!("app/{member}");
        let arguments = ["extract", "app.bcp", "-C", "out", &path];
        let ran = bundlecp(scratch.root(), &arguments);
        assert_eq!(ran.status, 0, "{ran:?}");
        let out = scratch.path("out");
        let found = std::fs::read(out.join(&path)).unwrap();
        assert!(found == std::fs::read(scratch.path(&path)).unwrap());
        assert_eq!(common::names(&out.join("app")), [member]);
        std::fs::remove_dir_all(out).unwrap();
    }
}

/// A name, what makes it of a stream, and of which ones it is found.
type Form = (&'static str, fn(&Stream) -> Vec<u8>, fn(usize) -> bool);

/// In all forms that are looked for; a window smaller than 32 KiB only where a
/// header tells of it.
#[test]
fn what_zlib_made_is_inflated() {
    let all = zlib::streams();
    let forms: [Form; 3] = [
        ("zip", |one| zip_member("name", one), |at| !has_window(at)),
        ("gzip", gzip, |at| !has_window(at)),
        ("png", png, |_| true),
    ];
    for (name, form, is_found) in forms {
        for at in zlib::SMALL.chain(zlib::LARGEST).filter(|at| is_found(*at)) {
            let columns = columns_of(&form(&all[at]));
            assert!(columns.contains(&53), "{name} of {at}");
        }
        let columns = columns_of(&form(&all[zlib::TOO_LARGE]));
        assert!(!columns.contains(&53), "{name}");
    }
}

fn has_window(at: usize) -> bool {
    zlib::streams()[at].setup >> 4 & 0xF != 15
}

/// The columns of the archive of one file (docs/format.md, Manifest).
fn columns_of(content: &[u8]) -> Vec<u32> {
    let scratch = Scratch::new();
    let (path, archive) = (scratch.path("app"), scratch.path("archive.bcp"));
    folder(&path);
    file(path.join("file"), content);
    let mut options = pack::Options::default();
    options.format = Format::Bcp;
    options.profile = Profile::Small;
    pack(&[path], &archive, &options, &Silent).unwrap();
    let bytes = std::fs::read(archive).unwrap();
    let number =
        |bytes: &[u8], at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let length = number(&bytes, 24) as usize;
    let tables = zstd::decode_all(&bytes[32 + 8..32 + length]).unwrap();
    let (mut at, mut columns) = (0, Vec::new());
    while at < tables.len() {
        columns.push(number(&tables, at));
        at += 16 + number(&tables, at + 8) as usize;
    }
    columns
}

/// A part of a file.
#[derive(Debug, Clone)]
enum Part {
    Text(u16),
    Noise(u16),
    /// One that zlib made, as it is, in gzip, in a zip, in an image, or cut.
    Zlib(usize, u8),
    /// One that zlib-rs made, which zlib would mostly have made otherwise.
    Other(u16, u8, u8),
    /// What looks like the beginning of a stream.
    Begin(u8),
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![
        (0..3000_u16).prop_map(Part::Text),
        (0..3000_u16).prop_map(Part::Noise),
        (zlib::SMALL, 0..6_u8).prop_map(|(at, form)| Part::Zlib(at, form)),
        (100..5000_u16, 0..10_u8, 0..3_u8)
            .prop_map(|(size, level, form)| Part::Other(size, level, form)),
        (0..4_u8).prop_map(Part::Begin),
    ]
}

fn text(count: usize) -> Vec<u8> {
    let lines = (0..).map(|line: u32| format!("line {} of many\n", line.wrapping_mul(7919) % 1000));
    lines.flat_map(String::into_bytes).take(count).collect()
}

fn append(part: &Part, all: &[Stream], out: &mut Vec<u8>) {
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    match part {
        Part::Text(count) => out.extend(text(usize::from(*count))),
        Part::Noise(count) => out.extend(noise(u64::from(*count), usize::from(*count))),
        Part::Zlib(at, form) => {
            let one = &all[*at];
            out.extend(match form {
                0 => one.zlib.to_vec(),
                1 => gzip(one),
                2 => zip_member("a/name", one),
                3 => png(one),
                4 => one.zlib[..one.zlib.len() - 9].to_vec(),
                _ => one.raw().to_vec(),
            });
        }
        Part::Other(size, level, form) => {
            let data = [text(usize::from(*size)), noise(1, usize::from(*size / 9))].concat();
            let level = flate2::Compression::new(u32::from(*level));
            match form {
                0 => ZlibEncoder::new(out, level).write_all(&data).unwrap(),
                1 => GzEncoder::new(out, level).write_all(&data).unwrap(),
                _ => {
                    out.extend(b"PK\x03\x04\x14\0\0\0\x08\0");
                    out.extend([0; 20]);
                    DeflateEncoder::new(out, level).write_all(&data).unwrap();
                }
            }
        }
        Part::Begin(which) => out.extend(
            [
                &b"\x78\x9C"[..],
                b"\x1F\x8B\x08\xFF",
                b"PK\x03\x04\x14\0\0\0\x08\0",
                b"IDAT\x78\x01",
            ][usize::from(*which)],
        ),
    }
}

proptest! {
    #![proptest_config(costly(12, 8))]

    #[test]
    fn whatever_is_mixed_comes_back(
        files in prop::collection::vec(prop::collection::vec(part(), 0..12), 1..6),
        holes in prop::collection::vec(any::<bool>(), 6),
    ) {
        let (scratch, all) = (Scratch::in_memory(), zlib::streams());
        let app = scratch.path("app");
        folder(&app);
        for (number, (parts, has_hole)) in files.iter().zip(holes).enumerate() {
            let mut content = Vec::new();
            parts.iter().for_each(|part| append(part, &all, &mut content));
            let path: PathBuf = app.join(number.to_string());
            file(&path, &content);
            if has_hole {
                let opened = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
                opened.write_all_at(&content, 1 << 20).unwrap();
                prop_assert!(opened.metadata().unwrap().size() >= content.len() as u64);
            }
        }
        age(&app);
        comes_back(&scratch, &app);
    }
}
