//! The columns of a manifest's tables: numbers of one width, one behind the
//! other, each column once and in ascending order.

use super::layout::{SECTION, Section};
use crate::error::{ErrorKind, Refusal};

pub(super) const COUNTS: u32 = 1;
pub(super) const KINDS: u32 = 16;
pub(super) const PARENTS: u32 = 17;
pub(super) const NAME_LENGTHS: u32 = 18;
pub(super) const NAMES: u32 = 19;
pub(super) const MODES: u32 = 20;
pub(super) const SECONDS: u32 = 21;
pub(super) const NANOSECONDS: u32 = 22;
pub(super) const CONTENT_NUMBERS: u32 = 23;
pub(super) const FIRST_NAMES: u32 = 24;
pub(super) const TARGET_LENGTHS: u32 = 25;
pub(super) const TARGETS: u32 = 26;
pub(super) const ATTRIBUTE_LENGTHS: u32 = 27;
pub(super) const ATTRIBUTES: u32 = 28;
pub(super) const OWNERS: u32 = 29;
pub(super) const SIZES: u32 = 48;
pub(super) const HASHES: u32 = 49;
pub(super) const FILTERS: u32 = 50;
pub(super) const EXTENTS: u32 = 51;
pub(super) const FILTERED: u32 = 52;
pub(super) const PARTS: u32 = 53;
pub(super) const BLOCK_SIZES: u32 = 64;

/// All of them.
const COLUMNS: [u32; 22] = [
    COUNTS,
    KINDS,
    PARENTS,
    NAME_LENGTHS,
    NAMES,
    MODES,
    SECONDS,
    NANOSECONDS,
    CONTENT_NUMBERS,
    FIRST_NAMES,
    TARGET_LENGTHS,
    TARGETS,
    ATTRIBUTE_LENGTHS,
    ATTRIBUTES,
    OWNERS,
    SIZES,
    HASHES,
    FILTERS,
    EXTENTS,
    FILTERED,
    PARTS,
    BLOCK_SIZES,
];

/// Of an entry's kind.
pub(super) const HAS_TIME: u8 = 1 << 4;
/// Forms of parts.
pub(super) const X86_STREAMS: u16 = 10;
pub(super) const ARM64: u16 = 11;
/// With the width of a row in the bits above.
pub(super) const ROWS: u16 = 12;
pub(super) const UNWIND: u16 = 13;

/// Columns that are written.
#[derive(Default)]
pub(super) struct Writer {
    tables: Vec<u8>,
}

impl Writer {
    /// Adds a column, even an empty one.
    pub(super) fn push(&mut self, number: u32, values: &[u8]) {
        let section = Section::new(number, values.len() as u64);
        self.tables.extend_from_slice(&section.to_bytes());
        self.tables.extend_from_slice(values);
    }

    /// Adds a column that is left out where it has no values.
    pub(super) fn push_some(&mut self, number: u32, values: &[u8]) {
        if !values.is_empty() {
            self.push(number, values);
        }
    }

    pub(super) fn into_tables(self) -> Vec<u8> {
        self.tables
    }
}

/// Columns that are read.
pub(super) struct Columns<'t> {
    found: Vec<(u32, &'t [u8])>,
}

impl<'t> Columns<'t> {
    pub(super) fn split(mut tables: &'t [u8]) -> Result<Self, Refusal> {
        let is_known = |number| COLUMNS.contains(&number);
        let mut found: Vec<(u32, &[u8])> = Vec::new();
        while !tables.is_empty() {
            let Some((head, rest)) = tables.split_first_chunk::<SECTION>() else {
                return Err(Refusal::malformed("its tables end within a column"));
            };
            let section = Section::from_bytes(*head, is_known)?;
            let values = usize::try_from(section.length)
                .ok()
                .and_then(|length| rest.split_at_checked(length));
            let Some((values, rest)) = values else {
                return Err(Refusal::malformed("its tables end within a column"));
            };
            if found.last().is_some_and(|last| last.0 >= section.kind) {
                return Err(Refusal::malformed("its columns are not in their order"));
            }
            found.push((section.kind, values));
            tables = rest;
        }
        Ok(Self { found })
    }

    /// A column that has to be there.
    pub(super) fn needed(&self, number: u32) -> Result<&'t [u8], Refusal> {
        self.get(number)
            .ok_or_else(|| Refusal::malformed(format!("its column {number} is missing")))
    }

    /// A column that is left out where it has no values.
    pub(super) fn optional(&self, number: u32) -> Result<&'t [u8], Refusal> {
        match self.get(number) {
            None => Ok(&[]),
            Some([]) => Err(Refusal::malformed(format!("its column {number} is empty"))),
            Some(values) => Ok(values),
        }
    }

    fn get(&self, number: u32) -> Option<&'t [u8]> {
        let at = self.found.binary_search_by_key(&number, |column| column.0);
        at.ok().map(|at| self.found[at].1)
    }
}

/// Values of `WIDTH` bytes each, of which there have to be `count`.
pub(super) fn values<const WIDTH: usize>(
    column: &[u8],
    count: usize,
) -> Result<&[[u8; WIDTH]], Refusal> {
    let (values, rest) = column.as_chunks::<WIDTH>();
    match values.len() == count && rest.is_empty() {
        true => Ok(values),
        false => Err(Refusal::malformed(
            "a column has more or fewer values than rows",
        )),
    }
}

/// Rows of `WIDTH` bytes each, of which there may be any number.
pub(super) fn rows<const WIDTH: usize>(column: &[u8]) -> Result<&[[u8; WIDTH]], Refusal> {
    values(column, column.len() / WIDTH)
}

/// For what is more than a reader takes.
pub(super) fn over(cause: &str) -> Refusal {
    Refusal::new(ErrorKind::LimitExceeded, cause)
}

/// The value of the next row.
pub(super) fn next<const WIDTH: usize>(
    values: &mut std::slice::Iter<'_, [u8; WIDTH]>,
) -> Result<[u8; WIDTH], Refusal> {
    let value = values.next().copied();
    value.ok_or_else(|| Refusal::malformed("a column has fewer values than rows"))
}

/// Bytes that are handed out in parts, to the last.
pub(super) struct Heap<'t>(pub &'t [u8]);

impl<'t> Heap<'t> {
    pub(super) fn take(&mut self, length: usize) -> Result<&'t [u8], Refusal> {
        let short = || Refusal::malformed("its lengths make more than there is");
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn finish(self) -> Result<(), Refusal> {
        match self.0.is_empty() {
            true => Ok(()),
            false => Err(Refusal::malformed("its lengths make less than there is")),
        }
    }
}
