//! Zip files: PKWARE's APPNOTE 6.3.10 and Info-ZIP's extra fields.
//!
//! A zip says all things twice, before each member and in the directory at its
//! end, and readers differ in whom they believe. Here both have to say the
//! same, and each byte of the file has to belong to exactly one of the members
//! or to the directory. [`Directory`] reads files, [`StreamReader`] reads pipes
//! and ends with the same directory, [`NewEntry`] writes.
//!
//! Not here: what a name or a target may be, sparse files, hard links (a zip
//! has none), encryption, archives of several disks, guesses at code pages.

mod check;
mod end;
mod entry;
mod extra;
mod inflate;
mod input;
mod local;
mod method;
mod parts;
mod read;
mod records;
mod stream;
mod time;
mod write;

#[cfg(test)]
mod tests;

use super::ReadAt;
use records::{EndRecord, LocalHeader};

pub(crate) use check::{Checked, decode, decode_whole};
pub(crate) use entry::ZipEntry;
pub(crate) use inflate::Inflater;
pub(crate) use method::Method;
pub(crate) use parts::{LARGE, Part, PartsWriter, decode_part};
pub(crate) use read::Directory;
pub(crate) use stream::{LocalEntry, StreamReader};
pub(crate) use time::holds_time;
pub(crate) use write::{
    NewEntry, SizesIn, Width, central_header, data_descriptor, end_records, local_header,
};

/// Whether `head`, the first bytes of a file, are the beginning of a zip.
pub(crate) fn is_start(head: &[u8]) -> bool {
    head.starts_with(&LocalHeader::SIGNATURE) || head.starts_with(&EndRecord::SIGNATURE)
}

/// Whether a file of `length` bytes ends with a zip: its end record is the last
/// thing there is, whatever the file begins with.
pub(crate) fn is_at_end(source: &(impl ReadAt + ?Sized), length: u64) -> bool {
    end::EndRecords::find(source, length).is_ok()
}

/// Whether a file of `length` bytes ends like a zip, whatever it begins with.
pub(crate) fn has_end_record(source: &(impl ReadAt + ?Sized), length: u64) -> bool {
    let start = length.saturating_sub(end::MAX_TAIL);
    let mut tail = vec![0; (length - start) as usize];
    let found = source.read_exact_at(&mut tail, start);
    let mut windows = tail.windows(EndRecord::SIGNATURE.len());
    found.is_ok() && windows.any(|window| window == EndRecord::SIGNATURE)
}
