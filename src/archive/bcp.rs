//! Members of a `.bcp`: listed from the manifest, read from their blocks.

use std::io::{self, Read, Seek, SeekFrom};

use crate::codec::Decompressor;
use crate::entry::Member;
use crate::error::Refusal;
use crate::format::ReadAt;
use crate::format::bcp::{Content, Index, Manifest, Piece, StreamReader, decode_start, unfilter};

/// All members of an archive that comes as a stream, which is read to its end.
pub(crate) fn stream_members(reader: impl Read) -> Result<Vec<Member>, Refusal> {
    let (mut reader, manifest) = StreamReader::new(reader, &|_| Ok(()))?;
    let mut hashes = Vec::new();
    while let Some(block) = reader.next_block(&manifest)? {
        hashes.push(block.hash());
    }
    reader.finish(&hashes)?;
    Ok(into_members(manifest))
}

/// The members that a manifest tells of.
pub(crate) fn into_members(manifest: Manifest) -> Vec<Member> {
    let entries = manifest.entries.into_iter();
    entries.map(|entry| entry.member).collect()
}

/// The content of a file, decoded block by block: from any place to any other, with
/// one block in memory.
pub(crate) struct ContentReader<'a> {
    source: &'a dyn ReadAt,
    index: &'a Index,
    content: usize,
    /// Stored bytes before each extent; nothing without holes.
    before: Vec<u64>,
    /// Where in the file the next byte is.
    at: u64,
    decompressor: Decompressor,
    /// The block that is decoded, up to the end of the content's piece.
    block: Option<usize>,
    payload: Vec<u8>,
    raw: Vec<u8>,
}

/// What of a file stands from one place on.
enum Run {
    /// So many zeros that are not stored.
    Hole(u64),
    /// From this of the stored bytes on, so many.
    Stored(u64, u64),
}

impl<'a> ContentReader<'a> {
    pub(crate) fn new(source: &'a dyn ReadAt, index: &'a Index, content: u32) -> Self {
        let content = content as usize;
        let extents = index.layout.manifest.contents[content].extents.as_deref();
        let sums = extents.unwrap_or_default().iter();
        let before = sums.scan(0, |sum, (_, length)| {
            let before = *sum;
            *sum += length;
            Some(before)
        });
        Self {
            source,
            index,
            content,
            before: before.collect(),
            at: 0,
            decompressor: Decompressor::new(),
            block: None,
            payload: Vec::new(),
            raw: Vec::new(),
        }
    }

    /// Bytes of the file, holes included.
    pub(crate) fn size(&self) -> u64 {
        self.about().size
    }

    fn about(&self) -> &'a Content {
        &self.index.layout.manifest.contents[self.content]
    }

    /// Fills some of `buffer` from where it stands.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Refusal> {
        let most = |left: u64| usize::try_from(left).map_or(buffer.len(), |l| l.min(buffer.len()));
        match self.run() {
            Run::Hole(left) => {
                let count = most(left);
                buffer[..count].fill(0);
                Ok(count)
            }
            Run::Stored(stored, left) => {
                let count = most(left);
                match count {
                    0 => Ok(0),
                    _ => self.copy(stored, &mut buffer[..count]),
                }
            }
        }
    }

    /// What stands from here on.
    fn run(&self) -> Run {
        let Content { size, extents, .. } = self.about();
        let Some(extents) = extents else {
            return Run::Stored(self.at, size.saturating_sub(self.at));
        };
        let next = extents.partition_point(|(start, length)| start + length <= self.at);
        match extents.get(next) {
            Some((start, length)) if *start <= self.at => {
                let into = self.at - start;
                Run::Stored(self.before[next] + into, length - into)
            }
            Some((start, _)) => Run::Hole(start - self.at),
            None => Run::Hole(size.saturating_sub(self.at)),
        }
    }

    /// Copies stored bytes of the content from `stored` on.
    fn copy(&mut self, stored: u64, buffer: &mut [u8]) -> Result<usize, Refusal> {
        let found = self.index.layout.piece_at(self.content, stored);
        let (number, piece) =
            found.ok_or_else(|| Refusal::malformed("a content has no such bytes"))?;
        if self.block != Some(number) {
            self.load(number, &piece)?;
        }
        let from = piece.range.start + (stored - piece.stored.start) as usize;
        let bytes = &self.raw[from..piece.range.end];
        let count = bytes.len().min(buffer.len());
        buffer[..count].copy_from_slice(&bytes[..count]);
        Ok(count)
    }

    /// Reads, checks and decodes a block, as far as the content's piece goes.
    fn load(&mut self, number: usize, piece: &Piece) -> Result<(), Refusal> {
        self.block = None;
        let size = self.index.layout.manifest.blocks[number];
        self.index.blocks[number].read_block(self.source, &mut self.payload, size)?;
        let (wanted, raw) = (piece.range.end, &mut self.raw);
        decode_start(&mut self.decompressor, &self.payload, size, wanted, raw)?;
        let filter = &self.about().filter;
        unfilter(filter, piece, &mut self.raw[piece.range.clone()]);
        self.block = Some(number);
        Ok(())
    }
}

impl Read for ContentReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill(buffer).map_err(Refusal::into_io)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for ContentReader<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(offset) => self.size().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = at.ok_or_else(|| {
            let cause = "the place is before the file's beginning, or too far behind its end";
            io::Error::new(io::ErrorKind::InvalidInput, cause)
        })?;
        Ok(self.at)
    }
}
