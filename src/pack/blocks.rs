//! Which contents stand in which block of a `.bcp`, and in what order.

use std::collections::HashMap;

use crate::entry::{Member, MemberKind};
use crate::format::bcp::{Content, Filter, MAX_STREAMS};

use super::output::Job;
use super::similar::gather;
use super::survey::Found;

/// What is packed, each content once, and how it is cut.
pub(super) struct Chosen {
    /// The number of a file that has each content.
    pub items: Vec<usize>,
    pub contents: Vec<Content>,
    /// What is said of each item, and its content; `None` for what is no file.
    pub of_item: Vec<Option<(Member, u32)>>,
    /// What each block decodes to, bytes.
    pub blocks: Vec<u32>,
}

/// How contents are ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// As files come.
    Path,
    /// Programs first, then what is alike together, else as files come.
    Similar,
}

/// How contents are cut into blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cut {
    /// The most that a block holds, bytes.
    pub size: u32,
    /// Contents of so many bytes begin a block.
    pub apart: Option<u64>,
}

/// Puts each content once into an order, and cuts them into blocks.
pub(super) fn choose(job: &Job<'_>, found: Vec<Found>, order: Order, how: Cut) -> Chosen {
    let mut numbers: HashMap<_, usize> = HashMap::new();
    let mut unique: Vec<Found> = Vec::new();
    let mut same: Vec<Option<(Member, usize)>> = Vec::new();
    same.resize_with(job.items.len(), || None);
    for mut one in found {
        let Content {
            size,
            hash,
            extents,
            filter: _,
        } = &one.content;
        let same_bytes = (*size, *hash, extents.clone());
        let at = *numbers.entry(same_bytes).or_insert(unique.len());
        let none = Member::new(MemberKind::File, []);
        same[one.item] = Some((std::mem::replace(&mut one.member, none), at));
        if at == unique.len() {
            unique.push(one);
        }
    }
    let sequence = match order {
        Order::Path => (0..unique.len()).collect(),
        Order::Similar => in_order(&unique),
    };
    let mut place = vec![0; unique.len()];
    for (at, number) in sequence.iter().enumerate() {
        place[*number] = at as u32;
    }
    let mut unique: Vec<Option<Found>> = unique.into_iter().map(Some).collect();
    let ordered = sequence.iter().filter_map(|number| unique[*number].take());
    let (items, mut contents): (Vec<_>, Vec<_>) =
        ordered.map(|one| (one.item, one.content)).unzip();
    keep_streams(&mut contents, MAX_STREAMS);
    Chosen {
        items,
        blocks: cut(&contents, how),
        contents,
        of_item: same
            .into_iter()
            .map(|one| one.map(|(member, at)| (member, place[at])))
            .collect(),
    }
}

/// Leaves as it is what would bring the inflated streams above `most`.
fn keep_streams(contents: &mut [Content], most: usize) {
    let mut left = most;
    for content in contents {
        match left.checked_sub(content.inflated().len()) {
            Some(rest) => left = rest,
            None => content.filter = Filter::None,
        }
    }
}

fn in_order(unique: &[Found]) -> Vec<usize> {
    let mut by_class: Vec<usize> = (0..unique.len()).collect();
    by_class.sort_by_key(|number| (unique[*number].class, *number));
    let about: Vec<_> = by_class
        .iter()
        .map(|number| (unique[*number].class, unique[*number].features))
        .collect();
    gather(&about).into_iter().map(|at| by_class[at]).collect()
}

/// A content of more than this part of a block is cut where a block ends: blocks
/// that end half full cost 2 % of a node_modules.
const SMALL: u32 = 16;

/// Sizes of blocks: full, but for small contents and for inflated streams that
/// would be cut.
fn cut(contents: &[Content], Cut { size, apart }: Cut) -> Vec<u32> {
    let mut cutter = Cutter {
        size,
        blocks: Vec::new(),
        filled: 0,
    };
    for content in contents {
        let stored = content.stored();
        if apart.is_some_and(|apart| stored >= apart) {
            cutter.end_block();
        }
        if stored <= u64::from(size / SMALL) {
            cutter.add_whole(stored);
            continue;
        }
        let mut at = 0;
        for stream in content.inflated() {
            cutter.add(stream.stored - at);
            cutter.add_whole(u64::from(stream.plain));
            at = stream.stored_end();
        }
        cutter.add(stored - at);
    }
    cutter.end_block();
    cutter.blocks
}

/// Where blocks end.
struct Cutter {
    size: u32,
    blocks: Vec<u32>,
    filled: u32,
}

impl Cutter {
    /// Adds bytes that may be cut anywhere.
    fn add(&mut self, mut left: u64) {
        while left > 0 {
            let taken = left.min(u64::from(self.size - self.filled));
            self.filled += taken as u32;
            left -= taken;
            if self.filled == self.size {
                self.end_block();
            }
        }
    }

    /// Adds bytes, no more than a block has, that stay together.
    fn add_whole(&mut self, length: u64) {
        if length > u64::from(self.size - self.filled) {
            self.end_block();
        }
        self.add(length);
    }

    fn end_block(&mut self) {
        if self.filled > 0 {
            self.blocks.push(self.filled);
            self.filled = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::deflate::{Memory, Setup, Strategy};
    use crate::format::bcp::Inflated;

    #[test]
    fn blocks_end_with_contents_where_they_can() {
        for (stored, blocks) in [
            (&[][..], &[][..]),
            (&[0, 0], &[]),
            (&[155, 10, 5], &[155, 15]),
            (&[155, 11, 5], &[160, 11]),
            (&[330, 3], &[160, 160, 13]),
            (&[160, 1], &[160, 1]),
        ] {
            let contents: Vec<Content> = stored.iter().map(|size| content(*size)).collect();
            assert_eq!(cut(&contents, WHOLE), blocks, "{stored:?}");
        }
    }

    #[test]
    fn large_contents_begin_a_block_if_they_are_to() {
        let how = Cut {
            size: 160,
            apart: Some(50),
        };
        let sizes = [10, 20, 50, 3, 330, 5, 49, 60];
        assert_eq!(cut(&sizes.map(content), how), [30, 53, 160, 160, 64, 60]);
    }

    const WHOLE: Cut = Cut {
        size: 160,
        apart: None,
    };

    fn content(size: u64) -> Content {
        Content {
            size,
            hash: [0; 32],
            filter: Filter::None,
            extents: None,
        }
    }

    #[test]
    fn no_block_ends_within_an_inflated_stream_and_there_are_not_too_many() {
        let setup = Setup {
            level: 6,
            window: 15,
            memory: Memory::Usual,
            strategy: Strategy::Usual,
        };
        let inflated = |offset, stored, plain| Inflated {
            offset,
            length: 10,
            stored,
            plain,
            setup,
        };
        let mut one = content(120);
        one.filter = Filter::Inflated(vec![inflated(10, 10, 100), inflated(40, 130, 160)]);
        assert_eq!(one.stored(), 10 + 100 + 20 + 160 + 70);
        assert_eq!(
            cut(&[content(155), one.clone()], WHOLE),
            [160, 125, 160, 70]
        );
        for (most, kept) in [(4, [2, 0, 2]), (3, [2, 0, 0]), (1, [0, 0, 0])] {
            let mut contents = [one.clone(), content(9), one.clone()];
            keep_streams(&mut contents, most);
            assert_eq!(contents.map(|one| one.inflated().len()), kept);
        }
    }
}
