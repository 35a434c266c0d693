//! Finds the parts of a file that are stored in other forms: deflate streams, tables of
//! programs, and their code.
//!
//! Parts never overlap, whatever a file says of its sections: streams come first, tables
//! get what is left between them, code what is left then.

use std::ops::Range;

use crate::codec::{unwind, x86_streams};
use crate::error::Result;
use crate::format::bcp::{Form, Part, Transformer};

use super::buffer::Buffer;
use super::deflated::Finder;
use super::program::Class;
use super::reader::Reader;
use super::sections::elf_tables;
use super::source::{Begin, Source};
use super::trial::{TRIAL, Trial};

/// Searches one file after the other.
pub(super) struct PartFinder {
    finder: Finder,
    transformer: Transformer,
    buffer: Buffer,
}

/// Bytes of a file that are read at a time.
const READ: u64 = 1 << 20;
/// What is shorter isn't worth its row in the manifest, bytes.
const LEAST: u64 = 256;
/// No program that is to be run has more tables; each is tried.
const MOST_TABLES: usize = 1024;
/// Parts are found as pieces of about so many bytes, which blocks can be cut between;
/// those that stay together are joined.
const SEGMENT: u64 = x86_streams::SEGMENT as u64;

impl PartFinder {
    pub(super) fn new() -> Self {
        Self {
            finder: Finder::new(),
            transformer: Transformer::default(),
            buffer: Buffer::default(),
        }
    }

    /// The parts of a file of `size` bytes, in their order.
    pub(super) fn find(
        &mut self,
        source: &Source<'_>,
        reader: &mut Reader<'_>,
        trial: &mut Trial<'_>,
        size: u64,
        begin: &Begin,
    ) -> Result<Vec<Part>> {
        let read = |range, buffer: &mut Buffer| source.read(reader, range, buffer);
        let mut parts = self.finder.find(size, read)?;
        let mut regions = begin.tables.clone();
        if let Some(table) = &begin.sections {
            let headers = read_all(source, reader, table.range.clone())?;
            if let Some(names) = table.names(&headers, size) {
                let names = read_all(source, reader, names)?;
                let tables = elf_tables(&headers, &names, size);
                regions.extend(tables.into_iter().take(MOST_TABLES));
            }
        }
        // Whatever lies between is code.
        match begin.class {
            Class::X86 => regions.push((begin.code.clone(), Form::X86Streams)),
            Class::Arm64 => regions.push((begin.code.clone(), Form::Arm64)),
            Class::OtherProgram | Class::Other => {}
        }
        for (region, form) in regions {
            let mut gaps = gaps(&parts, region.clone());
            gaps.retain(|gap| gap.end - gap.start >= LEAST);
            if gaps.is_empty() || !self.helps(source, reader, trial, &region, form)? {
                continue;
            }
            for gap in gaps {
                self.add(source, reader, form, gap, &mut parts)?;
            }
            parts.sort_by_key(|part| part.offset);
        }
        Part::place(&mut parts);
        Ok(parts)
    }

    /// Whether a form makes the middle of some code smaller, or the front of a table.
    fn helps(
        &mut self,
        source: &Source<'_>,
        reader: &mut Reader<'_>,
        trial: &mut Trial<'_>,
        region: &Range<u64>,
        form: Form,
    ) -> Result<bool> {
        let sample = match form {
            Form::X86Streams | Form::Arm64 => Trial::middle(region),
            Form::Inflated(_) | Form::Rows(_) | Form::Unwind => {
                region.start..(region.start + TRIAL).min(region.end)
            }
        };
        let part = Part {
            offset: sample.start,
            length: (sample.end - sample.start) as u32,
            stored: 0,
            size: 0,
            form,
        };
        trial.helps(source, reader, sample, |data, out| {
            self.transformer.append(&part, data, out);
        })
    }

    /// Adds the parts of a gap between those that are there.
    fn add(
        &mut self,
        source: &Source<'_>,
        reader: &mut Reader<'_>,
        form: Form,
        gap: Range<u64>,
        parts: &mut Vec<Part>,
    ) -> Result<()> {
        let mut start = gap.start;
        while start < gap.end {
            let end = (start + READ).min(gap.end);
            self.buffer.clear();
            source.read(reader, start..end, &mut self.buffer)?;
            let mut rest: &[u8] = &self.buffer;
            while !rest.is_empty() {
                let whole = segment(form, rest);
                if whole > rest.len() && end < gap.end {
                    break;
                }
                let length = whole.min(rest.len());
                let (data, behind) = rest.split_at(length);
                rest = behind;
                let size = self.transformer.size(form, start, data);
                parts.push(Part {
                    offset: start,
                    length: length as u32,
                    stored: 0,
                    size: size as u32,
                    form,
                });
                start += length as u64;
            }
        }
        Ok(())
    }
}

fn read_all(source: &Source<'_>, reader: &mut Reader<'_>, range: Range<u64>) -> Result<Buffer> {
    let mut buffer = Buffer::default();
    source.read(reader, range, &mut buffer)?;
    Ok(buffer)
}

/// How long the segment is that `data`, not empty, begins with: more than there is of
/// `data` if it goes on behind.
fn segment(form: Form, data: &[u8]) -> usize {
    let most = SEGMENT as usize;
    match form {
        Form::Rows(numbers) => most - most % (4 * usize::from(numbers)),
        Form::Unwind => {
            let mut at = 0;
            while at < most
                && let Some(length) = unwind::record(&data[at..])
            {
                at += length;
            }
            match at {
                // No record, or one that isn't worth waiting for.
                0 => most,
                at => at,
            }
        }
        Form::X86Streams | Form::Arm64 | Form::Inflated(_) => most,
    }
}

/// What of `region` is in none of `parts`, which are in their order.
fn gaps(parts: &[Part], region: Range<u64>) -> Vec<Range<u64>> {
    let first = parts.partition_point(|part| part.end() <= region.start);
    let mut gaps = Vec::new();
    let mut at = region.start;
    for part in &parts[first..] {
        if part.offset >= region.end {
            break;
        }
        if at < part.offset {
            gaps.push(at..part.offset);
        }
        at = part.end();
    }
    if at < region.end {
        gaps.push(at..region.end);
    }
    gaps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(offset: u64, length: u32) -> Part {
        Part {
            offset,
            length,
            stored: 0,
            size: length,
            form: Form::Arm64,
        }
    }

    #[test]
    fn gaps_are_what_no_part_has() {
        let parts = [part(10, 10), part(30, 5), part(35, 5)];
        for (region, expected) in [
            (0..10, &[(0, 10)][..]),
            (0..50, &[(0, 10), (20, 30), (40, 50)]),
            (12..18, &[]),
            (15..33, &[(20, 30)]),
            (20..30, &[(20, 30)]),
            (36..60, &[(40, 60)]),
        ] {
            let found = gaps(&parts, region.clone()).into_iter();
            let found: Vec<_> = found.map(|gap| (gap.start, gap.end)).collect();
            assert_eq!(found, expected, "{region:?}");
        }
    }

    #[test]
    fn segments_end_with_rows_and_records() {
        let most = SEGMENT as usize;
        let record = [&20_u32.to_le_bytes()[..], &[1; 20]].concat();
        let records = record.repeat(most / 24 + 2);
        for (form, data, length) in [
            (Form::Arm64, &records[..], most),
            (Form::Arm64, &records[..100], most),
            (Form::Rows(3), &records, most / 12 * 12),
            (Form::Unwind, &records, most.next_multiple_of(24)),
            (Form::Unwind, &records[..100], 96),
            (Form::Unwind, &records[4..100], most),
        ] {
            assert_eq!(segment(form, data), length, "{form:?}");
        }
    }
}
