//! The index at the end of our own `.tar.zst`: the headers of all members, as a
//! tar without content, and which frame each member begins in.
//!
//! The index and the table of frames are one claim, checked against itself
//! here and against the frames by whoever decodes them. An index that doesn't
//! fit is no error: the archive is read from the front then, as any other
//! reader does.

use std::fs::File;
use std::io::Read;

use crate::codec::seekable::{self, Frame, SeekTable};
use crate::codec::{Codec, DecodeOptions, decoder};
use crate::entry::Member;
use crate::error::Refusal;
use crate::format::tar::{self, Event, Parser};
use crate::format::{ReadAt, apple_double};

/// Bytes of headers that are decoded at a time.
const CHUNK: usize = 256 << 10;

/// What an archive says it holds, and in which frames.
pub(crate) struct Index {
    pub members: Vec<Member>,
    pub parts: Vec<Holding>,
}

/// What one frame holds.
#[derive(Debug, Clone)]
pub(crate) struct Holding {
    pub frame: Frame,
    /// A member that began in an earlier frame, and how many of its stored
    /// bytes stand before this one.
    pub continued: Option<(usize, u64)>,
    /// The members that begin in this frame.
    pub first: usize,
    pub count: usize,
}

/// Reads the index of an archive of `length` bytes; `None` if it has none that
/// can be used.
pub(crate) fn read_index(
    file: &File,
    length: u64,
    options: tar::Options,
) -> Result<Option<Index>, Refusal> {
    let read_at = |buffer: &mut [u8], offset: u64| file.read_exact_at(buffer, offset);
    let Some(table) = seekable::read_table(length, &read_at)? else {
        return Ok(None);
    };
    let Some(range) = table.index_frame(tar::INDEX_NIBBLE, &read_at)? else {
        return Ok(None);
    };
    if !table.fits_units() {
        return Ok(None);
    }
    let payload = Section {
        file,
        at: range.start,
        end: range.end,
    };
    let members = read_members(payload)?;
    let is_apple = |member: &Member| apple_double::is_named_so(&member.path);
    // Only their content tells those that macOS added from other files.
    if options.skip_apple_double && members.iter().any(is_apple) {
        return Ok(None);
    }
    Ok(lay_out(&table, &members)?.map(|parts| Index { members, parts }))
}

/// Reads the members of the headers that `payload` decodes to.
fn read_members(payload: Section<'_>) -> Result<Vec<Member>, Refusal> {
    let options = DecodeOptions { threads: 1 };
    let mut reader = decoder(Codec::Zstd, payload, options)?;
    let mut parser = Parser::headers_only();
    let mut members = Vec::new();
    let mut buffer = vec![0; CHUNK];
    loop {
        let filled = reader.read(&mut buffer).map_err(Refusal::io)?;
        if filled == 0 {
            break;
        }
        parser.feed(&buffer[..filled], &mut |event| {
            if let Event::Member(member) = event {
                members.push(member);
            }
            Ok(())
        })?;
    }
    parser.finish()?;
    Ok(members)
}

/// Finds out which frame each member begins in; `None` if they don't fit.
fn lay_out(table: &SeekTable, members: &[Member]) -> Result<Option<Vec<Holding>>, Refusal> {
    let mut starts = Vec::with_capacity(members.len());
    let mut header = Vec::new();
    let mut at = 0_u64;
    for member in members {
        header.clear();
        tar::append_header(member, &mut header)?;
        let stored = tar::stored_size(member);
        let content = at.saturating_add(header.len() as u64);
        starts.push((at, content));
        at = content.saturating_add(stored + tar::padding(stored) as u64);
    }
    if at.saturating_add(tar::END.len() as u64) != table.raw_size() {
        return Ok(None);
    }
    let mut parts = Vec::with_capacity(table.frames().len());
    let (mut begin, mut first) = (0, 0);
    for frame in table.frames().iter().filter(|frame| frame.raw > 0) {
        let end = begin + frame.raw;
        let count = starts[first..].partition_point(|(start, _)| *start < end);
        let continued = match first.checked_sub(1) {
            // The member before may go on, or have its padding, here.
            Some(before) if starts.get(first).is_none_or(|(start, _)| *start > begin) => {
                let content = starts[before].1;
                let Some(offset) = begin.checked_sub(content) else {
                    return Ok(None);
                };
                Some((before, offset))
            }
            Some(_) | None => None,
        };
        if starts[first..first + count]
            .iter()
            .any(|(_, content)| *content > end)
        {
            return Ok(None);
        }
        parts.push(Holding {
            frame: *frame,
            continued,
            first,
            count,
        });
        (begin, first) = (end, first + count);
    }
    Ok(Some(parts))
}

/// A part of a file, to be read once.
struct Section<'f> {
    file: &'f File,
    at: u64,
    end: u64,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let most = buffer.len().min(left);
        let count = self.file.read_at(&mut buffer[..most], self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
