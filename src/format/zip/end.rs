//! The end of a zip file: where its directory is, and of how many members.
//!
//! Readers that search backwards and readers that stop at the first fit find
//! different archives in the same bytes. So exactly one end record has to have
//! a comment that ends with the file, with no second signature in it. A Zip64
//! record stands directly before its locator, that directly before the end.
//! Zeros behind the comment are padding, up to [`MAX_PADDING`].
//!
//! Bytes before the first member (a self-extracting program) are accepted where
//! all offsets are counted from behind them, as `cat` leaves them, or all from
//! the file's first byte, as Python's zipapp and `zip -A` have them; never where
//! they begin like an archive themselves.

use std::ops::Range;

use super::records::{
    END64_REST, End64Record, EndRecord, IN_ZIP64, IN_ZIP64_SHORT, LocalHeader, Locator, SPANNED,
};
use crate::error::{ErrorKind, Refusal};
use crate::format::ReadAt;

/// The most zeros behind the archive. A pipe is padded to whole blocks of a
/// tape by bsdtar, 10 KiB unless told otherwise; nobody asks for more than this.
pub(super) const MAX_PADDING: u64 = 64 << 10;

/// The most bytes that the records at the end take, the longest comment and the
/// padding included.
pub(super) const MAX_TAIL: u64 =
    (EndRecord::SIZE + Locator::SIZE + End64Record::SIZE) as u64 + u16::MAX as u64 + MAX_PADDING;

/// What the records at the end say.
pub(super) struct End {
    /// Where the directory is in the file.
    pub(super) directory: Range<u64>,
    /// The bytes before the archive that its offsets don't count.
    pub(super) uncounted: u64,
    /// Where the first member has to begin in the file.
    pub(super) first: u64,
    /// How many members the directory has.
    pub(super) entries: u64,
}

/// The records at the end, each where it was found.
pub(super) struct EndRecords {
    pub(super) record: EndRecord,
    /// Where the end record begins.
    pub(super) at: u64,
    pub(super) zip64: Option<(End64Record, Locator)>,
}

impl EndRecords {
    /// Finds the records in a file of `len` bytes.
    pub(super) fn find(source: &(impl ReadAt + ?Sized), len: u64) -> Result<Self, Refusal> {
        let start = len.saturating_sub(MAX_TAIL);
        let mut tail = vec![0; (len - start) as usize];
        source
            .read_exact_at(&mut tail, start)
            .map_err(Refusal::io)?;
        let Some((at, record)) = the_end_record(&tail)? else {
            return Err(no_end(source));
        };
        let zip64 = zip64(&tail[..at])?;
        Ok(Self {
            record,
            at: start + at as u64,
            zip64,
        })
    }

    /// Says where the directory is, if all records agree.
    pub(super) fn judge(&self) -> Result<End, Refusal> {
        let record = &self.record;
        let Some((zip64, locator)) = &self.zip64 else {
            if [record.disk, record.directory_disk] != [0, 0]
                || record.entries_here != record.entries
            {
                return Err(several_disks());
            }
            return End::new(
                self.at,
                record.directory_size.into(),
                record.directory_offset.into(),
                record.entries.into(),
            );
        };
        judge_zip64(record, zip64, locator)?;
        let zip64_at = self.at - (End64Record::SIZE + Locator::SIZE) as u64;
        let end = End::new(
            zip64_at,
            zip64.directory_size,
            zip64.directory_offset,
            zip64.entries,
        )?;
        if locator.record_offset.checked_add(end.uncounted) != Some(zip64_at) {
            return Err(Refusal::malformed(
                "the Zip64 end record isn't where its locator says",
            ));
        }
        Ok(end)
    }
}

impl End {
    fn new(end: u64, size: u64, offset: u64, entries: u64) -> Result<Self, Refusal> {
        let start = end.checked_sub(size).ok_or_else(|| {
            Refusal::malformed("the directory is larger than all that is before its end")
        })?;
        let uncounted = start.checked_sub(offset).ok_or_else(|| {
            Refusal::malformed("the directory doesn't end where the end record begins")
        })?;
        Ok(Self {
            directory: start..end,
            uncounted,
            first: uncounted,
            entries,
        })
    }
}

/// Whether these bytes may stand behind an archive.
fn is_padding(bytes: &[u8]) -> bool {
    bytes.len() as u64 <= MAX_PADDING && bytes.iter().all(|byte| *byte == 0)
}

/// The one end record whose comment ends with `tail`, its padding apart, and
/// where it is.
fn the_end_record(tail: &[u8]) -> Result<Option<(usize, EndRecord)>, Refusal> {
    let mut found = None;
    let mut last_signature = None;
    for (at, window) in tail.windows(EndRecord::SIGNATURE.len()).enumerate() {
        if window != EndRecord::SIGNATURE {
            continue;
        }
        last_signature = Some(at);
        let Some(record) = EndRecord::parse(&tail[at..]) else {
            continue;
        };
        let behind = tail.get(at + EndRecord::SIZE + usize::from(record.comment_size)..);
        if !behind.is_some_and(is_padding) {
            continue;
        }
        if found.replace((at, record)).is_some() {
            return Err(Refusal::malformed("two end records, each of which fits"));
        }
    }
    match found {
        Some((at, _)) if last_signature != Some(at) => Err(Refusal::malformed(
            "the comment at the end has another end record in it",
        )),
        Some(found) => Ok(Some(found)),
        None => match last_signature.map(|at| &tail[at..]) {
            Some(rest) => Err(wrong_comment(rest)),
            None => Ok(None),
        },
    }
}

/// Why the last record that looks like an end record, and begins `rest`, isn't.
fn wrong_comment(rest: &[u8]) -> Refusal {
    match EndRecord::parse(rest) {
        Some(record) if EndRecord::SIZE + usize::from(record.comment_size) < rest.len() => {
            Refusal::malformed("bytes behind the end of the archive")
        }
        Some(_) | None => Refusal::truncated("the end record is cut short"),
    }
}

fn no_end(source: &(impl ReadAt + ?Sized)) -> Refusal {
    let mut start = [0; 4];
    match source.read_exact_at(&mut start, 0) {
        Ok(()) if start == LocalHeader::SIGNATURE => {
            Refusal::truncated("the archive has no end record")
                .with_hint("it looks cut short: fetch it again")
        }
        Ok(()) if SPANNED.contains(&start) => several_disks(),
        Ok(()) | Err(_) => Refusal::new(ErrorKind::UnknownFormat, "this is no zip file"),
    }
}

pub(super) fn several_disks() -> Refusal {
    Refusal::new(
        ErrorKind::UnknownFormat,
        "the archive is in parts, on several disks",
    )
    .with_hint("join it first: zip -s 0")
}

/// The Zip64 records at the end of `before`, if its last bytes are a locator.
fn zip64(before: &[u8]) -> Result<Option<(End64Record, Locator)>, Refusal> {
    let Some(at) = before.len().checked_sub(Locator::SIZE) else {
        return Ok(None);
    };
    let Some(locator) = Locator::parse(&before[at..]) else {
        return Ok(None);
    };
    // A reader that doesn't look for a locator sees a directory with 20 bytes
    // too many: what looks like a locator has to be one.
    let record = at
        .checked_sub(End64Record::SIZE)
        .and_then(|at| End64Record::parse(&before[at..]));
    match record {
        Some(record) => Ok(Some((record, locator))),
        None => Err(Refusal::malformed(
            "no Zip64 end record of the known size before its locator",
        )),
    }
}

fn judge_zip64(record: &EndRecord, zip64: &End64Record, locator: &Locator) -> Result<(), Refusal> {
    if zip64.rest_size != END64_REST {
        return Err(Refusal::malformed(
            "the Zip64 end record has another size than it says",
        ));
    }
    let disks = [zip64.disk, zip64.directory_disk, locator.disk];
    if disks != [0; 3] || locator.disks > 1 || zip64.entries_here != zip64.entries {
        return Err(several_disks());
    }
    let agree = |short: u16, wide: u64| short == IN_ZIP64_SHORT || u64::from(short) == wide;
    let agree_long = |long: u32, wide: u64| long == IN_ZIP64 || u64::from(long) == wide;
    if !agree(record.disk, 0) || !agree(record.directory_disk, 0) {
        return Err(several_disks());
    }
    if !agree(record.entries, zip64.entries)
        || !agree(record.entries_here, zip64.entries)
        || !agree_long(record.directory_size, zip64.directory_size)
        || !agree_long(record.directory_offset, zip64.directory_offset)
    {
        return Err(Refusal::malformed(
            "the end record and the Zip64 end record disagree",
        ));
    }
    Ok(())
}
