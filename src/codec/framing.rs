//! What stands before, between and after the units of a stream.
//!
//! gzip members, bzip2 streams and zstd frames follow each other without
//! anything between; xz wants a header, an index and a footer around its
//! blocks. A zstd stream ends with a table of its frames, for readers that
//! start in the middle. Bytes are appended in the order in which they are to
//! be written; nothing here keeps a unit.

use super::encode::{Compressor, Settings, Unit};
use super::seekable::TableWriter;
use super::{Codec, Level, seekable, xz};
use crate::error::Refusal;

/// Collects what is known of the units of one stream.
pub(crate) struct Framing {
    codec: Codec,
    /// For xz: each block's unpadded size and the size of its data.
    blocks: Vec<(u64, u64)>,
    table: TableWriter,
    has_units: bool,
}

impl Framing {
    pub(crate) fn new(codec: Codec) -> Self {
        Self {
            codec,
            blocks: Vec::new(),
            table: TableWriter::default(),
            has_units: false,
        }
    }

    /// Appends what stands before the first unit.
    pub(crate) fn begin(&self, out: &mut Vec<u8>) {
        match self.codec {
            Codec::Store | Codec::Gzip | Codec::Bzip2 | Codec::Zstd => {}
            Codec::Xz => xz::begin(out),
        }
    }

    /// Notes the next unit, in the order in which they stand in the stream.
    pub(crate) fn push(&mut self, unit: &Unit) -> Result<(), Refusal> {
        if unit.stored == 0 {
            return Ok(());
        }
        self.has_units = true;
        match self.codec {
            Codec::Store | Codec::Gzip | Codec::Bzip2 => Ok(()),
            Codec::Xz => {
                self.blocks.push((unit.unpadded, unit.raw));
                Ok(())
            }
            Codec::Zstd => self.table.push(unit.stored, unit.raw),
        }
    }

    /// Appends a zstd frame that decoders skip; the formats without such a
    /// thing leave `payload` out.
    ///
    /// `nibble` is the last hexadecimal digit of the frame's magic number.
    pub(crate) fn push_skippable(
        &mut self,
        nibble: u8,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        match self.codec {
            Codec::Store | Codec::Gzip | Codec::Bzip2 | Codec::Xz => Ok(()),
            Codec::Zstd => {
                let stored = seekable::push_skippable(nibble, payload, out)?;
                self.table.push(stored, 0)
            }
        }
    }

    /// Appends what stands after the last unit.
    pub(crate) fn end(mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        match self.codec {
            Codec::Store => Ok(()),
            Codec::Xz => {
                xz::end(&self.blocks, out);
                Ok(())
            }
            Codec::Gzip | Codec::Bzip2 => self.fill_if_empty(out),
            Codec::Zstd => {
                self.fill_if_empty(out)?;
                self.table.end(out)
            }
        }
    }

    /// No bytes at all are no gzip, bzip2 or zstd stream: they get one unit
    /// without data.
    fn fill_if_empty(&mut self, out: &mut Vec<u8>) -> Result<(), Refusal> {
        if self.has_units {
            return Ok(());
        }
        let settings = Settings::new(self.codec, Level::default());
        let unit = Compressor::new(self.codec, settings)?.compress(&[], out)?;
        self.push(&unit)
    }
}
