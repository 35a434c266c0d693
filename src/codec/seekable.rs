//! The table of frames at the end of a zstd stream, by which it is read from
//! the middle: the zstd seekable format 0.1.0 (facebook/zstd,
//! `contrib/seekable_format/zstd_seekable_compression_format.md`).
//!
//! The table is a skippable frame, so that decoders which don't know it read
//! past it. It is a claim about bytes that it doesn't contain: its sums are
//! checked here against the length of the file, each frame's sizes against
//! the frame by [`Decompressor::zstd_frame`](super::Decompressor).
//!
//! | size | meaning |
//! |---|---|
//! | 4 | magic number of a skippable frame, `184D2A5E` |
//! | 4 | size of what follows |
//! | 8 or 12 each | an entry: compressed and decompressed size, checksum |
//! | 4 | number of entries |
//! | 1 | descriptor: bit 7 entries have checksums, bits 2 to 6 zero |
//! | 4 | magic number `8F92EAB1` |

use std::io;
use std::ops::Range;

use super::MAX_UNIT;
use super::detect::SKIPPABLE;
use zstd::zstd_safe;

use crate::error::{ErrorKind, Refusal};

const TABLE: u32 = SKIPPABLE + 0xE;
const FOOTER_MAGIC: u32 = 0x8F92_EAB1;
/// Number of entries, descriptor and magic number, bytes.
const FOOTER: usize = 9;
/// Magic number and size (RFC 8878, 3.1.2), bytes.
const SKIPPABLE_HEADER: usize = 8;

/// More frames than this are read from the front instead. A table of 1 M
/// frames takes 24 MiB in memory, and is of 4 TiB in units of 4 MiB.
const MAX_FRAMES: u32 = 1 << 20;
/// How much of a table is read at a time, in entries: memory grows with what
/// is there, not with what is declared.
const ENTRIES_AT_ONCE: u64 = 8192;

/// Collects the table while the frames are written.
#[derive(Debug, Default)]
pub(super) struct TableWriter {
    entries: Vec<u8>,
}

impl TableWriter {
    /// Notes a frame of `stored` bytes that decodes to `raw`.
    pub(super) fn push(&mut self, stored: u64, raw: u64) -> Result<(), Refusal> {
        for size in [stored, raw] {
            self.entries.extend_from_slice(&small(size)?.to_le_bytes());
        }
        Ok(())
    }

    /// Appends the table.
    pub(super) fn end(self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let mut payload = self.entries;
        let count = small(payload.len() as u64 / 8)?;
        payload.extend_from_slice(&count.to_le_bytes());
        payload.push(0);
        payload.extend_from_slice(&FOOTER_MAGIC.to_le_bytes());
        push_skippable(0xE, &payload, out)?;
        Ok(())
    }
}

/// Appends `payload` as a frame that decoders skip; returns its size.
pub(super) fn push_skippable(
    nibble: u8,
    payload: &[u8],
    out: &mut Vec<u8>,
) -> Result<u64, Refusal> {
    let magic = SKIPPABLE | u32::from(nibble & 0xF);
    let size = small(payload.len() as u64)?;
    out.extend_from_slice(&magic.to_le_bytes());
    out.extend_from_slice(&size.to_le_bytes());
    out.extend_from_slice(payload);
    Ok((SKIPPABLE_HEADER + payload.len()) as u64)
}

/// The format's sizes are 32 bits wide.
fn small(size: u64) -> Result<u32, Refusal> {
    let cause = "a frame of 4 GiB or more, which zstd's table can't describe";
    u32::try_from(size).map_err(|_| Refusal::new(ErrorKind::LimitExceeded, cause))
}

/// One frame of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Where it begins, from the start of the stream.
    pub offset: u64,
    /// Bytes in the stream.
    pub stored: u64,
    /// Bytes of data; 0 for frames that are skipped.
    pub raw: u64,
}

/// Where the frames of a stream are.
#[derive(Debug)]
pub(crate) struct SeekTable {
    frames: Vec<Frame>,
    raw: u64,
}

/// Reads bytes at an offset, all that are asked for.
pub(crate) type ReadAt<'r> = dyn Fn(&mut [u8], u64) -> io::Result<()> + 'r;

/// Reads the table at the end of a stream of `length` bytes; `None` if there
/// is none, or one of more than a million frames.
///
/// # Errors
///
/// A table that contradicts itself or the length of the stream is refused.
pub(crate) fn read_table(length: u64, read_at: &ReadAt) -> Result<Option<SeekTable>, Refusal> {
    let Some(place) = find(length, read_at)? else {
        return Ok(None);
    };
    let mut table = SeekTable {
        frames: Vec::new(),
        raw: 0,
    };
    let mut end = 0;
    let mut buffer = Vec::new();
    let mut at = place.entries.start;
    while at < place.entries.end {
        let step = (ENTRIES_AT_ONCE * place.entry).min(place.entries.end - at);
        buffer.resize(step as usize, 0);
        read_at(&mut buffer, at).map_err(Refusal::io)?;
        at += step;
        for entry in buffer.chunks_exact(place.entry as usize) {
            let frame = Frame {
                offset: end,
                stored: u64::from(number(entry)),
                raw: u64::from(number(&entry[4..])),
            };
            // A million sizes of 32 bits can't overflow 64.
            end += frame.stored;
            table.raw += frame.raw;
            if frame.stored == 0 || end > place.table {
                return Err(lies("its frames overlap it"));
            }
            table.frames.push(frame);
        }
    }
    if end != place.table {
        return Err(lies("its frames don't add up to the file"));
    }
    Ok(Some(table))
}

/// Where a table is.
struct Place {
    /// Its first byte.
    table: u64,
    entries: Range<u64>,
    /// Bytes of one entry.
    entry: u64,
}

fn find(length: u64, read_at: &ReadAt) -> Result<Option<Place>, Refusal> {
    if length < (SKIPPABLE_HEADER + FOOTER) as u64 {
        return Ok(None);
    }
    let mut footer = [0; FOOTER];
    let end = length - FOOTER as u64;
    read_at(&mut footer, end).map_err(Refusal::io)?;
    let (count, descriptor) = (number(&footer), footer[4]);
    if number(&footer[5..]) != FOOTER_MAGIC || count > MAX_FRAMES {
        return Ok(None);
    }
    if descriptor & 0x7C != 0 {
        return Err(lies("its reserved bits are set"));
    }
    let entry = if descriptor & 0x80 == 0 { 8 } else { 12 };
    let size = u64::from(count) * entry + FOOTER as u64;
    let Some(table) = length.checked_sub(size + SKIPPABLE_HEADER as u64) else {
        return Err(lies("it has more frames than fit into the file"));
    };
    let mut header = [0; SKIPPABLE_HEADER];
    read_at(&mut header, table).map_err(Refusal::io)?;
    if number(&header) != TABLE || u64::from(number(&header[4..])) != size {
        return Err(lies("its start is not where its end says"));
    }
    let entries = table + SKIPPABLE_HEADER as u64..end;
    Ok(Some(Place {
        table,
        entries,
        entry,
    }))
}

impl SeekTable {
    /// The frames in the order of the file, without a gap.
    pub(crate) fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Bytes of data of all frames.
    pub(crate) fn raw_size(&self) -> u64 {
        self.raw
    }

    /// Whether [`Decompressor`](super::Decompressor) takes every frame; a
    /// stream with larger ones is read from the front.
    pub(crate) fn fits_units(&self) -> bool {
        let limit = MAX_UNIT as u64;
        let fits = |frame: &Frame| frame.raw <= limit && frame.stored <= limit + limit / 8;
        self.frames.iter().all(fits)
    }

    /// Where the payload of the last frame before the table is, if that is a
    /// skippable one whose magic number ends in `nibble`.
    pub(crate) fn index_frame(
        &self,
        nibble: u8,
        read_at: &ReadAt,
    ) -> Result<Option<Range<u64>>, Refusal> {
        let Some(last) = self.frames.last() else {
            return Ok(None);
        };
        if last.raw != 0 || last.stored < SKIPPABLE_HEADER as u64 {
            return Ok(None);
        }
        let mut header = [0; SKIPPABLE_HEADER];
        read_at(&mut header, last.offset).map_err(Refusal::io)?;
        if number(&header) != SKIPPABLE | u32::from(nibble & 0xF) {
            return Ok(None);
        }
        let start = last.offset + SKIPPABLE_HEADER as u64;
        let end = start + u64::from(number(&header[4..]));
        if end != last.offset + last.stored {
            return Err(lies("a skippable frame has another size"));
        }
        Ok(Some(start..end))
    }
}

/// The first zstd frame in `bytes`, and the size of its data, which it has to
/// tell.
pub(crate) fn split_frame(bytes: &[u8]) -> Result<(&[u8], u64), Refusal> {
    let damaged = || Refusal::malformed("its index is damaged");
    let length = zstd_safe::find_frame_compressed_size(bytes).map_err(|_| damaged())?;
    match zstd_safe::get_frame_content_size(bytes) {
        Ok(Some(raw)) => Ok((&bytes[..length], raw)),
        Ok(None) | Err(_) => Err(damaged()),
    }
}

/// The number in the first four bytes.
fn number(bytes: &[u8]) -> u32 {
    let bytes = bytes.first_chunk().expect("callers pass four bytes");
    u32::from_le_bytes(*bytes)
}

fn lies(how: &str) -> Refusal {
    Refusal::malformed(format!("the table of zstd frames is wrong: {how}"))
        .with_hint("decompress it with `zstd -d` first, which ignores the table")
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::super::tests::{encode, mixed};
    use super::super::{Codec, Decompressor, Profile};
    use super::*;

    #[test]
    fn zstd_frames_are_found_by_the_table_and_decoded_alone() {
        let data = mixed(100_000);
        let stream = encode(Codec::Zstd, Profile::Fast, &data, 30_000);
        let read = |out: &mut [u8], at: u64| (&stream[at as usize..]).read_exact(out);
        let table = read_table(stream.len() as u64, &read).unwrap().unwrap();
        assert_eq!(table.raw_size(), 100_000);
        assert_eq!(table.frames().len(), 5);
        assert!(table.fits_units());
        let index = table.index_frame(0xB, &read).unwrap().unwrap();
        assert_eq!(&stream[index.start as usize..index.end as usize], b"index");
        assert_eq!(table.index_frame(0xA, &read).unwrap(), None);

        let mut decompressor = Decompressor::new();
        let (mut back, mut out) = (Vec::new(), Vec::new());
        for frame in table.frames() {
            let bytes = &stream[frame.offset as usize..][..frame.stored as usize];
            decompressor.zstd_frame(bytes, frame.raw, &mut out).unwrap();
            back.extend_from_slice(&out);
        }
        assert!(back == data);

        let frame = table.frames()[0];
        let bytes = &stream[..frame.stored as usize];
        let two = &stream[..(frame.stored + table.frames()[1].stored) as usize];
        for (bytes, raw) in [
            (bytes, frame.raw + 1),
            (two, 60_000),
            (&bytes[..50], 30_000),
            (&[], 0),
        ] {
            assert!(decompressor.zstd_frame(bytes, raw, &mut out).is_err());
        }
        let large = decompressor.zstd_frame(bytes, 1 << 40, &mut out);
        assert_eq!(large.unwrap_err().kind(), ErrorKind::LimitExceeded);
    }

    #[test]
    fn tables_that_lie_are_refused_and_missing_ones_are_none() {
        let stream = encode(Codec::Zstd, Profile::Fast, &mixed(100_000), 30_000);
        let table = |stream: &[u8]| {
            let read = |out: &mut [u8], at: u64| (&stream[at as usize..]).read_exact(out);
            read_table(stream.len() as u64, &read).map(|table| table.map(|_| ()))
        };
        assert_eq!(table(&stream).unwrap(), Some(()));
        assert_eq!(table(&[]).unwrap(), None);
        assert_eq!(table(&stream[..stream.len() - 1]).unwrap(), None);
        let longer = [&[0][..], &stream].concat();
        assert_eq!(table(&longer).unwrap_err().kind(), ErrorKind::Malformed);
        assert_eq!(
            table(&stream[1..]).unwrap_err().kind(),
            ErrorKind::Malformed
        );

        let start = stream.len() - (8 + 5 * 8 + 9);
        for at in start..stream.len() - 4 {
            for bit in 0..8 {
                let mut broken = stream.clone();
                broken[at] ^= 1 << bit;
                // Sizes of data are checked with the frames, the lowest two bits unused.
                let is_raw =
                    (start + 8..stream.len() - 9).contains(&at) && (at - start - 8) % 8 >= 4;
                let is_unused = at == stream.len() - 5 && bit < 2;
                match table(&broken) {
                    Err(refusal) => assert_eq!(refusal.kind(), ErrorKind::Malformed),
                    // A count beyond what is read.
                    Ok(None) => assert!((stream.len() - 9..stream.len() - 5).contains(&at)),
                    Ok(Some(())) => assert!(is_raw || is_unused, "{at} {bit}"),
                }
            }
        }
    }
}
