//! A tree that stands in an archive: what a packing reads in place of files.
//!
//! Whoever makes one has checked the members; their contents were checked, or
//! are when they are read.

use std::ops::Range;

use crate::archive::store::Store;
use crate::error::Refusal;
use crate::extents::{Extent, Extents};
use crate::plan::NodeId;

/// The contents of an archive, and what it says of each node of its tree.
pub(crate) struct Archived {
    pub store: Store,
    /// By node.
    pub facts: Vec<Fact>,
}

/// What an archive says of one node besides what a file system would.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fact {
    /// It is a member of what is written.
    pub is_written: bool,
    /// The archive says when it was last modified.
    pub has_time: bool,
    /// The user attributes, sorted by name.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where its stored bytes begin in the store.
    pub start: u64,
    /// Where in the file these belong; `None` for all of it, without holes.
    pub stored: Option<Extents>,
    /// Where the file has data, as a packing writes that down.
    pub extents: Option<Extents>,
}

impl Archived {
    pub(super) fn fact(&self, node: NodeId) -> &Fact {
        &self.facts[node.index()]
    }

    /// Fills `room` with the bytes `range` of a file.
    pub(super) fn read(
        &self,
        node: NodeId,
        range: Range<u64>,
        room: &mut [u8],
    ) -> Result<(), Refusal> {
        let fact = self.fact(node);
        let Some(extents) = &fact.stored else {
            return self.store.read(room, fact.start + range.start);
        };
        room.fill(0);
        let around = extents.around(range.start);
        for ((start, length), before) in around.take_while(|((start, _), _)| *start < range.end) {
            let from = start.max(range.start);
            let to = (start + length).min(range.end);
            if from < to {
                let here = (from - range.start) as usize..(to - range.start) as usize;
                let at = fact.start + before + (from - start);
                self.store.read(&mut room[here], at)?;
            }
        }
        Ok(())
    }
}

/// Where parts of a sparse file begin and end in a tar.
pub(super) const BLOCK: u64 = 512;

/// More parts than this are no gain, and no map that readers take.
pub(super) const MAX_EXTENTS: usize = 10_000;

/// Extents of a file of `size` bytes as a packing finds them on a disk: in
/// blocks, none beside another; `None` where there are no holes, or too many.
pub(crate) fn in_blocks(told: &Extents, size: u64) -> Option<Extents> {
    let mut extents: Vec<Extent> = Vec::new();
    for (start, length) in told.iter().filter(|(_, length)| *length > 0) {
        let end = (start + length).next_multiple_of(BLOCK).min(size);
        let start = start - start % BLOCK;
        match extents.last_mut() {
            Some((first, length)) if *first + *length >= start => *length = end - *first,
            Some(_) | None => extents.push((start, end - start)),
        }
    }
    let stored: u64 = extents.iter().map(|(_, length)| length).sum();
    (stored < size && extents.len() <= MAX_EXTENTS).then(|| extents.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_are_rounded_to_blocks_and_joined() {
        for (told, size, expected) in [
            (&[][..], 4096, Some(vec![])),
            (&[(4096, 0)], 4096, Some(vec![])),
            (&[(0, 4096)], 4096, None),
            (
                &[(1, 10), (511, 2), (5000, 10)],
                9000,
                Some(vec![(0, 1024), (4608, 512)]),
            ),
            (&[(1024, 3)], 1027, Some(vec![(1024, 3)])),
        ] {
            assert_eq!(
                in_blocks(&told.to_vec().into(), size),
                expected.map(Extents::from),
                "{told:?}"
            );
        }
    }
}
