//! Reading a `.bcp` from front to back.
//!
//! That the manifest is the right one shows with the footer, at the end: nothing
//! may be published before.

use std::io::Read;

use super::layout::{
    BLOCK, FOOTER, HEADER, MANIFEST, MAX_TABLES, Row, Section, TRAILER, Trailer, check_header,
    is_section, root_hash, section_hash,
};
use super::manifest::{Judge, Manifest};
use super::read::{MANIFEST_HEAD, damaged, most_of_block, read_manifest, too_large};
use crate::error::Refusal;

/// An archive that comes as a stream.
pub(crate) struct StreamReader<R> {
    input: R,
    /// What was read of it, front to back.
    read: u64,
    rows: Vec<Row>,
    blocks: usize,
}

/// The next block of a stream: its payload was not compared with a hash yet.
pub(crate) struct Block {
    pub number: usize,
    section: Section,
    pub payload: Vec<u8>,
}

impl Block {
    /// Its hash, for [`StreamReader::finish`].
    pub(crate) fn hash(&self) -> [u8; 32] {
        section_hash(self.section, &self.payload)
    }
}

impl<R: Read> StreamReader<R> {
    /// Reads header and manifest, as far as `judge` wants it.
    pub(crate) fn new(input: R, judge: Judge<'_>) -> Result<(Self, Manifest), Refusal> {
        let mut reader = Self {
            input,
            read: 0,
            rows: Vec::new(),
            blocks: 0,
        };
        let header = reader.take::<HEADER>()?;
        check_header(&header)?;
        let section = Section::from_bytes(reader.take()?, is_section)?;
        if section.kind != MANIFEST {
            return Err(Refusal::malformed("its first section is no manifest"));
        }
        let payload = reader.payload(section, MAX_TABLES + MANIFEST_HEAD as u64)?;
        let hash = section_hash(section, &payload);
        reader.rows.push(Row { section, hash });
        Ok((reader, read_manifest(&payload, judge)?))
    }

    /// Reads the next block, which is `manifest`'s; `None` behind the last.
    pub(crate) fn next_block(&mut self, manifest: &Manifest) -> Result<Option<Block>, Refusal> {
        let Some(raw) = manifest.blocks.get(self.blocks) else {
            return Ok(None);
        };
        let section = self.skip_to(BLOCK)?;
        let payload = self.payload(section, most_of_block(*raw))?;
        let number = self.blocks;
        self.blocks += 1;
        self.rows.push(Row {
            section,
            hash: [0; 32],
        });
        Ok(Some(Block {
            number,
            section,
            payload,
        }))
    }

    /// Passes over sections that are not known, up to one of `kind`.
    fn skip_to(&mut self, kind: u32) -> Result<Section, Refusal> {
        loop {
            let section = Section::from_bytes(self.take()?, is_section)?;
            if section.kind == kind {
                return Ok(section);
            }
            if section.kind == MANIFEST {
                return Err(Refusal::malformed("it has several manifests"));
            }
            if is_section(section.kind) {
                return Err(Refusal::malformed(
                    "it has more or fewer blocks than it says",
                ));
            }
            let mut hasher = blake3::Hasher::new();
            hasher.update(&section.to_bytes());
            let mut rest = (&mut self.input).take(section.length);
            let copied = std::io::copy(&mut rest, &mut hasher).map_err(Refusal::io)?;
            if copied != section.length {
                return Err(ended());
            }
            self.read += copied;
            let hash = *hasher.finalize().as_bytes();
            self.rows.push(Row { section, hash });
        }
    }

    /// Reads to the end and compares: `hashes` are those of all blocks, in
    /// order. Returns the root hash.
    pub(crate) fn finish(&mut self, hashes: &[[u8; 32]]) -> Result<[u8; 32], Refusal> {
        let footer = self.skip_to(FOOTER)?;
        let blocks = self.rows.iter_mut();
        let blocks = blocks.filter(|row| row.section.kind == BLOCK);
        for (row, hash) in blocks.zip(hashes) {
            row.hash = *hash;
        }
        let rows: Vec<u8> = self.rows.iter().flat_map(|row| row.to_bytes()).collect();
        let payload = self.payload(footer, rows.len() as u64)?;
        if payload != rows {
            return Err(damaged());
        }
        let trailer = Trailer {
            archive: self.read + TRAILER as u64,
            footer: footer.length,
            root_hash: root_hash(&rows),
        };
        let bytes = self.take::<TRAILER>()?;
        if Trailer::from_bytes(&bytes)? != trailer {
            return Err(Refusal::malformed(
                "its trailer doesn't fit what is before it",
            ));
        }
        let mut behind = Vec::new();
        let read = (&mut self.input).take(1).read_to_end(&mut behind);
        match read.map_err(Refusal::io)? {
            0 => Ok(trailer.root_hash),
            _ => Err(Refusal::malformed("there is something behind its end")),
        }
    }

    fn take<const COUNT: usize>(&mut self) -> Result<[u8; COUNT], Refusal> {
        let mut bytes = [0; COUNT];
        self.input.read_exact(&mut bytes).map_err(Refusal::io)?;
        self.read += COUNT as u64;
        Ok(bytes)
    }

    /// The payload of a section, `most` bytes at most: grows as they come.
    fn payload(&mut self, section: Section, most: u64) -> Result<Vec<u8>, Refusal> {
        if section.length > most {
            return Err(too_large());
        }
        let mut payload = Vec::new();
        let read = (&mut self.input)
            .take(section.length)
            .read_to_end(&mut payload);
        let read = read.map_err(Refusal::io)? as u64;
        self.read += read;
        match read == section.length {
            true => Ok(payload),
            false => Err(ended()),
        }
    }
}

fn ended() -> Refusal {
    Refusal::truncated("it ends within a section")
}
