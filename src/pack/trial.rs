//! Tries whether a filter makes bytes smaller, on half a MiB of a file.

use std::ops::Range;

use crate::codec::{Codec, Compressor, Level, Settings};
use crate::error::Refusal;

/// Whether a filter helps, tried by compressing.
pub(super) struct Trial {
    compressor: Compressor,
    plain: Vec<u8>,
    filtered: Vec<u8>,
}

/// Bytes of a program that a filter is tried on.
pub(super) const TRIAL: u64 = 512 << 10;

impl Trial {
    /// By zstd, as fast as by default: LZMA gains from the same.
    pub(super) fn new() -> Result<Self, Refusal> {
        let settings = Settings::new(Codec::Zstd, Level::default());
        Ok(Self {
            compressor: Compressor::new(Codec::Zstd, settings)?,
            plain: Vec::new(),
            filtered: Vec::new(),
        })
    }

    /// What is tried of some code: its middle.
    pub(super) fn middle(code: &Range<u64>) -> Range<u64> {
        let middle = code.start + (code.end - code.start) / 2;
        let start = middle.saturating_sub(TRIAL / 2).max(code.start);
        start..(start + TRIAL).min(code.end)
    }

    /// Whether bytes become smaller by what was done to them.
    pub(super) fn is_smaller(&mut self, filtered: &[u8], plain: &[u8]) -> Result<bool, Refusal> {
        self.plain.clear();
        self.filtered.clear();
        self.compressor.compress(plain, &mut self.plain)?;
        self.compressor.compress(filtered, &mut self.filtered)?;
        Ok(self.filtered.len() < self.plain.len())
    }
}
