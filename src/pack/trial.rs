//! Tries whether a filter makes bytes smaller, on half a MiB of a file.

use std::ops::Range;

use crate::codec::{Codec, Compressor, Level, Settings};
use crate::error::{Refusal, Result};

use super::buffer::Buffer;
use super::output::Job;
use super::reader::Reader;
use super::source::Source;

/// Whether a filter helps, tried by compressing.
pub(super) struct Trial<'j> {
    job: &'j Job<'j>,
    compressor: Compressor,
    data: Buffer,
    converted: Vec<u8>,
    compressed: Vec<u8>,
}

/// Bytes of a program that a filter is tried on.
pub(super) const TRIAL: u64 = 512 << 10;

impl<'j> Trial<'j> {
    /// By zstd, as fast as by default: LZMA gains from the same.
    pub(super) fn new(job: &'j Job<'j>) -> Result<Self> {
        let settings = Settings::new(Codec::Zstd, Level::default());
        let compressor = Compressor::new(Codec::Zstd, settings);
        Ok(Self {
            job,
            compressor: compressor.map_err(|refusal| refusal.at("pack", job.shown))?,
            data: Buffer::default(),
            converted: Vec::new(),
            compressed: Vec::new(),
        })
    }

    /// What is tried of some code: its middle.
    pub(super) fn middle(code: &Range<u64>) -> Range<u64> {
        let middle = code.start + (code.end - code.start) / 2;
        let start = middle.saturating_sub(TRIAL / 2).max(code.start);
        start..(start + TRIAL).min(code.end)
    }

    /// Whether `sample` of a file becomes smaller by what `convert` appends of it.
    pub(super) fn helps(
        &mut self,
        source: &Source<'_>,
        reader: &mut Reader<'_>,
        sample: Range<u64>,
        convert: impl FnOnce(&[u8], &mut Vec<u8>),
    ) -> Result<bool> {
        self.data.clear();
        source.read(reader, sample, &mut self.data)?;
        self.converted.clear();
        convert(&self.data, &mut self.converted);
        let (compressor, compressed) = (&mut self.compressor, &mut self.compressed);
        let mut size = |bytes: &[u8]| -> Result<usize, Refusal> {
            compressed.clear();
            compressor.compress(bytes, compressed)?;
            Ok(compressed.len())
        };
        let refused = |refusal: Refusal| refusal.at("pack", self.job.shown);
        let plain = size(&self.data).map_err(refused)?;
        Ok(size(&self.converted).map_err(refused)? < plain)
    }
}
