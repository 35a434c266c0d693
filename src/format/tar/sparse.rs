//! The maps of sparse files: where a file has data, and how much is stored.
//!
//! There are four spellings, all GNU's: blocks behind the header (`S`), PAX
//! records (0.0 and 0.1), and text in front of the data (1.0). See GNU tar's
//! manual, "Storing Sparse Files", and `struct oldgnu_header` in its `tar.h`.
//!
//! Maps run forwards, don't overlap, hold just what is stored, and end where
//! the file does: GNU tar takes the map's end for the file's, others don't. Only
//! the last part may be other than whole blocks.

use std::ops::Range;

use crate::error::Refusal;

use super::header::{Block, unsigned};
use super::pax::{bad, decimal, digits, name};
use super::{BLOCK, MAX_RECORD};

// GNU tar's `tar.h`, `struct oldgnu_header` and `struct sparse_header`: a pair
// is two numbers of 12 bytes.
const PAIR: usize = 24;
const HEADER_PAIRS: Range<usize> = 386..482;
const HEADER_IS_EXTENDED: usize = 482;
const REAL_SIZE: Range<usize> = 483..495;
const EXTENSION_PAIRS: Range<usize> = 0..504;
const EXTENSION_IS_EXTENDED: usize = 504;

/// A map as it is read, and the size that the file is said to have.
#[derive(Debug, Default)]
pub(super) struct Map {
    /// Offset and length, in order; those without a length are left out.
    extents: Vec<(u64, u64)>,
    /// Where the last extent ended, one without a length too.
    end: u64,
    data: u64,
    /// All pairs, those without a length too.
    pairs: u64,
}

impl Map {
    pub(super) fn push(&mut self, offset: u64, length: u64) -> Result<(), Refusal> {
        if offset < self.end {
            return Err(Refusal::malformed(
                "a sparse map runs backwards or overlaps",
            ));
        }
        let end = offset
            .checked_add(length)
            .filter(|&end| i64::try_from(end).is_ok());
        self.end = end.ok_or_else(|| Refusal::malformed("a sparse map has too large numbers"))?;
        self.pairs += 1;
        // Can't overflow, as extents don't overlap.
        self.data += length;
        if length > 0 {
            self.check_last_is_whole()?;
            self.extents.push((offset, length));
        }
        Ok(())
    }

    /// GNU tar begins each extent's data in a block of its own, other readers
    /// where the last one's ended: the same for whole blocks only.
    fn check_last_is_whole(&self) -> Result<(), Refusal> {
        match self.extents.last() {
            Some((_, length)) if !length.is_multiple_of(BLOCK as u64) => Err(Refusal::malformed(
                "a sparse map has parts that aren't whole blocks",
            )),
            Some(_) | None => Ok(()),
        }
    }

    /// The extents, once all is known: `size` of the file, `stored` of its data.
    pub(super) fn finish(self, size: u64, stored: u64) -> Result<Vec<(u64, u64)>, Refusal> {
        if self.end != size {
            return Err(Refusal::malformed(
                "a sparse map doesn't end where the file does",
            ));
        }
        if self.data != stored {
            return Err(Refusal::malformed(
                "a sparse map doesn't match the stored data",
            ));
        }
        Ok(self.extents)
    }
}

/// The records `GNU.sparse.*` of one member.
#[derive(Debug, Default)]
pub(super) struct SparseRecords {
    pub name: Option<Vec<u8>>,
    major: Option<u64>,
    minor: Option<u64>,
    size: Option<u64>,
    count: Option<u64>,
    /// Of 0.1: the whole map in one record.
    map: Option<Map>,
    /// Of 0.0: a record for each number.
    pairs: Option<Map>,
    offset: Option<u64>,
}

/// How the map of a sparse file is stored, according to its PAX records.
#[derive(Debug)]
pub(super) enum SparseFile {
    /// In front of the data, which follows.
    MapInData { size: u64 },
    /// In the records.
    Mapped { size: u64, map: Map },
}

impl SparseRecords {
    /// Takes over the record `key`, which ends with `part`.
    pub(super) fn set(&mut self, part: &[u8], key: &[u8], value: &[u8]) -> Result<(), Refusal> {
        match part {
            b"name" => self.name = Some(name(key, value)?),
            b"major" => self.major = Some(decimal(key, value)?),
            b"minor" => self.minor = Some(decimal(key, value)?),
            b"numblocks" => self.count = Some(decimal(key, value)?),
            // 0.x and 1.0 have different keys for the same.
            b"size" | b"realsize" => {
                let size = decimal(key, value)?;
                if self.size.is_some_and(|known| known != size) {
                    return Err(bad(key, "contradicts another"));
                }
                self.size = Some(size);
            }
            b"map" => self.map = Some(map_record(key, value)?),
            b"offset" => {
                let offset = decimal(key, value)?;
                if self.offset.replace(offset).is_some() {
                    return Err(bad(key, "has no length"));
                }
            }
            b"numbytes" => {
                let length = decimal(key, value)?;
                let offset = self.offset.take();
                let offset = offset.ok_or_else(|| bad(key, "has no offset"))?;
                self.pairs.get_or_insert_default().push(offset, length)?;
            }
            _ => return Err(bad(key, "isn't known")),
        }
        Ok(())
    }

    /// What the records say together; `None` if there are none.
    pub(super) fn finish(self) -> Result<Option<SparseFile>, Refusal> {
        let version = match (self.major, self.minor) {
            (None, None) if self.is_empty() => return Ok(None),
            (None, None) => None,
            (Some(major), Some(minor)) => Some((major, minor)),
            (Some(_), None) | (None, Some(_)) => return Err(incomplete()),
        };
        let (Some(size), None) = (self.size, self.offset) else {
            return Err(incomplete());
        };
        let map = match (version, self.map, self.pairs) {
            (Some((1, 0)), None, None) if self.count.is_none() => {
                return Ok(Some(SparseFile::MapInData { size }));
            }
            (None | Some((0, 1)), Some(map), None) | (None | Some((0, 0)), None, Some(map)) => map,
            _ => return Err(incomplete()),
        };
        if self.count != Some(map.pairs) {
            return Err(bad(b"GNU.sparse.numblocks", "doesn't match the map"));
        }
        Ok(Some(SparseFile::Mapped { size, map }))
    }

    fn is_empty(&self) -> bool {
        let Self {
            name,
            major,
            minor,
            size,
            count,
            map,
            pairs,
            offset,
        } = self;
        let has_numbers = [major, minor, size, count, offset]
            .iter()
            .any(|number| number.is_some());
        name.is_none() && map.is_none() && pairs.is_none() && !has_numbers
    }
}

fn incomplete() -> Refusal {
    Refusal::malformed("the PAX records of a sparse file are incomplete or mixed")
}

/// The map of 0.1: offsets and lengths in turn, between commas.
fn map_record(key: &[u8], value: &[u8]) -> Result<Map, Refusal> {
    let mut map = Map::default();
    let mut numbers = value.split(|&byte| byte == b',').map(digits);
    while let Some(offset) = numbers.next() {
        match (offset, numbers.next().flatten()) {
            (Some(offset), Some(length)) => map.push(offset, length)?,
            (None, _) | (_, None) => return Err(bad(key, "is no map")),
        }
    }
    Ok(map)
}

/// The map of GNU's own format: in the header, and in blocks that follow it.
#[derive(Debug)]
pub(super) struct BlockMap {
    map: Map,
    has_ended: bool,
    /// Bytes of the blocks that followed.
    taken: u64,
    pub real_size: u64,
}

/// Whether a map goes on in the next block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MapState {
    Continues,
    Complete,
}

impl BlockMap {
    /// Reads the pairs in a header.
    pub(super) fn start(header: &Block) -> Result<(Self, MapState), Refusal> {
        let real_size = unsigned(&header[REAL_SIZE], "size of a sparse file")?;
        let mut map = Self {
            map: Map::default(),
            has_ended: false,
            taken: 0,
            real_size: real_size.ok_or_else(|| Refusal::malformed("a sparse file has no size"))?,
        };
        map.pairs(&header[HEADER_PAIRS])?;
        Ok((map, is_extended(header[HEADER_IS_EXTENDED])))
    }

    /// Reads the pairs in a block that follows the header.
    pub(super) fn extend(&mut self, block: &Block) -> Result<MapState, Refusal> {
        self.taken += block.len() as u64;
        check_length(self.taken)?;
        self.pairs(&block[EXTENSION_PAIRS])?;
        Ok(is_extended(block[EXTENSION_IS_EXTENDED]))
    }

    fn pairs(&mut self, area: &[u8]) -> Result<(), Refusal> {
        for pair in area.chunks_exact(PAIR) {
            let (offset, length) = pair.split_at(PAIR / 2);
            let offset = unsigned(offset, "sparse map")?;
            let length = unsigned(length, "sparse map")?;
            match (offset, length) {
                (Some(offset), Some(length)) if !self.has_ended => self.map.push(offset, length)?,
                (None, None) => self.has_ended = true,
                (Some(_), _) | (_, Some(_)) => {
                    return Err(Refusal::malformed("a sparse map goes on behind its end"));
                }
            }
        }
        Ok(())
    }

    pub(super) fn finish(self, stored: u64) -> Result<Vec<(u64, u64)>, Refusal> {
        self.map.finish(self.real_size, stored)
    }
}

fn is_extended(flag: u8) -> MapState {
    match flag {
        0 => MapState::Complete,
        _ => MapState::Continues,
    }
}

fn check_length(taken: u64) -> Result<(), Refusal> {
    if taken > MAX_RECORD {
        return Err(Refusal::malformed("a sparse map is larger than 1 MiB"));
    }
    Ok(())
}

/// The map of 1.0: in front of the data, how many pairs there are and then
/// the pairs, one decimal number a line, padded with zeros to a block.
#[derive(Debug, Default)]
pub(super) struct TextMap {
    map: Map,
    /// The digits since the last newline.
    number: Option<u64>,
    count: Option<u64>,
    offset: Option<u64>,
    /// Bytes of the blocks that were read.
    pub taken: u64,
}

impl TextMap {
    pub(super) fn extend(&mut self, block: &Block) -> Result<MapState, Refusal> {
        self.taken += block.len() as u64;
        check_length(self.taken)?;
        for (at, byte) in block.iter().enumerate() {
            match byte {
                b'0'..=b'9' => {
                    let number = self.number.unwrap_or(0).checked_mul(10);
                    let number = number.and_then(|ten| ten.checked_add(u64::from(byte - b'0')));
                    self.number = Some(number.ok_or_else(not_a_map)?);
                }
                b'\n' => self.line()?,
                _ => return Err(not_a_map()),
            }
            if self.is_complete() {
                return match block[at + 1..].iter().all(|&byte| byte == 0) {
                    true => Ok(MapState::Complete),
                    false => Err(Refusal::malformed("a sparse map goes on behind its end")),
                };
            }
        }
        Ok(MapState::Continues)
    }

    fn is_complete(&self) -> bool {
        let is_between = self.offset.is_none() && self.number.is_none();
        is_between && self.count == Some(self.map.pairs)
    }

    fn line(&mut self) -> Result<(), Refusal> {
        let number = self.number.take().ok_or_else(not_a_map)?;
        if self.count.is_none() {
            self.count = Some(number);
        } else if let Some(offset) = self.offset.take() {
            self.map.push(offset, number)?;
        } else {
            self.offset = Some(number);
        }
        Ok(())
    }

    pub(super) fn finish(self, size: u64, stored: u64) -> Result<Vec<(u64, u64)>, Refusal> {
        self.map.finish(size, stored)
    }
}

fn not_a_map() -> Refusal {
    Refusal::malformed("a sparse file begins with something else than its map")
}
