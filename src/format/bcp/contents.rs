//! Reads the columns of contents and blocks (docs/format.md, Manifest).
//!
//! Each row is checked against the one before and against its content's size: what comes
//! out has parts and extents in order, within their content, and each part in one block.

use super::column::{self, Columns, next, over, rows, values};
use super::layout::{MAX_BLOCK, MAX_PARTS};
use super::manifest::{Content, Filter, Form, Part};
use crate::codec::deflate::{Memory, Setup, Strategy};
use crate::codec::x86_streams;
use crate::error::{ErrorKind, Refusal};

/// All contents, `count` of them. What they make together isn't checked yet.
pub(super) fn read_contents(columns: &Columns<'_>, count: usize) -> Result<Vec<Content>, Refusal> {
    let sizes = values::<8>(columns.optional(column::SIZES)?, count)?;
    let hashes = values::<32>(columns.optional(column::HASHES)?, count)?;
    let filters = values::<1>(columns.optional(column::FILTERS)?, count)?;
    let mut contents = Vec::with_capacity(count);
    for ((size, hash), [filter]) in sizes.iter().zip(hashes).zip(filters) {
        let size = u64::from_le_bytes(*size);
        if i64::try_from(size).is_err() {
            return Err(Refusal::malformed(
                "a content has more bytes than a file can",
            ));
        }
        let filter = match filter {
            0 => Filter::None,
            // Where is in columns of their own.
            1 => Filter::X86(0..0),
            2 => Filter::Arm64(0..0),
            3 => Filter::Parts(Vec::new()),
            other => {
                let cause = format!("it needs filter {other}, which is not known here");
                let refusal = Refusal::new(ErrorKind::Unsupported, cause);
                return Err(refusal.with_hint("a newer bundlecp may read it"));
            }
        };
        contents.push(Content {
            size,
            hash: *hash,
            filter,
            extents: None,
        });
    }
    read_extents(columns, &mut contents)?;
    read_filtered(columns, &mut contents)?;
    read_parts(columns, &mut contents)?;
    Ok(contents)
}

fn read_filtered(columns: &Columns<'_>, contents: &mut [Content]) -> Result<(), Refusal> {
    let wrong = || Refusal::malformed("a filter goes over more than there is of a content");
    let mut rows = rows::<8>(columns.optional(column::FILTERED)?)?.iter();
    for content in contents {
        let data = content.data();
        if let Filter::X86(range) | Filter::Arm64(range) = &mut content.filter {
            let start = next(&mut rows).map(u64::from_le_bytes)?;
            let length = next(&mut rows).map(u64::from_le_bytes)?;
            let end = start
                .checked_add(length)
                .filter(|end| *end <= data && length > 0);
            *range = start..end.ok_or_else(wrong)?;
        }
    }
    match rows.len() {
        0 => Ok(()),
        _ => Err(wrong()),
    }
}

fn read_parts(columns: &Columns<'_>, contents: &mut [Content]) -> Result<(), Refusal> {
    let wrong = || Refusal::malformed("its parts are not those of contents");
    let rows = rows::<22>(columns.optional(column::PARTS)?)?;
    if rows.len() > MAX_PARTS {
        return Err(over("it has more than 2,097,152 parts"));
    }
    let mut last = 0;
    // Of the last content: there may be as many extents to add up as parts.
    let mut data = None;
    for row in rows {
        let ([a, b, c, d], rest) = row.split_first_chunk().ok_or_else(wrong)?;
        let number = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        let (offset, rest) = rest.split_first_chunk().ok_or_else(wrong)?;
        let (length, rest) = rest.split_first_chunk().ok_or_else(wrong)?;
        let (size, rest) = rest.split_first_chunk().ok_or_else(wrong)?;
        let form = rest.first_chunk().ok_or_else(wrong)?;
        let content = contents.get_mut(number).filter(|_| number >= last);
        let content = content.ok_or_else(wrong)?;
        if number != last {
            data = None;
        }
        let data = *data.get_or_insert_with(|| content.data());
        let Filter::Parts(parts) = &mut content.filter else {
            return Err(wrong());
        };
        let (end, stored_end) = match parts.last() {
            Some(before) => (before.end(), before.stored_end()),
            None => (0, 0),
        };
        let offset = u64::from_le_bytes(*offset);
        let between = offset.checked_sub(end).ok_or_else(wrong)?;
        let part = Part {
            offset,
            length: u32::from_le_bytes(*length),
            stored: stored_end.checked_add(between).ok_or_else(wrong)?,
            size: u32::from_le_bytes(*size),
            form: read_form(u16::from_le_bytes(*form))?,
        };
        let is_within = data.checked_sub(offset) >= Some(u64::from(part.length));
        if !is_within || !can_be_of(part.form, part.length, part.size) {
            return Err(wrong());
        }
        parts.push(part);
        last = number;
    }
    let is_empty = |one: &Content| one.filter == Filter::Parts(Vec::new());
    match contents.iter().any(is_empty) {
        true => Err(wrong()),
        false => Ok(()),
    }
}

/// Whether `length` bytes of data may be stored in `size` bytes of a form.
fn can_be_of(form: Form, length: u32, size: u32) -> bool {
    let sizes = match form {
        Form::Inflated(_) => u64::from(length) + 1..=u64::from(MAX_BLOCK),
        Form::Arm64 | Form::Rows(_) | Form::Unwind => u64::from(length)..=u64::from(length),
        // An escape for each byte, at most.
        Form::X86Streams => {
            let front = x86_streams::FRONT as u64;
            front + u64::from(length)..=front + 2 * u64::from(length)
        }
    };
    length > 0 && size <= MAX_BLOCK && sizes.contains(&u64::from(size))
}

/// What a part is stored as (docs/format.md, Filters).
fn read_form(bits: u16) -> Result<Form, Refusal> {
    match (bits & 0xF, bits >> 4) {
        (column::X86_STREAMS, 0) => return Ok(Form::X86Streams),
        (column::ARM64, 0) => return Ok(Form::Arm64),
        (column::ROWS, numbers @ 1..=63) => return Ok(Form::Rows(numbers as u8)),
        (column::UNWIND, 0) => return Ok(Form::Unwind),
        _ => {}
    }
    let (level, window) = (bits & 0xF, bits >> 4 & 0xF);
    let is_known = (1..=9).contains(&level) && (9..=15).contains(&window) && bits >> 10 == 0;
    if !is_known {
        let cause = "a part of it has a form that is not known here";
        let refusal = Refusal::new(ErrorKind::Unsupported, cause);
        return Err(refusal.with_hint("a newer bundlecp may read it"));
    }
    Ok(Form::Inflated(Setup {
        level: level as u8,
        window: window as u8,
        memory: match bits >> 8 & 1 {
            0 => Memory::Usual,
            _ => Memory::Most,
        },
        strategy: match bits >> 9 & 1 {
            0 => Strategy::Usual,
            _ => Strategy::Filtered,
        },
    }))
}

/// No part goes on in another block.
fn check_parts(contents: &[Content], blocks: &[u32]) -> Result<(), Refusal> {
    let (mut start, mut block_end) = (0, 0);
    let mut blocks = blocks.iter();
    for content in contents {
        for part in content.parts() {
            while block_end <= start + part.stored {
                let wrong = || Refusal::malformed("its blocks hold less than its contents");
                block_end += u64::from(*blocks.next().ok_or_else(wrong)?);
            }
            if start + part.stored_end() > block_end {
                return Err(Refusal::malformed("a part stands in two blocks"));
            }
        }
        start += content.stored();
    }
    Ok(())
}

fn read_extents(columns: &Columns<'_>, contents: &mut [Content]) -> Result<(), Refusal> {
    let wrong = || Refusal::malformed("the extents of a content are not in their order");
    let mut last = 0;
    for row in rows::<20>(columns.optional(column::EXTENTS)?)? {
        let ([a, b, c, d], rest) = row.split_first_chunk().ok_or_else(wrong)?;
        let number = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        let (pairs, _) = rest.as_chunks::<8>();
        let (offset, length) = (u64::from_le_bytes(pairs[0]), u64::from_le_bytes(pairs[1]));
        let content = contents.get_mut(number).ok_or_else(wrong)?;
        let end = offset.checked_add(length).ok_or_else(wrong)?;
        let extents = content.extents.get_or_insert_default();
        let follows = match extents.last() {
            // An empty one stands alone: there is nothing but a hole.
            None => length > 0 || offset == 0,
            Some((start, before)) => before > 0 && length > 0 && offset > start + before,
        };
        if number < last || !follows || end > content.size {
            return Err(wrong());
        }
        extents.push((offset, length));
        last = number;
    }
    match contents
        .iter()
        .any(|one| one.extents.is_some() && one.data() == one.size)
    {
        true => Err(Refusal::malformed("a content with extents has no holes")),
        false => Ok(()),
    }
}

/// The sizes of all blocks, which have to be those of the `contents`.
pub(super) fn read_blocks(
    columns: &Columns<'_>,
    count: usize,
    contents: &[Content],
) -> Result<Vec<u32>, Refusal> {
    let sizes = values::<4>(columns.optional(column::BLOCK_SIZES)?, count)?;
    let sizes: Vec<u32> = sizes.iter().map(|size| u32::from_le_bytes(*size)).collect();
    if sizes.iter().any(|size| !(1..=MAX_BLOCK).contains(size)) {
        return Err(Refusal::malformed(
            "a block decodes to nothing, or more than 16 MiB",
        ));
    }
    let stored = contents
        .iter()
        .try_fold(0_u64, |sum, content| sum.checked_add(content.stored()));
    // 2^32 blocks of 16 MiB are no overflow.
    let held: u64 = sizes.iter().map(|size| u64::from(*size)).sum();
    match stored == Some(held) {
        true => check_parts(contents, &sizes).map(|()| sizes),
        false => Err(Refusal::malformed(
            "its blocks hold more or less than its contents",
        )),
    }
}
