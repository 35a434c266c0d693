//! The central directory, and how the members lie in the file.
//!
//! The directory is read in one pass, with memory in proportion to the bytes
//! that are there, never to a number that the file states. The members' spans
//! (local header, data, descriptor) have to follow each other without overlap;
//! that they do so without a gap is known once each local header was read.

use std::collections::HashSet;
use std::io::{self, BufRead, BufReader, Read};
use std::ops::Range;

use super::end::{End, EndRecords};
use super::entry::ZipEntry;
use super::local::Window;
use super::parts::MOST_IN_ALL;
use super::records::{
    ARCHIVE_EXTRA, CentralHeader, DIGITAL_SIGNATURE, End64Record, EndRecord, IN_ZIP64, LocalHeader,
    SPANNED,
};
use crate::error::{ErrorKind, Refusal};
use crate::format::ReadAt;

/// Directory bytes that are read at once.
const DIRECTORY_PIECE: usize = 128 << 10;
/// Bytes that are read at once when all local headers are: those of small
/// members come many at a time, and one piece of a large member costs little.
const HEADERS_PIECE: usize = 32 << 10;
/// Bytes that are read for one local header; few need more.
const HEADER_PIECE: usize = 512;

/// The members of a zip file.
#[derive(Debug)]
pub(crate) struct Directory {
    entries: Vec<ZipEntry>,
    /// Indices of the entries in the order of their headers in the file.
    order: Vec<usize>,
    /// Where the directory begins.
    start: u64,
}

impl Directory {
    /// Reads the directory of a zip file of `len` bytes. The local headers are
    /// still to be held against it.
    pub(crate) fn read(source: &(impl ReadAt + ?Sized), len: u64) -> Result<Self, Refusal> {
        let mut end = EndRecords::find(source, len)?.judge()?;
        refuse_prefix(source, &end)?;
        let size = end.directory.end - end.directory.start;
        if end.entries > size / CentralHeader::SIZE as u64 {
            return Err(Refusal::malformed(
                "the directory is too small for its number of members",
            ));
        }
        let range = FileRange {
            source,
            rest: end.directory.clone(),
        };
        let mut input = BufReader::with_capacity(DIRECTORY_PIECE, range);
        let mut scratch = Vec::new();
        let mut parts = 0;
        let mut entries = Vec::new();
        for _ in 0..end.entries {
            let mut entry = ZipEntry::read(&mut input, &mut scratch)?;
            parts += entry.parts.as_deref().map_or(0, <[_]>::len);
            if parts > MOST_IN_ALL {
                entry.parts = None;
            }
            entries.push(entry);
        }
        let rest = input.fill_buf().map_err(Refusal::io)?;
        if !rest.is_empty() {
            return Err(behind_the_last(rest));
        }
        let first = entries.iter().map(|entry| entry.header_offset).min();
        if let Some(first) = first.filter(|first| end.uncounted == 0 && *first > 0)
            && !begins_like_a_zip(source)?
        {
            end.first = first;
        }
        Self::assemble(entries, &end)
    }

    /// Puts the entries in their places, if each has one of its own.
    pub(super) fn assemble(mut entries: Vec<ZipEntry>, end: &End) -> Result<Self, Refusal> {
        let start = end.directory.start;
        for entry in &mut entries {
            entry.header_offset = entry
                .header_offset
                .checked_add(end.uncounted)
                .filter(|offset| *offset < start)
                .ok_or_else(|| outside(entry))?;
        }
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.sort_unstable_by_key(|at| entries[*at].header_offset);
        let first = order.first().map_or(start, |at| entries[*at].header_offset);
        if first != end.first {
            return Err(Refusal::malformed("bytes of no member before the first"));
        }
        for (nth, at) in order.iter().enumerate() {
            let next = order.get(nth + 1);
            let span_end = next.map_or(start, |next| entries[*next].header_offset);
            let entry = &mut entries[*at];
            let least = (LocalHeader::SIZE + entry.name.len()) as u64;
            let fits = (span_end - entry.header_offset)
                .checked_sub(least)
                .is_some_and(|room| entry.compressed_size <= room);
            if !fits {
                return Err(entry.blame(&Refusal::malformed("its data overlaps what comes next")));
            }
            entry.span_end = span_end;
        }
        let mut names = HashSet::with_capacity(entries.len());
        for entry in &entries {
            if !names.insert(&*entry.member.path) {
                return Err(entry.blame(&Refusal::malformed("the name is there twice")));
            }
        }
        Ok(Self {
            entries,
            order,
            start,
        })
    }

    /// The members, in the directory's order.
    pub(crate) fn entries(&self) -> &[ZipEntry] {
        &self.entries
    }

    /// The members in the order of their data in the file.
    pub(crate) fn by_offset(&self) -> impl Iterator<Item = &ZipEntry> {
        self.order.iter().map(|at| &self.entries[*at])
    }

    /// The member whose local header begins at `offset`.
    pub(crate) fn at_offset(&self, offset: u64) -> Option<&ZipEntry> {
        let at = self
            .order
            .binary_search_by_key(&offset, |at| self.entries[*at].header_offset)
            .ok()?;
        Some(&self.entries[self.order[at]])
    }

    /// Where the data of `entry` is, if its local header says the same of it
    /// as the directory does.
    pub(crate) fn check_local(
        &self,
        source: &(impl ReadAt + ?Sized),
        entry: &ZipEntry,
    ) -> Result<Range<u64>, Refusal> {
        let mut window = Window::new(source, self.start, HEADER_PIECE);
        window.check(entry).map_err(|refusal| entry.blame(&refusal))
    }

    /// As [`Directory::check_local`] for all members, with few reads: where
    /// the data of each is, in the directory's order.
    pub(crate) fn check_all_local(
        &self,
        source: &(impl ReadAt + ?Sized),
    ) -> Result<Vec<Range<u64>>, Refusal> {
        let mut window = Window::new(source, self.start, HEADERS_PIECE);
        let mut data = vec![0..0; self.entries.len()];
        for at in &self.order {
            let entry = &self.entries[*at];
            data[*at] = window
                .check(entry)
                .map_err(|refusal| entry.blame(&refusal))?;
        }
        Ok(data)
    }
}

/// Refuses bytes before the archive that are one themselves: whoever reads
/// from the start would unpack that.
fn refuse_prefix(source: &(impl ReadAt + ?Sized), end: &End) -> Result<(), Refusal> {
    if end.uncounted == 0 {
        return Ok(());
    }
    if end.entries == 0 {
        return Err(Refusal::malformed("bytes before an archive of no members"));
    }
    if begins_like_a_zip(source)? {
        return Err(Refusal::malformed(
            "another archive stands before the first member",
        ));
    }
    Ok(())
}

/// Whether the first bytes are those of an archive, an empty one or a part of
/// one included.
fn begins_like_a_zip(source: &(impl ReadAt + ?Sized)) -> Result<bool, Refusal> {
    const BEGINNINGS: [[u8; 4]; 4] = [
        LocalHeader::SIGNATURE,
        CentralHeader::SIGNATURE,
        End64Record::SIGNATURE,
        EndRecord::SIGNATURE,
    ];
    // Fewer than four bytes before the archive make no signature by themselves.
    let mut first = [0; 4];
    source.read_exact_at(&mut first, 0).map_err(Refusal::io)?;
    Ok(BEGINNINGS.contains(&first) || SPANNED.contains(&first))
}

fn outside(entry: &ZipEntry) -> Refusal {
    let refusal = if entry.header_offset == u64::from(IN_ZIP64) {
        "its offset isn't in the Zip64 field that should have it"
    } else {
        "its local header would be behind the start of the directory"
    };
    entry.blame(&Refusal::malformed(refusal))
}

/// Why there is something between the last header and the end record.
pub(super) fn behind_the_last(rest: &[u8]) -> Refusal {
    if rest.starts_with(&CentralHeader::SIGNATURE) {
        Refusal::malformed("the directory has more members than the end record says")
    } else if rest.starts_with(&DIGITAL_SIGNATURE) {
        let cause = "the directory has a digital signature, which isn't supported";
        Refusal::new(ErrorKind::UnknownFormat, cause)
    } else if rest.starts_with(&ARCHIVE_EXTRA) {
        Refusal::new(ErrorKind::Encrypted, "the directory is encrypted")
    } else {
        Refusal::malformed("bytes of no member at the end of the directory")
    }
}

/// Reads a part of a source from its start to its end.
struct FileRange<'s, S: ReadAt + ?Sized> {
    source: &'s S,
    rest: Range<u64>,
}

impl<S: ReadAt + ?Sized> Read for FileRange<'_, S> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.rest.end - self.rest.start;
        let size = left.min(buffer.len() as u64) as usize;
        let read = self.source.read_at(&mut buffer[..size], self.rest.start)?;
        self.rest.start += read as u64;
        Ok(read)
    }
}
