//! What filters do to a piece: from the data of a file to what is stored of it,
//! and back (docs/format.md, Filters).

use std::ops::Range;

use flate2::{Decompress, FlushDecompress, Status};

use super::manifest::{Content, Filter, Inflated};
use super::pieces::Piece;
use crate::codec::deflate::{Append, Deflater};
use crate::codec::{arm64, x86};
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
            Filter::Inflated(streams) => {
                self.deflate(streams_of(streams, piece), piece, stored)?;
                return Ok(&self.data);
            }
        }
        Ok(stored)
    }

    /// Makes the streams of a piece again, between what is stored as it is.
    fn deflate(
        &mut self,
        streams: &[Inflated],
        piece: &Piece,
        stored: &[u8],
    ) -> Result<(), Refusal> {
        self.data.clear();
        let mut at = 0;
        for stream in streams {
            let start = (stream.stored - piece.stored.start) as usize;
            let end = start + stream.plain as usize;
            self.data.extend_from_slice(&stored[at..start]);
            let mut output = Append {
                out: &mut self.data,
                left: stream.length as usize,
            };
            let plain = &stored[start..end];
            let fits = self.deflater.deflate(plain, stream.setup, &mut output);
            if !fits || output.left > 0 {
                let cause = "what was inflated doesn't deflate to its size";
                return Err(Refusal::malformed(cause));
            }
            at = end;
        }
        self.data.extend_from_slice(&stored[at..]);
        Ok(())
    }
}

/// Makes what is stored of a piece from its `data`, which has as many bytes: for
/// all filters but the one that inflates.
pub(crate) fn filter(filter: &Filter, piece: &Piece, data: &mut [u8]) {
    match filter {
        Filter::None | Filter::Inflated(_) => {}
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

/// Replaces `out` by what is stored of a piece whose streams are inflated;
/// `None` if its `data` isn't what they were found in.
pub(crate) fn inflate(
    streams: &[Inflated],
    piece: &Piece,
    data: &[u8],
    out: &mut Vec<u8>,
) -> Option<()> {
    out.clear();
    let mut at = 0;
    for stream in streams_of(streams, piece) {
        let start = (stream.offset - piece.data.start) as usize;
        let end = start + stream.length as usize;
        out.extend_from_slice(&data[at..start]);
        let plain = out.len() + stream.plain as usize;
        out.reserve(stream.plain as usize);
        let mut inflater = Decompress::new(false);
        let status = inflater.decompress_vec(&data[start..end], out, FlushDecompress::Finish);
        let is_whole = inflater.total_in() == u64::from(stream.length) && out.len() == plain;
        if !matches!(status, Ok(Status::StreamEnd)) || !is_whole {
            return None;
        }
        at = end;
    }
    out.extend_from_slice(&data[at..]);
    Some(())
}

/// Those that stand in a piece: none stands in two.
fn streams_of<'s>(streams: &'s [Inflated], piece: &Piece) -> &'s [Inflated] {
    let first = streams.partition_point(|stream| stream.stored < piece.stored.start);
    let last = streams.partition_point(|stream| stream.stored < piece.stored.end);
    &streams[first..last]
}

/// What of a piece its filter goes over, and where that is in the content.
fn within(range: &Range<u64>, piece: &Piece) -> Option<(Range<usize>, u64)> {
    let start = range.start.max(piece.data.start);
    let end = range.end.min(piece.data.end);
    let within = |at: u64| (at - piece.data.start) as usize;
    (start < end).then(|| (within(start)..within(end), start))
}
