//! Where a program has tables of numbers that become smaller as differences: unwind
//! records, relocations, symbols.
//!
//! As with code, what a file says of itself that isn't so makes an archive larger, and
//! nothing else.

use std::ops::Range;

use crate::format::bcp::Form;

use super::program::{Class, long, pe_sections, short, word};

/// The section headers of a 64-bit ELF (elf.h, `Elf64_Shdr`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SectionTable {
    /// Where they are in the file.
    pub range: Range<u64>,
    /// Which of them holds the names.
    names: usize,
}

const HEADER: usize = 64;

impl SectionTable {
    /// The one of a file of `size` bytes that begins with `begin`.
    pub(super) fn of(begin: &[u8], size: u64) -> Option<Self> {
        if !begin.starts_with(b"\x7FELF\x02\x01") {
            return None;
        }
        let (start, count) = (long(begin, 40)?, short(begin, 60)?);
        let length = u64::from(count) * HEADER as u64;
        let end = start.checked_add(length).filter(|end| *end <= size)?;
        (usize::from(short(begin, 58)?) == HEADER).then_some(Self {
            range: start..end,
            names: usize::from(short(begin, 62)?),
        })
    }

    /// Where the names of sections are, if these are their `headers`.
    pub(super) fn names(&self, headers: &[u8], size: u64) -> Option<Range<u64>> {
        /// Names of a few sections: nobody has more.
        const MOST: u64 = 1 << 20;
        let range = place(headers.chunks_exact(HEADER).nth(self.names)?, size)?;
        (range.end - range.start <= MOST).then_some(range)
    }
}

/// The tables among the sections that `headers` and `names` tell of, in the order of the
/// headers. Symbols that are to be linked with are left out: they became 3 to 12 %
/// larger.
pub(super) fn elf_tables(headers: &[u8], names: &[u8], size: u64) -> Vec<(Range<u64>, Form)> {
    const SYMBOLS: u32 = 2;
    const RELOCATIONS: u32 = 4;
    /// What stands in front of the table to search, `.eh_frame_hdr`.
    const FRONT: u64 = 12;
    let tables = headers.chunks_exact(HEADER).filter_map(|header| {
        let range = place(header, size)?;
        let name = names.get(word(header, 0)? as usize..)?;
        match word(header, 4)? {
            SYMBOLS | RELOCATIONS => {
                let numbers = long(header, 56)? / 4;
                let numbers = u8::try_from(numbers)
                    .ok()
                    .filter(|one| (1..64).contains(one))?;
                Some((range, Form::Rows(numbers)))
            }
            _ if name.starts_with(b".eh_frame\0") => Some((range, Form::Unwind)),
            _ if name.starts_with(b".eh_frame_hdr\0") && range.end - range.start > FRONT => {
                Some((range.start + FRONT..range.end, Form::Rows(2)))
            }
            _ => None,
        }
    });
    tables.collect()
}

/// Where the content of a section is; `None` if it has none.
fn place(header: &[u8], size: u64) -> Option<Range<u64>> {
    const NO_BITS: u32 = 8;
    let (start, length) = (long(header, 24)?, long(header, 32)?);
    let end = start.checked_add(length).filter(|end| *end <= size)?;
    (length > 0 && word(header, 4)? != NO_BITS).then_some(start..end)
}

/// The functions of a PE (PE Format, The .pdata Section): rows of three addresses, for
/// ARM64 of two numbers.
pub(super) fn pe_tables(begin: &[u8], class: Class, size: u64) -> Vec<(Range<u64>, Form)> {
    let numbers = match class {
        Class::Arm64 => 2,
        Class::X86 | Class::OtherProgram | Class::Other => 3,
    };
    let sections = pe_sections(begin).into_iter().flatten();
    let tables = sections.filter(|section| section.name == *b".pdata\0\0");
    let tables = tables.filter_map(|section| {
        let end = section.start.checked_add(section.length)?;
        (end <= size).then_some((section.start..end, Form::Rows(numbers)))
    });
    tables.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: u32, kind: u32, place: Range<u64>, entry: u64) -> Vec<u8> {
        let mut header = [name.to_le_bytes(), kind.to_le_bytes()].concat();
        header.extend([0; 16]);
        for number in [place.start, place.end - place.start, 0, 0, entry] {
            header.extend(number.to_le_bytes());
        }
        header
    }

    #[test]
    fn tables_are_what_the_section_headers_of_an_elf_tell() {
        let names = b"\0.eh_frame\0.eh_frame_hdr\0";
        let headers = [
            header(0, 0, 0..0, 0),
            header(0, 4, 100..148, 24),
            header(0, 2, 200..248, 24),
            header(0, 11, 300..348, 24),
            header(0, 8, 300..348, 24),
            header(0, 2, 400..448, 256),
            header(0, 2, 900..1001, 24),
            header(1, 1, 500..600, 0),
            header(11, 1, 600..700, 0),
            header(11, 1, 700..712, 0),
            header(99, 4, 100..148, 24),
            header(0, 3, 800..825, 0),
        ]
        .concat();
        assert_eq!(
            elf_tables(&headers, names, 1000),
            [
                (100..148, Form::Rows(6)),
                (200..248, Form::Rows(6)),
                (500..600, Form::Unwind),
                (612..700, Form::Rows(2)),
            ]
        );
        let mut begin = b"\x7FELF\x02\x01".to_vec();
        begin.resize(64, 0);
        begin[40..42].copy_from_slice(&[0, 2]);
        (begin[58], begin[60], begin[62]) = (64, 12, 11);
        let table = SectionTable::of(&begin, 2000).unwrap();
        assert_eq!(table.range, 512..512 + 12 * 64);
        assert_eq!(table.names(&headers, 1000), Some(800..825));
        assert_eq!(table.names(&headers, 820), None);
        assert_eq!(SectionTable::of(&begin, 1279), None);
        begin[58] = 63;
        assert_eq!(SectionTable::of(&begin, 2000), None);
        assert_eq!(SectionTable::of(b"\x7FELF\x02\x01", 2000), None);
    }
}
