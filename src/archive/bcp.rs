//! Members of a `.bcp`: listed from the manifest, read from their blocks.

use std::fs::File;
use std::io::{self, Read};

use crate::codec::Decompressor;
use crate::entry::Member;
use crate::error::Refusal;
use crate::format::bcp::{Index, Layout, Manifest, Restorer, StreamReader, decode_block};

/// All members of an archive that comes as a stream, which is read to its end.
pub(crate) fn stream_members(reader: impl Read) -> Result<Vec<Member>, Refusal> {
    let (mut reader, manifest) = StreamReader::new(reader)?;
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

/// The content of a file, decoded block by block.
pub(crate) struct ContentReader<'a> {
    file: &'a File,
    index: &'a Index,
    content: usize,
    /// Where in the file the next byte is.
    at: u64,
    decompressor: Decompressor,
    /// The block that is decoded.
    block: Option<usize>,
    payload: Vec<u8>,
    raw: Vec<u8>,
    restorer: Restorer,
    /// The data that the block has of the content.
    data: Vec<u8>,
}

impl<'a> ContentReader<'a> {
    pub(crate) fn new(file: &'a File, index: &'a Index, content: u32) -> Self {
        Self {
            file,
            index,
            content: content as usize,
            at: 0,
            decompressor: Decompressor::new(),
            block: None,
            payload: Vec::new(),
            raw: Vec::new(),
            restorer: Restorer::default(),
            data: Vec::new(),
        }
    }

    fn layout(&self) -> &'a Layout {
        &self.index.layout
    }

    /// Fills some of `buffer` from where it stands.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Refusal> {
        let content = &self.layout().manifest.contents[self.content];
        let left = usize::try_from(content.size - self.at).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        if most == 0 {
            return Ok(0);
        }
        let whole = [(0, content.size)];
        let extents = content.extents.as_deref().unwrap_or(&whole);
        let next = extents.partition_point(|(start, length)| start + length <= self.at);
        let before: u64 = extents[..next].iter().map(|(_, length)| length).sum();
        let (start, length) = match extents.get(next) {
            Some(extent) => *extent,
            None => (content.size, 0),
        };
        if self.at < start {
            let count = usize::try_from(start - self.at).map_or(most, |hole| hole.min(most));
            buffer[..count].fill(0);
            return Ok(count);
        }
        let most = usize::try_from(start + length - self.at).map_or(most, |left| left.min(most));
        self.copy(before + (self.at - start), &mut buffer[..most])
    }

    /// Copies bytes of the content's data from `place` on.
    fn copy(&mut self, place: u64, buffer: &mut [u8]) -> Result<usize, Refusal> {
        let layout = self.layout();
        for number in layout.blocks_of(self.content) {
            let piece = layout.piece(number, self.content);
            let Some(piece) = piece.filter(|piece| piece.data.contains(&place)) else {
                continue;
            };
            if self.block != Some(number) {
                self.block = None;
                let size = layout.manifest.blocks[number];
                self.index.blocks[number].read_block(self.file, &mut self.payload, size)?;
                decode_block(&mut self.decompressor, &self.payload, size, &mut self.raw)?;
                let content = &layout.manifest.contents[self.content];
                let stored = &mut self.raw[piece.range.clone()];
                let data = self.restorer.restore(content, &piece, stored)?;
                self.data.clear();
                self.data.extend_from_slice(data);
                self.block = Some(number);
            }
            let bytes = &self.data[(place - piece.data.start) as usize..];
            let count = bytes.len().min(buffer.len());
            buffer[..count].copy_from_slice(&bytes[..count]);
            return Ok(count);
        }
        Err(Refusal::malformed("a content has no such bytes"))
    }
}

impl Read for ContentReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill(buffer).map_err(Refusal::into_io)?;
        self.at += count as u64;
        Ok(count)
    }
}
