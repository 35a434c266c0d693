//! Members of a `.bcp`: listed from the manifest, read from their blocks.

use std::io::{self, Read, Seek, SeekFrom};

use crate::codec::Decompressor;
use crate::entry::Member;
use crate::error::Refusal;
use crate::format::ReadAt;
use crate::format::bcp::{
    Content, Index, Manifest, Piece, Restorer, StreamReader, decode_start, keep_all,
};

/// All members of an archive that comes as a stream, which is read to its end, and
/// its root hash.
pub(crate) fn stream_members(reader: impl Read) -> Result<(Vec<Member>, [u8; 32]), Refusal> {
    let (mut reader, manifest) = StreamReader::new(reader, &mut keep_all)?;
    let mut hashes = Vec::new();
    while let Some(block) = reader.next_block(&manifest)? {
        hashes.push(block.hash());
    }
    let root_hash = reader.finish(&hashes)?;
    Ok((into_members(manifest), root_hash))
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
    /// Where in the file the next byte is.
    at: u64,
    decompressor: Decompressor,
    /// The block that is decoded, up to the end of the content's piece.
    block: Option<usize>,
    payload: Vec<u8>,
    raw: Vec<u8>,
    restorer: Restorer,
    /// The data that the block has of the content.
    data: Vec<u8>,
}

/// What of a file stands from one place on.
enum Run {
    /// So many zeros that are not stored.
    Hole(u64),
    /// From this byte of the data on, so many.
    Data(u64, u64),
}

impl<'a> ContentReader<'a> {
    pub(crate) fn new(source: &'a dyn ReadAt, index: &'a Index, content: u32) -> Self {
        let content = content as usize;
        Self {
            source,
            index,
            content,
            at: 0,
            decompressor: Decompressor::new(),
            block: None,
            payload: Vec::new(),
            raw: Vec::new(),
            restorer: Restorer::default(),
            data: Vec::new(),
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
            Run::Data(place, left) => {
                let count = most(left);
                match count {
                    0 => Ok(0),
                    _ => self.copy(place, &mut buffer[..count]),
                }
            }
        }
    }

    /// What stands from here on.
    fn run(&self) -> Run {
        let Content { size, extents, .. } = self.about();
        let Some(extents) = extents else {
            return Run::Data(self.at, size.saturating_sub(self.at));
        };
        let mut around = extents.around(self.at);
        match around.find(|((start, length), _)| start + length > self.at) {
            Some(((start, length), before)) if start <= self.at => {
                let into = self.at - start;
                Run::Data(before + into, length - into)
            }
            Some(((start, _), _)) => Run::Hole(start - self.at),
            None => Run::Hole(size.saturating_sub(self.at)),
        }
    }

    /// Copies bytes of the content's data from `place` on.
    fn copy(&mut self, place: u64, buffer: &mut [u8]) -> Result<usize, Refusal> {
        let found = self.index.layout.piece_at(self.content, place);
        let (number, piece) =
            found.ok_or_else(|| Refusal::malformed("a content has no such bytes"))?;
        if self.block != Some(number) {
            self.load(number, &piece)?;
        }
        let bytes = &self.data[(place - piece.data.start) as usize..];
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
        let content = &self.index.layout.manifest.contents[self.content];
        let stored = &mut self.raw[piece.range.clone()];
        let data = self.restorer.restore(content, piece, stored)?;
        self.data.clear();
        self.data.extend_from_slice(data);
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::codec::Decompressor;
    use crate::entry::MemberKind;
    use crate::error::ErrorKind;
    use crate::format::bcp::{
        self, BlockCodec, Entry, Filter, append_block, decode_block, has_trailer, read_index,
    };

    /// What a disk may do to one read of many.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    enum Fault {
        Fails,
        Short,
        Interrupted,
        Ends,
    }

    /// Bytes of which one read, or each, goes wrong.
    struct Faulty<'b> {
        bytes: &'b [u8],
        fault: Fault,
        /// The read that it happens to; `None` for each.
        at: Option<usize>,
        reads: AtomicUsize,
    }

    impl ReadAt for Faulty<'_> {
        fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
            let number = self.reads.fetch_add(1, Ordering::Relaxed);
            let most = match (self.at.is_none_or(|at| at == number), self.fault) {
                (false, _) => buffer.len(),
                (true, Fault::Fails) => return Err(io::Error::other("a broken disk")),
                (true, Fault::Interrupted) => return Err(io::ErrorKind::Interrupted.into()),
                (true, Fault::Short) => buffer.len().min(3),
                (true, Fault::Ends) => 0,
            };
            self.bytes.read_at(&mut buffer[..most], offset)
        }
    }

    /// Two files: one that three blocks share, one with holes.
    fn archive() -> Vec<u8> {
        let cut: Vec<u8> = (0..700_u32).map(|n| ((n * n) >> 3) as u8).collect();
        let content = |stored: &[u8], size, filter, extents| Content {
            size,
            hash: *blake3::hash(stored).as_bytes(),
            filter,
            extents,
        };
        let entry = |path: &str, number| Entry {
            member: Member::new(MemberKind::File, path),
            content: Some(number),
        };
        let holes = vec![(10, 20), (5000, 30)].into();
        let manifest = Manifest {
            entries: vec![entry("cut", 0), entry("holes", 1)],
            contents: vec![
                content(&cut, 700, Filter::None, None),
                content(&[7; 50], 9000, Filter::None, Some(holes)),
            ],
            blocks: vec![300, 300, 150],
        };
        let mut raw = cut;
        raw.extend([7; 50]);
        let mut bytes = Vec::new();
        let mut writer = bcp::Writer::begin(&manifest, &mut bytes).unwrap();
        for block in raw.chunks(300) {
            writer.note(append_block(BlockCodec::Stored, block, &mut bytes));
        }
        writer.end(&mut bytes);
        bytes
    }

    /// Everything that is read of an archive: looking for it, its index as listing and
    /// extracting do, its blocks, and its members with a seek in each.
    fn read_everything(source: &dyn ReadAt, length: u64) -> Result<Vec<u8>, Refusal> {
        assert!(has_trailer(source, length)?);
        let index = read_index(source, length, &mut keep_all)?;
        index.check_others(source)?;
        let (mut payload, mut raw, mut all) = (Vec::new(), Vec::new(), Vec::new());
        let mut decompressor = Decompressor::new();
        for (place, size) in index.blocks.iter().zip(&index.layout.manifest.blocks) {
            place.read_block(source, &mut payload, *size)?;
            decode_block(&mut decompressor, &payload, *size, &mut raw)?;
            all.extend_from_slice(&raw);
        }
        for content in [0, 1] {
            let mut reader = ContentReader::new(source, &index, content);
            reader.read_to_end(&mut all).map_err(Refusal::io)?;
            reader.seek(SeekFrom::End(-450)).map_err(Refusal::io)?;
            reader.read_to_end(&mut all).map_err(Refusal::io)?;
        }
        Ok(all)
    }

    #[test]
    fn reads_that_go_wrong_are_errors_or_are_repeated_and_never_other_bytes() {
        let bytes = archive();
        let run = |fault, at| {
            let source = Faulty {
                bytes: &bytes,
                fault,
                at,
                reads: AtomicUsize::new(0),
            };
            let result = read_everything(&source, bytes.len() as u64);
            (result, source.reads.into_inner())
        };
        let (expected, reads) = run(Fault::Fails, Some(usize::MAX));
        let expected = expected.unwrap();
        assert!(reads > 20);
        assert!(run(Fault::Short, None).0.unwrap() == expected);
        for at in (0..reads).map(Some) {
            for fault in [Fault::Short, Fault::Interrupted] {
                assert!(run(fault, at).0.unwrap() == expected, "{fault:?} {at:?}");
            }
            for (fault, kind) in [
                (Fault::Fails, ErrorKind::Io),
                (Fault::Ends, ErrorKind::Truncated),
            ] {
                let error = run(fault, at).0.unwrap_err().at("read", "app.bcp");
                assert_eq!(error.kind(), kind, "{fault:?} {at:?}");
                assert_eq!(error.to_string(), "read `app.bcp`", "{fault:?} {at:?}");
            }
        }
    }
}
