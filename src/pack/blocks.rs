//! Which contents stand in which block of a `.bcp`, and in what order.

use std::collections::HashMap;

use crate::format::bcp::Content;

use super::output::Job;
use super::similar::gather;
use super::survey::Found;

/// What is packed, each content once, and how it is cut.
pub(super) struct Chosen {
    /// The number of a file that has each content.
    pub items: Vec<usize>,
    pub contents: Vec<Content>,
    /// The content of each item; `None` for what is no file.
    pub of_item: Vec<Option<u32>>,
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

/// Puts each content once into an order, and cuts them into blocks of at most
/// `size` bytes.
pub(super) fn choose(job: &Job<'_>, found: Vec<Found>, order: Order, size: u32) -> Chosen {
    let mut numbers: HashMap<_, usize> = HashMap::new();
    let mut unique: Vec<Found> = Vec::new();
    let mut same = vec![None; job.items.len()];
    for one in found {
        let Content {
            size,
            hash,
            extents,
            filter: _,
        } = &one.content;
        let same_bytes = (*size, *hash, extents.clone());
        let at = *numbers.entry(same_bytes).or_insert(unique.len());
        same[one.item] = Some(at);
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
    let (items, contents): (Vec<_>, Vec<_>) = ordered.map(|one| (one.item, one.content)).unzip();
    let stored: Vec<u64> = contents.iter().map(Content::stored).collect();
    Chosen {
        items,
        contents,
        of_item: same.into_iter().map(|at| at.map(|at| place[at])).collect(),
        blocks: cut(&stored, size),
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

/// Sizes of blocks: full, but for small contents that would be cut.
fn cut(stored: &[u64], size: u32) -> Vec<u32> {
    let mut blocks = Vec::new();
    let mut filled = 0;
    for content in stored {
        let mut left = *content;
        let is_small = left <= u64::from(size / SMALL);
        if is_small && left > u64::from(size - filled) {
            blocks.push(filled);
            filled = 0;
        }
        while left > 0 {
            let taken = left.min(u64::from(size - filled));
            filled += taken as u32;
            left -= taken;
            if filled == size {
                blocks.push(filled);
                filled = 0;
            }
        }
    }
    if filled > 0 {
        blocks.push(filled);
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(cut(stored, 160), blocks, "{stored:?}");
        }
    }
}
