//! What filters do to a piece: from the data of a file to what is stored of it,
//! and back (docs/format.md, Filters). Whoever packs undoes every part, and compares, before
//! it is written.

use std::ops::Range;

use flate2::{Decompress, FlushDecompress, Status};

use super::manifest::{Content, Filter, Form, Part};
use super::pieces::Piece;
use crate::codec::deflate::{Append, Deflater, Setup};
use crate::codec::x86_streams::{self, Splitter};
use crate::codec::{arm64, rows, unwind, x86};
use crate::error::Refusal;

/// Undoes filters, piece by piece.
#[derive(Default)]
pub(crate) struct Restorer {
    deflater: Deflater,
    data: Vec<u8>,
}

impl Restorer {
    /// The data that a piece of `content` becomes. `stored` is what the block
    /// holds of it, and is changed.
    pub(crate) fn restore<'r>(
        &'r mut self,
        content: &Content,
        piece: &Piece,
        stored: &'r mut [u8],
    ) -> Result<&'r [u8], Refusal> {
        match &content.filter {
            Filter::None => {}
            Filter::X86(range) => {
                if let Some((part, offset)) = within(range, piece) {
                    x86::decode(&mut stored[part], offset);
                }
            }
            Filter::Arm64(range) => {
                if let Some((part, offset)) = within(range, piece) {
                    arm64::decode(&mut stored[part], offset);
                }
            }
            Filter::Parts(parts) => {
                self.rebuild(parts_of(parts, piece), piece, stored)?;
                return Ok(&self.data);
            }
        }
        Ok(stored)
    }

    /// Makes the parts of a piece again, between what is stored as it is.
    fn rebuild(&mut self, parts: &[Part], piece: &Piece, stored: &[u8]) -> Result<(), Refusal> {
        self.data.clear();
        // Exactly: what grows step by step takes twice the memory.
        self.data
            .reserve_exact((piece.data.end - piece.data.start) as usize);
        let mut at = 0;
        for part in parts {
            let start = (part.stored - piece.stored.start) as usize;
            let end = start + part.size as usize;
            self.data.extend_from_slice(&stored[at..start]);
            self.rebuild_part(part, &stored[start..end])?;
            at = end;
        }
        self.data.extend_from_slice(&stored[at..]);
        Ok(())
    }

    fn rebuild_part(&mut self, part: &Part, held: &[u8]) -> Result<(), Refusal> {
        let (start, length) = (self.data.len(), part.length as usize);
        match part.form {
            Form::Inflated(setup) => return self.deflate(setup, held, length),
            Form::X86Streams => {
                self.data.resize(start + length, 0);
                let wrong = || Refusal::malformed("code and its addresses don't go together");
                x86_streams::decode(held, part.offset, &mut self.data[start..])
                    .ok_or_else(wrong)?;
            }
            Form::Arm64 => arm64::decode(copied(held, &mut self.data), part.offset),
            Form::Rows(numbers) => {
                rows::decode(copied(held, &mut self.data), 4 * usize::from(numbers));
            }
            Form::Unwind => unwind::decode(copied(held, &mut self.data), part.offset),
        }
        Ok(())
    }

    fn deflate(&mut self, setup: Setup, plain: &[u8], length: usize) -> Result<(), Refusal> {
        let mut output = Append {
            out: &mut self.data,
            left: length,
        };
        let fits = self.deflater.deflate(plain, setup, &mut output);
        match fits && output.left == 0 {
            true => Ok(()),
            false => {
                let cause = "what was inflated doesn't deflate to its size";
                Err(Refusal::malformed(cause))
            }
        }
    }
}

/// Makes what is stored of a piece from its `data`, which has as many bytes: for
/// all filters but those of parts.
pub(crate) fn filter(filter: &Filter, piece: &Piece, data: &mut [u8]) {
    match filter {
        Filter::None | Filter::Parts(_) => {}
        Filter::X86(range) => {
            if let Some((part, offset)) = within(range, piece) {
                x86::encode(&mut data[part], offset);
            }
        }
        Filter::Arm64(range) => {
            if let Some((part, offset)) = within(range, piece) {
                arm64::encode(&mut data[part], offset);
            }
        }
    }
}

/// Makes what is stored of parts, the other way round than [`Restorer`].
#[derive(Default)]
pub(crate) struct Transformer {
    splitter: Splitter,
}

impl Transformer {
    /// Appends what is stored of a piece with `parts`; `None` if its `data` isn't what they
    /// were found in.
    pub(crate) fn transform(
        &mut self,
        parts: &[Part],
        piece: &Piece,
        data: &[u8],
        out: &mut Vec<u8>,
    ) -> Option<()> {
        out.reserve_exact(piece.range.len());
        let mut at = 0;
        for part in parts_of(parts, piece) {
            let start = (part.offset - piece.data.start) as usize;
            let end = start + part.length as usize;
            out.extend_from_slice(&data[at..start]);
            let behind = out.len() + part.size as usize;
            let bytes = &data[start..end];
            self.append(part, bytes, out)?;
            if out.len() != behind {
                return None;
            }
            at = end;
        }
        out.extend_from_slice(&data[at..]);
        Some(())
    }

    /// Appends what is stored of a part that has this `data`.
    pub(crate) fn append(&mut self, part: &Part, data: &[u8], out: &mut Vec<u8>) -> Option<()> {
        match part.form {
            Form::Inflated(_) => inflate(data, part.size as usize, out)?,
            Form::X86Streams => self.splitter.encode(data, part.offset, out),
            Form::Arm64 => arm64::encode(copied(data, out), part.offset),
            Form::Rows(numbers) => rows::encode(copied(data, out), 4 * usize::from(numbers)),
            Form::Unwind => unwind::encode(copied(data, out), part.offset),
        }
        Some(())
    }

    /// How many bytes are stored of a part of code or of a table, which has this `data` at
    /// `offset`.
    pub(crate) fn size(&mut self, form: Form, offset: u64, data: &[u8]) -> usize {
        match form {
            Form::X86Streams => x86_streams::FRONT + self.splitter.measure(data, offset),
            Form::Inflated(_) | Form::Arm64 | Form::Rows(_) | Form::Unwind => data.len(),
        }
    }
}

/// Appends `bytes`. Returns them where they are now.
fn copied<'o>(bytes: &[u8], out: &'o mut Vec<u8>) -> &'o mut [u8] {
    let start = out.len();
    out.extend_from_slice(bytes);
    &mut out[start..]
}

/// Appends the `size` bytes that all of `stream` inflates to.
fn inflate(stream: &[u8], size: usize, out: &mut Vec<u8>) -> Option<()> {
    out.reserve(size);
    let mut inflater = Decompress::new(false);
    let status = inflater.decompress_vec(stream, out, FlushDecompress::Finish);
    let is_whole =
        matches!(status, Ok(Status::StreamEnd)) && inflater.total_in() == stream.len() as u64;
    is_whole.then_some(())
}

/// Those that stand in a piece: none stands in two.
fn parts_of<'p>(parts: &'p [Part], piece: &Piece) -> &'p [Part] {
    let first = parts.partition_point(|part| part.stored < piece.stored.start);
    let last = parts.partition_point(|part| part.stored < piece.stored.end);
    &parts[first..last]
}

/// What of a piece its filter goes over, and where that is in the content.
fn within(range: &Range<u64>, piece: &Piece) -> Option<(Range<usize>, u64)> {
    let start = range.start.max(piece.data.start);
    let end = range.end.min(piece.data.end);
    let within = |at: u64| (at - piece.data.start) as usize;
    (start < end).then(|| (within(start)..within(end), start))
}
