//! The tar format: members to blocks and back, without any I/O.
//!
//! [`Parser`] takes an archive in chunks of any length and tells what is in it;
//! content is never copied, and nothing is allocated by a declared size.
//! [`append_header`] makes what stands before a member's content: a ustar
//! header, and a PAX header before it only where ustar can't hold the member.
//!
//! What the common readers (GNU tar, libarchive, Python) understand in
//! different ways is refused. Where a name may lead is not judged here.

mod header;
mod index;
mod member;
mod pax;
mod read;
mod record;
mod sparse;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use index::{IndexWriter, read_index};
pub(crate) use read::{Event, Options, Parser};
pub(crate) use write::{END, append_header, padding, stored_size};

/// The last digit of the magic number of the skippable zstd frame that holds a
/// `.tar.zst`'s index.
pub(crate) const INDEX_NIBBLE: u8 = 0xB;

/// Whether `head`, the first block of a file, can be the beginning of a tar.
pub(crate) fn is_start(head: &[u8]) -> bool {
    match head.first_chunk() {
        Some(block) => block.iter().all(|byte| *byte == 0) || header::check_sum(block).is_ok(),
        None => false,
    }
}

/// Everything in an archive is padded with zeros to blocks of this many bytes.
const BLOCK: usize = 512;

/// The longest PAX header, GNU long name and sparse map, in bytes. Real ones
/// take a few KiB; all of them have to be in memory before they mean anything.
const MAX_RECORD: u64 = 1 << 20;

/// The longest target of a symbolic link, in bytes: what Linux can hold.
const MAX_TARGET: usize = 4095;

/// How many zero bytes follow `length` bytes to complete a block.
fn to_block(length: u64) -> usize {
    (length.next_multiple_of(BLOCK as u64) - length) as usize
}
