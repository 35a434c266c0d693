//! Where contents stand in blocks: what follows from the sizes alone
//! (docs/format.md, Manifest), and what filters do there (Block).

use std::ops::Range;

use super::manifest::{Content, Filter, Manifest};
use crate::codec::x86;

/// A manifest, and where its contents stand in the blocks.
pub(crate) struct Layout {
    pub manifest: Manifest,
    /// Stored bytes before each content, and of all.
    contents: Vec<u64>,
    /// The same for blocks.
    blocks: Vec<u64>,
}

/// What one block holds of a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub content: usize,
    /// Which of the content's stored bytes they are.
    pub stored: Range<u64>,
    /// Where they are in the block.
    pub range: Range<usize>,
}

impl Layout {
    pub(crate) fn new(manifest: Manifest) -> Self {
        let sums = |sizes: &mut dyn Iterator<Item = u64>| {
            let mut sum = 0;
            let mut sums = vec![0];
            sums.extend(sizes.map(|size| {
                sum += size;
                sum
            }));
            sums
        };
        Self {
            contents: sums(&mut manifest.contents.iter().map(Content::stored)),
            blocks: sums(&mut manifest.blocks.iter().map(|size| u64::from(*size))),
            manifest,
        }
    }

    /// The pieces of a block, in their order.
    pub(crate) fn pieces(&self, block: usize) -> impl Iterator<Item = Piece> {
        let start = self.blocks[block];
        let first = self.contents.partition_point(|before| *before <= start) - 1;
        let contents = first..self.manifest.contents.len();
        let rest = contents.map_while(move |content| {
            let begins = self.contents[content] < self.blocks[block + 1];
            begins.then(|| self.piece(block, content))
        });
        rest.flatten()
    }

    /// What a block holds of a content.
    pub(crate) fn piece(&self, block: usize, content: usize) -> Option<Piece> {
        let (start, end) = (self.blocks[block], self.blocks[block + 1]);
        let (from, to) = (self.contents[content], self.contents[content + 1]);
        let (begin, finish) = (from.max(start), to.min(end));
        (begin < finish).then(|| Piece {
            content,
            stored: begin - from..finish - from,
            range: (begin - start) as usize..(finish - start) as usize,
        })
    }

    /// The blocks that a content has bytes in.
    pub(crate) fn blocks_of(&self, content: usize) -> Range<usize> {
        let (from, to) = (self.contents[content], self.contents[content + 1]);
        if from == to {
            return 0..0;
        }
        let first = self.blocks.partition_point(|before| *before <= from) - 1;
        let last = self.blocks.partition_point(|before| *before < to) - 1;
        first..last + 1
    }

    /// Stored bytes before a content, in all blocks.
    pub(crate) fn start_of(&self, content: usize) -> u64 {
        self.contents[content]
    }

    /// Whether a content goes on in another block.
    pub(crate) fn is_cut(&self, content: usize) -> bool {
        self.blocks_of(content).len() > 1
    }
}

/// Undoes the filter of a piece.
pub(crate) fn unfilter(filter: &Filter, piece: &Piece, bytes: &mut [u8]) {
    if let Some((part, offset)) = filtered(filter, piece) {
        x86::decode(&mut bytes[part], offset);
    }
}

/// Applies the filter of a piece.
pub(crate) fn filter(filter: &Filter, piece: &Piece, bytes: &mut [u8]) {
    if let Some((part, offset)) = filtered(filter, piece) {
        x86::encode(&mut bytes[part], offset);
    }
}

/// What of a piece its filter goes over, and where that is in the content.
fn filtered(filter: &Filter, piece: &Piece) -> Option<(Range<usize>, u64)> {
    match filter {
        Filter::None => None,
        Filter::X86(range) => {
            let start = range.start.max(piece.stored.start);
            let end = range.end.min(piece.stored.end);
            let within = |at: u64| (at - piece.stored.start) as usize;
            (start < end).then(|| (within(start)..within(end), start))
        }
    }
}
