//! What one worker packs at a time: some members, or a part of a large file.
//!
//! Units are cut by size alone, at the beginning of members, so that they are
//! the same for any number of threads.

use std::ops::Range;

use crate::entry::MemberKind;

use super::members::{Item, Source, has_holes};

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
    /// They are left out: how much is stored of such a file shows when it is
    /// read, and so it is never cut.
    Keep,
    /// They are zeros as any other.
    Fill,
}

/// Cuts the members into units.
pub(super) fn cut(sources: &[Source], items: &[Item], sizes: Sizes) -> Vec<Unit> {
    let Sizes {
        unit: size,
        whole,
        part,
        holes,
    } = sizes;
    let mut units = Vec::new();
    let mut first = 0;
    let mut filled = 0;
    for (number, item) in items.iter().enumerate() {
        let stat = sources[item.source as usize].stat(item.node);
        let keeps_holes = holes == Holes::Keep && has_holes(stat);
        let is_large = item.kind == MemberKind::File && stat.size > whole && !keeps_holes;
        let content = match item.kind {
            MemberKind::File if keeps_holes => stat.allocated.min(stat.size),
            MemberKind::File => stat.size,
            MemberKind::Dir | MemberKind::Symlink | MemberKind::Hardlink => 0,
        };
        if is_large {
            if first < number {
                units.push(Unit::Members(first..number));
            }
            (first, filled) = (number + 1, 0);
            let mut at = 0;
            while at < stat.size {
                let end = (at + part).min(stat.size);
                units.push(Unit::Part {
                    item: number,
                    stored: at..end,
                    is_last: end == stat.size,
                });
                at = end;
            }
            continue;
        }
        if filled > 0 && filled + content + HEADER > size {
            units.push(Unit::Members(first..number));
            (first, filled) = (number, 0);
        }
        filled += content + HEADER;
    }
    if first < items.len() {
        units.push(Unit::Members(first..items.len()));
    }
    units
}
