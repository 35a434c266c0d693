//! Bombs: in any format, what an archive declares or expands to takes neither
//! memory nor time. Each is extracted by a process of its own.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;
mod hostile;

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use bundlecp::extract::{Limits, Options, extract, extract_from};
use bundlecp::{ErrorKind, Silent};
use common::Scratch;
use hostile::bcp::{FOLDER, PartRow, Parts, Rows, Section, manifest, said, tables};
use hostile::carchive as packed;
use hostile::tar::{Header, Tar};
use hostile::zip::{Entry, zip};

/// The most memory in KiB, and time.
const MOST: u64 = 256 << 10;
const PATIENCE: Duration = Duration::from_secs(10);

const CHILD: &str = "HOSTILE_CHILD";

/// Content of zeros behind a header, as a stream that nobody holds whole.
fn zeros(size: u64) -> impl Read {
    let header = Tar::new().header(Header::new(b"zeros", b'0').size(size)).0;
    std::io::Cursor::new(header).chain(std::io::repeat(0).take(size + 1024))
}

fn compress(mut from: impl Read, mut to: impl Write) {
    let mut buffer = vec![0; 1 << 20];
    loop {
        match from.read(&mut buffer).unwrap() {
            0 => return,
            count => to.write_all(&buffer[..count]).unwrap(),
        }
    }
}

const SIZE: u64 = 20 << 20;

fn gzip(from: impl Read) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    compress(from, &mut to);
    to.finish().unwrap()
}

fn zstd(from: impl Read) -> Vec<u8> {
    let mut to = zstd::Encoder::new(Vec::new(), 1).unwrap();
    compress(from, &mut to);
    to.finish().unwrap()
}

fn bzip2(from: impl Read) -> Vec<u8> {
    let mut to = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    compress(from, &mut to);
    to.finish().unwrap()
}

fn xz(from: impl Read, preset: u32) -> Vec<u8> {
    let mut to = liblzma::write::XzEncoder::new(Vec::new(), preset);
    compress(from, &mut to);
    to.finish().unwrap()
}

/// An xz header that asks for a dictionary of 1.5 GiB.
fn greedy_xz() -> Vec<u8> {
    let mut bytes = xz(zeros(1000), 0);
    // Behind the stream's header: size, flags, filter, size of properties, dictionary.
    let header = 12..12 + (usize::from(bytes[12]) + 1) * 4;
    let at = (header.start..header.end - 3)
        .find(|at| bytes[*at..at + 2] == [0x21, 1])
        .unwrap();
    bytes[at + 2] = 37;
    let sum = crc32fast::hash(&bytes[header.start..header.end - 4]);
    bytes[header.end - 4..header.end].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn with_xattrs(kind: u8) -> Vec<u8> {
    let value = vec![b'x'; 1_000_000];
    let mut tar = Vec::new();
    for number in 0..400 {
        let name = format!("d{number}");
        let records: &[(&str, &[u8])] = &[("SCHILY.xattr.user.a", &value)];
        tar.extend(
            Tar::new()
                .pax(records)
                .header(Header::new(name.as_bytes(), kind))
                .0,
        );
    }
    zstd(&tar[..])
}

fn many(count: usize) -> Vec<u8> {
    let mut tar = Vec::new();
    for number in 0..count {
        tar.extend(Tar::new().file(format!("f{number}").as_bytes(), b"").0);
    }
    tar.extend([0; 1024]);
    zstd(&tar[..])
}

/// A `.bcp` of one block of zeros.
fn bcp_of_zeros() -> Vec<u8> {
    let zeros = vec![0; 16 << 20];
    let mut rows = Rows::default();
    rows.content(&zeros);
    rows.blocks.push(zeros.len() as u32);
    rows.file(0, b"a", 0);
    Parts::new(manifest(&tables(&rows.columns())), &[Section::zstd(&zeros)]).bytes()
}

/// A `.bcp` of one block, which is said to have `size` bytes and is LZMA2 of zeros.
fn bcp_of_lzma(size: u32, zeros: usize) -> Vec<u8> {
    let mut rows = Rows::default();
    rows.content(&vec![0; size as usize]);
    rows.blocks.push(size);
    rows.file(0, b"a", 0);
    let block = Section::lzma(&vec![0; zeros]);
    Parts::new(manifest(&tables(&rows.columns())), &[block]).bytes()
}

/// A `.bcp` of 16 MiB of zeros that are to be deflated to `length` bytes.
fn bcp_of_a_stream(length: u32) -> Vec<u8> {
    let zeros = vec![0; 16 << 20];
    let mut rows = Rows::default();
    rows.content(b"");
    rows.sizes[0] = u64::from(length);
    rows.filters[0] = 3;
    rows.parts.push(PartRow {
        content: 0,
        offset: 0,
        length,
        stored: zeros.len() as u32,
        form: 6 | 15 << 4,
    });
    rows.blocks.push(zeros.len() as u32);
    rows.file(0, b"a", 0);
    Parts::new(manifest(&tables(&rows.columns())), &[Section::zstd(&zeros)]).bytes()
}

/// A `.bcp` of as many streams as its tables have room for, which no block holds.
fn bcp_of_streams() -> Vec<u8> {
    const COUNT: u64 = 5 << 20;
    let mut rows = Rows::default();
    rows.content(b"");
    rows.sizes[0] = COUNT;
    rows.filters[0] = 3;
    rows.parts = (0..COUNT)
        .map(|offset| PartRow {
            content: 0,
            offset,
            length: 1,
            stored: 2,
            form: 6 | 15 << 4,
        })
        .collect();
    rows.file(0, b"a", 0);
    Parts::new(manifest(&tables(&rows.columns())), &[]).bytes()
}

/// A `.bcp` with a file of one hole.
fn bcp_with_a_hole(size: u64) -> Vec<u8> {
    let mut rows = Rows::default();
    rows.content(b"");
    rows.sizes[0] = size;
    rows.extents.push((0, 0, 0));
    rows.file(0, b"hole", 0);
    Parts::new(manifest(&tables(&rows.columns())), &[]).bytes()
}

/// A `.bcp` of as many folders as tables can tell of, all of the same name.
fn bcp_of_folders() -> Vec<u8> {
    const COUNT: usize = 10 << 20;
    let rows = Rows {
        kinds: vec![FOLDER; COUNT],
        parents: vec![0; COUNT],
        names: vec![b"a".to_vec(); COUNT],
        modes: vec![0o755; COUNT],
        ..Rows::default()
    };
    Parts::new(manifest(&tables(&rows.columns())), &[]).bytes()
}

/// A `.bcp` whose tables decode to more than they say.
fn bcp_of_tables(length: u64) -> Vec<u8> {
    let frame = zstd(std::io::repeat(0).take(200 << 20));
    Parts::new(said(length, &frame), &[]).bytes()
}

type Bomb = (&'static str, fn() -> Vec<u8>, bool);

/// Name, archive, and whether it may come out.
const BOMBS: &[Bomb] = &[
    ("gz of zeros", || gzip(zeros(SIZE)), true),
    ("bz2 of zeros", || bzip2(zeros(SIZE)), true),
    ("xz of zeros", || xz(zeros(SIZE), 6), true),
    ("xz with the largest preset", || xz(zeros(SIZE), 9), true),
    ("zst of zeros", || zstd(zeros(SIZE)), true),
    ("zst of zstds", || zstd(&zstd(zeros(SIZE))[..]), false),
    (
        "zip of zeros",
        || zip(&[Entry::file(b"f", &vec![0; SIZE as usize]).deflated()]),
        true,
    ),
    ("xz that asks for 1.5 GiB", greedy_xz, false),
    (
        "zst window of 2 GiB",
        || vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 21 << 3, 0x01, 0, 0],
        false,
    ),
    (
        "tar that declares 8 EiB",
        || {
            let size = [
                0x80, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
            ];
            Tar::new()
                .header(Header::new(b"f", b'0').raw_size(size))
                .end()
        },
        false,
    ),
    (
        "PAX header that declares 8 GiB",
        || {
            Tar::new()
                .header(Header::new(b"x", b'x').size(0o77_777_777_777))
                .end()
        },
        false,
    ),
    (
        "zip that declares 4 GiB",
        || {
            zip(&[Entry::file(b"f", &[0; 1000])
                .deflated()
                .both(|said| said.size = u32::MAX - 1)])
        },
        false,
    ),
    (
        "package with a table of 33 MiB",
        || packed::program(&vec![packed::Entry::file(b"f", b""); 1_081_345]),
        false,
    ),
    (
        "package with a million entries, two of one name",
        || {
            let named = |number: u32| format!("{number:x}");
            let entry = |number| packed::Entry::file(named(number).as_bytes(), b"");
            let all = (0..1_000_000).chain([999_999]).map(entry);
            packed::program(&all.collect::<Vec<_>>())
        },
        false,
    ),
    (
        "package that declares 4 GiB",
        || {
            let bomb = packed::Entry::file(b"f", &vec![0; 8 << 20]).compressed();
            packed::program(&[bomb.change(|entry| entry.size = u32::MAX)])
        },
        false,
    ),
    (
        "package that declares all that Deflate can make",
        || {
            let bomb = packed::Entry::file(b"f", &vec![0; 8 << 20]).compressed();
            packed::program(&[bomb.change(|entry| entry.size = entry.data.len() as u32 * 1032)])
        },
        false,
    ),
    ("attributes of folders", || with_xattrs(b'5'), false),
    (
        "names of 1 MiB",
        || {
            let mut tar = Vec::new();
            for number in 0..300 {
                let path = format!("{number}/{}", "n/".repeat(500_000));
                tar.extend(
                    Tar::new()
                        .pax(&[("path", path.as_bytes())])
                        .file(b"f", b"")
                        .0,
                );
            }
            zstd(&tar[..])
        },
        false,
    ),
    ("many empty files", || many(20_000), true),
    ("bcp of zeros", bcp_of_zeros, true),
    (
        "bcp of LZMA2 zeros",
        || bcp_of_lzma(16 << 20, 16 << 20),
        true,
    ),
    (
        "bcp of LZMA2 that hides 64 MiB",
        || bcp_of_lzma(1000, 64 << 20),
        false,
    ),
    (
        "bcp of 16 MiB of LZMA2 that hides 64 MiB",
        || bcp_of_lzma(16 << 20, 64 << 20),
        false,
    ),
    // As many bytes as zlib's own stream has.
    ("bcp of deflated zeros", || bcp_of_a_stream(16_310), true),
    (
        "bcp of a stream that is none",
        || bcp_of_a_stream((16 << 20) - 1),
        false,
    ),
    ("bcp of streams", bcp_of_streams, false),
    (
        "bcp with tables of 200 MiB",
        || bcp_of_tables(200 << 20),
        false,
    ),
    (
        "bcp with tables that hide 200 MiB",
        || bcp_of_tables(1000),
        false,
    ),
    (
        "bcp with tables of nothing but zeros",
        || bcp_of_tables(128 << 20),
        false,
    ),
    ("bcp of folders", bcp_of_folders, false),
    (
        "bcp with a hole of 4 EiB",
        || bcp_with_a_hole(1 << 62),
        false,
    ),
];

/// The largest that this process ever was, in KiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

/// How long this process has worked, but for what the system did for it: on a busy disk,
/// 20,000 empty files take a quarter of a minute.
fn worked() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    // The name of the program may have spaces.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks: u64 = fields.split(' ').nth(11).unwrap().parse().unwrap();
    Duration::from_millis(ticks * 10)
}

/// What each child does: nothing unless it is told to.
#[test]
fn child() {
    let Ok(told) = std::env::var(CHILD) else {
        return;
    };
    let mut parts = told.split('|');
    let (archive, jobs) = (parts.next().unwrap(), parts.next().unwrap());
    let is_piped = parts.next().unwrap() == "pipe";
    let mut options = Options::default();
    options.jobs = Some(jobs.parse().unwrap());
    let archive = PathBuf::from(archive);
    let destination = archive.with_extension("out");
    let result = match is_piped {
        false => extract(&archive, &destination, &options, &Silent),
        true => {
            let reader = std::fs::File::open(&archive).unwrap();
            extract_from(reader, Path::new("x"), &destination, &options, &Silent)
        }
    };
    let (peak, took) = (peak(), worked());
    assert!(peak <= MOST, "took {peak} KiB: {result:?}");
    assert!(took <= PATIENCE, "took {took:?}: {result:?}");
    println_result(result.is_ok());
}

#[allow(clippy::print_stdout, reason = "this is how the child answers")]
fn println_result(is_fine: bool) {
    println!("came out: {is_fine}");
}

#[test]
fn bombs_take_little_memory_and_time() {
    let scratch = Scratch::new();
    let archive = scratch.path("bomb");
    for (name, make, is_fine) in BOMBS {
        std::fs::write(&archive, make()).unwrap();
        for jobs in ["1", "2", "16"] {
            for source in ["file", "pipe"] {
                // The full run, which a change has to pass, tries all ways.
                if !hostile::is_thorough()
                    && (jobs, source) != ("16", "file")
                    && (jobs, source) != ("1", "pipe")
                {
                    continue;
                }
                let told = format!("{}|{jobs}|{source}", archive.display());
                let output = Command::new(std::env::current_exe().unwrap())
                    .args(["--exact", "child", "--nocapture"])
                    .env(CHILD, told)
                    .output()
                    .unwrap();
                let text = String::from_utf8_lossy(&output.stdout);
                let context = format!("{name}, {jobs} jobs, {source}");
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{context}: {text}{errors}");
                let wanted = format!("came out: {is_fine}");
                assert!(text.contains(&wanted), "{context}: {text}");
                let out = archive.with_extension("out");
                assert_eq!(out.exists(), *is_fine, "{context}");
                if out.exists() {
                    std::fs::remove_dir_all(out).unwrap();
                }
            }
        }
    }
}

#[test]
fn the_limits_for_strangers_stop_bombs() {
    let scratch = Scratch::new();
    let archive = scratch.path("bomb");
    for (name, make, _) in BOMBS.iter().filter(|(name, ..)| name.ends_with("of zeros")) {
        std::fs::write(&archive, make()).unwrap();
        for is_piped in [false, true] {
            let mut options = Options::default();
            options.limits = Limits::untrusted();
            let destination = scratch.path("out");
            let result = match is_piped {
                false => extract(&archive, &destination, &options, &Silent),
                true => {
                    let reader = std::fs::File::open(&archive).unwrap();
                    extract_from(reader, Path::new("x"), &destination, &options, &Silent)
                }
            };
            assert_eq!(
                result.unwrap_err().kind(),
                ErrorKind::LimitExceeded,
                "{name}"
            );
            assert!(!destination.exists());
        }
    }
    std::fs::write(&archive, many(300)).unwrap();
    let mut options = Options::default();
    options.limits.entries = Some(299);
    let result = extract(&archive, &scratch.path("out"), &options, &Silent);
    assert_eq!(result.unwrap_err().kind(), ErrorKind::LimitExceeded);
    options.limits.entries = Some(300);
    extract(&archive, &scratch.path("out"), &options, &Silent).unwrap();
}
