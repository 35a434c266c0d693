//! A small tree with all that a `.bcp` can hold, and a judge for archives that
//! lie about it.

use std::ops::ControlFlow;

use bundlecp::archive::Archive;
use bundlecp::extract::Options;
use bundlecp::{ErrorKind, Silent, list, verify};

use super::arena::{Arena, Before, Source};
use super::bcp::{
    Column, FOLDER, HARD_LINK, HAS_TIME, Parts, Rows, Section, manifest, tables, x86,
};

/// The size of the sample's sparse file, and where it has data.
pub(crate) const SPARSE: u64 = 200_000;
pub(crate) const EXTENTS: [(u64, u64); 2] = [(4096, 10), (100_000, 20)];
/// What the blocks of the sample decode to: the second cuts the program.
pub(crate) const BLOCKS: [usize; 3] = [1000, 2000, 35];

/// Code that filter 1 finds something in.
pub(crate) fn program() -> Vec<u8> {
    let pieces: [&[u8]; 6] = [
        &[0xE8, 0x10, 0, 0, 0],
        &[0x48, 0x8B, 0x05, 0xF0, 0xFF, 0xFF, 0xFF],
        &[0xFF, 0x15, 0xE8, 0xE9, 0, 0],
        &[0x0F, 0x10, 0x05, 0, 0, 0, 1],
        &[0xE9, 0xFF, 0xFF, 0xFF, 0xFE],
        &[0x90, 0x90, 0x05, 0x8B, 0x3D, 1, 2, 3],
    ];
    let mut program = pieces.concat().repeat(3000 / 38 + 1);
    program.truncate(3000);
    program
}

/// What the sample's contents store.
pub(crate) fn stored() -> [Vec<u8>; 3] {
    [b"hello".to_vec(), program(), vec![7; 30]]
}

pub(crate) fn rows() -> Rows {
    let mut rows = Rows::default();
    let folder = rows.entry(FOLDER | HAS_TIME, 0, b"d", 0o755);
    rows.seconds.push(-5);
    rows.nanoseconds.push(999_999_999);
    rows.file(folder, b"a", 0);
    rows.file(0, b"program", 1);
    rows.link(0, b"l", b"d/a");
    rows.kinds[3] |= 1 << 2;
    rows.entry(HARD_LINK, folder, b"h", 0o644);
    rows.firsts.push(1);
    rows.file(0, b"sparse", 2);
    rows.file(0, b"same", 0);
    for content in stored() {
        rows.content(&content);
    }
    rows.sizes[2] = SPARSE;
    rows.extents = EXTENTS.map(|(at, length)| (2, at, length)).to_vec();
    rows.filters[1] = 1;
    rows.filtered.push([100, 2800]);
    rows.attributes
        .push((1, b"user.a".to_vec(), b"value".to_vec()));
    rows.blocks = BLOCKS.map(|size| size as u32).to_vec();
    rows
}

/// What the sample's blocks decode to: the program is filtered from its byte 100 to
/// 2900, cut at 995 and 2995.
pub(crate) fn raw_blocks() -> Vec<Vec<u8>> {
    let mut raw = stored().concat();
    x86(&mut raw[105..1000], 100);
    x86(&mut raw[1000..2905], 995);
    let (first, rest) = raw.split_at(BLOCKS[0]);
    let (second, third) = rest.split_at(BLOCKS[1]);
    vec![first.to_vec(), second.to_vec(), third.to_vec()]
}

pub(crate) fn blocks() -> Vec<Section> {
    let raw = raw_blocks();
    vec![
        Section::zstd(&raw[0]),
        Section::zstd(&raw[1]),
        Section::stored(&raw[2]),
    ]
}

pub(crate) fn of_rows(rows: &Rows) -> Parts {
    of_columns(&rows.columns())
}

pub(crate) fn of_columns(columns: &[Column]) -> Parts {
    Parts::new(manifest(&tables(columns)), &blocks())
}

pub(crate) fn sample() -> Parts {
    of_rows(&rows())
}

pub(crate) fn sparse_content() -> Vec<u8> {
    let mut content = vec![0; SPARSE as usize];
    for (at, length) in EXTENTS {
        content[at as usize..(at + length) as usize].fill(7);
    }
    content
}

pub(crate) const BOTH: &[Source] = &[Source::File, Source::Pipe];

/// What may be the reason of a refusal.
pub(crate) type Kinds = &'static [ErrorKind];

/// Nobody extracts, verifies or lists `bytes`, for one of these reasons.
#[track_caller]
pub(crate) fn is_refused(arena: &Arena, name: &str, bytes: &[u8], kinds: Kinds, reading: Reading) {
    let judge = |way: &str, result: Result<(), bundlecp::Error>| {
        let error = result.err();
        let error = error.unwrap_or_else(|| panic!("{name}, {way}: came out"));
        assert!(kinds.contains(&error.kind()), "{name}, {way}: {error:?}");
    };
    for source in BOTH {
        for jobs in [1, 4] {
            arena.prepare(Before::Nothing);
            let mut options = Options::default();
            options.jobs = Some(jobs);
            let result = arena.extract(bytes, *source, &options, name);
            judge(&format!("{source:?}"), result.map(|_| ()));
        }
    }
    let path = arena.archive(bytes);
    let compared = verify::verify(&path, arena.root(), &verify::Options::default(), &Silent);
    judge("verify", compared.map(|_| ()));
    if reading == Reading::Manifest {
        let go_on = &mut |_| ControlFlow::Continue(());
        judge("list", list::list(&path, go_on).map(|_| ()));
        judge(
            "list_from",
            list::list_from(bytes, &path, go_on).map(|_| ()),
        );
        judge("open", Archive::open(&path).map(|_| ()));
    }
}

/// What has to be read to see a lie.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    Manifest,
    All,
}
