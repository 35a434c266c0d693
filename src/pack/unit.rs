//! What one worker packs at a time: some members, or a part of a large file.
//!
//! Units are cut by size alone, at the beginning of members, so that they are
//! the same for any number of threads.

use std::ops::Range;
use std::sync::Arc;

use crate::entry::MemberKind;
use crate::error::Result;
use crate::extents::Extents;

use super::members::has_holes;
use super::reader::Reader;

/// A part of the archive.
#[derive(Debug, Clone)]
pub(super) enum Unit {
    /// Whole members.
    Members(Range<usize>),
    /// Stored bytes of one member; its header with those from 0 on.
    Part {
        item: usize,
        stored: Range<u64>,
        is_last: bool,
        /// Where the file has the data that is stored, if its holes are left
        /// out: all parts go by one map.
        extents: Option<Arc<Extents>>,
    },
}

/// What a member takes in a unit besides its content, in bytes: about a header.
const HEADER: u64 = 512;

/// How large units are, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// About as much as there is in a unit.
    pub unit: u64,
    /// A file of more than this is cut into parts.
    pub whole: u64,
    pub part: u64,
    pub holes: Holes,
}

/// What becomes of a file's holes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holes {
    /// They are left out.
    Keep,
    /// They are zeros as any other.
    Fill,
}

/// Cuts the members into units. Large files with holes are opened, to see how
/// much there is to store of them.
pub(super) fn cut(reader: &mut Reader<'_>, sizes: Sizes) -> Result<Vec<Unit>> {
    let mut units = Vec::new();
    let mut first = 0;
    let mut filled = 0;
    for number in 0..reader.items().len() {
        let Content { stored, extents } = content(reader, number, sizes)?;
        if stored > sizes.whole {
            if first < number {
                units.push(Unit::Members(first..number));
            }
            (first, filled) = (number + 1, 0);
            let mut at = 0;
            while at < stored {
                let end = (at + sizes.part).min(stored);
                units.push(Unit::Part {
                    item: number,
                    stored: at..end,
                    is_last: end == stored,
                    extents: extents.clone(),
                });
                at = end;
            }
            continue;
        }
        if filled > 0 && filled + stored + HEADER > sizes.unit {
            units.push(Unit::Members(first..number));
            (first, filled) = (number, 0);
        }
        filled += stored + HEADER;
    }
    if first < reader.items().len() {
        units.push(Unit::Members(first..reader.items().len()));
    }
    Ok(units)
}

/// What is stored of a member.
struct Content {
    /// Bytes; of a file that isn't cut perhaps a little more or less.
    stored: u64,
    extents: Option<Arc<Extents>>,
}

fn content(reader: &mut Reader<'_>, number: usize, sizes: Sizes) -> Result<Content> {
    let item = *reader.item(number);
    let stat = reader.stat(&item);
    let (size, allocated) = (stat.size, stat.allocated);
    let leaves_out = sizes.holes == Holes::Keep && has_holes(stat);
    let is_file = item.kind == MemberKind::File;
    let extents = match is_file && leaves_out && size > sizes.whole {
        true => {
            let (opened, _) = reader.open(&item)?;
            reader.extents(&item, &opened)?
        }
        false => None,
    };
    let stored = match &extents {
        _ if !is_file => 0,
        Some(extents) => extents.data(),
        None if leaves_out && size <= sizes.whole => allocated.min(size),
        None => size,
    };
    Ok(Content {
        stored,
        extents: extents.map(Arc::new),
    })
}
