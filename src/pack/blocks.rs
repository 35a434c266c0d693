//! Which contents stand in which block of a `.bcp`, and in what order.

use std::collections::HashMap;

use crate::codec::x86_streams;
use crate::entry::{Member, MemberKind};
use crate::format::bcp::{Content, Filter, Form, MAX_PARTS, Part};

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
    keep_parts(&mut contents, MAX_PARTS);
    Chosen {
        items,
        blocks: cut(&mut contents, how),
        contents,
        of_item: same
            .into_iter()
            .map(|one| one.map(|(member, at)| (member, place[at])))
            .collect(),
    }
}

/// Leaves as it is what would bring the parts above `most`.
fn keep_parts(contents: &mut [Content], most: usize) {
    let mut left = most;
    for content in contents {
        match left.checked_sub(content.parts().len()) {
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

/// Sizes of blocks: full, but for small contents and for parts that would be cut. Joins
/// parts of code that go on in each other and stand in one block.
fn cut(contents: &mut [Content], Cut { size, apart }: Cut) -> Vec<u32> {
    let mut cutter = Cutter {
        size,
        blocks: Vec::new(),
        filled: 0,
    };
    for content in contents {
        let stored = content.stored();
        let is_apart = apart.is_some_and(|apart| stored >= apart);
        if is_apart || (stored <= u64::from(size / SMALL) && stored > u64::from(cutter.room())) {
            cutter.end_block();
        }
        cutter.add_content(content);
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
            let taken = left.min(u64::from(self.room()));
            self.filled += taken as u32;
            left -= taken;
            if self.filled == self.size {
                self.end_block();
            }
        }
    }

    fn add_content(&mut self, content: &mut Content) {
        let data = content.data();
        let mut end = 0;
        if let Filter::Parts(parts) = &mut content.filter {
            for part in std::mem::take(parts) {
                self.add(part.offset - end);
                end = part.end();
                self.add_part(part, parts);
            }
            Part::place(parts);
        }
        self.add(data - end);
    }

    /// Adds a part, no larger than a block, and joins it to the last of those `before`
    /// where it can.
    fn add_part(&mut self, part: Part, before: &mut Vec<Part>) {
        let is_in_block = self.filled > 0;
        if let Some(last) = before.last_mut().filter(|_| is_in_block)
            && let Some(more) = more_by(last, &part).filter(|more| *more <= self.room())
        {
            last.length += part.length;
            last.size += more;
            self.add(u64::from(more));
            return;
        }
        if part.size > self.room() {
            self.end_block();
        }
        self.add(u64::from(part.size));
        before.push(part);
    }

    /// Bytes that the block still takes.
    fn room(&self) -> u32 {
        self.size - self.filled
    }

    fn end_block(&mut self) {
        if self.filled > 0 {
            self.blocks.push(self.filled);
            self.filled = 0;
        }
    }
}

/// By how many bytes `last` grows if `part` is joined to it; `None` if it can't be.
fn more_by(last: &Part, part: &Part) -> Option<u32> {
    let (unit, front) = match last.form {
        Form::X86Streams => (x86_streams::SEGMENT as u32, x86_streams::FRONT as u32),
        Form::Arm64 => (4, 0),
        Form::Rows(numbers) => (4 * u32::from(numbers), 0),
        Form::Unwind => (1, 0),
        Form::Inflated(_) => return None,
    };
    let goes_on = last.form == part.form && last.end() == part.offset;
    (goes_on && last.length.is_multiple_of(unit)).then(|| part.size - front)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::deflate::{Memory, Setup, Strategy};

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
            let contents = stored.iter().map(|size| content(*size));
            let mut contents: Vec<Content> = contents.collect();
            assert_eq!(cut(&mut contents, WHOLE), blocks, "{stored:?}");
        }
    }

    #[test]
    fn large_contents_begin_a_block_if_they_are_to() {
        let how = Cut {
            size: 160,
            apart: Some(50),
        };
        let sizes = [10, 20, 50, 3, 330, 5, 49, 60];
        let mut contents = sizes.map(content);
        assert_eq!(cut(&mut contents, how), [30, 53, 160, 160, 64, 60]);
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

    fn part(form: Form, offset: u64, length: u32, size: u32) -> Part {
        Part {
            offset,
            length,
            stored: 0,
            size,
            form,
        }
    }

    const INFLATED: Form = Form::Inflated(Setup {
        level: 6,
        window: 15,
        memory: Memory::Usual,
        strategy: Strategy::Usual,
    });

    fn with_parts(size: u64, mut parts: Vec<Part>) -> Content {
        Part::place(&mut parts);
        let mut one = content(size);
        one.filter = Filter::Parts(parts);
        one
    }

    #[test]
    fn no_block_ends_within_an_inflated_stream_and_there_are_not_too_many() {
        let streams = vec![part(INFLATED, 10, 10, 100), part(INFLATED, 40, 10, 160)];
        let one = with_parts(120, streams);
        assert_eq!(one.stored(), 10 + 100 + 20 + 160 + 70);
        let mut contents = [content(155), one.clone()];
        assert_eq!(cut(&mut contents, WHOLE), [160, 125, 160, 70]);
        assert_eq!(contents[1], one);
        for (most, kept) in [(4, [2, 0, 2]), (3, [2, 0, 0]), (1, [0, 0, 0])] {
            let mut contents = [one.clone(), content(9), one.clone()];
            keep_parts(&mut contents, most);
            assert_eq!(contents.map(|one| one.parts().len()), kept);
        }
    }

    #[test]
    fn code_is_joined_within_a_block_and_cut_between_segments() {
        const SEGMENT: u32 = x86_streams::SEGMENT as u32;
        let code = |number: u32, length, size| {
            let offset = 5 + u64::from(number * SEGMENT);
            part(Form::X86Streams, offset, length, size)
        };
        let how = Cut {
            size: 2 * SEGMENT + 100,
            apart: None,
        };
        let segments = (0..4).map(|number| code(number, SEGMENT, SEGMENT + 20));
        let mut parts: Vec<Part> = segments.collect();
        parts.push(code(4, 7, 19));
        parts.push(part(INFLATED, parts[4].end(), 50, 60));
        let mut contents = [with_parts(4 * u64::from(SEGMENT) + 100, parts)];
        let blocks = cut(&mut contents, how);
        let Filter::Parts(parts) = &contents[0].filter else {
            panic!("{contents:?}");
        };
        let expected = [
            code(0, 2 * SEGMENT, 2 * SEGMENT + 28),
            code(2, 2 * SEGMENT + 7, 2 * SEGMENT + 35),
            part(INFLATED, 5 + 4 * u64::from(SEGMENT) + 7, 50, 60),
        ];
        let mut expected = expected.to_vec();
        Part::place(&mut expected);
        assert_eq!(parts, &expected);
        assert_eq!(blocks, [2 * SEGMENT + 33, 2 * SEGMENT + 95 + 5, 33]);
        assert_eq!(
            contents[0].stored(),
            blocks.iter().map(|size| u64::from(*size)).sum::<u64>()
        );
    }
}
