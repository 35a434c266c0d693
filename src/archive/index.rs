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
use crate::format::ReadAt;
use crate::format::tar::{self, Event, Parser};

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
    /// What has to follow the frame.
    pub then: Then,
}

/// What a frame ends in front of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// So many more bytes of its last member, padding included; if there are
    /// none, the next member.
    Members(u64),
    /// No further member, or what is left of the archive's end.
    End,
}

/// What an index claims, before it takes memory.
pub(crate) enum Claim<'m> {
    /// All frames together decode to so many bytes.
    Raw(u64),
    /// There is this member.
    Member(&'m Member),
}

/// Reads the index of an archive of `length` bytes; `None` if it has none that
/// can be used. `allows` says whether it may hold what it claims.
pub(crate) fn read_index(
    file: &File,
    length: u64,
    options: tar::Options,
    allows: &mut dyn FnMut(Claim<'_>) -> Result<(), Refusal>,
) -> Result<Option<Index>, Refusal> {
    let read_at = |buffer: &mut [u8], offset: u64| file.read_exact_at(buffer, offset);
    let Some(table) = seekable::read_table(length, &read_at)? else {
        return Ok(None);
    };
    let Some(range) = table.index_frame(tar::INDEX_NIBBLE, &read_at)? else {
        return Ok(None);
    };
    // The table calls a frame empty, nobody decodes it, and who reads from the
    // front finds members in it: only the index itself is believed to be none.
    let is_empty = |frame: &Frame| frame.raw == 0;
    if !table.fits_units() || table.frames().iter().rev().skip(1).any(is_empty) {
        return Ok(None);
    }
    let payload = Section {
        file,
        at: range.start,
        end: range.end,
    };
    allows(Claim::Raw(table.raw_size()))?;
    let Some(members) = read_members(payload, table.raw_size(), allows)? else {
        return Ok(None);
    };
    let is_apple = |member: &Member| {
        let name = member.path.rsplit(|byte| *byte == b'/').next();
        name.is_some_and(|name| name.starts_with(b"._"))
    };
    // Only their content tells those that macOS added from other files.
    if options.skip_apple_double && members.iter().any(is_apple) {
        return Ok(None);
    }
    Ok(lay_out(&table, &members)?.map(|parts| Index { members, parts }))
}

/// Reads the members of the headers that `payload` decodes to; `None` if these
/// are more bytes than the `most` of the archive that they are a part of.
fn read_members(
    payload: Section<'_>,
    most: u64,
    allows: &mut dyn FnMut(Claim<'_>) -> Result<(), Refusal>,
) -> Result<Option<Vec<Member>>, Refusal> {
    let options = DecodeOptions { threads: 1 };
    let mut reader = decoder(Codec::Zstd, payload, options)?;
    let mut parser = Parser::headers_only();
    let mut members = Vec::new();
    let mut buffer = vec![0; CHUNK];
    let mut read = 0;
    loop {
        let filled = reader.read(&mut buffer).map_err(Refusal::io)?;
        if filled == 0 {
            break;
        }
        read += filled as u64;
        if read > most {
            return Ok(None);
        }
        parser.feed(&buffer[..filled], &mut |event| {
            if let Event::Member(member) = event {
                allows(Claim::Member(&member))?;
                members.push(member);
            }
            Ok(())
        })?;
    }
    parser.finish()?;
    Ok(Some(members))
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
        first += count;
        // Where the last member that began ends, and the next one begins.
        let next = starts.get(first).map(|(start, _)| *start);
        let then = match next.unwrap_or(at).checked_sub(end) {
            Some(0) | None if next.is_none() => Then::End,
            left => Then::Members(left.unwrap_or(0)),
        };
        parts.push(Holding {
            frame: *frame,
            continued,
            first: first - count,
            count,
            then,
        });
        begin = end;
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
