//! Compresses the blocks of a `.bcp`.

use std::sync::Arc;

use crate::codec::{Compressor, lzma};
use crate::error::Refusal;
use crate::format::bcp::{BlockCodec, Row, append_block, append_stored};

/// How blocks are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Method {
    Zstd(i32),
    /// LZMA, or zstd where that is smaller.
    Trial,
    /// Nothing is compressed.
    Stored,
}

/// Compresses one block after the other.
pub(super) struct BlockEncoder {
    method: Method,
    /// Of each block, in front of what is stored.
    paddings: Arc<[u16]>,
    zstd: Compressor,
    data: Vec<u8>,
    other: Vec<u8>,
}

/// Bytes in the middle of a block that both are tried on.
const SAMPLE: usize = 1 << 20;

impl BlockEncoder {
    /// For blocks of `size` bytes. Refuses levels that zstd doesn't have.
    pub(super) fn new(method: Method, size: u32, paddings: Arc<[u16]>) -> Result<Self, Refusal> {
        const SMALLEST: i32 = 19;
        let level = match method {
            Method::Zstd(level) => level,
            Method::Trial | Method::Stored => SMALLEST,
        };
        Ok(Self {
            method,
            paddings,
            zstd: Compressor::of_blocks(level, size)?,
            data: Vec::new(),
            other: Vec::new(),
        })
    }

    /// Appends the section of block `number`.
    pub(super) fn append(
        &mut self,
        number: usize,
        raw: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Row, Refusal> {
        let codec = match self.method {
            Method::Zstd(_) => BlockCodec::Zstd,
            Method::Trial => self.choose(raw)?,
            Method::Stored => return Ok(append_stored(self.paddings[number], raw, out)),
        };
        self.data.clear();
        match codec {
            BlockCodec::Lzma => lzma::encode(raw, &mut self.data)?,
            BlockCodec::Zstd | BlockCodec::Stored => {
                self.zstd.compress(raw, &mut self.data)?;
            }
        }
        Ok(match self.data.len() < raw.len() {
            true => append_block(codec, &self.data, out),
            false => append_block(BlockCodec::Stored, raw, out),
        })
    }

    /// What makes the middle of a block smaller.
    fn choose(&mut self, raw: &[u8]) -> Result<BlockCodec, Refusal> {
        let start = raw.len().saturating_sub(SAMPLE) / 2;
        let sample = &raw[start..(start + SAMPLE).min(raw.len())];
        self.data.clear();
        self.other.clear();
        lzma::encode(sample, &mut self.data)?;
        self.zstd.compress(sample, &mut self.other)?;
        Ok(match self.other.len() < self.data.len() {
            true => BlockCodec::Zstd,
            false => BlockCodec::Lzma,
        })
    }
}
