//! The archive of `--profile small` that every later reader has to read:
//! `tests/data/golden-small.bcp`, decoded by what docs/format.md says of codec 2 and
//! filters 2 and 3. What all archives have is in bcp_golden.rs.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bundlecp::archive::Archive;
use bundlecp::extract::{self, extract};
use bundlecp::pack::{self, Format, Profile};
use bundlecp::{Silent, list, verify};
use common::Scratch;
use common::build::{age, file, folder, mode};
use common::snapshot::Snapshot;
use common::x86::undo;
use common::zlib::{self, inflate, png, zip_member};

const GOLDEN: &[u8] = include_bytes!("data/golden-small.bcp");
const ROOT_HASH: &str = "f8a15a151367a57e2fd3112823981c70360c3f2b67f6c9afd97544055056718e";

/// Where code begins in the programs.
const CODE: u64 = 120;

/// A program whose one segment is to be loaded and executed, from [`CODE`] on.
fn elf(machine: u8, code: &[u8]) -> Vec<u8> {
    let mut elf = vec![0; CODE as usize];
    elf[..6].copy_from_slice(b"\x7FELF\x02\x01");
    (elf[18], elf[32], elf[54], elf[56]) = (machine, 64, 56, 1);
    elf[64..72].copy_from_slice(&[1, 0, 0, 0, 5, 0, 0, 0]);
    elf[72] = CODE as u8;
    elf[96..104].copy_from_slice(&(code.len() as u64).to_le_bytes());
    [&elf[..], code].concat()
}

/// A number that looks like none before it.
fn odd(number: u32) -> u32 {
    let mixed = number.wrapping_mul(2_654_435_761);
    (mixed ^ mixed >> 15).wrapping_mul(0x2C1B_3C6D)
}

fn x86() -> Vec<u8> {
    let mut code = Vec::new();
    for number in 0..800 {
        let target = odd(number % 5) % 50_000;
        code.push(0xE8);
        code.extend(target.wrapping_sub(code.len() as u32 + 4).to_le_bytes());
        code.extend(&odd(number).to_le_bytes()[..2]);
    }
    elf(62, &code)
}

/// Calls of few functions, pages of few variables, and one that is too far.
fn arm64() -> Vec<u8> {
    let mut code: Vec<u8> = Vec::new();
    for number in 0..1200 {
        let here = (CODE as u32 + code.len() as u32) / 4;
        let target = odd(number % 5) % 50_000;
        let call = 0x9400_0000 | target.wrapping_sub(here) & 0x03FF_FFFF;
        let pages = match number {
            600 => 1 << 19,
            _ => (odd(number % 7) % 300).wrapping_sub(here / 1024) & 0x1F_FFFF,
        };
        let page = 0x9000_0000 | (pages & 3) << 29 | pages >> 2 << 5 | number & 15;
        code.extend(call.to_le_bytes());
        code.extend(page.to_le_bytes());
        code.extend(&(0x9100_0000 | odd(number) & 0x3F_FFFF).to_le_bytes());
    }
    elf(183, &code)
}

fn text() -> Vec<u8> {
    const WORDS: [&str; 8] = [
        "one", "another", "of", "them", "stands", "here", "behind", "it",
    ];
    let words = (0..4000).map(|number| WORDS[odd(number) as usize >> 7 & 7]);
    words.collect::<Vec<_>>().join(" ").into_bytes()
}

/// What each file holds.
fn files() -> [(&'static str, Vec<u8>); 7] {
    let all = zlib::streams();
    let mut streams = b"in front".to_vec();
    for stream in &all[zlib::LEVELS_1_6_9] {
        streams.extend(stream.zlib);
        streams.extend(b"between");
    }
    let mut zip = Vec::new();
    for (name, stream) in ["a", "name"].iter().zip(&all[zlib::ZIPPED]) {
        zip.extend(zip_member(name, stream));
    }
    let noise = (0..500).flat_map(|number| odd(number + 9000).to_le_bytes());
    [
        ("arm", arm64()),
        ("image.png", png(&all[zlib::IMAGE])),
        ("lib/noise", noise.collect()),
        ("lib/streams", streams),
        ("lib/x86", x86()),
        ("lib/zip", zip),
        ("text", text()),
    ]
}

/// The tree that was packed.
fn tree(app: &Path) {
    folder(app.join("lib"));
    for (name, content) in files() {
        file(app.join(name), content);
    }
    mode(app.join("arm"), 0o755);
    age(app);
}

/// To be run by hand for a new version, and never for this one again.
#[test]
#[ignore = "it writes the golden archive anew"]
fn write_the_golden_archive() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    tree(&app);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden-small.bcp");
    let mut options = pack::Options::default();
    options.format = Format::Bcp;
    options.profile = Profile::Small;
    options.existing = bundlecp::Existing::Replace;
    pack::pack(&[app], &path, &options, &Silent).unwrap();
}

#[test]
fn it_extracts_to_the_tree_that_was_packed() {
    let scratch = Scratch::new();
    let (archive, app) = (scratch.path("golden.bcp"), scratch.path("app"));
    file(&archive, GOLDEN);
    tree(&app);
    let options = extract::Options::default();
    let outcome = extract(&archive, &scratch.path("out"), &options, &Silent).unwrap();
    let hash = outcome.root_hash.unwrap();
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, ROOT_HASH);
    assert_eq!(Archive::open(&archive).unwrap().root_hash(), Some(hash));
    Snapshot::of(&app).assert_same(&Snapshot::of(&scratch.path("out/app")), "golden");
    let proof = verify::verify(&app, &archive, &verify::Options::default(), &Silent);
    assert!(proof.unwrap().differences.is_empty());
    let mut sizes = BTreeMap::new();
    list::list(&archive, &mut |member| {
        let path = String::from_utf8(member.entry.path.as_bytes().to_vec()).unwrap();
        sizes.insert(path, member.entry.size);
        std::ops::ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(sizes.len(), 9);
    for (name, content) in files() {
        assert_eq!(
            sizes[&format!("app/{name}")],
            content.len() as u64,
            "{name}"
        );
    }
}

fn number(bytes: &[u8]) -> u64 {
    let bytes = bytes.iter().rev();
    bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// Sections or columns: what begins with a kind, flags and a length.
fn split(mut bytes: &[u8]) -> Vec<(u64, &[u8])> {
    let mut parts = Vec::new();
    while !bytes.is_empty() {
        let (kind, length) = (number(&bytes[..4]), number(&bytes[8..16]) as usize);
        assert_eq!(number(&bytes[4..8]), 1, "critical");
        parts.push((kind, &bytes[16..16 + length]));
        bytes = &bytes[16 + length..];
    }
    parts
}

/// A row of column 53.
struct Row {
    content: usize,
    offset: usize,
    length: usize,
    plain: usize,
    setup: u16,
}

#[test]
fn every_field_is_what_the_description_says() {
    let sections = split(&GOLDEN[16..GOLDEN.len() - 64]);
    let kinds: Vec<_> = sections.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [b"MANF", b"BLOK", b"FOOT"].map(|kind| number(kind)));
    let tables = zstd::decode_all(&sections[0].1[8..]).unwrap();
    assert_eq!(number(&sections[0].1[..8]), tables.len() as u64);
    let columns: BTreeMap<u64, &[u8]> = split(&tables).into_iter().collect();
    let longs = |at: u64, width: usize| columns[&at].chunks_exact(width).map(number).collect();
    let (numbers, sizes): (Vec<u64>, Vec<u64>) = (longs(23, 4), longs(48, 8));
    let [arm, image, noise, streams, x86, zip, text] =
        [0, 1, 2, 3, 4, 5, 6].map(|file: usize| numbers[file] as usize);
    // The order of the manifest is app, arm, image.png, lib, its four, text.
    for (content, (name, bytes)) in numbers.iter().zip(files()) {
        assert_eq!(sizes[*content as usize], bytes.len() as u64, "{name}");
    }
    let filters = columns[&50];
    let mut wanted = [0; 7];
    (wanted[arm], wanted[x86]) = (2, 1);
    for content in [image, streams, zip] {
        wanted[content] = 3;
    }
    assert_eq!(filters, wanted);
    assert!(wanted[noise] == 0 && wanted[text] == 0 && !columns.contains_key(&51));
    let ranges: Vec<u64> = longs(52, 8);
    let mut programs = [arm, x86];
    programs.sort_unstable();
    let code = programs.map(|program| [CODE, sizes[program] - CODE]);
    assert_eq!(ranges, code.concat());
    let rows: Vec<Row> = columns[&53].chunks_exact(22).map(row).collect();
    assert_eq!(rows.len() * 22, columns[&53].len());
    let mut setups: BTreeMap<usize, Vec<u16>> = BTreeMap::new();
    for row in &rows {
        setups.entry(row.content).or_default().push(row.setup);
    }
    let usual = |level: u16| level | 15 << 4;
    assert_eq!(setups[&streams], [1, 6, 9].map(usual));
    assert_eq!(setups[&zip], [6, 4].map(usual));
    assert_eq!(setups[&image], [9 | 12 << 4 | 1 << 8 | 1 << 9]);
    let raw = block(sections[1].1);
    assert_eq!(longs(64, 4), [raw.len() as u64]);
    check_contents(&raw, &columns, &rows, &numbers);
}

fn row(bytes: &[u8]) -> Row {
    Row {
        content: number(&bytes[..4]) as usize,
        offset: number(&bytes[4..12]) as usize,
        length: number(&bytes[12..16]) as usize,
        plain: number(&bytes[16..20]) as usize,
        setup: number(&bytes[20..]) as u16,
    }
}

/// What the block decodes to.
fn block(payload: &[u8]) -> Vec<u8> {
    use liblzma::stream::{Action, Filters, LzmaOptions, Status, Stream};
    assert_eq!(payload[..8], [2, 0, 0, 0, 0, 0, 0, 0], "LZMA2");
    assert_eq!(payload.last(), Some(&0), "end marker");
    let mut options = LzmaOptions::new_preset(6).unwrap();
    options.dict_size(1 << 20);
    let mut stream = Stream::new_raw_decoder(Filters::new().lzma2(&options)).unwrap();
    let mut raw = Vec::with_capacity(1 << 20);
    let status = stream.process_vec(&payload[8..], &mut raw, Action::Finish);
    assert!(matches!(status, Ok(Status::StreamEnd)));
    assert_eq!(stream.total_in() as usize, payload.len() - 8);
    raw
}

/// The contents of the block, cut as the manifest says.
fn check_contents(raw: &[u8], columns: &BTreeMap<u64, &[u8]>, rows: &[Row], numbers: &[u64]) {
    let (mut rest, files) = (raw, files());
    let sizes = columns[&48].chunks_exact(8).map(number);
    for (content, size) in sizes.enumerate() {
        let file = numbers.iter().position(|number| *number == content as u64);
        let (name, wanted) = &files[file.unwrap()];
        let hash = blake3::hash(wanted);
        assert_eq!(
            columns[&49][32 * content..][..32],
            *hash.as_bytes(),
            "{name}"
        );
        let mut stored = Vec::new();
        let mut at = 0;
        for row in rows.iter().filter(|row| row.content == content) {
            stored.extend(&wanted[at..row.offset]);
            at = row.offset + row.length;
            // What is stored is what the stream inflates to, all of it.
            let plain = inflate(&wanted[row.offset..at]);
            assert_eq!(plain.len(), row.plain);
            stored.extend(plain);
        }
        stored.extend(&wanted[at..]);
        let (found, behind) = rest.split_at(stored.len());
        rest = behind;
        let mut found = found.to_vec();
        let code = &mut found[CODE as usize..size as usize];
        match columns[&50][content] {
            1 => undo(code, CODE as i64),
            2 => undo_arm64(code),
            _ => {}
        }
        assert!(found == stored, "{name}");
    }
    assert_eq!(rest, b"");
}

/// Filter 2, written down as the description has it.
fn undo_arm64(code: &mut [u8]) {
    for (number, bytes) in code.chunks_exact_mut(4).enumerate() {
        let o = CODE as i64 + 4 * number as i64;
        let i = i64::from(u32::from_le_bytes((&*bytes).try_into().unwrap()));
        let mut back = i;
        if i & 0xFC00_0000 == 0x9400_0000 {
            back = 0x9400_0000 + (i % (1 << 26) - o / 4).rem_euclid(1 << 26);
        } else if i & 0x9F00_0000 == 0x9000_0000 {
            let unsigned = ((i >> 5) % (1 << 19)) * 4 + (i >> 29) % 4;
            let v = (unsigned + (1 << 20)) % (1 << 21) - (1 << 20);
            if (-(1 << 17)..1 << 17).contains(&v) {
                let range = 1 << 17;
                let v = (v - o / 4096 + range).rem_euclid(2 * range) - range;
                let bits = v.rem_euclid(1 << 21);
                back = i & 0x9F00_001F | (bits % 4) << 29 | (bits / 4) << 5;
            }
        }
        bytes.copy_from_slice(&(back as u32).to_le_bytes());
    }
}
