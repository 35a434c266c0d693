//! A second small tree, with what `--profile small` has besides: blocks of LZMA2,
//! a program for ARM64, and inflated streams at all edges of contents and blocks.

use super::bcp::{PartRow, Parts, Rows, Section, arm64, manifest, tables};
use crate::common::zlib::{Stream, streams, zip_member};

/// The contents, by their numbers.
pub(crate) const CODE: usize = 0;
pub(crate) const TWO: usize = 1;
pub(crate) const TEXT: usize = 2;
pub(crate) const ONE: usize = 3;
/// Names of their files.
pub(crate) const NAMES: [&str; 4] = ["code", "two", "text", "one"];

/// Which part of the code filter 2 goes over: its ends lie within instructions.
const RANGE: [u64; 2] = [9, 801];

/// Code of ARM64 with calls and pages, near and far.
fn code() -> Vec<u8> {
    let codes = [
        0x9400_0040,
        0x97FF_FFFE_u32,
        0xD000_0001,
        0xF0FF_FFE1,
        0x90FF_FFE1,
        0x8B02_0020,
    ];
    (0..211_u32)
        .flat_map(|at| (codes[at as usize % 6] ^ (at & 7) << 5).to_le_bytes())
        .collect()
}

fn used() -> [Stream; 3] {
    let streams = streams();
    [streams[0], streams[4], streams[2]]
}

/// What the files hold.
pub(crate) fn contents() -> [Vec<u8>; 4] {
    let [first, second, whole] = used();
    let two = [
        b"in front".as_slice(),
        first.zlib,
        b"between",
        &zip_member("name", &second),
        b"end",
    ];
    [
        code(),
        two.concat(),
        b"a line of text\n".repeat(200),
        whole.raw().to_vec(),
    ]
}

/// Where the streams are.
fn inflated() -> Vec<PartRow> {
    let [first, second, whole] = used();
    let two = &contents()[TWO];
    let row = |content: usize, offset: usize, stream: &Stream| PartRow {
        content: content as u32,
        offset: offset as u64,
        length: stream.raw().len() as u32,
        stored: stream.plain().len() as u32,
        form: stream.setup,
    };
    let behind = two.len() - b"end".len() - second.raw().len();
    vec![
        row(TWO, 8 + 2, &first),
        row(TWO, behind, &second),
        row(ONE, 0, &whole),
    ]
}

/// What is stored: the code in two pieces, which a block cuts within an instruction.
fn stored() -> (Vec<u8>, Vec<usize>) {
    const CUT: usize = 402;
    let [first, second, whole] = used();
    let mut stored = code();
    let end = (RANGE[0] + RANGE[1]) as usize;
    arm64(&mut stored[RANGE[0] as usize..CUT], RANGE[0]);
    arm64(&mut stored[CUT..end], CUT as u64);
    let code = stored.len();
    stored.extend(b"in front\x78\x01");
    stored.extend(first.plain());
    let at_first = stored.len();
    stored.extend(&first.zlib[first.zlib.len() - 4..]);
    let member = zip_member("name", &second);
    stored.extend(b"between");
    stored.extend(&member[..member.len() - second.raw().len()]);
    stored.extend(second.plain());
    stored.extend(b"end");
    let text = stored.len();
    stored.extend(&contents()[TEXT]);
    let one = stored.len();
    stored.extend(whole.plain());
    // Blocks begin and end with the first stream, and with the last.
    let ends = [CUT, code + 10, at_first, text + 1000, one, stored.len()];
    let starts = [&[0], &ends[..5]].concat();
    let sizes = ends.iter().zip(starts).map(|(end, start)| end - start);
    (stored, sizes.collect())
}

pub(crate) fn rows() -> Rows {
    let mut rows = Rows::default();
    for (number, (name, content)) in NAMES.iter().zip(contents()).enumerate() {
        rows.content(&content);
        rows.file(0, name.as_bytes(), number as u32);
    }
    rows.filters = vec![2, 3, 0, 3];
    rows.filtered.push(RANGE);
    rows.parts = inflated();
    rows.blocks = stored().1.iter().map(|size| *size as u32).collect();
    rows
}

/// What the blocks decode to.
pub(crate) fn raw_blocks() -> Vec<Vec<u8>> {
    let (stored, sizes) = stored();
    let mut rest = &stored[..];
    let cut = |size: usize| {
        let (block, behind) = rest.split_at(size);
        rest = behind;
        block.to_vec()
    };
    sizes.into_iter().map(cut).collect()
}

pub(crate) fn blocks() -> Vec<Section> {
    let raw = raw_blocks();
    let mut blocks: Vec<Section> = raw.iter().map(|raw| Section::lzma(raw)).collect();
    blocks[1] = Section::stored(&raw[1]);
    blocks[2] = Section::zstd(&raw[2]);
    blocks
}

pub(crate) fn of_rows(rows: &Rows) -> Parts {
    Parts::new(manifest(&tables(&rows.columns())), &blocks())
}

pub(crate) fn sample() -> Parts {
    of_rows(&rows())
}
