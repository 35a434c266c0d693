//! A file that a survey looks at: its data, without holes, and what its first bytes say
//! of it. Places are counted in that data.

use std::ops::Range;

use crate::error::Result;
use crate::extents::{Extents, places};
use crate::format::bcp::Form;

use super::buffer::Buffer;
use super::members::Item;
use super::program::{Class, class_of, code_of};
use super::reader::{Opened, Reader};
use super::sections::{SectionTable, pe_tables};

/// A file that is open.
pub(super) struct Source<'s> {
    pub item: &'s Item,
    pub opened: &'s Opened,
    /// Where it has data; `None` without holes.
    pub extents: Option<&'s Extents>,
}

impl Source<'_> {
    /// Appends a range of its data to `buffer`.
    pub(super) fn read(
        &self,
        reader: &mut Reader<'_>,
        range: Range<u64>,
        buffer: &mut Buffer,
    ) -> Result<()> {
        for range in places(self.extents, range) {
            reader.read(self.item, self.opened, range, buffer)?;
        }
        Ok(())
    }
}

/// What is known of a file by how it begins.
pub(super) struct Begin {
    pub class: Class,
    /// Where a program has its code.
    pub code: Range<u64>,
    /// Its tables, if they are told there.
    pub tables: Vec<(Range<u64>, Form)>,
    /// Where it tells of its sections, if it does that elsewhere.
    pub sections: Option<SectionTable>,
}

impl Begin {
    /// Of a file of `size` bytes that begins with `bytes`.
    pub(super) fn of(bytes: &[u8], size: u64) -> Self {
        let class = class_of(bytes);
        Self {
            class,
            code: code_of(bytes, size),
            tables: pe_tables(bytes, class, size),
            sections: SectionTable::of(bytes, size),
        }
    }
}
