//! The archive of version 1 that every later reader has to read: what
//! docs/format.md says of each field, decoded by hand, against
//! `tests/data/golden.bcp`.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod common;

use std::collections::BTreeMap;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use bundlecp::Silent;
use bundlecp::archive::Archive;
use bundlecp::extract::{self, extract};
use bundlecp::pack::{self, Format};
use common::Scratch;
use common::build::{THEN, age, bytes, file, folder, hard_link, link, mode, xattr};
use common::snapshot::Snapshot;
use common::x86::undo;

const GOLDEN: &[u8] = include_bytes!("data/golden.bcp");
const ROOT_HASH: &str = "1a4038e7c3912418cfd17959d2d9e0280fef54f4475757e3201ab2e062277835";

/// A program whose code calls one function again and again.
fn program() -> Vec<u8> {
    const CALLS: u32 = 600;
    let mut elf = vec![0; 120];
    elf[..6].copy_from_slice(b"\x7FELF\x02\x01");
    (elf[18], elf[32], elf[54], elf[56]) = (62, 64, 56, 1);
    let mut code = Vec::new();
    for number in 0..CALLS {
        code.extend_from_slice(&[0x48, 0x8B, 0x05 | ((number % 7) as u8 * 8)]);
        code.extend_from_slice(&(40_000 - code.len() as u32).to_le_bytes());
        code.push(0xE8);
        code.extend_from_slice(&0_u32.wrapping_sub(code.len() as u32 + 4).to_le_bytes());
        code.extend_from_slice(&number.wrapping_mul(2_654_435_761).to_le_bytes()[..3]);
    }
    // One segment: to be loaded and executed, from 120 on.
    elf[64..72].copy_from_slice(&[1, 0, 0, 0, 5, 0, 0, 0]);
    elf[72] = 120;
    elf[96..104].copy_from_slice(&(code.len() as u64).to_le_bytes());
    elf.extend_from_slice(&code);
    elf
}

/// The tree that was packed.
fn tree(app: &Path) {
    folder(app.join("lib"));
    file(app.join("a"), "the same\n");
    file(app.join("lib/b"), "the same\n");
    hard_link(app.join("a"), app.join("lib/c"));
    link(app.join("link"), b"lib/b");
    link(app.join("to-lib"), b"lib");
    link(app.join("dangling"), b"no/\xFFwhere");
    file(app.join("none"), "");
    file(app.join("program"), program());
    mode(app.join("program"), 0o755);
    file(app.join(bytes(b"\xFFodd")), "odd");
    let sparse = std::fs::File::create(app.join("sparse")).unwrap();
    sparse.set_len(1 << 20).unwrap();
    sparse.write_all_at(&[b'd'; 4096], 512 << 10).unwrap();
    xattr(app.join("a"), "user.mark", b"value");
    age(app);
}

/// To be run by hand for a new version, and never for this one again.
#[test]
#[ignore = "it writes the golden archive anew"]
fn write_the_golden_archive() {
    let scratch = Scratch::new();
    let app = scratch.path("app");
    tree(&app);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden.bcp");
    let mut options = pack::Options::default();
    options.format = Format::Bcp;
    options.existing = bundlecp::Existing::Replace;
    pack::pack(&[app], &path, &options, &Silent).unwrap();
}

#[test]
fn it_extracts_to_the_tree_that_was_packed() {
    let scratch = Scratch::new();
    let archive = scratch.path("golden.bcp");
    std::fs::write(&archive, GOLDEN).unwrap();
    tree(&scratch.path("app"));
    let options = extract::Options::default();
    let outcome = extract(&archive, &scratch.path("out"), &options, &Silent).unwrap();
    let hash = outcome.root_hash.unwrap();
    let hex: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, ROOT_HASH);
    assert_eq!(Archive::open(&archive).unwrap().root_hash(), Some(hash));
    let (wanted, found) = ("app", "out/app");
    Snapshot::of(&scratch.path(wanted)).assert_same(&Snapshot::of(&scratch.path(found)), "golden");
    let sparse = std::fs::metadata(scratch.path("out/app/sparse")).unwrap();
    assert!(sparse.blocks() * 512 < sparse.len());
}

/// Takes numbers and bytes from the front.
struct Fields<'f>(&'f [u8]);

impl<'f> Fields<'f> {
    fn take(&mut self, count: usize) -> &'f [u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn number(&mut self, width: usize) -> u64 {
        let bytes = self.take(width).iter().rev();
        bytes.fold(0, |number, byte| number << 8 | u64::from(*byte))
    }

    /// All that is left, as numbers of one width.
    fn numbers(mut self, width: usize) -> Vec<u64> {
        assert_eq!(self.0.len() % width, 0);
        (0..self.0.len() / width)
            .map(|_| self.number(width))
            .collect()
    }

    /// A critical section or column: its kind and payload.
    fn section(&mut self) -> (u64, &'f [u8]) {
        let kind = self.number(4);
        assert_eq!(self.number(4), 1, "critical");
        let length = self.number(8) as usize;
        (kind, self.take(length))
    }
}

fn kind(name: &[u8; 4]) -> u64 {
    u64::from(u32::from_le_bytes(*name))
}

#[test]
fn every_field_is_what_the_description_says() {
    let mut archive = Fields(GOLDEN);
    assert_eq!(archive.take(8), b"\x89BCP\r\n\x1a\n");
    assert_eq!(archive.number(2), 1, "version");
    assert_eq!(archive.take(6), [0; 6]);
    let before = archive.0;
    let (first, manifest) = archive.section();
    assert_eq!(first, kind(b"MANF"));
    let mut rows = row(before, archive.0);
    let before = archive.0;
    let (second, block) = archive.section();
    assert_eq!(second, kind(b"BLOK"));
    rows.extend(row(before, archive.0));
    let (last, footer) = archive.section();
    assert_eq!(last, kind(b"FOOT"));
    assert_eq!(footer, rows);
    assert_eq!(archive.number(8), GOLDEN.len() as u64);
    assert_eq!(archive.number(8), footer.len() as u64);
    let root = blake3::derive_key("bundlecp 2026-11-22 bcp root", footer);
    assert_eq!(archive.take(32), root);
    assert_eq!(archive.number(2), 1, "version");
    assert_eq!(archive.take(6), [0; 6]);
    assert_eq!(archive.take(8), b"\x89BCPend\n");
    assert_eq!(archive.0, b"");
    check_block(block, &check_tables(manifest));
}

/// The footer's row of the section between two places.
fn row(before: &[u8], after: &[u8]) -> Vec<u8> {
    let section = &before[..before.len() - after.len()];
    let hash = blake3::hash(section);
    [&section[..16], hash.as_bytes()].concat()
}

/// The columns of the manifest, by their number.
fn check_tables(manifest: &[u8]) -> BTreeMap<u64, Vec<u8>> {
    let mut payload = Fields(manifest);
    let length = payload.number(8);
    let tables = zstd::decode_all(payload.0).unwrap();
    assert_eq!(tables.len() as u64, length);
    let mut rest = Fields(&tables);
    let mut columns = BTreeMap::new();
    let mut last = 0;
    while !rest.0.is_empty() {
        let (number, values) = rest.section();
        assert!(number > last);
        last = number;
        columns.insert(number, values.to_vec());
    }
    let column = |number: u64, width: usize| Fields(&columns[&number]).numbers(width);
    // app, a, dangling, lib, b, c, link, none, program, sparse, to-lib, odd
    assert_eq!(column(1, 8), [12, 5, 1]);
    let time = 1 << 4;
    let kinds = [0, 1, 2, 0, 1, 3, 2 | 1 << 2, 1, 1, 1, 2 | 2 << 2, 1];
    assert_eq!(column(16, 1), kinds.map(|kind| kind | time));
    assert_eq!(column(17, 4), [0, 1, 1, 1, 4, 4, 1, 1, 1, 1, 1, 1]);
    assert_eq!(column(18, 4), [3, 1, 8, 3, 1, 1, 4, 4, 7, 6, 6, 4]);
    assert_eq!(
        columns[&19],
        b"appadanglinglibbclinknoneprogramsparseto-lib\xFFodd"
    );
    let modes = column(20, 2);
    assert_eq!((modes[8], modes[2]), (0o755, 0o777));
    assert_eq!(column(21, 8), [THEN.0 as u64; 12]);
    assert_eq!(column(22, 4), [THEN.1 as u64; 12]);
    assert_eq!(column(24, 4), [1], "the first name of `c`");
    assert_eq!(column(25, 2), [9, 5, 3]);
    assert_eq!(columns[&26], b"no/\xFFwherelib/blib");
    assert_eq!(column(27, 4), [1, 9, 5]);
    assert_eq!(columns[&28], b"user.markvalue");
    assert!(!columns.contains_key(&29), "owners");
    let contents = column(23, 4);
    assert_eq!(contents.len(), 6);
    assert_eq!(contents[0], contents[1], "equal files share a content");
    let [a, none, program, sparse, odd] =
        [0, 2, 3, 4, 5].map(|file: usize| contents[file] as usize);
    let sizes = column(48, 8);
    assert_eq!(
        [a, none, program, sparse, odd].map(|content| sizes[content]),
        [9, 0, self::program().len() as u64, 1 << 20, 3]
    );
    let mut filters = [0; 5];
    filters[program] = 1;
    assert_eq!(column(50, 1), filters);
    assert_eq!(columns[&51].len(), 20);
    let mut extent = Fields(&columns[&51]);
    assert_eq!(extent.number(4), sparse as u64);
    assert_eq!(extent.numbers(8), [512 << 10, 4096]);
    assert_eq!(column(52, 8), [120, self::program().len() as u64 - 120]);
    assert_eq!(column(64, 4), [9 + self::program().len() as u64 + 4096 + 3]);
    columns
}

/// The contents of the block, cut as the manifest says.
fn check_block(payload: &[u8], columns: &BTreeMap<u64, Vec<u8>>) {
    let mut payload = Fields(payload);
    assert_eq!(payload.take(8), [1, 0, 0, 0, 0, 0, 0, 0], "zstd");
    let raw = zstd::decode_all(payload.0).unwrap();
    let mut raw = Fields(&raw);
    let sizes = Fields(&columns[&48]).numbers(8);
    let filters = &columns[&50];
    for (number, hash) in columns[&49].as_chunks::<32>().0.iter().enumerate() {
        let stored = match sizes[number] {
            size if size == 1 << 20 => 4096,
            size => size as usize,
        };
        let mut bytes = raw.take(stored).to_vec();
        if filters[number] == 1 {
            assert_ne!(bytes, program());
            undo(&mut bytes[120..], 120);
        }
        assert_eq!(blake3::hash(&bytes).as_bytes(), hash, "content {number}");
    }
    assert_eq!(raw.0, b"");
}
