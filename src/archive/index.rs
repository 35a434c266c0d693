//! The index at the end of our own `.tar.zst`, and which frame each member
//! begins in.
//!
//! The index and the table of frames are one claim, checked against itself
//! here and against the frames by whoever decodes them. An index that doesn't
//! fit is no error: the archive is read from the front then, as any other
//! reader does.

use std::fs::File;
use std::ops::Range;

use crate::codec::Decompressor;
use crate::codec::seekable::{self, Frame, SeekTable};
use crate::entry::Member;
use crate::error::{ErrorKind, Refusal};
use crate::format::tar;
use crate::format::{ReadAt, apple_double};

/// The largest index that is read, compressed: several million members.
const LARGEST: usize = 64 << 20;

/// What an archive says it holds, and in which frames.
pub(crate) struct Index {
    pub members: Vec<Member>,
    /// Where in the tar the content of each begins.
    pub contents: Vec<u64>,
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

/// What the records of an index say.
#[derive(Default)]
struct Indexed {
    members: Vec<Member>,
    /// Bytes of all headers of each.
    headers: Vec<u64>,
}

/// What an index claims, before it takes memory.
pub(crate) enum Claim<'m> {
    /// All frames together decode to so many bytes.
    Raw(u64),
    /// There is this member.
    Member(&'m Member),
}

/// Frames that only together hold whole members.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// Where they are in the file.
    pub range: Range<u64>,
    /// Bytes that they decode to.
    pub raw: u64,
    /// The members in them.
    pub members: Range<usize>,
    /// The archive's end is in them.
    pub is_last: bool,
}

impl Index {
    /// The frames in as many runs as can be read each for itself: a member that
    /// goes on in the next frame keeps both in one.
    pub(crate) fn runs(&self) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for part in &self.parts {
            let end = part.frame.offset + part.frame.stored;
            let members = part.first + part.count;
            match runs.last_mut() {
                Some(run) if part.continued.is_some() => {
                    run.range.end = end;
                    run.raw += part.frame.raw;
                    run.members.end = members;
                }
                Some(_) | None => runs.push(Run {
                    range: part.frame.offset..end,
                    raw: part.frame.raw,
                    members: part.first..members,
                    is_last: false,
                }),
            }
        }
        if let Some(last) = runs.last_mut() {
            last.is_last = true;
        }
        runs
    }
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
    allows(Claim::Raw(table.raw_size()))?;
    let Some(Indexed { members, headers }) = read_members(file, range, table.raw_size(), allows)?
    else {
        return Ok(None);
    };
    let is_apple = |member: &Member| apple_double::is_named_so(&member.path);
    // Only their content tells those that macOS added from other files.
    if options.skip_apple_double && members.iter().any(is_apple) {
        return Ok(None);
    }
    let parts = lay_out(&table, &members, &headers)?;
    Ok(parts.map(|parts| Index {
        contents: contents(&members, &headers),
        members,
        parts,
    }))
}

/// Reads the records of the index at `range`: zstd frames, one a unit; `None`
/// if these are more bytes than the `most` of the archive that they describe.
fn read_members(
    file: &File,
    range: Range<u64>,
    most: u64,
    allows: &mut dyn FnMut(Claim<'_>) -> Result<(), Refusal>,
) -> Result<Option<Indexed>, Refusal> {
    let length = usize::try_from(range.end - range.start).map_err(|_| too_large())?;
    if length > LARGEST {
        return Err(too_large());
    }
    let mut stored = vec![0; length];
    file.read_exact_at(&mut stored, range.start)
        .map_err(Refusal::io)?;
    let mut decompressor = Decompressor::new();
    let mut part = Vec::new();
    let mut indexed = Indexed::default();
    let mut rest = stored.as_slice();
    let mut read = 0;
    while !rest.is_empty() {
        let (frame, raw) = seekable::split_frame(rest)?;
        rest = &rest[frame.len()..];
        decompressor.zstd_frame(frame, raw, &mut part)?;
        read += part.len() as u64;
        if read > most {
            return Ok(None);
        }
        tar::read_index(&part, |member, header| {
            allows(Claim::Member(&member))?;
            indexed.members.push(member);
            indexed.headers.push(header);
            Ok(())
        })?;
    }
    Ok(Some(indexed))
}

fn too_large() -> Refusal {
    let cause = "its index is larger than 64 MiB";
    Refusal::new(ErrorKind::LimitExceeded, cause)
}

/// Where the content of each member begins, in a tar that has a size.
fn contents(members: &[Member], headers: &[u64]) -> Vec<u64> {
    let mut at = 0;
    let starts = members.iter().zip(headers).map(|(member, header)| {
        let stored = tar::stored_size(member);
        let content = at + header;
        at = content + stored + tar::padding(stored) as u64;
        content
    });
    starts.collect()
}

/// Finds out which frame each member begins in; `None` if they don't fit.
fn lay_out(
    table: &SeekTable,
    members: &[Member],
    headers: &[u64],
) -> Result<Option<Vec<Holding>>, Refusal> {
    let mut starts = Vec::with_capacity(members.len());
    let mut at = 0_u64;
    for (member, header) in members.iter().zip(headers) {
        let stored = tar::stored_size(member);
        let content = at.saturating_add(*header);
        starts.push((at, content));
        let padded = stored.saturating_add(tar::padding(stored) as u64);
        at = content.saturating_add(padded);
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
