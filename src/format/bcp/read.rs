//! Reading a `.bcp` from a place that can be read anywhere: trailer, footer and
//! manifest first, then any block.

use std::ops::Range;

use super::launch::{self, Launch};
use super::layout::{
    ALIGNMENT, BLOCK, BLOCK_HEAD, BlockCodec, FOOTER, HEADER, LAUNCH, MAGIC, MANIFEST, MAX_TABLES,
    ROW, Row, SECTION, Section, TRAILER, Trailer, check_header, is_section, root_hash,
    section_hash,
};
use super::manifest::{Judge, Manifest};
use super::pieces::Layout;
use crate::codec::{Decompressor, decode_frame, lzma};
use crate::error::{ErrorKind, Refusal};
use crate::format::{ReadAt, pe};

/// Bytes in front of the tables of a manifest.
pub(super) const MANIFEST_HEAD: usize = 8;

/// The largest window of the tables' frame, as a power of two: 8 MiB.
const TABLES_WINDOW: u32 = 23;

/// What an archive holds, and where.
pub(crate) struct Index {
    /// Where the archive is in the source.
    pub range: Range<u64>,
    pub layout: Layout,
    /// The section of each block.
    pub blocks: Vec<Place>,
    /// The sections that tell nothing of the tree.
    others: Vec<Place>,
    pub root_hash: [u8; 32],
}

/// Where a section is, and what it has to be.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// Of its first byte, in the source.
    offset: u64,
    row: Row,
}

/// Whether an archive is at the end of `source`, which has `length` bytes.
pub(crate) fn has_trailer(source: &dyn ReadAt, length: u64) -> Result<bool, Refusal> {
    find_trailer(source, length).map(|found| found.is_some())
}

/// The root hash that the archive at the end of `source` says it has.
pub(crate) fn read_root_hash(source: &dyn ReadAt, length: u64) -> Result<[u8; 32], Refusal> {
    let (trailer, _) = read_trailer(source, length)?;
    Ok(trailer.root_hash)
}

/// The trailer of the archive at the end of `source`, and where it begins.
fn read_trailer(source: &dyn ReadAt, length: u64) -> Result<(Trailer, u64), Refusal> {
    match find_trailer(source, length)? {
        Some((bytes, at)) => Ok((Trailer::from_bytes(&bytes)?, at)),
        None if length < TRAILER as u64 => Err(Refusal::truncated("it is shorter than it says")),
        None => Err(Refusal::truncated("it doesn't end as a bcp archive does")),
    }
}

/// Looks for a trailer at the end of `source`, and where a program of Windows has it
/// once it was signed: in front of its signature.
fn find_trailer(source: &dyn ReadAt, length: u64) -> Result<Option<([u8; TRAILER], u64)>, Refusal> {
    /// Signatures begin at multiples of this; what fills up to there is zeros.
    const FILLED_TO: u64 = 8;
    let trailer_before = |end: u64| {
        let mut bytes = [0; TRAILER];
        let Some(at) = end.checked_sub(TRAILER as u64) else {
            return Ok(None);
        };
        read_at(source, &mut bytes, at)?;
        Ok::<_, Refusal>(Trailer::is_one(&bytes).then_some((bytes, at)))
    };
    if let Some(found) = trailer_before(length)? {
        return Ok(Some(found));
    }
    let signature = pe::headers(source)?.map(|headers| headers.signature);
    let Some(signature) = signature.filter(|range| !range.is_empty() && range.end == length) else {
        return Ok(None);
    };
    for filling in 0..FILLED_TO.min(signature.start) {
        let end = signature.start - filling;
        if let Some(found) = trailer_before(end)? {
            return Ok(Some(found));
        }
        let mut byte = [0];
        read_at(source, &mut byte, end - 1)?;
        if byte != [0] {
            break;
        }
    }
    Ok(None)
}

/// Reads what the archive at the end of `source` holds, as far as `judge` wants it.
pub(crate) fn read_index(
    source: &dyn ReadAt,
    length: u64,
    judge: Judge<'_>,
) -> Result<Index, Refusal> {
    let short = || Refusal::truncated("it is shorter than it says");
    let (trailer, end) = read_trailer(source, length)?;
    let behind = end + TRAILER as u64;
    let start = behind.checked_sub(trailer.archive).ok_or_else(short)?;
    let mut bytes = [0; HEADER];
    read_at(source, &mut bytes, start)?;
    check_header(&bytes)?;
    check_prefix(source, start)?;
    let rows = read_footer(source, &trailer, start, end)?;
    let mut offset = start + HEADER as u64;
    let mut places = Vec::with_capacity(rows.len());
    for row in rows {
        places.push(Place { offset, row });
        // They add up to what lies before the footer.
        offset += row.taken().ok_or_else(short)?;
    }
    let Some((first, rest)) = places.split_first() else {
        return Err(Refusal::malformed("it has no manifest"));
    };
    let mut payload = Vec::new();
    first.read(source, &mut payload, MAX_TABLES + MANIFEST_HEAD as u64)?;
    let manifest = read_manifest(&payload, judge)?;
    let is_block = |place: &&Place| place.row.section.kind == BLOCK;
    let (blocks, others): (Vec<Place>, Vec<Place>) = rest.iter().partition(is_block);
    if blocks.len() != manifest.blocks.len() {
        return Err(Refusal::malformed(
            "it has more or fewer blocks than it says",
        ));
    }
    Ok(Index {
        range: start..behind,
        layout: Layout::new(manifest),
        blocks,
        others,
        root_hash: trailer.root_hash,
    })
}

impl Index {
    /// How what it holds is started, if it is a self-extracting executable's.
    pub(crate) fn launch(&self, source: &dyn ReadAt) -> Result<Option<Launch>, Refusal> {
        let is_launch = |place: &&Place| place.row.section.kind == LAUNCH;
        let Some(place) = self.others.iter().find(is_launch) else {
            return Ok(None);
        };
        let mut payload = Vec::new();
        place.read(source, &mut payload, launch::MOST)?;
        Launch::from_bytes(&payload).map(Some)
    }

    /// Compares the sections that tell nothing of the tree with their hashes: who
    /// reads all of an archive from a file has to see what a pipe shows.
    pub(crate) fn check_others(&self, source: &dyn ReadAt) -> Result<(), Refusal> {
        self.others.iter().try_for_each(|place| place.check(source))
    }
}

/// What stands in front must not be an archive itself: from a pipe, that would
/// be the one that is read.
fn check_prefix(source: &dyn ReadAt, start: u64) -> Result<(), Refusal> {
    let mut begin = [0; MAGIC.len()];
    if start < begin.len() as u64 {
        return Ok(());
    }
    read_at(source, &mut begin, 0)?;
    match begin == MAGIC {
        true => Err(Refusal::malformed("another archive stands in front of it")),
        false => Ok(()),
    }
}

/// The rows of the footer that ends where the trailer begins, at `end`.
fn read_footer(
    source: &dyn ReadAt,
    trailer: &Trailer,
    start: u64,
    end: u64,
) -> Result<Vec<Row>, Refusal> {
    let wrong = || Refusal::malformed("its footer is not where it says");
    let at = end.checked_sub(trailer.footer).ok_or_else(wrong)?;
    let front = at.checked_sub(SECTION as u64).ok_or_else(wrong)?;
    if front < start + HEADER as u64 {
        return Err(wrong());
    }
    let mut bytes = [0; SECTION];
    read_at(source, &mut bytes, front)?;
    check_footer(bytes, trailer.footer)?;
    // No more than the source has.
    let mut payload = vec![0; usize::try_from(trailer.footer).map_err(|_| wrong())?];
    read_at(source, &mut payload, at)?;
    let rows = read_rows(&payload, &trailer.root_hash)?;
    let taken = rows.iter().try_fold(start + HEADER as u64, |sum, row| {
        row.taken().and_then(|taken| sum.checked_add(taken))
    });
    match taken == Some(front) {
        true => Ok(rows),
        false => Err(wrong()),
    }
}

fn check_footer(bytes: [u8; SECTION], length: u64) -> Result<(), Refusal> {
    let section = Section::from_bytes(bytes, is_section)?;
    match section == Section::new(FOOTER, length) {
        true => Ok(()),
        false => Err(Refusal::malformed("its footer is not where it says")),
    }
}

fn read_rows(payload: &[u8], expected: &[u8; 32]) -> Result<Vec<Row>, Refusal> {
    if root_hash(payload) != *expected {
        return Err(Refusal::malformed("its footer doesn't have the root hash"));
    }
    let (rows, rest) = payload.as_chunks::<ROW>();
    let rows: Vec<Row> = rows.iter().map(Row::from_bytes).collect::<Result<_, _>>()?;
    let is_manifest = |row: &Row| row.section.kind == MANIFEST;
    let has_one = rows.first().is_some_and(is_manifest) && !rows.iter().skip(1).any(is_manifest);
    match rest.is_empty() && has_one {
        true => Ok(rows),
        false => Err(Refusal::malformed(
            "its footer names no manifest, or several",
        )),
    }
}

impl Place {
    /// Replaces `payload` by the section's, which has `most` bytes at most.
    fn read(&self, source: &dyn ReadAt, payload: &mut Vec<u8>, most: u64) -> Result<(), Refusal> {
        let section = self.row.section;
        if section.length > most {
            return Err(too_large());
        }
        let mut front = [0; SECTION];
        read_at(source, &mut front, self.offset)?;
        resize(payload, section.length as usize);
        read_at(source, payload, self.offset + SECTION as u64)?;
        let is_intact =
            front == section.to_bytes() && section_hash(section, payload) == self.row.hash;
        match is_intact {
            true => Ok(()),
            false => Err(damaged()),
        }
    }

    /// Compares a section of any length with its hash.
    fn check(&self, source: &dyn ReadAt) -> Result<(), Refusal> {
        const STEP: u64 = 64 << 10;
        let mut front = [0; SECTION];
        read_at(source, &mut front, self.offset)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&front);
        let (mut at, mut left) = (self.offset + SECTION as u64, self.row.section.length);
        let mut buffer = vec![0; STEP.min(left) as usize];
        while left > 0 {
            let count = STEP.min(left);
            let part = &mut buffer[..count as usize];
            read_at(source, part, at)?;
            hasher.update(part);
            at += count;
            left -= count;
        }
        let is_intact =
            front == self.row.section.to_bytes() && *hasher.finalize().as_bytes() == self.row.hash;
        match is_intact {
            true => Ok(()),
            false => Err(damaged()),
        }
    }

    /// Where the data of a block is in the source, if it is stored: `raw` bytes. Neither
    /// they nor what is in front of them is compared with a hash.
    pub(crate) fn stored(&self, source: &dyn ReadAt, raw: u32) -> Result<Option<u64>, Refusal> {
        let mut front = [0; SECTION + BLOCK_HEAD];
        if self.row.section.length < BLOCK_HEAD as u64 {
            return Err(Refusal::malformed("a block is shorter than its own head"));
        }
        read_at(source, &mut front, self.offset)?;
        let Some((section, head)) = front.split_last_chunk() else {
            return Err(damaged());
        };
        if section != self.row.section.to_bytes() {
            return Err(damaged());
        }
        let (codec, padding) = BlockCodec::of_head(*head)?;
        let (front, length) = (BLOCK_HEAD + padding, self.row.section.length);
        match codec {
            BlockCodec::Zstd | BlockCodec::Lzma => Ok(None),
            BlockCodec::Stored if length == front as u64 + u64::from(raw) => {
                Ok(Some(self.offset + (SECTION + front) as u64))
            }
            BlockCodec::Stored => Err(Refusal::malformed("a stored block has another size")),
        }
    }

    /// Replaces `payload` by that of a block which decodes to `raw` bytes.
    pub(crate) fn read_block(
        &self,
        source: &dyn ReadAt,
        payload: &mut Vec<u8>,
        raw: u32,
    ) -> Result<(), Refusal> {
        self.read(source, payload, most_of_block(raw))
    }
}

/// Gives `buffer` a length, its bytes being of no interest: those of a new one are
/// zeros that the system has ready.
fn resize(buffer: &mut Vec<u8>, length: usize) {
    match buffer.capacity() < length {
        true => *buffer = vec![0; length],
        false => buffer.resize(length, 0),
    }
}

/// Bytes of a block's payload at most: what doesn't become smaller is stored.
pub(super) fn most_of_block(raw: u32) -> u64 {
    u64::from(raw) + BLOCK_HEAD as u64 + ALIGNMENT - 1
}

pub(super) fn too_large() -> Refusal {
    Refusal::malformed("a section has more bytes than what it holds")
}

pub(super) fn damaged() -> Refusal {
    Refusal::malformed("a section doesn't have its hash")
}

fn read_at(source: &dyn ReadAt, buffer: &mut [u8], offset: u64) -> Result<(), Refusal> {
    source.read_exact_at(buffer, offset).map_err(Refusal::io)
}

/// The manifest that a section's payload holds.
pub(super) fn read_manifest(payload: &[u8], judge: Judge<'_>) -> Result<Manifest, Refusal> {
    let Some((head, data)) = payload.split_first_chunk::<MANIFEST_HEAD>() else {
        return Err(Refusal::malformed(
            "its manifest is shorter than its own head",
        ));
    };
    let length = u64::from_le_bytes(*head);
    if length > MAX_TABLES {
        let cause = "its tables have more than 128 MiB";
        return Err(Refusal::new(ErrorKind::LimitExceeded, cause));
    }
    match decode_frame(data, TABLES_WINDOW, length)? {
        Some(tables) => Manifest::from_tables(&tables, judge),
        None => Err(Refusal::malformed(
            "its tables have another length than it says",
        )),
    }
}

/// Replaces `out` by what a block's `payload` decodes to, `raw` bytes.
pub(crate) fn decode_block(
    decompressor: &mut Decompressor,
    payload: &[u8],
    raw: u32,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let (codec, data) = BlockCodec::split(payload)?;
    match codec {
        BlockCodec::Zstd => decompressor.zstd_frame(data, u64::from(raw), out),
        BlockCodec::Lzma => lzma::decode(data, raw as usize, out),
        BlockCodec::Stored if data.len() == raw as usize => {
            out.clear();
            out.extend_from_slice(data);
            Ok(())
        }
        BlockCodec::Stored => Err(Refusal::malformed("a stored block has another size")),
    }
}

/// As [`decode_block`], but only so far that `out` begins with the first `wanted`
/// bytes of it.
pub(crate) fn decode_start(
    decompressor: &mut Decompressor,
    payload: &[u8],
    raw: u32,
    wanted: usize,
    out: &mut Vec<u8>,
) -> Result<(), Refusal> {
    let (codec, data) = BlockCodec::split(payload)?;
    match codec {
        BlockCodec::Zstd => decompressor.zstd_start(data, u64::from(raw), wanted, out),
        BlockCodec::Lzma => lzma::decode_start(data, raw as usize, wanted, out),
        BlockCodec::Stored => decode_block(decompressor, payload, raw, out),
    }
}
