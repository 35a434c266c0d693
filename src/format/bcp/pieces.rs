//! Where contents stand in blocks: what follows from the sizes alone
//! (docs/format.md, Manifest).

use std::ops::Range;

use super::manifest::{Content, Manifest};

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
    /// Which of its data they become.
    pub data: Range<u64>,
    /// Where they are in the block.
    pub range: Range<usize>,
}

impl Layout {
    pub(crate) fn new(manifest: Manifest) -> Self {
        Self {
            contents: sums(manifest.contents.iter().map(Content::stored)),
            blocks: sums(manifest.blocks.iter().map(|size| u64::from(*size))),
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
        let data_at = |stored| self.manifest.contents[content].data_at(stored);
        (begin < finish).then(|| Piece {
            content,
            stored: begin - from..finish - from,
            data: data_at(begin - from)..data_at(finish - from),
            range: (begin - start) as usize..(finish - start) as usize,
        })
    }

    /// The block that has the byte `place` of a content's data, and its piece; `None`
    /// behind the last.
    pub(crate) fn piece_at(&self, content: usize, place: u64) -> Option<(usize, Piece)> {
        let stored = self.manifest.contents[content].stored_at(place);
        let at = self.contents[content].checked_add(stored)?;
        if at >= self.contents[content + 1] {
            return None;
        }
        let block = self.blocks.partition_point(|before| *before <= at) - 1;
        Some((block, self.piece(block, content)?))
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

    /// Where each content begins if the data of all stands in a row, and where
    /// the last one ends.
    pub(crate) fn content_starts(&self) -> Vec<u64> {
        sums(self.manifest.contents.iter().map(Content::data))
    }

    /// Where each block begins in that row.
    pub(crate) fn block_starts(&self) -> Vec<u64> {
        let blocks = 0..self.manifest.blocks.len();
        sums(blocks.map(|block| {
            let pieces = self.pieces(block);
            pieces.map(|piece| piece.data.end - piece.data.start).sum()
        }))
    }

    /// Whether a content goes on in another block.
    pub(crate) fn is_cut(&self, content: usize) -> bool {
        self.blocks_of(content).len() > 1
    }
}

/// What lies before each, and all of it.
fn sums(sizes: impl Iterator<Item = u64>) -> Vec<u64> {
    let mut sum = 0;
    let mut sums = vec![0];
    sums.extend(sizes.map(|size| {
        sum += size;
        sum
    }));
    sums
}
